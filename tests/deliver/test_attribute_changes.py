"""A changed attribute is a change: deliveries, remembered answers and goals by an attribute follow it."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tallybook.core.errors import DeclarationError
from tests.projects import Project

DECLARED = """
    [accounts]

    [metrics.orders]
    table = "orders"
    time = "at"
    measure = "count(*)"
    by = ["account_id"]

    [deliveries.by_plan]
    to = "csv"
    path = "by_plan.csv"
    metrics = ["orders"]
    scope = "month"
    by = ["accounts.plan"]

    [deliveries.of_pro]
    to = "csv"
    path = "of_pro.csv"
    metrics = ["orders"]
    scope = "month"
    where = ["accounts.plan=pro"]

    [deliveries.by_day]
    to = "csv"
    path = "by_day.csv"
    metrics = ["orders"]
    by = ["accounts.plan@day"]

    [deliveries.plain]
    to = "csv"
    path = "plain.csv"
    metrics = ["orders"]

    [goals.pro]
    metric = "orders"
    scope = "month"
    where = ["accounts.plan=pro"]
    target = 10
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    found = Project(tmp_path / "acme", f"sqlite:///{tmp_path}/app.sqlite", now="2024-03-06T12:00")
    orders = [("2024-03-01 10:00:00", "a"), ("2024-03-02 10:00:00", "a"), ("2024-03-02 11:00:00", "b")]
    found.table("orders (at text, account_id text)", orders)
    found.declare(DECLARED)
    plan(found, "a", "free")
    plan(found, "b", "pro")
    found.run()
    yield found
    found.close()


def plan(project: Project, account: str, name: str, day: int = 1) -> None:
    time = datetime(2024, 3, day, 0, 30, tzinfo=UTC)
    project.book.push_attributes("accounts", account, attributes={"plan": name}, time=time)


def delivered(project: Project) -> dict[str, str]:
    return {one.delivery: one.status for one in project.book.deliver()}


def rows(project: Project, name: str) -> list[dict[str, str]]:
    with (project.folder / f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


def test_deliveries_by_an_attribute_are_made_again_after_it_changed(project: Project) -> None:
    assert set(delivered(project).values()) == {"up to date"}
    plan(project, "a", "pro", 2)
    again = delivered(project)
    assert (again["by_plan"], again["of_pro"], again["by_day"]) == ("delivered", "delivered", "delivered")
    assert again["plain"] == "up to date"
    assert [(row["accounts.plan"], row["orders"]) for row in rows(project, "by_plan")] == [("pro", "3")]
    assert [row["orders"] for row in rows(project, "of_pro")][-1] == "3"
    by_day = [(row["period"], row["accounts.plan@day"], row["orders"]) for row in rows(project, "by_day")]
    assert [one for one in by_day if one[2] not in ("", "0")] == [
        ("2024-03-01", "free", "1"),
        ("2024-03-02", "pro", "2"),
    ]
    assert set(delivered(project).values()) == {"up to date"}


def test_an_answer_is_not_remembered_over_a_change(project: Project) -> None:
    asked = {"by": ["accounts.plan"], "scope": "month"}
    assert project.ask("orders", **asked) == {("2024-03-01", "free"): 2, ("2024-03-01", "pro"): 1}
    plan(project, "a", "team", 2)
    assert project.ask("orders", **asked) == {("2024-03-01", "team"): 2, ("2024-03-01", "pro"): 1}


def test_a_goal_of_accounts_with_an_attribute_follows_it(project: Project) -> None:
    def value() -> object:
        return project.book.goals()[0].value

    assert value() == 1
    plan(project, "a", "pro", 2)
    assert value() == 3


@pytest.mark.parametrize(
    ("lines", "why", "paste"),
    [
        (
            'metrics = ["signups"]\nby = ["accounts.plan"]',
            "'signups' does not store them",
            'by = ["country", "account_id"]',
        ),
        ('metrics = ["orders"]\nwhere = ["users.role=admin"]', "'users.role' is not a dimension", ""),
        ('metrics = ["orders"]\nby = ["account.plan"]', "'account.plan' is not a dimension", ""),
    ],
)
def test_a_delivery_that_cannot_be_split_is_refused_by_check(
    project: Project, lines: str, why: str, paste: str
) -> None:
    signups = '[metrics.signups]\ntable = "orders"\ntime = "at"\nmeasure = "count(*)"\nby = ["country"]'
    project.declare(f'{DECLARED}\n{signups}\n[deliveries.more]\nto = "csv"\npath = "more.csv"\n{lines}')
    with pytest.raises(DeclarationError) as refused:
        project.book.metrics()
    assert why in str(refused.value)
    assert paste in str(refused.value)


@pytest.mark.parametrize("to", ['to = "webhook"\nurl = "https://example.com/x"', 'to = "rest_hooks"'])
def test_what_is_sent_row_by_row_is_not_split_by_what_changes(project: Project, to: str) -> None:
    sent = f'{to}\nmetrics = ["orders"]\nby = ["accounts.plan"]'
    project.declare(f"{DECLARED}\n[deliveries.more]\n{sent}")
    with pytest.raises(DeclarationError) as refused:
        project.book.metrics()
    assert "rows that were sent cannot move" in str(refused.value)
