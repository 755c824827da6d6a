"""Every wrong number known by name, each acted out on a real database, beside the right one.

T1 … T14 are the traps of the field (two account gauges, seven events, five daily averages); the 7× and the
30× are the ones that Tallybook began with. The rest are traps of databases, engines and files.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from typing import Any

import duckdb
import pytest

import tallybook
from tallybook.core.errors import SourceUnavailable
from tests.projects import Project, everywhere, project, sampled_everywhere

__all__ = ["project"]


def days(first: str, last: str) -> list[str]:
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    return [str(start + timedelta(days=n)) for n in range((end - start).days + 1)]


def refused(project: Project, metric: str, **question: Any) -> tallybook.Refused:
    with pytest.raises(tallybook.Refused) as why:
        project.ask(metric, **question)
    return why.value


# ------------------------------------------------------------------------------- T1 to T6: a daily gauge


@pytest.fixture(scope="module")
def gauge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """MRR: one row per account and day. Account 2 was missed on 31 January, account 3 left after 20 February."""
    folder = tmp_path_factory.mktemp("gauge")
    project = Project(folder, f"sqlite:///{folder}/app.db", now="2024-03-06T12:00")
    rows: list[tuple[Any, ...]] = []
    for day in days("2024-01-01", "2024-03-05"):
        rows.append((day, 1, "pro", 100))
        if day != "2024-01-31":
            rows.append((day, 2, "team", 50))
        if day <= "2024-02-20":
            rows.append((day, 3, "free", 10))
    project.table("daily_mrr (day date, account_id int, plan varchar(10), mrr int)", rows)
    project.declare("""
        [metrics.mrr]
        kind = "level"
        table = "daily_mrr"
        time = "day"
        measure = "sum(mrr)"
        by = ["plan"]
        series = ["account_id"]
        carry = "3d"

        [metrics.mrr_as_found]
        kind = "level"
        table = "daily_mrr"
        time = "day"
        measure = "sum(mrr)"
        by = ["plan"]
    """)
    project.run()
    yield project
    project.close()


def test_t1_a_month_of_daily_mrr_is_160_at_its_end_and_never_4910(gauge):
    assert gauge.ask("mrr", scope="month", to="2024-01-31") == {"2024-01-01": 160}
    why = refused(gauge, "mrr", scope="month", show="total")
    assert "30 times" in why.why
    assert "--show last" in why.ask
    assert "--show average" in why.ask


def test_t2_the_average_is_of_daily_totals_158_39_and_not_of_rows_53_37(gauge):
    found = gauge.both("mrr_as_found", scope="month", show="average", from_="2024-01-01", to="2024-01-31")
    assert found == {"2024-01-01": pytest.approx(4910 / 31)}


def test_t3_one_missed_snapshot_does_not_drop_the_account(gauge):
    (row,) = gauge.rows("mrr", scope="month", from_="2024-01-01", to="2024-01-31")
    assert row["mrr"] == 160
    assert row["notes"]["mrr"]["carried"] is True
    assert gauge.ask("mrr_as_found", scope="month", to="2024-01-31") == {"2024-01-01": 110}, "without carry: gone"


def test_t4_a_churned_account_is_gone_with_the_setting_that_t3_needs(gauge):
    assert gauge.ask("mrr", scope="month", from_="2024-02-01", to="2024-02-29") == {"2024-02-01": 150}
    daily = gauge.ask("mrr", from_="2024-02-20", to="2024-02-24")
    assert list(daily.values()) == [160, 160, 160, 160, 150], "carried for three days, no more"


def test_t5_the_last_values_by_plan_add_up_to_the_total(gauge):
    for metric, january in (("mrr", (10, 100, 50)), ("mrr_as_found", (10, 100, 0))):
        question = {"scope": "month", "from_": "2024-01-01", "to": "2024-03-05"}
        by_plan = gauge.both(metric, by=["plan"], **question)
        assert by_plan == {
            ("2024-01-01", "free"): january[0],
            ("2024-01-01", "pro"): january[1],
            ("2024-01-01", "team"): january[2],
            ("2024-02-01", "free"): 0,  # had rows in February, has none at its end
            ("2024-02-01", "pro"): 100,
            ("2024-02-01", "team"): 50,
            ("2024-03-01", "pro"): 100,
            ("2024-03-01", "team"): 50,
        }
        for month, total in gauge.ask(metric, **question).items():
            assert total == sum(value for (start, _), value in by_plan.items() if start == month)


def test_t6_a_totals_row_over_months_is_the_last_value_150_not_410(gauge):
    months = {"2024-01-01": 160, "2024-02-01": 150, "2024-03-01": 150}
    assert gauge.ask("mrr", scope="month", totals=True) == {**months, "total": 150}
    by_plan = gauge.ask("mrr", scope="month", by=["plan"], totals=True)
    totals = {key[0]: value for key, value in by_plan.items() if key[1] == "total"}
    assert totals == {**months, "total": 150}, "and not 470"


# --------------------------------------------------------------------- T7, T11 to T14: seven events


EVENTS = [
    (1, "2024-01-01 12:00:00"),
    (1, "2024-01-02 12:00:00"),
    (1, "2024-01-07 23:30:00"),
    (1, "2024-02-01 00:30:00"),
    (2, "2024-01-08 00:30:00"),
    (3, "2024-01-31 23:30:00"),
    (3, "2024-02-15 12:00:00"),
]
EVENT_METRICS = """
    [metrics.events]
    table = "events"
    time = "seen_at"
    measure = "count(*)"
    by = ["user_id"]

    [metrics.users]
    table = "events"
    time = "seen_at"
    measure = "count(distinct user_id)"
