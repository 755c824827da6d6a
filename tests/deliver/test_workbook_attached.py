"""What people attach to our cells or rows in a workbook moves with the day it belongs to, or keeps the day in its place."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import date, timedelta
from html import unescape
from typing import Any

import msgspec
import pytest
from openpyxl.comments import Comment
from openpyxl.formatting.rule import CellIsRule, FormulaRule
from openpyxl.styles import Border, Font, PatternFill, Side
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.table import TableColumn

from tallybook.core.result.result import Result
from tallybook.core.result.values import Column
from tallybook.deliver.destinations.excel.new.workbook import blank_workbook
from tallybook.deliver.destinations.excel.update.grids import updated
from tallybook.deliver.destinations.layout import arranged
from tests.deliver.test_workbook_updates import (
    BOARD,
    FIRST,
    cells,
    edited,
    foreign,
    grid,
    money,
    opened,
    put,
    sheet_part,
)
from tests.people import parts_of, zipped

YELLOW = PatternFill("solid", fgColor="FFFFFF00")
DAYS = [FIRST + timedelta(days=n) for n in range(12)]


def by_people(data: bytes, *steps: Any) -> bytes:
    """As if people had worked on the sheet and saved it in another program, which numbers the looks anew."""
    book = opened(data)
    for step in steps:
        step(book["Daily"])
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def look(data: bytes, day: date, column: str = "C") -> tuple[Any, ...]:
    """Fill, number format, grey italics and height of the row of a day."""
    sheet = opened(data)["Daily"]
    row = next(r for r in range(2, sheet.max_row + 1) if sheet[f"A{r}"].value.date() == day)
    cell = sheet[f"{column}{row}"]
    fill = cell.fill.fgColor.rgb if cell.fill.fill_type else None
    return fill, cell.number_format, bool(cell.font.i), sheet.row_dimensions[row].height


def colored(sheet: Any) -> None:
    """2 March: a yellow cell with three decimals, and a high row."""
    sheet["C3"].fill, sheet["C3"].number_format = YELLOW, "0.000"
    sheet["A3"].fill = YELLOW
    sheet.row_dimensions[3].height = 44


@pytest.mark.parametrize("excel", [False, True])
def test_fills_number_formats_and_heights_move_with_their_day(excel):
    made = put(blank_workbook("Daily"), grid({"signups": [1, 2, 3]}))
    made = by_people(made, colored)
    if excel:  # which writes our format as one that it has built in
        text = parts_of(made)["xl/styles.xml"].decode()
        number = re.search(r'<numFmt [^>]*formatCode="#,##0"[^>]*>', text)
        if number:
            its = re.search(r'numFmtId="(\d+)"', number[0])
            assert its
            text = text.replace(f'numFmtId="{its[1]}"', 'numFmtId="3"').replace(number[0].replace(its[1], "3"), "")
            made = zipped(parts_of(made) | {"xl/styles.xml": text.encode()})
    for moved in (0, 1):
        made = updated(made, [(BOARD, grid({"signups": [2, 3, 4]}, first=FIRST + timedelta(days=moved)))]) or made
        assert look(made, DAYS[1]) == ("FFFFFF00", "0.000", False, 44)
        assert look(made, DAYS[1], "A")[0] == "FFFFFF00"
        for other in set(DAYS[moved : moved + 3]) - {DAYS[1]}:
            assert look(made, other)[0] is None
            assert look(made, other)[3] in (None, 15)
    made = put(made, grid({"signups": [7, 8, 9]}, first=DAYS[5]))  # the day left the window, and takes its look with it
    assert {look(made, day)[0] for day in DAYS[5:8]} == {None}
    assert [row[2] for row in cells(made)] == ["signups", 7, 8, 9]


def test_a_look_stays_where_nothing_moves_and_a_completed_day_keeps_its_fill():
    made = put(blank_workbook("Daily"), grid({"signups": [1, 2]}, partial=1))
    assert look(made, DAYS[1])[2] is True
    made = by_people(made, colored)
    made = put(made, grid({"signups": [1, 5, 6]}, partial=1))
    assert look(made, DAYS[1]) == ("FFFFFF00", "0.000", False, 44)  # complete now: no grey italics
    assert look(made, DAYS[2])[:3:2] == (None, True)
    assert updated(made, [(BOARD, grid({"signups": [1, 5, 6]}, partial=1))]) is None


def test_a_look_of_the_whole_column_is_that_of_new_rows_too():
    def whole(sheet: Any) -> None:
        for row in (2, 3, 4):
            sheet[f"C{row}"].number_format = "0.0"
            sheet[f"C{row}"].border = Border(bottom=Side("thin"))
            sheet[f"C{row}"].font = Font(b=True)

    made = by_people(put(blank_workbook("Daily"), grid({"signups": [1, 2, 3]})), whole)
    made = put(made, grid({"signups": [1, 2, 3, 4, 5]}))
    sheet = opened(made)["Daily"]
    assert {sheet[f"C{row}"].number_format for row in range(2, 7)} == {"0.0"}
    assert {sheet[f"C{row}"].border.bottom.style for row in range(2, 7)} == {"thin"}
    assert all(sheet[f"C{row}"].font.b for row in range(2, 7))


def test_our_own_number_format_follows_the_values_where_people_left_it():
    made = put(blank_workbook("Daily"), grid({"rate": [1.0, 2.0]}))
    before = look(made, DAYS[0])[1]
    made = put(by_people(made, colored), grid({"rate": [0.25, 2.0, 3.0]}))
    assert before != look(made, DAYS[0])[1] == look(made, DAYS[2])[1]
    assert look(made, DAYS[1])[1] == "0.000"


def by_plan(plans: dict[str, list[int]]) -> Any:
    """Signups by plan and day."""
    columns = [
        Column(name="period", role="period", type="date"), Column(name="plan", role="dimension", type="text"),
        Column(name="signups", role="metric", type="integer"),
    ]  # fmt: skip
    data = [
        {"period": DAYS[at], "plan": plan, "signups": values[at], "complete": True, "days": 1, "days_expected": 1,
         "approximate": False}
        for at in range(2) for plan, values in sorted(plans.items())
    ]  # fmt: skip
    return arranged(
        Result(metrics=["signups"], scope="day", timezone="UTC", week_starts="monday", columns=columns, data=data, explain="", version=1),
        "columns",
    )  # fmt: skip


def test_a_series_that_comes_between_pushes_looks_down_with_their_rows():
    made = put(blank_workbook("Daily"), by_plan({"a": [1, 2], "z": [3, 4]}))

    def of_z(sheet: Any) -> None:
        sheet["D3"].fill = YELLOW
        sheet.row_dimensions[5].hidden = True

    made = put(by_people(made, of_z), by_plan({"a": [1, 2], "m": [8, 9], "z": [3, 4]}))
    sheet = opened(made)["Daily"]
    rows = {(sheet[f"A{r}"].value.date(), sheet[f"B{r}"].value): r for r in range(2, 8)}
    filled = [key for key, r in rows.items() if sheet[f"D{r}"].fill.fill_type]
    hidden = [key for key, r in rows.items() if sheet.row_dimensions[r].hidden]
    assert (filled, hidden) == ([(DAYS[0], "z")], [(DAYS[1], "z")])


def commented(sheet: Any) -> None:
    sheet["C3"].comment = Comment("launch", "Ada")


def linked(sheet: Any) -> None:
    sheet["C3"].hyperlink = "https://example.org/"


def filled_beside(sheet: Any) -> None:
    sheet["F3"].fill = YELLOW


def one_rule(sheet: Any) -> None:
    sheet.conditional_formatting.add("C3", CellIsRule(operator="greaterThan", formula=["1"], fill=YELLOW))


def one_choice(sheet: Any) -> None:
    choice = DataValidation(type="list", formula1='"1,2"')
    choice.add("C3")
    sheet.add_data_validation(choice)


@pytest.mark.parametrize("attach", [commented, linked, filled_beside, one_rule, one_choice])
def test_what_cannot_move_keeps_its_day_in_its_place(attach):
    made = by_people(put(blank_workbook("Daily"), grid({"signups": [1, 2, 3]})), attach)
    before = foreign(made)
    made = put(made, grid({"signups": [2, 3, 4]}, first=DAYS[1]))
    made = put(made, grid({"signups": [4, 5, 6]}, first=DAYS[3]))
    assert [[row[0], row[2]] for row in cells(made)[1:]] == [[day, n] for n, day in enumerate(DAYS[:6], 1)]
    assert opened(made)["Daily"]["A3"].value.date() == DAYS[1]
    assert foreign(made) == before


def test_rules_over_the_whole_column_grow_with_the_table_and_move_nothing():
    def rules(sheet: Any) -> None:
        sheet.conditional_formatting.add("C2:C4", CellIsRule(operator="greaterThan", formula=["1"], fill=YELLOW))
        sheet.conditional_formatting.add("A2:C4 H1:H2", CellIsRule(operator="lessThan", formula=["1"], fill=YELLOW))
        sheet.conditional_formatting.add("C2:C100", CellIsRule(operator="equal", formula=["1"], fill=YELLOW))
        sheet.conditional_formatting.add("H2:H4", CellIsRule(operator="equal", formula=["1"], fill=YELLOW))
        choice = DataValidation(type="whole", formula1="0")
        choice.add("C2:C4")
        sheet.add_data_validation(choice)

    newer = (
        '<extLst><ext xmlns:x14="x" uri="{78C0D931-6437-407d-A8EE-F0AAD7539E65}"><x14:conditionalFormattings>'
        '<x14:conditionalFormatting xmlns:xm="m"><x14:cfRule type="dataBar"/><xm:sqref>C2:C4</xm:sqref>'
        "</x14:conditionalFormatting></x14:conditionalFormattings></ext></extLst></worksheet>"
    )
    made = by_people(put(blank_workbook("Daily"), grid({"signups": [1, 2, 3]})), rules)
    made = edited(made, "Daily", "</worksheet>", newer)
    made = put(made, grid({"signups": [1, 2, 3, 4, 5]}))
    made = put(made, grid({"signups": [9]}))  # it shrinks; the rules stay as they are
    made = put(made, grid({"signups": [1, 2, 3, 4, 5, 6]}))
    text = parts_of(made)[sheet_part(made, "Daily")].decode()
    assert re.findall(r'<conditionalFormatting sqref="([^"]*)"', text) == ["C2:C7", "A2:C7 H1:H2", "C2:C100", "H2:H4"]
    assert re.findall(r'<dataValidation [^>]*sqref="([^"]*)"', text) == ["C2:C7"]
    assert "<xm:sqref>C2:C7</xm:sqref>" in text


def cells_of_rules(data: bytes) -> list[str]:
    text = parts_of(data)[sheet_part(data, "Daily")].decode()
    return re.findall(r'<(?:conditionalFormatting|dataValidation) [^>]*sqref="([^"]*)"', text)


def test_a_rule_from_one_day_on_follows_that_day_with_its_formulas():
    def from_the_third(sheet: Any) -> None:
        sheet.conditional_formatting.add("C4:C100", CellIsRule(operator="lessThan", formula=["50"], fill=YELLOW))
        risen = FormulaRule(formula=["AND(C4>$C3,LOG10(C$4)<1,'Q1 A4'!$B4=\"C4\")"], fill=YELLOW)
        sheet.conditional_formatting.add("B4:C90", risen)
        choice = DataValidation(type="custom", formula1="C4>0")
        choice.add("C4:C80")
        sheet.add_data_validation(choice)

    made = by_people(put(blank_workbook("Daily"), grid({"signups": [1, 2, 3, 4]})), from_the_third)
    made = put(made, grid({"signups": [2, 3, 4, 5, 6]}, first=DAYS[1]))
    assert opened(made)["Daily"]["A3"].value.date() == DAYS[2]
    assert cells_of_rules(made) == ["C3:C100", "B3:C90", "C3:C80"]
    text = unescape(parts_of(made)[sheet_part(made, "Daily")].decode())
    assert ">AND(C3>$C2,LOG10(C$4)<1,'Q1 A4'!$B3=\"C4\")<" in text
    assert "<formula1>C3>0</formula1>" in text
    made = put(made, grid({"signups": [4, 5, 6, 7, 8]}, first=DAYS[3]))  # the third day has left
    assert cells_of_rules(made) == ["C2:C100", "B2:C90", "C2:C80"]
    made = put(made, grid({"signups": [5, 6, 7, 8, 9]}, first=DAYS[4]))
    assert cells_of_rules(made) == ["C2:C100", "B2:C90", "C2:C80"]


def test_a_rule_in_a_column_that_people_added_to_the_table_keeps_its_day_or_grows():
    def calculated(sheet: Any, rule: str) -> None:
        sheet["D1"] = "twice"
        for row in range(2, 5):
            sheet[f"D{row}"] = f"=C{row}*2"
        sheet.tables["board"].ref = "A1:D4"
        sheet.tables["board"].tableColumns.append(TableColumn(id=4, name="twice"))
        sheet.tables["board"].autoFilter.ref = "A1:D4"
        sheet.conditional_formatting.add(rule, CellIsRule(operator="lessThan", formula=["50"], fill=YELLOW))

    plain = put(blank_workbook("Daily"), grid({"signups": [1, 2, 3]}))
    later = grid({"signups": [2, 3, 4]}, first=DAYS[1])
    made = put(by_people(plain, lambda sheet: calculated(sheet, "D3")), later)
    assert cells_of_rules(made) == ["D3"]
    assert opened(made)["Daily"]["A3"].value.date() == DAYS[1]
    made = put(by_people(plain, lambda sheet: calculated(sheet, "D2:D4")), grid({"signups": [1, 2, 3, 4]}))
    assert cells_of_rules(made) == ["D2:D5"]


def test_a_rule_for_a_row_follows_it_where_periods_run_across():
    def second(sheet: Any) -> None:
        sheet.conditional_formatting.add("A3:D3", CellIsRule(operator="lessThan", formula=["50"], fill=YELLOW))

    made = put(blank_workbook("Daily"), grid({"rate": [1.5, 2.5, 3.5], "signups": [1, 2, 3]}, layout="across"))
    again = {"rate": [1.5, 2.5, 3.5], "revenue": money("1", "2", "3"), "signups": [1, 2, 3]}
    made = put(by_people(made, second), grid(again, layout="across"))
    assert [opened(made)["Daily"][f"A{row}"].value for row in (2, 3, 4)] == ["rate", "revenue", "signups"]
    assert cells_of_rules(made) == ["A4:D4"]


def test_a_look_stays_with_its_period_where_periods_run_across():
    made = put(blank_workbook("Daily"), grid({"signups": [1, 2, 3]}, layout="across"))

    def second(sheet: Any) -> None:
        sheet["C2"].fill = YELLOW

    made = put(by_people(made, second), grid({"signups": [2, 3, 4]}, layout="across", first=DAYS[1]))
    sheet = opened(made)["Daily"]
    assert [sheet.cell(2, c).value for c in (2, 3, 4)] == [2, 3, 4]
    assert [bool(sheet.cell(2, c).fill.fill_type) for c in (2, 3, 4)] == [True, False, False]


def test_another_unit_replaces_our_number_format_and_no_number_format_of_people():
    made = put(blank_workbook("Daily"), grid({"revenue": money("1", "2", "3")}))
    made = by_people(made, colored)
    text = parts_of(made)["xl/workbook.xml"].decode()
    assert 'comment="Tallybook: ' in text  # which number format is ours
    other = grid({"revenue": money("1", "2", "3")})
    fields = tuple(_in_usd(f) for f in other.fields)
    made = put(made, replace(other, fields=fields))
    shown = [look(made, day)[1] for day in DAYS[:3]]
    assert shown[1] == "0.000"
    assert "EUR" not in shown[0] + shown[2]


def _in_usd(f: Any) -> Any:
    return f if f.column is None else replace(f, column=msgspec.structs.replace(f.column, unit="USD"))
