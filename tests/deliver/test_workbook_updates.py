"""A workbook is brought up to date in place: our cells are right, and what is not ours is as it was, byte for byte."""

from __future__ import annotations

import io
import random
import re
import warnings
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import openpyxl
import pytest

from tallybook.core.errors import DestinationError
from tallybook.core.result.result import Result
from tallybook.core.result.values import Column
from tallybook.deliver.destinations.excel.new.workbook import blank_workbook
from tallybook.deliver.destinations.excel.update.grids import WorkbookPlace, updated
from tallybook.deliver.destinations.layout import Grid, arranged
from tests.people import (
    MACRO,
    parts_of,
    saved_by_libreoffice,
    seen_by_libreoffice,
    workbook_of_people,
    zipped,
)

FIRST = date(2026, 3, 1)
TYPES = {"signups": "integer", "revenue": "decimal", "rate": "float"}
BOARD = WorkbookPlace(tab="Daily", name="board")
OURS = re.compile(
    r"\[Content_Types\]\.xml|xl/workbook\.xml|xl/_rels/workbook\.xml\.rels|xl/styles\.xml|xl/calcChain\.xml"
)


def grid(values: dict[str, list[Any]], *, layout: str = "columns", first: date = FIRST, partial: int = 0) -> Grid:
    """Metrics by day from the first on: grid({"signups": [1, 2, 3]}). The last `partial` days are not complete."""
    columns = [Column(name="period", role="period", type="date")]
    columns += [Column(name=name, role="metric", type=TYPES[name], unit="EUR" * (name == "revenue")) for name in values]
    length = len(next(iter(values.values())))
    data = [
        {
            "period": first + timedelta(days=at), "complete": at < length - partial, "days": 1, "days_expected": 1,
            "approximate": False, **{name: listed[at] for name, listed in values.items()},
        }
        for at in range(length)
    ]  # fmt: skip
    result = Result(
        metrics=list(values), scope="day", timezone="UTC", week_starts="monday", columns=columns, data=data,
        explain="how", version=1,
    )  # fmt: skip
    return arranged(result, layout)


def money(*texts: str) -> list[Decimal]:
    return [Decimal(text) for text in texts]


def put(data: bytes, made: Grid, place: WorkbookPlace = BOARD) -> bytes:
    new = updated(data, [(place, made)])
    assert new is not None
    return new


def opened(data: bytes) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what openpyxl would lose
        return openpyxl.load_workbook(io.BytesIO(data))


def cells(data: bytes, tab: str = "Daily") -> list[list[Any]]:
    sheet = opened(data)[tab]
    rows = [[v.date() if hasattr(v, "date") else v for v in row] for row in sheet.iter_rows(values_only=True)]
    return [row for row in rows if any(v is not None for v in row)]


def sheet_part(data: bytes, tab: str) -> str:
    """The part that holds a sheet."""
    parts = parts_of(data)
    found = re.search(rf'<sheet [^>]*name="{tab}"[^>]*r:id="(\w+)"', parts["xl/workbook.xml"].decode())
    assert found
    rels = re.findall(r"<Relationship [^>]*>", parts["xl/_rels/workbook.xml.rels"].decode())
    target = next(r for r in rels if f'Id="{found[1]}"' in r)
    return "xl/" + re.search(r'Target="(?:/xl/)?([^"]*)"', target)[1]  # type: ignore[index]


def foreign(data: bytes, tab: str = "Daily") -> dict[str, bytes]:
    """Every part that is not ours: not our sheet with its rels and table, nor the lists that name them."""
    parts = parts_of(data)
    if f'name="{tab}"' not in parts["xl/workbook.xml"].decode():
        return {name: part for name, part in parts.items() if not OURS.fullmatch(name)}
    ours = sheet_part(data, tab)
    rels = ours.replace("worksheets/", "worksheets/_rels/") + ".rels"
    mine = {ours, rels, *(f"xl/tables/{n}" for n in re.findall(r"tables/([^\"]*)\"", parts.get(rels, b"").decode()))}
    return {name: part for name, part in parts.items() if name not in mine and not OURS.fullmatch(name)}


def looks(data: bytes, what: str = "cellXfs") -> list[str]:
    text = parts_of(data)["xl/styles.xml"].decode()
    inside = re.search(rf"<{what}\b[^>]*>(.*)</{what}>", text, re.DOTALL)
    return re.findall(r"<(?:xf|font|fill)\b.*?(?=<(?:xf|font|fill)\b|$)", inside[1], re.DOTALL) if inside else []


