"""Users and accounts at an earlier instant, rebuilt from their changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import msgspec

from tallybook.core import ADD, PUSHED, SETTLED_AFTER, UNSET, AttributeChange, are_near
from tallybook.storage.entity_records import DELETED, REVIVED, STATE, Entity, EntityRecord, HistoryRow
from tallybook.storage.stored_rows import stamp_of
from tallybook.storage.transaction import Transaction


def entities_at(rows: Iterable[HistoryRow], until: str) -> dict[str, Entity]:
    """The entities as they were before a stamp, by id, from all their changes in order of time.

    A change counts from its own time, not from its receipt: a change that arrives late changes the past."""
    return {row.id: entity for row, entity in entity_states(rows, until)}


def entity_states(rows: Iterable[HistoryRow], until: str) -> Iterator[tuple[HistoryRow, Entity]]:
    """Each change with the entity after it, as in `entities_at`. The yielded entity is modified by later changes."""
    found: dict[str, Entity] = {}
    added: dict[tuple[str, str, str], str] = {}
    for row in rows:
        if row.time < until:
            found[row.id] = _after(found.get(row.id), row, added)
            yield row, found[row.id]


def pushed_changes(rows: Iterable[HistoryRow], name: str) -> list[AttributeChange]:
    """The changes of one pushed attribute of one entity that still count, from its changes in order of time."""
    found: list[AttributeChange] = []
    for row in rows:
        for attribute, action, value, message, time in row.changes:
            if action == STATE:
                record = msgspec.convert(value["record"], EntityRecord)
                found = list(record.attribute(name).changes)
            elif action == REVIVED and not value:
                found = []
            elif row.origin == PUSHED and attribute == name:
                found.append(_change(row, attribute, action, value, message, time))
    return found


def state_row(entity: Entity, *, time: str, received: str) -> HistoryRow:
    """A change that sets an entity to a state, whatever came before."""
    state = {"record": msgspec.to_builtins(entity.record), "deleted": entity.deleted}
    origin = entity.record.source or PUSHED
    return HistoryRow(
        id=entity.id, time=time, received=received, origin=origin, run=None, changes=[("", STATE, state, "", time)]
    )


def history_floor(db: Transaction, kind: str) -> str | None:
    """The stamp at which a history begins because older changes were deleted. No change has an earlier time."""
    asked = "SELECT max(first) FROM attribute_files WHERE kind = ? AND removed IS NULL AND path LIKE ?"
    found = db.execute(asked, [kind, f"%/{STATE}-%"]).fetchone()[0]
    return None if found is None else str(found)


def _after(entity: Entity | None, row: HistoryRow, added: dict[tuple[str, str, str], str]) -> Entity:
    """The entity after a change. `added`: the time of receipt of each addition, by (id, attribute, message)."""
    record = entity.record if entity else EntityRecord()
    deleted = entity.deleted if entity else None
    for attribute, action, value, message, time in row.changes:
        if action == DELETED:
            deleted = row.time
        elif action == STATE:
            deleted, record = value["deleted"], msgspec.convert(value["record"], EntityRecord)
        elif action == REVIVED:
            deleted, record = None, record.revived(keeps_pushed=bool(value))
        elif row.origin == PUSHED:
            change = _change(row, attribute, action, value, message, time)
            if not _is_repeated(row.id, change, added):
                after = record.attribute(attribute).after(change)
                # A change that counts from a later time than its own may be followed by an older change.
                is_last = time == row.time
                record.keep(attribute, after.settled(_settled_before(row.received)) if is_last else after)
        else:
            _collected(record, row, attribute, None if action == UNSET else value)
    return Entity(id=row.id, record=record, version=0, deleted=deleted)


def _change(row: HistoryRow, attribute: str, action: str, value: Any, message: str, time: str) -> AttributeChange:
    return AttributeChange(
        attribute=attribute, action=action, value=value, time=time, received=row.received, id=message
    )


def _is_repeated(entity_id: str, change: AttributeChange, added: dict[tuple[str, str, str], str]) -> bool:
    """Whether an addition repeats the id of an earlier one. Records its own id."""
    if change.action != ADD or not change.id:
        return False
    key = (entity_id, change.attribute, change.id)
    before = added.setdefault(key, change.received)
    if before == change.received:
        return False
    added[key] = max(before, change.received) if are_near(before, change.received) else change.received
    return are_near(before, change.received)


def _settled_before(received: str) -> str:
    """The stamp before which changes were already merged when a change was received, as in the ledger."""
    return stamp_of(datetime.fromisoformat(received) - SETTLED_AFTER)


def _collected(record: EntityRecord, row: HistoryRow, attribute: str, value: object) -> None:
    record.source = row.origin
    instants = (row.time, row.received)
    if record.read == ("", ""):
        record.read = instants
    if record.read != instants:
        record.since[attribute] = instants
    record.values[attribute] = value
