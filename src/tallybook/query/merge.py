"""From points to values, in the engine's SQL: carry per series, then dimensions inside each day, then time.

`Parts` builds, for one metric, relations (g, dimensions…, rows, value, approximate, carried): g is whatever the
parts are merged by, a period, a day or a chosen day of a period.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING

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
    Then,
    merge_sql,
    part_column,
    plus_days,
    render,
)
from tallybook.query.questions import Filter
from tallybook.storage import literal

if TYPE_CHECKING:
    from tallybook.query.context import Coverage

OVERFLOW, DIGITS = 1, 2
"""`lost` of a value that does not fit its type, and of one of which too few digits are left."""
LAST_DIGIT = 2.0**-53
WORST = 1e-6
"""A variance is null where its squares may be off by more than this fraction: by LAST_DIGIT of each part's Σ(x−K)², times
the number of values that were added."""
MAX_WHOLE = 10**28 - 10**12
"""Of a sum of whole numbers: with the fractions of 10¹² values added it still fits DECIMAL(38,10)."""
MAX_SQUARE = 1e150
"""Of a value whose square is to fit a DOUBLE."""

TOTALS = "totals"
"""Additive points without dimensions: what a question needs that asks for none."""


@dataclass(frozen=True)
class Points:
    """A relation of a points schema. What it is known to hold need not be looked for in every row:
    `apart`: nothing but one metric's points; `days`: none but of these, first and last."""

    sql: str
    apart: bool = False
    days: tuple[date, date] | None = None

    def covering(self, first: date, last: date) -> Points:
        """The same, if nothing of the definition that is asked for is covered before `first` or after `last`."""
        if self.days is None:
            return self
        return replace(self, days=(max(self.days[0], first), min(self.days[1], last)))

    def within(self, first: date, last: date) -> bool:
        return self.days is not None and first <= self.days[0] and self.days[1] <= last


