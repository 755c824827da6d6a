"""Alerts: which situations send which messages and which send none; to whom, when, and how often."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

import tallybook
from tallybook.cli import invoke
from tallybook.core import AlertSettings, BookSettings, Catalog, Metric
from tallybook.core.calendar import days
from tallybook.core.errors import DestinationError, DestinationRefused, DestinationUnavailable
from tallybook.core.timetable import QuietHours
from tallybook.monitor.alerts.causes import Cause, Findings, Observations, look as findings_of
from tallybook.monitor.alerts.known import Known, after as known_after, after_sending, as_kept, as_known, due as due_for
from tallybook.monitor.alerts.message import Message, message as message_of
from tallybook.monitor.alerts.revised import Sizes
from tallybook.monitor.alerts.usual import DailySeries, Unknown, Verdict, judge
from tallybook.monitor.health import DeliveryStatus, MetricStatus, Status
from tallybook.monitor.notify import beat, payload, send
from tallybook.storage.sqlite_ledger import SqliteLedger
from tests.crash import Driver
from tests.ledgers import as_number_3
from tests.receivers import Mail, Web

pytestmark = pytest.mark.filterwarnings("ignore:.imghdr.:DeprecationWarning")  # of Apprise, on Python 3.11 and 3.12
BERLIN = "Europe/Berlin"
HERE = "https://example.com/hook"
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)

# ------------------------------------------------------------------------- situations, and what they send

CATALOG = Catalog(
    book=BookSettings(name="Acme", timezone=BERLIN), sources={},
    metrics={name: Metric(name=name, source="app") for name in ("signups", "revenue", "mrr")}, deliveries={},
)  # fmt: skip
NIGHT = QuietHours(22 * 60, 7 * 60, BERLIN)


@dataclass(frozen=True, kw_only=True)
class Now:
    """What is so at a look; all is well but for what is said. `hours` after the look before."""

    hours: float = 24
    failed: Mapping[str, str] = field(default_factory=dict)
    late: Mapping[str, int] = field(default_factory=dict)
    lost: str = ""
    stale: bool = False
    run: str = "done"
    crash: str = ""
    running: bool = False
    zero: tuple[str, ...] = ()
    revised: Mapping[str, list[float]] = field(default_factory=dict)
    undelivered: str = ""
    kept_back: bool = False
    declared: tuple[str, ...] = ("signups", "revenue", "mrr")

    def facts(self, at: datetime) -> Observations:
        errors = dict.fromkeys(self.declared, self.lost) if self.lost else self.failed
        late = dict.fromkeys(self.declared, 1) if self.stale else self.late
        metrics = [
            MetricStatus(
                metric=name, to=date(2026, 3, 9), days_late=late.get(name, 0), gaps=0, error=errors.get(name, "")
            )
            for name in self.declared
        ]
        word = {
            "unavailable": bool(self.lost),
            "not_ready": self.stale,
            "notes": ["source app is known only until 02:00: later days"],
        }
        last = {"run": 7, "status": self.run, "started": (at - timedelta(hours=1)).isoformat()}
        delivery = DeliveryStatus(delivery="board", waiting=bool(self.undelivered or self.kept_back), at=None)
        status = Status(
            book="Acme", timezone=BERLIN, now=at, version=1, running=self.running, last_run=last, next_due=None,
            due=date(2026, 3, 9), metrics=tuple(metrics), deliveries=(delivery,),
        )  # fmt: skip
        return Observations(
            catalog=CATALOG, status=status, words=dict.fromkeys(self.declared, word),
            series={name: usual_days(name, empty=2 if name in self.zero else 0) for name in self.declared},
            sizes={name: Sizes(shares=shares, day=date(2026, 3, 8)) for name, shares in self.revised.items()},
            crash=(self.crash, "tallybook doctor") if self.crash else None,
            failed={"board": (self.undelivered, "")} if self.undelivered else {},
            kept_back=frozenset(["board"]) if self.kept_back else frozenset(),
        )  # fmt: skip


def usual_days(name: str, *, empty: int = 0) -> DailySeries:
    """Ten weeks of a hundred a day, then so many days of nothing."""
    last = date(2026, 3, 9)
    values: dict[date, float | None] = {day: 95.0 + day.day % 10 for day in days(last - timedelta(70), last)}
    values |= {last - timedelta(n): 0.0 for n in range(empty)}
    return DailySeries(metric=name, counted=True, values=values)


Told = list[str]
WELL = Now()
FAILS = Now(failed={"signups": "no such table: users"})
ALL = ("signups", "revenue", "mrr")
SITUATIONS: dict[str, tuple[list[Now], list[Told]]] = {
    "all is well": ([WELL, WELL], [[], []]),
    "a metric fails for three days: told once, and once that it is over": (
        [FAILS, FAILS, FAILS, WELL, WELL],
        [["+ signups: failed: no such table: users | tallybook run signups"], [], [], ["- signups is working again"], []],
    ),
    "it fails with another error: still the same": (
        [FAILS, Now(failed={"signups": "timeout"}), WELL], [["+ signups: failed: no such table: users | tallybook run signups"], [], ["- signups is working again"]],
    ),
    "it fails anew after it was well: told anew": (
        [FAILS, WELL, FAILS],
        [["+ signups: failed: no such table: users | tallybook run signups"], ["- signups is working again"], ["+ signups: failed: no such table: users | tallybook run signups"]],
    ),
    "two metrics fail alike: one sentence": (
        [Now(failed={"signups": "timeout", "revenue": "timeout"}), Now(failed={"revenue": "timeout"}), WELL],
        [["+ revenue, signups: failed: timeout | tallybook run revenue signups"], ["- signups is working again"], ["- revenue is working again"]],
    ),
    "a database is away: told of it, not of its metrics, though they are late by then": (
        [Now(lost="source 'app' cannot be reached: refused"), Now(lost="source 'app' cannot be reached: refused", late=dict.fromkeys(ALL, 3)), WELL],
        [["+ source app: cannot be reached: refused (not collected: signups, revenue, mrr) | tallybook check --source"], [], ["- source app is reachable again"]],
    ),
    "a metric failed, then its database went away: it is not well again because of that": (
        [FAILS, Now(lost="away"), WELL],
        [["+ signups: failed: no such table: users | tallybook run signups"], ["+ source app: failed: away (not collected: signups, revenue, mrr) | tallybook check --source"],
         ["- signups is working again", "- source app is reachable again"]],
    ),
    "a replica is behind: its metrics are late because of it": (
        [Now(stale=True), Now(stale=True), WELL],
        [["+ source app: is not up to date: source app is known only until 02:00 (not collected: signups, revenue, mrr) | tallybook check --source"],
         [], ["- source app is up to date again"]],
    ),
    "nothing ran: all that is late by the same days in one sentence": (
        [Now(late=dict.fromkeys(ALL, 2)), Now(late=dict.fromkeys(ALL, 3)), WELL],
        [["+ mrr, revenue, signups: late by 2 days: collected to 2026-03-09, due to 2026-03-09 | tallybook run mrr revenue signups"],
         [], ["- mrr, revenue, signups are up to date again"]],
    ),
    "late, while a run is at work: wait and see": ([Now(late={"mrr": 2}, running=True), WELL], [[], []]),
    "late, and then it fails: it is not up to date because of that": (
        [Now(late={"signups": 1}), FAILS, WELL],
        [["+ signups: late by 1 day: collected to 2026-03-09, due to 2026-03-09 | tallybook run signups"],
         ["+ signups: failed: no such table: users | tallybook run signups"], ["- signups is working again", "- signups is up to date again"]],
    ),
    "a run was killed": (
        [Now(run="lost"), WELL], [["+ the run: failed: its process ended without a report | tallybook run"], ["- the run is working again"]],
    ),
    "a person stopped a run": ([Now(run="interrupted"), WELL], [[], []]),
    "a run did not come to its end": ([Now(crash="the disk is full", run="failed")], [["+ the run: failed: the disk is full | tallybook doctor"]]),
    "a metric is 0 for two days, and then for ever: one cause": (
        [Now(zero=("signups",)), Now(zero=("signups",)), WELL],
        [["+ signups: no values for 2 days, longer than ever before; the last one was on Saturday 2026-03-07 | tallybook query signups --from 2026-03-07"],
         [], ["- signups has values again"]],
    ),
    "the last run changed much more than those before it": (
        [Now(revised={"revenue": [0.02] * 10 + [1.4]}), Now(revised={"revenue": [0.02] * 10 + [1.4, 0.0]})],
        [["+ revenue: the last run changed values of earlier days by 140% of a usual day; no run before changed more than 2% | tallybook why revenue 2026-03-08"],
         ["- revenue is revised as little as usual again"]],
    ),
    "runs that always change much": ([Now(revised={"revenue": [0.6] * 10 + [1.4]})], [[]]),
    "a large change of a book of few runs": ([Now(revised={"revenue": [0.02] * 3 + [1.4]})], [[]]),
    "a file cannot be written": (
        [Now(undelivered="it is open elsewhere"), Now(undelivered="it is open elsewhere"), WELL],
        [["+ delivery board: failed: it is open elsewhere | tallybook deliver board"], [], ["- delivery board is delivered again"]],
    ),
    "another process is making it": ([Now(kept_back=True), WELL], [[], []]),
    "a metric that failed is no longer declared: no word": (
        [FAILS, Now(declared=("revenue", "mrr"))], [["+ signups: failed: no such table: users | tallybook run signups"], []],
    ),
    "at midnight something fails, at three it is well: nobody wakes, nobody hears": (
        [Now(hours=11, failed=FAILS.failed), Now(hours=4), Now(hours=9)], [[], [], []],
    ),
    "at midnight something fails, in the morning it still does": (
        [Now(hours=11, failed=FAILS.failed), Now(hours=7, failed=FAILS.failed)],
        [[], ["+ signups: failed: no such table: users | tallybook run signups"]],
    ),
    "what was told by day is well at night: told in the morning": (
        [FAILS, Now(hours=12), Now(hours=9)],
        [["+ signups: failed: no such table: users | tallybook run signups"], [], ["- signups is working again"]],
    ),
    "what was told by day is well at night for an hour only: no word": (
        [FAILS, Now(hours=12), Now(hours=1, failed=FAILS.failed), Now(hours=9, failed=FAILS.failed)],
        [["+ signups: failed: no such table: users | tallybook run signups"], [], [], []],
    ),
    "only a run at night looks: it tells what the day before was to hear": (
        [Now(hours=15, failed=FAILS.failed), FAILS, FAILS],
        [[], ["+ signups: failed: no such table: users | tallybook run signups"], []],
    ),
}  # fmt: skip


def said(message: Message) -> Told:
    """A message in short: what began with its command, what ended without its when."""
    found = []
    for block in message.text.split("\n\n"):
        sentence, _, command = block.partition("\n")
        found.append(
            f"+ {sentence} | {command.strip()}"
            if command
            else f"- {sentence.partition(' (was')[0].partition(' (were')[0]}"
        )
    return found


@pytest.mark.parametrize(("looks", "messages"), SITUATIONS.values(), ids=SITUATIONS)
def test_a_situation_sends_its_messages_and_no_others(looks: list[Now], messages: list[Told]) -> None:
    at, known, told = NOON - timedelta(hours=24), dict[str, Known](), list[Told]()
    for now in looks:
        at += timedelta(hours=now.hours)
        known = known_after(known, findings_of(now.facts(at), AlertSettings(to=(HERE,))), at)
        due = due_for(known, HERE, NIGHT, at)
        told.append(said(message_of(due, book="Acme", zone=BERLIN, now=at)) if due else [])
        known = after_sending(known, due, HERE)
    assert told == messages


def test_only_what_it_shall_be_about_is_looked_for() -> None:
    now = Now(late={"mrr": 2}, zero=("signups",), undelivered="no")
    found = findings_of(now.facts(NOON), AlertSettings(about=("late",)))
    assert [cause.id for cause in found.causes] == ["late mrr"]


def test_everything_at_once_is_one_message_with_a_number_in_its_title() -> None:
    now = Now(failed={"revenue": "timeout"}, late={"mrr": 2}, zero=("signups",))
    known = known_after({}, findings_of(now.facts(NOON), AlertSettings()), NOON)
    message = message_of(due_for(known, HERE, None, NOON), book="Acme", zone=BERLIN, now=NOON)
    assert message.title == "Acme: 3 problems"
    assert [one["id"] for one in message.plain["problems"]] == ["failed revenue", "late mrr", "value signups"]


def test_two_hundred_metrics_of_a_dead_database_are_one_short_message() -> None:
    names = tuple(f"m{n}" for n in range(200))
    catalog = replace_metrics({name: Metric(name=name, source="app") for name in names})
    facts = replace(Now(lost="source 'app' cannot be reached", declared=()).facts(NOON), catalog=catalog)
    status = [
        MetricStatus(metric=n, to=None, days_late=9, gaps=0, error="source 'app' cannot be reached") for n in names
    ]
    facts = replace(
        facts, status=replace(facts.status, metrics=tuple(status)), words={n: {"unavailable": True} for n in names}
    )
    (cause,) = findings_of(facts, AlertSettings()).causes
    assert cause.said == "cannot be reached (not collected: m0, m1, m2, m3, m4, m5, m6, m7 and 192 more)"


def replace_metrics(metrics: dict[str, Metric]) -> Catalog:
    return Catalog(book=CATALOG.book, sources={}, metrics=metrics)


# -------------------------------------------------------------------------------------------- what is usual

LAST = date(2026, 3, 9)  # a Monday
dice = random.Random(7)


def series(value: Callable[[date], float | None], *, weeks: int = 12, **kind: Any) -> DailySeries:
    return DailySeries(metric="m", values={day: value(day) for day in days(LAST - timedelta(7 * weeks), LAST)}, **kind)


def noisy(middle: float, spread: float = 0.1) -> Callable[[date], float]:
    draws = random.Random(11)
    return lambda day: round(middle * draws.gauss(1, spread))


def then(
    value: Callable[[date], float | None], last: float | None, days_ago: int = 0
) -> Callable[[date], float | None]:
    """The same, but for one day."""
    return lambda day: last if day == LAST - timedelta(days_ago) else value(day)


def quiet_weekends(day: date) -> float:
    return 4.0 + day.day % 3 if day.weekday() >= 5 else 200.0 + day.day


def growing(day: date) -> float:
    return 1000 * 1.01 ** ((day - LAST).days + 90)


def billed_on_the_ninth(day: date) -> float:
    return 9000.0 if day.day == 9 else 100.0 + day.day


VALUES: dict[str, tuple[DailySeries, str]] = {
    "a hundred a day, as always": (series(noisy(100), counted=True), "usual"),
    "a hundred a day, then none": (series(then(noisy(100), 0), counted=True), "unusual"),
    "a hundred a day, then three hundred": (series(then(noisy(100), 300), counted=True), "unusual"),
    "a hundred a day, then a hundred and thirty": (series(then(noisy(100), 130), counted=True), "usual"),
    "none, two days ago": (series(then(noisy(100), 0, 2), counted=True), "unusual"),
    "none, four days ago": (series(then(noisy(100), 0, 4), counted=True), "usual"),
    "three a day, then none": (series(then(noisy(3, 0.3), 0), counted=True), "usual"),
    "three a day, then nine": (series(then(noisy(3, 0.3), 9), counted=True), "usual"),
    "few at weekends, as always": (series(quiet_weekends, counted=True), "usual"),
    "on a Monday as few as at weekends": (series(then(quiet_weekends, 5), counted=True), "unusual"),
    "on a Sunday as many as on weekdays": (series(then(quiet_weekends, 200, 1), counted=True), "unusual"),
    "always the same, then one more": (series(then(lambda _: 100.0, 101.0)), "usual"),
    "always the same, then half": (series(then(lambda _: 100.0, 50.0)), "unusual"),
    "always nothing": (series(lambda _: 0.0), "usual"),
    "one percent more every day": (series(growing), "usual"),
    "many on the ninth of every month": (series(billed_on_the_ninth), "usual"),
    "many on the ninth for the first time": (series(then(lambda day: 100.0 + day.day, 9000.0)), "unusual"),
    "a negative sum": (series(then(lambda day: -50.0 - day.day % 3, 400.0)), "unusual"),
    "a level that grows": (series(growing, level=True), "usual"),
    "a level that falls to nothing": (series(then(growing, 0.0), level=True), "unusual"),
    "a level that falls by a fifth": (series(then(growing, 0.8 * growing(LAST)), level=True), "unusual"),
    "a level that falls by a hundredth": (series(then(growing, 0.99 * growing(LAST)), level=True), "usual"),
    "a rate of nothing, which is a value": (series(then(lambda day: 1.0 + day.day % 5, 0.0), adds=False), "usual"),
    "an average, and no rows on one day": (series(then(lambda day: 40.0 + day.day % 5, None), adds=False), "usual"),
    "fifty a day, then none for two days": (series(lambda day: 0.0 if day > LAST - timedelta(2) else 50.0), "stopped"),
    "two a day, then none for two days": (series(lambda day: 0.0 if day > LAST - timedelta(2) else 2.0 + day.day % 2), "stopped"),
    "none at weekends, and none on Monday": (series(lambda day: 0.0 if day.weekday() >= 5 or day == LAST else 3.0 + day.day % 2, counted=True), "usual"),
    "none on every other day, as always": (series(lambda day: float(day.day % 2)), "usual"),
    "none since before anybody remembers": (series(lambda day: 0.0 if day > LAST - timedelta(80) else 50.0), "usual"),
    "three weeks of a new metric, then none": (series(then(noisy(100), 0), weeks=3), "unknown"),
    "nothing was ever collected": (DailySeries(metric="m", values={}), "unknown"),
}  # fmt: skip


@pytest.mark.parametrize(("found", "expected"), VALUES.values(), ids=VALUES)
def test_a_value_is_usual_or_not_by_the_days_before_it(found: DailySeries, expected: str) -> None:
    assert in_a_word(found) == expected


def in_a_word(found: DailySeries) -> str:
    try:
        verdict = judge(found, width=5, history=56)
    except Unknown:
        return "unknown"
    return "usual" if verdict is None else "stopped" if verdict.stopped else "unusual"


def test_days_that_were_not_collected_are_no_zeros_and_no_measure() -> None:
    """A gap of half of the days leaves too few to compare with; a gap of some changes nothing."""
    every = series(then(noisy(100), 0), counted=True).values
    some = {day: value for day, value in every.items() if day == LAST or day.day % 5}
    half = {day: value for day, value in every.items() if day == LAST or (day.day // 3) % 2}
    assert in_a_word(DailySeries(metric="m", counted=True, values=some)) == "unusual"
    assert in_a_word(DailySeries(metric="m", counted=True, values=half)) == "unknown"


def test_what_is_told_of_a_count_is_whole_and_says_what_is_usual() -> None:
    verdict = judge(series(then(noisy(100), 0), counted=True), width=5, history=56)
    assert isinstance(verdict, Verdict)
    assert verdict.value == 0
    assert isinstance(verdict.low, int)
    assert 30 < verdict.low < 80 < 120 < verdict.high < 200


@given(
    st.lists(st.one_of(st.none(), st.floats(-1e9, 1e9), st.integers(0, 50).map(float)), min_size=0, max_size=140),
    st.booleans(), st.booleans(),
)  # fmt: skip
def test_of_any_numbers_at_all_what_is_told_lies_outside_of_what_is_usual(
    values: list[float | None], level: bool, counted: bool
) -> None:
    listed = {LAST - timedelta(n): value for n, value in enumerate(reversed(values))}
    try:
        verdict = judge(DailySeries(metric="m", level=level, counted=counted, values=listed), width=5, history=56)
    except Unknown:
        return
    if verdict is not None and verdict.stopped:
        assert listed[verdict.day]
        assert not any(listed[day] for day in listed if day > verdict.day)
    elif verdict is not None:
        value = verdict.value
        assert value is not None
        assert value == listed[verdict.day]
        rounding = 1e-9 * (1 + abs(value))
        assert value < verdict.low + rounding or value > verdict.high - rounding


# ------------------------------------------------------------------------------------------------ quiet hours


@pytest.mark.parametrize(
    ("now", "quiet", "ends"),
    [
        ("2026-03-10T21:59+01:00", False, None),
        ("2026-03-10T22:00+01:00", True, "2026-03-11T06:00Z"),
        ("2026-03-11T06:59+01:00", True, "2026-03-11T06:00Z"),
        ("2026-03-11T07:00+01:00", False, None),
        # the night of 28 March is an hour shorter
        ("2026-03-28T23:00+01:00", True, "2026-03-29T05:00Z"),
        ("2026-03-29T06:59+02:00", True, "2026-03-29T05:00Z"),
        ("2026-03-29T07:00+02:00", False, None),
        # that of 24 October an hour longer; it is 02:30 twice
        ("2026-10-25T02:30+02:00", True, "2026-10-25T06:00Z"),
        ("2026-10-25T02:30+01:00", True, "2026-10-25T06:00Z"),
        ("2026-10-25T07:00+01:00", False, None),
    ],
)
def test_quiet_hours_are_by_the_clocks_of_the_zone(now: str, quiet: bool, ends: str | None) -> None:
    instant = datetime.fromisoformat(now)
    assert NIGHT.at(instant) is quiet
    assert ends is None or NIGHT.ends(instant) == datetime.fromisoformat(ends)


def test_quiet_hours_may_end_in_an_hour_that_a_night_does_not_have() -> None:
    until_half_past_two = QuietHours(22 * 60, 2 * 60 + 30, BERLIN)
    assert until_half_past_two.ends(datetime(2026, 3, 28, 22, tzinfo=UTC)) == datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert not until_half_past_two.at(datetime(2026, 3, 29, 1, tzinfo=UTC))  # 03:00, right after the jump


# ---------------------------------------------------------------------------------------------------- the law

LOOK = st.tuples(
    st.integers(1, 20 * 60),  # minutes since the look before
    st.frozensets(st.sampled_from("abc")),  # what is on
    st.frozensets(st.sampled_from("abc")),  # of the rest, what cannot be said
    st.booleans(),  # whether the address takes the message
)


@given(st.lists(LOOK, max_size=60), st.sampled_from(["2026-03-26T12:00Z", "2026-10-22T12:00Z"]))
def test_whatever_happens_each_cause_is_told_once_and_its_end_once(looks: list[Any], start: str) -> None:
    """Where an address takes a message outside of quiet hours it knows just what is on; a cause begins for it before it
    ends, and ends before it begins again; in quiet hours it hears nothing but what it should have heard the day before."""
    at, known = datetime.fromisoformat(start), dict[str, Known]()
    heard, before, since = set[str](), set[str](), dict[str, datetime]()
    for minutes, on, unsure, takes in looks:
        at += timedelta(minutes=minutes)
        known = known_after(known, look_of(on, unsure), at)
        on_now = set(on) | (set(unsure) & before)
        since = {id_: since.get(id_, at) if (id_ in on_now) != (id_ in heard) else at for id_ in "abc"}
        due = due_for(known, HERE, NIGHT, at)
        begun, ended = ({one.cause.id for one in several} for several in (due.begun, due.ended))
        assert begun <= on_now - heard
        assert ended <= heard - on_now
        if NIGHT.at(at):
            assert all(at - since[id_] > timedelta(hours=14) for id_ in begun | ended)
        if takes:
            known = after_sending(known, due, HERE)
            heard = (heard | begun) - ended
            if not NIGHT.at(at):
                assert heard == on_now
        before = on_now
        known = {id_: as_known(as_kept(one)) for id_, one in known.items()}


def look_of(on: frozenset[str], unsure: frozenset[str] = frozenset()) -> Findings:
    found = {id_: Cause(id=id_, kind="failed", subject=id_, said="no") if id_ in on else None for id_ in "abc"}
    open_ = unsure - on
    return Findings(found={id_: cause for id_, cause in found.items() if id_ not in open_}, unsure=set(open_))


def test_two_addresses_hear_each_for_itself() -> None:
    other = "https://example.com/other"
    known = known_after({}, look_of(frozenset("a")), NOON)
    known = after_sending(known, due_for(known, HERE, None, NOON), HERE)  # the other was not there
    assert not due_for(known, HERE, None, NOON)
    assert [one.cause.id for one in due_for(known, other, None, NOON).begun] == ["a"]
    known = known_after(known, look_of(frozenset()), NOON)
    assert not due_for(known, other, None, NOON)  # it never heard of it
    assert after_sending(known, due_for(known, HERE, None, NOON), HERE) == {}


# ------------------------------------------------------------------------------------------- with a real book

TOML = """
[book]
name = "Acme"
timezone = "Europe/Berlin"
start = "2026-01-01"

