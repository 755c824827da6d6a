"""Comparisons, windows and the top at the ends of months, held against the raw rows.

Days are worked out here by walking the calendar with `calendar.monthrange`, never by the code that is tested."""

from __future__ import annotations

from calendar import monthrange
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from tallybook.core import PLAIN
from tallybook.core.calendar import months_before
from tallybook.query.ranges import Shift, last_before, window_start
from tests.projects import Project, project

__all__ = ["project"]

DAY = timedelta(days=1)
NOW = "2026-05-05T12:00"
FACTS = """
    [metrics.n]
    table = "facts"
    time = "day"
    measure = "count(*)"
    by = ["plan"]
"""
CALENDAR = st.dates(date(1999, 1, 1), date(2035, 12, 31))


def earlier(day: date, months: int) -> date:
    """The same day so many months before, at most that month's last day."""
    year, month = day.year, day.month
    for _ in range(months):
        year, month = (year - 1, 12) if month == 1 else (year, month - 1)
    return date(year, month, min(day.day, monthrange(year, month)[1]))


def corresponding(day: date, months: int) -> date:
    """As `earlier`, but the last day of a month corresponds to the last day of the other."""
    then = earlier(day, months)
    ends = day.day == monthrange(day.year, day.month)[1]
    return then.replace(day=monthrange(then.year, then.month)[1]) if ends else then


# --- the arithmetic of the calendar ------------------------------------------------------------------------------


@given(day=CALENDAR, months=st.integers(1, 40))
def test_one_day_is_compared_with_one_day(day: date, months: int) -> None:
    assert months_before(day, months) == earlier(day, months)
    assert last_before(day, months) == corresponding(day, months)
    assert Shift(months=months).of(day, day) == (corresponding(day, months),) * 2


@given(first=CALENDAR, length=st.integers(0, 100), months=st.integers(1, 30))
def test_both_ends_of_a_range_move_by_one_rule(first: date, length: int, months: int) -> None:
    last = first + length * DAY
    begin, end = Shift(months=months).of(first, last)
    assert (begin, end) == (corresponding(first, months), corresponding(last, months))
    assert begin <= end
    assert begin.day == 1 or first.day != 1, "whole months correspond to whole months"


@given(day=CALENDAR, months=st.integers(1, 30))
def test_a_window_of_months_begins_the_day_after_the_same_day(day: date, months: int) -> None:
    window = f"{months} month{'s' * (months > 1)}"
    assert window_start(window, day, PLAIN, None) == earlier(day, months) + DAY


@pytest.mark.parametrize("year", [2023, 2024])
@pytest.mark.parametrize("month", range(1, 13))
def test_windows_on_the_last_days_of_each_month(year: int, month: int) -> None:
    for number in (28, 29, 30, 31)[: monthrange(year, month)[1] - 27]:
        day = date(year, month, number)
        for months, window in ((1, "1 month"), (2, "2 months"), (3, "1 quarter"), (12, "1 year")):
            assert window_start(window, day, PLAIN, None) == earlier(day, months) + DAY, (day, window)


# --- one fact a day -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """One fact on each day from 1 January 2024 to 4 May 2026."""
    folder = tmp_path_factory.mktemp("daily")
    made = Project(folder, f"sqlite:///{folder}/app.sqlite", now=NOW)
    made.table(
        "facts (day date, plan varchar(9))",
        [(str(date(2024, 1, 1) + n * DAY), ("pro", "team")[n % 2]) for n in range(855)],
    )
    made.declare(FACTS)
    made.run()
    yield made
    made.close()


@pytest.fixture
def daily(collected: Project) -> Project:
    return collected.at(NOW)


