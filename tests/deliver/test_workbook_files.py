"""Workbooks as files: damaged, too large, with names of parts in other forms; pictures of nothing; and what an import
says of them."""

from __future__ import annotations

import io
import random
import re
import zipfile
from contextlib import suppress
from datetime import date
from typing import Any

import openpyxl
import pytest

from tallybook.cli.charts import chart as terminal_chart, sparklines
from tallybook.collect.history.cells import days_of
from tallybook.collect.history.read import read_table
from tallybook.core.chart import chart as vega_chart
from tallybook.core.errors import DestinationError, QueryError
from tallybook.core.result.result import Result
from tallybook.core.result.values import Column
from tallybook.deliver.destinations.excel.new.workbook import blank_workbook, workbook
from tallybook.deliver.destinations.excel.update.grids import updated
from tallybook.sheets.workbook import package
from tallybook.sheets.workbook.package import Package
from tallybook.sheets.workbook.xml import Part
from tests.deliver.test_workbook_updates import BOARD, cells, foreign, grid, put
from tests.people import parts_of, workbook_of_people, zipped

ONE = grid({"signups": [1, 2]})


# --- pictures of nothing


def unknown(dims: tuple[str, ...], *, series: tuple[str | None, ...] = (None,), known: bool = False) -> Result:
    """Two metrics over two days by these dimensions; nothing is known, or of the second one only."""
    columns = [Column(name="period", role="period", type="date")]
    columns += [Column(name=dim, role="dimension", type="text") for dim in dims]
    columns += [Column(name=name, role="metric", type="integer") for name in ("b", "c")]
    data = [
        {
            "period": date(2026, 1, day), **dict.fromkeys(dims, one), "b": None, "c": day if known else None, "complete": False,
            "days": 0, "days_expected": 1, "approximate": False, "no_series": one is None,
        }
        for day in (1, 2)
        for one in series
    ]  # fmt: skip
    return Result(
        metrics=["b", "c"],
        scope="day",
        timezone="UTC",
        week_starts="monday",
        columns=columns,
        data=data,
        explain="",
        version=1,
    )


@pytest.mark.parametrize("dims", [(), ("plan",), ("plan", "country")])
@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("series", [(None,), ("pro", "team")])
def test_every_picture_of_a_metric_without_a_value_is_made(dims, known, series):
    answer = unknown(dims, series=series if dims else (None,), known=known)
    made = workbook(answer)
    drawn = [name for name in parts_of(made) if name.startswith("xl/charts/chart")]
    assert len(drawn) == known  # the other metric says that there is nothing to draw
    sheet = openpyxl.load_workbook(io.BytesIO(made))["Charts"]
    assert str(sheet["A1"].value).endswith(": no value in any of 2 periods")
    assert "no value in any of 2 periods" in terminal_chart(answer, lambda text, *_: text, 80)
    assert sparklines(answer, lambda text, *_: text, 80)
    assert vega_chart(answer.to_dict())["vconcat"]


# --- damage


def test_a_damaged_byte_anywhere_is_a_refusal_and_never_an_unforeseen_exception():
    data, chance = put(workbook_of_people(), ONE), random.Random(7)
    places = [info.header_offset + 30 + len(info.filename) for info in zipfile.ZipFile(io.BytesIO(data)).infolist()]
    refused = []
    for at in [*places, *(chance.randrange(len(data)) for _ in range(150))]:
        damaged = bytearray(data)
        damaged[at] ^= chance.randrange(1, 256)
        try:
            updated(bytes(damaged), [(BOARD, grid({"signups": [1, 2, 3]}))])
        except DestinationError as error:
            refused.append(error.message)
    assert len(refused) > 50


@pytest.mark.parametrize(
    ("part", "old", "new"),
    [
        ("xl/workbook.xml", r' name="Daily"', ""),
        ("_rels/.rels", r'Target="[^"]*"', ""),
        ("xl/styles.xml", r"</styleSheet>", ""),
        ("xl/worksheets/sheet1.xml", r"<sheetData.*</sheetData>", ""),
    ],
)
def test_parts_that_do_not_fit_together_are_a_refusal(tmp_path, part, old, new):
    parts = parts_of(put(blank_workbook("Daily"), ONE))
    parts[part] = re.sub(old, new, parts[part].decode(), count=1, flags=re.DOTALL).encode()
    (tmp_path / "x.xlsx").write_bytes(zipped(parts))
    with pytest.raises(DestinationError):
        updated(zipped(parts), [(BOARD, grid({"signups": [1, 2, 3]}))])
    with suppress(QueryError):  # an import needs fewer of the parts
        read_table(str(tmp_path / "x.xlsx"))


