"""The limit on the number of different event names."""

from __future__ import annotations

from tallybook.core import DecodedEvents, Rejection
from tallybook.ingest.unpacking import with_events


def within_names(decoded: DecodedEvents, names: set[str], most: int) -> DecodedEvents:
    """The events whose names are known or may still be added. Adds new names to `names`."""
    good, rejected = [], list(decoded.rejected)
    for index, event in decoded.events:
        if event.name not in names and len(names) >= most:
            reason = f"there are {most:,} names of events already; [events] max_events allows more"
            rejected.append(Rejection(index=index, code="too_many_events", field="event", reason=reason, id=event.id))
            continue
        names.add(event.name)
        good.append((index, event))
    if len(good) == len(decoded.events):
        return decoded
    return with_events(decoded, good, rejected)
