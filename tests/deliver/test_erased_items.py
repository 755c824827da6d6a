"""Deleting a user or an account takes what is about it out of outboxes and rules, and leaves an account, or another value,
that only has the same text as its id."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tallybook.deliver.erased_items import ErasedItems
from tallybook.storage import OutboxLedger
from tests.act.test_rule_edges import fired, states
from tests.projects import Project, project
from tests.receivers import Web

__all__ = ["project"]

DECLARED = """
[metrics.calls]
table = "calls"
time = "day"
measure = "sum(n)"
by = ["account_id", "level"]

[accounts]
[users]

[deliveries.hook]
to = "webhook"
url = "{url}/hook"
metrics = ["calls"]
by = ["account_id", "level"]
last = "5 days"

[rules.account]
when = "segment = 'big'"
then = [
    {{ to = "webhook", url = "{url}/accounts" }},
    {{ to = "table", url = "{database}", table = "big_accounts" }},
]

[rules.user]
for = "user"
when = "segment = 'big'"
then = {{ to = "webhook", url = "{url}/users" }}
"""


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as found:
        yield found


@pytest.fixture
def made(project: Any, web: Web) -> Project:
    """A book whose user and account are both called 1, with a firing of each that waits for its receiver."""
    found: Project = project("sqlite", now="2024-01-11T04:00")
    found.table("calls (day date, account_id varchar(9), level varchar(9), n int)")
    found.insert("calls", [("2024-01-10", "1", "2", 5), ("2024-01-10", "2", "1", 7)])
    found.declare(DECLARED.format(url=web.url, database=found.url))
    for kind in ("accounts", "users"):
        found.book.push_attributes(kind, "1", attributes={"segment": "small"})
        found.book.push_attributes(kind, "2", attributes={"segment": "small"})
    web.answers = [401] * 9
    found.run()
    found.at("2024-01-11T05:00")
    for kind in ("accounts", "users"):
        found.book.push_attributes(kind, "1", attributes={"segment": "big"})
    found.book.rules.evaluate()
    web.answers = []
    return found


def received(made: Project, web: Web) -> dict[str, list[Any]]:
    """What receivers get in the end, by path: entities of firings, and dimensions of values."""
    made.book.deliver(force=True)
    made.book.deliver_actions()
    found: dict[str, list[Any]] = {}
    for path, body in web.posts:
        data = body["data"]
        found.setdefault(path, []).append(data.get("entity") or sorted(data["dimensions"].items()))
    return {path: sorted(several, key=str) for path, several in found.items()}  # several requests are sent at once


def rows_of_table(made: Project) -> list[Any]:
    with made.database.cursor() as cursor:
        return list(cursor.execute("select entity from big_accounts").fetchall())


def test_what_is_about_an_account_with_the_id_of_a_deleted_user_is_delivered(made: Project, web: Web) -> None:
    made.book.forget_entity("users", "1")
    assert received(made, web) == {
        "/hook": [[("account_id", "1"), ("level", "2")], [("account_id", "2"), ("level", "1")]],
        "/accounts": ["1"],
    }
    assert rows_of_table(made) == [("1",)]


def test_what_is_about_a_deleted_account_is_not_delivered_and_a_value_of_the_same_text_is(
    made: Project, web: Web
) -> None:
    made.book.forget_entity("accounts", "1")
    assert received(made, web) == {"/hook": [[("account_id", "2"), ("level", "1")]], "/users": ["1"]}
    assert OutboxLedger(made.book.store.ledger).wanted("rules.account.1") == []


def test_the_states_of_rules_forget_a_deleted_account_and_keep_the_others(made: Project) -> None:
    made.at("2024-01-11T06:00").book.push_attributes("accounts", "2", attributes={"segment": "big"})
    made.book.rules.touch("accounts", ["2"])
    made.book.forget_entity("accounts", "1")
    files = list((made.folder / "book" / "rules" / "accounts").iterdir())
    assert len(files) == 1
    from tallybook.storage.engines.duckdb import connect

    with connect() as engine:
        ids = engine.execute(f"SELECT id FROM read_parquet('{files[0]}') ORDER BY id").fetchall()
    assert [id_ for (id_,) in ids] == ["2"]
    made.at("2024-01-11T07:00").book.rules.evaluate()
    assert (states(made, "account", "2"), states(made, "user", "1")) == (["in"], ["in"])
    assert sorted(fired(made)) == [("1", "enter", "2024-01-10"), ("2", "enter", "2024-01-10")]


def test_a_name_of_an_item_is_read_like_its_content(project: Any) -> None:
    made: Project = project("sqlite")
    made.declare(DECLARED.format(url="http://127.0.0.1:9", database=made.url))
    catalog = made.book.project.catalog
    account, user = ErasedItems(catalog, "accounts", "1"), ErasedItems(catalog, "users", "1")
    items = ['value:calls:2024-01-10::["1","2"]', 'value:calls:2024-01-10::["2","1"]', "value:x:2024-01-10:1:[]"]
    assert [account.contains("hook", item, "") for item in items] == [True, False, False]
    assert [user.contains("hook", item, "") for item in items] == [False, False, True]
    assert [user.contains("gone", item, "") for item in items] == [True, True, True]