[sources.app]
url = "sqlite:///app.db"

[metrics.signups]
table = "users"
time = "created_at"
measure = "count(*)"

[alerts]
to = [{to}]
{more}
"""


@dataclass
class Company:
    """A project with forty signups a day, its clock, and who is told."""

    folder: Path
    web: Web
    now: datetime = datetime(2026, 3, 10, 11, tzinfo=UTC)

    def __post_init__(self) -> None:
        with closing(sqlite3.connect(self.folder / "app.db")) as db:
            db.execute("create table users (created_at text)")
            listed = [
                f"{day} 10:00:{n % 60:02d}"
                for day in days(date(2026, 1, 1), date(2026, 3, 31))
                for n in range(38 + day.day % 5)
            ]
            db.executemany("insert into users values (?)", [(text,) for text in listed])
            db.commit()
        self.declare()

    def declare(self, more: str = "", *to: str) -> Company:
        listed = ", ".join(f'"{address}"' for address in to or (f"{self.web.url}/hooks/t0ps3cret",))
        (self.folder / "tallybook.toml").write_text(TOML.format(to=listed, more=more))
        return self

    def execute(self, statement: str) -> None:
        with closing(sqlite3.connect(self.folder / "app.db")) as db:
            db.execute(statement)
            db.commit()

    def type(self, *argv: str) -> int:
        return invoke([*argv, "--project", str(self.folder)], now=lambda: self.now, env=dict(os.environ))

    def later(self, hours: float = 24) -> Company:
        self.now += timedelta(hours=hours)
        return self

    def told(self) -> list[str]:
        """The titles of what came since it was asked last."""
        return [message["title"] for message in self.web.told()]

    @property
    def app(self) -> Path:
        return self.folder / "app.db"


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as one:
        yield one


@pytest.fixture
def company(tmp_path: Path, web: Web) -> Company:
    return Company(tmp_path, web)


def test_a_day_at_zero_is_told_the_next_morning_and_its_end_three_days_later(company: Company) -> None:
    company.execute("delete from users where created_at like '2026-03-10%'")
    assert company.type("run", "--quiet") == 0
    assert company.told() == []
    assert company.later().type("run", "--quiet") == 0
    (title,) = company.told()
    assert title.startswith("Acme: signups 0 on Tuesday 2026-03-10; usual on a Tuesday is ")
    for _ in range(2):
        assert company.later().type("run", "--quiet") == 0
        assert company.told() == []
    assert company.later().type("run", "--quiet") == 0
    assert company.told() == ["Acme: signups is back to normal"]


def test_a_run_that_fails_tells_it_and_one_that_tells_it_ends_as_it_would(company: Company) -> None:
    company.app.rename(company.folder / "away.db")
    company.web.answers = [503]
    assert company.type("run", "--quiet") == 4
    assert company.told() == []  # it did not take it
    assert company.later(1).type("run", "--quiet") == 4
    assert [title[:16] for title in company.told()] == ["Acme: source app"]
    (company.folder / "away.db").rename(company.app)
    assert company.later(1).type("run", "--quiet") == 0
    assert company.told() == ["Acme: source app is reachable again"]


def test_runs_that_do_not_start_are_seen_by_whoever_looks(company: Company) -> None:
    company.type("run", "--quiet")
    assert company.later(72).type("alerts") == 1
    assert company.told() == []  # it only shows
    assert company.type("alerts", "--send") == 0
    assert company.told() == ["Acme: signups late by 2 days: collected to 2026-03-09, due to 2026-03-11"]
    assert company.type("alerts", "--send") == 0
    assert company.told() == []


def test_quiet_hours_hold_it_and_their_end_lets_it_go(company: Company, capsys: pytest.CaptureFixture[str]) -> None:
    company.declare('quiet = "22:00-07:00"\n[schedule]\nat = "03:30"')
    assert company.type("check") == 0
    assert "run `tallybook alerts --send` at 07:00" in " ".join(capsys.readouterr().out.split())
    company.app.rename(company.folder / "away.db")
    assert company.later(16).type("run") == 4  # 04:00
    assert "1 alert to be sent when the quiet hours end" in capsys.readouterr().out
    assert company.later(2).type("alerts", "--send") == 0
    assert company.told() == []
    assert company.later(1).type("alerts", "--send") == 0  # 07:00
    assert len(company.told()) == 1


def test_a_crash_is_told_and_is_still_the_crash(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    from tallybook import collect
    from tallybook.core.errors import BookError

    company.type("run", "--quiet")

    def full(*_: object) -> None:
        raise BookError("the disk is full", hint="make room")

    with monkeypatch.context() as broken:
        broken.setattr(collect, "run", full)
        assert company.later(1).type("run", "--quiet") == 1
    (message,) = company.web.told()
    assert message["problems"][0]["said"] == "failed: the disk is full"
    assert company.later(1).type("run", "--quiet") == 0
    assert company.told() == ["Acme: the run is working again"]


def test_a_beat_after_a_good_run_of_everything_and_after_no_other(company: Company) -> None:
    company.declare(f'heartbeat = "{company.web.url}/beat/me"')
    assert company.type("run", "--quiet") == 0
    assert company.web.gets == ["/beat/me"]
    assert company.type("run", "signups", "--quiet") == 0
    company.app.rename(company.folder / "away.db")
    assert company.type("run", "--quiet") == 4
    assert company.web.gets == ["/beat/me"]
    company.declare(f'heartbeat = "{company.web.url}/ping/me"')  # as healthchecks.io has it
    assert company.type("run", "--quiet") == 4
    assert company.web.gets == ["/beat/me", "/ping/me/fail"]


def test_a_heartbeat_needs_nobody_to_be_told(company: Company) -> None:
    toml = (company.folder / "tallybook.toml").read_text().partition("[alerts]")[0]
    (company.folder / "tallybook.toml").write_text(f'{toml}\n[alerts]\nheartbeat = "{company.web.url}/beat"\n')
    assert company.type("run", "--quiet") == 0
    assert company.web.gets == ["/beat"]


def test_addresses_are_seen_nowhere(company: Company, capsys: pytest.CaptureFixture[str]) -> None:
    company.declare(
        'heartbeat = "http://127.0.0.1:9/ping/b3at-s3cret"',
        f"{company.web.url}/hooks/t0ps3cret", "http://127.0.0.1:9/services/T0KENT0KEN", "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
        "mailto://bob:passw0rd99@127.0.0.1:9?to=ops@example.com", "nonsense://n0t-known-anywhere",
    )  # fmt: skip
    company.app.rename(company.folder / "away.db")
    for argv in (
        ["run"],
        ["run", "--log", "json"],
        ["alerts", "--test"],
        ["alerts", "--format", "json"],
        ["check"],
        ["run", "--format", "json"],
    ):
        company.type(*argv)
    seen = "".join(capsys.readouterr())
    assert "127.0.0.1:9/…" in seen
    assert "Apprise" in seen
    for secret in ("t0ps3cret", "T0KENT0KEN", "b3at-s3cret", "T1JJ3T3L2", "TIiajkdnlaz", "passw0rd99", "n0t-known"):
        assert secret not in seen
    kept = b"".join(path.read_bytes() for path in (company.folder / "book").rglob("*") if path.is_file())
    assert b"t0ps3cret" not in kept


def test_a_test_message_says_whether_it_arrived(company: Company, capsys: pytest.CaptureFixture[str]) -> None:
    assert company.type("alerts", "--test") == 0
    assert company.told() == ["Acme: a test"]
    company.web.answers = [404]
    assert company.type("alerts", "--test") == 1
    assert "it answered 404 Not Found" in capsys.readouterr().err


def test_forgetting_a_metric_forgets_what_was_told_of_its_values(company: Company) -> None:
    company.execute("delete from users where created_at like '2026-03-09%'")
    company.type("run", "--quiet")
    assert len(company.told()) == 1
    with tallybook.open(company.folder, now=lambda: company.now) as book:
        assert list(book.store.ledger.alerts()) == ["value signups"]
        book.forget("signups")
        assert book.store.ledger.alerts() == {}


def test_values_that_nobody_wants_watched_are_not(company: Company) -> None:
    toml = company.folder / "tallybook.toml"
    toml.write_text(toml.read_text().replace('measure = "count(*)"', 'measure = "count(*)"\nalerts = false'))
    company.execute("delete from users where created_at >= '2026-03-07'")
    assert company.type("run", "--quiet") == 0
    assert company.told() == []


def test_days_that_were_imported_are_neither_judged_nor_a_measure(company: Company) -> None:
    toml = company.folder / "tallybook.toml"
    toml.write_text(
        toml.read_text().replace("2026-01-01", "2026-03-02").replace('"count(*)"', '"count(*)"\nhistory = "imported"')
    )
    lines = [f"{day},40" for day in days(date(2025, 12, 1), date(2026, 3, 1))]
    (company.folder / "past.csv").write_text("\n".join(["day,signups", *lines]))
    company.execute("delete from users where created_at like '2026-03-09%'")
    assert company.type("run", "--quiet") == 0
    assert company.type("import", "signups", str(company.folder / "past.csv")) == 0
    with tallybook.open(company.folder, now=lambda: company.now) as book:
        assert len(book.query("signups", from_="2026-01-01", to="2026-03-09").rows()) == 68  # they answer
    assert company.type("alerts", "--send") == 0
    assert company.told() == []


def test_nobody_hears_of_what_is_tried_on_other_databases(company: Company) -> None:
    from tallybook.config.project import load

    company.declare('heartbeat = "https://hc-ping.com/1"')
    tried = load(company.folder, {}, instead={"app": "duckdb:///other.db"}).catalog.alerts
    assert (tried.to, tried.heartbeat) == ((), "")


# ----------------------------------------------------------------------- killed, twice at once, on PostgreSQL


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    with Driver() as one:
        yield one


NOTED = ["ledger BEGIN", "ledger DELETE", "ledger INSERT", "ledger COMMIT"]
RELEASED = ["ledger BEGIN", "ledger UPDATE", "ledger COMMIT"]


def test_killed_at_any_step_no_cause_is_lost_and_none_is_told_twice_but_in_one_place(
    company: Company, driver: Driver, tmp_path_factory: pytest.TempPathFactory, seed: int, soak: bool
) -> None:
    """What was sent and not yet noted is sent again, under the same id; nothing else is."""
    company.type("run", "--quiet")
    now = f"{company.later(72).now:%Y-%m-%dT%H:%M}"
    steps = driver.do(copy_of(company, tmp_path_factory), "alert", now=now, trace=True)["steps"]
    assert len(company.told()) == 1
    assert steps[-7:] == NOTED + RELEASED
    window = range(len(steps) - 6, len(steps) - 2)
    drawn = random.Random(seed)
    every = range(1, len(steps) + 1)
    for at in every if soak else [drawn.choice(every[:-7]), drawn.choice(window), drawn.choice(every[-3:])]:
        folder = copy_of(company, tmp_path_factory)
        assert driver.do(folder, "alert", now=now, at=at)["signal"] == 9
        for _ in range(2):
            assert driver.do(folder, "alert", now=now)["exit"] == 0
        messages = company.web.told()
        assert len(messages) == (2 if at in window else 1), steps[at - 1]
        assert len({message["id"] for message in messages}) == 1


def copy_of(company: Company, factory: pytest.TempPathFactory) -> Path:
    import shutil

    folder = factory.mktemp("book") / "project"
    shutil.copytree(company.folder, folder)
    return folder


def test_of_two_at_once_one_tells(company: Company, driver: Driver) -> None:
    from tests.crash import job

    company.type("run", "--quiet")
    company.later(72)
    driver.together([job(company.folder, "alert", now=f"{company.now:%Y-%m-%dT%H:%M}") for _ in range(3)])
    assert len(company.told()) == 1


def test_a_ledger_of_before_gets_the_table(company: Company) -> None:
    company.type("run", "--quiet")
    path = company.folder / "book" / "ledger.sqlite"
    with closing(SqliteLedger(path)) as today:
        as_number_3(today)
    with closing(sqlite3.connect(path)) as ledger:
        ledger.execute("drop table alerts")
        ledger.execute("pragma user_version = 2")
        ledger.commit()
    assert company.later(72).type("alerts", "--send") == 0
    assert len(company.told()) == 1
    assert company.type("doctor") == 0


def test_a_postgresql_ledger_of_before_gets_the_table_and_keeps_what_was_told(
    company: Company, postgresql_url: str
) -> None:
    from tallybook.storage.postgresql_ledger import PostgresqlLedger

    old = PostgresqlLedger(postgresql_url)
    as_number_3(old)
    with old._writing() as db:
        db.execute("DROP TABLE alerts")
        db.execute("UPDATE ledger_schema SET number = 2")
    old.close()
    toml = company.folder / "tallybook.toml"
    toml.write_text(toml.read_text().replace("[book]", f'[book]\nledger = "{postgresql_url}"'))
    assert company.type("run", "--quiet") == 0
    assert company.later(72).type("alerts", "--send") == 0
    assert company.type("alerts", "--send") == 0
    assert len(company.told()) == 1
    assert company.type("backup", str(company.folder / "backup")) == 0
    with closing(sqlite3.connect(company.folder / "backup" / "ledger.sqlite")) as copied:
        assert copied.execute("select cause from alerts").fetchall() == [("late signups",)]


# -------------------------------------------------------------------------------------------------- addresses

MESSAGE = Message(
    title="Acme: 2 problems", text="signups: late\n  tallybook run", plain={"title": "Acme: 2 problems", "id": "1"}
)


def test_a_mail_arrives_by_apprise() -> None:
    with Mail() as mail:
        send(
            f"mailto://127.0.0.1:{mail.port}?from=tallybook@example.com&to=ops@example.com",
            replace(MESSAGE, title="Acme: für alle"),
        )
        ((subject, text),) = mail.mails
        assert subject == "Acme: für alle"
        assert text.split() == ["signups:", "late", "tallybook", "run"]
        assert mail.to == ["<ops@example.com>"]


def test_a_service_of_apprise_gets_it(web: Web) -> None:
    send(f"json://127.0.0.1:{web.port}/there", MESSAGE)
    (message,) = web.told()
    assert (message["title"], message["message"], message["type"]) == (MESSAGE.title, MESSAGE.text, "failure")


def test_a_service_that_does_not_take_it_is_told_of(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    web.answers = [500]
    with pytest.raises(DestinationUnavailable, match=r"Apprise could not send the message: .*500"):
        send(f"json://127.0.0.1:{web.port}/there", MESSAGE)
    assert not caplog.records  # nor printed


def test_without_apprise_the_line_to_paste_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(DestinationError) as told:
        send("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", MESSAGE)
    assert told.value.hint == "pip install 'tallybook[alerts]'"


def test_a_webhook_needs_nothing_but_python() -> None:
    code = (
        "import sys\nfrom tallybook.monitor.notify import send\nfrom tallybook.monitor.alerts.message import Message\n"
    )
    code += "try:\n    send('http://127.0.0.1:9/', Message(title='', text=''))\nexcept Exception as e:\n    print(e)\n"
    code += "print('apprise' in sys.modules, 'requests' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True)
    assert done.stdout.splitlines()[-1] == "False False"


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (404, DestinationRefused),
        (302, DestinationRefused),
        (429, DestinationUnavailable),
        (500, DestinationUnavailable),
    ],
)
def test_only_an_answer_that_says_yes_is_one(web: Web, code: int, error: type[Exception]) -> None:
    web.answers = [code]
    with pytest.raises(error):
        send(f"{web.url}/hook", MESSAGE)
    assert web.posts == []
    assert web.gets == []


def test_a_webhook_may_have_a_user_and_a_password(web: Web) -> None:
    send(f"http://me:p%40ss@127.0.0.1:{web.port}/hook", MESSAGE)
    assert web.headers[0]["Authorization"] == "Basic bWU6cEBzcw=="
    assert web.told()[0] == {"text": f"{MESSAGE.title}\n\n{MESSAGE.text}", "title": MESSAGE.title, "id": "1"}


def test_chats_get_the_text_in_their_form() -> None:
    text = f"{MESSAGE.title}\n\n{MESSAGE.text}"
    assert payload("https://hooks.slack.com/services/T/B/x", MESSAGE) == {"text": text}
    assert payload("https://discord.com/api/webhooks/1/x", MESSAGE) == {"content": text}


def test_a_heartbeat_follows_a_redirect_and_tells_who_does_not_answer(web: Web) -> None:
    web.answers = [302]
    assert beat(f"{web.url}/beat", well=True)
    assert web.gets == ["/elsewhere"]
    with pytest.raises(DestinationUnavailable, match="cannot be reached: Connection refused"):
        beat("http://127.0.0.1:9/beat", well=True)


# ------------------------------------------------------------------------------------------------ declarations

WRONG = """
[book]
timezone = "Europe/Berlin"

