"""Points files stored as bytes in the ledger, for hosts without a persistent disk.

The engine reads files. So each file is first fetched into a folder of this host, where its name is the hash of its
bytes, and it is checked against that hash. The folder may be lost at any time; missing files are fetched again."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from tallybook.core import BookError
from tallybook.storage.files import GIVEN_UP, BadFile, hash_of, pieces_of
from tallybook.storage.ledger import LOST, KeepsContents, PointsFile

MAX_CACHED_BYTES = 1024**3
"""Maximum bytes cached on this host, besides files used within the last hour."""
USED_SECONDS = 3600.0
FORGET_SECONDS = 7 * 86_400.0
"""Files unused for this long are deleted in any case."""
LOOK_AFTER = 16
"""The number of fetched files after which the size of the cache is checked again."""


class LedgerFiles:
    """`Files` on top of a ledger. Usable from several threads and processes."""

    def __init__(self, ledger: KeepsContents, folder: Path | None = None) -> None:
        """Raises BookError if there is no folder for temporary files."""
        self.ledger = ledger
        try:
            self.folder = folder or private_folder() / "points"
        except OSError as error:
            raise _unwritable(Path(error.filename or "a folder for temporary files"), error) from error
        self.contents: Callable[[PointsFile], Iterable[bytes]] | None = self._pieces
        self._believed: set[str] = set()
        self._brought = 0

    def path(self, file: PointsFile) -> Path:
        if file.sha256 == LOST:
            raise BadFile(file, GIVEN_UP)
        kept = self._kept(file)
        if not self._is_good(file, kept):
            self._bring(file, kept)
        return kept

    def new(self, relative: Path) -> Path:
        # Created each time, because it may have been deleted.
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self.folder / f".{uuid.uuid4().hex}"

    def keep(self, file: PointsFile, written: Path) -> None:
        written.replace(self._kept(file))

    def delete(self, file: PointsFile) -> None:
        self._kept(file).unlink(missing_ok=True)

    def missing(self, files: Sequence[PointsFile]) -> list[PointsFile]:
        lost = [file for file in files if file.sha256 == LOST]
        return lost + self.ledger.without_content([file for file in files if file.sha256 != LOST])

    def kept_hash(self, file: PointsFile) -> str:
        seen = hashlib.sha256()
        for piece in self.ledger.content(file.path):
            seen.update(piece)
        return seen.hexdigest()

    def strays(self, known: Callable[[], Iterable[PointsFile]], *, older_than_hours: float) -> list[Path]:
        """An empty list: the bytes of a file change in the same transaction as its entry."""
        return []

    def _kept(self, file: PointsFile) -> Path:
        return self.folder / f"{file.sha256}.parquet"

    def _pieces(self, file: PointsFile) -> Iterator[bytes]:
        return pieces_of(self._kept(file))

    def _is_good(self, file: PointsFile, kept: Path) -> bool:
        """Whether a file is cached with the bytes that were written. Each process checks a file only once."""
        try:
            if kept.stat().st_size != file.bytes:
                return False
            os.utime(kept)
            if file.sha256 not in self._believed and hash_of(kept) != file.sha256:
                return False
        except FileNotFoundError:
            return False
        self._believed.add(file.sha256)
        return True

    # -- bringing ----------------------------------------------------------------------------------

    def _bring(self, file: PointsFile, kept: Path) -> None:
        try:
            self._fetch(file, kept)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise _unwritable(self.folder, error) from error
            # The disk is small: delete every file that is not in use right now.
            self._make_room(most=0, used_seconds=60)
            try:
                self._fetch(file, kept)
            except OSError as again:
                raise _unwritable(self.folder, again) from again
        self._believed.add(file.sha256)
        self._brought += 1
        if self._brought % LOOK_AFTER == 1:
            self._make_room(most=MAX_CACHED_BYTES, used_seconds=USED_SECONDS)

    def _fetch(self, file: PointsFile, kept: Path) -> None:
        coming = self.new(kept)
        seen, number = hashlib.sha256(), 0
        try:
            with coming.open("wb") as writing:
                for piece in self.ledger.content(file.path):
                    writing.write(piece)
                    seen.update(piece)
                    number += len(piece)
            if seen.hexdigest() != file.sha256:
                what = "does not contain the bytes that were written" if number else "is missing"
                raise BadFile(file, f"{what} in the ledger")
            coming.replace(kept)
        finally:
            coming.unlink(missing_ok=True)

    def _make_room(self, *, most: int, used_seconds: float) -> None:
        """Delete the least recently used files until at most `most` bytes remain. Files in use are kept."""
        now, here, total = time.time(), [], 0
        for path in self.folder.glob("*"):
            with suppress(FileNotFoundError):
                found = path.stat()
                here.append((found.st_mtime, found.st_size, path))
                total += found.st_size
        for used, size, path in sorted(here):
            if now - used > FORGET_SECONDS or (total > most and now - used > used_seconds):
                path.unlink(missing_ok=True)
                total -= size


def private_folder() -> Path:
    """A folder for temporary files that only this user can write to, the same for all of the user's processes."""
    folder = Path(tempfile.gettempdir()) / f"tallybook-{os.getuid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022:
        return folder
    # Another user created it first, so it is not trusted.
    return Path(tempfile.mkdtemp(prefix="tallybook-"))


def _unwritable(folder: Path, error: OSError) -> BookError:
    return BookError(
        f"points cannot be brought to {folder}: {error.strerror}",
        hint="make room there, or name another folder for temporary files: export TMPDIR=…",
    )
