"""The statements of a group of metrics: fused SELECTs in the source's own dialect, and how to read their rows.

Metrics are fused that share facts, time column and dimensions. Every aggregate of ours is over CASE WHEN, so
one scan serves all of them. Bounds of days are literals; the time column stands bare beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from tallybook.collect.binding import BoundMetric, fill
from tallybook.collect.sources.base import Source
from tallybook.collect.sources.dialect import TimeForm
from tallybook.collect.sources.values import (
    DEC,
    INT,
    KEPT_DIGITS,
    TEXT,
    ColumnType,
    Moments,
    as_exact,
    as_float,
    as_integer,
    no_number,
)
from tallybook.core import (
    ADDITIVE,
    BUCKETS,
    BY_TIME,
    FLOAT,
    IDS,
    ONE_DAY,
    Slot,
    day_of,
    days,
    schema_and_table,
    start_of,
)

FLOW_PLAN, INTERVAL_PLAN, SNAPSHOT_PLAN = "days", "interval", "snapshot"
MOST_SETS = 8
"""Keyed plans in one statement: each has a table of its groups in the source's memory."""
MAX_COLUMNS = 500
"""Aggregates in one statement: SQLite admits 2,000 columns, PostgreSQL 1,664, Oracle 1,000."""
Read = Callable[[Sequence[Any]], Any]
"""From a row's values to one part."""


@dataclass(frozen=True)
class GroupKey:
    """What metrics must share to be collected by one statement."""

    source: str
    relation: str
    plan: str
    time: tuple[Any, ...]
    dims: tuple[str, ...]
    latest: tuple[Any, ...] = ()
    """Daily aggregates: (where, series, received)."""


def group_key(facts: BoundMetric) -> GroupKey:
    metric = facts.metric
    plan = INTERVAL_PLAN if metric.interval else SNAPSHOT_PLAN if metric.snapshot else FLOW_PLAN
    latest = (metric.where, metric.series, metric.received) if metric.daily_aggregate else ()
    time = (
        metric.time,
        facts.time,
        metric.from_,
        facts.since,
        metric.until,
        facts.until,
        metric.until_inclusive,
    )
    return GroupKey(metric.source or "", facts.relation, plan, time, metric.dims, latest)


@dataclass
class SelectList:
    """The SELECT list: every expression once."""

    expressions: list[str] = field(default_factory=list)
    _places: dict[str, int] = field(default_factory=dict)

    def add(self, expression: str) -> int:
        if expression not in self._places:
            self._places[expression] = len(self.expressions)
            self.expressions.append(expression)
        return self._places[expression]


@dataclass(frozen=True)
class SlotReader:
    """Reads the additive parts of one slot of one metric from a row: {part: reader}."""

    facts: BoundMetric
    index: int
    parts: dict[str, Read]


@dataclass
class AdditivePlan:
    """The fused additive SELECT of a group: its columns and who reads what."""

    columns: SelectList
    rows: list[tuple[BoundMetric, int]]
    slots: list[SlotReader]


@dataclass(frozen=True)
class KeyedPlan:
    """A SELECT of a row per (series, id) or (series, value): `takers` are (facts, slot, column of its count)."""

    shape: str
    keys: tuple[str, ...]
    """Expressions of the id or value."""
    kinds: tuple[str, ...]
    """How each arrives: text, int, decimal, float."""
    unit: int
    """Values arrive as so many units of 1 (SQLite's exact decimals)."""
    takers: tuple[tuple[BoundMetric, int], ...]
    counts: tuple[str, ...]
    condition: str | None
    only: str | None
    """The condition without the parts that say that there is a key."""
    by_time: str = ""
    """first or last: of each series only that fact; `keys` are its time and its value."""

    @property
    def columns(self) -> list[str]:
        """The columns of counts: each expression once, however many metrics share it."""
        return list(dict.fromkeys(self.counts))


