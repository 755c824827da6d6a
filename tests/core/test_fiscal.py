"""Fiscal calendars, held against pandas and against days counted one by one."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, strategies as st

from tallybook.core import MONTH_NAMES, PLAIN, WEEK_PATTERNS, BookCalendar, FiscalYear

DAY = timedelta(days=1)
DAYS = st.dates(date(1990, 1, 1), date(2060, 12, 31))
PATTERNS = st.sampled_from([(), *WEEK_PATTERNS.values()])
CALENDARS = st.builds(
    lambda month, weeks, weekday, named: BookCalendar(
        week_start=weekday, fiscal=FiscalYear(first_month=month, weeks=weeks, week_start=weekday, named=named)
    ),
    st.integers(1, 12),
    PATTERNS,
    st.integers(0, 6),
    st.sampled_from(["end", "start"]),
)
SCOPES = st.sampled_from(["month", "quarter", "year"])
RETAIL = BookCalendar(week_start=6, fiscal=FiscalYear(first_month=2, weeks=(4, 5, 4), week_start=6, named="start"))


@pytest.mark.parametrize("weekday", range(7))
def test_years_of_weeks_begin_where_those_of_pandas_do(weekday: int) -> None:
    offsets = pytest.importorskip("pandas.tseries.offsets")
    for month in range(1, 13):
        fiscal = FiscalYear(first_month=month, weeks=(4, 4, 5), week_start=weekday)
        # pandas names the last day of a year: the weekday before ours, nearest to the end of the month before ours.
        ends = offsets.FY5253(startingMonth=(month - 2) % 12 + 1, weekday=(weekday - 1) % 7, variation="nearest", n=1)
        for year in range(2015, 2030):
            assert ends.is_on_offset(_stamp(fiscal.year_start(year) - DAY)), (month, weekday, year)


def _stamp(day: date) -> object:
    import pandas as pd

    return pd.Timestamp(day)


@pytest.mark.parametrize("month", range(1, 13))
def test_fiscal_quarters_and_years_of_months_are_the_periods_of_pandas(month: int) -> None:
    pd = pytest.importorskip("pandas")
    ends = MONTH_NAMES[(month - 2) % 12][:3].upper()
    calendar = BookCalendar(fiscal=FiscalYear(first_month=month))
    for day in pd.date_range("2023-01-01", "2026-12-31", freq="11D"):
        quarter = day.to_period(f"Q-{ends}")
        assert calendar.period_start(day.date(), "quarter") == quarter.start_time.date()
        assert calendar.period_end(quarter.start_time.date(), "quarter") == quarter.end_time.date()
        assert calendar.label(quarter.start_time.date(), "quarter") == f"FY{quarter.qyear} Q{quarter.quarter}"
        assert calendar.period_start(day.date(), "year") == day.to_period(f"Y-{ends}").start_time.date()
        assert calendar.period_start(day.date(), "month") == day.date().replace(day=1)


@pytest.mark.parametrize(("year", "begins", "weeks"), [
    (2017, "2017-01-29", 53), (2018, "2018-02-04", 52), (2022, "2022-01-30", 52), (2023, "2023-01-29", 53),
    (2024, "2024-02-04", 52), (2025, "2025-02-02", 52),
])  # fmt: skip
def test_the_retail_calendar_is_the_published_one(year: int, begins: str, weeks: int) -> None:
    start = date.fromisoformat(begins)
    assert RETAIL.label(start, "year") == f"FY{year}"
    assert RETAIL.period_start(start + 200 * DAY, "year") == start
    assert (RETAIL.period_end(start, "year") - start + DAY).days == 7 * weeks
    last = RETAIL.period_start(RETAIL.period_end(start, "year"), "month")
    assert (RETAIL.period_end(last, "month") - last + DAY).days == 7 * (4 if weeks == 52 else 5)


@given(calendar=CALENDARS, day=DAYS, scope=SCOPES)
def test_periods_follow_each_other_without_a_gap(calendar: BookCalendar, day: date, scope: str) -> None:
    start = calendar.period_start(day, scope)
    end = calendar.period_end(start, scope)
    assert start <= day <= end
    assert calendar.period_start(start - DAY, scope) < start
    assert calendar.period_start(end, scope) == start
    assert calendar.period_start(end + DAY, scope) == end + DAY
    months = {"month": 1, "quarter": 3, "year": 12}[scope]
    number = calendar.number_of(day, "month")
    assert number // months == calendar.number_of(day, scope)


@given(calendar=CALENDARS, day=DAYS, scope=st.sampled_from(["week", "month", "quarter", "year"]))
def test_a_label_names_one_period(calendar: BookCalendar, day: date, scope: str) -> None:
    start = calendar.period_start(day, scope)
    label = calendar.label(start, scope)
    assert label is None or calendar.start_named(label, scope) == start
    assert label is None or calendar.start_named(label.lower().replace(" ", ""), scope) == start


@given(calendar=CALENDARS, day=DAYS, scope=SCOPES, number=st.integers(1, 6))
def test_corresponding_days_are_as_far_into_their_period(
    calendar: BookCalendar, day: date, scope: str, number: int
) -> None:
    start = calendar.period_start(day, scope)
    earlier = start
    for _ in range(number):
        earlier = calendar.period_start(earlier - DAY, scope)
    first, last = calendar.earlier(start, day, scope, number)
    assert first == earlier or start == calendar.period_end(start, scope)
    assert calendar.period_start(last, scope) == earlier
    assert last == calendar.period_end(earlier, scope) or last - earlier == day - start


@given(day=DAYS, weeks=st.sampled_from(list(WEEK_PATTERNS.values())), month=st.integers(1, 12))
def test_only_a_week_53_has_no_week_in_the_year_before(day: date, weeks: tuple[int, ...], month: int) -> None:
    fiscal = FiscalYear(first_month=month, weeks=weeks, week_start=0)
    calendar = BookCalendar(fiscal=fiscal)
    week = (day - fiscal.year_start(fiscal.year_of(day))).days // 7 + 1
    before = calendar.year_before(day)
    if before is None:
        assert week == 53
    else:
        assert before.weekday() == day.weekday()
        assert (before - fiscal.year_start(fiscal.year_of(day) - 1)).days // 7 + 1 == week


@pytest.mark.parametrize("text", ["FY2027", "FY2027 Q5", "FY2027 M1", "2027 Q1", "FY27 Q1", "", "FY2027 Q0"])
def test_a_text_that_is_no_label_of_a_quarter_names_none(text: str) -> None:
    assert BookCalendar(fiscal=FiscalYear(first_month=2)).start_named(text, "quarter") is None


def test_years_without_a_53rd_week_have_no_label_of_it() -> None:
    assert RETAIL.start_named("FY2023 W53", "week") == date(2024, 1, 28)
    assert RETAIL.start_named("FY2024 W53", "week") is None


@pytest.mark.parametrize("scope", ["day", "week", "month", "quarter", "year"])
def test_a_book_without_a_fiscal_calendar_has_no_labels(scope: str) -> None:
    assert PLAIN.label(date(2026, 1, 1), scope) is None
    assert not PLAIN.moves(scope)
