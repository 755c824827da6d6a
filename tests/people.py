"""Workbooks as people have them: with all that a program which reads and writes cells would lose."""

from __future__ import annotations

import io
import shutil
import subprocess
import warnings
import zipfile
from pathlib import Path

import pytest
import xlsxwriter

MACRO = b"\xd0\xcf\x11\xe0 the bytes of a macro project, never looked into"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
FORMULAS = {  # what people write beside a delivery called `board` on the tab Daily, cell by cell
    "B1": "=SUM(board.revenue)",
    "B2": "=COUNT(board.period)",
    "B3": "=Daily!$D$2",
    "B4": "=SUM(board[revenue])",
}


def workbook_of_people(*, macro: bool = False, pivot: bool = True) -> bytes:
    """Formulas, a chart of ours, sparklines, x14 data bars, a text box, comments, rich text, a pivot, a macro."""
    file = io.BytesIO()
    book = xlsxwriter.Workbook(file, {"in_memory": True})
    book.set_calc_mode("auto")
    own = book.add_worksheet("Mine")
    for at, formula in FORMULAS.items():
        own.write_formula(at, formula)
    own.write_string("A1", "shared text")
    own.write_rich_string("A2", "some ", book.add_format({"bold": True, "num_format": "0.0000"}), "bold", " text")
    own.write_column("D1", [3, 1, 2])
    own.add_sparkline("E1", {"range": "Mine!D1:D3"})
    own.conditional_format("D1:D3", {"type": "data_bar", "data_bar_2010": True})
    own.insert_textbox("G1", "a text box")
    own.write_comment("D1", "a comment")
    own.merge_range("A8:B9", "merged")
    chart = book.add_chart({"type": "line"})
    chart.add_series({"categories": "=Daily!$A$2:$A$9", "values": "=Daily!$D$2:$D$9"})
    own.insert_chart("G8", chart)
    book.define_name("people", "=Mine!$D$1:$D$3")
    if macro:
        book.add_vba_project(io.BytesIO(MACRO), is_stream=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tab Daily comes with the first delivery
        book.close()
    return with_pivot(file.getvalue()) if pivot else file.getvalue()


def with_pivot(data: bytes) -> bytes:
    """A pivot table on the sheet Mine over its own D1:D3, put in by hand: XlsxWriter makes none."""
    parts = parts_of(data)
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    cache, records = "xl/pivotCache/pivotCacheDefinition1.xml", "xl/pivotCache/pivotCacheRecords1.xml"
    table = "xl/pivotTables/pivotTable1.xml"
    names = {cache: "pivotCacheDefinition", records: "pivotCacheRecords", table: "pivotTable"}
    overrides = "".join(f'<Override PartName="/{n}" ContentType="{kind}.{k}+xml"/>' for n, k in names.items())
    _insert(parts, "[Content_Types].xml", "</Types>", overrides)
    _insert(
        parts, "xl/_rels/workbook.xml.rels", "</Relationships>", _relation("rId90", "pivotCacheDefinition", "/" + cache)
    )
    _insert(
        parts, "xl/workbook.xml", "</workbook>", '<pivotCaches><pivotCache cacheId="1" r:id="rId90"/></pivotCaches>'
    )
    sheet = "xl/worksheets/_rels/sheet1.xml.rels"
    _insert(parts, sheet, "</Relationships>", _relation("rId90", "pivotTable", "/" + table))
    parts[cache] = (
        f'<pivotCacheDefinition xmlns="{MAIN}" xmlns:r="{RELATIONS}" r:id="rId1" recordCount="2"><cacheSource type="worksheet">'
        '<worksheetSource ref="D1:D3" sheet="Mine"/></cacheSource><cacheFields count="1"><cacheField name="3">'
        '<sharedItems containsNumber="1" minValue="1" maxValue="2"/></cacheField></cacheFields></pivotCacheDefinition>'
    ).encode()
    parts[records] = (
        f'<pivotCacheRecords xmlns="{MAIN}" count="2"><r><n v="1"/></r><r><n v="2"/></r></pivotCacheRecords>'.encode()
    )
    parts[f"xl/pivotCache/_rels/{cache.rpartition('/')[2]}.rels"] = _rels(
        _relation("rId1", "pivotCacheRecords", "/" + records)
    )
    parts[table] = (
        f'<pivotTableDefinition xmlns="{MAIN}" name="Pivot" cacheId="1" dataCaption="Values"><location ref="D20:D21" '
        'firstHeaderRow="1" firstDataRow="1" firstDataCol="0"/><pivotFields count="1"><pivotField dataField="1"/></pivotFields>'
        '<dataFields count="1"><dataField name="Sum" fld="0"/></dataFields></pivotTableDefinition>'
    ).encode()
    parts["xl/pivotTables/_rels/pivotTable1.xml.rels"] = _rels(_relation("rId1", "pivotCacheDefinition", "/" + cache))
    return zipped(parts)


def _insert(parts: dict[str, bytes], name: str, before: str, what: str) -> None:
    head, found, tail = parts[name].decode().rpartition(before)
    assert found, f"{before} is not in {name}"
    parts[name] = (head + what + found + tail).encode()


def _relation(number: str, kind: str, target: str) -> str:
    return f'<Relationship Id="{number}" Type="{RELATIONS}/{kind}" Target="{target}"/>'


def _rels(inside: str) -> bytes:
    return f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{inside}</Relationships>'.encode()


def parts_of(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def zipped(parts: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in parts.items():
            made.writestr(name, data)
    return file.getvalue()


# LibreOffice, as a second program that reads and writes workbooks.


# Left to itself it shows what formulas came to when the file was last saved; `fullCalcOnLoad` is Excel's.
RECALCULATE = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
<item oor:path="/org.openoffice.Office.Calc/Formula/Load"><prop oor:name="OOXMLRecalcMode" oor:op="fuse"><value>0</value></prop></item>
</oor:items>
"""


def soffice(*arguments: str, folder: Path) -> None:
    program = shutil.which("soffice")
    if program is None:
        pytest.skip("LibreOffice (soffice) is not installed")
    settings = folder / "profile" / "user" / "registrymodifications.xcu"
    if not settings.exists():
        settings.parent.mkdir(parents=True)
        settings.write_text(RECALCULATE)
    profile = f"-env:UserInstallation=file://{folder}/profile"
    command = [program, profile, "--headless", *arguments, "--outdir", str(folder / "out")]
    subprocess.run(command, check=True, capture_output=True, timeout=180)


def saved_by_libreoffice(data: bytes, folder: Path) -> bytes:
    """The workbook opened and saved by LibreOffice."""
    (folder / "saved.xlsx").write_bytes(data)
    soffice("--convert-to", "xlsx:Calc MS Excel 2007 XML", str(folder / "saved.xlsx"), folder=folder)
    return (folder / "out" / "saved.xlsx").read_bytes()


def seen_by_libreoffice(data: bytes, folder: Path) -> dict[str, list[list[str]]]:
    """What LibreOffice shows of each sheet, row by row."""
    (folder / "seen.xlsx").write_bytes(data)
    form = "csv:Text - txt - csv (StarCalc):9,34,76,1,,0,false,true,false,false,false,-1"
    soffice("--convert-to", form, str(folder / "seen.xlsx"), folder=folder)
    sheets = {}
    for file in sorted((folder / "out").glob("seen-*.csv")):
        lines = file.read_text(encoding="utf-8").splitlines()
        sheets[file.stem.removeprefix("seen-")] = [line.split("\t") for line in lines]
        file.unlink()
    return sheets
