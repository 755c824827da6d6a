"""The Sheets emulator as clients see it: Google's own, gspread and pygsheets, unmodified, read what they wrote."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import gspread
import pandas as pd
import pygsheets
import pytest
from google.oauth2 import service_account
from googleapiclient.errors import HttpError

from tallybook_emulators.sheets import Emulator, Limits
from tests.google_clients import googles, gspreads, pygsheetss

START = datetime(2026, 3, 10, 8, tzinfo=UTC)


@pytest.fixture
def google() -> Iterator[Emulator]:
    with Emulator(start=START) as emulator:
        yield emulator
        assert emulator.mistakes == []
        assert emulator.validated


def refused(call: Any) -> tuple[int, str]:
    """Status and message of a call of Google's client that is refused."""
    with pytest.raises(HttpError) as caught:
        call.execute()
    return int(caught.value.resp.status), str(caught.value.reason)


# --- Google's own client ------------------------------------------------------------------------------------


def test_googles_client_reads_what_it_wrote(google: Emulator) -> None:
    sheets = googles(google).spreadsheets()
    made = sheets.create(body={"properties": {"title": "Board", "locale": "de_DE"}}).execute()
    number = made["spreadsheetId"]
    rows = [["Tag", "Umsatz", "neu?"], ["10.03.2026", "1.234,50", "WAHR"], ["11.03.2026", "12,5%", "=B2*2"]]
    values = sheets.values()
    written = values.update(
        spreadsheetId=number, range="Sheet1!A1", valueInputOption="USER_ENTERED", body={"values": rows}
    ).execute()
    assert (written["updatedRange"], written["updatedCells"]) == ("Sheet1!A1:C3", 9)
    plain = values.get(spreadsheetId=number, range="Sheet1", valueRenderOption="UNFORMATTED_VALUE").execute()
    assert plain["values"] == [["Tag", "Umsatz", "neu?"], [46091, 1234.5, True], [46092, 0.125, 2469]]
    shown = values.get(spreadsheetId=number, range="Sheet1!A2:C3").execute()
    assert shown["values"] == [["10.03.2026", "1.234,50", "WAHR"], ["11.03.2026", "12,50%", "2469"]]
    asked = {"spreadsheetId": number, "ranges": ["Sheet1!A1:A2", "Sheet1!C3"], "valueRenderOption": "FORMULA"}
    formulas = values.batchGet(**asked, majorDimension="COLUMNS").execute()
    assert [one["values"] for one in formulas["valueRanges"]] == [[["Tag", 46091]], [["=B2*2"]]]


def test_a_field_mask_chooses_and_brings_the_cells(google: Emulator) -> None:
    number = google.create(tabs=["Daily", "Notes"])
    google.person(number).type_rows("Daily!B2", [["text", 7]])
    sheets = googles(google).spreadsheets()
    mask = "sheets(properties(sheetId,title),data(startRow,rowData.values.effectiveValue)),properties/timeZone"
    got = sheets.get(spreadsheetId=number, ranges="Daily!A2:C3", fields=mask).execute()
    assert got["properties"] == {"timeZone": "Etc/GMT"}
    (tab,) = got["sheets"]
    assert tab["data"][0]["startRow"] == 1
    held = tab["data"][0]["rowData"][0]["values"]
    assert held == [{}, {"effectiveValue": {"stringValue": "text"}}, {"effectiveValue": {"numberValue": 7}}]
    bare = sheets.get(spreadsheetId=number).execute()
    assert [one["properties"]["index"] for one in bare["sheets"]] == [0, 1]
    assert "data" not in bare["sheets"][0]
    assert refused(sheets.get(spreadsheetId=number, fields="sheets.nothing"))[0] == 400


def test_a_long_get_comes_as_a_post(google: Emulator) -> None:
    number = google.create()
    ranges = [f"Sheet1!A{row}" for row in range(1, 300)]
    got = googles(google).spreadsheets().values().batchGet(spreadsheetId=number, ranges=ranges).execute()
    assert len(got["valueRanges"]) == 299


def test_tabs_are_copied_to_another_spreadsheet(google: Emulator) -> None:
    source, target = google.create(tabs=["Daily"]), google.create(tabs=["Daily"])
    google.person(source).type_rows("Daily!A1", [["day", 1]])
    sheets = googles(google).spreadsheets().sheets()
    body = {"destinationSpreadsheetId": target}
    made = sheets.copyTo(spreadsheetId=source, sheetId=0, body=body).execute()
    assert made["title"] == "Copy of Daily"
    assert google.document(target)["Copy of Daily"].values == [["day", 1]]


