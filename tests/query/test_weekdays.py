"""The weekday as a breakdown of days, held against sums, means and last days counted here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from tallybook.core import WEEKDAYS, QueryError, Refused
from tallybook.query.context import Coverage
from tests.projects import Project, project

__all__ = ["project"]

DAY = timedelta(days=1)
FIRST, LAST = date(2024, 1, 1), date(2024, 3, 5)
FACTS = {
    FIRST + DAY * i: i % 11
    for i in range((LAST - FIRST).days + 1)
    if i % 5  # every fifth day has no row
}
METRICS = """
    [metrics.n]
    table = "facts"
    time = "day"
    measure = "sum(amount)"
    by = ["plan"]

    [metrics.stock]
    kind = "level"
    table = "facts"
    time = "day"
    measure = "sum(amount)"

    [metrics.users]
    table = "facts"
    time = "day"
    measure = "count(distinct amount)"

    [metrics.visitors]
    kind = "uniques"
    table = "facts"
    time = "day"
    measure = "sum(amount)"

    [metrics.mean]
    measure = "n / users"
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("weekdays")
    found = Project(folder, f"sqlite:///{folder}/app.db", now="2024-03-06T12:00")
    rows = [(d, "ab"[n % 2], n) for d, n in FACTS.items()]
    found.table("facts (day date, plan text, amount int)", rows)
    found.declare(METRICS, start=str(FIRST))
    found.run()
    yield found
    found.close()


def days_of(month: int, weekday: str) -> list[date]:
    """The days of a month of 2024 that are over, of one weekday."""
    every = [FIRST + DAY * i for i in range((LAST - FIRST).days + 1)]
    return [day for day in every if day.month == month and WEEKDAYS[day.weekday()] == weekday]


def by_weekday(value: Callable[[list[date]], Any]) -> dict[tuple[str, str], Any]:
    """A value of each month and weekday, in the order of an answer."""
    return {
        (f"2024-0{month}-01", weekday): value(days_of(month, weekday))
        for month in (1, 2, 3)
        for weekday in WEEKDAYS
        if days_of(month, weekday)
    }


def amounts(days: list[date]) -> list[int]:
    return [FACTS[day] for day in days if day in FACTS]


def test_each_weekday_is_the_measure_over_its_days(made: Project) -> None:
    asked: dict[str, Any] = {"scope": "month", "by": ["weekday"]}
    sums = by_weekday(lambda days: sum(amounts(days)))
    found = made.both("n", **asked)
    assert list(found.items()) == list(sums.items())  # Monday first
    assert made.ask("users", **asked) == by_weekday(lambda days: len(set(amounts(days))))
    average = made.ask("n", show="average", **asked)
    assert average == pytest.approx(by_weekday(lambda days: sum(amounts(days)) / len(days)))
    assert made.ask("n", show="max", **asked) == by_weekday(lambda days: max([FACTS.get(day, 0) for day in days]))
    assert made.ask("stock", **asked) == by_weekday(lambda days: FACTS.get(days[-1], 0))
    assert made.ask("stock", show="first", **asked) == by_weekday(lambda days: FACTS.get(days[0], 0))
    means = by_weekday(lambda days: sum(amounts(days)) / len(set(amounts(days))) if amounts(days) else None)
    assert made.ask("mean", **asked) == pytest.approx(means, nan_ok=True)


def test_a_row_counts_the_days_of_its_weekday(made: Project) -> None:
    rows = made.rows("n", scope="month", by=["weekday"], from_="2024-02-01")
    counted = {(row["period"], row["weekday"]): (row["days"], row["days_expected"], row["complete"]) for row in rows}
    assert counted["2024-02-01", "thursday"] == (5, 5, True)
    assert counted["2024-02-01", "friday"] == (4, 4, True)
    assert counted["2024-03-01", "monday"] == (1, 4, False)
    assert ("2024-03-01", "wednesday") not in counted or counted["2024-03-01", "wednesday"][0] == 0
    day = made.rows("n", by=["weekday"], from_="2024-03-04", to="2024-03-05")
    assert [(row["period"], row["weekday"]) for row in day] == [("2024-03-04", "monday"), ("2024-03-05", "tuesday")]


