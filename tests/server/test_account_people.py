"""The most and the least active users of an account, and when each was last seen, equal plain SQL and a plain loop."""

from __future__ import annotations

import random
import re
import sqlite3
from datetime import datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from tests.ingest.test_event_log import Ingest
from tests.projects import Project
from tests.server.served import Served

NOW = "2024-03-29T12:00"
IDS = [*(f"u{n}" for n in range(36)), "u 1", "Ü", "é", "e\u0301", "O'Neil", "a,b", "a=b", "<b>", "01", "1"]
USERS = """
[events.open]

[accounts]
table = "accounts"
attributes = ["name"]

[users]
table = "people"
account = "account_id"
attributes = ["role"]
"""
PAID = """
[metrics.paid]
table = "payments"
time = "at"
measure = "sum(amount)"
by = ["user_id"]
"""


def company(folder: Path, declared: str) -> Project:
    """Accounts whose ids are numbers, users of them with ids of all kinds, and payments of which some are refunds."""
    made, dice = Project(folder, f"sqlite:///{folder}/app.db", now=NOW), random.Random(4)
    made.table("accounts (id int, name text)", [(1, "A"), (2, "B")])
    people = [(id_, dice.choice([1, 1, 1, 2]), "member") for id_ in IDS]
    made.table("people (id text, account_id int, role text)", people)
    paying = [*IDS[:30], "ghost"]
    rows = [
        (f"2024-{dice.choice(['02', '03'])}-{dice.randrange(1, 29):02d} 10:00:00", dice.choice(paying), amount)
        for amount in (dice.randrange(-30, 20) for _ in range(300))
    ]
    made.table("payments (at timestamp, user_id text, amount int)", rows)
    made.declare(declared)
    return made


def asked(made: Project, sql: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(made.folder / "app.db") as db:
        return db.execute(sql).fetchall()


def events_of(made: Project) -> list[tuple[str, datetime]]:
    """Store events of users, some of them of another account or of the future. Returns (user, time) of each."""
    dice, events = random.Random(5), Ingest(made.folder / "book")
    events.now = made.now
    sent = [
        (
            dice.choice([*IDS[5:25], "é", "e\u0301", "stranger"]),
            made.now + timedelta(minutes=dice.randrange(-90_000, 700)),
        )
        for _ in range(300)
    ]
    rows = [
        {"event": dice.choice(["open", "close"]), "time": f"{at:%Y-%m-%dT%H:%M:%S}Z", "user": user, "id": str(n)}
        for n, (user, at) in enumerate(sent)
    ]
    events.send(*rows)
    events.compact()
    events.commit.close()
    events.events.close()
    return sent


def shown(made: Project, account: str) -> tuple[list[str], list[list[str]]]:
    """(heads, rows) of the users on the page of an account."""
    served = Served(made)
    answer = served.ask("GET", f"/accounts/{account}")
    served.close()
    section = answer.body.decode().partition('aria-labelledby="people"')[2].partition("</section>")[0]
    heads = [_text(one) for one in re.findall(r"<th scope=\"col(?:group)?\"[^>]*>(.*?)</th>", section)]
    rows = [
        re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr><th scope=\"row\".*?</tr>", section)
    ]
    return heads, [[_text(cell) for cell in row] for row in rows]


def _text(html: str) -> str:
    return unescape(re.sub(r"<[^>]+>", "", html)).strip()


def by_activity(made: Project, account: str, values: dict[str, Any]) -> list[tuple[str, Any]]:
    """The users of an account, the most active first."""
    ids = [id_ for (id_,) in asked(made, f"select id from people where account_id = {account}")]
    return sorted(((id_, values.get(id_, 0)) for id_ in ids), key=lambda one: (-one[1], one[0]))


@pytest.mark.parametrize("account", ["1", "2"])
def test_users_by_what_a_metric_counts_refunds_too(tmp_path: Path, account: str) -> None:
    made = company(tmp_path / "book", USERS + PAID)
    sent = events_of(made)
    made.run()
    heads, rows = shown(made, account)
    counted = "where at >= '2024-03-01' and at < '2024-03-29' group by user_id"
    values = dict(asked(made, f"select user_id, sum(amount) from payments {counted}"))
    everybody = by_activity(made, account, values)
    wanted = everybody if len(everybody) <= 10 else [*everybody[:5], *everybody[-5:]]
    seen = {user: at for user, at in sorted(sent, key=lambda one: one[1]) if at <= made.now}
    assert heads == (
        ["User", "Role", "Paid", "Last seen"]
        if wanted is everybody
        else ["Most active", "Role", "Paid", "Last seen", "Least active"]
    )
    assert [(row[0], row[2]) for row in rows] == [(id_, f"{value:,}") for id_, value in wanted]
    assert [row[-1] for row in rows] == [f"{seen[id_]:%Y-%m-%d}" if id_ in seen else "–" for id_, _ in wanted]


def test_users_of_whom_nothing_is_counted_are_neither_most_nor_least_active(tmp_path: Path) -> None:
    made = company(tmp_path / "book", USERS)
    made.run()
    heads, rows = shown(made, "1")
    assert heads == ["User", "Role"]
    assert [row[0] for row in rows] == sorted(
        id_ for (id_,) in asked(made, "select id from people where account_id = 1")
    )[:10]


def test_days_that_are_not_collected_make_nobody_most_or_least_active(tmp_path: Path) -> None:
    made = company(tmp_path / "book", USERS + PAID)
    made.run()
    made.at("2024-04-02T12:00")
    assert shown(made, "1")[0] == ["User", "Role"]
