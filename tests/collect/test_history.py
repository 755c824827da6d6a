"""History that others filled: what a file says is read as it was meant or not at all, kept apart from what was
collected, and never part of a value that is."""

from __future__ import annotations

import csv
import io
import json
import random
import shutil
import sqlite3
from contextlib import closing
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given, strategies as st

import tallybook
from tallybook.collect.history.cells import days_of, numbers_of
from tallybook.sheets.credentials import NAMES
from tallybook.sheets.service_urls import link as document_link
from tallybook_emulators.sheets import Emulator
from tests.crash import Driver
from tests.projects import Project, project
from tests.query.test_why import said

__all__ = ["project"]

METRICS = """
    [metrics.signups]
    table = "users"
    time = "created_at"
    measure = "count(*)"
    by = ["plan"]
    history = "imported"

    [metrics.active]
    table = "users"
    time = "created_at"
    measure = "count(distinct id)"
    history = "imported"

    [metrics.latency]
    table = "users"
    time = "created_at"
    measure = "avg(n)"
    history = "imported"

    [metrics.mrr]
    kind = "level"
    table = "users"
    from = "created_at"
    measure = "sum(n)"
    by = ["plan"]
    history = "imported"

    [metrics.per_active]
    measure = "signups / active"
"""


@pytest.fixture
def company(project: Any) -> Project:
    """Collected from 11 February 2024 on: two users a day, of the plans pro and team."""
    made = project(now="2024-03-06T06:00")
    days = [date(2024, 2, 11) + timedelta(days=n) for n in range(24)]
    made.table(
        "users (id int, created_at timestamp, plan varchar(9), n int)",
        [(2 * n + i, f"{day} 1{i}:00:00", ("pro", "team")[i], 10) for n, day in enumerate(days) for i in (0, 1)],
    )
    made.declare(METRICS, start="2024-02-11")
    made.run()
    return made


def write(company: Project, text: str, name: str = "old.csv") -> Path:
    path = company.folder / name
    path.write_text(text, encoding="utf-8")
    return path


def daily(first: str, *values: Any, head: str = "day,value") -> str:
    start = date.fromisoformat(first)
    return head + "\n" + "".join(f"{start + timedelta(days=n)},{value}\n" for n, value in enumerate(values))


def january(company: Project, metric: str = "signups", each: Any = 3) -> Any:
    """Import the same number for each day from 1 January to 10 February."""
    return company.book.import_history(metric, write(company, daily("2024-01-01", *[each] * 41)))


def whys(company: Project, metric: str, **question: Any) -> dict[str, str]:
    return {
        row["period"]: row["notes"][metric]["why"] for row in company.rows(metric, **question) if row[metric] is None
    }


# ------------------------------------------------------------------------------------------------- what it answers


def test_months_before_the_first_collected_day_are_answered_by_what_was_imported(company):
    done = january(company)
    assert (len(done.days), done.new, done.version) == (41, 41, 2)
    rows = company.rows("signups", scope="month")
    assert [(row["period"], row["signups"]) for row in rows] == [
        ("2024-01-01", 93),
        ("2024-02-01", None),
        ("2024-03-01", 10),
    ]
    assert rows[0]["notes"]["signups"]["imported"] is True
    assert rows[1]["notes"]["signups"]["why"] == (
        "until 2024-02-10 it is imported, from 2024-02-11 on collected, and no value is made of both: "
        "--to 2024-02-10, or --from 2024-02-11"
    )
    assert "before 2024-02-11 as imported" in company.book.query("signups", scope="month").explain


def test_a_month_that_is_both_is_answered_for_each_of_its_parts(company):
    january(company)
    assert company.ask("signups", scope="month", from_="2024-02-01", to="2024-02-10") == {"2024-02-01": 30}
    assert company.ask("signups", scope="month", from_="2024-02-11", to="2024-02-29") == {"2024-02-01": 38}


def test_days_go_on_from_the_imported_to_the_collected_ones(company):
    january(company)
    found = company.ask("signups", from_="2024-02-09", to="2024-02-12")
    assert found == {"2024-02-09": 3, "2024-02-10": 3, "2024-02-11": 2, "2024-02-12": 2}