@dataclass(frozen=True)
class Parts:
    """One metric's points as SQL. `relations`: {kind: its points}. `carry_until`: no value is carried beyond."""

    bound: StoredDefinition
    relations: Mapping[str, Points]
    by: Sequence[str]
    where: Sequence[Filter] = ()
    but: tuple[tuple[str, ...], tuple[tuple[str | None, ...], ...]] | None = None
    """(dimensions, series of theirs that do not count)."""
    carry_until: date | None = None
    together: Sequence[StoredDefinition] = ()
    """More metrics of the same measure and dimensions, merged in the same pass; then k0 is the metric."""
    gone: Mapping[tuple[str, str], Coverage] = field(default_factory=dict)
    """Days of each (metric, definition) whose points do not count."""
    entity: str | None = None
    """Inside a measure of two steps: the column of the entity, behind the dimensions."""
    wide: bool = False
    """Null, with its reason in `lost`, in the place of numbers that overflow; slower."""

    # -- the points that take part -------------------------------------------------------------------

    @property
    def dims(self) -> list[str]:
        """The columns that the answer is split by; of several metrics at once, first of all the metric."""
        own = [self.bound.column(d) for d in (*self.by, *([self.entity] if self.entity else []))]
        return ["metric", *own] if self.together else own

    def points(self, kind: str, first: date, last: date, slot: int | None = None) -> str:
        """SELECT of the points of some days that the filters let through, with `carried`."""
        relation, bounds = self.relations[kind], (self.bound, *self.together)
        conditions = [_one_of("definition", [b.definition for b in bounds])]
        if not relation.within(first, last):
            conditions.append(f"day BETWEEN DATE '{first}' AND DATE '{last}'")
        if not relation.apart and not self.together:  # with several, k0 says whose it is
            conditions.append(_one_of("metric", [b.key for b in bounds]))
        only_one = kind != ADDITIVE and sum(s.shape == kind for s in self.bound.measure.slots) == 1
        if slot is not None and not only_one:
            conditions.append(f"slot = {slot}")
        conditions += self._not_gone() + self._filters()
        return f"SELECT *, FALSE AS carried FROM {relation.sql} WHERE {' AND '.join(conditions)}"

    def _not_gone(self) -> list[str]:
        found = {(b.key, b.definition): self.gone.get((b.key, b.definition)) for b in (self.bound, *self.together)}
        return [
            f"NOT (metric = {literal(metric)} AND definition = {literal(definition)} AND {days.sql('day')})"
            if self.together
            else f"NOT {days.sql('day')}"
            for (metric, definition), days in found.items()
            if days is not None
        ]

    def _filters(self) -> list[str]:
        """The same dimension twice with = is or, with != is and; null is a value like any other."""
        found: dict[str, list[str]] = {}
        conditions = []
        for one in self.where:
            column = self.bound.column(one.dimension)
            value = literal(self.bound.label(one.dimension, one.value))
            if one.equal:
                found.setdefault(column, []).append(f"{column} IS NOT DISTINCT FROM {value}")
            else:
                conditions.append(f"{column} IS DISTINCT FROM {value}")
        if self.but is not None and self.but[1]:
            names, series = self.but
            own = [self.bound.column(name) for name in names]
            alike = [
                " AND ".join(f"{c} IS NOT DISTINCT FROM {literal(v)}" for c, v in zip(own, one, strict=True))
                for one in series
            ]
            conditions.append(f"NOT ({' OR '.join(f'({one})' for one in alike)})")
        return conditions + [f"({' OR '.join(several)})" for several in found.values()]

    def carried(self, kind: str, first: date, last: date, slot: int | None = None) -> str:
        """As `points`, with every series carried over days without a row, at most as far as declared."""
        carry = self.bound.metric.carry
        if not carry:
            return self.points(kind, first, last, slot)
        stored = [self.bound.column(d) for d in self.bound.metric.dims]
        keys = ", ".join(stored)
        reach = plus_days(first, -carry)
        until = min(last, self.carry_until or last)
        seen = f"SELECT DISTINCT {', '.join([*stored, 'day'])} FROM ({self.points(ADDITIVE, reach, last, 0)}) WHERE rows > 0"
        partition = f"PARTITION BY {keys} " if stored else ""
        spans = (
            f"SELECT {', '.join([*stored, 'day'])}, least(day + {carry}, "
            f"coalesce(lead(day) OVER ({partition}ORDER BY day) - 1, day + {carry}), greatest(DATE '{until}', day)) AS upto "
            f"FROM ({seen})"
        )
        days = (
            f"SELECT {', '.join([*stored, 'day AS src'])}, unnest(generate_series(day, upto, INTERVAL 1 DAY))::DATE AS shown "
            f"FROM ({spans})"
        )
        same = " AND ".join(["p.day = s.src", *(f"p.{d} IS NOT DISTINCT FROM s.{d}" for d in stored)])
        return (
            f"SELECT p.* REPLACE (s.shown AS day, s.shown > s.src AS carried) "
            f"FROM ({self.points(kind, reach, last, slot)}) p JOIN ({days}) s ON {same} "
            f"WHERE s.shown BETWEEN DATE '{first}' AND DATE '{last}'"
        )

    # -- merged and finished --------------------------------------------------------------------------

    def finished(self, group: str, first: date, last: date, *, targets: str | None = None) -> str:
        """SELECT g, k0…, rows, value, approximate, carried, lost of the days first … last merged by `group`.

        `lost` is 0, or OVERFLOW or DIGITS where there is no value because of that.
        `targets`: a relation (period, first, last) of the days of each period; then g is the period."""
        second = self.bound.metric.second
        if second is not None and self.entity is None:
            return self._of_entities(second, group, first, last, targets)
        keys = ", ".join(["g", *(f"k{i}" for i in range(len(self.dims)))])
        base = self._around_one_k(self._additive(group, first, last, targets))
        joins, leaves, approximate = [], [], []
        for index, slot in enumerate(self.bound.measure.slots):
            if slot.shape == ADDITIVE:
                leaves.append(self._additive_leaf(index))
                continue
            joins.append(self._joined(index, slot.shape, group, first, last, targets))
            leaves.append(self._other_leaf(index))
            if slot.shape == BUCKETS:
                approximate.append(f"coalesce(j{index}.wide, FALSE)")
        value, lost = self._value(leaves)
        prefixed = ", ".join(f"b.{key}" for key in keys.split(", "))
        return (
            f"SELECT {prefixed}, b.rows, {value} AS value, {' OR '.join(approximate) or 'FALSE'} AS approximate, b.carried, "
            f"{lost} AS lost FROM ({base}) b {' '.join(joins)} WHERE b.rows > 0"
        )

    def fetched(self, finished: str) -> str:
        """SELECT g, k0…, value, approximate, carried, lost of what `finished` selects, exact values as text: the engine hands
        over a text three times as fast as a decimal, and never needs to hand over `rows`."""
        keys = ", ".join(["g", *(f"k{i}" for i in range(len(self.dims)))])
        value = "value" if self.value_type() == FLOAT else "CAST(value AS VARCHAR) AS value"
        return f"SELECT {keys}, {value}, approximate, carried, lost FROM ({finished})"

    def _value(self, leaves: list[tuple[str, str]]) -> tuple[str, str]:
        """(the value of the shell over its leaves, the code of the reason why there is none)."""
        value, kind = render(self.bound.measure.shell, leaves)
        cast = f"CAST({value} AS {'DOUBLE' if kind == FLOAT else EXACT})"
        cancelled = " OR ".join(
            f"(b.n{i} >= 2 AND b.off{i} > {WORST!r} * b.squares{i})"
            for i, slot in enumerate(self.bound.measure.slots)
            if slot.spread
        )
        digits = f"WHEN {cancelled} THEN {DIGITS} " if cancelled else ""
        if not self.wide and not cancelled:
            return cast, "0"
        if not self.wide:
            return f"CASE WHEN NOT coalesce({cancelled}, FALSE) THEN {cast} END", f"CASE {digits}ELSE 0 END"
        rounded = [(f"CAST({self._as_float(i, sql)} AS DOUBLE)", FLOAT) for i, (sql, _) in enumerate(leaves)]
        # What overflows is null in the exact form, and not as floats.
        lost = f"(TRY({cast}) IS NULL AND TRY({render(self.bound.measure.shell, rounded)[0]}) IS NOT NULL)"
        lost = " OR ".join([*(f"({f} IS NOT NULL AND {e} IS NULL)" for e, f in self._wide_sums()), lost])
        known = f"NOT coalesce({cancelled or 'FALSE'}, FALSE) AND NOT ({lost})"
        return f"CASE WHEN {known} THEN TRY({cast}) END", f"CASE {digits}WHEN {lost} THEN {OVERFLOW} ELSE 0 END"

    def _wide_sums(self) -> list[tuple[str, str]]:
        """(exact sum, the same as a float) of the slots whose result is an exact sum."""
        found = []
        for index, (slot, own) in enumerate(zip(self.bound.measure.slots, self.bound.slots, strict=True)):
            if own.type != FLOAT and slot.agg == "sum":
                found.append((f"b.total{index}", f"b.float{index}"))
            elif own.type != FLOAT and slot.agg == "sum_distinct":
                found.append((f"j{index}.v", f"j{index}.f"))
        return found

    def _as_float(self, index: int, leaf: str) -> str:
        """A leaf as a float, which has a value also where the exact sum overflows."""
        if self.bound.slots[index].type == FLOAT:
            return leaf
        agg = self.bound.measure.slots[index].agg
        return {"sum": f"coalesce(b.float{index}, 0)", "sum_distinct": f"coalesce(j{index}.f, 0)"}.get(agg, leaf)

    def _of_entities(self, second: Then, group: str, first: date, last: date, targets: str | None) -> str:
        """`finished` of every entity over all its facts of a period, then one number of them all.

        Facts of no entity take no part; nor do entities without a fact, of whom nothing is known here."""
        inner = replace(self, entity=self.bound.metric.per)
        keys = ", ".join(["g", *(f"k{i}" for i in range(len(self.dims)))])
        own = f"FILTER (k{len(self.dims)} IS NOT NULL)"
        value, kind = _second_step(second, inner.value_type(), own, wide=self.wide)
        lost = f"coalesce(max(lost) {own}, 0)"
        if self.wide and second.agg == "sum" and kind != FLOAT:
            lost = f"CASE WHEN {lost} = 0 AND {value} IS NULL THEN {OVERFLOW} ELSE {lost} END"
        value = f"CASE WHEN {lost} = 0 THEN CAST({value} AS {'DOUBLE' if kind == FLOAT else EXACT}) END"
        return (
            f"SELECT {keys}, {merge_sql(ADDITIVE, 'rows')} AS rows, {value} AS value, coalesce(bool_or(approximate) {own}, FALSE) AS approximate, "
            f"bool_or(carried) AS carried, {lost} AS lost "
            f"FROM ({inner.finished(group, first, last, targets=targets)}) GROUP BY {keys}"
        )

    def value_type(self) -> str:
        """integer, decimal or float: what `value` is."""
        second = self.bound.metric.second
        if second is not None and self.entity is None:
            inner = replace(self, entity=self.bound.metric.per)
            return _second_step(second, inner.value_type(), "")[1]
        leaves = [
            self._additive_leaf(i) if slot.shape == ADDITIVE else self._other_leaf(i)
            for i, slot in enumerate(self.bound.measure.slots)
        ]
        return render(self.bound.measure.shell, leaves)[1]

    def _grouped(self, kind: str, group: str, first: date, last: date, targets: str | None, slot: int | None) -> str:
        """SELECT g, k0…, and the value columns, of the points that take part."""
        points = self.carried(kind, first, last, slot)
        keys = "".join(f", p.{d} AS k{i}" for i, d in enumerate(self.dims))
        if targets:
            return f"SELECT t.period AS g{keys}, p.* FROM ({points}) p JOIN ({targets}) t ON p.day BETWEEN t.first AND t.last"
        return f"SELECT {group} AS g{keys}, p.* FROM ({points}) p"

    def _additive(self, group: str, first: date, last: date, targets: str | None) -> str:
        several = sum(1 for s in self.bound.measure.slots if s.shape == ADDITIVE) > 1 or (
            self.bound.measure.slots[0].shape != ADDITIVE and any(s.shape == ADDITIVE for s in self.bound.measure.slots)
        )
        merged = []
        for index, slot in enumerate(self.bound.measure.slots):
            only = f" FILTER (slot = {index})" if several else ""
            if slot.spread:
                one = "{'n': CAST(n AS DOUBLE), 'k': coalesce(k, 0), 's1': s1, 's2': s2}"
                merged.append(f"list({one}) FILTER (n > 0{f' AND slot = {index}' if several else ''}) AS parts{index}")
                continue
            for part in PARTS_OF.get(slot.agg, ()):
                column = part_column(part, self.bound.slots[index].type)
                if self.wide and column == "total":
                    exact, rounded = _wide_sum(column, only)
                    merged += [f"{exact} AS total{index}", f"{rounded} AS float{index}"]
                else:
                    merged.append(f"{merge_sql(ADDITIVE, column)}{only} AS {column}{index}")
        source = self._grouped(ADDITIVE, group, first, last, targets, None if several else 0)
        keys = ", ".join(["g", *(f"k{i}" for i in range(len(self.dims)))])
        only = " FILTER (slot = 0)" if several else ""
        carried = "bool_or(carried) AS carried" if self.bound.metric.carry else "FALSE AS carried"
        columns = ", ".join([keys, f"{merge_sql(ADDITIVE, 'rows')}{only} AS rows", carried, *merged])
        return f"SELECT {columns} FROM ({source}) GROUP BY {keys}"

    def _around_one_k(self, merged: str) -> str:
        """Merged additive parts with the squares around the mean of each cell: `n`, `squares`, and how far these may be
        `off`.

        The mean of a cell is computed as its distance to the K of one of its parts, and each part is moved there exactly
        (s2 + 2d·s1 + n·d²): no term cancels another. Parts without a K have that of their definition, which is the same
        for all of them, so that 0 does in its place."""
        slots = [i for i, slot in enumerate(self.bound.measure.slots) if slot.spread]
        if not slots:
            return merged
        steps = (
            ("n{i}", "p.n"),
            ("mean{i}", "p.n * (p.k - parts{i}[1].k) + p.s1"),
            ("off{i}", "p.n * p.s2"),
        )
        first = [f"{_summed(i, what)} AS {name.format(i=i)}" for i in slots for name, what in steps]
        d = "(p.k - parts{i}[1].k - mean{i} / n{i})"
        moved = [
            f"CASE WHEN n{i} > 1 THEN greatest({_summed(i, f'p.s2 + 2 * {d} * p.s1 + p.n * {d} * {d}')}, 0) ELSE 0 END AS squares{i}"
            for i in slots
        ]
        off = ", ".join(f"off{i} * {LAST_DIGIT!r} AS off{i}" for i in slots)
        return f"SELECT * REPLACE ({off}), {', '.join(moved)} FROM (SELECT *, {', '.join(first)} FROM ({merged}))"

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

    def _joined(self, index: int, shape: str, group: str, first: date, last: date, targets: str | None) -> str:
        keys = ["g", *(f"k{i}" for i in range(len(self.dims)))]
        source = self._grouped(shape, group, first, last, targets, index)
        inner = self._distinct(index, source, keys) if shape == IDS else self._quantile(index, source, keys)
        same = " AND ".join(f"j{index}.{key} IS NOT DISTINCT FROM b.{key}" for key in keys)
        return f"LEFT JOIN ({inner}) j{index} ON {same}"

    def _distinct(self, index: int, source: str, keys: list[str]) -> str:
        """One row per id and key, then counted: the union of any number of days and series."""
        agg, type_ = self.bound.measure.slots[index].agg, self.bound.slots[index].type
        listed = ", ".join(keys)
        if agg in BY_TIME:
            value = "value_f" if type_ == FLOAT else "value"
            least = "min" if agg == "first" else "max"
            return f"SELECT {listed}, {least}({{'at': id, 'v': {value}}}).v AS v FROM ({source}) GROUP BY {listed}"
        if agg == "count_distinct":
            return (
                f"SELECT {listed}, count(*) AS v FROM (SELECT DISTINCT {listed}, id FROM ({source})) GROUP BY {listed}"
            )
        column = "value_f" if type_ == FLOAT else "value"
        exact, rounded = _wide_sum(column) if self.wide and column == "value" else (f"sum({column})",) * 2
        result = exact if agg == "sum_distinct" else f"CAST({rounded} AS DOUBLE) / count(*)"
        more = f", {rounded} AS f" if self.wide else ""
        return (
            f"SELECT {listed}, {result} AS v{more} FROM (SELECT DISTINCT {listed}, {column} FROM ({source})) "
            f"GROUP BY {listed}"
        )

    def _quantile(self, index: int, source: str, keys: list[str]) -> str:
        """percentile_cont over rows (value, how often): the two neighbouring ranks, interpolated; or percentile_disc.

        A bucket stands for its harmonic middle, within 1 % of whatever was in it."""
        slot = self.bound.measure.slots[index]
        listed = ", ".join(keys)
        middle = (
            "CASE WHEN low_f = high_f THEN low_f WHEN low_f > 0 OR high_f < 0 "
            "THEN 2 * low_f * (high_f / (low_f + high_f)) ELSE (low_f + high_f) / 2 END"
        )
        merged = (
            f"SELECT {listed}, {middle} AS v, {merge_sql(BUCKETS, 'n')} AS n, bool_or(low_f < high_f) AS wide FROM ({source}) "
            f"GROUP BY {listed}, {middle}"
        )
        number = f"sum(n) OVER (PARTITION BY {listed})"
        rank = f"{slot.q!r} * ({number} - 1)"
        if slot.agg == "quantile_disc":  # the first of which at least the share q is no larger; the product of floats
            rank = f"greatest(ceil({slot.q!r} * {number} * (1 - 1e-12)) - 1, 0)"  # may lie a hair above a whole rank
        ranked = f"SELECT *, sum(n) OVER (PARTITION BY {listed} ORDER BY v) AS upto, {rank} AS rank_at FROM ({merged})"
        below = "max(v) FILTER (upto > floor(rank_at) AND upto - n <= floor(rank_at))"
        above = "max(v) FILTER (upto > ceil(rank_at) AND upto - n <= ceil(rank_at))"
        return (
            f"SELECT {listed}, {below} + ({above} - {below}) * (max(rank_at) - floor(max(rank_at))) AS v, bool_or(wide) AS wide "
            f"FROM ({ranked}) GROUP BY {listed}"
        )

    def _other_leaf(self, index: int) -> tuple[str, str]:
        agg, type_ = self.bound.measure.slots[index].agg, self.bound.slots[index].type
        match agg:
            case "count_distinct":
                return f"CAST(coalesce(j{index}.v, 0) AS {EXACT})", INTEGER
            case "sum_distinct":
                return f"coalesce(j{index}.v, 0)", type_
            case "first" | "last":
                return f"j{index}.v", type_
        return f"j{index}.v", FLOAT

    def present(self, period: str, first: date, last: date, *, carried: bool = False) -> str:
        """SELECT period, k0… of every series with a fact, carried or not, in the period; `carried`: carried ones only."""
        keys = "".join(f", {d} AS k{i}" for i, d in enumerate(self.dims))
        only = " AND carried" if carried else ""
        return (
            f"SELECT DISTINCT {period} AS g{keys} FROM ({self.carried(ADDITIVE, first, last, 0)}) WHERE rows > 0{only}"
        )


