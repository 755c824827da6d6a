"""The Sheets emulator's rules: the contract, all or nothing, tables, typed cells, metadata that follows, protection."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
import requests
from hypothesis import given, strategies as st

from tallybook_emulators.sheets import Emulator, GoogleError
from tallybook_emulators.sheets.a1 import Rect, Span, parse, split, written
from tallybook_emulators.sheets.entry import serial, typed
from tallybook_emulators.sheets.locales import locale
from tallybook_emulators.sheets.model import new_sheet
from tallybook_emulators.sheets.shown import shown
from tallybook_emulators.sheets.tables import block

START = datetime(2026, 3, 10, 8, tzinfo=UTC)


@dataclass
class Api:
    """Bare calls of Sheets v4, as curl makes them."""

    google: Emulator
    account: str = ""
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.session.headers["Authorization"] = f"Bearer {self.google.token(account=self.account)}"

    def __call__(self, verb: str, path: str, body: Any = None, **query: Any) -> Any:
        """The answer's JSON; a refusal is what stands under `error`."""
        url = f"{self.google.url}/v4/spreadsheets{path}"
        answer = self.session.request(verb, url, json=body, params=query, timeout=10).json()
        return answer.get("error", answer)

    def batch(self, number: str, *requested: Any) -> Any:
        return self("POST", f"/{number}:batchUpdate", {"requests": list(requested)})

    def append(self, number: str, area: str, rows: list[list[Any]], **query: Any) -> Any:
        query = {"valueInputOption": "RAW"} | query
        return self("POST", f"/{number}/values/{quote(area)}:append", {"values": rows}, **query)

    def put(self, number: str, area: str, rows: list[list[Any]], **query: Any) -> Any:
        query = {"valueInputOption": "RAW"} | query
        return self("PUT", f"/{number}/values/{quote(area)}", {"values": rows}, **query)


@pytest.fixture
def google() -> Iterator[Emulator]:
    with Emulator(start=START, quotas=None) as emulator:
        yield emulator
        assert emulator.mistakes == []


@pytest.fixture
def api(google: Emulator) -> Api:
    return Api(google)


# --- the contract -------------------------------------------------------------------------------------------


