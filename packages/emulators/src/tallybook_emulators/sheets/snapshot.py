"""The content of a spreadsheet, for tests."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from tallybook_emulators.sheets import metadata
from tallybook_emulators.sheets.a1 import Rect, parse
from tallybook_emulators.sheets.model import Document, Json, Sheet
from tallybook_emulators.sheets.service import sheet_json
from tallybook_emulators.sheets.view import View


@dataclass(frozen=True, eq=False)
class Tab:
    """A tab at the time of the snapshot. Rows and columns count from 0."""

    id: int
    title: str
    rows: int
    columns: int
    resource: Json
    """The tab as a Sheet of the API, without its cells."""
    _view: View
    _sheet: Sheet

    @cached_property
    def values(self) -> list[list[Any]]:
        """The values: formulas evaluated, dates as serial numbers. Trailing empty rows and cells are left out."""
        return self._read("UNFORMATTED_VALUE")

    @cached_property
    def shown(self) -> list[list[str]]:
        """The displayed texts."""
        return self._read("FORMATTED_VALUE")

    @cached_property
    def entered(self) -> list[list[Any]]:
        """The entered content: formulas as text."""
        return self._read("FORMULA")

    def _read(self, option: str) -> list[list[Any]]:
        return self._view.values(self._sheet, Rect(0, self.rows, 0, self.columns), option=option, dates="SERIAL_NUMBER")

    def cell(self, name: str) -> Json:
        """The CellData of a cell, such as "B2". Empty for an empty cell."""
        span = parse(name)
        assert span is not None, f"{name!r} is not a cell"
        return copy.deepcopy(self._view.cell_data(self._sheet, span.r0, span.c0))

    def value(self, name: str) -> Any:
        """The evaluated value of a cell, such as "B2"."""
        span = parse(name)
        assert span is not None, f"{name!r} is not a cell"
        return self._view.rendered(self._sheet, span.r0, span.c0, "UNFORMATTED_VALUE", "SERIAL_NUMBER")

    def number_format(self, name: str) -> Mapping[str, str]:
        """The number format set on a cell. Empty without one."""
        return dict(self.cell(name).get("userEnteredFormat", {}).get("numberFormat", {}))


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The content of a spreadsheet at one moment."""

    id: str
    title: str
    locale: str
    time_zone: str
    version: int
    tabs: list[Tab]
    metadata: list[Json]
    """All DeveloperMetadata with their locations, ordered by id."""
    named_ranges: list[Json]

    def tab(self, title: str) -> Tab:
        return next(tab for tab in self.tabs if tab.title == title)

    def __getitem__(self, title: str) -> Tab:
        return self.tab(title)


def snapshot_of(document: Document, now: datetime) -> Snapshot:
    """A snapshot of a document. Later changes of the document do not affect it."""
    frozen = document.fork(document.owner, now)
    view = View(frozen, now)
    return Snapshot(
        document.id,
        document.properties["title"],
        document.locale,
        document.properties["timeZone"],
        document.version,
        [_tab(view, sheet, document.owner) for sheet in frozen.sheets],
        [metadata.as_json(one, frozen) for one in sorted(frozen.metadata.values(), key=lambda one: one.id)],
        frozen.named_ranges,
    )


def _tab(view: View, sheet: Sheet, owner: str) -> Tab:
    resource = sheet_json(view, sheet, [], owner, grid=False)
    return Tab(sheet.id, sheet.title, len(sheet.rows), len(sheet.columns), resource, view, sheet)
