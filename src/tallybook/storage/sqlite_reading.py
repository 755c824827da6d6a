"""A SQLite ledger opened read-only, even if its folder is not writable: without write permission, or on a full disk."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tallybook.core import BookError, Busy, forks
from tallybook.storage.sqlite_file import State, is_wal, left_behind, needs_side_files, state

ATTEMPTS = 20
PAUSE_SECONDS = 0.05


class _ReadingConnection(sqlite3.Connection):
    """A connection that supports weak references."""


@dataclass(frozen=True, kw_only=True)
class LedgerReading:
    """A connection that reads a ledger, or a consistent copy of one."""

    path: Path
    connection: sqlite3.Connection
    copied: State | None = None
    """The state of the ledger when it was copied; None if the connection reads the ledger itself."""
    pid: int = field(default_factory=os.getpid)

    def is_current(self) -> bool:
        """Whether the connection is usable: in the same process, and no write to the ledger since it was copied."""
        if self.pid != os.getpid():
            return False
        try:
            return self.copied is None or self.copied == state(self.path)
        except OSError:
            return False


def open_for_reading(path: Path, wait_seconds: float) -> LedgerReading:
    """Open an existing ledger for reading. Raises sqlite3.Error, or BookError if it cannot be read at all."""
    connection = sqlite3.connect(
        path.absolute().as_uri() + "?mode=ro",
        uri=True,
        timeout=wait_seconds,
        isolation_level=None,
        factory=_ReadingConnection,
    )
    forks.keep_from_children(connection)
    try:
        # SQLite opens the file only now.
        connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as error:
        connection.close()
        if not needs_side_files(error) or not os.access(path, os.R_OK):
            raise
        return _copy(path)
    return LedgerReading(path=path, connection=connection)


def _copy(path: Path) -> LedgerReading:
    """Copy the ledger into memory, as it was at one moment.

    If a writer left a log, the copy is first made in a temporary folder, where the log is applied."""
    for _ in range(ATTEMPTS):
        before = state(path)
        made = _copy_with_log(path) if left_behind(path) else _copy_in_memory(path)
        if state(path) == before:
            made.execute("PRAGMA query_only = 1")
            return LedgerReading(path=path, connection=made, copied=before)
        made.close()
        time.sleep(PAUSE_SECONDS)
    raise Busy(f"the ledger of the book, {path}, was written to while it was read", hint="ask again")


def _copy_in_memory(path: Path) -> sqlite3.Connection:
    content = bytearray(path.read_bytes())
    if is_wal(content):
        # A database in memory cannot have a log, so the header must not say WAL.
        content[18:20] = b"\x01\x01"
    made = sqlite3.connect(":memory:", isolation_level=None)
    made.deserialize(bytes(content))
    return made


def _copy_with_log(path: Path) -> sqlite3.Connection:
    made = sqlite3.connect(":memory:", isolation_level=None)
    try:
        with tempfile.TemporaryDirectory(prefix="tallybook-") as folder:
            for ending in ("", "-wal", "-journal"):
                beside = path.with_name(path.name + ending)
                if beside.exists():
                    shutil.copyfile(beside, Path(folder, path.name + ending))
            whole = sqlite3.connect(Path(folder, path.name), isolation_level=None)
            try:
                whole.backup(made)
            finally:
                whole.close()
    except (OSError, sqlite3.Error) as error:
        made.close()
        raise BookError(
            f"the ledger of the book, {path}, cannot be read: a writer that died left {left_behind(path) or 'a log'}, "
            f"which could not be brought in elsewhere: {error}",
            hint="let somebody who may write to the book, with room on the disk, run: tallybook doctor",
        ) from None
    return made
