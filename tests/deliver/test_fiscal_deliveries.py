"""Deliveries under a fiscal calendar: labels instead of calendar names, and never rows of two calendars in one tab."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import openpyxl
import pytest

from tallybook.core import PLAIN, BookCalendar, FiscalYear
from tallybook.deliver.destinations.layout import Field, Grid
from tallybook.deliver.destinations.row_keys import DAY_0, KeyReader
from tests.projects import Project, project

__all__ = ["project"]

BOARD = """
    [metrics.n]
    table = "facts"
    time = "day"
    measure = "count(*)"

    [deliveries.board]
    to = "xlsx"
    path = "board.xlsx"
    tab = "{tab}"
    metrics = ["n"]
    scope = "{scope}"
    layout = "{layout}"
"""
FISCAL = {"fiscal_year_starts": "february"}
RETAIL = {"fiscal_year_starts": "february", "calendar": "4-5-4", "week_starts": "sunday"}


def declared(made: Project, tab: str = "Board", scope: str = "quarter", layout: str = "columns", **book: str) -> None:
    made.declare(BOARD.format(tab=tab, scope=scope, layout=layout), **book)


@pytest.fixture
def made(project: Callable[..., Project]) -> Project:
    found = project("sqlite", now="2024-06-06T12:00")
    days = [date(2024, 1, 1) + timedelta(days=n) for n in range(150)]
    found.table("facts (day date)", [(str(day),) for day in days])
    declared(found)
    found.run()
    return found


def delivered(made: Project) -> Any:
    (report,) = made.book.deliver()
    return report


def cells(made: Project, tab: str) -> list[tuple[object, str]]:
    """The values of the first column, each with its number format."""
    sheet = openpyxl.load_workbook(made.folder / "board.xlsx")[tab]
    return [(row[0].value, row[0].number_format) for row in sheet.iter_rows(min_row=2) if row[0].value]


def test_another_calendar_is_refused_until_the_tab_has_another_name(made: Project) -> None:
    assert delivered(made).status == "up to date"  # the run delivered it
    before = cells(made, "Board")
    declared(made, **FISCAL)
    report = delivered(made)
    assert report.status == "failed"
    assert "the calendar of the book changed" in report.error
    assert 'tab = "Board (fiscal)"' in report.hint
    (forced,) = made.book.deliver(force=True)
    assert forced.status == "failed"
    assert cells(made, "Board") == before
    declared(made, tab="Fiscal", **FISCAL)
    assert delivered(made).status == "delivered"
    assert delivered(made).status == "up to date"
    assert cells(made, "Board") == before
    assert [pattern for _, pattern in cells(made, "Fiscal")] == ['"FY2024 Q4"', '"FY2025 Q1"', '"FY2025 Q2"']
    declared(made, tab="Fiscal")
    assert delivered(made).status == "failed"
    declared(made, tab="Fiscal", **FISCAL, fiscal_year_named="start")
    assert delivered(made).status == "failed"


def test_a_scope_that_the_calendar_does_not_move_goes_on(made: Project) -> None:
    declared(made, tab="Months", scope="month")
    assert delivered(made).status == "delivered"
    declared(made, tab="Months", scope="month", **FISCAL)
    assert delivered(made).status == "up to date"
    declared(made, tab="Months", scope="month", **RETAIL)
    assert delivered(made).status == "failed"


def test_a_delivery_of_an_earlier_version_is_refused_too(made: Project) -> None:
    ledger = made.book.store.ledger
    last = ledger.delivered()["board"]
    old = type(last)(version=last.version, fingerprint=last.fingerprint.rpartition(" ")[0], record=last.record)
    ledger.record_delivery("board", old, now=made.now)
    assert delivered(made).status == "up to date"
    declared(made, **FISCAL)
    assert delivered(made).status == "failed"


def test_periods_across_are_headed_by_their_labels(made: Project) -> None:
    declared(made, tab="Across", layout="across", **RETAIL)
    assert delivered(made).status == "delivered"
    sheet = openpyxl.load_workbook(made.folder / "board.xlsx")["Across"]
    heads = [cell.number_format for cell in next(sheet.iter_rows(min_row=1, max_row=1))]
    assert '"FY2025 Q1"' in heads


@pytest.mark.parametrize(("typed", "scope", "means"), [
    ("FY2025 Q1", "quarter", "2024-02-01"), ("fy2025q1", "quarter", "2024-02-01"), ("FY2025", "year", "2024-02-01"),
    (2025.0, "year", "2024-02-01"), ("2024-03-09", "quarter", "2024-02-01"), ("9 Mar 2024", "year", "2024-02-01"),
])  # fmt: skip
def test_a_period_that_people_typed_is_found_in_the_fiscal_calendar(typed: Any, scope: str, means: str) -> None:
    calendar = BookCalendar(fiscal=FiscalYear(first_month=2))
    starts = [date(2023, 2, 1), date(2024, 2, 1), date(2025, 2, 1)]
    wanted = [(float((day - DAY_0).days),) for day in starts]
    field = Field(id="period", head=scope, kind="period")
    grid = Grid(fields=(field,), lines=(), layout="columns", scope=scope, calendar=calendar)
    reader = KeyReader.of(grid, [field], wanted)
    assert next(reader.meanings((typed,))) == (float((date.fromisoformat(means) - DAY_0).days),)
    assert Grid(fields=(field,), lines=(), layout="columns", scope=scope).calendar == PLAIN
