"""Everything behind one number, and which days there are: `tallybook why` and `tallybook coverage`."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from tallybook.cli import invoke
from tests.projects import Project

PAYMENTS = [
    # paid_at, plan, amount in cents
    ("2024-03-01 10:00:00", "pro", 1000),
    ("2024-03-02 10:00:00", "pro", 2000),
    ("2024-03-02 11:00:00", "free", 5),
    ("2024-03-04 09:00:00", "pro", 700),
]
REVENUE = """
    [metrics.revenue]
    table = "payments"
    time = "paid_at"
    measure = "sum(cents)"
    by = ["plan"]
    unit = "cents"
    lookback = "5d"

    [metrics.payers]
    sql = "select p.paid_at, c.country from payments p join countries c on c.plan = p.plan"
    time = "paid_at"
    measure = "count(*)"
    by = ["country"]

    [metrics.revenue_per_payer]
    measure = "revenue / payers"
"""


def said(project: Project, *argv: str, code: int = 0) -> str:
    """What the command prints on stdout."""
    project.close()
    out, err = StringIO(), StringIO()
    ended = invoke([*argv, "--project", str(project.folder)], now=lambda: project.now, stdout=out, stderr=err, env={})
    assert ended == code, out.getvalue() + err.getvalue()
    return out.getvalue() or err.getvalue()


def told(project: Project, *argv: str) -> Any:
    return json.loads(said(project, *argv, "--format", "json"))


def source_rows(project: Project, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(project.url.removeprefix("sqlite:///"))) as db:
        return db.execute(sql).fetchall()


@pytest.fixture
def paid(tmp_path: Path, make_database: Any) -> Project:
    """A project of payments, collected on 5 March."""
    project = Project(tmp_path / "project", make_database("sqlite"), now="2024-03-05T12:00")
    project.table("payments (paid_at text, plan text, cents integer)", PAYMENTS)
    project.table("countries (plan text, country text)", [("pro", "DE"), ("free", "FR")])
    project.declare(REVENUE, start="2024-03-01")
    project.run()
    return project


# ------------------------------------------------------------------------------------------------------- why


def test_why_tells_the_value_the_run_and_how_many_facts_it_stands_on(paid: Project) -> None:
    behind = told(paid, "why", "revenue", "2024-03-02")
    [(cents, facts, plans)] = source_rows(
        paid, "select sum(cents), count(*), count(distinct plan) from payments where paid_at like '2024-03-02%'"
    )
    (row,), (one,) = behind["rows"], behind["behind"]
    assert row["revenue"] == cents
    assert one["points"] == {"facts": facts, "series": plans}
    assert one["run"]["run"] == 1
    assert one["run"]["started"].startswith("2024-03-05T12:00")
    assert one["coverage"]["covered"]
    assert one["revisions"] == []


def test_why_shows_the_statement_that_asks_the_source_for_that_very_day(paid: Project) -> None:
    (one,) = told(paid, "why", "revenue", "2024-03-02")["behind"]
    (statement,) = one["statements"]
    answered = source_rows(paid, statement["sql"])
    assert sorted(row[1] for row in answered) == ["free", "pro"]
    assert "2024-03-02" in statement["sql"]


def test_why_tells_what_a_day_was_before_it_was_revised(paid: Project) -> None:
    paid.execute("update payments set cents = 2500 where cents = 2000")
    paid.at("2024-03-05T18:00").run()
    (one,) = told(paid, "why", "revenue", "2024-03-02")["behind"]
    (revision,) = one["revisions"]
    assert (revision["old"], revision["new"]) == ("2000", "2500")
    assert revision["series"] == {"plan": "pro"}
    assert revision["run"] == 2
    assert one["run"]["run"] == 2
    assert "2000 → 2500  plan=pro  (2024-03-05 18:00 UTC, run 2)" in said(paid, "why", "revenue", "2024-03-02")


def test_why_of_one_series_leaves_out_the_revisions_of_others(paid: Project) -> None:
    paid.execute("update payments set cents = 2500 where cents = 2000")
    paid.at("2024-03-05T18:00").run()
    free = told(paid, "why", "revenue", "2024-03-02", "--where", "plan=free")
    assert [row["revenue"] for row in free["rows"]] == [5]
    assert free["behind"][0]["revisions"] == []


def test_a_definition_says_what_it_hashes(paid: Project) -> None:
    (one,) = told(paid, "why", "revenue", "2024-03-02")["behind"]
    assert one["definition"]["hashes"] == {
        "kind": "flow", "source": "app", "table": "payments", "time": "paid_at", "measure": "sum(cents)",
        "by": ["plan"], "timezone": "UTC", "source says": {"slot.0": "integer", "time.paid_at": "naive UTC"},
    }  # fmt: skip


def test_a_day_that_is_not_collected_is_told_with_the_line_that_collects_it(paid: Project) -> None:
    text = said(paid, "why", "revenue", "2024-02-20")
    assert "revenue on 2024-02-20: –" in text
    assert "tallybook run revenue --from 2024-02-20 --to 2024-02-20" in text


def test_a_day_that_is_not_over_has_no_line_that_collects_it(paid: Project) -> None:
    assert "not collected: the day is not over yet" in said(paid, "why", "revenue", "today")


def test_a_day_known_only_under_an_older_definition_names_it(paid: Project) -> None:
    old = paid.book.metric("revenue").definition
    paid.declare(REVENUE.replace("sum(cents)", "sum(cents) / 100"), start="2024-03-01")
    (one,) = told(paid, "why", "revenue", "2024-03-01")["behind"]
    assert one["coverage"] == {
        "covered": False,
        "since_version": None,
        "snapshot_taken": None,
        "under_other_definitions": [old],
        "collect": "tallybook run revenue --from 2024-03-01 --to 2024-03-01",
    }
    assert f"--definition {old}" in said(paid, "why", "revenue", "2024-03-01")


def test_joins_and_the_two_steps_of_a_measure_are_told(paid: Project) -> None:
    """Of two invoices of one customer and two days the series is one."""
    paid.table("buyers (id integer primary key, country text)", [(1, "DE"), (2, "AT")])
    paid.table("orders (at text, buyer integer)", [("2024-03-01 10:00:00", n) for n in (1, 1, 2)])
    paid.declare("""
        [metrics.orders]
        table = "orders"
        join = "buyers on buyers.id = buyer"
        time = "at"
        measure = "count(*)"
        by = ["country"]
        per = "buyer"
        then = "max"
    """, start="2024-03-01")  # fmt: skip
    paid.run()
    (one,) = told(paid, "why", "orders", "2024-03-01")["behind"]
    hashes = one["definition"]["hashes"]
    assert (hashes["join"], hashes["by"], hashes["per"], hashes["then"]) == (
        ["buyers on buyers.id = buyer"], ["country"], "buyer", "max",
    )  # fmt: skip
    assert (one["points"]["facts"], one["points"]["series"]) == (3, 2)


def test_a_derived_metric_is_followed_to_the_columns_of_all_it_is_made_of(paid: Project) -> None:
    made_of = told(paid, "why", "revenue_per_payer")["lineage"]["made_of"]
    assert [tree["metric"] for tree in made_of] == ["revenue", "payers"]
    assert made_of[0]["tables"] == {"payments": ["cents", "paid_at", "plan"]}
    assert made_of[1]["tables"] == {"countries": ["country", "plan"], "payments": ["paid_at", "plan"]}
    assert told(paid, "why", "payers")["used_by"] == ["revenue_per_payer"]


def test_why_of_a_derived_metric_tells_of_every_operand(paid: Project) -> None:
    behind = told(paid, "why", "revenue_per_payer", "2024-03-02")
    assert behind["rows"][0]["revenue_per_payer"] == 2005 / 2
    assert [one["metric"] for one in behind["behind"]] == ["revenue", "payers"]


def test_a_source_that_cannot_be_reached_is_told_and_the_book_still_answers(paid: Project) -> None:
    Path(paid.url.removeprefix("sqlite:///")).unlink()
    behind = told(paid, "why", "revenue", "2024-03-02")
    assert behind["rows"][0]["revenue"] == 2005
    assert behind["behind"][0]["statements"] == []
    assert behind["behind"][0]["unasked"]


def test_why_without_a_book_makes_none(tmp_path: Path, make_database: Any) -> None:
    project = Project(tmp_path / "project", make_database("sqlite"))
    project.table("payments (paid_at text, plan text, cents integer)")
    project.table("countries (plan text, country text)")
    project.declare(REVENUE)
    assert "never collected" in said(project, "why", "revenue", "2024-03-01")
    assert not (project.folder / "book").exists()


def test_a_snapshot_tells_when_it_was_taken(tmp_path: Path, make_database: Any) -> None:
    project = Project(tmp_path / "project", make_database("sqlite"), now="2024-03-05T01:30")
    project.table("tickets (id integer)", [(1,), (2,)])
    project.declare("""
        [metrics.tickets]
        kind = "level"
        table = "tickets"
        measure = "count(*)"
    """)
    project.run()
    behind = told(project, "why", "tickets", "2024-03-04")
    assert behind["rows"][0]["tickets"] == 2
    assert behind["behind"][0]["coverage"]["snapshot_taken"] == "2024-03-05T01:30:00Z"


# -------------------------------------------------------------------------------------------------- coverage


def test_coverage_shows_a_sign_a_day_and_names_gaps_with_the_line_that_collects_them(paid: Project) -> None:
    paid.declare(REVENUE, start="2024-02-28")
    text = said(paid, "coverage", "revenue")
    assert "revenue  4 of 6 days, 2024-02-28 to 2024-03-04" in text
    assert "  2024-02                             ··\n" in text
    assert "  2024-03  ■■■■\n" in text
    assert "gap 2024-02-28 to 2024-02-29 (2 days): tallybook run revenue --from 2024-02-28 --to 2024-02-29" in text


def test_the_line_of_a_gap_closes_it(paid: Project) -> None:
    paid.declare(REVENUE, start="2024-02-28")
    (calendar,) = told(paid, "coverage", "revenue")
    said(paid, *calendar["gaps"][0]["collect"].split()[1:], "--quiet")
    (calendar,) = told(paid, "coverage", "revenue")
    assert calendar["gaps"] == []
    assert calendar["days"] == calendar["expected"] == 6


def test_days_under_an_older_definition_are_gaps_that_say_so(paid: Project) -> None:
    old = paid.book.metric("revenue").definition
    paid.declare(REVENUE.replace("sum(cents)", "sum(cents) / 100"), start="2024-03-01")
    (calendar,) = told(paid, "coverage", "revenue")
    assert calendar["months"] == [{"month": "2024-03", "days": "oooo" + 27 * " "}]
    assert calendar["gaps"][0]["known_under"] == [old]


def test_a_derived_metric_covers_the_days_of_all_it_is_made_of(paid: Project) -> None:
    paid.declare(REVENUE, start="2024-02-28")
    paid.run("payers")
    (calendar,) = told(paid, "coverage", "revenue_per_payer")
    assert (calendar["days"], calendar["gaps"][0]["days"]) == (4, 2)


def test_nothing_collected_is_said_so(tmp_path: Path, make_database: Any) -> None:
    project = Project(tmp_path / "project", make_database("sqlite"))
    project.table("tickets (id integer)")
    project.declare(
        """
        [metrics.tickets]
        kind = "level"
        table = "tickets"
        measure = "count(*)"
        """
    )
    assert "nothing has been collected: tallybook run tickets" in said(project, "coverage")
