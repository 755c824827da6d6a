"""Decides how long to pause after a receiver failed: longer after each attempt, with a random part, so that many
senders do not come back at the same time."""

from __future__ import annotations

import random
from dataclasses import dataclass

JITTER = 0.2


@dataclass(frozen=True, kw_only=True)
class RetryWaits:
    """The waits between attempts in seconds. After the last wait, an item is given up."""

    waits: tuple[float, ...] = (5, 30, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)

    def wait(self, attempts: int, retry_after: float | None, chance: random.Random) -> float | None:
        """Seconds until the next attempt after the given number of attempts, or None after the last one. Never shorter
        than the receiver asks for."""
        if attempts > len(self.waits):
            return None
        wait = self.waits[attempts - 1] * (1 + chance.uniform(-JITTER, JITTER))
        return max(wait, retry_after or 0.0)
