"""Traps of daily gauges, running distinct counts and daily averages: T1 to T14, known by their numbers.

Each wrong number is acted out on a real database, beside the right one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.projects import Project, project, sampled_everywhere
from tests.trap_tables import days, events, refused

__all__ = ["project"]


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
