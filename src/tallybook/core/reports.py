"""What became of a delivery, and of an alert."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tallybook.core.errors import DONE, SOME_FAILED

DELIVERED, UP_TO_DATE, FAILED, NOT_YET = "delivered", "up to date", "failed", "not yet"
WOULD, AS_DELIVERED, DIFFERS = "would be delivered", "as delivered", "differs"
"""Of a dry run, and of what was read back."""


@dataclass(kw_only=True)
class DeliveryReport:
    """One delivery: its `status` is delivered, up to date, failed, or not yet (a kind that comes later)."""

    delivery: str
    to: str
    path: str = ""
    status: str = DELIVERED
    rows: int = 0
    version: int = 0
    """Of the book, whose numbers stand in the file."""
    seconds: float = 0.0
    error: str | None = None
    hint: str = ""
    busy: bool = False
    """Not made because another process is making it."""
    warnings: list[str] = field(default_factory=list)
    """What is probably a mistake in what is declared: a filter value that no row ever had."""
    changes: list[dict[str, Any]] = field(default_factory=list)
    """Of a Google Sheet: each row that is new and each cell that is another, with the old value and the new."""

    @property
    def failed(self) -> bool:
        return self.status == FAILED

    def to_dict(self) -> dict[str, Any]:
        found = {k: v for k, v in self.__dict__.items() if v not in (None, "", []) and v is not False}
        return found | {"seconds": round(self.seconds, 3)}


@dataclass(kw_only=True)
class AlertReport:
    """What was told of what is not well. `told`: by address, how much began and ended; `failed`: why an address did not
    take it; `waiting`: so much is yet to be told, now or when the quiet hours end; `heartbeat`: how the sign of life went."""

    told: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)
    waiting: int = 0
    quiet_until: datetime | None = None
    heartbeat: str = ""

    def __bool__(self) -> bool:
        return bool(self.told or self.failed or self.waiting or self.heartbeat)

    def to_dict(self) -> dict[str, Any]:
        found = {k: v for k, v in self.__dict__.items() if v not in (None, "", [], 0)}
        until = {"quiet_until": f"{self.quiet_until:%Y-%m-%dT%H:%M:%SZ}"} if self.quiet_until else {}
        return found | until


def exit_code(reports: list[DeliveryReport]) -> int:
    """1 when one failed; the rest is delivered all the same."""
    return SOME_FAILED if any(report.failed for report in reports) else DONE
