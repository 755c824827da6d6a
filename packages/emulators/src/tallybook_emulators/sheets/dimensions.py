"""Requests that insert, delete, move, append, hide and resize rows and columns.

https://developers.google.com/workspace/sheets/api/reference/rest/v4/spreadsheets/request"""

from __future__ import annotations

from tallybook_emulators.sheets import shifts
from tallybook_emulators.sheets.a1 import Rect
from tallybook_emulators.sheets.errors import invalid
from tallybook_emulators.sheets.masks import required, update
from tallybook_emulators.sheets.metadata import remove_lines
from tallybook_emulators.sheets.model import COLUMNS, ROWS, Document, Json, Sheet, new_lines

WORDS = {ROWS: "row", COLUMNS: "column"}


def band(sheet: Sheet, dimension: str, first: int, past: int) -> Rect:
    """The rectangle of the given rows or columns."""
    whole = sheet.whole
    return Rect(first, past, 0, whole.c1) if dimension == ROWS else Rect(0, whole.r1, first, past)


def insert(document: Document, sheet: Sheet, dimension: str, at: int, count: int, *, before: bool = False) -> None:
    """Insert lines, with the properties and formats of the line before or after them."""
    lines = sheet.of(dimension)
    if at > len(lines) or (at == len(lines) and not before):
        raise invalid(
            f"range.startIndex[{at}] must be less than the grid size ({len(lines)}) if inheritFromBefore is false."
        )
    # An empty band intersects only rectangles that extend on both sides of it.
    document.guard(sheet, band(sheet, dimension, at, at))
    made = new_lines(count)
    like = lines[at - 1 if before and at else at]
    lines[at:at] = made
    document.check_size()
    if like in sheet.lines:
        sheet.lines |= dict.fromkeys(made, sheet.lines[like])
    _take_formats(sheet, dimension, like, range(at, at + count))
    shifts.apply(document, shifts.LineChange(sheet, dimension, shifts.inserted(at, count)))


def _take_formats(sheet: Sheet, dimension: str, like: int, places: range) -> None:
    """Copy the cell formats of the neighboring line, without its values and notes."""
    if dimension == ROWS:
        formats = {
            line: {"userEnteredFormat": cell["userEnteredFormat"]}
            for line, cell in sheet.cells.get(like, {}).items()
            if "userEnteredFormat" in cell
        }
        for place in places if formats else ():
            sheet.cells[sheet.rows[place]] = dict(formats)
        return
    for row, line in enumerate(sheet.rows):
        form = sheet.cells.get(line, {}).get(like, {}).get("userEnteredFormat")
        for place in places if form else ():
            sheet.put(row, place, {"userEnteredFormat": form})


def delete(document: Document, sheet: Sheet, dimension: str, first: int, past: int) -> None:
    lines = sheet.of(dimension)
    if past > len(lines):
        raise invalid(
            f"Cannot delete a {WORDS[dimension]} that doesn't exist. Tried to delete {WORDS[dimension]} index "
            f"{past - 1} but there are only {len(lines)} {WORDS[dimension]}s."
        )
    if past - first >= len(lines):
        raise invalid(f"You can't delete all the {WORDS[dimension]}s on the sheet.")
    if past <= first:
        raise invalid(f"startIndex[{first}] must be less than endIndex[{past}]")
    frozen = sheet.properties["gridProperties"].get(f"frozen{WORDS[dimension].title()}Count", 0)
    if frozen and first < frozen and past - first >= len(lines) - frozen + min(past, frozen) - first:
        raise invalid(f"You can't delete all non-frozen {WORDS[dimension]}s.")
    document.guard(sheet, band(sheet, dimension, first, past))
    gone = set(lines[first:past])
    del lines[first:past]
    sheet.drop(dimension, gone)
    remove_lines(document, gone)
    if frozen and first < frozen:
        sheet.properties["gridProperties"][f"frozen{WORDS[dimension].title()}Count"] = frozen - (
            min(past, frozen) - first
        )
    shifts.apply(document, shifts.LineChange(sheet, dimension, shifts.deleted(first, past)))


