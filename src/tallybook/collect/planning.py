"""Plans which days of which metrics a run collects, and in which groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import msgspec

from tallybook.collect.binding import BoundMetric, bind
from tallybook.collect.first_days import FirstDays
from tallybook.collect.grouping import SNAPSHOT_PLAN, GroupKey, group_key
from tallybook.collect.late import MARGIN, Candidate, follow, in_order, not_followed_since
from tallybook.collect.report import MetricReport
from tallybook.collect.source_recency import SourceRecency, older_source_note, refuse_older
from tallybook.collect.statements import Group
from tallybook.collect.touched import is_marked
from tallybook.collect.work import Horizon, RunPlan, RunRequest, Work
from tallybook.core import (
    IMPORTED,
    ONE_DAY,
    BoundSlot,
    Catalog,
    Metric,
    Refused,
    SourceError,
    StoredDefinition,
    calendar,
    count_phrase,
    isolated,
    json_decoder,
    parse_measure,
)
from tallybook.storage import BadFile, Definition, Followed, Ledger, Losses, VersionSnapshot


class Planner(FirstDays):
    """Binds metrics to their sources and finds missing days."""

    def __init__(
        self,
        catalog: Catalog,
        known: VersionSnapshot,
        keys: Mapping[str, str],
        horizons: Mapping[str, Horizon | SourceError],
        now: datetime,
        ledger: Ledger | None = None,
        losses: Losses | None = None,
    ) -> None:
        """Without `ledger`, changes are not followed. Without `losses`, points files are not checked."""
        self.losses = losses or Losses((), lambda files: {})
        self.catalog, self.known, self.keys, self.horizons, self.now = catalog, known, keys, horizons, now
        self.zone, self.ledger = catalog.book.timezone, ledger
        self.followed = ledger.followed() if ledger else {}
        self.candidates: list[Candidate] = []
        self.looks = SourceRecency(ledger, now)

    def plan(self, asked: RunRequest) -> RunPlan:
        """The plan for a request. Raises Refused if a requested day is not over."""
        plan = RunPlan(losses=self.losses, keys=self.keys)
        groups: dict[tuple[Any, ...], Work] = {}
        for metric in self._collectable(asked.metrics):
            report = plan.reports[metric.name] = MetricReport(metric=metric.name, source=metric.source or "")
            found = self.horizons[metric.source or ""]
            if isinstance(found, SourceError):
                report.failed_by(found)
                continue
            plan.horizons[metric.source or ""] = found.until
            try:
                with isolated():
                    work, key = self._work(metric, found, asked, report, plan)
                    if work is not None:
                        self._check_files(work)
            except BadFile as bad:
                report.failed(bad.message, bad.hint)
                continue
            except SourceError as error:
                report.failed_by(error)
                continue
            if work is None:
                continue
            whole = (key, work.stretches, work.snapshot_day)
            if whole in groups and work.group is not None:
                groups[whole].facts += work.facts
                groups[whole].again |= work.again
            else:
                groups[whole if work.group is not None else (metric.name,)] = work
        for work in (*groups.values(), *self._late(plan)):
            if work.group is not None:
                work.group = Group(work.group.source, work.group.key, work.facts, self.zone)
            plan.works.append(work)
        return plan

    def _collectable(self, names: Sequence[str]) -> list[Metric]:
        wanted = [o for name in names for o in self.catalog.operands(name)] if names else list(self.catalog.metrics)
        found = [self.catalog.metrics[name] for name in dict.fromkeys(wanted)]
        return [m for m in found if not m.derived]

    def _work(
        self, metric: Metric, found: Horizon, asked: RunRequest, report: MetricReport, plan: RunPlan
    ) -> tuple[Work | None, GroupKey | None]:
        key = self.keys.get(metric.name, metric.name)
        facts = bind_metric(metric, found, self.zone, key, self.known)
        report.definition = facts.bound.definition
        plan.definitions.append(self._definition(facts.bound))
        if found.lagging and not metric.snapshot:
            report.not_ready = True
            report.notes.append(
                f"source {metric.source} is known only until {found.until:%Y-%m-%d %H:%M} UTC: later days stay "
                "uncovered"
            )
        group_of = None if metric.function else group_key(facts)
        group = None if group_of is None or found.source is None else Group(found.source, group_of, [facts], self.zone)
        if group_of is not None and group_of.plan == SNAPSHOT_PLAN:
            if asked.first or asked.last:
                report.notes.append("only its present can be seen; --from and --to do not reach it")
                return None, group_of
            day = self._snapshot_day(metric, found.until)
            further = self.looks.further((key, facts.bound.definition), metric.source or "", found.until)
            if day in further and not asked.older_source:
                report.notes.append(older_source_note(metric, found.until, {day: further[day]}))
                return None, group_of
            return Work(group=group, facts=[facts], stretches=((day, day),), horizon=found, snapshot_day=day), group_of
        days, again = self._days(facts, group, found, asked, report)
        if facts.changed is not None and group is not None and self.ledger is not None:
            self._follow(facts, group, found, days, asked, plan)
        if not days:
            return None, group_of
        stretches, own = tuple(calendar.stretches(days)), (key, facts.bound.definition)
        return Work(
            group=group, facts=[facts], stretches=stretches, horizon=found, again={own: frozenset(again)}
        ), group_of

    def _check_files(self, work: Work) -> None:
        """Raise BadFile if the days of a work are in a file that cannot be read and must not be replaced."""
        wanted = [day for first, last in work.stretches for day in calendar.days(first, last)]
        for facts in work.facts:
            self.losses.check(facts.bound.key, wanted)

    def _definition(self, bound: StoredDefinition) -> Definition:
        return Definition(
            metric=bound.key,
            id=bound.definition,
            declared=self.catalog.metrics[bound.metric.name].fingerprint(self.zone, {}),
            body=msgspec.json.encode(bound).decode(),
        )

    def _snapshot_day(self, metric: Metric, seen: datetime) -> date:
        """The day that a snapshot belongs to. Shortly after midnight it is the day just closed. A copy or a lagging
        replica is as old as its data."""
        today = calendar.day_of(seen, self.zone)
        early = (seen - calendar.start_of(today, self.zone)).total_seconds() <= metric.snapshot_grace
        return today - ONE_DAY if early else today

    # -- days ------------------------------------------------------------------------------------------

    def _days(
        self, facts: BoundMetric, group: Group | None, found: Horizon, asked: RunRequest, report: MetricReport
    ) -> tuple[set[date], set[date]]:
        """The days to collect, and which of them were covered before."""
        key, own = facts.bound.key, facts.bound.definition
        covered = _listed(self.known.coverage.get((key, own), ()))
        further = {} if asked.older_source else self.looks.further((key, own), facts.metric.source or "", found.until)
        if asked.first or asked.last:
            if asked.last and asked.last > found.last_closed:
                raise Refused(
                    f"{asked.last} is not over in source {facts.metric.source}: it is known until "
                    f"{found.until:%Y-%m-%d %H:%M} UTC",
                    ask=f"tallybook run --to {found.last_closed}, or tallybook query … --live --to today",
                )
            last = asked.last or found.last_closed
            first = (
                self._first_asked(asked.first, facts, group, found, covered, report)
                if asked.first
                else self._start(facts, group, found, covered, report)
            )
            days = self._vouched(facts.metric, found, set(calendar.days(first, last)), report)
            refuse_older(facts.metric, found.until, {d: further[d] for d in days & covered & set(further)})
            return days, days & covered
        start = self._start(facts, group, found, covered, report)
        every = self._vouched(facts.metric, found, set(calendar.days(start, found.last_closed)))
        older = self._known_under_older(key, own) - covered
        missing = every - covered - older
        lookback = facts.metric.lookback if facts.metric.lookback is not None else self.catalog.book.lookback
        recent = {d for i in range(lookback) if (d := found.last_closed - i * ONE_DAY) >= start}
        # After a pause, also the earlier days that were within the lookback at the last run.
        latest = max(covered, default=found.last_closed)
        recent |= {d for i in range(lookback - 1) if (d := latest - i * ONE_DAY) in covered & every}
        recent &= every
        recent |= self._changed_since(facts, found, covered) & every
        if left_alone := recent & covered & set(further):
            recent -= left_alone
            report.notes.append(older_source_note(facts.metric, found.until, {day: further[day] for day in left_alone}))
        left = (older & every) - recent
        if left:
            first, last = min(left), max(left)
            report.notes.append(
                f"{count_phrase(len(left), 'day is', 'days are')} known only under an older definition; to "
                "collect again: "
                f"tallybook run {facts.metric.name} --from {first} --to {last}"
            )
        days = missing | recent
        return days, days & covered

    def _vouched(
        self, metric: Metric, found: Horizon, days: set[date], report: MetricReport | None = None
    ) -> set[date]:
        """The days for which the source has all facts. `report` notes why others are left out."""
        if found.source is None:
            return days
        vouched = found.source.vouched(metric, sorted(days), self.zone)
        if report is not None and (unknown := days - vouched):
            why = found.source.why_unvouched(metric, sorted(unknown))
            report.notes += [why] if why else []
        return vouched

    def _changed_since(self, facts: BoundMetric, found: Horizon, covered: set[date]) -> set[date]:
        """Covered days whose facts changed, according to the source itself."""
        if found.source is None or self.ledger is None or not covered:
            return set()
        known = self.ledger.covered_days(facts.bound.key, min(covered), max(covered))
        return found.source.changed_since(facts.metric, [d for d in known if d.definition == facts.bound.definition])

    # -- days whose facts changed ----------------------------------------------------------------------

    def _follow(
        self, facts: BoundMetric, group: Group, found: Horizon, days: set[date], asked: RunRequest, plan: RunPlan
    ) -> None:
        """Record how far the changes of a metric are followed, and that they must be searched for."""
        bound, column, until = facts.bound, facts.changed_column or "", found.until
        own = (bound.key, bound.definition)
        covered = _listed(self.known.coverage.get(own, ()))
        known = self.followed.get(own)
        known = known if known and known.column == column else None
        if not covered:
            plan.followed[own] = Followed(metric=own[0], definition=own[1], column=column, seen=until - MARGIN)
        elif asked.first or asked.last or self.looks.older(facts.metric.source or "", until):
            if known:  # an older copy lacks what was written since
                plan.followed[own] = replace(known, seen=min(known.seen, until - MARGIN))
        elif closed := {day for day in covered if day <= found.last_closed}:
            assert self.ledger is not None
            since = (
                self.looks.seen(known.seen, facts.metric.source or "", until)
                if known
                else not_followed_since(self.ledger, *own, covered, self.now)
            )
            if since is None:
                plan.reports[facts.metric.name].notes.append(
                    f"{column} is followed from {until - MARGIN:%Y-%m-%d %H:%M} UTC on: "
                    "when the collected days were read is not known"
                )
            candidate = Candidate(
                facts=facts,
                group=group,
                covered=closed,
                normal=days,
                until=until,
                since=since or until - MARGIN,
                queue=known.waiting if known else (),
            )
            self.candidates.append(candidate)

    def _late(self, plan: RunPlan) -> list[Work]:
        """Search for changes, with one statement for metrics with the same facts. Returns the work for the days
        found."""
        search_key: dict[tuple[object, ...], list[Candidate]] = {}
        for candidate in self.candidates:
            search_key.setdefault(candidate.search_key, []).append(candidate)
        works: dict[tuple[Any, ...], Work] = {}
        for several in search_key.values():
            try:
                with isolated():
                    plan.searches.append(follow(several))
            except SourceError as error:
                for one in several:
                    report = plan.reports[one.facts.metric.name]
                    if one.facts.metric.changed:
                        report.failed_by(error, "what changed could not be looked for")
                    else:
                        report.notes.append(f"rows received after the lookback are not found: {error.message}")
                continue
            for one in several:
                self._add_late(one, plan, works)
        return list(works.values())

    def _add_late(self, one: Candidate, plan: RunPlan, works: dict[tuple[Any, ...], Work]) -> None:
        bound = one.facts.bound
        plan.followed[(bound.key, bound.definition)] = one.kept()
        stretches = in_order(one)
        if not stretches:
            return
        found = self.horizons[one.facts.metric.source or ""]
        assert isinstance(found, Horizon)
        work = Work(
            group=one.group,
            facts=[one.facts],
            stretches=stretches,
            horizon=found,
            late=True,
            again={(bound.key, bound.definition): frozenset(d for a, b in stretches for d in calendar.days(a, b))},
        )
        try:
            self._check_files(work)
        except BadFile as bad:
            plan.reports[one.facts.metric.name].failed(bad.message, bad.hint)
            return
        together = works.setdefault((one.group.key, stretches), work)
        if together is not work:
            together.facts.append(one.facts)
            together.again |= work.again

    def _known_under_older(self, key: str, own: str) -> set[date]:
        """The days known under an older definition that was collected. Imported days do not count, because they keep no
        day from being collected."""
        found: set[date] = set()
        imported = {d.id for d in self.known.definitions.get(key, ()) if d.declared == IMPORTED}
        for (metric, definition), stretches in self.known.coverage.items():
            if metric == key and definition != own and definition not in imported:
                found |= _listed(stretches)
        return found


def _listed(stretches: Sequence[Any]) -> set[date]:
    return {day for s in stretches for day in calendar.days(s.first, s.last)}


def bind_metric(metric: Metric, found: Horizon, zone: str, key: str, known: VersionSnapshot) -> BoundMetric:
    """The metric as bound to its source: types, times and definition. The last definition in `known` is kept if it
    still fits.

    Raises SourceError if the source lacks something that the metric reads."""
    if metric.function or found.source is None:
        return _function_facts(metric, zone, key)
    return bind(found.source, metric, zone, key, last_bound(metric, zone, key, known))


def last_bound(metric: Metric, zone: str, key: str, known: VersionSnapshot) -> StoredDefinition | None:
    """The definition under which the current declaration was last collected, or None if it never was."""
    declared = metric.fingerprint(zone, {})
    same = (d for d in known.definitions.get(key, ()) if d.declared == declared)
    bounds = [json_decoder(StoredDefinition).decode(definition.body) for definition in same]
    return next((bound for bound in bounds if is_marked(bound)), bounds[0] if bounds else None)


def _function_facts(metric: Metric, zone: str, key: str) -> BoundMetric:
    parsed = metric.parsed or parse_measure("sum(value)", "duckdb")
    whole = msgspec.structs.replace(metric, parsed=parsed)
    told = {"slot.0": "decimal"}
    bound = StoredDefinition(
        metric=whole,
        definition=whole.fingerprint(zone, told),
        key=key,
        zone=zone,
        forms=told,
        slots=(BoundSlot(type="decimal"),),
    )
    return BoundMetric(bound=bound, relation="", time=None, since=None, until=None, dims=(), args=((),))