def test_without_the_key_nothing_imported_is_answered(company):
    january(company)
    company.declare(METRICS.replace('history = "imported"', ""), start="2024-02-11")
    assert company.ask("signups", from_="2024-02-10", to="2024-02-11") == {"2024-02-10": None, "2024-02-11": 2}
    definition = next(d.id for d in company.book.metric("signups").definitions if d.id.startswith("imported"))
    assert company.ask("signups", scope="month", definition=definition, to="2024-01-31") == {"2024-01-01": 93}


def test_imported_days_of_a_dimension_add_up_to_those_of_all(company):
    text = "day,plan,value\n2024-01-01,pro,3\n2024-01-01,,1\n2024-01-02,pro,2\n2024-01-02,team,5\n"
    company.book.import_history("signups", write(company, text))
    assert company.ask("signups", scope="week", by=["plan"], to="2024-01-07") == {
        ("2024-01-01", "pro"): 5, ("2024-01-01", "team"): 5, ("2024-01-01", None): 1,
    }  # fmt: skip
    assert company.ask("signups", to="2024-01-02") == {"2024-01-01": 4, "2024-01-02": 7}
    assert company.ask("signups", to="2024-01-02", where=["plan=team"]) == {"2024-01-01": 0, "2024-01-02": 5}


def test_what_is_not_split_cannot_be_asked_by_a_dimension(company):
    january(company)
    (row,) = company.rows("signups", by=["plan"], from_="2024-01-03", to="2024-01-03")
    assert row["signups"] is None
    assert row["notes"]["signups"]["why"] == "the imported history of signups is not split by plan"
    assert company.ask("signups", by=["plan"], from_="2024-02-11", to="2024-02-11") == {
        ("2024-02-11", "pro"): 1, ("2024-02-11", "team"): 1,
    }  # fmt: skip


@pytest.mark.parametrize("metric", ["active", "latency"])
def test_finished_distincts_and_averages_are_answered_day_by_day_and_not_put_together(company, metric):
    january(company, metric, 7)
    assert company.ask(metric, from_="2024-01-03", to="2024-01-04") == {"2024-01-03": 7, "2024-01-04": 7}
    assert company.ask(metric, scope="month", to="2024-01-31") == {"2024-01-01": None}
    assert (
        "are finished: those of several days cannot be put together"
        in whys(company, metric, scope="month", to="2024-01-31")["2024-01-01"]
    )
    with pytest.raises(tallybook.DeclarationError, match="1 problem") as told:
        company.book.import_history(metric, write(company, "day,plan,value\n2024-01-01,pro,3\n"), dims="plan")
    assert told.value.problems


def test_an_imported_definition_that_is_asked_by_its_id_is_not_put_together_either(company):
    january(company, "latency", 7)
    definition = next(d.id for d in company.book.metric("latency").definitions if d.id.startswith("imported"))
    assert company.ask("latency", scope="month", definition=definition, to="2024-01-31") == {"2024-01-01": None}
    assert company.ask("latency", definition=definition, to="2024-01-02") == {"2024-01-01": 7, "2024-01-02": 7}


def test_what_was_imported_as_counts_is_not_added_where_things_are_told_apart_by_now(company):
    text = "day,plan,value\n2024-01-01,pro,3\n2024-01-01,team,2\n2024-01-02,pro,4\n"
    company.book.import_history("signups", write(company, text))
    company.declare(METRICS.replace("count(*)", "count(distinct id)"), start="2024-02-11")
    company.run()
    assert company.ask("signups", by=["plan"], to="2024-01-01") == {("2024-01-01", "pro"): 3, ("2024-01-01", "team"): 2}
    assert company.ask("signups", to="2024-01-01") == {"2024-01-01": None}
    assert company.ask("signups", by=["plan"], scope="week", to="2024-01-07") == {("2024-01-01", None): None}
    company.declare(
        METRICS.replace('table = "users"', 'table = "users"\n    kind = "level"', 1).replace(
            'time = "created_at"', 'from = "created_at"', 1
        ),
        start="2024-02-11",
    )
    company.run()
    assert "was imported as a flow" in whys(company, "signups", to="2024-01-01")["2024-01-01"]


def test_a_level_is_the_value_of_the_last_day_whoever_said_it(company):
    january(company, "mrr", 500)
    found = company.ask("mrr", scope="month", to="2024-02-29")
    assert found == {"2024-01-01": 500, "2024-02-01": 380}, "19 days of 20 a day are collected by 29 February"
    assert company.ask("mrr", scope="month", show="average", to="2024-02-29") == {"2024-01-01": 500, "2024-02-01": None}
    assert company.ask("mrr", scope="month", show="first", to="2024-02-29") == {"2024-01-01": 500, "2024-02-01": 500}


