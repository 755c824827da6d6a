"""Answers of the Sheets emulator beside answers that were recorded from Google.

The requests are our own; what Google answers to their like is public, in the recordings of gspread's tests. Each case of
the table below is one request with the answer that Google gives, or the part of the answer that is meant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
import requests

from tallybook_emulators.sheets import Emulator
from tallybook_emulators.sheets.answers import answer
from tallybook_emulators.sheets.colors import float32

START = datetime(2026, 3, 10, 8, tzinfo=UTC)
ME = "robot@example.com"
CREATED = {"rowCount": 1000, "columnCount": 26}


@dataclass
class Api:
    """One document, and bare calls of Sheets v4 on it."""

    google: Emulator
    number: str
    session: requests.Session = field(default_factory=requests.Session)

    def __call__(self, verb: str, path: str, body: Any = None) -> Any:
        """The answer's JSON; a refusal is its `error`."""
        answered = self.session.request(
            verb, f"{self.google.url}/v4/spreadsheets/{self.number}{path}", json=body, timeout=10
        ).json()
        return answered.get("error", answered)

    def batch(self, *requested: Any) -> list[Any]:
        answered = self("POST", ":batchUpdate", {"requests": list(requested)})
        replies: list[Any] = answered.get("replies", [answered.get("message")])
        return replies

    def read(self, fields: str = "") -> Any:
        return self("GET", f"?fields={fields}" if fields else "")

    def tab(self) -> Any:
        return self.read()["sheets"][0]

    def put(self, area: str, values: Any, **more: Any) -> Any:
        return self("PUT", f"/values/{quote(area)}?valueInputOption=RAW", {"values": values, **more})

    def cell(self, what: str) -> Any:
        """`what` of the cell A1."""
        found = self.read(f"sheets.data.rowData.values.{what}")
        return found["sheets"][0]["data"][0]["rowData"][0]["values"][0][what]


@pytest.fixture
def api() -> Iterator[Api]:
    with Emulator(start=START, quotas=None) as google:
        made = Api(google, google.create(owner=ME))
        made.session.headers["Authorization"] = f"Bearer {google.token(account=ME)}"
        yield made
        assert google.mistakes == []


def area(r0: int, r1: int, c0: int, c1: int, **more: Any) -> dict[str, Any]:
    return {"startRowIndex": r0, "endRowIndex": r1, "startColumnIndex": c0, "endColumnIndex": c1, **more}


def columns(first: int, past: int, **more: Any) -> dict[str, Any]:
    return {"dimension": "COLUMNS", "startIndex": first, "endIndex": past, **more}


HERE = {"sheetId": 0}
A1_B2 = area(0, 2, 0, 2)
GROUP = {"addDimensionGroup": {"range": columns(0, 2) | HERE}}

# --- requests of batchUpdate: the requests, the last reply, and then a part of the tab -----------------------

