"""What is an edge of a rule and what is not: other texts, other metrics, a value that is restated and comes back."""

from __future__ import annotations

from typing import Any

import pytest

from tallybook.storage import OutboxLedger
from tests.act.test_rule_edges import METRICS, QUIET, fired, states
from tests.projects import Project, project

__all__ = ["project"]

TRIAL = """
[rules.trial]
when = "plan = 'trial'"
then = { to = "message", message = "tips" }

[messages.tips]
text = "You made {calls_7d} calls"
"""


@pytest.fixture
def made(project: Any) -> Project:
    found: Project = project("sqlite", now="2024-01-11T04:00")
    found.table("calls (day date, account_id varchar(9), n int)", [("2024-01-10", "2", 50), ("2024-01-10", "1", 5)])
    found.table("accounts (id int, name varchar(9), plan varchar(9))", [(1, "A", "trial"), (2, "B", "trial")])
    return found


def test_a_metric_that_only_a_text_names_makes_no_entry_a_restated_one(made: Project) -> None:
    made.declare(METRICS + TRIAL)
    made.run()
    for now, plan in (("05", "pro"), ("06", "trial"), ("07", "pro"), ("08", "trial")):
        made.execute(f"update accounts set plan = '{plan}' where id = 1")
        made.at(f"2024-01-11T{now}:00").run()
    assert [one[:2] for one in fired(made) if one[1] == "enter"] == [("1", "enter")] * 2


def test_a_metric_that_is_declared_in_another_way_is_no_edge(made: Project) -> None:
    made.declare(METRICS + QUIET + "backfill = true\n")
    made.run()
    made.at("2024-01-15T04:00").run()
    assert fired(made) == [("1", "enter", "2024-01-10")]
    made.declare(METRICS.replace('"7 days"', '"2 days"') + QUIET + "backfill = true\n")
    made.at("2024-01-16T04:00").run()
    assert (states(made), len(fired(made))) == (["in", "in"], 1)
    made.insert("calls", [("2024-01-16", "2", 30)])
    made.at("2024-01-17T04:00").run()
    made.at("2024-01-19T04:00").run()
    assert (states(made), fired(made)[1:]) == (["in", "in"], [("2", "enter", "2024-01-18")])


def test_a_ledger_of_before_knows_the_condition_and_its_rules_go_on(made: Project) -> None:
    made.declare(METRICS + QUIET)
    made.run()
    rule = made.book.rules.known("quiet")
    with made.book.store.ledger._writing() as db:
        db.execute("UPDATE rule_definitions SET definition = ?", [rule.definition])
    made.at("2024-01-18T04:00").run()
    assert (states(made), fired(made)) == (["in", "in"], [("2", "enter", "2024-01-17")])
    assert ":" in made.book.rules.evaluator.ledger.snapshot().rules["quiet"].definition


def test_a_value_that_is_restated_and_comes_back_leaves_the_state_that_the_firing_made(made: Project) -> None:
    table = f'then = {{ to = "table", url = "{made.url}", table = "quiet", leave = "mark" }}'
    made.declare(METRICS + QUIET.replace('then = { to = "webhook", url = "http://127.0.0.1:9/" }', table))
    made.run()
    made.at("2024-01-18T04:00").run()
    made.insert("calls", [("2024-01-17", "2", 30)])
    made.run()
    (wanted,) = OutboxLedger(made.book.store.ledger).wanted("rules.quiet.0")
    assert '"left"' in wanted[1]
    made.execute("delete from calls where n = 30")
    made.run()
    with made.database.cursor() as cursor:
        assert cursor.execute("select entity, state from quiet").fetchall() == [("2", "inside")]
    made.insert("calls", [("2024-01-18", "2", 30)])
    made.at("2024-01-19T04:00").run()
    with made.database.cursor() as cursor:
        assert cursor.execute("select entity, state from quiet").fetchall() == [("2", "left")]


def test_rules_and_accounts_that_are_no_longer_declared_end_quietly(made: Project) -> None:
    made.declare(METRICS + TRIAL)
    made.run()
    made.declare(METRICS.split("[accounts]")[0])
    made.at("2024-01-12T04:00")
    assert made.run().rules.error == ""
    made.declare(METRICS + TRIAL)
    made.at("2024-01-13T04:00").run()
    assert (states(made, "trial"), fired(made)) == (["in", "in"], [])