"""


def events(project: Project, **book: str) -> Project:
    project.table("events (user_id int, seen_at timestamp)", EVENTS)
    project.declare(EVENT_METRICS, **book)
    project.run()
    return project


def test_t7_running_distinct_users_are_3_and_3_not_3_and_5(project):
    found = events(project())
    assert found.ask("users", scope="month", to="2024-02-29") == {"2024-01-01": 3, "2024-02-01": 2}
    until = [found.ask("users", scope="all", from_="2024-01-01", to=to) for to in ("2024-01-31", "2024-02-29")]
    assert until == [{"2024-01-01": 3}, {"2024-01-01": 3}]


@sampled_everywhere
def test_t11_the_top_accounts_are_grouped_by_account_alone_not_by_the_second(project, kind):
    found = project(kind)
    found.table(
        "calls (account_id int, seen_at timestamp, amount int)",
        [
            *((1, f"2024-01-0{d} 10:00:{s:02}", 10) for d in (1, 2) for s in range(10)),  # 200 in small change
            (2, "2024-01-01 10:00:00", 90),
            (2, "2024-01-03 10:00:00", 90),  # 180 in two
            (3, "2024-01-02 10:00:00", 100),  # the largest single amount
        ],
    )
    found.declare("""
        [metrics.amount]
        table = "calls"
        time = "seen_at"
        measure = "sum(amount)"
        by = ["account_id"]
    """)
    found.run()
    by_account = found.both("amount", scope="all", by=["account_id"], from_="2024-01-01", to="2024-01-31")
    top = sorted(by_account.items(), key=lambda item: -item[1])
    assert top == [(("2024-01-01", "1"), 200), (("2024-01-01", "2"), 180), (("2024-01-01", "3"), 100)]


def test_t12_empty_weeks_are_0_and_not_left_out(project):
    found = events(project()).both("events", scope="week", from_="2024-01-01", to="2024-02-18")
    assert list(found.items()) == [
        ("2024-01-01", 3),
        ("2024-01-08", 1),
        ("2024-01-15", 0),
        ("2024-01-22", 0),
        ("2024-01-29", 2),
        ("2024-02-05", 0),
        ("2024-02-12", 1),
    ]


@sampled_everywhere
def test_t13_a_month_in_new_york_begins_at_its_own_midnight(project, kind):
    found = events(project(kind), timezone="America/New_York")
    assert found.both("events", scope="month", from_="2024-01-01", to="2024-02-29") == {
        "2024-01-01": 6,
        "2024-02-01": 1,
    }
    assert found.both("users", scope="week", from_="2024-01-01", to="2024-01-14") == {
        "2024-01-01": 2,
        "2024-01-08": 0,
    }


def test_t14_a_last_week_of_3_days_is_flagged(project):
    found = events(project(now="2024-02-15T10:00"))
    before, last = found.rows("events", scope="week", from_="2024-02-05", to="2024-02-14")
    assert (before["complete"], before["days"], before["days_expected"]) == (True, 7, 7)
    assert (last["period"], last["complete"], last["days"], last["days_expected"]) == (
        "2024-02-12",
        False,
        3,
        7,
    )
    first, *_ = found.rows("events", scope="week", from_="2024-01-03", to="2024-01-14")
    assert (first["period"], first["complete"], first["days"], first["events"]) == ("2024-01-01", False, 5, 1)


def test_a_week_starts_on_the_day_the_book_says(project):
    by_start = {
        start: events(project(), week_starts=start).both("events", scope="week", from_="2024-01-01", to="2024-01-13")
        for start in ("monday", "sunday", "saturday")
    }
    assert by_start == {
        "monday": {"2024-01-01": 3, "2024-01-08": 1},
        "sunday": {"2023-12-31": 2, "2024-01-07": 2},
        "saturday": {"2023-12-30": 2, "2024-01-06": 2, "2024-01-13": 0},
    }


# ------------------------------------------------------------------------ T8 to T10: daily averages


@pytest.fixture(scope="module")
def averages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """What accounts sent once a day: calls, their average time, their daily users."""
    folder = tmp_path_factory.mktemp("averages")
    project = Project(folder, f"sqlite:///{folder}/app.db", now="2024-01-15T12:00")
    project.table(
        "daily (day date, account int, n int, avg_ms int, dau int)",
        [
            ("2024-01-01", 1, 10, 2, 5),
            ("2024-01-02", 1, 90, 4, 5),
            ("2024-01-03", 1, 100, 3, 6),
            ("2024-01-01", 2, 1, 100, 1),
            ("2024-01-08", 1, 50, 5, 4),
        ],
    )
    project.declare("""
        [metrics.calls]
        table = "daily"
        time = "day"
        measure = "sum(n)"

        [metrics.mean_ms]
        table = "daily"
        time = "day"
        measure = "sum(n * avg_ms) / sum(n)"

        [metrics.daily_users]
        kind = "uniques"
        table = "daily"
        time = "day"
        measure = "sum(dau)"
    """)
    project.run()
    yield project
    project.close()


def test_t8_a_running_total_at_a_week_is_that_of_its_end_201_not_of_its_first_day_11(averages):
    assert averages.ask("calls", scope="all", from_="2024-01-01", to="2024-01-07") == {"2024-01-01": 201}
    assert averages.ask("calls", scope="all", from_="2024-01-01", to="2024-01-14") == {"2024-01-01": 251}


def test_t9_an_average_of_averages_is_weighted_3_88_not_27_25(averages):
    found = averages.both("mean_ms", scope="week", from_="2024-01-01", to="2024-01-14")
    assert found == {"2024-01-01": pytest.approx(780 / 201), "2024-01-08": 5.0}
    assert "--show total" in refused(averages, "mean_ms", scope="week", show="average").ask


def test_t10_daily_unique_users_of_a_week_lie_between_6_and_17(averages):
    first, second = averages.rows("daily_users", scope="week", from_="2024-01-01", to="2024-01-14")
    assert first["daily_users"] is None
    assert list(first["notes"]["daily_users"]["bounds"]) == [6, 17]
    assert "overlap" in first["notes"]["daily_users"]["why"]
    assert list(second["notes"]["daily_users"]["bounds"]) == [4, 4]
    assert averages.ask("daily_users", to="2024-01-03") == {"2024-01-01": 6, "2024-01-02": 5, "2024-01-03": 6}
    assert averages.ask("daily_users", scope="week", show="max", to="2024-01-07") == {"2024-01-01": 6}


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


# ---------------------------------------------------------------------------- not collected is not zero


VISITS = """
    [metrics.visits]
    table = "visits"
    time = "day"
    measure = "count(*)"
    by = ["plan"]
"""


def test_a_day_that_was_not_collected_is_a_gap_with_its_why_and_not_0(project):
    found = project(now="2024-01-11T12:00")
    found.table("visits (day date, plan varchar(10))", [(d, "pro") for d in days("2024-01-01", "2024-01-10")])
    found.declare(VISITS)
    found.run(from_="2024-01-01", to="2024-01-03")
    found.run(from_="2024-01-06", to="2024-01-10")
    daily = found.ask("visits", from_="2024-01-03", to="2024-01-06")
    assert daily == {"2024-01-03": 1, "2024-01-04": None, "2024-01-05": None, "2024-01-06": 1}
    gap = found.rows("visits", from_="2024-01-04", to="2024-01-04", by=["plan"])
    assert [(row["plan"], row["visits"], row["days"], row["complete"]) for row in gap] == [(None, None, 0, False)]
    assert "tallybook run visits --from 2024-01-04" in gap[0]["notes"]["visits"]["why"]
    week = found.rows("visits", scope="week", from_="2024-01-01", to="2024-01-07")
    assert [(row["visits"], row["days"], row["days_expected"], row["complete"]) for row in week] == [(5, 5, 7, False)]


def test_fill_gives_every_series_in_covered_periods_and_nothing_in_gaps(project):
    found = project(now="2024-01-11T12:00")
    found.table("visits (day date, plan varchar(10))", [("2024-01-01", "pro"), ("2024-01-03", "free")])
    found.declare(VISITS)
    found.run(from_="2024-01-01", to="2024-01-03")
    question = {"by": ["plan"], "from_": "2024-01-01", "to": "2024-01-04"}
    assert found.ask("visits", **question) == {
        ("2024-01-01", "pro"): 1,
        ("2024-01-03", "free"): 1,
        ("2024-01-04", None): None,
    }
    filled = found.ask("visits", fill=True, **question)
    by_day = {day: [filled[day, "free"], filled[day, "pro"]] for day in days("2024-01-01", "2024-01-03")}
    assert by_day == {"2024-01-01": [0, 1], "2024-01-02": [0, 0], "2024-01-03": [1, 0]}
    assert {value for (day, _), value in filled.items() if day == "2024-01-04"} == {None}


def test_a_metric_that_was_never_collected_is_a_gap(project):
    found = project(now="2024-01-11T12:00")
    found.table("visits (day date, plan varchar(10))")
    found.declare(VISITS)
    (row,) = found.rows("visits", from_="2024-01-01", to="2024-01-01")
    assert row["visits"] is None
    assert "tallybook run" in row["notes"]["visits"]["why"]


LEVELS = """
    [metrics.seats]
    kind = "level"
    table = "daily_seats"
    time = "day"
    measure = "sum(seats)"
    by = ["plan"]

    [metrics.carried_seats]
    kind = "level"
    table = "daily_seats"
    time = "day"
    measure = "sum(seats)"
    by = ["plan"]
    carry = "2d"
