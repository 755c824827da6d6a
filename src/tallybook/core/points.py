"""The rows of a book: one schema for each kind of points file. There are no other tables.

`additive` contains merged numbers (SUM, MIN or MAX per key), `ids` a row per distinct id, `buckets` a row per value or
narrow range of values. All are keyed by (metric, definition, slot, day, d1 … d16): `slot` is the
place of the aggregate in its measure, d1 … d16 are the values of `Metric.dims` in that order.
"""

from __future__ import annotations

from collections.abc import Sequence

from tallybook.core.measure.model import ADDITIVE, BUCKETS, IDS

FORMAT = 2
"""The format number of the schemas below. A file of a format that is not in READABLE is refused."""
READABLE = (1, FORMAT)
ADDED = {2: {ADDITIVE: ("k",)}}
"""The columns that each format added. They are null in files of older formats."""

DIMS = 16
DIM_COLUMNS = tuple(f"d{i}" for i in range(1, DIMS + 1))
EXACT = "DECIMAL(38,10)"
KEY: tuple[tuple[str, str], ...] = (
    ("metric", "VARCHAR"),
    ("definition", "VARCHAR"),
    ("slot", "SMALLINT"),
    ("day", "DATE"),
    *((d, "VARCHAR") for d in DIM_COLUMNS),
)
VALUES: dict[str, tuple[tuple[str, str], ...]] = {
    ADDITIVE: (
        ("rows", "BIGINT"),
        ("n", "BIGINT"),
        ("total", EXACT),
        ("total_f", "DOUBLE"),
        ("low", EXACT),
        ("high", EXACT),
        ("low_f", "DOUBLE"),
        ("high_f", "DOUBLE"),
        ("s1", "DOUBLE"),
        ("s2", "DOUBLE"),
        ("k", "DOUBLE"),
    ),
    IDS: (("id", "BIGINT"), ("value", EXACT), ("value_f", "DOUBLE")),
    BUCKETS: (("low_f", "DOUBLE"), ("high_f", "DOUBLE"), ("n", "BIGINT")),
}
SCHEMAS = {kind: (*KEY, *values) for kind, values in VALUES.items()}
MERGE = {
    "rows": "sum",
    "n": "sum",
    "total": "sum",
    "total_f": "sum",
    "s1": "sum",
    "s2": "sum",
    "low": "min",
    "low_f": "min",
    "high": "max",
    "high_f": "max",
}
"""The merge function of each additive part. There are only these three.

`s1` and `s2` are sums over x − K: parts are converted to one K before they are added. `k` is that K; it is null in
parts of format 1, where K is a constant of the definition."""

EXACT_VALUES = 1000
"""Maximum number of different values that a cell stores exactly; beyond it, values are in buckets of 1 %."""
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


def ddl(kind: str, table: str, dims: int = DIMS) -> str:
    """CREATE TABLE for a kind, in SQL of the engine, with columns for `dims` dimensions."""
    unused = DIM_COLUMNS[dims:]
    named = ", ".join(f"{name} {type_}" for name, type_ in SCHEMAS[kind] if name not in unused)
    return f"CREATE TABLE {table} ({named})"


def storage_key(kind: str, metric: str) -> str:
    """The key of the files of a metric: all metrics share files of additive parts; ids and buckets have their own."""
    return "" if kind == ADDITIVE else metric


def hashed_id(keys: Sequence[str], *, counts_null: bool) -> str:
    """SQL of the engine for the 64-bit hash that stores a text id, or an id of several parts."""
    parts = [f"coalesce(strlen({k}) || ':' || {k}, '~')" for k in keys]
    text = keys[0] if len(keys) == 1 and not counts_null else " || ".join(parts)
    return f"CAST(CAST(md5_number_lower({text}) AS HUGEINT) - 9223372036854775808 AS BIGINT)"
