"""Decodes requests in which every event is valid and plain, which are nearly all requests, by one call of msgspec.

Anything unusual is left to the protocol, which reads the values one by one and reports what is wrong. If this module
returns events, they are the same events that the protocol would return."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from tallybook.core import (
    MAX_EVENT_BYTES,
    MAX_EVENTS,
    MAX_ID,
    MAX_INTEGER,
    MAX_KEY,
    MAX_NAME,
    MAX_PROPERTIES,
    MAX_TEXT,
    Event,
    EventRequest,
    json_decoder,
)

_USUAL_ESCAPE = re.compile(rb'\\[\\"/]')
_SURE_BYTES = MAX_EVENT_BYTES // 8
"""Up to this body size no event is too large, however its numbers are written."""
FIRST_INSTANT = datetime.min.replace(tzinfo=UTC)
_SCALARS = frozenset((str, int, float, bool, type(None)))

_Integer = Annotated[int, Meta(ge=-MAX_INTEGER, le=MAX_INTEGER)]
_Identity = Annotated[str, Meta(max_length=MAX_ID)] | _Integer | None
_Value = Annotated[str, Meta(max_length=MAX_TEXT)] | _Integer | float | bool | list[Any] | dict[str, Any] | None
_Key = Annotated[str, Meta(min_length=1, max_length=MAX_KEY)]


class _SentEvent(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    event: Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
    time: Annotated[datetime, Meta(tz=True)] | None = None
    user: _Identity = None
    account: _Identity = None
    id: _Identity = None
    properties: dict[_Key, _Value] | None = None


def plain_events(request: EventRequest) -> list[tuple[int, Event]] | None:
    """The events of a request, or None if one of them needs a closer check."""
    body = request.body
    # Valid JSON has control characters only as escapes, or as DEL.
    if b"\x7f" in body or (b"\\" in body and b"\\" in _USUAL_ESCAPE.sub(b"", body)):
        return None
    try:
        sent = _sent(body)
        if len(sent) > MAX_EVENTS or any(name != name.strip() for name in {one.event for one in sent}):
            return None
        return _as_events(sent, request, is_small=len(body) <= _SURE_BYTES)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
        return None


def _sent(body: bytes) -> Sequence[_SentEvent]:
    one, many = _decoders()
    start = body[:1]
    if start == b"[":
        return many.decode(body)  # type: ignore[no-any-return]
    lines = [line for line in map(bytes.strip, body.split(b"\n")) if line]
    if len(lines) == 1:
        return [one.decode(body)]
    if not lines or not all(line[:1] == b"{" and line[-1:] == b"}" for line in lines):
        raise ValueError("lines that are not objects")
    found: list[_SentEvent] = one.decode_lines(body)
    if len(found) != len(lines):
        raise ValueError("several objects in a line")
    return found


@functools.cache
def _decoders() -> tuple[Any, Any]:
    return json_decoder(_SentEvent), json_decoder(list[_SentEvent])


def _as_events(sent: Sequence[_SentEvent], request: EventRequest, *, is_small: bool) -> list[tuple[int, Event]] | None:
    latest, earliest = request.latest, request.earliest or FIRST_INSTANT
    found = []
    for index, one in enumerate(sent):
        at, properties = one.time, one.properties or {}
        if at is not None:
            at = at.astimezone(UTC)
            if not earliest <= at <= latest:
                return None
        if not _SCALARS.issuperset(map(type, properties.values())) or len(properties) > MAX_PROPERTIES:
            return None
        if not is_small and len(msgspec.json.encode(properties)) > MAX_EVENT_BYTES:
            return None
        event = Event(
            name=one.event,
            time=at,
            user=_identity(one.user),
            account=_identity(one.account),
            id=_identity(one.id),
            properties=properties,
        )
        found.append((index, event))
    return found


def _identity(value: str | int | None) -> str | None:
    return str(value) if isinstance(value, int) else value or None
