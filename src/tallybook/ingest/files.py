"""Writes files of events. Each is written once, has a name without any text from a sender, and is on disk before it is
recorded."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from tallybook.core import ArrowTable
from tallybook.storage import PointsFile, connect, engine_path, hash_of, without_bar

if TYPE_CHECKING:
    import duckdb

    from tallybook.storage import Files

EVENTS_FOLDER = "events"
"""The subfolder of the book's folder."""


def write_table(files: Files, table: ArrowTable, folder: str) -> PointsFile:
    """Write a new Parquet file in a folder of events. It is protected until it is committed. Returns its path, rows,
    bytes and hash."""
    with own_engine() as engine:
        engine.register("columns_of_file", table)
        return write_rows(files, engine, "SELECT * FROM columns_of_file", folder)


@contextmanager
def own_engine() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to this thread's engine. Starting an engine takes longer than writing a small file."""
    if getattr(_local, "pid", None) != os.getpid():
        _local.engine, _local.pid = connect(), os.getpid()
    with without_bar(_local.engine.cursor()) as engine:
        yield engine


_local = threading.local()


def write_rows(files: Files, engine: duckdb.DuckDBPyConnection, select: str, folder: str) -> PointsFile:
    """Like `write_table`, with the rows of an SQL statement."""
    path = Path(EVENTS_FOLDER) / folder / f"{uuid.uuid4().hex}.parquet"
    written = files.new(path)
    options = "FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2, USE_TMP_FILE false"
    rows = engine.execute(f"COPY ({select}) TO {engine_path(written)} ({options})").fetchall()[0][0]
    file = PointsFile(
        path=path.as_posix(),
        kind="events",
        metric="",
        first=date.min,
        last=date.min,
        rows=int(rows),
        bytes=written.stat().st_size,
        sha256=hash_of(written),
    )
    files.keep(file, written)
    return file
