"""The clock of the emulator. Tests advance it, so that they do not have to wait for quotas and tokens to expire."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def wall() -> datetime:
    """The current time of this machine."""
    return datetime.now(UTC)


class Clock:
    """A clock that tests advance. With `start`, it is stopped at that time. Otherwise it follows the machine's
    clock."""

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
        """Seconds since 1970 by the machine's clock, which clients use in the assertions they sign."""
        return self._machine().timestamp()

    def advance(self, seconds: float = 0, *, minutes: float = 0, hours: float = 0, days: float = 0) -> None:
        """Move the time forward. A test can put it in place of `time.sleep` in a client."""
        with self._lock:
            self._moved += timedelta(seconds=seconds, minutes=minutes, hours=hours, days=days)

    @property
    def minutes(self) -> float:
        """Minutes since it was created, by this clock."""
        return (self.now() - self.started).total_seconds() / 60