def test_a_formula_is_not_made_of_imported_values(company):
    january(company)
    january(company, "active", 3)
    assert company.ask("per_active", from_="2024-02-10", to="2024-02-11") == {"2024-02-10": None, "2024-02-11": 1}
    with pytest.raises(tallybook.QueryError, match="is a formula"):
        january(company, "per_active")


def test_the_largest_series_of_both_are_refused(company):
    text = "day,plan,value\n2024-01-01,pro,3\n"
    company.book.import_history("signups", write(company, text))
    with pytest.raises(tallybook.Refused, match="which series of 'signups' are the largest") as why:
        company.ask("signups", by=["plan"], top=1)
    assert "--from 2024-02-11, or --to 2024-02-10" in why.value.ask


def test_a_total_row_over_both_says_why_it_has_no_value(company):
    january(company)
    *_, total = company.rows("signups", scope="month", totals=True)
    assert (total["signups"], total["total"]) == (None, True)
    assert "no value is made of both" in total["notes"]["signups"]["why"]


def test_imported_days_are_collected_all_the_same(company):
    company.book.import_history("signups", write(company, daily("2024-02-09", 3, 3, 99, 99)))
    company.declare(METRICS, start="2024-02-09")
    report = company.run("signups")
    assert not report.metrics[0].notes
    assert company.ask("signups", from_="2024-02-09", to="2024-02-12") == {
        "2024-02-09": 0,
        "2024-02-10": 0,
        "2024-02-11": 2,
        "2024-02-12": 2,
    }


def test_a_metric_that_was_never_collected_is_answered_by_its_history(project):
    made = project(now="2024-03-06T06:00")
    made.table("users (id int, created_at timestamp, plan varchar(9), n int)")
    made.declare(METRICS)
    january(made)
    assert made.ask("signups", scope="month", to="2024-01-31") == {"2024-01-01": 93}
    assert made.book.doctor() == []


# -------------------------------------------------------------------------------------------- again, and what is kept


def test_the_same_file_again_changes_nothing(company):
    january(company)
    before = company.book.store.ledger.version()
    again = january(company)
    assert (again.new, again.revised, again.version) == (0, 0, 0)
    assert company.book.store.ledger.version() == before


def test_a_corrected_file_is_a_revision(company):
    january(company)
    done = company.book.import_history("signups", write(company, daily("2024-01-01", 3, 4)))
    assert (done.new, done.revised) == (0, 1)
    (revision,) = company.book.store.ledger.revisions()
    assert (str(revision.day), revision.old, revision.new) == ("2024-01-02", "3", "4")
    assert company.ask("signups", scope="month", to="2024-01-31") == {"2024-01-01": 94}


def test_a_file_with_other_dimensions_takes_the_place_of_the_one_before_and_can_be_taken_back(company):
    january(company)
    split = "day,plan,value\n2024-01-01,pro,5\n"
    company.at("2024-03-06T07:00")
    done = company.book.import_history("signups", write(company, split))
    assert "which was imported before and answers no more" in done.notes[0]
    assert company.ask("signups", from_="2024-01-01", to="2024-01-02") == {"2024-01-01": 5, "2024-01-02": None}
    company.at("2024-03-06T08:00")
    january(company)
    assert company.ask("signups", from_="2024-01-01", to="2024-01-02") == {"2024-01-01": 3, "2024-01-02": 3}


def test_a_dry_run_stores_nothing(company):
    done = company.book.import_history("signups", write(company, daily("2024-01-01", 3)), dry_run=True)
    assert (done.new, done.version) == (1, 0)
    assert company.book.store.ledger.version() == 1


def test_days_that_both_have_are_compared(company):
    text = "day,plan,value\n2024-02-11,pro,1\n2024-02-11,team,1\n2024-02-12,pro,5\n2024-01-12,pro,5\n"
    done = company.book.import_history("signups", write(company, text), check=True)
    assert done.compared == 2
    assert [(str(d.day), d.series["plan"], d.imported, d.collected) for d in done.differences] == [
        ("2024-02-12", "pro", 5, 1), ("2024-02-12", "team", None, 1),
    ]  # fmt: skip
    assert company.book.store.ledger.version() == 1


