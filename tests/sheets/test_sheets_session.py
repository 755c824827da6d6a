"""Rows by hand in Google Sheets: what the old gem promised, without its defects, and each row exactly once."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tallybook.core.addresses import spreadsheet_id
from tallybook.core.errors import (
    CellError,
    DeclarationError,
    DestinationRefused,
    DestinationUnavailable,
    OutcomeUnknown,
    Overtaken,
    SignInError,
    TallybookError,
)
from tallybook.sheets.cells import cell, zone_of
from tallybook.sheets.credentials import Keys
from tallybook.sheets.marks import Stamp, metadata_id
from tallybook.sheets.pace import Bucket, Patience
from tallybook.sheets.rows import KEY, MAX_CLAIMS, Claim, Row, WorksheetRows, plan
from tallybook.sheets.service_urls import Document, document as named
from tallybook.sheets.session import Session, Unwritten
from tallybook.sheets.worksheet import Gathering, Worksheet, column_number
from tallybook_emulators.sheets import Emulator

# --- values ---------------------------------------------------------------------------------------------------


def held(value: Any, **more: Any) -> Any:
    """What a cell holds of a value."""
    return next(iter((cell(value, **more) or {}).get("userEnteredValue", {"": None}).values()))


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@x", "007", "1E5", "1,5", "11/01/2011", "TRUE", "'x", " ", "a\nb"]
)
def test_text_is_text_whatever_it_looks_like(text: str) -> None:
    assert cell(text) == {"userEnteredValue": {"stringValue": text}}


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (0, 0), (-7, -7), (2**53, 2**53), (-(2**53), -(2**53)), (0.1, 0.1), (Decimal("0.1"), 0.1),
        (Decimal("1255.50"), 1255.5), (Decimal("1E3"), 1000), (Decimal(123456789012345), 123456789012345),
        (np.int64(5), 5), (np.float32(0.5), 0.5),
    ],
)  # fmt: skip
def test_numbers_keep_their_digits(value: Any, number: float) -> None:
    assert held(value) == number
    assert isinstance(held(value), int) == isinstance(number, int)


@pytest.mark.parametrize(
    "value",
    [2**53 + 1, 2**60, Decimal("0.12345678901234567890"), Decimal("12345678901234567.5"), Decimal("1E400"),
     float("nan"), float("inf"), Decimal("NaN"), pd.NaT, "x" * 50_001, "\ud800", [1], {"a": 1}, object(), b"x", 1j,
     date(1899, 12, 29), time(9, tzinfo=UTC)],
)  # fmt: skip
def test_what_a_cell_cannot_hold_is_told_not_rounded(value: Any) -> None:
    with pytest.raises(CellError):
        cell(value)


def test_dates_are_serial_numbers_with_a_format() -> None:
    assert cell(date(2026, 3, 9)) == {
        "userEnteredValue": {"numberValue": 46090},
        "userEnteredFormat": {"numberFormat": {"type": "DATE"}},
    }
    noon = cell(datetime(2026, 3, 9, 12, 0))
    assert noon == {
        "userEnteredValue": {"numberValue": 46090.5},
        "userEnteredFormat": {"numberFormat": {"type": "DATE_TIME"}},
    }
    assert held(time(6, 0)) == 0.25
    assert held(timedelta(hours=36)) == 1.5
    assert held(date(1899, 12, 30)) == 0


def test_an_instant_is_shown_in_the_zone_of_the_document() -> None:
    noon = datetime(2026, 3, 9, 12, 0, tzinfo=UTC)
    assert held(noon, zone=zone_of("Europe/Berlin")) == held(datetime(2026, 3, 9, 13, 0))
    assert held(noon, zone=zone_of("GMT-07:00")) == held(datetime(2026, 3, 9, 5, 0))
    assert held(noon.astimezone(timezone(timedelta(hours=9)))) == 46090.5
    with pytest.raises(CellError, match="time zone"):
        zone_of("Middle/Earth")


def test_nothing_and_empty_text_and_truth() -> None:
    assert cell(None) is None
    assert cell("") == {}
    assert (held(True), held(False), held(np.bool_(True))) == (True, False, True)


# --- places ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1UgxVGDt8X0YgB9JYRVQ", Document("1UgxVGDt8X0YgB9JYRVQ")),
        ("https://docs.google.com/spreadsheets/d/1Ugx-V_G/edit#gid=42", Document("1Ugx-V_G", 42)),
        (" https://docs.google.com/spreadsheets/u/1/d/1UgxV/edit?gid=0#gid=0 ", Document("1UgxV", 0)),
    ],
)
def test_a_document_is_named_by_id_or_address(text: str, found: Document) -> None:
    assert named(text) == found


@pytest.mark.parametrize("text", ["", "a b", "https://docs.google.com/document/d/1UgxV/edit", "x"])
def test_what_names_no_document_is_told(text: str) -> None:
    with pytest.raises(DeclarationError, match="neither the id nor the URL"):
        named(text)


@pytest.mark.parametrize(
    "text",
    [
        "Metrics", "my-quarterly-metrics-of-2026", "METRICS_2026_QUARTERLY_REPORT", "1ugxvgdt8x0ygb9jyrvq", "Umsätze2026XYZÄÖÜabcdefgh",
        "https://docs.google.com/spreadsheets/d/e/2PACX-1vQ9abcDEF/pubhtml", "https://docs.google.com/document/d/1UgxVGDt8X0YgB9JYRVQ",
        "https://docs.google.com/spreadsheets/d/1UgxVGDt8X0YgB9JYRVQ/edit and more", "https://docs.google.com/spreadsheets/",
    ],
)  # fmt: skip
def test_a_declared_spreadsheet_has_the_form_of_an_id_or_an_address(text: str) -> None:
    assert spreadsheet_id(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "1UgxVGDt8X0YgB9JYRVQ", "docs.google.com/spreadsheets/d/1UgxVGDt8X0YgB9JYRVQ",
        "https://docs.google.com/spreadsheets/u/0/d/1UgxVGDt8X0YgB9JYRVQ/edit?gid=3#gid=3",
        "https://docs.google.com/a/acme.com/spreadsheets/d/1UgxVGDt8X0YgB9JYRVQ/edit",
    ],
)  # fmt: skip
def test_every_address_of_a_spreadsheet_has_its_id(text: str) -> None:
    assert spreadsheet_id(text) == "1UgxVGDt8X0YgB9JYRVQ"


def test_columns_are_letters() -> None:
    assert [column_number(letters) for letters in ("A", "z", "AA", "ZZZ")] == [1, 26, 27, 18278]
    for wrong in ("", "1", "AAAA", "Ä"):
        with pytest.raises(DeclarationError):
            column_number(wrong)


# --- the plan of a batch --------------------------------------------------------------------------------------

SHEET = WorksheetRows(id=7, title="Daily", rows=10, columns=3)


def planned(rows: list[Row], *, sheet: WorksheetRows = SHEET, last: int = 0, column: int = 0) -> Any:
    return plan(sheet, last, rows, column=column, width=3, batch="b")


def test_rows_that_are_alike_go_in_one_request() -> None:
    made = planned([Row(values=(n, "x")) for n in range(5)], last=3)
    assert made.places == [4, 5, 6, 7, 8]
    (only,) = made.requests
    assert only["updateCells"]["start"] == {"sheetId": 7, "rowIndex": 3, "columnIndex": 0}
    assert only["updateCells"]["fields"] == "userEnteredValue"
    assert len(only["updateCells"]["rows"]) == 5


def test_a_sheet_grows_only_as_far_as_it_must_and_never_shrinks() -> None:
    made = planned([Row(values=(1, 2, 3, 4))] * 3, last=9)
    grown = [r["appendDimension"] for r in made.requests if "appendDimension" in r]
    assert grown == [
        {"sheetId": 7, "dimension": "ROWS", "length": 2},
        {"sheetId": 7, "dimension": "COLUMNS", "length": 1},
    ]
    low = planned([Row(values=(1,), at=2)], last=9)
    assert [list(r) for r in low.requests] == [["updateCells"]]


def test_a_new_row_leaves_what_is_none_and_an_overwritten_one_empties_it() -> None:
    new = planned([Row(values=(1, None, 3))])
    assert [r["updateCells"]["start"]["columnIndex"] for r in new.requests] == [0, 2]
    old = planned([Row(values=(1, None, 3), at=4)])
    (only,) = old.requests
    assert only["updateCells"]["rows"][0]["values"][1] == {}


def test_rows_with_and_without_a_place_keep_their_order() -> None:
    made = planned([Row(values=(1,)), Row(values=(2,), at=20), Row(values=(3,)), Row(values=(4,), at=1)], last=5)
    assert made.places == [6, 20, 21, 1]
    assert made.claim.last == 21


def test_claims_are_numbered_and_old_ones_go() -> None:
    claims = tuple(
        Claim(id=metadata_id(KEY, 7, n), number=n, batch=str(n), last=n, column=0, width=1)
        for n in range(1, MAX_CLAIMS + 2)
    )
    made = planned([Row(values=(1,))], sheet=WorksheetRows(id=7, title="", rows=10, columns=3, claims=claims))
    assert made.claim.number == MAX_CLAIMS + 2
    assert made.claim.id == metadata_id(KEY, 7, MAX_CLAIMS + 2) != metadata_id(KEY, 8, MAX_CLAIMS + 2)
    gone = [r["deleteDeveloperMetadata"] for r in made.requests if "deleteDeveloperMetadata" in r]
    assert [g["dataFilter"]["developerMetadataLookup"]["metadataId"] for g in gone] == [
        metadata_id(KEY, 7, 1),
        metadata_id(KEY, 7, 2),
    ]


# --- pace -----------------------------------------------------------------------------------------------------


class Clock:
    """Time that passes by sleeping only."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.now += seconds


