"""A spreadsheet in memory: tabs, lines (rows and columns), cells and attached objects.

Each line has an id that it keeps when it moves, and cells are keyed by the ids of their two lines. Moving a column
therefore moves only its id, and metadata attached to a line follows it. Cells are never changed in place, so forking
a document is cheap. Every request that writes works on a fork, which replaces the document only if the whole request
succeeds."""

from __future__ import annotations

import copy
import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from tallybook_emulators.sheets.a1 import Rect, Span, quoted, span_of, written_span
from tallybook_emulators.sheets.errors import GoogleError, invalid

Json = dict[str, Any]
Cell = Mapping[str, Any]

CELL_LIMIT = 10_000_000
CHARACTER_LIMIT = 50_000
COLUMN_LIMIT = 18_278
TAB_LIMIT = 200
LISTS = (
    "merges",
    "conditionalFormats",
    "filterViews",
    "protectedRanges",
    "charts",
    "bandedRanges",
    "rowGroups",
    "columnGroups",
    "slicers",
    "tables",
)
ROWS, COLUMNS = "ROWS", "COLUMNS"
_lines = itertools.count(1)


@dataclass(frozen=True)
class Metadata:
    """One developer metadata entry. `line` is the id of the row or column to which it is attached."""

    id: int
    key: str
    value: str | None
    visibility: str
    sheet_id: int | None = None
    dimension: str | None = None
    line: int | None = None


@dataclass
class Sheet:
    """A tab. `rows` and `columns` are the ids of its lines, in order."""

    properties: Json
    rows: list[int]
    columns: list[int]
    cells: dict[int, dict[int, Cell]] = field(default_factory=dict)
    lines: dict[int, Json] = field(default_factory=dict)
    """DimensionProperties by line id, for the lines that have any."""
    objects: dict[str, list[Json]] = field(default_factory=lambda: {name: [] for name in LISTS})
    basic_filter: Json | None = None
    _own: set[int] = field(default_factory=set)

    @property
    def id(self) -> int:
        found: int = self.properties["sheetId"]
        return found

    @property
    def title(self) -> str:
        found: str = self.properties["title"]
        return found

    @property
    def whole(self) -> Rect:
        return Rect(0, len(self.rows), 0, len(self.columns))

    def of(self, dimension: str) -> list[int]:
        """The lines of ROWS or COLUMNS."""
        return self.rows if dimension == ROWS else self.columns

    def cell(self, row: int, column: int) -> Cell:
        return self.cells.get(self.rows[row], {}).get(self.columns[column], {})

    def put(self, row: int, column: int, cell: Cell) -> None:
        """Replace a cell. An empty cell is removed."""
        line = self.rows[row]
        if line not in self._own:
            self.cells[line] = dict(self.cells.get(line, {}))
            self._own.add(line)
        if cell:
            self.cells[line][self.columns[column]] = cell
        else:
            self.cells[line].pop(self.columns[column], None)

    def filled(self, rect: Rect, what: str | None = "userEnteredValue") -> Iterator[tuple[int, int, Cell]]:
        """Row, column and cell of the cells in `rect` that have the field `what` (None: any field), by row."""
        columns = list(enumerate(self.columns[rect.c0 : rect.c1], rect.c0))
        for row in range(rect.r0, min(rect.r1, len(self.rows))):
            kept = self.cells.get(self.rows[row])
            if not kept:
                continue
            for column, line in columns:
                cell = kept.get(line)
                if cell and (what is None or what in cell):
                    yield row, column, cell

    def has(self, row: int, column: int) -> bool:
        return "userEnteredValue" in self.cell(row, column)

    def last_row(self) -> int:
        """One past the last row with a value."""
        for row in range(len(self.rows) - 1, -1, -1):
            kept = self.cells.get(self.rows[row])
            if kept and any("userEnteredValue" in cell for cell in kept.values()):
                return row + 1
        return 0

    def clip(self, span: Span) -> Rect:
        """The part of a span that is on the grid."""
        rows, columns = len(self.rows), len(self.columns)
        return Rect(
            max(0, span.r0),
            min(rows, rows if span.r1 is None else span.r1),
            max(0, span.c0),
            min(columns, columns if span.c1 is None else span.c1),
        )

    def full(self, span: Span) -> Rect:
        """The span with open ends set to the end of the grid. Raises GoogleError 400 if it extends beyond the grid."""
        rect = Rect(
            span.r0,
            len(self.rows) if span.r1 is None else span.r1,
            span.c0,
            len(self.columns) if span.c1 is None else span.c1,
        )
        if min(rect.r0, rect.c0, rect.r1, rect.c1) < 0:
            raise invalid("GridRange: indexes must not be negative.")
        if rect.r0 > rect.r1 or rect.c0 > rect.c1:
            rect = Rect(rect.r0, max(rect.r0 + 1, rect.r1), rect.c0, max(rect.c0 + 1, rect.c1))
        if rect.r1 > len(self.rows) or rect.c1 > len(self.columns):
            raise self.beyond(span)
        return rect

    def beyond(self, span: Span) -> GoogleError:
        return invalid(
            f"Range ({written_span(self.title, span)}) exceeds grid limits. "
            f"Max rows: {len(self.rows)}, max columns: {len(self.columns)}"
        )

    def grow(self, dimension: str, by: int) -> None:
        """Add empty lines at the end."""
        self.of(dimension).extend(new_lines(by))

    def drop(self, dimension: str, lines: set[int]) -> None:
        """Remove the cells and properties of deleted lines."""
        for line in lines:
            self.lines.pop(line, None)
            if dimension == ROWS:
                self.cells.pop(line, None)
        if dimension == COLUMNS:
            for line, kept in self.cells.items():
                if not lines.isdisjoint(kept):
                    self.cells[line] = {column: cell for column, cell in kept.items() if column not in lines}
                    self._own.add(line)

    def fork(self) -> Sheet:
        self._own = set()
        return replace(
            self,
            properties=copy.deepcopy(self.properties),
            rows=list(self.rows),
            columns=list(self.columns),
            cells=dict(self.cells),
            lines=dict(self.lines),
            objects=copy.deepcopy(self.objects),
            basic_filter=copy.deepcopy(self.basic_filter),
            _own=set(),
        )


