"""What is usual of daily values: the constants and boundaries of `tallybook.monitor.alerts.usual`, and a year without faults."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from benchmarks.alert_series import KINDS
from benchmarks.false_alarms import MAX_ALARMS, alarms, planted
from tallybook.core import AlertSettings, BookSettings, Catalog, Metric, SourceSettings
from tallybook.monitor.alerts.causes import AT_WORK, Observations, look
from tallybook.monitor.alerts.usual import DailySeries, Verdict, judge
from tallybook.monitor.health import MetricStatus, Status
from tests.conftest import SOAK

LAST = date(2026, 3, 9)  # a Monday
SETTINGS = AlertSettings()


def series(value: Callable[[date], float | None], *, days: int = 250, **kind: Any) -> DailySeries:
    return DailySeries(
        metric="m", values={LAST - timedelta(n): value(LAST - timedelta(n)) for n in range(days)}, **kind
    )


def days_ago(day: date) -> int:
    return (LAST - day).days


def verdict(found: DailySeries) -> Verdict | None:
    return judge(found, width=5, history=56)


def around(middle: float, day: date) -> float:
    """`middle`, a little more or less from week to week."""
    return middle + (day.toordinal() // 7 % 3) - 1


# --- days far away that are a habit, or not


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize(("before", "unusual"), [(0, True), (1, True), (2, False)])
def test_one_busy_day_in_the_past_does_not_make_another_usual_and_two_do(
    before: int, unusual: bool, counted: bool
) -> None:
    busy = {0, *[40, 61][:before]}
    found = series(lambda day: 400.0 if days_ago(day) in busy else around(100, day), counted=counted)
    assert bool(verdict(found)) == unusual


@pytest.mark.parametrize(("ago", "unusual"), [((60, 160), False), ((170, 180), True)])
def test_two_empty_days_of_the_last_twenty_four_weeks_make_a_third_usual(ago: tuple[int, int], unusual: bool) -> None:
    found = series(lambda day: 0.0 if days_ago(day) in (0, *ago) else around(100, day), counted=True)
    assert bool(verdict(found)) == unusual


def test_busy_days_are_remembered_longer_than_empty_ones() -> None:
    found = series(lambda day: 400.0 if days_ago(day) in (0, 180, 200) else around(100, day), counted=True)
    assert verdict(found) is None


def test_busy_days_do_not_make_an_empty_day_usual() -> None:
    busy = {10, 30, 50, 70}
    found = series(
        lambda day: 0.0 if day == LAST else 400.0 if days_ago(day) in busy else around(100, day), counted=True
    )
    assert verdict(found) is not None


def test_the_same_day_of_one_month_before_is_not_enough_and_of_two_is() -> None:
    def billed(*months: int) -> DailySeries:
        return series(lambda day: 9000.0 if day.day == 9 and day.month in months else around(100, day), days=125)

    assert verdict(billed(3, 2)) is not None
    assert verdict(billed(3, 2, 1)) is None


def test_a_steady_weekday_is_not_judged_by_the_spread_of_all_days() -> None:
    """Mondays are steady, other days are not: the width is at most twice that of Mondays."""

    def value(day: date) -> float:
        if day.weekday() == 0:
            return 160.0 if day == LAST else around(100, day)
        return 100.0 + (20 if day.toordinal() // 7 % 2 else -20)

    assert verdict(series(value)) is not None


# --- stopped


@pytest.mark.parametrize(("empty", "stopped"), [(3, False), (4, True)])
def test_only_a_longer_silence_than_ever_before_is_one(empty: int, stopped: bool) -> None:
    silent = set(range(empty)) | {30, 31, 32}
    found = series(lambda day: 0.0 if days_ago(day) in silent else around(100, day))
    told = verdict(found)
    assert bool(told and told.stopped) == stopped


# --- a year in which nothing is wrong

QUICK = (
    "count on 30% of days, about 12",
    "count on 50% of days, about 40",
    "count on 98% of days, about 12",
    "count with bursts on 3% of days",
    "sum on 30% of days",
    "count that stays on by 90% and off by 80%, about 100",
)


@pytest.mark.cases(2)
@pytest.mark.parametrize("kind", list(KINDS) if SOAK else QUICK)
def test_a_year_without_faults_has_at_most_four_alarms(kind: str) -> None:
    assert alarms(KINDS[kind](kind, seed=0), SETTINGS) <= MAX_ALARMS


def test_outages_of_intermittent_series_are_found_when_they_are_longer_than_chance() -> None:
    kind = "count on 50% of days, about 40"
    found, tried = map(int, planted(KINDS[kind](kind, seed=0), 14, 0, SETTINGS).split(" of "))
    assert found >= 0.8 * tried


# --- a run that is at work


@pytest.mark.parametrize(("hours", "late"), [(1, False), (5.9, False), (6.1, True), (48, True)])
def test_a_run_at_work_excuses_late_metrics_for_six_hours(hours: float, late: bool) -> None:
    now = datetime(2026, 3, 10, 12, tzinfo=UTC)
    assert timedelta(hours=6) == AT_WORK
    status = Status(
        book="Acme", timezone="UTC", now=now, version=1, running=True, next_due=None, due=LAST, deliveries=(),
        last_run={"run": 7, "status": "running", "started": (now - timedelta(hours=hours)).isoformat()},
        metrics=(MetricStatus(metric="m", to=LAST, days_late=1, gaps=0, error=""),),
    )  # fmt: skip
    catalog = Catalog(
        book=BookSettings(), sources={"app": SourceSettings(name="app", url="")}, metrics={"m": Metric(name="m")}
    )
    facts = Observations(
        catalog=catalog, status=status, words={}, series={}, sizes={}, crash=None, failed={}, kept_back=frozenset()
    )
    assert [cause.kind for cause in look(facts, SETTINGS).causes] == ["late"] * late
