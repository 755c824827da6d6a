"""Users and accounts as a source of metrics: a level counts the states of the history, others read what is there now."""

from __future__ import annotations

from typing import Any

import pytest

from tallybook.core.errors import DeclarationError
from tests.projects import Project

DECLARED = """
[accounts]
table = "accounts"
attributes = ["plan", "seats", "created_at"]

[metrics.accounts_by_plan]
source = "accounts"
kind = "level"
measure = "count(*)"
by = ["plan"]

[metrics.seats]
source = "accounts"
kind = "level"
measure = "sum(seats)"

[metrics.new_accounts]
source = "accounts"
time = "created_at"
measure = "count(*)"
by = ["plan"]
"""
TABLE = "accounts (id integer, plan text, seats integer, created_at text)"


@pytest.fixture
def accounts(tmp_path: Any, make_database: Any) -> Project:
    """Three accounts that are first read on 2024-03-01, the second of which was made on that day."""
    found = Project(tmp_path / "project", make_database("sqlite"), now="2024-03-02T06:00")
    found.table(
        TABLE,
        [
            (1, "free", 1, "2024-02-10 10:00:00"),
            (2, "pro", 5, "2024-03-01 10:00:00"),
            (3, "pro", 7, "2024-02-20 10:00:00"),
        ],
    )
    found.declare(DECLARED, start="2024-02-28")
    return found


def days(project: Project, metric: str, **asked: Any) -> dict[str, Any]:
    rows = project.book.query(metric, from_="2024-02-28", to="2024-03-04", **asked).rows()
    return {"/".join(str(row[k]) for k in ("period", *asked.get("by", ()))): row[metric] for row in rows}


def test_accounts_by_plan_per_day_is_a_level_that_begins_with_the_history(accounts: Project) -> None:
    accounts.run()
    accounts.at("2024-03-03T06:00")
    accounts.execute("UPDATE accounts SET plan = 'pro' WHERE id = 1")
    accounts.run()
    accounts.at("2024-03-04T06:00")
    accounts.execute("DELETE FROM accounts WHERE id = 3")
    accounts.run()
    accounts.at("2024-03-05T06:00")
    accounts.run()
    found = days(accounts, "accounts_by_plan", by=["plan"])
    # The history begins on 2024-03-02; what was before is not known, and not 0.
    assert (found["2024-03-02/free"], found["2024-03-02/pro"]) == (1, 2)
    assert (found["2024-03-03/pro"], found.get("2024-03-03/free")) == (3, None)
    assert found["2024-03-04/pro"] == 2
    total = days(accounts, "accounts_by_plan")
    assert total == {
        "2024-02-28": None,
        "2024-02-29": None,
        "2024-03-01": None,
        "2024-03-02": 3,
        "2024-03-03": 3,
        "2024-03-04": 2,
    }
    assert days(accounts, "seats")["2024-03-04"] == 6


def test_another_metric_reads_each_account_once(accounts: Project) -> None:
    accounts.run()
    accounts.at("2024-03-03T06:00")
    accounts.execute("UPDATE accounts SET plan = 'pro' WHERE id = 2")
    accounts.execute("UPDATE accounts SET seats = 9 WHERE id = 2")
    accounts.run()
    found = days(accounts, "new_accounts")
    assert found["2024-03-01"] == 1


def test_pushed_accounts_need_no_table(tmp_path: Any, make_database: Any) -> None:
    project = Project(tmp_path / "project", make_database("sqlite"), now="2024-03-01T06:00")
    project.declare(
        '[accounts]\n[metrics.plans]\nsource = "accounts"\nkind = "level"\nmeasure = "count(*)"\nby = ["plan"]\n',
        start="2024-03-01",
    )
    project.book.push_attributes("accounts", "a", attributes={"plan": "pro"})
    project.book.push_attributes("accounts", "b", attributes={"plan": "free"})
    project.at("2024-03-02T06:00")
    project.run()
    rows = project.book.query("plans", by=["plan"], from_="2024-03-01", to="2024-03-01").rows()
    assert {row["plan"]: row["plans"] for row in rows} == {"free": 1, "pro": 1}


def test_a_book_without_accounts_says_what_to_do(tmp_path: Any, make_database: Any) -> None:
    project = Project(tmp_path / "project", make_database("sqlite"), now="2024-03-02T06:00")
    project.declare('[accounts]\n[metrics.n]\nsource = "accounts"\nkind = "level"\nmeasure = "count(*)"\n')
    said = project.run_fails()
    assert "the book has no accounts yet" in said
    assert "accounts import FILE" in said


def test_a_database_that_is_called_accounts_stays_one(tmp_path: Any, make_database: Any) -> None:
    project = Project(tmp_path / "project", make_database("sqlite"), now="2024-03-02T06:00")
    project.table("t (at text)", [("2024-03-01 10:00:00",)])
    url = project.url
    text = f'[book]\ntimezone = "UTC"\nstart = "2024-03-01"\n[sources.accounts]\nurl = "{url}"\n'
    text += '[metrics.n]\nsource = "accounts"\ntable = "t"\ntime = "at"\nmeasure = "count(*)"\n'
    (project.folder / "tallybook.toml").write_text(text)
    project.run()
    assert project.book.query("n", from_="2024-03-01", to="2024-03-01").rows()[0]["n"] == 1


def test_a_source_that_is_not_declared_is_still_refused(tmp_path: Any, make_database: Any) -> None:
    project = Project(tmp_path / "project", make_database("sqlite"), now="2024-03-02T06:00")
    project.declare('[metrics.n]\nsource = "account"\nkind = "level"\nmeasure = "count(*)"\n')
    with pytest.raises(DeclarationError, match="account"):
        project.run()
