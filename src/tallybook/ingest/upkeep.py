"""Upkeep of the files of events: many small ones become one of their day, later one of their month.

What nobody reads any more is deleted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tallybook.core import COMMIT_COLUMN
from tallybook.ingest.files import EVENTS_FOLDER, write_table
from tallybook.storage import REJECTED, Conflict, EventCommit, EventFile, EventLedger, FolderFiles, stamp_of

if TYPE_CHECKING:
    import pyarrow as pa

MIN_FILES = 24
"""Small files of an event and day are merged when there are so many."""
MIN_PAST_FILES = 6
"""Small files of a day or month that is over are merged when there are so many."""
DAYS_APART = 40
"""Events of so many last days are merged by day, older ones by month."""
SMALL_BYTES = 16_000_000
MAX_MERGED_BYTES = 32_000_000
GRACE = timedelta(hours=1)
"""A file that was merged is kept so long: a run may be reading it."""
STRAY_SECONDS = 24 * 3600
"""A file that no ledger names is deleted when it is older: a compaction may be at work on it."""


class Upkeep:
    """`step` does what is due. It may be interrupted at any point, and others may commit meanwhile."""

    def __init__(self, events: EventLedger, clock: Callable[[], datetime], *, min_files: int = MIN_FILES) -> None:
        self.events, self.clock, self.min_files = events, clock, min_files

    def step(self) -> int:
        """Merge files, and delete those that were merged long ago and those that nobody named. How many were merged."""
        merged = 0
        for chosen in self._chosen():
            try:
                self._merge(chosen)
            except Conflict:  # Somebody committed meanwhile; the new files are strays, and the next step tries again.
                break
            merged += len(chosen)
        self._delete()
        return merged

    def _chosen(self) -> list[list[EventFile]]:
        """The files to merge now: of an event those of one day, of a month that is over, or of many days."""
        today = stamp_of(self.clock())[:10]
        groups: dict[tuple[str, str], list[EventFile]] = {}
        for file in self.events.snapshot().files:
            if file.bytes < SMALL_BYTES:
                groups.setdefault((file.event, _stretch(file, today[:7])), []).append(file)
        found = []
        for (_, stretch), files in groups.items():
            is_past = bool(stretch) and stretch != today[: len(stretch)]
            if len(files) >= (min(MIN_PAST_FILES, self.min_files) if is_past else self.min_files):
                # In the order of receipt: later commits come after earlier ones, as they were.
                found.append(_up_to(sorted(files, key=lambda one: (one.received_first, one.path)), MAX_MERGED_BYTES))
        return [chosen for chosen in found if len(chosen) > 1]

    def _merge(self, files: Sequence[EventFile]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        known = self.events.snapshot()
        if not {file.path for file in known.files}.issuperset(file.path for file in files):
            raise Conflict("a file was merged by somebody else")
        event = files[0].event
        tables = [pq.read_table(self.events.local_path(file)) for file in files]
        table = pa.concat_tables(tables, promote_options="default")
        parts = [table.sort_by("at")] if event == REJECTED else self._by_day(table)
        change = EventCommit(
            files=[self._written(event, part) for part in parts],
            removed=[file.path for file in files],
            contents=self.events.files.contents,
        )
        self.events.commit(known.number, change, now=self.clock())

    def _by_day(self, table: pa.Table) -> Iterator[pa.Table]:
        """The rows by time, in a table for each of the last days, and for each month before them."""
        import pyarrow.compute as pc

        names = [name for name in ("time", "received", COMMIT_COLUMN) if name in table.column_names]  # of older files
        table = table.sort_by([(name, "ascending") for name in names])
        since = stamp_of(self.clock() - timedelta(days=DAYS_APART))[:10]
        days = pc.strftime(table["time"], "%Y-%m-%d").to_pylist()
        units = [day if day >= since else day[:7] for day in days]
        start = 0
        for i in range(1, len(units) + 1):
            if i == len(units) or units[i] != units[start]:
                yield table.slice(start, i - start)
                start = i

    def _written(self, event: str, table: pa.Table) -> EventFile:
        import pyarrow.compute as pc

        kind, time_, received = ("rejected", "at", "at") if event == REJECTED else ("files", "time", "received")
        file = write_table(self.events.files, table, f"{kind}/{self.clock():%Y-%m}")

        def bounds(column: str) -> tuple[str, str]:
            found: dict[str, Any] = pc.min_max(table[column]).as_py()
            return stamp_of(found["min"].astimezone(UTC)), stamp_of(found["max"].astimezone(UTC))

        return EventFile(
            event=event,
            path=file.path,
            first=bounds(time_)[0],
            last=bounds(time_)[1],
            received_first=bounds(received)[0],
            received_last=bounds(received)[1],
            rows=file.rows,
            bytes=file.bytes,
            sha256=file.sha256,
        )

    def _delete(self) -> None:
        gone = self.events.droppable(self.clock() - GRACE)
        # First out of the ledger: after a crash between the two they are strays.
        self.events.forget_files([file.path for file in gone])
        for one in gone:
            self.events.files.delete(one.stored)
        self._delete_strays()

    def _delete_strays(self) -> None:
        if not isinstance(self.events.files, FolderFiles):
            return  # In a ledger, bytes come in the transaction that names them.
        folder = self.events.files.folder
        before = time.time() - STRAY_SECONDS
        every = (folder / EVENTS_FOLDER).glob("[!l]*/**/*.parquet")
        old = [file for file in every if file.stat().st_mtime < before]
        if old:
            named = self.events.named_paths()
            for file in old:
                if file.relative_to(folder).as_posix() not in named:
                    file.unlink(missing_ok=True)


def _stretch(file: EventFile, month: str) -> str:
    """The day of all rows of a file, or their month where it is over; empty for a file of several."""
    if file.first[:7] == file.last[:7] != month:
        return file.first[:7]
    return file.first[:10] if file.first[:10] == file.last[:10] else ""


def _up_to(files: Sequence[EventFile], max_bytes: int) -> list[EventFile]:
    chosen: list[EventFile] = []
    size = 0
    for file in files:
        size += file.bytes
        if chosen and size > max_bytes:
            break
        chosen.append(file)
    return chosen
