"""The color slots of series: each (dimension, value) keeps the slot that it first had."""

from __future__ import annotations

from collections.abc import Sequence

from tallybook.storage.sql_ledger import SqlLedger
from tallybook.storage.transaction import Transaction

MAX_KEPT_VALUES = 200
"""Maximum number of values per dimension with a stored slot. With more, people cannot distinguish the colors."""


class SeriesSlots:
    """The table of slots in a ledger. Every method is one transaction."""

    def __init__(self, ledger: SqlLedger) -> None:
        self.ledger = ledger

    def known(self, dimension: str) -> dict[str, int]:
        """The slots of a dimension, by value."""
        with self.ledger._reading() as db:
            return _known(db, dimension)

    def assign(self, dimension: str, values: Sequence[str], slots: int) -> dict[str, int]:
        """The slots of these values, which are stored. A new value gets the slot with the fewest values."""
        found = self.known(dimension)
        if all(value in found for value in values):
            return found
        with self.ledger._writing() as db:
            found = _known(db, dimension)
            for value, slot in with_new(found, values, slots).items():
                if value not in found and len(found) < MAX_KEPT_VALUES:
                    found[value] = slot
                    db.execute("INSERT INTO series_slots VALUES (?, ?, ?)", [dimension, value, slot])
        return with_new(found, values, slots)


def _known(db: Transaction, dimension: str) -> dict[str, int]:
    rows = db.execute("SELECT value, slot FROM series_slots WHERE dimension = ?", [dimension]).fetchall()
    return {value: int(slot) for value, slot in rows}


def with_new(known: dict[str, int], values: Sequence[str], slots: int) -> dict[str, int]:
    """The slots of known values, extended by slots for new values."""
    found = dict(known)
    counts = dict.fromkeys(range(1, slots + 1), 0)
    for slot in found.values():
        counts[slot] = counts.get(slot, 0) + 1
    for value in values:
        if value not in found:
            found[value] = min(counts, key=lambda slot: (counts[slot], slot))
            counts[found[value]] += 1
    return found
