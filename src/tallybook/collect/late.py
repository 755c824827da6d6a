"""Days whose facts changed after they were collected. They are found through the metric's column `changed`, and wait
until they are collected again.

A run searches for rows written since the last search, minus a margin. The days found wait in the ledger from the moment
that the first of them are published. Each publication removes its days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from tallybook.collect.binding import BoundMetric
from tallybook.collect.grouping import INTERVAL_PLAN
from tallybook.collect.sources.base import Reader
from tallybook.collect.statements import Group
from tallybook.core import ONE_DAY, SourceError, calendar
from tallybook.storage import CoveredDay, Followed, Ledger, true_start

MARGIN = timedelta(hours=1)
"""A row contains the time at which it was written, and becomes visible when its transaction is committed. This is the
maximum duration of a transaction, and the maximum lag of the writer's clock behind the source's."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_ZONES_APART = timedelta(hours=27)

CATCH_UP = timedelta(days=1)
"""If nothing was recorded, an earlier run may have read a copy that was this old."""


@dataclass(kw_only=True)
class Candidate:
    """A metric that follows changes, with its covered days as far as the source is known, and how far it has followed
    changes.

    `queue`: days found by earlier runs that still wait. `normal`: days that this run collects in any case."""

    facts: BoundMetric
    group: Group
    covered: set[date]
    normal: set[date]
    since: datetime
    queue: Sequence[date] = ()
    until: datetime
    """The source's clock before the search."""
    found: list[date] = field(default_factory=list)
    """All days to collect again, those that wait longest first."""

    @property
    def search_key(self) -> tuple[object, ...]:
        """The properties that candidates must share to be served by one statement."""
        key, facts = self.group.key, self.facts
        return key.source, key.relation, key.plan, key.time, facts.changed_column, facts.changed, self.since

    def kept(self) -> Followed:
        """The entry for the ledger, once the first days are published."""
        bound = self.facts.bound
        return Followed(
            metric=bound.key,
            definition=bound.definition,
            column=self.facts.changed_column or "",
            seen=self.until - MARGIN,
            waiting=tuple(self.found),
        )


@dataclass(frozen=True, kw_only=True)
class Search:
    """One statement that searched for changes, to be shown by `plan`, with the days that it found."""

    metrics: tuple[str, ...]
    source: str
    column: str
    since: datetime
    sql: str
    brief: str
    """`sql` with the bounds of only two days."""
    days: tuple[date, ...]


def follow(candidates: Sequence[Candidate]) -> Search:
    """Search for changes with one statement for all candidates with the same `search_key`. Each candidate gets its days
    to collect.

    Raises SourceError."""
    one = candidates[0]
    first = min(min(c.covered) for c in candidates)
    last = max(max(c.covered) for c in candidates)
    sql = one.group.changed_since(one.since, first, last)
    with one.group.source.snapshot() as reader:
        _refuse_ahead(one, reader)
        days = _found_days(one, reader, sql, first, last)
    for candidate in candidates:
        fresh = sorted(days & candidate.covered - set(candidate.queue))
        candidate.found = [*candidate.queue, *fresh]
    return Search(
        metrics=tuple(c.facts.metric.name for c in candidates),
        source=one.facts.metric.source or "",
        column=one.facts.changed_column or "",
        since=one.since,
        sql=sql,
        brief=one.group.changed_since(one.since, max(first, last - ONE_DAY), last),
        days=tuple(sorted({day for c in candidates for day in c.found})),
    )


def _refuse_ahead(one: Candidate, reader: Reader) -> None:
    """Raise SourceError for rows written later than the source's current time: their zone is not the declared one.

    A row that is ahead by more than zones differ has no zone."""
    form, column = one.facts.changed, one.facts.changed_column or ""
    assert form is not None
    if form.name not in ("naive", "text_space", "text_t"):
        return
    sql = one.group.changed_between(one.until + MARGIN, one.until + MAX_ZONES_APART)
    ((rows, example),) = reader.rows(sql)
    if not rows:
        return
    other = "local" if form.zone == "UTC" else "utc"
    raise SourceError(
        f"{rows} {'rows were' if rows > 1 else 'row was'} changed later than now: {column} is read {form.says}, "
        f"and is {example} "
        f"where the clock of the source says {one.until:%Y-%m-%d %H:%M} UTC",
        hint=f'[metrics.{one.facts.metric.name}] changed_stored = "{other}"',
    )


def _found_days(one: Candidate, reader: Reader, sql: str, first: date, last: date) -> set[date]:
    """The days with changed facts. A changed interval affects every day from its beginning on, because its earlier
    state and its earlier end are unknown."""
    rows = reader.rows(sql)
    if one.group.key.plan != INTERVAL_PLAN:
        days = {first + (int(row[0]) - 1) * ONE_DAY for row in rows if row[0] is not None}
        return {day for day in days if first <= day <= last}
    begins = rows[0][0]
    return set() if begins is None else set(calendar.days(first + int(begins) * ONE_DAY, last))


def not_followed_since(ledger: Ledger, key: str, definition: str, covered: set[date], now: datetime) -> datetime | None:
    """The instant since which changes were not followed: a day before the first of the runs that collected the covered
    days. None if unknown."""
    days: list[CoveredDay] = ledger.covered_days(key, min(covered), max(covered))
    runs = {day.run for day in days if day.definition == definition}
    found = [ledger.run(number or 0) for number in runs]
    began = [max(true_start(ledger, run, now), EPOCH) for run in found if run]
    return min(began) - CATCH_UP if began and len(began) == len(found) else None


def in_order(one: Candidate) -> tuple[tuple[date, date], ...]:
    """The days to collect in addition to the normal ones, as ranges. Days that already wait come first."""
    waiting, rest = set(one.queue), set(one.found) & one.covered - one.normal
    return (*calendar.stretches(rest & waiting), *calendar.stretches(rest - waiting))
