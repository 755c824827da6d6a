"""What waits for the receiver of an action stays its own, wherever the action is in `then`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, strategies as st

from tallybook.core import Rule, RuleAction
from tallybook.deliver import ActionNames, rule_deliveries
from tests.act.test_rule_actions import change, made, project, web
from tests.act.test_rule_edges import METRICS
from tests.projects import Project
from tests.receivers import Web

__all__ = ["made", "project", "web"]

NOWHERE = "http://127.0.0.1:9"
"""Nobody listens there."""
SALES, SUPPORT = '{ to = "webhook", url = "${SALES}" }', '{ to = "webhook", url = "${SUPPORT}" }'
CHAT = '{ to = "chat", address = "${CHAT}" }'


class Acting:
    """A rule with actions, and where their receivers are."""

    def __init__(self, made: Project, web: Web) -> None:
        self.made, self.web = made, web
        self.places = {name: f"{web.url}/{name.lower()}" for name in ("SALES", "SUPPORT", "CHAT")}

    def then(self, *actions: str, **places: str) -> Acting:
        """Declare these actions, in this order."""
        (self.made.folder / ".env").write_text("".join(f"{k}={v}\n" for k, v in {**self.places, **places}.items()))
        rule = f"[rules.trial]\nwhen = \"plan = 'trial'\"\nthen = [{', '.join(actions)}]\n"
        self.made.declare(METRICS + rule)
        return self

    def got(self) -> list[tuple[str, str]]:
        """(path, entity) of every request that arrived."""
        return sorted((path, body["data"]["entity"]) for path, body in self.web.posts)


@pytest.fixture
def acting(made: Project, web: Web) -> Acting:
    return Acting(made, web)


def test_a_firing_that_waits_is_sent_to_its_own_receiver_after_actions_changed_places(acting: Acting) -> None:
    acting.then(SALES, SUPPORT, SALES=f"{NOWHERE}/sales").made.run()
    change(acting.made, "trial", "1", "2024-01-12T04:00")
    assert acting.got() == [("/support", "1")]
    acting.then(SUPPORT, SALES).made.at("2024-01-13T04:00").run()
    assert acting.got() == [("/sales", "1"), ("/support", "1")]


def test_an_action_that_is_added_first_gets_nothing_of_the_others(acting: Acting) -> None:
    acting.then(SALES, SALES=f"{NOWHERE}/sales").made.run()
    change(acting.made, "trial", "1", "2024-01-12T04:00")
    acting.then(SUPPORT, SALES).made.at("2024-01-13T04:00").run()
    assert acting.got() == [("/sales", "1")]


def test_what_waits_for_an_action_that_was_removed_is_sent_to_nobody_else(acting: Acting) -> None:
    acting.then(SALES, SUPPORT, SALES=f"{NOWHERE}/sales", SUPPORT=f"{NOWHERE}/support").made.run()
    change(acting.made, "trial", "1", "2024-01-12T04:00")
    acting.then(SUPPORT).made.at("2024-01-13T04:00").run()
    assert acting.got() == [("/support", "1")]
    acting.then(SUPPORT, CHAT, SALES.replace("SALES", "NEW"), NEW=f"{acting.web.url}/new").made.run()
    assert acting.got() == [("/support", "1")]


def test_an_address_that_is_corrected_in_the_file_gets_what_waits(acting: Acting) -> None:
    acting.then(SUPPORT, f'{{ to = "webhook", url = "{NOWHERE}/sales" }}').made.run()
    change(acting.made, "trial", "1", "2024-01-12T04:00")
    acting.then(f'{{ to = "webhook", url = "{acting.web.url}/sales" }}', SUPPORT).made.at("2024-01-13T04:00").run()
    assert acting.got() == [("/sales", "1"), ("/support", "1")]


def test_a_ledger_of_before_has_names_by_place(acting: Acting) -> None:
    acting.then(SALES, SUPPORT, SALES=f"{NOWHERE}/sales").made.run()
    change(acting.made, "trial", "1", "2024-01-12T04:00")
    with acting.made.book.store.ledger._writing() as db:
        db.execute("DELETE FROM deliveries")
    assert list(rule_deliveries(acting.made.book.project.catalog, acting.made.book.store.ledger)) == [
        "rules.trial.0",
        "rules.trial.1",
    ]
    acting.then(SALES, SUPPORT).made.at("2024-01-13T04:00").run()
    assert acting.got() == [("/sales", "1"), ("/support", "1")]


def test_the_name_of_an_action_does_not_change_with_the_value_of_its_variable(acting: Acting) -> None:
    acting.then(SALES, SUPPORT).made.run()
    acting.then(SUPPORT, CHAT, SALES, SALES="https://other.example.com/in")
    found = rule_deliveries(acting.made.book.project.catalog, acting.made.book.store.ledger)
    assert {name: one.options["url"].rpartition("/")[2] for name, one in found.items()} == {
        "rules.trial.1": "support",
        "rules.trial.2": "chat",
        "rules.trial.0": "in",
    }


ACTIONS = [
    RuleAction(to=to, on=on, target=target)
    for to in ("webhook", "chat")
    for on in ("enter", "leave")
    for target in "abc"
]
THEN = st.lists(st.sampled_from(ACTIONS), unique_by=lambda one: one.identity, max_size=5)
CHANGES = st.lists(THEN, min_size=1, max_size=8)


@given(CHANGES)
def test_an_action_has_one_name_as_long_as_it_is_declared(changes: Sequence[list[RuleAction]]) -> None:
    known: dict[str, Any] = {}
    names_before: dict[str, str] = {}
    for then in changes:
        rule = Rule(name="r", then=tuple(then))
        names = ActionNames(known).of_rule(rule)
        assert len(set(names)) == len(then)
        now = dict(zip((one.identity for one in then), names, strict=True))
        assert {one: now[one] for one in now if one in names_before} == {
            one: name for one, name in names_before.items() if one in now
        }
        kept = ActionNames(known).to_keep(zip(names, then, strict=True))
        known |= {one.delivery: one for one in kept}
        assert ActionNames(known).of_rule(rule) == names
        names_before = now
