"""Permanently deletes a user or an account from usage events: from files, from rejected requests, and from logs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote

from tallybook.core import DEFAULT_EVENTS, USERS, Catalog, EventSettings, QueryError, RequestError
from tallybook.ingest.compaction import Compactor
from tallybook.ingest.log import LogFolder, LogGone, LogRow
from tallybook.ingest.logs import logs_to_compact
from tallybook.ingest.reading import sql_path
from tallybook.ingest.unpacking import unpack
from tallybook.ingest.upkeep import file_of
from tallybook.storage import (
    REJECTED,
    BadFile,
    Conflict,
    EventCommit,
    EventFile,
    EventLedger,
    connect,
    event_hosts,
    literal,
)

if TYPE_CHECKING:
    import duckdb

    from tallybook.storage import BookLocation, Store

MAX_TRIES = 20
READ_BYTES = 16 * 1024 * 1024


@dataclass
class ErasedEvents:
    """What was deleted. `days`: days of the events in the book's zone. `hosts`: hosts whose logs are not on this
    host."""

    events: int = 0
    rejected: int = 0
    """Number of requests with rejected events that were deleted as a whole."""
    logged: int = 0
    """Number of requests in logs that are still being written."""
    days: set[date] = field(default_factory=set)
    hosts: list[str] = field(default_factory=list)

    def count(self, file: EventFile, rows: int) -> None:
        """Count the deleted rows of a file."""
        if file.event == REJECTED:
            self.rejected += rows
        else:
            self.events += rows


def erase_events(
    place: BookLocation,
    store: Store,
    catalog: Catalog,
    kind: str,
    entity_id: str,
    clock: Callable[[], datetime],
) -> ErasedEvents:
    """Delete one user or account from the events of a book, including the logs of this host."""
    events = EventLedger(store.ledger, store.files)
    logs = logs_to_compact(place, events, catalog.serve.durable)
    eraser = EventEraser(events, logs, zone=catalog.book.timezone, clock=clock, settings=catalog.events)
    return eraser.erase(kind, entity_id)


class EventEraser:
    """Deletes one id of a kind (users or accounts) from the events of a book."""

    def __init__(
        self,
        events: EventLedger,
        logs: Sequence[LogFolder],
        *,
        zone: str,
        clock: Callable[[], datetime],
        settings: EventSettings = DEFAULT_EVENTS,
    ) -> None:
        self.events, self.logs, self.clock = events, logs, clock
        self.compactors = [Compactor(events, one, zone=zone, clock=clock, settings=settings) for one in logs]

    def erase(self, kind: str, entity_id: str) -> ErasedEvents:
        """Delete an id. The logs are compacted first. Raises QueryError if other processes keep committing."""
        done = ErasedEvents()
        for compactor in self.compactors:
            # A host without logs takes no events, and must not be recorded as one that does.
            while compactor.logs.names() and compactor.step():
                pass
        for _ in range(MAX_TRIES):
            try:
                self._erase_from_files("user" if kind == USERS else "account", entity_id, done)
                break
            except Conflict:  # Another process committed.
                continue
        else:
            raise QueryError("the events change too quickly to be searched", hint="try again")
        self._delete_replaced()
        for logs in self.logs:
            done.logged += self._erase_from_logs(logs, entity_id)
        here = {logs.host for logs in self.logs}
        done.hosts = [one.host for one in event_hosts(self.events) if one.host not in here and one.lost is None]
        return done

    # -- files -------------------------------------------------------------------------------------

    def _erase_from_files(self, column: str, entity_id: str, done: ErasedEvents) -> None:
        """Replace each file that contains the id by a file without it, in one commit. Raises Conflict."""
        known = self.events.snapshot()
        change = EventCommit(contents=self.events.files.contents)
        files: list[EventFile] = []
        removed: list[str] = []
        days: set[tuple[str, date]] = set()
        found = ErasedEvents()
        with connect() as engine:
            for file in known.files:
                searched = _Searched(self.events, engine, file, column, entity_id)
                if searched.count:
                    removed.append(file.path)
                    files += searched.without(self.clock())
                    found.count(file, searched.count)
                    days |= {(file.event, day) for day in searched.days()}
        if removed:
            change.files, change.removed, change.days = files, removed, days
            self.events.commit(known.number, change, now=self.clock())
            done.events, done.rejected, done.days = found.events, found.rejected, {day for _, day in days}

    def _delete_replaced(self) -> None:
        """Delete the replaced files now, without the usual hour for running readers."""
        gone = self.events.droppable(datetime.max.replace(tzinfo=UTC))
        self.events.forget_files([file.path for file in gone])
        for one in gone:
            self.events.files.delete(one.stored)

    # -- logs --------------------------------------------------------------------------------------

    def _erase_from_logs(self, logs: LogFolder, entity_id: str) -> int:
        """Empty the compacted rows of logs that are still being written. Returns how many requests had the id."""
        consumed = self.events.consumed(logs.host)
        total = 0
        for name in logs.names():
            try:
                with closing(logs.open(name)) as log:
                    theirs = [
                        row.n
                        for row in _rows_until(log.read, consumed.get(name, 0))
                        if names_id(_unpacked(row.body, row.headers), entity_id)
                    ]
                    if theirs:
                        log.erase(theirs)
                        total += len(theirs)
            except LogGone:
                continue
        return total


class _Searched:
    """A file of events in an engine, with its rows that have an id."""

    def __init__(
        self, events: EventLedger, engine: duckdb.DuckDBPyConnection, file: EventFile, column: str, entity_id: str
    ) -> None:
        """Raises Conflict if the file was replaced meanwhile."""
        self.events, self.engine, self.file = events, engine, file
        try:
            rows = f"SELECT *, row_number() OVER () AS row_of_files FROM read_parquet({sql_path(events, file)})"
        except (OSError, BadFile):
            raise Conflict("a file was merged by somebody else") from None
        engine.execute(f"CREATE OR REPLACE TEMP TABLE searched AS {rows}")
        self.theirs = f'coalesce("{column}" = {literal(entity_id)}, FALSE)'
        if file.event == REJECTED:
            self.theirs = f"row_of_files IN ({', '.join(map(str, _rows_with(engine, entity_id))) or 'NULL'})"
        self.count = int(engine.execute(f"SELECT count(*) FROM searched WHERE {self.theirs}").fetchall()[0][0])

    def days(self) -> list[date]:
        """The days of the events with the id."""
        if self.file.event == REJECTED:
            return []
        found = self.engine.execute(f"SELECT DISTINCT day FROM searched WHERE {self.theirs}").fetchall()
        return [day for (day,) in found]

    def without(self, now: datetime) -> list[EventFile]:
        """A new file with the other rows, or no file if there are no others."""
        if self.count == self.file.rows:
            return []
        rows = f"FROM searched WHERE NOT ({self.theirs})"
        return [file_of(self.events, self.engine, self.file.event, rows, "row_of_files", now)]


def _rows_until(read: Callable[[int, int], list[LogRow]], last: int) -> Iterator[LogRow]:
    after = 0
    while after < last and (rows := read(after, READ_BYTES)):
        yield from (row for row in rows if row.n <= last)
        after = rows[-1].n


def _rows_with(engine: duckdb.DuckDBPyConnection, entity_id: str) -> list[int]:
    """The numbers of the rows of a file of rejected requests whose bytes contain an id."""
    found = engine.execute("SELECT row_of_files, body, headers FROM searched")
    rows = []
    while batch := found.fetchmany(64):
        rows += [number for number, body, headers in batch if names_id(_unpacked(bytes(body), headers), entity_id)]
    return rows


def _unpacked(body: bytes, headers: str) -> bytes:
    """The unpacked body, followed by the headers that are part of the request."""
    noted = json.loads(headers) if headers else {}
    found = unpack(body, noted.get("encoding", ""))
    more = "\n".join(unquote(value, errors="replace") for value in noted.get("http", {}).values())
    return (body if isinstance(found, RequestError) else found) + b"\n" + more.encode("utf-8", "replace")


def names_id(body: bytes, entity_id: str) -> bool:
    """Whether a body contains an id as a word, in any of the ways in which JSON can write a text."""
    spelled = {entity_id, *(json.dumps(entity_id, ensure_ascii=ascii_)[1:-1] for ascii_ in (True, False))}
    if any(re.search(rb"(?<![\w-])" + re.escape(one.encode()) + rb"(?![\w-])", body) for one in spelled):
        return True
    # "\u0061da" is "ada", so escapes are decoded first.
    return b"\\u" in body and entity_id in re.sub(
        r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), body.decode(errors="replace")
    )
