"""Traps of adding up: levels over days, users over days and plans, medians of medians.

Each wrong number is acted out on a real database, beside the right one."""

from __future__ import annotations

import pytest

from tests.projects import project, sampled_everywhere
from tests.trap_tables import days, events, refused

__all__ = ["project"]


# ------------------------------------------------------------------------------- the seeds' 7× and 30×


def test_a_daily_level_of_100_is_100_in_every_week_and_month_not_700_and_3000(project):
    found = project(now="2024-05-01T12:00")
    rows = [(day, account, seats) for day in days("2024-04-01", "2024-04-30") for account, seats in ((1, 60), (2, 40))]
    found.table("daily_seats (day date, account_id int, seats int)", rows)
    found.declare("""
        [metrics.seats]
        kind = "level"
        table = "daily_seats"
        time = "day"
        measure = "sum(seats)"
        by = ["account_id"]
    """, start="2024-04-01")  # fmt: skip
    found.run()
    for scope in ("week", "month", "quarter", "year", "all"):
        question = {"scope": scope, "from_": "2024-04-01", "to": "2024-04-28"}
        for show in ("last", "average", "first", "min", "max"):
            assert set(found.ask("seats", show=show, **question).values()) == {100}
        why = refused(found, "seats", show="total", **question)
        assert "7 times" in why.why
        assert "30 times" in why.why
    over_time = refused(found, "seats", show="total").ask
    assert "--show average" in over_time


# ------------------------------------------------------------------------------------ what does not add up


@sampled_everywhere
def test_the_same_50_users_on_7_days_are_50_users_not_350(project, kind):
    found = project(kind)
    found.table(
        "visits (day date, user_id int, name varchar(20))",
        [(day, user, f"user {user}") for day in days("2024-01-01", "2024-01-07") for user in range(50)],
    )
    found.declare("""
        [metrics.users]
        table = "visits"
        time = "day"
        measure = "count(distinct user_id)"

        [metrics.names]
        table = "visits"
        time = "day"
        measure = "count(distinct name)"

        [metrics.pairs]
        table = "visits"
        time = "day"
        measure = "count(distinct user_id, name)"

        [metrics.sum_of_numbers]
        table = "visits"
        time = "day"
        measure = "sum(distinct user_id)"

        [metrics.mean_of_numbers]
        table = "visits"
        time = "day"
        measure = "avg(distinct user_id)"
    """)
    found.run()
    asked = ["users", "names", "pairs", "sum_of_numbers", "mean_of_numbers"]
    values = found.values(*asked, scope="week", from_="2024-01-01", to="2024-01-07")
    assert values == dict(zip(asked, [[50], [50], [50], [1225], [24.5]], strict=True)), "not 350 and 8575"


def test_a_user_of_two_plans_is_one_user_in_the_total(project):
    found = project()
    found.table("visits (day date, user_id int, plan varchar(10))", [
        ("2024-01-01", 1, "free"), ("2024-01-02", 1, "pro"), ("2024-01-02", 2, "pro"), ("2024-01-20", 1, "pro"),
    ])  # fmt: skip
    found.declare("""
        [metrics.users]
        table = "visits"
        time = "day"
        measure = "count(distinct user_id)"
        by = ["plan"]
    """)
    found.run()
    assert found.ask("users", scope="week", by=["plan"], to="2024-01-21", totals=True) == {
        ("2024-01-01", "free"): 1,
        ("2024-01-01", "pro"): 2,
        ("2024-01-01", "total"): 2,
        ("2024-01-08", "total"): 0,
        ("2024-01-15", "pro"): 1,
        ("2024-01-15", "total"): 1,
        ("total", "total"): 2,
    }


@sampled_everywhere
def test_pairs_that_read_alike_when_put_together_are_two(project, kind):
    found = project(kind)
    pairs = [("a", "bc"), ("ab", "c"), ("a,b", "c"), ("a", "b,c"), ("a", None), (None, "a"), (None, None), ("", None)]
    found.table("m (day date, x varchar(5), y varchar(5))", [("2024-01-01", x, y) for x, y in pairs * 2])
    found.declare("""
        [metrics.without_nulls]
        table = "m"
        time = "day"
        measure = "count(distinct x, y)"

        [metrics.with_nulls]
        table = "m"
        time = "day"
        measure = "count(distinct (x, y))"
    """)
    found.run()
    one = {"from_": "2024-01-01", "to": "2024-01-01"}
    assert found.values("without_nulls", "with_nulls", **one) == {"without_nulls": [4], "with_nulls": [8]}


@pytest.mark.parametrize(
    ("kind", "type_"), [("mariadb", "bigint unsigned"), ("duckdb", "ubigint"), ("duckdb", "hugeint")]
)
def test_ids_beyond_63_bits_are_counted_too(project, kind, type_):
    found = project(kind)
    most = 2**64 - 1
    found.table(
        f"visits (day date, user_id {type_})", [("2024-01-01", most), ("2024-01-02", most), ("2024-01-02", most - 1)]
    )
    found.declare("""
        [metrics.users]
        table = "visits"
        time = "day"
        measure = "count(distinct user_id)"
    """)
    found.run()
    assert found.both("users", scope="week", from_="2024-01-01", to="2024-01-07") == {"2024-01-01": 2}


@sampled_everywhere
def test_the_median_of_a_week_is_not_the_mean_of_daily_medians(project, kind):
    found = project(kind)
    rows = [("2024-01-01", 1), ("2024-01-01", 2), ("2024-01-02", 3), ("2024-01-02", 4), ("2024-01-02", 100)]
    found.table("calls (day date, ms int)", rows)
    found.declare("""
        [metrics.median_ms]
        table = "calls"
        time = "day"
        measure = "median(ms)"
    """)
    found.run()
    assert found.both("median_ms", from_="2024-01-01", to="2024-01-02") == {
        "2024-01-01": 1.5,
        "2024-01-02": 4.0,
    }
    assert found.both("median_ms", scope="week", from_="2024-01-01", to="2024-01-07") == {"2024-01-01": 3.0}


def test_the_average_of_a_flow_counts_its_empty_days(project):
    found = events(project())
    assert found.ask("events", scope="week", show="average", to="2024-01-14") == {
        "2024-01-01": pytest.approx(3 / 7),
        "2024-01-08": pytest.approx(1 / 7),
    }


@pytest.mark.parametrize("indexed", [True, False], ids=["a statement a day", "one scan"])
@sampled_everywhere
def test_fused_filters_make_no_ghost_series(project, kind, indexed):
    found = project(kind)
    found.table("signups (day date, country varchar(10), plan varchar(10))", [
        ("2024-01-01", "DE", "pro"), ("2024-01-01", "FR", "free"), ("2024-01-02", "DE", "free"),
    ])  # fmt: skip
    if indexed:
        found.execute("create index signups_day on signups (day)")
    found.declare("""
        [metrics.pro]
        table = "signups"
        time = "day"
        where = "plan = 'pro'"
        measure = "count(*)"
        by = ["country"]

        [metrics.free]
        table = "signups"
        time = "day"
        where = "plan = 'free'"
        measure = "count(*)"
        by = ["country"]
    """)
    found.run()
    question = {"by": ["country"], "from_": "2024-01-01", "to": "2024-01-02"}
    assert found.both("pro", **question) == {("2024-01-01", "DE"): 1}
    assert found.both("free", **question) == {("2024-01-01", "FR"): 1, ("2024-01-02", "DE"): 1}