"""


def seats(project: Project, rows: list[tuple[str, str, int]], **book: str) -> Project:
    project.table("daily_seats (day date, plan varchar(10), seats int)", rows)
    project.declare(LEVELS, **book)
    return project


def test_the_last_value_of_a_week_whose_last_day_was_not_collected_is_unknown(project):
    found = seats(project(now="2024-01-17T12:00"), [(d, "pro", 9) for d in days("2024-01-01", "2024-01-16")])
    found.run(from_="2024-01-01", to="2024-01-06")
    found.run(from_="2024-01-08", to="2024-01-16")
    first, second, running = found.rows("seats", scope="week", from_="2024-01-01", to="2024-01-21")
    assert first["seats"] is None
    assert first["notes"]["seats"]["why"] == "2024-01-07 was not collected"
    assert (second["seats"], second["complete"]) == (9, True)
    assert (running["seats"], running["complete"], running["days"]) == (9, False, 2)
    assert running["notes"]["seats"]["as_of"] == "2024-01-16"
    (mean, *_) = found.rows("seats", scope="week", show="average", from_="2024-01-01", to="2024-01-07")
    assert (mean["seats"], mean["days"], mean["complete"]) == (9, 6, False), "over covered days only"
    (carried, *_) = found.rows("carried_seats", scope="week", from_="2024-01-01", to="2024-01-07")
    assert (carried["carried_seats"], carried["notes"]["carried_seats"]["carried"]) == (9, True)


def test_the_running_week_shows_the_last_covered_day_with_its_date(project):
    found = seats(
        project(now="2024-01-11T12:00"),
        [(d, "pro", n) for n, d in enumerate(days("2024-01-01", "2024-01-10"))],
    )
    found.run(from_="2024-01-01", to="2024-01-09")
    (row,) = found.rows("seats", scope="week", from_="2024-01-08", to="2024-01-10")
    assert (row["seats"], row["complete"], row["notes"]["seats"]["as_of"]) == (8, False, "2024-01-09")


def test_a_series_is_carried_over_missed_days_for_as_long_as_declared_and_then_gone(project):
    rows = [(d, "pro", 5) for d in days("2024-01-01", "2024-01-08")] + [
        ("2024-01-01", "free", 1),
        ("2024-01-02", "free", 1),
    ]
    found = seats(project(now="2024-01-09T12:00"), rows)
    found.run()
    by_plan = found.ask("carried_seats", by=["plan"], from_="2024-01-01", to="2024-01-08")
    assert [day for day, plan in by_plan if plan == "free"] == days("2024-01-01", "2024-01-04")
    assert list(found.ask("carried_seats").values()) == [6, 6, 6, 6, 5, 5, 5, 5]
    assert list(found.ask("seats").values()) == [6, 6, 5, 5, 5, 5, 5, 5], "without carry: gone at once"


def test_nothing_is_carried_over_a_gap_longer_than_declared(project):
    found = seats(project(now="2024-01-09T12:00"), [(d, "pro", 5) for d in days("2024-01-01", "2024-01-08")])
    found.run(from_="2024-01-01", to="2024-01-02")
    found.run(from_="2024-01-08", to="2024-01-08")
    assert list(found.ask("carried_seats", from_="2024-01-01", to="2024-01-08").values()) == [
        *(5, 5),
        *(5, 5),  # carried
        *(None, None, None),
        5,
    ]


# ----------------------------------------------------------------------------------------------- days


def hours(first: str, last: str, step: timedelta) -> list[tuple[str]]:
    at, end = datetime.fromisoformat(first), datetime.fromisoformat(last)
    found = []
    while at < end:
        found.append((str(at),))
        at += step
    return found


TICKS = """
    [metrics.ticks]
    table = "ticks"
    time = "seen_at"
    measure = "count(*)"
"""


@pytest.mark.parametrize("indexed", [True, False], ids=["a statement a day", "one scan"])
@sampled_everywhere
def test_days_of_23_and_25_hours_have_23_and_25_hours(project, kind, indexed):
    found = project(kind, now="2024-11-01T12:00")
    rows = hours("2024-03-29", "2024-04-03", timedelta(hours=1)) + hours("2024-10-25", "2024-10-30", timedelta(hours=1))
    found.table("ticks (seen_at timestamp)", rows)
    if indexed:
        found.execute("create index ticks_at on ticks (seen_at)")
    found.declare(TICKS, timezone="Europe/Berlin", start="2024-03-30")
    found.run()
    spring = found.both("ticks", from_="2024-03-30", to="2024-04-01")
    assert spring == {"2024-03-30": 24, "2024-03-31": 23, "2024-04-01": 24}
    autumn = found.both("ticks", from_="2024-10-26", to="2024-10-28")
    assert autumn == {"2024-10-26": 24, "2024-10-27": 25, "2024-10-28": 24}
    assert found.both("ticks", scope="week", from_="2024-10-26", to="2024-10-27") == {"2024-10-21": 49}


@sampled_everywhere
def test_half_hours_are_kept_where_zones_have_them(project, kind):
    found = project(kind, now="2024-11-01T12:00")
    half = timedelta(minutes=30)
    found.table(
        "ticks (seen_at timestamp)",
        hours("2024-04-05", "2024-04-10", half) + hours("2024-10-04", "2024-10-09", half),
    )
    found.declare(TICKS, timezone="Australia/Lord_Howe", start="2024-04-06")  # summer time is half an hour
    found.run()
    assert list(found.both("ticks", from_="2024-04-06", to="2024-04-08").values()) == [48, 49, 48]
    assert list(found.both("ticks", from_="2024-10-05", to="2024-10-07").values()) == [48, 47, 48]
    found.declare(TICKS, timezone="Asia/Kolkata", start="2024-04-05", store="kolkata")
    found.run()
    first, second = found.both("ticks", from_="2024-04-05", to="2024-04-06").values()
    assert (first, second) == (37, 48), "5 April began in Kolkata before the first row, and ends at 18:30 UTC"


@pytest.mark.parametrize("kind", ["duckdb", "postgresql", "mariadb"])
def test_instants_fall_on_the_book_s_days_and_need_no_start(project, kind):
    """DuckDB's Python gives instants only with pytz, which nothing here depends on."""
    found = project(kind, now="2024-01-04T12:00")
    found.execute("set time_zone = '+00:00'" if kind == "mariadb" else "select 1")
    stamps = ["2024-01-02 04:59:59.999999", "2024-01-02 05:00:00", "2024-01-03 04:59:59"]
    found.table("ticks (seen_at timestamptz)", [(at if kind == "mariadb" else at + "+00",) for at in stamps])
    found.declare(TICKS, timezone="America/New_York", start="")
    found.run()
    assert found.ask("ticks", to="2024-01-02") == {"2024-01-01": 1, "2024-01-02": 2}
    assert found.both("ticks", from_="2024-01-01", to="2024-01-02") == {"2024-01-01": 1, "2024-01-02": 2}


@pytest.mark.parametrize("column", ["timestamp", "timestamptz"])
def test_postgresql_s_session_zone_and_date_style_move_no_day(project, postgresql_admin, column):
    found = project("postgresql", now="2024-01-05T12:00")
    offset = "+00" if column == "timestamptz" else ""
    stamps = [
        ("2024-01-01 10:30:00" + offset,),
        ("2024-01-01 23:59:59" + offset,),
        ("2024-01-02 00:00:00" + offset,),
    ]
    found.table(f"ticks (seen_at {column})", stamps)
    name, user = found.database.url.database, found.database.url.username
    for who in (f"database {name}", f"role {user} in database {name}"):
        postgresql_admin.execute(f"alter {who} set timezone = 'Pacific/Kiritimati'")  # 14 hours ahead
        postgresql_admin.execute(f"alter {who} set datestyle = 'German'")
    fresh = "fresh = \"select max(seen_at) + interval '2 days' from ticks\""
    found.declare(TICKS, source=fresh, start="")
    found.run()
    assert found.both("ticks", from_="2024-01-01", to="2024-01-02") == {"2024-01-01": 2, "2024-01-02": 1}


