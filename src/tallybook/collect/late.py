"""Days of which facts changed after they were collected: found by the metric's column `changed`, and waiting until
they are collected again.

A run asks for what was written since the last one looked, less a margin. What it finds waits in the ledger, from
the moment that the first of its days are published; each publication takes out the days that it holds.
"""

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
"""A row carries the time at which it was written, and is seen once all of its transaction is committed: so long
a transaction may take, and so far may the clock that wrote it be behind the source's."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_ZONES_APART = timedelta(hours=27)

CATCH_UP = timedelta(days=1)
"""Where nothing was noted, a run may have read a copy that was so old."""


@dataclass(kw_only=True)
class Candidate:
    """A metric that follows changes: its covered days as far as the source is known, and how far they follow.

    `queue` are days found by runs before that still wait; `normal` those that this run collects in any case."""

    facts: BoundMetric
    group: Group
    covered: set[date]
    normal: set[date]
    since: datetime
    queue: Sequence[date] = ()
    until: datetime
    """The source's clock before it is asked."""
    found: list[date] = field(default_factory=list)
    """All days that are to be collected again, who waits longest first."""

    @property
    def search_key(self) -> tuple[object, ...]:
        """What candidates share that one statement serves."""
        key, facts = self.group.key, self.facts
        return key.source, key.relation, key.plan, key.time, facts.changed_column, facts.changed, self.since

    def kept(self) -> Followed:
        """What the ledger shall say once the first days are published."""
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
    """One statement that looked for changes, for `plan` to show: what it asks, and the days it found."""

    metrics: tuple[str, ...]
    source: str
    column: str
    since: datetime
    sql: str
    brief: str
    """`sql` with the bounds of two days only."""
    days: tuple[date, ...]


def follow(candidates: Sequence[Candidate]) -> Search:
    """Search for what changed, in one statement for candidates of one `search_key`; each gets the days to collect.

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
    """Raise SourceError for rows written later than now by the source's clock: their zone is not the one declared.

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
    """The days that hold changed facts. An interval has a part in every day from its beginning on: what it was
    before it changed is not known, nor is until when it held."""
    rows = reader.rows(sql)
    if one.group.key.plan != INTERVAL_PLAN:
        days = {first + (int(row[0]) - 1) * ONE_DAY for row in rows if row[0] is not None}
        return {day for day in days if first <= day <= last}
    begins = rows[0][0]
    return set() if begins is None else set(calendar.days(first + int(begins) * ONE_DAY, last))


def not_followed_since(ledger: Ledger, key: str, definition: str, covered: set[date], now: datetime) -> datetime | None:
    """Where changes were not followed until now: a day before the first of the runs that collected what is covered.
    None where nobody knows."""
    days: list[CoveredDay] = ledger.covered_days(key, min(covered), max(covered))
    runs = {day.run for day in days if day.definition == definition}
    found = [ledger.run(number or 0) for number in runs]
    began = [max(true_start(ledger, run, now), EPOCH) for run in found if run]
    return min(began) - CATCH_UP if began and len(began) == len(found) else None


def in_order(one: Candidate) -> tuple[tuple[date, date], ...]:
    """The days to collect beside the normal ones as stretches, those that wait already first."""
    waiting, rest = set(one.queue), set(one.found) & one.covered - one.normal
    return (*calendar.stretches(rest & waiting), *calendar.stretches(rest - waiting))