def test_an_unknown_field_is_refused_with_its_place(google: Emulator, api: Api) -> None:
    number = google.create()
    error = api.batch(
        number, {"addSheet": {"properties": {"title": "a"}}}, {"addSheet": {"properties": {"titel": "b"}}}
    )
    words = "Invalid JSON payload received. Unknown name \"titel\" at 'requests[1].add_sheet.properties': Cannot find field."
    where = {"field": "requests[1].add_sheet.properties", "description": words}
    assert error == {
        "code": 400, "message": words, "status": "INVALID_ARGUMENT",
        "details": [{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [where]}],
    }  # fmt: skip
    assert [tab.title for tab in google.document(number).tabs] == ["Sheet1"]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"addSheet": {"properties": {"sheetId": "x"}}}, "Invalid value at 'requests[0].add_sheet.properties.sheet_id' (TYPE_INT32), \"x\""),
        ({"addSheet": {"properties": {"hidden": "yes"}}}, "(TYPE_BOOL), \"yes\""),
        ({"addSheet": {"properties": {"title": ["x"]}}}, "Unknown name \"title\" at 'requests[0].add_sheet.properties': Proto field is not repeating"),
        ({"insertDimension": {"range": {"dimension": "ROW"}}}, "dimension'"),
        ({"updateCells": {"rows": [], "fields": "*"}}, "Invalid requests[0].updateCells: Exactly one of range or start"),
        ({"updateCells": {"start": {"rowIndex": 1000}, "rows": [{"values": [{}]}], "fields": "*"}}, "is after last row in grid[1000]"),
        ({"updateSheetProperties": {"properties": {"title": "x"}}}, "At least one field must be listed in 'fields'"),
        ({"deleteSheet": {"sheetId": 0}}, "You can't remove all the sheets in a document."),
        ({"deleteSheet": {"sheetId": 7}}, "No grid with id: 7"),
        ({"deleteDimension": {"range": {"dimension": "ROWS", "startIndex": 999, "endIndex": 1001}}}, "there are only 1000 rows"),
        ({}, "exactly one kind of request"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_batch_is_named(google: Emulator, api: Api, request_: Any, words: str) -> None:
    error = api.batch(google.create(), request_)
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert words in error["message"]


def test_unknown_parameters_and_wrong_options_are_refused(google: Emulator, api: Api) -> None:
    number = google.create()
    assert (
        'Unknown name "render": Cannot bind query parameter'
        in api("GET", f"/{number}/values/A1", render="x")["message"]
    )
    wrong = api("GET", f"/{number}/values/A1", valueRenderOption="PLAIN")
    assert wrong["message"].startswith("Invalid value at 'value_render_option'")
    assert (
        api("PUT", f"/{number}/values/A1", {"values": [[1]]})["message"]
        == "'valueInputOption' is required but not specified"
    )
    assert api("GET", f"/{number}/values/Nowhere!A1")["message"] == "Unable to parse range: Nowhere!A1"
    assert api("GET", f"/{number}/values/Sheet1!A1001")["message"].startswith(
        "Range (Sheet1!A1001) exceeds grid limits. Max rows: 1000"
    )
    assert api("GET", "/missing")["status"] == "NOT_FOUND"


# --- all or nothing -----------------------------------------------------------------------------------------


def test_a_batch_applies_as_a_whole_or_not_at_all(google: Emulator, api: Api) -> None:
    number = google.create()
    before = google.document(number)
    one = {"metadataKey": "delivery", "metadataId": 7, "visibility": "DOCUMENT", "location": {"spreadsheet": True}}
    batch = [
        {"updateCells": {"start": {}, "rows": [{"values": [{"userEnteredValue": {"numberValue": 1}}]}], "fields": "userEnteredValue"}},
        {"addSheet": {"properties": {"title": "More"}}},
        {"createDeveloperMetadata": {"developerMetadata": one}},
    ]  # fmt: skip
    refused = api.batch(number, *batch, {"deleteSheet": {"sheetId": 99}})
    assert refused["message"] == "Invalid requests[3].deleteSheet: No grid with id: 99"
    after = google.document(number)
    assert (after.version, after.tabs[0].values, after.metadata) == (before.version, [], [])
    assert len(api.batch(number, *batch)["replies"]) == 3
    # The same batch again: its metadata id is taken, so that nothing of it is applied.
    again = api.batch(number, *batch[:1], batch[2])
    assert again["message"].startswith("Invalid requests[1].createDeveloperMetadata")
    assert google.document(number).metadata[0]["metadataId"] == 7


def test_several_ranges_are_written_all_or_none(google: Emulator, api: Api) -> None:
    number = google.create()
    data = [{"range": "A1", "values": [[1]]}, {"range": "A1:B1", "values": [[1], [2]]}]
    error = api("POST", f"/{number}/values:batchUpdate", {"valueInputOption": "RAW", "data": data})
    assert (
        error["message"]
        == "Invalid data[1]: Requested writing within range [Sheet1!A1:B1], but tried writing to row [2]"
    )
    assert google.document(number).tabs[0].values == []


# --- values -------------------------------------------------------------------------------------------------


def test_null_keeps_a_cell_and_empty_text_clears_it(google: Emulator, api: Api) -> None:
    number = google.create()
    api.put(number, "A1", [["a", "b", "c"]])
    api.put(number, "A1", [[None, "", 1.5]])
    assert google.document(number).tabs[0].values == [["a", "", 1.5]]


def test_raw_text_stays_text_and_typed_text_is_read(google: Emulator, api: Api) -> None:
    number = google.create()
    given = ["2026-03-10", "=1+1", "007", "1E5", "TRUE", "'5"]
    api.put(number, "A1", [given])
    api.put(number, "A2", [given], valueInputOption="USER_ENTERED")
    tab = google.document(number).tabs[0]
    assert tab.values == [given, [46091, 2, 7, 100000, True, "5"]]
    assert tab.number_format("A1") == {}
    assert tab.number_format("A2")["type"] == "DATE"


def test_cells_are_limited_in_number_and_length(api: Api) -> None:
    with Emulator(cell_limit=27_000) as small:
        number = small.create()
        one = Api(small)
        message = "This action would increase the number of cells in the workbook above the limit of 27000 cells."
        assert one.batch(number, {"addSheet": {}})["message"] == f"Invalid requests[0].addSheet: {message}"
        grow = {"appendDimension": {"dimension": "ROWS", "length": 38}}
        assert "replies" in one.batch(number, grow)
        assert one.append(number, "A1", [[n] for n in range(1100)])["message"] == message
        assert "50000 characters" in one.put(number, "A1", [["x" * 50_001]])["message"]


APPENDS = [
    # The cases of Google's guide: tables A1:C2 and B4:D6.
    ("Sheet1", "B7"),
    ("B4", "B7"),
    ("C5:D5", "B7"),
    ("B2:D4", "B7"),
    ("A3:G10", "B7"),
    ("A1", "A3"),
    ("E4", "E4"),
]


def test_numbers_are_doubles_and_nothing_else(google: Emulator, api: Api) -> None:
    number = google.create()
    api.put(number, "A1", [[2**60 + 1, 2**53 - 1, 0.1]])
    assert google.document(number).tabs[0].values == [[2.0**60, 2**53 - 1, 0.1]]
    url = f"{google.url}/v4/spreadsheets/{number}/values/A1?valueInputOption=RAW"
    answer = api.session.put(url, data='{"values": [[NaN]]}', timeout=10)
    assert (answer.status_code, "Invalid JSON payload" in answer.text) == (400, True)
    assert api.put(number, "A1", [[{"a": 1}]])["message"].startswith("Invalid values[0][0]: struct_value")


def test_a_tab_of_any_name_is_found_by_its_quoted_title(google: Emulator, api: Api) -> None:
    title = "It's 5/6: A1!"
    number = google.create(tabs=["First", title])
    area = quote("'It''s 5/6: A1!'!B2", safe="")
    url = f"{google.url}/v4/spreadsheets/{number}/values/{area}"
    wrote = api.session.put(url, json={"values": [[1]]}, params={"valueInputOption": "RAW"}, timeout=10).json()
    assert wrote["updatedRange"] == "'It''s 5/6: A1!'!B2"
    assert google.document(number)[title].value("B2") == 1


@pytest.mark.parametrize(("area", "cell"), APPENDS)
def test_append_finds_its_table_as_the_guide_says(google: Emulator, api: Api, area: str, cell: str) -> None:
    number = google.create()
    api.put(number, "A1", [["a", "b", "c"]] * 2)
    api.put(number, "B4", [["a", "b", "c"]] * 3)
    assert api.append(number, area, [["new"]])["updates"]["updatedRange"] == f"Sheet1!{cell}"


def test_append_creeps_to_the_right_below_ragged_blocks(google: Emulator, api: Api) -> None:
    number = google.create()
    api.put(number, "A1", [["day", "n", "", "note"], ["x", 1, "", "seen"]])
    answer = api.append(number, "Sheet1", [["y", 2]])
    assert (answer["tableRange"], answer["updates"]["updatedRange"]) == ("Sheet1!D1:D2", "Sheet1!D3:E3")


def test_append_overwrites_or_inserts_and_grows_the_grid(google: Emulator, api: Api) -> None:
    number = google.create(rows=4, columns=2)
    api.put(number, "A1", [["day", "n"], ["x", 1]])
    api.put(number, "B4", [["total"]])
    api.append(number, "A1", [["y", 2]], insertDataOption="INSERT_ROWS")
    assert google.document(number).tabs[0].entered == [["day", "n"], ["x", 1], ["y", 2], [], ["", "total"]]
    api.append(number, "A1", [["z", 3], ["z", 4], ["z", 5]])
    tab = google.document(number).tabs[0]
    assert tab.values[3:] == [["z", 3], ["z", 4], ["z", 5]]
    assert (tab.rows, tab.columns) == (6, 2)
    api.append(number, "A1", [["w", 6, "wide"]])
    assert google.document(number).tabs[0].columns == 3


def test_append_cells_go_below_the_last_row_of_the_sheet(google: Emulator, api: Api) -> None:
    number = google.create(rows=3)
    api.put(number, "C2", [["far"]])
    row = {"values": [{"userEnteredValue": {"stringValue": "=no formula"}}, {"note": "n"}]}
    api.batch(number, {"appendCells": {"sheetId": 0, "rows": [row, row], "fields": "userEnteredValue,note"}})
    tab = google.document(number).tabs[0]
    assert tab.values[2:] == [["=no formula"]] * 2
    assert tab.rows == 4
    assert tab.cell("B4") == {"note": "n"}


# --- typed and shown ----------------------------------------------------------------------------------------

TYPED = [
    ("en_US", "1,234.5", 1234.5, "1,234.50"),
    ("en_US", "1.234,5", "1.234,5", "1.234,5"),
    ("en_US", "11/01/2011", 40848, "11/1/2011"),
    ("en_US", "11/01/2011 13:30", 40848.5625, "11/1/2011 1:30:00 PM"),
    ("en_US", "Jan 5, 2024", 45296, "Jan 5, 2024"),
    ("en_US", "13/01/2011", "13/01/2011", "13/01/2011"),
    ("en_US", "12%", 0.12, "12%"),
    ("en_US", "$12.50", 12.5, "$12.50"),
    ("en_US", "-.5", -0.5, "-0.5"),
    ("en_US", "12:30", 0.5208333333333334, "12:30:00 PM"),
    ("en_US", "2026-03-10", 46091, "2026-03-10"),
    ("de_DE", "1.234,5", 1234.5, "1.234,50"),
    ("de_DE", "1,5", 1.5, "1,5"),
    ("de_DE", "1.5", 46143, "01.05.2026"),
    ("de_DE", "11.01.2011", 40554, "11.01.2011"),
    ("de_DE", "5. März 2024", 45356, "5 Mär 2024"),
    ("de_DE", "12,50 €", 12.5, "12,50 €"),
    ("de_DE", "wahr", True, "WAHR"),
]


@pytest.mark.parametrize(("name", "text", "value", "text_shown"), TYPED)
def test_what_is_typed_is_read_by_the_locale(name: str, text: str, value: Any, text_shown: str) -> None:
    entered, form = typed(text, locale(name), date(2026, 3, 10))
    assert entered is not None
    (held,) = entered.values()
    assert held == (pytest.approx(value) if isinstance(value, float) else value)
    assert shown(held, form, locale(name)) == text_shown


SHOWN = [
    (1234.567, "#,##0.00", "1,234.57"),
    (-1234.567, "#,##0.0;(#,##0.0)", "(1,234.6)"),
    (0.1234, "0.0%", "12.3%"),
    (12345, "0.00E+00", "1.23E+04"),
    (5, "000", "005"),
    (2.5, "0.##", "2.5"),
    (1500000, '0.0,,"M"', "1.5M"),
    (3, '0 "days"', "3 days"),
]


@pytest.mark.parametrize(("value", "pattern", "text"), SHOWN)
def test_numbers_are_shown_by_their_pattern(value: float, pattern: str, text: str) -> None:
    assert shown(value, {"type": "NUMBER", "pattern": pattern}, locale("en_US")) == text


def test_numbers_and_moments_without_a_pattern() -> None:
    plain = [(5.0, "5"), (1 / 3, "0.3333333333"), (0.1 + 0.2, "0.3"), (1e15, "1E+15"), (123456789.12345, "123456789.1")]
    assert [shown(value, None, locale("en_US")) for value, _ in plain] == [text for _, text in plain]
    times = {"type": "DATE_TIME", "pattern": 'yyyy-mm-dd"T"hh:mm:ss'}
    assert shown(46091.5625, times, locale("de_DE")) == "2026-03-10T13:30:00"
    assert shown(1.25, {"type": "TIME", "pattern": "[h]:mm"}, locale("de_DE")) == "30:00"


FORMULAS = [
    ("=SUM(A1:A3)", 6), ("=SUM(A:A)*2", 12), ("=AVERAGE(A1:A3)/0", "#DIV/0!"), ("=A1&B1", "1x"), ("=-2^2", -4),
    ("=IF(A1>0,\"yes\",1/0)", "yes"), ("=IFERROR(A9/0,\"none\")", "none"), ("=Other!A1+1", 43),
    ("=COUNTIF(A1:A3,\">=2\")", 2), ("=SUMIF(B1:B3,\"x\",A1:A3)", 4), ("=VLOOKUP(\"y\",B1:C3,2,FALSE)", 20),
    ("=1E400", "#NUM!"), ("=IF()", "#N/A"), ("=VLOOKUP(1)", "#N/A"), ("=MOD(1,0)", "#DIV/0!"), ("=NOSUCH(1)", "#NAME?"), ("=1+", "#ERROR!"), ("=E1", "#REF!"), ("=10%", 0.1), ("=ROUND(2.5)", 3),
    ("=TODAY()", 46091), ("=days", 1), ("=B1*2", "#VALUE!"), ("=Gone!A1", "#REF!"), ("=MAX(A1:A3)-MIN(A1:A3)", 2),
]  # fmt: skip


@pytest.mark.parametrize(("formula", "value"), FORMULAS)
def test_formulas_are_evaluated(google: Emulator, formula: str, value: Any) -> None:
    number = google.create(tabs=["Daily", "Other"])
    person = google.person(number)
    person.type_rows("Daily!A1", [[1, "x", 10], [2, "y", 20], [3, "x", 30]])
    person.type("Other!A1", 42)
    person.name("Daily!A1:A3", "days")
    person.type("Daily!E1", formula)
    assert google.document(number)["Daily"].value("E1") == value


def test_formulas_follow_what_they_refer_to(google: Emulator) -> None:
    number = google.create(tabs=["Daily", "Other"])
    person = google.person(number)
    person.type_rows("Daily!A1", [[1, 2, "=SUM(A1:B1)"], [3, 4, "=$A$1+Daily!B2"]])
    person.type("Other!A1", "=Daily!A2")
    person.insert_column("Daily", before="B")
    person.insert_row("Daily", before=1, count=2)
    person.rename_tab("Daily", "Every day")
    daily, other = google.document(number).tabs
    assert [row[-1] for row in daily.entered[2:]] == ["=SUM(A3:C3)", "=$A$3+'Every day'!C4"]
    assert [row[-1] for row in daily.values[2:]] == [3, 5]
    assert (other.entered, other.values) == ([["='Every day'!A4"]], [[3]])
    person.move_column("Every day", "A", before="D")
    person.delete_row("Every day", 3)
    daily, other = google.document(number).tabs
    assert daily.entered[2] == ["", 4, 3, "=#REF!+'Every day'!B3"]
    assert (daily.value("D3"), other.value("A1")) == ("#REF!", 3)


# --- metadata -----------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["insert", "delete", "move"]), st.sampled_from(["ROWS", "COLUMNS"]),
        st.integers(0, 7), st.integers(1, 3), st.integers(0, 8),
    ),
    max_size=12,
)  # fmt: skip


