"""Segment, and services with the same protocol: events through `/v1/batch`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from tallybook.deliver.destinations.sent_events import (
    EventService,
    event_id,
    event_kind,
    event_name,
    moment_of,
    properties_of,
    who_of,
)

if TYPE_CHECKING:
    from tallybook.deliver.destinations.outbox import OutboxTask
    from tallybook.storage import OutboxRow


class Segment(EventService):
    """Segment. `messageId` is the id of the item, so Segment accepts each event once within a day."""

    kind = event_kind("segment", "Segment", "https://api.segment.io")
    path: ClassVar[str] = "/v1/batch"
    remembers: ClassVar[timedelta | None] = timedelta(hours=23)
    """Segment keeps ids for at least 24 hours."""

    def content(self, rows: Sequence[OutboxRow], task: OutboxTask) -> Any:
        return {"batch": [_message(row, task) for row in rows]}


def _message(row: OutboxRow, task: OutboxTask) -> dict[str, Any]:
    return {
        "type": "track",
        "messageId": event_id(row),
        "event": event_name(row, task),
        "userId": who_of(row),
        "timestamp": moment_of(row, task).isoformat(),
        "properties": properties_of(row),
    }
