"""Filters: a value that no row ever had, null and the empty text, and dimension values that look like labels."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from tallybook.cli import invoke
from tallybook.core.labels import shortened, value_label
from tallybook.query.questions import parse_filter
from tests.projects import Project, project

__all__ = ["project"]

DECLARED = """
    [metrics.mrr]
    kind = "level"
    table = "facts"
    time = "day"
    measure = "sum(amount)"
    by = ["plan", "country"]

    [metrics.signups]
    table = "facts"
    time = "day"
    measure = "count(*)"
    by = ["plan", "country"]

    [metrics.price]
    table = "facts"
    time = "day"
    measure = "avg(amount)"
    by = ["plan"]

    [metrics.each]
    measure = "mrr / signups"

    [goals.business]
    metric = "signups"
    target = 5
    where = ["plan=busines"]

    [deliveries.board]
    to = "csv"
    path = "board.csv"
    metrics = ["signups"]
    where = ["plan=Busines", "country!=GB"]
"""
ROWS = [
    ("2026-01-01", "pro", "DE", 5), ("2026-01-01", "business", "DE", 10), ("2026-01-02", "business", "US", 20),
    ("2026-01-02", "", "US", 1), ("2026-01-03", "pro", None, 5), ("2026-01-03", "total", "US", 5),
]  # fmt: skip


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("filters")
    made = Project(folder, f"sqlite:///{folder}/app.sqlite", now="2026-01-05T12:00")
    made.table("facts (day date, plan varchar(9), country varchar(9), amount int)", ROWS)
    made.declare(DECLARED, start="2026-01-01")
    made.run()
    yield made
    made.close()


def unseen(book: Project, metric: str, *where: str, **asked: Any) -> list[str]:
    return list(book.book.query(metric, where=where, **asked).warnings)


# --- values that no row ever had -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("plan=busines", "plan = 'busines'; did you mean 'business'?"),
        ("plan=PRO", "plan = 'PRO'; did you mean 'pro'?"),
        ("plan= pro", "plan = ' pro'; did you mean 'pro'?"),
        ("plan=x", "plan = 'x'"),
        ("plan=", "plan = null; did you mean the empty text (write dim='')?"),
        ("country=''", "country = ''; did you mean null (write dim=)?"),
        ("plan!=busines", "plan = 'busines'; did you mean 'business'?"),
    ],
)
@pytest.mark.parametrize("metric", ["mrr", "signups", "each"])
def test_a_value_that_never_occurred_is_told(book: Project, metric: str, where: str, said: str) -> None:
    why = f"no row of `{metric}` ever had {said}"
    result = book.book.query(metric, where=[where], scope="month")
    assert result.warnings == [why]
    (row,) = result.to_dict()["rows"]
    assert why in row["notes"][metric]["why"]
    assert json.loads(result.to_json())["warnings"] == [why]
    assert why in result.to_text(width=None)
    assert "!=" in where or row[metric] in (0, None)


def test_one_of_several_values_that_never_occurred_is_told(book: Project) -> None:
    assert unseen(book, "signups", "plan=pro", "plan=busines") == [
        "no row of `signups` ever had plan = 'busines'; did you mean 'business'?"
    ]
    assert book.ask("signups", where=["plan=pro", "plan=busines"], scope="all") == {"2026-01-01": 2}


@pytest.mark.parametrize(
    "where", [["plan=business"], ["plan=business", "country=FR"][:1], ["plan=''"], ["country="], ["plan!=pro"], ["plan=pro", "country=US"]]
)  # fmt: skip
def test_values_that_occurred_are_not_doubted(book: Project, where: list[str]) -> None:
    for asked in ({}, {"from_": "2026-01-04"}, {"scope": "month"}):
        result = book.book.query("signups", where=where, **asked)
        assert result.warnings == []
        assert "warnings" not in result.to_dict()
        assert not any("ever had" in str(row.get("notes")) for row in result.data)


def test_a_value_that_occurred_outside_of_the_range_is_a_true_zero(book: Project) -> None:
    assert book.ask("signups", where=["plan=business"], from_="2026-01-03", to="2026-01-04") == {
        "2026-01-03": 0, "2026-01-04": 0,
    }  # fmt: skip
    assert unseen(book, "signups", "plan=business", from_="2026-01-03", to="2026-01-04") == []


def test_where_no_row_is_left_the_reason_stands_below_the_table(book: Project) -> None:
    result = book.book.query("signups", by=["country"], where=["plan=busines"])
    assert result.data == []
    assert "no row of `signups` ever had plan = 'busines'; did you mean 'business'?" in result.to_text(width=None)
    assert "did you mean" in result.to_markdown()


def test_a_live_answer_says_what_was_read(book: Project) -> None:
    (row,) = book.rows("signups", where=["plan=busines"], scope="all", live=True)
    assert row["notes"]["signups"]["why"] == "no row of `signups` that was read has plan = 'busines'"


def test_a_goal_and_a_delivery_say_so_and_check_asks_the_book(book: Project) -> None:
    (goal,) = book.book.goals("business", on="2026-01-04")
    assert (goal.value, goal.notes[0]) == (0, "no row of `signups` ever had plan = 'busines'; did you mean 'business'?")
    (report,) = book.book.deliver("board", force=True)
    assert report.warnings == [
        "no row of `signups` ever had plan = 'Busines'; did you mean 'business'?",
        "no row of `signups` ever had country = 'GB'",
    ]
    assert report.to_dict()["warnings"] == report.warnings
    assert list(book.book.doubts()) == ["deliveries.board", "goals.business"]
    out, err = io.StringIO(), io.StringIO()
    assert invoke(["check", "--project", str(book.folder), "--format", "json"], stdout=out, stderr=err) == 0
    paths = [warning["path"] for warning in json.loads(out.getvalue())["warnings"]]
    assert paths == ["deliveries.board", "deliveries.board", "goals.business"]
    invoke(["deliver", "--force", "--project", str(book.folder)], now=lambda: book.now, stdout=out, stderr=err)
    assert "board warning: no row of `signups` ever had plan = 'Busines'" in err.getvalue()


def test_without_a_book_nothing_is_doubted(project: Any) -> None:
    made = project()
    made.declare(DECLARED)
    assert made.book.doubts() == {}
    assert not (made.folder / "book").exists()


# --- null and the empty text --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "equal", "value"),
    [("plan=", True, None), ("plan!=", False, None), ("plan=''", True, ""), ('plan=""', True, ""), ("plan!=''", False, ""),
     ("plan='x'", True, "'x'"), ("plan='", True, "'"), ("plan= ", True, " ")],
)  # fmt: skip
def test_null_and_the_empty_text_are_different_filters(text: str, equal: bool, value: str | None) -> None:
    found = parse_filter(text)
    assert (found.equal, found.value) == (equal, value)


def test_the_empty_text_is_asked_for_by_itself(book: Project) -> None:
    assert book.ask("signups", scope="all", where=["plan=''"]) == {"2026-01-01": 1}
    assert book.ask("signups", scope="all", where=["plan!=''"]) == {"2026-01-01": 5}
    assert book.ask("signups", scope="all", where=["country="]) == {"2026-01-01": 1}
    assert book.ask("signups", scope="all", where=["plan=''", "plan=total"]) == {"2026-01-01": 2}
    assert "where plan is ''" in book.book.query("signups", where=["plan=''"]).explain


# --- values that look like labels ---------------------------------------------------------------------------------------


def shown(project: Any, *values: str | None) -> tuple[list[str], list[str]]:
    made = project(now="2026-01-02T12:00")
    made.table("facts (day date, plan varchar(99))", [("2026-01-01", value) for value in values])
    made.declare('[metrics.n]\ntable = "facts"\ntime = "day"\nmeasure = "count(*)"\nby = ["plan"]', start="2026-01-01")
    made.run()
    result = made.book.query("n", by=["plan"], totals=True)
    text = [line[12:] for line in result.to_text(width=None).split("\n")[1 : len(result.data)]]
    marked = [line.split(" | ")[1] for line in result.to_markdown().split("\n")[2 : len(result.data) + 1]]
    return text, marked


def test_a_value_like_the_row_of_totals_is_in_quotes(project: Any) -> None:
    text, marked = shown(project, "total", "other", "(none)", None, "", "–", "pro", '"total"')
    labels = [line.rsplit(None, 1)[0] for line in text]
    assert sorted(labels) == sorted(
        ['"total"', '"other"', '"(none)"', "(none)", '""', '"–"', "pro", '"\\"total\\""', "total"]
    )
    assert len(set(marked)) == len(marked)


def test_line_breaks_and_long_values_stay_different(project: Any) -> None:
    long = "a" * 45
    text, marked = shown(project, "a\nb", "a\\nb", f"{long}1", f"{long}2", "b" * 60)
    assert len(set(text)) == 6
    assert len(set(marked)) == 6
    assert any("b" * 60 in cell for cell in marked), "Markdown cuts nothing"
    assert any(line.startswith("b" * 39 + "…") for line in text)


@given(st.lists(st.one_of(st.none(), st.text(max_size=50), st.sampled_from(["total", '"total"', "a\nb", "a\\nb", "(none)"])), unique=True))  # fmt: skip
def test_no_two_values_have_the_same_label(values: list[str | None]) -> None:
    labels = [value_label(value) for value in values]
    assert len(set(labels)) == len(values)
    assert len(set(shortened(labels))) == len(values)
    assert all(label.isprintable() for label in labels)


def test_the_others_are_not_the_null_series_in_a_chart(project: Any) -> None:
    made = project(now="2026-01-02T12:00")
    made.table("facts (day date, plan varchar(9))", [("2026-01-01", v) for v in ("a", "a", "a", None, None, "other")])
    made.declare('[metrics.n]\ntable = "facts"\ntime = "day"\nmeasure = "count(*)"\nby = ["plan"]', start="2026-01-01")
    made.run()
    result = made.book.query("n", by=["plan"], top=2)
    assert [point["series"] for point in result.chart()["data"]["values"]] == ["a", "(none)", "other"]
    assert Path(made.book.export(result, made.folder / "n.xlsx")).exists()


def test_the_sentence_says_how_filters_are_combined(project) -> None:
    made = project("sqlite")
    made.table("o (at text, g text, h text)", [("2024-01-02 10:00:00", "a", "x"), ("2024-01-02 10:00:00", "b", "y")])
    made.declare('[metrics.n]\ntable = "o"\ntime = "at"\nmeasure = "count(*)"\nby = ["g", "h"]\n')
    made.run()
    said = made.book.query("n", where=["g=a", "g=b", "h!=y"]).explain
    assert "where (g is 'a' or g is 'b') and h is not 'y'" in said
    assert "where g is 'a' or g is 'b';" in made.book.query("n", where=["g=a", "g=b"]).explain


def test_a_declared_filter_keeps_the_blank_at_the_end_of_its_value(project: Any) -> None:
    made = project(now="2026-01-02T12:00")
    made.table("o (day date, plan varchar(9))", [("2026-01-01", v) for v in ("a", "a ", "a ")])
    made.declare(
        '[metrics.n]\ntable = "o"\ntime = "day"\nmeasure = "count(*)"\nby = ["plan"]\n'
        '[goals.g]\nmetric = "n"\nscope = "year"\ntarget = 9\nwhere = ["plan=a "]\n'
        '[deliveries.d]\nto = "csv"\npath = "d.csv"\nmetrics = ["n"]\nwhere = ["plan=a "]\n'
        '[boards.b]\nwhere = ["plan=a "]\n[[boards.b.views]]\nmetrics = ["n"]\nwhere = "plan=a "\n',
        start="2026-01-01",
    )
    made.run()
    made.book.deliver()
    (goal,) = made.book.goals("g")
    board = made.book.project.catalog.boards["b"]
    assert goal.value == 2
    assert (made.folder / "d.csv").read_text().splitlines()[1].startswith("2026-01-01,2,")
    assert (board.where, board.views[0].where) == (("plan=a ",), ("plan=a ",))
