"""Deletes a user or an account from everything that a book keeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from tallybook.collect import ForgottenPerson, forget_entity_in
from tallybook.core import USERS, EntitySettings
from tallybook.deliver.erased_items import ErasedItems
from tallybook.ingest import SeenSummaries, erase_events
from tallybook.query import BookReader, BookRecord, EntitySnapshots
from tallybook.storage import EntityLedger, EntityMonths, IdentityLinks, OutboxLedger, RuleLedger, forget_states


class ForgottenEntity(BookRecord, frozen=True, kw_only=True):
    """A deleted user or account. `rows`: rows of the ledger (attributes and their history). `events`: deleted events.
    `rejected`: requests with rejected events. `logged`: requests in logs. Also the distinct counts that it was removed
    from.

    `kept`: metrics that still contain the id as a value of a dimension. `hosts`: hosts whose logs are not on this
    host."""

    kind: str
    id: str
    rows: int
    events: int
    rejected: int
    logged: int
    metrics: list[ForgottenPerson]
    kept: list[str]
    hosts: list[str]


def forget_entity(
    reader: BookReader, kind: str, entity_id: str, metrics: Sequence[str], clock: Callable[[], datetime]
) -> ForgottenEntity:
    """Delete a user or an account. If a step fails, call it again: the ledger is changed last."""
    catalog = reader.project.catalog
    ledger = reader.store.ledger
    links = IdentityLinks(ledger)
    others = links.aliases_of(entity_id) if kind == USERS else []
    if others:
        # Ids that were linked to it belong to the same person.
        links.forget(entity_id)
        more = [forget_entity(reader, kind, other, metrics, clock) for other in others]
        return _together(forget_entity(reader, kind, entity_id, metrics, clock), more)
    settings = catalog.entities.get(kind) or EntitySettings(kind=kind)
    found, kept = forget_entity_in(reader, settings, entity_id, metrics, clock)
    erased = erase_events(reader.project.place, reader.store, catalog, kind, entity_id, clock)
    entities = EntityLedger(ledger)
    items = ErasedItems(catalog, kind, entity_id)
    rows = OutboxLedger(ledger).forget(entity_id, is_of=items.is_of, contains=items.contains)
    rows += entities.forget(kind, entity_id)
    # After the ledger, so that rows which moved from the ledger to a file meanwhile are found in the file.
    rows += EntityMonths(ledger, reader.store.files).forget(kind, entity_id, now=clock())
    rules = RuleLedger(ledger, reader.store.files)
    rows += rules.forget_entity(kind, entity_id) + forget_states(rules, kind, entity_id, now=clock())
    if kind == USERS:
        rows += links.forget(entity_id)
    EntitySnapshots.of(reader.project.place, entities).drop()
    SeenSummaries.of(reader.project.place).drop()
    return ForgottenEntity(
        kind=kind,
        id=entity_id,
        rows=rows,
        events=erased.events,
        rejected=erased.rejected,
        logged=erased.logged,
        metrics=found,
        kept=kept,
        hosts=erased.hosts,
    )


def _together(one: ForgottenEntity, more: Sequence[ForgottenEntity]) -> ForgottenEntity:
    """The combined result for a user and the ids that were linked to it."""
    every = [one, *more]
    return ForgottenEntity(
        kind=one.kind,
        id=one.id,
        rows=sum(each.rows for each in every),
        events=sum(each.events for each in every),
        rejected=sum(each.rejected for each in every),
        logged=sum(each.logged for each in every),
        metrics=[found for each in every for found in each.metrics],
        kept=sorted({name for each in every for name in each.kept}),
        hosts=sorted({host for each in every for host in each.hosts}),
    )
