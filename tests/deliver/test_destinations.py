"""Where results are put: what is promised for every destination, and what each makes of a result."""

import io
import json
import os
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.metadata import EntryPoint
from pathlib import Path
from xml.etree import ElementTree as ET

import openpyxl
import pyarrow.parquet as pq
import pytest

from tallybook.core.adapters import destinations as kinds, registry as adapters
from tallybook.core.adapters.destinations import DESTINATIONS, EXPORT, destination_kinds
from tallybook.core.errors import DestinationError
from tallybook.core.result.values import Column
from tallybook.deliver.destinations.base import FileDestination
from tallybook.deliver.destinations.excel.destination import Xlsx
from tallybook.deliver.destinations.excel.new.pages import MAX_COMMENTS, MAX_ROWS
from tallybook.deliver.destinations.excel.new.workbook import refuse_what_does_not_fit, workbook
from tallybook.deliver.destinations.registry import open_destination, replacing, writer_for
from tests.sample_results import (
    LATENCY,
    MRR,
    NASTY,
    PLAN,
    REVENUE,
    SHARE,
    SIGNUPS,
    by_plan,
    names_in,
    result,
    row,
    three_months,
)


def writer(kind: str) -> FileDestination:
    made = open_destination(kind)
    assert isinstance(made, FileDestination)
    return made


# The registry, and replacing files. What every destination promises is in tests/conformance.


def test_a_full_disk_leaves_the_old_file_whole(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    target = tmp_path / "metrics.csv"
    target.write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DestinationError, match="No space left on device"), replacing(target) as file:
        file.write(b"half")
    assert target.read_text() == "old"
    assert names_in(tmp_path) == ["metrics.csv"]


def test_a_bug_while_writing_stays_what_it_is(tmp_path):
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "x"):
        _ = 1 / 0
    assert names_in(tmp_path) == []


def test_an_unknown_kind_names_the_nearest_and_all():
    with pytest.raises(DestinationError, match="no destination 'xslx'") as told:
        writer_for(Path("metrics.xslx"))
    assert told.value.hint == "did you mean 'xlsx'? there are: xlsx, csv, parquet"


def test_a_file_without_an_ending_asks_for_one():
    with pytest.raises(DestinationError, match="no ending"):
        writer_for(Path("metrics"))


class Lines(FileDestination):
    kind = kinds.DestinationKind(name="lines", noun="a file of lines", endings=(".lines",))


def test_another_package_adds_a_kind_by_an_entry_point(monkeypatch):
    point = EntryPoint("lines", "tests.deliver.test_destinations:Lines", "tallybook.destinations")
    registry = adapters.Registry("tallybook.destinations", DESTINATIONS.builtin)
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [point])
    monkeypatch.setattr(kinds, "DESTINATIONS", registry)
    assert registry.adapter("lines").__name__ == "Lines"
    assert [kind.name for kind in destination_kinds(EXPORT)] == ["xlsx", "csv", "parquet", "lines"]


def test_a_module_that_an_entry_point_names_and_that_is_not_there_is_named_with_the_next_step(monkeypatch):
    monkeypatch.setitem(DESTINATIONS.builtin, "far", "package_that_is_not_there:Far")
    with pytest.raises(DestinationError) as told:
        open_destination("far")
    assert told.value.hint.startswith(
        "the installed package has no module package_that_is_not_there: correct its entry"
    )


# CSV and Parquet.


