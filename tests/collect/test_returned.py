"""What a Python metric may return, and what is said of anything else."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest

from tallybook.collect.returned import rows_of
from tallybook.core import Metric
from tallybook.core.errors import SourceError
from tests.projects import MakeProject, project

__all__ = ["project"]

DAY = date(2024, 3, 5)


class Counted(NamedTuple):
    plan: str
    value: float


def metric(by: tuple[str, ...] = (), decimals: int | None = None) -> Metric:
    return Metric(name="x", function="m.py:x", by=by, decimals=decimals)


@pytest.mark.parametrize(
    ("returned", "kept"),
    [
        (3, "3"), (0.5, "0.5"), (0.1 + 0.2, "0.3"), (1 / 3, "0.3333333333"), (1e15, "1000000000000000"), (True, "1"),
        (Decimal("1.25"), "1.25"), (Decimal(1) / 3, "0.3333333333"), (Fraction(1, 8), "0.125"), (np.int64(7), "7"),
        (np.float64(0.25), "0.25"), (np.float32(0.1), "0.1"), ({"value": 2}, "2"), ([{"value": np.int32(2)}], "2"),
        (MappingProxyType({"value": 2}), "2"), (({"value": v} for v in (2,)), "2"), (({"value": 2},), "2"), (-0.0, "0"),
    ],
)  # fmt: skip
def test_numbers_mappings_and_rows_are_accepted(returned: Any, kept: str) -> None:
    ((dims, number),) = rows_of(metric(), DAY, returned)
    assert (dims, number) == ([], Decimal(kept))


@pytest.mark.parametrize(
    ("returned", "decimals", "kept"),
    [
        (1 / 3, 2, "0.33"),
        (2 / 3, 2, "0.67"),
        (0.5, 0, "0"),
        (1.5, 0, "2"),
        (1e-12, 2, "0"),
        (Decimal("9.995"), 2, "10.00"),
    ],
)
def test_with_decimals_numbers_are_rounded_half_to_even(returned: Any, decimals: int, kept: str) -> None:
    assert rows_of(metric(decimals=decimals), DAY, returned) == [([], Decimal(kept))]


def test_values_of_dimensions_are_texts() -> None:
    values = ["a", None, 1, 2.0, True, np.int64(3), np.str_("b"), np.bool_(False), date(2024, 3, 1), Decimal("1.50")]
    found = rows_of(metric(("plan",)), DAY, [{"plan": value, "value": 1} for value in values])
    assert [dims for dims, _ in found] == [
        ["a"], [None], ["1"], ["2"], ["true"], ["3"], ["b"], ["false"], ["2024-03-01"], ["1.5"],
    ]  # fmt: skip
    assert rows_of(metric(("plan",)), DAY, [Counted("pro", 0.5)]) == [(["pro"], Decimal("0.5"))]


@pytest.mark.parametrize(
    ("returned", "said", "hint"),
    [
        ("5", "returned '5', of type str", "return a number, None, or rows with names: [{'plan': …, 'value': …}, …]"),
        ([{"plan": "a", "value": 1j}], "returned 1j, of type complex", "return a number"),
        ([5], "returned 5, of type int", "rows with names"),
        ([("pro", 5)], "returned ('pro', 5), of type tuple", "rows with names"),
        ([{"plan": "pro"}], "a row without the key 'value' for 2024-03-05: its keys are 'plan'", "'plan', 'value'"),
        ([{"value": 5}], "a row without the dimension 'plan' for 2024-03-05: its keys are 'value'", "None is a value"),
        (5, "a row without the dimension 'plan' for 2024-03-05: its keys are 'value'", "expected the keys"),
        ([{"plan": "a", "value": 1, "x": 2}], "'x', which is not in its by", "by = ['plan', 'x']"),
        ([{"plan": ["a"], "value": 1}], "['a'] as the value of dimension 'plan', of type list", "plan = str(…)"),
        ([{"plan": {"a": 1}, "value": 1}], "of type dict", "a row for each"),
        ([{"plan": np.array(["a"]), "value": 1}], "of type ndarray", "a row for each"),
        ([{"plan": "a", "value": float("nan")}], "returned nan for 2024-03-05", "return None where there is no number"),
        ([{"plan": "a", "value": Decimal("Infinity")}], "returned Infinity", "return None"),
        ([{"plan": "a", "value": 1e30}], "more than 28 digits before the point", "value / 1_000_000"),
        ([{"plan": "a", "value": 1.23456789e-9}], "too small to be kept with 10 digits", "value * 1_000_000"),
        ([{"plan": "a", "value": "7"}], "returned '7', of type str", "return a number"),
    ],
)
def test_anything_else_is_told_in_terms_of_python(returned: Any, said: str, hint: str) -> None:
    with pytest.raises(SourceError) as failed:
        rows_of(metric(("plan",)), DAY, returned)
    assert said in failed.value.message
    assert hint in failed.value.hint
    assert "cast" not in f"{failed.value}"


FUNCTIONS = """
import tallybook
from sqlalchemy import text

@tallybook.metric(source="app")
def mean(day, db):
    return db.execute(text("select avg(v) from facts")).scalar()

@tallybook.metric(source="app", by=["plan"])
def sums(day, db):
    return db.execute(text("select plan, sum(v) as value from facts group by plan")).all()

@tallybook.metric(source="app", by=["plan"])
def unread(day, db):
    return db.execute(text("select plan, sum(v) as value from facts group by plan"))

@tallybook.metric(source="app", by=["plan"], decimals=1)
def mappings(day, db):
    return db.execute(text("select plan, avg(v) as value from facts group by plan")).mappings()

@tallybook.metric(source="app")
def one(day, db):
    return db.execute(text("select count(*) as value from facts")).one()
"""


@pytest.mark.cases(1)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mariadb"])
def test_what_sqlalchemy_answers_may_be_returned(project: MakeProject, kind: str) -> None:
    made = project(kind, now="2024-03-06T12:00")
    made.table("facts (plan varchar(9), v integer)", [("a", 1), ("a", 2), ("b", 2)])
    made.declare("", start="2024-03-05")
    (made.folder / "metrics").mkdir()
    (made.folder / "metrics/f.py").write_text(FUNCTIONS)
    made.run()
    assert float(made.ask("mean")["2024-03-05"]) == pytest.approx(5 / 3, rel=1e-4)
    for name in ("sums", "unread"):
        assert made.ask(name, by=["plan"]) == {("2024-03-05", "a"): 3, ("2024-03-05", "b"): 2}
    assert made.ask("mappings", by=["plan"]) == {("2024-03-05", "a"): 1.5, ("2024-03-05", "b"): 2}
    assert made.ask("one") == {"2024-03-05": 3}
