"""The bodies of the HTTP API as types. `/openapi.json` is built from them, and tests decode every answer as one of
them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tallybook.core import MAX_ID, MAX_NAME, MAX_PROPERTIES

Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
Id = Annotated[str, Meta(max_length=MAX_ID)]
Instant = Annotated[str, Meta(examples=["2026-03-01T12:00:00Z"], extra_json_schema={"format": "date-time"})]
Day = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$", examples=["2026-03-01"])]
Count = Annotated[int, Meta(ge=0)]
Properties = Annotated[dict[str, Any], Meta(extra_json_schema={"maxProperties": MAX_PROPERTIES})]


class EventBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """An event. `time` has Z or an offset. Without `time`, it is the time of receipt."""

    event: Name
    time: Instant | UnsetType | None = UNSET
    user: Id | int | UnsetType | None = UNSET
    account: Id | int | UnsetType | None = UNSET
    id: Id | int | UnsetType | None = UNSET
    properties: Properties | UnsetType | None = UNSET


class ValueBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The value of a day: `value`, or several values in `properties`. Sending it again replaces the earlier value."""

    event: Name
    day: Day
    value: int | float | UnsetType = UNSET
    properties: Properties | UnsetType = UNSET
    user: Id | int | UnsetType | None = UNSET
    account: Id | int | UnsetType | None = UNSET
    dimensions: Properties | UnsetType | None = UNSET
    id: Id | int | UnsetType | None = UNSET


class RejectionBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The reason why one event of the request is not stored. `index` is its position in the request."""

    index: int
    code: str
    reason: str
    id: str | UnsetType = UNSET
    field: str | UnsetType = UNSET


class VerdictsBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The verdict on the events of a request. Stored events are on disk."""

    stored: Count
    duplicates: Count
    rejected: list[RejectionBody]
    receipt: str


class ProblemBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The reason why a request is refused (RFC 9457)."""

    type: str
    title: str
    status: int
    code: str
    message: str
    detail: str
    seen: str | UnsetType = UNSET
    expected: str | UnsetType = UNSET
    field: str | UnsetType = UNSET
    """The option with the problem."""
    hint: str | UnsetType = UNSET
    refused: str | UnsetType = UNSET
    """The reason why a query has no correct answer."""
    ask: list[dict[str, Any]] | str | UnsetType = UNSET
    """Queries to use instead, each with `say`, `query` and `link`. For an expired link, the person to contact."""
    reference: str | UnsetType = UNSET
    """The reference number under which the log has the details."""


class StoredEventBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A stored event. Properties of objects are named by their path, such as `utm.source`."""

    event: str
    time: Instant
    day: Day
    user: str | None
    account: str | None
    id: str
    key: str
    received: Instant
    properties: dict[str, Any]
    rest: dict[str, Any] | UnsetType = UNSET
    """Values of properties that occurred twice in one event."""


class EventPageBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Stored events in the order of their commits. `cursor` is for the next page, which may have events that are stored
    later. `kept_from` is the first day whose events are kept, or null if all are kept."""

    events: list[StoredEventBody]
    cursor: str
    until: Instant | None
    more: bool
    kept_from: Day | None


class RejectedEventBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A rejected event with the text that was sent. `index` is -1 if the whole request could not be read."""

    at: Instant
    key: str
    protocol: str
    index: int
    id: str | None
    code: str
    field: str
    reason: str
    body: str
    truncated: bool | UnsetType = UNSET


class RejectedPageBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Rejected events, newest first. `cursor` is for the next page, and null on the last page."""

    rejected: list[RejectedEventBody]
    cursor: str | None


class ReplayedBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The result of decoding rejected events again. If there is a `cursor`, time ran out: send the request again with
    it for the rest."""

    stored: Count
    duplicates: Count
    rejected: Count
    cursor: str | UnsetType = UNSET


class EventSchemaBody(msgspec.Struct, kw_only=True):
    """The types of an event's properties, how many values did not fit, and the time of the last event."""

    properties: dict[str, str]
    conflicts: dict[str, Count]
    last: str | None


class SchemaBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The schema of every event."""

    events: dict[str, EventSchemaBody]


class ChangesBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Changes of a user's or an account's attributes."""

    attributes: dict[str, Any] | UnsetType = UNSET
    set_once: dict[str, Any] | UnsetType = UNSET
    add: dict[str, Any] | UnsetType = UNSET
    unset: list[str] | UnsetType = UNSET
    time: Instant | UnsetType | None = UNSET
    id: str | UnsetType | None = UNSET


class KeptBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How many changes are stored, and why the others are not."""

    kept: Count
    rejected: list[RejectionBody]


class EntityBody(msgspec.Struct, kw_only=True):
    """A user or an account with its attributes."""

    id: str
    attributes: dict[str, Any]


class StatusBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A status that shows that the process answers."""

    status: str


Query = dict[str, tuple[Mapping[str, Any], str]]
"""By parameter, its schema and its description."""


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method of one path. `answers`: the type of the body by status, or None for no body. `scopes`: empty if no key
    is needed."""

    method: str
    path: str
    summary: str
    answers: Mapping[int, Any]
    """By status, a type, a `list[…]` of a type, or None for no body."""
    problems: tuple[int, ...] = ()
    scopes: tuple[str, ...] = ()
    query: Query = field(default_factory=dict)
    body: type | None = None
    many: bool = False
    """Whether the body may also be a list, or one object per line, and may be compressed."""
    example: Mapping[str, Any] | None = None
    media: str = "application/json"
    text: str = ""
    """The example of a CSV body."""
    more_content: Mapping[str, Any] = field(default_factory=dict)
    """By media type, other forms of the answer with status 200."""