def lines(size: int) -> list[int | None]:
    return list(range(size))


@given(STEPS)
def test_metadata_follows_its_line_wherever_that_goes(steps: list[tuple[str, str, int, int, int]]) -> None:
    """Against a simple model: a list of labels for each dimension. Cells and metadata must agree with it."""
    with Emulator(start=START, quotas=None) as google:
        number = google.create(rows=6, columns=6)
        person = google.person(number)
        model: dict[str, list[int | None]] = {"ROWS": lines(6), "COLUMNS": lines(6)}
        person.type_rows("Sheet1!A1", [[f"r{r}c{c}" for c in range(6)] for r in range(6)])
        for dimension in model:
            for index in range(6):
                place = {"dimension": dimension, "startIndex": index, "endIndex": index + 1}
                person.request("createDeveloperMetadata", developerMetadata={
                    "metadataKey": dimension, "metadataValue": str(index), "visibility": "DOCUMENT",
                    "location": {"dimensionRange": place}})  # fmt: skip
        for kind, dimension, first, count, to in steps:
            _step(person, model, kind, dimension, first, count, to)
        document = google.document(number)
        place_of = {
            (one["metadataKey"], int(one["metadataValue"])): one["location"]["dimensionRange"]["startIndex"]
            for one in document.metadata
        }
        assert place_of == {
            (name, label): index
            for name, kept in model.items()
            for index, label in enumerate(kept)
            if label is not None
        }
        wanted = [[_label(r, c) for c in model["COLUMNS"]] for r in model["ROWS"]]
        assert [
            row + [""] * (len(model["COLUMNS"]) - len(row)) for row in _padded(document.tabs[0], len(model["ROWS"]))
        ] == wanted


