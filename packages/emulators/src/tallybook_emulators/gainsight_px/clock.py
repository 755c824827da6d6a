"""The clock of the emulator. Tests advance it, so that they do not have to wait for limits and soft deletes to pass."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta


class PxClock:
    """A clock that tests advance. With `start`, it is stopped at that time. Otherwise it follows the machine's
    clock."""

    def __init__(self, start: datetime | None = None) -> None:
        self._still = start
        self._moved = timedelta()
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return (self._still or datetime.now(UTC)) + self._moved

    def timestamp(self) -> float:
        """Seconds since 1970."""
        return self.now().timestamp()

    def milliseconds(self) -> int:
        """Milliseconds since 1970, as PX writes times."""
        return round(self.timestamp() * 1000)

    def advance(self, seconds: float = 0, *, minutes: float = 0, hours: float = 0, days: float = 0) -> None:
        """Move the time forward. A test can put it in place of `time.sleep` in a client."""
        with self._lock:
            self._moved += timedelta(seconds=seconds, minutes=minutes, hours=hours, days=days)
