"""What can be seen of a SQLite file without opening it: whether it changed, and what a writer left beside it.

A reader that may not write to the folder cannot make the side files that SQLite wants in WAL mode. It reads the file
as one that does not change, and checks afterwards that it did not.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

_READONLY, _IOERR, _FULL, _CANTOPEN = 8, 10, 13, 14
_HEADER_BYTES = 100


class State(NamedTuple):
    """Equal while nobody wrote to the file."""

    inode: int
    size: int
    """In bytes."""
    changed_ns: int
    counters: bytes
    """SQLite's change counter, and the one of the version that is valid."""
    log_bytes: int
    """Of the `-wal` beside it."""


def state(path: Path) -> State:
    """The state of a SQLite file. Raises OSError when it cannot be read."""
    found = path.stat()
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    return State(found.st_ino, found.st_size, found.st_mtime_ns, header[24:28] + header[92:96], _size(path, "-wal"))


def is_wal(header: bytes | bytearray) -> bool:
    """Whether the first bytes of a file say that it is in WAL mode."""
    return header[18:20] == b"\x02\x02"


def left_behind(path: Path) -> str:
    """The name of the journal or log that a writer left beside the file, without which it is not whole; else empty."""
    return next((path.name + ending for ending in ("-wal", "-journal") if _size(path, ending)), "")


def needs_side_files(error: Exception) -> bool:
    """Whether SQLite failed because it could not make, or write to, the files beside a database."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (_READONLY, _IOERR, _FULL, _CANTOPEN)


def _size(path: Path, ending: str) -> int:
    try:
        return path.with_name(path.name + ending).stat().st_size
    except OSError:
        return 0
