"""The keys of a metric of an event that may be left out."""

from __future__ import annotations

from collections.abc import Mapping

from tallybook.config.catalog.rules import EVENTS
from tallybook.core import SERIES_COLUMN


def with_event(keys: object) -> object:
    """The keys of a metric of an event, with those that may be left out: every event has the same columns of time."""
    if not isinstance(keys, Mapping) or "event" not in keys:
        return keys
    daily = keys.get("daily_aggregate") is True
    found = {"source": EVENTS, **({"received": "received"} if daily else {}), **keys}
    if not {"time", "from"} & keys.keys():
        found["time"] = "day" if daily else "time"
    if daily and "series" not in keys:
        by = keys.get("by")
        found["series"] = [*dict.fromkeys([SERIES_COLUMN, *(by if isinstance(by, list) else [])])]
    return found
