"""Segment, and services that speak its protocol: events by `/v1/batch`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from tallybook.core import DELIVER, DestinationKind
from tallybook.deliver.destinations.sent_events import (
    EventService,
    basic,
    event_id,
    event_name,
    event_options,
    moment_of,
    properties_of,
    who_of,
)

if TYPE_CHECKING:
    from tallybook.deliver.destinations.outbox import OutboxTask
    from tallybook.deliver.outgoing.channel import OutgoingRequest
    from tallybook.storage import OutboxRow


class Segment(EventService):
    """`messageId` is the id of the item: Segment takes each once."""

    kind = DestinationKind(
        name="segment",
        noun="Segment",
        place="event",
        uses=(DELIVER,),
        outbox=True,
        options=event_options("Segment", "https://api.segment.io"),
    )

    def request(self, rows: Sequence[OutboxRow], task: OutboxTask) -> OutgoingRequest:
        from tallybook.deliver.outgoing.channel import OutgoingRequest

        batch: list[dict[str, Any]] = [
            {
                "type": "track",
                "messageId": event_id(row),
                "event": event_name(row, task),
                "userId": who_of(row),
                "timestamp": moment_of(row, task).isoformat(),
                "properties": properties_of(row),
            }
            for row in rows
        ]
        body = msgspec.json.encode({"batch": batch})
        return OutgoingRequest(method="POST", path="/v1/batch", body=body, headers=basic(task.options["key"]))
