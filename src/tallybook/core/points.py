"""The rows of a book: one schema per kind of points file, and nothing else, ever.

`additive` holds merged numbers (SUM, MIN or MAX per key), `ids` a row per distinct thing, `buckets` a row per
value or narrow stretch of values. All are keyed by (metric, definition, slot, day, d1 … d16): `slot` is the
place of the aggregate in its measure, d1 … d16 are the values of `Metric.dims` in that order.
"""

from __future__ import annotations

from collections.abc import Sequence

from tallybook.core.measure import ADDITIVE, BUCKETS, IDS

FORMAT = 2
"""Of the schemas below. A file of a format that is not in READABLE is refused, never guessed at."""
READABLE = (1, FORMAT)
ADDED = {2: {ADDITIVE: ("k",)}}
"""The columns that a format added; in files of older formats they are null."""

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
"""How each additive part merges per key. There is no fourth way. `s1` and `s2` are sums over x − K: parts are moved to
one K before they are added. `k` is that K, null where it is the constant of the definition (in parts of format 1)."""

EXACT_VALUES = 1000
"""A cell keeps its values as they are up to so many different ones; above, in buckets of 1 %."""
ACCURACY = 0.01
GAMMA = (1 + ACCURACY) / (1 - ACCURACY)


def lacking(kind: str, format_: int) -> tuple[str, ...]:
    """The columns of a kind that files of an older format do not have."""
    return tuple(name for number, added in ADDED.items() if number > format_ for name in added.get(kind, ()))


def schema_of(kind: str, format_: int) -> tuple[tuple[str, str], ...]:
    """The columns, with their types, of files of a format."""
    absent = lacking(kind, format_)
    return tuple(column for column in SCHEMAS[kind] if column[0] not in absent)


def columns(kind: str) -> tuple[str, ...]:
    """The column names of a kind, in order."""
    return tuple(name for name, _ in SCHEMAS[kind])


def ddl(kind: str, table: str, dims: int = DIMS) -> str:
    """CREATE TABLE for a kind, in the engine's SQL, with the columns of so many dimensions."""
    unused = DIM_COLUMNS[dims:]
    named = ", ".join(f"{name} {type_}" for name, type_ in SCHEMAS[kind] if name not in unused)
    return f"CREATE TABLE {table} ({named})"


def storage_key(kind: str, metric: str) -> str:
    """Which metrics share a file: all of them for additive parts, one alone for ids and buckets."""
    return "" if kind == ADDITIVE else metric


def hashed_id(keys: Sequence[str], *, counts_null: bool) -> str:
    """The 64 bits under which a text id, or an id of several parts, is kept; in the engine's SQL over its texts."""
    parts = [f"coalesce(strlen({k}) || ':' || {k}, '~')" for k in keys]
    text = keys[0] if len(keys) == 1 and not counts_null else " || ".join(parts)
    return f"CAST(CAST(md5_number_lower({text}) AS HUGEINT) - 9223372036854775808 AS BIGINT)"