# --- size


class Unread(zipfile.ZipFile):
    """A zip whose parts must not be unpacked."""

    def open(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("a part was unpacked")


def large(size: int, of: str = "xl/worksheets/sheet1.xml", method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A workbook with blanks in one of its parts."""
    parts, file = parts_of(blank_workbook("Daily")), io.BytesIO()
    parts[of] = parts.get(of, b"<a/>").replace(b"<sheetData/>", b"<sheetData>" + b" " * size + b"</sheetData>") + b" "
    with zipfile.ZipFile(file, "w", method, compresslevel=1) as made:
        for name, part in parts.items():
            made.writestr(name, part + b" " * (size if name == of and b"sheetData" not in part else 0))
    return file.getvalue()


def test_a_part_that_unpacks_to_more_than_200_mb_is_refused_before_it_is_unpacked(monkeypatch):
    assert package.MAX_PART_BYTES == 200_000_000
    monkeypatch.setattr(package, "MAX_PART_BYTES", 1_000_000)
    bombs = {of: large(1_500_000, of) for of in ("xl/worksheets/sheet1.xml", "xl/media/image1.png")}
    monkeypatch.setattr(zipfile, "ZipFile", Unread)
    for of, bomb in bombs.items():
        with pytest.raises(DestinationError, match=rf"the part {of} would unpack to 1 MB; at most 1 MB"):
            updated(bomb, [(BOARD, ONE)])


def test_an_import_refuses_it_too(monkeypatch, tmp_path):
    monkeypatch.setattr(package, "MAX_PART_BYTES", 1_000_000)
    (tmp_path / "bomb.xlsx").write_bytes(large(1_500_000))
    with pytest.raises(QueryError, match="would unpack to 1 MB; at most 1 MB"):
        read_table(str(tmp_path / "bomb.xlsx"))


def test_many_parts_are_limited_together_and_a_size_that_lies_is_damage(monkeypatch):
    monkeypatch.setattr(package, "MAX_UNPACKED_BYTES", 1_000_000)
    with pytest.raises(DestinationError, match="all parts together would unpack to 1 MB"):
        Package(large(1_500_000))
    monkeypatch.undo()
    data, name = bytearray(large(1_500_000)), b"xl/worksheets/sheet1.xml"
    entry = data.rindex(name) - 46
    data[entry + 24 : entry + 28] = (1000).to_bytes(4, "little")  # the size that the directory declares
    with pytest.raises(DestinationError, match="damaged"):
        Package(bytes(data))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressions_that_no_spreadsheet_program_writes_are_refused(method):
    with pytest.raises(DestinationError, match=f"compressed by method {method}"):
        Package(large(10, method=method))


def test_a_part_of_endless_elements_or_unclosed_tags_ends_soon(monkeypatch):
    monkeypatch.setattr("tallybook.sheets.workbook.xml.MAX_ELEMENTS", 1000)
    with pytest.raises(DestinationError, match="more than 1,000 elements"):
        Part("x", b"<a>" + b"<c/>" * 2000 + b"</a>")
    for endless in (b"<a ", b"<!--", b"<![CDATA[", b"<?a ", b"<a b='", b'<a "'):
        with pytest.raises(DestinationError, match="not valid XML"):
            Part("x", b"<x>" + endless * 200_000)


# --- names of parts


def renamed(data: bytes, *, new: dict[str, str]) -> bytes:
    """The same workbook, its parts called otherwise in the zip but not where others refer to them."""
    return zipped({new.get(name, name): part for name, part in parts_of(data).items()})


@pytest.mark.parametrize(
    "new",
    [
        {"xl/worksheets/sheet1.xml": "xl/worksheets/Sheet1.xml", "xl/styles.xml": "XL/Styles.XML"},
        {
            "[Content_Types].xml": "[content_types].xml",
            "_rels/.rels": "_RELS/.RELS",
            "xl/workbook.xml": "xl/WorkBook.xml",
        },
        {"xl/worksheets/sheet1.xml": "xl/worksheets/sheet%31.xml"},
        {"xl/worksheets/sheet1.xml": "/xl/worksheets/sheet1.xml"},
        {"xl/_rels/workbook.xml.rels": "xl/_rels/Workbook.xml.rels", "xl/tables/table1.xml": "xl/Tables/TABLE1.xml"},
    ],
)
def test_parts_are_found_in_another_case_and_with_escaped_signs(tmp_path, new):
    data = renamed(put(blank_workbook("Daily"), ONE), new=new)
    made = put(data, grid({"signups": [1, 5, 4]}))
    assert list(parts_of(made)) == list(parts_of(data))  # the names stay, and no part is there twice
    back = renamed(made, new={there: name for name, there in new.items()})
    assert [row[2] for row in cells(back)] == ["signups", 1, 5, 4]
    assert foreign(back) == foreign(renamed(data, new={there: name for name, there in new.items()}))
    (tmp_path / "x.xlsx").write_bytes(made)
    assert read_table(str(tmp_path / "x.xlsx")).heads == ("day", "complete", "signups")


def test_a_sheet_with_a_blank_in_the_name_of_its_part_is_found_escaped_or_not():
    data = parts_of(put(blank_workbook("Daily"), ONE))
    rels = data["xl/_rels/workbook.xml.rels"].decode()
    for in_zip, in_rels in (("sheet 1.xml", "sheet%201.xml"), ("sheet%201.xml", "sheet 1.xml")):
        parts = {n.replace("worksheets/sheet1.xml", f"worksheets/{in_zip}"): part for n, part in data.items()}
        parts = {n.replace("_rels/sheet1.xml.rels", f"_rels/{in_zip}.rels"): part for n, part in parts.items()}
        parts["xl/_rels/workbook.xml.rels"] = rels.replace("sheet1.xml", in_rels).encode()
        made = parts_of(put(zipped(parts), grid({"signups": [1, 5, 4]})))
        assert b"<v>5</v>" in made[f"xl/worksheets/{in_zip}"]


# --- what an import says of a workbook


def written(tmp_path: Any, rows: list[list[Any]]) -> str:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(tmp_path / "f.xlsx")
    return str(tmp_path / "f.xlsx")


def test_a_file_with_headings_only_has_no_rows(tmp_path):
    (tmp_path / "f.csv").write_text("day,rev\n")
    for file in (str(tmp_path / "f.csv"), written(tmp_path, [["day", "rev"], [None, " "]])):
        with pytest.raises(QueryError, match=r"f\.(csv|xlsx) has no rows below its headings"):
            read_table(file)


def test_a_formula_without_a_stored_value_is_reported_as_one(tmp_path):
    table = read_table(written(tmp_path, [["day", "rev"], [date(2026, 1, 1), "=1+1"], ["=A2+1", 3]]))
    why = "a formula without a stored value: open the file in a spreadsheet program and save it once"
    assert table.lines[2][1] == why == table.lines[3][0]


def test_an_instant_is_shown_as_a_time_and_true_is_no_number(tmp_path):
    assert days_of({2: 45992.6}).wrong == {2: "2025-12-01 14:24 is an instant, not a day"}
    assert days_of({2: 44530.6}, from_1904=True).wrong == {2: "2025-12-01 14:24 is an instant, not a day"}
    table = read_table(written(tmp_path, [["day", "rev"], [date(2026, 1, 1), True]]))
    assert table.lines[2][1] == "TRUE"


def test_a_signed_workbook_can_be_read_but_not_changed(tmp_path):
    parts = parts_of(put(blank_workbook("Daily"), ONE)) | {"_xmlsignatures/sig1.xml": b"<Signature/>"}
    (tmp_path / "signed.xlsx").write_bytes(zipped(parts))
    assert read_table(str(tmp_path / "signed.xlsx")).heads == ("day", "complete", "signups")
    with pytest.raises(DestinationError, match="digitally signed"):
        updated(zipped(parts), [(BOARD, ONE)])


def test_hints_of_an_import_speak_of_reading(tmp_path):
    (tmp_path / "broken.xlsx").write_bytes(b"PK\3\4 no zip")
    with pytest.raises(QueryError, match=r"not a workbook, or is damaged") as told:
        read_table(str(tmp_path / "broken.xlsx"))
    assert told.value.hint == "open and save it in a spreadsheet program"
