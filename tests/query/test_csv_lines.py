"""The CSV that the engine writes has the bytes of the CSV of the rows."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import event, given, strategies as st

from tallybook.core.result.plain import csv_text, plain_number
from tallybook.query import Question
from tallybook.query.lines import USUAL_TEXT, _number
from tallybook.storage.engines.duckdb import connect, literal
from tests.conftest import COSTLY, sampled
from tests.projects import Project, project

__all__ = ["project"]
TEXTS = [
    None, "", "plain", "with, comma", 'with "quotes"', "semi;colon", " leading", "trailing ", "two\nlines", "tab\there",
    "=1+1", "+1", "-1", "@x", "'=1", "''+2", "\u00a0nbsp\u00a0", "\uff1dwide", "ümlaut", "😀", "~", "null", "true",
    "it's", "100%", "a'b", "\\n",
]  # fmt: skip
METRICS = """
    [metrics.n]
    table = "facts"
    time = "happened"
    by = ["d", "e"]
    measure = "count(*)"

    [metrics.money]
    table = "facts"
    time = "happened"
    by = ["d", "e"]
    measure = "sum(amount)"

    [metrics.ratio]
    table = "facts"
    time = "happened"
    by = ["d", "e"]
    measure = "sum(x) / nullif(count(*) - 1, 0)"

    [metrics.median]
    table = "facts"
    time = "happened"
    by = ["d", "e"]
    measure = "median(x)"

    [metrics.people]
    table = "facts"
    time = "happened"
    by = ["d", "e"]
    measure = "count(distinct who)"
