"""The rows of a database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.oracle.terms import Row


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column. `type` is what it means:

    int, bigint, decimal (with precision and scale), float, text, bool
    timestamp        a naive datetime in UTC               timestamptz  an aware datetime
    timestamp_local  a naive datetime by the book's clock  date         a plain date
    epoch_s, epoch_ms  whole seconds or milliseconds since 1970
    """

    name: str
    type: str
    precision: int = 18
    scale: int = 0
    real: bool = False
    """A decimal that its database keeps as a float (SQLite): its sums are exact, single values nearly so."""
    form: str = " "
    """What stands between date and time where times are text: ' ' or 'T'."""

    @property
    def is_time(self) -> bool:
        return self.type in STORED

    def moment(self, value: Any) -> Any:
        """`value` as an instant, or as a naive local datetime, or as a date."""
        if self.type == "timestamp":
            return value.replace(tzinfo=UTC)
        if self.type == "epoch_s":
            return datetime.fromtimestamp(value, UTC)
        if self.type == "epoch_ms":
            return datetime.fromtimestamp(value // 1000, UTC) + timedelta(milliseconds=value % 1000)
        return value


STORED = {
    "timestamp": None,
    "timestamptz": None,
    "timestamp_local": "local",
    "date": None,
    "epoch_s": "epoch_s",
    "epoch_ms": "epoch_ms",
}
"""Column types that hold times, and the `stored` that is declared for them where databases have the type."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows as they are in the database. Each has an `id`, which no other row has or had."""

    name: str
    columns: tuple[Column, ...]
    rows: list[Row]

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)


Tables = Mapping[str, Table]
