"""Runs one group of metrics after another: gathers and stages its days, and publishes them when it is time."""

from __future__ import annotations

import functools
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import date
from typing import Any

from tallybook.collect.binding import BoundMetric
from tallybook.collect.column_checks import check_columns, without_misfits
from tallybook.collect.gathering import Step, by_index, gather_days, gather_function, gather_intervals, gather_now
from tallybook.collect.grouping import INTERVAL_PLAN
from tallybook.collect.publishing import PUBLISH_POINTS, Publisher, StagedSteps
from tallybook.collect.run_context import RunContext
from tallybook.collect.statements import Group
from tallybook.collect.work import RunPlan, Work
from tallybook.core import Inseparable, SourceError, SourceUnavailable, calendar, count_phrase, isolated, utc_text
from tallybook.storage import Lease


class GroupRuns(Publisher):
    """Gathers and publishes the work of a plan."""

    def __init__(self, context: RunContext, plan: RunPlan, lease: Lease, number: int) -> None:
        super().__init__(context, plan, lease, number)
        self.looked_at: dict[Any, Any] = {}
        """Cached doubts about columns, shared by groups."""
        self.loads: dict[str, float] = {}
        """Seconds spent on late work, by source."""
        self.late = Counter(work.facts[0].metric.source or "" for work in plan.works if work.late)
        """Number of late works not done yet, by source."""

    def work(self) -> None:
        """Collect all works of the plan, and publish what is left at the end."""
        for work in self.plan.works:
            began = time.monotonic()
            self._group(work)
            self.late.subtract([work.facts[0].metric.source or ""] if work.late else [])
            for facts in work.facts:
                self._report(facts).seconds += (time.monotonic() - began) / len(work.facts)
        self._publish()
        self._give_up_the_rest()
        self._note_waiting_days()
        self.engine.close()

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
        """Whether days are left to collect after days with times in another form are removed. Those days are
        reported."""
        if work.group is None or work.snapshot_day is not None:
            return True
        first, last = min(a for a, _ in work.stretches), max(b for _, b in work.stretches)
        found = check_columns(work.group, first, last, work.horizon.last_closed, self.looked_at)
        if found.misfits and len({facts.metric.where for facts in work.facts}) > 1:
            # Each metric decides by its own `where` whether it counts such a row.
            self._one_by_one(work, found.misfits[0].error(work.facts[0].metric.name), fused=True)
            return False
        for facts in work.facts:
            report = self._report(facts)
            report.notes += [note for note in found.notes() if note not in report.notes]
        left = without_misfits(work.stretches, found)
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
        self._report_progress(
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
            self._note_reversed_rows(work)
        else:
            indexed = by_index(work.group, work.stretches[-1][1])
            for facts in work.facts:
                self._report(facts).plan = "a statement a day" if indexed else "one scan"
            seconds = self.context.publish_seconds
            say = functools.partial(self._note, work)
            yield from gather_days(work.group, work.stretches, self.staging, indexed, seconds, say)

    def _note(self, work: Work, note: str) -> None:
        for facts in work.facts:
            notes = self._report(facts).notes
            notes += [note] if note not in notes else []

    def _as_allowed(self, work: Work) -> Iterator[Step]:
        """Yield at least one step, and more until the source's share in `max_load` is used up."""
        name = work.facts[0].metric.source or ""
        share = (self.context.catalog.sources[name].max_load - self.loads.get(name, 0.0)) / max(1, self.late[name])
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

    def _note_waiting_days(self) -> None:
        """Note the days whose facts changed and that this run did not collect."""
        for facts in {id(f): f for work in self.plan.works for f in work.facts}.values():
            followed, report = self.plan.followed.get((facts.bound.key, facts.bound.definition)), self._report(facts)
            report.waiting = len(followed.waiting) if followed else 0
            if followed and report.waiting and not report.error:
                load = self.context.catalog.sources[report.source].max_load
                days = count_phrase(report.waiting, "day whose facts changed waits", "days whose facts changed wait")
                report.notes.append(
                    f"{days} for the next run, the oldest is {min(followed.waiting)}: "
                    f"max_load of {report.source} is {load:g} s a run"
                )

    def _function_steps(self, work: Work) -> Iterator[Step]:
        facts = work.facts[0]
        function = self.context.function_of(facts.metric)
        source = work.horizon.source
        with source.sql_connection() if source else nullcontext() as connection:
            for first, last in work.stretches:
                for day in calendar.days(first, last):
                    gather_function(facts, function, connection, day, self.plan_zone, self.staging)
                    yield Step(day, day)

    @property
    def plan_zone(self) -> str:
        return self.context.catalog.book.timezone

    def _note_reversed_rows(self, work: Work) -> None:
        """Note how many rows were skipped because their end is not after their start."""
        assert work.group is not None
        sql = work.group.reversed_rows()
        if sql is None:
            return
        with work.group.source.snapshot() as reader:
            number = int(reader.rows(sql)[0][0])
        if number:
            for facts in work.facts:
                rows = count_phrase(number, "row whose end is not after its", "rows whose end is not after their")
                self._report(facts).notes.append(f"skipped {rows} start")

    def _one_by_one(self, work: Work, error: SourceError, *, fused: bool) -> None:
        """Read each metric separately after a shared statement failed, so that only broken metrics fail.

        Without `fused`, each of their keys gets its own statement too."""
        assert work.group is not None
        self.staging.abandon()
        if len(work.facts) > 1:
            self._report(work.facts[0]).notes.append(
                f"{len(work.facts)} metrics that share a statement are read one by one, because it failed: "
                f"{error.message}"
            )
        left = {facts.bound.key: self._drop_unfinished(work, facts) for facts in work.facts}
        for facts in work.facts:
            single = Work(
                group=Group(work.group.source, work.group.key, [facts], work.group.zone, fused),
                facts=[facts],
                stretches=tuple(left[facts.bound.key]),
                horizon=work.horizon,
                snapshot_day=work.snapshot_day,
                again=work.again,
                late=work.late,
            )
            if single.stretches:
                self._group(single)

    def _failed(self, work: Work, error: SourceError) -> None:
        self.staging.abandon()
        for facts in work.facts:
            self._drop_unfinished(work, facts)
            self._report(facts).failed_by(error)

    def _drop_unfinished(self, work: Work, facts: BoundMetric) -> list[tuple[date, date]]:
        """Discard the rows of a metric that a failed step has staged. Returns the days of the work that are not
        collected. Published days count as collected."""
        key = (facts.bound.key, facts.bound.definition)
        left = calendar.subtract_stretches(work.stretches, work.finished.get(key, ()))
        self.staging.drop(*key, left)
        return left

    def _staged(self, work: Work, step: Step) -> None:
        days = (step.last - step.first).days + 1
        instant = utc_text(work.horizon.until) if work.snapshot_day else None
        for facts in self._within_max_series(work, step):
            key = (facts.bound.key, facts.bound.definition)
            self.staged.setdefault(key, StagedSteps(facts, instant)).steps.append((step.first, step.last))
            work.finished.setdefault(key, []).append((step.first, step.last))
            self.done += days
        self._report_progress(work.facts[0].metric.name)
        size = self.staging.size()
        stop = self.context.stop()
        if stop or time.monotonic() - self.published > self.pause or size > PUBLISH_POINTS:
            self._publish()
        if stop:
            raise KeyboardInterrupt

    def _within_max_series(self, work: Work, step: Step) -> list[BoundMetric]:
        """The metrics of a step that stay within their maximum number of series per day. The others fail for the days
        of the step."""
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
        """(first day, number of series) of each metric with too many series on a day of the step."""
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


def _isolated_steps(steps: Iterator[Step]) -> Iterator[Step]:
    """Yield the same steps, and turn anything raised while gathering into a SourceError."""
    while True:
        with isolated():
            step = next(steps, None)
        if step is None:
            return
        yield step


def _series_count(facts: BoundMetric) -> str:
    """SQL of the number of series on one day."""
    if not facts.metric.per:
        return "count(*)"
    series = ", ".join(facts.bound.column(d) for d in facts.metric.series_dims)
    return f"count(DISTINCT ({series},))" if series else "1"
