"""Decodes requests about a user or an account: attributes to set, to set once, to add to and to unset. Pure.

Decoding never raises. A change that cannot be stored becomes a rejection with a code, and the others are stored."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypedDict

from tallybook.core import (
    ADD,
    ENTITY_COLUMNS,
    ENTITY_FUTURE,
    MAX_ATTRIBUTE_NAME,
    MAX_ATTRIBUTES,
    MAX_ID,
    MAX_INTEGER,
    MAX_TEXT,
    SET,
    SET_ONCE,
    UNSET,
    AttributeChange,
    QueryError,
    Rejection,
)
from tallybook.ingest.columns import flattened
from tallybook.storage import EntityLedger, stamp_of

FIELDS = ("attributes", "set_once", "add", "unset", "time", "id")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class DecodedChanges:
    """The changes of one request, and the rejections of its parts that cannot be stored."""

    changes: tuple[AttributeChange, ...] = ()
    rejected: tuple[Rejection, ...] = ()


class _RejectedChange(Exception):
    def __init__(self, code: str, reason: str, field: str = "") -> None:
        self.code, self.reason, self.field = code, reason, field


def decode_changes(entity_id: str, sent: Any, received: datetime, *, now: datetime | None = None) -> DecodedChanges:
    """The changes of `{"attributes": {…}, "set_once": {…}, "add": {…}, "unset": […], "time": …, "id": …}`.

    If the id of the entity, the time or the form is wrong, nothing is stored. The time is judged as of `now`, or as of
    the receipt if `now` is not given."""
    try:
        _check_id(entity_id, "id of the entity")
        if not isinstance(sent, Mapping):
            raise _RejectedChange("bad_json", "the body is not an object")
        for name in sent:
            if name not in FIELDS:
                raise _RejectedChange(
                    "bad_name", f"there is no field {name!r}; there are {', '.join(FIELDS)}", str(name)
                )
        time, message = _time(sent.get("time"), received, now or received), sent.get("id") or ""
        _check_id(message, "id", empty=True)
    except _RejectedChange as why:
        return DecodedChanges(rejected=(Rejection(index=0, code=why.code, reason=why.reason, field=why.field),))
    changes: list[AttributeChange] = []
    rejected: list[Rejection] = []
    for name, action, value in _asked(sent):
        try:
            if len(changes) >= MAX_ATTRIBUTES:
                raise _RejectedChange("too_many_properties", f"more than {MAX_ATTRIBUTES} attributes")
            _check_name(name)
            _check_value(name, value, action)
        except _RejectedChange as why:
            rejected.append(Rejection(index=0, code=why.code, reason=why.reason, field=name[:MAX_ATTRIBUTE_NAME]))
            continue
        changes.append(
            AttributeChange(
                attribute=name,
                action=UNSET if value is None else action,
                value=value,
                time=stamp_of(time),
                received=stamp_of(received),
                id=message,
            )
        )
    return DecodedChanges(changes=tuple(changes), rejected=tuple(rejected))


def in_order(received: datetime, place: int) -> datetime:
    """When a message of a request, or a row of a file, counts as received: of several with one time the last wins."""
    return received + timedelta(microseconds=place)


def _asked(sent: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """(attribute, action, value) of each change. Objects are flattened; null unsets."""
    for field, action in (("attributes", SET), ("set_once", SET_ONCE), ("add", ADD)):
        given = sent.get(field) or {}
        if isinstance(given, Mapping):
            nulls = [(str(name), action, None) for name, value in given.items() if value is None and action == SET]
            yield from nulls
            for name, value in flattened({str(name): value for name, value in given.items()}):
                yield name, action, value
        else:
            yield field, action, given
    unset = sent.get("unset") or []
    for name in unset if isinstance(unset, list) else [unset]:
        yield str(name), UNSET, None


def _check_id(value: Any, field: str, *, empty: bool = False) -> None:
    if not isinstance(value, str) or (not value and not empty) or _CONTROL.search(value):
        raise _RejectedChange("bad_text", f"the {field} is not a text", field)
    if len(value) > MAX_ID:
        raise _RejectedChange("bad_text", f"the {field} has {len(value)} characters; the limit is {MAX_ID}", field)


def _check_name(name: str) -> None:
    if not name or len(name) > MAX_ATTRIBUTE_NAME or _CONTROL.search(name):
        raise _RejectedChange(
            "bad_name", f"the name of an attribute has 1 to {MAX_ATTRIBUTE_NAME} printable characters"
        )
    if name.casefold() in ENTITY_COLUMNS:
        raise _RejectedChange("bad_name", f"{name!r} is a column that every user and account has")


def _check_value(name: str, value: Any, action: str) -> None:
    if action == ADD and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise _RejectedChange("bad_number", f"only a number can be added to {name!r}")
    if isinstance(value, str):
        if len(value) > MAX_TEXT or "\x00" in value or re.search(r"[\ud800-\udfff]", value):
            raise _RejectedChange("bad_text", f"a text has at most {MAX_TEXT} characters")
    elif isinstance(value, (bool, datetime)) or value is None:
        return
    elif isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise _RejectedChange("bad_number", "the number does not fit 64 bits")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise _RejectedChange("bad_number", "NaN and infinity are no numbers")
    else:
        raise _RejectedChange(
            "bad_text", f"{type(value).__name__} is no type of an attribute: text, number, flag or time"
        )


def _time(given: Any, received: datetime, now: datetime) -> datetime:
    """The sender's time, or the time of receipt if the sender gave none. Raises _RejectedChange."""
    if given is None:
        return received
    try:
        time = datetime.fromisoformat(given) if isinstance(given, str) else None
    except ValueError:
        time = None
    if time is None:
        raise _RejectedChange("bad_time", f"{given!r:.60} is not a time, such as 2026-03-01T10:00:00Z", "time")
    if time.tzinfo is None:
        raise _RejectedChange("naive_time", f"{given!r:.60} has no zone: add Z or an offset", "time")
    if time > now + ENTITY_FUTURE:
        raise _RejectedChange("future", f"{given!r:.60} is more than a day ahead", "time")
    return time


class SentAttributes(TypedDict, total=False):
    """The keywords of `Book.push_attributes`. `unset` contains names; `id` is the id of the message."""

    attributes: Mapping[str, Any]
    set_once: Mapping[str, Any]
    add: Mapping[str, float]
    unset: Sequence[str]
    time: datetime
    id: str


def push_attributes(ledger: EntityLedger, kind: str, entity_id: str, sent: SentAttributes, *, now: datetime) -> None:
    """Store the changes of one entity. Raises QueryError if one of them cannot be stored; then nothing is stored."""
    body: dict[str, Any] = dict(sent)
    if isinstance(at := body.get("time"), datetime):
        body["time"] = at.isoformat()
    decoded = decode_changes(entity_id, body, now)
    if decoded.rejected:
        first = decoded.rejected[0]
        named = f"{first.field}: " if first.field else ""
        raise QueryError(f"attributes of {kind.removesuffix('s')} {entity_id!r}: {named}{first.reason}")
    ledger.push(kind, {entity_id: decoded.changes}, now=now)
