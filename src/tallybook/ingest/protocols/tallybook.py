"""Tallybook's own protocol: an event as JSON, a list of events, or one event per line; and daily values.

Decoding is pure and never raises. What cannot be read becomes the error of the request or the rejection of one
event."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, tzinfo
from difflib import get_close_matches
from typing import Any

import msgspec

from tallybook.core import (
    MAX_ID,
    MAX_INTEGER,
    MAX_KEY,
    DecodedEvents,
    Event,
    EventLimits,
    EventRequest,
    ProtocolKind,
    Rejection,
    RequestError,
    calendar,
)
from tallybook.ingest.protocols.json_values import BrokenLine, NoNumber, body_values
from tallybook.ingest.protocols.plain_events import plain_events
from tallybook.ingest.wire import OWN_PROTOCOL

EVENTS_PATH, VALUES_PATH = "/v1/events", "/v1/values"
EVENT_FIELDS = ("event", "time", "user", "account", "id", "properties")
VALUE_FIELDS = ("event", "day", "value", "properties", "user", "account", "dimensions", "id")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_NOT_TEXT = re.compile(r"[\x00\ud800-\udfff]")
_NAIVE = re.compile(r"\d{4}-\d\d-\d\d([T ][\d:.,]+)?")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


class RejectedEvent(Exception):
    """The reason why an event cannot be stored."""

    def __init__(self, code: str, reason: str, field: str = "") -> None:
        self.code, self.reason, self.field = code, reason, field


class TallybookProtocol:
    kind = ProtocolKind(name=OWN_PROTOCOL, title="Tallybook", paths=(EVENTS_PATH, VALUES_PATH))

    @staticmethod
    def decode(request: EventRequest) -> DecodedEvents:
        """The events of a request, and a rejection for each that cannot be stored."""
        is_plain = request.path == EVENTS_PATH and request.rules.is_usual
        if is_plain and (plain := plain_events(request)) is not None:
            return DecodedEvents(events=plain)
        return _closely_decoded(request)

    @staticmethod
    def text_of(request: EventRequest, index: int) -> str | None:
        """The text of one event of a request as it was sent, or None if the request has no such event."""
        text = request.body.decode(errors="replace").strip(" \t\r\n")
        try:
            json.loads(text, parse_int=str)
        except (ValueError, RecursionError):
            lines = [line for line in text.split("\n") if line.strip()]
            return lines[index] if index < len(lines) else None
        return _element(text, index) if text.startswith("[") else text


def _closely_decoded(request: EventRequest) -> DecodedEvents:
    """Decode a request like `decode`, one value after the other."""
    found = body_values(request.body)
    if isinstance(found, RequestError):
        return DecodedEvents(error=found)
    if len(found) > (most := request.rules.limits.max_batch):
        return DecodedEvents(error=_too_many(len(found), most))
    read: Callable[[Mapping[str, Any], EventRequest], Event] = _value if request.path == VALUES_PATH else read_event
    events, rejected = [], []
    for index, value in enumerate(found):
        try:
            events.append((index, read(_as_object(value), request)))
        except RejectedEvent as why:
            rejected.append(
                Rejection(index=index, code=why.code, field=why.field, reason=why.reason, id=_shown_id(value))
            )
    return DecodedEvents(events=events, rejected=rejected)


def _too_many(count: int, most: int) -> RequestError:
    return RequestError(
        status=413,
        code="too_large",
        message="the request has too many events; send them in several requests",
        seen=f"{count:,} events",
        expected=f"at most {most:,}",
    )


def _element(text: str, index: int) -> str | None:
    """The text of one element of a JSON list."""
    decoder, at = json.JSONDecoder(parse_int=str), 1
    for number in range(index + 1):
        start = at
        while start < len(text) and text[start] in " \t\r\n,":
            start += 1
        if start >= len(text) or text[start] == "]":
            return None
        _, at = decoder.raw_decode(text, start)
        if number == index:
            return text[start:at]
    return None


# -- values to events ----------------------------------------------------------------------------------------------


def _as_object(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    if isinstance(value, BrokenLine):
        raise RejectedEvent("bad_json", f"the line is not JSON: {value.reason}")
    raise RejectedEvent("bad_json", f"an event is an object, not {_kind(value)}")


def _shown_id(value: Any) -> str | None:
    found = value.get("id") if isinstance(value, dict) else None
    return found[:MAX_ID] if isinstance(found, str) and not _NOT_TEXT.search(found) else None


def read_event(raw: Mapping[str, Any], request: EventRequest) -> Event:
    """The event with these fields of this protocol. Raises RejectedEvent."""
    _known(raw, EVENT_FIELDS)
    limits = request.rules.limits
    return Event(
        name=_name(raw, limits),
        time=read_time(raw.get("time"), request),
        user=read_identity(raw, "user", limits),
        account=read_identity(raw, "account", limits),
        id=read_identity(raw, "id", limits),
        properties=_properties(raw.get("properties"), limits),
    )


def _value(raw: Mapping[str, Any], request: EventRequest) -> Event:
    """The event for a daily value. `value` becomes a property of that name, and dimensions become properties too."""
    _known(raw, VALUE_FIELDS)
    limits = request.rules.limits
    if ("value" in raw) == ("properties" in raw):
        raise RejectedEvent("schema", "give `value`, or `properties` with several values", "value")
    if isinstance(raw.get("value", 0), bool) or not isinstance(raw.get("value", 0), int | float):
        raise RejectedEvent("bad_number", f"value is a number, not {_kind(raw['value'])}", "value")
    measured = {"value": raw["value"]} if "value" in raw else _properties(raw["properties"], limits)
    dimensions = _properties(raw.get("dimensions"), limits, "dimensions")
    if both := sorted(set(measured) & set(dimensions)):
        raise RejectedEvent("bad_name", f"{both[0]!r} is a value and a dimension", f"dimensions.{both[0]}")
    properties = _properties({**measured, **{name: _as_text(value) for name, value in dimensions.items()}}, limits)
    return Event(
        name=_name(raw, limits),
        day=_day(raw.get("day"), request),
        user=read_identity(raw, "user", limits),
        account=read_identity(raw, "account", limits),
        id=read_identity(raw, "id", limits),
        properties=properties,
    )


def _as_text(value: Any) -> Any:
    """A dimension's value as text, because a number would count as a measured value."""
    return json.dumps(value) if isinstance(value, int | float) else value


