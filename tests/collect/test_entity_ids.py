"""Ids of users and accounts have the form that dimensions of metrics have, whatever type their column has."""

from __future__ import annotations

from typing import Any

import pytest

from tests.projects import Project, project

__all__ = ["project"]

DECLARED = """
[metrics.calls]
table = "calls"
time = "day"
measure = "sum(n)"
by = ["account_id"]

[accounts]
table = "accounts"
attributes = ["plan"]

[accounts.metrics]
calls_7d = { metric = "calls", last = "7 days" }

[users]
table = "people"
account = "account_id"
attributes = ["account_id", "role"]
"""


@pytest.mark.parametrize(
    ("kind", "type_", "value", "id_"),
    [
        ("postgresql", "char(12)", "'a1'", "a1"),
        ("postgresql", "numeric(12, 2)", "7", "7"),
        ("postgresql", "double precision", "7", "7"),
        ("postgresql", "bytea", "'\\x00ff10aa'", "00ff10aa"),
        ("mariadb", "char(12)", "'a1'", "a1"),
        ("mariadb", "binary(4)", "x'00ff10aa'", "00ff10aa"),
        ("mariadb", "decimal(12, 2)", "7", "7"),
        ("duckdb", "decimal(12, 2)", "7", "7"),
        ("sqlite", "real", "7", "7"),
        ("sqlite", "varchar(9)", "'a1 '", "a1 "),
        ("sqlite", "int", "7", "7"),
    ],
)
def test_an_id_of_any_type_is_the_id_of_the_metrics(project: Any, kind: str, type_: str, value: str, id_: str) -> None:
    made: Project = project(kind, now="2024-01-11T04:00")
    made.execute(
        f"create table calls (day date, account_id {type_}, n int)",
        f"create table accounts (id {type_}, plan char(9))",
        f"create table people (id int, account_id {type_}, role varchar(9))",
        f"insert into calls values ('2024-01-09', {value}, 3)",
        f"insert into accounts values ({value}, 'pro')",
        f"insert into people values (1, {value}, 'owner')",
    )
    made.declare(DECLARED)
    made.run()
    accounts, users = made.book.entities("accounts"), made.book.entities("users")
    assert accounts.list("plan = 'pro'", columns=["id", "calls_7d"]).rows == [(id_, 3)]
    assert users.show("1").attributes["account"].value == id_
    asked = {"by": ["accounts.plan"], "scope": "all", "from_": "2024-01-09", "to": "2024-01-09"}
    assert [(row["accounts.plan"], row["calls"]) for row in made.book.query("calls", **asked).data] == [("pro", 3)]
    assert [one.changed for one in made.run().entities] == [0, 0]