def move(document: Document, sheet: Sheet, dimension: str, first: int, past: int, to: int) -> None:
    """Move lines in front of the line now at `to`. They keep their cells, properties and metadata."""
    lines = sheet.of(dimension)
    if past > len(lines) or to > len(lines) or past <= first:
        raise invalid(f"Cannot move {WORDS[dimension]}s [{first}, {past}) to {to} on a grid of {len(lines)}.")
    if first < to < past:
        raise invalid("destinationIndex: must not be within the source dimensions.")
    document.guard(sheet, band(sheet, dimension, first, past))
    block = lines[first:past]
    del lines[first:past]
    landed = to if to <= first else to - (past - first)
    lines[landed:landed] = block
    shifts.apply(document, shifts.LineChange(sheet, dimension, shifts.moved(first, past, to)))


def resize(document: Document, sheet: Sheet, dimension: str, count: int) -> None:
    """Add or remove lines at the end until there are `count`."""
    have = len(sheet.of(dimension))
    if count < 1:
        raise invalid(f"gridProperties.{WORDS[dimension]}Count: must be positive.")
    if count > have:
        sheet.grow(dimension, count - have)
    elif count < have:
        delete(document, sheet, dimension, count, have)


# --- requests -----------------------------------------------------------------------------------------------


def ends(document: Document, span: Json) -> tuple[Sheet, str, int, int]:
    """The sheet, dimension, start and end of a DimensionRange. An open end is the end of the grid."""
    sheet = document.sheet(span.get("sheetId", 0))
    dimension = span.get("dimension", "")
    if dimension not in WORDS:
        raise invalid("No dimension specified.")
    start = span.get("startIndex", 0)
    if start < 0:
        raise invalid(f"startIndex[{start}] must not be negative.")
    return sheet, dimension, start, span.get("endIndex", len(sheet.of(dimension)))


def insert_request(document: Document, request: Json) -> None:
    sheet, dimension, first, past = ends(document, request.get("range", {}))
    if past <= first:
        raise invalid(f"range: startIndex[{first}] must be less than endIndex[{past}]")
    before = bool(request.get("inheritFromBefore"))
    if before and not first:
        raise invalid("inheritFromBefore cannot be true if inserting at the start of the grid.")
    insert(document, sheet, dimension, first, past - first, before=before)


def delete_request(document: Document, request: Json) -> None:
    delete(document, *ends(document, request.get("range", {})))


def move_request(document: Document, request: Json) -> None:
    move(document, *ends(document, request.get("source", {})), request.get("destinationIndex", 0))


def append_request(document: Document, request: Json) -> None:
    if request.get("length", 0) <= 0:
        raise invalid("length: must be greater than 0.")
    sheet = document.sheet(request.get("sheetId", 0))
    if request.get("dimension") not in WORDS:
        raise invalid("No dimension specified.")
    sheet.grow(request["dimension"], request["length"])
    document.check_size()


def update_request(document: Document, request: Json) -> None:
    sheet, dimension, first, past = ends(document, request.get("range", {}))
    mask = required(request.get("fields"))
    lines = sheet.of(dimension)
    if past > len(lines):
        raise invalid(f"range.endIndex[{past}] is after the last {WORDS[dimension]} in grid[{len(lines)}]")
    for line in lines[first:past]:
        made = update(sheet.lines.get(line, {}), request.get("properties", {}), mask)
        sheet.lines[line] = {name: value for name, value in made.items() if value is not False}


def fit_request(document: Document, request: Json) -> None:
    """autoResizeDimensions: seven pixels per character, because no font metrics are available."""
    sheet, dimension, first, past = ends(document, request.get("dimensions", {}))
    for index in range(first, min(past, len(sheet.of(dimension)))):
        pixels = 21
        if dimension == COLUMNS:
            values = (
                str(next(iter(cell["userEnteredValue"].values())))
                for *_, cell in sheet.filled(band(sheet, COLUMNS, index, index + 1))
            )
            pixels = 16 + 7 * max(map(len, values), default=12)
        line = sheet.of(dimension)[index]
        sheet.lines[line] = sheet.lines.get(line, {}) | {"pixelSize": pixels}