def test_drive_lists_renames_shares_exports_and_deletes(google: Emulator) -> None:
    drive, number = googles(google, "drive"), google.create("Metrics, daily", tabs=["Daily"])
    google.person(number).type_rows("Daily!A1", [["a, b", 'say "x"'], [1]])
    q = "mimeType='application/vnd.google-apps.spreadsheet' and name = 'Metrics, daily' and trashed = false"
    listed = drive.files().list(q=q, fields="files(id,name)").execute()
    assert listed == {"files": [{"id": number, "name": "Metrics, daily"}]}
    drive.files().update(fileId=number, body={"name": "Board"}).execute()
    assert google.document(number).title == "Board"
    one = {"type": "user", "role": "writer", "emailAddress": "bob@example.com"}
    drive.permissions().create(fileId=number, body=one).execute()
    shared = drive.permissions().list(fileId=number, fields="*").execute()["permissions"]
    assert [p["emailAddress"] for p in shared] == ["ada@example.com", "bob@example.com"]
    assert drive.files().export(fileId=number, mimeType="text/csv").execute() == b'"a, b","say ""x"""\r\n1,'
    drive.files().delete(fileId=number).execute()
    assert refused(drive.files().get(fileId=number)) == (404, f"File not found: {number}.")


def test_a_service_account_writes_what_is_shared_with_it_and_owns_nothing(google: Emulator) -> None:
    key = google.service_account()
    scopes = ["https://www.googleapis.com/auth/spreadsheets", "https://www.googleapis.com/auth/drive"]
    credentials = service_account.Credentials.from_service_account_info(key, scopes=scopes)
    sheets, drive = googles(google, credentials=credentials).spreadsheets(), googles(google, "drive", credentials)
    assert refused(sheets.create(body={})) == (403, "The caller does not have permission")
    status, words = refused(
        drive.files().create(body={"name": "x", "mimeType": "application/vnd.google-apps.spreadsheet"})
    )
    assert status == 403
    assert "storage quota" in words
    number = google.create()
    assert refused(sheets.get(spreadsheetId=number)) == (403, "The caller does not have permission")
    google.share(number, key["client_email"], "reader")
    sheets.get(spreadsheetId=number).execute()
    clear = sheets.values().clear(spreadsheetId=number, range="A1")
    assert refused(clear)[0] == 403
    google.share(number, key["client_email"], "writer")
    clear.execute()


# --- gspread ------------------------------------------------------------------------------------------------


def test_gspread_creates_writes_formats_and_reads_back(google: Emulator) -> None:
    client = gspreads(google)
    book = client.create("Board")
    tab = book.sheet1
    tab.update([["day", "signups"], ["2026-03-09", 5]], "A1")
    tab.append_row(["2026-03-10", 7], value_input_option="USER_ENTERED")
    tab.append_rows([["2026-03-11", 8], ["2026-03-12", None]])
    tab.update_acell("C1", "=SUM(B2:B)")
    assert tab.get_all_values() == [
        ["day", "signups", "20"], ["2026-03-09", "5", ""], ["2026-03-10", "7", ""], ["2026-03-11", "8", ""],
        ["2026-03-12", "", ""],
    ]  # fmt: skip
    assert tab.acell("C1", value_render_option="FORMULA").value == "=SUM(B2:B)"
    assert tab.get_all_records(head=1, expected_headers=["day", "signups"])[1] == {
        "day": "2026-03-10",
        "signups": 7,
        "20": "",
    }
    tab.format("A1:B1", {"textFormat": {"bold": True}})
    tab.batch_format([{"range": "B2:B5", "format": {"numberFormat": {"type": "NUMBER", "pattern": "0.00"}}}])
    tab.freeze(rows=1)
    assert tab.acell("B2").value == "5.00"
    snapshot = google.document(book.id)["Sheet1"]
    assert snapshot.cell("A1")["userEnteredFormat"] == {"textFormat": {"bold": True}}
    assert snapshot.resource["properties"]["gridProperties"]["frozenRowCount"] == 1
    assert client.open("Board").id == book.id
    assert client.open_by_key(book.id).worksheet("Sheet1").find("signups").col == 2


