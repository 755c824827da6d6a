"""Tables as Parquet files, written by DuckDB."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import BinaryIO

from tallybook.core.arrow import ArrowTable
from tallybook.core.errors import TallybookError


def save_parquet(table: ArrowTable, where: str | Path | BinaryIO) -> None:
    """Write a table with its metadata to a path or an open file. Uses pyarrow for names that differ only in case and
    for numbers of more than 38 digits."""
    if not _fits_duckdb(table):
        _save_with_pyarrow(table, where)
    elif isinstance(where, str | Path):
        _save(table, Path(where))
    else:
        with tempfile.TemporaryDirectory(prefix="tallybook-") as folder:
            path = Path(folder, "table.parquet")
            _save(table, path)
            where.write(path.read_bytes())


def _fits_duckdb(table: ArrowTable) -> bool:
    names = [name.casefold() for name in table.types]
    return len(set(names)) == len(names) and not any(type_.startswith("DECIMAL(76") for type_ in table.types.values())


def _save(table: ArrowTable, path: Path) -> None:
    import duckdb

    metadata = ", ".join(f"{_quoted(key)}: {_quoted(value)}" for key, value in table.metadata.items())
    about = f", KV_METADATA {{{metadata}}}" if metadata else ""
    with duckdb.connect(":memory:") as engine:
        engine.register("columns_of_file", table)
        options = f"FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false{about}"
        engine.execute(f"COPY (SELECT * FROM columns_of_file) TO {_quoted(path.as_posix())} ({options})").fetchall()


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _save_with_pyarrow(table: ArrowTable, where: str | Path | BinaryIO) -> None:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise TallybookError(
            "a Parquet file with column names that differ only in case, or with numbers of more than 38 digits, "
            "needs pyarrow, which is not installed",
            hint="pip install 'tallybook[arrow]'",
        ) from error
    parquet.write_table(pa.table(table), where, compression="zstd")
