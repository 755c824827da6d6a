"""Usage events: what one is, the limits of a request, and the codes of refusals. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import msgspec

from tallybook.core.declarations.events import DEFAULT_RULES, EventRules
from tallybook.core.entities import AttributeChange

MIN_UNPACKED_BYTES = 1_000_000
"""A body may always unpack to this many bytes, however small it is as sent."""
MAX_EVENTS = 10_000
MAX_EVENT_BYTES = 1_000_000
MAX_PROPERTIES = 500
MAX_NAME = 2_000
"""Characters of the name of an event."""
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
"""Types of properties, and the engine's names for them."""
SERIES_COLUMN = "tallybook_series"
"""The same for events of one user, account and set of texts and flags: a daily value replaces earlier ones of it."""
COMMIT_COLUMN = "tallybook_commit"
"""A number that grows with the order in which events were stored. It orders events received at the same time."""
PLAIN_COLUMNS = ("time", "day", "received", "user", "account", "id", "key", "rest")
EVENT_COLUMNS = (*PLAIN_COLUMNS, SERIES_COLUMN, COMMIT_COLUMN)
"""Columns that every event has. A property of such a name is `properties.NAME`."""


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One event as a protocol decoded it. `day` is set for daily values, which have no time of their own."""

    name: str
    time: datetime | None = None
    """None: when it was received."""
    day: date | None = None
    user: str | None = None
    account: str | None = None
    id: str | None = None
    properties: dict[str, Any] = {}


@dataclass(frozen=True, kw_only=True)
class EntityChange:
    """What a message says about one user or account. `message` is its id: what came before under it is not applied
    again."""

    kind: str
    id: str
    changes: tuple[AttributeChange, ...]
    message: str | None = None


@dataclass(frozen=True, kw_only=True)
class IdentityLink:
    """A message says that two ids are one user. `merges`: also where `alias` is somebody's own id, or was linked to
    another user before."""

    alias: str
    user: str
    merges: bool = False
    message: str | None = None


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """Why one event of a request is not stored. `index` is its place in the request; `WHOLE_REQUEST` where nothing of
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
    """Other members of the body."""

    def as_json(self) -> dict[str, Any]:
        """The body of the answer: a problem of RFC 9457, with `message` for clients that look for that."""
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
    """What a protocol decodes: the unpacked body of a request, where it was sent, and when it was received.

    `headers`: those that the protocol's `kind` names. `query` is there at the door, where the answer may depend on it;
    it is not logged. `now`: times are judged as of then; None is when it was received."""

    body: bytes
    path: str
    received: datetime
    rules: EventRules = DEFAULT_RULES
    headers: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    now: datetime | None = None

    @property
    def latest(self) -> datetime:
        """The last instant that an event may have."""
        return (self.now or self.received) + self.rules.future

    @property
    def earliest(self) -> datetime | None:
        """The first instant that an event may have; None without a limit."""
        return None if self.rules.keep is None else (self.now or self.received) - self.rules.keep


@dataclass(frozen=True, kw_only=True)
class DecodedEvents:
    """What a protocol found in a request, each with its place in it: the good events, what it says about users and
    accounts, and the rest."""

    events: Sequence[tuple[int, Event]] = ()
    rejected: Sequence[Rejection] = ()
    warnings: Sequence[Rejection] = ()
    """Why events that are stored are not as they are declared."""
    changes: Sequence[tuple[int, EntityChange]] = ()
    links: Sequence[tuple[int, IdentityLink]] = ()
    error: RequestError | None = None
    """The request cannot be read at all; then there is nothing else."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to keep."""
        return not (self.events or self.rejected or self.changes or self.links)


@dataclass(frozen=True, kw_only=True)
class ProtocolAnswer:
    """An answer as the clients of a protocol expect it. `text` is a body that is not JSON."""

    status: int
    body: Any = None
    text: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