def test_no_minute_has_more_requests_than_google_grants() -> None:
    clock = Clock()
    bucket = Bucket(clock=clock, sleep=clock.sleep)
    times = []
    for _ in range(300):
        bucket.take()
        times.append(clock())
    assert max(sum(1 for t in times if start <= t < start + 60) for start in times) <= 60
    assert clock() < 300 * 60 / 49


def test_patience_ends_and_waits_as_long_as_the_server_says() -> None:
    clock = Clock()
    patience = Patience(clock=clock, sleep=clock.sleep, chance=lambda: 1.0)
    waiting = patience.start()
    assert waiting.again()
    assert clock() == 1
    assert waiting.again(17)
    assert clock() == 18
    while waiting.again():
        assert clock() <= patience.seconds
    assert not patience.start().again(1000)


# --- the seed's own code, against an emulator of Google --------------------------------------------------------


@pytest.fixture
def google() -> Iterator[Emulator]:
    with Emulator(quotas=None) as emulator:
        yield emulator
        assert emulator.mistakes == []


def connected(google: Emulator, **more: Any) -> Session:
    """A session that waits for milliseconds where others wait for seconds."""
    words = google.authorized_user()
    more.setdefault("patience", Patience(first=0.001, longest=0.01))
    made = Session(words["client_id"], words["client_secret"], words["refresh_token"], api=google.url, **more)
    made.api.reads, made.api.writes = Bucket(per_minute=1e9), Bucket(per_minute=1e9)
    return made


