"""Finds our cells in a workbook by defined names, and reads what a grid needs to know about its sheet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from tallybook.core import Column, DestinationError, Number
from tallybook.deliver.destinations.excel.new.pages import clean_text
from tallybook.deliver.destinations.excel.new.table import excel_format
from tallybook.deliver.destinations.layout import NUMBER, Grid, Value
from tallybook.deliver.destinations.row_keys import key_text
from tallybook.sheets import Area, Package, Styles, Workbook, WorkbookSheet, WorkbookTable

if TYPE_CHECKING:
    from tallybook.deliver.destinations.excel.update.grids import WorkbookPlace

PERIODS = "periods"
"""The defined name for the periods of a grid in layout across."""


@dataclass
class Ours:
    """The position of our cells: the heading row, the last row, and the column of each field. Without columns, nothing
    was written yet."""

    head: int = 1
    bottom: int = 1
    columns: dict[str, int] = field(default_factory=dict)
    periods: range = range(0)
    retired: set[int] = field(default_factory=set)
    """Columns that are no longer delivered."""

    @property
    def rows(self) -> range:
        return range(self.head + 1, self.bottom + 1)

    @property
    def all_columns(self) -> set[int]:
        return {*self.columns.values(), *self.periods, *self.retired}


class OurCells:
    """A grid, and the cells of its sheet that earlier deliveries wrote."""

    tab: str
    old: Ours
    part_name: str
    sheet: WorkbookSheet
    tables: dict[str, WorkbookTable]
    table: tuple[str, WorkbookTable] | None
    heads: int
    """The heading row."""
    columns: dict[str, int]
    rows: list[int]
    bottom: int

    def __init__(self, package: Package, place: WorkbookPlace, grid: Grid) -> None:
        self.package, self.place, self.grid = package, place, grid
        self.book = Workbook(package)
        self.prefix = f"{place.name}."
        styles = next((r.target for r in package.relations(package.book) if r.kind == "styles"), None)
        if styles is None:
            raise DestinationError("the workbook has no styles", hint="open and save it in a spreadsheet program")
        self.styles = Styles(package.part(styles))
        self.patterns: dict[str, str] = {}
        self._written: dict[tuple[str, str], frozenset[str]] = {}
        self._usual_looks: dict[int, int | None] = {}

    # where our cells are

    def _where(self) -> tuple[str, Ours]:
        """The tab and our cells in it, by the defined names. If there are no such names, the declared tab."""
        ids = {field_name(f.id): f.id for f in self.grid.fields if f.day is None}
        found = {}
        for written in self.book.names(self.prefix):
            refers = self.book.area(self.prefix + written)
            if refers is not None and self.book.part_of(refers[0]):
                found[written] = refers
        keys = [name for name in ids if name in found]
        if not keys or not self._begins(found):
            self._refuse_names_of_people(found, {*ids, PERIODS})
            return self.place.tab, Ours()
        tab, first = found[keys[0]]
        here = {name: at for name, (sheet, at) in found.items() if sheet == tab and _beside(name, at, first)}
        ours = Ours(head=first.top - 1, bottom=max(at.bottom for name, at in here.items() if name != PERIODS))
        for name, at in here.items():
            if name == PERIODS and self.grid.layout == "across":
                ours.periods = range(at.left, at.right + 1)
            elif name in ids:
                ours.columns[ids[name]] = at.left
            elif name != PERIODS and self.book.is_ours(self.prefix + name):
                ours.retired.add(at.left)
        return tab, ours

    def _begins(self, found: dict[str, tuple[str, Area]]) -> bool:
        """Whether the first of our columns exists. If so, a delivery created these names."""
        return "period" in found or "metric" in found

    def _refuse_names_of_people(self, found: dict[str, tuple[str, Area]], wanted: set[str]) -> None:
        taken = next((name for name in found if name in wanted), None)
        if taken is not None:
            sheet, at = found[taken]
            raise DestinationError(
                (
                    f"the name {self.prefix}{taken} is taken by {at.fixed(sheet)} of the workbook, and the delivery "
                    "needs it"
                ),
                hint="delete the name in the workbook, or rename the delivery",
            )

    def _refuse_another_layout(self) -> None:
        there = set(self.book.names(self.prefix))
        was = "across" if PERIODS in there else "long" if "metric" in there else "columns" if "period" in there else ""
        if self.old.columns and was != self.grid.layout:
            raise DestinationError(
                f"tab {self.tab!r} has the layout {was}; the delivery is now laid out {self.grid.layout}",
                hint="delete the tab in the workbook, or deliver to another tab",
            )

    def _our_table(self) -> tuple[str, WorkbookTable] | None:
        if not self.old.columns:
            return None
        first = Area(self.old.head, min(self.old.columns.values()), self.old.head + 1, max(self.old.columns.values()))
        return next(((n, t) for n, t in self.tables.items() if t.area.meets(first)), None)

    @property
    def _days(self) -> set[str]:
        return {f.id for f in self.grid.fields if f.day is not None}

    # values in the workbook

    @staticmethod
    def _key_cell(value: float | str | None) -> float | str | None:
        """A cell of a key. A null is None, and an empty text has a key of its own."""
        return key_text(value) if isinstance(value, str) else value

    def _plain(self, value: Value) -> float | str | None:
        """A key value in the form in which it is read back from a cell."""
        if isinstance(value, date):
            serial = self._serial(value)
            return self.grid.period_text(value) if serial is None else float(serial)
        return None if value is None else clean_text(str(value))

    def _serial(self, day: date) -> int | None:
        """The number of a day in the workbook's calendar, or None for days before the calendar is reliable."""
        if day.year <= 1900:
            return None
        serial = (day - date(1899, 12, 30)).days - (1462 if self.book.counts_from_1904 else 0)
        return serial if serial > 0 else None

    def _pattern(self, column: Column | None) -> str:
        if column is None:
            return ""
        if column.name not in self.patterns:
            self.patterns[column.name] = excel_format(column, list(self._numbers_of(column)))
        return self.patterns[column.name]

    def _numbers_of(self, column: Column) -> Iterator[Number]:
        for line in self.grid.lines:
            for f, value in zip(self.grid.fields, line.values, strict=True):
                mine = f.kind == NUMBER and (f.column or line.column) == column
                if mine and value is not None and not isinstance(value, str | date):
                    yield value


def field_name(name: str) -> str:
    """A field's name in the form used in a defined name."""
    return re.sub(r"\W", "_", name)


def _beside(name: str, at: Area, first: Area) -> bool:
    """Whether the name begins in the row of the first column, or in the heading row above. Otherwise a person created
    it."""
    return at.top == (first.top - 1 if name == PERIODS else first.top)
