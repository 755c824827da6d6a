"""Requests that write cells: values, formats, notes, validation.

https://developers.google.com/workspace/sheets/api/reference/rest/v4/spreadsheets/request"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from tallybook_emulators.sheets.a1 import Rect
from tallybook_emulators.sheets.entry import checked
from tallybook_emulators.sheets.errors import invalid
from tallybook_emulators.sheets.masks import Tree, required, update
from tallybook_emulators.sheets.model import COLUMNS, ROWS, Document, Json, Sheet

WRITABLE = (
    "userEnteredValue",
    "userEnteredFormat",
    "note",
    "textFormatRuns",
    "dataValidation",
    "pivotTable",
    "dataSourceTable",
    "chipRuns",
)


def merged(cell: Mapping[str, Any], given: Json, mask: Tree) -> Json:
    """The cell with the fields of the mask replaced by those given. A new value erases the rich text runs."""
    if "*" in mask:
        mask = {name: {} for name in WRITABLE}
    made = update(cell, _checked(given), {name: below for name, below in mask.items() if name in WRITABLE})
    if "userEnteredValue" in mask and "textFormatRuns" not in mask:
        made.pop("textFormatRuns", None)
    if made.get("note") == "":
        del made["note"]
    if made.get("userEnteredValue") in ({}, {"stringValue": ""}):
        del made["userEnteredValue"]
    return made


def _checked(given: Json) -> Json:
    value = given.get("userEnteredValue")
    if not value:
        return given
    if len(value) > 1:
        raise invalid("userEnteredValue: only one of the kinds of value may be set.")
    if "errorValue" in value:
        raise invalid("userEnteredValue.errorValue: errors cannot be written.")
    if "formulaValue" in value and not value["formulaValue"].startswith("="):
        raise invalid(f"userEnteredValue.formulaValue: Invalid formula: {value['formulaValue']}")
    for text in value.values():
        if isinstance(text, str):
            checked(text)
    return given


def _fields(mask: str | None) -> Tree:
    tree = required(mask)
    for name in tree:
        if name not in (*WRITABLE, "*", "effectiveValue", "effectiveFormat", "formattedValue", "hyperlink"):
            raise invalid(f"Invalid field: {name}")
    return tree


def update_request(document: Document, request: Json) -> None:
    """updateCells: write rows of CellData at `start` or in `range`. Cells of the range beyond `rows` are cleared."""
    mask = _fields(request.get("fields"))
    rows = [row.get("values", []) for row in request.get("rows", [])]
    if ("range" in request) == ("start" in request):
        raise invalid("Exactly one of range or start must be set.")
    if "range" in request:
        sheet, rect = document.range_of(request["range"])
        _fits(rows, rect)
    else:
        start = request["start"]
        sheet = document.sheet(start.get("sheetId", 0))
        r0, c0 = start.get("rowIndex", 0), start.get("columnIndex", 0)
        rect = Rect(r0, r0 + len(rows), c0, c0 + max(map(len, rows), default=0))
        _on_grid(sheet, rect)
    document.guard(sheet, rect)
    clears = "range" in request
    for row in range(rect.r0, rect.r1):
        given = rows[row - rect.r0] if row - rect.r0 < len(rows) else []
        for column in range(rect.c0, rect.c1 if clears else rect.c0 + len(given)):
            data = given[column - rect.c0] if column - rect.c0 < len(given) else {}
            cell = sheet.cell(row, column)
            if cell or data:
                sheet.put(row, column, merged(cell, data or {}, mask))
    document.memo.clear()


def _fits(rows: Sequence[Sequence[Json]], rect: Rect) -> None:
    if len(rows) > rect.height:
        raise invalid(f"Attempting to write row: {rect.r1}, beyond the last requested row of: {rect.r1 - 1}")
    if max(map(len, rows), default=0) > rect.width:
        raise invalid(f"Attempting to write column: {rect.c1}, beyond the last requested column of: {rect.c1 - 1}")


def _on_grid(sheet: Sheet, rect: Rect) -> None:
    if rect.r0 < 0 or rect.c0 < 0:
        raise invalid("GridCoordinate: indexes must not be negative.")
    if rect.r0 >= len(sheet.rows):
        raise invalid(f"GridCoordinate.rowIndex[{rect.r0}] is after last row in grid[{len(sheet.rows)}]")
    if rect.c0 >= len(sheet.columns):
        raise invalid(f"GridCoordinate.columnIndex[{rect.c0}] is after last column in grid[{len(sheet.columns)}]")
    if rect.r1 > len(sheet.rows):
        last = len(sheet.rows) - 1
        raise invalid(f"Attempting to write row: {last + 1}, beyond the last requested row of: {last}")
    if rect.c1 > len(sheet.columns):
        last = len(sheet.columns) - 1
        raise invalid(f"Attempting to write column: {last + 1}, beyond the last requested column of: {last}")


def repeat_request(document: Document, request: Json) -> None:
    """repeatCell: write one CellData to every cell of the range. Relative references of formulas are adjusted."""
    from tallybook_emulators.sheets.shifts import shift_references

    mask = _fields(request.get("fields"))
    sheet, rect = document.range_of(request.get("range", {}))
    document.guard(sheet, rect)
    data = request.get("cell", {})
    formula = data.get("userEnteredValue", {}).get("formulaValue")
    for row in range(rect.r0, rect.r1):
        for column in range(rect.c0, rect.c1):
            given = data
            if formula:
                here = shift_references(formula, row - rect.r0, column - rect.c0)
                given = data | {"userEnteredValue": {"formulaValue": here}}
            sheet.put(row, column, merged(sheet.cell(row, column), given, mask))
    document.memo.clear()


def append_request(document: Document, request: Json) -> None:
    """appendCells: write below the last row with data of the sheet, or of a table. The grid grows as needed."""
    mask = _fields(request.get("fields"))
    rows = [row.get("values", []) for row in request.get("rows", [])]
    if request.get("tableId"):
        sheet, first, column0 = _below_table(document, request["tableId"], len(rows))
    else:
        sheet = document.sheet(request.get("sheetId", 0))
        first, column0 = sheet.last_row(), 0
    width = column0 + max(map(len, rows), default=0)
    sheet.grow(ROWS, max(0, first + len(rows) - len(sheet.rows)))
    sheet.grow(COLUMNS, max(0, width - len(sheet.columns)))
    document.check_size()
    document.guard(sheet, Rect(first, first + len(rows), column0, width))
    for row, values in enumerate(rows, first):
        for column, data in enumerate(values, column0):
            sheet.put(row, column, merged(sheet.cell(row, column), data, mask))
    document.memo.clear()


def _below_table(document: Document, table_id: str, count: int) -> tuple[Sheet, int, int]:
    """The sheet, first free row and first column of a table. Its range grows to include `count` rows from there."""
    for sheet in document.sheets:
        for table in sheet.objects["tables"]:
            if table["tableId"] == table_id:
                span = table["range"]
                first = span["endRowIndex"]
                while first > span["startRowIndex"] + 1 and not any(
                    sheet.has(first - 1, c) for c in range(span["startColumnIndex"], span["endColumnIndex"])
                ):
                    first -= 1
                span["endRowIndex"] = max(span["endRowIndex"], first + count)
                return sheet, first, span["startColumnIndex"]
    raise invalid(f"No table with id: {table_id}")


def borders_request(document: Document, request: Json) -> None:
    """updateBorders: store outer and inner borders in the formats of the cells."""
    sheet, rect = document.range_of(request.get("range", {}))
    document.guard(sheet, rect)
    for row in range(rect.r0, rect.r1):
        for column in range(rect.c0, rect.c1):
            sides = {
                "top": "top" if row == rect.r0 else "innerHorizontal",
                "bottom": "bottom" if row == rect.r1 - 1 else "innerHorizontal",
                "left": "left" if column == rect.c0 else "innerVertical",
                "right": "right" if column == rect.c1 - 1 else "innerVertical",
            }
            given = {side: request[name] for side, name in sides.items() if name in request}
            if given:
                cell = dict(sheet.cell(row, column))
                form = cell.get("userEnteredFormat", {})
                kept = {k: v for k, v in (form.get("borders", {}) | given).items() if v.get("style") != "NONE"}
                cell["userEnteredFormat"] = form | {"borders": copy.deepcopy(kept)}
                sheet.put(row, column, cell)


def validation_request(document: Document, request: Json) -> None:
    """setDataValidation: set the rule in every cell, or clear it without a rule. An empty check box becomes FALSE."""
    sheet, rect = document.range_of(request.get("range", {}))
    document.guard(sheet, rect)
    rule = request.get("rule")
    box = (rule or {}).get("condition", {}).get("type") == "BOOLEAN"
    for row in range(rect.r0, rect.r1):
        for column in range(rect.c0, rect.c1):
            cell = {k: v for k, v in sheet.cell(row, column).items() if k != "dataValidation"}
            if rule:
                cell["dataValidation"] = rule
            if box and "userEnteredValue" not in cell:
                cell["userEnteredValue"] = {"boolValue": False}
            sheet.put(row, column, cell)
    document.memo.clear()
