"""A record has no holes: whatever was open, missing or revised at the last successful delivery comes with the next one."""
# ruff: noqa: F811

from __future__ import annotations

import sqlite3
from datetime import date, timedelta
from typing import Any

import openpyxl
import pytest

from tests.deliver.test_sheets_deliveries import Sheet, google, serial, sheet  # noqa: F401

METRICS = """
    [metrics.revenue]
    table = "sales"
    time = "at"
    measure = "sum(amount)"

    [metrics.n]
    table = "sales"
    time = "at"
    measure = "count(*)"
"""
DAY_0 = date(1899, 12, 30)


@pytest.fixture
def sales(sheet: Sheet) -> Sheet:
    """10 × its number on each day of January 2026 and the two days after it."""
    sheet.project.table("sales (at timestamp, amount integer)")
    first = date(2026, 1, 1)
    sheet.project.insert("sales", [(f"{first + timedelta(days=d)} 12:00:00", 10 * (d + 1)) for d in range(33)])
    return sheet


def declare(sheet: Sheet, more: str = 'last = "3 days"', **keys: Any) -> None:
    sheet.project.declare(
        f'{METRICS}\n[deliveries.board]\nto = "google_sheets"\nspreadsheet = "{sheet.document}"\napi = "{sheet.google.url}"\n'
        f'metrics = ["revenue", "n"]\n{more}\n',
        start="2026-01-01", **keys,
    )  # fmt: skip
    sheet.project.close()


def delivered(sheet: Sheet) -> dict[str, float]:
    """{day: revenue} of all rows, which must be there once each."""
    found = [(str(DAY_0 + timedelta(days=row[0])), row[2]) for row in sheet.rows()[1:]]
    assert len(found) == len(dict(found)), "a day is there twice"
    return dict(found)


def in_plain_sql(sheet: Sheet, first: str, last: str) -> dict[str, float]:
    with sqlite3.connect(sheet.project.url.removeprefix("sqlite:///")) as database:
        asked = "select date(at), sum(amount) from sales where date(at) between ? and ? group by 1"
        return dict(database.execute(asked, [first, last]).fetchall())


def break_google(sheet: Sheet) -> None:
    sheet.google.fault(503, times=None)
    sheet.patient = False


def repair(sheet: Sheet) -> None:
    sheet.google.faults.clear()
    sheet.patient = True


@pytest.mark.parametrize("whole", [400_000, 0])
def test_days_of_a_pause_come_with_the_next_delivery(sales: Sheet, monkeypatch: pytest.MonkeyPatch, whole: int) -> None:
    """The host was off from the 5th to the 12th. Also where the tab is too large to be read at once."""
    monkeypatch.setattr("tallybook.deliver.destinations.google_sheets.reading.WHOLE", whole)
    declare(sales)
    sales.run("2026-01-05T06:00")
    sales.google.forget_requests()
    (report,) = sales.run("2026-01-12T06:00")
    assert delivered(sales) == in_plain_sql(sales, "2026-01-02", "2026-01-11")
    assert sum(sales.google.calls().values()) <= (3 if whole else 4)
    assert report.status == "delivered"


def test_days_that_were_collected_while_google_refused_come_too(sales: Sheet) -> None:
    declare(sales)
    sales.run("2026-01-05T06:00")
    break_google(sales)
    for day in (6, 9, 12):
        assert sales.run(f"2026-01-{day:02}T06:00")[0].failed
    repair(sales)
    (report,) = sales.run("2026-01-13T06:00")
    assert report.status == "delivered"
    assert delivered(sales) == in_plain_sql(sales, "2026-01-02", "2026-01-12")


@pytest.mark.parametrize("layout", ["columns", "across"])
def test_a_window_that_is_longer_than_the_book_adds_no_empty_rows_on_the_second_day(sales: Sheet, layout: str) -> None:
    """The first delivery begins with the first collected day, and so do the next ones."""
    declare(sales, more=f'last = "30 days"\nlayout = "{layout}"')
    sales.run("2026-01-05T06:00")
    sales.run("2026-01-06T06:00")
    sales.run("2026-01-09T06:00")
    if layout == "across":
        names = [str(name) for name in sales.rows()[0]]
        assert not [name for name in names if "2025" in name]
        assert len([name for name in names if "2026" in name]) == 8
    else:
        assert delivered(sales) == in_plain_sql(sales, "2026-01-01", "2026-01-08")


def test_a_correction_of_the_time_of_a_pause_arrives(sales: Sheet) -> None:
    """A late row of the 4th is collected on the 6th, while the token is broken until the 12th."""
    declare(sales)
    sales.run("2026-01-05T06:00")
    sales.project.insert("sales", [("2026-01-04 13:00:00", 1000)])
    break_google(sales)
    for day in (6, 9):
        sales.run(f"2026-01-{day:02}T06:00")
    repair(sales)
    sales.run("2026-01-12T06:00")
    assert delivered(sales)["2026-01-04"] == 1040
    assert delivered(sales) == in_plain_sql(sales, "2026-01-02", "2026-01-11")


