"""`rules try --over` says what the evaluations of each day did: on the demo's company, whose accounts change meanwhile."""

from __future__ import annotations

import random
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from tallybook.demo import saas
from tests.act.test_rule_edges import METRICS
from tests.act.test_rules_of_linked_users import HOOK, Site
from tests.conftest import SOAK
from tests.projects import Project, project

__all__ = ["project"]

END = date(2026, 3, 31)
DAYS, SCALE = (730, 0.05) if SOAK else (5, 0.05)
DECLARED = """
[metrics.api_calls]
table = "api_calls"
time = "called_at"
measure = "count(*)"
by = ["account_id"]

[metrics.mrr]
kind = "level"
table = "subscriptions"
from = "started_at"
until = "cancelled_at"
measure = "sum(mrr)"

[accounts]
table = "accounts"
attributes = ["plan", "country"]
dimension = ["account_id"]
history = "3y"

[accounts.metrics]
calls_7d = { metric = "api_calls", last = "7 days" }

[messages.hello]
text = "Hello, {country}"
"""
RULES = {
    "quiet": "when = 'calls_7d < 3'\nleave = 'calls_7d > 6'\nhold = '2d'",
    "surge": "when = \"calls_7d > 1.2 * before(calls_7d, '7 days')\"\nonce = 'per 30 days'",
    "moved": "when = 'changed(plan)'\ncool_down = '3d'",
    "trials": "when = \"plan = 'trial' or plan is unknown\"\nholdout = '20 %'",
    "busy": "for = 'book'\nwhen = \"api_calls > 1.1 * before(api_calls, '7 days')\"",
    "rising": "for = 'book'\nwhen = \"mrr > before(mrr, '3 days')\"",
}


def rule(name: str, own: str) -> str:
    table, message = (
        "{ to = 'table', url = 'sqlite:///acted.db', table = 'acted' }",
        "{ to = 'message', message = 'hello' }",
    )
    return f"[rules.{name}]\n{own}\nthen = {table if 'book' in own else message}\n"


def lived(made: Project, first: date) -> None:
    """Run on each day. Some accounts change their plan."""
    dice = random.Random(1)
    for number in range(DAYS):
        day = first + timedelta(days=number)
        if number % 3 == 1:
            plan, id_ = dice.choice(("free", "pro", "business", "trial")), dice.randint(1, 12)
            made.execute(f"update accounts set plan = '{plan}' where id = {id_}")
        made.at(f"{day}T05:00").run()


def shown(firings: Any) -> list[tuple[Any, ...]]:
    return sorted((one.entity, one.edge, one.at, one.day, one.state, sorted(one.values.items())) for one in firings)


def test_a_trial_over_the_past_says_what_the_evaluations_of_each_day_did(project: Any, tmp_path: Path) -> None:
    first = END - timedelta(days=DAYS - 1)
    path = tmp_path / "app.db"
    saas.write(path, end=END, first=first - timedelta(days=15), scale=SCALE)
    made = Project(tmp_path / "project", f"sqlite:///{path}", now=f"{first}T05:00")
    rules = "\n".join(rule(name, own) for name, own in RULES.items())
    made.declare(DECLARED + rules, start=str(first - timedelta(days=15)), timezone="Europe/Berlin")
    lived(made, first)
    evaluator = made.book.rules.evaluator
    fired = {name: evaluator.ledger.firings(name) for name in RULES}
    assert sum(map(len, fired.values())) > (100 if SOAK else 5)
    for name in RULES:
        trial = made.book.rules.try_out(name, over=f"{DAYS} days")
        assert trial.first == first
        assert shown(trial.entered) == shown(fired[name]), name
        line = next(one for one in made.book.rules.list() if one.rule == name)
        assert len(trial.inside) == line.inside, name
    made.close()


def test_a_rule_that_fires_in_the_same_evaluation_after_another_does_not_cool_it_down(project: Any) -> None:
    made: Project = project("sqlite", now="2024-01-11T04:00")
    made.table("accounts (id int, plan varchar(9))", [(1, "pro")])
    made.table("calls (day date, account_id varchar(9), n int)", [("2024-01-10", "1", 5)])
    then = "cool_down = '3d'\nthen = { to = 'message', message = 'hello' }\n[messages.hello]\ntext = 'Hello'\n"
    first = f"[rules.first]\nwhen = \"plan = 'trial'\"\n{then}"
    second = first.replace("rules.first", "rules.second").partition("[messages")[0].replace("cool_down = '3d'\n", "")
    made.declare(METRICS.replace('"name", ', "") + first + second)
    made.run()
    made.execute("update accounts set plan = 'trial'")
    made.at("2024-01-12T04:00").run()
    for name in ("first", "second"):
        live = made.book.rules.evaluator.ledger.firings(name)
        assert [one.entity for one in live] == ["1"]
        assert shown(made.book.rules.try_out(name, over="2 days").entered) == shown(live)


def test_a_trial_counts_linked_ids_as_one_person(tmp_path: Path) -> None:
    made = Site(tmp_path, f"[rules.big]\nwhen = \"segment = 'big'\"\n{HOOK}\n")
    made.push("u", segment="small")
    made.push("anon", segment="small")
    made.evaluate()
    made.after(days=1).push("anon", segment="big")
    made.evaluate()
    made.after(days=1).link("anon", "u")
    made.evaluate()
    made.after(days=1).push("other", segment="big")
    made.evaluate()
    assert made.fired() == [("anon", "fired"), ("other", "fired")]
    trial = made.rules.try_out("big", over="30 days")
    assert (len(trial.fired), trial.inside) == (2, ["other", "u"])
    made.project.close()
