"""Imported history in answers of a former version, by weekday, beside earlier values, and beside the source itself."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import date, timedelta
from typing import Any

import pytest

from tests.projects import Project, project

__all__ = ["project"]

METRICS = """
    [metrics.signups]
    table = "users"
    time = "created_at"
    measure = "count(*)"
    by = ["plan"]
    history = "imported"
"""
FIRST = date(2024, 1, 29)
"""A Monday. Collected from Sunday 11 February 2024 on."""


@pytest.fixture
def company(project: Any) -> Project:
    made: Project = project(now="2024-03-01T06:00")
    days = [date(2024, 2, 11) + timedelta(days=n) for n in range(24)]
    made.table("users (created_at timestamp, plan varchar(9))", [(f"{day} 10:00:00", "pro") for day in days])
    made.declare(METRICS, start="2024-02-11")
    made.run()
    return made


def imported(made: Project, text: str) -> Any:
    path = made.folder / "old.csv"
    path.write_text(text, encoding="utf-8")
    return made.book.import_history("signups", path)


def each_day(value: int, *, first: date = FIRST, plan: str = "") -> str:
    """The same number for each day until 10 February."""
    days = [first + timedelta(days=n) for n in range((date(2024, 2, 11) - first).days)]
    head, series = ("day,plan,value\n", f"{plan},") if plan else ("day,value\n", "")
    return head + "".join(f"{day},{series}{value}\n" for day in days)


def three_days(made: Project, as_of: str | None = None) -> list[Any]:
    return list(made.ask("signups", from_="2024-02-05", to="2024-02-07", as_of=as_of).values())


# --------------------------------------------------------------------------------------- as of a day before


def test_an_import_with_other_dimensions_does_not_change_what_was_answered_before(company: Project) -> None:
    company.at("2024-03-02T06:00")
    imported(company, each_day(3))
    company.at("2024-03-03T06:00")
    imported(company, each_day(9, first=date(2024, 2, 6), plan="pro"))
    company.at("2024-03-04T06:00")
    imported(company, "day,value\n2024-02-07,4\n")
    company.at("2024-03-05T06:00")
    assert three_days(company) == [3, 3, 4]
    assert three_days(company, as_of="2024-03-04") == [3, 3, 4]
    assert three_days(company, as_of="2024-03-03") == [None, 9, 9]
    assert three_days(company, as_of="2024-03-02") == [3, 3, 3]
    assert three_days(company, as_of="2024-03-01") == [None, None, None]


def test_an_import_that_only_takes_another_one_back_counts_from_then_on(company: Project) -> None:
    for day, text in ((2, each_day(3)), (3, each_day(9, plan="pro")), (4, each_day(3)), (5, each_day(9, plan="pro"))):
        company.at(f"2024-03-0{day}T06:00")
        imported(company, text)
    company.at("2024-03-06T06:00")
    answers = {day: three_days(company, as_of=f"2024-03-0{day}")[0] for day in (2, 3, 4, 5)}
    assert answers == {2: 3, 3: 9, 4: 3, 5: 9}


def test_a_book_whose_versions_do_not_say_what_was_imported_goes_by_the_days_that_were_there(company: Project) -> None:
    company.at("2024-03-02T06:00")
    imported(company, each_day(3))
    company.at("2024-03-03T06:00")
    imported(company, each_day(9, plan="pro"))
    company.close()
    with closing(sqlite3.connect(company.folder / "book" / "ledger.sqlite")) as db, db:
        db.execute("UPDATE versions SET what = 'import' WHERE what LIKE 'import %'")
    assert three_days(company, as_of="2024-03-02") == [3, 3, 3]
    assert three_days(company) == [9, 9, 9]


# ------------------------------------------------------------------------------------------------ by weekday


def test_a_weekday_that_only_one_of_both_histories_has_in_a_week_is_answered_by_it(company: Project) -> None:
    imported(company, each_day(3))
    for weekday, in_the_week_of_both in (("sunday", 1), ("monday", 3), ("saturday", 3)):
        found = company.ask("signups", scope="week", from_="2024-01-29", to="2024-02-18", where=[f"weekday={weekday}"])
        assert found == {"2024-01-29": 3, "2024-02-05": in_the_week_of_both, "2024-02-12": 1}


def test_split_by_weekday_too_and_days_of_both_stay_unknown(company: Project) -> None:
    imported(company, each_day(3))
    week = company.ask("signups", scope="week", from_="2024-02-05", to="2024-02-11", by=["weekday"])
    assert week == {("2024-02-05", day): 1 if day == "sunday" else 3 for day in (
        "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
    )}  # fmt: skip
    month = company.ask("signups", scope="month", from_="2024-02-01", to="2024-02-29", where=["weekday=sunday"])
    assert month == {"2024-02-01": None}


# --------------------------------------------------------------------------------- beside what it is compared with


def test_an_imported_earlier_value_is_marked_and_so_is_a_change_over_both_histories(company: Project) -> None:
    imported(company, each_day(3))
    (row,) = company.rows("signups", from_="2024-02-12", to="2024-02-12", compare="10 days")
    assert (row["signups"], row["signups_previous"]) == (1, 3)
    assert row["notes"]["signups_previous"]["imported"] is True
    assert row["notes"]["signups_change"]["why"] == "imported then, collected now"
    text = str(company.book.query("signups", from_="2024-02-12", to="2024-02-12", compare="10 days"))
    assert "3‡" in text
    assert "‡ signups_previous: imported, not collected" in text
    (before,) = company.rows("signups", from_="2024-02-08", to="2024-02-08", compare="1 day")
    assert "signups_change" not in before["notes"]


def test_a_live_value_beside_an_imported_one_does_not_say_that_rows_changed(company: Project) -> None:
    imported(company, each_day(3))
    result = company.book.query("signups", from_="2024-02-10", to="2024-02-11", live=True)
    assert [row["signups"] for row in result.rows()] == [0, 1]
    assert result.rows()[0]["notes"]["signups"]["stored"] == 3
    assert result.rows()[0]["notes"]["signups"]["why"] == "the book holds 3, which was imported"
    assert "rows changed" not in result.explain


def test_distinct_counts_of_several_imported_days_are_not_added_in_a_window_over_everything(project: Any) -> None:
    made = project(now="2024-03-01T06:00")
    made.table("users (created_at timestamp, n int)", [("2024-02-11 10:00:00", 7)])
    made.declare(WHOLE.format(measure="count(distinct n)"), start="2024-02-11")
    made.run()
    path = made.folder / "old.csv"
    path.write_text("day,value\n2024-02-05,3\n2024-02-06,4\n", encoding="utf-8")
    made.book.import_history("points", path)
    found = made.ask("points", from_="2024-02-05", to="2024-02-06", window="all")
    assert found == {"2024-02-05": 3, "2024-02-06": None}
    assert made.ask("points", scope="week", from_="2024-01-29", to="2024-02-10", window="all")["2024-02-05"] is None


# --------------------------------------------------------------------------------------------------- fractions

WHOLE = """
    [metrics.points]
    table = "users"
    time = "created_at"
    measure = "{measure}"
    history = "imported"
