"""Turns rows of fused statements into additive parts, column by column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from tallybook.collect.additive_rows import AdditiveRows
from tallybook.collect.binding import BoundMetric
from tallybook.collect.part_readers import At
from tallybook.collect.plans import AdditivePlan, Read, SlotReader
from tallybook.collect.sources.values import as_integer, as_text
from tallybook.collect.staging import Staging
from tallybook.core import ONE_DAY, ArrowColumn, NotFinite, arrow_column

MAX_VALUES = 2_000_000
"""Maximum number of source values kept in memory unconverted: days × series × columns."""
MAX_POINTS = 500_000
"""Maximum number of points kept before they are passed to the engine."""


class FusedRows:
    """Result rows of fused statements, on their way into a staging table. Each metric gets a row of parts for each row
    that contains facts of it."""

    def __init__(self, staging: Staging, table: str, dims: int) -> None:
        self._staging, self._table, self._dims = staging, table, dims
        self._points = AdditiveRows()
        self._held: dict[tuple[int, int], tuple[AdditivePlan, _Rows]] = {}

    def take(
        self, plan: AdditivePlan, found: Iterable[Sequence[Any]], first: date, *, split: bool, sign: int = 1
    ) -> None:
        """Take the rows (day?, dims…, columns…) of a statement. Days count from `first`. `sign` −1 subtracts them."""
        _, rows = self._held.setdefault((id(plan), sign), (plan, _Rows()))
        at = self._dims + (1 if split else 0)
        for row in found:
            rows.days.append(first + int(row[0]) * ONE_DAY if split else first)
            rows.dims.append(row[1:at] if split else row[:at])
            rows.values.append(row[at:])
        if len(rows.values) * len(plan.columns.expressions) > MAX_VALUES:
            self._turn(plan, rows, sign)

    def stage(self) -> None:
        """Pass all taken rows on."""
        for (_, sign), (plan, rows) in self._held.items():
            self._turn(plan, rows, sign)
        self._staging.additive(self._table, self._points)

    def _turn(self, plan: AdditivePlan, rows: _Rows, sign: int) -> None:
        if not rows.values:
            return
        texts = [[as_text(d[place]) for d in rows.dims] for place in range(self._dims)]
        days, dims = arrow_column(rows.days, "DATE"), [arrow_column(values, "VARCHAR") for values in texts]
        readers: dict[int, list[SlotReader]] = {}
        for reader in plan.slots:
            readers.setdefault(id(reader.facts), []).append(reader)
        for facts, place in plan.rows:
            self._turn_one(facts, place, readers.get(id(facts), []), rows, texts, days, dims, sign)
            if self._points.number > MAX_POINTS:
                self._staging.additive(self._table, self._points)
        rows.clear()

    def _turn_one(
        self,
        facts: BoundMetric,
        place: int,
        readers: Sequence[SlotReader],
        rows: _Rows,
        texts: Sequence[Sequence[str | None]],
        days: ArrowColumn,
        dims: Sequence[ArrowColumn],
        sign: int,
    ) -> None:
        counts = [int(values[place] or 0) for values in rows.values]
        values = rows.values
        if not all(counts):
            kept = [at for at, count in enumerate(counts) if count]
            if not kept:
                return
            days = arrow_column([rows.days[at] for at in kept], "DATE")
            dims = [arrow_column([values[at] for at in kept], "VARCHAR") for values in texts]
            counts, values = [counts[at] for at in kept], [values[at] for at in kept]
        counts = [sign * count for count in counts]
        if not readers or readers[0].index != 0:
            self._points.column(facts, 0, days, dims, counts, {})
        for one in readers:
            try:
                parts = {part: _column(read, values) for part, read in one.parts.items()}
            except NotFinite as error:
                raise NotFinite(error.value, facts.bound.key, one.index) from None
            if sign != 1:
                parts = {part: [v if v is None else -v for v in column] for part, column in parts.items()}
            self._points.column(facts, one.index, days, dims, counts, parts)


def _column(read: Read, values: Sequence[Sequence[Any]]) -> list[Any]:
    """One part of all rows. Whole numbers, the most common case, need no conversion one by one."""
    if isinstance(read, At) and read.convert is as_integer:
        column = [row[read.place] for row in values]
        if {type(value) for value in column} == {int} and min(column) >= -(2**63) and max(column) < 2**63:
            return column
    return [read(row) for row in values]


class _Rows:
    """Rows of one statement: their days, dimensions and values."""

    def __init__(self) -> None:
        self.days: list[date] = []
        self.dims: list[Sequence[Any]] = []
        self.values: list[Sequence[Any]] = []

    def clear(self) -> None:
        self.__init__()  # type: ignore[misc]
