"""The log in SQLite files, with write-ahead logging and `synchronous = FULL`. Each request is one row.

SQLite syncs the write-ahead log before a commit returns, and before any reader sees it. It also handles a torn end, a
full disk and recovery after a crash."""

from __future__ import annotations

import fcntl
import os
import re
import socket
import sqlite3
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from tallybook.core import BookError
from tallybook.ingest.log import LogFailed, LogFull, LogGone, LogRow
from tallybook.storage import make_folder, sync

MAX_LOG_BYTES = 64 * 1024 * 1024
"""A writer starts another log once the bodies in its log reach this size."""
WAIT_SECONDS = 30.0
_TABLE = """
CREATE TABLE IF NOT EXISTS requests (
    n INTEGER PRIMARY KEY, received TEXT NOT NULL, key TEXT NOT NULL, protocol TEXT NOT NULL, path TEXT NOT NULL,
    headers TEXT NOT NULL, body BLOB NOT NULL)
"""


_INSERT = "INSERT INTO requests (n, received, key, protocol, path, headers, body) VALUES (?, ?, ?, ?, ?, ?, ?)"


class SqliteLog:
    """One file. While its writer runs, it keeps a lock on NAME.lock beside the file."""

    def __init__(self, path: Path, *, writing: bool) -> None:
        self.path, self.name = path, path.name
        self.lock, self.last = -1, 0
        """`last`: the number of the last row that this writer wrote."""
        if writing:
            self.lock = os.open(_lock_of(path), os.O_CREAT | os.O_RDWR, 0o600)
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            self.db = self._connected(writing)
        except BaseException:
            self._release()
            raise

    def _connected(self, writing: bool) -> sqlite3.Connection:
        # A reader creates no file, because another process may have dropped the log.
        db = _connect(self.path, "rwc" if writing else "rw")
        if writing:
            db.execute("PRAGMA journal_mode = WAL").fetchall()
            db.execute(_TABLE)
            self.path.chmod(0o600)
            sync(self.path.parent)
        db.execute("PRAGMA synchronous = FULL").fetchall()
        return db

    def append(self, rows: Sequence[LogRow]) -> list[int]:
        numbers = range(self.last + 1, self.last + 1 + len(rows))
        values = [
            (n, row.received.isoformat(), row.key, row.protocol, row.path, row.headers, row.body)
            for n, row in zip(numbers, rows, strict=True)
        ]
        try:
            self.db.execute("BEGIN IMMEDIATE")
            self.db.executemany(_INSERT, values)
            self.db.execute("COMMIT")
        except sqlite3.Error as error:
            self._undo(error)
        self.last = numbers[-1] if rows else self.last
        return list(numbers)

    def _undo(self, error: sqlite3.Error) -> None:
        """Raise LogFull if SQLite has rolled everything back, else LogFailed."""
        if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_FULL:
            raise LogFailed(f"{self.path}: {error}") from error
        try:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
        except sqlite3.Error as other:
            raise LogFailed(f"{self.path}: {other}") from other
        raise LogFull(f"{self.path}: {error}") from error

    def read(self, after: int, max_bytes: int) -> list[LogRow]:
        try:
            return self._read(after, max_bytes)
        except sqlite3.Error as error:
            # Not skipped, because its host would then be sealed without the events in this log.
            raise BookError(f"cannot read the log of events {self.path}: {error}", hint="tallybook doctor") from None

    def _read(self, after: int, max_bytes: int) -> list[LogRow]:
        found: list[LogRow] = []
        if not self.db.execute("SELECT 1 FROM sqlite_master WHERE name = 'requests'").fetchone():
            return found  # Its writer was killed while creating it.
        size = 0
        asked = "SELECT n, received, key, protocol, path, headers, body FROM requests WHERE n > ? ORDER BY n"
        cursor = self.db.execute(asked, [after])
        for n, received, key, protocol, path, headers, body in cursor:
            at = datetime.fromisoformat(received)
            found.append(LogRow(n=n, received=at, key=key, protocol=protocol, path=path, headers=headers, body=body))
            size += len(body)
            if size >= max_bytes:
                break
        cursor.close()
        return found

    def erase(self, numbers: Sequence[int]) -> None:
        try:
            # Deleted content is overwritten, in the write-ahead log too.
            self.db.execute("PRAGMA secure_delete = ON").fetchall()
            self.db.execute("BEGIN IMMEDIATE")
            self.db.executemany("UPDATE requests SET body = x'', headers = '{}' WHERE n = ?", [(n,) for n in numbers])
            self.db.execute("COMMIT")
            self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.Error as error:
            raise BookError(f"cannot change the log of events {self.path}: {error}", hint="tallybook doctor") from None

    def close(self) -> None:
        self.db.close()
        self._release()

    def _release(self) -> None:
        if self.lock >= 0:
            os.close(self.lock)
            self.lock = -1

    def drop(self) -> None:
        self.close()
        for path in (self.path, *(Path(f"{self.path}{end}") for end in ("-wal", "-shm")), _lock_of(self.path)):
            path.unlink(missing_ok=True)
        sync(self.path.parent)


class SqliteLogs:
    """The logs of this host, in a folder of the book."""

    max_log_bytes = MAX_LOG_BYTES

    def __init__(self, folder: Path, host: str | None = None, now: Callable[[], float] = time.time) -> None:
        self.host = host or host_name()
        self.folder, self.now = folder / "events" / "log" / self.host, now

    def new(self) -> SqliteLog:
        """Create a log. Raises LogFull if no file can be created."""
        path = self.folder / f"{int(self.now() * 1000):013d}-{uuid.uuid4().hex[:12]}.sqlite"
        try:
            make_folder(self.folder, 0o700)
            return SqliteLog(path, writing=True)
        except (OSError, sqlite3.Error) as error:
            raise LogFull(f"{path} cannot be made: {error}") from error

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("*.sqlite"))

    def open(self, name: str) -> SqliteLog:
        path = self.folder / name
        try:
            return SqliteLog(path, writing=False)
        except sqlite3.Error as error:
            if not path.exists():
                raise LogGone(name) from None
            raise BookError(f"cannot read the log of events {path}: {error}", hint="tallybook doctor") from None

    def has_writer(self, name: str) -> bool:
        try:
            lock = os.open(_lock_of(self.folder / name), os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    def byte_count(self) -> int:
        total = 0
        for path in self.folder.glob("*.sqlite*"):
            with suppress(FileNotFoundError):
                total += path.stat().st_size
        return total

    def beat(self) -> None:
        """Does nothing: the writer's lock shows that it is alive."""


def host_name() -> str:
    """The name of this host, usable as a folder name."""
    return re.sub(r"[^\w.-]", "_", socket.gethostname(), flags=re.ASCII).lstrip(".") or "host"


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    address = f"{path.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(address, uri=True, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False)


def _lock_of(path: Path) -> Path:
    return path.with_suffix(".lock")