@dataclass(frozen=True)
class Scan:
    """Keyed plans that one statement answers, each by a grouping set of its own; or one plan alone.

    The columns are day?, dimensions, the keys of all, `counts`, and of several plans whose row it is."""

    plans: tuple[KeyedPlan, ...]

    @property
    def keys(self) -> list[str]:
        return [key for plan in self.plans for key in plan.keys]

    @property
    def kinds(self) -> list[str]:
        """How the columns after the dimensions arrive."""
        marks = [INT] if len(self.plans) > 1 else []
        return [*(kind for plan in self.plans for kind in plan.kinds), *([INT] * len(self.counts)), *marks]

    @property
    def counts(self) -> list[str]:
        """The columns of counts: each expression once, however many plans and metrics share it."""
        return list(dict.fromkeys(count for plan in self.plans for count in plan.columns))

    @property
    def marks(self) -> list[int]:
        """What GROUPING(keys…) says in the rows of each plan: a 1 for every key that they are not grouped by."""
        most = len(self.plans)
        return [(1 << most) - 1 - (1 << (most - 1 - place)) for place in range(most)]


@dataclass
class Group:
    """Metrics collected together. Builds their statements; runs nothing."""

    source: Source
    key: GroupKey
    members: list[BoundMetric]
    zone: str
    fused: bool = True
    """Whether one statement may answer for several keys."""

    def __post_init__(self) -> None:
        first = self.members[0]
        self.metric = first.metric
        self.relation = first.relation
        self.dims = self._texts(first.metric.dims, first.dims)
        wheres = {m.metric.where for m in self.members}
        self.shared_where = next(iter(wheres)) if len(wheres) == 1 else None

    def _texts(self, columns: Sequence[str], types: Sequence[ColumnType]) -> list[str]:
        """Columns that tell things apart: by their letters, not by a collation."""
        return [self.source.text(self.source.quote(c), t) for c, t in zip(columns, types, strict=True)]

    # -- what is counted ------------------------------------------------------------------------

    def _condition(self, facts: BoundMetric, slot: Slot | None) -> str | None:
        """The metric's where and the slot's filter, as far as they do not stand in the statement's WHERE."""
        own = facts.metric.where if facts.metric.where != self.shared_where else None
        several = [f"({c}\n)" for c in (own, slot.filter if slot else None) if c]
        return " AND ".join(several) or None

    @staticmethod
    def _when(condition: str | None, value: str) -> str:
        return f"CASE WHEN {condition} THEN {value} END" if condition else value

    def additive(self) -> AdditivePlan:
        """The additive parts of all members in one statement."""
        plan = AdditivePlan(SelectList(), [], [])
        for facts in self.members:
            self._add_to(plan, facts)
        return plan

    def additives(self) -> list[AdditivePlan]:
        """The same as several statements, none of which has many more than MAX_COLUMNS columns."""
        plans = [AdditivePlan(SelectList(), [], [])]
        for facts in self.members:
            if len(plans[-1].columns.expressions) >= MAX_COLUMNS:
                plans.append(AdditivePlan(SelectList(), [], []))
            self._add_to(plans[-1], facts)
        return plans

    def _add_to(self, plan: AdditivePlan, facts: BoundMetric) -> None:
        plan.rows.append((facts, plan.columns.add(self._count(self._condition(facts, None), None))))
        for index, slot in enumerate(facts.bound.measure.slots):
            if slot.shape == ADDITIVE and not self._by_value(facts, index):
                parts = self._slot_parts(plan.columns, facts, index, slot)
                plan.slots.append(SlotReader(facts, index, self._of_numbers(plan.columns, facts, index, parts)))

    def _of_numbers(
        self, columns: SelectList, facts: BoundMetric, index: int, parts: dict[str, Read]
    ) -> dict[str, Read]:
        """Readers that refuse a row in which something counted is no number, where the source can contain that."""
        slot, types = facts.bound.measure.slots[index], facts.args[index]
        wrong = None if slot.agg == "count" else self.source.no_numbers(f"({slot.args[0]}\n)", types[0])
        if wrong is None:
            return parts
        condition = self._condition(facts, slot)
        wrong = f"({condition}) AND {wrong}" if condition else wrong
        number = columns.add(f"COUNT(CASE WHEN {wrong} THEN 1 END)")
        example = columns.add(f"MAX(CASE WHEN {wrong} THEN ({slot.args[0]}\n) END)")
        return {part: _if_numbers(read, number, example) for part, read in parts.items()}

    def _by_value(self, facts: BoundMetric, index: int) -> bool:
        """Some aggregates of an interval level need every value: what leaves may have been the least, or may have been so
        far away that taking it or its square away leaves no digit."""
        slot = facts.bound.measure.slots[index]
        floats = slot.agg in ("sum", "avg") and facts.bound.slots[index].type == FLOAT
        return self.key.plan == INTERVAL_PLAN and (slot.agg in ("min", "max") or slot.spread or floats)

    def _count(self, condition: str | None, value: str | None) -> str:
        if value is None:
            return self.source.count(self._when(condition, "1") if condition else "*")
        return self.source.count(self._when(condition, value))

    def _slot_parts(self, columns: SelectList, facts: BoundMetric, index: int, slot: Slot) -> dict[str, Read]:
        condition = self._condition(facts, slot)
        bound = facts.bound.slots[index]
        if slot.agg == "count":
            value = f"({slot.args[0]}\n)" if slot.args else None
            return {"n": _at(columns.add(self._count(condition, value)), as_integer)}
        value, type_ = f"({slot.args[0]}\n)", facts.args[index][0]
        suffix = "_f" if bound.type == FLOAT else ""
        convert = as_float if bound.type == FLOAT else as_exact
        if slot.agg in ("sum", "avg"):
            places = [columns.add(c) for c in self.source.total(self._when(condition, value), type_)]
            total = _total(self.source, places, type_, convert)
            if slot.agg == "sum":
                return {f"total{suffix}": total}
            return {f"total{suffix}": total, "n": _at(columns.add(self._count(condition, value)), as_integer)}
        if slot.agg in ("min", "max"):
            number = self.source.value(value, type_)
            place = columns.add(f"{slot.agg.upper()}({self._when(condition, number)})")
            part = ("low" if slot.agg == "min" else "high") + suffix
            lost = [columns.add(c) for c in self.source.rounded(self._when(condition, value), type_)]

            def read(row: Sequence[Any]) -> Any:
                self.source.read_rounded([row[p] for p in lost], type_)
                return convert(self.source.read_value(row[place], type_))

            return {part: read}
        places = [columns.add(c) for c in self.source.spread(self._when(condition, value), type_)]
        return _spread(self.source, places, columns.add(self._count(condition, value)))

    def keyed(self) -> list[KeyedPlan]:
        """The statements with a row per id or value; slots over the same ids share one."""
        found: dict[tuple[Any, ...], list[tuple[BoundMetric, int, Slot]]] = {}
        for facts in self.members:
            for index, slot in enumerate(facts.bound.measure.slots):
                if slot.shape != ADDITIVE or self._by_value(facts, index):
                    shape = slot.shape if slot.shape != ADDITIVE else "values"
                    bound = facts.bound.slots[index]
                    # Which fact is the first depends on which take part.
                    own = (slot.agg, self._condition(facts, slot)) if slot.agg in BY_TIME else ()
                    key = (shape, slot.args, facts.args[index], bound.type, bound.ids, slot.counts_null, own)
                    found.setdefault(key, []).append((facts, index, slot))
        return [self._keyed(key[0], several) for key, several in found.items()]

    def _keyed(self, shape: str, several: list[tuple[BoundMetric, int, Slot]]) -> KeyedPlan:
        facts, index, slot = several[0]
        keys, kinds, unit = self._key_columns(facts, index, slot, shape)
        if slot.agg in BY_TIME:
            form, column = self._time()
            keys, kinds = (self.source.fetched_time(column, form), *keys), (TEXT, *kinds)
        conditions = [self._condition(f, s) for f, _, s in several]
        present = [] if slot.counts_null else [f"({arg}\n) IS NOT NULL" for arg in slot.args]
        only = None if None in conditions else " OR ".join(dict.fromkeys(f"({c})" for c in conditions if c))
        return KeyedPlan(
            shape=shape,
            keys=keys,
            kinds=kinds,
            unit=unit,
            takers=tuple((f, i) for f, i, _ in several),
            counts=tuple(self._count(c if len(several) > 1 else None, None) for c in conditions),
            condition=" AND ".join([*present, *([f"({only})"] if only else [])]) or None,
            only=only,
            by_time=slot.agg if slot.agg in BY_TIME else "",
        )

    def scans(self, *, split: bool) -> list[Scan]:
        """The keyed plans, as many as possible in one statement: for single days, whose groups fit into memory."""
        plans = self.keyed()
        names = [plan.keys for plan in plans]
        together = [p for p in plans if len(p.keys) == 1 and names.count(p.keys) == 1]
        if split or not (self.fused and self.source.grouping_sets):
            together = []
        apart = [Scan((plan,)) for plan in plans if plan not in together]
        return apart + [Scan(tuple(together[i : i + MOST_SETS])) for i in range(0, len(together), MOST_SETS)]

    def _key_columns(
        self, facts: BoundMetric, index: int, slot: Slot, shape: str
    ) -> tuple[tuple[str, ...], tuple[str, ...], int]:
        types, bound = facts.args[index], facts.bound.slots[index]
        args = [f"({arg}\n)" for arg in slot.args]
        if shape == BUCKETS:
            return (self.source.number_key(self.source.float(args[0]), args[0], types[0]),), (FLOAT,), 1
        if shape == IDS and slot.agg == "count_distinct":
            if bound.ids == "int":
                return (self.source.value(args[0], types[0]),), (INT,), 1
            return (
                tuple(self.source.text(a, t) for a, t in zip(args, types, strict=True)),
                (TEXT,) * len(args),
                1,
            )
        if bound.type == FLOAT:
            return (self.source.number_key(self.source.float(args[0]), args[0], types[0]),), (FLOAT,), 1
        whole = self.source.kind.money_as_integers and types[0].kind == DEC and bool(types[0].scale)
        return (
            (self.source.number_key(self.source.value_key(args[0], types[0]), args[0], types[0]),),
            (INT if whole else DEC,),
            10 ** min(types[0].scale or 0, KEPT_DIGITS) if whole else 1,
        )

    # -- statements ---------------------------------------------------------------------------------

    def select(
        self,
        columns: Sequence[str],
        first: date,
        last: date,
        *,
        split: bool,
        condition: str | None = None,
        keys: Sequence[str] = (),
    ) -> str:
        """One statement over the days first … last; with `split` its first column counts days from `first`."""
        day, relation, where = self._from(first, last, split=split)
        where += [condition] if condition else []
        return self._sorted_by(self._select([*day, *self.dims, *keys], columns, relation, where), keys)

    def reaching(self, day: date) -> str:
        """A statement whose plan says how a day's facts are found: of joined tables by the one that has the time,
        because the others are always reached through an index."""
        reach = self.members[0].reach
        if reach is None:
            return self.select(self.additives()[0].columns.expressions, day, day, split=False)
        table, column = reach
        form, _ = self._time()
        bounds = self._bound_pair(day), self._bound_pair(day + ONE_DAY)
        within = self.source.within(self.source.quote(column), form, *bounds)
        return self._select([], [self.source.count("*")], self.source.table_name(table), [within])

    def scan(self, scan: Scan, first: date, last: date, *, split: bool) -> str:
        """The statement of one or several keyed plans."""
        if len(scan.plans) == 1:
            (plan,) = scan.plans
            if plan.by_time:
                return self._by_time(plan, first, last, split=split)
            return self.select(plan.columns, first, last, split=split, condition=plan.condition, keys=plan.keys)
        keys = [self._when(plan.only, plan.keys[0]) for plan in scan.plans]
        day, relation, where = self._from(first, last, split=split)
        heads = [*day, *self.dims]
        shared = [str(i + 1) for i in range(len(heads))]
        sets = [f"({', '.join([*shared, str(len(heads) + i + 1)])})" for i in range(len(keys))]
        columns = [*heads, *keys, *scan.counts, f"GROUPING({', '.join(keys)})"]
        return f"{self._select([], columns, relation, where)} GROUP BY GROUPING SETS ({', '.join(sets)})"

    def _by_time(self, plan: KeyedPlan, first: date, last: date, *, split: bool) -> str:
        """One row for each day and series: the time and the value of its first or last fact. Of several at the very
        same time it is the least or the greatest, so that the order in which the source reads them does not matter."""
        day, relation, where = self._from(first, last, split=split)
        form, column = self._time()
        heads = [*day, *self.dims]
        shown = [*heads, *plan.keys, self.source.time_value(column, form)]
        names = [f"c{i}" for i in range(len(shown))]
        value, order = names[-2], names[-1]
        where += [plan.condition] if plan.condition else []
        listed = ", ".join(f"{expression} AS {name}" for expression, name in zip(shown, names, strict=True))
        parts = [part for name, head in zip(names, heads, strict=False) for part in self.source.parted(name, head)]
        partition = f"PARTITION BY {', '.join(parts)} " if heads else ""
        end = "" if plan.by_time == "first" else " DESC"
        if form.name == "text_offset":  # some sources read its instants in whole seconds: ties are settled by us
            ranked = f"RANK() OVER ({partition}ORDER BY {order}{end}) AS tallybook_rank"
        else:
            ranked = f"ROW_NUMBER() OVER ({partition}ORDER BY {order}{end}, {value}{end}) AS tallybook_rank"
        conditions = f" WHERE {' AND '.join(where)}" if where else ""
        facts = f"(SELECT {listed} FROM {relation}{conditions}) x"
        kept = ", ".join([*names[:-1], *(f"1 AS c{len(names) - 1 + i}" for i in range(len(plan.columns)))])
        return f"SELECT {kept} FROM (SELECT x.*, {ranked} FROM {facts}) y WHERE tallybook_rank = 1"

    def _from(self, first: date, last: date, *, split: bool) -> tuple[list[str], str, list[str]]:
        """(which day it is, with `split`; what stands after FROM; conditions) for the days first … last."""
        form, column = self._time()
        bounds = self._bounds(form, first, last)
        start, end = self._bound_pair(first), self._bound_pair(last + ONE_DAY)
        relation = fill(self.relation, self.source, form, self.zone, first, last + ONE_DAY)
        value = self.source.time_value(column, form)
        if split and value != column:
            # What is compared at every fork of the tree of days is computed once a row.
            relation, value = self._timed(relation, value, self.source.wide(column, start, end)), _TIME
            within = self.source.between(value, form, start, end)
        else:
            within = self.source.within(column, form, start, end)
        where = [within, *self._real(column, form, first, last), *self._shared()]
        day = self.source.stretch(value, bounds) if split else None
        if self.key.latest:
            # Which value is the latest is settled before anything is asked of it.
            relation, where = self._latest(relation, where, day), []
        return [day] if day else [], relation, where

    def _real(self, column: str, form: TimeForm, first: date, last: date) -> list[str]:
        """Leaves out 30 February and other days that no month has: they lie where one month ends and the next begins."""
        around = days(first - ONE_DAY, last + ONE_DAY)
        real = self.source.real_day(column, form) if any((day + ONE_DAY).day == 1 for day in around) else None
        return [real] if real else []

    def _begun(self) -> list[str]:
        """Leaves out intervals that begin on no day."""
        form, column = self.members[0].since, self.source.quote(self.metric.from_ or "")
        assert form is not None
        real = self.source.real_day(column, form)
        return [real] if real else []

    def _not_ended(self) -> str:
        form, column = self.members[0].until, self.source.quote(self.metric.until or "")
        assert form is not None
        return self.source.not_ended(column, form)

    def _ended(self) -> list[str]:
        """Leaves out ends that are of no day, which no row can be counted until."""
        form, column = self.members[0].until, self.source.quote(self.metric.until or "")
        assert form is not None
        real = self.source.real_day(column, form)
        return [real] if real else []

    def select_now(self, columns: Sequence[str], *, condition: str | None = None, keys: Sequence[str] = ()) -> str:
        """One statement over all facts, as they are now."""
        where = [*self._shared(), *([condition] if condition else [])]
        return self._sorted_by(self._select([*self.dims, *keys], columns, self.relation, where), keys)

    def _sorted_by(self, select: str, keys: Sequence[str]) -> str:
        """A SELECT as this source best groups it by `keys`, which have many distinct values."""
        return f"SELECT {self.source.many_groups}{select.removeprefix('SELECT ')}" if keys else select

    def interval_selects(
        self,
        columns: Sequence[str],
        first: date,
        last: date,
        *,
        condition: str | None = None,
        keys: Sequence[str] = (),
    ) -> list[tuple[int, str, bool]]:
        """(sign, statement, has a day column): what holds when the window opens, what begins, what ends in it.

        A row counts as beginning on a day only if it still holds at its end, and as ending only if it held at
        its start: so reversed and zero-length rows cancel out, whichever way round they lie."""
        source, metric, facts = self.source, self.metric, self.members[0]
        assert facts.since is not None
        since = source.time_value(source.quote(metric.from_ or ""), facts.since)
        turns = self._bounds(facts.since, first, last)
        opening = [f"{since} < {self._literal(facts.since, first)}"]
        begins = [self._within_days(metric.from_ or "", facts.since, first, last)]
        ends: list[tuple[str, list[str]]] = []
        if facts.until is not None and metric.until is not None:
            until = source.time_value(source.quote(metric.until), facts.until)
            first_end, *ends_at = self._ends_of_days(facts.until, first, last)
            lasts, real = self._not_ended(), "".join(f" AND {one}" for one in self._ended())
            opening.append(f"({lasts} OR {until} >= {first_end}{real})")
            begins.append(f"({lasts} OR {until} >= {source.in_stretch(since, turns, ends_at)}{real})")
            ends.append(self._ends(facts.since, since, facts.until, until, first, last))
        rest, heads = [*self._begun(), *self._shared(), *([condition] if condition else [])], [*self.dims, *keys]
        return [
            (1, self._select(heads, columns, self.relation, [*opening, *rest]), False),
            (1, self._select([source.stretch(since, turns), *heads], columns, self.relation, [*begins, *rest]), True),
            *((-1, self._select([day, *heads], columns, self.relation, [*where, *rest]), True) for day, where in ends),
        ]

    def _ends(
        self, begun: TimeForm, since: str, ended: TimeForm, until: str, first: date, last: date
    ) -> tuple[str, list[str]]:
        """(the day on which a row ends, conditions that it does so in the window, having held before)."""
        begins_at = [self._literal(begun, day) for day in days(first, last)]
        turns, shift = self._ends_of_days(ended, first, last)[1:-1], self._until_shift
        within = self._within_days(self.metric.until or "", ended, first + shift, last + shift)
        held = f"{since} < {self.source.in_stretch(until, turns, begins_at)}"
        return self.source.stretch(until, turns), [within, held, *self._ended()]

    @property
    def _until_shift(self) -> timedelta:
        return -ONE_DAY if self.metric.until_inclusive else timedelta()

    def _ends_of_days(self, form: TimeForm, first: date, last: date) -> list[str]:
        """Where the day before `first`, and each of the days, end for a column that says until when a row holds."""
        return [self._literal(form, day + self._until_shift) for day in days(first, last + ONE_DAY)]

    def reversed_rows(self) -> str | None:
        """A statement that counts the rows that end no later than they begin."""
        metric, facts = self.metric, self.members[0]
        if not metric.until or facts.until is None or facts.since is None:
            return None
        since = self.source.time_value(self.source.quote(metric.from_ or ""), facts.since)
        until = self.source.time_value(self.source.quote(metric.until), facts.until)
        sign = "<" if metric.until_inclusive else "<="
        ends = [f"{until} {sign} {since}", f"NOT ({self._not_ended()})", *self._begun(), *self._ended()]
        return self._select([], [self.source.count("*")], self.relation, [*ends, *self._shared()])

    def changed_since(self, instant: datetime, first: date, last: date) -> str:
        """Where facts lie that were written at `instant` or later, whatever `where` says of them by now: the days, `first`
        being 1 and what is before 0; of intervals the least of the days on which one begins, `first` and what is before being 0.

        The time stands in no condition, or an index on it could be taken for the better one."""
        source, metric, written = self.source, self.metric, self.members[0].changed
        assert written is not None
        column = source.quote(metric.changed or "")
        if written.zone != "UTC":  # an hour that clocks on the wall show twice is taken as the first of the two
            instant -= timedelta(hours=1)
        day = day_of(instant, self.zone) - ONE_DAY
        late = [f"{source.time_value(column, written)} >= {source.bound(written, instant, day)}"]
        if written.name == "text_offset":
            late.insert(0, f"{column} >= '{day - ONE_DAY}'")
        if self.key.plan == INTERVAL_PLAN:
            return self._select([], [self._begins(first, last)], self.relation, late)
        form, time = self._time()
        bounds = self._bounds(form, first - ONE_DAY, last + ONE_DAY)
        day_of_fact = source.stretch(source.time_value(time, form), bounds)
        return f"SELECT DISTINCT {day_of_fact} AS c0 FROM {self.relation} WHERE {' AND '.join(late)}"

    def changed_between(self, start: datetime, end: datetime) -> str:
        """How many facts were written from `start` to before `end`, and the latest of these times."""
        written, column = self.members[0].changed, self.source.quote(self.metric.changed or "")
        assert written is not None
        bounds = [self.source.bound(written, instant, day_of(instant, self.zone)) for instant in (start, end)]
        latest = self.source.fetched_time(f"MAX({column})", written)
        within = [f"{column} >= {bounds[0]}", f"{column} < {bounds[1]}"]
        return self._select([], [self.source.count("*"), latest], self.relation, within)

    def earliest(self) -> str:
        """A statement for the earliest time of the facts that a calendar has."""
        metric, facts = self.metric, self.members[0]
        column, form = self.source.quote(metric.time or metric.from_ or ""), facts.time or facts.since
        assert form is not None
        least = self.source.fetched_time(self.source.least(column), form)
        return f"SELECT {least} FROM {self.relation} WHERE {' AND '.join(self.source.possible(column, form))}"

    # -- pieces ---------------------------------------------------------------------------------------

    def _begins(self, first: date, last: date) -> str:
        """How many days after `first` the earliest interval begins: 0 also for what has no such beginning, the number of
        days for what begins after `last`."""
        form = self.members[0].since
        assert form is not None
        since = self.source.time_value(self.source.quote(self.metric.from_ or ""), form)
        return self.source.least(self.source.stretch(since, self._bounds(form, first, last + ONE_DAY)))

    def _select(self, heads: Sequence[str], columns: Sequence[str], relation: str, where: Sequence[str]) -> str:
        listed = ", ".join(f"{expression} AS c{i}" for i, expression in enumerate([*heads, *columns]))
        conditions = f" WHERE {' AND '.join(where)}" if where else ""
        keys = [key for i, head in enumerate(heads) for key in self.source.grouping(i + 1, head)]
        grouped = f" GROUP BY {', '.join(keys)}" if keys else ""
        return f"SELECT {listed} FROM {relation}{conditions}{grouped}"

    def _time(self) -> tuple[TimeForm, str]:
        form = self.members[0].time
        assert form is not None
        assert self.metric.time is not None
        return form, self.source.quote(self.metric.time)

    def _shared(self) -> list[str]:
        return [f"({self.shared_where}\n)"] if self.shared_where else []

    def _within_days(self, column: str, form: TimeForm, first: date, last: date) -> str:
        return self.source.within(
            self.source.quote(column), form, self._bound_pair(first), self._bound_pair(last + ONE_DAY)
        )

    def _bound_pair(self, day: date) -> tuple[Any, date]:
        return start_of(day, self.zone), day

    def _literal(self, form: TimeForm, day: date) -> str:
        return self.source.bound(form, start_of(day, self.zone), day)

    def _bounds(self, form: TimeForm, first: date, last: date) -> list[str]:
        """Where each day after `first` begins."""
        return [self._literal(form, first + i * ONE_DAY) for i in range(1, (last - first).days + 1)]

    def _timed(self, relation: str, value: str, wide: str) -> str:
        """The relation with the instant of each row beside its columns, under the name it had."""
        name = "f" if self.metric.table is None else self.source.quote(schema_and_table(self.metric.table)[1])
        inner = f"SELECT *, {value} AS {_TIME} FROM {relation} WHERE {wide}{self.source.apart}"
        return f"({inner}) {name}"

    def _latest(self, relation: str, where: list[str], day: str | None) -> str:
        """Of several values of a day and series only the one received last."""
        quote, metric = self.source.quote, self.metric
        texts = self._texts(metric.series, self.members[0].series)
        series = [*([day] if day else []), *(part for text in texts for part in self.source.parted(text, text))]
        order = dict.fromkeys(c for c in (metric.received, metric.time) if c)
        ranked = ", ".join(f"{quote(c)} DESC" for c in order)
        return (
            f"(SELECT * FROM (SELECT x.*, ROW_NUMBER() OVER (PARTITION BY {', '.join(series)} ORDER BY {ranked}) "
            f"AS tallybook_rank FROM (SELECT * FROM {relation} WHERE {' AND '.join(where)}) x) y "
            "WHERE tallybook_rank = 1) f"
        )


