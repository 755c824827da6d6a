"""The ledger's data about usage events: files, the compacted position of each log, types of properties, and API keys.

Events have their own commit number. It does not change the version of the book."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from tallybook.core import EVENT_COLUMNS
from tallybook.storage.api_keys import ApiKeyTables
from tallybook.storage.event_day_tables import EventDayTables, kept_from_of, note_kept_from
from tallybook.storage.files import BadFile, Files, FolderFiles
from tallybook.storage.ledger import Conflict, PointsFile
from tallybook.storage.sql_ledger import SqlLedger
from tallybook.storage.stored_rows import stamp_of
from tallybook.storage.transaction import Transaction

PROPERTY_PREFIX = "properties."
"""Prefix of a property's column name when every event has a column with the property's own name."""
REJECTED = ""
"""The event name used for files of rejected events. No event has an empty name."""
_FILE = "event, path, first, last, received_first, received_last, rows, bytes, sha256"
_RUN = "path, first, last, rows, bytes, sha256"


@dataclass(frozen=True, kw_only=True)
class EventFile:
    """A Parquet file of one event. Instants are texts as in the ledger; `path` is below the folder of the book."""

    event: str
    path: str
    first: str
    last: str
    received_first: str
    received_last: str
    rows: int
    bytes: int
    sha256: str
    added: int = 0
    """The commit that added it; 0 before it is committed."""

    @property
    def stored(self) -> PointsFile:
        """The file as a file of the book."""
        return _stored(self)


@dataclass(frozen=True, kw_only=True)
class Property:
    """The pinned type of a property. `name`: its case-folded name. `spelled`: its first spelling."""

    event: str
    name: str
    type: str
    spelled: str
    conflicts: int = 0
    """The number of values of a wrong type, which are in the column `rest`."""

    @property
    def column(self) -> str:
        """The name of its column. It has a prefix if the name is one of the columns of every event."""
        return f"{PROPERTY_PREFIX}{self.spelled}" if self.name in EVENT_COLUMNS else self.spelled


@dataclass(frozen=True, kw_only=True)
class IdRun:
    """A file of ids, and when their events were received."""

    path: str
    first: str
    last: str
    rows: int
    bytes: int = 0
    sha256: str = ""
    """The SHA-256 of the file; empty for files written before hashes existed."""

    @property
    def stored(self) -> PointsFile:
        """The file as a file of the book."""
        return _stored(self)


@dataclass(frozen=True, kw_only=True)
class ConsumedLog:
    """The position up to which a log is compacted. `before`: the position when it was read."""

    host: str
    file: str
    consumed: int
    before: int


@dataclass(kw_only=True)
class EventCommit:
    """The changes of one commit of events, which is atomic."""

    files: Sequence[EventFile] = ()
    removed: Sequence[str] = ()
    """Paths of files that `files` replace."""
    logs: Sequence[ConsumedLog] = ()
    days: Iterable[tuple[str, date]] = ()
    """(event, day) of every new event."""
    pushed: Iterable[tuple[str, date, str]] = ()
    """(event, day, name of the key) of every new event."""
    properties: Sequence[Property] = ()
    kept_from: date | None = None
    """The first day whose events are kept; events of earlier days are deleted."""
    conflicts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """The number of additional values of a wrong type, by event and property."""
    runs: Sequence[IdRun] = ()
    gone_runs: Sequence[str] = ()
    contents: Callable[[PointsFile], Iterable[bytes]] | None = None
    """Returns the bytes of a new file, for a ledger that stores them."""
    within: Callable[[Transaction, int], None] | None = None
    """Called in the transaction of the commit, with the commit's number."""


@dataclass(frozen=True, kw_only=True)
class EventsSnapshot:
    """Everything that a reader of events needs, from one read transaction."""

    number: int
    files: tuple[EventFile, ...]
    properties: dict[str, tuple[Property, ...]]
    """Properties by event."""
    sealed: dict[str, datetime]
    """By host: the instant up to which all received events are compacted."""
    served: tuple[tuple[datetime, datetime], ...]
    """The periods in which any host accepted events, in order of their beginnings."""
    runs: tuple[IdRun, ...]
    kept_from: date | None = None
    """The first day whose events are kept; None if none were deleted."""

    @property
    def events(self) -> list[str]:
        return sorted(self.properties)

    @property
    def last_received(self) -> dict[str, str]:
        """The latest receipt of an event in any file, by event name."""
        found: dict[str, str] = {}
        for file in self.files:
            found[file.event] = max(file.received_last, found.get(file.event, ""))
        return found


