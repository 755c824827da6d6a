"""Loads Python rows into a temporary table of the engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from tallybook.storage.engines.duckdb import literal
from tallybook.storage.files import scratch_folder

if TYPE_CHECKING:
    import duckdb

MAX_ROW_BYTES = 268_435_456


def load_rows(
    engine: duckdb.DuckDBPyConnection, table: str, types: Mapping[str, str], rows: Iterable[Mapping[str, Any]]
) -> None:
    """Create a temporary table with columns of these types, from rows by column name. Missing values are null. `table`
    is an SQL name."""
    encoder = msgspec.json.Encoder()
    with scratch_folder() as folder:
        file = folder / "rows.ndjson"
        with file.open("wb") as lines:
            lines.writelines(encoder.encode(row) + b"\n" for row in rows)
        listed = ", ".join(f"{literal(name)}: {literal(type_)}" for name, type_ in types.items())
        engine.execute(
            f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT * FROM read_json({literal(str(file))}, "
            f"columns = {{{listed}}}, format = 'newline_delimited', maximum_object_size = {MAX_ROW_BYTES})"
        ).fetchall()
