"""The common part of other vendors' protocols. Their messages become events, changes of attributes and links between
ids, and each is checked as Tallybook's own protocol checks it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tallybook.core import (
    ACCOUNTS,
    SET,
    USERS,
    AttributeChange,
    DecodedEvents,
    EntityChange,
    Event,
    EventRequest,
    IdentityLink,
    Rejection,
)
from tallybook.ingest.attribute_requests import decode_changes, in_order
from tallybook.ingest.protocols.tallybook import RejectedEvent, read_event, read_identity, read_time
from tallybook.storage import stamp_of

CLOCK_SKEW = timedelta(minutes=5)
"""A sender's clock is corrected if it differs by more than this. Smaller differences are transmission time."""
SENT_TIME = "sent_time"
"""The property with the time as sent, for an event whose time was corrected."""
NO_IDS = frozenset(
    (
        *("0", "-1", "null", "undefined", "none", "nil", "nan", "true", "false", "[object object]", "[]", "{}"),
        *("anonymous", "guest", "distinctid", "distinct_id", "id", "not_authenticated", "email", "user", "unknown"),
        *("00000000-0000-0000-0000-000000000000", "unidentified", "n/a", "na"),
    )
)
"""Ids, in lower case, that many senders give to unknown people. They are never linked."""


@dataclass(frozen=True, kw_only=True)
class SentEvent:
    """An event of another protocol, in our own fields. `sent_at` is the sender's clock, if it sends one.

    `context` becomes a property if it can be stored. Otherwise it is left out."""

    fields: Mapping[str, Any]
    sent_at: Any = None
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SentEntity:
    """A change of a user or an account. `body` is in the format of `PUT /v1/users/{id}`. `account` is the user's
    account."""

    kind: str
    id: Any
    body: Mapping[str, Any] = field(default_factory=dict)
    account: Any = None
    sent_at: Any = None


@dataclass(frozen=True, kw_only=True)
class SentLink:
    """A statement that two ids are one user."""

    alias: Any
    user: Any
    merges: bool = False
    message: Any = None


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """A message that cannot be read, and why."""

    code: str
    reason: str
    field: str = ""


SentItem = SentEvent | SentEntity | SentLink | Unreadable


def decode_items(items: Iterable[tuple[int, SentItem]], request: EventRequest) -> DecodedEvents:
    """Decode the messages of a request. Each comes with its index in the request."""
    made = _Decoding(request)
    for index, item in items:
        try:
            made.add(index, item)
        except RejectedEvent as why:
            made.reject(index, why.code, why.reason, why.field, _shown_id(item))
        except RecursionError:
            made.reject(index, "too_deep", "the message is nested too deeply")
    return DecodedEvents(
        events=made.events,
        changes=made.changes,
        links=made.links,
        rejected=made.rejected,
        warnings=made.warnings,
    )


