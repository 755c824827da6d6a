"""Deliveries: questions whose answers a destination keeps up to date."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec

LAYOUTS = ("long", "columns", "across")


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """`[deliveries.NAME]`: a question whose answer a destination keeps up to date."""

    name: str
    to: str = ""
    path: str = ""
    metrics: tuple[str, ...] = ()
    scope: str = "day"
    by: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    from_: date | None = None
    last: str | None = None
    layout: str = "columns"
    """long (a row per metric), columns (a column per metric) or across (a column per period)."""
    tab: str | None = None
    totals: bool = False
    fill: bool = False
    options: dict[str, Any] = {}
    """Values of the destination's own keys, as its options read them. Keys that are not given are absent."""

    def __repr__(self) -> str:
        return f"Delivery({self.name!r}, to={self.to!r})"  # its options may be secret

    @property
    def tab_name(self) -> str:
        """The sheet of the workbook."""
        return self.tab or self.name
