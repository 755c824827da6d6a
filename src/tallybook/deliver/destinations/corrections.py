"""Decides what to send for an item whose values changed after it was planned. All destinations share this decision.

A receiver that has nothing gets the values. A receiver that has other values gets a correction, which includes the old
values. An item that never arrived is replaced or withdrawn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from tallybook.deliver.destinations.outbox import ChangedRow
from tallybook.storage import OutboxItem, OutboxRow

Values = TypeVar("Values")
"""The values of an item, as its destination represents them. A false value means that there is nothing to send."""


@dataclass(frozen=True, kw_only=True)
class ChangedItem(ABC, Generic[Values]):
    """An item of a row that changed. `old` and `new`: its values at the last planning and now. `name`: the name of the
    item. `others`: the names of its corrections, if they differ. `kind`: the kind of its corrections."""

    name: str
    others: tuple[str, ...] = ()
    kind: str
    old: Values
    new: Values

    is_repeated: ClassVar[bool] = False
    """Whether an item that may have arrived may be followed by another one under its name. Otherwise its day waits for
    the outcome."""

    @abstractmethod
    def plain(self) -> OutboxItem:
        """The item with the current values, for a receiver that has nothing."""

    @abstractmethod
    def corrected(self, had: Values) -> OutboxItem:
        """The correction for a receiver that has other values, or a report instead of a correction."""

    @abstractmethod
    def had_by(self, waiting: OutboxRow) -> Values:
        """The values that the receiver has, according to a waiting correction."""

    def is_first(self, waiting: OutboxRow) -> bool:
        """Whether a waiting item is not a correction."""
        return waiting.item == self.name

    def without_values(self, waiting: OutboxRow) -> OutboxItem:
        """The item that replaces a waiting item, not a correction, whose values are gone."""
        return _withdrawn(waiting)

    def items(self, row: ChangedRow) -> Iterator[OutboxItem]:
        """The items to plan and the items to withdraw."""
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
