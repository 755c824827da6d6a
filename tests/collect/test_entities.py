"""Users and accounts that are read from a table of a source, on every database."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tallybook.cli import invoke
from tallybook.core import DeclarationError, QueryError
from tallybook.storage import EntityHistory
from tests.projects import Project, everywhere, project

__all__ = ["project"]

ACCOUNTS = (
    "accounts (id int, name varchar(40), plan varchar(20), seats int, mrr decimal(12,2), paying boolean, "
    "created_at timestamp, updated_at timestamp)"
)
ROWS = [
    (1, "Acme", "pro", 3, 49.5, True, "2024-01-05 10:00:00", "2024-02-01 10:00:00"),
    (2, "Beta", "trial", 7, 0, False, "2024-03-01 10:00:00", "2024-03-01 10:00:00"),
    (3, "Zoë's", None, None, None, None, "2023-01-05 10:00:00", None),
]
DECLARED = """
[accounts]
table = "accounts"
attributes = ["name", "plan", "seats", "mrr", "paying", "created_at"]
changed = "updated_at"
"""


def with_accounts(found: Project, rows: Any = tuple(ROWS), declared: str = DECLARED) -> Project:
    found.table(ACCOUNTS, rows)
    found.declare(declared)
    return found


@everywhere
def test_accounts_are_read_listed_and_followed(project: Any, kind: str) -> None:
    found = with_accounts(project(kind))
    (report,) = found.run().entities
    assert (report.rows, report.changed, report.deleted, report.error) == (3, 3, 0, None)
    accounts = found.book.entities("accounts")
    listed = accounts.list("plan = 'trial' or age(created_at) > '365 days'", columns=["seats", "mrr", "created_at"])
    assert listed.columns == ["id", "seats", "mrr", "created_at"]
    assert listed.rows == [("2", 7, 0, "2024-03-01T10:00:00Z"), ("3", None, None, "2023-01-05T10:00:00Z")]
    paying = "paying = 1" if kind == "mariadb" else "paying"  # it has no type of its own for flags
    assert accounts.list(f"mrr > 49 and {paying}").rows[0][:2] == ("1", "Acme")
    found.execute(
        "update accounts set plan = 'pro', updated_at = '2024-03-06 18:00:00' where id = 2",
        "delete from accounts where id = 3",
    )
    found.at("2024-03-07T06:00")
    (report,) = found.run().entities
    assert (report.rows, report.changed, report.deleted) == (2, 1, 1)
    assert [row[:3] for row in accounts.list().rows] == [("1", "Acme", "pro"), ("2", "Beta", "pro")]
    plan = accounts.show("2").attributes["plan"]
    assert (plan.value, plan.time[:16], plan.origin) == ("pro", "2024-03-06T18:00", "app")
    assert accounts.show("2", as_of="2024-03-05").attributes["plan"].value == "trial"
    assert [row[0] for row in accounts.list("plan = 'trial'", as_of="2024-03-05").rows] == ["2"]


def test_what_did_not_change_is_no_change(project: Any) -> None:
    found = with_accounts(project("sqlite"))
    found.run()
    (report,) = found.run().entities
    assert (report.rows, report.changed) == (3, 0)
    changes = EntityHistory(found.book.store.ledger, found.book.store.files)
    assert len(list(changes.rows("accounts"))) == 3


@everywhere
def test_a_key_that_is_not_unique_names_both_rows_and_takes_nothing(project: Any, kind: str) -> None:
    found = with_accounts(project(kind), [*ROWS, (2, "Beta two", "pro", 1, 0, True, "2024-03-01 10:00:00", None)])
    report = found.book.run()
    (read,) = report.entities
    assert "is not unique" in read.error
    assert "name=Beta, " in read.error
    assert "name=Beta two" in read.error
    assert report.exit_code == 1
    assert found.book.entities("accounts").list().rows == []


def test_users_belong_to_accounts(project: Any) -> None:
    found = project("sqlite")
    found.table("users (id text, email text, account_id int)", [("u1", "ann@acme.com", 1), ("u2", None, None)])
    found.declare('[users]\ntable = "users"\naccount = "account_id"\nattributes = ["email"]\n')
    found.run()
    rows = found.book.entities("users").list("account = '1'").rows
    assert rows == [("u1", "ann@acme.com", "1")]


def test_a_table_that_is_gone_fails_and_keeps_what_was_read(project: Any) -> None:
    found = with_accounts(project("sqlite"))
    found.run()
    found.execute("drop table accounts")
    report = found.book.run()
    assert "accounts" in report.entities[0].error
    assert len(found.book.entities("accounts").list().rows) == 3


def test_the_command_prints_lists_details_and_json(project: Any, capsys: pytest.CaptureFixture[str]) -> None:
    found = with_accounts(project("sqlite"))
    found.close()
    clock = {"now": lambda: found.now}
    assert invoke(["run", "--project", str(found.folder)], **clock) == 0
    assert "accounts: 3 rows, 3 changed" in capsys.readouterr().out
    asked = ["accounts", "list", "--where", "seats > 3", "--columns", "name,seats", "--project", str(found.folder)]
    assert invoke([*asked, "--format", "json"], **clock) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["accounts"] == [{"id": "2", "name": "Beta", "seats": 7}]
    assert invoke(["accounts", "show", "2", "--project", str(found.folder)], **clock) == 0
    assert "trial" in capsys.readouterr().out
    assert invoke(["accounts", "show", "9", "--project", str(found.folder)], **clock) == 2
    assert "there is no account '9'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("declared", "why"),
    [
        ('[accounts]\ntable = "accounts"', "accounts.attributes: no attribute is named"),
        ('[accounts]\nattributes = ["plan"]', "accounts.table: accounts are read from a table"),
        ('[accounts]\ntable = "accounts"\nattributes = ["id"]', "'id' is a column that all accounts have"),
        ('[accounts]\ntable = "a"\nattributes = ["plan"]\nsource = "ap"', "there is no source 'ap'"),
        ('[accounts]\ntable = "a"\nattributes = ["plan"]\nchangd = "at"', "did you mean 'changed'?"),
        ('[users]\ntable = "u"\nattributes = ["email"]\nhistory = "2"', "is not a span of time"),
        ('[accounts]\ntable = "a"\nattributes = ["plan"]\naccount = "id"', "only users have an account"),
    ],
)
def test_wrong_declarations_are_reported_with_a_line_to_paste(project: Any, declared: str, why: str) -> None:
    found = project("sqlite")
    found.declare(declared)
    with pytest.raises(DeclarationError) as wrong:
        assert found.book
    assert why in str(wrong.value)


def test_who_asks_for_what_is_not_declared_gets_the_lines_to_add(project: Any) -> None:
    found = project("sqlite")
    found.declare("")
    with pytest.raises(QueryError, match=r"declares no \[users\]"):
        found.book.entities("users")
