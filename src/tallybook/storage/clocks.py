"""Finds days that were collected while a clock was ahead, once the real time shows it.

A source without its own clock counts as known up to the caller's clock. If that clock was ahead, days that had not
ended were read and marked as covered. The run's instant then lies after now. Its real time is unknown, except that
it was after the runs before it. So its days that ended before the latest instant known to be true are correct. The
other days are taken back, because it is unknown what they contained when they were read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from tallybook.core import days as days_of, end_of, shorten_list, stretches
from tallybook.storage.ledger import Ahead, Covered, Stretch, VersionSnapshot

if TYPE_CHECKING:
    from tallybook.storage.ledger import Ledger

MAX_NAMED_METRICS = 4
Own = tuple[str, str]
"""(metric, definition)."""


@dataclass(frozen=True, kw_only=True)
class TakenBack:
    """The days of each metric and definition that are not reliable, and the runs that collected them."""

    days: Mapping[Own, frozenset[date]] = field(default_factory=dict)
    runs: Mapping[int, datetime] = field(default_factory=dict)
    """The instants of the runs, which lie after now."""

    def __bool__(self) -> bool:
        return bool(self.days)

    @property
    def covered(self) -> list[Covered]:
        return [Covered(metric=m, definition=d, days=sorted(days)) for (m, d), days in self.days.items()]

    def without(self, known: VersionSnapshot) -> VersionSnapshot:
        """The snapshot without these days: they are not covered, and their points are hidden."""
        if not self.days:
            return known
        coverage = {own: _without(several, self.days.get(own)) for own, several in known.coverage.items()}
        hidden = {own: tuple(stretches(sorted(days))) for own, days in self.days.items()}
        return replace(known, coverage=coverage, hidden=hidden)

    def in_words(self) -> list[str]:
        """Sentences about these days for people; empty without such days."""
        if not self.days:
            return []
        names = sorted({metric for metric, _ in self.days})
        named = shorten_list(names, MAX_NAMED_METRICS)
        first, last = min(map(min, self.days.values())), max(map(max, self.days.values()))
        when = ", ".join(f"run {run} at {at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" for run, at in self.runs.items())
        return [
            (
                f"days {first} to {last} of {named} were collected by {when}, which is in the future: the clock "
                "was ahead, and "
                "what these days held is not known"
            )
        ]


def taken_back(ledger: Ledger, *, now: datetime, zone: str) -> TakenBack:
    """The covered days that cannot have been known, according to the clock."""
    ahead = {(one.run, one.source): one for one in ledger.ahead(now)}
    if not any(one.until > now for one in ahead.values()):
        return TakenBack()
    rows = ledger.days_of_runs(run for run, _ in ahead)
    sources = _sources(ledger, {metric for metric, *_ in rows})
    days: dict[Own, set[date]] = {}
    runs: dict[int, datetime] = {}
    for metric, definition, run, day in rows:
        one = ahead.get((run, sources.get((metric, definition)))) or ahead.get((run, None))
        if one is not None and one.until > now and end_of(day, zone) > one.last_true:
            days.setdefault((metric, definition), set()).add(day)
            runs[run] = one.until
    return TakenBack(days={own: frozenset(several) for own, several in days.items()}, runs=runs)


def true_start(ledger: Ledger, run: Mapping[str, Any], now: datetime) -> datetime:
    """The start of a run. If its clock was ahead, the latest possible true instant before it."""
    began = datetime.fromisoformat(run["started"])
    if began <= now:
        return began
    return next((one.last_true for one in ledger.ahead(now) if (one.run, one.source) == (run["run"], None)), now)


def last_true_before(ahead: Iterable[Ahead], source: str, now: datetime) -> datetime | None:
    """The latest possible true instant before a clock was first ahead for a source; None if no clock was ahead."""
    return min((one.last_true for one in ahead if one.source in (source, None) and one.until > now), default=None)


def _sources(ledger: Ledger, metrics: Iterable[str]) -> dict[Own, str]:
    """The source of each definition; empty for imported ones."""
    found: dict[Own, str] = {}
    for several in ledger.snapshot(metrics).definitions.values():
        for one in several:
            found[(one.metric, one.id)] = json.loads(one.body)["metric"].get("source") or ""
    return found


def _without(several: tuple[Stretch, ...], gone: frozenset[date] | None) -> tuple[Stretch, ...]:
    if not gone:
        return several
    found: list[Stretch] = []
    for one in several:
        left = [day for day in days_of(one.first, one.last) if day not in gone]
        found += [Stretch(first, last, one.instant) for first, last in stretches(left)]
    return tuple(found)
