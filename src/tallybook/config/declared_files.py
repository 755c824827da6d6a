"""The files that declare a project, and whether they changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

Stamp = tuple[tuple[str, int, int, int], ...]
"""(name, time of the last change, size, number of the file) of each file that is there."""


def declaration_stamp(folder: Path) -> Stamp:
    """Changes when a file of the declarations is written, made or deleted. Reads no file."""
    found = []
    for path in _files(folder):
        try:
            seen = path.stat()
        except OSError:
            continue
        found.append((str(path), max(seen.st_mtime_ns, seen.st_ctime_ns), seen.st_size, seen.st_ino))
    return tuple(found)


def declaration_hash(folder: Path) -> str:
    """A hash of the content of the declarations."""
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
