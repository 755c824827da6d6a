"""The pace of requests, and the waits before retries. User code needs no sleep."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

PER_MINUTE = 60
"""Google's limit per user, for reads and for writes (Sheets API, usage limits). A project has five times as much."""


@dataclass
class Bucket:
    """A token bucket: `burst` requests at once, then `per_minute`. At most the sum of both in any minute."""

    per_minute: float = 50
    burst: int = 10
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _tokens: float = field(init=False)
    _at: float = field(init=False)

    def __post_init__(self) -> None:
        self._tokens, self._at = float(self.burst), self.clock()
        self._lock = threading.Lock()

    def wait_s(self) -> float:
        """Seconds until the next token; 0 if there is one."""
        self._fill()
        return max(0.0, (1 - self._tokens) * 60 / self.per_minute)

    def take(self) -> None:
        """Wait for a token and take it."""
        with self._lock:
            wait = self.wait_s()
            if wait:
                self.sleep(wait)
            self._fill()
            self._tokens -= 1

    def empty(self) -> None:
        """Remove all tokens: the server reported an exhausted quota, which other programs share."""
        with self._lock:
            self._fill()
            self._tokens = min(self._tokens, 0.0)

    def _fill(self) -> None:
        now = self.clock()
        self._tokens = min(float(self.burst), self._tokens + (now - self._at) * self.per_minute / 60)
        self._at = now


@dataclass
class Patience:
    """Truncated exponential back-off with full jitter, limited by tries and by seconds, as Google recommends.

    If the server sends Retry-After and it is within the limit, that wait is used."""

    tries: int = 8
    seconds: float = 150.0
    first: float = 1.0
    longest: float = 32.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random

    def start(self) -> Waiting:
        """Begin the retries of one request."""
        return Waiting(self, self.clock())


@dataclass
class Waiting:
    """The retries of one request."""

    patience: Patience
    began: float
    waits: int = 0

    def again(self, retry_after: float | None = None) -> bool:
        """Wait, and return whether to try again; False at once when the limit is reached."""
        p = self.patience
        delay = min(p.longest, p.first * 2**self.waits)
        wait = max(retry_after or 0.0, delay * (0.5 + p.chance() / 2))
        self.waits += 1
        if self.waits >= p.tries or p.clock() - self.began + wait > p.seconds:
            return False
        p.sleep(wait)
        return True