def test_the_zone_of_the_process_moves_no_day(project, monkeypatch):
    import time

    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    try:
        for kind in ("sqlite", "duckdb"):
            found = events(project(kind))
            assert found.both("events", from_="2024-01-07", to="2024-01-08") == {
                "2024-01-07": 1,
                "2024-01-08": 1,
            }
    finally:
        monkeypatch.undo()
        time.tzset()


def test_mariadb_s_convert_tz_is_not_used_for_it_knows_no_zones(project, mariadb_admin):
    with mariadb_admin.cursor() as cursor:
        cursor.execute("select convert_tz('2024-01-01 00:00:00', 'UTC', 'Europe/Berlin')")
        assert cursor.fetchone() == (None,), "zone tables are loaded here: this test shows nothing"
    found = project("mariadb", now="2024-01-05T12:00")
    found.table("ticks (seen_at timestamp)", [("2024-01-01 22:59:59",), ("2024-01-01 23:00:00",)])
    found.declare(TICKS, timezone="Europe/Berlin")
    found.run()
    assert found.both("ticks", from_="2024-01-01", to="2024-01-02") == {"2024-01-01": 1, "2024-01-02": 1}


def test_mariadb_s_session_zone_moves_no_instant(project):
    found = project("mariadb", now="2024-01-05T12:00")
    found.table("ticks (seen_at timestamptz)", [("2024-01-01 23:30:00",), ("2024-01-02 00:30:00",)])
    found.url += "?init_command=set+time_zone='%2B09:00'"
    found.declare(TICKS)
    found.run()
    assert found.both("ticks", from_="2024-01-01", to="2024-01-02") == {"2024-01-01": 1, "2024-01-02": 1}


@sampled_everywhere
def test_local_times_and_plain_dates_are_the_days_they_say(project, kind):
    found = project(kind, now="2024-11-01T12:00")
    found.table(
        "ticks (seen_at timestamp, day date)",
        [
            ("2024-10-27 00:00:00", "2024-10-27"),
            ("2024-10-27 02:30:00", "2024-10-27"),
            ("2024-10-27 23:59:59", "2024-10-27"),
        ],
    )
    found.declare("""
        [metrics.ticks]
        table = "ticks"
        time = "seen_at"
        stored = "local"
        measure = "count(*)"

        [metrics.by_date]
        table = "ticks"
        time = "day"
        measure = "count(*)"
    """, timezone="Europe/Berlin", start="2024-10-26")  # fmt: skip
    found.run()
    for metric in ("ticks", "by_date"):
        assert list(found.both(metric, from_="2024-10-26", to="2024-10-28").values()) == [0, 3, 0]


def test_a_formula_beyond_what_a_float_holds_is_unknown_and_says_so(project):
    found = project("sqlite", now="2024-01-05T12:00")
    found.table("sizes (seen_at timestamp, x real, y real)", [("2024-01-01 12:00:00", -1e150, -1e-300)])
    found.declare("""
        [metrics.x]
        table = "sizes"
        time = "seen_at"
        measure = "min(x)"

        [metrics.y]
        table = "sizes"
        time = "seen_at"
        measure = "min(y)"

        [metrics]
        quotient.measure = "x / y"
        hidden.measure = "coalesce(x / y, 0)"
        inverse.measure = "1 / (x * x * x)"
        large.measure = "round(x / 2, 2)"
    """)
    found.run()
    for metric in ("quotient", "hidden", "inverse"):
        (row,) = found.rows(metric, from_="2024-01-01", to="2024-01-01")
        assert row[metric] is None
        assert row["notes"][metric]["why"] == "the result is not a finite number"
    assert found.values("large", from_="2024-01-01", to="2024-01-01")["large"] == [-5e149]


def test_a_week_of_three_days_is_held_against_three_days_of_the_last(project):
    """On a Thursday morning the week has 3 of its 7 days: 6 signups against last week's 14 look like a fall of 57 %."""
    found = project("sqlite", now="2024-01-18T06:00")
    days = [f"2024-01-{day:02d}" for day in range(8, 18)]
    found.table("ticks (seen_at timestamp)", [(f"{day} 12:00:00",) for day in days for _ in range(2)])
    found.declare(TICKS, start="2024-01-08")
    found.run()
    last, running = found.rows("ticks", scope="week", from_="2024-01-08", to="2024-01-17", compare="previous")
    assert (running["ticks"], running["days"], running["days_expected"], running["complete"]) == (6, 3, 7, False)
    assert (running["ticks_previous"], running["ticks_change"]) == (6, 0.0)
    assert (last["ticks"], last["complete"]) == (14, True)


def test_a_percentage_is_withheld_where_the_days_before_were_not_collected(project):
    """Last week only Wednesday was collected: 14 against its 2 would be a rise of 600 %."""
    found = project("sqlite", now="2024-01-22T06:00")
    days = [f"2024-01-{day:02d}" for day in range(8, 22)]
    found.table("ticks (seen_at timestamp)", [(f"{day} 12:00:00",) for day in days for _ in range(2)])
    found.declare(TICKS, start="2024-01-15", lookback="0d")
    found.run()
    found.run(from_="2024-01-10", to="2024-01-10")
    (row,) = found.rows("ticks", scope="week", from_="2024-01-15", to="2024-01-21", compare="previous")
    assert (row["ticks"], row["ticks_previous"], row["ticks_change"]) == (14, 2, None)
    assert row["notes"]["ticks_change"] == {"why": "7 of 7 days are collected, then 1 of 7: not the same days"}


def test_a_formula_of_exact_numbers_has_all_their_digits(project):
    """29 digits: Python rounds decimals to 28 unless told otherwise."""
    found = project("sqlite", now="2024-01-05T12:00")
    found.table("sold (seen_at timestamp, units bigint, price decimal(13, 1))", [
        ("2024-01-01 12:00:00", 9007199254740993, "999999999999.9"), ("2024-01-02 12:00:00", 1, "0.1"),
    ])  # fmt: skip
    found.declare("""
        [metrics.units]
        table = "sold"
        time = "seen_at"
        measure = "sum(units)"

        [metrics.price]
        table = "sold"
        time = "seen_at"
        measure = "max(price)"

        [metrics]
        product.measure = "units * price"
        more.measure = "-(units * price + 0.1) * -1"
    """)
    found.run()
    (row, _) = found.rows("product", "more", from_="2024-01-01", to="2024-01-02")
    assert row["product"] == Decimal(9007199254740993 * 9999999999999).scaleb(-1, Context(prec=60))
    assert row["more"] == Decimal(9007199254740993 * 9999999999999 + 1).scaleb(-1, Context(prec=60))


@sampled_everywhere
def test_a_local_time_that_no_clock_showed_is_of_the_day_it_says(project, kind):
    """In São Paulo the clocks went from 23:59:59 on the 14th to 01:00 on the 15th."""
    found = project(kind, now="2017-11-01T12:00")
    times = ["2017-10-14 23:59:59", "2017-10-15 00:00:00", "2017-10-15 00:30:00", "2017-10-15 01:00:00"]
    found.table("ticks (seen_at timestamp)", [(each,) for each in times])
    found.table("texts (seen_at varchar(40))", [(each,) for each in times])
    declared = TICKS + '\n    stored = "local"\n'
    texts = declared.replace("metrics.ticks", "metrics.texts").replace('"ticks"', '"texts"')
    found.declare(declared + texts, timezone="America/Sao_Paulo", start="2017-10-14")
    found.run()
    for metric in ("ticks", "texts"):
        assert list(found.both(metric, from_="2017-10-14", to="2017-10-16").values()) == [1, 3, 0]


