"""Days that were collected under a clock that was ahead, once the clock says that it cannot have been so late.

A source without a clock of its own is known until the caller's clock. Where that was ahead, days were read that had not
ended, and were covered. The run's instant then lies after now. When it really took place is not known; it was after the
runs before it. So of what it collected, days that ended before the latest instant known to be true are right. The
others are taken back: nobody knows what they held when they were read.
"""

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
"""(metric, definition)"""


@dataclass(frozen=True, kw_only=True)
class TakenBack:
    """The days of each metric and definition that cannot be known, and by which runs they were collected."""

    days: Mapping[Own, frozenset[date]] = field(default_factory=dict)
    runs: Mapping[int, datetime] = field(default_factory=dict)
    """Their instants, which lie after now."""

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
        """Sentences for people about these days; empty when there are none."""
        if not self.days:
            return []
        names = sorted({metric for metric, _ in self.days})
        named = shorten_list(names, MAX_NAMED_METRICS)
        first, last = min(map(min, self.days.values())), max(map(max, self.days.values()))
        when = ", ".join(f"run {run} at {at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" for run, at in self.runs.items())
        return [
            (
                f"days {first} to {last} of {named} were collected by {when}, which lies after now: the clock "
                "was ahead, and "
                "what these days held is not known"
            )
        ]


def taken_back(ledger: Ledger, *, now: datetime, zone: str) -> TakenBack:
    """The covered days that the clock says cannot have been known."""
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
    """When a run began; by a clock that was ahead, the latest instant before it that can be true."""
    began = datetime.fromisoformat(run["started"])
    if began <= now:
        return began
    return next((one.last_true for one in ledger.ahead(now) if (one.run, one.source) == (run["run"], None)), now)


def last_true_before(ahead: Iterable[Ahead], source: str, now: datetime) -> datetime | None:
    """The latest instant that can be true before a clock was first ahead for a source; None when it never was."""
    return min((one.last_true for one in ahead if one.source in (source, None) and one.until > now), default=None)


def _sources(ledger: Ledger, metrics: Iterable[str]) -> dict[Own, str]:
    """The source of each definition; of imported ones none."""
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
