"""The emulator's own time. Tests move it, so an hour of quota takes no hour."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def wall() -> datetime:
    """The time of this machine."""
    return datetime.now(UTC)


class Clock:
    """A time that tests move: from `start` it stands still; without one it runs with the machine's."""

    def __init__(self, start: datetime | None = None, *, machine: Callable[[], datetime] = wall) -> None:
        self._machine = machine
        self._still = start
        self._moved = timedelta()
        self._lock = threading.Lock()
        self.started = self.now()

    def now(self) -> datetime:
        return (self._still or self._machine()) + self._moved

    def timestamp(self) -> float:
        """Seconds since 1970."""
        return self.now().timestamp()

    def machine_timestamp(self) -> float:
        """The machine's own seconds since 1970: what clients sign their assertions with."""
        return self._machine().timestamp()

    def advance(self, seconds: float = 0, *, minutes: float = 0, hours: float = 0, days: float = 0) -> None:
        """Move the time forward. It can stand for `time.sleep` in a client under test."""
        with self._lock:
            self._moved += timedelta(seconds=seconds, minutes=minutes, hours=hours, days=days)

    @property
    def minutes(self) -> float:
        """Minutes by this clock since it was started."""
        return (self.now() - self.started).total_seconds() / 60
