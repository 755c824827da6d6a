"""Computes values from points in the engine's SQL: carry per series, then dimensions inside each day, then time.

`Parts` builds, for one metric, relations (g, dimensions…, rows, value, approximate, carried). g is the key by which
parts are merged: a period, a day or a chosen day of a period."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING

from tallybook.core import ADDITIVE, BUCKETS, EXACT, FLOAT, StoredDefinition, Then, merge_sql, plus_days, render
from tallybook.query.computed_dimensions import Computed, ComputedDimension, with_computed
from tallybook.query.filter_texts import Filter
from tallybook.query.merged_slots import OVERFLOW, MergedSlots
from tallybook.query.point_relations import Points
from tallybook.query.second_step import second_step
from tallybook.query.steps import Steps
from tallybook.storage import literal

if TYPE_CHECKING:
    from tallybook.query.context import Coverage


@dataclass(frozen=True)
class Parts:
    """One metric's points as SQL. `relations`: {kind: points}. `carry_until`: values are carried at most to this
    day."""

    bound: StoredDefinition
    relations: Mapping[str, Points]
    by: Sequence[str]
    where: Sequence[Filter] = ()
    but: tuple[tuple[str, ...], tuple[tuple[str | None, ...], ...]] | None = None
    """(dimensions, series in them that are excluded)."""
    carry_until: date | None = None
    together: Sequence[StoredDefinition] = ()
    """More metrics with the same measure and dimensions, merged in the same pass. k0 is then the metric."""
    hidden: Mapping[tuple[str, str], Coverage] = field(default_factory=dict)
    """Days by (metric, definition) whose points are not counted."""
    computed: Computed = field(default_factory=dict)
    """Dimensions that are computed instead of stored, by name."""
    entity: str | None = None
    """Inside a measure of two steps: the column of the entity, after the dimensions."""
    wide: bool = False
    """Whether numbers that overflow become null, with a reason in `lost`. This form is slower."""

    def _column(self, dimension: str) -> str:
        computed = self.computed.get(dimension)
        return computed.column if computed else self.bound.column(dimension)

    @property
    def _needed(self) -> list[ComputedDimension]:
        """The computed dimensions that the question uses to split or filter."""
        excluded = self.but[0] if self.but else ()
        names = dict.fromkeys([*self.by, *(one.dimension for one in self.where), *excluded])
        return [self.computed[name] for name in names if name in self.computed]

    # -- the points that take part -------------------------------------------------------------------

    @property
    def dims(self) -> list[str]:
        """The columns that the answer is split by. With several metrics, the metric comes first."""
        own = [self._column(d) for d in (*self.by, *([self.entity] if self.entity else []))]
        return ["metric", *own] if self.together else own

    def points(self, kind: str, first: date, last: date, slot: int | None = None) -> str:
        """SELECT of the points of some days that pass the filters, with `carried`."""
        return f"SELECT *, FALSE AS carried\n{self._chosen(kind, first, last, slot)}"

    def _chosen(self, kind: str, first: date, last: date, slot: int | None, periods: str = "") -> str:
        """FROM and WHERE for the points `p` of some days, joined to the step `periods` if given."""
        relation, bounds = self.relations[kind], (self.bound, *self.together)
        carry = self.bound.metric.carry
        read = relation.sql if carry else with_computed(relation.sql, self.bound, self._needed)
        conditions = [_one_of("definition", [b.definition for b in bounds])]
        if not relation.within(first, last):
            conditions.append(f"day BETWEEN DATE '{first}' AND DATE '{last}'")
        if not relation.one_metric and not self.together:  # with several metrics, k0 is the metric
            conditions.append(_one_of("metric", [b.key for b in bounds]))
        only_one = kind != ADDITIVE and sum(s.shape == kind for s in self.bound.measure.slots) == 1
        if slot is not None and not only_one:
            conditions.append(f"slot = {slot}")
        conditions += self._not_hidden() + self._filters(computed=False)
        conditions += [] if carry else self._filters(computed=True)
        joined = f" JOIN {periods} t ON p.day BETWEEN t.first AND t.last" if periods else ""
        return f"FROM {read} p{joined}\nWHERE {' AND '.join(conditions)}"

    def _not_hidden(self) -> list[str]:
        found = {(b.key, b.definition): self.hidden.get((b.key, b.definition)) for b in (self.bound, *self.together)}
        return [
            f"NOT (metric = {literal(metric)} AND definition = {literal(definition)} AND {days.sql('day')})"
            if self.together
            else f"NOT {days.sql('day')}"
            for (metric, definition), days in found.items()
            if days is not None
        ]

    def _filters(self, *, computed: bool) -> list[str]:
        """The conditions on stored or on computed dimensions.

        Conditions on the same dimension are combined by or for = and by and for !=. Null is an ordinary value."""
        found: dict[tuple[int, str], list[str]] = {}
        conditions = []
        for one in self.where:
            if (one.dimension in self.computed) != computed:
                continue
            column = self._column(one.dimension)
            value = literal(one.value if computed else self.bound.label(one.dimension, one.value))
            if one.equal:
                found.setdefault((one.group, column), []).append(f"{column} IS NOT DISTINCT FROM {value}")
            else:
                conditions.append(f"{column} IS DISTINCT FROM {value}")
        if self.but is not None and self.but[1] and computed == any(name in self.computed for name in self.but[0]):
            names, series = self.but
            own = [self._column(name) for name in names]
            alike = [
                " AND ".join(f"{c} IS NOT DISTINCT FROM {literal(v)}" for c, v in zip(own, one, strict=True))
                for one in series
            ]
            conditions.append(f"NOT ({' OR '.join(f'({one})' for one in alike)})")
        return conditions + [f"({' OR '.join(several)})" for several in found.values()]

    def _carried(self, steps: Steps, kind: str, first: date, last: date, slot: int | None, prefix: str) -> str:
        """Add the points of some days, with each series carried over days without a row, up to the declared limit.

        Returns the title of the step."""
        carry = self.bound.metric.carry
        if not carry:
            return steps.add(f"{prefix}points", self.points(kind, first, last, slot))
        stored = [self.bound.column(d) for d in self.bound.metric.dims]
        reach, until = plus_days(first, -carry), min(last, self.carry_until or last)
        points = steps.add(f"{prefix}points", self.points(kind, reach, last, slot))
        facts = steps.add(f"{prefix}facts", self.points(ADDITIVE, reach, last, 0))
        listed = ", ".join([*stored, "day"])
        seen = steps.add(f"{prefix}seen", f"SELECT DISTINCT {listed}\nFROM {facts}\nWHERE rows > 0")
        partition = f"PARTITION BY {', '.join(stored)} " if stored else ""
        spans = steps.add(
            f"{prefix}spans",
            f"SELECT {listed},\n"
            f"  least(\n    day + {carry},\n"
            f"    coalesce(lead(day) OVER ({partition}ORDER BY day) - 1, day + {carry}),\n"
            f"    greatest(DATE '{until}', day)\n  ) AS upto\nFROM {seen}",
        )
        shown = steps.add(
            f"{prefix}shown_days",
            f"SELECT {', '.join([*stored, 'day AS src'])},\n"
            f"  unnest(generate_series(day, upto, INTERVAL 1 DAY))::DATE AS shown\nFROM {spans}",
        )
        same = " AND ".join(["p.day = s.src", *(f"p.{d} IS NOT DISTINCT FROM s.{d}" for d in stored)])
        carried = steps.add(
            f"{prefix}carried_points",
            "SELECT p.* REPLACE (s.shown AS day, s.shown > s.src AS carried)\n"
            f"FROM {points} p JOIN {shown} s ON {same}\nWHERE s.shown BETWEEN DATE '{first}' AND DATE '{last}'",
        )
        if not self._needed:
            return carried
        chosen = " AND ".join(self._filters(computed=True)) or "TRUE"
        read = with_computed(carried, self.bound, self._needed)
        return steps.add(f"{prefix}with_attributes", f"SELECT *\nFROM {read} p\nWHERE {chosen}")

    # -- merged and finished --------------------------------------------------------------------------

    @property
    def _keys(self) -> list[str]:
        """The key columns of a row in an answer."""
        return ["g", *(f"k{i}" for i in range(len(self.dims)))]

    def finished(self, group: str, first: date, last: date, *, targets: str | None = None) -> str:
        """SELECT g, k0…, rows, value, approximate, carried, lost of the days first … last, merged by `group`.

        `lost` is 0, or OVERFLOW or DIGITS if the value is missing for that reason. `targets`: a relation (period,
        first, last) with the days of each period; g is then the period."""
        second = self.bound.metric.second
        if second is not None and self.entity is None:
            return self._of_entities(second, group, first, last, targets)
        steps = Steps()

        def grouped(kind: str, slot: int | None, prefix: str) -> str:
            periods = steps.add(f"{prefix}periods", targets) if targets else ""
            g = "t.period" if targets else group
            keys = "".join(f", p.{d} AS k{i}" for i, d in enumerate(self.dims))
            if not self.bound.metric.carry:  # saves the engine one step
                chosen = self._chosen(kind, first, last, slot, periods)
                return steps.add(f"{prefix}points", f"SELECT {g} AS g{keys}, p.*, FALSE AS carried\n{chosen}")
            points = self._carried(steps, kind, first, last, slot, prefix)
            joined = f" JOIN {periods} t ON p.day BETWEEN t.first AND t.last" if periods else ""
            return steps.add(f"{prefix}grouped", f"SELECT {g} AS g{keys}, p.*\nFROM {points} p{joined}")

        slots = self._slots(steps, grouped)
        base = slots.additive()
        shapes = [slot.shape for slot in self.bound.measure.slots]
        joins = [slots.joined(index) for index, shape in enumerate(shapes) if shape != ADDITIVE]
        approximate = [f"coalesce(j{index}.wide, FALSE)" for index, shape in enumerate(shapes) if shape == BUCKETS]
        value, lost = slots.value([slots.leaf(index) for index in range(len(shapes))])
        keys = ", ".join(f"b.{key}" for key in self._keys)
        sources = "\n".join([f"FROM {base} b", *joins])
        return steps.select(
            f"SELECT {keys}, b.rows,\n  {value} AS value,\n  {' OR '.join(approximate) or 'FALSE'} AS approximate,\n"
            f"  b.carried,\n  {lost} AS lost\n{sources}\nWHERE b.rows > 0"
        )

    def fetched(self, finished: str) -> str:
        """SELECT g, k0…, value, approximate, carried, lost of `finished`, with exact values as text.

        The engine returns a text three times as fast as a decimal."""
        value = "value" if self.value_type() == FLOAT else "CAST(value AS VARCHAR) AS value"
        return f"SELECT {', '.join(self._keys)}, {value}, approximate, carried, lost\nFROM (\n{finished}\n)"

    def _of_entities(self, second: Then, group: str, first: date, last: date, targets: str | None) -> str:
        """`finished` for each entity over all its facts of a period, then one number over all entities.

        Facts without an entity are excluded, and so are entities without a fact, which are unknown here."""
        inner = replace(self, entity=self.bound.metric.per)
        keys = ", ".join(self._keys)
        own = f"FILTER (k{len(self.dims)} IS NOT NULL)"
        value, kind = second_step(second, inner.value_type(), own, wide=self.wide)
        lost = f"coalesce(max(lost) {own}, 0)"
        if self.wide and second.agg == "sum" and kind != FLOAT:
            lost = f"CASE WHEN {lost} = 0 AND {value} IS NULL THEN {OVERFLOW} ELSE {lost} END"
        value = f"CASE WHEN {lost} = 0 THEN CAST({value} AS {'DOUBLE' if kind == FLOAT else EXACT}) END"
        steps = Steps()
        entities = steps.add("entities", inner.finished(group, first, last, targets=targets))
        return steps.select(
            f"SELECT {keys}, {merge_sql(ADDITIVE, 'rows')} AS rows,\n  {value} AS value,\n"
            f"  coalesce(bool_or(approximate) {own}, FALSE) AS approximate,\n"
            f"  bool_or(carried) AS carried,\n  {lost} AS lost\nFROM {entities}\nGROUP BY {keys}"
        )

    def value_type(self) -> str:
        """The type of `value`: integer, decimal or float."""
        second = self.bound.metric.second
        if second is not None and self.entity is None:
            inner = replace(self, entity=self.bound.metric.per)
            return second_step(second, inner.value_type(), "")[1]
        slots = self._slots(Steps(), lambda *_: "")
        return render(self.bound.measure.shell, [slots.leaf(i) for i in range(len(self.bound.slots))])[1]

    def _slots(self, steps: Steps, grouped: Callable[[str, int | None, str], str]) -> MergedSlots:
        return MergedSlots(bound=self.bound, keys=self._keys, wide=self.wide, steps=steps, grouped=grouped)

    def present(self, period: str, first: date, last: date, *, carried: bool = False) -> str:
        """SELECT g, k0… of each series with a fact in the period. With `carried`, only of carried ones."""
        steps = Steps()
        points = self._carried(steps, ADDITIVE, first, last, 0, "")
        keys = "".join(f", {d} AS k{i}" for i, d in enumerate(self.dims))
        only = " AND carried" if carried else ""
        return steps.select(f"SELECT DISTINCT {period} AS g{keys}\nFROM {points}\nWHERE rows > 0{only}")


def _one_of(column: str, values: Sequence[str]) -> str:
    listed = ", ".join(literal(v) for v in dict.fromkeys(values))
    return f"{column} = {listed}" if len(set(values)) == 1 else f"{column} IN ({listed})"
