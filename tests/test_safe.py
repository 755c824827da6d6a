"""A book survives what happens to computers: kill -9 at any moment, several processes at once, a full disk.

The acts are done by processes of their own (`crash.py`); after each, the book must be what a single,
undisturbed pass would have made of it: every answer, coverage, revisions, and no file too many.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import tallybook
from tests.crash import Driver, Job, Said, job

ZONE = "Europe/Berlin"

# ------------------------------------------------------------------------------------ a company, lived through

TOML = """
[book]
timezone = "Europe/Berlin"
start = "2023-11-24"

[sources.app]
url = "sqlite:///app.sqlite"

[metrics.signups]
table = "users"
time = "created_at"
measure = "count(*)"
by = ["plan", "country"]

[metrics.referrers]
table = "users"
time = "created_at"
measure = "count(distinct referrer)"
by = ["plan"]

[metrics.revenue]
table = "invoices"
time = "paid_at"
where = "status = 'paid'"
measure = "sum(amount)"
by = ["plan"]

[metrics.typical_invoice]
table = "invoices"
time = "paid_at"
measure = "p90(amount)"
by = ["plan"]

[metrics.spread]
table = "invoices"
time = "paid_at"
measure = "stddev(amount)"

[metrics.mrr]
kind = "level"
table = "subscriptions"
from = "started_at"
until = "cancelled_at"
measure = "sum(mrr)"
by = ["plan"]

[metrics.largest_subscription]
kind = "level"
table = "subscriptions"
from = "started_at"
until = "cancelled_at"
measure = "max(mrr)"

[metrics.seats]
kind = "level"
table = "daily_seats"
time = "day"
measure = "sum(seats)"
by = ["account_id"]
carry = "3d"

[metrics.open_tickets]
kind = "level"
table = "tickets"
where = "closed_at is null"
measure = "count(*)"

