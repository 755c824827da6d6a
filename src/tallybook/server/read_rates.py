"""Limits how many requests per second a reader may make to this process."""

from __future__ import annotations

import math
from collections.abc import Callable

from tallybook.core import RequestError
from tallybook.server.answers import Refusal

BURST_SECONDS = 2
"""After a pause, a reader may make this many seconds' worth of requests at once."""
MAX_READERS = 10_000


class ReadRates:
    """The tokens of each reader. A request takes one, and each second adds some."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.seconds = seconds
        self.tokens: dict[str, tuple[float, float]] = {}
        """By reader: (tokens, when they were counted)."""

    def take(self, reader: str, rate: int) -> None:
        """Raise Refusal if the reader has made too many requests."""
        now, most = self.seconds(), float(rate * BURST_SECONDS)
        left, at = self.tokens.get(reader, (most, now))
        left = min(most, left + (now - at) * rate)
        if left < 1:
            error = RequestError(
                status=429,
                code="rate_limit",
                message=f"{reader!r} reads more than it may",
                expected=f"at most {rate:,} requests a second: reads of [serve]",
            )
            raise Refusal(error, closes=True, retry_seconds=max(1, math.ceil((1 - left) / rate)))
        if len(self.tokens) >= MAX_READERS:
            self.tokens.clear()
        self.tokens[reader] = (left - 1, now)
