"""The files that declare a project, and detection of changes in them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

Stamp = tuple[tuple[str, int, int, int], ...]
"""(name, time of the last change, size, inode number) of each file that exists."""


def declaration_stamp(folder: Path) -> Stamp:
    """A stamp that changes when a declaration file is written, created or deleted. Reads no file."""
    found = []
    for path in _files(folder):
        try:
            seen = path.stat()
        except OSError:
            continue
        found.append((str(path), max(seen.st_mtime_ns, seen.st_ctime_ns), seen.st_size, seen.st_ino))
    return tuple(found)


def declaration_hash(folder: Path) -> str:
    """A hash of the content of all declaration files."""
    found = hashlib.sha256()
    for path in _files(folder):
        try:
            content = path.read_bytes()
        except OSError:
            continue
        found.update(f"{path.relative_to(folder)}\0{len(content)}\0".encode() + content)
    return found.hexdigest()[:16]


def _files(folder: Path) -> Iterator[Path]:
    yield folder / "tallybook.toml"
    yield folder / ".env"
    try:
        several = sorted((folder / "metrics").iterdir())
    except OSError:
        return
    yield from (path for path in several if path.suffix in (".sql", ".py"))