[metrics.revenue_per_signup]
measure = "revenue / signups"
"""
TABLES = """
CREATE TABLE users (id INTEGER PRIMARY KEY, created_at TEXT, plan TEXT, country TEXT, referrer TEXT);
CREATE INDEX users_created ON users (created_at);
CREATE TABLE invoices (id INTEGER PRIMARY KEY, paid_at TEXT, plan TEXT, status TEXT, amount DECIMAL(10, 2));
CREATE TABLE subscriptions (id INTEGER PRIMARY KEY, started_at TEXT, cancelled_at TEXT, plan TEXT, mrr INTEGER);
CREATE TABLE daily_seats (id INTEGER PRIMARY KEY, day TEXT, account_id INTEGER, seats INTEGER);
CREATE INDEX seats_day ON daily_seats (day);
CREATE TABLE tickets (id INTEGER PRIMARY KEY, closed_at TEXT);
"""
PLANS = ("free", "pro", "team", None)
FIRST, LAST = date(2023, 11, 24), date(2024, 1, 18)

QUESTIONS: list[dict[str, Any]] = [
    {"metrics": ["signups", "referrers"], "scope": "day", "by": ["plan"]},
    {"metrics": ["signups"], "scope": "month", "by": ["country"], "totals": True},
    {"metrics": ["referrers", "revenue", "revenue_per_signup"], "scope": "month"},
    {"metrics": ["revenue", "typical_invoice"], "scope": "week", "by": ["plan"], "totals": True},
    {"metrics": ["revenue"], "scope": "day", "by": ["plan"], "fill": True},
    {"metrics": ["typical_invoice", "spread"], "scope": "day"},
    {"metrics": ["typical_invoice", "spread", "referrers"], "scope": "all"},
    {"metrics": ["mrr", "largest_subscription", "seats", "open_tickets"], "scope": "day"},
    {"metrics": ["mrr"], "scope": "month", "by": ["plan"], "show": "average"},
    {"metrics": ["seats"], "scope": "week", "by": ["account_id"]},
    {"metrics": ["signups", "mrr", "revenue"], "scope": "year", "as_of": "2024-01-16"},
    {"metrics": ["signups", "mrr", "revenue", "referrers"], "scope": "month", "as_of": "2024-01-18"},
]




@dataclass(frozen=True)
class Act:
    """Something that happens to the project: first the application changes its rows, then a verb is used."""

    name: str
    do: str
    now: str
    more: dict[str, Any] = field(default_factory=dict)
    changes: tuple[str, ...] = ()


HISTORY = (
    Act("first collect", "run", "2024-01-16T06:00"),
    Act(
        "daily collect",
        "run",
        "2024-01-18T06:00",
        changes=(
            "INSERT INTO users (created_at, plan, country, referrer) SELECT created_at, 'late', country, 'late' "
            "FROM users WHERE created_at BETWEEN '2024-01-13' AND '2024-01-15'",
            "DELETE FROM users WHERE created_at BETWEEN '2024-01-14 23:00' AND '2024-01-15 23:00'",
            "UPDATE invoices SET amount = amount + 0.01 WHERE paid_at > '2024-01-14'",
            "UPDATE subscriptions SET cancelled_at = '2024-01-14 10:00:00' WHERE id % 7 = 0 AND cancelled_at IS NULL",
            "UPDATE tickets SET closed_at = '2024-01-17 00:00:00' WHERE id % 3 = 0",
        ),
    ),
    Act("compact", "compact", "2024-01-18T07:00"),
    Act(
        "backfill",
        "run",
        "2024-01-18T08:00",
        more={"from": "2023-12-10", "to": "2024-01-05"},
        changes=(
            "DELETE FROM users WHERE id % 5 = 0 AND created_at BETWEEN '2023-12-15' AND '2023-12-20'",
            "UPDATE invoices SET amount = 99.95 WHERE id % 11 = 0",
            "DELETE FROM daily_seats WHERE day BETWEEN '2023-12-20' AND '2023-12-22'",
        ),
    ),
    Act("clean", "compact", "2024-06-15T06:00"),
)
ACTS = [act.name for act in HISTORY]


def make_company(folder: Path, seed: int = 5) -> None:
    """A project with its database, always the same; nothing collected."""
    dice = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tallybook.toml").write_text(TOML)
    days = [FIRST + timedelta(days=i) for i in range((LAST - FIRST).days + 1)]

    def moment(day: date) -> str:
        return f"{day} {dice.randrange(24):02}:{dice.randrange(60):02}:{dice.randrange(60):02}"

    with closing(sqlite3.connect(folder / "app.sqlite")) as app:
        app.execute("PRAGMA journal_mode = WAL")
        app.executescript(TABLES)
        for day in days:
            for _ in range(dice.randrange(6)):
                row = (moment(day), dice.choice(PLANS), dice.choice(("DE", "CH", None)), f"r{dice.randrange(9)}")
                app.execute("INSERT INTO users (created_at, plan, country, referrer) VALUES (?, ?, ?, ?)", row)
            for _ in range(dice.randrange(7)):
                row = (moment(day), dice.choice(PLANS), dice.choice(("paid", "open")), dice.randrange(1, 90_000) / 100)
                app.execute("INSERT INTO invoices (paid_at, plan, status, amount) VALUES (?, ?, ?, ?)", row)
            until = day + timedelta(days=dice.randrange(1, 60))
            row = (moment(day), moment(until) if dice.random() < 0.6 else None, dice.choice(PLANS), dice.randrange(10, 99))
            app.execute("INSERT INTO subscriptions (started_at, cancelled_at, plan, mrr) VALUES (?, ?, ?, ?)", row)
            for account in range(3):
                if dice.random() < 0.8:
                    row = (str(day), account, dice.randrange(1, 50))
                    app.execute("INSERT INTO daily_seats (day, account_id, seats) VALUES (?, ?, ?)", row)
            app.execute("INSERT INTO tickets (closed_at) VALUES (?)", [moment(day) if dice.random() < 0.5 else None])
        app.commit()


def change(folder: Path, act: Act) -> None:
    with closing(sqlite3.connect(folder / "app.sqlite")) as app:
        for statement in act.changes:
            app.execute(statement)
        app.commit()


@dataclass
class Lived:
    """The history lived through once, undisturbed: the folder as it was before each act, what the book said
    after it, and how many steps and seconds the act took."""

    folder: Path
    driver: Driver
    before: dict[str, Path] = field(default_factory=dict)
    after: dict[str, Said] = field(default_factory=dict)
    did: dict[str, Said] = field(default_factory=dict)

    def live(self) -> Lived:
        make_company(self.folder)
        for place, act in enumerate(HISTORY):
            change(self.folder, act)
            self.before[act.name] = shutil.copytree(self.folder, self.folder.with_name(f"before-{place}"))
            self.did[act.name] = self.act(self.folder, act)
            assert self.did[act.name]["exit"] == 0, self.did[act.name]
            self.after[act.name] = self.dump(self.folder, act)
        return self

    def act(self, folder: Path, act: Act, **crash: Any) -> Said:
        return self.driver.do(folder, act.do, now=act.now, **act.more, **crash)

    def dump(self, folder: Path, act: Act) -> Said:
        answer = self.driver.do(folder, "dump", now=act.now, questions=QUESTIONS)
        assert answer["exit"] == 0, answer
        return answer["said"]

    @contextmanager
    def again(self, act: Act) -> Iterator[Path]:
        """The project as it was before an act, in the place where it was."""
        shutil.rmtree(self.folder)
        yield shutil.copytree(self.before[act.name], self.folder)

    def survives(self, act: Act, **crash: Any) -> Said:
        """Crash an act, do it again, and hold the book against the one that was written in a single pass."""
        with self.again(act) as folder:
            crashed = self.act(folder, act, **crash)
            assert crashed["exit"] in (None, 0), crashed
            halfway = self.driver.do(folder, "dump", now=act.now, questions=QUESTIONS[:3])
            assert halfway["said"]["doctor"] == [], (crash, halfway["said"]["doctor"])
            again = self.act(folder, act)
            assert again["exit"] == 0, (crash, again)
            assert_same(self.dump(folder, act), self.after[act.name], crash)
            tidied = self.driver.do(folder, "tidy", now=act.now)["said"]
            assert tidied["left"] == tidied["missing"] == [], (crash, tidied)
        return crashed


def assert_same(found: Said, expected: Said, why: Any) -> None:
    for part in ("answers", "coverage", "definitions", "revisions", "doctor"):
        if isinstance(expected[part], dict):
            assert found[part].keys() == expected[part].keys(), (why, part)
            for key, value in expected[part].items():
                assert found[part][key] == value, (why, key)
        else:
            assert found[part] == expected[part], (why, part)


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    with Driver() as driver:
        yield driver


@pytest.fixture(scope="module")
def lived(driver: Driver, tmp_path_factory: pytest.TempPathFactory) -> Lived:
    return Lived(tmp_path_factory.mktemp("history") / "project", driver).live()


# ---------------------------------------------------------------------------------------------- kill -9


@pytest.mark.parametrize("name", ACTS)
def test_killed_at_any_step_and_done_again_it_is_the_same_book(
    lived: Lived, name: str, seed: int, soak: bool, record_property: Callable[[str, object], None]
) -> None:
    act = HISTORY[ACTS.index(name)]
    steps = range(1, lived.did[name]["steps"] + 1)
    chosen = steps if soak else sorted(random.Random(f"{seed}{name}").sample(steps, min(6, len(steps))))
    print({k: (v["steps"], v["seconds"]) for k, v in lived.did.items()})
    crashes = [lived.survives(act, at=step) for step in chosen]
    assert all(crash["signal"] == 9 for crash in crashes)
    record_property("steps killed at", len(chosen))