def test_what_is_forgotten_takes_its_history_along(company):
    january(company)
    company.book.forget("signups")
    assert all(not definition.startswith("imported") for _, definition in company.book.store.ledger.snapshot().coverage)


# ------------------------------------------------------------------------------------------------- what a file says


def problems(company: Project, text: str, metric: str = "signups", **how: Any) -> dict[str, str]:
    with pytest.raises(tallybook.DeclarationError) as told:
        company.book.import_history(metric, write(company, text), **how)
    assert company.book.store.ledger.version() == 1, "nothing is stored"
    return {problem.path: problem.message for problem in told.value.problems}


def test_every_problem_of_a_file_is_told_with_its_line(company):
    text = (
        "day,value\n2024-01-01,3\n2024-01-01,4\n\n2024-02-30,1\nsoon,1\n"
        "2024-01-05,\n2024-01-06,x\n2024-03-06,1\n2024-01-07,2.5\n"
    )
    assert problems(company, text) == {
        "line 3": "2024-01-01 is already in line 2",
        "line 5": "'2024-02-30' is no day of the calendar",
        "line 6": "'soon' is no day; expected 2024-01-31 or 31.01.2024",
        "line 7": "no number; write 0 where it was 0, and leave the line out where it is not known",
        "line 8": "'x' is no number",
        "line 9": "2024-03-06 is not over",
        "line 10": "2.5 is no number of things, and count(*) counts them",
    }


def test_columns_that_are_not_there_are_told_with_those_that_are(company):
    found = problems(company, "when,n\n2024-01-01,3\n", dims="plna")
    assert found == {
        "--day": "there is no column 'day' or 'date' or 'period'",
        "--value": "there is no column 'signups' or 'value'",
        "--dims plna": "metric 'signups' has no dimension 'plna'",
    }
    done = company.book.import_history("signups", write(company, "when,n\n2024-01-01,3\n"), day="when", value="n")
    assert done.values == 1


def test_a_day_that_can_be_read_in_two_ways_is_refused_with_what_to_say(company):
    text = "day,value\n01/02/2024,3\n02/02/2024,4\n"
    assert (
        problems(company, text)["line 2"]
        == "'01/02/2024' can be read as two days, and no line decides which: --dates dmy or --dates mdy"
    )
    done = company.book.import_history("signups", write(company, text), dates="dmy")
    assert list(map(str, done.days)) == ["2024-02-01", "2024-02-02"]
    done = company.book.import_history("signups", write(company, text), dates="mdy", dry_run=True)
    assert list(map(str, done.days)) == ["2024-01-02", "2024-02-02"]


def test_one_line_that_can_be_read_in_one_way_only_decides_for_all():
    column = {2: "01/02/2024", 3: "13/02/2024"}
    assert days_of(column).values == {2: date(2024, 2, 1), 3: date(2024, 2, 13)}
    column = {2: "01/02/2024", 3: "02/13/2024", 4: "03/14/2024", 5: "15/03/2024"}
    found = days_of(column)
    assert found.values[2] == date(2024, 1, 2)
    assert found.wrong == {5: "'15/03/2024' has day and month the other way round than other lines"}


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("2024-01-31", "2024-01-31"), ("2024/01/31", "2024-01-31"), ("20240131", "2024-01-31"),
        ("31.01.2024", "2024-01-31"), ("1.2.2024", "2024-02-01"), ("2024-01-31T00:00:00Z", "2024-01-31"),
        ("2024-01-31 00:00", "2024-01-31"), ("45322", "2024-01-31"), (45322.0, "2024-01-31"),
    ],
)  # fmt: skip
def test_days_are_read_as_they_are_written(written, day):
    assert days_of({2: written}).values == {2: date.fromisoformat(day)}


@pytest.mark.parametrize(
    "written", ["2024-01-31 13:00", "31.01.24", "2024-13-01", "January", "2024-01", "1/2", 12.0, 45322.5, None]
)
def test_what_is_no_day_is_refused(written):
    assert list(days_of({2: written}).wrong) == [2]


