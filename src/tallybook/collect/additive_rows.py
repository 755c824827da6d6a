"""Gathers additive parts in columns before they go into the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from tallybook.core import ADDITIVE, EXACT, PART_TYPES, ArrowColumn, ArrowTable, arrow_column, arrow_constant

if TYPE_CHECKING:
    from tallybook.collect.binding import BoundMetric


class AdditiveRows:
    """Additive parts gathered in columns, and passed to the engine in large batches."""

    def __init__(self) -> None:
        self.number = 0
        """Number of rows gathered so far."""
        self._batches: list[dict[str, ArrowColumn]] = []
        self._single: dict[tuple[str, str, int, int, tuple[str, ...]], RowColumns] = {}

    def add(
        self, facts: BoundMetric, slot: int, day: date, dims: Sequence[str | None], rows: int, parts: Mapping[str, Any]
    ) -> None:
        """Add one series of one slot on one day."""
        known = {part: value for part, value in parts.items() if value is not None}
        key = (facts.bound.key, facts.bound.definition, slot, len(dims), tuple(known))
        column = self._single.setdefault(key, RowColumns([], [], [], {part: [] for part in known}))
        column.days.append(day)
        column.dims.append(dims)
        column.rows.append(rows)
        for part, value in known.items():
            column.parts[part].append(value)
        self.number += 1

    def column(
        self,
        facts: BoundMetric,
        slot: int,
        days: ArrowColumn,
        dims: Sequence[ArrowColumn],
        rows: Sequence[int],
        parts: Mapping[str, Sequence[Any]],
    ) -> None:
        """Add many series and days of one slot."""
        self._keep((facts.bound.key, facts.bound.definition, slot), days, dims, rows, parts)
        self.number += len(rows)

    def _keep(
        self,
        key: tuple[str, str, int],
        days: ArrowColumn,
        dims: Sequence[ArrowColumn],
        rows: Sequence[int],
        parts: Mapping[str, Sequence[Any]],
    ) -> None:
        metric, definition, slot = key
        self._batches.append(
            {
                "metric": arrow_constant(metric, len(rows), "VARCHAR"),
                "definition": arrow_constant(definition, len(rows), "VARCHAR"),
                "slot": arrow_constant(slot, len(rows), "SMALLINT"),
                "day": days,
                **{f"d{place}": values for place, values in enumerate(dims, start=1)},
                "rows": arrow_column(rows, "BIGINT"),
                **{part: _part_column(part, values) for part, values in parts.items()},
            }
        )

    def taken(self) -> ArrowTable:
        """Return everything gathered so far, and clear it."""
        for (metric, definition, slot, width, _), one in self._single.items():
            dims = [arrow_column([d[place] for d in one.dims], "VARCHAR") for place in range(width)]
            self._keep((metric, definition, slot), arrow_column(one.days, "DATE"), dims, one.rows, one.parts)
        types = {name: column.type for batch in self._batches for name, column in batch.items()}
        table = ArrowTable.of_batches(types, self._batches)
        self._batches, self._single, self.number = [], {}, 0
        return table


@dataclass
class RowColumns:
    """Rows of one slot that were added one at a time and have the same parts."""

    days: list[date]
    dims: list[Sequence[str | None]]
    rows: list[int]
    parts: dict[str, list[Any]]


def _part_column(part: str, values: Sequence[Any]) -> ArrowColumn:
    type_ = PART_TYPES[ADDITIVE][part]
    return arrow_column([_at_scale(value) for value in values] if type_ == EXACT else values, type_)


def _at_scale(value: Any) -> Any:
    from decimal import Decimal

    return value if value is None or isinstance(value, int | Decimal) else Decimal(value)