def _label(row: int | None, column: int | None) -> str:
    return "" if row is None or column is None else f"r{row}c{column}"


def _padded(tab: Any, rows: int) -> list[list[Any]]:
    assert tab.rows == rows
    return tab.values + [[] for _ in range(rows - len(tab.values))]


def _step(
    person: Any, model: dict[str, list[int | None]], kind: str, dimension: str, first: int, count: int, to: int,
    *, sheet: int = 0,
) -> None:  # fmt: skip
    """One random change of the sheet and of the model; what a grid cannot do must be refused."""
    kept, past = model[dimension], first + count
    span = {"sheetId": sheet, "dimension": dimension, "startIndex": first, "endIndex": past}
    if kind == "insert":
        possible, request = first < len(kept), {"kind": "insertDimension", "range": span}
        made = kept[:first] + [None] * count + kept[first:]
    elif kind == "delete":
        possible, request = past <= len(kept) and count < len(kept), {"kind": "deleteDimension", "range": span}
        made = kept[:first] + kept[past:]
    else:
        possible = past <= len(kept) and to <= len(kept) and not first < to < past
        request = {"kind": "moveDimension", "source": span, "destinationIndex": to}
        rest, at = kept[:first] + kept[past:], to if to <= first else to - count
        made = rest[:at] + kept[first:past] + rest[at:]
    if possible:
        person.request(**request)
        model[dimension] = made
    else:
        with pytest.raises(GoogleError):
            person.request(**request)


