"""Checks how far back the attributes of users and accounts are known."""

from __future__ import annotations

from datetime import datetime

from tallybook.core import QueryError, calendar
from tallybook.storage import EntityHistory


def check_begun(history: EntityHistory, kind: str, until: str, asked: str, zone: str) -> None:
    """Raise QueryError if the history of a kind begins after a stamp, because older changes were deleted."""
    begins = history.begins(kind)
    if begins is not None and until <= begins:
        first = calendar.day_of(datetime.fromisoformat(begins), zone)
        raise QueryError(
            f"{asked}: attributes of {kind} are known from {first} on; history of [{kind}] deleted older changes",
            hint=f"the earliest possible: --as-of {first}",
        )
