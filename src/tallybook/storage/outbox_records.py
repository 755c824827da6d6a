"""The rows of an outbox: items to send to a destination where a sent item cannot be undone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime

PLANNED, SENDING, SENT, REFUSED_ITEM, UNKNOWN_OUTCOME = "planned", "sending", "sent", "refused", "unknown"
"""States of an item. planned: to be sent. sending: a request is in progress. sent: it arrived. refused: it is not
retried automatically. unknown: the outcome of a request is unknown."""
STATES = (PLANNED, SENDING, SENT, REFUSED_ITEM, UNKNOWN_OUTCOME)
ATTRIBUTE = "attribute"
"""The kind of an item that sets an attribute of a user or an account."""
RESTATED = "restated"
"""The kind of an item that changed after it was sent, for deliveries that only report such changes.

It is stored as refused, with `said` in its body as the reason, and is sent only on a replay."""
GIVEN_UP = "given up after "
"""Beginning of the answer of an item that was refused because no attempt had a clear outcome."""
MAY_HAVE_ARRIVED = "may have arrived at "
"""Beginning of the answer of an item whose outcome was not clear; the instant of the first such attempt follows."""
HASH_BITS = 64


def hash_of_body(body: str) -> str:
    """The hash of the content of an item."""
    return hashlib.blake2b(body.encode(), digest_size=HASH_BITS // 8).hexdigest()


def quoted_part(text: str) -> str:
    """A text escaped as a part of an item's name: colons and percent signs are escaped."""
    return text.replace("%", "%25").replace(":", "%3A")


def item_key(kind: str, metric: str, day: str, entity: str = "", series: str = "") -> str:
    """The name of an item: `kind:metric:day:entity:series`. Colons and percent signs inside a part are escaped."""
    key = f"{kind}{metric}{day}{entity}{series}"
    if ":" in key or "%" in key:
        return ":".join(map(quoted_part, (kind, metric, day, entity, series)))
    return f"{kind}:{metric}:{day}:{entity}:{series}"


def parts_of_item(item: str) -> list[str]:
    """(kind, metric, day, entity, series) from the name of an item, unescaped."""
    return [part.replace("%3A", ":").replace("%25", "%") for part in item.split(":")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverHealth:
    """The state of a receiver: its consecutive failures, the time of the next attempt, its last answer, and the reason
    if it is stopped permanently."""

    failures: int = 0
    again: datetime | None = None
    said: str = ""
    stopped: str = ""


@dataclass(slots=True)
class OutboxItem:
    """One item to send. `key`: its name, see `item_key`. `day`: an ISO date; empty for attributes. `body`: the JSON to
    send, which is hashed.

    An empty body withdraws an item that was planned and never arrived."""

    key: str
    day: str
    body: str
    _hash: str = field(default="", init=False, repr=False, compare=False)

    @property
    def hash(self) -> str:
        if not self._hash:
            self._hash = hash_of_body(self.body)
        return self._hash

    @property
    def kind(self) -> str:
        return self.key.partition(":")[0]

    @property
    def is_withdrawn(self) -> bool:
        return not self.body


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A row of the outbox. `version`: the version of the book that it was planned from. `answer`: the receiver's last
    answer."""

    delivery: str
    item: str
    hash: str
    state: str
    attempts: int
    next: str
    at: str
    answer: str
    day: str
    version: int
    body: str

    @classmethod
    def of(cls, delivery: str, item: OutboxItem) -> OutboxRow:
        """The row that an item would have, for a dry run."""
        return cls(delivery, item.key, item.hash, PLANNED, 0, "", "", "", item.day, 0, item.body)

    @property
    def kind(self) -> str:
        return self.item.partition(":")[0]

    @property
    def may_have_arrived(self) -> bool:
        """Whether some request with this item had no clear outcome."""
        return self.attempts > 0 and (self.state != REFUSED_ITEM or self.answer.startswith(GIVEN_UP))

    @property
    def maybe_since(self) -> datetime | None:
        """When it may have arrived first; None where that is not known."""
        found = self.answer.partition(MAY_HAVE_ARRIVED) if self.answer.startswith(MAY_HAVE_ARRIVED) else ("", "", "")
        return datetime.fromisoformat(found[2].partition(" ")[0].rstrip(":")) if found[2] else None

    @property
    def parts(self) -> list[str]:
        """(kind, metric, day, entity, series), unescaped."""
        return parts_of_item(self.item)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The outcome of an item in a request.

    `state`: its new state. `next`: the earliest next attempt, if it is `planned` again. `is_untried`: no request was
    made for it after all."""

    item: str
    state: str
    answer: str = ""
    next: datetime | None = None
    is_untried: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedDay:
    """A day of a delivery that was planned from a version of the book. `hash`: the hash of all its items. `items`: the
    number of sent and folded items."""

    version: int
    hash: str
    items: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDelivery:
    """The planning state of a delivery and the state of its receiver.

    `question`: its query, as JSON. `entities`: the commit of users and accounts. `stopped`: why it no longer sends;
    empty while it does. `failures`: consecutive failures of the receiver. `again`: the time of the next attempt.
    `said`: the receiver's last answer."""

    version: int = 0
    entities: int = 0
    question: str = ""
    at: str = ""
    stopped: str = ""
    failures: int = 0
    again: str | None = None
    said: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A request: its time, the number of items and the first of them, its outcome and the answer."""

    at: datetime
    items: int
    first: str
    outcome: str
    status: int = 0
    seconds: float = 0.0
    answer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservedPace:
    """Reserved requests: `granted` of them, evenly spaced at the requested rate, the first after `after` seconds.

    `left_today`: how many more the day allows."""

    granted: int
    after: float
    left_today: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HookSubscription:
    """A subscription to a delivery. `key`: the API key that created it. `ended`: when it ended, and `why`."""

    id: str
    delivery: str
    target: str
    key: str
    created: str
    ended: str | None = None
    why: str = ""


@dataclass(kw_only=True)
class DaySum:
    """The hash of all items of a day, independent of their order: the sum of their hashes."""

    total: int = 0
    items: int = 0

    def add(self, hash_: str) -> None:
        self.total = (self.total + int(hash_, 16)) % (1 << HASH_BITS)
        self.items += 1

    @property
    def hash(self) -> str:
        return f"{self.total:016x}"
