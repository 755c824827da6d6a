"""The request for a run, and the work that it plans: groups of metrics and their days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from tallybook.collect.binding import BoundMetric
from tallybook.collect.late import Search
from tallybook.collect.report import MetricReport
from tallybook.collect.sources.base import Source
from tallybook.collect.statements import Group
from tallybook.core import calendar
from tallybook.storage import Definition, Followed, Losses

Stretches = tuple[tuple[date, date], ...]


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """The request for a run. `first`/`last`: collect these days again, whether covered or not. `older_source`: also
    collect days that were last read when their source was known further."""

    metrics: tuple[str, ...] = ()
    first: date | None = None
    last: date | None = None
    older_source: bool = False


@dataclass(kw_only=True)
class Horizon:
    """The instant until which a source is known to be complete."""

    source: Source | None
    """None for a Python metric that needs no database."""
    until: datetime
    last_closed: date
    lagging: bool
    """Whether `last_closed` is before the last closed day by our own clock."""


@dataclass(kw_only=True)
class Work:
    """One group and the days to collect for it. A `function` metric has a work of its own."""

    group: Group | None
    facts: list[BoundMetric]
    stretches: Stretches
    horizon: Horizon
    snapshot_day: date | None = None
    again: dict[tuple[str, str], frozenset[date]] = field(default_factory=dict)
    """Days that were covered before, by (metric, definition), because one metric of the group may be new."""
    late: bool = False
    """Whether its days are collected again because their facts changed. As many days as `max_load` allows."""
    finished: dict[tuple[str, str], list[tuple[date, date]]] = field(default_factory=dict)
    """The steps that are staged or published, by (metric, definition)."""

    @property
    def days(self) -> int:
        return sum((b - a).days + 1 for a, b in self.stretches)


@dataclass(kw_only=True)
class RunPlan:
    """All work of a run, with the oldest days first in each group, and a report per metric to fill in.

    Late works come last. `followed`: by (metric, definition), how far changes are followed once its first days are
    published. `searches`: the statements that found the changes."""

    works: list[Work] = field(default_factory=list)
    searches: list[Search] = field(default_factory=list)
    followed: dict[tuple[str, str], Followed] = field(default_factory=dict)
    horizons: dict[str, datetime] = field(default_factory=dict)
    """The instant until which each source is known to be complete."""
    reports: dict[str, MetricReport] = field(default_factory=dict)
    definitions: list[Definition] = field(default_factory=list)
    losses: Losses
    """The points files that cannot be read."""
    keys: Mapping[str, str]
    """By metric, the key under which its points are stored."""


def horizon(source: Source | None, now: datetime, zone: str, as_of: datetime | None) -> Horizon:
    """The horizon of a source: until when it is known to be complete, by its clock or replay time, `fresh`, or `as_of`
    for a copy."""
    if source is None:
        return Horizon(source=None, until=now, last_closed=calendar.last_closed_day(now, zone), lagging=False)
    until = source.known_until(now)
    if source.settings.fresh:
        with source.snapshot() as reader:
            fresh = source.fresh_until(reader)
        until = min(until, fresh) if fresh else datetime(1970, 1, 1, tzinfo=UTC)
    elif as_of is not None:
        until = min(until, as_of)
    until = min(until, now).astimezone(UTC)
    last_closed = calendar.last_closed_day(until, zone)
    return Horizon(
        source=source,
        until=until,
        last_closed=last_closed,
        lagging=last_closed < calendar.last_closed_day(now, zone),
    )
