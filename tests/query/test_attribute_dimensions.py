"""`--by accounts.plan`: every kind of metric equals a join by hand, now and at the end of each day."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from tallybook.core import QueryError, Refused
from tests.projects import Project, project

__all__ = ["project"]

METRICS = """
[metrics.orders]
table = "orders"
time = "at"
measure = "count(*)"
by = ["account_id", "country"]

[metrics.revenue]
table = "orders"
time = "at"
measure = "sum(amount)"
by = ["account_id"]

[metrics.buyers]
table = "orders"
time = "at"
measure = "count(distinct user_id)"
by = ["account_id"]

[metrics.seats]
kind = "level"
table = "seats"
time = "day"
measure = "sum(n)"
by = ["account_id"]
carry = "3d"

[metrics.per_buyer]
measure = "revenue / buyers"

[metrics.signups]
table = "orders"
time = "at"
measure = "count(*)"

[accounts]
table = "accounts"
attributes = ["plan", "size"]
changed = "updated_at"
"""
FIRST, LAST = date(2024, 1, 1), date(2024, 1, 20)
PLANS = ["free", "pro", None]


class World:
    """Orders and seats of accounts whose plan changes on some days."""

    def __init__(self, found: Project, seed: int) -> None:
        dice = random.Random(seed)
        self.project = found
        days = [FIRST + timedelta(days=n) for n in range(20)]
        accounts = [str(n) for n in range(1, 6)]
        self.orders = [
            (
                dice.choice(days),
                dice.choice([*accounts, "99", None]),
                dice.choice("abc"),
                dice.randrange(1, 4),
                dice.randrange(100),
            )
            for _ in range(60)
        ]
        self.seats = {(day, one): dice.randrange(1, 9) for day in days for one in accounts if dice.random() < 0.4}
        self.changes = {
            one: {
                FIRST: dice.choice(PLANS),
                **{d: dice.choice(PLANS) for d in dice.sample([days[5], days[9], days[16]], 2)},
            }
            for one in accounts
        }
        found.table(
            "orders (id int, at timestamp, account_id varchar(9), country varchar(9), user_id int, amount int)",
            [(n, f"{day} 10:00:00", a, c, u, v) for n, (day, a, c, u, v) in enumerate(self.orders)],
        )
        found.table(
            "seats (day date, account_id varchar(9), n int)", [(str(d), a, n) for (d, a), n in self.seats.items()]
        )
        found.table("accounts (id varchar(9), plan varchar(9), size int, updated_at timestamp)")
        found.insert("accounts", [(one, self.plan(one, FIRST), int(one) * 10, f"{FIRST} 08:00:00") for one in accounts])
        found.declare(METRICS)

    def live(self) -> None:
        """A run after each day on which the application changed plans, and at the end."""
        for n in range(20):
            day = FIRST + timedelta(days=n)
            for one, changes in self.changes.items():
                if day in changes and day > FIRST:
                    plan = "null" if changes[day] is None else f"'{changes[day]}'"
                    self.project.execute(
                        f"update accounts set plan = {plan}, updated_at = '{day} 15:00:00' where id = '{one}'"
                    )
            if n == 19 or any(day in changes for changes in self.changes.values()):
                self.project.at(f"{day + timedelta(days=1)}T04:00").run()

    def plan(self, account: str | None, day: date) -> str | None:
        """The plan at the end of a day; of an account without a row it is not known."""
        if account is None:
            return None
        if account not in self.changes:
            return "(not known)"
        return self.changes[account][max(one for one in self.changes[account] if one <= day)]

    def group(self, account: str | None, day: date, by_day: bool) -> str | None:
        return self.plan(account, day if by_day else LAST)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, seed: int) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("attributes")
    made = World(Project(folder / "project", f"sqlite:///{folder}/app.sqlite"), seed)
    made.live()
    yield made
    made.project.close()


def answers(world: World, metric: str, by: str, **question: Any) -> dict[Any, Any]:
    found = world.project.both(metric, by=[by], from_=str(FIRST), to=str(LAST), **question)
    return {key: value for key, value in found.items() if value}


@pytest.mark.parametrize("by_day", [False, True])
def test_every_kind_of_metric_equals_a_join_by_hand(world: World, by_day: bool) -> None:
    by = "accounts.plan@day" if by_day else "accounts.plan"
    counts: dict[Any, int] = defaultdict(int)
    sums: dict[Any, int] = defaultdict(int)
    buyers: dict[Any, set[int]] = defaultdict(set)
    for day, account, _, user, amount in world.orders:
        key = ("2024-01-01", world.group(account, day, by_day))
        counts[key] += 1
        sums[key] += amount
        buyers[key].add(user)
    assert answers(world, "orders", by, scope="month") == counts
    assert answers(world, "revenue", by, scope="month") == {key: value for key, value in sums.items() if value}
    assert answers(world, "buyers", by, scope="month") == {key: len(users) for key, users in buyers.items()}
    assert answers(world, "per_buyer", by, scope="month") == {
        key: pytest.approx(sums[key] / len(buyers[key])) for key in sums if sums[key]
    }
    chosen = world.project.ask("orders", scope="month", where=[f"{by}=pro"], from_=str(FIRST), to=str(LAST))
    assert chosen == {"2024-01-01": counts[("2024-01-01", "pro")]}
    by_country: dict[Any, int] = defaultdict(int)
    for day, account, country, _, _ in world.orders:
        by_country[("2024-01-01", world.group(account, day, by_day), country)] += 1
    found = world.project.ask("orders", scope="month", by=[by, "country"], from_=str(FIRST), to=str(LAST))
    assert {key: value for key, value in found.items() if value} == by_country


@pytest.mark.parametrize("by_day", [False, True])
def test_a_carried_level_has_the_attribute_of_the_day_that_is_shown(world: World, by_day: bool) -> None:
    expected: dict[Any, int] = defaultdict(int)
    for n in range(20):
        day = FIRST + timedelta(days=n)
        for account in world.changes:
            known = [d for d, a in world.seats if a == account and d <= day and (day - d).days <= 3]
            if known:
                expected[(str(day), world.group(account, day, by_day))] += world.seats[(max(known), account)]
    found = world.project.ask(
        "seats", by=["accounts.plan@day" if by_day else "accounts.plan"], from_=str(FIRST), to=str(LAST)
    )
    assert {key: value for key, value in found.items() if value} == expected


def test_totals_and_the_top_series_do_not_change(world: World) -> None:
    asked = {"scope": "month", "from_": str(FIRST), "to": str(LAST)}
    plain = world.project.ask("buyers", **asked)
    split = world.project.ask("buyers", by=["accounts.plan"], totals=True, **asked)
    assert split[("2024-01-01", "total")] == plain["2024-01-01"]
    best = world.project.rows("orders", by=["accounts.plan"], top=1, **asked)
    assert sum(row["orders"] for row in best) == len(world.orders)


def test_numbers_are_put_into_bins(world: World) -> None:
    found = world.project.ask("orders", by=["accounts.size[20,40]"], scope="all", from_=str(FIRST), to=str(LAST))
    sizes = {
        "1": "< 20",
        "2": "20 to < 40",
        "3": "20 to < 40",
        "4": ">= 40",
        "5": ">= 40",
        "99": "(not known)",
        None: None,
    }
    expected: dict[Any, int] = defaultdict(int)
    for _, account, *_ in world.orders:
        expected[(str(FIRST), sizes[account])] += 1
    assert found == expected


def test_before_the_first_value_an_attribute_is_not_known(project: Any) -> None:
    world = World(project("sqlite"), 1)
    world.project.execute("update accounts set updated_at = '2024-01-10 08:00:00'")
    world.project.at("2024-01-21T04:00").run()
    rows = world.project.rows("orders", by=["accounts.plan@day"], from_=str(FIRST), to=str(LAST), scope="day")
    early = {row["accounts.plan@day"] for row in rows if row["period"] < "2024-01-10" and row["orders"]}
    assert early <= {"(not known)", None}
    said = world.project.book.query("orders", by=["accounts.plan@day"]).explain
    assert "accounts.plan@day at the end of each day, known from 2024-01-10 on" in said


def test_as_of_a_day_now_is_that_day(project: Any) -> None:
    found = project("sqlite")
    found.table(
        "orders (id int, at timestamp, account_id varchar(9), country varchar(9), user_id int, amount int)",
        [(1, "2024-01-01 10:00:00", "1", "a", 1, 5)],
    )
    found.table("seats (day date, account_id varchar(9), n int)")
    found.table(
        "accounts (id varchar(9), plan varchar(9), size int, updated_at timestamp)",
        [("1", "free", 1, "2024-01-01 08:00:00")],
    )
    found.declare(METRICS)
    found.at("2024-01-02T04:00").run()
    assert found.ask("orders", by=["accounts.plan"]) == {("2024-01-01", "free"): 1}
    found.execute("update accounts set plan = 'pro', updated_at = '2024-01-03 08:00:00'")
    found.at("2024-01-05T04:00").run()
    asked = {"by": ["accounts.plan"], "to": "2024-01-01"}
    assert found.ask("orders", **asked) == {("2024-01-01", "pro"): 1}
    assert found.ask("orders", **asked, as_of="2024-01-02") == {("2024-01-01", "free"): 1}


@pytest.mark.parametrize(
    ("metric", "by", "error", "why"),
    [
        ("signups", "accounts.plan", Refused, "the ids of accounts are not stored"),
        ("orders", "accounts.pln", QueryError, "did you mean 'plan'?"),
        ("orders", "users.role", QueryError, r"declares no \[users\]"),
        ("orders", "accounts.size[9,1]", QueryError, "rising order"),
        ("orders", "acounts.plan", QueryError, "has no dimension"),
    ],
)
def test_what_cannot_be_split_says_what_to_do(project: Any, metric: str, by: str, error: Any, why: str) -> None:
    found = World(project("sqlite"), 1).project
    found.at("2024-01-21T04:00").run()
    with pytest.raises(error) as refused:
        found.book.query(metric, by=[by])
    assert re.search(why, f"{refused.value} {refused.value.hint}")