@pytest.mark.parametrize(
    ("column", "numbers"),
    [
        (["1.234,56", "7"], ["1234.56", "7"]),
        (["1,234.56", "7,000"], ["1234.56", "7000"]),
        (["12,5"], ["12.5"]),
        (["1 234 567"], ["1234567"]),
        (["1'234.5"], ["1234.5"]),
        (["1.234.567"], ["1234567"]),
        (["€ 12.50", "-3"], ["12.50", "-3"]),
        (["12,50 EUR", "1.000"], ["12.50", "1000"]),
        (["−7"], ["-7"]),
        (["0,125"], ["0.125"]),
        ([0.1], ["0.1"]),
        ([0.1 + 0.2, 1e6], ["0.3", "1000000"]),
        (["1234,567"], ["1234.567"]),
    ],
)
def test_numbers_are_read_as_they_are_written(column, numbers):
    found = numbers_of(dict(enumerate(column)))
    assert list(found.values.values()) == [Decimal(n) for n in numbers]
    assert not found.wrong


def test_a_number_that_can_be_read_in_two_ways_is_refused_with_what_to_say(company):
    text = 'day,value\n2024-01-01,"1,234"\n'
    assert "--decimal , or --decimal ." in problems(company, text)["line 2"]
    company.book.import_history("signups", write(company, text), decimal=".")
    assert company.ask("signups", to="2024-01-01") == {"2024-01-01": 1234}


@pytest.mark.parametrize("written", ["", "n/a", "1.2.3,4,5", "12%", "1e5", "12..5", "1.23,4"])
def test_what_is_no_number_is_refused(written):
    assert list(numbers_of({2: written}).wrong) == [2]


@given(
    numbers=st.lists(st.decimals(-(10**9), 10**9, places=2), min_size=1),
    style=st.sampled_from([",.", ".,", " ,", "'."]),
)
def test_numbers_of_one_style_with_cents_are_read_back(numbers, style):
    group, point = style
    written = {n: f"{x:,.2f}".replace(",", "g").replace(".", point).replace("g", group) for n, x in enumerate(numbers)}
    assert list(numbers_of(written).values.values()) == numbers


@given(
    days=st.lists(st.dates(date(1960, 1, 1), date(2090, 1, 1)), min_size=1),
    form=st.sampled_from(["%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y"]),
)
def test_days_of_one_form_are_read_back_or_refused_and_never_read_as_others(days, form):
    found = days_of({n: day.strftime(form) for n, day in enumerate(days)})
    assert all(found.values[n] == day for n, day in enumerate(days) if n in found.values)
    assert found.wrong == {} or "/" in form


def test_semicolons_tabs_and_a_mark_of_utf_8_are_read(company):
    for text in ("day;value\n2024-01-01;3\n", "day\tvalue\n2024-01-01\t3\n", "\ufeffday,value\n2024-01-01,3\n"):
        assert company.book.import_history("signups", write(company, text), dry_run=True).values == 1


def test_lines_keep_their_numbers_behind_a_text_of_several_lines(company):
    text = 'day,remark,value\n2024-01-01,"two\n\u2028lines",3\n2024-01-02,,x\n'
    assert list(problems(company, text)) == ["line 4"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"day,value\n2024-01-01,\xe4\n", "not in UTF-8"),
        (b"", "holds nothing"),
        (b'day,value\n"2024', "quotation mark"),
    ],
)
def test_a_file_that_is_no_table_is_told_as_such(company, data, words):
    path = company.folder / "broken.csv"
    path.write_bytes(data)
    with pytest.raises(tallybook.QueryError) as told:
        company.book.import_history("signups", path)
    assert words in str(told.value)


def test_a_workbook_is_read_with_its_days_numbers_and_sheets(company):
    book = openpyxl.Workbook()
    book.active.title = "Cover"
    sheet = book.create_sheet("Daily")
    sheet.append(["Datum", "Tarif", "Anmeldungen"])
    sheet.append([datetime(2024, 1, 1), "pro", 3])
    sheet.append([date(2024, 1, 2), "pro", 4.0])
    sheet.append(["03.01.2024", None, "5"])
    path = company.folder / "history.xlsx"
    book.save(path)
    how = {"day": "datum", "value": "anmeldungen", "dims": "plan=Tarif"}
    with pytest.raises(tallybook.QueryError, match="no sheet 'Dayly'"):
        company.book.import_history("signups", path, tab="Dayly", **how)
    done = company.book.import_history("signups", path, tab="Daily", **how)
    assert (len(done.days), done.values) == (3, 3)
    assert company.ask("signups", by=["plan"], to="2024-01-03") == {
        ("2024-01-01", "pro"): 3, ("2024-01-02", "pro"): 4, ("2024-01-03", None): 5,
    }  # fmt: skip