@dataclass
class Document:
    """A spreadsheet. `actor` is the account that writes now. `owner` is the account that may edit everything."""

    id: str
    owner: str
    properties: Json
    sheets: list[Sheet] = field(default_factory=list)
    named_ranges: list[Json] = field(default_factory=list)
    metadata: dict[int, Metadata] = field(default_factory=dict)
    actor: str = ""
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    editors: tuple[str, ...] = ()
    sort_moves_metadata: bool = False
    copies_take_metadata: bool = False
    cell_limit: int = CELL_LIMIT
    version: int = 1
    memo: dict[Any, Any] = field(default_factory=dict)
    """Cached values of formulas, cleared by every change."""

    def fork(self, actor: str, now: datetime) -> Document:
        """A copy on which `actor` writes at `now`. This document does not change."""
        return replace(
            self,
            actor=actor,
            now=now,
            properties=copy.deepcopy(self.properties),
            sheets=[sheet.fork() for sheet in self.sheets],
            named_ranges=copy.deepcopy(self.named_ranges),
            metadata=dict(self.metadata),
            memo={},
            version=self.version + 1,
        )

    @property
    def locale(self) -> str:
        found: str = self.properties["locale"]
        return found

    def sheet(self, sheet_id: int) -> Sheet:
        for sheet in self.sheets:
            if sheet.id == sheet_id:
                return sheet
        raise invalid(f"No grid with id: {sheet_id}")

    def titled(self, title: str) -> Sheet | None:
        return next((sheet for sheet in self.sheets if sheet.title.lower() == title.lower()), None)

    def number_tabs(self) -> None:
        for index, sheet in enumerate(self.sheets):
            sheet.properties["index"] = index

    def range_of(self, grid_range: Mapping[str, Any]) -> tuple[Sheet, Rect]:
        """The sheet and rectangle of a GridRange. Raises GoogleError 400 if it extends beyond the grid."""
        sheet = self.sheet(grid_range.get("sheetId", 0))
        return sheet, sheet.full(span_of(grid_range))

    def check_size(self) -> None:
        """Raise GoogleError 400 if the document is too large.

        https://developers.google.com/workspace/sheets/api/limits"""
        if any(len(sheet.columns) > COLUMN_LIMIT for sheet in self.sheets):
            raise invalid(
                f"This action would increase the number of columns above the limit of {COLUMN_LIMIT} columns."
            )
        if sum(len(sheet.rows) * len(sheet.columns) for sheet in self.sheets) > self.cell_limit:
            raise invalid(
                "This action would increase the number of cells in the workbook above the limit of "
                f"{self.cell_limit} cells."
            )

    def guard(self, sheet: Sheet, rect: Rect) -> None:
        """Raise GoogleError 400 if the actor may not edit a protected range that `rect` touches."""
        for protected in sheet.objects["protectedRanges"]:
            if protected.get("warningOnly") or self.may_edit(protected):
                continue
            if rect.meets(sheet.clip(span_of(self.protected_range(protected)))) and not any(
                rect.within(sheet.clip(span_of(free))) for free in protected.get("unprotectedRanges", ())
            ):
                raise invalid(
                    "You are trying to edit a protected cell or object. Please contact the spreadsheet owner to "
                    "remove protection if you need to edit."
                )

    def protected_range(self, protected: Json) -> Json:
        """The GridRange of a protected range, which may refer to a named range."""
        for named in self.named_ranges:
            if named["namedRangeId"] == protected.get("namedRangeId"):
                return dict(named["range"])
        return dict(protected.get("range", {}))

    def may_edit(self, protected: Mapping[str, Any]) -> bool:
        return self.actor in (self.owner, *protected.get("editors", {}).get("users", ()))

    def free_id(self, taken: set[int]) -> int:
        while True:
            number = random.randrange(1, 2**31 - 1)
            if number not in taken:
                return number

    def quoted_title(self, sheet: Sheet) -> str:
        return quoted(sheet.title)


def new_lines(count: int) -> list[int]:
    return list(itertools.islice(_lines, count))


def new_sheet(sheet_id: int, title: str, index: int, *, rows: int = 1000, columns: int = 26) -> Sheet:
    properties: Json = {
        "sheetId": sheet_id,
        "title": title,
        "index": index,
        "sheetType": "GRID",
        "gridProperties": {},
    }
    return Sheet(properties, new_lines(rows), new_lines(columns))
