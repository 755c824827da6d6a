"""The current state of a tab of a Google Sheet: what was entered where, and which places are ours.

Our places are recognized by developer metadata, which stays with its row or column wherever people move it, and never
by the title of the tab, a letter or a heading. Pure: takes plain values, returns a `Tab`, and makes no request.

    tallybook.delivery   on the tab       its delivery and its declared title: "<book>/<delivery>#<tab>"
    tallybook            on each column   its field
    tallybook.header     on the row of the headings
    tallybook.stamp      on the tab       the latest batches, each with its own id: "<number>#<token>"
    tallybook.next       on the document  the document that continues it, once it is full

The values are short, because a document has room for only 30,000 characters of metadata.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from tallybook.core import DestinationError
from tallybook.deliver.destinations.layout import Value
from tallybook.deliver.destinations.row_keys import Cell, Formula, key_text
from tallybook.sheets import DELIVERY, MAX_CELL_CHARACTERS, Json, serial

COLUMN, HEADER, STAMP = "tallybook", "tallybook.header", "tallybook.stamp"
NEXT = "tallybook.next"
OVERVIEW = (
    "spreadsheetId,properties(title,locale,timeZone),developerMetadata(metadataKey,metadataValue),"
    "sheets(properties(sheetId,title,index,gridProperties),developerMetadata(metadataId,metadataKey,metadataValue))"
)
"""The fields of a document to read, to find a tab in it."""
CONTENT = (
    "sheets(properties(sheetId,title,index,gridProperties),merges,"
    "developerMetadata(metadataId,metadataKey,metadataValue),"
    "data(startRow,startColumn,rowMetadata(developerMetadata(metadataId,metadataKey,metadataValue)),"
    "columnMetadata(developerMetadata(metadataId,metadataKey,metadataValue)),"
    "rowData(values(userEnteredValue,effectiveValue))))"
)
"""The fields of one tab to read."""
MAX_CELLS = 10_000_000
"""Google's limit for a document: https://support.google.com/drive/answer/37603."""


@dataclass(frozen=True)
class Batch:
    """An applied batch: its unique id, its number, and what it wrote."""

    id: int
    number: int
    token: str


@dataclass(frozen=True, kw_only=True)
class Tab:
    """`cells[row][column]` as entered, counted from 0. The rows and columns end with the last non-empty cell. Of a
    large tab, only the cells that a delivery needs."""

    id: int
    title: str
    rows: int
    columns: int
    """The size of the tab's grid."""
    cells: tuple[tuple[Cell, ...], ...] = ()
    places: Mapping[str, int] = field(default_factory=dict)
    """The column of each of our fields."""
    header: int | None = None
    """The row of the headings."""
    merged: tuple[tuple[int, int, int, int], ...] = ()
    """Merged cells, as half-open ranges (first row, end row, first column, end column)."""
    stamps: tuple[Batch, ...] = ()
    """The applied batches, in order."""
    mark: int = 0
    """The id of the mark with its delivery; 0 without a mark."""
    declared: str = ""
    """The declared title of the tab when the mark was written."""
    locale: str = ""
    """The locale of the document, which decides how dates are written in it."""

    def cell(self, row: int, column: int) -> Cell:
        there = self.cells[row] if row < len(self.cells) else ()
        return there[column] if column < len(there) else None

    def empty_rows(self, first: int, behind: int) -> bool:
        """Whether these rows are blank."""
        return not any(self.cells[first:behind])

    def empty_columns(self, first: int, behind: int) -> bool:
        return all(value is None for row in self.cells for value in row[first:behind])


def entered(value: Value) -> Cell:
    """A value as it is entered: days as serial numbers, numbers as floating point, texts unchanged.

    Raises DestinationError for a text that does not fit into a cell."""
    if value is None or value == "":
        return None
    if isinstance(value, date):
        return float(serial(value))
    if isinstance(value, int | Decimal | float):
        return float(value)
    if len(value) > MAX_CELL_CHARACTERS:
        raise DestinationError(
            f"a text of {len(value):,} characters begins {value[:30]!r}; "
            f"a cell of Google Sheets has room for {MAX_CELL_CHARACTERS:,}",
            hint="leave the dimension out of `by`, or shorten it in `sql`",
        )
    return value


def entered_key(value: Value) -> Cell:
    """A value as a key cell: null is blank, and an empty text is not."""
    return entered(key_text(value)) if isinstance(value, str) else entered(value)


def whose(book: str, delivery: str) -> str:
    """The name of a delivery in metadata."""
    return f"{book}/{delivery}"


def tab_of(overview: Json, owner: str) -> Json | None:
    """The tab (a Sheet in the API reference) of a delivery, or None. If there is a copy of the tab, the older of the
    two."""
    ours = [
        (entry["metadataId"], place)
        for place, sheet in enumerate(overview.get("sheets", ()))
        for entry in sheet.get("developerMetadata", ())
        if entry["metadataKey"] == DELIVERY and _owned(entry)[0] == owner
    ]
    return overview["sheets"][min(ours)[1]] if ours else None


