"""Upkeep of the files of events: merges many small files into one per day, and later one per month.

Deletes files that are no longer read."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tallybook.core import COMMIT_COLUMN
from tallybook.ingest.files import EVENTS_FOLDER, write_rows
from tallybook.storage import (
    REJECTED,
    Conflict,
    EventCommit,
    EventFile,
    EventLedger,
    FolderFiles,
    connect,
    engine_path,
    identifier,
    stamp_of,
)

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

    from tallybook.ingest.expiry import Expiry

MIN_FILES = 24
"""Minimum number of small files of an event and day that are merged."""
MIN_PAST_FILES = 6
"""Minimum number of small files of a past day or month that are merged."""
DAYS_APART = 40
"""Number of last days whose events are merged by day. Older events are merged by month."""
SMALL_BYTES = 16_000_000
MAX_MERGED_BYTES = 32_000_000
GRACE = timedelta(hours=1)
"""Time that a merged file is kept, because a run may still be reading it."""
STRAY_SECONDS = 24 * 3600
"""A file that no ledger names is deleted at this age. A younger one may belong to a compaction in progress."""


class Upkeep:
    """Does the upkeep that is due with `step`. It may be interrupted at any point, and other processes may commit
    meanwhile."""

    def __init__(
        self,
        events: EventLedger,
        clock: Callable[[], datetime],
        *,
        min_files: int = MIN_FILES,
        expiry: Expiry | None = None,
    ) -> None:
        self.events, self.clock, self.min_files, self.expiry = events, clock, min_files, expiry

    def step(self) -> int:
        """Delete expired events, merge files, and delete old merged files and files that no ledger names. Returns the
        number of merged files."""
        self._expire()
        merged = 0
        for chosen in self._chosen():
            try:
                self._merge(chosen)
            except Conflict:  # Another process committed. The new files are strays, and the next step tries again.
                break
            merged += len(chosen)
        self._delete()
        return merged

    def delete_old(self) -> None:
        """Delete expired events and files that are no longer needed, without merging."""
        self._expire()
        self._delete()

    def _expire(self) -> None:
        if self.expiry is not None:
            with suppress(Conflict):  # Another process committed. The next step tries again.
                self.expiry.step()

    def _chosen(self) -> list[list[EventFile]]:
        """The groups of files to merge now. Each group has files of one event: of one day, of a past month, or of many
        days."""
        today = stamp_of(self.clock())[:10]
        groups: dict[tuple[str, str], list[EventFile]] = {}
        for file in self.events.snapshot().files:
            if file.bytes < SMALL_BYTES:
                groups.setdefault((file.event, _stretch(file, today[:7])), []).append(file)
        found = []
        for (_, stretch), files in groups.items():
            is_past = bool(stretch) and stretch != today[: len(stretch)]
            if len(files) >= (min(MIN_PAST_FILES, self.min_files) if is_past else self.min_files):
                # In the order of receipt, so that later commits still come after earlier ones.
                found.append(_up_to(sorted(files, key=lambda one: (one.received_first, one.path)), MAX_MERGED_BYTES))
        return [chosen for chosen in found if len(chosen) > 1]

    def _merge(self, files: Sequence[EventFile]) -> None:
        known = self.events.snapshot()
        if not {file.path for file in known.files}.issuperset(file.path for file in files):
            raise Conflict("a file was merged by somebody else")
        event = files[0].event
        with connect() as engine:
            written = self._rewritten(engine, event, [self.events.local_path(file) for file in files])
        change = EventCommit(
            files=written,
            removed=[file.path for file in files],
            contents=self.events.files.contents,
        )
        self.events.commit(known.number, change, now=self.clock())

    def _rewritten(self, engine: duckdb.DuckDBPyConnection, event: str, paths: Sequence[Path]) -> list[EventFile]:
        """Write the rows to new files, ordered by time: one file for each of the last days, and one for each earlier
        month."""
        rows = f"read_parquet([{', '.join(map(engine_path, paths))}], union_by_name = true)"
        engine.execute(f"CREATE TEMP TABLE merged AS SELECT *, row_number() OVER () AS row_of_files FROM {rows}")
        names = {row[0] for row in engine.execute("DESCRIBE merged").fetchall()}
        keys = ["at"] if event == REJECTED else [k for k in ("time", "received", COMMIT_COLUMN) if k in names]
        # Rows of one instant keep the order of their commits and files. Older files have no commit numbers.
        order = ", ".join([*(f"{identifier(key)} NULLS FIRST" for key in keys), "row_of_files"])
        since = stamp_of(self.clock() - timedelta(days=DAYS_APART))[:10]
        day = "strftime(\"time\", '%Y-%m-%d')"
        unit = "''" if event == REJECTED else f"CASE WHEN {day} >= '{since}' THEN {day} ELSE left({day}, 7) END"
        units = [
            row[0] for row in engine.execute(f"SELECT DISTINCT {unit} AS unit FROM merged ORDER BY unit").fetchall()
        ]
        now = self.clock()
        return [file_of(self.events, engine, event, f"FROM merged WHERE {unit} = '{one}'", order, now) for one in units]

    def _delete(self) -> None:
        gone = self.events.droppable(self.clock() - GRACE)
        # Removed from the ledger first: after a crash between the two steps, the files are strays.
        self.events.forget_files([file.path for file in gone])
        for one in gone:
            self.events.files.delete(one.stored)
        self._delete_strays()

    def _delete_strays(self) -> None:
        if not isinstance(self.events.files, FolderFiles):
            return  # In a ledger, the bytes are stored in the transaction that names them.
        folder = self.events.files.folder
        before = time.time() - STRAY_SECONDS
        every = (folder / EVENTS_FOLDER).glob("[!l]*/**/*.parquet")
        # Files that are older than this ledger may belong to a lost one.
        began = self.events.first_at()
        since = began.timestamp() if began else before
        old = [file for file in every if since <= file.stat().st_mtime < before]
        if old:
            named = self.events.named_paths()
            for file in old:
                if file.relative_to(folder).as_posix() not in named:
                    file.unlink(missing_ok=True)


def file_of(
    events: EventLedger, engine: duckdb.DuckDBPyConnection, event: str, rows: str, order: str, now: datetime
) -> EventFile:
    """Write a new file of an event with rows (`FROM …`) of other files. `row_of_files` is the position of a row in
    those files."""
    kind, time_, received = ("rejected", "at", "at") if event == REJECTED else ("files", "time", "received")
    select = f"SELECT * EXCLUDE (row_of_files) {rows} ORDER BY {order}"
    file = write_rows(events.files, engine, select, f"{kind}/{now:%Y-%m}")
    ends = ", ".join(f'min("{name}"), max("{name}")' for name in (time_, received))
    found = engine.execute(f"SELECT {ends} {rows}").fetchall()[0]
    first, last, received_first, received_last = (stamp_of(instant.astimezone(UTC)) for instant in found)
    return EventFile(
        event=event,
        path=file.path,
        first=first,
        last=last,
        received_first=received_first,
        received_last=received_last,
        rows=file.rows,
        bytes=file.bytes,
        sha256=file.sha256,
    )


def _stretch(file: EventFile, month: str) -> str:
    """The day of all rows of a file, or their month if the month is over. Empty if the file has several."""
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
