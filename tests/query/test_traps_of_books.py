"""Traps of books: metrics made of metrics, definitions, days that are over, and what was known when.

Each wrong number is acted out on a real database, beside the right one."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from decimal import Decimal

import pytest

import tallybook
from tallybook.core.errors import SourceUnavailable
from tests.projects import Project, project, sampled_everywhere
from tests.trap_tables import VISITS, days, events, refused

__all__ = ["project"]


# ---------------------------------------------------------------------------- metrics made of other metrics


SHOP = """
    [metrics.revenue]
    table = "orders"
    time = "day"
    measure = "sum(amount)"
    by = ["plan", "country"]

    [metrics.buyers]
    table = "orders"
    time = "day"
    measure = "count(distinct user_id)"
    by = ["plan"]

    [metrics.revenue_per_buyer]
    measure = "revenue / buyers"
"""


def shop(project: Project) -> Project:
    project.table("orders (day date, plan varchar(10), country varchar(10), user_id int, amount int)", [
        ("2024-01-01", "pro", "DE", 1, 100), ("2024-01-02", "pro", "DE", 1, 50), ("2024-01-02", "free", "FR", 2, 10),
        ("2024-01-03", "pro", "FR", 1, 20), ("2024-01-04", "pro", "FR", 3, 30),
    ])  # fmt: skip
    project.declare(SHOP)
    return project


def test_a_ratio_is_taken_over_the_days_that_both_sides_cover(project):
    found = shop(project(now="2024-01-08T12:00"))
    found.run("revenue", from_="2024-01-01", to="2024-01-07")
    found.run("buyers", from_="2024-01-02", to="2024-01-03")
    (row,) = found.rows("revenue_per_buyer", scope="week", from_="2024-01-01", to="2024-01-07")
    assert row["revenue_per_buyer"] == (50 + 10 + 20) / 2, "not (100 + 50 + 10 + 20 + 30) / 2"
    assert (row["days"], row["complete"]) == (2, False)
    both = found.rows("revenue", "revenue_per_buyer", scope="week", from_="2024-01-01", to="2024-01-07")
    assert (both[0]["revenue"], both[0]["revenue_per_buyer"]) == (210, 40)


def test_a_ratio_of_a_week_is_of_its_sums_and_its_distinct_buyers(project):
    found = shop(project(now="2024-01-08T12:00"))
    found.run()
    assert found.both("revenue_per_buyer", scope="week", from_="2024-01-01", to="2024-01-07") == {"2024-01-01": 70}
    assert found.both("revenue_per_buyer", scope="week", by=["plan"], from_="2024-01-01", to="2024-01-07") == {
        ("2024-01-01", "free"): 10,
        ("2024-01-01", "pro"): 100,
    }
    why = refused(found, "revenue_per_buyer", by=["country"])
    assert "buyers" in why.why
    assert "revenue" not in why.why.replace("revenue_per_buyer", "")
    assert "buyers" in refused(found, "revenue_per_buyer", where=["country=DE"]).why
    refused(found, "revenue_per_buyer", scope="week", show="average")


def test_each_metric_of_a_ratio_is_rolled_up_by_the_show_that_is_spelled(project):
    found = project(now="2024-01-08T12:00")
    found.table(
        "daily_mrr (day date, mrr int)",
        [(day, 10 * n) for n, day in enumerate(days("2024-01-01", "2024-01-07"))],
    )
    found.table("visits (day date, user_id int)", [("2024-01-01", 1), ("2024-01-05", 2)])
    found.declare("""
        [metrics.mrr]
        kind = "level"
        table = "daily_mrr"
        time = "day"
        measure = "sum(mrr)"

        [metrics.users]
        table = "visits"
        time = "day"
        measure = "count(distinct user_id)"

        [metrics.last_by_user]
        measure = "mrr / users"

        [metrics.mean_by_user]
        measure = "average(mrr) / users"
    """)
    found.run()
    week = {"scope": "week", "from_": "2024-01-01", "to": "2024-01-07"}
    assert found.both("last_by_user", **week) == {"2024-01-01": 30}
    assert found.both("mean_by_user", **week) == {"2024-01-01": 15}


# -------------------------------------------------------------------------------- what a number means


PAID = """
    [metrics.paid]
    table = "invoices"
    time = "day"
    where = "status = 'paid'"
    measure = "count(*)"
    by = ["plan", "country"]
