"""Points files are written, sorted, as the engine delivers their rows."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tallybook.core import ADDITIVE, BUCKETS, EXACT, EXACT_DIGITS, IDS, KEY, SCHEMAS, BookError
from tallybook.storage.files import hint_for

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


ROW_GROUP = 122_880
"""Rows that a file is read and written by, as DuckDB's own."""


def _order(kind: str, names: Sequence[str]) -> str:
    """What rows of a file are sorted by, so that they are small and found quickly. Ids and buckets are one metric's."""
    keys = [name for name, _ in KEY if kind == ADDITIVE or name not in ("metric", "definition")]
    return ", ".join(n for n in [*keys, *{IDS: ["id"], BUCKETS: ["low_f"]}.get(kind, [])] if n in names)


def write_parquet(
    engine: duckdb.DuckDBPyConnection, select: str, kind: str, metric: str, names: Sequence[str], path: Path
) -> int:
    """Write the rows of a statement, sorted, as they come. Returns how many.

    pyarrow writes columns without values for next to nothing (DuckDB's COPY takes half its time for them) and
    sorted ids as differences."""
    import pyarrow as pa
    from pyarrow import parquet

    sorted_ = f"SELECT {', '.join(names)} FROM ({select}) ORDER BY {_order(kind, names)}"
    schema = pa.schema([(name, _arrow(type_)) for name, type_ in SCHEMAS[kind]])
    rows = 0
    with parquet.ParquetWriter(
        path,
        schema,
        compression="zstd",
        use_dictionary=[name for name in schema.names if name != "id"],
        column_encoding={"id": "DELTA_BINARY_PACKED"} if "id" in schema.names else None,
    ) as writer:
        for batch in engine.sql(sorted_).to_arrow_reader(ROW_GROUP):
            own = pa.repeat(metric, batch.num_rows)
            rest = {
                name: own if name == "metric" else pa.nulls(batch.num_rows, schema.field(name).type)
                for name in schema.names
                if name not in names
            }
            whole = [rest[name] if name in rest else batch.column(name) for name in schema.names]
            writer.write_batch(pa.record_batch(whole, schema=schema), row_group_size=ROW_GROUP)
            rows += batch.num_rows
    return rows


def _arrow(type_: str) -> pa.DataType:
    import pyarrow as pa

    types = {
        "VARCHAR": pa.string(),
        "SMALLINT": pa.int16(),
        "DATE": pa.date32(),
        "BIGINT": pa.int64(),
        "DOUBLE": pa.float64(),
    }
    return pa.decimal128(*EXACT_DIGITS) if type_ == EXACT else types[type_]


def unwritable(path: Path, error: Exception) -> BookError:
    number = _errno(error)
    reason = os.strerror(number) if number else " ".join(str(error).split())
    return BookError(f"{path} cannot be written: {reason}", hint=hint_for(OSError(number, reason)))


def _errno(error: Exception) -> int:
    """The system's number of an error, out of what the engine made of it; 0 when there is none."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    numbered = re.search(r'"errno":"(\d+)"', " ".join(str(error).split()))
    return int(numbered[1]) if numbered else 0
