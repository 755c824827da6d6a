"""Where the points files of a book are: in its folder, or as bytes in its ledger."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from tallybook.store.ledger import File

PIECE_BYTES = 4 * 1024 * 1024


class Files(Protocol):
    """What `store.folder` asks of the place where files are. Every file is written once and never changed."""

    contents: Callable[[File], Iterable[bytes]] | None
    """The bytes of a file that was kept, for a ledger that keeps them."""

    def path(self, file: File) -> Path:
        """Where a file can be read on this host. Raises BookError when it is kept elsewhere and cannot be had."""

    def new(self, relative: Path) -> Path:
        """Where to write a file that will be called so in the book."""

    def keep(self, file: File, written: Path) -> None:
        """It is written: make it last until it is committed."""

    def delete(self, file: File) -> None:
        """It is in no version any more. One that is gone already is no error."""

    def missing(self, files: Sequence[File]) -> list[File]:
        """Those of them that are not there."""

    def kept_hash(self, file: File) -> str:
        """The SHA-256 of the bytes that are kept, all of them read now."""

    def strays(self, known: Callable[[], Iterable[File]], *, older_than_hours: float) -> list[Path]:
        """Files that no version names."""


class FolderFiles:
    """Points files in the folder of the book, under their own names."""

    contents: Callable[[File], Iterable[bytes]] | None = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, file: File) -> Path:
        return self.folder / file.path

    def new(self, relative: Path) -> Path:
        path = self.folder / relative
        _make_folder(path.parent)
        return path

    def keep(self, file: File, written: Path) -> None:
        sync(written)
        sync(written.parent)

    def delete(self, file: File) -> None:
        self.path(file).unlink(missing_ok=True)

    def missing(self, files: Sequence[File]) -> list[File]:
        return [file for file in files if not self.path(file).is_file()]

    def kept_hash(self, file: File) -> str:
        return hash_of(self.path(file))

    def strays(self, known: Callable[[], Iterable[File]], *, older_than_hours: float) -> list[Path]:
        before = time.time() - older_than_hours * 3600
        old = []
        for path in sorted((self.folder / "points").rglob("*.parquet")):
            try:
                if path.stat().st_mtime <= before:
                    old.append(path)
            except FileNotFoundError:
                continue
        # Looked up last: what is committed meanwhile is known.
        names = {file.path for file in known()}
        return [path for path in old if path.relative_to(self.folder).as_posix() not in names]


def hash_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pieces_of(path: Path) -> Iterator[bytes]:
    """The bytes of a file, a few million at a time."""
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def _make_folder(folder: Path) -> None:
    """Make a folder so that its name is on disk, too."""
    missing = [p for p in (folder, *folder.parents) if not p.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in missing:
        sync(made.parent)


def sync(path: Path) -> None:
    """Have the disk hold what was written to a file, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