def _summed(index: int, what: str) -> str:
    """The sum of an expression over the parts `p` of a slot's cell."""
    return f"list_sum(list_transform(parts{index}, lambda p: {what.format(i=index)}))"


def _wide_sum(column: str, own: str = "") -> tuple[str, str]:
    """(the exact sum of a DECIMAL(38,10) column, or null where it does not fit; the same as a float)."""
    whole = f"sum(CAST(trunc({column}) AS HUGEINT)){own}"
    rest = f"sum({column} - trunc({column})){own}"
    exact = f"CASE WHEN {whole} BETWEEN -{MAX_WHOLE} AND {MAX_WHOLE} THEN CAST({whole} AS {EXACT}) + {rest} END"
    return exact, f"(CAST({whole} AS DOUBLE) + CAST({rest} AS DOUBLE))"


def _second_step(second: Then, kind: str, own: str, *, wide: bool = False) -> tuple[str, str]:
    """(SQL, type) of an aggregate over the `value` of type `kind` of every entity that meets `own`.

    `wide`: where it does not fit, null; without it the engine raises an error."""
    value = "CAST(value AS DOUBLE)"
    if wide and kind != FLOAT and second.agg in ("sum", "avg"):
        exact, rounded = _wide_sum("value", f" {own}")
        if second.agg == "sum":
            return f"CASE WHEN count(value) {own} = 0 THEN 0 ELSE {exact} END", kind
        return f"({rounded} / nullif(count(value) {own}, 0))", FLOAT
    if wide and second.agg.startswith(("stddev", "var")):
        value = f"CASE WHEN abs({value}) < {MAX_SQUARE} THEN {value} END"
        return f"CASE WHEN count(value) {own} = count({value}) {own} THEN {second.agg}({value}) {own} END", FLOAT
    match second.agg:
        case "count":
            return f"count(value) {own}", INTEGER
        case "sum":
            return f"coalesce(sum(value) {own}, 0)", kind
        case "min" | "max":
            return f"{second.agg}(value) {own}", kind
        case "avg":
            return f"(CAST(sum(value) {own} AS DOUBLE) / nullif(count(value) {own}, 0))", FLOAT
        case "quantile":
            return f"quantile_cont({value}, {second.q!r}) {own}", FLOAT
    return f"{second.agg}({value}) {own}", FLOAT


