"""Publishes staged days as the next version of the book, in one transaction."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from tallybook.collect.binding import BoundMetric
from tallybook.collect.identity import record_identities
from tallybook.collect.report import MetricReport, RunProgress
from tallybook.collect.revise import revisions
from tallybook.collect.run_context import RunContext
from tallybook.collect.run_lease import JOB
from tallybook.collect.staging import Staging
from tallybook.collect.work import RunPlan
from tallybook.core import SourceError, calendar, count_phrase, isolated
from tallybook.storage import Commit, Covered, Followed, Lease, Store, VersionSnapshot, connect

PUBLISH_FACTOR = 20
"""Minimum seconds between two publications, per second that the last one took. Each publication rewrites months."""


MAX_PUBLISH_SECONDS = 600.0


PUBLISH_POINTS = 10_000_000
"""Maximum number of staged points before they are published. Compressed, each takes about 5 to 30 bytes of memory."""


@dataclass
class StagedSteps:
    """Unpublished steps of one metric and definition."""

    facts: BoundMetric
    instant: str | None
    steps: list[tuple[date, date]] = field(default_factory=list)

    @property
    def stretches(self) -> list[tuple[date, date]]:
        return calendar.merge_stretches(self.steps)


class Publisher:
    """Publishes what a run has staged."""

    def __init__(self, context: RunContext, plan: RunPlan, lease: Lease, number: int) -> None:
        self.context, self.plan, self.lease, self.number = context, plan, lease, number
        self.engine = connect()
        most_dims = max((len(facts.metric.dims) for work in plan.works for facts in work.facts), default=0)
        self.staging = Staging(self.engine, most_dims, compressed=True)
        self.definitions = {(d.metric, d.id): d for d in plan.definitions}
        self.staged: dict[tuple[str, str], StagedSteps] = {}
        self.again: dict[tuple[str, str], frozenset[date]] = {}
        self.published = time.monotonic()
        self.pause = context.publish_seconds
        """Seconds between the last publication and the next."""
        self.done, self.of = 0, sum(work.days * len(work.facts) for work in plan.works)
        self.points = 0

    def _report(self, facts: BoundMetric) -> MetricReport:
        return self.plan.reports[facts.metric.name]

    def _publish(self) -> None:
        """Publish the staged days as the next version of the book, in one transaction."""
        if not self.staged:
            return
        began = time.monotonic()
        try:
            with isolated():
                self._publish_these(list(self.staged))
        except SourceError as error:
            self._publish_one_by_one(error)
        self.staged.clear()
        self.staging.clear()
        self.published = time.monotonic()
        self.pause = pause_after(self.published - began, self.context.publish_seconds)

    def _publish_one_by_one(self, error: SourceError) -> None:
        """Publish each metric separately after a joint publication failed, so that only the failing metric fails."""
        staged = list(self.staged)
        for one in staged:
            try:
                if len(staged) == 1:
                    raise error
                with isolated():
                    self._publish_these([one])
            except SourceError as failure:
                self._report(self.staged[one].facts).failed_by(failure, "it was collected and cannot be stored")

    def _publish_these(self, chosen: Sequence[tuple[str, str]]) -> None:
        change, followed = Commit(what=JOB, lost=self.plan.losses.files), {}
        staged = {own: self.staged[own] for own in chosen}
        for own, one in staged.items():
            change.covered.append(
                Covered(metric=own[0], definition=own[1], stretches=one.stretches, instant=one.instant)
            )
            change.definitions.append(self.definitions[own])
            if (known := self._followed(own, one)) is not None:
                followed[own] = known
        change.followed += followed.values()
        sources = {one.facts.metric.source or "" for one in staged.values()}
        change.horizons = {name: until for name, until in self.plan.horizons.items() if name in sources}
        revised = self._revise(change, staged)
        ledger = self.context.store.ledger
        for name in sources & self.context.sources.keys():
            self.context.sources[name].record_run(self.number)
        record_identities(self.context, {one.facts.metric.source or "" for one in staged.values()}, self.number)
        self.context.store.publish(self.engine, change, lease=self.lease, run=self.number, now=self.context.clock())
        self.plan.followed |= followed
        self._count_points(chosen)
        for own, one in staged.items():
            facts, stretches = one.facts, one.stretches
            if facts.bound.key != facts.metric.name:
                ledger.bind_key(facts.metric.name, facts.bound.key)
            self._report(facts).revisions += revised.get(own, 0)
            days = sum((last - first).days + 1 for first, last in stretches)
            self._report(facts).saw(stretches[0][0], stretches[-1][1], days)

    def _followed(self, own: tuple[str, str], staged: StagedSteps) -> Followed | None:
        """How far changes are followed once the staged days are published. Those days no longer wait."""
        known = self.plan.followed.get(own)
        if known is None:
            return None
        waiting = [day for day in known.waiting if not any(a <= day <= b for a, b in staged.steps)]
        return replace(known, waiting=tuple(waiting))

    def _revise(self, change: Commit, staged: Mapping[tuple[str, str], StagedSteps]) -> dict[tuple[str, str], int]:
        """The number of changed values per metric on days collected before. The revisions are added to `change`."""
        store, number = self.context.store, {}
        current: VersionSnapshot | None = None
        for key, one in staged.items():
            facts, steps = one.facts, one.stretches
            again = sorted(day for day in self.again.get(key, ()) if any(a <= day <= b for a, b in steps))
            again = [day for day in again if not self.plan.losses.touches(key[0], day)]
            if not again:
                continue
            current = current or store.ledger.snapshot(metrics=[])
            old = functools.partial(published, store, current, key[0], again)
            found = revisions(self.engine, facts.bound, again, old)
            change.revisions += found
            number[key] = len(found)
        return number

    def _give_up_the_rest(self) -> None:
        """Give up unreadable files with requested days in which no metric of this run has days. Adds a note for each
        metric whose days were in one. Nothing is given up if every metric failed."""
        losses, store = self.plan.losses, self.context.store
        if not losses.files or all(one.error for one in self.plan.reports.values()):
            return
        current = {file.path for file in store.ledger.snapshot(metrics=[]).files}
        if any(file.path in current for file in losses.files):
            store.publish(
                self.engine,
                Commit(what=JOB, lost=losses.files),
                lease=self.lease,
                run=self.number,
                now=self.context.clock(),
            )
        known = store.ledger.snapshot()
        for (metric, definition), before in losses.before().items():
            report = next((r for r in self.plan.reports.values() if self.plan.keys[r.metric] == metric), None)
            if report is None:
                continue
            covered = known.coverage.get((metric, definition), ())
            gaps = sum(not any(s.first <= day <= s.last for s in covered) for day in before)
            left = f"; {gaps} of them are gaps now" if gaps else ""
            under = "" if definition == report.definition else f" under definition {definition}"
            report.notes.append(
                f"the points of {count_phrase(len(before), 'day', 'days')}{under} were in a file that cannot be "
                f"read; how their values changed is unknown{left}"
            )

    def _count_points(self, chosen: Sequence[tuple[str, str]]) -> None:
        rows = self.engine.execute(
            "SELECT metric, definition, count(*) FROM (SELECT metric, definition FROM new_additive UNION ALL "
            "SELECT metric, definition FROM new_ids UNION ALL SELECT metric, definition FROM new_buckets) GROUP BY ALL"
        ).fetchall()
        for key, definition, number in rows:
            if (key, definition) in chosen:
                self._report(self.staged[(key, definition)].facts).points += number
                self.points += number

    def _report_progress(self, what: str) -> None:
        if self.context.on_progress:
            self.context.on_progress(RunProgress(self.done, self.of, self.points + self.staging.size(), what))


def pause_after(cost: float, least: float) -> float:
    """Seconds until the next publication, after one that took `cost` seconds. If `least` is 0, each step is
    published."""
    return max(least, min(PUBLISH_FACTOR * cost, MAX_PUBLISH_SECONDS)) if least else 0.0


def published(store: Store, snapshot: VersionSnapshot, key: str, days: Sequence[date], kind: str) -> str | None:
    """The relation of the points of a metric published before."""
    files = [
        f
        for f in snapshot.files
        if f.kind == kind and f.metric in ("", key) and f.first <= days[-1] and f.last >= days[0]
    ]
    return store.scan(files) if files else None