@given(STEPS.map(lambda steps: [step for step in steps if step[0] != "move"]), st.integers(0, 5), st.integers(1, 6))
def test_a_sum_over_rows_stays_the_sum_of_those_that_are_left(
    steps: list[tuple[str, str, int, int, int]], first: int, count: int
) -> None:
    """Inserted rows are empty, so that SUM over a range must give what is left of its first rows, or #REF!."""
    with Emulator(start=START, quotas=None) as google:
        number = google.create(tabs=["Data", "Sums"], rows=12, columns=8)
        person = google.person(number)
        person.type_rows("Data!A1", [[2**row] for row in range(12)])
        person.type("Sums!B2", f"=SUM(Data!$A${first + 1}:A{first + count})")
        model: dict[str, list[int | None]] = {"ROWS": lines(12), "COLUMNS": lines(8)}
        for kind, dimension, start, size, to in steps:
            _step(person, model, kind, dimension, start, size, to, sheet=google.document(number)["Data"].id)
        left = [2**row for row in model["ROWS"] if row is not None and first <= row < first + count]
        gone = not left or 0 not in model["COLUMNS"]
        assert google.document(number)["Sums"].value("B2") == ("#REF!" if gone else sum(left))


@given(st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=14), st.data())
def test_a_table_is_the_least_rectangle_with_nothing_beside_it(
    cells: set[tuple[int, int]], data: st.DataObject
) -> None:
    """Against the plain definition: begin with the cell, add the bounds of every filled cell that touches, repeat."""
    sheet = new_sheet(0, "Sheet1", 0, rows=8, columns=8)
    for row, column in cells:
        sheet.put(row, column, {"userEnteredValue": {"numberValue": 1}})
    row, column = data.draw(st.sampled_from(sorted(cells)))
    r0, r1, c0, c1 = row, row, column, column
    while beside := [(r, c) for r, c in cells if r0 - 1 <= r <= r1 + 1 and c0 - 1 <= c <= c1 + 1]:
        grown = (
            min(r0, *(r for r, _ in beside)), max(r1, *(r for r, _ in beside)),
            min(c0, *(c for _, c in beside)), max(c1, *(c for _, c in beside)),
        )  # fmt: skip
        if grown == (r0, r1, c0, c1):
            break
        r0, r1, c0, c1 = grown
    assert block(sheet, row, column) == Rect(r0, r1 + 1, c0, c1 + 1)


