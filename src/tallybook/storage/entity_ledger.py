"""What the ledger knows of users and accounts: the current row of each, the types of attributes, and recent changes.

Entities have a commit number of their own. The version of the book does not move with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec

from tallybook.core import (
    PUSHED,
    SET,
    SETTLED_AFTER,
    UNSET,
    AttributeChange,
    PushedAttribute,
    fitted,
    json_decoder,
    property_type,
)
from tallybook.storage.entity_changes import EntityHistory
from tallybook.storage.entity_history import history_floor, pushed_changes
from tallybook.storage.entity_records import (
    DELETED,
    REVIVED,
    AttributeType,
    ChangedEntities,
    Entity,
    EntityChanges,
    EntityRecord,
    HistoryChange,
)
from tallybook.storage.files import BadFile, Files
from tallybook.storage.sql_ledger import SqlLedger
from tallybook.storage.stored_rows import stamp_of
from tallybook.storage.transaction import Transaction

REVIVED_WITHIN = timedelta(days=7)
"""A deleted entity that comes back within this time has its attributes again."""
PIECE = 10_000
"""Rows that are read at once."""
LOOKUP = 500
"""Ids that one statement asks for."""


class EntityLedger:
    """The tables of users and accounts in a ledger. Every method is one transaction."""

    def __init__(self, ledger: SqlLedger, files: Files | None = None) -> None:
        """`files`: those of the book, for what changes entities."""
        self.ledger = ledger
        self.history = EntityHistory(ledger, files) if files is not None else None

    # -- reading -----------------------------------------------------------------------------------

    def number(self) -> int:
        """The number of the last commit; 0 before the first."""
        with self.ledger._reading() as db:
            return _number(db)

    def get(self, kind: str, entity_id: str) -> Entity | None:
        """One entity, also a deleted one; None where there never was one."""
        with self.ledger._reading() as db:
            return _entities(db, kind, [entity_id]).get(entity_id)

    def every(self, kind: str) -> tuple[int, Iterator[Entity]]:
        """(number of the commit, all entities in the order of their ids, also deleted ones)."""
        with self.ledger._reading() as db:
            number = _number(db)
            rows = db.execute(
                "SELECT id, row, version, deleted FROM entities WHERE kind = ? ORDER BY id", [kind]
            ).fetchall()
        return number, (_entity(*row) for row in rows)

    def some(self, kind: str, ids: Sequence[str]) -> list[Entity]:
        """Those of some ids that there are, also deleted ones."""
        with self.ledger._reading() as db:
            found: dict[str, Entity] = {}
            for start in range(0, len(ids), LOOKUP):
                found |= _entities(db, kind, ids[start : start + LOOKUP])
        return list(found.values())

    def commit_at(self, number: int) -> str | None:
        """When a commit was made; None where there is no such commit."""
        with self.ledger._reading() as db:
            found = db.execute("SELECT at FROM entity_commits WHERE number = ?", [number]).fetchone()
        return found[0] if found else None

    def changed(self, kind: str, since: int) -> ChangedEntities:
        """The entities that changed after a commit, also the deleted ones."""
        with self.ledger._reading() as db:
            number = _number(db)
            at = db.execute("SELECT at FROM entity_commits WHERE number = ?", [number]).fetchone()
            count = int(db.execute("SELECT count(*) FROM entities WHERE kind = ?", [kind]).fetchone()[0])
        entities = self._changed(kind, since)
        return ChangedEntities(number=number, at=at[0] if at else "", count=count, entities=entities)

    def _changed(self, kind: str, since: int) -> Iterator[Entity]:
        """Read in pieces, so that a million rows need no memory. What is committed meanwhile may be among them."""
        chosen = "kind = ? AND version > ? AND id > ? ORDER BY id LIMIT ?"
        last: str | None = ""
        while last is not None:
            with self.ledger._reading() as db:
                rows = db.execute(
                    f"SELECT id, row, version, deleted FROM entities WHERE {chosen}", [kind, since, last, PIECE]
                ).fetchall()
            yield from (_entity(*row) for row in rows)
            last = rows[-1][0] if len(rows) == PIECE else None

    def ids(self, kind: str, source: str) -> list[str]:
        """The ids of the entities that are not deleted and were read from a source."""
        with self.ledger._reading() as db:
            rows = db.execute("SELECT id, row FROM entities WHERE kind = ? AND deleted IS NULL", [kind]).fetchall()
        return [id_ for id_, row in rows if _record(row).source == source]

    def types(self, kind: str) -> dict[str, AttributeType]:
        """The types of attributes, by their case-folded names, in the order in which they were first seen."""
        with self.ledger._reading() as db:
            return _types(db, kind)

    # -- writing -----------------------------------------------------------------------------------

    def push(self, kind: str, sent: Mapping[str, Sequence[AttributeChange]], *, now: datetime) -> EntityChanges:
        """Apply changes of attributes by id; entities that are not there are made."""
        with self.ledger._writing() as db:
            return apply_pushed(db, kind, sent, history=self.history, now=now)

    def push_if(
        self, kind: str, entity_id: str, changes: Sequence[AttributeChange], *, is_there: bool, now: datetime
    ) -> bool:
        """Apply changes to an entity that is there, or make one that is not. False where that is not so; then nothing
        is changed."""
        with self.ledger._writing() as db:
            found = _entities(db, kind, [entity_id]).get(entity_id)
            if (found is not None and found.deleted is None) != is_there:
                return False
            apply_pushed(db, kind, {entity_id: changes}, history=self.history, now=now)
            return True

    def collect(
        self,
        kind: str,
        source: str,
        rows: Mapping[str, Mapping[str, Any]],
        *,
        times: Mapping[str, str],
        run: int | None,
        now: datetime,
    ) -> EntityChanges:
        """Keep the attributes of some rows of a source, by id. `times`: since when a row is as it is, by id; else it
        counts from now on."""
        with self.ledger._writing() as db:
            writing = _Writing(db, kind, now)
            for id_, entity in writing.read(list(rows)):
                record = writing.record_of(entity)
                time, changes = writing.collect(record, source, rows[id_], times.get(id_, writing.stamp))
                if entity is None or changes or entity.deleted:
                    writing.keep(id_, record)
                    writing.note_revived(id_, entity, source, run)
                    writing.note(id_, max(time, record.begun), source, run, changes)
            return writing.finish()

    def delete(
        self, kind: str, ids: Iterable[str], *, origin: str, run: int | None = None, now: datetime
    ) -> EntityChanges:
        """Mark entities as deleted. Those that are not there, or are deleted already, stay as they are."""
        with self.ledger._writing() as db:
            writing = _Writing(db, kind, now)
            for id_, entity in writing.read(list(ids)):
                if entity is not None and entity.deleted is None:
                    writing.keep(id_, entity.record, deleted=writing.stamp)
                    writing.note(id_, writing.stamp, origin, run, [("", DELETED, None, "", writing.stamp)])
            return writing.finish()

    def forget(self, kind: str, entity_id: str) -> int:
        """Delete every trace of an entity. How many rows were deleted."""
        with self.ledger._writing() as db:
            gone = 0
            for table in ("entities", "attribute_changes"):
                gone += db.execute(f"DELETE FROM {table} WHERE kind = ? AND id = ?", [kind, entity_id]).rowcount
            if gone:
                db.execute(
                    "INSERT INTO entity_commits (number, at) VALUES (?, ?)",
                    [_number(db) + 1, _latest(db)],
                )
        return gone


def apply_pushed(
    db: Transaction,
    kind: str,
    sent: Mapping[str, Sequence[AttributeChange]],
    *,
    history: EntityHistory | None,
    now: datetime,
) -> EntityChanges:
    """Apply changes of attributes by id, in a transaction that does more; entities that are not there are made."""
    writing = _Writing(db, kind, now, history)
    for id_, entity in writing.read(list(sent)):
        record = writing.record_of(entity)
        other = dict(record.other)
        done = writing.push(id_, record, sent[id_])
        if entity is None or done or entity.deleted or record.other != other:
            writing.keep(id_, record)
            writing.note_pushed(id_, record, entity, done)
    return writing.finish()


class _Writing:
    """One commit while it is made."""

    def __init__(self, db: Transaction, kind: str, now: datetime, past: EntityHistory | None = None) -> None:
        self.db, self.kind, self.now, self.stamp, self.past = db, kind, now, stamp_of(now), past
        self.number = _number(db) + 1
        self.types = _types(db, kind)
        self.known = set(self.types)
        self.floor = history_floor(db, kind) or ""
        self.done = EntityChanges(number=self.number - 1)
        self.rows: list[tuple[Any, ...]] = []
        self.history: list[tuple[Any, ...]] = []

    def read(self, ids: Sequence[str]) -> Iterator[tuple[str, Entity | None]]:
        """(id, entity) of each id."""
        for start in range(0, len(ids), LOOKUP):
            some = ids[start : start + LOOKUP]
            found = _entities(self.db, self.kind, some)
            for id_ in some:
                yield id_, found.get(id_)

    def record_of(self, entity: Entity | None) -> EntityRecord:
        """The record to change."""
        if entity is None:
            return EntityRecord()
        if not entity.deleted:
            return entity.record
        record = entity.record.revived(keeps_pushed=self._is_recent(entity))
        record.begun = self.stamp
        return record

    def _is_recent(self, entity: Entity) -> bool:
        """Whether an entity was deleted so lately that it comes back with what was pushed before."""
        return entity.deleted is not None and datetime.fromisoformat(entity.deleted) >= self.now - REVIVED_WITHIN

    def push(self, entity_id: str, record: EntityRecord, sent: Sequence[AttributeChange]) -> list[AttributeChange]:
        """Apply changes. Those that were applied: not what is known already, or has another type."""
        done: list[AttributeChange] = []
        for given in sent:
            name, value = self._typed(record, given.attribute, given.value)
            if value is None and given.value is not None:
                continue
            before, change = record.attribute(name), replace(given, attribute=name, value=value)
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
        """What all changes of an attribute leave, the last of `new` among them."""
        name = new[-1].attribute
        own = [one for one in new if one.attribute == name]
        try:
            rows = self.past.rows_within(self.db, self.kind, entity_id) if self.past else []
        except BadFile:
            # The doctor names the file. All that is sent must not wait for it.
            rows = []
        known = pushed_changes(rows, name)
        return PushedAttribute.of([*known, *own]) if known else before.after(new[-1])

    def _is_noted(self, entity_id: str, record: EntityRecord, change: AttributeChange) -> bool:
        """Whether a change that others hide is in the recent history, so that it is not noted at each repetition."""
        asked = "SELECT changes FROM attribute_changes WHERE kind = ? AND id = ? AND time = ? AND origin = ?"
        time = max(change.time, record.begun, self.floor)
        rows = self.db.execute(asked, [self.kind, entity_id, time, PUSHED]).fetchall()
        return any(_noted(change) in msgspec.json.decode(body, type=list[HistoryChange]) for (body,) in rows)

    def collect(
        self, record: EntityRecord, source: str, values: Mapping[str, Any], time: str
    ) -> tuple[str, list[HistoryChange]]:
        """Apply a row that was read. (the time from which it counts, its changes)."""
        is_new = record.source != source
        if is_new:
            record.source, record.values, record.since, record.read = source, {}, {}, (time, self.stamp)
        typed = dict(self._typed(record, spelled, given) for spelled, given in values.items())
        gone = [name for name in record.values if name not in typed]
        changed = [name for name in typed if name not in record.values or record.values[name] != typed[name]] + gone
        # What is read later counts later, also where the table was set back to an older state.
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
        """(the name of an attribute as it was first written, the value as its type has it; None where it has another
        type, and then it is kept beside)."""
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
        """Keep the current row of an entity."""
        row = msgspec.json.encode(record).decode()
        self.rows.append((self.kind, entity_id, row, self.number, deleted))

    def note_pushed(
        self, entity_id: str, record: EntityRecord, before: Entity | None, done: Sequence[AttributeChange]
    ) -> None:
        """Keep pushed changes in the history, those of one time together."""
        self.note_revived(entity_id, before, PUSHED, None)
        by_time: dict[str, list[HistoryChange]] = {}
        for one in done:
            by_time.setdefault(max(one.time, record.begun), []).append(_noted(one))
        for time, changes in by_time.items():
            self.note(entity_id, time, PUSHED, None, changes)
        if before is None and not done:
            self.note(entity_id, self.stamp, PUSHED, None, [])

    def note_revived(self, entity_id: str, before: Entity | None, origin: str, run: int | None) -> None:
        """Keep in the history that a deleted entity is there again."""
        if before is not None and before.deleted:
            self.note(entity_id, self.stamp, origin, run, [("", REVIVED, self._is_recent(before), "", self.stamp)])

    def note(self, entity_id: str, time: str, origin: str, run: int | None, changes: Sequence[HistoryChange]) -> None:
        """Keep changes in the history."""
        body = msgspec.json.encode(changes).decode()
        place = len(self.history)
        time = max(time, self.floor)
        self.history.append((self.kind, entity_id, self.number, place, time, self.stamp, origin, run, body))

    def finish(self) -> EntityChanges:
        """Write what was collected in this commit. Without a change there is no commit."""
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


def _number(db: Transaction) -> int:
    return int(db.execute("SELECT coalesce(max(number), 0) FROM entity_commits").fetchone()[0])


def _latest(db: Transaction) -> str:
    return str(db.execute("SELECT max(at) FROM entity_commits").fetchone()[0])


def _types(db: Transaction, kind: str) -> dict[str, AttributeType]:
    rows = db.execute(
        "SELECT attribute, type, spelled, conflicts FROM attribute_schema WHERE kind = ? ORDER BY since, attribute",
        [kind],
    ).fetchall()
    return {
        name: AttributeType(name=name, type=type_, spelled=spelled, conflicts=conflicts)
        for name, type_, spelled, conflicts in rows
    }


def _entities(db: Transaction, kind: str, ids: Sequence[str]) -> dict[str, Entity]:
    marks = ", ".join("?" * len(ids)) or "NULL"
    asked = f"SELECT id, row, version, deleted FROM entities WHERE kind = ? AND id IN ({marks})"
    return {row[0]: _entity(*row) for row in db.execute(asked, [kind, *ids]).fetchall()}


def _entity(entity_id: str, row: str, version: int, deleted: str | None) -> Entity:
    return Entity(id=entity_id, record=_record(row), version=version, deleted=deleted)


def _record(row: str) -> EntityRecord:
    return json_decoder(EntityRecord).decode(row)
