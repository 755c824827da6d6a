"""What becomes of an item whose values changed after it was planned: the one decision that all destinations share.

A receiver that has nothing gets the values. One that has other values gets a correction, which says what it had. What
never arrived is replaced, or withdrawn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from tallybook.deliver.destinations.outbox import ChangedRow
from tallybook.storage import OutboxItem, OutboxRow

Values = TypeVar("Values")
"""What an item says, as its destination keeps it. What is false says nothing."""


@dataclass(frozen=True, kw_only=True)
class ChangedItem(ABC, Generic[Values]):
    """An item of a row that changed. `old` and `new`: what it said at the last planning, and what it says now; `name`:
    of the item, `others`: of its corrections where they have names of their own; `kind`: of its corrections."""

    name: str
    others: tuple[str, ...] = ()
    kind: str
    old: Values
    new: Values

    is_repeated: ClassVar[bool] = False
    """Whether an item that may have arrived is followed by another one under its name. Else its day waits for the
    outcome."""

    @abstractmethod
    def plain(self) -> OutboxItem:
        """The item with what it says now, for a receiver that has nothing."""

    @abstractmethod
    def corrected(self, had: Values) -> OutboxItem:
        """The correction, or a report instead of one, for a receiver that has other values."""

    @abstractmethod
    def had_by(self, waiting: OutboxRow) -> Values:
        """What the receiver has, by a correction that waits."""

    def is_first(self, waiting: OutboxRow) -> bool:
        """Whether an item that waits is no correction."""
        return waiting.item == self.name

    def without_values(self, waiting: OutboxRow) -> OutboxItem:
        """What becomes of an item that waits, is no correction, and has no values any more."""
        return _withdrawn(waiting)

    def items(self, row: ChangedRow) -> Iterator[OutboxItem]:
        """The items to plan, and those to withdraw."""
        waiting = next((row.waiting[name] for name in (self.name, *self.others) if name in row.waiting), None)
        if waiting is not None and self.is_first(waiting):
            yield self.plain() if self.new else self.without_values(waiting)
            return
        may_have_arrived = waiting is not None and self.is_repeated and waiting.may_have_arrived
        had = self.old if waiting is None else self.had_by(waiting)
        if waiting is None and not had and self.name not in row.returned:
            yield from [self.plain()] if self.new else ()
            return
        is_due = may_have_arrived or had != self.new
        if waiting is not None and (not is_due or waiting.kind != self.kind):
            yield _withdrawn(waiting)
        if is_due:
            yield self.corrected(had)


def _withdrawn(waiting: OutboxRow) -> OutboxItem:
    return OutboxItem(waiting.item, waiting.day, "")