def leave(session: Session) -> None:
    """Close a session whose rows cannot be written any more."""
    for worksheet in session._worksheets.values():
        worksheet.discard()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Unwritten)
        session.close()


@pytest.fixture
def session(google: Emulator) -> Iterator[Session]:
    made = connected(google)
    yield made
    leave(made)


@pytest.fixture
def document(google: Emulator) -> str:
    return google.create("Metrics", tabs=["Daily", "Other"])


@pytest.fixture
def sheet(session: Session, document: str) -> Worksheet:
    return session.worksheet(document, "Daily")


def values(google: Emulator, document: str, tab: str = "Daily") -> list[list[Any]]:
    return google.document(document)[tab].values


def test_the_code_of_the_article(google: Emulator, document: str) -> None:
    words = google.authorized_user()
    client_id, client_secret, refresh_token = (words[name] for name in ("client_id", "client_secret", "refresh_token"))
    session = Session(client_id, client_secret, refresh_token, api=google.url)
    worksheet = session.worksheet(document, 0)
    worksheet << 1 << 2
    worksheet.append(5)
    worksheet.save_row()
    assert values(google, document) == [[1, 2, 5]]


def test_worksheets_are_listed_and_opened_by_id_and_by_title(google: Emulator, session: Session, document: str) -> None:
    listed = session.worksheets(document)
    assert [worksheet.sheet.title for worksheet in listed] == ["Daily", "Other"]
    other = listed[1].sheet
    for which in (other.id, "Other", str(other.id)):
        worksheet = session.worksheet(document, which)
        worksheet << which
        worksheet.save_row()
    session.worksheet(f"https://docs.google.com/spreadsheets/d/{document}/edit#gid={other.id}").append("url").save_row()
    listed[1].append("listed").save_row()
    session.flush()
    assert values(google, document, "Other") == [[other.id], ["Other"], [str(other.id)], ["url"], ["listed"]]
    with pytest.raises(DestinationRefused, match="no worksheet 'Dayly'") as raised:
        session.worksheet(document, "Dayly").append(1).save_row()
    assert "'Daily' (0)" in raised.value.hint


def test_nothing_is_asked_of_google_before_a_row_is_saved(google: Emulator, sheet: Worksheet) -> None:
    sheet << 1
    sheet.next_row()
    assert google.requests == []


def test_next_row_and_save_write_several_rows_together(google: Emulator, sheet: Worksheet, document: str) -> None:
    sheet << 1
    sheet.next_row()
    sheet.next_row()
    sheet << 3
    assert sheet.save() == 3
    assert values(google, document) == [[1], [], [3]]
    sheet << "a"
    sheet.next_row()
    sheet << "b"
    sheet.next_row()
    assert sheet.save(5) == 2
    assert values(google, document) == [[1], [], [3], [], ["a"], ["b"]]


