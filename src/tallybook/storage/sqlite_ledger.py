"""The ledger in a SQLite file: in WAL mode, BEGIN IMMEDIATE for every change, one read transaction for every reading.

Operations that only read open the file read-only, so that they need neither write permission nor disk space."""

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
"""Maximum wait for a change of another process."""
ROOM_BYTES = 1024 * 1024
"""With less free space than this, SQLite's I/O errors are reported as a full disk."""


class _Connection(sqlite3.Connection):
    """A connection that supports weak references."""


class SqliteLedger(SqlLedger):
    island: ClassVar[str] = "julianday(first_day) - ({count})"

    def __init__(self, path: Path, *, create: bool = True, access: str = OWNER) -> None:
        """Raises NoLedger if it does not exist and `create` is false."""
        self.path, self.where = path, str(path.parent)
        self.out_of_the_way = f"move it away first: mv {path.parent} {path.parent}.old"
        self._local = threading.local()
        # An empty file is not opened: SQLite would delete the log next to it, which may contain a ledger.
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
        """The calling thread's writable connection."""
        held: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if held is None or self._local.pid != os.getpid():
            held = sqlite3.connect(self.path, timeout=WAIT_SECONDS, isolation_level=None, factory=_Connection)
            forks.keep_from_children(held)
            held.execute("PRAGMA synchronous = FULL")
            self._local.connection, self._local.pid = held, os.getpid()
        return held

    def _reader(self) -> sqlite3.Connection:
        """The calling thread's connection for reading. It needs no write permission."""
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
            # Check again, because another process may have upgraded the tables while we waited.
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
                # After some errors, such as a full disk, SQLite has already rolled back.
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
        """Raise SQLite's errors as errors of the book with a remedy."""
        try:
            yield
        except sqlite3.Error as error:
            raise _translated(error, self.path) from error

    def close(self) -> None:
        held: sqlite3.Connection | None = getattr(self._local, "connection", None)
        reading: LedgerReading | None = getattr(self._local, "reading", None)
        # The writable connection is closed last, so that it checkpoints the log.
        if reading is not None and reading.pid == os.getpid():
            reading.connection.close()
            if held is None and reading.copied is None:
                self._remove_side_files()
        if held is not None and self._local.pid == os.getpid():
            held.close()
        self._local.connection = self._local.reading = None

    def _remove_side_files(self) -> None:
        """Remove the side files that a read-only connection leaves, unless another process has the file open."""
        if os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK):
            with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(self.path)) as last:
                _number(last)

    @contextmanager
    def _committing(self, change: Commit) -> Iterator[Transaction]:
        if change.forgotten:
            # Overwrite deleted rows with zeros instead of only freeing their pages.
            with self._translating_errors():
                self._connection().execute("PRAGMA secure_delete = ON").fetchall()
        with self._writing() as db:
            yield db
        if change.forgotten:
            self._leave_no_trace()

    def _leave_no_trace(self) -> None:
        """Remove overwritten rows from the log. The deletion is already committed, so errors are ignored.

        Active readers keep the log until a later checkpoint."""
        with contextlib.suppress(sqlite3.Error):
            self._connection().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _filled(self, db: Transaction, contents: Iterable[tuple[str, Iterable[bytes]]]) -> None:
        """Nothing to do: files are outside this ledger, and SQLite tracks its own sequence numbers."""

    def _forget_contents(self, db: Transaction, paths: Sequence[str]) -> None:
        """Nothing to do: files are outside this ledger."""

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
    """Add hashes of files. The first books, also with the number 1, lack `removed` of coverage and `cleaned` of
    versions too."""
    if "cleaned" not in _columns(db, "versions"):
        db.execute("ALTER TABLE versions ADD COLUMN cleaned INTEGER NOT NULL DEFAULT 0")
        db.execute("UPDATE versions SET cleaned = 1 WHERE what LIKE '% (cleaned)'")
    if "removed" not in _columns(db, "coverage"):
        db.execute("ALTER TABLE coverage ADD COLUMN removed INTEGER")
    db.execute("ALTER TABLE files ADD COLUMN sha256 TEXT")
    db.execute(_table("followed"))


def _from_3_to_4(db: Transaction) -> None:
    """Convert covered days to stretches of days."""
    db.execute("ALTER TABLE coverage RENAME TO coverage_3")
    db.execute(_table("coverage"))
    db.execute(tables.folded("coverage_3", "julianday(day) - {count}"))
    db.execute("DROP TABLE coverage_3")


def _table(name: str) -> str:
    """The statement that creates a table in its current form."""
    return tables.made(name, tables.SQLITE)


def _columns(db: Transaction, table: str) -> list[str]:
    return [row[1] for row in db.execute(f"PRAGMA table_info({table})")]


def _become_wal(connection: sqlite3.Connection) -> None:
    """Switch a new ledger to WAL mode. SQLite does not wait for other processes here, so this function does."""
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
        number = errno.EROFS if _is_read_only(path) else errno.EACCES
        return BookError(f"{where}, cannot be written: {said}", hint=hint_for(OSError(number, said)))
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return LedgerLost(
            f"{where}, is damaged: {said}",
            hint="bring it back from a backup: move the folder away, then: tallybook restore BACKUP\n"
            "or start a new book; the old folder is renamed, nothing is deleted: tallybook doctor --set-aside",
        )
    if "no such table" in said or "no such column" in said:
        return BookError(f"{where}: {said}", hint="tallybook doctor compares its tables with its number")
    return BookError(f"{where}: {said}")


def _is_read_only(path: Path) -> bool:
    """Whether the disk is mounted for reading only. SQLite's own words are those of a missing right."""
    try:
        return bool(os.statvfs(path.parent).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def _is_full(path: Path) -> bool:
    """Whether the disk has too little space for SQLite's own files."""
    try:
        found = os.statvfs(path.parent)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize < ROOM_BYTES