def _known(raw: Mapping[str, Any], fields: Iterable[str]) -> None:
    for name in raw:
        if name not in fields:
            meant = get_close_matches(name[:MAX_KEY], list(fields), 1)
            hint = f"; did you mean {meant[0]!r}?" if meant else f"; an event has {', '.join(fields)}"
            raise RejectedEvent("bad_name", f"there is no field {_short(name)!r}{hint}", _short(name))


def _name(raw: Mapping[str, Any], limits: EventLimits) -> str:
    name = raw.get("event")
    if name is None or name == "":
        raise RejectedEvent("no_event", "the event has no name", "event")
    if not isinstance(name, str):
        raise RejectedEvent("bad_name", f"the name of an event is text, not {_kind(name)}", "event")
    if len(name) > limits.max_name:
        raise RejectedEvent("bad_name", f"the name has {len(name):,} characters; at most {limits.max_name:,}", "event")
    if _CONTROL.search(name) or name != name.strip():
        raise RejectedEvent("bad_name", "the name contains control characters, or begins or ends with a space", "event")
    return name


def read_identity(raw: Mapping[str, Any], field: str, limits: EventLimits) -> str | None:
    """A user, account or id. It is a text, or an integer, which equals the text of its digits. Empty text counts as
    missing. Raises RejectedEvent."""
    found = raw.get(field)
    if found is None or found == "":
        return None
    if isinstance(found, int) and not isinstance(found, bool) and abs(found) <= MAX_INTEGER:
        return str(found)
    if not isinstance(found, str):
        raise RejectedEvent("bad_text", f"{field} is text, not {_kind(found)}", field)
    if len(found) > limits.max_id:
        raise RejectedEvent("bad_text", f"{field} has {len(found):,} characters; at most {limits.max_id}", field)
    if _CONTROL.search(found):
        raise RejectedEvent("bad_text", f"{field} contains control characters", field)
    return found


