"""The base class of destinations that take single items and cannot take them back: webhooks, and events of other
services.

Their items are first planned in the ledger, and then sent one request after another. A subclass defines the items of a
row and the request for some items. `deliver.outbox_plan` and `deliver.outbox_send` do the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tallybook.core import Catalog, Delivery
from tallybook.deliver.destinations.base import Destination
from tallybook.deliver.outgoing.channel import Channel, OutgoingRequest
from tallybook.deliver.outgoing.failures import HttpReply, SendVerdict, verdict_of
from tallybook.deliver.outgoing.patience import RetryWaits
from tallybook.storage import PLANNED, OutboxItem, OutboxLedger, OutboxRow

if TYPE_CHECKING:
    from tallybook.deliver.answer_rows import AnswerRow
    from tallybook.deliver.outgoing.addresses import Target
    from tallybook.query import QueryService

RESTATED_WORDS = "restated after it was sent: "
"""Prefix of the report about values that changed after they were sent."""


@dataclass(frozen=True, kw_only=True)
class SharedRate:
    """The request rate that all deliveries and processes share for one target. `place`: host and account."""

    place: str
    per_second: float
    per_day: int = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class OutboxTask:
    """One delivery being planned or sent, with everything that a destination needs for it."""

    delivery: Delivery
    options: Mapping[str, Any]
    """A value for every option of the kind."""
    catalog: Catalog
    outbox: OutboxLedger
    today: date
    clock: Callable[[], datetime]
    service: QueryService | None = None
    """The query service of the book, for latest values of users and accounts."""
    folder: Path = Path()
    """The folder of tallybook.toml."""
    version: int = 0
    """The version of the book to plan."""
    shared: dict[str, Any] = field(default_factory=dict)
    """Data that a destination keeps during this task, such as a catalog that it read."""


@dataclass(frozen=True, slots=True)
class ChangedRow:
    """A row that changed after it was planned. `old` is None if the row is new or its old values are unknown. `new` is
    None if the row is gone."""

    old: AnswerRow | None
    new: AnswerRow | None
    waiting: Mapping[str, OutboxRow] = field(default_factory=dict)
    """Items of the row's period that were planned or refused and did not arrive, by name."""
    returned: frozenset[str] = frozenset()
    """Names of its items, as in `items`, that arrived once and had no value at the last planning."""


class OutboxDestination(Destination):
    """A destination with an outbox. Methods other than `items` and `changed` are called from several threads."""

    threads: ClassVar[int] = 8
    """Number of concurrent requests."""
    claimed: ClassVar[int] = 400
    """Maximum number of items in the state `sending` at the same time."""
    patience: ClassVar[RetryWaits] = RetryWaits()

    # -- planning ----------------------------------------------------------------------------------

    def items(self, row: AnswerRow, task: OutboxTask) -> Iterable[OutboxItem]:
        """The items of a row of the answer. The same row always gives the same items."""
        raise NotImplementedError

    def changed(self, row: ChangedRow, task: OutboxTask) -> Iterable[OutboxItem]:
        """The items to send for a row that changed after its items were sent, and the items to withdraw (with an empty
        body). A receiver that adds up events, as `is_additive` says, must get a correction for what `returned` or
        `waiting` contains, never a second value."""
        return () if row.new is None else self.items(row.new, task)

    def latest(self, task: OutboxTask) -> Iterable[OutboxItem]:
        """Items of latest values, with the kind `attribute` and no day. Only changed ones are sent."""
        return ()

    def first_day(self, task: OutboxTask) -> date | None:
        """The first day to plan, in addition to the first day of the query."""
        return None

    def last_day(self, task: OutboxTask) -> date | None:
        """The last day to plan; None for yesterday."""
        return None

    # -- reporting ---------------------------------------------------------------------------------

    def warnings(self, task: OutboxTask) -> list[str]:
        """Warnings for the report of a delivery, in addition to its outcome."""
        return []

    def latest_state(self, task: OutboxTask) -> int:
        """A number that changes with everything that latest values depend on, except the book; 0 if unknown."""
        return 0

    # -- sending -----------------------------------------------------------------------------------

    def prepare(self, task: OutboxTask, channel: Channel) -> None:
        """Check the receiver before the first request of a round. Raises DestinationRefused with all problems."""

    def target(self, task: OutboxTask) -> Target:
        """The target of the requests."""
        raise NotImplementedError

    def rate(self, task: OutboxTask) -> SharedRate | None:
        """The rate that it shares with other deliveries, or None for no limit."""
        return None

    def groups(self, rows: Sequence[OutboxRow], task: OutboxTask) -> Iterable[Sequence[OutboxRow]]:
        """The items, grouped by request."""
        return [[row] for row in rows]

    def siblings(self, row: OutboxRow, task: OutboxTask) -> Iterable[str]:
        """The names of items that go into the same request as an item, if they are due too."""
        return ()

    def request(self, rows: Sequence[OutboxRow], task: OutboxTask) -> OutgoingRequest:
        """The request for a group of items."""
        raise NotImplementedError

    def verdict(self, answer: HttpReply, rows: Sequence[OutboxRow], task: OutboxTask) -> SendVerdict:
        """The meaning of a response for the items of its request."""
        return verdict_of(answer, task.clock())

    def send(self, rows: Sequence[OutboxRow], task: OutboxTask, channel: Channel) -> SendVerdict:
        """Send a group of items, with several requests if needed. Raises DestinationUnavailable."""
        return self.verdict(channel.exchange(self.request(rows, task)), rows, task)

    is_additive: ClassVar[bool] = False
    """Whether the receiver adds up what it gets, so that a second value would be wrong."""

    is_repeatable: ClassVar[bool] = True
    """Whether an item of unknown outcome may simply be sent again, because the receiver recognizes its id."""

    remembers: ClassVar[timedelta | None] = None
    """How long the receiver knows an id: an item that may have arrived longer ago is not sent again by itself. None: it
    is not limited, or sending twice does no harm."""

    def look_up(self, rows: Sequence[OutboxRow], task: OutboxTask, channel: Channel) -> Mapping[str, str]:
        """The state of each item of unknown outcome, `sent` or `planned`. Items that stay unknown are left out."""
        return {row.item: PLANNED for row in rows} if self.is_repeatable else {}