def test_a_csv_file_has_no_mark_before_the_first_column(tmp_path):
    writer("csv").export(three_months(), tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_bytes().startswith(b"period,revenue,")


def test_a_parquet_file_has_exact_decimals_and_says_what_it_is(tmp_path):
    writer("parquet").export(three_months(), tmp_path / "x.parquet")
    table = pq.read_table(tmp_path / "x.parquet")
    assert table["revenue"].to_pylist() == [Decimal("1234.5"), None, Decimal("-0.1")]
    assert table["period"].to_pylist()[0] == date(2026, 1, 1)
    assert json.loads(table.schema.metadata[b"tallybook"])["timezone"] == "Europe/Berlin"


# The workbook.


def opened(result, **options):
    return openpyxl.load_workbook(io.BytesIO(workbook(result, **options)))


def parts(result):
    with zipfile.ZipFile(io.BytesIO(workbook(result))) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def cells(sheet):
    return [[cell.value for cell in line] for line in sheet.iter_rows()]


def test_a_workbook_has_a_row_per_period_and_a_column_per_metric():
    book = opened(three_months())
    assert book.sheetnames == ["Metrics", "Charts", "About", "Chart data"]
    assert cells(book["Metrics"]) == [
        ["month", "Revenue", "complete", "days", "days expected"],
        [datetime(2026, 1, 1), 1234.5, "yes", 31, 31],
        [datetime(2026, 2, 1), None, "no", 0, 28],
        [datetime(2026, 3, 1), -0.1, "no", 12, 31],
    ]


@pytest.mark.parametrize(
    ("scope", "pattern"),
    [
        ("day", "yyyy-mm-dd"),
        ("week", "yyyy-mm-dd"),
        ("month", "mmm yyyy"),
        ("quarter", '"Q2" yyyy'),
        ("year", "yyyy"),
        ("all", "yyyy-mm-dd"),
    ],
)
def test_periods_are_real_dates_shown_by_their_scope(scope, pattern):
    cell = opened(result(SIGNUPS, data=[row("2026-04-01", signups=1)], scope=scope))["Metrics"]["A2"]
    assert cell.is_date
    assert cell.value == datetime(2026, 4, 1)
    assert cell.number_format == pattern


def test_numbers_have_the_format_of_their_metric():
    data = [row("2026-01-01", revenue=Decimal("1234.5"), signups=1200, latency=0.004, share=0.12)]
    line = opened(result(REVENUE, SIGNUPS, LATENCY, SHARE, data=data))["Metrics"][2]
    assert [cell.number_format for cell in line[1:5]] == [
        '#,##0.00" EUR"', "#,##0", '#,##0.000" ms"', "#,##0.0%",
    ]  # fmt: skip


def test_a_number_too_small_for_decimals_is_not_shown_as_zero():
    cell = opened(result(LATENCY, data=[row("2026-01-01", latency=1e-12)]))["Metrics"]["B2"]
    assert (cell.value, cell.number_format) == (1e-12, "0.00E+00")


def test_a_gap_is_an_empty_cell_whose_comment_says_why():
    sheet = opened(three_months())["Metrics"]
    assert sheet["B3"].value is None
    assert sheet["B3"].comment.text == "not collected"
    assert sheet["B2"].comment is None


def test_periods_that_are_not_complete_are_grey_and_italic():
    sheet = opened(three_months())["Metrics"]
    assert [sheet[f"B{i}"].font.i for i in (2, 3, 4)] == [False, True, True]
    assert sheet["B4"].font.color.rgb == "FF8A8A8A"


def test_the_header_stays_and_filters():
    sheet = opened(three_months())["Metrics"]
    assert sheet.freeze_panes == "B2"
    assert sheet.auto_filter.ref == "A1:E4"
    assert sheet["B1"].font.b


def test_nothing_is_a_formula_or_a_link_whatever_the_text_looks_like():
    nasty = [text for text in NASTY if text]
    title = Column(name="signups", role="metric", type="integer", title="=cmd|' /C calc'!A0")
    data = [row("2026-01-01", plan=text, signups=1) for text in nasty]
    answer = result(PLAN, title, data=data)
    for name, part in parts(answer).items():
        if name.endswith(".xml") and "worksheets" in name:
            assert "<f>" not in part
            assert "<hyperlink" not in part
        if name.endswith((".xml", ".rels", ".vml")):
            ET.fromstring(part)
    sheet = opened(answer)["Metrics"]
    assert {cell.data_type for cell in sheet["B"][1:]} == {"s"}
    assert sheet["C1"].value == title.title
    assert sheet["C1"].data_type == "s"


def test_a_number_with_more_digits_than_a_sheet_keeps_has_all_of_them_in_a_comment():
    data = [
        row("2026-01-01", revenue=Decimal("12345678901234567.89"), signups=123456789012345),
        row("2026-02-01", revenue=Decimal("123456789012345.00"), signups=2**63),
    ]
    book = opened(result(REVENUE, SIGNUPS, data=data))
    sheet = book["Metrics"]
    assert sheet["B2"].comment.text == "exactly 12345678901234567.89"
    assert sheet["C3"].comment.text == "exactly 9223372036854775808"
    assert sheet["C2"].comment is None
    assert sheet["B3"].comment is None
    assert "More than 15 digits" in [cell.value for cell in book["About"]["A"]]


def test_one_value_that_is_carried_or_not_complete_says_so_in_a_comment():
    notes = {"signups": {"carried": True}, "mrr": {"complete": False, "days": 20}}
    data = [row("2026-01-01", signups=1, mrr=Decimal(2), notes=notes)]
    sheet = opened(result(SIGNUPS, MRR, data=data))["Metrics"]
    assert sheet["B2"].comment.text == "carried forward from an earlier day"
    assert sheet["C2"].comment.text == "not complete: 20 of 31 days"


def test_comments_end_where_a_workbook_would_open_slowly_and_that_is_told():
    why = {"signups": {"why": "not collected"}}
    data = [row("2026-01-01", signups=None, notes=why)] * (MAX_COMMENTS + 5)
    book = opened(result(SIGNUPS, data=data))
    assert sum(cell.comment is not None for cell in book["Metrics"]["B"]) == MAX_COMMENTS
    assert ["Comments", "The first 1,000 of 1,005."] in cells(book["About"])


def test_totals_stand_apart_so_that_no_sum_counts_them_twice():
    data = [
        row("2026-01-01", plan="pro", signups=2),
        row("2026-01-01", plan=None, signups=2, total=True),
        row(None, plan=None, signups=2, total=True),
    ]
    book = opened(result(PLAN, SIGNUPS, data=data))
    assert [line[1] for line in cells(book["Metrics"])] == ["plan", "pro"]
    assert [line[:3] for line in cells(book["Totals"])] == [
        ["month", "plan", "signups"],
        [datetime(2026, 1, 1), "total", 2],
        ["total", "total", 2],
    ]


def test_two_metrics_of_one_title_have_two_headings():
    columns = [Column(name=n, role="metric", type="integer", title="Users") for n in ("new", "active")]
    sheet = opened(result(*columns, data=[row("2026-01-01", new=1, active=2)]))["Metrics"]
    assert [cell.value for cell in sheet[1]][:3] == ["month", "Users", "Users (2)"]


def test_about_says_what_the_numbers_are():
    facts = dict(line[:2] for line in cells(opened(three_months())["About"]))
    assert facts["How it was computed"] == "revenue is the sum of paid invoices."
    assert (facts["Scope"], facts["Time zone"], facts["Week starts"]) == ("month", "Europe/Berlin", "monday")
    assert (facts["Book version"], facts["Periods"]) == ("7", "2026-01 to 2026-03")
    assert facts["revenue"] == "Revenue, in EUR, shown as total, exact"
    assert "Created" not in facts


def test_when_it_was_made_is_told_by_the_caller():
    book = opened(three_months(), created=datetime(2026, 4, 1, 12, 30, tzinfo=UTC))
    assert ["Created", "2026-04-01 12:30:00+00:00"] in cells(book["About"])
    assert book.properties.created.isoformat().startswith("2026-04-01T12:30:00")


def test_more_rows_than_a_sheet_holds_are_refused():
    answer = result(SIGNUPS, data=[row("2026-01-01", signups=1)] * MAX_ROWS)
    with pytest.raises(DestinationError, match="a sheet has room for 1,048,576 rows") as told:
        refuse_what_does_not_fit(answer, Path("x.xlsx"))
    assert told.value.hint.endswith("or write x.parquet")


def test_a_text_longer_than_a_cell_is_cut_and_shows_it():
    value = opened(by_plan("😀" * 40_000))["Metrics"]["B2"].value
    assert value.endswith("…")
    assert len(value.encode("utf-16-le")) // 2 <= 32_767


# Its charts.

C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"


def charts(result):
    drawn = {name: part for name, part in parts(result).items() if name.startswith("xl/charts/chart")}
    return [ET.fromstring(drawn[f"xl/charts/chart{i}.xml"]) for i in range(1, len(drawn) + 1)]


def references(chart, what):
    return [f.text for f in chart.findall(f".//{C}ser/{C}{what}//{C}f")]


def test_each_metric_has_a_native_chart_of_its_own_column():
    data = [row(f"2026-0{i}-01", revenue=Decimal(i), signups=i, mrr=Decimal(i)) for i in (1, 2, 3)]
    drawn = charts(result(REVENUE, SIGNUPS, MRR, data=data))
    assert [references(c, "val") for c in drawn] == [
        ["Metrics!$B$2:$B$4"], ["Metrics!$C$2:$C$4"], ["Metrics!$D$2:$D$4"],
    ]  # fmt: skip
    assert {tuple(references(c, "cat")) for c in drawn} == {("Metrics!$A$2:$A$4",)}
    assert [c.find(f".//{C}title//{A}t").text for c in drawn] == ["Revenue (EUR)", "Signups", "Mrr (EUR)"]


def test_amounts_stand_as_columns_and_states_run_as_lines():
    data = [row(f"2026-0{i}-01", revenue=Decimal(i), signups=i, mrr=Decimal(i), latency=i / 2) for i in (1, 2)]
    drawn = charts(result(REVENUE, SIGNUPS, MRR, LATENCY, data=data))
    kinds = ["bar" if c.find(f".//{C}barChart") is not None else "line" for c in drawn]
    assert kinds == ["bar", "bar", "line", "line"]


def test_a_gap_is_a_gap_in_the_chart_and_a_running_month_is_pale():
    chart = charts(three_months())[0]
    assert chart.find(f".//{C}dispBlanksAs") is None  # "gap" is what its absence means
    whole, running = chart.iter(f"{C}ser")
    drawn = [[p.get("idx") for p in one.iterfind(f"{C}val/{C}numRef/{C}numCache/{C}pt")] for one in (whole, running)]
    assert drawn == [["0"], ["2"]]
    fills = [one.find(f"{C}spPr/{A}solidFill/{A}srgbClr").get("val") for one in (whole, running)]
    assert fills == ["1D56D8", "C9D9EC"]


def test_a_running_week_of_a_breakdown_is_a_hollow_point_beside_its_line_in_the_color_of_its_series():
    data = [
        row(day, plan=plan, signups=n, mrr=Decimal(10 - n), complete=complete)
        for day, complete in (("2026-03-02", True), ("2026-03-09", True), ("2026-03-16", False))
        for plan, n in (("pro", 9), ("team", 1))
    ]
    first, second = charts(result(PLAN, SIGNUPS, MRR, data=data, scope="week"))
    series = list(first.iter(f"{C}ser"))
    assert [[p.get("idx") for p in one.iterfind(f"{C}val//{C}pt")] for one in series] == [["0", "1"], ["2"]] * 2
    assert series[1].find(f"{C}spPr/{A}ln/{A}noFill") is not None
    assert [one.get("val") for one in first.iterfind(f".//{C}legendEntry/{C}idx")] == ["1", "3"]

    def colors(chart):
        return {
            one.find(f"{C}tx//{C}v").text: one.find(f"{C}marker/{C}spPr/{A}ln/{A}solidFill/{A}srgbClr").get("val")
            for one in chart.iter(f"{C}ser")
        }

    assert colors(first) == colors(second)
    assert colors(first)["pro"] == colors(first)["pro (not complete)"] != colors(first)["team"]
    assert first.find(f".//{C}dateAx/{C}majorUnit").get("val") == "7"
    assert first.find(f".//{C}valAx/{C}scaling/{C}min").get("val") == "0"


def test_totals_are_not_drawn():
    data = [row("2026-01-01", signups=1), row("2026-02-01", signups=1), row(None, signups=2, total=True)]
    assert references(charts(result(SIGNUPS, data=data))[0], "val") == ["Metrics!$B$2:$B$3"]


def test_a_breakdown_draws_a_line_per_series_from_a_hidden_sheet():
    answer = by_plan("free", None, "=1+1")
    chart = charts(answer)[0]
    assert references(chart, "val") == [
        "'Chart data'!$B$3:$B$4", "'Chart data'!$C$3:$C$4", "'Chart data'!$D$3:$D$4",
    ]  # fmt: skip
    assert references(chart, "tx") == ["'Chart data'!$B$2", "'Chart data'!$C$2", "'Chart data'!$D$2"]
    book = opened(answer)
    assert book["Chart data"].sheet_state == "hidden"
    assert cells(book["Chart data"]) == [
        ["Signups by plan", None, None, None],
        ["month", "=1+1", "(none)", "free"],
        [datetime(2026, 1, 1), 3, 2, 1],
        [datetime(2026, 2, 1), 3, 2, 1],
    ]


def test_a_series_without_a_row_in_a_period_is_not_drawn_as_zero():
    data = [
        row("2026-01-01", plan="a", signups=1),
        row("2026-01-01", plan="b", signups=5),
        row("2026-02-01", plan="b", signups=5),
        row("2026-03-01", plan=None, signups=None),
    ]
    book = opened(result(PLAN, SIGNUPS, data=data))
    assert [line[1:] for line in cells(book["Chart data"])[1:]] == [
        ["b", "a"],
        [5, 1],
        [5, None],
        [None, None],
    ]


def test_only_the_largest_series_are_drawn_and_the_title_says_so():
    answer = by_plan(*[f"plan {i:02}" for i in range(1, 24)])
    assert len(references(charts(answer)[0], "val")) == 8
    sheet = opened(answer)["Chart data"]
    assert sheet["A1"].value == "Signups by plan (8 largest of 23)"
    assert sheet["B2"].value == "plan 23"


def test_each_metric_of_a_breakdown_has_its_own_block():
    data = [row("2026-01-01", plan=p, signups=1, mrr=Decimal(2)) for p in ("a", "b")]
    drawn = charts(result(PLAN, SIGNUPS, MRR, data=data))
    assert references(drawn[0], "val") == ["'Chart data'!$B$3", "'Chart data'!$C$3"]
    assert references(drawn[1], "val") == ["'Chart data'!$F$3", "'Chart data'!$G$3"]


def test_a_workbook_without_rows_has_no_charts():
    book = opened(result(SIGNUPS, data=[]))
    assert book.sheetnames == ["Metrics", "About"]


def test_the_class_is_what_the_registry_opens():
    assert isinstance(open_destination("xlsx"), Xlsx)
