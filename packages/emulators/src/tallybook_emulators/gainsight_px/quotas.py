"""Limits: about 200 requests in any second and 1,000,000 per day, for all keys of a subscription together."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from tallybook_emulators.gainsight_px.clock import PxClock
from tallybook_emulators.gainsight_px.contract import CAPS
from tallybook_emulators.gainsight_px.errors import PxError

DAY_SECONDS = 86_400


@dataclass(frozen=True)
class PxLimits:
    """Maximum requests in any second and in a UTC day."""

    per_second: int = CAPS["requests_per_second"]
    per_day: int = CAPS["requests_per_day"]


class PxQuotas:
    """Counts requests by the emulator's clock. Refused requests count too."""

    def __init__(self, clock: PxClock, limits: PxLimits | None) -> None:
        self.clock, self.limits = clock, limits
        self._recent: deque[float] = deque()
        self._day, self._of_day = 0, 0

    def take(self) -> None:
        """Count a request. Raises PxError 429 if a limit is exceeded. The answer names neither the limit nor the time
        to wait."""
        if self.limits is None:
            return
        now = self.clock.timestamp()
        if (day := int(now // DAY_SECONDS)) != self._day:
            self._day, self._of_day = day, 0
        self._of_day += 1
        while self._recent and self._recent[0] <= now - 1:
            self._recent.popleft()
        self._recent.append(now)
        if len(self._recent) > self.limits.per_second or self._of_day > self.limits.per_day:
            raise PxError(429, "Rate limit exceeded")
