"""Computes the value of a measure from the points of each slot: merged parts, joined by period and series."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tallybook.core import (
    ADDITIVE,
    BUCKETS,
    BY_TIME,
    EXACT,
    FLOAT,
    IDS,
    INTEGER,
    PARTS_OF,
    StoredDefinition,
    merge_sql,
    part_column,
    render,
)
from tallybook.query.exact_sums import wide_sum
from tallybook.query.steps import Steps

OVERFLOW, DIGITS = 1, 2
"""Values of `lost`: the value does not fit its type, or too few of its digits are left."""
LAST_DIGIT = 2.0**-53
MAX_RELATIVE_ERROR = 1e-6
"""A variance is null if its squares may be off by more than this fraction.

The error is LAST_DIGIT of Σ(x−K)² of each part, times the number of added values."""
BUCKET_MIDDLE = """CASE
    WHEN low_f = high_f THEN low_f
    WHEN low_f > 0 OR high_f < 0 THEN 2 * low_f * (high_f / (low_f + high_f))
    ELSE (low_f + high_f) / 2
  END"""
"""The harmonic mean of the bounds of a bucket, which is within 1 % of each value in it."""
ONE_PART = "{'n': CAST(n AS DOUBLE), 'k': coalesce(k, 0), 's1': s1, 's2': s2}"
"""A part of squares, with its own K."""


@dataclass(frozen=True, kw_only=True)
class MergedSlots:
    """The steps of one measure. `keys`: g and the dimensions.

    `grouped(kind, slot, prefix)` adds a step with the points of a kind and their keys, and returns its title."""

    bound: StoredDefinition
    keys: Sequence[str]
    wide: bool
    steps: Steps
    grouped: Callable[[str, int | None, str], str]

    @property
    def _listed(self) -> str:
        return ", ".join(self.keys)

    # -- leaves of the shell -----------------------------------------------------------------------

    def leaf(self, index: int) -> tuple[str, str]:
        """(SQL, type) of the value of one slot, over the merged parts `b` and the joined slots `j0` …."""
        slot, type_ = self.bound.measure.slots[index], self.bound.slots[index].type
        if slot.shape == ADDITIVE:
            return self._additive_leaf(index)
        match slot.agg:
            case "count_distinct":
                return f"CAST(coalesce(j{index}.v, 0) AS {EXACT})", INTEGER
            case "sum_distinct":
                return f"coalesce(j{index}.v, 0)", type_
            case "first" | "last":
                return f"j{index}.v", type_
        return f"j{index}.v", FLOAT

    def _additive_leaf(self, index: int) -> tuple[str, str]:
        agg, type_ = self.bound.measure.slots[index].agg, self.bound.slots[index].type
        suffix = "_f" if type_ == FLOAT else ""
        match agg:
            case "count":
                return f"CAST(coalesce(b.n{index}, 0) AS {EXACT})", INTEGER
            case "sum":
                return f"coalesce(b.total{suffix}{index}, 0)", type_
            case "avg":
                total = f"b.float{index}" if self.wide and not suffix else f"CAST(b.total{suffix}{index} AS DOUBLE)"
                return f"({total} / nullif(b.n{index}, 0))", FLOAT
            case "min" | "max":
                return f"b.{'low' if agg == 'min' else 'high'}{suffix}{index}", type_
        n = f"b.n{index}"
        least, divisor = (2, f"({n} - 1)") if agg.endswith("samp") else (1, n)
        variance = f"CASE WHEN {n} >= {least} THEN b.squares{index} / {divisor} END"
        return (f"sqrt({variance})" if agg.startswith("stddev") else f"({variance})"), FLOAT

    # -- the value -----------------------------------------------------------------------------------

    def value(self, leaves: list[tuple[str, str]]) -> tuple[str, str]:
        """(SQL of the shell's value over its leaves, SQL of the code why it is missing)."""
        value, kind = render(self.bound.measure.shell, leaves)
        cast = f"CAST({value} AS {'DOUBLE' if kind == FLOAT else EXACT})"
        cancelled = " OR ".join(
            f"(b.n{i} >= 2 AND b.off{i} > {MAX_RELATIVE_ERROR!r} * b.squares{i})"
            for i, slot in enumerate(self.bound.measure.slots)
            if slot.spread
        )
        digits = f"WHEN {cancelled} THEN {DIGITS} " if cancelled else ""
        if not self.wide and not cancelled:
            return cast, "0"
        if not self.wide:
            return f"CASE WHEN NOT coalesce({cancelled}, FALSE) THEN {cast} END", f"CASE {digits}ELSE 0 END"
        rounded = [(f"CAST({self._as_float(i, sql)} AS DOUBLE)", FLOAT) for i, (sql, _) in enumerate(leaves)]
        # A value that overflows is null in exact form but not as a float.
        lost = f"(TRY({cast}) IS NULL AND TRY({render(self.bound.measure.shell, rounded)[0]}) IS NOT NULL)"
        lost = " OR ".join([*(f"({f} IS NOT NULL AND {e} IS NULL)" for e, f in self._wide_sums()), lost])
        known = f"NOT coalesce({cancelled or 'FALSE'}, FALSE) AND NOT ({lost})"
        return f"CASE WHEN {known} THEN TRY({cast}) END", f"CASE {digits}WHEN {lost} THEN {OVERFLOW} ELSE 0 END"

    def _wide_sums(self) -> list[tuple[str, str]]:
        """(exact sum, sum as a float) for the slots whose result is an exact sum."""
        found = []
        for index, (slot, own) in enumerate(zip(self.bound.measure.slots, self.bound.slots, strict=True)):
            if own.type != FLOAT and slot.agg == "sum":
                found.append((f"b.total{index}", f"b.float{index}"))
            elif own.type != FLOAT and slot.agg == "sum_distinct":
                found.append((f"j{index}.v", f"j{index}.f"))
        return found

    def _as_float(self, index: int, leaf: str) -> str:
        """A leaf as a float, which has a value even if the exact sum overflows."""
        if self.bound.slots[index].type == FLOAT:
            return leaf
        agg = self.bound.measure.slots[index].agg
        return {"sum": f"coalesce(b.float{index}, 0)", "sum_distinct": f"coalesce(j{index}.f, 0)"}.get(agg, leaf)

    # -- additive parts ------------------------------------------------------------------------------

    def additive(self) -> str:
        """Add the step with one row per key: `rows`, `carried`, and the merged additive parts of all slots."""
        slots = self.bound.measure.slots
        number = sum(1 for s in slots if s.shape == ADDITIVE)
        several = number > 1 or (slots[0].shape != ADDITIVE and number > 0)
        source = self.grouped(ADDITIVE, None if several else 0, "")
        rows = f"{merge_sql(ADDITIVE, 'rows')}{' FILTER (slot = 0)' if several else ''} AS rows"
        carried = "bool_or(carried) AS carried" if self.bound.metric.carry else "FALSE AS carried"
        parts = [part for index in range(len(slots)) for part in self._merged_parts(index, several=several)]
        columns = ",\n  ".join([self._listed, rows, carried, *parts])
        merged = self.steps.add("merged", f"SELECT\n  {columns}\nFROM {source}\nGROUP BY {self._listed}")
        return self._centered(merged)

    def _merged_parts(self, index: int, *, several: bool) -> list[str]:
        """The merged additive parts of one slot. With `several`, only rows of this slot are merged."""
        slot, type_ = self.bound.measure.slots[index], self.bound.slots[index].type
        if slot.spread:
            own = f" AND slot = {index}" if several else ""
            return [f"list({ONE_PART}) FILTER (n > 0{own}) AS parts{index}"]
        only = f" FILTER (slot = {index})" if several else ""
        found = []
        for part in PARTS_OF.get(slot.agg, ()):
            column = part_column(part, type_)
            if self.wide and column == "total":
                exact, rounded = wide_sum(column, only)
                found += [f"{exact} AS total{index}", f"{rounded} AS float{index}"]
            else:
                found.append(f"{merge_sql(ADDITIVE, column)}{only} AS {column}{index}")
        return found

    def _centered(self, merged: str) -> str:
        """Merged parts with the squares around the mean of each cell: `n`, `squares`, and their maximum error `off`.

        The mean of a cell is computed as its distance from the K of one of its parts, and each part is moved there
        exactly (s2 + 2d·s1 + n·d²), so that no term cancels another. Parts without a K have the K of their
        definition, which is the same for all of them, so 0 can be used instead."""
        slots = [i for i, slot in enumerate(self.bound.measure.slots) if slot.spread]
        if not slots:
            return merged
        means = [
            f"{_sum_over_parts(i, term)} AS {name}{i}"
            for i in slots
            for name, term in (("n", "p.n"), ("mean", f"p.n * (p.k - parts{i}[1].k) + p.s1"), ("off", "p.n * p.s2"))
        ]
        listed = ",\n  ".join(means)
        with_means = self.steps.add("with_means", f"SELECT\n  *,\n  {listed}\nFROM {merged}")
        off = ", ".join(f"off{i} * {LAST_DIGIT!r} AS off{i}" for i in slots)
        squares = ",\n  ".join(_squares(i) for i in slots)
        return self.steps.add("centered", f"SELECT\n  * REPLACE ({off}),\n  {squares}\nFROM {with_means}")

    # -- ids and buckets -----------------------------------------------------------------------------

    def joined(self, index: int) -> str:
        """The join of the value `v` of a slot of ids or buckets to the merged parts `b`."""
        shape, prefix = self.bound.measure.slots[index].shape, f"slot{index}_"
        source = self.grouped(shape, index, prefix)
        title = self._distinct(index, source, prefix) if shape == IDS else self._quantile(index, source, prefix)
        same = " AND ".join(f"j{index}.{key} IS NOT DISTINCT FROM b.{key}" for key in self.keys)
        return f"LEFT JOIN {title} j{index} ON {same}"

    def _distinct(self, index: int, source: str, prefix: str) -> str:
        """Add steps with one row per id and key, and then count them: the union of any number of days and series."""
        agg, type_ = self.bound.measure.slots[index].agg, self.bound.slots[index].type
        listed, value = self._listed, "value_f" if type_ == FLOAT else "value"
        if agg in BY_TIME:
            pair, earliest = f"{{'at': id, 'v': {value}}}", "min" if agg == "first" else "max"
            select = f"SELECT {listed}, {earliest}({pair}).v AS v\nFROM {source}\nGROUP BY {listed}"
            return self.steps.add(f"{prefix}chosen", select)
        column = "id" if agg == "count_distinct" else value
        distinct = self.steps.add(f"{prefix}distinct", f"SELECT DISTINCT {listed}, {column}\nFROM {source}")
        if agg == "count_distinct":
            result = "count(*) AS v"
        else:
            wide = self.wide and column == "value"
            exact, rounded = wide_sum(column) if wide else (f"sum({column})",) * 2
            result = f"{exact if agg == 'sum_distinct' else f'CAST({rounded} AS DOUBLE) / count(*)'} AS v"
            result += f", {rounded} AS f" if self.wide else ""
        return self.steps.add(f"{prefix}per_key", f"SELECT {listed}, {result}\nFROM {distinct}\nGROUP BY {listed}")

    def _quantile(self, index: int, source: str, prefix: str) -> str:
        """Add steps for a percentile over rows (value, count): percentile_cont interpolates two adjacent ranks; or
        percentile_disc."""
        slot, listed = self.bound.measure.slots[index], self._listed
        values = self.steps.add(
            f"{prefix}values",
            f"SELECT {listed}, {BUCKET_MIDDLE} AS v,\n"
            f"  {merge_sql(BUCKETS, 'n')} AS n, bool_or(low_f < high_f) AS wide\n"
            f"FROM {source}\nGROUP BY {listed}, {BUCKET_MIDDLE}",
        )
        number = f"sum(n) OVER (PARTITION BY {listed})"
        rank = f"{slot.q!r} * ({number} - 1)"
        if slot.agg == "quantile_disc":  # the first value with at least the share q at or below it
            # A float product may be slightly above a whole rank.
            rank = f"greatest(ceil({slot.q!r} * {number} * (1 - 1e-12)) - 1, 0)"
        ranked = self.steps.add(
            f"{prefix}ranked",
            f"SELECT *, sum(n) OVER (PARTITION BY {listed} ORDER BY v) AS upto,\n  {rank} AS rank_at\nFROM {values}",
        )
        below = "max(v) FILTER (upto > floor(rank_at) AND upto - n <= floor(rank_at))"
        above = "max(v) FILTER (upto > ceil(rank_at) AND upto - n <= ceil(rank_at))"
        return self.steps.add(
            f"{prefix}per_key",
            f"SELECT {listed},\n  {below}\n"
            f"  + ({above} - {below}) * (max(rank_at) - floor(max(rank_at))) AS v,\n  bool_or(wide) AS wide\n"
            f"FROM {ranked}\nGROUP BY {listed}",
        )


def _sum_over_parts(index: int, term: str) -> str:
    """SQL for the sum of an expression over the parts `p` of a slot's cell."""
    return f"list_sum(list_transform(parts{index}, lambda p: {term}))"


def _squares(index: int) -> str:
    """SQL for the squares of a cell around its mean, moved there from the K of each part."""
    d = f"(p.k - parts{index}[1].k - mean{index} / n{index})"
    moved = _sum_over_parts(index, f"p.s2 + 2 * {d} * p.s1 + p.n * {d} * {d}")
    return f"CASE WHEN n{index} > 1 THEN greatest({moved}, 0) ELSE 0 END AS squares{index}"
