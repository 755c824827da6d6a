"""History from a person or another tool: finished values of days that can no longer be collected.

They are stored as points under a definition of their own (`imported-…`), so that no value ever combines imported and
collected points. `read` opens a file, `cells` reads days and numbers, `points` creates the definition."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from tallybook.collect.additive_rows import AdditiveRows
from tallybook.collect.binding import BoundMetric
from tallybook.collect.history.points import History
from tallybook.collect.publishing import published
from tallybook.collect.revise import revisions
from tallybook.collect.run_lease import exclusive_run
from tallybook.collect.staging import Staging
from tallybook.core import FLOAT, IMPORTED, calendar, is_close
from tallybook.storage import Commit, Covered, Definition, Store, connect

WHAT = "import"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A day and series for which the file and the collected value differ."""

    day: date
    series: dict[str, str | None]
    imported: Decimal | None
    collected: Any


@dataclass(kw_only=True)
class Imported:
    """The result of an import. `days`: days in the file. `new`: new days among them. `revised`: values that replaced
    other values.

    `version` is 0 if nothing was stored. `compared`: days that are collected too. `differences`: those that differ."""

    metric: str
    definition: str
    days: list[date]
    values: int
    new: int = 0
    revised: int = 0
    version: int = 0
    compared: int = 0
    differences: list[Difference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return {
            "metric": self.metric,
            "definition": self.definition,
            "from": str(self.days[0]),
            "to": str(self.days[-1]),
            "days": len(self.days),
            "values": self.values,
            "new_days": self.new,
            "revised": self.revised,
            "version": self.version,
            "compared": self.compared,
            "notes": self.notes,
            "differences": [
                {"day": str(d.day), "series": d.series, "imported": d.imported, "collected": d.collected}
                for d in self.differences
            ],
        }


def store_history(store: Store, found: History, clock: Callable[[], datetime], *, dry_run: bool = False) -> Imported:
    """Store the values of a table in place of earlier imports for these days. Values that are already stored are not
    stored again. Raises Busy during a run."""
    bound, days = found.bound, found.days
    told = Imported(metric=bound.metric.name, definition=bound.definition, days=days, values=len(found.values))
    engine = connect()
    try:
        staging = Staging(engine, len(bound.metric.dims))
        staging.additive("new_additive", _rows(found))
        if dry_run:
            _changes(store, engine, found, told)
            return told
        with exclusive_run(store, clock, WHAT) as (lease, run, report):
            change = _changes(store, engine, found, told)
            report["metrics"].append({"metric": told.metric, "days": told.new, "revisions": told.revised})
            if change.covered:
                told.version = store.publish(engine, change, lease=lease, run=run, now=clock())
                if bound.key != told.metric:
                    store.ledger.bind_key(told.metric, bound.key)
    finally:
        engine.close()
    return told


def _changes(store: Store, engine: Any, found: History, told: Imported) -> Commit:
    """The commit with everything to store. Its size is recorded in `told`."""
    bound, days = found.bound, found.days
    known = store.snapshot([bound.key])
    covered = known.coverage.get((bound.key, bound.definition), ())
    again = [day for s in covered for day in calendar.days(s.first, s.last) if day in set(days)]
    old = functools.partial(published, store, known, bound.key, again)
    revised = revisions(engine, bound, again, old)
    told.new, told.revised = len(days) - len(again), len(revised)
    imported = [d.id for d in known.definitions.get(bound.key, ()) if d.declared == IMPORTED]
    if imported and imported[0] != bound.definition:
        told.notes.append(
            f"it has other dimensions than {imported[0]}, which was imported before and answers no more once "
            "this is stored"
        )
    elif not told.new and not told.revised:
        return Commit(what=WHAT)
    # An answer as of a past day uses the last import before that day.
    what = f"{WHAT} {bound.key} {bound.definition}"
    body = msgspec.json.encode(bound).decode()
    return Commit(
        what=what,
        revisions=revised,
        covered=[Covered(metric=bound.key, definition=bound.definition, days=days)],
        definitions=[Definition(metric=bound.key, id=bound.definition, declared=IMPORTED, body=body)],
    )


def _rows(found: History) -> AdditiveRows:
    """Rows with one part per value, because a finished value cannot be split into parts."""
    bound, rows = found.bound, AdditiveRows()
    facts = BoundMetric(bound=bound, relation="", time=None, since=None, until=None, dims=(), args=((),))
    for (day, dims), value in found.values.items():
        parts: dict[str, Any] = {"total_f": float(value)} if bound.slots[0].type == FLOAT else {"total": value}
        rows.add(facts, 0, day, dims, 1, parts | {"n": 1})
    return rows


def differences(found: History, rows: Sequence[dict[str, Any]], covered: set[date]) -> tuple[int, list[Difference]]:
    """The number of days that both have, and the differences on them. `rows` are the collected values, by day and the
    same dimensions."""
    name, dims = found.bound.metric.name, found.bound.metric.dims
    both = covered & set(found.days)
    collected = {(row["period"], tuple(row[d] for d in dims)): row[name] for row in rows if row["period"] in both}
    told = []
    for point in sorted({*collected, *(p for p in found.values if p[0] in both)}, key=repr):
        here, there = found.values.get(point), collected.get(point)
        if not _same(here, there):
            series = dict(zip(dims, point[1], strict=True))
            told.append(Difference(day=point[0], series=series, imported=here, collected=there))
    return len(both), told


def _same(imported: Decimal | None, collected: Any) -> bool:
    """Whether two values are equal. A series that is missing on one side counts as zero there."""
    here, there = imported or 0, collected or 0
    if isinstance(there, float):
        return is_close(here, there)
    return here == there
