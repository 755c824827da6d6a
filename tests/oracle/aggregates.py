"""Measures over facts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from typing import Any

from tests.oracle.measures import Agg, Call, Case, Measure, Num, Op, columns_of, evaluated, leaves_of
from tests.oracle.tables import Column, Table
from tests.oracle.terms import BUCKET, EXACT_VALUES, FLOAT, ROUNDING, TINY, Key, Row
from tests.oracle.values import FREE, NULL, Value, arithmetic, extreme, mean, near, root, rounded, widened


@dataclass(frozen=True)
class Fact:
    """A row that counts for `day`. `series`: its values of the metric's `by`; `whole` of its `series` too."""

    day: date
    series: Key
    whole: Key
    row: Row
    carried_from: date | None = None


@dataclass(frozen=True)
class Aggregator:
    """Computes one metric's aggregates over facts. `around`: rows whose floats may have passed through the
    sum that answers, because a level is kept by additions and removals."""

    table: Table
    around: list[Row] | None = None
    time: str = ""
    """The column by which a fact is first or last."""

    def aggregate(self, agg: Agg, facts: Sequence[Fact]) -> Value:
        if agg.where is not None:
            facts = [fact for fact in facts if agg.where.holds(fact.row) is True]
        if not agg.args:
            return near(len(facts))
        if agg.fn == "count_distinct":
            seen = {tuple(evaluated(argument, fact.row) for argument in agg.args) for fact in facts}
            return near(sum(None not in values for values in seen))
        found = [(fact, evaluated(agg.args[0], fact.row)) for fact in facts]
        found = [(fact, value) for fact, value in found if value is not None]
        if agg.fn == "count":
            return near(len(found))
        numbers = [Fraction(value) for _, value in found]
        if agg.fn.endswith("_distinct"):
            numbers = sorted(set(numbers))
        if agg.fn.startswith("sum"):
            return near(sum(numbers), self.slack(agg, numbers))
        if not numbers:
            return NULL
        if agg.fn.startswith("avg"):
            average = near(sum(numbers) / len(numbers), self.slack(agg, numbers) / len(numbers))
            return widened(average)
        if agg.fn in ("first", "last"):
            return self.at_the_end(agg, found)
        return self.statistic(agg, found, numbers)

    def at_the_end(self, agg: Agg, found: list[tuple[Fact, Any]]) -> Value:
        """The value of the first or last fact; of several at the very same time the least or the greatest."""
        column = self.table.column(self.time)
        choose = min if agg.fn == "first" else max
        _, value = choose((column.moment(fact.row[self.time]), Fraction(value)) for fact, value in found)
        return widened(near(value)) if self.any_column(agg, lambda column: column.real) else near(value)

    def statistic(self, agg: Agg, found: list[tuple[Fact, Any]], numbers: list[Fraction]) -> Value:
        if agg.fn in ("min", "max"):
            value = near(min(numbers) if agg.fn == "min" else max(numbers))
            return widened(value) if self.any_column(agg, lambda column: column.real) else value
        if agg.fn == "quantile":
            cells: dict[Any, set[Any]] = {}
            for fact, value in found:
                cells.setdefault((fact.day, fact.series), set()).add(value)
            wide = any(len(values) > EXACT_VALUES for values in cells.values())
            how = discrete_percentile if agg.spelling == "disc" else percentile
            q = 1 - Fraction(agg.q) if agg.spelling == "desc" else Fraction(agg.q)
            return how(sorted(value for _, value in found), q, approximate=wide)
        if len(numbers) < 2:
            return NULL
        return self.spread(agg, numbers)

    def spread(self, agg: Agg, numbers: list[Fraction]) -> Value:
        """The sample variance or its root."""
        variance, slack = variance_of(numbers)
        if agg.fn == "variance":
            return near(variance, slack)
        low, high = root(max(variance - slack, Fraction(0))), root(variance + slack)
        return widened(Value(root(variance), low, high))

    def slack(self, agg: Agg, numbers: list[Fraction]) -> Fraction:
        """How far the sum of `numbers` may be off."""
        if self.any_column(agg, lambda column: column.type == "float"):
            return FLOAT * sum(map(abs, [*numbers, *self.values_around(agg)])) + TINY
        if agg.fn.endswith("_distinct") and self.any_column(agg, lambda column: column.real):
            return ROUNDING * sum(map(abs, numbers))
        return Fraction(0)

    def values_around(self, agg: Agg) -> list[Fraction]:
        values = [evaluated(agg.args[0], row) for row in self.around or []]
        return [Fraction(value) for value in values if value is not None]

    def any_column(self, agg: Agg, test: Callable[[Column], bool]) -> bool:
        names = {name for argument in agg.args for name in columns_of(argument)}
        return any(test(self.table.column(name)) for name in names)

    def measured(self, measure: Measure, facts: Sequence[Fact]) -> Value:
        value = outer(measure, lambda leaf: replace(self.aggregate(leaf, facts), real=self.is_float(leaf)))
        # A CASE has one type: when one of its branches is a float, so are the others.
        mixed = leaves_of(measure, Case) and any(map(self.is_float, leaves_of(measure, Agg)))
        return widened(value) if mixed else value

    def is_float(self, agg: Agg) -> bool:
        inexact = agg.fn.startswith("avg") or agg.fn in ("stddev", "variance", "quantile")
        return inexact or self.any_column(agg, lambda column: column.type == "float" or column.real)