def edited(data: bytes, tab: str, old: str, new: str) -> bytes:
    """As if people had changed a sheet: in its XML."""
    parts, name = parts_of(data), sheet_part(data, tab)
    text = parts[name].decode()
    assert old in text, text[:2000]
    return zipped(parts | {name: text.replace(old, new, 1).encode()})


@pytest.fixture
def people() -> bytes:
    return workbook_of_people()


# ----------------------------------------------------------------------------------------------- what is ours


def test_a_new_workbook_has_real_dates_and_exact_numbers():
    made = put(blank_workbook("Daily"), grid({"signups": [3, None], "revenue": money("10.50", "99.99")}))
    assert cells(made) == [
        ["day", "complete", "signups", "revenue"],
        [date(2026, 3, 1), "yes", 3, 10.5],
        [date(2026, 3, 2), "yes", None, 99.99],
    ]
    assert b"<v>99.99</v>" in parts_of(made)[sheet_part(made, "Daily")]


def test_late_data_corrects_its_cell_and_new_days_come_below(people):
    made = put(people, grid({"signups": [1, 2]}))
    made = put(made, grid({"signups": [1, 5, 4]}))
    assert [row[2] for row in cells(made)] == ["signups", 1, 5, 4]


def test_a_new_metric_takes_the_next_column_and_a_reordered_one_keeps_its_own(people):
    made = put(people, grid({"signups": [1, 2]}))
    made = put(made, grid({"revenue": money("1.5", "2.5"), "signups": [1, 2]}))
    assert cells(made)[0] == ["day", "complete", "signups", "revenue"]
    assert cells(made)[2] == [date(2026, 3, 2), "yes", 2, 2.5]


def test_a_metric_that_is_not_delivered_any_more_leaves_an_empty_column(people):
    made = put(people, grid({"signups": [1, 2], "revenue": money("1", "2")}))
    made = put(made, grid({"revenue": money("1", "2")}))
    assert cells(made)[1] == [date(2026, 3, 1), "yes", None, 1]


def test_fewer_rows_leave_nothing_behind(people):
    made = put(people, grid({"signups": [1, 2, 3]}))
    assert [row[2] for row in cells(put(made, grid({"signups": [7]})))] == ["signups", 7]


def test_nothing_new_is_nothing_written(people):
    made = put(people, grid({"signups": [1, 2]}))
    assert updated(made, [(BOARD, grid({"signups": [1, 2]}))]) is None


@pytest.mark.parametrize("text", ["=1+1", "_x000D_", "<&>\"'", "+49", " spaces "])
def test_text_stays_text(text):
    columns = [Column(name="period", role="period", type="date"), Column(name="plan", role="dimension", type="text")]
    columns.append(Column(name="signups", role="metric", type="integer"))
    row = {
        "period": FIRST,
        "plan": text,
        "signups": 1,
        "complete": True,
        "days": 1,
        "days_expected": 1,
        "approximate": False,
    }
    result = Result(
        metrics=["signups"],
        scope="day",
        timezone="UTC",
        week_starts="monday",
        columns=columns,
        data=[row],
        explain="",
        version=1,
    )
    made = put(blank_workbook("Daily"), arranged(result, "columns"))
    assert "<f>" not in parts_of(made)[sheet_part(made, "Daily")].decode()
    assert cells(made)[1][1] == text.replace("_x000D_", "_x005F_x000D_") or cells(made)[1][1] == text


def test_days_may_run_across(people):
    made = put(people, grid({"signups": [1, 2], "revenue": money("1.5", "2")}, layout="across"))
    made = put(made, grid({"signups": [1, 3, 4], "revenue": money("1.5", "2", "3")}, layout="across"))
    assert cells(made) == [
        ["metric", date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 3)],
        ["signups", 1, 3, 4],
        ["revenue", 1.5, 2, 3],
    ]


def test_long_has_a_row_for_each_metric(people):
    made = put(people, grid({"signups": [1], "revenue": money("1.5")}, layout="long"))
    assert [row[:3] for row in cells(made)] == [
        ["day", "metric", "value"],
        [date(2026, 3, 1), "signups", 1],
        [date(2026, 3, 1), "revenue", 1.5],
    ]


def test_another_layout_in_the_same_tab_is_refused(people):
    made = put(people, grid({"signups": [1]}))
    with pytest.raises(DestinationError, match="has the layout columns"):
        put(made, grid({"signups": [1]}, layout="long"))


def test_the_table_and_its_names_grow(people):
    made = put(put(people, grid({"signups": [1]})), grid({"signups": [1, 2, 3], "rate": [0.5, 0.25, 0.1]}))
    sheet = opened(made)
    assert sheet["Daily"].tables["board"].ref == "A1:D4"
    assert sheet["Daily"].tables["board"].column_names == ["day", "complete", "signups", "rate"]
    assert sheet.defined_names["board.rate"].attr_text == "'Daily'!$D$2:$D$4"


