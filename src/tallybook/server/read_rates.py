"""How many requests a second a reader may make to this process."""

from __future__ import annotations

import math
from collections.abc import Callable

from tallybook.core import RequestError
from tallybook.server.answers import Refusal

BURST_SECONDS = 2
"""A reader who paused may make so many seconds' worth of requests at once."""
MAX_READERS = 10_000


class ReadRates:
    """Tokens of each reader: one a request, some a second."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.seconds = seconds
        self.tokens: dict[str, tuple[float, float]] = {}
        """By reader: (tokens, when they were counted)."""

    def take(self, reader: str, rate: int) -> None:
        """Raises Refusal when the reader made too many requests."""
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
