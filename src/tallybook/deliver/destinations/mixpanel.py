"""Mixpanel: events through `/import`, whose response lists the events that were not accepted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from tallybook.deliver.destinations.sent_events import (
    EventService,
    event_id,
    event_kind,
    event_name,
    moment_of,
    properties_of,
    who_of,
)
from tallybook.deliver.outgoing.failures import ARRIVED, HttpReply, SendVerdict, verdict_of

if TYPE_CHECKING:
    from tallybook.deliver.destinations.outbox import OutboxTask
    from tallybook.storage import OutboxRow


class Mixpanel(EventService):
    """Mixpanel. `$insert_id` is the id of the item, so Mixpanel accepts each event once. `key` is the token of the
    project."""

    kind = event_kind("mixpanel", "Mixpanel", "https://api.mixpanel.com")
    path: ClassVar[str] = "/import?strict=1"
    reserved: ClassVar[frozenset[str]] = frozenset(("time", "distinct_id", "$insert_id", "token"))

    def content(self, rows: Sequence[OutboxRow], task: OutboxTask) -> Any:
        return [_event(row, task) for row in rows]

    def verdict(self, answer: HttpReply, rows: Sequence[OutboxRow], task: OutboxTask) -> SendVerdict:
        """The verdict on a request. With strict=1, a request with some wrong events gets 400 and the other events are
        accepted."""
        verdict = verdict_of(answer, task.clock())
        wrong = _wrong_events(answer) if answer.status == 400 else {}
        refused = {row.item: wrong[event_id(row)] for row in rows if event_id(row) in wrong}
        if not refused:
            return verdict
        return SendVerdict(
            outcome=ARRIVED, said=verdict.said, status=answer.status, seconds=answer.seconds, refused=refused
        )


def _event(row: OutboxRow, task: OutboxTask) -> dict[str, Any]:
    properties = {
        **properties_of(row),
        "time": int(moment_of(row, task).timestamp() * 1000),
        "distinct_id": who_of(row),
        "$insert_id": event_id(row),
    }
    return {"event": event_name(row, task), "properties": properties}


def _wrong_events(answer: HttpReply) -> dict[str, str]:
    """By id, the error of each event that was not accepted."""
    try:
        found = msgspec.json.decode(answer.body)
        return {one["$insert_id"]: f"{one.get('field')}: {one.get('message')}" for one in found["failed_records"]}
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
        return {}
