"""The methods of Sheets v4, by id in the discovery document.

https://developers.google.com/workspace/sheets/api/reference/rest"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tallybook_emulators.sheets import batch, masks, metadata, ranges
from tallybook_emulators.sheets.a1 import Rect
from tallybook_emulators.sheets.drive import Store
from tallybook_emulators.sheets.errors import GoogleError
from tallybook_emulators.sheets.model import Document, Json, Sheet
from tallybook_emulators.sheets.oauth import AccessToken
from tallybook_emulators.sheets.objects import PROTECTED, shown
from tallybook_emulators.sheets.tabs import copy_to, properties_json
from tallybook_emulators.sheets.values import Values
from tallybook_emulators.sheets.view import View


@dataclass(frozen=True)
class Call:
    """A request to a method: caller, path parameters, query and body."""

    caller: AccessToken
    path: dict[str, str]
    query: Json
    body: Json


class Sheets:
    """The Sheets API on a store of files."""

    def __init__(self, store: Store) -> None:
        self.store = store

    @property
    def now(self) -> datetime:
        return self.store.now()

    # --- the spreadsheet ------------------------------------------------------------------------------------

    def create(self, call: Call) -> Json:
        """Create a spreadsheet. Service accounts are refused, because they cannot own files."""
        if call.caller.is_service:
            raise GoogleError(403)
        title = call.body.get("properties", {}).get("title", "Untitled spreadsheet")
        file = self.store.create(call.caller.account, title, app=call.caller.app, given=call.body)
        assert file.document
        return spreadsheet(file.document, call, self.now, grid=False)

    def get(self, call: Call) -> Json:
        document = self._read(call)
        grid = bool(call.query.get("includeGridData"))
        if call.query.get("fields"):
            grid = masks.selects(masks.parse(call.query["fields"]), "sheets", "data")
        areas = [ranges.readable(document, text) for text in call.query.get("ranges", ())]
        return spreadsheet(document, call, self.now, grid=grid, areas=areas)

    def get_by_filter(self, call: Call) -> Json:
        document = self._read(call)
        grid = bool(call.body.get("includeGridData"))
        if call.query.get("fields"):
            grid = masks.selects(masks.parse(call.query["fields"]), "sheets", "data")
        areas = [
            (sheet, ranges.on_grid(sheet, span))
            for data_filter in call.body.get("dataFilters", ())
            for sheet, span in ranges.filtered(document, data_filter)
        ]
        return spreadsheet(document, call, self.now, grid=grid, areas=areas, only=bool(call.body.get("dataFilters")))

    def batch_update(self, call: Call) -> Json:
        answer: Json = {"spreadsheetId": call.path["spreadsheetId"]}

        def run(document: Document) -> None:
            answer["replies"] = batch.run(document, call.body)
            if call.body.get("includeSpreadsheetInResponse"):
                areas = [ranges.readable(document, text) for text in call.body.get("responseRanges", ())]
                grid = bool(call.body.get("responseIncludeGridData"))
                answer["updatedSpreadsheet"] = spreadsheet(document, call, self.now, grid=grid, areas=areas)

        self._write(call, run)
        return answer

    def copy_sheet(self, call: Call) -> Json:
        source = self._read(call)
        number = call.body.get("destinationSpreadsheetId", "")
        file = self.store.opened(call.caller, number, write=True)
        assert file.document
        target = file.document.fork(call.caller.account, self.now)
        answer = copy_to(source, int(call.path["sheetId"]), target)
        self.store.commit(file, target)
        return answer

    # --- values, metadata -----------------------------------------------------------------------------------

    def values_get(self, call: Call) -> Json:
        return self._values(call).get(call.path["range"], call.query)

    def values_batch_get(self, call: Call) -> Json:
        return self._values(call).batch_get(call.query)

    def values_batch_get_by_filter(self, call: Call) -> Json:
        return self._values(call).batch_get_by_filter(call.body)

    def values_update(self, call: Call) -> Json:
        return self._written(call, lambda values: values.update(call.path["range"], call.body, call.query))

    def values_append(self, call: Call) -> Json:
        return self._written(call, lambda values: values.append(call.path["range"], call.body, call.query))

    def values_batch_update(self, call: Call) -> Json:
        return self._written(call, lambda values: values.batch_update(call.body))

    def values_batch_update_by_filter(self, call: Call) -> Json:
        return self._written(call, lambda values: values.batch_update_by_filter(call.body))

    def values_clear(self, call: Call) -> Json:
        return self._written(call, lambda values: values.clear(call.path["range"]))

    def values_batch_clear(self, call: Call) -> Json:
        return self._written(call, lambda values: values.batch_clear(call.body))

    def values_batch_clear_by_filter(self, call: Call) -> Json:
        return self._written(call, lambda values: values.batch_clear_by_filter(call.body))

    def metadata_get(self, call: Call) -> Json:
        return metadata.get(self._read(call), int(call.path["metadataId"]))

    def metadata_search(self, call: Call) -> Json:
        return metadata.search(self._read(call), call.body)

    # --- reading and writing --------------------------------------------------------------------------------

    def _read(self, call: Call) -> Document:
        file = self.store.opened(call.caller, call.path["spreadsheetId"], write=False)
        assert file.document
        return file.document

    def _values(self, call: Call) -> Values:
        return Values(self._read(call), self.now)

    def _write(self, call: Call, change: Callable[[Document], None]) -> None:
        """Apply a change to a fork, which replaces the document if the change succeeds."""
        file = self.store.opened(call.caller, call.path["spreadsheetId"], write=True)
        assert file.document
        fork = file.document.fork(call.caller.account, self.now)
        change(fork)
        self.store.commit(file, fork)

    def _written(self, call: Call, change: Callable[[Values], Json]) -> Json:
        answer: Json = {}
        self._write(call, lambda document: answer.update(change(Values(document, self.now))))
        return answer


def spreadsheet(
    document: Document,
    call: Call,
    now: datetime,
    *,
    grid: bool,
    areas: Iterable[tuple[Sheet, Rect]] = (),
    only: bool = False,
) -> Json:
    """A Spreadsheet. With `areas`, only the tabs and cells in these areas."""
    areas = list(areas)
    view = View(document, now)
    made: Json = {
        "spreadsheetId": document.id,
        "properties": document.properties,
        "sheets": [
            sheet_json(view, sheet, [rect for other, rect in areas if other is sheet], call.caller.account, grid=grid)
            for sheet in document.sheets
            if not (areas or only) or any(other is sheet for other, _ in areas)
        ],
        "spreadsheetUrl": f"https://docs.google.com/spreadsheets/d/{document.id}/edit",
    }
    if document.named_ranges:
        made["namedRanges"] = document.named_ranges
    own = [metadata.as_json(one, document) for one in document.metadata.values() if one.sheet_id is None]
    return made | ({"developerMetadata": own} if own else {})


def sheet_json(view: View, sheet: Sheet, areas: list[Rect], account: str, *, grid: bool) -> Json:
    document = view.document
    made: Json = {"properties": properties_json(sheet)}
    if grid:
        made["data"] = [view.grid_data(sheet, rect) for rect in areas or [sheet.whole]]
    for name, kept in sheet.objects.items():
        if kept:
            made[name] = list(kept)
    if sheet.objects["protectedRanges"]:
        reader = document if document.actor == account else _as_read_by(document, account)
        made["protectedRanges"] = [shown(reader, PROTECTED, one) for one in sheet.objects["protectedRanges"]]
    if sheet.basic_filter:
        made["basicFilter"] = sheet.basic_filter
    own = [
        metadata.as_json(one, document)
        for one in document.metadata.values()
        if one.sheet_id == sheet.id and one.dimension is None
    ]
    return made | ({"developerMetadata": own} if own else {})


def _as_read_by(document: Document, account: str) -> Document:
    from dataclasses import replace

    return replace(document, actor=account)


Method = Callable[[Sheets, Call], Any]
METHODS: dict[str, Method] = {
    "sheets.spreadsheets.create": Sheets.create,
    "sheets.spreadsheets.get": Sheets.get,
    "sheets.spreadsheets.getByDataFilter": Sheets.get_by_filter,
    "sheets.spreadsheets.batchUpdate": Sheets.batch_update,
    "sheets.spreadsheets.sheets.copyTo": Sheets.copy_sheet,
    "sheets.spreadsheets.developerMetadata.get": Sheets.metadata_get,
    "sheets.spreadsheets.developerMetadata.search": Sheets.metadata_search,
    "sheets.spreadsheets.values.get": Sheets.values_get,
    "sheets.spreadsheets.values.batchGet": Sheets.values_batch_get,
    "sheets.spreadsheets.values.batchGetByDataFilter": Sheets.values_batch_get_by_filter,
    "sheets.spreadsheets.values.update": Sheets.values_update,
    "sheets.spreadsheets.values.append": Sheets.values_append,
    "sheets.spreadsheets.values.batchUpdate": Sheets.values_batch_update,
    "sheets.spreadsheets.values.batchUpdateByDataFilter": Sheets.values_batch_update_by_filter,
    "sheets.spreadsheets.values.clear": Sheets.values_clear,
    "sheets.spreadsheets.values.batchClear": Sheets.values_batch_clear,
    "sheets.spreadsheets.values.batchClearByDataFilter": Sheets.values_batch_clear_by_filter,
}
