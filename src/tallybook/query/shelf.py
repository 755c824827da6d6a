"""Points files as relations of the engine; those asked for again are kept in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import TYPE_CHECKING

from tallybook.engines.duckdb import widened
from tallybook.measure import ADDITIVE
from tallybook.points import MERGE, SCHEMAS, columns
from tallybook.query.merge import TOTALS, Points

if TYPE_CHECKING:
    import duckdb

    from tallybook.store.ledger import File

MOST_ROWS = 5_000_000
"""Additive points of a version are kept in memory up to so many: about 100 bytes each."""


class Shelf:
    """The points of one version after another. The first question of a version reads files, the next memory."""

    def __init__(self, engine: duckdb.DuckDBPyConnection, scan: Callable[[Sequence[File]], str]) -> None:
        self.engine, self.scan = engine, scan
        self.asked = self.kept = -1

    def relation(self, version: int, files: Sequence[File]) -> Callable[[str, str, date, date], Points]:
        """(kind, metric, first, last) → a relation that holds all points of these, and maybe others."""
        self._keep(version, [f for f in files if f.kind == ADDITIVE])

        def found(kind: str, metric: str, first: date, last: date) -> Points:
            if kind in (ADDITIVE, TOTALS) and self.kept == version:
                return Points(f"kept_{kind}")
            kind = ADDITIVE if kind == TOTALS else kind
            there = [
                f for f in files if f.kind == kind and f.metric in ("", metric) and f.first <= last and f.last >= first
            ]
            if not there:
                return Points(_nothing(kind))
            days = (min(f.first for f in there), max(f.last for f in there))
            return Points(self.scan(there), apart=kind != ADDITIVE, days=days)

        return found

    def _keep(self, version: int, files: Sequence[File]) -> None:
        again, self.asked = version == self.asked, version
        if self.kept == version or not again or not files or sum(f.rows for f in files) > MOST_ROWS:
            return
        names = ", ".join(columns(ADDITIVE))
        self.engine.execute(
            f"CREATE OR REPLACE TEMP TABLE kept_additive AS SELECT {names} FROM {self.scan(files)} "
            "ORDER BY metric, definition, slot, day"
        ).fetchall()
        widened(self._keep_totals)
        self.kept = version

    def _keep_totals(self, wide: bool) -> None:
        """The additive points without their dimensions: one row for each slot and day; with `wide` as they are."""
        how = MERGE.items() if not wide else dict.fromkeys(MERGE, "").items()
        merged = ", ".join(f"{merge}({part}) AS {part}" for part, merge in how)
        grouped = "" if wide else " GROUP BY ALL"
        self.engine.execute(
            f"CREATE OR REPLACE TEMP TABLE kept_totals AS SELECT metric, definition, slot, day, {merged} "
            f"FROM kept_additive{grouped} ORDER BY metric, definition, slot, day"
        ).fetchall()


def _nothing(kind: str) -> str:
    typed = ", ".join(f"NULL::{type_} AS {name}" for name, type_ in SCHEMAS[kind])
    return f"(SELECT {typed} WHERE FALSE)"
