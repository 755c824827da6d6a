"""Outcomes of deliveries, of alerts and of rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tallybook.core.calendar import utc_text
from tallybook.core.errors import DONE, SOME_FAILED

DELIVERED, UP_TO_DATE, FAILED, UNSUPPORTED = "delivered", "up to date", "failed", "not yet"
SENDING_ITEMS = "sending"
"""Some items are sent; the rest will follow."""
WOULD_DELIVER, AS_DELIVERED, DIFFERS = "would be delivered", "as delivered", "differs"
"""Statuses of a dry run, and of a comparison with what was delivered."""


@dataclass(kw_only=True)
class DeliveryReport:
    """The outcome of one delivery. `status`: delivered, up to date, failed, or not yet (a planned destination)."""

    delivery: str
    to: str
    path: str = ""
    status: str = DELIVERED
    rows: int = 0
    version: int = 0
    """The version of the book whose numbers were written."""
    seconds: float = 0.0
    error: str | None = None
    hint: str = ""
    busy: bool = False
    """Skipped because another process is delivering it."""
    warnings: list[str] = field(default_factory=list)
    """Probable mistakes in the declaration, such as a filter value that no row ever had."""
    changes: list[dict[str, Any]] = field(default_factory=list)
    """For a Google Sheet: each new row and each changed cell, with its old and new value."""

    @property
    def failed(self) -> bool:
        """Whether it failed."""
        return self.status == FAILED

    def to_dict(self) -> dict[str, Any]:
        """The JSON shape: empty fields are left out."""
        fields = {k: v for k, v in self.__dict__.items() if v not in (None, "", []) and v is not False}
        return fields | {"seconds": round(self.seconds, 3)}


@dataclass(kw_only=True)
class AlertReport:
    """The outcome of sending alerts.

    `told`: per address, how many problems began and ended. `failed`: the addresses that rejected the message, and why.
    `waiting`: the number of alerts not sent yet. `heartbeat`: the outcome of the heartbeat request."""

    told: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)
    waiting: int = 0
    quiet_until: datetime | None = None
    heartbeat: str = ""

    def __bool__(self) -> bool:
        return bool(self.told or self.failed or self.waiting or self.heartbeat)

    def to_dict(self) -> dict[str, Any]:
        """The JSON shape: empty fields are left out."""
        fields = {k: v for k, v in self.__dict__.items() if v not in (None, "", [], 0)}
        until = {"quiet_until": utc_text(self.quiet_until)} if self.quiet_until else {}
        return fields | until


def exit_code(reports: list[DeliveryReport]) -> int:
    """1 if any delivery failed, else 0."""
    return SOME_FAILED if any(report.failed for report in reports) else DONE


@dataclass(kw_only=True)
class RuleReport:
    """The outcome of an evaluation for one rule."""

    rule: str
    entered: int = 0
    left: int = 0
    fired: int = 0
    waiting: int = 0
    unknown: str = ""
    """Why the condition is unknown for every entity."""
    error: str = ""
    hint: str = ""
    is_new: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if value not in ("", False)}


@dataclass(kw_only=True)
class RulesReport:
    """The outcome of an evaluation. `number` identifies the evaluation; 0 if there was none."""

    number: int = 0
    rules: dict[str, RuleReport] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    error: str = ""
    hint: str = ""

    @property
    def failed(self) -> bool:
        return bool(self.error) or any(one.error for one in self.rules.values())

    @property
    def fired(self) -> int:
        return sum(one.fired for one in self.rules.values())

    def to_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {"evaluation": self.number, "rules": [one.to_dict() for one in self.rules.values()]}
        more = {"notes": self.notes, "error": self.error, "hint": self.hint}
        return found | {name: value for name, value in more.items() if value}
