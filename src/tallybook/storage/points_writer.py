"""Writes points files, sorted, directly from a query of the engine."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tallybook.core import ADDITIVE, BUCKETS, IDS, KEY, SCHEMAS, BookError
from tallybook.storage.engines.duckdb import literal
from tallybook.storage.files import engine_path, hint_for

if TYPE_CHECKING:
    import duckdb


ROW_GROUP = 122_880
"""Rows per row group, for reading and writing; DuckDB's default."""


def _order(kind: str, names: Sequence[str]) -> str:
    """The sort key of the rows in a file, which makes files small and lookups fast. Files of ids and buckets have one
    metric."""
    keys = [name for name, _ in KEY if kind == ADDITIVE or name not in ("metric", "definition")]
    return ", ".join(n for n in [*keys, *{IDS: ["id"], BUCKETS: ["low_f"]}.get(kind, [])] if n in names)


def write_parquet(
    engine: duckdb.DuckDBPyConnection, select: str, kind: str, metric: str, names: Sequence[str], path: Path
) -> int:
    """Write the rows of a query to a file, sorted. Returns the number of rows.

    Columns without values are added after the sort, which would otherwise carry them. Version 2 of the format stores
    sorted ids as differences."""
    columns = [_column(name, type_, metric, names) for name, type_ in SCHEMAS[kind]]
    sorted_ = f"SELECT {', '.join(names)} FROM ({select}) ORDER BY {_order(kind, names)}"
    written = engine.execute(
        f"COPY (SELECT {', '.join(columns)} FROM ({sorted_})) TO {engine_path(path)} "
        f"(FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2, ROW_GROUP_SIZE {ROW_GROUP}, USE_TMP_FILE false)"
    )
    return int(written.fetchall()[0][0])


def _column(name: str, type_: str, metric: str, names: Sequence[str]) -> str:
    if name in names:
        return name
    return f"{literal(metric)} AS {name}" if name == "metric" else f"NULL::{type_} AS {name}"


def unwritable(path: Path, error: Exception) -> BookError:
    number = _errno(error)
    reason = os.strerror(number) if number else " ".join(str(error).split())
    return BookError(f"{path} cannot be written: {reason}", hint=hint_for(OSError(number, reason)))


def _errno(error: Exception) -> int:
    """The system's error number in an error of the engine; 0 without a number."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    numbered = re.search(r'"errno":"(\d+)"', " ".join(str(error).split()))
    return int(numbered[1]) if numbered else 0