class _Decoding:
    def __init__(self, request: EventRequest) -> None:
        self.request = request
        self.events: list[tuple[int, Event]] = []
        self.changes: list[tuple[int, EntityChange]] = []
        self.links: list[tuple[int, IdentityLink]] = []
        self.rejected: list[Rejection] = []
        self.said: Counter[str] = Counter()
        self.places: dict[tuple[str, str, str], tuple[int, int]] = {}
        """By attribute of an entity: the last message that changes it, and how many did before."""
        self.warnings: list[Rejection] = []

    def reject(self, index: int, code: str, reason: str, field: str = "", id_: str | None = None) -> None:
        self.rejected.append(Rejection(index=index, code=code, reason=reason, field=field, id=id_))

    def add(self, index: int, item: SentItem) -> None:
        """Add an item. Raises RejectedEvent."""
        if isinstance(item, Unreadable):
            raise RejectedEvent(item.code, item.reason, item.field)
        if isinstance(item, SentEvent):
            self._add_event(index, item)
        elif isinstance(item, SentEntity):
            self._add_entity(index, item)
        else:
            self._add_link(index, item)

    def _add_event(self, index: int, item: SentEvent) -> None:
        fields = dict(item.fields)
        at, sent = corrected(fields.get("time"), item.sent_at, self.request)
        fields["time"] = at
        properties = fields.get("properties")
        if properties is None:
            properties = {}
        if sent is not None and isinstance(properties, dict):
            properties = {**properties, SENT_TIME: properties.get(SENT_TIME, sent)}
        fields["properties"] = properties
        event = read_event(fields, self.request)
        context = {name: value for name, value in item.context.items() if value not in (None, {}, [], "")}
        if context and isinstance(properties, dict):
            added = {name: value for name, value in context.items() if name not in properties}
            try:
                event = read_event({**fields, "properties": {**properties, **added}}, self.request)
            except RejectedEvent as why:
                warning = Rejection(index=index, code=why.code, reason=why.reason, field=why.field, id=event.id)
                self.warnings.append(warning)
        self.events.append((index, event))

    def _add_entity(self, index: int, item: SentEntity) -> None:
        limits, request = self.request.rules.limits, self.request
        named = {"user": item.id, "account": item.account, "id": item.body.get("id")}
        entity = read_identity(named, "user", limits)
        account, message = read_identity(named, "account", limits), read_identity(named, "id", limits)
        if entity is None:
            raise RejectedEvent("schema", f"there is no id of the {item.kind.removesuffix('s')}", "id")
        at, _ = corrected(item.body.get("time"), item.sent_at, request)
        if message is None and at is not None:
            message = self._made_id(item, entity)
        body = {**{name: _storable(value) for name, value in item.body.items()}, "time": at, "id": message}
        # Reads the time as for events, so that one setting decides what a time without a zone means.
        time = read_time(at, request)
        body["time"] = None if time is None else time.isoformat()
        found = decode_changes(entity, body, request.received, now=request.now)
        for one in found.rejected:
            self.rejected.append(replace(one, index=index, id=message))
        if found.rejected and not found.changes and not account:
            return
        changes = [*found.changes, *self._account_change(account, time, message)]
        ordered = tuple(self._in_order(index, item.kind, entity, one) for one in changes)
        self.changes.append((index, EntityChange(kind=item.kind, id=entity, changes=ordered, message=message)))
        if account and item.kind == USERS:
            self.changes.append((index, EntityChange(kind=ACCOUNTS, id=account, changes=(), message=message)))

    def _made_id(self, item: SentEntity, entity: str) -> str:
        """An id for a message that has a time and no id. The same request sent again gets the same ids."""
        said = json.dumps([item.kind, entity, item.body, item.account], sort_keys=True, default=str)
        content = hashlib.blake2b(said.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        self.said[content] += 1
        return f"{content} {self.said[content]}"

    def _in_order(self, index: int, kind: str, entity: str, change: AttributeChange) -> AttributeChange:
        """A change that counts as received after those of the same attribute in earlier messages of the request."""
        name = (kind, entity, change.attribute)
        before, place = self.places.get(name, (index, 0))
        place += before != index
        self.places[name] = (index, place)
        if not place:
            return change
        received = stamp_of(in_order(self.request.received, place))
        time = received if change.time == change.received else change.time
        return replace(change, time=time, received=received)

    def _account_change(self, account: str | None, time: datetime | None, message: str | None) -> list[AttributeChange]:
        """The change of a user's account. This attribute is set only by the database or by a protocol."""
        if account is None:
            return []
        received = self.request.received
        return [
            AttributeChange(
                attribute="account",
                action=SET,
                value=account,
                time=stamp_of(time or received),
                received=stamp_of(received),
                id=message or "",
            )
        ]

    def _add_link(self, index: int, item: SentLink) -> None:
        named, limits = {"user": item.user, "account": item.alias, "id": item.message}, self.request.rules.limits
        user, alias = read_identity(named, "user", limits), read_identity(named, "account", limits)
        message = read_identity(named, "id", limits)
        if user is None or alias is None or user == alias:
            raise RejectedEvent("schema", "a link needs two different ids", "alias")
        for one in (user, alias):
            if one.strip().casefold() in NO_IDS:
                raise RejectedEvent("schema", f"{one!r} is no id of one person; it is not linked", "alias")
        link = IdentityLink(alias=alias, user=user, merges=item.merges, message=message)
        self.links.append((index, link))


def corrected(time: Any, sent_at: Any, request: EventRequest) -> tuple[Any, str | None]:
    """The corrected time, and the time as sent if the sender's clock corrected it. A time that cannot be read is
    returned unchanged, and is rejected when it is stored."""
    at = instant_of(time, request)
    if at is None:
        return (time if time != "" else None), None
    clock = instant_of(sent_at, request)
    off = timedelta() if clock is None else request.received - clock
    if abs(off) <= CLOCK_SKEW:
        return _text(at), None
    try:
        return _text(at + off), _text(at)
    except OverflowError:
        return _text(at), None


def instant_of(value: Any, request: EventRequest) -> datetime | None:
    """The instant of a text with a zone, or of a number of seconds, milli-, micro- or nanoseconds since 1970. The unit
    is recognized by the size. None for other values."""
    if isinstance(value, str):
        text = value.strip()
        try:
            number = float(text)
        except ValueError:
            try:
                # The limit on future times applies to the corrected time.
                return read_time(text, replace(request, now=_LAST))
            except (RejectedEvent, OverflowError):
                return None
        return _of_epoch(number)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return _of_epoch(value)


_LAST = datetime(9990, 1, 1, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _of_epoch(number: float) -> datetime | None:
    """The instant of a number. Numbers up to the year 5138 in seconds are seconds; larger ones are finer units.
    Milliseconds since 1970 are that large from 1973 on."""
    if number != number or abs(number) > 1e20:
        return None
    for limit, unit in ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6), (1e20, 1e9)):
        if abs(number) < limit:
            try:
                return _EPOCH + timedelta(microseconds=round(number / unit * 1e6))
            except OverflowError:
                return None
    return None


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _storable(value: Any) -> Any:
    """Attributes with lists as JSON text, because an attribute is one value."""
    if isinstance(value, Mapping):
        return {str(name): _as_attribute(inner) for name, inner in value.items()}
    return value


def _as_attribute(value: Any) -> Any:
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False, default=str)
    return _storable(value)


def _shown_id(item: SentItem) -> str | None:
    if isinstance(item, SentEvent):
        found = item.fields.get("id")
    elif isinstance(item, SentEntity):
        found = item.body.get("id")
    else:
        found = getattr(item, "message", None)
    return found[:100] if isinstance(found, str) and found.isprintable() else None
