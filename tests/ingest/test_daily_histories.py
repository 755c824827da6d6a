"""Values of days that are sent late, again and in any order: a run, `--live` and a question about the event equal a
plain loop."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st

from tests.ingest.test_event_metrics import EventBook

DECLARED = """
[events.seats]
daily_aggregate = true

[metrics.calls]
event = "seats"
measure = "sum(value)"
by = ["region"]
start = "2026-02-02"

[metrics.taken]
event = "seats"
kind = "level"
measure = "sum(value)"
by = ["region", "account"]
start = "2026-02-02"
"""
FIRST, LAST = date(2026, 2, 2), date(2026, 3, 4)
Value = tuple[int, str, str, int]
"""(days after FIRST, account, region, value)."""
Latest = Mapping[tuple[date, str, str], int]

VALUES = st.tuples(
    st.sampled_from([0, 3, 7, 26, 28, 29, 30]), st.sampled_from("ab"), st.sampled_from(["eu", "us"]), st.integers(0, 9)
)
STEPS = st.lists(
    st.tuples(
        st.lists(VALUES, min_size=1, max_size=4),
        st.booleans(),  # a request before it is sent again
        st.booleans(),  # a run after it
        st.integers(0, 1),  # seconds until the next request
    ),
    min_size=1,
    max_size=5,
)


@settings(
    max_examples=40 if "TALLYBOOK_SOAK" in os.environ else 2,
    phases=[Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS)
def test_values_of_days_are_those_received_last_however_they_are_asked_for(
    steps: list[tuple[list[Value], bool, bool, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    book = EventBook(tmp_path_factory.mktemp("daily") / "p", DECLARED)
    book.now = datetime(2026, 3, 5, 12, tzinfo=UTC)
    latest: dict[tuple[date, str, str], int] = {}
    before: list[Value] = []
    try:
        for sent, is_again, runs, seconds in steps:
            for batch in [before, sent] if is_again and before else [sent]:
                book.send(*map(as_sent, batch), path="/v1/values")
                latest |= {(day_of(one), one[1], one[2]): one[3] for one in batch}
                book.now += timedelta(seconds=seconds)
            before = sent
            if runs:
                book.run()
        book.run()
        for scope in ("day", "week"):
            check(book, latest, scope)
    finally:
        book.book.close()
        book.ingest.commit.close()


def as_sent(one: Value) -> dict[str, Any]:
    _, account, region, value = one
    day = str(day_of(one))
    return {"event": "seats", "day": day, "account": account, "value": value, "dimensions": {"region": region}}


def day_of(one: Value) -> date:
    return FIRST + timedelta(days=one[0])


def check(book: EventBook, latest: Latest, scope: str) -> None:
    """Every way to ask for the values of each day, or for the mean and the last day of each week."""
    totals, means, lasts = by_hand(latest, scope)
    asked: dict[str, Any] = {"scope": scope, "from_": FIRST, "to": LAST}
    for more in ({}, {"live": True}):
        assert values(book, "calls", show="total", **asked, **more) == totals
        assert values(book, "calls", show="average", **asked, **more) == pytest.approx(means)
        assert values(book, "taken", **asked, **more) == lasts
        by = {
            (str(row["period"]), row["region"]): row["calls"]
            for row in book.book.query("calls", by="region", show="total", **asked, **more).rows()
        }
        assert {key: value for key, value in by.items() if value} == by_region(latest, scope)
    for show, expected in (("total", totals), ("average", means)):
        assert values(book, event="seats", sum="value", show=show, **asked) == pytest.approx(expected)


def values(book: EventBook, *metrics: str, **asked: Any) -> dict[str, Any]:
    """By period, only where there is a value."""
    found = book.book.query(*metrics, **asked)
    name = next(column.name for column in found.columns if column.role == "metric")
    return {str(row["period"]): row[name] for row in found.rows() if row[name] is not None}


def period_of(day: date, scope: str) -> date:
    return day - timedelta(days=day.weekday()) if scope == "week" else day


def by_hand(latest: Latest, scope: str) -> tuple[dict[str, int], dict[str, float], dict[str, int]]:
    """By period: the sum of all days, the mean of the days with a value, and the value of its last day."""
    days: dict[date, int] = {}
    for (day, _, _), value in latest.items():
        days[day] = days.get(day, 0) + value
    periods: dict[date, list[date]] = {}
    for day in days:
        periods.setdefault(period_of(day, scope), []).append(day)
    totals = {str(one): sum(days[day] for day in those) for one, those in periods.items()}
    means = {str(one): totals[str(one)] / len(those) for one, those in periods.items()}
    last_days = {one: one + timedelta(days=6 if scope == "week" else 0) for one in periods}
    lasts = {str(one): days[last] for one, last in last_days.items() if last in days}
    running = period_of(LAST + timedelta(days=1), scope)
    if scope == "week" and running in periods:  # The running week has the value of its last day so far.
        lasts[str(running)] = days[max(periods[running])]
    return totals, means, lasts


def by_region(latest: Latest, scope: str) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for (day, _, region), value in latest.items():
        key = (str(period_of(day, scope)), region)
        found[key] = found.get(key, 0) + value
    return {key: value for key, value in found.items() if value}
