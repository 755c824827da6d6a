"""The ledger in a SQLite file: WAL, BEGIN IMMEDIATE for every change, one read transaction for every reading.

What only reads opens the file for reading only, so that it needs no right to write, and no room on the disk."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from tallybook.core import BookError, Busy, forks
from tallybook.storage import tables
from tallybook.storage.files import OWNER, folder_mode, hint_for, make_file, make_folder
from tallybook.storage.ledger import Commit, LedgerLost, NoLedger
from tallybook.storage.sql_ledger import SqlLedger
from tallybook.storage.sqlite_reading import LedgerReading, open_for_reading
from tallybook.storage.transaction import Transaction

WAIT_SECONDS = 30.0
"""How long a change of others is waited for."""
ROOM_BYTES = 1024 * 1024
"""With less room than this on the disk, SQLite's errors of input and output are those of a full disk."""


class _Connection(sqlite3.Connection):
    """One that can be referred to weakly."""


class SqliteLedger(SqlLedger):
    island: ClassVar[str] = "julianday(first_day) - ({count})"

    def __init__(self, path: Path, *, create: bool = True, access: str = OWNER) -> None:
        """Raises NoLedger when there is none and `create` is false."""
        self.path, self.where = path, str(path.parent)
        self.out_of_the_way = f"move it away first: mv {path.parent} {path.parent}.old"
        self._local = threading.local()
        # An empty file is not opened: SQLite would delete the log beside it, in which a ledger may be.
        number = 0 if _is_empty(path) else self._number()
        if number == 0:
            if not create:
                raise NoLedger(str(path))
            self._make_file(access)
        if number != tables.NUMBER:
            self._make_tables(number)

    def _make_file(self, access: str) -> None:
        try:
            mode = folder_mode(self.path.parent, access)
            make_folder(self.path.parent, mode)
            make_file(self.path, mode & 0o666)
        except OSError as error:
            raise BookError(
                f"no book can be kept at {self.path.parent}: {error.strerror}", hint=hint_for(error)
            ) from None

    def _number(self) -> int:
        with self._reading() as db:
            return _number(db)

    # -- connections -----------------------------------------------------------------------------

    def _connection(self) -> sqlite3.Connection:
        """The calling thread's connection that may write."""
        held: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if held is None or self._local.pid != os.getpid():
            held = sqlite3.connect(self.path, timeout=WAIT_SECONDS, isolation_level=None, factory=_Connection)
            forks.keep_from_children(held)
            held.execute("PRAGMA synchronous = FULL")
            self._local.connection, self._local.pid = held, os.getpid()
        return held

    def _reader(self) -> sqlite3.Connection:
        """The calling thread's connection to read with; it is not asked for any right to write."""
        own = getattr(self._local, "connection", None)
        if own is not None and self._local.pid == os.getpid():
            return self._connection()
        held: LedgerReading | None = getattr(self._local, "reading", None)
        if held is None or not held.is_current():
            if held is not None and held.pid == os.getpid():
                held.connection.close()
            held = self._local.reading = open_for_reading(self.path, WAIT_SECONDS)
        return held.connection

    def _make_tables(self, number: int) -> None:  # noqa: C901  # one step for each number
        if number > tables.NUMBER:
            raise BookError(
                f"the book at {self.path.parent} was written by a newer Tallybook (ledger {number}, known "
                f"{tables.NUMBER})",
                hint="pip install --upgrade tallybook",
            )
        if number and not (os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK)):
            raise tables.older_book(f"the book at {self.path.parent}", number)
        with self._translating_errors():
            _become_wal(self._connection())
        with self._writing() as db:
            # Looked at again: another process may have done it while we waited.
            number = _number(db)
            if number == 0:
                for statement in tables.statements(tables.TABLES, tables.SQLITE):
                    db.execute(statement)
            if number == 1:
                _from_1_to_2(db)
            if number in (1, 2):
                db.execute(_table("alerts"))
            if number in (1, 2, 3):
                _from_3_to_4(db)
                db.execute(_table("identities"))
                db.execute(_table("horizons"))
            if number in (1, 2, 3, 4):
                for statement in tables.added_tables(tables.EVENT_TABLES, tables.SQLITE):
                    db.execute(statement)
            if number in (1, 2, 3, 4, 5):
                for statement in tables.added_tables(tables.ENTITY_TABLES, tables.SQLITE):
                    db.execute(statement)
            if number in range(1, 7):
                for statement in tables.added_tables(tables.ACTION_TABLES, tables.SQLITE):
                    db.execute(statement)
            if number == 5:
                for column in tables.HASHES_OF_RUNS:
                    db.execute(f"ALTER TABLE id_runs ADD COLUMN {column.format(**tables.SQLITE)}")
            if number < tables.NUMBER:
                db.execute(f"PRAGMA user_version = {tables.NUMBER}")

    @contextmanager
    def _writing(self) -> Iterator[Transaction]:
        with self._translating_errors():
            db = self._connection()
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            finally:
                # After some errors, as a full disk, SQLite has rolled back by itself.
                if db.in_transaction:
                    db.execute("ROLLBACK")

    @contextmanager
    def _reading(self) -> Iterator[Transaction]:
        with self._translating_errors():
            db = self._reader()
            db.execute("BEGIN")
            try:
                yield db
            finally:
                if db.in_transaction:
                    db.execute("COMMIT")

    @contextmanager
    def _translating_errors(self) -> Iterator[None]:
        """SQLite's errors in our words, with what to do."""
        try:
            yield
        except sqlite3.Error as error:
            raise _translated(error, self.path) from error

    def close(self) -> None:
        held: sqlite3.Connection | None = getattr(self._local, "connection", None)
        reading: LedgerReading | None = getattr(self._local, "reading", None)
        # The one that may write is closed last, so that it brings the log in.
        if reading is not None and reading.pid == os.getpid():
            reading.connection.close()
            if held is None and reading.copied is None:
                self._remove_side_files()
        if held is not None and self._local.pid == os.getpid():
            held.close()
        self._local.connection = self._local.reading = None

    def _remove_side_files(self) -> None:
        """Remove the side files that a connection that only reads leaves, unless another process has the file open."""
        if os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK):
            with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(self.path)) as last:
                _number(last)

    @contextmanager
    def _committing(self, change: Commit) -> Iterator[Transaction]:
        if change.forgotten:
            # Deleted rows are overwritten with zeros, not only let go of.
            with self._translating_errors():
                self._connection().execute("PRAGMA secure_delete = ON").fetchall()
        with self._writing() as db:
            yield db
        if change.forgotten:
            self._leave_no_trace()

    def _leave_no_trace(self) -> None:
        """What was overwritten is not to stay in the log. It is committed already: nothing may go wrong here, and
        who is reading keeps the log until somebody else's checkpoint."""
        with contextlib.suppress(sqlite3.Error):
            self._connection().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _filled(self, db: Transaction, contents: Iterable[tuple[str, Iterable[bytes]]]) -> None:
        """Files stand beside this ledger, and SQLite sees by itself how far its numbers are."""

    def _forget_contents(self, db: Transaction, paths: Sequence[str]) -> None:
        """Files stand beside this ledger."""

    def _columns(self, db: Transaction) -> dict[str, set[str]]:
        tables_ = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: set(_columns(db, table)) for table in tables_}

    def _damage(self, db: Transaction) -> list[str]:
        return [row[0] for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]