def test_gspread_changes_rows_columns_and_tabs(google: Emulator) -> None:
    book = gspreads(google).open_by_key(google.create(tabs=["Daily"]))
    tab = book.worksheet("Daily")
    tab.update([["a", 3], ["b", 1], ["c", 2]])
    tab.sort((2, "asc"), range="A1:B3")
    assert tab.col_values(1) == ["b", "c", "a"]
    tab.insert_row(["head", "n"], 1)
    tab.insert_cols([["x", "y"]], 2)
    assert tab.get_all_values()[:2] == [["head", "x", "n"], ["b", "y", "1"]]
    tab.delete_columns(2)
    tab.delete_rows(2)
    assert tab.get_all_values() == [["head", "n"], ["c", "2"], ["a", "3"]]
    tab.resize(rows=10, cols=4)
    assert (tab.row_count, tab.col_count) == (10, 4)
    tab.batch_clear(["A2:A3"])
    tab.update_title("Days")
    other = book.add_worksheet("More", 5, 5)
    copy = book.duplicate_sheet(tab.id, new_sheet_name="Copy")
    assert [one.title for one in book.worksheets()] == ["Copy", "Days", "More"]
    assert copy.get_all_values() == [["head", "n"], ["", "2"], ["", "3"]]
    book.del_worksheet(other)
    with pytest.raises(gspread.WorksheetNotFound):
        book.worksheet("More")
    with pytest.raises(gspread.exceptions.APIError, match="already exists"):
        book.add_worksheet("Copy", 1, 1)


def test_gspread_notes_names_merges_protects_filters_validates_and_replaces(google: Emulator) -> None:
    number = google.create(tabs=["Daily"])
    book = gspreads(google).open_by_key(number)
    tab = book.worksheet("Daily")
    tab.update([["day", "n"], ["x", 1], ["y", 2]])
    tab.insert_note("A1", "of the shop")
    assert tab.get_note("A1") == "of the shop"
    tab.define_named_range("A2:B3", "days")
    assert book.values_get("days")["values"] == [["x", "1"], ["y", "2"]]
    tab.merge_cells("D1:E2")
    tab.add_protected_range("A1:B1", ["ada@example.com"], description="head")
    tab.set_basic_filter("A1:B3")
    tab.add_validation("C2:C3", gspread.utils.ValidationConditionType.boolean, [])
    tab.hide_columns(2, 3)
    tab.copy_range("A2:B3", "G2:H3")
    tab.cut_range("G2:G3", "J1")
    resource = google.document(number)["Daily"].resource
    assert resource["merges"][0]["startColumnIndex"] == 3
    assert resource["protectedRanges"][0]["editors"]["users"] == ["ada@example.com"]
    assert resource["basicFilter"]["range"]["endRowIndex"] == 3
    assert tab.get("A2:H3") == [["x", "1", "FALSE", "", "", "", "", "1"], ["y", "2", "FALSE", "", "", "", "", "2"]]
    assert tab.get("J1:J2") == [["x"], ["y"]]
    tab.unmerge_cells("D1:E2")
    tab.clear_basic_filter()
    tab.clear()
    assert tab.get_all_values() == [[]]
    assert "merges" not in google.document(number)["Daily"].resource


def test_gspread_shares_copies_and_deletes_files(google: Emulator) -> None:
    client = gspreads(google)
    book = client.create("Board")
    book.share("bob@example.com", perm_type="user", role="writer")
    assert {one["emailAddress"] for one in book.list_permissions()} == {"ada@example.com", "bob@example.com"}
    book.remove_permissions("bob@example.com")
    book.update_title("Panel")
    book.update_locale("de_DE")
    book.sheet1.update([["1,5"]], raw=False)
    copied = client.copy(book.id, title="Copy")
    assert copied.sheet1.get(value_render_option="UNFORMATTED_VALUE") == [[1.5]]
    assert {one["name"] for one in client.list_spreadsheet_files()} == {"Copy", "Panel"}
    assert client.open_by_key(book.id).get_lastUpdateTime() == "2026-03-10T08:00:00.000Z"
    client.del_spreadsheet(copied.id)
    with pytest.raises(gspread.SpreadsheetNotFound):
        client.open_by_key(copied.id)
    assert book.export(gspread.utils.ExportFormat.CSV) == b'"1,5"'


# --- pygsheets ----------------------------------------------------------------------------------------------


