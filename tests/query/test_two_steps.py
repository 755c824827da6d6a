"""Measures of two steps (one value for each entity, then one of them all), and the first and last value by time."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.projects import everywhere, project, sampled_everywhere

__all__ = ["project"]

CALLS = [
    # at, user_id, plan, cost
    ("2024-01-01 10:00:00", "ada", "pro", "1.50"),
    ("2024-01-01 11:00:00", "ada", "free", "2.00"),
    ("2024-01-01 12:00:00", "bob", "pro", "4.00"),
    ("2024-01-01 13:00:00", None, "pro", "9.00"),
    ("2024-01-02 09:00:00", "ada", "pro", "0.25"),
    ("2024-01-02 09:00:00", "cyd", "free", "8.00"),
    ("2024-01-02 17:00:00", "ada", "pro", None),
]


def calls(project, kind, metrics, **book):
    """A project of seven calls on two days."""
    found = project(kind, now="2024-01-05T12:00")
    found.table("calls (called_at timestamp, user_id varchar(20), plan varchar(20), cost decimal(10, 2))", CALLS)
    found.declare(metrics, **book)
    found.run()
    return found


def per_user(measure, then, **more):
    keys = {"table": "calls", "time": "called_at", "measure": measure, "per": "user_id", "then": then} | more
    return "[metrics.m]\n" + "\n".join(f'{key} = "{value}"' for key, value in keys.items()) + '\nby = ["plan"]\n'


# ada: 4 calls, 3.75; bob: 1 call, 4.00; cyd: 1 call, 8.00. A call of nobody takes no part.
BOTH_DAYS = [
    ("count(*)", "max", 4),
    ("count(*)", "avg", 2.0),
    ("count(*)", "median", 1.0),
    ("count(*)", "p75", 2.5),
    ("count(*)", "count", 3),
    ("count(*)", "sum", 6),
    ("sum(cost)", "max", Decimal("8.00")),
    ("sum(cost)", "avg", 5.25),
    ("count(distinct plan)", "max", 2),
    ("last(cost)", "min", Decimal("0.25")),
    ("avg(cost)", "min", 1.25),
]


@pytest.mark.parametrize(("measure", "then", "expected"), BOTH_DAYS)
def test_every_entity_is_measured_over_the_whole_period_before_they_are_put_together(project, measure, then, expected):
    found = calls(project, "sqlite", per_user(measure, then))
    assert found.both("m", scope="all", from_="2024-01-01", to="2024-01-02") == {"2024-01-01": expected}


@sampled_everywhere
def test_an_entity_counts_in_every_series_with_its_facts_there(project, kind):
    found = calls(project, kind, per_user("count(*)", "max"))
    asked = {"from_": "2024-01-01", "to": "2024-01-02"}
    assert found.both("m", by=["plan"], scope="all", **asked) == {("2024-01-01", "free"): 1, ("2024-01-01", "pro"): 3}
    assert found.both("m", scope="all", **asked) == {"2024-01-01": 4}, "not the largest of the series, nor their sum"
    assert found.both("m", **asked) == {"2024-01-01": 2, "2024-01-02": 2}


def test_nobody_can_be_asked_for_and_no_mean_of_days_is_formed(project):
    found = calls(project, "sqlite", per_user("count(*)", "p90"))
    with pytest.raises(Exception, match="no dimension 'user_id'"):
        found.rows("m", by=["user_id"])
    with pytest.raises(Exception, match="cannot be averaged"):
        found.rows("m", show="average")


def test_a_day_without_a_fact_has_no_heavy_user_but_no_users_are_counted_as_none(project):
    found = calls(project, "sqlite", per_user("count(*)", "p90"))
    assert found.both("m", from_="2024-01-03", to="2024-01-03") == {"2024-01-03": None}
    found = calls(project, "sqlite", per_user("count(*)", "count"))
    assert found.both("m", from_="2024-01-03", to="2024-01-03") == {"2024-01-03": 0}


@sampled_everywhere
def test_the_first_and_last_value_are_those_of_the_earliest_and_latest_fact(project, kind):
    """At 9 on the 2nd there are two facts: first takes the lesser. The last call has no cost, so it is none."""
    found = calls(project, kind, """
        [metrics.opened]
        table = "calls"
        time = "called_at"
        measure = "first(cost)"
        by = ["plan"]

        [metrics.closed]
        table = "calls"
        time = "called_at"
        measure = "last(cost)"

        [metrics.moved]
        table = "calls"
        time = "called_at"
        measure = "last(cost) filter (where plan = 'pro') - first(cost)"
    """)  # fmt: skip
    days = {"from_": "2024-01-01", "to": "2024-01-02"}
    assert list(found.both("opened", **days).values()) == [Decimal("1.50"), Decimal("0.25")]
    assert list(found.both("opened", by=["plan"], scope="all", **days).values()) == [Decimal("2.00"), Decimal("1.50")]
    assert list(found.both("closed", **days).values()) == [Decimal("9.00"), Decimal("8.00")]
    assert list(found.both("moved", scope="month", **days).values()) == [Decimal("-1.25")]


@everywhere
def test_times_in_text_with_offsets_are_ordered_as_instants(project, kind):
    """As texts the other way round; the last two lie in the same second."""
    found = project(kind, now="2024-01-05T12:00")
    found.table("prices (seen_at varchar(40), price int)", [
        ("2024-01-02T10:00:00+05:00", 1), ("2024-01-02T09:00:00+00:00", 2),
        ("2024-01-02T09:30:00.250+00:00", 4), ("2024-01-02T10:30:00.750+01:00", 3),
    ])  # fmt: skip
    found.declare("""
        [metrics.price]
        table = "prices"
        time = "seen_at"
        stored = "offset"
        measure = "last(price)"

        [metrics.opened]
        table = "prices"
        time = "seen_at"
        stored = "offset"
        measure = "first(price)"
    """)
    found.run()
    day = {"from_": "2024-01-02", "to": "2024-01-02"}
    assert found.both("price", **day) == {"2024-01-02": 3}
    assert found.both("opened", **day) == {"2024-01-02": 1}


def test_a_level_with_one_row_a_day_is_carried_with_its_entities(project):
    """Account 2 has no row on the 2nd: its seats of the day before are carried, so the mean stays that of both."""
    found = project("sqlite", now="2024-01-05T12:00")
    rows = [("2024-01-01", 1, 10), ("2024-01-01", 2, 50), ("2024-01-02", 1, 20)]
    found.table("seats (day date, account_id int, seats int)", rows)
    found.declare("""
        [metrics.seats_per_account]
        kind = "level"
        table = "seats"
        time = "day"
        carry = "3d"
        measure = "sum(seats)"
        per = "account_id"
        then = "avg"
    """)
    found.run()
    assert found.ask("seats_per_account", from_="2024-01-01", to="2024-01-02") == {
        "2024-01-01": 30.0,
        "2024-01-02": 35.0,
    }