@pytest.mark.parametrize(
    ("with_", "first", "last"),
    [
        ("1 month", "2026-02-26", "2026-03-02"),
        ("1 month", "2026-04-28", "2026-05-01"),
        ("2 months", "2026-04-28", "2026-04-30"),
        ("1 year", "2025-02-27", "2025-03-01"),
        ("1 year", "2024-12-30", "2025-02-28"),
        ("1 quarter", "2025-05-30", "2025-06-01"),
    ],
)
def test_each_day_near_a_month_s_end_is_compared_with_one_day(
    daily: Project, with_: str, first: str, last: str
) -> None:
    for row in daily.rows("n", compare=with_, from_=first, to=last):
        known = row["n_previous"] is not None
        assert (row["n"], row["n_previous"], row["n_change"]) == ((1, 1, 0.0) if known else (1, None, None)), row
        assert not known or "notes" not in row


@pytest.mark.parametrize(
    ("first", "last", "with_", "then"),
    [
        ("2026-02-28", "2026-02-28", "1 month", 1),
        ("2026-02-28", "2026-03-15", "1 month", 16),
        ("2026-02-27", "2026-02-28", "1 month", 5),
        ("2026-02-01", "2026-02-28", "1 month", 31),
        ("2026-03-01", "2026-03-30", "1 month", 28),
        ("2025-02-01", "2025-02-28", "1 year", 29),
        ("2026-03-01", "2026-03-30", "previous", 30),
    ],
)
def test_a_range_compared_with_one_of_another_length_says_so(
    daily: Project, first: str, last: str, with_: str, then: int
) -> None:
    (row,) = daily.rows("n", scope="all", compare=with_, from_=first, to=last)
    here = (date.fromisoformat(last) - date.fromisoformat(first)).days + 1
    assert (row["n"], row["n_previous"]) == (here, then)
    assert row["n_change"] == pytest.approx((here - then) / then)
    note = row.get("notes", {}).get("n_previous", {})
    assert ("why" in note) == (here != then), row
    if here != then:
        assert (note["days"], note["days_expected"]) == (then, then)
        assert f"has {then} day" in note["why"]
        assert f"beside {here}" in note["why"]
        text = daily.book.query("n", scope="all", compare=with_, from_=first, to=last).to_text(width=None)
        assert f"n_previous: {note['why']} ({first})" in text


def test_whole_months_of_different_length_are_compared_as_wholes(daily: Project) -> None:
    rows = daily.rows("n", scope="month", compare="previous", from_="2026-01-01", to="2026-04-30")
    assert [(r["n"], r["n_previous"]) for r in rows] == [(31, 31), (28, 31), (31, 28), (30, 31)]
    assert [r.get("notes", {}).get("n_previous", {}).get("days") for r in rows] == [None, 31, 28, 31]
    assert not any("why" in note for row in rows for note in row.get("notes", {}).values())


def test_the_thirtieth_of_a_running_march_is_compared_with_all_of_february_and_says_so(tmp_path: Path) -> None:
    march = Project(tmp_path, f"sqlite:///{tmp_path}/app.sqlite", now="2026-03-31T12:00")
    march.table("facts (day date, plan varchar(9))", [(str(date(2026, 2, 1) + n * DAY), "pro") for n in range(58)])
    march.declare(FACTS, start="2026-02-01")
    march.run()
    (row,) = march.rows("n", scope="month", compare="previous", from_="2026-03-01", to="2026-03-30")
    assert (row["n"], row["n_previous"]) == (30, 28)
    assert "2026-02-01 to 2026-02-28 has 28 days, beside 30" in row["notes"]["n_previous"]["why"]


@pytest.mark.parametrize(
    ("window", "day", "days"),
    [
        ("1 month", "2026-03-27", 28), ("1 month", "2026-03-28", 28), ("1 month", "2026-03-29", 29),
        ("1 month", "2026-03-30", 30), ("1 month", "2026-03-31", 31), ("2 months", "2026-04-28", 59),
        ("2 months", "2026-04-29", 60), ("2 months", "2026-04-30", 61), ("1 month", "2026-02-28", 31),
        ("1 month", "2026-04-30", 31), ("1 year", "2025-02-28", 366), ("1 year", "2025-03-01", 365),
    ],
)  # fmt: skip
def test_a_window_of_months_has_the_days_of_the_calendar(daily: Project, window: str, day: str, days: int) -> None:
    (row,) = daily.rows("n", window=window, from_=day, to=day)
    until = date.fromisoformat(day)
    months = 12 if "year" in window else int(window[0])
    assert days == (until - earlier(until, months)).days
    assert (row["n"], row["days"], row["days_expected"]) == (days, days, days)