BATCHES: dict[str, tuple[list[Any], Any, dict[str, Any]]] = {
    "a merge on the first tab is read without the tab's id": (
        [{"mergeCells": {"range": A1_B2 | HERE, "mergeType": "MERGE_ALL"}}], {}, {"merges": [A1_B2]},
    ),
    "a filter on the first tab is read without the tab's id": (
        [{"setBasicFilter": {"filter": {"range": area(0, 20, 0, 20) | HERE}}}], {},
        {"basicFilter": {"range": area(0, 20, 0, 20)}},
    ),
    "the index of a sort by the first column is read, and a filter without criteria has none": (
        [{"setBasicFilter": {"filter": {
            "range": A1_B2 | HERE, "criteria": {}, "sortSpecs": [{"dimensionIndex": 0, "sortOrder": "ASCENDING"}]
        }}}], {}, {"basicFilter": {"range": A1_B2, "sortSpecs": [{"dimensionIndex": 0, "sortOrder": "ASCENDING"}]}},
    ),
    "a group of columns is answered without the tab's id, and the toggle is after the group": (
        [GROUP], {"addDimensionGroup": {"dimensionGroups": [{"range": columns(0, 2), "depth": 1}]}},
        {"columnGroups": [{"range": columns(0, 2), "depth": 1}],
         "properties": {"gridProperties": CREATED | {"columnGroupControlAfter": True}}},
    ),
    "a group of rows has a toggle of its own": (
        [{"addDimensionGroup": {"range": {"sheetId": 0, "dimension": "ROWS", "startIndex": 0, "endIndex": 2}}}],
        {"addDimensionGroup": {"dimensionGroups": [
            {"range": {"dimension": "ROWS", "startIndex": 0, "endIndex": 2}, "depth": 1}
        ]}},
        {"properties": {"gridProperties": CREATED | {"rowGroupControlAfter": True}}},
    ),
    "deleting the last group answers without groups, and the toggle stays after": (
        [GROUP, {"deleteDimensionGroup": {"range": columns(0, 2) | HERE}}], {"deleteDimensionGroup": {}},
        {"columnGroups": None, "properties": {"gridProperties": CREATED | {"columnGroupControlAfter": True}}},
    ),
    "a toggle that a request has put before the groups stays there": (
        [{"updateSheetProperties": {
            "properties": {"sheetId": 0, "gridProperties": {"columnGroupControlAfter": False}},
            "fields": "gridProperties.columnGroupControlAfter"}}, GROUP],
        {"addDimensionGroup": {"dimensionGroups": [{"range": columns(0, 2), "depth": 1}]}},
        {"properties": {"gridProperties": CREATED}},
    ),
    "grid lines that are shown are not mentioned": (
        [{"updateSheetProperties": {
            "properties": {"sheetId": 0, "gridProperties": {"hideGridlines": False}},
            "fields": "gridProperties.hideGridlines"}}], {}, {"properties": {"gridProperties": CREATED}},
    ),
    "the color of a tab is read in both forms, without parts that are 0": (
        [{"updateSheetProperties": {
            "properties": {"sheetId": 0, "tabColor": {"red": 1, "green": 0, "blue": 0}}, "fields": "tabColor"}}], {},
        {"properties": {"tabColor": {"red": 1}, "tabColorStyle": {"rgbColor": {"red": 1}}}},
    ),
    "a color of the theme is read with its red, green and blue": (
        [{"updateSheetProperties": {
            "properties": {"sheetId": 0, "tabColorStyle": {"themeColor": "ACCENT1"}}, "fields": "tabColorStyle"}}], {},
        {"properties": {"tabColor": {"red": 0.25882354, "green": 0.52156866, "blue": 0.95686275},
                        "tabColorStyle": {"themeColor": "ACCENT1"}}},
    ),
    "the last visible tab cannot be hidden": (
        [{"updateSheetProperties": {"properties": {"sheetId": 0, "hidden": True}, "fields": "hidden"}}],
        "Invalid requests[0].updateSheetProperties: You can't hide all the sheets in a document.",
        {"properties": {"hidden": None}},
    ),
    "the last visible tab cannot be deleted beside a hidden one": (
        [{"addSheet": {"properties": {"title": "Raw", "hidden": True}}}, {"deleteSheet": {"sheetId": 0}}],
        "Invalid requests[1].deleteSheet: You can't remove all the visible sheets in a document.", {},
    ),
    "a search that finds nothing is answered with an empty message": (
        [{"findReplace": {"find": "x", "replacement": "y", "allSheets": True}}], {"findReplace": {}}, {},
    ),
    "a request without a reply is answered with an empty reply": ([{"clearBasicFilter": HERE}], {}, {}),
    "a new tab's id and index are written": (
        [{"addSheet": {"properties": {"sheetId": 5, "title": "a", "index": 0, "gridProperties": {"rowCount": 2, "columnCount": 2}}}}],
        {"addSheet": {"properties": {
            "sheetId": 5, "title": "a", "index": 0, "sheetType": "GRID", "gridProperties": {"rowCount": 2, "columnCount": 2}
        }}}, {},
    ),
    "metadata of the first tab names the tab's id, metadata of its row does not": (
        [{"createDeveloperMetadata": {"developerMetadata": {
            "metadataId": 7, "metadataKey": "k", "visibility": "DOCUMENT", "location": HERE}}},
         {"createDeveloperMetadata": {"developerMetadata": {
            "metadataId": 8, "metadataKey": "r", "visibility": "DOCUMENT", "location": {"dimensionRange": {
                "sheetId": 0, "dimension": "ROWS", "startIndex": 0, "endIndex": 1}}}}}],
        {"createDeveloperMetadata": {"developerMetadata": {
            "metadataId": 8, "metadataKey": "r", "visibility": "DOCUMENT", "location": {
                "locationType": "ROW", "dimensionRange": {"dimension": "ROWS", "startIndex": 0, "endIndex": 1}}}}},
        {"developerMetadata": [{
            "metadataId": 7, "metadataKey": "k", "visibility": "DOCUMENT",
            "location": {"locationType": "SHEET", "sheetId": 0}}]},
    ),
}  # fmt: skip