[alerts]
to = ["ops@example.com"]
about = ["failed", "unusal"]
quiet = "from ten to seven"
unusual_width = 0.5
unusual_history = "5d"
heartbeat = "hc-ping.com/s3cret-uuid"
hartbeat = "https://hc-ping.com/s3cret-uuid"
"""


def test_every_mistake_of_the_section_is_told_at_once_and_no_address_repeated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tallybook.toml").write_text(WRONG)
    assert invoke(["check", "--format", "json", "--project", str(tmp_path)], env={}) == 2
    printed = capsys.readouterr().out
    problems = {p["path"]: p for p in json.loads(printed)["problems"]}
    assert list(problems) == [
        "alerts.to", "alerts.heartbeat", "alerts.about", "alerts.quiet", "alerts.unusual_width", "alerts.unusual_history", "alerts.hartbeat",
    ]  # fmt: skip
    assert "mailtos://" in problems["alerts.to"]["paste"]
    assert problems["alerts.about"]["paste"] == 'about = ["failed", "unusual"]'
    assert "did you mean 'heartbeat'?" in problems["alerts.hartbeat"]["hint"]
    assert "s3cret" not in printed


def test_a_variable_set_to_nothing_tells_nobody(company: Company) -> None:
    company.declare("", "${ALERT_URL:-}")
    company.app.rename(company.folder / "away.db")
    assert company.type("run", "--quiet") == 4
    assert company.type("alerts", "--test") == 2


# ------------------------------------------------------------------------------------------------- schedulers


def test_schedulers_are_told_of_the_end_of_quiet_hours_and_of_what_to_install(
    company: Company, capsys: pytest.CaptureFixture[str]
) -> None:
    import crontab

    company.declare('quiet = "22:00-07:00"', "tgram://123456789:abcdefg_hijklmnop/12315544")
    assert company.type("schedule", "cron") == 0
    lines = crontab.CronTab(tab=capsys.readouterr().out, user=False)
    assert [str(line.slices) for line in lines] == ["30 3 * * *", "@reboot", "0 7 * * *"]
    assert [line.command.partition(" --project")[0].split()[-2:] for line in lines][-1] == ["alerts", "--send"]
    assert company.type("schedule", "github") == 0
    printed = capsys.readouterr().out
    assert "tallybook[alerts]" in printed
    assert "also start `tallybook alerts --send` at 07:00" in " ".join(printed.replace("#", "").split())
    assert company.type("schedule", "cron", "--at", "12:00") == 0
    assert "--send" not in capsys.readouterr().out


# ------------------------------------------------------------------------------------------------- the daemon


def test_a_daemon_tells_at_the_end_of_the_quiet_hours_by_itself(company: Company) -> None:
    from tallybook.cli import serving, signals
    from tallybook.cli.terminal import Terminal

    company.declare('quiet = "22:00-07:00"')
    company.app.rename(company.folder / "away.db")
    terminal = Terminal(sys.stdout, (company.folder / "log").open("w"), dict(os.environ), lambda: company.now)
    terminal.folder, terminal.log = company.folder, "json"
    with signals.Stop() as stop:
        daily = serving.Serving(terminal, "30 3 * * *", stop)
        company.later(16)
        daily.run()
        for _ in range(4 * 60):
            company.later(1 / 60)
            daily.meanwhile()
            if company.web.posts:
                break
    terminal.stderr.close()
    assert company.now == datetime(2026, 3, 11, 6, 0, tzinfo=UTC)  # 07:00
    assert len(company.told()) == 1
