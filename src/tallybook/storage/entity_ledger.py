"""The ledger's data about users and accounts: the current row of each, the types of attributes, and recent changes.

Entities have their own commit number. It does not change the version of the book."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from tallybook.core import USERS, AttributeChange
from tallybook.storage.entity_changes import EntityHistory
from tallybook.storage.entity_records import DELETED, AttributeType, ChangedEntities, Entity, EntityChanges
from tallybook.storage.entity_rows import (
    LOOKUP,
    attribute_types,
    entities_by_id,
    entity_number,
    entity_of_row,
    latest_commit,
    record_of_row,
)
from tallybook.storage.entity_writing import EntityWriting, apply_pushed
from tallybook.storage.files import Files
from tallybook.storage.identity_links import canonical_ids
from tallybook.storage.sql_ledger import SqlLedger

PIECE = 10_000
"""Rows per read."""


class EntityLedger:
    """The tables of users and accounts in a ledger. Every method is one transaction."""

    def __init__(self, ledger: SqlLedger, files: Files | None = None) -> None:
        """`files`: the files of the book; required for changing entities."""
        self.ledger = ledger
        self.history = EntityHistory(ledger, files) if files is not None else None

    # -- reading -----------------------------------------------------------------------------------

    def number(self) -> int:
        """The number of the last commit; 0 before the first."""
        with self.ledger._reading() as db:
            return entity_number(db)

    def get(self, kind: str, entity_id: str) -> Entity | None:
        """One entity, also if deleted; None if it never existed. For a linked id, its user."""
        with self.ledger._reading() as db:
            found = entities_by_id(db, kind, [entity_id]).get(entity_id)
            if kind == USERS and (found is None or found.deleted):
                user = canonical_ids(db, [entity_id]).get(entity_id)
                found = entities_by_id(db, kind, [user]).get(user, found) if user else found
            return found

    def every(self, kind: str) -> tuple[int, Iterator[Entity]]:
        """(number of the commit, all entities by id, including deleted ones)."""
        with self.ledger._reading() as db:
            number = entity_number(db)
            rows = db.execute(
                "SELECT id, row, version, deleted FROM entities WHERE kind = ? ORDER BY id", [kind]
            ).fetchall()
        return number, (entity_of_row(*row) for row in rows)

    def some(self, kind: str, ids: Sequence[str]) -> list[Entity]:
        """The existing entities among some ids, including deleted ones."""
        with self.ledger._reading() as db:
            found: dict[str, Entity] = {}
            for start in range(0, len(ids), LOOKUP):
                found |= entities_by_id(db, kind, ids[start : start + LOOKUP])
        return list(found.values())

    def commit_at(self, number: int) -> str | None:
        """The instant of a commit; None if there is no such commit."""
        with self.ledger._reading() as db:
            found = db.execute("SELECT at FROM entity_commits WHERE number = ?", [number]).fetchone()
        return found[0] if found else None

    def changed(self, kind: str, since: int) -> ChangedEntities:
        """The entities that changed after a commit, including deleted ones."""
        with self.ledger._reading() as db:
            number = entity_number(db)
            at = db.execute("SELECT at FROM entity_commits WHERE number = ?", [number]).fetchone()
            count = int(db.execute("SELECT count(*) FROM entities WHERE kind = ?", [kind]).fetchone()[0])
        entities = self._changed(kind, since)
        return ChangedEntities(number=number, at=at[0] if at else "", count=count, entities=entities)

    def _changed(self, kind: str, since: int) -> Iterator[Entity]:
        """The changed entities, read in pieces so that a million rows need little memory. Later commits may be
        included."""
        chosen = "kind = ? AND version > ? AND id > ? ORDER BY id LIMIT ?"
        last: str | None = ""
        while last is not None:
            with self.ledger._reading() as db:
                rows = db.execute(
                    f"SELECT id, row, version, deleted FROM entities WHERE {chosen}", [kind, since, last, PIECE]
                ).fetchall()
            yield from (entity_of_row(*row) for row in rows)
            last = rows[-1][0] if len(rows) == PIECE else None

    def ids(self, kind: str, source: str) -> list[str]:
        """The ids of the entities that are not deleted and were read from a source."""
        with self.ledger._reading() as db:
            rows = db.execute("SELECT id, row FROM entities WHERE kind = ? AND deleted IS NULL", [kind]).fetchall()
        return [id_ for id_, row in rows if record_of_row(row).source == source]

    def types(self, kind: str) -> dict[str, AttributeType]:
        """The types of attributes by case-folded name, in the order in which they were first seen."""
        with self.ledger._reading() as db:
            return attribute_types(db, kind)

    # -- writing -----------------------------------------------------------------------------------

    def push(self, kind: str, sent: Mapping[str, Sequence[AttributeChange]], *, now: datetime) -> EntityChanges:
        """Apply attribute changes by id. Missing entities are created."""
        with self.ledger._writing() as db:
            return apply_pushed(db, kind, sent, history=self.history, now=now)

    def push_if(
        self, kind: str, entity_id: str, changes: Sequence[AttributeChange], *, is_there: bool, now: datetime
    ) -> bool:
        """Apply changes to an entity only if its existence matches `is_there`. Returns False, without a change, if
        not."""
        with self.ledger._writing() as db:
            found = entities_by_id(db, kind, [entity_id]).get(entity_id)
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
        """Store the attributes in some rows of a source, by id. `times`: the time since which a row has its values, by
        id; the default is now."""
        with self.ledger._writing() as db:
            writing = EntityWriting(db, kind, now)
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
        """Mark entities as deleted. Missing and already deleted ones stay unchanged."""
        with self.ledger._writing() as db:
            writing = EntityWriting(db, kind, now)
            for id_, entity in writing.read(list(ids)):
                if entity is not None and entity.deleted is None:
                    writing.keep(id_, entity.record, deleted=writing.stamp)
                    writing.note(id_, writing.stamp, origin, run, [("", DELETED, None, "", writing.stamp)])
            return writing.finish()

    def forget(self, kind: str, entity_id: str) -> int:
        """Delete all rows of an entity. Returns the number of deleted rows."""
        with self.ledger._writing() as db:
            gone = 0
            for table in ("entities", "attribute_changes"):
                gone += db.execute(f"DELETE FROM {table} WHERE kind = ? AND id = ?", [kind, entity_id]).rowcount
            if gone:
                db.execute(
                    "INSERT INTO entity_commits (number, at) VALUES (?, ?)",
                    [entity_number(db) + 1, latest_commit(db)],
                )
        return gone
