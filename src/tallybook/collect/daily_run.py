"""One run: plan the days, gather them group by group, publish what is whole, report metric by metric."""

from __future__ import annotations

import functools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from tallybook.collect.binding import BoundMetric
from tallybook.collect.doubts import doubts, without_doubtful
from tallybook.collect.gathering import Step, by_index, gather_days, gather_function, gather_intervals, gather_now
from tallybook.collect.identity import check_identity, record_identities, record_moved, record_owner
from tallybook.collect.planning import Horizon, Planner, RunPlan, RunRequest, Work, horizon
from tallybook.collect.report import MetricReport, OnProgress, RunProgress, RunReport
from tallybook.collect.revise import revisions
from tallybook.collect.sources.base import Source
from tallybook.collect.sources.identity import Identity
from tallybook.collect.sources.registry import close_sources
from tallybook.collect.staging import Staging
from tallybook.collect.statements import INTERVAL_PLAN, Group
from tallybook.core import (
    Catalog,
    Inseparable,
    Metric,
    SourceError,
    SourceUnavailable,
    TallybookError,
    calendar,
    count_phrase,
    isolated,
    utc_text,
)
from tallybook.storage import (
    Commit,
    Covered,
    Followed,
    Lease,
    Losses,
    Store,
    VersionSnapshot,
    connect,
    kept_under,
    taken_back,
)

JOB = "collect"
LEASE_SECONDS = 60.0
ALONE_SECONDS = 600.0
PUBLISH_SECONDS = 10.0
"""Staged days are published this often, so that a run that dies has done something, unless publishing takes long."""
PUBLISH_FACTOR = 20
"""Seconds between two publications for each second that the last one took: months are rewritten by each."""
MAX_PUBLISH_SECONDS = 600.0
PUBLISH_POINTS = 10_000_000
"""Points that are staged before they are published; compressed, they take some 5 to 30 bytes of memory each."""


@dataclass(kw_only=True)
class RunContext:
    """What a run works with. `clock` is asked only for stamps and leases; `now` is when the run began."""

    catalog: Catalog
    store: Store
    sources: Mapping[str, Source]
    now: datetime
    clock: Callable[[], datetime]
    function_of: Callable[[Metric], Callable[..., Any]]
    as_of: Mapping[str, datetime] = field(default_factory=dict)
    unopened: Mapping[str, SourceError] = field(default_factory=dict)
    """Sources for which there is no connection to be made, and why."""
    on_progress: OnProgress | None = None
    publish_seconds: float = PUBLISH_SECONDS
    folder: Path | None = None
    """The project's."""
    copies: frozenset[str] = frozenset()
    """Sources that are read elsewhere this once: what they are is neither compared nor recorded."""
    moved: tuple[str, ...] = ()
    """Sources that are said to be another database from now on."""
    identities: dict[str, Identity] = field(default_factory=dict)
    """What each source that was asked is."""
    owner: Mapping[str, str] = field(default_factory=dict)
    """Whose book it is, by what the ledger calls it."""
    stop: Callable[[], bool] = bool
    """Asked after each day that is whole: whether to publish that and end, as an interrupted run."""
    mask: Callable[[str], str] = str
    """Takes secrets out of what a driver or a user's function said, before it is kept."""


def run(means: RunContext, asked: RunRequest) -> RunReport:
    """Collect what is missing, oldest first, and the lookback. Raises Busy when another run is at work."""
    ledger = means.store.ledger
    began = time.monotonic()
    lease = ledger.acquire(JOB, now=means.clock(), seconds=LEASE_SECONDS)
    with _kept_alive(means, lease):
        number = ledger.start_run(JOB, now=means.clock())
        report = RunReport(run=number)
        status = "failed"
        try:
            record_owner(means, number)
            report.notes += _take_back(means, lease, number)
            plan = make_plan(means, asked)
            report.metrics = list(plan.reports.values())
            record_moved(means, plan.reports, number)
            _Runner(means, plan, lease, number).work()
            status = report.status
        except (KeyboardInterrupt, SystemExit):
            status = "interrupted"
            raise
        finally:
            for one in report.metrics:
                one.masked(means.mask)
            report.version = ledger.version()
            report.seconds = time.monotonic() - began
            ledger.finish_run(number, status, report.to_dict(), now=means.clock())
            close_sources(means.sources)
    return report