@settings(max_examples=15)
@given(data=st.data())
def test_comparisons_and_windows_are_sums_of_single_days(data: st.DataObject) -> None:
    """The days of each side counted one by one."""
    first = data.draw(st.dates(date(2024, 3, 1), date(2026, 4, 1)))
    last = min(first + data.draw(st.integers(0, 70)) * DAY, date(2026, 5, 4))
    months = data.draw(st.sampled_from([1, 2, 3, 12]))
    begin, end = Shift(months=months).of(first, last)
    days = {first + n * DAY for n in range((last - first).days + 1)}
    assert {corresponding(d, months) for d in days} <= {begin + n * DAY for n in range((end - begin).days + 1)}


# --- one chosen day on each side -----------------------------------------------------------------------------------


@pytest.mark.parametrize("show", ["first", "last"])
@pytest.mark.parametrize("kind", ["level", "flow"])
@pytest.mark.parametrize(
    ("asked", "days"),
    [
        ({"scope": "week", "from_": "2026-04-27", "compare": "previous"}, ("05-04", "05-04", "04-27", "04-27")),
        ({"scope": "week", "from_": "2026-04-29", "to": "2026-05-03"}, ("04-29", "05-03", "04-22", "04-26")),
        ({"scope": "month", "from_": "2026-03-01", "compare": "previous"}, ("05-01", "05-04", "04-01", "04-04")),
        ({"scope": "month", "from_": "2026-03-01", "to": "2026-03-31"}, ("03-01", "03-31", "02-01", "02-28")),
        ({"scope": "all", "from_": "2026-04-29", "compare": "1 week"}, ("04-29", "05-04", "04-22", "04-27")),
        ({"scope": "all", "from_": "2026-04-29", "compare": "previous"}, ("04-29", "05-04", "04-23", "04-28")),
        ({"scope": "month", "from_": "2026-03-01", "to": "2026-04-30", "where": ["weekday=Monday"]},
         ("04-06", "04-27", "03-02", "03-30")),
        ({"scope": "week", "from_": "2026-04-27", "where": ["weekday=Monday"]}, ("05-04", "05-04", "04-27", "04-27")),
    ],
)  # fmt: skip
def test_the_first_and_last_days_that_are_over_correspond(
    numbered: Project, show: str, kind: str, asked: dict[str, Any], days: tuple[str, ...]
) -> None:
    """Asked up to the running day, which is in no value of either side."""
    rows = numbered.rows(kind, show=show, **{"to": "2026-05-05", "compare": "previous", **asked})
    now, then = (number_of(f"2026-{days[place]}") for place in ((0, 2) if show == "first" else (1, 3)))
    row = rows[-1]
    assert (row[kind], row[f"{kind}_previous"]) == (now, then)
    assert row[f"{kind}_change"] == pytest.approx((now - then) / then), row


@pytest.mark.parametrize("kind", ["level", "flow"])
def test_days_that_do_not_correspond_have_no_change(numbered: Project, kind: str) -> None:
    numbered.at("2026-05-07T12:00").run(kind, from_="2026-05-05", to="2026-05-05")
    for to in ("2026-05-06", "2026-05-07"):
        row = numbered.rows(kind, show="last", scope="week", compare="previous", from_="2026-04-27", to=to)[-1]
        assert row[f"{kind}_change"] is None
        if kind == "flow" or to == "2026-05-07":
            why = "2026-05-05 and 2026-04-29 do not correspond: not all days are collected"
            assert row["notes"][f"{kind}_change"]["why"] == why


def number_of(day: str) -> int:
    """The value of a day of `numbered`."""
    return 1000 + (date.fromisoformat(day) - date(2026, 1, 1)).days