def test_save_row_with_a_number_overwrites_that_row_and_nothing_else(
    google: Emulator, sheet: Worksheet, document: str
) -> None:
    google.person(document).type_rows("Daily!A1", [[n, n, n, f"note {n}"] for n in range(1, 8)])
    sheet << "five" << None << "V"
    sheet.save_row(5)
    assert values(google, document)[3:6] == [[4, 4, 4, "note 4"], ["five", "", "V", "note 5"], [6, 6, 6, "note 6"]]
    sheet << "below"
    sheet.save_row()
    sheet.flush()
    assert values(google, document)[7] == ["below"]
    for wrong in (0, -1, True, "5", 1.5):
        with pytest.raises(DeclarationError, match="counted from 1"):
            sheet.save_row(wrong)  # type: ignore[arg-type]


def test_a_row_beyond_the_end_makes_the_sheet_larger(google: Emulator, session: Session) -> None:
    document = google.create(tabs=["Daily"], rows=3, columns=2)
    sheet = session.worksheet(document)
    sheet << 1 << 2 << 3
    sheet.save_row(7)
    tab = google.document(document)["Daily"]
    assert (tab.rows, tab.columns) == (7, 3)
    assert tab.values[6] == [1, 2, 3]


# --- the defects of the gem, each done right --------------------------------------------------------------------


def test_defect_a_refused_row_is_not_lost_in_silence(google: Emulator, session: Session) -> None:
    document = google.create(tabs=["Daily"], owner="boss@example.com", share_with=[google.account])
    sheet = session.worksheet(document)
    boss = google.person(document)
    lock = boss.protect("Daily!A1:Z1000")
    sheet << 1
    with pytest.raises(DestinationRefused, match="protected") as raised:
        sheet.save_row()
    assert isinstance(raised.value, TallybookError)
    assert "Protect sheets" in raised.value.hint
    assert sheet.pending == 1
    assert sheet.pending == 1
    boss.unprotect(lock)
    assert sheet.flush() == 1
    assert values(google, document) == [[1]]


def test_defect_a_batch_is_not_half_written(google: Emulator, session: Session) -> None:
    document = google.create(tabs=["Daily"], owner="boss@example.com", share_with=[google.account])
    google.person(document).protect("Daily!A3:A3")
    sheet = session.worksheet(document)
    for n in range(5):
        sheet << n
        sheet.next_row()
    with pytest.raises(DestinationRefused):
        sheet.save()
    assert values(google, document) == []
    assert sheet.discard() == [(n,) for n in range(5)]
    assert session.pending == 0


def test_defect_a_refresh_that_fails_is_told_at_once(google: Emulator, document: str) -> None:
    session = connected(google)
    next(iter(google.oauth.refreshes.values())).revoked = True
    sheet = session.worksheet(document)
    sheet << 1
    with pytest.raises(SignInError, match="revoked or expired") as raised:
        sheet.save_row()
    assert "tallybook sheets setup" in raised.value.hint
    assert "Publish app" in raised.value.hint
    with pytest.warns(Unwritten, match="could NOT be written"):
        session.at_exit()
    leave(session)


def test_defect_a_token_is_renewed_in_a_long_session(google: Emulator, sheet: Worksheet, document: str) -> None:
    for hour in range(3):
        sheet << hour
        sheet.save_row()
        sheet.flush()
        google.clock.advance(hours=2)
    assert values(google, document) == [[0], [1], [2]]


def test_defect_a_low_row_does_not_cut_off_those_below(google: Emulator, sheet: Worksheet, document: str) -> None:
    google.person(document).type_rows("Daily!A1", [[n] for n in range(20)])
    sheet << "x"
    sheet.save_row(1)
    assert values(google, document) == [["x"], *([n] for n in range(1, 20))]
    assert google.document(document)["Daily"].rows == 1000


def test_defect_save_writes_a_row_that_next_row_did_not_close(
    google: Emulator, sheet: Worksheet, document: str
) -> None:
    sheet << 1
    assert sheet.save() == 1
    assert values(google, document) == [[1]]


def test_defect_a_second_save_writes_nothing_again(google: Emulator, sheet: Worksheet, document: str) -> None:
    sheet << 1
    sheet.next_row()
    assert sheet.save() == 1
    assert sheet.save() == 0
    assert sheet.flush() == 0
    sheet.save_row()
    assert values(google, document) == [[1]]


def test_defect_none_is_an_empty_cell_wherever_it_stands(google: Emulator, sheet: Worksheet, document: str) -> None:
    sheet << None << 1 << None << None << 2
    sheet.append(None).append(3).save_row()
    assert values(google, document) == [["", 1, "", "", 2, "", 3]]


def test_defect_an_empty_sheet_begins_with_row_1(google: Emulator, sheet: Worksheet, document: str) -> None:
    sheet << "first"
    sheet.save_row()
    assert google.document(document)["Daily"].value("A1") == "first"


def test_defect_a_note_far_below_beside_our_columns_moves_nothing(
    google: Emulator, sheet: Worksheet, document: str
) -> None:
    google.person(document).type("Daily!H900", "a note")
    google.person(document).type_rows("Daily!A1", [["day", "n"]])
    sheet << "x" << 1
    sheet.save_row()
    assert values(google, document)[:2] == [["day", "n"], ["x", 1]]


