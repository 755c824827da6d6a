"""The base class of destinations that take single things and never give them back: webhooks, events of other services.

Their items are planned in the ledger first, and sent one request after another. A subclass says what the items of a row
of the answer are, and which request some items make; `deliver.outbox_plan` and `deliver.outbox_send` do the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
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
"""Begins the report of values that changed after they were sent."""


@dataclass(frozen=True, kw_only=True)
class SharedRate:
    """Requests that all deliveries and processes may make together to one place. `place`: host and account."""

    place: str
    per_second: float
    per_day: int = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class OutboxTask:
    """One delivery while it is planned or sent, with everything that a destination needs for it."""

    delivery: Delivery
    options: Mapping[str, Any]
    """A value for every option of the kind."""
    catalog: Catalog
    outbox: OutboxLedger
    today: date
    clock: Callable[[], datetime]
    service: QueryService | None = None
    """The answers of the book, for latest values of users and accounts."""
    folder: Path = Path()
    """The folder of tallybook.toml."""
    version: int = 0
    """The version of the book that is planned."""
    shared: dict[str, Any] = field(default_factory=dict)
    """What a destination keeps for the time of this task, such as a catalogue that it read."""


@dataclass(frozen=True, slots=True)
class ChangedRow:
    """A row that changed after it was planned. `old` is None where it is new, or not known any more; `new` where the
    row is gone."""

    old: AnswerRow | None
    new: AnswerRow | None
    waiting: Mapping[str, OutboxRow] = field(default_factory=dict)
    """Items of its period that were planned or refused and did not arrive, by name."""
    returned: frozenset[str] = frozenset()
    """Names of its items, as `items` names them, that arrived once and had no value at the last planning."""


class OutboxDestination(Destination):
    """A destination with an outbox. Methods are called from several threads, except `items` and `changed`."""

    threads: ClassVar[int] = 8
    """Requests at the same time."""
    claimed: ClassVar[int] = 400
    """Items that are `sending` at the same time."""
    patience: ClassVar[RetryWaits] = RetryWaits()

    # -- planning ----------------------------------------------------------------------------------

    def items(self, row: AnswerRow, task: OutboxTask) -> Iterable[OutboxItem]:
        """The items of a row of the answer. The same row gives the same items, whoever asks and whenever."""
        raise NotImplementedError

    def changed(self, row: ChangedRow, task: OutboxTask) -> Iterable[OutboxItem]:
        """The items to send for a row that changed after its items were sent, and those to withdraw (with an empty
        body). Whoever adds events up must get a correction for what `returned` or `waiting` contains, never a second
        value; `is_additive` says so."""
        return () if row.new is None else self.items(row.new, task)

    def latest(self, task: OutboxTask) -> Iterable[OutboxItem]:
        """Items of latest values, of the kind `attribute` and without a day: only those that changed are sent."""
        return ()

    def first_day(self, task: OutboxTask) -> date | None:
        """The first day that is planned, beside that of the question."""
        return None

    def last_day(self, task: OutboxTask) -> date | None:
        """The last day that is planned; None: yesterday."""
        return None

    # -- reporting ---------------------------------------------------------------------------------

    def warnings(self, task: OutboxTask) -> list[str]:
        """What the report of a delivery says beside its outcome."""
        return []

    def latest_state(self, task: OutboxTask) -> int:
        """A number that changes with everything but the book that latest values depend on; 0 if that is not known."""
        return 0

    # -- sending -----------------------------------------------------------------------------------

    def prepare(self, task: OutboxTask, channel: Channel) -> None:
        """Look at the other side before the first request of a round. Raises DestinationRefused with all problems."""

    def target(self, task: OutboxTask) -> Target:
        """Where its requests go."""
        raise NotImplementedError

    def rate(self, task: OutboxTask) -> SharedRate | None:
        """The rate that it shares with others; None without a limit."""
        return None

    def groups(self, rows: Sequence[OutboxRow], task: OutboxTask) -> Iterable[Sequence[OutboxRow]]:
        """The items that go together in one request."""
        return [[row] for row in rows]

    def siblings(self, row: OutboxRow, task: OutboxTask) -> Iterable[str]:
        """The names of items that go into the request of an item where they are due too."""
        return ()

    def request(self, rows: Sequence[OutboxRow], task: OutboxTask) -> OutgoingRequest:
        """The request for some items that go together."""
        raise NotImplementedError

    def verdict(self, answer: HttpReply, rows: Sequence[OutboxRow], task: OutboxTask) -> SendVerdict:
        """What an answer means for the items of its request."""
        return verdict_of(answer, task.clock())

    def send(self, rows: Sequence[OutboxRow], task: OutboxTask, channel: Channel) -> SendVerdict:
        """Send items that go together. May make several requests. Raises DestinationUnavailable."""
        return self.verdict(channel.exchange(self.request(rows, task)), rows, task)

    is_additive: ClassVar[bool] = False
    """Whether the receiver adds up what it gets, so that a second value would be wrong."""

    is_repeatable: ClassVar[bool] = True
    """Whether an item of unknown outcome may simply be sent again: the receiver knows it by its id."""

    def look_up(self, rows: Sequence[OutboxRow], task: OutboxTask, channel: Channel) -> Mapping[str, str]:
        """{item: its state} of items of unknown outcome, `sent` or `planned`; those that stay unknown are left out."""
        return {row.item: PLANNED for row in rows} if self.is_repeatable else {}