def test_a_restatement_of_old_days_arrives_and_brings_no_rows_older_than_the_record(sales: Sheet) -> None:
    declare(sales)
    sales.run("2026-01-20T06:00")
    sales.run("2026-01-30T06:00")
    sales.project.insert("sales", [("2026-01-03 13:00:00", 1), ("2026-01-18 13:00:00", 5)])
    sales.project.book.run(from_="2026-01-01", to="2026-01-29")
    assert delivered(sales)["2026-01-18"] == 185
    assert delivered(sales) == in_plain_sql(sales, "2026-01-17", "2026-01-29")


def test_weeks_of_a_pause_come_whole(sales: Sheet) -> None:
    declare(sales, 'last = "1 week"\nscope = "week"')
    sales.run("2026-01-12T06:00")
    sales.run("2026-02-02T06:00")
    weeks = [(f"2026-01-{d:02}", str(date(2026, 1, d) + timedelta(days=6))) for d in (5, 12, 19, 26)]
    assert delivered(sales) == {first: sum(in_plain_sql(sales, first, last).values()) for first, last in weeks}


def test_a_week_that_the_window_cuts_is_delivered_whole(sales: Sheet) -> None:
    """`last = "10 days"` ends within a week: its row holds all seven days, and stays so when it leaves the window."""
    declare(sales, 'last = "10 days"\nscope = "week"')
    for day in (19, 23, 28):
        sales.run(f"2026-01-{day}T06:00")
    assert delivered(sales)["2026-01-05"] == sum(in_plain_sql(sales, "2026-01-05", "2026-01-11").values())
    assert delivered(sales)["2026-01-12"] == sum(in_plain_sql(sales, "2026-01-12", "2026-01-18").values())


@pytest.mark.parametrize("layout", ["across", "long"])
def test_every_layout_is_without_holes(sales: Sheet, layout: str) -> None:
    declare(sales, f'last = "3 days"\nlayout = "{layout}"')
    sales.run("2026-01-05T06:00")
    sales.run("2026-01-12T06:00")
    rows = sales.rows()
    days = [f"2026-01-{d:02}" for d in range(2, 12)]
    if layout == "across":
        assert rows[0] == ["metric", *days]
        assert rows[1] == ["revenue", *in_plain_sql(sales, days[0], days[-1]).values()]
    else:
        assert sorted({row[0] for row in rows[1:]}) == [serial(day) for day in days]
        assert len(rows) == 1 + 2 * len(days)


def make_a_hole(sheet: Sheet) -> None:
    """As the first versions left one: the rows of a pause are not there, and the ledger knows of no record."""
    person = sheet.google.person(sheet.document)
    person.delete_row("board", 4, 3)
    ledger = sheet.project.book.store.ledger
    with ledger._writing() as db:
        db.execute("UPDATE deliveries SET state = json_remove(state, '$.record')")


def test_a_hole_of_an_older_version_is_filled_by_the_next_delivery(sales: Sheet) -> None:
    declare(sales)
    sales.run("2026-01-05T06:00")
    sales.run("2026-01-12T06:00")
    make_a_hole(sales)
    assert "2026-01-05" not in delivered(sales)
    assert sales.deliver().status == "delivered"
    assert delivered(sales) == in_plain_sql(sales, "2026-01-02", "2026-01-11")


def test_force_fills_what_people_deleted_and_verify_tells_it(sales: Sheet) -> None:
    declare(sales)
    sales.run("2026-01-05T06:00")
    sales.run("2026-01-12T06:00")
    sales.google.person(sales.document).delete_row("board", 3, 2)
    report = sales.deliver(verify=True)
    assert report.status == "differs"
    assert [(c["what"], c["key"]) for c in report.changes] == [("new row", ["2026-01-03"]), ("new row", ["2026-01-04"])]
    assert "--force" in report.hint
    assert sales.deliver(force=True).status == "delivered"
    assert delivered(sales) == in_plain_sql(sales, "2026-01-02", "2026-01-11")
    assert sales.deliver(verify=True).status == "as delivered"


def test_force_and_verify_see_old_cells_that_somebody_wrote_into(sales: Sheet) -> None:
    declare(sales)
    sales.run("2026-01-05T06:00")
    sales.run("2026-01-12T06:00")
    sales.google.person(sales.document).type("board!C2", 99)
    assert [(c["key"], c["old"], c["new"]) for c in sales.deliver(verify=True).changes] == [
        (["2026-01-02"], 99.0, 20.0)
    ]
    sales.deliver(force=True)
    assert delivered(sales) == in_plain_sql(sales, "2026-01-02", "2026-01-11")