def test_defect_no_text_becomes_a_formula_or_a_number(google: Emulator, session: Session) -> None:
    german = google.create(tabs=["Tabelle1"], locale="de_DE")
    sheet = session.worksheet(german)
    row = ["=A1+B1", "007", "1E5", "1,5", "11/01/2011", "+49 30", "@x", '=HYPERLINK("http://evil")']
    for value in row:
        sheet << value
    sheet << 1.5 << date(2026, 3, 9)
    sheet.save_row()
    tab = google.document(german)["Tabelle1"]
    assert tab.values == [[*row, 1.5, 46090]]
    assert tab.shown[0][-2:] == ["1,5", "09.03.2026"]


def test_defect_a_hundred_cells_are_one_write(google: Emulator, sheet: Worksheet, document: str) -> None:
    for n in range(100):
        sheet << n
    sheet.save_row()
    assert values(google, document) == [list(range(100))]
    assert google.calls()["sheets.spreadsheets.batchUpdate"] == 1


def test_defect_only_as_many_rows_are_added_as_are_written(google: Emulator, session: Session) -> None:
    document = google.create(tabs=["Daily"], rows=2)
    sheet = session.worksheet(document)
    for n in range(5):
        sheet << n
        sheet.next_row()
    sheet.save()
    assert google.document(document)["Daily"].rows == 5


# --- where rows go among what people do -------------------------------------------------------------------------


def test_check_boxes_and_formulas_that_show_nothing_are_no_content(
    google: Emulator, session: Session, document: str
) -> None:
    person = google.person(document)
    person.type_rows("Daily!A1", [["day", "done", "twice"], ["x", False, '=IF(A2="","",A2)']])
    person.check_boxes("Daily!B2:B500")
    person.type_rows("Daily!C3", [[f'=IF(A{n}="","",A{n})'] for n in range(3, 20)])
    sheet = session.worksheet(document, "Daily")
    sheet << "y" << None << None
    sheet.save_row()
    tab = google.document(document)["Daily"]
    assert tab.values[2][:3] == ["y", False, "y"]
    sheet << False << True
    sheet.save_row()
    sheet.flush()
    assert google.document(document)["Daily"].values[3][:2] == [False, True]


def test_rows_begin_at_the_column_that_was_named(google: Emulator, session: Session, document: str) -> None:
    google.person(document).type_rows("Daily!A1", [["ours", "", "theirs"], ["", "", 1], ["", "", 2]])
    sheet = session.worksheet(document, "Daily", column="C")
    sheet << 3 << 4
    sheet.save_row()
    assert values(google, document)[3] == ["", "", 3, 4]
    beside = session.worksheet(document, "Daily", column="G")
    for n in range(3):
        beside << n
        beside.save_row()
    sheet << 5 << 6 << 7
    sheet.save_row()
    session.flush()
    assert values(google, document)[:3] == [
        ["ours", "", "theirs", "", "", "", 0], ["", "", 1, "", "", "", 1], ["", "", 2, "", "", "", 2],
    ]  # fmt: skip
    assert values(google, document)[3:] == [["", "", 3, 4], ["", "", 5, 6, 7]]
    far = session.worksheet(document, "Other", column="AC")
    far << 1
    far.save_row()
    assert google.document(document)["Other"].value("AC1") == 1


def test_a_tab_may_be_renamed_and_moved_about_while_rows_are_written(
    google: Emulator, sheet: Worksheet, document: str
) -> None:
    person = google.person(document)

    def write(value: object) -> None:
        sheet << value
        sheet.save_row()
        sheet.flush()

    write(1)
    person.rename_tab("Daily", "Täglich")
    write(2)
    person.insert_row("Täglich", 1, 2)
    write(3)
    person.type("Täglich!A6", "typed")
    write(4)
    assert values(google, document, "Täglich") == [[], [], [1], [2], [3], ["typed"], [4]]
    person.delete_row("Täglich", 5, 3)
    write(5)
    assert values(google, document, "Täglich") == [[], [], [1], [2], [5]]
    person.request("updateSheetProperties", properties={"sheetId": 0, "gridProperties": {"rowCount": 4}},
                   fields="gridProperties.rowCount")  # fmt: skip
    write(6)
    assert values(google, document, "Täglich") == [[], [], [1], [2], [6]]
    person.delete_tab("Täglich")
    with pytest.raises(DestinationRefused):
        write(7)


def test_dates_look_as_people_made_the_one_above_look(google: Emulator, sheet: Worksheet, document: str) -> None:
    sheet << date(2026, 3, 8) << 1
    sheet.save_row()
    google.person(document).format("Daily!A1:A1", numberFormat={"type": "DATE", "pattern": "d. mmm"})
    sheet << date(2026, 3, 9) << 2
    sheet.save_row()
    sheet.flush()
    tab = google.document(document)["Daily"]
    assert tab.number_format("A2") == {"type": "DATE", "pattern": "d. mmm"}
    assert tab.number_format("B2") == {}


