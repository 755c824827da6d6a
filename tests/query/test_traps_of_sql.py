"""Traps of SQL: what a database writes its own way stays its own.

Each wrong number is acted out on a real database, beside the right one."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.projects import everywhere, project, sampled_everywhere

__all__ = ["project"]


OWN_SQL = {
    "sqlite": (
        "sum(iif(a > 1, 1, 0)) + sum(7 / 2) + count(*) filter (where strftime('%w', seen_at) = '1')",
        1 + 6 + 2,
    ),
    "duckdb": ("sum(a // 2) + count(*) filter (where dayname(seen_at) = 'Monday')", 1 + 2),
    "postgresql": (
        "avg(closed::date - seen_at::date) + count(*) filter (where date_trunc('week', seen_at) = '2024-01-01')",
        Decimal(12) + 2,
    ),
    "mariadb": (
        "sum(a || b) + sum(if(a > 1, 1, 0)) + sum(a div 2) + sum(datediff(closed, seen_at))",
        2 + 1 + 1 + 24,
    ),
    "chdb": (
        "sum(if(a > 1, 1, 0)) + sum(intDiv(a, 2)) + sum(toDayOfWeek(seen_at) = 1) + sum(length([a, b]))",
        1 + 1 + 2 + 4,
    ),
}


@everywhere
def test_sql_inside_a_measure_is_the_database_s_own(project, kind):
    """sqlglot would say x::date - y::date otherwise, read || as text, and begin weeks on Sundays."""
    found = project(kind)
    found.table(
        "m (seen_at timestamp, closed timestamp, a int, b int)",
        [
            ("2024-01-01 10:00:00", "2024-01-05 10:00:00", 1, 0),
            ("2024-01-01 23:00:00", "2024-01-21 01:00:00", 3, 0),
        ],
    )
    measure, right = OWN_SQL[kind]
    found.declare(f"""
        [metrics.own]
        table = "m"
        time = "seen_at"
        measure = "{measure}"
    """)
    found.run()
    assert found.both("own", from_="2024-01-01", to="2024-01-01") == {"2024-01-01": right}


def test_two_bars_in_a_mysql_measure_are_or(project):
    found = project("mariadb")
    found.table(
        "m (day date, paid int, trial int)",
        [("2024-01-01", 1, 0), ("2024-01-01", 0, 1), ("2024-01-01", 0, 0)],
    )
    found.declare("""
        [metrics.either]
        table = "m"
        time = "day"
        measure = "sum(paid || trial)"

        [metrics.kinds]
        table = "m"
        time = "day"
        measure = "count(distinct paid || trial)"

        [metrics.rows_of_either]
        table = "m"
        time = "day"
        where = "paid || trial"
        measure = "count(*)"
    """)
    found.run()
    for metric in ("either", "kinds", "rows_of_either"):
        assert found.both(metric, from_="2024-01-01", to="2024-01-01") == {"2024-01-01": 2}


@everywhere
def test_a_filter_in_a_measure_counts_what_it_says_also_where_the_database_has_none(project, kind):
    found = project(kind)
    found.table(
        "m (day date, status varchar(10), x int)",
        [("2024-01-01", "paid", 5), ("2024-01-01", None, 7), ("2024-01-01", "open", 9)],
    )
    found.declare("""
        [metrics.share]
        table = "m"
        time = "day"
        measure = "sum(x) filter (where status = 'paid') / sum(x)"

        [metrics.paid]
        table = "m"
        time = "day"
        measure = "count(*) filter (where status = 'paid' or status = 'open')"
    """)
    found.run()
    assert found.both("share", from_="2024-01-01", to="2024-01-01") == {"2024-01-01": pytest.approx(5 / 21)}
    assert found.both("paid", from_="2024-01-01", to="2024-01-01") == {"2024-01-01": 2}


@sampled_everywhere
def test_an_or_in_a_where_does_not_swallow_the_bounds_of_the_day(project, kind):
    found = project(kind)
    found.table(
        "m (day date, plan varchar(10))",
        [("2024-01-01", "pro"), ("2024-01-02", "team"), ("2024-01-02", "free")],
    )
    found.declare("""
        [metrics.paying]
        table = "m"
        time = "day"
        where = "plan = 'pro' or plan = 'team'"
        measure = "count(*)"
    """)
    found.run()
    assert found.both("paying", from_="2024-01-01", to="2024-01-02") == {"2024-01-01": 1, "2024-01-02": 1}


def test_a_formula_does_not_make_a_number_of_what_was_not_collected(project):
    """3 January was not collected. Of plan pro a value is carried into it, of team none is known: not 0."""
    project = project(now="2024-01-10T06:00")
    project.table("seats (day date, plan text, n int)", [("2024-01-01", "pro", 5), ("2024-01-02", "pro", 7)])
    project.declare("""
        [metrics.seats]
        kind = "level"
        table = "seats"
        time = "day"
        measure = "sum(n)"
        by = ["plan"]
        carry = "10d"

        [metrics.lost]
        measure = "coalesce(seats - seats, 0)"
    """)
    project.run(from_="2024-01-01", to="2024-01-02")
    third = {"from_": "2024-01-03", "to": "2024-01-03"}
    assert project.ask("lost", **third) == {"2024-01-03": 0}
    assert project.ask("lost", where=["plan=team"], **third) == {"2024-01-03": None}
    (row,) = project.rows("lost", where=["plan=team"], **third)
    assert row["notes"]["lost"]["why"] == "2024-01-03 was not collected"
