"""spreadsheets.values: read, write, append and clear, by A1 range or DataFilter.

https://developers.google.com/workspace/sheets/api/reference/rest/v4/spreadsheets.values"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from tallybook_emulators.sheets.a1 import Rect, Span, letters, written
from tallybook_emulators.sheets.entry import raw, typed
from tallybook_emulators.sheets.errors import GoogleError, invalid
from tallybook_emulators.sheets.locales import locale
from tallybook_emulators.sheets.model import COLUMNS, ROWS, Document, Json, Sheet
from tallybook_emulators.sheets.ranges import filtered, locate, on_grid, readable
from tallybook_emulators.sheets.tables import insert_rows, table_in
from tallybook_emulators.sheets.view import View

INPUTS = ("RAW", "USER_ENTERED")
Options = Mapping[str, Any]
CellPlace = tuple[int, int, int]
"""Sheet id, row and column of a cell."""


class Values:
    """The methods of spreadsheets.values on one document. For methods that write, the document is a fork."""

    def __init__(self, document: Document, now: datetime) -> None:
        self.document = document
        self.now = now
        self.view = View(document, now)

    # --- reading --------------------------------------------------------------------------------------------

    def get(self, text: str, options: Options) -> Json:
        sheet, rect = readable(self.document, text)
        return self._value_range(sheet, rect, options)

    def batch_get(self, options: Options) -> Json:
        ranges = [self.get(text, options) for text in options.get("ranges", ())]
        return {"spreadsheetId": self.document.id} | ({"valueRanges": ranges} if ranges else {})

    def batch_get_by_filter(self, body: Options) -> Json:
        found = [
            {"valueRange": self._value_range(sheet, on_grid(sheet, span), body), "dataFilters": [data_filter]}
            for data_filter in body.get("dataFilters", ())
            for sheet, span in filtered(self.document, data_filter)
        ]
        return {"spreadsheetId": self.document.id} | ({"valueRanges": found} if found else {})

    def _value_range(self, sheet: Sheet, rect: Rect, options: Options, prefix: str = "") -> Json:
        major = options.get("majorDimension") or ROWS
        if prefix or major == "DIMENSION_UNSPECIFIED":
            major = ROWS
        values = self.view.values(
            sheet,
            rect,
            major=major,
            option=options.get("valueRenderOption" if not prefix else "responseValueRenderOption") or "FORMATTED_VALUE",
            dates=options.get("dateTimeRenderOption" if not prefix else "responseDateTimeRenderOption")
            or "SERIAL_NUMBER",
        )
        made: Json = {"range": written(sheet.title, rect), "majorDimension": major}
        return made | ({"values": values} if values else {})

    # --- writing --------------------------------------------------------------------------------------------

    def update(self, text: str, body: Options, options: Options) -> Json:
        if (
            body.get("range")
            and body["range"] != text
            and locate(self.document, body["range"]) != locate(self.document, text)
        ):
            raise invalid(f"Request range[{text}] does not match value's range[{body['range']}]")
        sheet, span = locate(self.document, text)
        return self._write(sheet, span, body, options)[0]

    def batch_update(self, body: Options) -> Json:
        answers, cells = [], set[CellPlace]()
        for index, one in enumerate(body.get("data", ())):
            with named(f"data[{index}]"):
                sheet, span = locate(self.document, one.get("range", ""))
                answer, written_cells = self._write(sheet, span, one, body)
                answers.append(answer)
                cells |= written_cells
        return self._totals(answers, cells)

    def batch_update_by_filter(self, body: Options) -> Json:
        answers, cells = [], set[CellPlace]()
        for index, one in enumerate(body.get("data", ())):
            with named(f"data[{index}]"):
                for sheet, span in filtered(self.document, one.get("dataFilter", {})):
                    answer, written_cells = self._write(sheet, span, one, body, exceed=False)
                    del answer["spreadsheetId"]
                    answers.append(answer | {"dataFilter": one["dataFilter"]})
                    cells |= written_cells
        return self._totals(answers, cells)

    def _totals(self, answers: list[Json], cells: set[CellPlace]) -> Json:
        """The totals of several ranges. Each row, column and cell counts once, even if several ranges contain it."""
        return {
            "spreadsheetId": self.document.id,
            "totalUpdatedRows": len({(sheet, row) for sheet, row, _ in cells}),
            "totalUpdatedColumns": len({(sheet, column) for sheet, _, column in cells}),
            "totalUpdatedCells": len(cells),
            "totalUpdatedSheets": len({sheet for sheet, *_ in cells}),
            "responses": answers,
        }

    def _write(
        self, sheet: Sheet, span: Span, body: Options, options: Options, *, exceed: bool = True
    ) -> tuple[Json, set[CellPlace]]:
        """Write from the first cell of the span on, and return the answer and the written cells.

        If `exceed`, a span of one cell is only the start, and the values may extend beyond it."""
        rows = by_rows(body.get("values") or [], body.get("majorDimension") or ROWS)
        area = sheet.full(span)
        height, width = len(rows), max(map(len, rows), default=0)
        rect = Rect(area.r0, area.r0 + height, area.c0, area.c0 + width)
        if not (exceed and span.one_cell) and not rect.within(area):
            tried = f"row [{area.r1 + 1}]" if rect.r1 > area.r1 else f"column [{letters(area.c1)}]"
            raise invalid(
                f"Requested writing within range [{written(sheet.title, area)}], but tried writing to {tried}"
            )
        if rect.r1 > len(sheet.rows) or rect.c1 > len(sheet.columns):
            raise sheet.beyond(Span(rect.r0, rect.r1, rect.c0, rect.c1))
        cells = self._put(sheet, rect, rows, input_option(options))
        return self._updated(sheet, rect, cells, options), cells

    def _updated(self, sheet: Sheet, rect: Rect, cells: set[CellPlace], options: Options) -> Json:
        answer: Json = {"spreadsheetId": self.document.id}
        if not (rect.height and rect.width):
            return answer | {"updatedRange": written(sheet.title, Rect(rect.r0, rect.r0 + 1, rect.c0, rect.c0 + 1))}
        answer |= {
            "updatedRange": written(sheet.title, rect),
            "updatedRows": len({row for _, row, _ in cells}),
            "updatedColumns": len({column for *_, column in cells}),
            "updatedCells": len(cells),
        }
        if options.get("includeValuesInResponse"):
            answer["updatedData"] = self._value_range(sheet, rect, options, "response")
        return answer

    def _put(self, sheet: Sheet, rect: Rect, rows: list[list[Any]], option: str) -> set[CellPlace]:
        """Write values from the first cell of the rectangle on, and return the written cells. Null skips a cell."""
        self.document.guard(sheet, rect)
        entered = self._entered(option)
        cells: set[CellPlace] = set()
        for row, values in enumerate(rows, rect.r0):
            for column, value in enumerate(values, rect.c0):
                if value is None:
                    continue
                if isinstance(value, list | dict):
                    raise invalid(f"Invalid values[{row - rect.r0}][{column - rect.c0}]: {proto_text(value)}")
                sheet.put(row, column, entered(sheet.cell(row, column), value))
                cells.add((sheet.id, row, column))
        self.document.memo.clear()
        return cells

    def _entered(self, option: str) -> Callable[[Mapping[str, Any], Any], Json]:
        of, today = locale(self.document.locale), self.now.date()

        def cell_with(cell: Mapping[str, Any], value: Any) -> Json:
            form = cell.get("userEnteredFormat", {})
            own = form.get("numberFormat", {})
            as_text = own.get("type") == "TEXT"
            entered, shown_as = raw(value) if option == "RAW" else typed(value, of, today, as_text=as_text)
            made = {k: v for k, v in cell.items() if k not in ("userEnteredValue", "textFormatRuns")}
            if entered is not None:
                made["userEnteredValue"] = entered
            if shown_as and not own:
                made["userEnteredFormat"] = {**form, "numberFormat": shown_as}
            return made

        return cell_with

    def append(self, text: str, body: Options, options: Options) -> Json:
        """Write below the last table that the range intersects. Without a table, write where the range begins."""
        sheet, span = locate(self.document, text)
        rows = by_rows(body.get("values") or [], body.get("majorDimension") or ROWS)
        width = max(map(len, rows), default=0)
        area = on_grid(sheet, span)
        table = table_in(sheet, area)
        first, column = (table.r1, table.c0) if table else (area.r0, area.c0)
        rect = Rect(first, first + len(rows), column, column + width)
        option = input_option(options)
        if options.get("insertDataOption") == "INSERT_ROWS" and rows:
            insert_rows(self.document, sheet, first, len(rows))
        sheet.grow(ROWS, max(0, rect.r1 - len(sheet.rows)))
        sheet.grow(COLUMNS, max(0, rect.c1 - len(sheet.columns)))
        self.document.check_size()
        cells = self._put(sheet, rect, rows, option)
        answer: Json = {"spreadsheetId": self.document.id}
        if table:
            answer["tableRange"] = written(sheet.title, table)
        return answer | {"updates": self._updated(sheet, rect, cells, options)}

    # --- clearing -------------------------------------------------------------------------------------------

    def clear(self, text: str) -> Json:
        sheet, rect = readable(self.document, text)
        return {"spreadsheetId": self.document.id, "clearedRange": self._clear(sheet, rect)}

    def batch_clear(self, body: Options) -> Json:
        cleared = [self._clear(*readable(self.document, text)) for text in body.get("ranges", ())]
        return {"spreadsheetId": self.document.id, "clearedRanges": cleared}

    def batch_clear_by_filter(self, body: Options) -> Json:
        cleared = [
            self._clear(sheet, on_grid(sheet, span))
            for data_filter in body.get("dataFilters", ())
            for sheet, span in filtered(self.document, data_filter)
        ]
        return {"spreadsheetId": self.document.id, "clearedRanges": cleared}

    def _clear(self, sheet: Sheet, rect: Rect) -> str:
        """Clear the values of a range, and return the range. Formats, notes and validation stay."""
        self.document.guard(sheet, rect)
        for row, column, cell in list(sheet.filled(rect)):
            sheet.put(row, column, {k: v for k, v in cell.items() if k not in ("userEnteredValue", "textFormatRuns")})
        self.document.memo.clear()
        return written(sheet.title, rect)


@contextmanager
def named(place: str) -> Iterator[None]:
    """Add the path in the body to the message of an error raised inside."""
    try:
        yield
    except GoogleError as error:
        error.message = f"Invalid {place}: {error.message}"
        raise


def proto_text(value: Any) -> str:
    """A JSON value as Google's errors print it: in the text format of google.protobuf.Value."""
    match value:
        case None:
            return "null_value: NULL_VALUE\n"
        case bool():
            return f"bool_value: {str(value).lower()}\n"
        case int() | float():
            return f"number_value: {float(value)!r}\n"
        case str():
            return f"string_value: {json.dumps(value)}\n"
        case list():
            return f"list_value {{\n{''.join(_block('values', proto_text(one)) for one in value)}}}\n"
    fields = "".join(
        _block("fields", f"key: {json.dumps(name)}\n{_block('value', proto_text(one), '')}")
        for name, one in value.items()
    )
    return f"struct_value {{\n{fields}}}\n"


def _block(name: str, inner: str, indent: str = "  ") -> str:
    lines = "".join(f"{indent}  {line}\n" for line in inner.splitlines())
    return f"{indent}{name} {{\n{lines}{indent}}}\n"


def input_option(options: Options) -> str:
    option = options.get("valueInputOption")
    if option not in INPUTS:
        raise invalid("'valueInputOption' is required but not specified")
    return str(option)


def by_rows(values: list[list[Any]], major: str) -> list[list[Any]]:
    """The values by row, transposed if they are given by column. Short columns are padded with null."""
    if major != COLUMNS:
        return values
    height = max(map(len, values), default=0)
    return [[column[row] if row < len(column) else None for column in values] for row in range(height)]
