"""Finds firings whose metrics were restated after they fired. Each firing keeps its values and gets the current values
beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from tallybook.core import SUBJECT_BOOK
from tallybook.query import QueryService, book_values, metric_values
from tallybook.storage import DROPPED, Firing, RuleLedger, RulesSnapshot

if TYPE_CHECKING:
    import duckdb

RECHECKED = timedelta(days=35)
"""Firings older than this are not compared again."""


def restated_firings(
    service: QueryService, engine: duckdb.DuckDBPyConnection, ledger: RuleLedger, before: RulesSnapshot
) -> list[Firing]:
    """The firings whose metrics now have other values than when they fired. Empty if the book version has not changed
    since the last full evaluation."""
    if before.at is None or service.reader.version == before.version:
        return []
    recent = ledger.firings(since=service.reader.now - RECHECKED)
    groups: dict[tuple[str, date], list[Firing]] = {}
    for one in recent:
        if one.state != DROPPED:
            groups.setdefault((one.kind, one.day), []).append(one)
    return [found for (kind, day), several in groups.items() for found in _compared(service, kind, day, several)]


def _compared(service: QueryService, kind: str, day: date, firings: Sequence[Firing]) -> list[Firing]:
    catalog = service.catalog
    if kind == SUBJECT_BOOK:
        names = sorted({name for one in firings for name in one.values if name in catalog.metrics})
        values = book_values(service, catalog, names, day) if names else {}
    else:
        settings = catalog.entities.get(kind)
        names = sorted({name for one in firings for name in one.values if settings and name in settings.metrics})
        values = metric_values(service, catalog, settings, day, names) if names and settings else {}
    found = []
    for one in firings:
        now: dict[str, Any] = {}
        known = {**one.values, **(one.restated or {})}
        for name in one.values:
            value, why = values[name].of(one.entity) if name in values else (None, "not a metric")
            if why is None and value != known[name]:
                now[name] = value
        if now:
            found.append(replace(one, restated={**(one.restated or {}), **now}))
    return found
