"""Metrics as attributes of accounts: computed from points; a day that is not collected makes them unknown, never 0."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from tallybook.core import DeclarationError
from tallybook.query.metric_attributes import MetricValues, metric_values
from tests.projects import Project, project

__all__ = ["project"]

DECLARED = """
[metrics.calls]
table = "calls"
time = "at"
measure = "sum(n)"
by = ["account_id", "kind"]

[metrics.callers]
table = "calls"
time = "at"
measure = "count(distinct user_id)"
by = ["account_id"]

[metrics.calls_per_caller]
measure = "calls / callers"

[metrics.seats]
kind = "level"
table = "seats"
time = "day"
measure = "sum(n)"
by = ["account"]

[metrics.everything]
table = "calls"
time = "at"
measure = "count(*)"

[accounts]
table = "accounts"
attributes = ["plan"]

[accounts.metrics]
calls_7d = { metric = "calls", last = "7 days" }
api_calls_7d = { metric = "calls", last = "7 days", where = ["kind=api"] }
callers_7d = { metric = "callers", last = "7 days" }
per_caller_7d = { metric = "calls_per_caller", last = "7 days" }
seats = { metric = "seats" }
all_calls = { metric = "calls" }
"""
CALLS = [
    # id, at, account, user, kind, n
    (1, "2024-01-01 10:00:00", "1", 7, "api", 100),
    (2, "2024-01-04 10:00:00", "1", 7, "api", 5),
    (3, "2024-01-05 10:00:00", "1", 8, "web", 7),
    (4, "2024-01-10 10:00:00", "2", 9, "api", 1),
    (5, "2024-01-10 11:00:00", "2", 9, "api", 2),
]


@pytest.fixture
def found(project: Any) -> Project:
    made = project("sqlite", now="2024-01-11T04:00")
    made.table("calls (id int, at timestamp, account_id varchar(9), user_id int, kind varchar(9), n int)", CALLS)
    made.table("seats (day date, account varchar(9), n int)", [("2024-01-09", "1", 4), ("2024-01-10", "1", 5)])
    made.table("accounts (id int, plan varchar(9))", [(1, "pro"), (2, "trial"), (3, "trial")])
    made.declare(DECLARED)
    return made


def listed(found: Project, where: str = "", **question: Any) -> dict[str, tuple[Any, ...]]:
    names = ["calls_7d", "api_calls_7d", "callers_7d", "per_caller_7d", "seats", "all_calls"]
    rows = found.book.entities("accounts").list(where, columns=names, **question).rows
    return {row[0]: row[1:] for row in rows}


def test_each_metric_is_an_attribute_over_its_own_days(found: Project) -> None:
    found.run()
    assert listed(found) == {
        "1": (12, 5, 2, 6.0, 5, 112),
        "2": (3, 3, 1, 3.0, 0, 3),
        "3": (0, 0, 0, None, 0, 0),
    }
    details = found.book.entities("accounts").show("2")
    assert (details.metrics["calls_7d"].value, details.metrics["seats"].value) == (3, 0)


def test_a_list_by_metrics_and_attributes(found: Project) -> None:
    found.run()
    accounts = found.book.entities("accounts")
    assert [row[0] for row in accounts.list("plan = 'trial' and calls_7d < 10", columns=["plan"]).rows] == ["2", "3"]
    assert [row[0] for row in accounts.list("calls_7d > 0 and seats is known", sort="-calls_7d").rows] == ["1", "2"]


def test_after_a_missed_run_nobody_becomes_zero(found: Project) -> None:
    found.run()
    found.at("2024-01-13T04:00")
    known = listed(found)
    assert known == dict.fromkeys(("1", "2", "3"), (None,) * 6)
    quiet = found.book.entities("accounts").list("calls_7d < 10 or plan = 'pro'", columns=["calls_7d"])
    assert [row[0] for row in quiet.rows] == ["1"]
    assert quiet.unknown == 2
    assert quiet.whys == {"calls_7d": "2024-01-11 is not collected: tallybook run calls"}
    shown = found.book.entities("accounts").show("1").metrics["calls_7d"]
    assert shown.to_dict() == {
        "value": None, "why": "2024-01-11 is not collected: tallybook run calls", "until": "2024-01-10"
    }  # fmt: skip
    assert [row[0] for row in found.book.entities("accounts").list("calls_7d is unknown").rows] == ["1", "2", "3"]
    found.run()
    assert listed(found)["2"][0] == 3


def values_until(found: Project, day: date) -> dict[str, MetricValues]:
    catalog = found.book.project.catalog
    return metric_values(found.book.answers, catalog, catalog.entities["accounts"], day)


def test_the_past_is_computed_from_the_points_of_then(found: Project) -> None:
    found.run()
    then = values_until(found, date(2024, 1, 7))["calls_7d"]
    assert (then.of("1"), then.of("2")) == ((112, None), (0, None))


def test_before_the_first_run_metrics_are_unknown(found: Project) -> None:
    assert values_until(found, date(2024, 1, 10))["all_calls"].of("1") == (
        None,
        "calls is not collected yet: tallybook run",
    )


@pytest.mark.parametrize(
    ("declared", "why", "paste"),
    [
        ('x = { metric = "everything" }', "'everything' stores no ids of accounts", 'by = ["account_id"]'),
        ('x = { metric = "cals" }', "there is no metric 'cals'", "calls"),
        (
            'x = { metric = "seats", show = "total" }',
            "adding a level over days counts the same items once a day",
            "last",
        ),
        ('plan = { metric = "seats" }', "accounts have an attribute 'plan' already", ""),
        ('x = { last = "7 days" }', "no metric is named", "metric ="),
        ('x = { metric = "calls", last = "7 dayz" }', "last", "7 days"),
        ('x = { metric = "calls", where = ["knd=api"] }', "'knd' is not a dimension of 'calls'", "kind=api"),
    ],
)
def test_wrong_metric_attributes_are_reported(found: Project, declared: str, why: str, paste: str) -> None:
    text = (found.folder / "tallybook.toml").read_text()
    (found.folder / "tallybook.toml").write_text(
        text[: text.index("[accounts.metrics]")] + f"[accounts.metrics]\n{declared}\n"
    )
    with pytest.raises(DeclarationError) as wrong:
        assert found.book
    assert why in str(wrong.value)
    assert paste in str(wrong.value)
