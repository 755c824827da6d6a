"""A spreadsheet as tests read it."""

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
    """One tab. Rows and columns count from 0. Cells are read when they are asked for, as they were then."""

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
        """What the cells hold, formulas evaluated, dates as serial numbers; without trailing empty rows and cells."""
        return self._read("UNFORMATTED_VALUE")

    @cached_property
    def shown(self) -> list[list[str]]:
        """What the cells show."""
        return self._read("FORMATTED_VALUE")

    @cached_property
    def entered(self) -> list[list[Any]]:
        """What was entered: formulas as their text."""
        return self._read("FORMULA")

    def _read(self, option: str) -> list[list[Any]]:
        return self._view.values(self._sheet, Rect(0, self.rows, 0, self.columns), option=option, dates="SERIAL_NUMBER")

    def cell(self, name: str) -> Json:
        """A cell's CellData by its A1 name; empty where there is nothing."""
        span = parse(name)
        assert span is not None, f"{name!r} is no cell"
        return copy.deepcopy(self._view.cell_data(self._sheet, span.r0, span.c0))

    def value(self, name: str) -> Any:
        """What the cell of that A1 name holds, evaluated."""
        span = parse(name)
        assert span is not None, f"{name!r} is no cell"
        return self._view.rendered(self._sheet, span.r0, span.c0, "UNFORMATTED_VALUE", "SERIAL_NUMBER")

    def number_format(self, name: str) -> Mapping[str, str]:
        """The cell's own number format; empty for none."""
        return dict(self.cell(name).get("userEnteredFormat", {}).get("numberFormat", {}))


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A spreadsheet at one moment."""

    id: str
    title: str
    locale: str
    time_zone: str
    version: int
    tabs: list[Tab]
    metadata: list[Json]
    """Every DeveloperMetadata with its place, by id."""
    named_ranges: list[Json]

    def tab(self, title: str) -> Tab:
        return next(tab for tab in self.tabs if tab.title == title)

    def __getitem__(self, title: str) -> Tab:
        return self.tab(title)


def taken(document: Document, now: datetime) -> Snapshot:
    """A snapshot of a document; the document's own later forks do not reach it."""
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