def read_time(value: Any, request: EventRequest) -> datetime | None:
    """The instant in a text, in UTC. Raises RejectedEvent."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise RejectedEvent("bad_time", f"time is text as 2026-03-01T12:00:00Z, not {_kind(value)}", "time")
    try:
        found = _read_time(value)
        if found.tzinfo is None:
            found = found.replace(tzinfo=_zone_of_naive(value, request))
        found = found.astimezone(UTC)
    except (OverflowError, ValueError):
        raise RejectedEvent("bad_time", f"time {_short(value)!r} is not as 2026-03-01T12:00:00Z", "time") from None
    if found > request.latest:
        raise _ahead("time", value, request)
    if request.earliest is not None and found < request.earliest:
        raise _too_old("time", value, request)
    return found


def _read_time(value: str) -> datetime:
    """The instant in a text. Raises ValueError."""
    try:
        return msgspec.convert(value, datetime)
    except msgspec.ValidationError:
        if not _NAIVE.fullmatch(value):
            raise
        return datetime.fromisoformat(value)


def _zone_of_naive(value: str, request: EventRequest) -> tzinfo:
    if request.rules.naive == "refuse":
        raise RejectedEvent("naive_time", f"time {_short(value)!r} has no zone; write 2026-03-01T12:00:00Z", "time")
    return calendar.zone(request.rules.zone) if request.rules.naive == "book" else UTC


def _ahead(field: str, value: str, request: EventRequest) -> RejectedEvent:
    hours = request.rules.future.total_seconds() / 3600
    return RejectedEvent("future", f"{field} {value!r} is more than {hours:g} h after its receipt", field)


def _too_old(field: str, value: str, request: EventRequest) -> RejectedEvent:
    kept = f"{request.rules.settings.keep:,} days before its receipt, and [events] keep deletes what is older"
    return RejectedEvent("bad_time", f"{field} {value!r} is more than {kept}", field)


def _day(value: Any, request: EventRequest) -> date:
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise RejectedEvent("bad_time", "day is text as 2026-03-01", "day")
    try:
        found = date.fromisoformat(value)
    except ValueError:
        raise RejectedEvent("bad_time", f"there is no day {value!r}", "day") from None
    if found > request.latest.date():
        raise _ahead("day", value, request)
    if request.earliest is not None and found < request.earliest.date():
        raise _too_old("day", value, request)
    return found


def _properties(value: Any, limits: EventLimits, field: str = "properties") -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RejectedEvent("schema", f"{field} is an object, not {_kind(value)}", field)
    count = _checked(value, field, 1, limits)
    if count > limits.max_properties:
        raise RejectedEvent("too_many_properties", f"{count:,} properties; at most {limits.max_properties}", field)
    if len(msgspec.json.encode(value)) > limits.max_event:
        raise RejectedEvent("too_large", f"the event has more than {limits.max_event:,} bytes", field)
    return value


def _checked(value: Any, path: str, depth: int, limits: EventLimits) -> int:
    """The number of values below `value`. Raises RejectedEvent for a value that cannot be stored."""
    if isinstance(value, str):
        _check_text(value, path, limits)
    elif isinstance(value, NoNumber) or (isinstance(value, int) and abs(value) > MAX_INTEGER):
        raise RejectedEvent("bad_number", f"{path} is not a number of 64 bits", path)
    elif isinstance(value, float) and not math.isfinite(value):
        raise RejectedEvent("bad_number", f"{path} is not a finite number", path)
    if not isinstance(value, dict | list):
        return 1
    if depth > limits.max_depth:
        raise RejectedEvent("too_deep", f"{path} is nested deeper than {limits.max_depth} levels", path)
    if isinstance(value, list):
        for inner in value:
            _checked(inner, path, depth + 1, limits)
        return 1
    count = 0
    for key, inner in value.items():
        if len(key) > limits.max_key or _CONTROL.search(key) or not key:
            raise RejectedEvent(
                "bad_name", f"a key of {_short(path)} is empty, too long or has control characters", _short(path)
            )
        count += _checked(inner, f"{path}.{_short(key)}", depth + 1, limits)
    return count


def _check_text(value: str, path: str, limits: EventLimits) -> None:
    if len(value) > limits.max_text:
        raise RejectedEvent("bad_text", f"{path} has {len(value):,} characters; at most {limits.max_text:,}", path)
    if _NOT_TEXT.search(value):
        raise RejectedEvent("bad_text", f"{path} contains a character that is not text", path)


def _kind(value: Any) -> str:
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}
    return "null" if value is None else names.get(type(value), "a number")


def _short(text: str) -> str:
    return _NOT_TEXT.sub("?", text if len(text) <= 80 else f"{text[:80]}…")
