"""Which days of which metrics a run collects, and in which groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from tallybook import calendar
from tallybook.calendar import ONE_DAY
from tallybook.collect.bind import Facts, bind
from tallybook.collect.report import MetricReport
from tallybook.collect.statements import SNAPSHOT_PLAN, Group, GroupKey, group_key
from tallybook.errors import Refused, SourceError, SourceUnavailable
from tallybook.measure import parse_measure
from tallybook.metrics import Bound, BoundSlot, Catalog, Metric
from tallybook.sources.base import Source, TimeForm, as_instant
from tallybook.store.ledger import Definition, Snapshot

Stretches = tuple[tuple[date, date], ...]
TWO_YEARS = timedelta(days=730)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a run was asked for. `first`/`last`: these days again, whether covered or not."""

    metrics: tuple[str, ...] = ()
    first: date | None = None
    last: date | None = None


@dataclass(kw_only=True)
class Horizon:
    """How far a source is known to be complete."""

    source: Source | None
    """None: a Python metric that needs no database."""
    until: datetime
    last_closed: date
    lagging: bool
    """Behind the last day that is over by our own clock."""


@dataclass(kw_only=True)
class Work:
    """One group and the days to collect for it. `function` metrics stand alone."""

    group: Group | None
    facts: list[Facts]
    stretches: Stretches
    horizon: Horizon
    snapshot_day: date | None = None
    again: frozenset[date] = frozenset()
    """Days that were covered before."""

    @property
    def days(self) -> int:
        return sum((b - a).days + 1 for a, b in self.stretches)


@dataclass(kw_only=True)
class Plan:
    """All work of a run, oldest days first within each group, and a report per metric to fill in."""

    works: list[Work] = field(default_factory=list)
    reports: dict[str, MetricReport] = field(default_factory=dict)
    definitions: list[Definition] = field(default_factory=list)


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
    until = min(until, now)
    last_closed = calendar.last_closed_day(until, zone)
    return Horizon(
        source=source,
        until=until,
        last_closed=last_closed,
        lagging=last_closed < calendar.last_closed_day(now, zone),
    )


