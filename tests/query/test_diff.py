"""What a changed definition does to the numbers before it is collected: `tallybook diff`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.projects import Project
from tests.query.test_why import said, source_rows, told

ORDERS = [
    # paid_at, status, plan, amount
    ("2024-03-01 10:00:00", "paid", "pro", 10),
    ("2024-03-01 11:00:00", "refunded", "pro", 3),
    ("2024-03-02 10:00:00", "paid", "free", 1),
    ("2024-03-04 10:00:00", "refunded", "free", 2),
]
REVENUE = """
    [metrics.revenue]
    table = "orders"
    time = "paid_at"
    where = "status = 'paid'"
    measure = "sum(amount)"
    by = ["plan"]

    [metrics.orders]
    table = "orders"
    time = "paid_at"
    measure = "count(*)"

    [metrics.revenue_per_order]
    measure = "revenue / orders"
"""
GROSS = REVENUE.replace("status = 'paid'", "status <> 'failed'")


@pytest.fixture
def sold(tmp_path: Path, make_database: Any) -> Project:
    """A project of orders, collected on 5 March."""
    project = Project(tmp_path / "project", make_database("sqlite"), now="2024-03-05T12:00")
    project.table("orders (paid_at text, status text, plan text, amount integer)", ORDERS)
    project.declare(REVENUE, start="2024-03-01")
    project.run()
    return project


def test_old_and_new_stand_side_by_side_as_plain_sql_says(sold: Project) -> None:
    sold.declare(GROSS, start="2024-03-01")
    (revenue,) = told(sold, "diff", "--from", "2024-03-01")
    by_sql = source_rows(
        sold,
        """with days(day) as (values ('2024-03-01'), ('2024-03-02'), ('2024-03-03'), ('2024-03-04'))
        select day, coalesce(sum(amount) filter (where status = 'paid'), 0),
               coalesce(sum(amount) filter (where status <> 'failed'), 0)
        from days left join orders on substr(paid_at, 1, 10) = day group by day order by day""",
    )
    assert [(row["period"], row["old"], row["new"]) for row in revenue["rows"]] == by_sql
    assert [row["difference"] for row in revenue["rows"]] == [3, 0, 0, 2]
    assert [row["change"] for row in revenue["rows"]] == [0.3, 0, None, None]


def test_it_says_what_of_the_declaration_changed(sold: Project) -> None:
    sold.declare(GROSS, start="2024-03-01")
    (revenue,) = told(sold, "diff")
    assert revenue["changed"] == {"where": ["status = 'paid'", "status <> 'failed'"]}
    assert "where: status = 'paid' → status <> 'failed'" in said(sold, "diff")


def test_nothing_is_kept_and_the_old_definition_still_answers(sold: Project) -> None:
    old = sold.book.metric("revenue").definition
    version = sold.book.store.ledger.version()
    sold.declare(GROSS, start="2024-03-01")
    said(sold, "diff")
    assert sold.book.store.ledger.version() == version
    assert sold.ask("revenue", scope="all", definition=old) == {"2024-03-01": 11}


def test_a_series_that_only_the_new_definition_has_is_there(sold: Project) -> None:
    sold.declare(GROSS, start="2024-03-01")
    (revenue,) = told(sold, "diff", "--by", "plan", "--from", "2024-03-04")
    assert revenue["rows"][-1] | {"why": None} == {
        "period": "2024-03-04", "series": {"plan": "free"}, "old": None, "new": 2, "difference": None,
        "change": None, "same": False, "why": None,
    }  # fmt: skip


def test_a_metric_that_did_not_change_is_told_so_only_when_it_is_named(sold: Project) -> None:
    sold.declare(GROSS, start="2024-03-01")
    assert [one["metric"] for one in told(sold, "diff")] == ["revenue"]
    (orders,) = told(sold, "diff", "orders")
    assert orders["why"].startswith("unchanged")
    sold.declare(REVENUE, start="2024-03-01")
    assert said(sold, "diff") == "No definition has changed since it was last collected.\n"


def test_once_collected_it_is_no_longer_a_change_and_the_older_one_can_still_be_named(sold: Project) -> None:
    old = sold.book.metric("revenue").definition
    sold.declare(GROSS, start="2024-03-01")
    sold.at("2024-03-05T13:00").run(from_="2024-03-01", to="2024-03-04")
    assert told(sold, "diff") == []
    (revenue,) = told(sold, "diff", "revenue", "--definition", old, "--scope", "all", "--from", "2024-03-01")
    assert [(row["old"], row["new"]) for row in revenue["rows"]] == [(11, 16)]


def test_a_derived_metric_names_what_to_look_at(sold: Project) -> None:
    (one,) = told(sold, "diff", "revenue_per_order")
    assert "revenue, orders" in one["why"]


def test_a_metric_that_was_never_collected_has_nothing_to_compare_with(sold: Project) -> None:
    sold.declare(REVENUE + '\n[metrics.refunds]\ntable = "orders"\ntime = "paid_at"\nmeasure = "count(*)"\n')
    (one,) = told(sold, "diff", "refunds")
    assert "never collected" in one["why"]


def test_a_source_that_cannot_be_reached_ends_with_1_and_says_why(sold: Project) -> None:
    sold.declare(GROSS, start="2024-03-01")
    Path(sold.url.removeprefix("sqlite:///")).unlink()
    assert "cannot compare" in said(sold, "diff", code=1)
