"""Traps of text: collations, spaces, quotes, nulls, formulas in a workbook.

Each wrong number is acted out on a real database, beside the right one."""

from __future__ import annotations

import pytest

from tests.projects import Project, everywhere, project, sampled_everywhere

__all__ = ["project"]


def blind_column(project: Project) -> str:
    """The type of a text column to which 'a' and 'A' are the same."""
    if project.kind == "postgresql":
        project.execute("create collation blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    return {
        "sqlite": "text collate nocase",
        "duckdb": "varchar collate nocase",
        "chdb": "String",  # it has no others
        "postgresql": "text collate blind",
        "mariadb": "varchar(20) collate utf8mb4_general_ci",
    }[project.kind]


@pytest.mark.cases(2)
@everywhere
def test_a_and_big_a_and_a_with_a_space_are_three_whatever_the_collation(project, kind):
    found = project(kind)
    rows = [("2024-01-01", "a"), ("2024-01-01", "A"), ("2024-01-01", "a "), ("2024-01-02", "a")]
    found.table(f"m (day date, name {blind_column(found)})", rows)
    found.declare("""
        [metrics.rows_of_m]
        table = "m"
        time = "day"
        measure = "count(*)"
        by = ["name"]

        [metrics.names]
        table = "m"
        time = "day"
        measure = "count(distinct name)"

        [metrics.pairs]
        table = "m"
        time = "day"
        measure = "count(distinct name, day)"

        [metrics.small]
        table = "m"
        time = "day"
        where = "name = 'a'"
        measure = "count(*)"
    """)
    found.run()
    one = {"from_": "2024-01-01", "to": "2024-01-01"}
    assert found.both("rows_of_m", by=["name"], **one) == {("2024-01-01", n): 1 for n in ("A", "a", "a ")}
    assert found.both("rows_of_m", where=["name=a"], **one) == {"2024-01-01": 1}
    assert found.both("names", scope="week", from_="2024-01-01", to="2024-01-07") == {"2024-01-01": 3}
    assert found.both("pairs", scope="week", from_="2024-01-01", to="2024-01-07") == {"2024-01-01": 4}
    own = {"sqlite": 2, "duckdb": 2, "postgresql": 2, "mariadb": 3, "chdb": 1}
    assert found.both("small", **one) == {"2024-01-01": own[kind]}, "a where of yours is the database's own"


@everywhere
def test_the_latest_value_is_that_of_a_series_told_by_its_letters(project, kind):
    """On MariaDB 12 instead of 15: of 'a', 'A' and 'a ' only the one received last counted."""
    found = project(kind)
    rows = [(1, "a", 1), (2, "a", 2), (3, "A", 4), (9, "a ", 8), (4, "b", 1)]
    found.table(
        f"sent (received int, name {blind_column(found)}, value int, day date)",
        [(*row, "2024-01-01") for row in rows],
    )
    found.declare("""
        [metrics.sent]
        table = "sent"
        time = "day"
        measure = "sum(value)"
        daily_aggregate = true
        series = ["name"]
        received = "received"

        [metrics.held]
        kind = "level"
        table = "sent"
        where = "received <> 1"
        time = "day"
        measure = "sum(value)"
        series = ["name"]

        [metrics.most_of_one]
        table = "sent"
        time = "day"
        measure = "sum(value)"
        per = "name"
        then = "count"
    """)
    found.run()
    one = {"from_": "2024-01-01", "to": "2024-01-01"}
    assert found.both("sent", **one) == {"2024-01-01": 2 + 4 + 8 + 1}
    assert found.both("held", **one) == {"2024-01-01": 2 + 4 + 8 + 1}
    assert found.both("most_of_one", **one) == {"2024-01-01": 4}


WORDS = [
    "Zürich 東京 🧮",
    "é",
    "e\u0301",
    "",
    " ",
    "O'Hara",
    'say "hi"',
    "a\nb",
    "a\tb",
    "a,b",
    "NULL",
    "\\N",
    "\\",
    "%",
    "ß",
    "SS",
]
"""Composed and decomposed é are two; the empty text is not null; nor are the ways to write null."""


@pytest.mark.cases(2)
@everywhere
def test_every_text_is_itself_as_a_dimension_and_as_an_id(project, kind):
    found = project(kind)
    rows = [(day, word) for day in ("2024-01-01", "2024-01-02") for word in [*WORDS, None]]
    escaped = [(d, w.replace("\\", "\\\\") if w and kind in ("mariadb", "chdb") else w) for d, w in rows]
    found.table("m (day date, word varchar(40))", escaped)
    found.declare("""
        [metrics.rows_of_m]
        table = "m"
        time = "day"
        measure = "count(*)"
        by = ["word"]

        [metrics.words]
        table = "m"
        time = "day"
        measure = "count(distinct word)"
        by = ["word"]
    """)
    found.run()
    question = {"scope": "week", "from_": "2024-01-01", "to": "2024-01-07"}
    by_word = {("2024-01-01", word): 2 for word in [*WORDS, None]}
    assert found.both("rows_of_m", by=["word"], **question) == by_word
    assert found.both("words", **question) == {"2024-01-01": len(WORDS)}
    assert found.both("words", by=["word"], **question) == {key: int(key[1] is not None) for key in by_word}, (
        "null is a series, but no id"
    )
    for word in WORDS:
        if word:
            assert found.ask("rows_of_m", where=[f"word={word}"], **question) == {"2024-01-01": 2}


@sampled_everywhere
def test_a_filter_for_null_finds_the_nulls_and_a_filter_for_others_keeps_them(project, kind):
    found = project(kind)
    plans = ["pro", "pro", "free", None, None, None]
    found.table("m (day date, plan varchar(10))", [("2024-01-01", plan) for plan in plans])
    found.declare("""
        [metrics.rows_of_m]
        table = "m"
        time = "day"
        measure = "count(*)"
        by = ["plan"]
    """)
    found.run()
    for where, right in {
        ("plan=",): 3,
        ("plan!=",): 3,
        ("plan!=pro",): 4,
        ("plan!=pro", "plan!=free"): 3,
        ("plan=pro", "plan="): 5,
        ("plan=pro", "plan=free"): 3,
        ("plan=no such plan",): 0,
    }.items():
        question = {"from_": "2024-01-01", "to": "2024-01-01"}
        assert found.ask("rows_of_m", where=list(where), **question) == {"2024-01-01": right}, where
    assert found.both("rows_of_m", where=["plan!=pro"], **question) == {"2024-01-01": 4}


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", '=HYPERLINK("http://x","y")', "\t=1", "2024-01-01", "007"]


def test_text_that_starts_like_a_formula_stays_text_in_a_workbook(project, tmp_path):
    import openpyxl

    found = project()
    found.table("m (day date, plan varchar(60))", [("2024-01-01", text) for text in FORMULAS])
    found.declare("""
        [metrics.rows_of_m]
        table = "m"
        time = "day"
        measure = "count(*)"
        by = ["plan"]
        title = "=SUM(A1:A9)"
    """)
    found.run()
    result = found.book.query("rows_of_m", by=["plan"], from_="2024-01-01", to="2024-01-01")
    book = openpyxl.load_workbook(found.book.export(result, tmp_path / "metrics.xlsx"))
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row if cell.value is not None]
    assert not [cell.value for cell in cells if cell.data_type == "f"]
    texts = {cell.value for cell in cells if cell.data_type in ("s", "inlineStr")}
    assert {*FORMULAS, "=SUM(A1:A9)"} <= texts
