"""A delivered workbook begins with an overview and has charts; each delivery brings them up to date."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import date, timedelta
from decimal import Decimal

import openpyxl
import pytest

from tests.projects import Project

FIRST = date(2024, 1, 1)


def orders(first: int, last: int) -> list[tuple[str, str, int]]:
    """Of each day some of two plans; each day one more."""
    return [
        (f"{FIRST + timedelta(days=day)} 10:00:00", plan, amount)
        for day in range(first, last)
        for plan, amount in (("pro", 10 + day), ("team", 2))
    ]


@pytest.fixture
def project(tmp_path):
    made = Project(tmp_path, f"sqlite:///{tmp_path / 'app.db'}", now="2024-01-05T12:00")
    made.table("orders (at timestamp, plan text, amount int)", orders(0, 4))
    yield made
    made.close()


def declare(project: Project, delivery: str) -> None:
    project.declare(
        f"""
        [metrics.new_revenue]
        table = "orders"
        time = "at"
        measure = "sum(amount)"
        by = ["plan"]
        unit = "EUR"

        [deliveries.board]
        to = "xlsx"
        path = "board.xlsx"
        tab = "Daily"
        metrics = ["new_revenue"]
        scope = "day"
        {delivery}
        """
    )


def book(project: Project):
    return openpyxl.load_workbook(project.folder / "board.xlsx")


def rows(sheet) -> list[list[object]]:
    return [[v.date() if hasattr(v, "date") else v for v in line] for line in sheet.iter_rows(values_only=True)]


def chart_references(project: Project) -> list[str]:
    with zipfile.ZipFile(io.BytesIO((project.folder / "board.xlsx").read_bytes())) as archive:
        return re.findall(r"<c:val><c:numRef><c:f>([^<]*)", archive.read("xl/charts/chart1.xml").decode())


def test_a_new_workbook_begins_with_last_value_change_and_trend_and_has_charts(project):
    declare(project, "")
    project.run()
    made = book(project)
    assert made.sheetnames == ["Overview", "Daily", "Charts", "Chart data"]
    assert made["Chart data"].sheet_state == "hidden"
    head, line = rows(made["Overview"])
    assert head == ["metric", "last complete day", "value", "unit", "change", "last 12"]
    assert line == ["New revenue", date(2024, 1, 4), 15, "EUR", pytest.approx(15 / 14 - 1), "▇▇██"]
    assert rows(made["Chart data"])[1] == [date(2024, 1, 1), 12, None]
    assert chart_references(project) == ["'Chart data'!$B$2:$B$5", "'Chart data'!$C$2:$C$5"]


def test_each_sheet_that_is_read_prints_on_one_page_in_width(project):
    declare(project, "")
    project.run()
    for sheet in book(project).worksheets:
        if sheet.sheet_state == "visible":
            assert sheet.sheet_properties.pageSetUpPr.fitToPage, sheet.title
            assert (sheet.page_setup.orientation, sheet.page_setup.fitToHeight) == ("landscape", 0), sheet.title


def test_each_delivery_brings_overview_and_charts_up_to_date(project):
    declare(project, "")
    project.run()
    project.insert("orders", orders(4, 6))
    project.at("2024-01-07T12:00").run()
    made = book(project)
    assert rows(made["Overview"])[1][1:3] == [date(2024, 1, 6), 17]
    assert [line[1] for line in rows(made["Chart data"])[1:]] == [12, 13, 14, 15, 16, 17]
    assert chart_references(project) == ["'Chart data'!$B$2:$B$7", "'Chart data'!$C$2:$C$7"]
    assert [line[2] for line in rows(made["Daily"])[1:]] == [12, 13, 14, 15, 16, 17]


def test_a_breakdown_has_a_row_and_a_line_for_each_series(project):
    declare(project, 'by = ["plan"]')
    project.run()
    made = book(project)
    assert [line[:4] for line in rows(made["Overview"])[1:]] == [
        ["New revenue", "pro", date(2024, 1, 4), 13],
        ["New revenue", "team", date(2024, 1, 4), 2],
    ]
    assert len(chart_references(project)) == 4
    assert rows(made["Chart data"])[0] == [
        "day", "New revenue pro", "pro (not complete)", "New revenue team", "team (not complete)",
    ]  # fmt: skip


def test_a_sheet_that_people_delete_stays_deleted_and_their_own_stay(project):
    declare(project, "")
    project.run()
    made = book(project)
    del made["Overview"]
    for name in [name for name in made.defined_names if name.startswith("board_overview")]:
        del made.defined_names[name]
    made.create_sheet("Mine")["A1"] = "notes"
    made.save(project.folder / "board.xlsx")
    project.insert("orders", orders(4, 5))
    project.at("2024-01-06T12:00").run()
    assert "Overview" not in book(project).sheetnames
    assert book(project)["Mine"]["A1"].value == "notes"
    assert [line[2] for line in rows(book(project)["Daily"])[1:]] == [12, 13, 14, 15, 16]


def test_a_second_delivery_into_the_workbook_adds_its_tab_only(project):
    declare(
        project,
        """
        [deliveries.weekly]
        to = "xlsx"
        path = "board.xlsx"
        tab = "Weekly"
        metrics = ["new_revenue"]
        scope = "week"
        """,
    )
    project.run()
    assert book(project).sheetnames == ["Overview", "Daily", "Charts", "Chart data", "Weekly"]
    assert Decimal(rows(book(project)["Overview"])[1][2]) == 15
