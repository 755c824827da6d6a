"""The base of protocols from other packages: they name the fields of events, and the checks are Tallybook's own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from tallybook.core import DecodedEvents, EventRequest, ProtocolKind, Rejection, RequestError
from tallybook.ingest.protocols.tallybook import EVENTS_PATH, TallybookProtocol


class EventProtocol:
    """A wire protocol. A subclass has `kind` and `events`.

    `events` yields for each event of a request a mapping with the fields of Tallybook's own protocol (event, time,
    user, account, id, properties), or a text that says why it is none. It raises ValueError for a request that cannot
    be read. Whatever it does, no event is stored that Tallybook's own protocol would reject."""

    kind: ClassVar[ProtocolKind]

    @staticmethod
    def events(request: EventRequest) -> Iterable[Mapping[str, Any] | str]:
        """The events of a request, in its order. The same bytes give the same events, whenever they are read."""
        raise NotImplementedError

    @classmethod
    def decode(cls, request: EventRequest) -> DecodedEvents:
        """The events of a request, and a rejection for each that cannot be stored."""
        try:
            found = list(cls.events(request))
            readable = [(index, one) for index, one in enumerate(found) if not isinstance(one, str)]
            body = json.dumps([dict(one) for _, one in readable], default=_as_text).encode("utf-8", "surrogatepass")
        except Exception as error:  # noqa: BLE001  # of a package that we do not know; its request is refused
            message = f"the request is not of the protocol {cls.kind.title}: {error}"
            return DecodedEvents(error=RequestError(status=400, code="bad_json", message=message))
        why = {index: one for index, one in enumerate(found) if isinstance(one, str)}
        unread = [Rejection(index=index, code="bad_text", reason=reason) for index, reason in why.items()]
        if not readable:
            return DecodedEvents(rejected=unread)
        checked = TallybookProtocol.decode(replace(request, body=body, path=EVENTS_PATH))
        places = [index for index, _ in readable]
        rejected = [*unread, *(replace(one, index=places[one.index]) for one in checked.rejected)]
        return DecodedEvents(
            events=[(places[index], event) for index, event in checked.events],
            rejected=sorted(rejected, key=lambda one: one.index),
            error=checked.error,
        )


def _as_text(value: Any) -> str:
    """A date or instant as text."""
    text: str = value.isoformat()
    return text