def test_weekdays_split_beside_other_dimensions_and_totals(made: Project) -> None:
    asked: dict[str, Any] = {"scope": "month", "from_": "2024-01-01", "to": "2024-01-31"}
    found = made.ask("n", by=["plan", "weekday"], totals=True, **asked)
    for weekday in WEEKDAYS:
        both = [found.get(("2024-01-01", plan, weekday), 0) for plan in "ab"]
        assert sum(both) == sum(amounts(days_of(1, weekday)))
    assert found["2024-01-01", "total"] == sum(n for d, n in FACTS.items() if d.month == 1)
    keys = [key for key in found if key[1] == "a" and len(key) == 3]
    assert keys == sorted(keys, key=lambda key: WEEKDAYS.index(key[2]))
    first = made.rows("n", by=["weekday", "plan"], **asked)
    assert [row["weekday"] for row in first][:3] == ["monday", "monday", "tuesday"]
    assert list(first[0])[:4] == ["period", "weekday", "plan", "n"]
    sorted_rows = made.rows("n", by=["weekday"], sort=["-weekday"], **asked)
    assert [row["weekday"] for row in sorted_rows] == list(reversed(WEEKDAYS))


def test_a_filter_of_weekdays_leaves_their_days(made: Project) -> None:
    weekend = {5, 6}
    asked: dict[str, Any] = {"scope": "month", "from_": "2024-01-01", "to": "2024-01-31"}
    expected = sum(n for d, n in FACTS.items() if d.month == 1 and d.weekday() in weekend)
    assert made.both("n", where=["weekday=saturday", "weekday=sunday"], **asked) == {"2024-01-01": expected}
    rest = [f"weekday!={day}" for day in WEEKDAYS[:5]]
    assert made.ask("n", where=rest, **asked) == {"2024-01-01": expected}
    days = made.ask("n", where=["weekday=Monday"], from_="2024-01-01", to="2024-01-31")
    assert list(days) == [str(day) for day in days_of(1, "monday")]
    (row,) = made.rows("n", where=["weekday=monday"], **asked)
    assert (row["days"], row["days_expected"]) == (5, 5)
    assert "days that are mondays" in made.book.query("n", where=["weekday=monday"], **asked).explain.lower()


def test_weekdays_are_compared_with_the_same_weekday(made: Project) -> None:
    rows = made.rows("n", by=["weekday"], scope="month", compare="previous", from_="2024-02-01", to="2024-02-29")
    for row in rows:
        assert row["n_previous"] == sum(amounts(days_of(1, row["weekday"]))), row
    days = made.rows("n", by=["weekday"], compare="previous", from_="2024-02-06", to="2024-02-06")
    (tuesday,) = days
    assert (tuesday["weekday"], tuesday["n_previous"]) == ("tuesday", None)
    assert "has no tuesday" in tuesday["notes"]["n_previous"]["why"]
    weeks = made.rows("n", by=["weekday"], window="14 days", from_="2024-02-14", to="2024-02-14")
    assert [row["weekday"] for row in weeks] == list(WEEKDAYS)
    wednesday = weeks[2]
    assert wednesday["n"] == FACTS.get(date(2024, 2, 7), 0) + FACTS.get(date(2024, 2, 14), 0)


def test_a_declared_dimension_of_that_name_wins(project: Callable[..., Project]) -> None:
    made = project("sqlite")
    made.table("facts (day date, weekday text)", [("2024-03-04", "busy"), ("2024-03-05", None)])
    one = '[metrics.{}]\ntable = "facts"\ntime = "day"\nmeasure = "count(*)"\n'
    made.declare(one.format("n") + 'by = ["weekday"]\n' + one.format("m") + '[metrics.r]\nmeasure = "n / m"')
    made.run()
    found = made.ask("n", by=["weekday"], scope="month", from_="2024-03-01")
    assert found == {("2024-03-01", "busy"): 1, ("2024-03-01", None): 1}
    assert ("2024-03-01", "monday") in made.ask("m", by=["weekday"], scope="month", from_="2024-03-01")
    with pytest.raises(Refused, match="not alike"):
        made.rows("n", "m", by=["weekday"])
    with pytest.raises(Refused, match="m lacks it"):
        made.rows("r", by=["weekday"])