_TIME = "tallybook_time"


@dataclass(frozen=True)
class At:
    """Reads one column, converted."""

    place: int
    convert: Callable[[Any], Any]

    def __call__(self, row: Sequence[Any]) -> Any:
        return self.convert(row[self.place])


def _at(place: int, convert: Callable[[Any], Any]) -> Read:
    return At(place, convert)


def _if_numbers(read: Read, number: int, example: int) -> Read:
    def checked(row: Sequence[Any]) -> Any:
        if row[number]:
            raise no_number(row[example], int(row[number]))
        return read(row)

    return checked


def _spread(source: Source, places: list[int], count: int) -> dict[str, Read]:
    """Squares around a K that is the mean of the values, so that the sum of distances to it is 0."""

    seen: list[Any] = [None, (None, None)]  # the last row, which is read for three parts

    def read(row: Sequence[Any]) -> Moments:
        if seen[0] is not row:
            seen[:] = row, source.read_spread([row[place] for place in places])
        found: Moments = seen[1]
        return found

    def squares(row: Sequence[Any]) -> float | None:
        variance = read(row)[1]
        return None if variance is None else variance * int(row[count])

    def distances(row: Sequence[Any]) -> float | None:
        return None if read(row)[0] is None else 0.0

    return {"n": _at(count, as_integer), "k": lambda row: read(row)[0], "s1": distances, "s2": squares}


def _total(source: Source, places: list[int], type_: ColumnType, convert: Callable[[Any], Any]) -> Read:
    return lambda row: convert(source.read_total([row[p] for p in places], type_))
