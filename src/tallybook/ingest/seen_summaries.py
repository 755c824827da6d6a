"""The last time of each user or account in the event files of earlier days, as a Parquet file of the cache.

Pages read it beside the files of today, instead of all files. It is written again when the files of earlier days
change: once a day, and when files are merged or replaced. Files of the cache may be deleted at any time."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tallybook.storage import EventFile, engine_path, private_folder, stamp_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tallybook.storage import BookLocation

FOLDER = "seen"
"""Below the cache folder of the book."""
MIN_FILES = 8
"""Fewer files are read as they are."""


@dataclass(frozen=True, kw_only=True)
class SeenSummaries:
    """The summaries of a book in a folder."""

    folder: Path

    @classmethod
    def of(cls, place: BookLocation) -> SeenSummaries:
        """The summaries of a book: in its cache folder, or in a folder of this user if the book has none."""
        if place.folder is not None:
            return cls(folder=place.folder / "cache" / FOLDER)
        name = hashlib.sha256(f"{place.ledger} {place.schema}".encode()).hexdigest()[:16]
        return cls(folder=private_folder() / FOLDER / name)

    def drop(self) -> None:
        """Delete all summaries."""
        for file in self.folder.glob("*.parquet"):
            file.unlink(missing_ok=True)

    def summary(
        self, engine: DuckDBPyConnection, kind: str, settled: Sequence[EventFile], rows: Callable[[], str]
    ) -> str | None:
        """The path, as SQL, of the summary of some files. `rows`: SQL of their ids and times, used if the summary must
        be written. None if there are few files or if the folder cannot be written."""
        if len(settled) < MIN_FILES:
            return None
        names = "\n".join(sorted(f"{one.path} {one.sha256}" for one in settled))
        path = self.folder / f"{kind}-{hashlib.sha256(names.encode()).hexdigest()[:24]}.parquet"
        if not path.exists() and not self._written(engine, path, rows()):
            return None
        return engine_path(path)

    def _written(self, engine: DuckDBPyConnection, path: Path, rows: str) -> bool:
        made = self.folder / f".{uuid.uuid4().hex}.parquet"
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            made.touch(mode=0o600, exist_ok=False)
        except OSError:
            return False
        latest = f"SELECT id, max(seen) AS seen FROM ({rows}) WHERE id IS NOT NULL GROUP BY id ORDER BY id"
        try:
            engine.execute(f"COPY ({latest}) TO {engine_path(made)} (FORMAT parquet, USE_TMP_FILE false)").fetchall()
        except BaseException:
            made.unlink(missing_ok=True)
            raise
        made.replace(path)
        kind = path.name.partition("-")[0]
        for other in set(self.folder.glob(f"{kind}-*.parquet")) - {path}:
            with suppress(OSError):
                other.unlink()
        return True


def settled_files(files: Sequence[EventFile], now: datetime) -> tuple[list[EventFile], list[EventFile]]:
    """The files that were received before today (in UTC) and whose events all have happened by then, and the others."""
    midnight = stamp_of(now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0))
    settled: list[EventFile] = []
    rest: list[EventFile] = []
    for one in files:
        (settled if max(one.received_last, one.last) < midnight else rest).append(one)
    return settled, rest