"""


@pytest.mark.parametrize(
    ("measure", "values"),
    [
        ("sum(n)", ["0.1", "12.25"]),
        ("100 * count(*)", ["0.5", "1"]),
        ("max(n)", ["0.1", "7"]),
        ("median(n)", ["0.1", "1.5"]),
    ],
)
def test_fractions_before_whole_numbers_are_answered_with_their_digits(
    project: Any, measure: str, values: list[str]
) -> None:
    made = project(now="2024-03-01T06:00")
    made.table("users (created_at timestamp, n int)", [("2024-02-11 10:00:00", 7), ("2024-02-12 10:00:00", 8)])
    made.declare(WHOLE.format(measure=measure), start="2024-02-11")
    made.run()
    path = made.folder / "old.csv"
    path.write_text(f"day,value\n2024-02-09,{values[0]}\n2024-02-10,{values[1]}\n", encoding="utf-8")
    made.book.import_history("points", path)
    found = made.book.query("points", from_="2024-02-09", to="2024-02-12", compare="2 days")
    assert [str(row["points"]) for row in found.rows()[:2]] == values
    assert [str(row["points_previous"]) for row in found.rows()[2:]] == values
    only_own = made.book.query("points", from_="2024-02-11", to="2024-02-12")
    assert [column.type for column in only_own.metric_columns] == [found.metric_columns[0].type]


def test_imported_days_after_the_first_collected_one_take_no_part_in_changes_of_days_before_it(project: Any) -> None:
    made: Project = project("sqlite", now="2024-03-06T06:00")
    made.table("seats (day date, n int)", [("2024-02-26", 5), ("2024-02-28", 7), ("2024-02-29", 9)])
    made.declare(
        """
        [metrics.seats]
        kind = "level"
        table = "seats"
        time = "day"
        measure = "sum(n)"
        history = "imported"
        """,
        start="2024-02-26",
    )
    made.run()
    path = made.folder / "old.csv"
    path.write_text("day,value\n2024-02-24,1\n2024-02-25,3\n2024-02-29,100\n", encoding="utf-8")
    made.book.import_history("seats", path)
    rows = made.book.query("seats", scope="day", from_="2024-02-20", to="2024-03-05", show="change").rows()
    known = {str(row["period"]): row["seats"] for row in rows if row["seats"] is not None}
    assert known["2024-02-25"] == 2
    assert known["2024-02-29"] == 2
    highest = made.book.query("seats", scope="all", from_="2024-02-20", to="2024-02-25", show="max")
    assert highest.rows()[0]["seats"] == 3