def test_a_workbook_that_counts_from_1904_is_read_so(company):
    book = openpyxl.Workbook()
    book.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    book.active.append(["day", "value"])
    book.active.append([date(2024, 1, 1), 3])
    book.save(company.folder / "mac.xlsx")
    done = company.book.import_history("signups", company.folder / "mac.xlsx", dry_run=True)
    assert list(map(str, done.days)) == ["2024-01-01"]


# -------------------------------------------------------------------------------------------------- the judge


@given(
    values=st.dictionaries(st.integers(0, 40), st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1),
    scope=st.sampled_from(["day", "week", "month", "all"]), by=st.sampled_from([[], ["plan"]]),
)  # fmt: skip
def test_imported_periods_are_the_plain_sums_of_the_file(values, scope, by, tmp_path_factory):
    """Against the rows of the file, added day by day."""
    folder = tmp_path_factory.mktemp("judged")
    made = Project(folder, f"sqlite:///{folder}/app.db", now="2024-03-06T06:00")
    made.table("users (id int, created_at timestamp, plan varchar(9), n int)")
    made.declare(METRICS)
    lines = [
        (date(2024, 1, 1) + timedelta(days=n), plan, v)
        for n, two in values.items()
        for plan, v in zip(("pro", "team"), two, strict=True)
    ]
    out = io.StringIO()
    csv.writer(out).writerows([("day", "plan", "value"), *lines])
    made.book.import_history("signups", write(made, out.getvalue()))
    expected: dict[Any, int] = {}
    first = min(day for day, *_ in lines)
    for day, plan, value in lines:
        start = {"day": day, "week": day - timedelta(days=day.weekday()), "month": day.replace(day=1), "all": first}[
            scope
        ]
        key = (str(start), plan) if by else str(start)
        expected[key] = expected.get(key, 0) + value
    last = max(day for day, *_ in lines)
    found = {key: v for key, v in made.ask("signups", scope=scope, by=by, to=last).items() if v is not None}
    assert found == expected
    made.close()


# ------------------------------------------------------------------------------------------------ the command


def test_the_command_imports_compares_and_says_what_it_did(company):
    path = str(write(company, daily("2024-01-01", *[3] * 31)))
    assert "31 days of signups, 2024-01-01 to 2024-01-31, 31 values" in said(
        company, "import", "signups", path, "--dry-run"
    )
    text = said(company, "import", "signups", path)
    assert "31 new days; the book is at version 2." in text
    assert "stored already" in said(company, "import", "signups", path)
    shown = said(company, "query", "signups", "--scope", "month", "--to", "2024-01-31")
    assert "93‡" in shown
    assert "‡ signups: imported, not collected" in shown
    both = str(write(company, daily("2024-02-11", 2, 5)))
    assert "2 days compared with collected days: 1 value differs." in said(
        company, "import", "signups", both, "--check", code=1
    )
    found = json.loads(said(company, "import", "signups", both, "--check", "--format", "json", code=1))
    assert found["differences"] == [{"day": "2024-02-12", "series": {}, "imported": "5", "collected": 2}]
    assert "no.csv cannot be read: No such file" in said(company, "import", "signups", "no.csv", code=2)


def test_what_was_imported_survives_as_a_book_that_is_well(company):
    january(company)
    company.book.compact()
    assert company.book.doctor() == []
    with closing(sqlite3.connect(company.folder / "book" / "ledger.sqlite")) as ledger:
        assert ledger.execute("select sum(day_count) from coverage where definition like 'imported-%'").fetchone() == (
            41,
        )


def test_a_worksheet_of_google_is_read_by_its_address(company, monkeypatch):
    with Emulator() as google:
        user = google.authorized_user()
        for name, variable in NAMES.items():
            monkeypatch.setenv(variable, user[name])
        monkeypatch.setenv("TALLYBOOK_GOOGLE_API", google.url)
        document = google.create("Metrics")
        person = google.person(document)
        number = person.add_tab("Old")
        person.type_rows("Old!A1", [["day", "plan", "value"], ["2024-01-01", "pro", 3], ["2024-01-02", "", "=1+3"]])
        person.type_rows("Old!A5", [["2024-01-03", "pro", "=1/0"]])
        company.close()
        address = f"https://docs.google.com/spreadsheets/d/{document}/edit#gid={number}"
        with pytest.raises(tallybook.DeclarationError) as told:
            company.book.import_history("signups", address)
        assert [problem.path for problem in told.value.problems] == ["line 5"]
        person.clear("Old!A5:C5")
        company.book.import_history("signups", address)
        assert company.ask("signups", by=["plan"], to="2024-01-02") == {
            ("2024-01-01", "pro"): 3, ("2024-01-02", None): 4,
        }  # fmt: skip
        assert company.book.import_history("signups", document_link(document), tab="Old").version == 0
        assert google.mistakes == []


