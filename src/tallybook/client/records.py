"""What waits to be sent: a request's method and path, and its JSON. It is written when the application calls, so that
later changes of its objects change nothing."""

from __future__ import annotations

import enum
import json
import os
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import UUID

from tallybook.core import DeclarationError

EVENTS, VALUES, DAYS = "POST /v1/events", "POST /v1/values", "PUT /v1/days/"


class SendRecord(NamedTuple):
    """`to`: method and path. Records to the same path of a POST are sent together, as a list."""

    to: str
    body: str

    @property
    def is_batched(self) -> bool:
        return self.to.startswith("POST ")

    @property
    def size(self) -> int:
        """Its bytes in a request."""
        body = self.body
        return len(self.to) + 2 + (len(body) if body.isascii() else len(body.encode()))


def new_id() -> str:
    return os.urandom(16).hex()


def event_record(event: str, fields: Mapping[str, Any], properties: Mapping[str, Any] | None) -> SendRecord:
    """One event. Its time is now unless given, and it has an id of its own: however often it is sent, it is stored
    once."""
    body = {"event": event, **_without_none(fields)}
    body.setdefault("id", new_id())
    body["time"] = _instant(body.get("time") or datetime.now(UTC), "time")
    if properties:
        body["properties"] = dict(properties)
    return _record(EVENTS, body, f"event {event!r}", event)


def value_record(event: str, day: date | str, fields: Mapping[str, Any]) -> SendRecord:
    body = {"event": event, "day": _day(day), "id": new_id(), **_without_none(fields)}
    return _record(VALUES, body, f"value of {event!r}", event)


def entity_record(kind: str, entity_id: str | int, changes: Mapping[str, Any]) -> SendRecord:
    """Changes of a user or an account: the latest by time wins, and an `add` with the same id counts once."""
    if entity_id in (None, "") or isinstance(entity_id, bool):
        raise DeclarationError(f"{kind} have ids of text or integers, not {entity_id!r}")
    body = {"id": new_id(), **_without_none(changes)}
    body["time"] = _instant(body.get("time") or datetime.now(UTC), "time")
    return _record(f"PUT /v1/{kind}/{quote(str(entity_id), safe='')}", body, f"attributes of {entity_id!r}", "-")


def day_record(event: str, day: date | str) -> SendRecord:
    _check_name(event)
    return SendRecord(f"{DAYS}{quote(event, safe='')}/{_day(day)}", "")


def event_and_days(record: SendRecord) -> tuple[str, tuple[str, ...]] | None:
    """(event, days that it may belong to) of an event or a value; None of other records. The zone of the book is not
    known here, so that an event may belong to the days beside its own."""
    if not record.is_batched:
        return None
    body = json.loads(record.body)
    if "day" in body:
        return body["event"], (body["day"],)
    at = datetime.fromisoformat(body["time"]).astimezone(UTC).toordinal()
    return body["event"], tuple(date.fromordinal(at + shift).isoformat() for shift in (-1, 0, 1))


def _record(to: str, body: Mapping[str, Any], shown: str, event: str) -> SendRecord:
    _check_name(event)
    try:
        text = json.dumps(body, default=_plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode()
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise DeclarationError(f"{shown} cannot be sent: {error}", hint="text, numbers, flags, times, lists") from None
    return SendRecord(to, text)


def _check_name(event: object) -> None:
    if not isinstance(event, str) or not event:
        raise DeclarationError(
            f"the name of an event is a text, not {event!r}", hint='client.track("signup", user="u-1")'
        )


def _without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _day(day: date | str) -> str:
    if isinstance(day, date) and not isinstance(day, datetime):
        return day.isoformat()
    try:
        return date.fromisoformat(day).isoformat()  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise DeclarationError(f"{day!r} is not a day", hint='date(2026, 3, 1) or "2026-03-01"') from None


def _instant(value: object, field: str) -> str:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise DeclarationError(f"{field} {value!r} is not an instant", hint="2026-03-01T12:00:00Z") from None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise DeclarationError(f"{field} is an instant with a zone, not {value!r}", hint="datetime.now(UTC)")
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _plain(value: object) -> Any:
    """JSON of the types that applications have in properties."""
    if isinstance(value, datetime):
        return _instant(value, "a property")
    if isinstance(value, date | UUID):
        return str(value)
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and value.is_finite() else float(value)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, set | frozenset | tuple):
        return sorted(value) if isinstance(value, set | frozenset) else list(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a value of the type {type(value).__name__} is not JSON: {value!r:.60}")
