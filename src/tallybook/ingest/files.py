"""Files of events: written once, with names that contain no text of a sender, and on disk before they are named."""

from __future__ import annotations

import uuid
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from tallybook.storage import PointsFile, hash_of

if TYPE_CHECKING:
    import pyarrow as pa

    from tallybook.storage import Files

EVENTS_FOLDER = "events"
"""Below the folder of the book."""


def write_table(files: Files, table: pa.Table, folder: str) -> PointsFile:
    """A new Parquet file in a folder of events, kept until it is committed: its path, rows, bytes and hash."""
    import pyarrow.parquet as pq

    path = Path(EVENTS_FOLDER) / folder / f"{uuid.uuid4().hex}.parquet"
    written = files.new(path)
    pq.write_table(table, written, compression="zstd")
    file = PointsFile(
        path=path.as_posix(),
        kind="events",
        metric="",
        first=date.min,
        last=date.min,
        rows=table.num_rows,
        bytes=written.stat().st_size,
        sha256=hash_of(written),
    )
    files.keep(file, written)
    return file
