"""Builds one commit of users and accounts: applies changes, records them in the history, and writes the rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec

from tallybook.core import (
    PUSHED,
    SET,
    SETTLED_AFTER,
    UNSET,
    USERS,
    AttributeChange,
    PushedAttribute,
    are_near,
    fitted,
    property_type,
)
from tallybook.storage.entity_changes import EntityHistory
from tallybook.storage.entity_history import history_floor, pushed_changes
from tallybook.storage.entity_records import REVIVED, AttributeType, Entity, EntityChanges, EntityRecord, HistoryChange
from tallybook.storage.entity_rows import LOOKUP, attribute_types, entities_by_id, entity_number
from tallybook.storage.files import BadFile
from tallybook.storage.identity_links import canonical_ids
from tallybook.storage.stored_rows import stamp_of
from tallybook.storage.transaction import Transaction

REVIVED_WITHIN = timedelta(days=7)
"""A deleted entity that comes back within this time keeps its pushed attributes."""


def apply_pushed(
    db: Transaction,
    kind: str,
    sent: Mapping[str, Sequence[AttributeChange]],
    *,
    history: EntityHistory | None,
    now: datetime,
) -> EntityChanges:
    """Apply attribute changes by id, inside a larger transaction. Missing entities are created.

    Changes of an id that is linked to a user are applied to the user."""
    writing = EntityWriting(db, kind, now, history)
    if kind == USERS:
        sent = _by_user(db, sent)
    for id_, entity in writing.read(list(sent)):
        writing.apply(id_, entity, sent[id_])
    return writing.finish()


def _by_user(db: Transaction, sent: Mapping[str, Sequence[AttributeChange]]) -> Mapping[str, Sequence[AttributeChange]]:
    linked = canonical_ids(db, list(sent))
    if not linked:
        return sent
    found: dict[str, list[AttributeChange]] = {}
    for id_, changes in sent.items():
        found.setdefault(linked.get(id_, id_), []).extend(changes)
    return found


class EntityWriting:
    """One commit that is being built."""

    def __init__(self, db: Transaction, kind: str, now: datetime, past: EntityHistory | None = None) -> None:
        self.db, self.kind, self.now, self.stamp, self.past = db, kind, now, stamp_of(now), past
        self.number = entity_number(db) + 1
        self.types = attribute_types(db, kind)
        self.known = set(self.types)
        self.floor = history_floor(db, kind) or ""
        self.done = EntityChanges(number=self.number - 1)
        self.rows: list[tuple[Any, ...]] = []
        self.history: list[tuple[Any, ...]] = []

    def read(self, ids: Sequence[str]) -> Iterator[tuple[str, Entity | None]]:
        """(id, entity or None) for each id."""
        for start in range(0, len(ids), LOOKUP):
            some = ids[start : start + LOOKUP]
            found = entities_by_id(self.db, self.kind, some)
            for id_ in some:
                yield id_, found.get(id_)

    def record_of(self, entity: Entity | None) -> EntityRecord:
        """The record to which changes are applied."""
        if entity is None:
            return EntityRecord()
        if not entity.deleted:
            return entity.record
        record = entity.record.revived(keeps_pushed=self._is_recent(entity))
        record.begun = self.stamp
        return record

    def _is_recent(self, entity: Entity) -> bool:
        """Whether an entity was deleted so recently that it comes back with its pushed attributes."""
        return entity.deleted is not None and datetime.fromisoformat(entity.deleted) >= self.now - REVIVED_WITHIN

    def apply(
        self,
        id_: str,
        entity: Entity | None,
        sent: Sequence[AttributeChange],
        other: Mapping[str, Any] | None = None,
    ) -> None:
        """Apply changes to an entity, or create it. With `other`, values of a wrong type, the changes were already
        applied to another entity."""
        record = self.record_of(entity)
        known = dict(record.other)
        if other is None:
            sent = self._all_typed(record, sent)
        record.other = {**(other or {}), **record.other}
        done = self._push(id_, record, sent)
        if entity is None or done or entity.deleted or record.other != known:
            self.keep(id_, record)
            self.note_pushed(id_, record, entity, done)

    def _all_typed(self, record: EntityRecord, sent: Sequence[AttributeChange]) -> list[AttributeChange]:
        """Changes with names and values converted to their types. Changes of a wrong type are left out."""
        found = []
        for given in sent:
            name, value = self._typed(record, given.attribute, given.value)
            if value is not None or given.value is None:
                found.append(replace(given, attribute=name, value=value))
        return found

    def _push(self, entity_id: str, record: EntityRecord, sent: Sequence[AttributeChange]) -> list[AttributeChange]:
        """Apply changes. Returns the applied ones, without changes that were already known."""
        done: list[AttributeChange] = []
        for change in sent:
            name = change.attribute
            before = record.attribute(name)
            if before.knows(change) or change in done:
                continue
            if before.is_among_settled(change):
                after = self._from_history(entity_id, record, [*done, change], before)
            else:
                after = before.after(change)
            if after == before and self._is_noted(entity_id, record, change):
                continue
            after = after.settled(stamp_of(self.now - SETTLED_AFTER))
            if after != before:
                record.keep(name, after)
            done.append(change)
        return done

    def _from_history(
        self, entity_id: str, record: EntityRecord, new: Sequence[AttributeChange], before: PushedAttribute
    ) -> PushedAttribute:
        """The attribute that results from all its changes in the history and in `new`."""
        name = new[-1].attribute
        own = [one for one in new if one.attribute == name]
        try:
            rows = self.past.rows_within(self.db, self.kind, entity_id) if self.past else []
        except BadFile:
            # The doctor reports the file. Incoming changes must not wait for its repair.
            rows = []
        known = pushed_changes(rows, name)
        return PushedAttribute.of([*known, *own]) if known else before.after(new[-1])

    def _is_noted(self, entity_id: str, record: EntityRecord, change: AttributeChange) -> bool:
        """Whether a change that others hide is in the recent history as received before: a repetition is not noted."""
        asked = (
            "SELECT received, changes FROM attribute_changes "
            "WHERE kind = ? AND id = ? AND time = ? AND origin = ? AND received <= ?"
        )
        time = max(change.time, record.begun, self.floor)
        rows = self.db.execute(asked, [self.kind, entity_id, time, PUSHED, change.received]).fetchall()
        return any(
            are_near(received, change.received)
            and _noted(change) in msgspec.json.decode(body, type=list[HistoryChange])
            for received, body in rows
        )

    def collect(
        self, record: EntityRecord, source: str, values: Mapping[str, Any], time: str
    ) -> tuple[str, list[HistoryChange]]:
        """Apply a row that was read. Returns (the time from which it counts, its changes)."""
        is_new = record.source != source
        if is_new:
            record.source, record.values, record.since, record.read = source, {}, {}, (time, self.stamp)
        typed = dict(self._typed(record, spelled, given) for spelled, given in values.items())
        gone = [name for name in record.values if name not in typed]
        changed = [name for name in typed if name not in record.values or record.values[name] != typed[name]] + gone
        # A later read counts later, even if the table was reset to an older state.
        time = max([time, *(record.since.get(name, record.read)[0] for name in changed if name in record.values)])
        for name in gone:
            del record.values[name]
            record.since.pop(name, None)
        for name in changed:
            if name in typed:
                record.values[name] = typed[name]
                if not is_new:
                    record.since[name] = (time, self.stamp)
        left = {name: typed.get(name) for name in changed}
        return time, [(name, UNSET if value is None else SET, value, "", time) for name, value in left.items()]

    def _typed(self, record: EntityRecord, spelled: str, value: Any) -> tuple[str, Any]:
        """(the first spelling of an attribute, the value converted to its type). The value is None if its type is
        wrong; it is then stored separately."""
        folded = spelled.casefold()
        pinned = self.types.get(folded)
        if value is None:
            return (pinned.spelled if pinned else spelled), None
        found = property_type(value)
        if pinned is None and found is not None:
            pinned = self.types[folded] = AttributeType(name=folded, type=found, spelled=spelled)
        name = pinned.spelled if pinned else spelled
        fitting = fitted(value, pinned.type) if pinned else None
        if fitting is None:
            record.other[name] = value
            self.done.conflicts[folded] = self.done.conflicts.get(folded, 0) + 1
        elif isinstance(fitting, datetime):
            fitting = stamp_of(fitting)
        return name, fitting

    def keep(self, entity_id: str, record: EntityRecord, deleted: str | None = None) -> None:
        """Add the current row of an entity to the commit."""
        row = msgspec.json.encode(record).decode()
        self.rows.append((self.kind, entity_id, row, self.number, deleted))

    def note_pushed(
        self, entity_id: str, record: EntityRecord, before: Entity | None, done: Sequence[AttributeChange]
    ) -> None:
        """Record pushed changes in the history, grouped by time."""
        self.note_revived(entity_id, before, PUSHED, None)
        by_time: dict[tuple[str, str], list[HistoryChange]] = {}
        for one in done:
            by_time.setdefault((max(one.time, record.begun), one.received), []).append(_noted(one))
        for (time, received), changes in by_time.items():
            self.note(entity_id, time, PUSHED, None, changes, received=received)
        if before is None and not done:
            self.note(entity_id, self.stamp, PUSHED, None, [])

    def note_revived(self, entity_id: str, before: Entity | None, origin: str, run: int | None) -> None:
        """Record in the history that a deleted entity exists again."""
        if before is not None and before.deleted:
            self.note(entity_id, self.stamp, origin, run, [("", REVIVED, self._is_recent(before), "", self.stamp)])

    def note(
        self,
        entity_id: str,
        time: str,
        origin: str,
        run: int | None,
        changes: Sequence[HistoryChange],
        *,
        received: str = "",
    ) -> None:
        """Record changes in the history."""
        body = msgspec.json.encode(changes).decode()
        place = len(self.history)
        time = max(time, self.floor)
        self.history.append((self.kind, entity_id, self.number, place, time, received or self.stamp, origin, run, body))

    def finish(self) -> EntityChanges:
        """Write everything collected in this commit. Without changes, no commit is made."""
        new = [self.types[name] for name in self.types if name not in self.known]
        if self.rows or self.done.conflicts:
            self.db.execute("INSERT INTO entity_commits (number, at) VALUES (?, ?)", [self.number, self.stamp])
            self.done.number, self.done.changed = self.number, len(self.rows)
        for start in range(0, len(self.rows), LOOKUP):
            some = self.rows[start : start + LOOKUP]
            marks = ", ".join("?" * len(some))
            ids = [row[1] for row in some]
            self.db.execute(f"DELETE FROM entities WHERE kind = ? AND id IN ({marks})", [self.kind, *ids])
        self.db.executemany("INSERT INTO entities (kind, id, row, version, deleted) VALUES (?, ?, ?, ?, ?)", self.rows)
        self.db.executemany(
            "INSERT INTO attribute_changes (kind, id, number, place, time, received, origin, run, changes) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            self.history,
        )
        self.db.executemany(
            "INSERT INTO attribute_schema (kind, attribute, type, since, spelled, conflicts) VALUES (?, ?, ?, ?, ?, 0)",
            [(self.kind, one.name, one.type, self.number, one.spelled) for one in new],
        )
        for name, count in self.done.conflicts.items():
            asked = "UPDATE attribute_schema SET conflicts = conflicts + ? WHERE kind = ? AND attribute = ?"
            self.db.execute(asked, [count, self.kind, name])
        return self.done


def _noted(change: AttributeChange) -> HistoryChange:
    return (change.attribute, change.action, change.value, change.id, change.time)