@pytest.mark.parametrize(("stored", "factor"), [("epoch_s", 1), ("epoch_ms", 1000)])
@sampled_everywhere
def test_seconds_since_1970_fall_on_local_days(project, kind, stored, factor):
    found = project(kind, now="2024-01-05T12:00")
    midnight = int(datetime(2024, 1, 1, 23, tzinfo=UTC).timestamp())  # in Berlin
    found.table(
        "ticks (seen_at bigint)",
        [((midnight - 1) * factor,), (midnight * factor,), ((midnight + 1) * factor,)],
    )
    found.declare(TICKS + f'\n    stored = "{stored}"\n', timezone="Europe/Berlin")
    found.run()
    assert list(found.both("ticks", from_="2024-01-01", to="2024-01-02").values()) == [1, 2]


FORMS = {
    "a_space": ["2024-01-02 04:59:59.999", "2024-01-02 05:00", "2024-01-02 05:00:00.5"],
    "a_t": ["2024-01-02T04:59:59.999", "2024-01-02T05:00", "2024-01-02T05:00:00.5"],
    "a_z": ["2024-01-02T04:59:59.999Z", "2024-01-02T05:00:00Z", "2024-01-02T05:00:00.500Z"],
    "a_space_and_z": ["2024-01-02 04:59:59.999Z", "2024-01-02 05:00:00Z", "2024-01-02 05:00:00.500Z"],
}


@everywhere
def test_times_in_text_are_compared_in_their_own_form(project, kind):
    """As texts, '2024-01-02T04…' is greater than '2024-01-02 05…'."""
    found = project(kind, now="2024-01-05T12:00")
    for form, texts in FORMS.items():
        found.table(f"{form} (seen_at varchar(40))", [(text,) for text in texts])
    declared = "".join(TICKS.replace("metrics.ticks", f"metrics.{f}").replace('"ticks"', f'"{f}"') for f in FORMS)
    for start in ("2024-01-01", ""):
        found.declare(declared, timezone="America/New_York", start=start, store=f"book{start}")
        found.run()
        assert found.values(*FORMS, from_="2024-01-01", to="2024-01-02") == {form: [1, 2] for form in FORMS}


OFFSETS = {
    "2024-01-02T10:29:59.999999+05:30": "2024-01-01",  # as Python writes it, a microsecond before midnight
    "2024-01-01T19:00:00-10:00": "2024-01-02",
    "2024-01-02T19:00:00+14:00": "2024-01-02",
    "2024-01-02T04:59:59Z": "2024-01-01",
    "2024-01-02 05:00:00.123456+00:00": "2024-01-02",
    "2024-01-02T10:30+05:30": "2024-01-02",
    "2024-01-02 04:59:59.9+00": "2024-01-01",  # as PostgreSQL writes it
    "2024-01-02T10:30:00+0530": "2024-01-02",
}


@everywhere
def test_times_with_an_offset_in_text_are_instants_and_none_is_lost(project, kind):
    """SQLite reads '+00' and '+0530' as null, and rounds the last half millisecond of a day to the next."""
    found = project(kind, now="2024-01-05T12:00")
    found.table("ticks (seen_at varchar(40))", [(text,) for text in OFFSETS])
    found.declare(
        TICKS + '    stored = "offset"\n    by = ["seen_at"]\n',
        timezone="America/New_York",
        start="2023-12-30",
    )
    found.run()
    by_text = found.both("ticks", by=["seen_at"], from_="2023-12-31", to="2024-01-03")
    assert {text: day for (day, text), n in by_text.items() if n} == OFFSETS


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["2024-01-01 10:00:00", "2024-01-01T10:00:00"], "several forms"),
        (["2024-01-01 10:00:00", "2024-01-01T10:00:00Z"], "several forms"),
        (["2024-01-01 10:00:00", "2024-01-01"], "several forms"),
        (["2024-01-01T10:00:00Z", "2024-01-01T10:00:00+02:00"], 'stored = "offset"'),
        (["2024-01-01 10:00:00", "yesterday"], "which is no time"),
        (["2024-01-01 10:00:00", "01.02.2024"], "which is no time"),
        (["1704103200"], 'stored = "epoch_s"'),
    ],
)
def test_times_in_several_forms_or_in_none_are_refused(project, texts, said):
    found = project(now="2024-01-05T12:00")
    column = "seen_at" if texts[0].isdigit() else "seen_at text"  # a column without a type keeps the number
    found.table(f"ticks ({column})", [(int(t) if t.isdigit() else t,) for t in texts])
    found.declare(TICKS)
    assert said in found.run_fails()


@sampled_everywhere
def test_columns_may_be_called_at_order_group_and_select(project, kind):
    q = "`" if kind == "mariadb" else '"'
    found = project(kind, now="2024-01-05T12:00")
    found.table(
        f"{q}table{q} ({q}at{q} timestamp, {q}order{q} varchar(10), {q}group{q} varchar(10), {q}select{q} int)",
        [("2024-01-01 10:00:00", "a", "x", 1), ("2024-01-01 11:00:00", "a", "y", 2)],
    )
    found.declare(f"""
        [metrics.picked]
        table = "table"
        time = "at"
        measure = 'sum({q}select{q})'
        by = ["order", "group"]
    """)
    found.run()
    assert found.both("picked", by=["order"], from_="2024-01-01", to="2024-01-01") == {("2024-01-01", "a"): 3}
    assert found.both("picked", by=["group"], where=["order=a"], from_="2024-01-01", to="2024-01-01") == {
        ("2024-01-01", "x"): 1,
        ("2024-01-01", "y"): 2,
    }


# ---------------------------------------------------------------------------------------------- numbers


@sampled_everywhere
def test_0_1_and_0_2_are_0_3_in_money(project, kind):
    found = project(kind)
    found.table(
        "paid (day date, amount decimal(12, 2))",
        [("2024-01-01", "0.10"), ("2024-01-02", "0.20"), ("2024-02-01", "-0.01")],
    )
    found.declare("""
        [metrics.revenue]
        table = "paid"
        time = "day"
        measure = "sum(amount)"
    """)
    found.run()
    months = found.both("revenue", scope="month", from_="2024-01-01", to="2024-02-29")
    assert months == {"2024-01-01": Decimal("0.3"), "2024-02-01": Decimal("-0.01")}
    assert all(isinstance(value, Decimal) for value in months.values())
    assert found.both("revenue", scope="all", from_="2024-01-01", to="2024-02-29") == {"2024-01-01": Decimal("0.29")}


def test_sqlite_s_floats_are_answered_as_floats_unless_their_decimals_are_said(project):
    found = project()
    found.table("paid (day date, amount real)", [("2024-01-01", 0.1), ("2024-01-02", 0.2)])
    metric = '[metrics.{}]\ntable = "paid"\ntime = "day"\nmeasure = "sum(amount)"\n'
    found.declare(metric.format("as_float") + metric.format("as_money") + "decimals = 2\n")
    found.run()
    question = {"scope": "month", "from_": "2024-01-01", "to": "2024-01-31"}
    assert found.both("as_money", **question) == {"2024-01-01": Decimal("0.3")}
    assert found.both("as_float", **question) == {"2024-01-01": 0.1 + 0.2}
    columns = {c.name: c.type for c in found.book.query("as_float", "as_money", **question).metric_columns}
    assert columns == {"as_float": "float", "as_money": "decimal"}
    said = {look.metric: look.said for look in found.book.look()}
    assert any("floating-point" in line and "decimals = 2" in line for line in said["as_float"])
    assert not any("floating-point" in line for line in said["as_money"])


