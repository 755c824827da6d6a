"""CloudEvents 1.0 over HTTP: structured, batched and binary, including the form that OpenMeter's clients send.

docs/cloudevents.md describes how each attribute is stored."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from tallybook.core import DecodedEvents, EventRequest, ProtocolAnswer, ProtocolKind, RequestError
from tallybook.ingest.protocols.json_values import NoNumber, body_values, json_value
from tallybook.ingest.protocols.messages import first_of, objects_of, unescaped
from tallybook.ingest.protocols.translated import SentEvent, SentItem, Unreadable, decode_items
from tallybook.ingest.wire import WireProtocol

OPENMETER_PATH = "/api/v1/events"
PREFIX = "ce-"
NO_TYPES = ("", "application/x-www-form-urlencoded", "application/octet-stream")
REQUIRED = ("id", "source", "type")
OWN = frozenset(("specversion", "id", "source", "type", "time", "subject", "datacontenttype", "data", "data_base64"))


class CloudEventsProtocol(WireProtocol):
    kind = ProtocolKind(
        name="cloudevents",
        title="CloudEvents",
        paths=("/cloudevents", OPENMETER_PATH),
        prefix="/cloudevents",
        headers=("ce-*", "content-type"),
        finds_repeats=True,
    )

    @classmethod
    def decode(cls, request: EventRequest) -> DecodedEvents:
        """The event in the headers, or the events in the body."""
        if _is_binary(request.headers):
            return decode_items([(0, _event(_of_headers(request)))], request)
        found = objects_of(request)
        if isinstance(found, RequestError):
            return DecodedEvents(error=found)
        return decode_items(_items(found), request)

    @staticmethod
    def answered(request: EventRequest, verdicts: Mapping[str, Any]) -> ProtocolAnswer:
        """The answer to a request. OpenMeter's clients accept only 204, which cannot report that an event is
        rejected."""
        rejected = verdicts["rejected"]
        kept = verdicts["stored"] + verdicts["duplicates"]
        if rejected and (request.path == OPENMETER_PATH or not kept):
            message = f"{len(rejected)} of {len(rejected) + kept} events are rejected; the others are stored"
            error = RequestError(status=400, code=rejected[0]["code"], message=message, seen=rejected[0]["reason"])
            problem = {"content-type": "application/problem+json"}
            return ProtocolAnswer(status=400, body={**error.as_json(), **verdicts}, headers=problem)
        if request.path == OPENMETER_PATH:
            return ProtocolAnswer(status=204)
        return ProtocolAnswer(status=200, body=verdicts)


def _is_binary(headers: Mapping[str, str]) -> bool:
    is_structured = headers.get("content-type", "").strip().lower().startswith("application/cloudevents")
    return not is_structured and any(name.startswith(PREFIX) for name in headers)


def _of_headers(request: EventRequest) -> dict[str, Any]:
    """A binary event in structured form."""
    found: dict[str, Any] = {
        name.removeprefix(PREFIX): unescaped(value)
        for name, value in request.headers.items()
        if name.startswith(PREFIX)
    }
    content = request.headers.get("content-type", "")
    if content:
        found["datacontenttype"] = content
    if request.body:
        found["data"] = _data_of(request.body, content)
    return found


def _data_of(body: bytes, content_type: str) -> Any:
    """The data of an event from its bytes: as JSON if possible, else as text, else as base64."""
    is_json = _is_json(content_type)
    # Some HTTP clients add a content type if none is given.
    if is_json or content_type.partition(";")[0].strip().lower() in NO_TYPES:
        try:
            return json_value(body)
        except ValueError:
            if is_json:
                return NoNumber("")
    try:
        return body.decode()
    except UnicodeDecodeError:
        return base64.b64encode(body).decode()


def _is_json(content_type: str) -> bool:
    name = content_type.partition(";")[0].strip().lower()
    return name.endswith(("/json", "+json"))


def _items(found: list[Any]) -> Iterator[tuple[int, SentItem]]:
    for index, one in enumerate(found):
        if isinstance(one, dict):
            yield index, _event(one)
        else:
            yield index, Unreadable(code="bad_json", reason="an event is an object")


def _event(one: Mapping[str, Any]) -> SentItem:
    version = one.get("specversion")
    if version is not None and version != "1.0":
        return Unreadable(code="schema", reason=f"specversion is 1.0, not {str(version)[:20]!r}", field="specversion")
    for name in REQUIRED:
        if not isinstance(one.get(name), str) or not one[name]:
            return Unreadable(code="schema", reason=f"a CloudEvent needs the attribute {name!r}, a text", field=name)
    if version is None:
        return Unreadable(code="schema", reason="a CloudEvent needs specversion 1.0", field="specversion")
    fields = {
        "event": one["type"],
        "time": one.get("time"),
        "user": first_of(one, "user", "userid"),
        "account": first_of(one, "account", "accountid", "subject"),
        "id": message_id(one["source"], one["id"]),
        "properties": _properties(one),
    }
    context = {name: value for name, value in one.items() if name not in OWN} | {"source": one["source"]}
    return SentEvent(fields=fields, context=context)


def message_id(source: str, id_: str) -> str:
    """The id that identifies an event by its source and id. A source is a URI, so it contains no space."""
    both = f"{source} {id_}"
    return both if len(both) <= 512 else f"{hashlib.blake2b(source.encode(), digest_size=16).hexdigest()} {id_}"


def _properties(one: Mapping[str, Any]) -> Any:
    data = one.get("data")
    if data is None and isinstance(packed := one.get("data_base64"), str):
        try:
            data = _data_of(base64.b64decode(packed, validate=True), str(one.get("datacontenttype") or ""))
        except ValueError:
            data = packed
    elif isinstance(data, str) and _is_json(str(one.get("datacontenttype") or "")):
        parsed = body_values(data.encode(errors="replace"))
        # JSON encoded as a text, as OpenMeter's clients send it.
        data = parsed[0] if isinstance(parsed, list) and len(parsed) == 1 and isinstance(parsed[0], dict) else data
    if data is None:
        return {}
    return data if isinstance(data, dict) else {"data": data}