@given(st.dates(date(1900, 3, 1), date(2199, 12, 31)), st.sampled_from(["en_US", "en_GB", "de_DE"]))
def test_a_date_as_it_is_shown_is_typed_again(day: date, name: str) -> None:
    text = shown(serial(day), {"type": "DATE"}, locale(name))
    assert typed(text, locale(name), day)[0] == {"numberValue": serial(day)}


@given(
    st.decimals(-(10**8), 10**8, places=2),
    st.sampled_from(["en_US", "en_GB", "de_DE"]),
    st.sampled_from(["#,##0.00", ""]),
)
def test_a_number_as_it_is_shown_is_typed_again(number: Decimal, name: str, pattern: str) -> None:
    text = shown(float(number), {"type": "NUMBER", "pattern": pattern} if pattern else None, locale(name))
    assert typed(text, locale(name), START.date())[0] == {"numberValue": float(number)}


@given(
    st.integers(0, 900), st.integers(0, 900), st.integers(0, 18277), st.integers(0, 30), st.text(min_size=1, max_size=8)
)
def test_a_range_as_it_is_written_is_read_again(row: int, height: int, column: int, width: int, title: str) -> None:
    rect = Rect(row, row + height + 1, column, min(18278, column + width + 1))
    there, rest = split(written(title, rect))
    assert (there, parse(rest or "")) == (title, Span(rect.r0, rect.r1, rect.c0, rect.c1))


def test_sorting_moves_cells_and_if_told_so_metadata(api: Api) -> None:
    for moves in (False, True):
        with Emulator(start=START, sort_moves_metadata=moves) as google:
            number = google.create()
            person = google.person(number)
            person.type_rows("Sheet1!A1", [["b", 2], ["a", 1]])
            place = {"dimension": "ROWS", "startIndex": 0, "endIndex": 1}
            person.request("createDeveloperMetadata", developerMetadata={
                "metadataKey": "day", "visibility": "DOCUMENT", "location": {"dimensionRange": place}})  # fmt: skip
            person.sort("Sheet1!A1:B2", by="A")
            document = google.document(number)
            assert document.tabs[0].values == [["a", 1], ["b", 2]]
            assert document.metadata[0]["location"]["dimensionRange"]["startIndex"] == int(moves)


def test_a_copied_tab_has_metadata_only_if_told_so() -> None:
    for takes in (False, True):
        with Emulator(start=START, copies_take_metadata=takes) as google:
            number = google.create(tabs=["Daily"])
            person = google.person(number)
            place = {"dimension": "COLUMNS", "startIndex": 1, "endIndex": 2}
            person.request("createDeveloperMetadata", developerMetadata={
                "metadataKey": "metric", "visibility": "DOCUMENT", "location": {"dimensionRange": place}})  # fmt: skip
            copied = person.request("duplicateSheet", sourceSheetId=0)["properties"]["sheetId"]
            places = [one["location"]["dimensionRange"]["sheetId"] for one in google.document(number).metadata]
            assert sorted(places) == sorted([0, copied] if takes else [0])


