"""Goals of metrics."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import msgspec

GOAL_SCOPES = ("week", "month", "quarter", "year")
"""Scopes for which a goal can be set: periods that end and consist of several days."""


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """`[goals.NAME]`: the value that a metric should reach, or not exceed, in every week, month, quarter or year.

    Either `target` applies to every period, or `targets` gives one value per period, by its first day."""

    name: str
    metric: str = ""
    scope: str = "month"
    target: Decimal | None = None
    targets: dict[date, Decimal] = {}
    where: tuple[str, ...] = ()
    show: str | None = None
    at_most: bool = False
    """The target is a maximum."""
    title: str | None = None

    def target_of(self, start: date) -> Decimal | None:
        """The target of the period that begins on `start`; None if it has none."""
        return self.target if self.target is not None else self.targets.get(start)
