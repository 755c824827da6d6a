"""Settings of alerts."""

from __future__ import annotations

import msgspec

ALERT_KINDS = ("failed", "late", "source", "stopped", "unusual", "revised", "delivery", "rejected", "silent", "unused")
"""What an alert can be about: a failed metric or run, a late metric, a source that is unreachable or stale, a metric
without new facts, an unusual value, unusually large revisions, a failed delivery. For usage events: many rejected
events, a key that went silent, an event that feeds no metric."""


class AlertSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[alerts]`: recipients, kinds of alerts, and the heartbeat URL. `to` and `heartbeat` are secret: whoever knows
    them can write to them."""

    to: tuple[str, ...] = ()
    about: tuple[str, ...] = ALERT_KINDS
    quiet: tuple[int, int] | None = None
    """(first minute, end minute) of the day, in the time zone of the book, between which nothing is sent."""
    unusual_width: float = 5.0
    """Allowed distance from the usual value, as a multiple of the usual spread."""
    unusual_history: int = 56
    """Days of history that a value is compared with."""
    heartbeat: str = ""
    rejected: float = 0.01
    """Allowed share of a key's events of the last 24 hours that are rejected. A value of 1 or more is a number of
    events."""

    def __repr__(self) -> str:
        return f"AlertSettings({len(self.to)} addresses)"