def of_all(then: str, values: Sequence[Value]) -> Value:
    """The second step: one number of the values of all entities."""
    if any(value.free for value in values):
        return FREE
    known = [value for value in values if value.middle is not None]
    if then == "count":
        return replace(near(len(known)), approximate=any(value.approximate for value in known))
    if then == "sum":
        total = near(0)
        for value in known:
            total = replace(arithmetic("+", total, value), approximate=total.approximate or value.approximate)
        return total
    if not known:
        return NULL
    if then in ("min", "max"):
        return extreme(known, min if then == "min" else max)
    if then == "avg":
        return widened(mean(known, len(known)))
    approximate = any(value.approximate for value in known)
    if then == "stddev":
        return spread_of(known, approximate=approximate)
    q = Fraction("0.5") if then == "median" else Fraction(int(then[1:]), 100)
    ends = [percentile(sorted(side), q, approximate=False) for side in zip(*(v.interval for v in known), strict=True)]
    return Value(ends[0].middle, ends[1].low, ends[2].high, approximate)


def variance_of(numbers: Sequence[Fraction]) -> tuple[Fraction, Fraction]:
    """The sample variance, and how far a good algorithm may be off, whatever other values there are in the table: a share
    of the deviations times the size of the numbers themselves (Chan, Golub and LeVeque 1983)."""
    count = len(numbers)
    middle = sum(numbers) / count
    squares, size = sum((x - middle) ** 2 for x in numbers), sum(x * x for x in numbers)
    rounding = (ROUNDING**2) * size
    return Fraction(squares, count - 1), (FLOAT * root(squares * size) + rounding) / (count - 1) + TINY


def spread_of(known: Sequence[Value], *, approximate: bool) -> Value:
    """The sample's standard deviation, as far as floats can tell."""
    count = len(known)
    if count < 2:
        return NULL
    variance, slack = variance_of([value.interval[0] for value in known])
    unsure = max(high - low for _, low, high in (value.interval for value in known))
    near_root = root(variance)
    low, high = root(max(variance - slack, Fraction(0))) - unsure, root(variance + slack) + unsure
    return widened(Value(near_root, low, high, approximate))


def percentile(ordered: Sequence[Any], q: Fraction, *, approximate: bool) -> Value:
    """percentile_cont: the two neighbouring ranks, interpolated."""
    place = q * (len(ordered) - 1)
    below = place.numerator // place.denominator
    low, high = Fraction(ordered[below]), Fraction(ordered[min(below + 1, len(ordered) - 1)])
    slack = (BUCKET + FLOAT if approximate else FLOAT) * max(abs(low), abs(high))
    return near(low + (high - low) * (place - below), slack, approximate=approximate)


def discrete_percentile(ordered: Sequence[Any], q: Fraction, *, approximate: bool) -> Value:
    """percentile_disc: the first value that at least the share `q` of all do not exceed."""
    found = next(Fraction(x) for i, x in enumerate(ordered, 1) if Fraction(i, len(ordered)) >= q)
    slack = (BUCKET + FLOAT if approximate else FLOAT) * abs(found)
    return near(found, slack, approximate=approximate)


def outer(measure: Measure, leaf: Callable[[Any], Value]) -> Value:
    """`measure` with the values of its aggregates (or, in a derived metric, its metrics) from `leaf`."""
    if isinstance(measure, Num):
        return near(Fraction(measure.text))
    if isinstance(measure, Op):
        return arithmetic(measure.op, outer(measure.left, leaf), outer(measure.right, leaf))
    if isinstance(measure, Case):
        return case(measure, leaf)
    if isinstance(measure, Call):
        return CALLS[measure.fn](*(outer(argument, leaf) for argument in measure.args))
    return leaf(measure)


def case(measure: Case, leaf: Callable[[Any], Value]) -> Value:
    left, number = outer(measure.left, leaf), Fraction(measure.number.text)
    if left.free:
        return FREE
    otherwise = outer(measure.otherwise, leaf) if measure.otherwise else NULL
    if left.middle is None:
        return otherwise
    middle, low, high = left.interval
    if (low > number) != (high > number):
        return FREE
    return outer(measure.then, leaf) if middle > number else otherwise


def coalesce(*values: Value) -> Value:
    for value in values:
        if value.free or value.middle is not None:
            return value
    return NULL


def nullif(value: Value, number: Value) -> Value:
    if value.free or value.middle is None:
        return value
    middle, low, high = value.interval
    if value.exact:
        return NULL if middle == number.middle else value
    return FREE if low <= number.interval[0] <= high else value


def rounded_value(value: Value, digits: Value | None = None) -> Value:
    if value.free or value.middle is None:
        return value
    places = int(digits.interval[0]) if digits else 0
    return widened(Value(*(rounded(x, places) for x in value.interval), value.approximate))


def absolute(value: Value) -> Value:
    if value.free or value.middle is None:
        return value
    middle, low, high = value.interval
    nearest = Fraction(0) if low < 0 < high else min(abs(low), abs(high))
    return Value(abs(middle), nearest, max(abs(low), abs(high)), value.approximate)


CALLS: dict[str, Callable[..., Value]] = {
    "coalesce": coalesce,
    "nullif": nullif,
    "round": rounded_value,
    "abs": absolute,
}