def test_an_instant_is_written_in_the_zone_of_the_document(google: Emulator, session: Session) -> None:
    document = google.create(tabs=["Daily"], time_zone="Europe/Berlin")
    sheet = session.worksheet(document)
    sheet << datetime(2026, 3, 9, 12, 0, tzinfo=UTC)
    sheet.save_row()
    assert values(google, document) == [[46090 + 13 / 24]]


def test_two_programs_that_write_at_once_overwrite_nothing(google: Emulator, document: str) -> None:
    def write(name: str) -> None:
        with connected(google) as session:
            sheet = session.worksheet(document, "Daily")
            for n in range(12):
                sheet << f"{name}{n}"
                sheet.save_row()
                sheet.flush()

    writers = [threading.Thread(target=write, args=(name,)) for name in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    written = [row[0] for row in values(google, document)]
    assert sorted(written) == sorted(f"{name}{n}" for name in "ab" for n in range(12))
    for name in "ab":
        assert [w for w in written if w[0] == name] == [f"{name}{n}" for n in range(12)]


def test_a_writer_that_read_too_early_is_refused_and_reads_anew(google: Emulator, document: str) -> None:
    """The other writes between our read and our write."""
    with connected(google) as ours, connected(google) as theirs:
        sheet, other = ours.worksheet(document, "Daily"), theirs.worksheet(document, "Daily")
        look = sheet._look

        def late() -> Any:
            seen = look()
            if not values(google, document):
                other << "theirs"
                other.save_row()
            return seen

        sheet._look = late  # type: ignore[method-assign]
        sheet << "ours"
        sheet.save_row()
    assert values(google, document) == [["theirs"], ["ours"]]


# --- each row exactly once ----------------------------------------------------------------------------------------

TROUBLES: dict[str, dict[str, Any]] = {
    "503 before it was done": {"answer": 503},
    "503 after it was done": {"answer": 503, "after": True},
    "500 after it was done": {"answer": 500, "after": True},
    "cut before": {"cut": True},
    "cut after": {"cut": True, "after": True},
    "reset after": {"reset": True, "after": True},
    "429": {"answer": 429},
    "403 of the rate": {"answer": 403, "reason": "userRateLimitExceeded"},
    "401": {"answer": 401},
}


@pytest.mark.cases(8)
@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("trouble", TROUBLES)
def test_every_row_once_whatever_happens_to_the_answer(
    google: Emulator, sheet: Worksheet, document: str, trouble: str, times: int
) -> None:
    if trouble == "401":
        times = 1
    sheet << "first"
    sheet.save_row()
    google.fault(path=":batchUpdate", times=times, **TROUBLES[trouble])
    for n in range(10):
        sheet << n
        sheet.save_row()
    sheet.flush()
    assert values(google, document) == [["first"], *([n] for n in range(10))]
    assert sheet.pending == 0


def test_an_answer_that_takes_too_long_is_a_lost_one(
    google: Emulator, sheet: Worksheet, document: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tallybook.sheets.api.TIMEOUT_SECONDS", (1.0, 0.1))
    google.fault(path=":batchUpdate", delay=0.3, after=True)
    sheet << 1
    sheet.save_row()
    assert values(google, document) == [[1]]


def test_where_nothing_can_be_known_the_rows_are_kept_and_looked_up_first(
    google: Emulator, sheet: Worksheet, document: str
) -> None:
    google.fault(path=":batchUpdate", cut=True, after=True)
    google.fault(503, path="developerMetadata:search", times=None)
    sheet << 1
    with pytest.raises(OutcomeUnknown, match="no response") as raised:
        sheet.save_row()
    assert raised.value.exit_code == 4
    assert sheet.pending == 1
    google.faults.clear()
    sheet << 2
    sheet.save_row()
    assert values(google, document) == [[1], [2]]
    assert sheet.pending == 0


def test_a_first_attempt_that_arrives_late_is_refused(google: Emulator, sheet: Worksheet, document: str) -> None:
    google.fault(503, path=":batchUpdate")
    sheet << 1
    sheet.save_row()
    attempts = [seen for seen in google.requests if ":batchUpdate" in seen.path]
    assert len(attempts) == 2
    late = json.loads(attempts[0].body)["requests"]
    stamp = late.pop()["createDeveloperMetadata"]["developerMetadata"]
    api = connected(google).api
    mine = Stamp(id=stamp["metadataId"], key=stamp["metadataKey"], value=stamp["metadataValue"], sheet_id=0)
    google.forget_requests()
    assert api.batch_update(document, late, mine) is None
    assert [seen.status for seen in google.requests if ":batchUpdate" in seen.path] == [400]
    assert values(google, document) == [[1]]


def test_a_batch_of_any_requests_is_applied_once(google: Emulator, document: str) -> None:
    """What deliveries use: a stamp on the document, replies, and a second writer who is told."""
    api = connected(google).api
    add = [{"addSheet": {"properties": {"title": "New"}}}]
    mine = Stamp(id=77, key="tallybook.delivery", value="mine")
    replies = api.batch_update(document, add, mine)
    assert replies is not None
    assert replies[0]["addSheet"]["properties"]["title"] == "New"
    assert api.batch_update(document, add, mine) is None
    with pytest.raises(Overtaken):
        api.batch_update(document, add, Stamp(id=77, key="tallybook.delivery", value="theirs"))
    with pytest.raises(DestinationRefused, match="New"):
        api.batch_update(document, add, Stamp(id=78, key="tallybook.delivery", value="mine too"))
    assert [tab.title for tab in google.document(document).tabs] == ["Daily", "Other", "New"]
    assert api.stamped(document, 77) == "mine"
    assert api.stamped(document, 78) is None


def test_patience_ends_and_the_rows_are_kept(google: Emulator, sheet: Worksheet, document: str) -> None:
    google.fault(429, path=":batchUpdate", times=None, headers={"Retry-After": "400"})
    sheet << 1
    with pytest.raises(DestinationUnavailable, match="quota") as raised:
        sheet.save_row()
    assert raised.value.retry_after == 400
    assert google.calls()["sheets.spreadsheets.batchUpdate"] == 1
    google.faults.clear()
    assert sheet.flush() == 1
    assert values(google, document) == [[1]]


def test_no_network_is_told(document: str) -> None:
    keys = {"client_id": "a", "client_secret": "b", "refresh_token": "c"}
    session = Session(**keys, api="http://127.0.0.1:9", patience=Patience(first=0.001, tries=2))
    sheet = session.worksheet(document, "Daily")
    sheet << 1
    with pytest.raises(DestinationUnavailable, match="cannot be reached") as raised:
        sheet.save_row()
    assert "network" in raised.value.hint
    leave(session)


@pytest.mark.cases(3)
@pytest.mark.parametrize("seed", range(6))
def test_every_row_once_among_random_troubles(google: Emulator, document: str, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(25):
        trouble = dict(chance.choice(list(TROUBLES.values())))
        google.fault(
            path=chance.choice([":batchUpdate", ":batchUpdate", ":getBy", "search", "v4"]),
            nth=chance.randint(1, 40),
            **trouble,
        )
    with connected(google, gathering=Gathering(rows=chance.randint(1, 9), seconds=60)) as session:
        sheet = session.worksheet(document, "Daily")
        for n in range(60):
            sheet << n
            for _ in range(30):
                try:
                    sheet.save_row()
                except TallybookError:
                    continue
                break
        for _ in range(30):
            try:
                session.flush()
            except TallybookError:
                continue
            break
    assert values(google, document) == [[n] for n in range(60)]


# --- the pace -----------------------------------------------------------------------------------------------------


def test_a_thousand_rows_in_a_loop_are_few_requests_and_no_429() -> None:
    with Emulator() as google:
        thousand_rows(google, google.create(tabs=["Daily"]))


def thousand_rows(google: Emulator, document: str) -> None:
    words = google.authorized_user()
    keys = Keys(
        client_id=words["client_id"], client_secret=words["client_secret"], refresh_token=words["refresh_token"]
    )
    with Session(keys=keys, api=google.url) as session:
        sheet = session.worksheet(document, "Daily")
        for n in range(1000):
            sheet << date(2026, 3, 9) << n << "x"
            sheet.save_row()
    assert [row[1] for row in values(google, document)] == list(range(1000))
    assert google.calls()["sheets.spreadsheets.batchUpdate"] == 3
    assert sum(google.calls().values()) <= 10
    assert all(seen.status == 200 for seen in google.requests)


def test_even_a_flush_after_every_row_breaks_no_quota() -> None:
    # On the edge of a minute of Google's, where two bursts could meet in one.
    with Emulator(start=datetime(2026, 3, 9, 0, 0, 55, tzinfo=UTC)) as google:
        place = google.create(tabs=["Daily"])
        session = connected(google)
        paced = {"clock": google.clock.timestamp, "sleep": google.clock.advance}
        session.api.reads, session.api.writes = Bucket(**paced), Bucket(**paced)
        sheet = session.worksheet(place)
        for n in range(150):
            sheet << n
            sheet.save_row()
            sheet.flush()
        assert len(values(google, place)) == 150
        assert session.api.traffic.refused == []
        assert google.clock.minutes < 3.2


def test_a_row_that_comes_alone_is_written_at_once_and_others_are_gathered(google: Emulator, document: str) -> None:
    time_s = [0.0]
    session = connected(google, clock=lambda: time_s[0])
    sheet = session.worksheet(document, "Daily")
    for at, there in [(0.0, 1), (1.0, 1), (4.9, 1), (5.0, 4), (6.0, 4), (30.0, 6)]:
        time_s[0] = at
        sheet << at
        sheet.save_row()
        assert len(values(google, document)) == there
    session.close()


def test_old_stamps_go(google: Emulator, sheet: Worksheet, document: str) -> None:
    for n in range(MAX_CLAIMS + 5):
        sheet << n
        sheet.save_row()
        sheet.flush()
    assert len(google.document(document).metadata) == MAX_CLAIMS
    assert len(values(google, document)) == MAX_CLAIMS + 5


# --- the end of a program -------------------------------------------------------------------------------------

PROGRAM = """
from tallybook.sheets import Session

def job():
    session = Session({client_id!r}, {client_secret!r}, {refresh_token!r}, api={api!r})
    sheet = session.worksheet({document!r}, "Daily")
    for n in range(10):
        sheet << n
        sheet.save_row()
    {last}

job()
"""


def ended(google: Emulator, document: str, last: str) -> subprocess.CompletedProcess[str]:
    words = {
        name: text
        for name, text in google.authorized_user().items()
        if name in ("client_id", "client_secret", "refresh_token")
    }
    program = PROGRAM.format(**words, api=google.url, document=document, last=last)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)


def test_a_program_that_just_ends_loses_nothing_and_is_told(google: Emulator, document: str) -> None:
    done = ended(google, document, "sheet << 'never saved'")
    assert values(google, document) == [[n] for n in range(10)]
    assert done.returncode == 0
    assert "9 saved rows were pending" in done.stderr
    assert "written now" in done.stderr
    assert "never saved" in done.stderr


def test_a_program_that_fails_writes_what_it_had_saved(google: Emulator, document: str) -> None:
    done = ended(google, document, "raise ValueError")
    assert done.returncode == 1
    assert values(google, document) == [[n] for n in range(10)]


def test_what_cannot_be_written_at_the_end_is_told_with_the_count(google: Emulator, document: str) -> None:
    google.fault(403, path=":batchUpdate", nth=2, times=None)
    done = ended(google, document, "pass")
    assert "9 saved rows were pending at the end of the program, and could NOT be written" in done.stderr


def test_the_context_manager_writes_also_when_there_is_an_error(google: Emulator, document: str) -> None:
    with pytest.raises(KeyError), connected(google) as session:  # noqa: PT012
        sheet = session.worksheet(document, "Daily")
        for n in range(3):
            sheet << n
            sheet.save_row()
        raise KeyError
    assert values(google, document) == [[0], [1], [2]]
    with pytest.raises(KeyError) as raised, connected(google) as session:  # noqa: PT012
        sheet = session.worksheet(document, "Daily")
        google.fault(403, path=":batchUpdate", times=None)
        sheet << 4
        sheet.next_row()
        raise KeyError
    assert "1 saved rows of Google Sheets could not be written" in raised.value.__notes__[0]


def test_a_row_that_was_never_saved_is_told_at_close(google: Emulator, document: str) -> None:
    session = connected(google)
    session.worksheet(document) << 1
    with pytest.warns(Unwritten, match="save_row"):
        session.close()
    assert values(google, document) == []


# --- the session ------------------------------------------------------------------------------------------------


def test_a_session_needs_all_three_words_or_those_that_were_kept(
    tmp_path: Any, google: Emulator, document: str
) -> None:
    with pytest.raises(DeclarationError, match="empty: client_secret"):
        Session("a", "", "c")
    with pytest.raises(DeclarationError, match="no Google keys"):
        Session(env={"XDG_CONFIG_HOME": str(tmp_path)})
    words = google.authorized_user()
    env = {f"TALLYBOOK_GOOGLE_{name.upper()}": words[name] for name in ("client_id", "client_secret", "refresh_token")}
    with Session(env=env | {"TALLYBOOK_GOOGLE_API": google.url}) as session:
        session.worksheet(document).append(1).save_row()
    assert values(google, document) == [[1]]


def test_a_new_document_is_made_once_or_told(google: Emulator, session: Session) -> None:
    made = session.create("Metrics")
    assert google.document(made).title == "Metrics"
    google.fault(503, path="v4/spreadsheets$", after=True)
    with pytest.raises(OutcomeUnknown, match="'Twice'") as raised:
        session.create("Twice")
    assert "drive.google.com" in raised.value.hint


def test_no_secret_is_in_what_is_told(google: Emulator, sheet: Worksheet) -> None:
    secret = sheet._api.keys.refresh_token
    google.fault(400, path="token", message="no")
    google.fault(cut=True, path="v4", times=None)
    sheet << 1
    with pytest.raises(TallybookError) as raised:
        sheet.save_row()
    assert secret not in str(raised.value) + repr(sheet) + repr(sheet._api.keys)
