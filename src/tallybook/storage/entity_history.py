"""Users and accounts as they were: their changes, applied again up to an instant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tallybook.core import PUSHED, UNSET, AttributeChange
from tallybook.storage.entity_records import DELETED, REVIVED, Entity, EntityRecord, HistoryRow


def entities_at(rows: Iterable[HistoryRow], until: str) -> dict[str, Entity]:
    """The entities as they were before a stamp, by id, from all their changes in the order of time.

    A change counts from the time that it has, not from its receipt: what arrived late changes the past."""
    return {row.id: entity for row, entity in entity_states(rows, until)}


def entity_states(rows: Iterable[HistoryRow], until: str) -> Iterator[tuple[HistoryRow, Entity]]:
    """Each change with the entity after it, as `entities_at`. An entity changes further while it is read."""
    found: dict[str, Entity] = {}
    for row in rows:
        if row.time < until:
            found[row.id] = _after(found.get(row.id), row)
            yield row, found[row.id]


def _after(entity: Entity | None, row: HistoryRow) -> Entity:
    record = entity.record if entity else EntityRecord()
    deleted = entity.deleted if entity else None
    for attribute, action, value, message, time in row.changes:
        if action == DELETED:
            deleted = row.time
        elif action == REVIVED:
            deleted, record = None, record.revived(keeps_pushed=bool(value))
        elif row.origin == PUSHED:
            change = AttributeChange(
                attribute=attribute, action=action, value=value, time=time, received=row.received, id=message
            )
            record.keep(attribute, record.attribute(attribute).after(change))
        else:
            _collected(record, row, attribute, None if action == UNSET else value)
    return Entity(id=row.id, record=record, version=0, deleted=deleted)


def _collected(record: EntityRecord, row: HistoryRow, attribute: str, value: object) -> None:
    record.source = row.origin
    instants = (row.time, row.received)
    if record.read == ("", ""):
        record.read = instants
    if record.read != instants:
        record.since[attribute] = instants
    record.values[attribute] = value
