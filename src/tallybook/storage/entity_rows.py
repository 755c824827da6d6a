"""Rows of users and accounts in the ledger, read inside a transaction."""

from __future__ import annotations

from collections.abc import Sequence

from tallybook.core import json_decoder
from tallybook.storage.entity_records import AttributeType, Entity, EntityRecord
from tallybook.storage.transaction import Transaction

LOOKUP = 500
"""Ids per statement."""


def entity_number(db: Transaction) -> int:
    """The number of the last commit; 0 before the first."""
    return int(db.execute("SELECT coalesce(max(number), 0) FROM entity_commits").fetchone()[0])


def latest_commit(db: Transaction) -> str:
    """The instant of the last commit."""
    return str(db.execute("SELECT max(at) FROM entity_commits").fetchone()[0])


def attribute_types(db: Transaction, kind: str) -> dict[str, AttributeType]:
    """The types of attributes by case-folded name, in the order in which they were first seen."""
    rows = db.execute(
        "SELECT attribute, type, spelled, conflicts FROM attribute_schema WHERE kind = ? ORDER BY since, attribute",
        [kind],
    ).fetchall()
    return {
        name: AttributeType(name=name, type=type_, spelled=spelled, conflicts=conflicts)
        for name, type_, spelled, conflicts in rows
    }


def entities_by_id(db: Transaction, kind: str, ids: Sequence[str]) -> dict[str, Entity]:
    """The existing entities among some ids."""
    marks = ", ".join("?" * len(ids)) or "NULL"
    asked = f"SELECT id, row, version, deleted FROM entities WHERE kind = ? AND id IN ({marks})"
    return {row[0]: entity_of_row(*row) for row in db.execute(asked, [kind, *ids]).fetchall()}


def entity_of_row(entity_id: str, row: str, version: int, deleted: str | None) -> Entity:
    """Build an entity from the columns of its row."""
    return Entity(id=entity_id, record=record_of_row(row), version=version, deleted=deleted)


def record_of_row(row: str) -> EntityRecord:
    """Decode the record of an entity."""
    return json_decoder(EntityRecord).decode(row)
