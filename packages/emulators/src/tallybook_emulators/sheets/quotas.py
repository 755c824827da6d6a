"""Quotas: requests per minute by the emulator's clock.

https://developers.google.com/workspace/sheets/api/limits"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tallybook_emulators.sheets.clock import Clock
from tallybook_emulators.sheets.errors import GoogleError

READ, WRITE = "Read", "Write"
SERVICE = "sheets.googleapis.com"


@dataclass(frozen=True)
class Limits:
    """Maximum requests per minute, of each kind (reads, writes)."""

    per_project: int = 300
    per_user: int = 60


@dataclass
class Quotas:
    """Counts the requests of each kind per minute, by project and by account."""

    clock: Clock
    limits: Limits | None = field(default_factory=Limits)
    used: Counter[tuple[int, str, str, str]] = field(default_factory=Counter)

    def take(self, kind: str, project: str, user: str) -> None:
        """Count a request. Raises GoogleError 429 if a limit is reached. Refused requests do not count."""
        if self.limits is None:
            return
        minute = int(self.clock.timestamp() // 60)
        of_project, of_user = (minute, kind, project, ""), (minute, kind, project, user)
        if self.used[of_user] >= self.limits.per_user:
            raise exceeded(kind, project, self.limits.per_user, user=True)
        if self.used[of_project] >= self.limits.per_project:
            raise exceeded(kind, project, self.limits.per_project, user=False)
        self.used[of_project] += 1
        self.used[of_user] += 1


def exceeded(kind: str, project: str, limit: int, *, user: bool) -> GoogleError:
    """429 RESOURCE_EXHAUSTED with the metric and the limit in its details."""
    per = "per minute per user" if user else "per minute"
    name = f"{kind}RequestsPerMinutePer{'User' if user else 'Project'}"
    return GoogleError(
        429,
        f"Quota exceeded for quota metric '{kind} requests' and limit '{kind} requests {per}' of service '{SERVICE}' "
        f"for consumer 'project_number:{project}'.",
        details=[
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "RATE_LIMIT_EXCEEDED",
                "domain": "googleapis.com",
                "metadata": {
                    "service": SERVICE,
                    "quota_metric": f"{SERVICE}/{kind.lower()}_requests",
                    "quota_limit": name,
                    "quota_limit_value": str(limit),
                    "quota_location": "global",
                    "consumer": f"projects/{project}",
                    "quota_unit": "1/min/{project}/{user}" if user else "1/min/{project}",
                },
            },
            {
                "@type": "type.googleapis.com/google.rpc.Help",
                "links": [
                    {
                        "description": "Request a higher quota limit.",
                        "url": "https://cloud.google.com/docs/quotas/help/request_increase",
                    }
                ],
            },
        ],
    )
