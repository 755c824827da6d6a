"""Attributes of ids that are one user: what was sent of an id is an attribute of the user that it is linked to, whether
the link came before it or after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from tallybook.core import SETTLED_AFTER, USERS, AttributeChange
from tallybook.storage.entity_changes import EntityHistory
from tallybook.storage.entity_history import pushed_changes
from tallybook.storage.entity_records import DELETED, Entity
from tallybook.storage.entity_rows import entities_by_id
from tallybook.storage.entity_writing import EntityWriting
from tallybook.storage.files import BadFile
from tallybook.storage.stored_rows import stamp_of
from tallybook.storage.transaction import Transaction

LINKED = "linked"
"""The origin of the end of an id that became one with another."""


def merge_linked(
    db: Transaction, made: Iterable[tuple[str, str]], *, history: EntityHistory | None, now: datetime
) -> None:
    """Apply what was pushed of each (alias, user) that is new to the user, and end the alias. One that a table has too
    stays."""
    for alias, user in made:
        found = entities_by_id(db, USERS, [alias, user])
        entity = found.get(alias)
        if entity is None or entity.deleted is not None:
            continue
        writing = EntityWriting(db, USERS, now, history)
        changes = _pushed_of(db, entity, history, now)
        if changes or entity.record.other:
            writing.apply(user, found.get(user), changes, other=entity.record.other)
        if not entity.record.source:
            writing.keep(alias, entity.record, deleted=writing.stamp)
            writing.note(alias, writing.stamp, LINKED, None, [("", DELETED, None, "", writing.stamp)])
        writing.finish()


def _pushed_of(
    db: Transaction, entity: Entity, history: EntityHistory | None, now: datetime
) -> Sequence[AttributeChange]:
    """Every pushed change of an entity, also those that others hide, in their order."""
    current = {name: list(entity.record.attribute(name).changes) for name in entity.record.pushed}
    received = min((one.received for changes in current.values() for one in changes), default="")
    # What is settled may have parts that were received earlier.
    since = received if received >= stamp_of(now - SETTLED_AFTER) else ""
    try:
        rows = history.rows_within(db, USERS, entity.id, since=since) if history and received else []
    except BadFile:
        rows = []
    every: Mapping[str, Sequence[AttributeChange]] = {
        name: pushed_changes(rows, name) or changes for name, changes in current.items()
    }
    return sorted((one for changes in every.values() for one in changes), key=lambda one: one.order)
