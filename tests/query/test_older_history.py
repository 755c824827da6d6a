"""History that an answer does not contain is named: by the answer, by `status` and by `check`, with what resolves it."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import date, timedelta

import pytest

from tallybook.cli import invoke
from tallybook.core import QueryError
from tests.projects import Project, project

__all__ = ["project"]

PAYMENTS = """
    [metrics.{name}]
    table = "payments"
    time = "day"
    measure = "sum(amount){factor}"
    {more}

    [metrics.ratio]
    measure = "{name} / 2"
"""
SNAPSHOT = '\n    [metrics.open]\n    kind = "level"\n    table = "payments"\n    measure = "{measure}"\n'


def declared(made: Project, name: str = "payments", factor: str = "", more: str = "", rest: str = "") -> None:
    made.declare(PAYMENTS.format(name=name, factor=factor, more=more) + rest)


@pytest.fixture
def made(project: Callable[..., Project]) -> Project:
    found = project("sqlite", now="2024-02-11T12:00")
    found.table("payments (day date, amount int)", [(str(date(2024, 1, 1) + timedelta(days=n)), n) for n in range(41)])
    declared(found)
    found.run()
    return found


def typed(made: Project, *words: str) -> str:
    made.close()
    out, err = io.StringIO(), io.StringIO()
    invoke([*words, "--project", str(made.folder)], now=lambda: made.now, stdout=out, stderr=err)
    return out.getvalue() + err.getvalue()


def explained(made: Project, metric: str) -> str:
    return str(made.book.query(metric, scope="month").explain)


def test_a_changed_definition_leaves_its_older_days_named(made: Project) -> None:
    assert "stored under" not in explained(made, "payments")
    old = made.book.metric("payments").definition
    declared(made, factor=" * 2")
    made.run()
    said = (
        f"38 days of payments (2024-01-01 to 2024-02-07) are stored under the older definition {old}: compare: tallybook "
        "diff payments; collect again: tallybook run payments --from 2024-01-01 --to 2024-02-07"
    )
    assert explained(made, "payments").endswith(f". {said}.")
    assert said in explained(made, "ratio")
    assert said in made.book.query("payments", scope="month").to_json().replace("\\", "")
    status = made.book.status()
    assert not status.well
    assert [one for one in status.problems if said in one]
    assert status.to_dict()["older"] == list(status.older)
    (doubt,) = made.book.doubts()["metrics.payments"]
    assert said in doubt
    assert 'start = "2024-02-08" in [metrics.payments]' in doubt
    checked = typed(made, "check")
    assert "All is well" not in checked
    assert "No problems, but 1 warning: 2 metrics" in checked


@pytest.mark.parametrize("decision", ["collect again", "start", "back"])
def test_nothing_is_said_once_it_is_decided(made: Project, decision: str) -> None:
    declared(made, factor=" * 2", more='start = "2024-02-08"' if decision == "start" else "")
    made.run()
    if decision == "collect again":
        made.run("payments", from_="2024-01-01", to="2024-02-07")
    if decision == "back":
        declared(made)
        made.run()
    assert "stored under" not in explained(made, "payments")
    assert made.book.status().older == ()
    assert made.book.doubts() == {}


def test_a_snapshot_is_asked_under_its_older_definition(made: Project) -> None:
    declared(made, rest=SNAPSHOT.format(measure="count(*)"))
    made.run()
    old = made.book.metric("open").definition
    declared(made, rest=SNAPSHOT.format(measure="sum(amount)"))
    made.at("2024-02-12T12:00").run()
    assert f"1 day of open (2024-02-10 to 2024-02-10) is stored under the older definition {old}" in explained(
        made, "open"
    )
    assert f": tallybook query open --definition {old}." in explained(made, "open")


def test_a_renamed_metric_names_what_it_was_called(made: Project) -> None:
    declared(made, name="income", more='start = "2024-02-01"')
    made.close()
    made.book.run("income", from_="2024-02-09", to="2024-02-10")
    said = "8 days of income (2024-02-01 to 2024-02-08) are stored under the name payments"
    assert said in explained(made, "income")
    line = 'tallybook forget income, then renamed_from = "payments" in [metrics.income]'
    assert line in explained(made, "income")
    assert [one for one in made.book.status().problems if said in one]
    made.book.forget("income")
    declared(made, name="income", more='renamed_from = "payments"')
    made.run()
    assert "stored under" not in explained(made, "income")
    assert made.book.status().older == ()


def test_a_name_that_is_no_longer_declared_is_named_with_both_ways_out(made: Project) -> None:
    declared(made, name="income", factor=" + 1")
    said = (
        '41 days (2024-01-01 to 2024-02-10) are stored under the name payments: renamed? renamed_from = "payments" in its '
        "table; not wanted? tallybook forget payments"
    )
    assert list(made.book.status().older) == [said]
    assert made.book.doubts()["metrics.payments"] == [said]
    assert said in " ".join(typed(made, "check").split())
    assert said in " ".join(typed(made, "status").split())
    made.book.forget("payments")
    assert made.book.status().older == ()


@pytest.mark.parametrize("collected", [False, True])
def test_who_asks_for_an_old_name_learns_what_is_stored_under_it(made: Project, collected: bool) -> None:
    declared(made, name="income")
    if collected:
        made.run()
    with pytest.raises(QueryError) as failed:
        made.book.query("payments")
    assert failed.value.message == "there is no metric 'payments'"
    assert "days" in failed.value.hint
    assert 'renamed_from = "payments"' in failed.value.hint
    with pytest.raises(QueryError) as failed:
        made.book.query("never_there")
    assert failed.value.hint == "`book.metrics()` lists them"