def test_pygsheets_writes_appends_and_reads_back(google: Emulator) -> None:
    client = pygsheetss(google)
    book = client.create("Board")
    tab = book.sheet1
    tab.update_values("A1", [["day", "n"], ["2026-03-09", 5]])
    tab.append_table([["2026-03-10", 7], ["2026-03-11", 8]], start="A1")
    assert tab.get_values("A1", "B4") == [["day", "n"], ["2026-03-09", "5"], ["2026-03-10", "7"], ["2026-03-11", "8"]]
    tab.update_value("C1", "=SUM(B2:B4)")
    assert tab.get_value("C1") == "20"
    assert client.open("Board").id == book.id
    tab.cell("A1").set_text_format("bold", True).note = "head"
    tab.add_rows(5)
    tab.insert_cols(1, values=["x", "y"])
    assert tab.get_row(1, include_tailing_empty=False) == ["day", "x", "n", "20"]
    tab.sort_range("A2", "C4", basecolumnindex=2, sortorder="DESCENDING")
    assert tab.get_col(3, include_tailing_empty=False) == ["n", "8", "7", "5"]
    again = book.add_worksheet("More", rows=4, cols=3)
    again.title = "Rest"
    assert [one.title for one in book.worksheets()] == ["Sheet1", "Rest"]
    book.del_worksheet(again)
    shown = google.document(book.id)["Sheet1"]
    assert shown.rows == 1000 + 2 + 5  # append_table inserts its rows
    assert shown.cell("A1")["note"] == "head"


def test_pygsheets_writes_a_data_frame_and_formats(google: Emulator) -> None:
    book = pygsheetss(google).open_by_key(google.create(tabs=["Daily"]))
    tab = book.worksheet_by_title("Daily")
    frame = pd.DataFrame({"day": ["2026-03-09", "2026-03-10"], "n": [5, 7], "share": [0.5, 0.25]})
    tab.set_dataframe(frame, "A1")
    back = tab.get_as_df()
    assert back.to_dict("list") == {"day": ["2026-03-09", "2026-03-10"], "n": [5, 7], "share": [0.5, 0.25]}
    tab.get_values("A1", "C1", returnas="range").apply_format(pygsheets.Cell("A1").set_text_format("bold", True))
    tab.merge_cells("E1", "F2")
    tab.frozen_rows = 1
    tab.create_protected_range("A1", "C1")
    tab.add_chart(("A1", "A3"), [("B1", "B3")], "signups")
    book.share("bob@example.com", role="reader")
    resource = google.document(book.id)["Daily"].resource
    assert resource["properties"]["gridProperties"]["frozenRowCount"] == 1
    assert resource["charts"][0]["spec"]["title"] == "signups"
    assert google.document(book.id)["Daily"].cell("B1")["userEnteredFormat"]["textFormat"]["bold"] is True
    book.delete()
    assert google.document_ids == []


def test_pygsheets_keeps_developer_metadata(google: Emulator) -> None:
    book = pygsheetss(google).open_by_key(google.create())
    made = book.create_developer_metadata("origin", "shop")
    made.value = "store"
    made.update()
    book.sheet1.create_developer_metadata("tab", "daily")
    assert [(one.key, one.value) for one in book.get_developer_metadata()] == [("origin", "store")]
    assert [one.value for one in book.sheet1.get_developer_metadata("tab")] == ["daily"]
    made.delete()
    assert [one["metadataKey"] for one in google.document(book.id).metadata] == ["tab"]


# --- quotas -------------------------------------------------------------------------------------------------


def test_a_user_has_so_many_writes_a_minute_and_a_project_too() -> None:
    with Emulator(start=START, quotas=Limits(per_user=2, per_project=3)) as google:
        number = google.create(share_with=["bob@example.com"])
        ada, bob = googles(google), googles(google, credentials=google.credentials(account="bob@example.com"))

        def clear(client: Any) -> Any:
            return client.spreadsheets().values().clear(spreadsheetId=number, range="A1")

        clear(ada).execute()
        clear(ada).execute()
        status, words = refused(clear(ada))
        assert status == 429
        assert "'Write requests per minute per user'" in words
        ada.spreadsheets().get(spreadsheetId=number).execute()
        clear(bob).execute()
        assert refused(clear(bob))[1].count("'Write requests per minute'") == 1
        google.clock.advance(minutes=1)
        clear(bob).execute()
        assert google.clock.minutes == 1
        assert google.calls() == {"sheets.spreadsheets.values.clear": 6, "sheets.spreadsheets.get": 1}