class Planner:
    """Binds metrics to their sources and finds out which days are missing."""

    def __init__(
        self,
        catalog: Catalog,
        known: Snapshot,
        keys: Mapping[str, str],
        horizons: Mapping[str, Horizon | SourceError],
        now: datetime,
    ) -> None:
        self.catalog, self.known, self.keys, self.horizons, self.now = catalog, known, keys, horizons, now
        self.zone = catalog.book.timezone

    def plan(self, asked: Asked) -> Plan:
        """Raises Refused when a day is asked for that is not over."""
        plan = Plan()
        groups: dict[tuple[Any, ...], Work] = {}
        for metric in self._collectable(asked.metrics):
            report = plan.reports[metric.name] = MetricReport(metric=metric.name, source=metric.source or "")
            found = self.horizons[metric.source or ""]
            if isinstance(found, SourceError):
                report.failed(found.message, found.hint, unavailable=isinstance(found, SourceUnavailable))
                continue
            try:
                work, key = self._work(metric, found, asked, report, plan)
            except SourceError as error:
                report.failed(error.message, error.hint, unavailable=isinstance(error, SourceUnavailable))
                continue
            if work is None:
                continue
            whole = (key, work.stretches, work.snapshot_day)
            if whole in groups and work.group is not None:
                groups[whole].facts += work.facts
            else:
                groups[whole if work.group is not None else (metric.name,)] = work
        for work in groups.values():
            if work.group is not None:
                work.group = Group(work.group.source, work.group.key, work.facts, self.zone)
            plan.works.append(work)
        return plan

    def _collectable(self, names: Sequence[str]) -> list[Metric]:
        wanted = [o for name in names for o in self.catalog.operands(name)] if names else list(self.catalog.metrics)
        found = [self.catalog.metrics[name] for name in dict.fromkeys(wanted)]
        return [m for m in found if not m.derived]

    def _work(
        self, metric: Metric, found: Horizon, asked: Asked, report: MetricReport, plan: Plan
    ) -> tuple[Work | None, GroupKey | None]:
        key = self.keys.get(metric.name, metric.name)
        facts = self._bound(metric, found, key)
        report.definition = facts.bound.definition
        plan.definitions.append(self._definition(facts.bound))
        if found.lagging and not metric.snapshot:
            report.not_ready = True
            report.notes.append(
                f"source {metric.source} is known only until {found.until:%Y-%m-%d %H:%M} UTC: later days stay uncovered"
            )
        group_of = None if metric.function else group_key(facts)
        group = None if group_of is None or found.source is None else Group(found.source, group_of, [facts], self.zone)
        if group_of is not None and group_of.plan == SNAPSHOT_PLAN:
            if asked.first or asked.last:
                report.notes.append("only its present can be seen; --from and --to do not reach it")
                return None, group_of
            day = self._snapshot_day(metric, found.until)
            return Work(group=group, facts=[facts], stretches=((day, day),), horizon=found, snapshot_day=day), group_of
        days, again = self._days(facts, group, found, asked, report)
        if not days:
            return None, group_of
        stretches = tuple(calendar.stretches(days))
        return Work(group=group, facts=[facts], stretches=stretches, horizon=found, again=frozenset(again)), group_of

    def _bound(self, metric: Metric, found: Horizon, key: str) -> Facts:
        known = self._known_bound(metric, key)
        if metric.function or found.source is None:
            return _function_facts(metric, self.zone, key)
        return bind(found.source, metric, self.zone, key, known)

    def _known_bound(self, metric: Metric, key: str) -> Bound | None:
        declared = metric.fingerprint(self.zone, {})
        for definition in self.known.definitions.get(key, ()):
            if definition.declared == declared:
                return msgspec.json.decode(definition.body, type=Bound)
        return None

    def _definition(self, bound: Bound) -> Definition:
        return Definition(
            metric=bound.key, id=bound.definition, declared=self.catalog.metrics[bound.metric.name].fingerprint(self.zone, {}),
            body=msgspec.json.encode(bound).decode(),
        )  # fmt: skip

    def _snapshot_day(self, metric: Metric, seen: datetime) -> date:
        """The day a snapshot belongs to: shortly after midnight still the one just closed. What a copy or a
        lagging replica shows is as old as it is."""
        today = calendar.day_of(seen, self.zone)
        early = (seen - calendar.start_of(today, self.zone)).total_seconds() <= metric.snapshot_grace
        return today - ONE_DAY if early else today

    # -- days ------------------------------------------------------------------------------------------

    def _days(
        self, facts: Facts, group: Group | None, found: Horizon, asked: Asked, report: MetricReport
    ) -> tuple[set[date], set[date]]:
        """(days to collect, those of them that were covered before)."""
        key, own = facts.bound.key, facts.bound.definition
        covered = _listed(self.known.coverage.get((key, own), ()))
        if asked.first or asked.last:
            if asked.last and asked.last > found.last_closed:
                raise Refused(
                    f"{asked.last} is not over in source {facts.metric.source}: it is known until {found.until:%Y-%m-%d %H:%M} UTC",
                    ask=f"tallybook run --to {found.last_closed}, or tallybook query … --live --to today",
                )
            last = asked.last or found.last_closed
            first = asked.first or self._start(facts, group, found, covered, report)
            days = set(calendar.days(first, last))
            return days, days & covered
        start = self._start(facts, group, found, covered, report)
        every = set(calendar.days(start, found.last_closed))
        older = self._known_under_older(key, own) - covered
        missing = every - covered - older
        lookback = facts.metric.lookback if facts.metric.lookback is not None else self.catalog.book.lookback
        recent = {d for i in range(lookback) if (d := found.last_closed - i * ONE_DAY) >= start}
        # After a pause: the days before it that were not yet so old when they were last looked at.
        latest = max(covered, default=found.last_closed)
        recent |= {d for i in range(lookback - 1) if (d := latest - i * ONE_DAY) in covered & every}
        left = (older & every) - recent
        if left:
            first, last = min(left), max(left)
            report.notes.append(
                f"{len(left)} days are known only under an older definition; collect them again: "
                f"tallybook run {facts.metric.name} --from {first} --to {last}"
            )
        days = missing | recent
        return days, days & covered

    def _known_under_older(self, key: str, own: str) -> set[date]:
        found: set[date] = set()
        for (metric, definition), stretches in self.known.coverage.items():
            if metric == key and definition != own:
                found |= _listed(stretches)
        return found

    def _start(
        self, facts: Facts, group: Group | None, found: Horizon, covered: set[date], report: MetricReport
    ) -> date:
        declared = facts.metric.start or self.catalog.book.start
        if declared:
            return declared
        if covered:
            return min(covered)
        if group is None:
            report.notes.append(
                f'no start is declared: collected from {found.last_closed}; start = "2024-01-01" reaches back'
            )
            return found.last_closed
        earliest = self._earliest(facts, group, found)
        if earliest is None:
            return found.last_closed
        floor = found.last_closed - TWO_YEARS + ONE_DAY
        if earliest < floor:
            report.notes.append(
                f'its first fact is of {earliest}; collected from {floor}, two years back; start = "{earliest}" reaches all'
            )
        return max(earliest, floor)

    def _earliest(self, facts: Facts, group: Group, found: Horizon) -> date | None:
        """The day of the first fact; None when there is none, or the facts cannot be looked at as a whole."""
        form = facts.time or facts.since
        assert form is not None
        if "{{" in group.relation:
            return found.last_closed - TWO_YEARS + ONE_DAY
        with group.source.snapshot() as reader:
            value = reader.rows(group.extreme("MIN"))[0][0]
        return None if value is None else min(day_of_value(value, form, self.zone), found.last_closed + ONE_DAY)


def _listed(stretches: Sequence[Any]) -> set[date]:
    return {day for s in stretches for day in calendar.days(s.first, s.last)}


def day_of_value(value: Any, form: TimeForm, zone: str) -> date:
    """The local day of a time as a source gives it."""
    if form.by_day:
        return date.fromisoformat(str(value)[:10])
    if form.name in ("epoch_s", "epoch_ms"):
        seconds = float(value) / (1000 if form.name == "epoch_ms" else 1)
        return calendar.day_of(datetime.fromtimestamp(seconds, UTC), zone)
    if isinstance(value, str) and form.name == "text_offset":
        # The least text is not always the least instant; a day earlier is never too late.
        return calendar.day_of(as_instant(value), zone) - ONE_DAY
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime) and value.tzinfo is None:
        value = value.replace(tzinfo=calendar.zone(form.zone))
    return calendar.day_of(as_instant(value), zone)


def _function_facts(metric: Metric, zone: str, key: str) -> Facts:
    parsed = metric.parsed or parse_measure("sum(value)", "duckdb")
    whole = msgspec.structs.replace(metric, parsed=parsed)
    told = {"slot.0": "decimal"}
    bound = Bound(
        metric=whole,
        definition=whole.fingerprint(zone, told),
        key=key,
        zone=zone,
        forms=told,
        slots=(BoundSlot(type="decimal"),),
    )
    return Facts(bound=bound, relation="", time=None, since=None, until=None, dims=(), args=((),))


__all__ = ["Asked", "Decimal", "Horizon", "Plan", "Planner", "Work", "horizon"]