@pytest.mark.parametrize(("question", "error", "says"), [
    ({"by": ["weekday"], "top": 2}, Refused, "weekdays are not ranked"),
    ({"by": ["weekday"], "show": "change"}, Refused, "another weekday"),
    ({"where": ["weekday=mondey"]}, QueryError, "monday"),
    ({"where": ["weekday="]}, QueryError, "no weekday"),
    ({"where": ["weekday=monday", "weekday!=monday"]}, Refused, "no weekday is left"),
])  # fmt: skip
def test_what_has_no_answer_by_weekday_is_refused(
    made: Project, question: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        made.ask("stock", **question)


def test_csv_charts_and_deliveries_take_weekdays(made: Project) -> None:
    result = made.book.query("n", by=["weekday"], scope="month", from_="2024-01-01", to="2024-01-31")
    assert result.to_csv().splitlines()[1].startswith("2024-01-01,monday,")
    assert made.book.csv("n", by=["weekday"], scope="month") is None
    more = '[deliveries.board]\nto = "csv"\npath = "b.csv"\nmetrics = ["n"]\nscope = "month"\nby = ["weekday"]\n'
    made.declare(METRICS + more, start=str(FIRST))
    (report,) = made.book.deliver()
    assert not report.failed
    assert "2024-01-01,monday," in (made.folder / "b.csv").read_text()
    made.declare(METRICS, start=str(FIRST))


def test_a_carried_level_is_split_by_weekday(project: Callable[..., Project]) -> None:
    made = project("sqlite")
    made.table("seats (day date, amount int)", [("2024-02-26", 5), ("2024-02-28", 7), ("2024-03-04", 9)])
    level = '[metrics.seats]\nkind = "level"\ntable = "seats"\ntime = "day"\nmeasure = "sum(amount)"\ncarry = "1d"\n'
    made.declare(level, start="2024-02-26")
    made.run()
    found = made.ask("seats", by=["weekday"], scope="week", from_="2024-02-26", to="2024-03-03")
    expected = dict(zip(WEEKDAYS, [5, 5, 7, 7, 0, 0, 0], strict=True))
    assert found == {("2024-02-26", weekday): value for weekday, value in expected.items()}


def test_a_weekday_of_a_week_is_one_day_so_daily_counts_of_distinct_things_are_known(made: Project) -> None:
    found = made.ask("visitors", scope="week", by=["weekday"], from_="2024-01-01", to="2024-01-07")
    assert found == {("2024-01-01", name): FACTS.get(FIRST + DAY * number, 0) for number, name in enumerate(WEEKDAYS)}


@pytest.mark.parametrize("only", [None, frozenset([0, 5])])
@pytest.mark.parametrize("expect", [frozenset[int](), frozenset([0, 1, 2, 3, 4]), frozenset([6])])
def test_days_that_need_not_be_covered_are_counted_without_going_through_them(expect: Any, only: Any) -> None:
    covered = Coverage(((date(2024, 1, 3), date(2024, 1, 16)), (date(2024, 2, 1), date(2024, 2, 4))), {}, expect, only)
    few = [date(2023, 12, 30) + timedelta(days=n) for n in range(50)]
    assert covered.unexpected(few[0], few[-1]) == sum(
        day.weekday() not in expect and not covered.holds(day) for day in few
    )
    ever = covered.unexpected(date.min, date.max)
    assert ever == 3_652_059 // 7 * (7 - len(expect)) + sum(n not in expect for n in range(5)) - sum(
        day.weekday() not in expect and covered.holds(day) for day in few
    ), "the calendar begins on a Monday, and ends on a Friday"