def test_metadata_is_limited_in_characters_per_sheet_and_spreadsheet(google: Emulator, api: Api) -> None:
    number = google.create()

    def made(size: int, location: Any) -> Any:
        one = {"metadataKey": "k", "metadataValue": "x" * (size - 1), "visibility": "DOCUMENT", "location": location}
        return api.batch(number, {"createDeveloperMetadata": {"developerMetadata": one}})

    row = {"dimensionRange": {"dimension": "ROWS", "startIndex": 4, "endIndex": 5}}
    assert "replies" in made(20_000, {"sheetId": 0})
    assert "replies" in made(10_000, row)
    assert "more than 30000 characters" in made(1, row)["message"]
    assert "replies" in made(30_000, {"spreadsheet": True})


def test_values_are_written_where_metadata_says(google: Emulator, api: Api) -> None:
    number = google.create(tabs=["Daily"])
    person = google.person(number)
    person.type_rows("Daily!A1", [["day", "signups"], ["x", 1]])
    place = {"dimension": "COLUMNS", "startIndex": 1, "endIndex": 2}
    one = {
        "metadataKey": "metric",
        "metadataValue": "signups",
        "visibility": "DOCUMENT",
        "location": {"dimensionRange": place},
    }
    made = api.batch(number, {"createDeveloperMetadata": {"developerMetadata": one}})
    metadata_id = made["replies"][0]["createDeveloperMetadata"]["developerMetadata"]["metadataId"]
    person.insert_column("Daily", before="A")
    person.rename_tab("Daily", "Kennzahlen")
    person.rename_header("Kennzahlen!C1", "Anmeldungen")
    by_key = {"developerMetadataLookup": {"metadataKey": "metric"}}
    body = {"valueInputOption": "RAW", "data": [{"dataFilter": by_key, "values": [[None], [5], [6]]}]}
    answer = api("POST", f"/{number}/values:batchUpdateByDataFilter", body)
    assert answer["responses"][0]["updatedRange"] == "Kennzahlen!C1:C3"
    assert google.document(number).tabs[0].values == [["", "day", "Anmeldungen"], ["", "x", 5], ["", "", 6]]
    got = api("POST", f"/{number}/values:batchGetByDataFilter", {"dataFilters": [by_key], "majorDimension": "COLUMNS"})
    assert got["valueRanges"][0]["valueRange"]["values"] == [["Anmeldungen", "5", "6"]]
    assert got["valueRanges"][0]["dataFilters"] == [by_key]
    found = api("POST", f"/{number}/developerMetadata:search", {"dataFilters": [{"a1Range": "Kennzahlen!C2"}]})
    assert found["matchedDeveloperMetadata"][0]["developerMetadata"]["metadataId"] == metadata_id
    assert api("GET", f"/{number}/developerMetadata/{metadata_id}")["metadataValue"] == "signups"
    too_many = {"valueInputOption": "RAW", "data": [{"dataFilter": by_key, "values": [[1, 2]]}]}
    assert (
        "but tried writing to column [D]"
        in api("POST", f"/{number}/values:batchUpdateByDataFilter", too_many)["message"]
    )
    person.delete_column("Kennzahlen", "C")
    assert api("POST", f"/{number}/developerMetadata:search", {"dataFilters": [by_key]}) == {}
    assert api("GET", f"/{number}/developerMetadata/{metadata_id}")["status"] == "NOT_FOUND"


# --- people -------------------------------------------------------------------------------------------------


def test_protected_cells_are_closed_to_others_and_open_to_editors(google: Emulator) -> None:
    number = google.create(share_with=["bob@example.com"])
    bob, person = Api(google, "bob@example.com"), google.person(number)
    protected = person.protect("Sheet1!A1:B2")
    error = bob.put(number, "B2:C3", [[1]])
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert "You are trying to edit a protected cell or object." in error["message"]
    assert (
        "protected"
        in bob.batch(number, {"deleteDimension": {"range": {"dimension": "ROWS", "endIndex": 1}}})["message"]
    )
    inside = {"insertDimension": {"range": {"dimension": "ROWS", "startIndex": 1, "endIndex": 2}}}
    assert "protected" in bob.batch(number, inside)["message"]
    assert bob.put(number, "C3", [[1]])["updatedCells"] == 1
    assert "editors" not in bob("GET", f"/{number}")["sheets"][0]["protectedRanges"][0]
    person.unprotect(protected)
    person.protect("Sheet1!A1", editors=["bob@example.com"])
    person.protect("Sheet1!A1", warning_only=True)
    assert bob.put(number, "A1", [[1]])["updatedCells"] == 1


