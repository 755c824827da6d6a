"""The base of protocols from other packages. They name the fields of events; Tallybook makes the checks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from tallybook.core import DecodedEvents, EventRequest, Rejection, RequestError
from tallybook.ingest.protocols.tallybook import EVENTS_PATH, TallybookProtocol
from tallybook.ingest.protocols.translated import SentEntity, SentEvent, SentLink, decode_items
from tallybook.ingest.wire import WireProtocol

Sent = Mapping[str, Any] | SentEvent | SentEntity | SentLink | str


class EventProtocol(WireProtocol):
    """A wire protocol. A subclass defines `kind` and `events`.

    For each event of a request, `events` yields a mapping with the fields of Tallybook's own protocol (event, time,
    user, account, id, properties), or a text with the reason why it is not an event. For changes of a user or an
    account, it yields a `SentEntity` or a `SentLink`. It raises ValueError for a request that cannot be read. Nothing
    is stored that Tallybook's own protocol would reject."""

    @staticmethod
    def events(request: EventRequest) -> Iterable[Sent]:
        """The contents of a request, in order. The same bytes must give the same result whenever they are read."""
        raise NotImplementedError

    @classmethod
    def decode(cls, request: EventRequest) -> DecodedEvents:
        """Decode a request into its events, with a rejection for each event that cannot be stored."""
        try:
            found = list(cls.events(request))
            said = [(i, one) for i, one in enumerate(found) if isinstance(one, SentEvent | SentEntity | SentLink)]
            readable = [(i, dict(one)) for i, one in enumerate(found) if isinstance(one, Mapping)]
            others = {i for i, _ in (*said, *readable)}
            why = {i: one for i, one in enumerate(found) if i not in others}
            if wrong := [one for one in why.values() if not isinstance(one, str)]:
                raise TypeError(f"{type(wrong[0]).__name__} is no event")
            body = json.dumps([one for _, one in readable], default=_as_text).encode("utf-8", "surrogatepass")
            translated = decode_items(said, request)
        except Exception as error:  # noqa: BLE001  # of a package that we do not know; its request is refused
            message = f"the request is not of the protocol {cls.kind.title}: {error}"
            return DecodedEvents(error=RequestError(status=400, code="bad_json", message=message))
        unread = [Rejection(index=i, code="bad_text", reason=str(reason)) for i, reason in why.items()]
        checked = DecodedEvents()
        if readable:
            checked = TallybookProtocol.decode(replace(request, body=body, path=EVENTS_PATH))
        places = [index for index, _ in readable]
        own = [replace(one, index=places[one.index]) for one in checked.rejected]
        events = [(places[index], event) for index, event in checked.events]
        return DecodedEvents(
            events=sorted((*events, *translated.events), key=lambda one: one[0]),
            rejected=sorted((*unread, *own, *translated.rejected), key=lambda one: one.index),
            changes=translated.changes,
            links=translated.links,
            error=checked.error,
        )


def _as_text(value: Any) -> str:
    """A date or instant as text."""
    text: str = value.isoformat()
    return text
