"""The rows of an outbox: what is to be sent to a destination that cannot take anything back."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime

PLANNED, SENDING, SENT, REFUSED_ITEM, UNKNOWN_OUTCOME = "planned", "sending", "sent", "refused", "unknown"
"""States of an item: to be sent; a request with it is on its way; arrived; never to be sent by itself; nobody knows."""
STATES = (PLANNED, SENDING, SENT, REFUSED_ITEM, UNKNOWN_OUTCOME)
ATTRIBUTE = "attribute"
"""The kind of an item that sets an attribute of a user or an account."""
RESTATED = "restated"
"""The kind of an item that changed after it was sent, where that is only reported: it is kept as refused, with `said`
of its body as the reason, and sent when somebody replays it."""
GIVEN_UP = "given up after "
"""Begins the answer of an item that was refused because no attempt had a clear outcome."""
HASH_BITS = 64


def hash_of_body(body: str) -> str:
    """The hash of the content of an item."""
    return hashlib.blake2b(body.encode(), digest_size=HASH_BITS // 8).hexdigest()


def quoted_part(text: str) -> str:
    """A text as a part of the name of an item: a colon or a percent sign inside it is escaped."""
    return text.replace("%", "%25").replace(":", "%3A")


def item_key(kind: str, metric: str, day: str, entity: str = "", series: str = "") -> str:
    """The name of an item: `kind:metric:day:entity:series`. A colon or a percent sign inside a part is escaped."""
    key = f"{kind}{metric}{day}{entity}{series}"
    if ":" in key or "%" in key:
        return ":".join(map(quoted_part, (kind, metric, day, entity, series)))
    return f"{kind}:{metric}:{day}:{entity}:{series}"


def parts_of_item(item: str) -> list[str]:
    """(kind, metric, day, entity, series) of the name of an item, unescaped."""
    return [part.replace("%3A", ":").replace("%25", "%") for part in item.split(":")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverHealth:
    """How a receiver is: its failures one after another, when it is asked again, what it said, and why it is never
    asked again."""

    failures: int = 0
    again: datetime | None = None
    said: str = ""
    stopped: str = ""


@dataclass(slots=True)
class OutboxItem:
    """One thing to send. `key`: see `item_key`; `day` is ISO, empty of attributes; `body` is what is sent, as JSON, and
    what its hash is of. An empty body withdraws an item that was planned and never arrived."""

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
    """A row of the outbox. `version`: that of the book it was made from; `answer`: what the receiver last said."""

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
    def parts(self) -> list[str]:
        """(kind, metric, day, entity, series), unescaped."""
        return parts_of_item(self.item)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The outcome of an item of a request. `state`: the state after it; `next`: the earliest next attempt of one that
    is `planned` again; `is_untried`: no request was made for it after all."""

    item: str
    state: str
    answer: str = ""
    next: datetime | None = None
    is_untried: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedDay:
    """A day of a delivery that was planned from a version of the book. `hash` is of all its items, `items` counts
    those that were sent and folded."""

    version: int
    hash: str
    items: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDelivery:
    """How far a delivery is planned, and how its receiver is. `question`: what it asks, as JSON; `entities`: the commit
    of users and accounts; `stopped`: why it sends nothing any more, empty while it does; `failures`: of the receiver,
    one after another; `again`: when it is asked again, and what it `said`."""

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
    """A request that was made: when, for how many items and which first, its outcome and what was answered."""

    at: datetime
    items: int
    first: str
    outcome: str
    status: int = 0
    seconds: float = 0.0
    answer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservedPace:
    """Requests that may be made: `granted` of them, evenly, at the rate that was asked for, the first one `after` so
    many seconds. `left_today`: how many more this day allows."""

    granted: int
    after: float
    left_today: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HookSubscription:
    """Somebody who subscribed to a delivery. `key`: the API key that did; `ended`: since when it is over, and `why`."""

    id: str
    delivery: str
    target: str
    key: str
    created: str
    ended: str | None = None
    why: str = ""


@dataclass(kw_only=True)
class DaySum:
    """The hash of all items of a day, whatever their order: the sum of their hashes."""

    total: int = 0
    items: int = 0

    def add(self, hash_: str) -> None:
        self.total = (self.total + int(hash_, 16)) % (1 << HASH_BITS)
        self.items += 1

    @property
    def hash(self) -> str:
        return f"{self.total:016x}"