def test_ranges_of_things_follow_the_cells(google: Emulator) -> None:
    number = google.create(tabs=["Daily"])
    person = google.person(number)
    person.type_rows("Daily!A1", [["day", "n"], ["x", 1], ["y", 2]])
    person.protect("Daily!B1:B3")
    person.filter("Daily!A1:B3", sort_by="B")
    person.chart("signups", "Daily!A1:A3", "Daily!B1:B3")
    person.color_when("Daily!B2:B3", greater_than=1)
    person.name("Daily!B2:B3", "numbers")
    person.insert_row("Daily", before=3, count=2)
    person.insert_column("Daily", before="A")
    document = google.document(number)
    resource = document["Daily"].resource
    area = {"sheetId": 0, "startRowIndex": 1, "endRowIndex": 5, "startColumnIndex": 2, "endColumnIndex": 3}
    assert document.named_ranges[0]["range"] == area
    assert resource["conditionalFormats"][0]["ranges"] == [area]
    assert resource["protectedRanges"][0]["range"] == area | {"startRowIndex": 0}
    assert resource["basicFilter"]["range"] == area | {"startRowIndex": 0, "startColumnIndex": 1}
    assert resource["basicFilter"]["sortSpecs"] == [{"dimensionIndex": 2, "sortOrder": "ASCENDING"}]
    assert resource["charts"][0]["position"]["overlayPosition"]["anchorCell"]["columnIndex"] == 7
    chart = resource["charts"][0]["spec"]["basicChart"]
    assert chart["series"][0]["series"]["sourceRange"]["sources"] == [area | {"startRowIndex": 0}]
    person.delete_column("Daily", "C")
    gone = google.document(number)
    assert gone.named_ranges == []
    assert "protectedRanges" not in gone["Daily"].resource
    assert "conditionalFormats" not in gone["Daily"].resource


def test_parallel_appends_are_applied_one_after_another(google: Emulator) -> None:
    number = google.create()

    def five(writer: int) -> None:
        api = Api(google)
        for row in range(5):
            assert "updates" in api.append(number, "A1", [[f"{writer}.{row}x"]])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(five, range(8)))
    assert sorted(row[0] for row in google.document(number).tabs[0].values) == [
        f"{w}.{r}x" for w in range(8) for r in range(5)
    ]


def test_check_boxes_count_as_data_for_append(google: Emulator, api: Api) -> None:
    number = google.create(tabs=["Daily"])
    google.person(number).check_boxes("Daily!A1:A20")
    assert api.append(number, "Daily", [["x"]])["updates"]["updatedRange"] == "Daily!A21"


def test_a_real_table_takes_cells_into_its_body(google: Emulator, api: Api) -> None:
    number = google.create(tabs=["Daily"])
    area = {"sheetId": 0, "startRowIndex": 1, "endRowIndex": 4, "startColumnIndex": 1, "endColumnIndex": 3}
    made = api.batch(number, {"addTable": {"table": {"name": "T", "range": area}}})
    table = made["replies"][0]["addTable"]["table"]["tableId"]
    google.person(number).type_rows("Daily!B2", [["day", "n"]])
    row = {"values": [{"userEnteredValue": {"stringValue": "x"}}, {"userEnteredValue": {"numberValue": 1}}]}
    api.batch(number, {"appendCells": {"tableId": table, "rows": [row], "fields": "userEnteredValue"}})
    assert google.document(number).tabs[0].values[2] == ["", "x", 1]


def test_find_and_replace_sort_and_copy(google: Emulator, api: Api) -> None:
    number = google.create()
    api.put(number, "A1", [["Apple", 3, "=A1"], ["pear apple", 1, "=B2*2"], ["", 2]], valueInputOption="USER_ENTERED")
    find = {"findReplace": {"find": "apple", "replacement": "fig", "allSheets": True}}
    counts = api.batch(number, find)["replies"][0]["findReplace"]
    assert counts == {"valuesChanged": 2, "rowsChanged": 2, "sheetsChanged": 1, "occurrencesChanged": 2}
    area = {"sheetId": 0, "startRowIndex": 0, "endRowIndex": 3, "startColumnIndex": 0, "endColumnIndex": 3}
    api.batch(number, {"sortRange": {"range": area, "sortSpecs": [{"dimensionIndex": 1, "sortOrder": "DESCENDING"}]}})
    tab = google.document(number).tabs[0]
    assert tab.entered == [["fig", 3, "=A1"], ["", 2], ["pear fig", 1, "=B3*2"]]
    target = {"sheetId": 0, "startRowIndex": 5, "endRowIndex": 6, "startColumnIndex": 1, "endColumnIndex": 2}
    source = area | {"startRowIndex": 2, "startColumnIndex": 2}
    api.batch(number, {"copyPaste": {"source": source, "destination": target, "pasteType": "PASTE_NORMAL"}})
    assert google.document(number).tabs[0].entered[5] == ["", "=A6*2"]
    api.batch(number, {"copyPaste": {"source": source, "destination": target, "pasteType": "PASTE_VALUES"}})
    assert google.document(number).tabs[0].entered[5] == ["", 2]
