"""Determines the type of each aggregate of a measure from the types of its arguments."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tallybook.collect.sources.base import Source
from tallybook.collect.sources.values import (
    BIT,
    BOOL,
    BYTES,
    DATE,
    DEC,
    DECLARED,
    INT,
    NUMBERS,
    OTHER,
    SINGLE,
    TIMESTAMP,
    TIMESTAMPTZ,
    UUID,
    WIDE_BIT,
    ColumnType,
)
from tallybook.core import BUCKETS, BY_TIME, DECIMAL, FLOAT, IDS, INTEGER, BoundSlot, Metric, Slot, SourceError

FLOATING = "float"


RAW_TYPES = (SINGLE, BIT, WIDE_BIT)


OWN_K = "with a K for each part"
"""Marks squares in a definition whose parts each have their own K."""


BEYOND_64_BITS = re.compile("UNSIGNED|UBIGINT|HUGEINT|UInt64|Int128|Int256", re.IGNORECASE)


def with_decimals(type_: ColumnType, metric: Metric, slot: Slot) -> ColumnType:
    if metric.decimals is None or slot.agg not in (
        "sum",
        "avg",
        "min",
        "max",
        "sum_distinct",
        "avg_distinct",
        *BY_TIME,
    ):
        return type_
    if type_.kind == INT:
        return type_
    return ColumnType(DEC, metric.decimals, DECLARED + type_.kind)


def is_read_otherwise(slot: Slot, types: Sequence[ColumnType], *, interval: bool) -> bool:
    """Whether its ids or extremes were once read as MySQL displays them, so that old parts differ from parts read
    since."""
    ids = slot.agg == "count_distinct" or (slot.agg in ("min", "max") and not interval)
    as_floats = slot.shape == BUCKETS or slot.spread
    return any((ids and t.declared in RAW_TYPES) or (as_floats and t.declared == WIDE_BIT) for t in types)


def _as_number(kind: str, expression: str) -> str:
    """A hint how to get a number from an expression of another type."""
    x = " ".join(expression.split())
    if kind == BOOL:
        return f"make a number of it: case when {x} then 1 else 0 end"
    if kind in (DATE, TIMESTAMP, TIMESTAMPTZ):
        return f"take a number from it, such as its year: extract(year from {x})"
    if kind in (UUID, BYTES):
        return f"count it: count(distinct {x})"
    return f"cast it to a number: cast({x} as decimal(38, 10)), or say its digits: decimals = 2"


def bound_slot(source: Source, metric: Metric, slot: Slot, types: Sequence[ColumnType]) -> BoundSlot:
    where = f"metrics.{metric.name}: {slot.agg.replace('_', ' ')}({', '.join(slot.args)})"
    if slot.agg == "count":
        return BoundSlot(type=INTEGER)
    if slot.agg == "count_distinct":
        whole = len(types) == 1 and types[0].kind == INT and not BEYOND_64_BITS.search(types[0].declared)
        return BoundSlot(type=INTEGER, ids="int" if whole else "hash")
    kind = types[0].kind
    if kind not in NUMBERS and not (kind == BOOL and source.kind.booleans_are_numbers):
        if kind == OTHER and source.kind.typeless_columns:
            kind = FLOATING
        else:
            raise SourceError(f"{where}: a column of kind {kind} is not a number", hint=_as_number(kind, slot.args[0]))
    if slot.shape == BUCKETS:
        return BoundSlot(type=FLOAT)
    if slot.spread:
        return BoundSlot(type=FLOAT)
    exact = INTEGER if kind in (INT, BOOL) or (kind == DEC and types[0].scale == 0) else DECIMAL
    type_ = FLOAT if kind == FLOATING else exact
    if slot.agg in BY_TIME:
        return BoundSlot(type=type_, ids="time")
    return BoundSlot(type=type_, ids="value" if slot.shape == IDS else "")
