"""Traps of levels: intervals, snapshots, and daily aggregates that are sent again.

Each wrong number is acted out on a real database, beside the right one."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.projects import project, sampled_everywhere
from tests.trap_tables import seats

__all__ = ["project"]


# -------------------------------------------------------------------------------- levels from intervals


INTERVALS = """
    [metrics.open_rows]
    kind = "level"
    table = "subs"
    from = "since"
    until = "gone"
    measure = "count(*)"
"""


@sampled_everywhere
def test_a_row_that_ends_at_midnight_does_not_hold_at_the_end_of_that_day(project, kind):
    found = project(kind, now="2024-01-08T12:00")
    found.table("subs (id int, since timestamp, gone timestamp)", [
        (1, "2023-06-01 00:00:00", "2024-01-03 00:00:00"),  # began before the window: 1st, 2nd
        (2, "2024-01-03 00:00:00", "2024-01-05 00:00:01"),  # takes over at midnight: 3rd, 4th
        (3, "2024-01-02 10:00:00", "2024-01-02 18:00:00"),  # held within a day only: never
        (4, "2024-01-04 10:00:00", "2024-01-04 10:00:00"),  # no time at all: never
        (5, "2024-01-06 10:00:00", "2024-01-02 10:00:00"),  # ends before it begins: never, and told
        (6, "2024-01-06 23:59:59", None),  # holds on: from the 6th
        (7, "2024-01-09 00:00:00", None),  # not yet
        (8, "2023-12-31 23:59:59", "2024-01-01 23:59:59"),  # not at the end of the 1st
        (9, None, "2024-01-05 00:00:00"),  # nobody knows since when: never
    ])  # fmt: skip
    found.declare(INTERVALS)
    report = found.run()
    right = [1, 1, 1, 1, 0, 1, 1]
    assert list(found.both("open_rows", from_="2024-01-01", to="2024-01-07").values()) == right
    assert any("skipped 2 rows whose end is not after their start" in note for m in report.metrics for note in m.notes)
    for first, last in (
        ("2024-01-01", "2024-01-02"),
        ("2024-01-03", "2024-01-03"),
        ("2024-01-04", "2024-01-07"),
    ):
        found.run(from_=first, to=last)  # in windows of their own
    assert list(found.ask("open_rows", from_="2024-01-01", to="2024-01-07").values()) == right


@sampled_everywhere
def test_a_plain_until_date_is_the_first_day_gone_or_with_until_inclusive_the_last_day_there(project, kind):
    found = project(kind, now="2024-01-08T12:00")
    found.table("subs (id int, since date, gone date)", [
        (1, "2023-12-01", "2024-01-03"),
        (2, "2024-01-02", "2024-01-02"),  # one day, or none
        (3, "2024-01-05", "2024-01-04"),  # reversed either way
        (4, "2024-01-06", None),
    ])  # fmt: skip
    found.declare(INTERVALS + INTERVALS.replace("open_rows", "open_inclusive") + "    until_inclusive = true\n")
    found.run()
    question = {"from_": "2024-01-01", "to": "2024-01-07"}
    assert list(found.both("open_rows", **question).values()) == [1, 1, 0, 0, 0, 1, 1]
    assert list(found.both("open_inclusive", **question).values()) == [1, 2, 1, 0, 0, 1, 1]


@sampled_everywhere
def test_the_end_of_a_day_is_that_of_the_book_s_zone_also_when_the_clock_is_put_forward(project, kind):
    found = project(kind, now="2024-04-05T12:00")
    found.table("subs (id int, since timestamp, gone timestamp)", [
        (1, "2024-03-01 00:00:00", "2024-03-30 23:00:00"),  # midnight in Berlin: holds on the 30th
        (2, "2024-03-30 23:00:00", "2024-03-31 21:59:59"),  # to a second before the end of the 31st
        (3, "2024-03-31 21:59:59", "2024-03-31 22:00:00"),  # over that midnight, for a second
    ])  # fmt: skip
    found.declare(INTERVALS, timezone="Europe/Berlin", start="2024-03-29")
    found.run()
    assert list(found.both("open_rows", from_="2024-03-29", to="2024-04-01").values()) == [1, 1, 1, 0]


def test_rows_changed_in_place_do_not_drift_the_balance(project):
    found = project(now="2024-01-04T12:00")
    found.table("subs (id int, since timestamp, gone timestamp, mrr int)", [(1, "2024-01-01 10:00:00", None, 100)])
    found.declare("""
        [metrics.mrr]
        kind = "level"
        table = "subs"
        from = "since"
        until = "gone"
        measure = "sum(mrr)"
        lookback = "1d"
    """)
    found.run()
    found.execute("update subs set mrr = 250")  # an upgrade, written over the old row
    found.at("2024-01-06T12:00").run()
    found.execute("update subs set gone = '2024-01-06 15:00:00'")
    found.at("2024-01-09T12:00").run()
    believed = list(found.ask("mrr", from_="2024-01-01", to="2024-01-08").values())
    assert believed == [100, 100, 100, 250, 250, 0, 0, 0], "older days keep what was believed; nothing goes below 0"
    found.run(from_="2024-01-01")
    assert list(found.ask("mrr", from_="2024-01-01", to="2024-01-08").values()) == [250] * 5 + [0] * 3


@sampled_everywhere
def test_accounts_and_extremes_of_a_level_follow_what_leaves(project, kind):
    found = project(kind, now="2024-01-06T12:00")
    found.table("subs (account varchar(5), plan varchar(5), since date, gone date, mrr decimal(10, 2))", [
        ("a", "x", "2023-12-01", "2024-01-03", "10.50"),
        ("a", "x", "2024-01-02", "2024-01-05", "99.99"),  # the same account again, and the largest
        ("b", "x", "2023-12-01", None, "20.00"),
        ("b", "y", "2024-01-04", None, "5.25"),
    ])  # fmt: skip
    metric = (
        '[metrics.{}]\nkind = "level"\ntable = "subs"\nfrom = "since"\nuntil = "gone"\nmeasure = "{}"\nby = ["plan"]\n'
    )
    measures = {
        "accounts": ("count(distinct account)", [2, 2, 2, 2, 1]),
        "least": ("min(mrr)", ["10.5", "10.5", "20", "5.25", "5.25"]),
        "most": ("max(mrr)", ["20", "99.99", "99.99", "99.99", "20"]),
        "mean": ("avg(mrr)", [15.25, 130.49 / 3, 119.99 / 2, 125.24 / 3, 12.625]),
        "middle": ("median(mrr)", [15.25, 20.0, 59.995, 20.0, 12.625]),
        "mrr": ("sum(mrr)", ["30.5", "130.49", "119.99", "125.24", "25.25"]),
    }
    found.declare("".join(metric.format(name, measure) for name, (measure, _) in measures.items()))
    found.run()
    values = found.values(*measures, from_="2024-01-01", to="2024-01-05")
    for name, (_, right) in measures.items():
        exact = [Decimal(x) if isinstance(x, str) else x if isinstance(x, int) else pytest.approx(x) for x in right]
        assert values[name] == exact, name
    by_plan = found.both("accounts", by=["plan"], from_="2024-01-03", to="2024-01-05")
    assert by_plan == {
        ("2024-01-03", "x"): 2,
        ("2024-01-04", "x"): 2, ("2024-01-04", "y"): 1,
        ("2024-01-05", "x"): 1, ("2024-01-05", "y"): 1,
    }  # fmt: skip


def test_change_reaches_back_before_the_first_day_asked_for(project):
    rows = [
        ("2023-12-31", "pro", 100),
        ("2024-01-31", "pro", 130),
        ("2024-01-31", "free", 30),
        ("2024-02-29", "pro", 150),
    ]
    found = seats(project(), rows, start="2023-12-31")
    found.run()
    question = {"scope": "month", "show": "change", "from_": "2024-01-01", "to": "2024-02-29"}
    assert found.both("seats", **question) == {"2024-01-01": 60, "2024-02-01": -10}
    assert found.both("seats", by=["plan"], **question) == {
        ("2024-01-01", "free"): 30,
        ("2024-01-01", "pro"): 30,
        ("2024-02-01", "free"): -30,
        ("2024-02-01", "pro"): 20,
    }
    december, january = found.rows("seats", scope="month", show="change", from_="2023-12-01", to="2024-01-31")
    assert december["seats"] is None
    assert "2023-11-30" in december["notes"]["seats"]["why"]
    assert january["seats"] == 60


# ------------------------------------------------------------------------------------------- snapshots


def test_a_snapshot_within_12_hours_after_midnight_belongs_to_the_day_just_closed(project):
    found = project(now="2024-03-01T23:30")  # half past midnight on 2 March in Berlin
    found.table("tickets (id int, closed_at timestamp)", [(1, None), (2, None), (3, "2024-01-01 10:00:00")])
    found.declare("""
        [metrics.open_tickets]
        kind = "level"
        table = "tickets"
        where = "closed_at is null"
        measure = "count(*)"
    """, timezone="Europe/Berlin", start="2024-03-01")  # fmt: skip

    def seen(**question: Any) -> list[tuple[Any, ...]]:
        rows = found.rows("open_tickets", from_="2024-03-01", to="2024-03-03", **question)
        return [(row["open_tickets"], row.get("notes", {}).get("open_tickets", {}).get("as_of")) for row in rows]

    found.run()
    assert seen() == [(2, "2024-03-01T23:30:00Z"), (None, None), (None, None)]
    found.insert("tickets", [(4, None)])
    found.at("2024-03-02T12:00").run()  # 13:00 in Berlin: the running day
    assert seen() == [(2, "2024-03-01T23:30:00Z"), (3, "2024-03-02T12:00:00Z"), (None, None)]
    found.insert("tickets", [(5, None)])
    found.at("2024-03-02T21:00").run()
    assert seen()[1] == (4, "2024-03-02T21:00:00Z"), "replaced by a later one"
    found.insert("tickets", [(6, None)])
    found.at("2024-03-03T10:59").run()  # 11:59 in Berlin
    assert seen()[1:] == [(5, "2024-03-03T10:59:00Z"), (None, None)]
    report = found.run(from_="2024-03-01", to="2024-03-01")
    assert any("only its present" in note for note in report.metrics[0].notes)
    assert seen()[0] == (2, "2024-03-01T23:30:00Z"), "never collected again"


# --------------------------------------------------------------------------------------- daily aggregates


@sampled_everywhere
def test_a_daily_aggregate_that_is_sent_again_counts_once_160_not_260(project, kind):
    found = project(kind)
    found.table("sent (day date, received_at timestamp, account varchar(10), api varchar(10), calls int)", [
        ("2024-01-01", "2024-01-01 23:00:00", "acme", "read", 100),
        ("2024-01-01", "2024-01-01 23:00:00", "beta", "read", 50),
        ("2024-01-01", "2024-01-02 09:00:00", "acme", "read", 110),  # sent again, with late calls
        ("2024-01-02", "2024-01-02 23:00:00", "acme", "read", 7),
    ])  # fmt: skip
    found.declare("""
        [metrics.api_calls]
        table = "sent"
        time = "day"
        measure = "sum(calls)"
        daily_aggregate = true
        received = "received_at"
        series = ["account", "api"]
        by = ["api"]
    """)
    found.run()
    assert found.both("api_calls", from_="2024-01-01", to="2024-01-02") == {
        "2024-01-01": 160,
        "2024-01-02": 7,
    }
    assert found.both("api_calls", scope="week", by=["api"], from_="2024-01-01", to="2024-01-07") == {
        ("2024-01-01", "read"): 167
    }
