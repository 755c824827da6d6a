"""Who asked what: a line of JSON for each request of a reader, in a file of its day in the folder of the book."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from tallybook.core import utc_text
from tallybook.storage import folder_mode, make_folder

FOLDER = "audit"
FLUSH_SECONDS = 0.25
MAX_WAITING = 50_000
"""Lines that wait to be written. More are dropped, and their number is a line."""


class AuditLog:
    """Lines are written by a thread of their own. A crash loses those of the last quarter second."""

    def __init__(self, folder: Path, keep: timedelta, clock: Callable[[], datetime], access: str = "owner") -> None:
        self.folder, self.keep, self.clock, self.access = folder / FOLDER, keep, clock, access
        self.waiting: deque[tuple[date, bytes]] = deque()
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
        self.waiting.append((now.date(), msgspec.json.encode({"time": utc_text(now), **line}) + b"\n"))

    def close(self) -> None:
        """Write what waits, for a second at most."""
        self.stop.set()
        self.thread.join(1)

    def flush(self) -> None:
        """Write what waits."""
        if self.dropped:
            dropped, self.dropped = self.dropped, 0
            self.write({"reader": "", "dropped": dropped})
        by_day: dict[date, bytes] = {}
        while self.waiting:
            day, line = self.waiting.popleft()
            by_day[day] = by_day.get(day, b"") + line
        for day, lines in by_day.items():
            self._append(day, lines)
            if self.pruned != day:
                self.pruned = day
                prune(self.folder, day - self.keep)

    def _append(self, day: date, lines: bytes) -> None:
        mode = folder_mode(self.folder.parent, self.access)
        make_folder(self.folder, mode)
        # One write for all: lines of several workers do not mix.
        opened = os.open(self.folder / f"{day}.ndjson", os.O_WRONLY | os.O_APPEND | os.O_CREAT, mode & 0o660)
        try:
            while lines:
                lines = lines[os.write(opened, lines) :]
        finally:
            os.close(opened)

    def _work(self) -> None:
        while not self.stop.wait(FLUSH_SECONDS):
            # A full disk delays no reader; the lines are lost, as their number would be.
            with suppress(OSError):
                self.flush()
        with suppress(OSError):
            self.flush()


def prune(folder: Path, before: date) -> None:
    """Delete the files of days before a day."""
    for path in folder.glob("*.ndjson"):
        with suppress(ValueError, OSError):
            if date.fromisoformat(path.stem) < before:
                path.unlink()


def audited(folder: Path, first: date, last: date, reader: str | None = None) -> Iterator[dict[str, Any]]:
    """The lines of some days, oldest first; those of one reader where it is named."""
    for path in sorted((folder / FOLDER).glob("*.ndjson")):
        with suppress(ValueError):
            if not first <= date.fromisoformat(path.stem) <= last:
                continue
        for line in path.read_bytes().splitlines():
            with suppress(msgspec.DecodeError):
                found = msgspec.json.decode(line)
                if reader in (None, found.get("reader")):
                    yield found
