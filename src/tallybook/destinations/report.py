"""What became of a delivery."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tallybook.errors import DONE, SOME_FAILED

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
    changes: list[dict[str, Any]] = field(default_factory=list)
    """Of a Google Sheet: each row that is new and each cell that is another, with the old value and the new."""

    @property
    def failed(self) -> bool:
        return self.status == FAILED

    def to_dict(self) -> dict[str, Any]:
        found = {k: v for k, v in self.__dict__.items() if v not in (None, "", [])}
        return found | {"seconds": round(self.seconds, 3)}


def exit_code(reports: list[DeliveryReport]) -> int:
    """1 when one failed; the rest is delivered all the same."""
    return SOME_FAILED if any(report.failed for report in reports) else DONE