def _one_of(column: str, values: Sequence[str]) -> str:
    listed = ", ".join(literal(v) for v in dict.fromkeys(values))
    return f"{column} = {listed}" if len(set(values)) == 1 else f"{column} IN ({listed})"


def period_sql(scope: str, week_start: int, first: date, column: str = "day") -> str:
    """The first day of the period of a day, in the engine. Plain dates only: no zone has a part in it."""
    match scope:
        case "day":
            return column
        case "week":
            return f"({column} - CAST((isodow({column}) + 6 - {week_start}) % 7 AS INTEGER))"
        case "all":
            return f"DATE '{first}'"
        case "month" | "year":  # a third faster than date_trunc
            return f"({column} - CAST(dayof{scope}({column}) - 1 AS INTEGER))"
    return f"CAST(date_trunc('{scope}', {column}) AS DATE)"


def values_relation(targets: Sequence[tuple[date, date, date]]) -> str:
    """(period, first day, last day) as a relation."""
    if not targets:
        return "SELECT NULL::DATE AS period, NULL::DATE AS first, NULL::DATE AS last WHERE FALSE"
    listed = ", ".join(f"(DATE '{period}', DATE '{first}', DATE '{last}')" for period, first, last in targets)
    return f"SELECT * FROM (VALUES {listed}) AS v(period, first, last)"
