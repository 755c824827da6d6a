"""Edits by people in the browser. They do not count as requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tallybook_emulators.sheets import batch
from tallybook_emulators.sheets.a1 import column_number, grid_range
from tallybook_emulators.sheets.api import Api
from tallybook_emulators.sheets.drive import File
from tallybook_emulators.sheets.model import COLUMNS, ROWS, Document, Json
from tallybook_emulators.sheets.ranges import locate
from tallybook_emulators.sheets.values import Values


class Person:
    """A person who has the spreadsheet open. Rows and columns have the names of the page: 1, "A"."""

    def __init__(self, api: Api, file: File, account: str) -> None:
        self._api, self._file, self.account = api, file, account

    def _do(self, change: Callable[[Document], Any]) -> Any:
        with self._api.lock:
            assert self._file.document
            fork = self._file.document.fork(self.account, self._api.clock.now())
            done = change(fork)
            self._api.store.commit(self._file, fork)
            return done

    def request(self, kind: str, **fields: Any) -> Any:
        """Apply a request of batchUpdate, such as addChart. Raises GoogleError if it is refused."""
        return self._do(lambda document: batch.run(document, {"requests": [{kind: fields}]}))[0].get(kind)

    def _id(self, tab: str) -> int:
        assert self._file.document
        sheet = self._file.document.titled(tab)
        assert sheet, f"no tab {tab!r}"
        return sheet.id

    def _range(self, text: str) -> Json:
        assert self._file.document
        sheet, span = locate(self._file.document, text)
        return grid_range(sheet.id, sheet.full(span))

    def _columns(self, tab: str, column: str, count: int = 1) -> Json:
        first = column_number(column)
        return {"sheetId": self._id(tab), "dimension": COLUMNS, "startIndex": first, "endIndex": first + count}

    def _rows(self, tab: str, row: int, count: int = 1) -> Json:
        return {"sheetId": self._id(tab), "dimension": ROWS, "startIndex": row - 1, "endIndex": row - 1 + count}

    # --- tabs and the document --------------------------------------------------------------------------------

    def add_tab(self, title: str) -> int:
        """Add a tab, and return its id."""
        number: int = self.request("addSheet", properties={"title": title})["properties"]["sheetId"]
        return number

    def rename_tab(self, tab: str, to: str) -> None:
        self.request("updateSheetProperties", properties={"sheetId": self._id(tab), "title": to}, fields="title")

    def delete_tab(self, tab: str) -> None:
        self.request("deleteSheet", sheetId=self._id(tab))

    def rename(self, title: str) -> None:
        """Rename the spreadsheet."""
        self._set_property("title", title)

    def change_locale(self, locale: str) -> None:
        """Set the locale of the spreadsheet, such as "de_DE"."""
        self._set_property("locale", locale)

    def change_time_zone(self, time_zone: str) -> None:
        self._set_property("timeZone", time_zone)

    def _set_property(self, name: str, value: str) -> None:
        self.request("updateSpreadsheetProperties", properties={name: value}, fields=name)

    # --- rows and columns -------------------------------------------------------------------------------------

    def insert_column(self, tab: str, before: str, count: int = 1) -> None:
        self.request("insertDimension", range=self._columns(tab, before, count), inheritFromBefore=before != "A")

    def delete_column(self, tab: str, column: str, count: int = 1) -> None:
        self.request("deleteDimension", range=self._columns(tab, column, count))

    def move_column(self, tab: str, column: str, before: str) -> None:
        """Drag a column in front of another."""
        to = column_number(before)
        self.request("moveDimension", source=self._columns(tab, column), destinationIndex=to)

    def hide_column(self, tab: str, column: str) -> None:
        hidden = {"hiddenByUser": True}
        self.request(
            "updateDimensionProperties", range=self._columns(tab, column), properties=hidden, fields="hiddenByUser"
        )

    def insert_row(self, tab: str, before: int, count: int = 1) -> None:
        self.request("insertDimension", range=self._rows(tab, before, count), inheritFromBefore=before != 1)

    def delete_row(self, tab: str, row: int, count: int = 1) -> None:
        self.request("deleteDimension", range=self._rows(tab, row, count))

    def move_row(self, tab: str, row: int, before: int) -> None:
        self.request("moveDimension", source=self._rows(tab, row), destinationIndex=before - 1)

    def sort(self, area: str, by: str, *, descending: bool = False) -> None:
        """Sort the rows of a range (`Daily!A2:D`) by a column, "A" being the sheet's first."""
        order = "DESCENDING" if descending else "ASCENDING"
        spec = {"dimensionIndex": column_number(by), "sortOrder": order}
        self.request("sortRange", range=self._range(area), sortSpecs=[spec])

    # --- cells ------------------------------------------------------------------------------------------------

    def type(self, cell: str, value: Any) -> None:
        """Type a text into a cell (`Daily!B2`). It is parsed as number, date or formula by the locale."""
        self.type_rows(cell, [[value]])

    def rename_header(self, cell: str, text: str) -> None:
        """Type a new header into a cell. The same as `type`."""
        self.type(cell, text)

    def type_rows(self, start: str, rows: Sequence[Sequence[Any]]) -> None:
        """Type rows of values, the first at `start`. The sheet must be large enough."""
        body = {"values": [list(row) for row in rows]}
        self._do(lambda doc: Values(doc, doc.now).update(start, body, {"valueInputOption": "USER_ENTERED"}))

    def clear(self, area: str) -> None:
        self._do(lambda doc: Values(doc, doc.now).clear(area))

    def note(self, cell: str, text: str) -> None:
        self.request("repeatCell", range=self._range(cell), cell={"note": text}, fields="note")

    def format(self, area: str, **cell_format: Any) -> None:
        """Set fields of the CellFormat of a range: `format("Daily!A2:A", numberFormat={…})`."""
        names = ",".join(f"userEnteredFormat.{name}" for name in cell_format)
        self.request("repeatCell", range=self._range(area), cell={"userEnteredFormat": cell_format}, fields=names)

    def check_boxes(self, area: str) -> None:
        """Turn the cells into check boxes, with the value FALSE."""
        rule = {"condition": {"type": "BOOLEAN"}}
        self.request("setDataValidation", range=self._range(area), rule=rule)

    # --- objects on a tab ---------------------------------------------------------------------------------------

    def protect(self, area: str, *, editors: Sequence[str] = (), warning_only: bool = False) -> int:
        """Protect a range against everybody except the owner and `editors`, and return its id."""
        one: Json = {"range": self._range(area), "editors": {"users": list(editors)}}
        if warning_only:
            one = {"range": self._range(area), "warningOnly": True}
        made: int = self.request("addProtectedRange", protectedRange=one)["protectedRange"]["protectedRangeId"]
        return made

    def unprotect(self, protected_range_id: int) -> None:
        self.request("deleteProtectedRange", protectedRangeId=protected_range_id)

    def filter(self, area: str, sort_by: str = "") -> None:
        """Set the filter of the tab. With `sort_by`, sort by that column."""
        specs = [{"dimensionIndex": column_number(sort_by), "sortOrder": "ASCENDING"}] if sort_by else []
        self.request("setBasicFilter", filter={"range": self._range(area)} | ({"sortSpecs": specs} if specs else {}))

    def name(self, area: str, name: str) -> str:
        """Name a range, and return its id."""
        given = {"name": name, "range": self._range(area)}
        made: str = self.request("addNamedRange", namedRange=given)["namedRange"]["namedRangeId"]
        return made

    def chart(self, title: str, domain: str, series: str, kind: str = "LINE") -> int:
        """Add a chart over two ranges of one column each, and return its id."""
        sources = [{"sourceRange": {"sources": [self._range(area)]}} for area in (domain, series)]
        basic = {"chartType": kind, "domains": [{"domain": sources[0]}], "series": [{"series": sources[1]}]}
        anchor = {"sheetId": self._range(domain)["sheetId"], "rowIndex": 1, "columnIndex": 6}
        chart = {
            "spec": {"title": title, "basicChart": basic},
            "position": {"overlayPosition": {"anchorCell": anchor}},
        }
        made: int = self.request("addChart", chart=chart)["chart"]["chartId"]
        return made

    def color_when(self, area: str, greater_than: float) -> None:
        """Add a conditional format: cells above a number turn red."""
        condition = {"type": "NUMBER_GREATER", "values": [{"userEnteredValue": str(greater_than)}]}
        rule = {"condition": condition, "format": {"backgroundColor": {"red": 1}}}
        self.request("addConditionalFormatRule", rule={"ranges": [self._range(area)], "booleanRule": rule}, index=0)
