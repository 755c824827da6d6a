"""The ledger in a SQLite file: WAL, BEGIN IMMEDIATE for every change, one read transaction for every reading."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from tallybook.errors import BookError, Busy
from tallybook.store import tables
from tallybook.store.ledger import Change
from tallybook.store.sql_ledger import SqlLedger, Transaction

WAIT_SECONDS = 30.0
"""How long a change of others is waited for."""


class SqliteLedger(SqlLedger):
    island: ClassVar[str] = "julianday(first_day) - ({count})"

    def __init__(self, path: Path) -> None:
        self.path, self.where = path, str(path.parent)
        self.out_of_the_way = f"move it away first: mv {path.parent} {path.parent}.old"
        if not path.exists():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise BookError(f"no book can be kept at {path.parent}: {error.strerror}") from None
        self._local = threading.local()
        self._prepare()

    # -- connections -----------------------------------------------------------------------------

    def _connection(self) -> sqlite3.Connection:
        held: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if held is None or self._local.pid != os.getpid():
            held = sqlite3.connect(self.path, timeout=WAIT_SECONDS, isolation_level=None)
            held.execute("PRAGMA synchronous = FULL")
            self._local.connection, self._local.pid = held, os.getpid()
        return held

    def _prepare(self) -> None:
        with self._telling():
            self._make_tables(self._connection())

    def _make_tables(self, connection: sqlite3.Connection) -> None:
        number = _number(connection)
        if number == tables.NUMBER:
            return
        if number > tables.NUMBER:
            raise BookError(
                f"the book at {self.path.parent} was written by a newer Tallybook (ledger {number}, known {tables.NUMBER})",
                hint="pip install --upgrade tallybook",
            )
        _become_wal(connection)
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
            if number < tables.NUMBER:
                db.execute(f"PRAGMA user_version = {tables.NUMBER}")

    @contextmanager
    def _writing(self) -> Iterator[Transaction]:
        with self._telling():
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
        with self._telling():
            db = self._connection()
            db.execute("BEGIN")
            try:
                yield db
            finally:
                if db.in_transaction:
                    db.execute("COMMIT")

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """SQLite's errors in our words, with what to do."""
        try:
            yield
        except sqlite3.Error as error:
            raise _told(error, self.path) from error

    def close(self) -> None:
        held: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if held is not None:
            held.close()
            self._local.connection = None

    @contextmanager
    def _committing(self, change: Change) -> Iterator[Transaction]:
        if change.forgotten:
            # Deleted rows are overwritten with zeros, not only let go of.
            with self._telling():
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

    def _damage(self, db: Transaction) -> list[str]:
        return [row[0] for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]


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


def _told(error: sqlite3.Error, path: Path) -> BookError | Busy:
    said, where = str(error), f"the ledger of the book, {path}"
    if "locked" in said or "busy" in said:
        return Busy(f"{where}, was held by another process for {WAIT_SECONDS:g} s", hint="run again when it is done")
    if "full" in said or "disk I/O" in said:
        return BookError(
            f"{where}, cannot be written: {said}", hint="make room on the disk, then run again: nothing is half done"
        )
    if "readonly" in said or "unable to open" in said:
        return BookError(
            f"{where}, cannot be written: {said}", hint="it belongs to another user, or the disk is read-only"
        )
    if "malformed" in said or "not a database" in said:
        return BookError(
            f"{where}, is damaged: {said}", hint="restore it from a backup, with the folder points beside it"
        )
    return BookError(f"{where}: {said}")
