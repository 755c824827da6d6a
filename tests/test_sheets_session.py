"""Rows by hand in Google Sheets: what the old gem promised, without its defects, and each row exactly once."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tallybook.errors import CellError, DeclarationError
from tallybook.sheets.cells import cell, zone_of
from tallybook.sheets.pace import Bucket, Patience
from tallybook.sheets.places import Document, document
from tallybook.sheets.rows import KEPT, Claim, Filled, Row, Sheet, claim_id, plan
from tallybook.sheets.worksheet import column_number

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
    assert document(text) == found


@pytest.mark.parametrize("text", ["", "a b", "https://docs.google.com/document/d/1UgxV/edit", "x"])
def test_what_names_no_document_is_told(text: str) -> None:
    with pytest.raises(DeclarationError, match="neither the id nor the URL"):
        document(text)


def test_columns_are_letters() -> None:
    assert [column_number(letters) for letters in ("A", "z", "AA", "ZZZ")] == [1, 26, 27, 18278]
    for wrong in ("", "1", "AAAA", "Ä"):
        with pytest.raises(DeclarationError):
            column_number(wrong)


# --- the plan of a batch --------------------------------------------------------------------------------------

SHEET = Sheet(id=7, title="Daily", rows=10, columns=3)


def planned(rows: list[Row], *, sheet: Sheet = SHEET, last: int = 0, column: int = 0) -> Any:
    return plan(sheet, Filled(1, last, last > 0), rows, column=column, width=3, batch="b")


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
    claims = tuple(Claim(id=claim_id(7, n), number=n, batch=str(n), last=n, width=1) for n in range(1, KEPT + 2))
    made = planned([Row(values=(1,))], sheet=Sheet(id=7, title="", rows=10, columns=3, claims=claims))
    assert made.claim.number == KEPT + 2
    assert made.claim.id == claim_id(7, KEPT + 2) != claim_id(8, KEPT + 2)
    gone = [r["deleteDeveloperMetadata"] for r in made.requests if "deleteDeveloperMetadata" in r]
    assert [g["dataFilter"]["developerMetadataLookup"]["metadataId"] for g in gone] == [claim_id(7, 1), claim_id(7, 2)]


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