"""


@pytest.fixture(scope="module", params=sampled(range(2), 1, "books"))
def book(tmp_path_factory: pytest.TempPathFactory, request: Any) -> Iterator[Project]:
    rng = random.Random(request.param)
    rows = [
        (
            date(2024, 1, 1) + timedelta(days=rng.choice([0, 1, 2, 40, 41, 59])), rng.choice(TEXTS), rng.choice("abc"),
            rng.choice([0, 5, -3, 100000]) / 100, rng.choice([0.1, 1e-9, 3e17, -2.5, 0, 1e22]), rng.randint(1, 9),
        )
        for _ in range(300)
    ]  # fmt: skip
    folder = tmp_path_factory.mktemp("lines")
    found = Project(folder, f"duckdb:///{folder}/app.duckdb", now="2024-03-03T12:00")
    found.table("facts (happened date, d varchar, e varchar, amount decimal(12, 2), x double, who int)", rows)
    found.declare(METRICS)
    found.run()
    yield found
    found.close()


@pytest.mark.cases(3)
@pytest.mark.parametrize("metric", ["n", "money", "ratio", "median", "people"])
def test_the_bytes_are_those_of_the_rows(book: Project, metric: str) -> None:
    questions = list(product(("day", "week", "month", "all"), (["d"], ["d", "e"], ["e"])))
    for scope, by in sampled(questions, 5, metric):
        asked: dict[str, Any] = {"scope": scope, "by": by, "to": "2024-03-10"}
        fast = book.book.csv(metric, **asked)
        assert fast is not None
        assert fast == book.book.query(metric, **asked).to_csv()
        assert lean(book, (metric,), **asked) == book.book.query(metric, **asked).to_csv(guard=False)


def test_days_that_are_not_collected_have_their_line(project: Any) -> None:
    found = project(now="2024-01-10T12:00")
    found.table("facts (at text, d text)", [("2024-01-02 10:00:00", "=x"), ("2024-01-05 10:00:00", None)])
    found.declare('[metrics.n]\ntable = "facts"\ntime = "at"\nby = ["d"]\nmeasure = "count(*)"\n')
    found.run(from_="2024-01-01", to="2024-01-03")
    found.run(from_="2024-01-05", to="2024-01-07")
    asked: dict[str, Any] = {"by": ["d"], "from_": "2023-12-30", "to": "2024-01-09"}
    fast = found.book.csv("n", **asked)
    assert fast == found.book.query("n", **asked).to_csv()
    assert fast.splitlines()[1] == "2023-12-30,,,false,0,1,false"
    assert "2024-01-02,'=x,1,true,1,1,false" in fast


def test_other_questions_are_left_to_the_rows(book: Project) -> None:
    assert book.book.csv("n") is None
    assert book.book.csv("n", by=["d"], show="average") is None


DECLARED = {
    "n": 'measure = "count(*)"',
    "money": 'measure = "sum(amount)"',
    "whole": 'measure = "sum(big)"',
    "mean": 'measure = "avg(amount)"',
    "ratio": 'measure = "sum(x) / nullif(count(*) - 1, 0)"',
    "least": 'measure = "min(amount)"',
    "people": 'measure = "count(distinct who)"',
    "daily_people": 'kind = "uniques"\nmeasure = "count(distinct who)"',
    "seats": 'kind = "level"\nmeasure = "sum(amount)"',
    "price": 'kind = "level"\nmeasure = "max(x)"',
}
AMOUNTS = st.sampled_from(["0", "-0.01", "0.10", "100", "1234567890123456.78", "-9999999999999999.99"])
WHOLES = st.sampled_from([None, 0, -1, 10**15 - 1, 10**15, -(10**15) - 1, 2**53 + 1, 2**62])
FACT = st.tuples(
    st.integers(0, 40).map(lambda d: str(date(2024, 1, 1) + timedelta(days=d))), st.sampled_from(TEXTS) | st.text(max_size=4),
    st.sampled_from("abc"), AMOUNTS, WHOLES, st.floats(allow_nan=False, allow_infinity=False, width=32), st.integers(1, 3),
)  # fmt: skip


@COSTLY
@given(
    rows=st.lists(FACT.filter(lambda fact: "\0" not in (fact[1] or "")), min_size=1, max_size=12),
    gap=st.tuples(st.integers(0, 41), st.integers(0, 41)),
    data=st.data(),
)
def test_any_columns_have_the_bytes_of_the_rows(
    tmp_path_factory: Any, rows: Any, gap: Any, data: st.DataObject
) -> None:
    found = Project(folder := tmp_path_factory.mktemp("csv"), f"duckdb:///{folder}/app.duckdb", now="2024-02-12T12:00")
    found.table(
        "facts (happened date, d varchar, e varchar, amount decimal(18, 2), big bigint, x double, who int)", rows
    )
    shared = 'table = "facts"\ntime = "happened"\nby = ["d", "e"]'
    found.declare("\n".join(f"[metrics.{name}]\n{shared}\n{own}" for name, own in DECLARED.items()))
    days = [date(2024, 1, 1) + timedelta(days=day) for day in sorted(gap)]
    found.run(to=days[0])
    found.run(from_=days[1], to="2024-02-11")
    for _ in range(8):
        names = data.draw(st.lists(st.sampled_from(sorted(DECLARED)), min_size=1, max_size=3, unique=True))
        asked = {
            "scope": data.draw(st.sampled_from(["day", "day", "week", "month", "all"])),
            "by": data.draw(st.sampled_from([["d"], ["e"], ["d", "e"], ["e", "d"]])),
            "show": data.draw(st.sampled_from([None, None, "last", "first"])),
            "from_": data.draw(st.sampled_from([None, "2023-12-20", days[0]])),
            "to": data.draw(st.sampled_from([None, "2024-02-13", days[1]])),
        }
        if (fast := found.book.csv(*names, **asked)) is not None:
            event("by the engine")
            assert fast == found.book.query(*names, **asked).to_csv()
            assert lean(found, names, **asked) == found.book.query(*names, **asked).to_csv(guard=False)
    found.close()


def lean(book: Project, names: Sequence[str], *, to: Any = None, **asked: Any) -> str:
    """The lines that deliveries read."""
    answers = book.book.answers
    days = {"from_": day_of(asked.pop("from_", None)), "to": day_of(to)}
    question = Question(metrics=tuple(names), by=tuple(asked.pop("by")), **days, **asked)
    return "".join(answers.lines_at(answers.check(question), answers.reader.version))


def day_of(value: Any) -> Any:
    return date.fromisoformat(value) if isinstance(value, str) else value


@pytest.mark.cases(3)
@pytest.mark.parametrize(
    ("names", "asked"),
    [
        (["seats"], {}),
        (["seats"], {"scope": "month"}),
        (["daily_people"], {}),
        (["n"], {"scope": "week", "show": "last"}),
        (["n", "money", "mean"], {"scope": "month"}),
        (["n", "seats", "daily_people"], {}),
    ],
)
def test_plain_columns_are_written_by_the_engine(project: Any, names: list[str], asked: Any) -> None:
    found: Project = project("duckdb", now="2024-02-12T12:00")
    rows = [
        ("2024-01-02", "a,b", "x", "1.50", 1, 0.1, 1), ("2024-01-02", "=c", "x", "2", None, 2.0, 1),
        ("2024-01-03", 'say "hi"', "y", "-3", 2, 1e-9, 2), ("2024-02-11", None, "x", "0", 3, 1e22, 3),
    ]  # fmt: skip
    found.table(
        "facts (happened date, d varchar, e varchar, amount decimal(18, 2), big bigint, x double, who int)", rows
    )
    shared = 'table = "facts"\ntime = "happened"\nby = ["d", "e"]'
    found.declare("\n".join(f"[metrics.{name}]\n{shared}\n{own}" for name, own in DECLARED.items()))
    found.run()
    fast = found.book.csv(*names, by=["d"], **asked)
    assert fast is not None
    assert fast == found.book.query(*names, by=["d"], **asked).to_csv()


def test_floats_have_all_their_digits() -> None:
    rng, engine = random.Random(1), connect()
    values = [rng.uniform(-1, 1) * 10.0 ** rng.randint(-320, 308) for _ in range(3000)]
    values += [
        0.0,
        -0.0,
        1.0,
        5e-324,
        1.7976931348623157e308,
        1e15,
        1e16,
        1e17,
        123456789012345678.0,
        9999999999999998.0,
    ]
    values += [0.0001, 0.00001, 1e21, 1e22, 0.1, 100.0, 2.0**53, 2.0**63]
    listed = ", ".join(f"({place}, {value!r}::DOUBLE)" for place, value in enumerate(values))
    sql = f"SELECT {_number('v', 'float')} FROM (VALUES {listed}) x(i, v) ORDER BY i"
    found = [text for (text,) in engine.execute(sql).fetchall()]
    assert found == [plain_number(value or 0.0) for value in values]
    odd = engine.execute(f"SELECT {_number('v', 'float')} FROM (VALUES ('nan'::DOUBLE), ('-inf'::DOUBLE), (NULL)) x(v)")
    assert [text for (text,) in odd.fetchall()] == ["", "", ""]
    assert literal("a'b") == "'a''b'"


def test_texts_that_are_not_looked_at_one_by_one_need_no_quotes_and_no_guard():
    signs = [*map(chr, range(128)), "\u00a0", "\u3000", "\uff1d", "\u2028"]
    usual = [text for one in signs for other in ["", *signs] if re.fullmatch(USUAL_TEXT, text := one + other)]
    assert len(usual) > 1000
    assert [text for text in usual if csv_text(text, guard=True) != text] == []