def owner_of(sheet: Json) -> str:
    """The delivery that writes a tab. Empty for a tab that belongs to people."""
    entries = sheet.get("developerMetadata", ())
    return next((_owned(e)[0] for e in entries if e["metadataKey"] == DELIVERY), "")


def _owned(entry: Json) -> tuple[str, str]:
    """The owner and the declared title in a mark."""
    owner, _, declared = str(entry.get("metadataValue", "")).rpartition("#")
    return owner, declared


def titled(overview: Json, title: str) -> Json | None:
    """The tab with this title; Google ignores case in titles."""
    sheets: Sequence[Json] = overview.get("sheets", ())
    return next((s for s in sheets if s["properties"]["title"].casefold() == title.casefold()), None)


def cells_of(overview: Json) -> int:
    """The number of cells in the grids of all tabs. Empty cells count too."""
    grids = [sheet["properties"].get("gridProperties", {}) for sheet in overview.get("sheets", ())]
    return sum(int(grid.get("rowCount", 0)) * int(grid.get("columnCount", 0)) for grid in grids)


def next_of(overview: Json) -> str:
    """The document that continues a full one. Empty if the document is not full."""
    entries = overview.get("developerMetadata", ())
    return next((str(e["metadataValue"]) for e in entries if e["metadataKey"] == NEXT), "")


def read(content: Json, *more: Json) -> Tab:
    """The tab in a response with its grid data, which may have several areas."""
    sheet, *others = [sheet for one in (content, *more) for sheet in one["sheets"]]
    grid = sheet["properties"].get("gridProperties", {})
    pieces: list[Json] = [piece for one in (sheet, *others) for piece in one.get("data", ())]
    places: dict[str, int] = {}
    header: int | None = None
    for data in pieces:
        for place, entry in _marks(data.get("columnMetadata", ()), COLUMN, int(data.get("startColumn", 0))):
            places.setdefault(str(entry.get("metadataValue", "")), place)
        for place, _ in _marks(data.get("rowMetadata", ()), HEADER, int(data.get("startRow", 0))):
            header = place
    marks = [entry for entry in sheet.get("developerMetadata", ()) if entry["metadataKey"] == DELIVERY]
    return Tab(
        mark=int(marks[0]["metadataId"]) if marks else 0,
        declared=_owned(marks[0])[1] if marks else "",
        id=int(sheet["properties"]["sheetId"]),
        title=sheet["properties"]["title"],
        rows=int(grid.get("rowCount", 0)),
        columns=int(grid.get("columnCount", 0)),
        cells=_laid(pieces),
        places=places,
        header=header,
        merged=tuple(map(_merged, sheet.get("merges", ()))),
        stamps=_stamps(sheet),
    )


def _laid(pieces: Sequence[Json]) -> tuple[tuple[Cell, ...], ...]:
    """The cells of several areas, each in its position."""
    rows: dict[int, list[Cell]] = {}
    for data in pieces:
        left = int(data.get("startColumn", 0))
        for place, row in enumerate(data.get("rowData", ()), int(data.get("startRow", 0))):
            cells = [_entered_cell(cell) for cell in row.get("values", ())]
            while cells and cells[-1] is None:
                cells.pop()
            if cells:
                there = rows.setdefault(place, [])
                there += [None] * (left + len(cells) - len(there))
                there[left : left + len(cells)] = cells
    return tuple(tuple(rows.get(row, ())) for row in range(max(rows, default=-1) + 1))


def _entered_cell(cell: Json) -> Cell:
    entered = cell.get("userEnteredValue", {})
    if "formulaValue" in entered:
        shown = cell.get("effectiveValue", {})
        return Formula(entered["formulaValue"], "#ERROR!" if "errorValue" in shown else _plain(shown))
    return _plain(entered)


def _plain(value: Json) -> Cell:
    if "numberValue" in value:
        return float(value["numberValue"])
    if "boolValue" in value:
        return bool(value["boolValue"])
    return value.get("stringValue") or None


def _marks(dimension: Sequence[Json], key: str, first: int) -> list[tuple[int, Json]]:
    return [
        (place, entry)
        for place, one in enumerate(dimension, first)
        for entry in one.get("developerMetadata", ())
        if entry["metadataKey"] == key
    ]


def _merged(merge: Json) -> tuple[int, int, int, int]:
    names = ("startRowIndex", "endRowIndex", "startColumnIndex", "endColumnIndex")
    first, behind, left, right = (int(merge.get(name, 0)) for name in names)
    return first, behind, left, right


def _stamps(sheet: Json) -> tuple[Batch, ...]:
    stamps = []
    for entry in sheet.get("developerMetadata", ()):
        number, _, token = str(entry.get("metadataValue", "")).partition("#")
        if entry["metadataKey"] == STAMP and number.isdigit():
            stamps.append(Batch(int(entry["metadataId"]), int(number), token))
    return tuple(sorted(stamps, key=lambda stamp: stamp.number))
