"""Rules while a server runs: some users and accounts are evaluated between the runs, by a process that may know other
rules, may end at any moment, and leaves everybody else as they are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import tallybook
from tallybook.act import RuleWatch
from tests.act.test_rule_edges import fired, states
from tests.projects import Project
from tests.receivers import Web

ACCOUNTS = """
[metrics.calls]
table = "calls"
time = "day"
measure = "sum(n)"
by = ["account_id"]

[accounts]
[users]
"""
BIG = """
[rules.big]
when = "segment = 'big'"
{more}
then = {{ to = "webhook", url = "{url}/big" }}
"""
TOP = """
[rules.top]
when = "tier = 'top'"
then = { to = "webhook", url = "http://127.0.0.1:9/" }
"""


@pytest.fixture
def made(tmp_path: Path) -> Project:
    found = Project(tmp_path, f"sqlite:///{tmp_path}/app.db", now="2024-01-11T04:00")
    found.table("calls (day date, account_id varchar(9), n int)")
    return found


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as found:
        yield found


def begin(made: Project, rules: str, *ids: str, **attributes: Any) -> None:
    """Declare rules, and evaluate them for accounts with these attributes."""
    made.declare(ACCOUNTS + rules)
    made.run()
    for id_ in ids:
        made.book.push_attributes("accounts", id_, attributes=attributes)
    made.book.rules.evaluate()


def push(made: Project, now: str, id_: str, kind: str = "accounts", **attributes: Any) -> None:
    made.at(now).book.push_attributes(kind, id_, attributes=attributes)


def test_what_waits_for_one_account_is_not_lost_when_another_changes(made: Project, web: Web) -> None:
    begin(made, BIG.format(url=web.url, more='quiet = "20:00-08:00"'), "1", "2", segment="small")
    watch = RuleWatch(made.book.rules)
    push(made, "2024-01-11T22:00", "1", segment="big")
    watch.step()
    push(made, "2024-01-11T22:05", "2", plan="pro")
    watch.step()
    assert [one.state for one in made.book.rules.evaluator.ledger.firings()] == ["waiting"]
    made.at("2024-01-12T08:01")
    watch.step()
    made.book.deliver_actions()
    assert [body["data"]["entity"] for _, body in web.posts] == ["1"]


def test_an_account_that_left_before_the_quiet_hours_ended_gets_nothing(made: Project, web: Web) -> None:
    begin(made, BIG.format(url=web.url, more='quiet = "20:00-08:00"'), "1", segment="small")
    watch = RuleWatch(made.book.rules)
    for now, segment in (("2024-01-11T22:00", "big"), ("2024-01-11T23:00", "small")):
        push(made, now, "1", segment=segment)
        watch.step()
    made.at("2024-01-12T08:01")
    watch.step()
    assert [one.state for one in made.book.rules.evaluator.ledger.firings()] == ["dropped"]


def test_a_process_with_an_older_file_leaves_the_states_of_rules_it_does_not_know(made: Project) -> None:
    big = BIG.format(url="http://127.0.0.1:9", more="")
    begin(made, big, "1", segment="small", tier="top")
    with tallybook.open(made.folder, now=lambda: made.now) as older:
        assert len(older.rules.list()) == 1
        made.declare(ACCOUNTS + big + TOP)
        made.book.rules.evaluate()
        push(made, "2024-01-11T05:00", "1", segment="big")
        older.rules.touch("accounts", ["1"])
    assert states(made, "top", "1") == ["in"]
    made.at("2024-01-12T04:00").book.rules.evaluate()
    assert fired(made) == [("1", "enter", "2024-01-10")]


def test_a_kind_that_was_not_evaluated_before_the_end_of_a_process_is_evaluated_by_the_next(made: Project) -> None:
    rules = BIG.format(url="http://127.0.0.1:9", more="")
    begin(made, rules + rules.replace("rules.big]", 'rules.user]\nfor = "user"'), "1", segment="small")
    push(made, "2024-01-11T04:00", "u", "users", segment="small")
    made.book.rules.evaluate()
    push(made, "2024-01-11T05:00", "1", segment="big")
    push(made, "2024-01-11T05:00", "u", "users", segment="big")
    made.book.rules.touch("accounts", ["1"], commit=4)
    RuleWatch(made.book.rules).step()
    assert sorted(fired(made)) == [("1", "enter", "2024-01-10"), ("u", "enter", "2024-01-10")]
    assert RuleWatch(made.book.rules).step() == []


def test_lost_states_are_begun_again_by_an_evaluation_of_everybody_and_fire_for_nobody(made: Project) -> None:
    begin(made, BIG.format(url="http://127.0.0.1:9", more="backfill = true"), "1", "2", segment="big")
    assert len(fired(made)) == 2
    for file in (made.folder / "book" / "rules").rglob("*.parquet"):
        file.unlink()
    push(made, "2024-01-12T05:00", "1", plan="pro")
    made.book.rules.touch("accounts", ["1"])
    made.at("2024-01-13T04:00").book.rules.evaluate()
    assert (states(made, "big"), len(fired(made))) == (["in", "in"], 2)


def test_many_changes_between_two_runs_leave_few_files(made: Project) -> None:
    begin(made, BIG.format(url="http://127.0.0.1:9", more="") + TOP, "1", "2", segment="small", tier="low")
    for minute in range(16):
        push(made, f"2024-01-11T05:{minute:02}", "1", segment=("small", "big")[minute % 2])
        made.book.rules.touch("accounts", ["1"])
    push(made, "2024-01-11T06:00", "2", tier="top")
    made.book.rules.touch("accounts", ["2"])
    assert len(made.book.rules.evaluator.ledger.snapshot().files["accounts"]) <= 14
    assert (states(made, "big"), states(made, "top")) == (["in", "out"], ["out", "in"])
    assert len(fired(made, "big")) == 8
    ledger = made.book.rules.evaluator.ledger
    before = ledger.number()
    for day in (14, 15):
        made.at(f"2024-01-{day}T04:00").book.rules.evaluate()
    assert [bool(report["whole"]) for _, _, report in ledger.evaluations(made.now - timedelta(days=9))] == [True] * 4
    assert ledger.number() == before + 2


def test_without_a_server_deliver_does_what_waited_for_the_end_of_the_quiet_hours(made: Project, web: Web) -> None:
    begin(made, BIG.format(url=web.url, more='quiet = "20:00-08:00"'), "1", segment="small")
    push(made, "2024-01-12T03:00", "1", segment="big")
    made.run()
    made.at("2024-01-12T07:59").book.deliver()
    assert web.posts == []
    made.at("2024-01-12T09:00").book.deliver()
    assert [body["data"]["entity"] for _, body in web.posts] == ["1"]
