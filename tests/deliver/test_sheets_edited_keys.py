"""Rows of a Google Sheet whose day or dimension somebody edited, null beside the empty text, and headings that are gone."""
# ruff: noqa: F811

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import openpyxl
import pytest

from tallybook.core.errors import DestinationRefused
from tallybook.deliver.destinations.google_sheets.change import plan
from tallybook.deliver.destinations.google_sheets.document import TabPlace, bring_up_to_date
from tallybook.deliver.destinations.google_sheets.formulas import relative
from tallybook.deliver.destinations.google_sheets.tab import Tab
from tallybook.deliver.destinations.layout import Field, Grid, Line
from tests.deliver.test_sheets_deliveries import (  # noqa: F401
    Morning,
    Sheet,
    google,
    made_of,
    morning_of,
    serial,
    sheet,
)

METRICS = """
    [metrics.n]
    table = "e"
    time = "at"
    measure = "count(*)"
    by = ["plan"]
"""
FACTS = [
    ("2026-01-01 12:00:00", ""),
    ("2026-01-01 12:00:00", None),
    ("2026-01-01 13:00:00", None),
    ("2026-01-01 14:00:00", "pro"),
]


def declare(
    sheet: Sheet, more: str = 'by = ["plan"]', locale: str = "", *, metrics: str = METRICS, names: str = '"n"'
) -> None:  # fmt: skip
    if locale:
        sheet.document = sheet.google.create("Zahlen", locale=locale)
    sheet.project.declare(
        f'{metrics}\n[deliveries.board]\nto = "google_sheets"\nspreadsheet = "{sheet.document}"\napi = "{sheet.google.url}"\n'
        f"metrics = [{names}]\n{more}\n",
        start="2026-01-01",
    )  # fmt: skip
    sheet.project.close()


# --- null and the empty text

MODES = {
    "columns": 'by = ["plan"]', "long": 'by = ["plan"]\nlayout = "long"', "across": 'by = ["plan"]\nlayout = "across"',
    "mirror": 'by = ["plan"]\nmode = "mirror"', "mirror long": 'by = ["plan"]\nmode = "mirror"\nlayout = "long"',
    "mirror across": 'by = ["plan"]\nmode = "mirror"\nlayout = "across"', "latest": 'by = ["plan"]\nmode = "latest"',
}  # fmt: skip


def series(sheet: Sheet) -> dict[str, float]:
    """{plan: n} as the tab has it on 1 January."""
    head, *rows = sheet.rows()
    plan, value = head.index("plan"), next(head.index(n) for n in ("n", "value", "2026-01-01") if n in head)
    found = [(row[plan], row[value]) for row in rows]
    assert len(found) == len(dict(found))
    return dict(found)


@pytest.mark.cases(2)
@pytest.mark.parametrize("mode", MODES)
def test_null_and_the_empty_text_have_a_row_each(sheet: Sheet, mode: str) -> None:
    sheet.project.table("e (at timestamp, plan text)", FACTS)
    declare(sheet, MODES[mode])
    sheet.run("2026-01-02T06:00")
    assert series(sheet) == {"": 2, "(empty)": 1, "pro": 1}
    assert sheet.deliver(verify=True).status == "as delivered"
    sheet.project.insert(
        "e", [("2026-01-01 15:00:00", ""), ("2026-01-01 15:00:00", ""), ("2026-01-01 15:00:00", "(empty)")]
    )
    assert sheet.run()[0].status == "delivered"
    assert series(sheet) == {"": 2, "(empty)": 3, "((empty))": 1, "pro": 1}


def test_pairs_of_two_dimensions_that_differ_only_so_have_a_row_each(sheet: Sheet) -> None:
    sheet.project.table("e (at timestamp, plan text, land text)", [
        ("2026-01-01 12:00:00", plan, land) for plan in ("", None, "a") for land in ("", None)
    ])  # fmt: skip
    sheet.project.declare(
        METRICS.replace('["plan"]', '["plan", "land"]')
        + f'\n[deliveries.board]\nto = "google_sheets"\nspreadsheet = "{sheet.document}"\napi = "{sheet.google.url}"\n'
        'metrics = ["n"]\nby = ["plan", "land"]\n',
        start="2026-01-01",
    )
    sheet.project.close()
    sheet.run("2026-01-02T06:00")
    rows = [tuple(row[1:3]) for row in sheet.rows()[1:]]
    assert sorted(rows) == sorted((p, q) for p in ("", "(empty)", "a") for q in ("", "(empty)"))


