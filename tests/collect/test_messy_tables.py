"""Tables to import as people and other programs leave them: titles above, two lines of heads, days across, totals."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import openpyxl
import pytest

import tallybook
from tallybook.collect.history.cells import days_of, numbers_of
from tallybook.collect.history.read import Layout, read_table
from tests.collect.test_history import METRICS, write
from tests.projects import Project, project

__all__ = ["project"]


@pytest.fixture
def company(project: Any) -> Project:
    made = project(now="2024-03-06T06:00")
    made.table("users (id int, created_at timestamp, plan varchar(9), n int)", [(1, "2024-02-11 10:00:00", "pro", 1)])
    made.declare(METRICS, start="2024-02-11")
    made.run()
    return made


def values(company: Project, file: Any, **how: Any) -> dict[tuple[str, str | None], int]:
    """What the book answers after an import, by day and plan."""
    company.book.import_history("signups", file, **how)
    rows = company.book.query("signups", by=["plan"], from_="2024-01-01", to="2024-01-31").rows()
    return {(str(row["period"]), row["plan"]): row["signups"] for row in rows if row["signups"]}


RIGHT = {("2024-01-01", "pro"): 3, ("2024-01-01", "team"): 4, ("2024-01-02", "pro"): 5}


def workbook(company: Project, rows: list[list[Any]]) -> Any:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(company.folder / "messy.xlsx")
    return company.folder / "messy.xlsx"


def test_heads_below_a_title_and_totals_below_the_days(company):
    text = (
        "Signups; for the board\nas of today\n\n"
        "day;plan;value\n2024-01-01;pro;3\n2024-01-01;team;4\n2024-01-02;pro;5\nTotal;;12\n"
    )
    assert values(company, write(company, text), skip=2, ignore=["total"]) == RIGHT


def test_two_lines_of_heads_are_one(company):
    rows = [
        [None, "Key", "Signups", None, "Revenue"],
        [None, "plan", "day", "count", "count"],
        [None, "pro", date(2024, 1, 1), 3, 99],
        [None, "team", date(2024, 1, 1), 4, 99],
        [None, "pro", date(2024, 1, 2), 5, 9],
    ]
    file = workbook(company, rows)
    with pytest.raises(tallybook.DeclarationError, match="several columns are called 'count'"):
        company.book.import_history("signups", file, headings=2, value="count")
    assert values(company, file, headings=2, value="Signups count", dims="plan") == RIGHT


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_days_across_become_lines(company, kind):
    rows = [
        ["Signups by plan"],
        ["plan", "owner", date(2024, 1, 1), date(2024, 1, 2), "Total"],
        ["pro", "Ada", 3, 5, 8], ["team", "Bob", 4, None, 4], ["Total", None, 7, 5, 12],
    ]  # fmt: skip
    text = "\n".join(",".join("" if cell is None else str(cell) for cell in row) for row in rows)
    file = write(company, text) if kind == "csv" else workbook(company, rows)
    with pytest.raises(tallybook.DeclarationError, match="a column with numbers is no day") as told:
        company.book.import_history("signups", file, skip=1, across=True)
    assert '--ignore "Total"' in str(told.value)
    assert values(company, file, skip=1, across=True, ignore=["Total"]) == RIGHT


def test_a_wrong_number_across_is_reported_with_its_line_and_day(company):
    text = "metric,plan,2024-01-01,2024-01-02\nsignups,pro,3,x\nrevenue,pro,1,2\n"
    with pytest.raises(tallybook.DeclarationError) as told:
        company.book.import_history("signups", write(company, text), across=True)
    assert {p.path: p.message for p in told.value.problems} == {"line 2, 2024-01-02": "'x' is no number"}
    assert values(company, write(company, text.replace("x", "5")), across=True) == {
        ("2024-01-01", "pro"): 3, ("2024-01-02", "pro"): 5,
    }  # fmt: skip


@pytest.mark.parametrize("sign", [";", "\t", "|", ":"])
def test_a_line_that_names_the_separator_is_followed(tmp_path, sign):
    (tmp_path / "f.csv").write_text(f"\ufeffsep={sign}\r\nday{sign}v\r\n2024-01-01{sign}1,5\r\n", encoding="utf-8")
    table = read_table(str(tmp_path / "f.csv"))
    assert (table.heads, table.lines) == (("day", "v"), {3: ["2024-01-01", "1,5"]})


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("(5)", "-5"), ("5-", "-5"), ("(1,234.50)", "-1234.50"), ("$(5)", "-5"), ("($5)", "-5"), ("(5) EUR", "-5"),
        ("1,234.50-", "-1234.50"), ("EUR 5-", "-5"), ("5−", "-5"), ("5.00 - €", "-5.00"),
    ],
)  # fmt: skip
def test_negative_numbers_of_accountants_are_read(written, number):
    assert numbers_of({2: written, 3: "0.5"}).values[2] == Decimal(number)


@pytest.mark.parametrize("written", ["(-5)", "-5-", "(5", "5)", "((5))", "()", "-", "(5)-", "-(5)"])
def test_a_sign_that_is_there_twice_or_by_half_is_no_number(written):
    assert list(numbers_of({2: written}).wrong) == [2]


@pytest.mark.parametrize(
    ("written", "what"), [("2024-01", "a month"), ("2024-W03", "a week"), ("2024-Q1", "a quarter")]
)
def test_longer_periods_are_refused_by_their_name(written, what):
    assert days_of({2: written}).wrong[2].startswith(f"{written!r} is {what}; an import takes finished values of days")


def test_a_line_of_totals_names_the_option():
    assert (
        days_of({2: "Grand Total"}).wrong[2]
        == "'Grand Total' is no day; lines of totals are left out with --ignore 'Grand Total'"
    )


def test_nothing_below_the_skipped_lines_is_reported(tmp_path):
    (tmp_path / "f.csv").write_text("title\nday,v\n")
    for skip, said in ((1, "no rows below its headings"), (5, "holds nothing")):
        with pytest.raises(tallybook.QueryError, match=said):
            read_table(str(tmp_path / "f.csv"), layout=Layout(skip=skip))
