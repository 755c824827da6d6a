"""Columns and rows of a result. Each value has the type of its column."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal

import msgspec

Role = Literal["period", "dimension", "metric"]
Type = Literal["date", "text", "integer", "decimal", "float"]
Number = int | Decimal | float
Row = dict[str, Any]


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One column of a result. `show` is how days were combined into the period (total, last, average, …)."""

    name: str
    role: Role
    type: Type
    unit: str | None = None
    unit_from: str | None = None
    """The dimension with the unit of each row."""
    show: str | None = None
    title: str | None = None
    format: str | None = None
    scale: int | None = None
    """Minimum number of digits after the point in output for people, if declared."""

    @property
    def facts(self) -> dict[str, Any]:
        """The column in its JSON form, for functions that accept either."""
        return {
            "name": self.name,
            "type": self.type,
            "unit": self.unit,
            "unit_from": self.unit_from,
            "title": self.title,
        }

    @property
    def label(self) -> str:
        """The title, else the name."""
        return self.title or self.name


def value_in(row: Row, name: str) -> Any:
    """A value of a row. `total` and `others` may be absent: then they are False."""
    return bool(row.get(name)) if name in ("total", "others") else row[name]


def is_complete_for(row: Row, metric: str) -> bool:
    """Whether the value of a metric covers all days of its period. `complete` of the row describes the metric with the
    fewest days; the notes of a metric have its own."""
    notes = row.get("notes")
    note = notes.get(metric) if notes else None
    return bool(note.get("complete", row["complete"]) if note else row["complete"])


NOT_FINITE = "the result is not a finite number"


def tidy_row(row: Row, metrics: list[Column]) -> Row:
    """The row with each metric value converted to the type of its column. NaN and infinity become None with a
    reason."""
    for column in metrics:
        value = row[column.name]
        if value is None or (type(value) is int and column.type == "integer"):
            continue
        tidy = None if not _finite(value) else _AS_TYPE[column.type](value, column)
        if tidy is not value:
            row = row | {column.name: tidy}
        if tidy is None:
            notes = row.get("notes") or {}
            note = {"why": NOT_FINITE} | notes.get(column.name, {})
            row = row | {"notes": notes | {column.name: note}}
    return row


def _finite(value: Number) -> bool:
    return value.is_finite() if isinstance(value, Decimal) else math.isfinite(value)


def _as_integer(value: Number, column: Column) -> int:
    whole = int(value)
    if whole != value:
        raise ValueError(f"{column.name!r} is an integer column and {value!r} is not an integer")
    return whole


def _as_decimal(value: Number, column: Column) -> Decimal:
    if isinstance(value, float):
        raise ValueError(f"{column.name!r} is an exact decimal column and {value!r} is a float")
    if not isinstance(value, Decimal):
        return Decimal(value)
    return value if value or not value.is_signed() else value.copy_abs()


def _as_float(value: Number, column: Column) -> float | None:
    if type(value) is float:
        return 0.0 if value == 0 and math.copysign(1, value) < 0 else value  # no minus zero
    try:
        return float(value)
    except OverflowError:
        return None


_AS_TYPE: dict[str, Callable[[Number, Column], Number | None]] = {
    "integer": _as_integer,
    "decimal": _as_decimal,
    "float": _as_float,
}