@pytest.fixture
def numbered(project: Any) -> Project:
    """A level and a flow, each with another value on each day from 2026-01-01 on; collected to 2026-05-04."""
    made: Project = project(now=NOW)
    days = [str(date(2026, 1, 1) + n * DAY) for n in range(130)]
    made.table("daily (day date, v integer)", [(day, number_of(day)) for day in days])
    fact = 'table = "daily"\ntime = "day"\nmeasure = "sum(v)"\n'
    made.declare(f'[metrics.level]\nkind = "level"\n{fact}[metrics.flow]\n{fact}', start="2026-01-01")
    made.run()
    return made


# --- series that exist on one side only ----------------------------------------------------------------------------


def plans(project: Any, *rows: tuple[str, str | None], now: str = "2026-01-03T12:00") -> Project:
    made = project(now=now)
    made.table("facts (day date, plan varchar(9))", rows)
    made.declare(FACTS, start="2026-01-01")
    made.run()
    return made


@pytest.mark.cases(8)
@pytest.mark.parametrize("top", [None, 1, 2, 5])
@pytest.mark.parametrize(
    "rows",
    [
        [("2026-01-01", "pro"), ("2026-01-01", "team"), ("2026-01-01", "team"), ("2026-01-02", "pro")],
        [("2026-01-01", "pro"), ("2026-01-01", None)],
        [("2026-01-02", "pro"), ("2026-01-02", "team")],
        [("2026-01-01", "a"), ("2026-01-01", "b"), ("2026-01-01", "c"), ("2026-01-02", "d"), ("2026-01-02", "")],
        [],
    ],
)
def test_rows_add_up_to_the_total_on_both_sides(project: Any, rows: list[Any], top: int | None) -> None:
    book = plans(project, *rows)
    found = book.rows("n", by=["plan"], top=top, compare="previous", totals=True, from_="2026-01-02", to="2026-01-02")
    (total,) = [row for row in found if row.get("total")]
    count = Counter(day for day, _ in rows)
    assert (total["n"], total["n_previous"]) == (count["2026-01-02"], count["2026-01-01"])
    parts = [row for row in found if not row.get("total")]
    for column in ("n", "n_previous"):
        assert sum(row[column] for row in parts) == total[column], found


def test_a_series_beside_the_top_that_is_gone_is_among_the_others(project: Any) -> None:
    book = plans(project, ("2026-01-01", "pro"), ("2026-01-01", "team"), ("2026-01-01", "team"), ("2026-01-02", "pro"))
    rows = book.rows("n", by=["plan"], top=1, compare="previous", from_="2026-01-02", to="2026-01-02")
    assert [(r["plan"], r["n"], r["n_previous"], r.get("others")) for r in rows] == [
        ("pro", 1, 1, None), (None, 0, 2, True),
    ]  # fmt: skip
    assert rows[1]["n_change"] == -1.0


@pytest.mark.parametrize("live", [False, True])
def test_the_top_is_that_of_the_whole_range_also_of_days_that_no_window_has(project: Any, live: bool) -> None:
    early = [("2026-01-01", "pro")] * 5
    book = plans(project, *early, ("2026-01-31", "team"), ("2026-01-30", "free"), now="2026-02-01T12:00")
    asked = {"scope": "month", "window": "7 days", "from_": "2026-01-01", "to": "2026-01-31"}
    rows = book.rows("n", by=["plan"], top=1, live=live, **asked)
    assert [(r["plan"], r["n"], r.get("others")) for r in rows] == [(None, 2, True)]
    assert [r["plan"] for r in book.rows("n", by=["plan"], live=live, **asked)] == ["free", "team"]


@pytest.mark.parametrize("filter_", [[], ["plan=team"]])
def test_the_top_of_a_metric_without_any_series_leaves_the_others(project: Any, filter_: list[str]) -> None:
    made = project(now="2026-01-03T12:00")
    made.table("facts (day date, plan varchar(9), kind int)", [("2026-01-02", "pro", 2), ("2026-01-02", "team", 2)])
    made.declare(
        "".join(
            f'\n[metrics.{name}]\ntable = "facts"\nwhere = "kind = {kind}"\ntime = "day"\nmeasure = "count(*)"\nby = ["plan"]\n'
            for name, kind in (("a", 1), ("b", 2))
        ),
        start="2026-01-01",
    )
    made.run()
    (row,) = made.rows("a", "b", by=["plan"], top=1, from_="2026-01-02", to="2026-01-02", where=filter_)
    assert (row["plan"], row["a"], row["b"], row["others"]) == (None, 0, 2 - len(filter_), True)


