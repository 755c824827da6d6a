"""Access to the points files of a book: in its folder, or as bytes in its ledger."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from tallybook.core import BookError
from tallybook.storage.ledger import LOST, PointsFile

PIECE_BYTES = 4 * 1024 * 1024


class BadFile(BookError):
    """A points file is missing or damaged: its bytes are not those that were written."""

    def __init__(self, file: PointsFile, reason: str, *, hint: str = "tallybook doctor") -> None:
        super().__init__(f"{file.path} {reason}", hint=hint)
        self.file, self.reason = file, reason


GIVEN_UP = "was lost, and its days were collected again: what they were before cannot be asked any more"


class Files(Protocol):
    """The operations on files that `Store` needs. Every file is written once and never changed."""

    contents: Callable[[PointsFile], Iterable[bytes]] | None
    """Returns the bytes of a written file, for a ledger that stores them."""

    def path(self, file: PointsFile) -> Path:
        """The path at which a file can be read on this host, after a check of its bytes.

        Raises BadFile if it is missing or damaged, BookError if it cannot be fetched to this host."""

    def new(self, relative: Path) -> Path:
        """The path at which to write a file that will have this name in the book."""

    def keep(self, file: PointsFile, written: Path) -> None:
        """Make a written file durable until it is committed."""

    def delete(self, file: PointsFile) -> None:
        """Delete a file that no version contains any more. A missing file is not an error."""

    def missing(self, files: Sequence[PointsFile]) -> list[PointsFile]:
        """The files that are missing."""

    def kept_hash(self, file: PointsFile) -> str:
        """The SHA-256 of the stored bytes, which are all read now."""

    def strays(self, known: Callable[[], Iterable[PointsFile]], *, older_than_hours: float) -> list[Path]:
        """Files that no version contains."""


OWNER, GROUP = "owner", "group"
"""Values of `[book] access`: who may read a book."""
FOLDER_MODES = {OWNER: 0o700, GROUP: 0o750}
_MARKS = ("ledger.sqlite", "ledger.txt")
"""Files that mark a folder as the folder of a book."""
_verified: dict[str, tuple[str, int, int, int]] = {}
"""{path: (hash, size, time of the last change, inode)} of the files that this process has compared with their hash."""


class FolderFiles:
    """Points files in the folder of the book, under their own names."""

    contents: Callable[[PointsFile], Iterable[bytes]] | None = None

    def __init__(self, folder: Path, access: str = OWNER) -> None:
        """`access` applies if there is no book yet. Otherwise new files have the permissions of the ledger."""
        self.folder, self.access = folder, access

    def path(self, file: PointsFile) -> Path:
        path = self.place(file)
        if file.sha256 == LOST:
            raise BadFile(file, GIVEN_UP)
        try:
            _verify(file, path)
        except FileNotFoundError:
            raise BadFile(file, "is missing") from None
        except PermissionError as error:
            raise BookError(f"{path} cannot be read: {error.strerror}", hint="it belongs to another user") from None
        except OSError as error:
            raise BadFile(file, f"cannot be read: {error.strerror}") from None
        return path

    def place(self, file: PointsFile) -> Path:
        """The path of a file, whether it exists or not."""
        return self.folder / file.path

    def new(self, relative: Path) -> Path:
        path = self.folder / relative
        make_folder(path.parent, folder_mode(self.folder, self.access))
        return path

    def keep(self, file: PointsFile, written: Path) -> None:
        written.chmod(folder_mode(self.folder, self.access) & 0o666)
        sync(written)
        sync(written.parent)

    def delete(self, file: PointsFile) -> None:
        path = self.place(file)
        with on_disk(path, "deleted"):
            path.unlink(missing_ok=True)

    def missing(self, files: Sequence[PointsFile]) -> list[PointsFile]:
        return [file for file in files if file.sha256 == LOST or not self.place(file).is_file()]

    def kept_hash(self, file: PointsFile) -> str:
        return hash_of(self.place(file))

    def strays(self, known: Callable[[], Iterable[PointsFile]], *, older_than_hours: float) -> list[Path]:
        before = time.time() - older_than_hours * 3600
        old = []
        for path in sorted((self.folder / "points").rglob("*.parquet")):
            try:
                found = path.lstat()  # a symlink to itself has no file behind it
                if found.st_mtime <= before and not stat.S_ISDIR(found.st_mode):
                    old.append(path)
            except FileNotFoundError:
                continue
        # The ledger is read last, so that files committed meanwhile are included.
        names = {file.path for file in known()}
        return [path for path in old if path.relative_to(self.folder).as_posix() not in names]


def _verify(file: PointsFile, path: Path) -> None:
    """Raise BadFile unless a file has the bytes that were written. Each process reads a file only once."""
    found = path.stat()
    if found.st_size != file.bytes:
        raise BadFile(file, f"has {found.st_size} bytes, the ledger says {file.bytes}")
    seen = (file.sha256, found.st_size, found.st_mtime_ns, found.st_ino)
    if _verified.get(str(path)) == seen:
        return
    if file.sha256 and hash_of(path) != file.sha256:
        raise BadFile(file, "does not contain the bytes that were written (its SHA-256 differs)")
    if not file.sha256 and (damage := _damage(path)):
        raise BadFile(file, f"cannot be read ({damage})")
    _verified[str(path)] = seen


def _damage(path: Path) -> str:
    """The engine's error for a file of an old book without a hash, after reading all of it; empty if it is readable."""
    import duckdb

    with duckdb.connect(":memory:") as engine:
        try:
            engine.execute(f"SELECT bit_xor(hash(points)) FROM read_parquet({engine_path(path)}) points").fetchall()
        except duckdb.Error as error:
            return str(error).splitlines()[0]
    return ""


