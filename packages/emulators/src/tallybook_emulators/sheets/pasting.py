"""Requests that move the content of cells: sort, copy, cut, find and replace, insert and delete ranges.

https://developers.google.com/workspace/sheets/api/reference/rest/v4/spreadsheets/request"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tallybook_emulators.sheets.a1 import Rect, Span, span_of
from tallybook_emulators.sheets.entry import typed
from tallybook_emulators.sheets.errors import invalid
from tallybook_emulators.sheets.formulas import CellError, order
from tallybook_emulators.sheets.locales import locale
from tallybook_emulators.sheets.model import COLUMNS, ROWS, Cell, Document, Json, Sheet
from tallybook_emulators.sheets.shifts import shift_references
from tallybook_emulators.sheets.view import View

VALUE = ("userEnteredValue", "textFormatRuns")
FORMAT = ("userEnteredFormat",)
PASTES = {
    "PASTE_NORMAL": (*VALUE, *FORMAT, "note", "dataValidation"),
    "PASTE_VALUES": VALUE,
    "PASTE_FORMAT": FORMAT,
    "PASTE_NO_BORDERS": (*VALUE, *FORMAT, "note", "dataValidation"),
    "PASTE_FORMULA": VALUE,
    "PASTE_DATA_VALIDATION": ("dataValidation",),
    "PASTE_CONDITIONAL_FORMATTING": (),
}


# --- sorting ------------------------------------------------------------------------------------------------


def sort(document: Document, sheet: Sheet, rect: Rect, specs: list[Json]) -> None:
    """Sort the rows of a range by the values of columns. Empty cells come last, equal rows keep their order.

    Cells move with their formats and notes. The rows themselves do not move, nor do their heights and developer
    metadata (with `sort_moves_metadata`, the metadata does)."""
    document.guard(sheet, rect)
    for spec in specs:
        if not rect.c0 <= spec.get("dimensionIndex", 0) < rect.c1:
            raise invalid(f"sortSpecs.dimensionIndex[{spec.get('dimensionIndex', 0)}] is not within the range.")
    view = View(document, document.now)
    rows = list(range(rect.r0, rect.r1))
    for spec in reversed(specs):
        rows = _sorted(rows, view, sheet, spec)
    cells = {row: [sheet.cell(row, column) for column in range(rect.c0, rect.c1)] for row in rows}
    for target, source in enumerate(rows, rect.r0):
        for column, cell in enumerate(cells[source], rect.c0):
            sheet.put(target, column, _moved_along(cell, target - source, 0))
    if document.sort_moves_metadata:
        places = {sheet.rows[source]: sheet.rows[target] for target, source in enumerate(rows, rect.r0)}
        for number, one in document.metadata.items():
            if one.line in places:
                document.metadata[number] = replace(one, line=places[one.line])
    document.memo.clear()


def _sorted(rows: list[int], view: View, sheet: Sheet, spec: Json) -> list[int]:
    column = spec.get("dimensionIndex", 0)
    values = {row: view.value(sheet, row, column) for row in rows}
    filled = [row for row in rows if values[row] is not None]
    down = spec.get("sortOrder") == "DESCENDING"
    filled.sort(key=lambda row: (3, "") if isinstance(values[row], CellError) else order(values[row]), reverse=down)
    return filled + [row for row in rows if values[row] is None]


def _moved_along(cell: Cell, down: int, right: int) -> Cell:
    formula = cell.get("userEnteredValue", {}).get("formulaValue")
    if not formula or not (down or right):
        return cell
    return {**cell, "userEnteredValue": {"formulaValue": shift_references(formula, down, right)}}


def sort_request(document: Document, request: Json) -> None:
    sheet, rect = document.range_of(request.get("range", {}))
    sort(document, sheet, rect, request.get("sortSpecs", []))


# --- copy and cut -------------------------------------------------------------------------------------------


def copy_request(document: Document, request: Json) -> None:
    """copyPaste: copy the source as often as it fits into the destination, at least once."""
    source, area = document.range_of(request.get("source", {}))
    if not (area.height and area.width):
        raise invalid("source: the range is empty.")
    target = document.sheet(request.get("destination", {}).get("sheetId", 0))
    kind = request.get("pasteType", "PASTE_NORMAL")
    turned = request.get("pasteOrientation") == "TRANSPOSE"
    height, width = (area.width, area.height) if turned else (area.height, area.width)
    wanted = target.clip(span_of(request.get("destination", {})))
    tall = wanted.height if wanted.height % height == 0 and wanted.height else height
    wide = wanted.width if wanted.width % width == 0 and wanted.width else width
    rect = Rect(wanted.r0, wanted.r0 + tall, wanted.c0, wanted.c0 + wide)
    _fits(target, rect)
    document.guard(target, rect)
    view = View(document, document.now)
    taken = {
        (row, column): _pasted(source, area.r0 + row, area.c0 + column, kind, view)
        for row in range(area.height)
        for column in range(area.width)
    }
    for row in range(tall):
        for column in range(wide):
            at = (column % width, row % height) if turned else (row % height, column % width)
            cell = _moved_along(taken[at], rect.r0 + row - area.r0 - at[0], rect.c0 + column - area.c0 - at[1])
            _paste(target, rect.r0 + row, rect.c0 + column, cell, PASTES[kind])
    document.memo.clear()


def _fits(sheet: Sheet, rect: Rect) -> None:
    if rect.r0 < 0 or rect.c0 < 0:
        raise invalid("GridCoordinate: indexes must not be negative.")
    if rect.r1 > len(sheet.rows) or rect.c1 > len(sheet.columns):
        raise sheet.beyond(Span(rect.r0, rect.r1, rect.c0, rect.c1))


def _pasted(sheet: Sheet, row: int, column: int, kind: str, view: View) -> Cell:
    """The parts of a cell to paste. PASTE_VALUES pastes the value of a formula."""
    cell = {name: value for name, value in sheet.cell(row, column).items() if name in PASTES[kind]}
    value = view.value(sheet, row, column)
    if kind == "PASTE_VALUES" and "formulaValue" in cell.get("userEnteredValue", {}) and value is not None:
        from tallybook_emulators.sheets.view import extended

        cell["userEnteredValue"] = {"stringValue": value.text} if isinstance(value, CellError) else extended(value)
    if kind == "PASTE_NO_BORDERS" and "userEnteredFormat" in cell:
        cell["userEnteredFormat"] = {k: v for k, v in cell["userEnteredFormat"].items() if k != "borders"}
    return cell


def _paste(sheet: Sheet, row: int, column: int, cell: Cell, names: tuple[str, ...]) -> None:
    kept = {name: value for name, value in sheet.cell(row, column).items() if name not in names}
    sheet.put(row, column, {**kept, **cell})


def cut_request(document: Document, request: Json) -> None:
    """cutPaste: move the cells to the destination unchanged. References to them are not adjusted."""
    source, area = document.range_of(request.get("source", {}))
    start = request.get("destination", {})
    target = document.sheet(start.get("sheetId", 0))
    r0, c0 = start.get("rowIndex", 0), start.get("columnIndex", 0)
    rect = Rect(r0, r0 + area.height, c0, c0 + area.width)
    _fits(target, rect)
    document.guard(source, area)
    document.guard(target, rect)
    names = PASTES[request.get("pasteType", "PASTE_NORMAL")]
    taken = [[source.cell(r, c) for c in range(area.c0, area.c1)] for r in range(area.r0, area.r1)]
    for row in range(area.r0, area.r1):
        for column in range(area.c0, area.c1):
            _paste(source, row, column, {}, names)
    for row, cells in enumerate(taken, r0):
        for column, cell in enumerate(cells, c0):
            _paste(target, row, column, {name: value for name, value in cell.items() if name in names}, names)
    document.memo.clear()


# --- find and replace ---------------------------------------------------------------------------------------


def find_request(document: Document, request: Json) -> Json:
    """findReplace. Regular expressions are Python's, which agree with Java's in the common cases."""
    if not request.get("find"):
        raise invalid("find: must not be empty.")
    pattern = request["find"] if request.get("searchByRegex") else re.escape(request["find"])
    if request.get("matchEntireCell"):
        pattern = rf"\A(?:{pattern})\Z"
    try:
        found = re.compile(pattern, 0 if request.get("matchCase") else re.IGNORECASE)
    except re.error as error:
        raise invalid(f"find: Invalid regular expression: {error}") from None
    put: Any = request.get("replacement", "")
    put = re.sub(r"\$(\d)", r"\\\1", put) if request.get("searchByRegex") else put.replace("\\", r"\\")
    counts = {"values": 0, "formulas": 0, "rows": 0, "sheets": 0, "occurrences": 0}
    for sheet, rect in _searched(document, request):
        rows = set()
        for row, column, cell in list(sheet.filled(rect)):
            if _replaced(document, sheet, row, column, cell, found, put, request, counts):
                rows.add(row)
        counts["rows"] += len(rows)
        counts["sheets"] += bool(rows)
    document.memo.clear()
    return {f"{name}Changed": count for name, count in counts.items() if count}


def _searched(document: Document, request: Json) -> list[tuple[Sheet, Rect]]:
    if request.get("allSheets"):
        return [(sheet, sheet.whole) for sheet in document.sheets]
    if "range" in request:
        return [document.range_of(request["range"])]
    if "sheetId" in request:
        sheet = document.sheet(request["sheetId"])
        return [(sheet, sheet.whole)]
    raise invalid("One of range, sheetId or allSheets must be set.")


def _replaced(
    document: Document,
    sheet: Sheet,
    row: int,
    column: int,
    cell: Cell,
    found: re.Pattern[str],
    put: str,
    request: Json,
    counts: dict[str, int],
) -> bool:
    formula = cell["userEnteredValue"].get("formulaValue")
    if formula and not request.get("includeFormulas"):
        return False
    view = View(document, document.now)
    text, times = found.subn(put, formula or view.text(sheet, row, column))
    if not times:
        return False
    document.guard(sheet, Rect(row, row + 1, column, column + 1))
    counts["occurrences"] += times
    counts["formulas" if formula else "values"] += 1
    value, _ = typed(text, locale(document.locale), document.now.date())
    kept = {name: one for name, one in cell.items() if name not in VALUE}
    sheet.put(row, column, {**kept, "userEnteredValue": value} if value else kept)
    return True


# --- ranges of cells inserted and deleted -------------------------------------------------------------------


def _shifted_cells(document: Document, request: Json, *, insert: bool) -> None:
    """insertRange and deleteRange: shift the cells after the range. The grid keeps its size."""
    sheet, rect = document.range_of(request.get("range", {}))
    by_rows = request.get("shiftDimension") == ROWS
    if not by_rows and request.get("shiftDimension") != COLUMNS:
        raise invalid("shiftDimension: must be ROWS or COLUMNS.")
    edge = (
        Rect(rect.r0, len(sheet.rows), rect.c0, rect.c1)
        if by_rows
        else Rect(rect.r0, rect.r1, rect.c0, len(sheet.columns))
    )
    document.guard(sheet, edge)
    by = (rect.height if by_rows else rect.width) * (1 if insert else -1)
    moved = [(row, column, cell) for row, column, cell in sheet.filled(edge, None)]
    for row, column, _ in moved:
        sheet.put(row, column, {})
    for row, column, cell in moved:
        if not insert and row < rect.r1 and column < rect.c1:
            continue
        at = (row + by, column) if by_rows else (row, column + by)
        if at[0] >= len(sheet.rows) or at[1] >= len(sheet.columns):
            raise invalid("This action would push cells with data off the grid.")
        sheet.put(*at, cell)
    document.memo.clear()


def insert_range_request(document: Document, request: Json) -> None:
    _shifted_cells(document, request, insert=True)


def delete_range_request(document: Document, request: Json) -> None:
    _shifted_cells(document, request, insert=False)


def trim_request(document: Document, request: Json) -> Json:
    sheet, rect = document.range_of(request.get("range", {}))
    document.guard(sheet, rect)
    count = 0
    for row, column, cell in list(sheet.filled(rect)):
        text = cell["userEnteredValue"].get("stringValue")
        if text is not None and (trimmed := " ".join(text.split())) != text:
            sheet.put(row, column, {**cell, "userEnteredValue": {"stringValue": trimmed}})
            count += 1
    document.memo.clear()
    return {"cellsChangedCount": count} if count else {}


HANDLERS: dict[str, Callable[[Document, Json], Json | None]] = {
    "sortRange": sort_request,
    "copyPaste": copy_request,
    "cutPaste": cut_request,
    "findReplace": find_request,
    "insertRange": insert_range_request,
    "deleteRange": delete_range_request,
    "trimWhitespace": trim_request,
}
