"""The audit log of readers: one line of JSON per request, in one file per day in the book's folder. For a book without
a folder, the lines are in its ledger."""

from __future__ import annotations

import os
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from tallybook.core import BookError, utc_text
from tallybook.storage import AuditLines, folder_mode, make_folder, stamp_of

FOLDER = "audit"
FLUSH_SECONDS = 0.25
MAX_WAITING = 50_000
"""Maximum number of lines waiting to be written. Further lines are dropped, and a line reports their number."""


class AuditFiles:
    """One file per day in the folder of a book."""

    def __init__(self, folder: Path, access: str = "owner") -> None:
        self.folder, self.access = folder / FOLDER, access

    def add(self, day: date, lines: Sequence[tuple[str, bytes]]) -> None:
        """Append the lines of a day, given as (instant, line)."""
        mode = folder_mode(self.folder.parent, self.access)
        make_folder(self.folder, mode)
        text = b"".join(line + b"\n" for _, line in lines)
        # A single write, so that lines of several workers do not mix.
        opened = os.open(self.folder / f"{day}.ndjson", os.O_WRONLY | os.O_APPEND | os.O_CREAT, mode & 0o660)
        try:
            while text:
                text = text[os.write(opened, text) :]
        finally:
            os.close(opened)

    def prune(self, before: date) -> None:
        prune(self.folder, before)


class AuditTable:
    """Lines in the ledger of a book."""

    def __init__(self, lines: AuditLines) -> None:
        self.lines = lines

    def add(self, day: date, lines: Sequence[tuple[str, bytes]]) -> None:
        """Store the lines of a day, given as (instant, line)."""
        own = uuid.uuid4().hex[:12]
        self.lines.add((at, f"{own}-{place:06}", line.decode()) for place, (at, line) in enumerate(lines))

    def prune(self, before: date) -> None:
        self.lines.prune(before)


class AuditLog:
    """Writes lines in its own thread. A crash loses the lines of the last quarter second."""

    def __init__(self, kept: AuditFiles | AuditTable, keep: timedelta, clock: Callable[[], datetime]) -> None:
        self.kept, self.keep, self.clock = kept, keep, clock
        self.waiting: deque[tuple[date, str, bytes]] = deque()
        self.dropped = 0
        self.pruned: date | None = None
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._work, name="tallybook-audit", daemon=True)
        self.thread.start()

    def write(self, line: Mapping[str, Any]) -> None:
        now = self.clock()
        if len(self.waiting) >= MAX_WAITING:
            self.dropped += 1
            return
        self.waiting.append((now.date(), stamp_of(now), msgspec.json.encode({"time": utc_text(now), **line})))

    def close(self) -> None:
        """Write the waiting lines, for at most a second."""
        self.stop.set()
        self.thread.join(1)

    def flush(self) -> None:
        """Write the waiting lines."""
        if self.dropped:
            dropped, self.dropped = self.dropped, 0
            self.write({"reader": "", "dropped": dropped})
        by_day: dict[date, list[tuple[str, bytes]]] = {}
        while self.waiting:
            day, at, line = self.waiting.popleft()
            by_day.setdefault(day, []).append((at, line))
        for day, lines in by_day.items():
            self.kept.add(day, lines)
            if self.pruned != day:
                self.pruned = day
                self.kept.prune(day - self.keep)

    def _work(self) -> None:
        while not self.stop.wait(FLUSH_SECONDS):
            # A full disk or an unreachable ledger delays no reader. The lines are lost, and so is their count.
            with suppress(OSError, BookError):
                self.flush()
        with suppress(OSError, BookError):
            self.flush()


def prune(folder: Path, before: date) -> None:
    """Delete the files of days before the given day."""
    for path in folder.glob("*.ndjson"):
        with suppress(ValueError, OSError):
            if date.fromisoformat(path.stem) < before:
                path.unlink()


def audited(place: Path | AuditLines, first: date, last: date, reader: str | None = None) -> Iterator[dict[str, Any]]:
    """The lines of some days, oldest first, from the folder or the ledger of a book. With `reader`, only its lines."""
    lines = _of_files(place / FOLDER, first, last) if isinstance(place, Path) else place.between(first, last)
    for line in lines:
        with suppress(msgspec.DecodeError):
            found = msgspec.json.decode(line)
            if reader in (None, found.get("reader")):
                yield found


def _of_files(folder: Path, first: date, last: date) -> Iterator[bytes]:
    for path in sorted(folder.glob("*.ndjson")):
        with suppress(ValueError):
            if not first <= date.fromisoformat(path.stem) <= last:
                continue
        yield from path.read_bytes().splitlines()
