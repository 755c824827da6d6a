"""What a run is asked for, and the work that it plans: groups of metrics and their days."""

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
    """What a run was asked for. `first`/`last`: these days again, whether covered or not; with `older_source` also days
    that were last read when their source was known further."""

    metrics: tuple[str, ...] = ()
    first: date | None = None
    last: date | None = None
    older_source: bool = False


@dataclass(kw_only=True)
class Horizon:
    """The instant until which a source is known to be complete."""

    source: Source | None
    """None: a Python metric that needs no database."""
    until: datetime
    last_closed: date
    lagging: bool
    """Whether `last_closed` is before the last closed day by our own clock."""


@dataclass(kw_only=True)
class Work:
    """One group and the days to collect for it. `function` metrics stand alone."""

    group: Group | None
    facts: list[BoundMetric]
    stretches: Stretches
    horizon: Horizon
    snapshot_day: date | None = None
    again: dict[tuple[str, str], frozenset[date]] = field(default_factory=dict)
    """Days that were covered before, by (metric, definition): one of the group may be new among old ones."""
    late: bool = False
    """Its days are collected again because facts of theirs changed: as many as `max_load` allows."""
    finished: dict[tuple[str, str], list[tuple[date, date]]] = field(default_factory=dict)
    """By (metric, definition): its steps that are staged or published."""

    @property
    def days(self) -> int:
        return sum((b - a).days + 1 for a, b in self.stretches)


@dataclass(kw_only=True)
class RunPlan:
    """All work of a run, oldest days first within each group, and a report per metric to fill in.

    Late works come last. `followed` is, by (metric, definition), how far changes are followed once its first days
    are published; `searches` how that was found out."""

    works: list[Work] = field(default_factory=list)
    searches: list[Search] = field(default_factory=list)
    followed: dict[tuple[str, str], Followed] = field(default_factory=dict)
    horizons: dict[str, datetime] = field(default_factory=dict)
    """Until when each source is known."""
    reports: dict[str, MetricReport] = field(default_factory=dict)
    definitions: list[Definition] = field(default_factory=list)
    losses: Losses
    """The points files that cannot be read."""
    keys: Mapping[str, str]
    """{metric: the name under which its points are kept}"""


def horizon(source: Source | None, now: datetime, zone: str, as_of: datetime | None) -> Horizon:
    """How far the source is known to be complete: its clock or replay time, `fresh`, or `as_of` for a copy."""
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
