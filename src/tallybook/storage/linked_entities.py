"""Merges the attributes of linked ids: values pushed for an id become attributes of the user that it is linked to,
whether they arrived before or after the link."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from tallybook.core import SETTLED_AFTER, USERS, AttributeChange
from tallybook.storage.entity_changes import ChangeRow, EntityHistory
from tallybook.storage.entity_history import pushed_changes
from tallybook.storage.entity_records import DELETED, Entity
from tallybook.storage.entity_rows import LOOKUP, entities_by_id
from tallybook.storage.entity_writing import EntityWriting
from tallybook.storage.files import BadFile
from tallybook.storage.stored_rows import stamp_of
from tallybook.storage.transaction import Transaction

LINKED = "linked"
"""The origin of the deletion of an id that was merged into another."""


def merge_linked(
    db: Transaction, made: Iterable[tuple[str, str]], *, history: EntityHistory | None, now: datetime
) -> None:
    """Apply the pushed values of each new (alias, user) pair to the user, and delete the alias.

    An alias that also has values from a source is kept."""
    pairs = list(made)
    in_files = _in_files(db, [alias for alias, _ in pairs], history, now)
    for alias, user in pairs:
        found = entities_by_id(db, USERS, [alias, user])
        entity = found.get(alias)
        if entity is None or entity.deleted is not None:
            continue
        writing = EntityWriting(db, USERS, now, history)
        changes = _pushed_of(db, entity, history, now, in_files.get(alias))
        if changes or entity.record.other:
            writing.apply(user, found.get(user), changes, other=entity.record.other)
        if not entity.record.source:
            writing.keep(alias, entity.record, deleted=writing.stamp)
            writing.note(alias, writing.stamp, LINKED, None, [("", DELETED, None, "", writing.stamp)])
        writing.finish()


def _in_files(
    db: Transaction, aliases: Sequence[str], history: EntityHistory | None, now: datetime
) -> dict[str, list[ChangeRow]]:
    """The changes of the existing aliases in files, read once, because each read prolongs the transaction.

    An alias that comes back through the link of another one is read separately."""
    since: dict[str, str] = {}
    for start in range(0, len(aliases), LOOKUP):
        for id_, entity in entities_by_id(db, USERS, aliases[start : start + LOOKUP]).items():
            first = None if entity.deleted else _since(_pushed(entity), now)
            since |= {} if first is None else {id_: first}
    if history is None or len(since) < 2:
        return {}
    with suppress(BadFile):
        return history.in_files(db, USERS, list(since), since=min(since.values()))
    return {}


def _pushed(entity: Entity) -> dict[str, list[AttributeChange]]:
    return {name: list(entity.record.attribute(name).changes) for name in entity.record.pushed}


def _since(pushed: Mapping[str, Sequence[AttributeChange]], now: datetime) -> str | None:
    """The time of receipt of the first change; None without changes, '' if merged changes may contain earlier ones."""
    received = min((one.received for changes in pushed.values() for one in changes), default=None)
    return received if received is None or received >= stamp_of(now - SETTLED_AFTER) else ""


def _pushed_of(
    db: Transaction,
    entity: Entity,
    history: EntityHistory | None,
    now: datetime,
    in_files: Sequence[ChangeRow] | None,
) -> Sequence[AttributeChange]:
    """Every pushed change of an entity in order, including hidden ones."""
    current = _pushed(entity)
    since = _since(current, now)
    try:
        rows = []
        if history is not None and since is not None:
            rows = history.rows_within(db, USERS, entity.id, since=since, in_files=in_files)
    except BadFile:
        rows = []
    every: Mapping[str, Sequence[AttributeChange]] = {
        name: pushed_changes(rows, name) or changes for name, changes in current.items()
    }
    return sorted((one for changes in every.values() for one in changes), key=lambda one: one.order)
