"""The rows of a book: one schema for each kind of points file. There are no other tables.

`additive` contains merged numbers (SUM, MIN or MAX per key), `ids` a row per distinct id, and `buckets` a row per
value or narrow range of values. The key of all of them is (metric, definition, slot, day, d1 … d16): `slot` is the
index of the aggregate in its measure, d1 … d16 are the values of `Metric.dims` in that order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tallybook.core.measure.model import ADDITIVE, BUCKETS, FLOAT, IDS, SPREADS

FORMAT = 2
"""The format number of the schemas below. Files whose format is not in READABLE are refused."""
READABLE = (1, FORMAT)
ADDED = {2: {ADDITIVE: ("k",)}}
"""The columns that each format added. They are null in files of older formats."""

MAX_DIMENSIONS = 16
DIM_COLUMNS = tuple(f"d{i}" for i in range(1, MAX_DIMENSIONS + 1))
EXACT_DIGITS = (38, 10)
"""Exact numbers: total digits, and digits after the point."""
EXACT = "DECIMAL({},{})".format(*EXACT_DIGITS)
KEY: tuple[tuple[str, str], ...] = (
    ("metric", "VARCHAR"),
    ("definition", "VARCHAR"),
    ("slot", "SMALLINT"),
    ("day", "DATE"),
    *((d, "VARCHAR") for d in DIM_COLUMNS),
)

SUM, MIN, MAX = "sum", "min", "max"
UNION, CENTER = "union", "center"
"""Rules that are not aggregates. UNION: rows with equal parts become one row. CENTER: the K of a row; parts are
converted to a common K before they are added."""


@dataclass(frozen=True)
class PointPart:
    """A column of points beside the key: its type, and the rule that merges its values in several rows."""

    name: str
    type: str
    rule: str


PARTS: dict[str, tuple[PointPart, ...]] = {
    ADDITIVE: (
        PointPart("rows", "BIGINT", SUM),
        PointPart("n", "BIGINT", SUM),
        PointPart("total", EXACT, SUM),
        PointPart("total_f", "DOUBLE", SUM),
        PointPart("low", EXACT, MIN),
        PointPart("high", EXACT, MAX),
        PointPart("low_f", "DOUBLE", MIN),
        PointPart("high_f", "DOUBLE", MAX),
        PointPart("s1", "DOUBLE", SUM),
        PointPart("s2", "DOUBLE", SUM),
        PointPart("k", "DOUBLE", CENTER),
    ),
    IDS: (PointPart("id", "BIGINT", UNION), PointPart("value", EXACT, UNION), PointPart("value_f", "DOUBLE", UNION)),
    BUCKETS: (PointPart("low_f", "DOUBLE", MIN), PointPart("high_f", "DOUBLE", MAX), PointPart("n", "BIGINT", SUM)),
}
"""All parts and their rules. `s1` and `s2` are the sums of x − K and of its square, and `k` is that K. A null `k` means
the constant K of the definition (parts of format 1)."""
SCHEMAS = {kind: (*KEY, *((part.name, part.type) for part in parts)) for kind, parts in PARTS.items()}
MERGE = {
    kind: {part.name: part.rule for part in parts if part.rule in (SUM, MIN, MAX)} for kind, parts in PARTS.items()
}
"""The aggregate that merges each part of a kind, over rows with the same K. Only SUM, MIN and MAX are used."""
PART_TYPES = {kind: {part.name: part.type for part in parts} for kind, parts in PARTS.items()}
PARTS_OF: dict[str, tuple[str, ...]] = {
    "count": ("n",),
    "sum": ("total",),
    "avg": ("total", "n"),
    "min": ("low",),
    "max": ("high",),
    **dict.fromkeys(SPREADS, ("n", "k", "s1", "s2")),
}
"""The additive parts of each aggregate, in their exact form."""

EXACT_VALUES = 1000
"""Maximum number of different values that a cell stores exactly. With more, values are stored in buckets of 1 %."""
ACCURACY = 0.01
GAMMA = (1 + ACCURACY) / (1 - ACCURACY)


def missing_columns(kind: str, format_: int) -> tuple[str, ...]:
    """The columns of a kind that files of an older format lack."""
    return tuple(name for number, added in ADDED.items() if number > format_ for name in added.get(kind, ()))


def schema_of(kind: str, format_: int) -> tuple[tuple[str, str], ...]:
    """(column, type) of files of a kind and format."""
    absent = missing_columns(kind, format_)
    return tuple(column for column in SCHEMAS[kind] if column[0] not in absent)


def column_names(kind: str) -> tuple[str, ...]:
    """The column names of a kind, in order."""
    return tuple(name for name, _ in SCHEMAS[kind])


def part_column(part: str, type_: str) -> str:
    """The column of an additive part of a slot whose result has this type."""
    as_float = f"{part}_f"
    return as_float if type_ == FLOAT and as_float in PART_TYPES[ADDITIVE] else part


def merge_sql(kind: str, part: str, argument: str | None = None) -> str:
    """The aggregate that merges a part. `argument` replaces the part's own column, for another name or form of it."""
    return f"{MERGE[kind][part]}({argument or part})"


def ddl(kind: str, table: str, dims: int = MAX_DIMENSIONS) -> str:
    """CREATE TABLE for a kind, in SQL of the engine, with columns for `dims` dimensions."""
    unused = DIM_COLUMNS[dims:]
    named = ", ".join(f"{name} {type_}" for name, type_ in SCHEMAS[kind] if name not in unused)
    return f"CREATE TABLE {table} ({named})"


def storage_key(kind: str, metric: str) -> str:
    """The storage key of a metric's files. All metrics share files of additive parts; ids and buckets have files per
    metric."""
    return "" if kind == ADDITIVE else metric


def hashed_id(keys: Sequence[str], *, counts_null: bool) -> str:
    """SQL of the engine for the 64-bit hash that stores a text id, or an id of several parts."""
    parts = [f"coalesce(strlen({k}) || ':' || {k}, '~')" for k in keys]
    text = keys[0] if len(keys) == 1 and not counts_null else " || ".join(parts)
    return f"CAST(CAST(md5_number_lower({text}) AS HUGEINT) - 9223372036854775808 AS BIGINT)"
