"""Points files as relations of the engine; those asked for again are kept in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import TYPE_CHECKING

from tallybook.measure import ADDITIVE
from tallybook.points import SCHEMAS, columns
from tallybook.query.merge import TOTALS, Points

if TYPE_CHECKING:
    import duckdb

    from tallybook.store.ledger import File

MOST_ROWS = 5_000_000
"""Additive points of a version are kept in memory up to so many: about 100 bytes each."""


_LIMITS = (("low", "min"), ("high", "max"), ("low_f", "min"), ("high_f", "max"))


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
        sums = ", ".join(f"sum({part}) AS {part}" for part in ("rows", "n", "total", "total_f", "s1", "s2"))
        limits = ", ".join(f"{how}({part}) AS {part}" for part, how in _LIMITS)
        self.engine.execute(
            f"CREATE OR REPLACE TEMP TABLE kept_totals AS SELECT metric, definition, slot, day, {sums}, {limits} "
            "FROM kept_additive GROUP BY ALL ORDER BY ALL"
        ).fetchall()
        self.kept = version


def _nothing(kind: str) -> str:
    typed = ", ".join(f"NULL::{type_} AS {name}" for name, type_ in SCHEMAS[kind])
    return f"(SELECT {typed} WHERE FALSE)"
