"""The usage events that a reader may query."""

from __future__ import annotations

from tallybook.server.pages.page import PageWork
from tallybook.storage import EventLedger


def known_events(work: PageWork) -> dict[str, list[str]]:
    """The properties of each received event. Empty if the reader may not query events."""
    reader = work.book.reader
    if not reader.has_book or (work.reader.metrics and not work.reader.events):
        return {}
    if "events" not in work.found:
        ledger = EventLedger(reader.store.ledger)
        snapshot = ledger.snapshot()
        work.found["events"] = {
            event: [one.name for one in snapshot.properties[event]]
            for event in snapshot.events
            if not work.reader.events or event in work.reader.events
        }
    found: dict[str, list[str]] = work.found["events"]
    return found