"""


def invoices(project: Project) -> Project:
    rows = [(d, s, "pro", "DE") for d in days("2024-01-01", "2024-01-12") for s in ("paid", "settled")]
    project.table("invoices (day date, status varchar(10), plan varchar(10), country varchar(10))", rows)
    project.declare(PAID)
    project.run()
    return project


def test_a_new_definition_does_not_continue_the_old_numbers(project):
    found = invoices(project(now="2024-01-11T12:00"))
    (old,) = (m.definition for m in found.book.metrics())
    found.declare(PAID.replace("status = 'paid'", "status in ('paid', 'settled')"))
    report = found.at("2024-01-12T12:00").run()
    assert list(found.ask("paid", from_="2024-01-07", to="2024-01-11").values()) == [None, None, 2, 2, 2]
    (row,) = found.rows("paid", scope="week", from_="2024-01-01", to="2024-01-07")
    assert (row["paid"], row["days"]) == (None, 0)
    notes = " ".join(note for metric in report.metrics for note in metric.notes)
    assert "8 days" in notes
    assert "tallybook run paid --from 2024-01-01 --to 2024-01-08" in notes
    assert list(found.ask("paid", definition=old, from_="2024-01-09", to="2024-01-11").values()) == [
        1,
        1,
        None,
    ]
    found.run("paid", from_="2024-01-01", to="2024-01-08")  # the line, pasted
    assert found.ask("paid", scope="week", from_="2024-01-01", to="2024-01-07") == {"2024-01-01": 14}
    assert found.ask("paid", scope="week", definition=old, from_="2024-01-01", to="2024-01-07") == {"2024-01-01": 7}


def test_a_title_a_unit_and_the_order_of_by_are_no_part_of_a_definition(project):
    found = invoices(project(now="2024-01-11T12:00"))
    (old,) = (m.definition for m in found.book.metrics())
    reordered = PAID.replace('["plan", "country"]', '["country", "plan"]').replace("count(*)", "COUNT( * )")
    found.declare(reordered + '    title = "Paid"\n    unit = "invoices"\n')
    assert [m.definition for m in found.book.metrics()] == [old]
    assert found.ask("paid", scope="week", by=["plan"], to="2024-01-07") == {("2024-01-01", "pro"): 7}


def test_more_series_than_max_series_are_refused_with_their_number(project):
    found = project()
    found.table("m (day date, user_id int)", [("2024-01-01", n) for n in range(4)] + [("2024-01-02", 1)])
    found.declare("""
        [metrics.by_user]
        table = "m"
        time = "day"
        measure = "count(*)"
        by = ["user_id"]
        max_series = 3

        [metrics.all_users]
        table = "m"
        time = "day"
        measure = "count(*)"
    """)
    report = found.book.run()
    (failed,) = report.failed
    assert failed.metric == "by_user"
    assert "4 series on 2024-01-01" in failed.error
    assert "max_series" in failed.hint
    assert found.ask("by_user", from_="2024-01-01", to="2024-01-01") == {"2024-01-01": None}
    assert found.ask("all_users", from_="2024-01-01", to="2024-01-01") == {"2024-01-01": 4}


# ----------------------------------------------------------------------------------- which days are over


def test_a_day_that_is_not_over_is_refused_except_live(project):
    found = project(now="2024-01-11T12:00")
    found.table("visits (day date, plan varchar(10))", [(d, "pro") for d in days("2024-01-01", "2024-01-11")])
    found.declare(VISITS)
    with pytest.raises(tallybook.Refused) as why:
        found.book.run(to="2024-01-11")
    assert "2024-01-11" in why.value.why
    assert "--to 2024-01-10" in why.value.ask
    found.run()
    assert found.ask("visits", from_="2024-01-10", to="2024-01-11") == {"2024-01-10": 1, "2024-01-11": None}
    running, *_ = found.rows("visits", live=True, from_="2024-01-11", to="2024-01-11")
    assert (running["visits"], running["complete"]) == (1, False)


def test_the_running_day_of_the_book_s_zone_is_not_that_of_utc(project):
    found = project(now="2024-01-11T23:30")  # 12 January in Berlin
    found.table("visits (day date, plan varchar(10))", [(d, "pro") for d in days("2024-01-01", "2024-01-12")])
    found.declare(VISITS, timezone="Europe/Berlin")
    found.run()
    assert found.ask("visits", from_="2024-01-11", to="2024-01-12") == {"2024-01-11": 1, "2024-01-12": None}


def test_a_copy_without_its_age_covers_nothing(project):
    found = project(now="2024-01-11T12:00")
    found.table("visits (day date, plan varchar(10))", [(d, "pro") for d in days("2024-01-01", "2024-01-04")])
    found.declare(VISITS)
    with pytest.raises(SourceUnavailable) as why:
        found.book.run(sources={"app": found.url})
    assert why.value.exit_code == 4
    assert "--source-as-of" in why.value.hint
    assert set(found.ask("visits", from_="2024-01-01", to="2024-01-10").values()) == {None}
    found.run(sources={"app": found.url}, source_as_of=datetime(2024, 1, 5, 4, tzinfo=UTC))
    assert list(found.ask("visits", from_="2024-01-03", to="2024-01-06").values()) == [1, 1, None, None]


@sampled_everywhere
def test_a_source_that_is_behind_leaves_its_days_uncovered(project, kind):
    found = project(kind, now="2024-01-11T12:00")
    found.table("visits (day date, plan varchar(10))", [(d, "pro") for d in days("2024-01-01", "2024-01-08")])
    found.table(f"heartbeat (seen_at {'text' if kind == 'sqlite' else 'timestamptz'})")
    found.declare(VISITS, source='fresh = "select max(seen_at) from heartbeat"')
    report = found.run()
    assert report.exit_code == 4, "no heartbeat: nothing is known"
    offset = "" if kind == "mariadb" else "+00:00"
    found.insert("heartbeat", [("2024-01-07 03:00:00" + offset,), ("2024-01-08 03:00:00" + offset,)])
    report = found.run()
    assert any("2024-01-08 03:00" in note for note in report.metrics[0].notes)
    assert list(found.ask("visits", from_="2024-01-06", to="2024-01-09").values()) == [1, 1, None, None]
    assert found.run().exit_code in (0, 4)
    assert list(found.ask("visits", from_="2024-01-06", to="2024-01-09").values()) == [1, 1, None, None]


# ------------------------------------------------------------------------------- what was believed when


def test_a_late_row_changes_the_lookback_and_live_says_what_else_has_changed(project):
    found = project(now="2024-01-11T12:00")
    found.table("visits (day date, plan varchar(10))", [(d, "pro") for d in days("2024-01-01", "2024-01-11")])
    found.declare(VISITS)
    found.run()
    found.insert("visits", [("2024-01-02", "late"), ("2024-01-10", "late")])
    found.at("2024-01-12T12:00").run()
    question = {"scope": "all", "from_": "2024-01-01", "to": "2024-01-10"}
    assert found.ask("visits", **question) == {"2024-01-01": 11}
    assert found.ask("visits", as_of="2024-01-11", **question) == {"2024-01-01": 10}, "as it was believed then"
    (live,) = found.rows("visits", live=True, **question)
    assert live["visits"] == 12
    assert live["notes"]["visits"]["stored"] == 11
    found.run(from_="2024-01-02", to="2024-01-02")
    assert found.both("visits", **question) == {"2024-01-01": 12}


def test_a_day_collected_again_replaces_what_it_was_and_adds_nothing(project):
    found = events(project())
    before = found.rows("events", scope="week", by=["user_id"], totals=True)
    found.run()
    found.run(from_="2024-01-01", to="2024-02-29")
    assert found.rows("events", scope="week", by=["user_id"], totals=True) == before
    found.execute("delete from events where user_id = 3")
    found.run(from_="2024-01-01", to="2024-02-29")
    assert found.both("users", scope="all", from_="2024-01-01", to="2024-02-29") == {"2024-01-01": 2}
    assert found.both("events", by=["user_id"], from_="2024-01-31", to="2024-02-01") == {("2024-02-01", "1"): 1}


def test_the_order_of_rows_does_not_matter_to_the_last_digit(project):
    values = [Decimal(n) / 100 for n in range(-500, 5000, 7)]
    sums = set()
    for seed in range(3):
        found = project("duckdb")
        random.Random(seed).shuffle(values)
        found.table(
            "paid (day date, amount decimal(12, 2))",
            [(f"2024-01-0{1 + n % 9}", v) for n, v in enumerate(values)],
        )
        found.declare('[metrics.revenue]\ntable = "paid"\ntime = "day"\nmeasure = "sum(amount)"\n')
        found.run()
        sums.add(found.ask("revenue", scope="month", to="2024-01-31")["2024-01-01"])
    assert sums == {sum(values)}


def test_a_refund_in_march_of_an_order_of_january_is_missed_by_every_lookback(project):
    found = project(now="2024-02-01T06:00")
    found.table(
        "orders (id int, paid_at timestamp, status varchar(10), amount int, updated_at timestamp)",
        [
            (1, "2024-01-10 12:00:00", "paid", 100, "2024-01-10 12:00:00"),
            (2, "2024-01-20 12:00:00", "paid", 10, "2024-01-20 12:00:00"),
        ],
    )
    kept = (
        '[metrics.{}]\ntable = "orders"\ntime = "paid_at"\nwhere = "status = \'paid\'"\nmeasure = "sum(amount)"\n{}\n'
    )
    found.declare(kept.format("believed", "") + kept.format("followed", 'changed = "updated_at"'))
    found.run()
    found.execute("update orders set status = 'refunded', updated_at = '2024-03-04 09:00:00' where id = 1")
    found.at("2024-03-05T06:00").run()
    january = {"scope": "month", "to": "2024-01-31"}
    assert found.ask("followed", **january) == {"2024-01-01": 10}
    assert found.ask("believed", **january) == {"2024-01-01": 110}, "what was believed when it was collected"
    assert found.book.audit("believed", sample=1000).lines == [
        "tallybook run believed --from 2024-01-10 --to 2024-01-10"
    ], "and audit says so"


def test_a_month_that_two_tools_counted_has_no_total(project):
    """The old tool counted sign-ups before they were confirmed: 310 in March, and ours 155."""
    found = project(now="2024-04-02T06:00")
    found.table("users (at_ date)", [(day,) for day in days("2024-03-01", "2024-04-01") for _ in range(5)])
    users = '[metrics.users]\ntable = "users"\ntime = "at_"\nmeasure = "count(*)"\nhistory = "imported"\n'
    found.declare(users, start="2024-03-16")
    found.run()
    old = found.folder / "old.csv"
    old.write_text("day,value\n" + "".join(f"{day},10\n" for day in days("2024-02-01", "2024-03-31")))
    found.book.import_history("users", old)
    months = {"2024-02-01": 290, "2024-03-01": None, "2024-04-01": 5}
    assert found.ask("users", scope="month") == months, "and March is not 15 × 10 + 16 × 5"
    found.run(from_="2024-03-01")
    assert found.ask("users", scope="month") == {**months, "2024-03-01": 155}
