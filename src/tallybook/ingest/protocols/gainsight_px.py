"""Gainsight PX's `POST /v1/events/custom`: one custom event per request.

docs/px-senders.md describes how each field is stored.

`tallybook.server.px` answers requests about users, accounts and attributes, and requests that read data back, because
those answers depend on stored data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tallybook.core import DecodedEvents, EventRequest, ProtocolAnswer, ProtocolKind, RequestError
from tallybook.ingest.protocols.messages import objects_of
from tallybook.ingest.protocols.translated import SentEvent, SentItem, Unreadable, decode_items
from tallybook.ingest.wire import WireProtocol

PX_EVENTS_PATH = "/v1/events/custom"
PX_KEY_HEADER = "x-aptrinsic-api-key"
PX_PROPERTY = "gainsight_px"
"""The property with PX's own fields of an event: propertyKey, userType, sessionId, globalContext, …"""
PX_USER_TYPES = ("LEAD", "USER", "VISITOR", "EMPTY_USER_TYPE")
REQUIRED = ("eventName", "identifyId", "propertyKey", "userType")
OURS = ("eventName", "identifyId", "accountId", "date", "attributes", "eventId")
STATUS_WORDS = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    413: "PAYLOAD_TOO_LARGE",
    422: "BAD_REQUEST",
    429: "TOO_MANY_REQUESTS",
    501: "NOT_IMPLEMENTED",
    503: "SERVICE_UNAVAILABLE",
}
UNAUTHORIZED = "Authentication failed in loginAwareAuthentication"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class GainsightPxProtocol(WireProtocol):
    kind = ProtocolKind(
        name="gainsight_px",
        title="Gainsight PX",
        paths=(PX_EVENTS_PATH,),
        prefix="/px",
        key_headers=(PX_KEY_HEADER,),
        finds_repeats=True,
    )

    @classmethod
    def decode(cls, request: EventRequest) -> DecodedEvents:
        """The event of a request."""
        found = objects_of(request)
        if isinstance(found, RequestError):
            return DecodedEvents(error=found)
        if request.body.lstrip()[:1] == b"[" or len(found) != 1:
            error = RequestError(
                status=400, code="bad_json", message="Malformed JSON request", seen="a list", expected="one event"
            )
            return DecodedEvents(error=error)
        return decode_items(enumerate(_items(found)), request)

    @staticmethod
    def answered(request: EventRequest, verdicts: Mapping[str, Any]) -> ProtocolAnswer:
        """The answer to an event: 201 if it is stored now or was stored before; 400 with the reasons if it is
        rejected."""
        if not verdicts["rejected"]:
            return ProtocolAnswer(status=201, body=verdicts)
        first = verdicts["rejected"][0]
        error = RequestError(status=400, code=first["code"], message="Validation error")
        return ProtocolAnswer(status=400, body=px_error(error, [one["reason"] for one in verdicts["rejected"]]))

    @staticmethod
    def refused(request: EventRequest, error: RequestError) -> ProtocolAnswer:
        """The refusal in PX's format."""
        return ProtocolAnswer(status=400 if error.status == 422 else error.status, body=px_error(error))


def px_error(error: RequestError, details: list[str] | None = None) -> dict[str, Any]:
    """The body of an error in PX's format, with our error code beside it."""
    message = UNAUTHORIZED if error.status == 401 else error.message
    shown = [
        one for one in (error.seen and f"seen: {error.seen}", error.expected and f"expected: {error.expected}") if one
    ]
    return {
        "externalapierror": {
            "status": STATUS_WORDS.get(error.status, "INTERNAL_SERVER_ERROR"),
            "message": message,
            "debugMessage": "; ".join(shown) or None,
            "subErrors": [{"message": one} for one in details or ()] or None,
        },
        "code": error.code,
    }


def _items(found: list[Any]) -> Iterator[SentItem]:
    for one in found:
        yield _item(one) if isinstance(one, dict) else Unreadable(code="bad_json", reason="an event is an object")


def _item(sent: Mapping[str, Any]) -> SentItem:
    missing = [name for name in REQUIRED if sent.get(name) in (None, "")]
    if missing:
        code = "no_event" if "eventName" in missing else "schema"
        return Unreadable(code=code, reason=f"required: {', '.join(missing)}", field=missing[0])
    if sent["userType"] not in PX_USER_TYPES:
        return Unreadable(code="schema", reason=f"userType is one of {', '.join(PX_USER_TYPES)}", field="userType")
    attributes = sent.get("attributes") or {}
    if not isinstance(attributes, dict):
        return Unreadable(code="schema", reason="attributes is an object", field="attributes")
    folded = {name.casefold() for name in attributes}
    if len(folded) < len(attributes):
        return Unreadable(code="bad_name", reason="two properties differ only in case", field="attributes")
    try:
        time = None if sent.get("date") is None else px_time(sent["date"])
    except (TypeError, ValueError, OverflowError):
        return Unreadable(code="bad_time", reason="date is in milliseconds since 1970", field="date")
    fields = {
        "event": sent["eventName"],
        "time": time,
        "user": sent["identifyId"],
        "account": sent.get("accountId"),
        "properties": {name: _flat(value) for name, value in attributes.items() if value is not None},
    }
    more = {name: value for name, value in sent.items() if name not in OURS and value not in (None, "", {}, [])}
    return SentEvent(fields=fields, context={PX_PROPERTY: more})


def px_time(milliseconds: Any) -> str:
    """The time of a number of milliseconds since 1970, as text. Raises TypeError, ValueError or OverflowError."""
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int):
        raise TypeError(milliseconds)
    return (_EPOCH + timedelta(milliseconds=milliseconds)).isoformat()


def _flat(value: Any) -> Any:
    """The value to store. A nested object is kept as JSON text, as PX keeps it."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value
