"""Limits how many events per second a key may send to this process."""

from __future__ import annotations

import math
from collections.abc import Callable

from tallybook.core import RequestError
from tallybook.server.answers import MAX_RETRY_SECONDS, Refusal
from tallybook.storage import ApiKey


class Rates:
    """The tokens of each key, at most one second's worth. A request may take more tokens than are left, and then the
    next request waits."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.seconds = seconds
        self.tokens: dict[str, tuple[float, float]] = {}
        """By key: (tokens, when they were counted)."""

    def check(self, key: ApiKey) -> None:
        """Raise Refusal if the key has sent too much."""
        if key.rate is None or (left := self._left(key, key.rate)) > 0:
            return
        wait = math.ceil((1 - left) / key.rate)
        error = RequestError(
            status=429,
            code="rate_limit",
            message=f"the key {key.name!r} sends more events than it may",
            expected=f"at most {key.rate:,} events a second",
        )
        raise Refusal(error, closes=True, retry_seconds=min(max(wait, 1), MAX_RETRY_SECONDS))

    def take(self, key: ApiKey, count: int) -> None:
        if key.rate is not None:
            self.tokens[key.name] = (self._left(key, key.rate) - count, self.seconds())

    def _left(self, key: ApiKey, rate: int) -> float:
        now = self.seconds()
        left, at = self.tokens.get(key.name, (float(rate), now))
        return min(float(rate), left + (now - at) * rate)
