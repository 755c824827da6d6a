"""Plans the columns for the metrics of a group: additive parts side by side, and rows per id or value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tallybook.collect.binding import BoundMetric
from tallybook.collect.grouping import INTERVAL_PLAN
from tallybook.collect.part_readers import checked_numbers, read_column, read_spread, read_total
from tallybook.collect.plans import AdditivePlan, KeyedPlan, Read, Scan, SelectList, SlotReader
from tallybook.collect.sources.values import DEC, INT, KEPT_DIGITS, TEXT, as_exact, as_float, as_integer
from tallybook.collect.statement_pieces import StatementPieces
from tallybook.core import ADDITIVE, BUCKETS, BY_TIME, FLOAT, IDS, Slot

MAX_SETS = 8
"""Maximum number of keyed plans in one statement. Each needs a table of its groups in the source's memory."""


MAX_COLUMNS = 500
"""Maximum number of aggregates in one statement. SQLite allows 2,000 columns, PostgreSQL 1,664, Oracle 1,000."""


class PlannedGroup(StatementPieces):
    """The plans of a group: which columns its statements have, and which readers use them."""

    def _condition(self, facts: BoundMetric, slot: Slot | None) -> str | None:
        """The metric's where and the slot's filter, as far as they are not in the statement's WHERE."""
        own = facts.metric.where if facts.metric.where != self.shared_where else None
        several = [f"({c}\n)" for c in (own, slot.filter if slot else None) if c]
        return " AND ".join(several) or None

    def additive(self) -> AdditivePlan:
        """The additive parts of all members in one statement."""
        plan = AdditivePlan(SelectList(), [], [])
        for facts in self.members:
            self._add_to(plan, facts)
        return plan

    def additives(self) -> list[AdditivePlan]:
        """The additive parts, split into several statements with about MAX_COLUMNS columns each at most."""
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
        """Readers that refuse a row in which a counted value is not a number, if the source can contain such values."""
        slot, types = facts.bound.measure.slots[index], facts.args[index]
        wrong = None if slot.agg == "count" else self.source.no_numbers(f"({slot.args[0]}\n)", types[0])
        if wrong is None:
            return parts
        condition = self._condition(facts, slot)
        wrong = f"({condition}) AND {wrong}" if condition else wrong
        number = columns.add(f"COUNT(CASE WHEN {wrong} THEN 1 END)")
        example = columns.add(f"MAX(CASE WHEN {wrong} THEN ({slot.args[0]}\n) END)")
        return {part: checked_numbers(read, number, example) for part, read in parts.items()}

    def _by_value(self, facts: BoundMetric, index: int) -> bool:
        """Whether an aggregate of an interval level needs every value instead of only sums.

        A value that ends may have been the smallest one, or so large that subtracting it or its square leaves no
        digits."""
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
            return {"n": read_column(columns.add(self._count(condition, value)), as_integer)}
        value, type_ = f"({slot.args[0]}\n)", facts.args[index][0]
        suffix = "_f" if bound.type == FLOAT else ""
        convert = as_float if bound.type == FLOAT else as_exact
        if slot.agg in ("sum", "avg"):
            places = [columns.add(c) for c in self.source.total(self._when(condition, value), type_)]
            total = read_total(self.source, places, type_, convert)
            if slot.agg == "sum":
                return {f"total{suffix}": total}
            return {f"total{suffix}": total, "n": read_column(columns.add(self._count(condition, value)), as_integer)}
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
        return read_spread(self.source, places, columns.add(self._count(condition, value)))

    def keyed(self) -> list[KeyedPlan]:
        """The statements with a row per id or value. Slots over the same ids share one."""
        found: dict[tuple[Any, ...], list[tuple[BoundMetric, int, Slot]]] = {}
        for facts in self.members:
            for index, slot in enumerate(facts.bound.measure.slots):
                if slot.shape != ADDITIVE or self._by_value(facts, index):
                    shape = slot.shape if slot.shape != ADDITIVE else "values"
                    bound = facts.bound.slots[index]
                    # The first fact depends on which facts take part.
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
        """The keyed plans, as many as possible in one statement. For single days, whose groups fit into memory."""
        plans = self.keyed()
        names = [plan.keys for plan in plans]
        together = [p for p in plans if len(p.keys) == 1 and names.count(p.keys) == 1]
        if split or not (self.fused and self.source.grouping_sets):
            together = []
        apart = [Scan((plan,)) for plan in plans if plan not in together]
        return apart + [Scan(tuple(together[i : i + MAX_SETS])) for i in range(0, len(together), MAX_SETS)]

    def _key_columns(
        self, facts: BoundMetric, index: int, slot: Slot, shape: str
    ) -> tuple[tuple[str, ...], tuple[str, ...], int]:
        types, bound = facts.args[index], facts.bound.slots[index]
        args = [f"({arg}\n)" for arg in slot.args]
        if shape == BUCKETS:
            return (self.source.number_key(self.source.float_of(args[0], types[0]), args[0], types[0]),), (FLOAT,), 1
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