def _take_back(means: RunContext, lease: Lease, number: int) -> list[str]:
    """Take back what was collected under a clock that was ahead; what a person should know of it."""
    gone = taken_back(means.store.ledger, now=means.now, zone=means.catalog.book.timezone)
    if gone:
        engine = connect()
        Staging(engine)
        change = Commit(what=JOB, taken_back=gone.covered)
        means.store.publish(engine, change, lease=lease, run=number, now=means.clock())
        engine.close()
    return [f"{said}; they are taken back, and collected again where they have ended" for said in gone.in_words()]


def make_plan(means: RunContext, asked: RunRequest) -> RunPlan:
    """What a run would do. Asks the sources, touches nothing."""
    ledger, catalog = means.store.ledger, means.catalog
    kept = ledger.metric_keys()
    keys = {m.name: kept_under(kept, m.name, m.renamed_from) for m in catalog.metrics.values()}
    gone = taken_back(ledger, now=means.now, zone=catalog.book.timezone)
    known = gone.without(ledger.snapshot(keys.values()))
    horizons = {name: horizon_of(means, name) for name in _needed(catalog, asked)}
    losses = _losses(means, asked, [keys[name] for name in asked.metrics if name in keys])
    return Planner(catalog, known, keys, horizons, means.now, ledger, losses).plan(asked)


def _losses(means: RunContext, asked: RunRequest, keys: Sequence[str]) -> Losses:
    """The points files that cannot be read. Those whose days are asked for are given up; with `keys` only files of
    these metrics alone."""
    whole = means.store.ledger.snapshot(metrics=None if asked.first else [])
    found = means.store.losses(whole.files)
    if asked.first:
        last_closed = calendar.last_closed_day(means.now, means.catalog.book.timezone)
        found.give_up(whole, asked.first, asked.last or last_closed, keys, last_closed)
    return found


def _needed(catalog: Catalog, asked: RunRequest) -> list[str]:
    names = asked.metrics or tuple(catalog.metrics)
    metrics = [catalog.metrics[o] for name in names for o in catalog.operands(name)]
    return list(dict.fromkeys(m.source or "" for m in metrics if not m.derived))


def horizon_of(means: RunContext, name: str) -> Horizon | SourceError:
    """How far a source is known to be complete, or why it cannot be asked."""
    if name in means.unopened:
        return means.unopened[name]
    try:
        with isolated():
            check_identity(means, name)
            return horizon(means.sources.get(name), means.now, means.catalog.book.timezone, means.as_of.get(name))
    except SourceError as error:
        return error


@contextmanager
def _kept_alive(means: RunContext, lease: Lease) -> Iterator[None]:
    """Renew the lease from another thread while the block runs; give it back after."""
    stop = threading.Event()

    def renew() -> None:
        while not stop.wait(LEASE_SECONDS / 4):
            # A ledger that is held too long, a full disk: the next turn may do better, and the commit will tell.
            with suppress(TallybookError):
                if not means.store.ledger.renew(lease, now=means.clock(), seconds=LEASE_SECONDS):
                    break
        # What this thread held of the ledger, a connection perhaps, ends with it.
        means.store.ledger.close()

    thread = threading.Thread(target=renew, daemon=True, name="tallybook-lease")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        means.store.ledger.release(lease)