def test_a_period_with_nothing_collected_shows_the_earlier_values_of_each_series(project: Any) -> None:
    book = plans(project, ("2026-01-01", "pro"), ("2026-01-01", None), now="2026-01-02T12:00")
    book.at("2026-01-03T12:00")
    rows = book.rows("n", by=["plan"], compare="previous", from_="2026-01-01", to="2026-01-02")
    assert [(r["period"], r["plan"], r["n"], r["n_previous"], r.get("no_series")) for r in rows] == [
        ("2026-01-01", "pro", 1, None, None), ("2026-01-01", None, 1, None, None),
        ("2026-01-02", "pro", None, 1, None), ("2026-01-02", None, None, 1, None),
    ]  # fmt: skip
    assert all("not collected" in row["notes"]["n"]["why"] for row in rows[2:])


def test_a_row_of_a_period_without_any_series_is_not_that_of_a_null_series(project: Any) -> None:
    book = plans(project, ("2026-01-01", None), now="2026-01-02T12:00")
    book.at("2026-01-04T12:00")
    rows = book.rows("n", by=["plan"], compare="previous", from_="2026-01-01", to="2026-01-03")
    assert [(r["plan"], r["n"], r.get("no_series", False)) for r in rows] == [
        (None, 1, False), (None, None, False), (None, None, True),
    ]  # fmt: skip
    table = book.book.query("n", by=["plan"], from_="2026-01-01", to="2026-01-02").to_text().split("\n")
    assert [line.split()[1] for line in table[1:3]] == ["(none)", "–"]


# --- several metrics in a row ------------------------------------------------------------------------------------------


def test_what_a_row_says_of_its_days_is_of_one_metric(project: Any) -> None:
    made = project(now="2026-01-10T12:00")
    made.table("facts (day date, plan varchar(9))", [(f"2026-01-{n:02}", "pro") for n in range(1, 10)])
    made.declare(
        FACTS.replace("metrics.n", "metrics.old")
        + FACTS.replace("metrics.n", "metrics.young")
        + 'start = "2026-01-08"\n',
        start="2026-01-01",
    )
    made.run()
    (row,) = made.rows("old", "young", window="all", from_="2026-01-09", to="2026-01-09")
    assert (row["old"], row["young"], row["complete"]) == (9, 2, True)
    assert (row["days"], row["days_expected"]) == (9, 9)
    assert row["notes"] == {"young": {"days": 2, "days_expected": 2, "complete": True}}
    (row,) = made.rows("young", "old", window="7 days", from_="2026-01-09", to="2026-01-09")
    assert (row["complete"], row["days"], row["days_expected"]) == (False, 2, 7)
    assert row["notes"] == {"old": {"days": 7, "complete": True}}


# --- a snapshot asked live ------------------------------------------------------------------------------------------------


def test_a_live_snapshot_beside_the_stored_one_says_when_that_was_seen(project: Any) -> None:
    made = project(now="2026-01-10T16:00")
    made.table("tickets (id int)", [(1,), (2,), (3,)])
    made.declare('[metrics.open]\nkind = "level"\ntable = "tickets"\nmeasure = "count(*)"', start="")
    made.run()
    made.execute("delete from tickets where id = 3")
    made.at("2026-01-10T17:00")
    (row,) = made.rows("open", live=True, from_="2026-01-10", to="2026-01-10")
    assert row["open"] == 2
    note = row["notes"]["open"]
    assert note["stored"] == 3
    assert note["why"].startswith("the book holds 3, seen at 2026-01-10")
    assert "tallybook run" not in note["why"]
