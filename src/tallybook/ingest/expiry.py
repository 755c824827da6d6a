"""Deletes old events by `[events] keep`. Whole months are deleted, so that a file is rewritten at most once a month."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from tallybook.core import EventSettings, calendar
from tallybook.ingest.reading import sql_path
from tallybook.ingest.upkeep import file_of
from tallybook.storage import (
    REJECTED,
    BadFile,
    Conflict,
    EventCommit,
    EventFile,
    EventLedger,
    connect,
    is_clock_confirmed,
)

if TYPE_CHECKING:
    import duckdb


class Expiry:
    """Deletes expired events with `step`, by a confirmed clock. Collected days stay in the book."""

    def __init__(self, events: EventLedger, clock: Callable[[], datetime], settings: EventSettings, zone: str) -> None:
        self.events, self.clock, self.keep, self.zone = events, clock, settings.keep, zone

    @property
    def first_kept(self) -> date | None:
        """The first day of the month of the oldest event to keep, or None to keep all."""
        if self.keep is None:
            return None
        return (calendar.day_of(self.clock(), self.zone) - timedelta(days=self.keep)).replace(day=1)

    def step(self) -> int:
        """Remove expired events and rejected requests from the files, in one commit. Returns how many. Raises
        Conflict."""
        first = self.first_kept
        if first is None:
            return 0
        known = self.events.snapshot()
        is_new = known.kept_from is None or first > known.kept_from
        old = [file for file in known.files if _has_old_rows(file, first, is_new=is_new)]
        if not old or not is_clock_confirmed(self.events.ledger, self.clock()):
            return 0
        change, deleted = EventCommit(contents=self.events.files.contents, kept_from=first), 0
        files: list[EventFile] = []
        removed: list[str] = []
        with connect() as engine:
            for file in old:
                count, left = self._without_old(engine, file, first)
                if count:
                    removed.append(file.path)
                    files += left
                    deleted += count
        if not removed:
            return 0
        change.files, change.removed = files, removed
        self.events.commit(known.number, change, now=self.clock())
        return deleted

    def _without_old(
        self, engine: duckdb.DuckDBPyConnection, file: EventFile, first: date
    ) -> tuple[int, list[EventFile]]:
        """The number of expired rows in a file, and a file with the other rows if there are any. Raises Conflict."""
        try:
            path = sql_path(self.events, file)
        except (OSError, BadFile):
            raise Conflict("a file was merged by somebody else") from None
        day = f"CAST(timezone('{self.zone}', \"at\") AS DATE)" if file.event == REJECTED else '"day"'
        is_old = f"{day} < DATE '{first}'"
        counted = engine.execute(f"SELECT count(*) FROM read_parquet({path}) WHERE {is_old}").fetchall()
        count = int(counted[0][0])
        if not 0 < count < file.rows:
            return count, []
        kept = f"FROM (SELECT *, row_number() OVER () AS row_of_files FROM read_parquet({path})) WHERE NOT ({is_old})"
        return count, [file_of(self.events, engine, file.event, kept, "row_of_files", self.clock())]


def _has_old_rows(file: EventFile, first: date, *, is_new: bool) -> bool:
    """Whether a file may have events of days before `first`. `is_new`: `first` has changed since the last check, so
    files that begin or end within a day of it in UTC are read too."""
    margin = calendar.plus_days(first, 1 if is_new else -1)
    return file.first[:10] < margin.isoformat()
