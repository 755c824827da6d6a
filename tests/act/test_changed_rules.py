"""A rule whose condition is changed while it has fired for somebody: who is no longer inside is not treated as inside."""

from __future__ import annotations

from typing import Any

import pytest

from tallybook.act import Viewer
from tests.act.test_rule_actions import change, made, project, web
from tests.act.test_rule_edges import METRICS
from tests.loading import open_database
from tests.projects import Project
from tests.receivers import Web

__all__ = ["made", "project", "web"]

MESSAGE = 'then = { to = "message", message = "m" }\n[messages.m]\ntext = "Hi"\nshow = "always"\n'


def rule(when: str, then: str = MESSAGE) -> str:
    return METRICS + f"[rules.one]\nwhen = '''{when}'''\n{then}"


def shown(made: Project, account: str) -> int:
    return len(made.book.rules.engagements.messages(Viewer(account=account)))


@pytest.fixture
def fired(made: Project) -> Project:
    """The rule has fired for the accounts 1 and 2."""
    made.declare(rule("plan = 'trial'"))
    made.run()
    change(made, "trial", "1, 2", "2024-01-12T04:00")
    assert [shown(made, id_) for id_ in "123"] == [1, 1, 0]
    return made


@pytest.mark.parametrize(
    ("when", "then"),
    [
        ("plan = 'free'", [0, 0, 0]),
        ("plan = 'trial' and id = '2'", [0, 1, 0]),
        ("plan <> 'none'", [1, 1, 0]),
        ("calls_7d > 4", [1, 0, 0]),
    ],
)
def test_a_message_ends_for_those_who_are_outside_the_changed_rule(fired: Project, when: str, then: list[int]) -> None:
    fired.declare(rule(when))
    fired.at("2024-01-13T04:00").run()
    assert [shown(fired, id_) for id_ in "123"] == then
    fired.at("2024-01-14T04:00").run()
    assert [shown(fired, id_) for id_ in "123"] == then


def test_a_message_stays_while_it_is_not_known_who_is_inside_and_ends_when_it_is(fired: Project) -> None:
    fired.declare(rule("calls_7d > 4"))
    fired.at("2024-01-14T04:00").book.rules.evaluate()
    assert [shown(fired, id_) for id_ in "12"] == [1, 1], "2024-01-13 is not collected"
    fired.run()
    assert [shown(fired, id_) for id_ in "12"] == [1, 0]


def test_rows_say_left_and_nobody_is_called_because_a_rule_was_changed(
    made: Project, web: Web, make_database: Any
) -> None:
    url = make_database("sqlite")
    then = f"""then = [
    {{ to = "table", url = "{url}", table = "inside", leave = "mark" }},
    {{ to = "webhook", url = "{web.url}/left", on = "leave" }},
]
"""
    made.declare(rule("plan = 'trial'", then))
    made.run()
    change(made, "trial", "1, 2", "2024-01-12T04:00")
    made.declare(rule("plan = 'trial' and id = '2'", then))
    made.at("2024-01-13T04:00").run()
    with open_database(url).cursor() as cursor:
        cursor.execute("select entity, state from inside order by 1")
        assert [tuple(row) for row in cursor.fetchall()] == [("1", "left"), ("2", "inside")]
    assert web.posts == []
    change(made, "pro", "2", "2024-01-14T04:00")
    assert [body["data"]["entity"] for _, body in web.posts] == ["2"]
