"""Reads cells: evaluated, formatted, and as JSON of the API."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tallybook_emulators.sheets.a1 import Rect
from tallybook_emulators.sheets.colors import without_stale_siblings
from tallybook_emulators.sheets.formulas import CellContext, CellError, FormulaError, locate, parsed, value_at
from tallybook_emulators.sheets.locales import locale
from tallybook_emulators.sheets.model import COLUMNS, ROWS, Document, Json, Sheet
from tallybook_emulators.sheets.shown import DATES, shown

CARRIERS = ("SUM", "MIN", "MAX", "AVERAGE", "MEDIAN", "ROUND", "ABS", "EDATE", "EOMONTH")
"""Functions whose result takes the number format of their first argument."""
DEFAULT_FORMAT: Json = {
    "backgroundColor": {"red": 1, "green": 1, "blue": 1},
    "padding": {"top": 2, "right": 3, "bottom": 2, "left": 3},
    "verticalAlignment": "BOTTOM",
    "wrapStrategy": "OVERFLOW_CELL",
    "textFormat": {
        "foregroundColor": {},
        "fontFamily": "arial,sans,sans-serif",
        "fontSize": 10,
        "bold": False,
        "italic": False,
        "strikethrough": False,
        "underline": False,
        "foregroundColorStyle": {"rgbColor": {}},
    },
    "backgroundColorStyle": {"rgbColor": {"red": 1, "green": 1, "blue": 1}},
}


def json_number(number: float) -> float:
    """A double as JSON prints it: without `.0` if it is an integer that doubles represent exactly."""
    return int(number) if abs(number) < 2**53 and number == int(number) else number


class View:
    """Reads a document at one moment."""

    def __init__(self, document: Document, now: datetime) -> None:
        self.document = document
        self.now = now
        if document.memo.setdefault("at", now) != now:
            document.memo.clear()
            document.memo["at"] = now
        self.locale = locale(document.locale)

    def value(self, sheet: Sheet, row: int, column: int) -> Any:
        """The evaluated value: number, text, boolean, `CellError`, or None."""
        return value_at(CellContext(self.document, sheet, row, column, self.now))

    def number_format(self, sheet: Sheet, row: int, column: int, depth: int = 0) -> Mapping[str, str] | None:
        """The number format of a cell: its own, or the one that its formula inherits from the cells it reads."""
        cell = sheet.cell(row, column)
        own = cell.get("userEnteredFormat", {}).get("numberFormat")
        formula = cell.get("userEnteredValue", {}).get("formulaValue")
        if own or not formula or depth > 20:
            return dict(own) if own else None
        return self._carried(parsed(formula[1:], self.document.locale), sheet, depth)

    def _carried(self, tree: tuple[Any, ...], sheet: Sheet, depth: int) -> Mapping[str, str] | None:
        match tree:
            case ("ref", text):
                try:
                    there, span = locate(text, self.document, sheet)
                except FormulaError:
                    return None
                rect = there.clip(span)
                return self.number_format(there, rect.r0, rect.c0, depth + 1) if rect.height and rect.width else None
            case ("call", "TODAY" | "DATE" | "TO_DATE", *_):
                return {"type": "DATE"}
            case ("call", "NOW"):
                return {"type": "DATE_TIME"}
            case ("call", name, first, *_) if name in CARRIERS:
                return self._carried(first, sheet, depth)
            case ("do", "+" | "-", left, right):
                return self._carried(left, sheet, depth) or self._carried(right, sheet, depth)
        return None

    def text(self, sheet: Sheet, row: int, column: int) -> str:
        """The displayed text of a cell."""
        value = self.value(sheet, row, column)
        if isinstance(value, CellError):
            return value.text
        return shown(value, self.number_format(sheet, row, column), self.locale)

    def rendered(self, sheet: Sheet, row: int, column: int, option: str, dates: str) -> Any:
        """The value of a cell in a ValueRange, by ValueRenderOption and DateTimeRenderOption."""
        entered = sheet.cell(row, column).get("userEnteredValue", {})
        if option == "FORMATTED_VALUE":
            return self.text(sheet, row, column)
        if option == "FORMULA" and "formulaValue" in entered:
            return entered["formulaValue"]
        value = self.value(sheet, row, column)
        if isinstance(value, CellError):
            return value.text
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if dates == "FORMATTED_STRING" and is_number:
            form = self.number_format(sheet, row, column)
            if form and form.get("type") in DATES:
                return self.text(sheet, row, column)
        return json_number(value) if is_number else value

    def values(self, sheet: Sheet, rect: Rect, *, option: str, dates: str, major: str = ROWS) -> list[list[Any]]:
        """The values of a range, without trailing empty rows and columns. Empty cells in between are ""."""
        found: dict[int, dict[int, Any]] = {}
        for row, column, _ in sheet.filled(rect):
            outer, inner = (column, row) if major == COLUMNS else (row, column)
            value = self.rendered(sheet, row, column, option, dates)
            if value is not None:
                found.setdefault(outer, {})[inner] = value
        first, start = (rect.c0, rect.r0) if major == COLUMNS else (rect.r0, rect.c0)
        made: list[list[Any]] = []
        for outer in range(first, max(found, default=first - 1) + 1):
            line = found.get(outer, {})
            made.append([line.get(inner, "") for inner in range(start, max(line, default=start - 1) + 1)])
        return made

    # --- CellData and GridData ------------------------------------------------------------------------------

    def cell_data(self, sheet: Sheet, row: int, column: int) -> Json:
        """The CellData of a cell, with the entered and the effective values."""
        made = dict(sheet.cell(row, column))
        if not made:
            return {}
        value = self.value(sheet, row, column)
        if value is not None:
            made["userEnteredValue"] = _numbers(made["userEnteredValue"])
            made["effectiveValue"] = extended(value)
            made["formattedValue"] = self.text(sheet, row, column)
        form, number_format = made.get("userEnteredFormat"), self.number_format(sheet, row, column)
        if form or number_format:
            made["effectiveFormat"] = _over(DEFAULT_FORMAT, form or {})
            if number_format:
                made["effectiveFormat"] |= {"numberFormat": dict(number_format)}
        return made

    def grid_data(self, sheet: Sheet, rect: Rect) -> Json:
        """A GridData: the non-empty cells, and the properties of all rows and columns of the range."""
        rows: dict[int, list[Json]] = {}
        for row, column, _ in sheet.filled(rect, None):
            cells = rows.setdefault(row, [])
            cells += [{} for _ in range(column - rect.c0 - len(cells))]
            cells.append(self.cell_data(sheet, row, column))
        made: Json = {}
        if rect.r0:
            made["startRow"] = rect.r0
        if rect.c0:
            made["startColumn"] = rect.c0
        if rows:
            made["rowData"] = [{"values": rows[row]} if row in rows else {} for row in range(rect.r0, max(rows) + 1)]
        attached = self.attached(sheet)
        made["rowMetadata"] = [self._line(sheet, line, 21, attached) for line in sheet.rows[rect.r0 : rect.r1]]
        made["columnMetadata"] = [self._line(sheet, line, 100, attached) for line in sheet.columns[rect.c0 : rect.c1]]
        return made

    def _line(self, sheet: Sheet, line: int, pixels: int, attached: Mapping[int, list[Json]]) -> Json:
        made = {"pixelSize": pixels} | sheet.lines.get(line, {})
        return made | {"developerMetadata": attached[line]} if line in attached else made

    def attached(self, sheet: Sheet) -> dict[int, list[Json]]:
        """Developer metadata by line, for the lines of the sheet."""
        from tallybook_emulators.sheets.metadata import as_json

        found: dict[int, list[Json]] = {}
        for one in self.document.metadata.values():
            if one.sheet_id == sheet.id and one.line is not None:
                found.setdefault(one.line, []).append(as_json(one, self.document))
        return found


def _over(default: Json, form: Mapping[str, Any]) -> Json:
    """The default format overridden by a cell's own format."""
    text: Json = form.get("textFormat", {})
    made = without_stale_siblings(default, form) | dict(form)
    return made | {"textFormat": without_stale_siblings(default["textFormat"], text) | text}


def _numbers(value: Json) -> Json:
    return {"numberValue": json_number(value["numberValue"])} if "numberValue" in value else dict(value)


def extended(value: Any) -> Json:
    """An evaluated value as an ExtendedValue."""
    if isinstance(value, CellError):
        return {"errorValue": {"type": value.kind, "message": value.message}}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, str):
        return {"stringValue": value}
    return {"numberValue": json_number(value)}