def test_who_is_forgotten_leaves_the_rows_that_left_the_window_too(sheet: Sheet) -> None:
    sheet.project.table(
        "visits (at timestamp, who text)", [(f"2026-01-{d:02} 12:00:00", w) for d in range(1, 12) for w in "ab"]
    )
    sheet.project.declare(
        '[metrics.people]\ntable = "visits"\ntime = "at"\nmeasure = "count(distinct who)"\n[deliveries.board]\nto = "google_sheets"\n'
        f'spreadsheet = "{sheet.document}"\napi = "{sheet.google.url}"\nmetrics = ["people"]\nlast = "2 days"\n', start="2026-01-01",
    )  # fmt: skip
    sheet.project.close()
    sheet.run("2026-01-05T06:00")
    sheet.run("2026-01-12T06:00")
    sheet.project.execute("delete from visits where who = 'b'")
    sheet.project.book.forget_person("b", metrics=["people"])
    sheet.run("2026-01-13T06:00")
    assert [row[2] for row in sheet.rows()[1:]] == [1] * 9 + [0]


def test_a_tab_that_was_deleted_is_made_again_with_the_window(sales: Sheet) -> None:
    declare(sales)
    sales.run("2026-01-05T06:00")
    sales.run("2026-01-12T06:00")
    person = sales.google.person(sales.document)
    person.delete_tab("board")
    sales.deliver(force=True)
    assert list(delivered(sales)) == ["2026-01-09", "2026-01-10", "2026-01-11"]


def test_a_record_keeps_what_the_book_no_longer_knows(sales: Sheet) -> None:
    """The metric means something else since, and its old days are not collected again: the old numbers stay."""
    declare(sales)
    sales.run("2026-01-05T06:00")
    sales.run("2026-01-12T06:00")
    before = delivered(sales)
    sales.project.declare(
        METRICS.replace("sum(amount)", "sum(amount + 1)")
        + f'\n[deliveries.board]\nto = "google_sheets"\nspreadsheet = "{sales.document}"\napi = "{sales.google.url}"\n'
        'metrics = ["revenue", "n"]\nlast = "3 days"\n',
        start="2026-01-01",
    )
    sales.project.close()
    sales.deliver(force=True)
    assert {day: n for day, n in delivered(sales).items() if day < "2026-01-09"} == {
        day: n for day, n in before.items() if day < "2026-01-09"
    }


def test_status_tells_how_far_a_delivery_is_behind(sales: Sheet) -> None:
    declare(sales)
    sales.run("2026-01-05T06:00")
    break_google(sales)
    sales.run("2026-01-12T06:00")
    (waiting,) = (one for one in sales.project.book.status().deliveries if one.waiting)
    assert (waiting.delivery, waiting.behind) == ("board", 7)
    assert "board is 7 days behind: last delivered 2026-01-05" in " ".join(sales.project.book.status().problems)
    repair(sales)
    sales.deliver()
    assert sales.project.book.status().well


# --- workbooks with notes beside their rows


def workbook(sheet: Sheet) -> list[list[Any]]:
    rows = openpyxl.load_workbook(sheet.project.folder / "board.xlsx")["board"].iter_rows(min_row=2, values_only=True)
    return [[str(row[0].date()) if hasattr(row[0], "date") else row[0], *row[2:]] for row in rows]


def declare_workbook(sheet: Sheet, more: str = 'last = "3 days"') -> None:
    sheet.project.declare(
        f'{METRICS}\n[deliveries.board]\nto = "xlsx"\npath = "board.xlsx"\nmetrics = ["revenue", "n"]\n{more}\n',
        start="2026-01-01",
    )
    sheet.project.close()


def write_beside(sheet: Sheet, cell: str, value: object) -> None:
    path = sheet.project.folder / "board.xlsx"
    book = openpyxl.load_workbook(path)
    book["board"][cell] = value
    book.save(path)


def test_a_workbook_with_notes_beside_its_rows_has_no_holes(sales: Sheet) -> None:
    declare_workbook(sales)
    sales.run("2026-01-05T06:00")
    write_beside(sales, "F3", "launch")
    sales.project.insert("sales", [("2026-01-04 13:00:00", 1000)])
    sales.run("2026-01-12T06:00")
    rows = workbook(sales)
    assert {row[0]: row[1] for row in rows} == in_plain_sql(sales, "2026-01-02", "2026-01-11")
    assert next(row for row in rows if row[4] == "launch")[0] == "2026-01-03"


def test_a_workbook_without_notes_holds_the_window_and_nothing_else(sales: Sheet) -> None:
    declare_workbook(sales)
    sales.run("2026-01-05T06:00")
    sales.run("2026-01-12T06:00")
    assert [row[0] for row in workbook(sales)] == ["2026-01-09", "2026-01-10", "2026-01-11"]


def test_force_fills_a_workbook_with_notes(sales: Sheet) -> None:
    declare_workbook(sales)
    sales.run("2026-01-05T06:00")
    write_beside(sales, "F3", "launch")
    sales.run("2026-01-12T06:00")
    path = sales.project.folder / "board.xlsx"
    book = openpyxl.load_workbook(path)
    for column in "ABCD":
        book["board"][f"{column}5"] = None
    book.save(path)
    sales.deliver(force=True)
    assert {row[0]: row[1] for row in workbook(sales) if row[0]} == in_plain_sql(sales, "2026-01-02", "2026-01-11")
