"""The items for a period whose rows changed after they were sent: corrections, or new content for items that did not
arrive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from tallybook.core import BookError
from tallybook.deliver.destinations.outbox import RESTATED_WORDS, ChangedRow, OutboxDestination, OutboxTask
from tallybook.storage import PLANNED, REFUSED_ITEM, RESTATED, OutboxItem, OutboxRow, item_key

if TYPE_CHECKING:
    from tallybook.deliver.answer_rows import AnswerRow


@dataclass
class DayChanges:
    """The changes of a period. `lost`: items that arrived and no longer have a value. `returned`: items that have a
    value again. Both since the last planning."""

    destination: OutboxDestination
    task: OutboxTask
    day: date
    lost: list[str] = field(default_factory=list)
    returned: list[str] = field(default_factory=list)

    def items(self, now: Sequence[AnswerRow], then: Sequence[AnswerRow]) -> Iterator[OutboxItem]:
        """The items for all rows that differ. An item that has not arrived yet gets its new content."""
        old = {row.dimensions: row for row in then}
        for row in now:
            was = old.pop(row.dimensions, None)
            if was is None or not _same_values(was, row):
                yield from self._of_row(was, row)
        for gone in old.values():
            yield from self._of_row(gone, None)

    def unknown(self, version: int) -> OutboxItem:
        """A report instead of values, for a period about which it is unknown what was sent: a second value would be
        added to the first."""
        said = (
            f"{RESTATED_WORDS}values of {self.day} changed. They were sent from version {version} of the book, "
            "which is no longer kept, so nothing was sent"
        )
        body = msgspec.json.encode({"said": said, "version": self.task.version}).decode()
        return OutboxItem(item_key(RESTATED, "", str(self.day)), str(self.day), body)

    def _of_row(self, old: AnswerRow | None, new: AnswerRow | None) -> Iterator[OutboxItem]:
        before, now = self._names(old), self._names(new)
        returned = frozenset(now - before) & self._gone
        made = list(self.destination.changed(ChangedRow(old, new, self._waiting, returned), self.task))
        self.returned += sorted(returned)
        self.lost += sorted(before - now - {item.key for item in made if item.is_withdrawn})
        yield from made

    def _names(self, row: AnswerRow | None) -> set[str]:
        return {item.key for item in self.destination.items(row, self.task)} if row else set()

    @cached_property
    def _waiting(self) -> dict[str, OutboxRow]:
        rows = self.task.outbox.rows(self.task.delivery.name, (PLANNED, REFUSED_ITEM), days=[str(self.day)])
        return {row.item: row for row in rows}

    @cached_property
    def _gone(self) -> set[str]:
        return self.task.outbox.gone(self.task.delivery.name, self.day)


def _same_values(one: AnswerRow, other: AnswerRow) -> bool:
    """Whether two rows have the same values in the metrics of the second row."""
    if one.names.metrics == other.names.metrics:
        return one.values == other.values
    there = set(one.names.metrics)
    return all(name in there and one.value(name) == other.value(name) for name in other.names.metrics)


def refuse_two_answers(day: date, version: int, one: Sequence[AnswerRow], other: Sequence[AnswerRow]) -> None:
    """Raises BookError where two readings of one version of the book have other rows. What the first one lacks would be
    taken for deleted, and withdrawn without a word."""
    shared = set(one[0].names.metrics) & set(other[0].names.metrics) if one and other else set()
    there, again = (
        {row.dimensions: [row.value(name) for name in sorted(shared)] for row in rows if row.is_complete}
        for rows in (one, other)
    )
    if there != again:
        raise BookError(
            f"version {version} of the book gave {len(there):,} rows for {day}, and {len(again):,} when it was read "
            "again; nothing of that day was planned",
            hint="tallybook deliver; if it fails again: tallybook doctor",
        )