@contextmanager
def alone(store: Store, clock: Callable[[], datetime], what: str) -> Iterator[tuple[Lease, int, dict[str, Any]]]:
    """(the right to write, the number of this run, its report to fill in), for a deed of some minutes at most. Raises
    Busy while a run is at work."""
    lease = store.ledger.acquire(JOB, now=clock(), seconds=ALONE_SECONDS)
    try:
        run = store.ledger.start_run(what, now=clock())
        report: dict[str, Any] = {"metrics": []}
        status = "failed"
        try:
            yield lease, run, report
            status = "done"
        finally:
            store.ledger.finish_run(run, status, report, now=clock())
    finally:
        store.ledger.release(lease)


@dataclass
class Staged:
    """Steps of one metric and definition that are not published yet."""

    facts: BoundMetric
    instant: str | None
    steps: list[tuple[date, date]] = field(default_factory=list)

    @property
    def stretches(self) -> list[tuple[date, date]]:
        return calendar.merge_stretches(self.steps)


class _Runner:
    def __init__(self, means: RunContext, plan: RunPlan, lease: Lease, number: int) -> None:
        self.means, self.plan, self.lease, self.number = means, plan, lease, number
        self.engine = connect()
        most_dims = max((len(facts.metric.dims) for work in plan.works for facts in work.facts), default=0)
        self.staging = Staging(self.engine, most_dims, compressed=True)
        self.definitions = {(d.metric, d.id): d for d in plan.definitions}
        self.staged: dict[tuple[str, str], Staged] = {}
        self.again: dict[tuple[str, str], frozenset[date]] = {}
        self.looked_at: dict[Any, Any] = {}
        """What is known of columns, for groups that share them."""
        self.loads: dict[str, float] = {}
        """Seconds spent on late works, by source."""
        self.late = Counter(work.facts[0].metric.source or "" for work in plan.works if work.late)
        """Late works that are not done, by source."""
        self.published = time.monotonic()
        self.pause = means.publish_seconds
        """Seconds from the last publication to the next."""
        self.done, self.of = 0, sum(work.days * len(work.facts) for work in plan.works)
        self.points = 0

    def work(self) -> None:
        for work in self.plan.works:
            began = time.monotonic()
            self._group(work)
            self.late.subtract([work.facts[0].metric.source or ""] if work.late else [])
            for facts in work.facts:
                self._report(facts).seconds += (time.monotonic() - began) / len(work.facts)
        self._publish()
        self._give_up_the_rest()
        self._tell_waiting()
        self.engine.close()

    def _report(self, facts: BoundMetric) -> MetricReport:
        return self.plan.reports[facts.metric.name]

    # -- one group -------------------------------------------------------------------------------

    def _group(self, work: Work) -> None:
        for facts in work.facts:
            key = (facts.bound.key, facts.bound.definition)
            self.again[key] = self.again.get(key, frozenset()) | work.again.get(key, frozenset())
        try:
            if not self._in_one_form(work):
                return
            for step in _isolated_steps(self._as_allowed(work) if work.late else self._steps(work)):
                self._staged(work, step)
        except SourceUnavailable as error:
            self._failed(work, error)
        except SourceError as error:
            apart = isinstance(error, Inseparable) and work.group is not None and work.group.fused
            if len(work.facts) > 1 or apart:
                self._one_by_one(work, error, fused=not apart)
            else:
                self._failed(work, error)

    def _in_one_form(self, work: Work) -> bool:
        """Look for rows whose time is in another form than it is read in, and take their days out of the work. False when
        there is nothing left to do."""
        if work.group is None or work.snapshot_day is not None:
            return True
        first, last = min(a for a, _ in work.stretches), max(b for _, b in work.stretches)
        found = doubts(work.group, first, last, work.horizon.last_closed, self.looked_at)
        if found.misfits and len({facts.metric.where for facts in work.facts}) > 1:
            # Which of them count such a row, each says by its own `where`.
            self._one_by_one(work, found.misfits[0].error(work.facts[0].metric.name), fused=True)
            return False
        for facts in work.facts:
            report = self._report(facts)
            report.notes += [note for note in found.notes() if note not in report.notes]
        left = without_doubtful(work.stretches, found)
        for facts in work.facts:
            for misfits in found.misfits:
                error = misfits.error(facts.metric.name)
                if left != work.stretches:
                    self._report(facts).failed(error.message, error.hint)
                else:
                    self._report(facts).notes.append(f"{error.message}; on days that were not asked for")
        work.stretches = left
        return bool(left)

    def _steps(self, work: Work) -> Iterator[Step]:
        self._tell(
            work.facts[0].metric.name
            if len(work.facts) == 1
            else f"{work.facts[0].metric.name} and {len(work.facts) - 1} more"
        )
        if work.group is None:
            yield from self._function_steps(work)
        elif work.snapshot_day is not None:
            gather_now(work.group, work.snapshot_day, self.staging)
            yield Step(work.snapshot_day, work.snapshot_day)
        elif work.group.key.plan == INTERVAL_PLAN:
            for first, last in work.stretches:
                yield from gather_intervals(work.group, first, last, self.staging)
            self._tell_reversed(work)
        else:
            indexed = by_index(work.group, work.stretches[-1][1])
            for facts in work.facts:
                self._report(facts).plan = "a statement a day" if indexed else "one scan"
            seconds = self.means.publish_seconds
            say = functools.partial(self._note, work)
            yield from gather_days(work.group, work.stretches, self.staging, indexed, seconds, say)

    def _note(self, work: Work, note: str) -> None:
        for facts in work.facts:
            notes = self._report(facts).notes
            notes += [note] if note not in notes else []

    def _as_allowed(self, work: Work) -> Iterator[Step]:
        """A step at least, and more until the work's share of its source's `max_load` is used up."""
        name = work.facts[0].metric.source or ""
        share = (self.means.catalog.sources[name].max_load - self.loads.get(name, 0.0)) / max(1, self.late[name])
        steps, spent = self._steps(work), 0.0
        while spent <= share or not spent:
            began = time.monotonic()
            step = next(steps, None)
            took = time.monotonic() - began
            spent += took
            self.loads[name] = self.loads.get(name, 0.0) + took
            if step is None:
                return
            yield step

    def _tell_waiting(self) -> None:
        """Days whose facts changed, and that this run did not get to."""
        for facts in {id(f): f for work in self.plan.works for f in work.facts}.values():
            followed, report = self.plan.followed.get((facts.bound.key, facts.bound.definition)), self._report(facts)
            report.waiting = len(followed.waiting) if followed else 0
            if followed and report.waiting and not report.error:
                load = self.means.catalog.sources[report.source].max_load
                report.notes.append(
                    f"{count_phrase(report.waiting, 'day whose facts changed waits', 'days whose facts changed wait')} for the next run, the oldest is {min(followed.waiting)}: "
                    f"max_load of {report.source} is {load:g} s a run"
                )

    def _function_steps(self, work: Work) -> Iterator[Step]:
        facts = work.facts[0]
        function = self.means.function_of(facts.metric)
        source = work.horizon.source
        with source.sql_connection() if source else nullcontext() as connection:
            for first, last in work.stretches:
                for day in calendar.days(first, last):
                    gather_function(facts, function, connection, day, self.plan_zone, self.staging)
                    yield Step(day, day)

    @property
    def plan_zone(self) -> str:
        return self.means.catalog.book.timezone

    def _tell_reversed(self, work: Work) -> None:
        """Rows that end before they begin are left out; say how many there are."""
        assert work.group is not None
        sql = work.group.reversed_rows()
        if sql is None:
            return
        with work.group.source.snapshot() as reader:
            number = int(reader.rows(sql)[0][0])
        if number:
            for facts in work.facts:
                self._report(facts).notes.append(
                    f"{number} row{'s end' if number > 1 else ' ends'} no later than {'they begin and are' if number > 1 else 'it begins and is'} left out"
                )

    def _one_by_one(self, work: Work, error: SourceError, *, fused: bool) -> None:
        """A statement of several metrics failed: ask for each alone, so that only the broken ones fail. Not `fused`:
        for each of their keys, too."""
        assert work.group is not None
        self.staging.abandon()
        if len(work.facts) > 1:
            self._report(work.facts[0]).notes.append(
                f"{len(work.facts)} metrics that share a statement are read one by one, because it failed: {error.message}"
            )
        left = {facts.bound.key: self._drop_unfinished(work, facts) for facts in work.facts}
        for facts in work.facts:
            alone = Work(
                group=Group(work.group.source, work.group.key, [facts], work.group.zone, fused),
                facts=[facts],
                stretches=tuple(left[facts.bound.key]),
                horizon=work.horizon,
                snapshot_day=work.snapshot_day,
                again=work.again,
                late=work.late,
            )
            if alone.stretches:
                self._group(alone)

    def _failed(self, work: Work, error: SourceError) -> None:
        self.staging.abandon()
        for facts in work.facts:
            self._drop_unfinished(work, facts)
            self._report(facts).failed_by(error)

    def _drop_unfinished(self, work: Work, facts: BoundMetric) -> list[tuple[date, date]]:
        """Take back what a failed step has staged of a metric. Returns the days of the work that are not collected:
        what is published counts as collected."""
        key = (facts.bound.key, facts.bound.definition)
        left = calendar.subtract_stretches(work.stretches, work.finished.get(key, ()))
        self.staging.drop(*key, left)
        return left

    # -- staged days -------------------------------------------------------------------------------

    def _staged(self, work: Work, step: Step) -> None:
        days = (step.last - step.first).days + 1
        instant = utc_text(work.horizon.until) if work.snapshot_day else None
        for facts in self._within_max_series(work, step):
            key = (facts.bound.key, facts.bound.definition)
            self.staged.setdefault(key, Staged(facts, instant)).steps.append((step.first, step.last))
            work.finished.setdefault(key, []).append((step.first, step.last))
            self.done += days
        self._tell(work.facts[0].metric.name)
        size = self.staging.size()
        stop = self.means.stop()
        if stop or time.monotonic() - self.published > self.pause or size > PUBLISH_POINTS:
            self._publish()
        if stop:
            raise KeyboardInterrupt

    def _within_max_series(self, work: Work, step: Step) -> list[BoundMetric]:
        """The metrics of a step that have no more series a day than they may; the others fail for its days."""
        found = self._too_many_series(work, step)
        kept: list[BoundMetric] = []
        for facts in work.facts:
            seen = found.get((facts.bound.key, facts.bound.definition))
            if seen is None:
                kept.append(facts)
                continue
            day, number = seen
            self.staging.drop(facts.bound.key, facts.bound.definition, [(step.first, step.last)])
            self._report(facts).failed(
                f"{number} series on {day}, more than max_series = {facts.metric.max_series}",
                f"take a dimension out of by, or allow them: [metrics.{facts.metric.name}] max_series = {number * 2}",
            )
        return kept

    def _too_many_series(self, work: Work, step: Step) -> dict[tuple[str, str], tuple[date, int]]:
        """(first such day, series on it) of the metrics with more series on a day of the step than they may have."""
        found: dict[tuple[str, str], tuple[date, int]] = {}
        alike: dict[tuple[str, int], set[tuple[str, str]]] = {}
        for facts in work.facts:
            own = (facts.bound.key, facts.bound.definition)
            alike.setdefault((_series_count(facts), facts.metric.max_series), set()).add(own)
        for (number, most), several in alike.items():
            rows = self.engine.execute(
                f"SELECT metric, definition, day, {number} AS series FROM new_additive WHERE slot = 0 AND rows > 0 "
                f"AND day BETWEEN DATE '{step.first}' AND DATE '{step.last}' GROUP BY metric, definition, day "
                f"HAVING series > {most} ORDER BY day DESC"
            ).fetchall()
            found |= {(row[0], row[1]): (row[2], row[3]) for row in rows if (row[0], row[1]) in several}
        return found

    # -- publishing ----------------------------------------------------------------------------------

    def _publish(self) -> None:
        """What is staged becomes the book's next version, in one transaction."""
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
        self.pause = pause_after(self.published - began, self.means.publish_seconds)

    def _publish_one_by_one(self, error: SourceError) -> None:
        """The points of one of several metrics cannot be published: each goes by itself, so that only that one fails."""
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
        ledger = self.means.store.ledger
        record_identities(self.means, {one.facts.metric.source or "" for one in staged.values()}, self.number)
        self.means.store.publish(self.engine, change, lease=self.lease, run=self.number, now=self.means.clock())
        self.plan.followed |= followed
        self._count_points(chosen)
        for own, one in staged.items():
            facts, stretches = one.facts, one.stretches
            if facts.bound.key != facts.metric.name:
                ledger.bind_key(facts.metric.name, facts.bound.key)
            self._report(facts).revisions += revised.get(own, 0)
            days = sum((last - first).days + 1 for first, last in stretches)
            self._report(facts).saw(stretches[0][0], stretches[-1][1], days)

    def _followed(self, own: tuple[str, str], staged: Staged) -> Followed | None:
        """How far changes are followed once days are published, which then wait no more."""
        known = self.plan.followed.get(own)
        if known is None:
            return None
        waiting = [day for day in known.waiting if not any(a <= day <= b for a, b in staged.steps)]
        return replace(known, waiting=tuple(waiting))

    def _revise(self, change: Commit, staged: Mapping[tuple[str, str], Staged]) -> dict[tuple[str, str], int]:
        """Put what changed of earlier collected days into `change`; how many values of each metric."""
        store, number = self.means.store, {}
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
        """Files that cannot be read and whose days were asked for, but that no metric of this run has days in; and a
        note for each metric whose days were in one. Nothing is given up when every metric failed."""
        losses, store = self.plan.losses, self.means.store
        if not losses.files or all(one.error for one in self.plan.reports.values()):
            return
        current = {file.path for file in store.ledger.snapshot(metrics=[]).files}
        if any(file.path in current for file in losses.files):
            store.publish(
                self.engine,
                Commit(what=JOB, lost=losses.files),
                lease=self.lease,
                run=self.number,
                now=self.means.clock(),
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
                f"the points of {count_phrase(len(before), 'day', 'days')}{under} were in a file that cannot be read; how their values changed is unknown{left}"
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

    def _tell(self, what: str) -> None:
        if self.means.on_progress:
            self.means.on_progress(RunProgress(self.done, self.of, self.points + self.staging.size(), what))


def _isolated_steps(steps: Iterator[Step]) -> Iterator[Step]:
    """The same steps; whatever is raised while one is gathered is a SourceError."""
    while True:
        with isolated():
            step = next(steps, None)
        if step is None:
            return
        yield step


def pause_after(cost: float, least: float) -> float:
    """Seconds until the next publication, after one that took `cost` seconds. `least` 0: each step is published."""
    return max(least, min(PUBLISH_FACTOR * cost, MAX_PUBLISH_SECONDS)) if least else 0.0


def _series_count(facts: BoundMetric) -> str:
    """How many series the rows of one day are, in the engine's SQL."""
    if not facts.metric.per:
        return "count(*)"
    series = ", ".join(facts.bound.column(d) for d in facts.metric.series_dims)
    return f"count(DISTINCT ({series},))" if series else "1"


def published(store: Store, snapshot: VersionSnapshot, key: str, days: Sequence[date], kind: str) -> str | None:
    """The relation of what was published of a metric before."""
    files = [
        f
        for f in snapshot.files
        if f.kind == kind and f.metric in ("", key) and f.first <= days[-1] and f.last >= days[0]
    ]
    return store.scan(files) if files else None
