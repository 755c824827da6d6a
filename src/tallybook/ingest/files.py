"""Files of events: written once, with names that contain no text of a sender, and on disk before they are named."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tallybook.storage import folder_mode, make_folder, sync

if TYPE_CHECKING:
    import pyarrow as pa

EVENTS_FOLDER = "events"
"""Below the folder of the book."""


def write_table(table: pa.Table, path: Path) -> None:
    """Write a Parquet file, and have the disk hold it and its name."""
    import pyarrow.parquet as pq

    book = next(folder.parent for folder in path.parents if folder.name == EVENTS_FOLDER)
    mode = folder_mode(book, "owner")
    make_folder(path.parent, mode)
    pq.write_table(table, path, compression="zstd")
    path.chmod(mode & 0o666)
    sync(path)
    sync(path.parent)
