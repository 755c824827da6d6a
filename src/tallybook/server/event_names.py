"""The event names that a worker knows, so that its verdict on an event with one name too many is the compactor's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from tallybook.core import DecodedEvents
from tallybook.ingest import within_names
from tallybook.storage import EventLedger

WAIT_SECONDS = 0.05
"""Maximum seconds that an answer waits for the ledger, which it does not need."""
FRESH_SECONDS = 1.0
"""Seconds after which names are read again, if an event has one that is not known."""


class KnownNames:
    """Names are read only when an event has a new one. What is compacted meanwhile is decided by the compactor."""

    def __init__(self, events: EventLedger, seconds: Callable[[], float] = time.monotonic) -> None:
        self.events, self.seconds = events, seconds
        self.known: frozenset[str] = frozenset()
        self.read_at: float | None = None
        self.reading: asyncio.Task[None] | None = None

    async def within(self, decoded: DecodedEvents, most: int) -> DecodedEvents:
        """The events whose names are known or may still be added."""
        new = {event.name for _, event in decoded.events if event.name not in self.known}
        if not new:
            return decoded
        if self.read_at is None or self.seconds() - self.read_at >= FRESH_SECONDS:
            self.read_at = self.seconds()
            self.reading = asyncio.create_task(asyncio.to_thread(self._read))
            await asyncio.wait({self.reading}, timeout=WAIT_SECONDS)
        return decoded if len(self.known | new) <= most else within_names(decoded, set(self.known), most)

    def _read(self) -> None:
        with suppress(Exception):  # the request is logged all the same
            self.known = self.events.names()
