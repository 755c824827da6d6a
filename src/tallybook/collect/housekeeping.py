"""Keeps the number of a book's files small: folds the months of closed years, and deletes what no kept version
needs."""

from __future__ import annotations

from datetime import datetime

from tallybook.collect.report import RunReport
from tallybook.core import ENTITY_KINDS
from tallybook.query import BookReader
from tallybook.storage import FOLDABLE_FILES, LOOSE_FILES, STRAY_HOURS, EntityMonths, is_clock_confirmed


def keep_house(reader: BookReader, report: RunReport, now: datetime) -> None:
    """Compact the book after a run if it is worthwhile, because every daily run leaves some files behind.

    A year is folded only by a run that collected nothing in it, because a backfill may continue in the next run."""
    settings, store = reader.project.catalog.book, reader.store
    collected = [metric.first for metric in report.metrics if metric.first]
    months = [last for _, last in store.foldable(reader.today)]
    if len(months) >= FOLDABLE_FILES and collected and min(collected) > max(months):
        with reader.reading() as reading:
            store.compact(reading.engine, today=reader.today, run=report.run, now=now)
    loose = store.loose(now=now, keep_days=settings.keep_versions, zone=settings.timezone)
    if loose >= LOOSE_FILES or store.strays(older_than_hours=STRAY_HOURS):
        store.clean(now=now, keep_days=settings.keep_versions, zone=settings.timezone)
    keep_entities(reader, now)


def keep_entities(reader: BookReader, now: datetime) -> int:
    """Write attribute changes of closed months to files, and delete those that `history` no longer keeps."""
    catalog, store = reader.project.catalog, reader.store
    months, zone = EntityMonths(store.ledger, store.files), catalog.book.timezone
    settings = {kind: catalog.entities.get(kind) for kind in ENTITY_KINDS}
    days = {kind: one.history if one else None for kind, one in settings.items()}
    if any(days.values()) and not is_clock_confirmed(store.ledger, now):
        days = dict.fromkeys(days)
    return sum(months.keep_house(kind, days=kept, zone=zone, now=now) for kind, kept in days.items())


def compact(reader: BookReader, now: datetime) -> dict[str, int]:
    """Fold and delete everything possible. Returns {"folded": …, "deleted": …} with numbers of files."""
    if not reader.has_book:
        return {"folded": 0, "deleted": 0}
    settings, store = reader.project.catalog.book, reader.store
    with reader.reading() as reading:
        folded = store.compact(reading.engine, today=reader.today, run=None, now=now)
    deleted = store.clean(now=now, keep_days=settings.keep_versions, zone=settings.timezone)
    keep_entities(reader, now)
    return {"folded": folded, "deleted": deleted}
