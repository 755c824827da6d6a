"""The parts of a measure as plain values: slots (its aggregates) and a shell (the expression around them)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

ADDITIVE, IDS, BUCKETS = "additive", "ids", "buckets"
INTEGER, DECIMAL, FLOAT = "integer", "decimal", "float"
SHOWS = ("total", "average", "last", "first", "min", "max", "change")
"""Ways of combining the days of a period into one number."""

Tree = list[Any]
"""A shell: ["slot", 0], ["num", "1.5"], ["null"], [operator, tree, …]; rendered by `render`."""


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """One aggregate of a measure: its function, its arguments and its filter."""

    agg: str
    args: tuple[str, ...] = ()
    filter: str | None = None
    q: float | None = None
    """The quantile, between 0 and 1."""
    counts_null: bool = False
    """For `count(distinct (a, b))`: a row of nulls counts as a value."""

    @property
    def shape(self) -> str:
        """The kind of points it needs: additive parts, a row per id, or a row per bucket."""
        return AGGREGATES[self.agg]

    @property
    def zero(self) -> bool:
        """Whether it is 0 over no values; otherwise it is null."""
        return self.agg in ("count", "sum", "count_distinct", "sum_distinct")

    @property
    def spread(self) -> bool:
        """Whether it is a variance or a standard deviation."""
        return self.agg in SPREADS


class Then(msgspec.Struct, frozen=True, kw_only=True):
    """The second step of a measure: the aggregate of the values of all entities."""

    agg: str
    q: float | None = None

    @property
    def zero(self) -> bool:
        """Whether it is 0 over no entities; otherwise it is null."""
        return self.agg in ("count", "sum")


class Operand(msgspec.Struct, frozen=True, kw_only=True):
    """A metric inside a derived one, with the show that rolls it up (None: its own default)."""

    metric: str
    show: str | None = None


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed measure: normalized `text`, and the `slots` (or, derived, `operands`) that fill the leaves of
    `shell`."""

    text: str
    shell: Tree
    slots: tuple[Slot, ...] = ()
    operands: tuple[Operand, ...] = ()

    @property
    def linear(self) -> bool:
        """Whether it is a sum of counts, sums and distinct counts, each times a number. Its mean of daily values is
        then meaningful."""
        return linear(self.shell, lambda index: self.slots[index].zero)


AGGREGATES = {
    "count": ADDITIVE,
    "sum": ADDITIVE,
    "avg": ADDITIVE,
    "min": ADDITIVE,
    "max": ADDITIVE,
    "stddev_samp": ADDITIVE,
    "stddev_pop": ADDITIVE,
    "var_samp": ADDITIVE,
    "var_pop": ADDITIVE,
    "count_distinct": IDS,
    "sum_distinct": IDS,
    "avg_distinct": IDS,
    "first": IDS,
    "last": IDS,
    "quantile": BUCKETS,
    "quantile_disc": BUCKETS,
}
SPREADS = ("stddev_samp", "stddev_pop", "var_samp", "var_pop")
"""Aggregates of squares. Each part stores its own K."""
BY_TIME = ("first", "last")
"""Aggregates that return the value of the first or last fact."""
SPELLINGS = {
    "count": "count",
    "sum": "sum",
    "avg": "avg",
    "mean": "avg",
    "min": "min",
    "max": "max",
    "stddev": "stddev_samp",
    "stddev_samp": "stddev_samp",
    "stddev_pop": "stddev_pop",
    "variance": "var_samp",
    "var_samp": "var_samp",
    "var_pop": "var_pop",
    "median": "quantile",
    "quantile": "quantile",
    "quantile_cont": "quantile",
    "percentile_cont": "quantile",
    "quantile_disc": "quantile_disc",
    "percentile_disc": "quantile_disc",
    "first": "first",
    "last": "last",
}


def linear(tree: Tree, leaf: Callable[[int], bool]) -> bool:
    """Whether a shell is a sum of leaves, each times a number, and `leaf` is true for every leaf."""
    match tree:
        case ["slot", index]:
            return leaf(index)
        case ["+" | "-", left, right]:
            return linear(left, leaf) and linear(right, leaf)
        case ["neg", inner]:
            return linear(inner, leaf)
        case ["*", left, right] if is_literal(left) or is_literal(right):
            return linear(right if is_literal(left) else left, leaf)
        case ["/", inner, divisor] if is_literal(divisor):
            return linear(inner, leaf)
        case ["float", inner] | ["fn", "coalesce", inner, ["num", "0"]]:
            return linear(inner, leaf)
    return False


def is_literal(tree: Tree) -> bool:
    """Whether a tree is a literal number, with or without a sign."""
    return bool(tree[0] == "num" or (tree[0] == "neg" and is_literal(tree[1])))