@pytest.mark.parametrize("kind", ["duckdb", "postgresql", "mariadb"])
def test_1_255_stays_1_255_beside_a_month_of_two_digits(project, kind):
    """DuckDB reads DECIMALs of different scale from several files as the first one's: 1.26, by file order."""
    found = project(kind, now="2024-02-01T12:00")
    found.table("paid (day date, amount decimal(12, 2))", [("2024-01-01", "10.25")])
    found.declare("""
        [metrics.revenue]
        table = "paid"
        time = "day"
        measure = "sum(amount)"
    """)
    found.run()
    change = "modify amount" if kind == "mariadb" else "alter column amount type"
    found.execute(f"alter table paid {change} decimal(12, 3)")
    found.insert("paid", [("2024-02-10", "1.255")])
    found.at("2024-03-06T12:00").run()
    question = {"from_": "2024-01-01", "to": "2024-02-29"}
    assert found.both("revenue", scope="month", **question) == {
        "2024-01-01": Decimal("10.25"),
        "2024-02-01": Decimal("1.255"),
    }
    assert found.both("revenue", scope="all", **question) == {"2024-01-01": Decimal("11.505")}
    found.book.compact()
    assert found.ask("revenue", scope="all", **question) == {"2024-01-01": Decimal("11.505")}


@everywhere
def test_sums_beyond_2_to_the_53_and_2_to_the_63_keep_their_last_digit(project, kind):
    """Parquet keeps DuckDB's integer sums (HUGEINT) as doubles: …995 came back as …996."""
    found = project(kind)
    most = 2**63 - 1
    found.table("big (day date, plan varchar(5), x bigint)", [
        ("2024-01-01", "a", 9007199254740993), ("2024-02-01", "a", 2),
        ("2024-01-01", "b", most), ("2024-01-01", "b", most), ("2024-02-01", "b", most), ("2024-02-01", "b", -1),
    ])  # fmt: skip
    found.declare("""
        [metrics.total]
        table = "big"
        time = "day"
        measure = "sum(x)"
        by = ["plan"]
    """.replace("metrics.total", "metrics.sum_of_x"))  # fmt: skip
    found.run()
    question = {"from_": "2024-01-01", "to": "2024-02-29", "by": ["plan"]}
    assert found.both("sum_of_x", scope="all", **question) == {
        ("2024-01-01", "a"): 9007199254740995,
        ("2024-01-01", "b"): 3 * most - 1,
    }
    assert found.both("sum_of_x", scope="month", where=["plan=b"], **question) == {
        ("2024-01-01", "b"): 2 * most,
        ("2024-02-01", "b"): most - 1,
    }
    result = found.book.query("sum_of_x", scope="all", **question)
    assert '"sum_of_x":27670116110564327420' in result.to_json().replace(" ", "")


@sampled_everywhere
def test_money_of_more_than_10_digits_is_refused_with_the_cast_to_write(project, kind):
    found = project(kind)
    found.table("paid (day date, amount decimal(20, 11))", [("2024-01-01", "0.12345678901")])
    found.declare("""
        [metrics.revenue]
        table = "paid"
        time = "day"
        measure = "sum(amount)"
    """)
    # A cast to decimal rounds nothing on SQLite.
    assert ("round(x, 10)" if kind == "sqlite" else "cast(x as decimal(38, 10))") in found.run_fails()


def test_sqlite_s_money_with_more_digits_than_declared_is_refused(project):
    found = project()
    found.table("paid (day date, amount decimal(10, 2))", [("2024-01-01", "1.255"), ("2024-01-01", "0.10")])
    found.declare("""
        [metrics.revenue]
        table = "paid"
        time = "day"
        measure = "sum(amount)"
    """)
    assert "decimals = " in found.run_fails()
    assert found.ask("revenue", from_="2024-01-01", to="2024-01-01") == {"2024-01-01": None}


