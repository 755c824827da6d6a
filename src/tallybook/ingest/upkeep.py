"""Upkeep of the files of events: many small ones become one, and what nobody reads any more is deleted."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tallybook.core import COMMIT_COLUMN
from tallybook.ingest.files import EVENTS_FOLDER, write_table
from tallybook.storage import REJECTED, Conflict, EventCommit, EventFile, EventLedger, hash_of

if TYPE_CHECKING:
    import pyarrow as pa

MIN_FILES = 24
"""Small files of an event are merged when there are so many."""
SMALL_BYTES = 16_000_000
MAX_MERGED_BYTES = 32_000_000
GRACE = timedelta(hours=1)
"""A file that was merged is kept so long: a run may be reading it."""
STRAY_SECONDS = 24 * 3600
"""A file that no ledger names is deleted when it is older: a compaction may be at work on it."""


class Upkeep:
    """`step` does what is due. It may be interrupted at any point, and others may commit meanwhile."""

    def __init__(
        self, events: EventLedger, folder: Path, clock: Callable[[], datetime], *, min_files: int = MIN_FILES
    ) -> None:
        self.events, self.folder, self.clock, self.min_files = events, folder, clock, min_files

    def step(self) -> int:
        """Merge files, and delete those that were merged long ago and those that nobody named. How many were merged."""
        merged = 0
        for chosen in self._chosen():
            try:
                self._merge(chosen)
            except Conflict:  # Somebody committed meanwhile; the new file is a stray, and the next step tries again.
                break
            merged += len(chosen)
        self._delete()
        return merged

    def _chosen(self) -> list[list[EventFile]]:
        """For each event with many small files those to merge now."""
        by_event: dict[str, list[EventFile]] = {}
        for file in self.events.snapshot().files:
            if file.bytes < SMALL_BYTES:
                by_event.setdefault(file.event, []).append(file)
        found = []
        for files in by_event.values():
            if len(files) >= self.min_files:
                # In the order of receipt: later commits come after earlier ones, as they were.
                found.append(_up_to(sorted(files, key=lambda one: (one.received_first, one.path)), MAX_MERGED_BYTES))
        return [chosen for chosen in found if len(chosen) > 1]

    def _merge(self, files: Sequence[EventFile]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        base = self.events.number()
        current = {file.path for file in self.events.snapshot().files}
        if not current.issuperset(file.path for file in files):
            raise Conflict("a file was merged by somebody else")
        tables = [pq.read_table(self.folder / file.path) for file in files]
        table = _sorted(pa.concat_tables(tables, promote_options="default"), files[0].event)
        kind = "rejected" if files[0].event == REJECTED else "files"
        path = f"{EVENTS_FOLDER}/{kind}/{self.clock():%Y-%m}/{uuid.uuid4().hex}.parquet"
        write_table(table, self.folder / path)
        whole = EventFile(
            event=files[0].event,
            path=path,
            first=min(file.first for file in files),
            last=max(file.last for file in files),
            received_first=min(file.received_first for file in files),
            received_last=max(file.received_last for file in files),
            rows=table.num_rows,
            bytes=(self.folder / path).stat().st_size,
            sha256=hash_of(self.folder / path),
        )
        change = EventCommit(files=[whole], removed=[file.path for file in files])
        self.events.commit(base, change, now=self.clock())

    def _delete(self) -> None:
        gone = self.events.droppable(self.clock() - GRACE)
        # First out of the ledger: after a crash between the two they are strays.
        self.events.forget_files(gone)
        for path in gone:
            (self.folder / path).unlink(missing_ok=True)
        before = time.time() - STRAY_SECONDS
        every = (self.folder / EVENTS_FOLDER).glob("[!l]*/**/*.parquet")
        old = [file for file in every if file.stat().st_mtime < before]
        if old:
            named = self.events.named_paths()
            for file in old:
                if file.relative_to(self.folder).as_posix() not in named:
                    file.unlink(missing_ok=True)


def _up_to(files: Sequence[EventFile], max_bytes: int) -> list[EventFile]:
    chosen: list[EventFile] = []
    size = 0
    for file in files:
        size += file.bytes
        if chosen and size > max_bytes:
            break
        chosen.append(file)
    return chosen


def _sorted(table: pa.Table, event: str) -> pa.Table:
    keys = (
        [("at", "ascending")]
        if event == REJECTED
        else [(name, "ascending") for name in ("time", "received", COMMIT_COLUMN)]
    )
    keys = [key for key in keys if key[0] in table.column_names]  # older files have no number
    return table.sort_by(keys)