class EventLedger(ApiKeyTables, EventDayTables):
    """The tables of events in a ledger. Every method is one transaction."""

    def __init__(self, ledger: SqlLedger, files: Files | None = None) -> None:
        """`files`: the files of the book; required for reading or writing them."""
        super().__init__(ledger)
        self._files = files

    @property
    def files(self) -> Files:
        assert self._files is not None, "an EventLedger without files"
        return self._files

    def local_path(self, file: EventFile | IdRun) -> Path:
        """The path at which a file can be read on this host. Raises BadFile if that is not possible."""
        if isinstance(self.files, FolderFiles):
            return self.files.place(file.stored)
        return self.files.path(file.stored)

    def first_at(self) -> datetime | None:
        """The instant of the first commit; None before it."""
        with self.ledger._reading() as db:
            first = db.execute("SELECT at FROM event_commits ORDER BY number LIMIT 1").fetchone()
        return datetime.fromisoformat(first[0]) if first else None

    def damage(self) -> BadFile | None:
        """The problem with the first file of events or ids that is missing or damaged; None if all are intact.

        Each process reads a file only once."""
        known = self.snapshot()
        every: list[EventFile | IdRun] = [*known.files, *known.runs]
        for file in every:
            try:
                self.files.path(file.stored)
            except BadFile as bad:
                return bad
        return None

    # -- reading -----------------------------------------------------------------------------------

    def snapshot(self) -> EventsSnapshot:
        with self.ledger._reading() as db:
            columns = f"{_FILE}, added"
            files = db.execute(f"SELECT {columns} FROM event_files WHERE removed IS NULL ORDER BY event, first, path")
            found = [EventFile(**dict(zip(columns.split(", "), row, strict=True))) for row in files.fetchall()]
            properties: dict[str, list[Property]] = {file.event: [] for file in found if file.event != REJECTED}
            for event, name, type_, spelled, conflicts in db.execute(
                "SELECT event, property, type, spelled, conflicts FROM event_schema ORDER BY event, since, property"
            ).fetchall():
                one = Property(event=event, name=name, type=type_, spelled=spelled, conflicts=conflicts)
                properties.setdefault(event, []).append(one)
            hosts = db.execute("SELECT host, sealed FROM event_hosts WHERE lost IS NULL").fetchall()
            served = db.execute("SELECT first, last FROM served ORDER BY first, last").fetchall()
            runs = db.execute(f"SELECT {_RUN} FROM id_runs ORDER BY first, path").fetchall()
            number, kept_from = _number(db), kept_from_of(db)
        return EventsSnapshot(
            number=number,
            kept_from=kept_from,
            files=tuple(found),
            properties={event: tuple(those) for event, those in properties.items()},
            sealed={host: datetime.fromisoformat(at) for host, at in hosts if at},
            served=tuple((datetime.fromisoformat(a), datetime.fromisoformat(b)) for a, b in served),
            runs=tuple(IdRun(**dict(zip(_RUN.split(", "), row, strict=True))) for row in runs),
        )

    def names(self) -> frozenset[str]:
        """The names of all stored events."""
        asked = (
            "SELECT event FROM event_files WHERE removed IS NULL AND event <> ? UNION SELECT event FROM event_schema"
        )
        with self.ledger._reading() as db:
            return frozenset(name for (name,) in db.execute(asked, [REJECTED]).fetchall())

    def number(self) -> int:
        """The number of the last commit; 0 before the first."""
        with self.ledger._reading() as db:
            return _number(db)

    def consumed(self, host: str) -> dict[str, int]:
        """The position up to which each log of a host is compacted, by its file name."""
        with self.ledger._reading() as db:
            return dict(db.execute("SELECT file, consumed FROM event_logs WHERE host = ?", [host]).fetchall())

    def numbers_of_runs(self) -> dict[int, int]:
        """The number of the last commit of events that each run saw."""
        with self.ledger._reading() as db:
            return dict(db.execute("SELECT run, number FROM event_runs").fetchall())

    # -- writing -----------------------------------------------------------------------------------

    def commit(self, base: int, change: EventCommit, *, now: datetime) -> int:
        """Commit number base → base + 1. Raises Conflict if another process committed, or compacted the same log."""
        with self.ledger._keeping(_contents(change)) as db:
            if (current := _number(db)) != base:
                raise Conflict(f"events are at commit {current}, not {base}")
            db.execute("INSERT INTO event_commits (number, at) VALUES (?, ?)", [base + 1, stamp_of(now)])
            for path in change.removed:
                gone = db.execute(
                    "UPDATE event_files SET removed = ? WHERE path = ? AND removed IS NULL", [base + 1, path]
                )
                if gone.rowcount != 1:
                    raise Conflict(f"{path} is no longer current")
            db.executemany(
                f"INSERT INTO event_files ({_FILE}, added) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(*(getattr(file, name) for name in _FILE.split(", ")), base + 1) for file in change.files],
            )
            for log in change.logs:
                _consume(db, log)
            days = sorted({(event, day.isoformat()) for event, day in change.days})
            db.executemany("INSERT INTO event_days VALUES (?, ?, ?)", [(*one, base + 1) for one in days])
            pushed = {(event, day.isoformat(), key) for event, day, key in change.pushed}
            for one in sorted(pushed):
                if not db.execute("SELECT 1 FROM event_pushed WHERE event = ? AND day = ? AND key = ?", one).fetchone():
                    db.execute("INSERT INTO event_pushed VALUES (?, ?, ?)", one)
            if change.kept_from is not None:
                note_kept_from(db, change.kept_from, base + 1, now)
            _describe(db, change, base + 1)
            if change.within is not None:
                change.within(db, base + 1)
            self.ledger._forget_contents(db, change.gone_runs)
        return base + 1

    def droppable(self, before: datetime) -> list[EventFile]:
        """Files that were replaced before an instant."""
        with self.ledger._reading() as db:
            asked = f"SELECT {_FILE} FROM event_files JOIN event_commits ON number = removed WHERE at < ? ORDER BY path"
            rows = db.execute(asked, [stamp_of(before)]).fetchall()
        return [EventFile(**dict(zip(_FILE.split(", "), row, strict=True))) for row in rows]

    def named_paths(self) -> set[str]:
        """Every path in the tables of events."""
        with self.ledger._reading() as db:
            found = db.execute("SELECT path FROM event_files UNION SELECT path FROM id_runs").fetchall()
        return {path for (path,) in found}

    def forget_files(self, paths: Sequence[str]) -> None:
        """Remove replaced files from the ledger, before they are deleted."""
        if paths:
            with self.ledger._writing() as db:
                asked = "DELETE FROM event_files WHERE path = ? AND removed IS NOT NULL"
                db.executemany(asked, [(path,) for path in paths])
                self.ledger._forget_contents(db, paths)

    def note_run(self, run: int, number: int) -> None:
        """Record the last commit of events that a run saw."""
        with self.ledger._writing() as db:
            db.execute("INSERT INTO event_runs (run, number) VALUES (?, ?)", [run, number])

    def seal(self, host: str, until: datetime, served: tuple[datetime, datetime] | None) -> None:
        """Record that everything a host received before `until` is compacted, and the period in which it was
        serving."""
        with self.ledger._writing() as db:
            sealed = stamp_of(until)
            if not db.execute(
                "UPDATE event_hosts SET sealed = ?, seen = ?, lost = NULL WHERE host = ?", [sealed, sealed, host]
            ).rowcount:
                db.execute("INSERT INTO event_hosts (host, sealed, seen) VALUES (?, ?, ?)", [host, sealed, sealed])
            if served:
                first, last = map(stamp_of, served)
                if not db.execute(
                    "UPDATE served SET last = ? WHERE host = ? AND first = ?", [last, host, first]
                ).rowcount:
                    db.execute("INSERT INTO served (host, first, last) VALUES (?, ?, ?)", [host, first, last])