OLD_TABS = {
    # what an older version left on 1 January: one blank row for null and the empty text, with the number of the last
    "both are there": (FACTS, {"": 2, "(empty)": 1, "pro": 1}),
    "only the empty text": ([FACTS[0], FACTS[3]], {"(empty)": 1, "pro": 1}),
    "only null": (FACTS[1:], {"": 2, "pro": 1}),
}


@pytest.mark.parametrize(
    ("mode", "case"),
    [*(("columns", case) for case in OLD_TABS), ("mirror", "only the empty text"), ("latest", "only the empty text"),
     ("across", "both are there")],
)  # fmt: skip
def test_a_tab_of_an_older_version_is_brought_up_to_date_without_a_row_too_many(
    sheet: Sheet, case: str, mode: str
) -> None:
    facts, right = OLD_TABS[case]
    sheet.project.table("e (at timestamp, plan text)", facts)
    declare(sheet, MODES[mode])
    sheet.run("2026-01-02T06:00")
    person = sheet.google.person(sheet.document)
    head, *rows = sheet.rows()
    letter = "ABCD"[head.index("plan")]
    at = {row[head.index("plan")]: number for number, row in enumerate(rows, 2)}
    if "(empty)" in at:
        person.clear(f"board!{letter}{at['(empty)']}")
    if case == "both are there":
        person.delete_row("board", at[""])
    assert sheet.deliver(force=True).status == "delivered" or case == "only null"
    assert series(sheet) == right
    assert sheet.deliver(verify=True).status == "as delivered"


def test_lines_with_one_key_are_refused_and_never_merged() -> None:
    fields = (Field(id="period", head="day", kind="period"), Field(id="n", head="n", kind="number"))
    lines = tuple(Line(values=(date(2026, 1, 1), number)) for number in (1, 2))
    with pytest.raises(DestinationRefused, match="2 lines have 1 keys"):
        plan(Grid(fields=fields, lines=lines, layout="columns", scope="day"), Tab(id=0, title="t", rows=9, columns=9))


# --- keys that people edited


def days(sheet: Sheet, last: int) -> None:
    """Facts of 1 … `last` January: as many of plan pro as the day's number."""
    facts = [(f"2026-01-{day:02} 12:00:00", "pro") for day in range(1, last + 1) for _ in range(day)]
    sheet.project.table("e (at timestamp, plan text)", facts)


EDITS: dict[str, tuple[str, Any]] = {
    # name: (locale, what the cell of 3 January becomes)
    "a text": ("en_US", "'2026-01-03"),
    "a day with a time": ("en_US", "2026-01-03 14:00"),
    "a German date in an American document": ("en_US", "03.01.2026"),
    "an American text in an American document": ("en_US", "'1/3/2026"),
    "a British text": ("en_GB", "'03/01/2026"),
    "a day in words": ("en_US", "3 janvier 2026"),
    "a formula": ("en_US", "=A3+1"),
    "a formula with a text": ("en_US", '="2026-01-"&"03"'),
    "DATE": ("en_US", "=DATE(2026,1,3)"),
    "DATE in German": ("de_DE", "=DATE(2026;1;3)"),
    "blanks around it": ("en_US", "' 2026-01-03 "),
}
BY_DAY = {"history": "", "mirror": 'mode = "mirror"'}


def kept(sheet: Sheet) -> list[list[Any]]:
    return [[row[0], row[2]] for row in sheet.rows()[1:]]


@pytest.mark.cases(3)
@pytest.mark.parametrize(
    ("mode", "edit"), [*(("history", edit) for edit in EDITS), ("mirror", "a formula"), ("mirror", "a day with a time")]
)
def test_an_edited_day_is_recognized_and_put_right(sheet: Sheet, mode: str, edit: str) -> None:
    locale, typed = EDITS[edit]
    days(sheet, 5)
    declare(sheet, BY_DAY[mode], locale=locale)
    sheet.run("2026-01-05T06:00")
    sheet.google.person(sheet.document).type("board!A4", typed)
    verified = sheet.deliver(verify=True)
    assert verified.status == "differs"
    assert [(c["what"], c["row"], c["new"]) for c in verified.changes] == [("restored", 4, "2026-01-03")]
    (report,) = sheet.run("2026-01-06T06:00")
    assert kept(sheet) == [[serial(f"2026-01-0{d}"), d] for d in range(1, 6)]
    assert "first period in row 4" in report.hint
    assert sheet.tab().shown[3][0] == "2026-01-03"
    assert sheet.deliver(verify=True).status == "as delivered"


