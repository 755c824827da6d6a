"""Inspects a SQLite file without opening it: whether it changed, and what a writer left next to it.

A reader that may not write to the folder cannot create the side files that SQLite needs in WAL mode. It reads the
file as immutable, and checks afterwards that the file did not change."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

_READONLY, _IOERR, _FULL, _CANTOPEN = 8, 10, 13, 14
_HEADER_BYTES = 100


class State(NamedTuple):
    """The state of a file; equal as long as nobody writes to it."""

    inode: int
    size: int
    """In bytes."""
    changed_ns: int
    counters: bytes
    """SQLite's change counter, and the counter for which its version number is valid."""
    log_bytes: int
    """The size of the `-wal` file next to it."""


def state(path: Path) -> State:
    """The state of a SQLite file. Raises OSError if it cannot be read."""
    found = path.stat()
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    return State(found.st_ino, found.st_size, found.st_mtime_ns, header[24:28] + header[92:96], _size(path, "-wal"))


def is_wal(header: bytes | bytearray) -> bool:
    """Whether the header of a file indicates WAL mode."""
    return header[18:20] == b"\x02\x02"


def left_behind(path: Path) -> str:
    """The name of a journal or log that a writer left next to the file, and without which the file is incomplete; '' if
    it left nothing."""
    return next((path.name + ending for ending in ("-wal", "-journal") if _size(path, ending)), "")


def needs_side_files(error: Exception) -> bool:
    """Whether SQLite failed because it could not create, or write to, the files next to a database."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (_READONLY, _IOERR, _FULL, _CANTOPEN)


def _size(path: Path, ending: str) -> int:
    try:
        return path.with_name(path.name + ending).stat().st_size
    except OSError:
        return 0
