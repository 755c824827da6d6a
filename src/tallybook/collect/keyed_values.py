"""SQL of the id or value columns of points, built from the key columns of a statement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from tallybook.core import BUCKETS, EXACT, FLOAT, IDS, ONE_DAY, hashed_id

if TYPE_CHECKING:
    from tallybook.collect.binding import BoundMetric
    from tallybook.core import BoundSlot


@dataclass(frozen=True, kw_only=True)
class KeyedRows:
    """Rows of a statement with the ids or values of one slot: day?, dimensions, keys and counts, as columns c0, c1 …"""

    facts: BoundMetric
    index: int
    shape: str
    first: date
    split: bool
    """Whether c0 counts days from `first`. Otherwise all rows belong to that day."""
    sign: int = 1
    """For intervals: 1 for rows that begin, −1 for rows that end."""
    count: str
    """The column with the number of rows."""
    keys: Sequence[str]
    unit: int
    """The number of units per 1 in which values are given."""
    only: str = ""
    """A condition on the rows, if several slots share them."""

    @property
    def type(self) -> BoundSlot:
        return self.facts.bound.slots[self.index]

    @property
    def heads(self) -> str:
        """SQL of metric, definition, slot, day and dimensions."""
        bound, at = self.facts.bound, 1 if self.split else 0
        day = f"DATE '{self.first}' + CAST(c0 AS INTEGER)" if self.split else f"DATE '{self.first}'"
        dims = [f"c{at + i} AS d{i + 1}" for i in range(len(self.facts.metric.dims))]
        own = [f"'{bound.key}' AS metric", f"'{bound.definition}' AS definition", f"{self.index} AS slot"]
        return ", ".join([*own, f"{day} AS day", *dims])

    @property
    def values(self) -> str:
        """SQL of the id and value columns."""
        bound, keys = self.type, self.keys
        if bound.ids == "time":
            return f"{_time_sql(self.facts, keys[0])} AS id, {_number_sql(bound, keys[1], self.unit)}"
        if self.shape == IDS and bound.ids == "int":
            return f"{keys[0]} AS id"
        if self.shape == IDS and bound.ids == "hash":
            counts_null = self.facts.bound.measure.slots[self.index].counts_null
            return f"{hashed_id(keys, counts_null=counts_null)} AS id"
        if self.shape == BUCKETS:
            return f"{keys[0]} AS low_f"
        column = _number_sql(bound, keys[0], self.unit)
        if self.shape == IDS:
            return f"{column}, NULL::BIGINT AS id"
        return column.replace("AS value_f", "AS low_f") if bound.type == FLOAT else f"{column}, 0.0 AS low_f"


def _number_sql(bound: BoundSlot, key: str, unit: int) -> str:
    """SQL of a number as stored: `value` if it is exact, otherwise `value_f`."""
    from decimal import Decimal

    if bound.type == FLOAT:
        return f"{key} AS value_f"
    exact = f"CAST({key} AS DECIMAL(28,0)) * CAST('{Decimal(1) / unit:f}' AS DECIMAL(10,10))" if unit > 1 else key
    return f"CAST({exact} AS {EXACT}) AS value"


def _time_sql(facts: BoundMetric, key: str) -> str:
    """SQL of a time from a source, as microseconds that increase with the time."""
    assert facts.time is not None
    if facts.time.name in ("epoch_s", "epoch_ms"):
        unit = 1_000_000 if facts.time.name == "epoch_s" else 1000
        return f"CAST(CAST({key} AS DECIMAL(38,6)) * {unit} AS BIGINT)"
    type_ = "TIMESTAMPTZ" if facts.time.name in ("instant", "text_offset") else "TIMESTAMP"
    return f"epoch_us(CAST(replace({key}, ',', '.') AS {type_}))"


def opening_day(first: date) -> date:
    """The day under which an interval's opening balance is staged."""
    return first - ONE_DAY
