"""Additive parts that were gathered, in columns, on their way into the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from tallybook.core import ADDITIVE, EXACT, EXACT_DIGITS, PART_TYPES

if TYPE_CHECKING:
    import pyarrow as pa

    from tallybook.collect.binding import BoundMetric


class AdditiveRows:
    """Additive parts gathered in columns, handed to the engine many at a time."""

    def __init__(self) -> None:
        self.number = 0
        """Rows gathered so far."""
        self._tables: list[pa.Table] = []
        self._keys: list[tuple[str, str, int, int]] = []
        """(metric, definition, slot, rows) of each table."""
        self._single: dict[tuple[str, str, int, int, tuple[str, ...]], RowColumns] = {}

    def add(
        self, facts: BoundMetric, slot: int, day: date, dims: Sequence[str | None], rows: int, parts: Mapping[str, Any]
    ) -> None:
        """One series of one slot on one day."""
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
        days: pa.Array,
        dims: Sequence[pa.Array],
        rows: Sequence[int],
        parts: Mapping[str, Sequence[Any]],
    ) -> None:
        """Many series and days of one slot."""
        self._keep((facts.bound.key, facts.bound.definition, slot), days, dims, rows, parts)
        self.number += len(rows)

    def _keep(
        self,
        key: tuple[str, str, int],
        days: pa.Array,
        dims: Sequence[pa.Array],
        rows: Sequence[int],
        parts: Mapping[str, Sequence[Any]],
    ) -> None:
        import pyarrow as pa

        columns = [days, *dims, pa.array(rows, pa.int64()), *(_part_column(*part) for part in parts.items())]
        names = ["day", *(f"d{place}" for place in range(1, len(dims) + 1)), "rows", *parts]
        self._tables.append(pa.table(columns, names))
        self._keys.append((*key, len(rows)))

    def taken(self) -> pa.Table:
        """All that was gathered, which is then forgotten."""
        import pyarrow as pa

        for (metric, definition, slot, width, _), one in self._single.items():
            dims = [pa.array([d[place] for d in one.dims], pa.string()) for place in range(width)]
            self._keep((metric, definition, slot), pa.array(one.days, pa.date32()), dims, one.rows, one.parts)
        table = pa.concat_tables(self._tables, promote_options="default").combine_chunks()
        whose = pa.array([place for place, key in enumerate(self._keys) for _ in range(key[-1])], pa.int32())
        for place, name in enumerate(("metric", "definition")):
            values = pa.array([key[place] for key in self._keys], pa.string())
            table = table.append_column(name, pa.DictionaryArray.from_arrays(whose, values))
        table = table.append_column("slot", pa.array([key[2] for key in self._keys], pa.int16()).take(whose))
        self._tables, self._keys, self._single, self.number = [], [], {}, 0
        return table


@dataclass
class RowColumns:
    """Rows of one slot that came one by one and have the same parts."""

    days: list[date]
    dims: list[Sequence[str | None]]
    rows: list[int]
    parts: dict[str, list[Any]]


def _part_column(part: str, values: Sequence[Any]) -> pa.Array:
    import pyarrow as pa

    type_ = PART_TYPES[ADDITIVE][part]
    if type_ == EXACT:
        return pa.array([_at_scale(value) for value in values], pa.decimal128(*EXACT_DIGITS))
    return pa.array(values, pa.int64() if type_ == "BIGINT" else pa.float64())


def _at_scale(value: Any) -> Any:
    from decimal import Decimal

    if value is None:
        return None
    return value if isinstance(value, Decimal) else Decimal(value)