def test_with_by_hand_keep_an_edited_day_stays_as_it_is_and_is_recognized(sheet: Sheet) -> None:
    days(sheet, 5)
    declare(sheet, 'by_hand = "keep"')
    sheet.run("2026-01-05T06:00")
    sheet.google.person(sheet.document).type("board!A4", "=A3+1")
    for morning in ("2026-01-06T06:00", "2026-01-07T06:00"):
        sheet.run(morning)
    assert [n for _, n in kept(sheet)] == [1, 2, 3, 4, 5, 0]
    assert sheet.tab().entered[3][0] == "=A3+1"


@pytest.mark.cases(3)
@pytest.mark.parametrize(
    ("mode", "typed"),
    [
        ("columns", "Pro"),
        ("columns", "  PRO"),
        ("mirror", "pro "),
        ("latest", '="pro"'),
        ("across", "Pro"),
        ("long", "pro "),
    ],
)
def test_an_edited_dimension_is_recognized_and_put_right(sheet: Sheet, mode: str, typed: str) -> None:
    sheet.project.table(
        "e (at timestamp, plan text)", [("2026-01-01 12:00:00", "pro"), ("2026-01-01 12:00:00", "team")]
    )
    declare(sheet, MODES[mode])
    sheet.run("2026-01-02T06:00")
    head, *rows = sheet.rows()
    column = head.index("plan")
    row = next(number for number, cells in enumerate(rows, 2) if cells[column] == "pro")
    sheet.google.person(sheet.document).type(f"board!{'ABCD'[column]}{row}", typed)
    sheet.project.insert("e", [("2026-01-01 13:00:00", "pro")])
    sheet.run()
    assert series(sheet) == {"pro": 2, "team": 1}


@pytest.mark.parametrize(
    ("text", "found"), [("launch", "text 'launch'"), ("13/32/2026", "text '13/32/2026'"), ("=1/0", "the formula =1/0")]
)
def test_a_day_changed_beyond_recognition_is_reported_with_its_row(sheet: Sheet, text: str, found: str) -> None:
    days(sheet, 5)
    declare(sheet, 'last = "3 days"')
    sheet.run("2026-01-05T06:00")
    sheet.google.person(sheet.document).type("board!A4", text)
    for morning in ("2026-01-06T06:00", "2026-01-07T06:00"):
        (report,) = sheet.run(morning)
        assert "row 4 was ours" in report.hint
        assert "its day was changed to" in report.hint
    assert found in report.hint
    assert "row was ours" in {change["what"] for change in sheet.deliver(verify=True).changes}
    assert sheet.deliver(verify=True).status == "differs"


def test_a_day_changed_to_another_day_is_reported_with_its_row(sheet: Sheet) -> None:
    days(sheet, 5)
    declare(sheet, 'last = "3 days"')
    sheet.run("2026-01-05T06:00")
    sheet.google.person(sheet.document).type("board!A4", "2020-05-05")
    (report,) = sheet.run("2026-01-06T06:00")
    assert "row 4 was ours, of 2026-01-04: its day was changed to '2020-05-05'" in report.hint


@pytest.mark.parametrize(
    ("mode", "text"),
    [("mirror", "launch"), ("mirror", "2027-01-03"), ("mirror long", "launch"), ("latest", "pro plan")],
)
def test_what_was_ours_and_was_not_asked_for_leaves_a_mirror(sheet: Sheet, mode: str, text: str) -> None:
    days(sheet, 4)
    declare(sheet, MODES[mode])
    sheet.run("2026-01-05T06:00")
    before = sheet.rows()
    sheet.google.person(sheet.document).type("board!A2", text)
    assert "row goes" in {change["what"] for change in sheet.deliver(verify=True).changes}
    sheet.deliver(force=True)
    assert sorted(map(str, sheet.rows())) == sorted(map(str, before))


def test_a_copy_of_a_row_is_reported_also_when_it_left_the_window(sheet: Sheet) -> None:
    days(sheet, 5)
    declare(sheet, 'last = "2 days"')
    sheet.run("2026-01-04T06:00")
    sheet.google.person(sheet.document).type_rows("board!A6", [["2026-01-02", "yes", 2]])
    (report,) = sheet.run("2026-01-06T06:00")
    assert "there twice" in report.hint


def test_rows_of_people_are_never_taken_for_ours(sheet: Sheet) -> None:
    days(sheet, 5)
    declare(sheet, 'last = "3 days"\nmode = "mirror"')
    sheet.run("2026-01-05T06:00")
    person = sheet.google.person(sheet.document)
    person.type_rows("board!A6", [["Total", "", "=SUM(C2:C4)"], ["'2025-12-24", "", "Christmas"], ["Target", "", 100]])
    (report,) = sheet.run("2026-01-06T06:00")
    assert "was ours" not in report.hint
    assert [row[0] for row in sheet.rows()[4:]] == ["Total", "2025-12-24", "Target"]