def test_every_formula_is_computed_anew_when_the_file_is_opened(people):
    assert 'fullCalcOnLoad="1"' in parts_of(put(people, grid({"signups": [1]})))["xl/workbook.xml"].decode()


# ------------------------------------------------------------------------------------------ what is not ours


@pytest.mark.cases(2)
@pytest.mark.parametrize("made_by", ["xlsxwriter", "xlsxwriter with a macro", "libreoffice"])
def test_what_people_made_stays_byte_for_byte(seed, soak, made_by, tmp_path):
    draw = random.Random(seed)
    macro = "macro" in made_by
    data = workbook_of_people(macro=macro)
    before = foreign(data)
    assert {
        "xl/charts/chart1.xml",
        "xl/pivotTables/pivotTable1.xml",
        "xl/comments1.xml",
        "xl/sharedStrings.xml",
    } <= set(before)
    if made_by == "libreoffice":
        data = saved_by_libreoffice(data, tmp_path)
    before, styles = foreign(data), looks(data)
    values: dict[str, list[Any]] = {"signups": [1, 2], "revenue": money("1.25", "2")}
    for _ in range(50 if soak else 6):
        for name in list(values):
            more = [_any(draw, name) for _ in range(draw.randrange(3))]
            values[name] = [v if draw.random() < 0.8 else _any(draw, name) for v in values[name]] + more
        if draw.random() < 0.3:
            values["rate"] = []
        length = max(len(listed) for listed in values.values())
        values = {name: listed + [None] * (length - len(listed)) for name, listed in values.items()}
        data = updated(data, [(BOARD, grid(values, partial=draw.randrange(2)))]) or data
        assert foreign(data) == before
        assert looks(data)[: len(styles)] == styles
        shown = cells(data)
        for name, listed in values.items():
            column = shown[0].index(name)
            assert [row[column] for row in shown[1:]] == [
                None if v is None else pytest.approx(float(v)) for v in listed
            ]
    assert (foreign(data).get("xl/vbaProject.bin") == MACRO) is macro
    if made_by == "libreoffice":
        seen = seen_by_libreoffice(data, tmp_path)
        assert float(seen["Mine"][0][1]) == pytest.approx(float(sum(v for v in values["revenue"] if v is not None)))


def _any(draw: random.Random, name: str) -> Any:
    if draw.random() < 0.1:
        return None
    amount = draw.randrange(10_000)
    return {"integer": amount, "decimal": Decimal(amount) / 100, "float": amount / 7}[TYPES[name]]


def test_columns_that_people_added_to_the_right_stay(people):
    made = put(people, grid({"signups": [1, 2]}))
    made = edited(made, "Daily", "</row>", '<c r="F1" s="1" t="inlineStr"><is><t>mine</t></is></c></row>')
    made = put(made, grid({"signups": [4, 5, 6]}))
    assert (
        '<c r="F1" s="1" t="inlineStr"><is><t>mine</t></is></c>' in parts_of(made)[sheet_part(made, "Daily")].decode()
    )
    assert [row[2] for row in cells(made)] == ["signups", 4, 5, 6]


def test_a_column_of_people_is_never_written_over(people):
    made = put(people, grid({"signups": [1]}))
    made = edited(made, "Daily", "</row>", '<c r="D1" t="inlineStr"><is><t>mine</t></is></c></row>')
    with pytest.raises(DestinationError, match=r"cell D1 \('mine'\) is not ours"):
        put(made, grid({"signups": [1], "revenue": money("1")}))


def test_a_note_below_is_never_written_over(people):
    made = put(people, grid({"signups": [1]}))
    made = edited(made, "Daily", "</sheetData>", '<row r="4"><c r="A4"><v>42</v></c></row></sheetData>')
    put(made, grid({"signups": [1, 2]}))
    with pytest.raises(DestinationError, match=r"cell A4 \(42\.0\) is not ours"):
        put(made, grid({"signups": [1, 2, 3]}))


def test_a_tab_of_people_with_the_same_name_is_never_written_over(people):
    with pytest.raises(DestinationError, match=r"tab 'Mine': cell A1 .* is not ours"):
        put(people, grid({"signups": [1]}), WorkbookPlace(tab="Mine", name="board"))


