"""Changes of attributes that were kept by a clock that was ahead, once the clock says that it cannot have been so late.

They would count from an instant after now. Until then `--as-of` would show what was before them, and later changes
would lose to them. When they were really made is not known, but it was before now. So a run lets them count from now
on, in their own order, as if nothing had been read before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from tallybook.core import ENTITY_KINDS, PUSHED, count_phrase
from tallybook.storage.ahead import MAX_CLOCK_SKEW
from tallybook.storage.entity_changes import CHANGE_TYPES, ChangeRow
from tallybook.storage.entity_records import EntityRecord, HistoryChange, StoredChange
from tallybook.storage.entity_rows import entity_number, record_of_row
from tallybook.storage.sql_ledger import SqlLedger
from tallybook.storage.stored_rows import stamp_of
from tallybook.storage.transaction import Transaction


def attributes_ahead(ledger: SqlLedger, *, now: datetime) -> list[str]:
    """A sentence for each kind of entities with changes that are dated after now. Empty if no kind has any."""
    latest, found = stamp_of(now + MAX_CLOCK_SKEW), []
    with ledger._reading() as db:
        for kind in ENTITY_KINDS:
            rows = db.execute(
                "SELECT count(*), max(received) FROM attribute_changes WHERE kind = ? AND received > ?", [kind, latest]
            ).fetchone()
            in_files = db.execute(FILES_AHEAD, [kind, latest]).fetchone()
            count = int(rows[0] or 0) + int(in_files[0] or 0)
            if count:
                last = datetime.fromisoformat(max(at for at in (rows[1], in_files[1]) if at))
                are = count_phrase(count, "change", "changes")
                found.append(
                    f"{are} of attributes of {kind} are dated up to {last:%Y-%m-%d %H:%M} UTC, which is in the future: "
                    "the clock was ahead, and --as-of shows the values before them"
                )
    return found


FILES_AHEAD = "SELECT sum(rows), max(last) FROM attribute_files WHERE kind = ? AND removed IS NULL AND last > ?"


@dataclass(frozen=True)
class BelievedStamps:
    """Stamps of after now, each with one of just before now in its place; their order stays."""

    latest: str
    """Stamps after this one are not believed."""
    stamp: str
    known: dict[str, str]

    @classmethod
    def of(cls, stamps: Iterable[str], now: datetime) -> BelievedStamps:
        latest = stamp_of(now + MAX_CLOCK_SKEW)
        ahead = sorted({one for one in stamps if one > latest})
        before = [stamp_of(now - timedelta(microseconds=len(ahead) - place)) for place in range(len(ahead))]
        return cls(latest, stamp_of(now), dict(zip(ahead, before, strict=True)))

    def believed(self, stamp: str) -> str:
        """A stamp that can be true."""
        return self.known.get(stamp, self.stamp) if stamp > self.latest else stamp

    def row(self, row: ChangeRow) -> ChangeRow:
        """A change with stamps that can be true. What was read counts from its receipt at the latest."""
        id_, time, received, number, place, origin, run, changes = row
        if received <= self.latest and (origin == PUSHED or time <= self.latest):
            return row
        if origin == PUSHED:
            found = msgspec.json.decode(changes, type=list[HistoryChange])
            changes = msgspec.json.encode([(*one[:4], self.sent(one[4], received)) for one in found]).decode()
        time, received = self.sent(time, received), self.believed(received)
        return (id_, time, received, number, place, origin, run, changes)

    def sent(self, time: str, received: str) -> str:
        """The time of a change that was received at a stamp: no later than that."""
        return min(time, self.believed(received))

    def record(self, record: EntityRecord) -> EntityRecord:
        """The row of an entity with stamps that can be true."""
        return msgspec.structs.replace(
            record,
            read=self._pair(record.read),
            since={name: self._pair(pair) for name, pair in record.since.items()},
            pushed={name: [self._change(one) for one in changes] for name, changes in record.pushed.items()},
            begun=self.believed(record.begun),
        )

    def _pair(self, pair: tuple[str, str]) -> tuple[str, str]:
        time, received = pair
        return (self.sent(time, received), self.believed(received)) if max(pair) > self.latest else pair

    def _change(self, one: StoredChange) -> StoredChange:
        first = one.first
        if first is not None and first[1] > self.latest:
            first = (self.sent(first[0], first[1]), self.believed(first[1]), first[2])
        if one.received <= self.latest:
            return one if first == one.first else msgspec.structs.replace(one, first=first)
        return msgspec.structs.replace(
            one, time=self.sent(one.time, one.received), received=self.believed(one.received), first=first
        )


def correct_rows(db: Transaction, kind: str, stamps: BelievedStamps) -> int:
    """Let the changes and the current rows of a kind have stamps that can be true. How many changes had others."""
    names = ", ".join(CHANGE_TYPES)
    asked = f"SELECT {names} FROM attribute_changes WHERE kind = ? AND (received > ? OR time > ?)"
    rows: list[ChangeRow] = [tuple(row) for row in db.execute(asked, [kind, *[stamps.latest] * 2]).fetchall()]
    done = [(row, corrected) for row in rows if (corrected := stamps.row(row)) != row]
    db.executemany(
        "UPDATE attribute_changes SET time = ?, received = ?, changes = ? "
        "WHERE kind = ? AND id = ? AND number = ? AND place = ?",
        [(new[1], new[2], new[7], kind, old[0], old[3], old[4]) for old, new in done],
    )
    entities = db.execute("SELECT id, row, deleted FROM entities WHERE kind = ?", [kind]).fetchall()
    number = entity_number(db) + 1
    changed = list(_corrected_entities(entities, stamps))
    if done or changed:
        db.execute("INSERT INTO entity_commits (number, at) VALUES (?, ?)", [number, stamps.stamp])
    db.executemany(
        "UPDATE entities SET row = ?, deleted = ?, version = ? WHERE kind = ? AND id = ?",
        [(row, deleted, number, kind, id_) for id_, row, deleted in changed],
    )
    return len(done)


def _corrected_entities(rows: Sequence[tuple[Any, ...]], stamps: BelievedStamps) -> Iterator[tuple[str, str, Any]]:
    for id_, row, deleted in rows:
        record = stamps.record(before := record_of_row(row))
        believed = None if deleted is None else stamps.believed(deleted)
        if record != before or believed != deleted:
            yield id_, msgspec.json.encode(record).decode(), believed