def _number(db: Transaction) -> int:
    return int(db.execute("SELECT coalesce(max(number), 0) FROM event_commits").fetchone()[0])


def _consume(db: Transaction, log: ConsumedLog) -> None:
    """Advance the position of a log. Raises Conflict if it changed since it was read."""
    place: list[Any] = [log.host, log.file]
    known = db.execute("SELECT consumed FROM event_logs WHERE host = ? AND file = ?", place).fetchone()
    if (known[0] if known else 0) != log.before:
        raise Conflict(f"log {log.file} was consumed by somebody else")
    db.execute("DELETE FROM event_logs WHERE host = ? AND file = ?", place)
    db.execute(
        "INSERT INTO event_logs (host, file, consumed, closed) VALUES (?, ?, ?, 0)",
        [*place, log.consumed],
    )


def _describe(db: Transaction, change: EventCommit, number: int) -> None:
    """Write the types and id files of a commit."""
    db.executemany(
        "INSERT INTO event_schema (event, property, type, since, spelled, conflicts) VALUES (?, ?, ?, ?, ?, ?)",
        [(one.event, one.name, one.type, number, one.spelled, one.conflicts) for one in change.properties],
    )
    for (event, name), count in change.conflicts.items():
        asked = "UPDATE event_schema SET conflicts = conflicts + ? WHERE event = ? AND property = ?"
        db.execute(asked, [count, event, name])
    for path in change.gone_runs:
        db.execute("DELETE FROM id_runs WHERE path = ?", [path])
    db.executemany(
        f"INSERT INTO id_runs ({_RUN}) VALUES (?, ?, ?, ?, ?, ?)",
        [tuple(getattr(run, name) for name in _RUN.split(", ")) for run in change.runs],
    )


def _contents(change: EventCommit) -> Iterator[tuple[str, Iterable[bytes]]]:
    """(path, pieces) of every new file, if the ledger stores the bytes."""
    if change.contents is not None:
        every: list[EventFile | IdRun] = [*change.files, *change.runs]
        for one in every:
            yield one.path, change.contents(one.stored)


def _stored(one: EventFile | IdRun) -> PointsFile:
    return PointsFile(
        path=one.path,
        kind="events",
        metric="",
        first=date.fromisoformat(one.first[:10]),
        last=date.fromisoformat(one.last[:10]),
        rows=one.rows,
        bytes=one.bytes,
        sha256=one.sha256,
    )