def test_a_note_beside_a_day_stays_beside_it_when_the_window_moves(people):
    made = put(people, grid({"signups": [1, 2]}))
    made = edited(
        made, "Daily", '</row><row r="3">', '<c r="E2" t="inlineStr"><is><t>launch</t></is></c></row><row r="3">'
    )
    made = put(made, grid({"signups": [7, 8]}, first=FIRST + timedelta(days=1)))
    assert [[row[0], row[2], row[4]] for row in cells(made)[1:]] == [
        [date(2026, 3, 1), 1, "launch"],
        [date(2026, 3, 2), 7, None],
        [date(2026, 3, 3), 8, None],
    ]


def test_a_calculated_column_of_people_goes_on_in_new_rows(people):
    made = put(people, grid({"signups": [1]}))
    formula = "board[[#This Row],[signups]]*2"
    made = edited(made, "Daily", "</c></row></sheetData>", f'</c><c r="D2"><f>{formula}</f></c></row></sheetData>')
    made = edited(made, "Daily", "</row>", '<c r="D1" t="inlineStr"><is><t>twice</t></is></c></row>')
    parts = parts_of(made)
    table = parts["xl/tables/table1.xml"].decode().replace('ref="A1:C2"', 'ref="A1:D2"')
    column = (
        f'<tableColumn id="4" name="twice"><calculatedColumnFormula>{formula}</calculatedColumnFormula></tableColumn>'
    )
    table = table.replace("</tableColumns>", column + "</tableColumns>").replace('count="3"', 'count="4"')
    made = put(zipped(parts | {"xl/tables/table1.xml": table.encode()}), grid({"signups": [1, 2], "rate": [0.5, 1.0]}))
    assert cells(made)[2] == [date(2026, 3, 2), "yes", 2, f"={formula}", 1]
    assert opened(made)["Daily"].tables["board"].ref == "A1:E3"


def test_a_renamed_tab_and_rows_inserted_above_are_followed(people):
    made = put(people, grid({"signups": [1, 2]}))
    parts = parts_of(made)
    text = (
        parts["xl/workbook.xml"]
        .decode()
        .replace('name="Daily"', 'name="Tag für Tag"')
        .replace("'Daily'!", "'Tag für Tag'!")
    )
    made = put(zipped(parts | {"xl/workbook.xml": text.encode()}), grid({"signups": [1, 2, 3]}))
    assert [row[2] for row in cells(made, "Tag für Tag")] == ["signups", 1, 2, 3]
    assert opened(made).sheetnames == ["Mine", "Tag für Tag"]


def test_a_row_inserted_below_the_heads_stays(people):
    made = put(people, grid({"signups": [1, 2]}))
    parts, name = parts_of(made), sheet_part(made, "Daily")
    text = re.sub(r'r="([A-C]?)3"', r'r="\g<1>4"', parts[name].decode())
    text = re.sub(r'r="([A-C]?)2"', r'r="\g<1>3"', text)
    book = parts["xl/workbook.xml"].decode().replace("$2:", "$3:").replace("$3</", "$4</")
    table = parts["xl/tables/table1.xml"].decode().replace("A1:C3", "A1:C4")
    moved = {name: text.encode(), "xl/workbook.xml": book.encode(), "xl/tables/table1.xml": table.encode()}
    made = put(zipped(parts | moved), grid({"signups": [5, 6, 7], "rate": [0.5, 0.25, 1.0]}))
    assert cells(made)[0] == ["day", "complete", "signups", "rate"]
    assert [row[2] for row in cells(made)[1:]] == [5, 6, 7]
    assert opened(made)["Daily"].tables["board"].ref == "A1:D5"


def test_what_people_put_on_our_sheet_stays(people):
    made = put(people, grid({"signups": [1, 2]}))
    rule = '<conditionalFormatting sqref="C2:C9"><cfRule type="top10" priority="1" rank="1"/></conditionalFormatting>'
    made = edited(made, "Daily", "</sheetData>", f"</sheetData>{rule}")
    made = edited(made, "Daily", '<row r="3">', '<row r="3" ht="30" customHeight="1" hidden="1">')
    text = parts_of(put(made, grid({"signups": [1, 2, 3]})))[sheet_part(made, "Daily")].decode()
    assert f"</sheetData>{rule}" in text
    assert '<row r="3" ht="30" customHeight="1" hidden="1">' in text


def test_a_name_of_people_is_never_taken(people):
    parts = parts_of(people)
    text = parts["xl/workbook.xml"].decode().replace('name="people"', 'name="board.signups"')
    with pytest.raises(DestinationError, match=r"the name board\.signups is taken by 'Mine'!"):
        put(zipped(parts | {"xl/workbook.xml": text.encode()}), grid({"signups": [1]}))


