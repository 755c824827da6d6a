"""Every request kind and every method that the Sheets emulator has, its answers held against Google's documents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from tallybook_emulators.sheets import Emulator, contract
from tallybook_emulators.sheets.api import ROUTES
from tallybook_emulators.sheets.batch import HANDLERS
from tallybook_emulators.sheets.contract import document, methods
from tests.emulators.test_sheets_emulator_rules import Api

START = datetime(2026, 3, 10, 8, tzinfo=UTC)
PAGE = Path(__file__).resolve().parents[2] / "docs" / "sheets-emulator.md"


@pytest.fixture
def google() -> Iterator[Emulator]:
    with Emulator(start=START, quotas=None) as emulator:
        yield emulator
        assert emulator.mistakes == []


@pytest.fixture
def api(google: Emulator) -> Api:
    return Api(google)


def area(r0: int, r1: int, c0: int, c1: int, sheet: int = 0) -> dict[str, int]:
    return {"sheetId": sheet, "startRowIndex": r0, "endRowIndex": r1, "startColumnIndex": c0, "endColumnIndex": c1}


def span(dimension: str, start: int, end: int, sheet: int = 0) -> dict[str, Any]:
    return {"sheetId": sheet, "dimension": dimension, "startIndex": start, "endIndex": end}


def text(value: str) -> dict[str, Any]:
    return {"userEnteredValue": {"stringValue": value}}


CHART = {
    "title": "c",
    "basicChart": {"chartType": "LINE", "series": [{"series": {"sourceRange": {"sources": [area(0, 9, 1, 2)]}}}]},
}
RULE = {
    "ranges": [area(0, 9, 0, 2)],
    "booleanRule": {"condition": {"type": "NOT_BLANK"}, "format": {"textFormat": {"bold": True}}},
}
META = {
    "metadataKey": "k",
    "metadataId": 5,
    "metadataValue": "v",
    "visibility": "DOCUMENT",
    "location": {"spreadsheet": True},
}
BY_ID = {"developerMetadataLookup": {"metadataId": 5}}
LINE = {"style": "SOLID", "color": {"red": 1}}
EXAMPLES: list[tuple[str, dict[str, Any]]] = [
    ("updateSpreadsheetProperties", {"properties": {"title": "New", "timeZone": "Europe/Berlin"}, "fields": "title,timeZone"}),
    ("addSheet", {"properties": {"sheetId": 7, "title": "Seven", "gridProperties": {"rowCount": 30, "columnCount": 9}, "tabColor": {"red": 1}}}),
    ("updateSheetProperties", {"properties": {"sheetId": 7, "gridProperties": {"frozenRowCount": 1, "hideGridlines": True}, "index": 0}, "fields": "gridProperties(frozenRowCount,hideGridlines),index"}),
    ("duplicateSheet", {"sourceSheetId": 7, "newSheetId": 8, "insertSheetIndex": 1, "newSheetName": "Eight"}),
    ("updateCells", {"range": area(0, 3, 0, 2), "rows": [{"values": [text("name"), text(" n ")]}, {"values": [text("b  c"), {"userEnteredValue": {"numberValue": 2}}]}, {"values": [text("a"), {"userEnteredValue": {"formulaValue": "=1/0"}}]}], "fields": "userEnteredValue"}),
    ("repeatCell", {"range": area(0, 1, 0, 2), "cell": {"userEnteredFormat": {"textFormat": {"bold": True}}, "note": "head"}, "fields": "userEnteredFormat.textFormat,note"}),
    ("appendCells", {"sheetId": 0, "rows": [{"values": [text("below")]}], "fields": "*"}),
    ("updateBorders", {"range": area(0, 3, 0, 2), "top": LINE, "innerHorizontal": LINE, "right": LINE}),
    ("trimWhitespace", {"range": area(0, 9, 0, 2)}),
    ("findReplace", {"find": "(a)", "replacement": "$1$1", "searchByRegex": True, "sheetId": 0}),
    ("sortRange", {"range": area(1, 4, 0, 2), "sortSpecs": [{"dimensionIndex": 0, "sortOrder": "ASCENDING"}]}),
    ("copyPaste", {"source": area(0, 2, 0, 2), "destination": area(10, 12, 4, 6), "pasteType": "PASTE_NORMAL", "pasteOrientation": "TRANSPOSE"}),
    ("cutPaste", {"source": area(10, 12, 4, 6), "destination": {"sheetId": 0, "rowIndex": 20, "columnIndex": 3}, "pasteType": "PASTE_NORMAL"}),
    ("insertRange", {"range": area(20, 21, 3, 4), "shiftDimension": "ROWS"}),
    ("deleteRange", {"range": area(20, 21, 3, 4), "shiftDimension": "ROWS"}),
    ("setDataValidation", {"range": area(1, 3, 4, 5), "rule": {"condition": {"type": "BOOLEAN"}, "strict": True}}),
    ("mergeCells", {"range": area(5, 7, 5, 7), "mergeType": "MERGE_COLUMNS"}),
    ("unmergeCells", {"range": area(5, 7, 5, 6)}),
    ("appendDimension", {"sheetId": 0, "dimension": "COLUMNS", "length": 2}),
    ("insertDimension", {"range": span("ROWS", 1, 3), "inheritFromBefore": True}),
    ("moveDimension", {"source": span("COLUMNS", 0, 1), "destinationIndex": 3}),
    ("deleteDimension", {"range": span("ROWS", 1, 2)}),
    ("updateDimensionProperties", {"range": span("COLUMNS", 0, 2), "properties": {"pixelSize": 50, "hiddenByUser": True}, "fields": "*"}),
    ("autoResizeDimensions", {"dimensions": span("COLUMNS", 0, 3)}),
    ("addDimensionGroup", {"range": span("ROWS", 2, 4)}),
    ("updateDimensionGroup", {"dimensionGroup": {"range": span("ROWS", 2, 4), "depth": 1, "collapsed": True}, "fields": "collapsed"}),
    ("deleteDimensionGroup", {"range": span("ROWS", 2, 4)}),
    ("createDeveloperMetadata", {"developerMetadata": META}),
    ("updateDeveloperMetadata", {"dataFilters": [BY_ID], "developerMetadata": {"metadataValue": "w", "location": {"sheetId": 7}}, "fields": "metadataValue,location"}),
    ("deleteDeveloperMetadata", {"dataFilter": BY_ID}),
    ("addNamedRange", {"namedRange": {"namedRangeId": "n1", "name": "days", "range": area(0, 4, 0, 1)}}),
    ("updateNamedRange", {"namedRange": {"namedRangeId": "n1", "name": "all_days"}, "fields": "name"}),
    ("addProtectedRange", {"protectedRange": {"protectedRangeId": 3, "namedRangeId": "n1", "description": "d"}}),
    ("updateProtectedRange", {"protectedRange": {"protectedRangeId": 3, "warningOnly": True}, "fields": "warningOnly"}),
    ("deleteProtectedRange", {"protectedRangeId": 3}),
    ("deleteNamedRange", {"namedRangeId": "n1"}),
    ("setBasicFilter", {"filter": {"range": area(0, 4, 0, 2), "sortSpecs": [{"dimensionIndex": 1, "sortOrder": "DESCENDING"}]}}),
    ("clearBasicFilter", {"sheetId": 0}),
    ("addFilterView", {"filter": {"filterViewId": 4, "title": "view", "range": area(0, 4, 0, 2)}}),
    ("updateFilterView", {"filter": {"filterViewId": 4, "title": "sight"}, "fields": "title"}),
    ("duplicateFilterView", {"filterId": 4}),
    ("deleteFilterView", {"filterId": 4}),
    ("addConditionalFormatRule", {"rule": RULE, "index": 0}),
    ("updateConditionalFormatRule", {"rule": RULE, "index": 0, "sheetId": 0}),
    ("deleteConditionalFormatRule", {"index": 0, "sheetId": 0}),
    ("addBanding", {"bandedRange": {"bandedRangeId": 6, "range": area(0, 4, 0, 2), "rowProperties": {"firstBandColor": {"red": 1}}}}),
    ("updateBanding", {"bandedRange": {"bandedRangeId": 6, "range": area(0, 5, 0, 2)}, "fields": "range"}),
    ("deleteBanding", {"bandedRangeId": 6}),
    ("addTable", {"table": {"tableId": "t1", "name": "T", "range": area(0, 4, 8, 10)}}),
    ("updateTable", {"table": {"tableId": "t1", "name": "U"}, "fields": "name"}),
    ("deleteTable", {"tableId": "t1"}),
    ("addChart", {"chart": {"chartId": 9, "spec": CHART, "position": {"overlayPosition": {"anchorCell": {"sheetId": 0, "rowIndex": 1}}}}}),
    ("updateChartSpec", {"chartId": 9, "spec": CHART | {"title": "other"}}),
    ("updateEmbeddedObjectPosition", {"objectId": 9, "newPosition": {"overlayPosition": {"widthPixels": 300}}, "fields": "widthPixels"}),
    ("addSlicer", {"slicer": {"slicerId": 10, "spec": {"dataRange": area(0, 4, 0, 2), "columnIndex": 0}, "position": {"overlayPosition": {"anchorCell": {"sheetId": 0}}}}}),
    ("updateSlicerSpec", {"slicerId": 10, "spec": {"title": "s"}, "fields": "title"}),
    ("deleteEmbeddedObject", {"objectId": 9}),
    ("deleteSheet", {"sheetId": 8}),
]  # fmt: skip


def test_every_request_kind_is_tried_here() -> None:
    assert {kind for kind, _ in EXAMPLES} == set(HANDLERS)


def test_every_kind_is_taken_and_answered_as_documented(google: Emulator, api: Api) -> None:
    """The emulator holds each of its answers against the discovery document; a wrong one would be a 500."""
    number = google.create()
    for kind, request in EXAMPLES:
        body = {"requests": [{kind: request}], "includeSpreadsheetInResponse": True, "responseIncludeGridData": True}
        answer = api("POST", f"/{number}:batchUpdate", body)
        assert "replies" in answer, (kind, answer)
        whole = api("GET", f"/{number}", includeGridData="true")
        assert whole == answer["updatedSpreadsheet"], kind
    left = google.document(number)
    assert [tab.title for tab in left.tabs] == ["Seven", "Sheet1"]
    assert (left.title, left.time_zone, left.metadata) == ("New", "Europe/Berlin", [])
    assert left["Seven"].resource["properties"]["tabColor"] == {"red": 1}


@pytest.mark.cases(20)
@pytest.mark.parametrize(("kind", "request_"), EXAMPLES, ids=[kind for kind, _ in EXAMPLES])
def test_a_kind_in_a_batch_that_fails_leaves_no_trace(
    google: Emulator, api: Api, kind: str, request_: dict[str, Any]
) -> None:
    number = google.create()
    google.person(number).type_rows("Sheet1!A1", [["a", 1], ["b", 2]])
    before = api("GET", f"/{number}", includeGridData="true")
    setup = [{name: given} for name, given in EXAMPLES[: EXAMPLES.index((kind, request_))]]
    refused = api.batch(number, *setup, {kind: request_}, {"deleteSheet": {"sheetId": 404}})
    assert refused["message"] == f"Invalid requests[{len(setup) + 1}].deleteSheet: No grid with id: 404"
    assert api("GET", f"/{number}", includeGridData="true") == before


WORDS = ("Sheet1", "A1", "A2:B", "x", "*", "title", "userEnteredValue,note", "=SUM(A1:B2)", "1/2/2026", "", "0")


def made(draw: Any, spec: dict[str, Any], depth: int) -> Any:
    """A random value of a documented type: mostly small, so that requests meet."""
    if "$ref" in spec:
        schema = (document("sheets") or {})["schemas"][spec["$ref"]]
        names = sorted(schema.get("properties", {}))
        most = min(len(names), 6 if depth < 4 else 1 if depth < 7 else 0)
        chosen = draw(st.lists(st.sampled_from(names), max_size=most, unique=True)) if names else []
        return {name: made(draw, schema["properties"][name], depth + 1) for name in chosen}
    match spec.get("type"):
        case "array":
            return [made(draw, spec["items"], depth + 1) for _ in range(draw(st.integers(0, 2)))]
        case "integer":
            return draw(st.sampled_from([0, 0, 1, 2, 3, 5, 30, -1]))
        case "number":
            return draw(st.sampled_from([0, 1.5, -2]))
        case "boolean":
            return draw(st.booleans())
        case "string":
            return draw(st.sampled_from(spec.get("enum", WORDS)))
    return {}


@given(st.lists(st.sampled_from(sorted(HANDLERS)), min_size=1, max_size=6), st.data())
def test_whatever_is_asked_is_done_or_refused(kinds: list[str], data: st.DataObject) -> None:
    """Random requests of the documented form: 200 or 400, never a mistake, and the sheet can be read afterwards."""
    requests = (document("sheets") or {})["schemas"]["Request"]["properties"]
    with Emulator(start=START, quotas=None) as google:
        api, number = Api(google), google.create(rows=12, columns=6)
        google.person(number).type_rows("Sheet1!A1", [["a", 1, "=B1*2"], ["b", 2, "=SUM(B1:B2)"]])
        for kind in kinds:
            request = made(data.draw, requests[kind], 0)
            answer = api.batch(number, {kind: request})
            assert answer.get("code", 400) == 400, (kind, request, answer)
            read = api("GET", f"/{number}", includeGridData="true")
            assert "sheets" in read, (kind, request, read)
        assert google.document(number).tabs[0].shown is not None
        assert google.mistakes == []


@pytest.mark.parametrize("ends", [(-3, 2), (2, -3), (-1, -1)])
def test_a_range_that_ends_before_the_grid_is_refused(google: Emulator, api: Api, ends: tuple[int, int]) -> None:
    number = google.create(rows=12, columns=6)
    cut = {"source": area(0, ends[0], 0, ends[1]), "destination": {"rowIndex": 1, "columnIndex": 1}}
    answer = api.batch(number, {"cutPaste": cut})
    assert (answer["code"], "indexes must not be negative" in answer["message"]) == (400, True)


def test_a_spreadsheet_may_be_made_with_its_cells(google: Emulator, api: Api) -> None:
    row = {"values": [text("x"), {"userEnteredValue": {"numberValue": 2}}]}
    tab = {"properties": {"title": "Daily", "sheetId": 4}, "data": [{"startRow": 1, "rowData": [row]}]}
    made_ = api("POST", "", {"properties": {"title": "T"}, "sheets": [tab]})
    assert google.document(made_["spreadsheetId"])["Daily"].values == [[], ["x", 2]]


def test_what_is_not_emulated_is_said_and_listed(google: Emulator, api: Api) -> None:
    known = set((document("sheets") or {})["schemas"]["Request"]["properties"])
    missing = known - set(HANDLERS)
    for kind in missing:
        answer = api.batch(google.create(), {kind: {}})
        assert (answer["code"], answer["status"]) == (501, "UNIMPLEMENTED")
    listed = set(re.findall(r"`(\w+)`", PAGE.read_text("utf-8")))
    assert {kind for kind in missing if "omment" not in kind and "DataSource" not in kind} <= listed
    assert {route.method for route in ROUTES if route.method.startswith("sheets.")} == set(methods("sheets"))


def test_the_methods_by_data_filter(google: Emulator, api: Api) -> None:
    number = google.create(tabs=["Daily", "Notes"])
    google.person(number).type_rows("Daily!A1", [["day", "n"], ["x", 1], ["y", 2]])
    google.person(number).type_rows("Notes!A1", [["seen"]])
    grid = {"gridRange": area(1, 3, 0, 2)}
    whole = api("POST", f"/{number}:getByDataFilter", {"dataFilters": [grid], "includeGridData": True})
    assert [one["properties"]["title"] for one in whole["sheets"]] == ["Daily"]
    assert whole["sheets"][0]["data"][0]["rowData"][1]["values"][1]["effectiveValue"] == {"numberValue": 2}
    cleared = api("POST", f"/{number}/values:batchClearByDataFilter", {"dataFilters": [{"a1Range": "Notes!A1:B2"}]})
    assert cleared["clearedRanges"] == ["Notes!A1:B2"]
    cleared = api("POST", f"/{number}/values:batchClear", {"ranges": ["Daily!A3:B3"]})
    assert cleared["clearedRanges"] == ["Daily!A3:B3"]
    read = api(
        "POST",
        f"/{number}/values:batchGetByDataFilter",
        {"dataFilters": [grid], "valueRenderOption": "UNFORMATTED_VALUE"},
    )
    assert read["valueRanges"][0]["valueRange"] == {
        "range": "Daily!A2:B3",
        "majorDimension": "ROWS",
        "values": [["x", 1]],
    }
    two = api("POST", f"/{number}/values:batchGetByDataFilter", {"dataFilters": [grid | {"a1Range": "A1"}]})
    assert two["message"].startswith("Exactly one of")
    echoed = api("POST", f"/{number}/values:batchUpdate", {
        "valueInputOption": "USER_ENTERED", "includeValuesInResponse": True, "responseValueRenderOption": "UNFORMATTED_VALUE",
        "data": [{"range": "Daily!A3:B3", "values": [["3/1/2026", "5%"]]}]})  # fmt: skip
    assert echoed["responses"][0]["updatedData"]["values"] == [[46082, 0.05]]
    assert (echoed["totalUpdatedCells"], echoed["totalUpdatedSheets"]) == (2, 1)


def test_rows_added_in_the_middle_look_like_their_neighbours(google: Emulator, api: Api) -> None:
    number = google.create()
    person = google.person(number)
    person.type_rows("Sheet1!A1", [["head"], [1]])
    person.format("Sheet1!A1", textFormat={"bold": True})
    api.batch(number, {"insertDimension": {"range": span("ROWS", 1, 2), "inheritFromBefore": True}})
    api.batch(number, {"insertDimension": {"range": span("ROWS", 2, 3), "inheritFromBefore": False}})
    tab = google.document(number).tabs[0]
    assert tab.cell("A2")["userEnteredFormat"] == {"textFormat": {"bold": True}}
    assert tab.cell("A3") == {}
    assert tab.values == [["head"], [], [], [1]]


def test_without_googles_documents_it_runs_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for found in (contract.document, contract.methods):
        found.cache_clear()
    monkeypatch.setattr(contract, "find_spec", lambda _: None)
    try:
        with Emulator(start=START) as google:
            assert not google.validated
            api, number = Api(google), google.create()
            assert api.put(number, "A1", [["x", None, 1]])["updatedCells"] == 2
            assert api("GET", f"/{number}/values/A1:C1", majorDimension="COLUMNS")["values"] == [["x"], [], ["1"]]
            assert "replies" in api.batch(number, {"addSheet": {"properties": {"titel": "unknown", "title": None}}})
            assert api("GET", f"/{number}", fields="sheets.properties.title")["sheets"][1] == {
                "properties": {"title": "Sheet2"}
            }
            assert google.mistakes == []
    finally:
        for found in (contract.document, contract.methods):
            found.cache_clear()


def test_an_answer_that_is_not_as_documented_is_a_mistake_of_the_emulator() -> None:
    with Emulator(start=START) as google:
        api, number = Api(google), google.create()
        google.person(number).request("addChart", chart={"spec": {"titel": "x"}})
        assert api("GET", f"/{number}")["message"].startswith("the emulator is wrong")
        assert "titel" in str(google.mistakes[0])