@pytest.mark.parametrize("gone", [[2, 4, 6], [3, 4, 5], [2, 3, 6]])
def test_rows_that_leave_a_mirror_are_those_and_no_others(morning_of: Morning, gone: list[int]) -> None:
    """Three at once, beside one another and apart: each deletion moves the rows below it."""
    place = TabPlace(document=morning_of.google.create("Metrics"), tab="Daily", owner="Acme/board", mode="mirror")
    first = date(2026, 1, 1)
    whole = made_of(["a"], [{"period": first + timedelta(days=d), "a": d} for d in range(6)])
    bring_up_to_date(morning_of.api(), place, whole)
    left = tuple(line for row, line in enumerate(whole.lines, 2) if row not in gone)
    (outcome,) = bring_up_to_date(morning_of.api(), place, replace(whole, lines=left))
    rows = morning_of.google.document(place.document)["Daily"].values
    assert [row[2] for row in rows[1:]] == [line.values[2] for line in left]
    assert outcome.removed == [(str(first + timedelta(days=row - 2)),) for row in gone]


# --- what is told


def test_a_dry_run_and_a_verification_print_days_and_no_serial_numbers(sheet: Sheet) -> None:
    days(sheet, 4)
    declare(sheet)
    report = sheet.run("2026-01-04T06:00")[0]
    assert report.changes[1]["key"] == ["2026-01-01", "pro"]
    sheet.google.person(sheet.document).delete_row("board", 2)
    assert sheet.deliver(verify=True).changes[0]["key"] == ["2026-01-01", "pro"]
    sheet.document = sheet.google.create("Latest")
    declare(sheet, MODES["latest"])
    sheet.run()
    sheet.run("2026-01-05T06:00")
    sheet.google.person(sheet.document).type("board!C2", "2020-01-01")
    (change,) = sheet.deliver(verify=True).changes
    assert (change["old"], change["new"]) == ("2020-01-01", "2026-01-04")


def test_the_report_names_the_tab_as_people_call_it(sheet: Sheet) -> None:
    days(sheet, 4)
    declare(sheet)
    assert sheet.run("2026-01-04T06:00")[0].path == f"board of {sheet.document}"
    sheet.google.person(sheet.document).rename_tab("board", "Ours")
    assert sheet.run("2026-01-05T06:00")[0].path == f"Ours of {sheet.document}"


# --- headings


def test_headings_that_a_script_cleared_are_written_again_and_those_of_people_stay(sheet: Sheet) -> None:
    days(sheet, 4)
    declare(sheet, "")
    sheet.run("2026-01-04T06:00")
    person = sheet.google.person(sheet.document)
    person.clear("board!A1:Z100")
    assert sheet.deliver(verify=True).changes[0]["what"] == "headings"
    sheet.run("2026-01-05T06:00")
    assert sheet.rows()[0] == ["day", "complete", "n"]
    assert len(sheet.rows()) == 5
    person.clear("board!A1:B1")
    person.type("board!B1", "  ")
    person.rename_header("board!C1", "Anmeldungen")
    assert sheet.deliver(force=True).status == "delivered"
    assert sheet.rows()[0] == ["day", "complete", "Anmeldungen"]


# --- formulas of people


def test_a_formula_column_beside_ours_goes_on_in_new_rows(sheet: Sheet) -> None:
    days(sheet, 6)
    declare(sheet, "")
    sheet.run("2026-01-05T06:00")
    person = sheet.google.person(sheet.document)
    person.type_rows(
        "board!E2", [[f"=C{row}*2", f"=SUM(C$2:C{row})", "" if row < 5 else "=SUM(C2:C5)"] for row in range(2, 6)]
    )
    person.format("board!E2:E5", numberFormat={"type": "NUMBER", "pattern": "0.00"})
    person.type("board!A8", "below")
    sheet.google.forget_requests()
    sheet.run("2026-01-07T06:00")
    assert [row[4:7] for row in sheet.tab().entered[5:7]] == [["=C6*2", "=SUM(C$2:C6)"], ["=C7*2", "=SUM(C$2:C7)"]]
    assert sheet.tab().shown[6][4] == "12.00"
    assert sheet.rows()[-1] == ["below"]
    assert sum(sheet.google.calls().values()) == 3


