"""Usage events: their structure, the limits of a request, and the codes of rejections. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import msgspec

from tallybook.core.declarations.events import DEFAULT_RULES, EventRules
from tallybook.core.entities import AttributeChange

MIN_UNPACKED_BYTES = 1_000_000
"""A body may always unpack to this many bytes, however small it was when sent."""
MAX_EVENTS = 10_000
MAX_EVENT_BYTES = 1_000_000
MAX_PROPERTIES = 500
MAX_NAME = 2_000
"""Characters of an event name."""
MAX_KEY = 1_024
MAX_TEXT = 10_000
MAX_ID = 512
MAX_INTEGER = 2**63 - 1

WHOLE_REQUEST = -1

INTEGER_VALUE, NUMBER_VALUE, TEXT_VALUE, FLAG_VALUE, INSTANT_VALUE = "integer", "number", "text", "flag", "time"
EVENT_TYPES = {
    INTEGER_VALUE: "BIGINT",
    NUMBER_VALUE: "DOUBLE",
    TEXT_VALUE: "VARCHAR",
    FLAG_VALUE: "BOOLEAN",
    INSTANT_VALUE: "TIMESTAMPTZ",
}
"""Types of properties, with the engine's names."""
SERIES_COLUMN = "tallybook_series"
"""A column with equal values for events of the same user, account, texts and flags. A daily value replaces earlier
ones whose column is equal."""
COMMIT_COLUMN = "tallybook_commit"
"""A column with a number that grows in the order of storing. It orders events received at the same time."""
PLAIN_COLUMNS = ("time", "day", "received", "user", "account", "id", "key", "rest")
EVENT_COLUMNS = (*PLAIN_COLUMNS, SERIES_COLUMN, COMMIT_COLUMN)
"""Columns that every event has. A property with one of these names is addressed as `properties.NAME`."""


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One event as a protocol decoded it. `day` is set for daily values, which have no time of their own."""

    name: str
    time: datetime | None = None
    """None: the time of receipt."""
    day: date | None = None
    user: str | None = None
    account: str | None = None
    id: str | None = None
    properties: dict[str, Any] = {}


@dataclass(frozen=True, kw_only=True)
class EntityChange:
    """The changes that a message makes to one user or account. `message` is its id: a repeated id is not applied
    again."""

    kind: str
    id: str
    changes: tuple[AttributeChange, ...]
    message: str | None = None


@dataclass(frozen=True, kw_only=True)
class IdentityLink:
    """A statement in a message that two ids are one user.

    `merges`: also valid if `alias` is itself the id of a user, or was linked to another user before."""

    alias: str
    user: str
    merges: bool = False
    message: str | None = None


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """Why one event of a request is not stored. `index` is its position in the request; `WHOLE_REQUEST` if nothing in
    the request could be read."""

    index: int
    code: str
    reason: str
    field: str = ""
    id: str | None = None

    def as_json(self) -> dict[str, Any]:
        found = {"index": self.index, "id": self.id, "code": self.code, "field": self.field, "reason": self.reason}
        return {name: value for name, value in found.items() if value not in (None, "")}


@dataclass(frozen=True, kw_only=True)
class RequestError:
    """Why a whole request is refused."""

    status: int
    code: str
    message: str
    seen: str = ""
    expected: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Additional members of the response body."""

    def as_json(self) -> dict[str, Any]:
        """The response body: a problem document of RFC 9457, with `message` for clients that read that member."""
        found = {
            "type": f"urn:tallybook:error:{self.code}",
            "title": self.message,
            "status": self.status,
            "code": self.code,
            "message": self.message,
            "detail": self.message,
            "seen": self.seen,
            "expected": self.expected,
            **self.more,
        }
        return {name: value for name, value in found.items() if value != ""}


@dataclass(frozen=True, kw_only=True)
class EventRequest:
    """The input of a protocol: the unpacked body of a request, its path, and the time of receipt.

    `headers`: only those that the protocol's `kind` names. `query` is only present while the request is answered; it
    is not logged. `now`: the time against which event times are checked; None: the time of receipt."""

    body: bytes
    path: str
    received: datetime
    rules: EventRules = DEFAULT_RULES
    headers: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    now: datetime | None = None

    @property
    def latest(self) -> datetime:
        """The latest time that an event may have."""
        return (self.now or self.received) + self.rules.future

    @property
    def earliest(self) -> datetime | None:
        """The earliest time that an event may have; None without a limit."""
        return None if self.rules.keep is None else (self.now or self.received) - self.rules.keep


@dataclass(frozen=True, kw_only=True)
class DecodedEvents:
    """The result of decoding a request: valid events, changes of users and accounts, and rejections. Each has its
    position in the request."""

    events: Sequence[tuple[int, Event]] = ()
    rejected: Sequence[Rejection] = ()
    warnings: Sequence[Rejection] = ()
    """Why stored events do not match their declarations."""
    changes: Sequence[tuple[int, EntityChange]] = ()
    links: Sequence[tuple[int, IdentityLink]] = ()
    error: RequestError | None = None
    """The request cannot be read at all; the other fields are then empty."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to store."""
        return not (self.events or self.rejected or self.changes or self.links)


@dataclass(frozen=True, kw_only=True)
class ProtocolAnswer:
    """A response in the form that the clients of a protocol expect. `text` is a body that is not JSON."""

    status: int
    body: Any = None
    text: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