def _meets(found: Any, wanted: Any) -> bool:
    """Whether an answer has what is wanted; None is wanted of a field that is left out."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return all(_meets(found.get(name), one) for name, one in wanted.items())
    return bool(found == wanted)


@pytest.mark.parametrize("sentence", BATCHES)
def test_batch(sentence: str, api: Api) -> None:
    requested, reply, tab = BATCHES[sentence]
    assert api.batch(*requested)[-1] == reply
    found = api.tab()
    assert _meets(found, tab), found
    grid = tab.get("properties", {}).get("gridProperties")
    assert grid is None or found["properties"]["gridProperties"] == grid


@pytest.mark.parametrize("warning", [True, False])
def test_a_reply_to_a_protection_names_the_editors_of_the_request_and_reading_names_who_may_edit(
    warning: bool, api: Api
) -> None:
    given = {"range": A1_B2 | HERE, "warningOnly": warning, "requestingUserCanEdit": False, "description": None}
    reply = api.batch(
        {
            "addProtectedRange": {
                "protectedRange": given | {"editors": {"users": [], "groups": []}, "protectedRangeId": 9}
            }
        }
    )
    wanted: dict[str, Any] = {"protectedRangeId": 9, "range": A1_B2, "requestingUserCanEdit": True}
    wanted |= {"warningOnly": True} if warning else {}
    assert reply == [{"addProtectedRange": {"protectedRange": wanted | {"editors": {}}}}]
    assert api.tab()["protectedRanges"] == [wanted | {"editors": {"users": [ME]}}]


def test_a_copy_of_the_first_tab_has_what_is_on_it_on_its_own_ranges(api: Api) -> None:
    chart = {"spec": {"title": "a"}, "position": {"overlayPosition": {"anchorCell": {"rowIndex": 3, "columnIndex": 0}}}}
    api.batch(
        {"addProtectedRange": {"protectedRange": {"range": A1_B2}}},
        {"addConditionalFormatRule": {"rule": {"ranges": [A1_B2]}}},
        {"addChart": {"chart": chart}},
        {"duplicateSheet": {"sourceSheetId": 0, "insertSheetIndex": 1, "newSheetId": 7}},
    )
    first, copy = api.read()["sheets"]
    assert (first["properties"]["sheetId"], copy["properties"]["sheetId"]) == (0, 7)
    for tab, own in ((first, {}), (copy, {"sheetId": 7})):
        assert tab["protectedRanges"][0]["range"] == tab["conditionalFormats"][0]["ranges"][0] == A1_B2 | own
        assert tab["charts"][0]["position"]["overlayPosition"]["anchorCell"] == {"rowIndex": 3} | own


def test_a_chart_that_is_moved_to_a_cell_without_a_tab_is_on_the_first_tab(api: Api) -> None:
    at = {"sheetId": 7, "rowIndex": 1, "columnIndex": 1}
    chart = {"chartId": 3, "spec": {"title": "a"}, "position": {"overlayPosition": {"anchorCell": at}}}
    moved = {"objectId": 3, "newPosition": {"overlayPosition": {"anchorCell": {"rowIndex": 2}}}, "fields": "anchorCell"}
    replies = api.batch(
        {"addSheet": {"properties": {"title": "Two", "sheetId": 7}}},
        {"addChart": {"chart": chart}},
        {"updateEmbeddedObjectPosition": moved},
    )
    assert replies[-1] == {
        "updateEmbeddedObjectPosition": {"position": {"overlayPosition": {"anchorCell": {"rowIndex": 2}}}}
    }
    assert [tab.get("charts", []) != [] for tab in api.read()["sheets"]] == [True, False]


def test_a_named_range_of_the_first_tab_has_no_tab_in_it(api: Api) -> None:
    api.batch({"addNamedRange": {"namedRange": {"namedRangeId": "n", "name": "Totals", "range": A1_B2 | HERE}}})
    assert api.read()["namedRanges"] == [{"namedRangeId": "n", "name": "Totals", "range": A1_B2}]


# --- formats ------------------------------------------------------------------------------------------------

FORMATS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a background is read in both forms": (
        {"backgroundColor": {"green": 1, "blue": 1}},
        {"backgroundColor": {"green": 1, "blue": 1}, "backgroundColorStyle": {"rgbColor": {"green": 1, "blue": 1}}},
    ),
    "a background that is given as a style is read in both forms": (
        {"backgroundColorStyle": {"rgbColor": {"red": 1, "green": 0}}},
        {"backgroundColor": {"red": 1}, "backgroundColorStyle": {"rgbColor": {"red": 1}}},
    ),
    "the style takes precedence": (
        {"backgroundColor": {"blue": 1}, "backgroundColorStyle": {"rgbColor": {"red": 1}}},
        {"backgroundColor": {"red": 1}, "backgroundColorStyle": {"rgbColor": {"red": 1}}},
    ),
    "a text color is read in both forms, and black has no parts": (
        {"textFormat": {"foregroundColor": {"red": 0, "green": 0, "blue": 0}, "fontSize": 12, "bold": True}},
        {"textFormat": {"foregroundColor": {}, "fontSize": 12, "bold": True, "foregroundColorStyle": {"rgbColor": {}}}},
    ),
    "bold that is off is read: it differs from bold that is not set": (
        {"textFormat": {"bold": False}}, {"textFormat": {"bold": False}},
    ),
    "the parts of a color are 32-bit floats": (
        {"backgroundColor": {"red": 127 / 255, "green": 1.0, "blue": 0.1}},
        {"backgroundColor": {"red": 0.49803922, "green": 1, "blue": 0.1},
         "backgroundColorStyle": {"rgbColor": {"red": 0.49803922, "green": 1, "blue": 0.1}}},
    ),
    "the color of a border is read in both forms": (
        {"borders": {"top": {"style": "SOLID", "color": {"red": 1}}}},
        {"borders": {"top": {"style": "SOLID", "color": {"red": 1}, "colorStyle": {"rgbColor": {"red": 1}}}}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("sentence", FORMATS)
def test_format(sentence: str, api: Api) -> None:
    sent, read = FORMATS[sentence]
    given = {"range": area(0, 1, 0, 1) | HERE, "cell": {"userEnteredFormat": sent}, "fields": "userEnteredFormat"}
    assert api.batch({"repeatCell": given}) == [{}]
    assert api.cell("userEnteredFormat") == read
    effective = api.cell("effectiveFormat")
    for name in ("backgroundColor", "backgroundColorStyle"):
        assert effective[name] == read.get(name, effective[name])
    assert effective["textFormat"] | read.get("textFormat", {}) == effective["textFormat"]


@pytest.mark.parametrize(
    "mask", ["userEnteredFormat.backgroundColor", "userEnteredFormat(backgroundColor,wrapStrategy)"]
)
def test_a_later_color_replaces_both_forms_of_the_earlier_one(mask: str, api: Api) -> None:
    def paint(form: dict[str, Any], fields: str) -> None:
        cell = {"range": area(0, 1, 0, 1) | HERE, "cell": {"userEnteredFormat": form}, "fields": fields}
        api.batch({"repeatCell": cell})

    paint({"backgroundColorStyle": {"rgbColor": {"red": 1}}}, "userEnteredFormat.backgroundColorStyle")
    paint({"backgroundColor": {"blue": 1}}, mask)
    blue = {"blue": 1}
    assert api.cell("userEnteredFormat") == {"backgroundColor": blue, "backgroundColorStyle": {"rgbColor": blue}}


def test_bands_rules_and_runs_of_text_leave_out_what_is_0(api: Api) -> None:
    red, grid = {"red": 1, "green": 0}, area(0, 1, 0, 1)
    rule = {"ranges": [grid | HERE], "booleanRule": {
        "condition": {"type": "NUMBER_EQ", "values": [{"userEnteredValue": "0"}]}, "format": {"backgroundColor": red}}}  # fmt: skip
    runs = [{"startIndex": 0, "format": {"bold": True}}, {"startIndex": 2, "format": {}}]
    api.batch(
        {"addBanding": {"bandedRange": {"range": grid | HERE, "rowProperties": {"firstBandColor": red}}}},
        {"addConditionalFormatRule": {"rule": rule, "index": 0}},
        {"updateCells": {
            "rows": [{"values": [{"userEnteredValue": {"stringValue": "abcd"}, "textFormatRuns": runs}]}],
            "fields": "userEnteredValue,textFormatRuns", "range": grid | HERE}},
    )  # fmt: skip
    band, painted = {"red": 1}, api.tab()["conditionalFormats"][0]["booleanRule"]
    (banded,) = api.tab()["bandedRanges"]
    assert banded["rowProperties"] == {"firstBandColor": band, "firstBandColorStyle": {"rgbColor": band}}
    assert banded["range"] == grid == api.tab()["conditionalFormats"][0]["ranges"][0]
    assert painted["condition"]["values"] == [{"userEnteredValue": "0"}]
    assert painted["format"] == {"backgroundColor": band, "backgroundColorStyle": {"rgbColor": band}}
    assert api.cell("textFormatRuns") == [{"format": {"bold": True}}, {"startIndex": 2, "format": {}}]


def test_values_of_cells_are_written_whatever_they_are(api: Api) -> None:
    api.put("A1:C1", [[0, False, ""]])
    got = api("GET", "/values/A1:C1?valueRenderOption=UNFORMATTED_VALUE")
    assert got["values"] == [[0, False]]
    assert api.cell("effectiveValue") == api.cell("userEnteredValue") == {"numberValue": 0}
    api.put("A1", [[False]])
    assert api.cell("effectiveValue") == api.cell("userEnteredValue") == {"boolValue": False}


def test_a_copied_tab_has_its_id_and_index() -> None:
    properties = {"sheetId": 0, "title": "Copy", "index": 0, "hidden": False}
    assert answer("sheets.spreadsheets.sheets.copyTo", properties) == {"sheetId": 0, "title": "Copy", "index": 0}


def test_the_shortest_decimal_of_a_32_bit_float() -> None:
    assert [float32(n / 255) for n in (0, 1, 4, 17, 66, 127, 188, 255)] == [
        0, 0.003921569, 0.015686275, 0.06666667, 0.25882354, 0.49803922, 0.7372549, 1,
    ]  # fmt: skip


# --- counts of what was written ------------------------------------------------------------------------------


def test_rows_and_columns_without_a_written_cell_do_not_count(api: Api) -> None:
    middle: list[Any] = [[None] * 4 for _ in range(4)]
    assert api.put("Sheet1!A1:D6", [["a", None, None, None], *middle, [None, None, None, "d"]]) == {
        "spreadsheetId": api.number, "updatedRange": "Sheet1!A1:D6", "updatedRows": 2, "updatedColumns": 2,
        "updatedCells": 2,
    }  # fmt: skip


def test_an_appended_row_counts_its_written_cells(api: Api) -> None:
    made = api("POST", "/values/A1:append?valueInputOption=RAW", {"values": [["a", None, "c"]]})
    assert made["updates"] == {
        "spreadsheetId": api.number, "updatedRange": "Sheet1!A1:C1", "updatedRows": 1, "updatedColumns": 2,
        "updatedCells": 2,
    }  # fmt: skip


@pytest.mark.parametrize(("areas", "totals"), [
    (["A1:D1", "A4:D4"], {"Rows": 2, "Columns": 4, "Cells": 8, "Sheets": 1}),
    (["A1:D1", "C1:F1"], {"Rows": 1, "Columns": 6, "Cells": 6, "Sheets": 1}),
    (["A1:D1", "Two!A1:D1"], {"Rows": 2, "Columns": 8, "Cells": 8, "Sheets": 2}),
])  # fmt: skip
def test_totals_count_each_row_and_column_once(areas: list[str], totals: dict[str, int], api: Api) -> None:
    api.batch({"addSheet": {"properties": {"title": "Two"}}})
    data = [{"range": one, "values": [["a", "b", "", "d"]]} for one in areas]
    made = api("POST", "/values:batchUpdate", {"valueInputOption": "RAW", "data": data})
    assert {name: made[f"totalUpdated{name}"] for name in totals} == totals
    by_filter = [{"dataFilter": {"a1Range": one["range"]}, "values": one["values"]} for one in data]
    made = api("POST", "/values:batchUpdateByDataFilter", {"valueInputOption": "RAW", "data": by_filter})
    assert {name: made[f"totalUpdated{name}"] for name in totals} == totals


def test_a_write_of_nothing_counts_nothing(api: Api) -> None:
    assert api.put("A1:B1", [[None, None]]) == {"spreadsheetId": api.number, "updatedRange": "Sheet1!A1:B1"}


# --- addresses ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["Totals", "totals", "'Sheet1'!Totals", "Sheet1!TOTALS"])
def test_a_named_range_is_found_with_and_without_its_tab(text: str, api: Api) -> None:
    api.put("B2:C3", [[1, 2], [3, 4]])
    named = {"name": "Totals", "range": area(1, 3, 1, 3) | HERE}
    api.batch({"addNamedRange": {"namedRange": named}}, {"addSheet": {"properties": {"title": "Two"}}})
    got = api("GET", f"/values/{quote(text)}")
    assert (got["range"], got["values"]) == ("Sheet1!B2:C3", [["1", "2"], ["3", "4"]])
    assert api.put(text, [[5]])["updatedRange"] == "Sheet1!B2"
    found = api("POST", "/values:batchGetByDataFilter", {"dataFilters": [{"a1Range": text}]})
    assert found["valueRanges"][0]["valueRange"]["range"] == "Sheet1!B2:C3"
    assert api("POST", f"/values/{quote(text)}:clear")["clearedRange"] == "Sheet1!B2:C3"
    assert api("GET", "/values/Two!Totals")["message"] == "Unable to parse range: Two!Totals"


@pytest.mark.parametrize(("asked", "named"), [
    ("1501:1700", "Sheet1!1501:1700"),
    ("AB:AC", "Sheet1!AB:AC"),
    ("Sheet1!A1501:A1700", "Sheet1!A1501:A1700"),
    ("A100000", "Sheet1!A100000"),
    ("B1501:C", "Sheet1!B1501:C"),
    ("AB2:7", "Sheet1!AB2:7"),
])  # fmt: skip
def test_a_range_beyond_the_grid_is_named_as_it_was_asked_for(asked: str, named: str, api: Api) -> None:
    words = f"Range ({named}) exceeds grid limits. Max rows: 1000, max columns: 26"
    assert api("GET", f"/values/{quote(asked)}")["message"] == words
    assert api("POST", f"/values/{quote(asked)}:clear")["message"] == words
    assert api.put(asked, [[1]])["message"] == words


# --- texts of errors ----------------------------------------------------------------------------------------

LIST = "type.googleapis.com/google.protobuf.ListValue"
REQUEST = "type.googleapis.com/google.apps.sheets.v4.BatchUpdateSpreadsheetRequest.Request"
SHAPES: dict[str, tuple[str, str, Any, str, str]] = {
    "a text where rows are expected": (
        "PUT", "/values/A1?valueInputOption=RAW", {"values": "X"}, "data.values",
        f"Invalid value at 'data.values' ({LIST}), \"X\"",
    ),
    "a text where a row is expected": (
        "PUT", "/values/A1?valueInputOption=RAW", {"values": ["X"]}, "data.values[0]",
        f"Invalid value at 'data.values[0]' ({LIST}), \"X\"",
    ),
    "an unknown field": (
        "PUT", "/values/A1?valueInputOption=RAW", {"valves": []}, "data",
        "Invalid JSON payload received. Unknown name \"valves\" at 'data': Cannot find field.",
    ),
    "a text where rows are expected, in append": (
        "POST", "/values/A1:append?valueInputOption=RAW", {"values": "X"}, "data.values",
        f"Invalid value at 'data.values' ({LIST}), \"X\"",
    ),
    "a text where rows are expected, in one of several ranges": (
        "POST", "/values:batchUpdate", {"valueInputOption": "RAW", "data": [{"range": "A1", "values": "X"}]},
        "data[0].values", f"Invalid value at 'data[0].values' ({LIST}), \"X\"",
    ),
    "a text where a request is expected": (
        "POST", ":batchUpdate", {"requests": ["repeatCell"]}, "requests[0]",
        f"Invalid value at 'requests[0]' ({REQUEST}), \"repeatCell\"",
    ),
    "a text where ranges are expected": (
        "POST", "/values:batchClear", {"ranges": 5}, "ranges", "Invalid value at 'ranges' (TYPE_STRING), 5",
    ),
}  # fmt: skip


@pytest.mark.parametrize("sentence", SHAPES)
def test_a_body_of_the_wrong_form(sentence: str, api: Api) -> None:
    verb, path, body, place, words = SHAPES[sentence]
    error = api(verb, path, body)
    assert (error["message"], error["details"][0]["fieldViolations"][0]["field"]) == (words, place)


def test_a_list_within_a_row_is_shown_in_the_text_form_of_a_value(api: Api) -> None:
    words = "Invalid values[0][0]: list_value {\n  values {\n    number_value: 1.0\n  }\n}\n"
    assert api.put("A1", [[[1]]])["message"] == words
    assert api.put("A1", [[{"a": "b"}]])["message"] == (
        'Invalid values[0][0]: struct_value {\n  fields {\n    key: "a"\n    value {\n      string_value: "b"\n    }\n  }\n}\n'
    )


def test_a_body_with_another_range_than_the_path(api: Api) -> None:
    words = "Request range[A1] does not match value's range[Sheet1!B1]"
    assert api.put("A1", [[1]], range="Sheet1!B1")["message"] == words


@pytest.mark.parametrize(("formula", "day"), [
    ("=DATE(2026,1,3)", "1/3/2026"),
    ("=DATE(2026,13,1)", "1/1/2027"),
    ("=A1+7", "2/7/2026"),
    ("=EDATE(A1,1)", "2/28/2026"),
    ("=EDATE(A1,-11)", "2/28/2025"),
    ("=EOMONTH(A1,-1)", "12/31/2025"),
    ("=TO_DATE(46025)", "1/3/2026"),
])  # fmt: skip
def test_a_day_that_a_formula_gives_is_shown_as_a_day(formula: str, day: str, api: Api) -> None:
    made = api(
        "PUT", "/values/A1:B1?valueInputOption=USER_ENTERED&includeValuesInResponse=true",
        {"values": [["1/31/2026", formula]]},
    )  # fmt: skip
    assert made["updatedData"]["values"] == [["1/31/2026", day]]


# --- known differences: what Google answers otherwise ---------------------------------------------------------


def test_known_difference_a_spreadsheet_has_no_theme(api: Api) -> None:
    """Google answers with `spreadsheetTheme`: a font and nine colors."""
    assert "spreadsheetTheme" not in api.read("properties")["properties"]


def test_known_difference_nothing_can_be_uploaded(api: Api) -> None:
    """Google takes the contents of a file at /upload/drive."""
    answered = api.session.put(f"{api.google.url}/upload/drive/v2/files/{api.number}", data="a,b", timeout=10)
    assert answered.status_code == 404