def test_a_name_of_people_beside_ours_does_not_make_their_cells_ours(people):
    made = put(people, grid({"signups": [1, 2]}))
    made = edited(made, "Daily", '</row><row r="3">', '<c r="F2"><v>100</v></c></row><row r="3">')
    parts = parts_of(made)
    theirs = "<definedName name=\"board.target\">'Daily'!$F$2:$F$3</definedName></definedNames>"
    text = parts["xl/workbook.xml"].decode().replace("</definedNames>", theirs)
    made = put(zipped(parts | {"xl/workbook.xml": text.encode()}), grid({"signups": [3, 4]}))
    assert cells(made)[1] == [date(2026, 3, 1), "yes", 3, None, None, 100]


def test_the_calculation_chain_goes_only_with_a_formula_that_stood_in_our_place(people):
    parts = parts_of(people)
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.calcChain+xml"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/calcChain"
    parts["xl/calcChain.xml"] = b'<calcChain xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"/>'
    for name, before, new in (
        ("[Content_Types].xml", "</Types>", f'<Override PartName="/xl/calcChain.xml" ContentType="{kind}"/>'),
        (
            "xl/_rels/workbook.xml.rels",
            "</Relationships>",
            f'<Relationship Id="c" Type="{office}" Target="calcChain.xml"/>',
        ),
    ):
        parts[name] = parts[name].decode().replace(before, new + before).encode()
    made = put(zipped(parts), grid({"signups": [1, 2]}))
    assert "xl/calcChain.xml" in parts_of(made)
    made = put(edited(made, "Daily", "<v>1</v>", "<f>1+1</f><v>2</v>"), grid({"signups": [1, 2]}))
    assert "calcChain" not in " ".join(parts_of(made)) + parts_of(made)["[Content_Types].xml"].decode()


def test_parts_written_with_a_prefix_are_understood(people):
    parts = parts_of(put(people, grid({"signups": [1, 2]})))
    for name in ("xl/workbook.xml", "xl/styles.xml", "xl/tables/table1.xml", sheet_part(zipped(parts), "Daily")):
        text = re.sub(r"<(/?)([a-zA-Z]\w*)(?=[\s/>])", r"<\1x:\2", parts[name].decode())
        parts[name] = text.replace('xmlns="http', 'xmlns:x="http', 1).encode()
    made = put(zipped(parts), grid({"signups": [1, 2, 3], "rate": [0.5, 0.25, 1.0]}))
    assert cells(made)[3] == [date(2026, 3, 3), "yes", 3, 1]
    assert opened(made)["Daily"].tables["board"].ref == "A1:D4"


def test_a_workbook_that_counts_days_from_1904_shows_the_same_days(people):
    parts = parts_of(people)
    text = parts["xl/workbook.xml"].decode().replace("<workbookPr ", '<workbookPr date1904="1" ')
    made = put(zipped(parts | {"xl/workbook.xml": text.encode()}), grid({"signups": [1]}))
    assert cells(made)[1][0] == date(2026, 3, 1)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"not a zip", "not a workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "password"),
        (zipped({"[Content_Types].xml": b"<Types/>"}), "not a workbook"),
    ],
)
def test_what_is_no_workbook_is_told(data, said):
    with pytest.raises(DestinationError, match=said):
        put(data, grid({"signups": [1]}))


# --------------------------------------------------------------------------------- what another program sees


def test_libreoffice_sees_our_numbers_and_computes_with_them(people, tmp_path):
    made = put(people, grid({"signups": [1, 2], "revenue": money("10.50", "0.25")}))
    made = put(made, grid({"signups": [1, 2, 3], "revenue": money("20.50", "0.25", "1")}))
    seen = seen_by_libreoffice(made, tmp_path)
    assert [row[3] for row in seen["Daily"]] == ["revenue", "20.5", "0.25", "1"]
    assert [row[1] for row in seen["Mine"][:4]] == ["21.75", "3", "20.5", "21.75"]


def test_a_workbook_that_libreoffice_saved_is_brought_up_to_date(people, tmp_path):
    made = put(people, grid({"signups": [1, 2], "revenue": money("10.50", "0.25")}))
    saved = saved_by_libreoffice(made, tmp_path)
    before = foreign(saved)
    made = put(saved, grid({"signups": [1, 2, 3], "revenue": money("20.50", "0.25", "1")}))
    assert foreign(made) == before
    seen = seen_by_libreoffice(made, tmp_path)
    assert [row[3] for row in seen["Daily"]] == ["revenue", "20.5", "0.25", "1"]
    assert [row[1] for row in seen["Mine"][:4]] == ["21.75", "3", "20.5", "21.75"]