def engine_path(path: Path) -> str:
    """A path as a literal of the engine's SQL. The engine expects UTF-8 in every locale."""
    return "'" + os.fsencode(path).decode(errors="surrogateescape").replace("'", "''") + "'"


def hash_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pieces_of(path: Path) -> Iterator[bytes]:
    """The bytes of a file, in pieces of PIECE_BYTES."""
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


_ROOM = "make room on the disk, then run again: nothing is half done"
_HINTS = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: "make room, or have the quota raised, then run again: nothing is half done",
    errno.EFBIG: "the system allows no larger file (ulimit -f): allow one, then run again: nothing is half done",
    errno.EIO: "the disk reports an error: look into the system log (dmesg), then run again: nothing is half done",
    errno.EROFS: "the disk is read-only: mount it for writing, then run again",
    errno.EACCES: "it belongs to another user, or the folder may not be written to: look at its owner and its mode",
    errno.EMFILE: "too many files are open: allow more (ulimit -n), then run again: nothing is half done",
}
_HINTS[errno.EPERM] = _HINTS[errno.EACCES]


def hint_for(error: OSError) -> str:
    """The remedy for an error of the disk."""
    return _HINTS.get(error.errno or 0, "run again when this is mended: nothing is half done")


@contextmanager
def on_disk(path: Path, done: str = "written") -> Iterator[None]:
    """Convert disk errors to BookError, with the path, the operation (`done`) and the remedy."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        where = error.filename if isinstance(error.filename, str) else path
        raise BookError(f"{where} cannot be {done}: {error.strerror or error}", hint=hint_for(error)) from error


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A new folder for temporary files, which is deleted afterwards. Raises BookError if it cannot be created."""
    with on_disk(Path(tempfile.gettempdir())):
        made = tempfile.TemporaryDirectory(prefix="tallybook-", ignore_cleanup_errors=True)
    with made as folder:
        yield Path(folder)


def folder_mode(book: Path, access: str) -> int:
    """The mode of new folders of a book. Files have the same mode without the execute bits.

    In an existing book it follows the mode of the ledger file."""
    for name in _MARKS:
        with suppress(OSError):
            mode = (book / name).stat().st_mode & 0o666
            return mode | (mode & 0o444) >> 2
    return FOLDER_MODES[access]


def make_folder(folder: Path, mode: int) -> None:
    """Create a folder and its missing parents, and sync their names to disk. Existing folders are unchanged."""
    missing = [p for p in (folder, *folder.parents) if not p.exists()]
    for made in reversed(missing):
        with suppress(FileExistsError):
            made.mkdir(mode=mode)
            # Not limited by the umask, and with the group that the parent folder passes on.
            made.chmod(mode | made.stat().st_mode & stat.S_ISGID)
        sync(made.parent)


def make_file(path: Path, mode: int) -> None:
    """Create an empty file with this mode, regardless of the umask. An existing file is unchanged."""
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
        try:
            os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)


def sync(path: Path) -> None:
    """Sync the content of a file, or the names in a folder, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