@pytest.mark.cases(2)
@pytest.mark.parametrize("bad", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("kind", ["duckdb", "postgresql"])
def test_what_is_no_number_is_refused_and_its_neighbours_are_not(project, kind, bad):
    found = project(kind, now="2024-01-05T12:00")
    rows = [("2024-01-01", 1, 1), ("2024-01-01", bad, 3)]
    found.table("m (day date, x double precision, y double precision)", rows)
    aggregates = ["sum({})", "avg({})", "stddev({})", "median({})", "sum(distinct {})", "avg(distinct {})"]
    aggregates.append("min({})" if bad == "-inf" else "max({})")  # at the other end is a number
    metric = '[metrics.{}]\ntable = "m"\ntime = "day"\nmeasure = "{}"\n'
    declared = {
        f"{name}{n}": aggregate.format(column)
        for n, aggregate in enumerate(aggregates)
        for name, column in (("before", "y"), ("odd", "x"), ("after", "y"))
    }
    found.declare("".join(metric.format(name, measure) for name, measure in declared.items()))
    report = found.book.run()
    assert sorted(m.metric for m in report.failed) == sorted(name for name in declared if "odd" in name)
    (row,) = found.rows(*declared, from_="2024-01-01", to="2024-01-01")
    for name, measure in declared.items():
        assert (row[name] is None) is ("odd" in name), measure


def test_postgresql_s_numeric_nan_is_refused(project):
    found = project("postgresql", now="2024-01-05T12:00")
    found.table("m (day date, x numeric)", [("2024-01-01", 1), ("2024-01-01", "NaN")])
    found.declare("""
        [metrics.odd]
        table = "m"
        time = "day"
        measure = "sum(x)"
    """)
    assert "NaN" in found.run_fails()


@everywhere
def test_7_by_2_is_3_5_outside_an_aggregate_and_the_database_s_own_inside(project, kind):
    found = project(kind)
    found.table("m (day date, a int, b int)", [("2024-01-01", 7, 2)])
    found.declare("""
        [metrics.outside]
        table = "m"
        time = "day"
        measure = "sum(a) / sum(b)"

        [metrics.inside]
        table = "m"
        time = "day"
        measure = "sum(a / b)"

        [metrics.half_away_from_zero]
        table = "m"
        time = "day"
        measure = "round((sum(a) - sum(b)) / sum(b))"
    """)
    found.run()
    one = {"from_": "2024-01-01", "to": "2024-01-01"}
    inside = {"sqlite": 3, "postgresql": 3, "mariadb": Decimal("3.5"), "duckdb": 3.5, "chdb": 3.5}
    assert found.values("outside", "inside", "half_away_from_zero", **one) == {
        "outside": [3.5],
        "inside": [inside[kind]],
        "half_away_from_zero": [3],  # also where the database rounds the double 2.5 to 2
    }


@sampled_everywhere
def test_a_division_by_zero_is_null_and_never_infinite(project, kind):
    found = project(kind)
    found.table("m (day date, a int, b int)", [("2024-01-01", 1, 0), ("2024-01-02", 0, 0), ("2024-01-03", 4, 2)])
    found.declare("""
        [metrics.ratio]
        table = "m"
        time = "day"
        measure = "sum(a) / sum(b)"

        [metrics.rest]
        table = "m"
        time = "day"
        measure = "sum(a) % sum(b)"

        [metrics.sum_of_a]
        table = "m"
        time = "day"
        measure = "sum(a)"

        [metrics.sum_of_b]
        table = "m"
        time = "day"
        measure = "sum(b)"

        [metrics.derived]
        measure = "sum_of_a / sum_of_b"
    """)
    found.run()
    three = {"from_": "2024-01-01", "to": "2024-01-03"}
    daily = found.values("ratio", "rest", "derived", **three)
    assert daily == {"ratio": [None, None, 2.0], "rest": [None, None, 0], "derived": [None, None, 2.0]}
    assert found.values("ratio", "derived", scope="week", **three) == {"ratio": [2.5], "derived": [2.5]}


@pytest.mark.parametrize("a", [1, 0], ids=["1/0 is inf", "0/0 is nan"])
def test_duckdb_s_own_division_by_zero_inside_an_aggregate_is_not_stored(project, a):
    found = project("duckdb")
    found.table("m (day date, a double, b double)", [("2024-01-01", a, 0)])
    found.declare("""
        [metrics.odd]
        table = "m"
        time = "day"
        measure = "sum(a / b)"
    """)
    assert found.run_fails()


@sampled_everywhere
def test_over_no_values_counts_and_sums_are_0_and_the_rest_is_null(project, kind):
    found = project(kind)
    found.table("m (day date, x int)", [("2024-01-01", None), ("2024-01-02", 0)])
    measures = {
        "count(x)": (0, 1), "sum(x)": (0, 0), "count(distinct x)": (0, 1), "sum(distinct x)": (0, 0), "avg(x)": (None, 0.0),
        "min(x)": (None, 0), "max(x)": (None, 0), "stddev(x)": (None, None), "median(x)": (None, 0.0),
        "avg(distinct x)": (None, 0.0), "sum(x) / count(x)": (None, 0.0), "count(*)": (1, 1),
    }  # fmt: skip
    metric = '[metrics.m{}]\ntable = "m"\ntime = "day"\nmeasure = "{}"\n'
    found.declare("".join(metric.format(n, measure) for n, measure in enumerate(measures)))
    found.run()
    values = found.values(*(f"m{n}" for n in range(len(measures))), from_="2024-01-01", to="2024-01-03")
    for n, (measure, (first, second)) in enumerate(measures.items()):
        without = 0 if measure.startswith(("count", "sum")) and "/" not in measure else None
        assert values[f"m{n}"] == [first, second, without], measure


NUM_ACC: dict[str, tuple[list[float], float]] = {
    "num_acc1": ([10000001.0, 10000003.0, 10000002.0], 1.0),
    "num_acc2": ([1.2] + [1.1, 1.3] * 500, 0.1),
    "num_acc3": ([1000000.2] + [1000000.1, 1000000.3] * 500, 0.1),
    "num_acc4": ([10000000.2] + [10000000.1, 10000000.3] * 500, 0.1),
}
"""NIST's data sets for the accuracy of a standard deviation, and the certified values."""


def duckdb_s_own(aggregate: str, values: list[float]) -> float:
    with closing(duckdb.connect()) as engine:
        listed = ", ".join(f"({n}, {value!r}::double)" for n, value in enumerate(values))
        found = engine.sql(f"select {aggregate}(x) from (values {listed}) v(n, x)").fetchall()
    return float(found[0][0])


@sampled_everywhere
def test_the_standard_deviation_of_nist_s_numbers_is_as_near_as_duckdb_s(project, kind):
    found = project(kind)
    metrics = ""
    for name, (values, _) in NUM_ACC.items():
        rows = [(f"2024-01-0{1 + n % 3}", value) for n, value in enumerate(values)]
        found.table(f"{name} (day date, x double precision)", rows)
        metrics += f'[metrics.{name}]\ntable = "{name}"\ntime = "day"\nmeasure = "stddev(x)"\n'
    found.declare(metrics)
    found.run()
    month = found.values(*NUM_ACC, scope="month", from_="2024-01-01", to="2024-01-31")
    for name, (values, certified) in NUM_ACC.items():
        (ours,) = month[name]
        assert abs(ours - certified) <= abs(duckdb_s_own("stddev", values) - certified) + 1e-10


@sampled_everywhere
def test_a_deviation_is_as_near_where_only_some_rows_of_the_table_count(project, kind):
    """K must be near the values that count: the rows of another kind come first here, and lie far away."""
    found = project(kind)
    values, certified = NUM_ACC["num_acc4"]
    rows = [("2024-01-01", "small", 0.5)] * 300 + [(f"2024-01-0{1 + n % 3}", "big", v) for n, v in enumerate(values)]
    found.table("m (day date, size varchar(10), x double precision)", rows)
    found.declare("""
        [metrics.where_outside]
        table = "m"
        time = "day"
        where = "size = 'big'"
        measure = "stddev(x)"

        [metrics.where_inside]
        table = "m"
        time = "day"
        measure = "stddev(x) filter (where size = 'big')"
    """)
    found.run()
    near = abs(duckdb_s_own("stddev", values) - certified) + 1e-10
    for metric in ("where_outside", "where_inside"):
        assert found.ask(metric, scope="month", to="2024-01-31") == {"2024-01-01": pytest.approx(certified, abs=near)}


def percentile(values: list[float], q: float) -> float:
    """percentile_cont: the two neighbouring ranks, interpolated."""
    ranked = sorted(values)
    at = q * (len(ranked) - 1)
    below = int(at)
    above = min(below + 1, len(ranked) - 1)
    return ranked[below] + (ranked[above] - ranked[below]) * (at - below)


def latencies(project: Project, by_day: dict[str, list[int]], measure: str = "p95(ms)") -> Project:
    project.table("calls (day date, ms int)", [(day, ms) for day, several in by_day.items() for ms in several])
    project.declare(f"""
        [metrics.latency]
        table = "calls"
        time = "day"
        measure = "{measure}"
    """)
    project.run()
    return project


def test_a_percentile_of_1000_different_values_a_day_is_exact(project):
    found = latencies(project(), {"2024-01-01": list(range(1, 1001)) * 3})
    (row,) = found.rows("latency", from_="2024-01-01", to="2024-01-01")
    assert row["latency"] == pytest.approx(percentile(list(range(1, 1001)) * 3, 0.95), rel=1e-12)
    assert row["approximate"] is False


def test_percentiles_of_days_with_few_values_stay_exact_over_a_month(project):
    by_day = {day: list(range(600 * n, 600 * (n + 1))) for n, day in enumerate(days("2024-01-01", "2024-01-05"))}
    found = latencies(project(), by_day)
    (row,) = found.rows("latency", scope="month", from_="2024-01-01", to="2024-01-31")
    assert row["latency"] == pytest.approx(percentile(list(range(3000)), 0.95), rel=1e-12)
    assert row["approximate"] is False


@pytest.mark.parametrize("shift", [0, -1500, -3000], ids=["positive", "mixed", "negative"])
def test_a_percentile_of_more_values_is_within_1_percent_and_says_so(project, shift):
    values = [n * 2 + shift for n in range(1, 1501)]
    asked = {"p50": 0.5, "p95": 0.95, "p99_9": 0.999, "p05": 0.05}
    found = project()
    found.table("calls (day date, ms int)", [("2024-01-01", ms) for ms in values])
    metric = '[metrics.its_{}]\ntable = "calls"\ntime = "day"\nmeasure = "{}(ms)"\n'
    found.declare("".join(metric.format(q, q) for q in asked))
    found.run()
    (row,) = found.rows(*(f"its_{q}" for q in asked), from_="2024-01-01", to="2024-01-01")
    assert row["approximate"] is True
    for q, fraction in asked.items():
        at = fraction * (len(values) - 1)
        larger = max(abs(values[int(at)]), abs(values[int(at) + 1]))
        assert abs(row[f"its_{q}"] - percentile(values, fraction)) <= 0.01 * larger + 1e-9, q
        assert row["notes"][f"its_{q}"]["error"] == 0.01


# ------------------------------------------------------------------------- the database's SQL stays its own


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


# ------------------------------------------------------------------------------------------------- text


def blind_column(project: Project) -> str:
    """The type of a text column to which 'a' and 'A' are the same."""
    if project.kind == "postgresql":
        project.execute("create collation blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    return {
        "sqlite": "text collate nocase",
        "duckdb": "varchar collate nocase",
        "chdb": "String",  # it has no others
        "postgresql": "text collate blind",
        "mariadb": "varchar(20) collate utf8mb4_general_ci",
    }[project.kind]


@everywhere
def test_a_and_big_a_and_a_with_a_space_are_three_whatever_the_collation(project, kind):
    found = project(kind)
    rows = [("2024-01-01", "a"), ("2024-01-01", "A"), ("2024-01-01", "a "), ("2024-01-02", "a")]
    found.table(f"m (day date, name {blind_column(found)})", rows)
    found.declare("""
        [metrics.rows_of_m]
        table = "m"
        time = "day"
        measure = "count(*)"
        by = ["name"]

        [metrics.names]
        table = "m"
        time = "day"
        measure = "count(distinct name)"

        [metrics.pairs]
        table = "m"
        time = "day"
        measure = "count(distinct name, day)"

        [metrics.small]
        table = "m"
        time = "day"
        where = "name = 'a'"
        measure = "count(*)"
    """)
    found.run()
    one = {"from_": "2024-01-01", "to": "2024-01-01"}
    assert found.both("rows_of_m", by=["name"], **one) == {("2024-01-01", n): 1 for n in ("A", "a", "a ")}
    assert found.both("rows_of_m", where=["name=a"], **one) == {"2024-01-01": 1}
    assert found.both("names", scope="week", from_="2024-01-01", to="2024-01-07") == {"2024-01-01": 3}
    assert found.both("pairs", scope="week", from_="2024-01-01", to="2024-01-07") == {"2024-01-01": 4}
    own = {"sqlite": 2, "duckdb": 2, "postgresql": 2, "mariadb": 3, "chdb": 1}
    assert found.both("small", **one) == {"2024-01-01": own[kind]}, "a where of yours is the database's own"


@everywhere
def test_the_latest_value_is_that_of_a_series_told_by_its_letters(project, kind):
    """On MariaDB 12 instead of 15: of 'a', 'A' and 'a ' only the one received last counted."""
    found = project(kind)
    rows = [(1, "a", 1), (2, "a", 2), (3, "A", 4), (9, "a ", 8), (4, "b", 1)]
    found.table(
        f"sent (received int, name {blind_column(found)}, value int, day date)",
        [(*row, "2024-01-01") for row in rows],
    )
    found.declare("""
        [metrics.sent]
        table = "sent"
        time = "day"
        measure = "sum(value)"
        daily_aggregate = true
        series = ["name"]
        received = "received"

        [metrics.held]
        kind = "level"
        table = "sent"
        where = "received <> 1"
        time = "day"
        measure = "sum(value)"
        series = ["name"]

        [metrics.most_of_one]
        table = "sent"
        time = "day"
        measure = "sum(value)"
        per = "name"
        then = "count"
    """)
    found.run()
    one = {"from_": "2024-01-01", "to": "2024-01-01"}
    assert found.both("sent", **one) == {"2024-01-01": 2 + 4 + 8 + 1}
    assert found.both("held", **one) == {"2024-01-01": 2 + 4 + 8 + 1}
    assert found.both("most_of_one", **one) == {"2024-01-01": 4}


WORDS = [
    "Zürich 東京 🧮",
    "é",
    "e\u0301",
    "",
    " ",
    "O'Hara",
    'say "hi"',
    "a\nb",
    "a\tb",
    "a,b",
    "NULL",
    "\\N",
    "\\",
    "%",
    "ß",
    "SS",
]
"""Composed and decomposed é are two; the empty text is not null; nor are the ways to write null."""


@everywhere
def test_every_text_is_itself_as_a_dimension_and_as_an_id(project, kind):
    found = project(kind)
    rows = [(day, word) for day in ("2024-01-01", "2024-01-02") for word in [*WORDS, None]]
    escaped = [(d, w.replace("\\", "\\\\") if w and kind in ("mariadb", "chdb") else w) for d, w in rows]
    found.table("m (day date, word varchar(40))", escaped)
    found.declare("""
        [metrics.rows_of_m]
        table = "m"
        time = "day"
        measure = "count(*)"
        by = ["word"]

        [metrics.words]
        table = "m"
        time = "day"
        measure = "count(distinct word)"
        by = ["word"]
    """)
    found.run()
    question = {"scope": "week", "from_": "2024-01-01", "to": "2024-01-07"}
    by_word = {("2024-01-01", word): 2 for word in [*WORDS, None]}
    assert found.both("rows_of_m", by=["word"], **question) == by_word
    assert found.both("words", **question) == {"2024-01-01": len(WORDS)}
    assert found.both("words", by=["word"], **question) == {key: int(key[1] is not None) for key in by_word}, (
        "null is a series, but no id"
    )
    for word in WORDS:
        if word:
            assert found.ask("rows_of_m", where=[f"word={word}"], **question) == {"2024-01-01": 2}


@sampled_everywhere
def test_a_filter_for_null_finds_the_nulls_and_a_filter_for_others_keeps_them(project, kind):
    found = project(kind)
    plans = ["pro", "pro", "free", None, None, None]
    found.table("m (day date, plan varchar(10))", [("2024-01-01", plan) for plan in plans])
    found.declare("""
        [metrics.rows_of_m]
        table = "m"
        time = "day"
        measure = "count(*)"
        by = ["plan"]
    """)
    found.run()
    for where, right in {
        ("plan=",): 3,
        ("plan!=",): 3,
        ("plan!=pro",): 4,
        ("plan!=pro", "plan!=free"): 3,
        ("plan=pro", "plan="): 5,
        ("plan=pro", "plan=free"): 3,
        ("plan=no such plan",): 0,
    }.items():
        question = {"from_": "2024-01-01", "to": "2024-01-01"}
        assert found.ask("rows_of_m", where=list(where), **question) == {"2024-01-01": right}, where
    assert found.both("rows_of_m", where=["plan!=pro"], **question) == {"2024-01-01": 4}


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", '=HYPERLINK("http://x","y")', "\t=1", "2024-01-01", "007"]


def test_text_that_starts_like_a_formula_stays_text_in_a_workbook(project, tmp_path):
    import openpyxl

    found = project()
    found.table("m (day date, plan varchar(60))", [("2024-01-01", text) for text in FORMULAS])
    found.declare("""
        [metrics.rows_of_m]
        table = "m"
        time = "day"
        measure = "count(*)"
        by = ["plan"]
        title = "=SUM(A1:A9)"
    """)
    found.run()
    result = found.book.query("rows_of_m", by=["plan"], from_="2024-01-01", to="2024-01-01")
    book = openpyxl.load_workbook(found.book.export(result, tmp_path / "metrics.xlsx"))
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row if cell.value is not None]
    assert not [cell.value for cell in cells if cell.data_type == "f"]
    texts = {cell.value for cell in cells if cell.data_type in ("s", "inlineStr")}
    assert {*FORMULAS, "=SUM(A1:A9)"} <= texts


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