def test_killed_at_any_step_and_imported_again_it_is_all_there(company, seed, soak):
    path = str(write(company, daily("2024-01-01", *range(41))))
    company.close()
    before = shutil.copytree(company.folder, company.folder.with_name("before"))
    how = {"now": "2024-03-06T07:00", "metric": "signups", "file": path}
    with Driver() as driver:
        whole = driver.do(company.folder, "import", **how)
        assert whole["said"] == {"new": 41}
        expected = company.ask("signups")
        chosen = range(1, whole["steps"] + 1)
        for step in chosen if soak else random.Random(seed).sample(chosen, 2):
            company.close()
            shutil.rmtree(company.folder)
            shutil.copytree(before, company.folder)
            assert driver.do(company.folder, "import", at=step, **how)["exit"] is None
            assert driver.do(company.folder, "import", **how)["exit"] == 0
            assert company.ask("signups") == expected, f"killed at step {step}"
            assert company.book.doctor() == []


# ------------------------------------------------------------------------------------- the seam between both histories


@pytest.mark.parametrize(
    ("first", "last", "refused"),
    [
        ("2024-02-09", "2024-02-10", False), ("2024-02-10", "2024-02-11", True), ("2024-02-11", "2024-02-12", False),
        ("2024-01-01", "2024-02-11", True),
    ],
)  # fmt: skip
def test_the_top_of_days_of_both_histories_is_refused_from_the_first_collected_day_on(company, first, last, refused):
    text = "day,plan,value\n" + "".join(f"{date(2024, 1, 1) + timedelta(days=n)},pro,3\n" for n in range(41))
    company.book.import_history("signups", write(company, text))
    asked = {"by": ["plan"], "top": 1, "from_": first, "to": last, "scope": "all"}
    if refused:
        with pytest.raises(tallybook.Refused, match="which series of 'signups' are the largest"):
            company.rows("signups", **asked)
    else:
        assert company.rows("signups", **asked)[0]["signups"] in (6, 2)


@pytest.mark.parametrize(
    ("first", "last", "total"),
    [
        ("2024-02-09", "2024-02-10", 6), ("2024-02-10", "2024-02-10", 3), ("2024-02-10", "2024-02-11", None),
        ("2024-02-11", "2024-02-11", 2), ("2024-02-11", "2024-02-12", 4),
    ],
)  # fmt: skip
def test_a_period_that_ends_on_the_first_collected_day_is_of_both_histories(company, first, last, total):
    january(company)
    assert company.ask("signups", scope="all", from_=first, to=last) == {first: total}


def test_the_change_of_a_level_over_the_seam_is_that_of_the_collected_days(company):
    """The day before the period was imported, so what changed since is not known; nor is it 'imported'."""
    january(company, "mrr", 500)
    for first, last in (("2024-02-10", "2024-02-12"), ("2024-02-01", "2024-02-29")):
        (row,) = company.rows("mrr", show="change", scope="all", from_=first, to=last)
        assert row["mrr"] is None
        assert row["notes"]["mrr"]["why"].endswith("the day before, was not collected")
        assert "no value is made of both" not in row["notes"]["mrr"]["why"]
    (row,) = company.rows("mrr", show="change", scope="all", from_="2024-02-12", to="2024-02-13")
    assert row["mrr"] == 40, "two more rows of 10 a day"


def test_the_line_that_collects_missing_days_leaves_imported_ones_out(company):
    company.book.import_history("signups", write(company, daily("2024-01-01", *[3] * 31)))
    company.at("2024-04-02T06:00")
    company.run(from_="2024-03-01", to="2024-03-31")
    rows = company.rows("signups", scope="month", compare="previous", from_="2024-01-01", to="2024-02-29")
    assert rows[1]["signups_previous"] == 93
    assert rows[0]["notes"]["signups_previous"]["why"] == (
        "not collected: tallybook run signups --from 2023-12-01 --to 2023-12-31"
    )