def _is_empty(path: Path) -> bool:
    try:
        return path.stat().st_size == 0
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError as error:
        raise BookError(
            f"the ledger of the book, {path}, cannot be read: {error.strerror}", hint=hint_for(error)
        ) from None


def _number(db: Transaction) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _from_1_to_2(db: Transaction) -> None:
    """Files get a hash. The very first books, which have the number 1 too, also lack when a day's coverage ended,
    and which versions are cleaned."""
    if "cleaned" not in _columns(db, "versions"):
        db.execute("ALTER TABLE versions ADD COLUMN cleaned INTEGER NOT NULL DEFAULT 0")
        db.execute("UPDATE versions SET cleaned = 1 WHERE what LIKE '% (cleaned)'")
    if "removed" not in _columns(db, "coverage"):
        db.execute("ALTER TABLE coverage ADD COLUMN removed INTEGER")
    db.execute("ALTER TABLE files ADD COLUMN sha256 TEXT")
    db.execute(_table("followed"))


def _from_3_to_4(db: Transaction) -> None:
    """Covered days become stretches of days."""
    db.execute("ALTER TABLE coverage RENAME TO coverage_3")
    db.execute(_table("coverage"))
    db.execute(tables.folded("coverage_3", "julianday(day) - {count}"))
    db.execute("DROP TABLE coverage_3")


def _table(name: str) -> str:
    """The statement that makes a table of today."""
    return tables.made(name, tables.SQLITE)


def _columns(db: Transaction, table: str) -> list[str]:
    return [row[1] for row in db.execute(f"PRAGMA table_info({table})")]


def _become_wal(connection: sqlite3.Connection) -> None:
    """Switch a new ledger to WAL. SQLite does not wait for others here, so we do."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def _translated(error: sqlite3.Error, path: Path) -> BookError | Busy:
    said, where = str(error), f"the ledger of the book, {path}"
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Busy(f"{where}, was held by another process for {WAIT_SECONDS:g} s", hint="run again when it is done")
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        full = code == sqlite3.SQLITE_FULL or _is_full(path)
        hint = hint_for(OSError(errno.ENOSPC if full else errno.EIO, said))
        return BookError(f"{where}, cannot be written: {said}", hint=hint)
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return BookError(f"{where}, cannot be written: {said}", hint=hint_for(PermissionError(errno.EACCES, said)))
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return LedgerLost(
            f"{where}, is damaged: {said}",
            hint="bring it back from a backup: move the folder away, then: tallybook restore BACKUP\n"
            "or start a new book; the old folder is renamed, nothing is deleted: tallybook doctor --set-aside",
        )
    if "no such table" in said or "no such column" in said:
        return BookError(f"{where}: {said}", hint="tallybook doctor compares its tables with its number")
    return BookError(f"{where}: {said}")


def _is_full(path: Path) -> bool:
    """Whether so little room is left on the disk that SQLite's own files do not fit."""
    try:
        found = os.statvfs(path.parent)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize < ROOM_BYTES
