"""Where the points files of a book are: in its folder, or as bytes in its ledger."""

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
    """A points file is missing, or its bytes are not those that were written."""

    def __init__(self, file: PointsFile, reason: str, *, hint: str = "tallybook doctor") -> None:
        super().__init__(f"{file.path} {reason}", hint=hint)
        self.file, self.reason = file, reason


GIVEN_UP = "was lost, and its days were collected again: what they were before cannot be asked any more"


class Files(Protocol):
    """What `store.folder` asks of the place where files are. Every file is written once and never changed."""

    contents: Callable[[PointsFile], Iterable[bytes]] | None
    """The bytes of a file that was kept, for a ledger that keeps them."""

    def path(self, file: PointsFile) -> Path:
        """Where a file can be read on this host, with the bytes that were written. Raises BadFile when it is missing
        or has other bytes, BookError when it cannot be brought here."""

    def new(self, relative: Path) -> Path:
        """Where to write a file that will be called so in the book."""

    def keep(self, file: PointsFile, written: Path) -> None:
        """It is written: make it last until it is committed."""

    def delete(self, file: PointsFile) -> None:
        """It is in no version any more. One that is gone already is no error."""

    def missing(self, files: Sequence[PointsFile]) -> list[PointsFile]:
        """Those of them that are not there."""

    def kept_hash(self, file: PointsFile) -> str:
        """The SHA-256 of the bytes that are kept, all of them read now."""

    def strays(self, known: Callable[[], Iterable[PointsFile]], *, older_than_hours: float) -> list[Path]:
        """Files that no version names."""


OWNER, GROUP = "owner", "group"
"""Who may read a book: `[book] access`."""
FOLDER_MODES = {OWNER: 0o700, GROUP: 0o750}
_MARKS = ("ledger.sqlite", "ledger.txt")
"""The files that a book's folder begins with."""
_verified: dict[str, tuple[str, int, int, int]] = {}
"""{path: (hash, size, instant of the last change, inode)} of files that this process has compared with their hash."""


class FolderFiles:
    """Points files in the folder of the book, under their own names."""

    contents: Callable[[PointsFile], Iterable[bytes]] | None = None

    def __init__(self, folder: Path, access: str = OWNER) -> None:
        """`access` counts where there is no book yet; else new files may be read by whom the ledger may."""
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
        """Where a file is, or should be."""
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
        # Looked up last: what is committed meanwhile is known.
        names = {file.path for file in known()}
        return [path for path in old if path.relative_to(self.folder).as_posix() not in names]


def _verify(file: PointsFile, path: Path) -> None:
    """Raises BadFile unless a file has the bytes that were written; they are read once by each process."""
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
    """What the engine says when it reads a whole file that has no hash, because it is of an old book."""
    import duckdb

    with duckdb.connect(":memory:") as engine:
        try:
            engine.execute(f"SELECT bit_xor(hash(points)) FROM read_parquet({engine_path(path)}) points").fetchall()
        except duckdb.Error as error:
            return str(error).splitlines()[0]
    return ""


def engine_path(path: Path) -> str:
    """A path as a literal of the engine's SQL, which takes UTF-8 whatever the locale is."""
    return "'" + os.fsencode(path).decode(errors="surrogateescape").replace("'", "''") + "'"


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
    """What to do about an error of the disk."""
    return _HINTS.get(error.errno or 0, "run again when this is mended: nothing is half done")


@contextmanager
def on_disk(path: Path, done: str = "written") -> Iterator[None]:
    """Errors of the disk as BookError, which says what could not be `done` to `path`, and what to do."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        where = error.filename if isinstance(error.filename, str) else path
        raise BookError(f"{where} cannot be {done}: {error.strerror or error}", hint=hint_for(error)) from error


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A new folder for temporary files, deleted afterwards. Raises BookError when it cannot be made."""
    with on_disk(Path(tempfile.gettempdir())):
        made = tempfile.TemporaryDirectory(prefix="tallybook-", ignore_cleanup_errors=True)
    with made as folder:
        yield Path(folder)


def folder_mode(book: Path, access: str) -> int:
    """The mode of new folders of a book; files have the same without the right to execute. Those of a book that is
    there follow its ledger, which keeps the mode that it has."""
    for name in _MARKS:
        with suppress(OSError):
            mode = (book / name).stat().st_mode & 0o666
            return mode | (mode & 0o444) >> 2
    return FOLDER_MODES[access]


def make_folder(folder: Path, mode: int) -> None:
    """Make a folder and those above it, with their names synced to disk. Existing folders are unchanged."""
    missing = [p for p in (folder, *folder.parents) if not p.exists()]
    for made in reversed(missing):
        with suppress(FileExistsError):
            made.mkdir(mode=mode)
            # Without the umask, and with the group that the folder above may hand on.
            made.chmod(mode | made.stat().st_mode & stat.S_ISGID)
        sync(made.parent)


def make_file(path: Path, mode: int) -> None:
    """Make an empty file with this mode, whatever the umask; one that is there stays as it is."""
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
        try:
            os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)


def sync(path: Path) -> None:
    """Have the disk hold what was written to a file, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