def test_a_formula_column_that_a_new_metric_moves_goes_on_where_it_is_then(sheet: Sheet) -> None:
    days(sheet, 6)
    declare(sheet, "")
    sheet.run("2026-01-05T06:00")
    sheet.google.person(sheet.document).type_rows("board!D2", [[f"=C{row}*2"] for row in range(2, 6)])
    declare(sheet, "", metrics=METRICS + METRICS.replace("metrics.n", "metrics.m"), names='"n", "m"')
    sheet.run("2026-01-07T06:00")
    assert sheet.tab().entered[5:7] == [[serial(f"2026-01-0{d}"), "yes", d, d, f"=C{d + 1}*2"] for d in (5, 6)]


def test_a_formula_is_the_same_in_another_row() -> None:
    assert relative('=C2*$D$1&"C2"', 1) == relative('=c3*$D$1&"C2"', 2)
    assert relative("=C2", 1) != relative("=C2", 2)
    assert relative("=LOG10(A2)", 1) == relative("=LOG10(A9)", 8)


# --- workbooks


def workbook(sheet: Sheet, edits: dict[str, object]) -> list[list[Any]]:
    """A workbook of four days, edited, after the delivery of the fifth."""
    days(sheet, 5)
    sheet.project.declare(
        METRICS + '\n[deliveries.board]\nto = "xlsx"\npath = "board.xlsx"\nmetrics = ["n"]\n', start="2026-01-01"
    )
    sheet.run("2026-01-05T06:00")
    path = sheet.project.folder / "board.xlsx"
    book = openpyxl.load_workbook(path)
    for cell, value in edits.items():
        book["board"][cell] = value
    book.save(path)
    (report,) = sheet.run("2026-01-06T06:00")
    if report.failed:
        raise DestinationRefused(report.error)
    rows = openpyxl.load_workbook(path)["board"].iter_rows(min_row=2, values_only=True)
    return [[row[0].day if row[0] else None, row[2], *row[4:5]] for row in rows]


@pytest.mark.parametrize("typed", ["2026-01-03", "03.01.2026", "2026-01-03 14:00", 46025.58])
def test_an_edited_day_of_a_workbook_keeps_the_note_beside_it(sheet: Sheet, typed: object) -> None:
    found = workbook(sheet, {"A4": typed, "E4": "launch"})
    assert found == [[1, 1, None], [2, 2, None], [3, 3, "launch"], [4, 4, None], [5, 5, None]]


def test_an_edited_day_of_a_workbook_without_notes_is_put_right(sheet: Sheet) -> None:
    assert workbook(sheet, {"A4": "launch"}) == [[day, day] for day in range(1, 6)]


def test_a_day_of_a_workbook_changed_beyond_recognition_is_reported_and_no_note_loses_its_number(sheet: Sheet) -> None:
    with pytest.raises(DestinationRefused, match="row 4 was ours: its day was changed to 'launch'"):
        workbook(sheet, {"A4": "launch", "E4": "party"})


@pytest.mark.parametrize("typed", ["=A3+1", None])
def test_a_day_of_a_workbook_that_shows_nothing_is_reported_too(sheet: Sheet, typed: object) -> None:
    """A program that writes formulas and no values wrote it."""
    with pytest.raises(DestinationRefused, match=r"row 4 was ours: its day was changed to (a formula|None)"):
        workbook(sheet, {"A4": typed, "E4": "party"})


def test_null_and_the_empty_text_of_a_workbook_keep_their_notes(sheet: Sheet) -> None:
    sheet.project.table("e (at timestamp, plan text)", FACTS)
    sheet.project.declare(
        METRICS + '\n[deliveries.board]\nto = "xlsx"\npath = "board.xlsx"\nmetrics = ["n"]\nby = ["plan"]\n',
        start="2026-01-01",
    )
    sheet.run("2026-01-02T06:00")
    path = sheet.project.folder / "board.xlsx"
    rows = openpyxl.load_workbook(path)["board"]
    at = {(row[1].value, row[3].value): row[0].row for row in rows.iter_rows(min_row=2)}
    with sqlite3.connect(sheet.project.url.removeprefix("sqlite:///")) as database:
        known = dict(database.execute("select plan, count(*) from e group by 1").fetchall())
    assert sorted(n for _, n in at) == sorted(known.values())


def test_the_emulator_evaluates_date_as_google_does(sheet: Sheet) -> None:
    person = sheet.google.person(sheet.document)
    person.type_rows("Sheet1!A1", [["=DATE(2026,1,3)", "=DATE(2026,13,1)", "=YEAR(A1)", "=MONTH(A1)", "=DAY(A1)"]])
    tab = sheet.google.document(sheet.document)["Sheet1"]
    assert tab.values[0] == [serial("2026-01-03"), serial("2027-01-01"), 2026, 1, 3]
