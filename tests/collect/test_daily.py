"""However a book was run, day by day or hardly ever, it is the book that one pass over everything makes."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import tallybook
from tallybook.core import calendar
from tallybook.core.errors import Busy
from tallybook.core.points import column_names
from tallybook.storage.engines.duckdb import connect

ZONE = "Europe/Berlin"
START = date(2026, 1, 20)
TOML = f"""
[book]
timezone = "{ZONE}"
start = "{START}"
lookback = "3d"

[sources.app]
url = "sqlite:///{{database}}"
"""
METRICS = """
[metrics.signups]
table = "users"
time = "created_at"
measure = "count(*)"
by = ["plan"]

[metrics.revenue]
table = "invoices"
time = "paid_at"
measure = "sum(amount)"
decimals = 2
by = ["plan"]

[metrics.payers]
table = "invoices"
time = "paid_at"
measure = "count(distinct customer)"

[metrics.median]
table = "invoices"
time = "paid_at"
measure = "median(amount)"

[metrics.mrr]
kind = "level"
table = "contracts"
from = "started_at"
until = "ended_at"
measure = "sum(mrr)"
by = ["plan"]

[metrics.seats]
kind = "level"
table = "daily_seats"
time = "day"
measure = "sum(seats)"
by = ["account"]
carry = "3d"
"""
PLANS = ("free", "pro", "team")
LATE = timedelta(days=2)
"""No fact comes later than this: the lookback of three days sees it, if a run looks often enough."""


class World:
    """A company whose facts reach its database some time after they happened, until `now`."""

    def __init__(self, folder: Path, days: int, dice: random.Random) -> None:
        self.database = folder / "app.db"
        self.now = calendar.start_of(START, ZONE)
        self.coming = sorted(facts(days, dice), key=lambda fact: fact[0])
        with closing(sqlite3.connect(self.database)) as db:
            db.executescript("""
                create table users (created_at text, plan text);
                create table invoices (paid_at text, plan text, customer text, amount decimal(10,2));
                create table contracts (id integer, plan text, started_at text, ended_at text, mrr integer);
                create table daily_seats (day date, account text, seats integer);
            """)

    def at(self, now: datetime) -> None:
        """It is now; what has come until now is in the database."""
        self.now = now
        with closing(sqlite3.connect(self.database)) as db:
            while self.coming and self.coming[0][0] <= now:
                _, statement, values = self.coming.pop(0)
                db.execute(statement, values)
            db.commit()

    def book(self, folder: Path) -> tallybook.Book:
        folder.mkdir(exist_ok=True)
        (folder / "tallybook.toml").write_text(TOML.format(database=self.database) + METRICS)
        return tallybook.open(folder, now=lambda: self.now)


def facts(days: int, dice: random.Random) -> list[tuple[datetime, str, tuple[Any, ...]]]:
    """(when it reaches the database, how, with what)."""
    found: list[tuple[datetime, str, tuple[Any, ...]]] = []
    for number in range(days):
        day = START + timedelta(days=number)
        begin = calendar.start_of(day, ZONE)
        length = calendar.end_of(day, ZONE) - begin

        def comes(begin: datetime = begin, length: timedelta = length) -> tuple[datetime, str]:
            happened = begin + length * dice.random()
            return happened + LATE * dice.choice([0, 0, 0, 0.3, 1]), f"{happened:%Y-%m-%d %H:%M:%S}"

        for _ in range(dice.randrange(4)):
            at, stamp = comes()
            found.append((at, "insert into users values (?, ?)", (stamp, dice.choice(PLANS))))
        for _ in range(dice.randrange(4)):
            at, stamp = comes()
            paid = (stamp, dice.choice(PLANS), f"customer {dice.randrange(9)}", f"{dice.randrange(10_000) / 100:.2f}")
            found.append((at, "insert into invoices values (?, ?, ?, ?)", paid))
        if dice.random() < 0.3:
            at, stamp = comes()
            values = (number, dice.choice(PLANS), stamp, dice.randrange(100))
            found.append((at, "insert into contracts values (?, ?, ?, null, ?)", values))
            gone = at + timedelta(days=dice.randrange(3, 60), hours=dice.randrange(24))
            found.append(
                (gone, "update contracts set ended_at = ? where id = ?", (f"{gone:%Y-%m-%d %H:%M:%S}", number))
            )
        for account in ("acme", "bolt"):
            if dice.random() < 0.8:
                at, _ = comes()
                seats = (str(day), account, dice.randrange(50))
                found.append((at, "insert into daily_seats values (?, ?, ?)", seats))
    return found


Way = Callable[[tallybook.Book, World, random.Random], None]


def once(book: tallybook.Book, world: World, dice: random.Random) -> None:
    book.run()


def twice(book: tallybook.Book, world: World, dice: random.Random) -> None:
    book.run()
    book.run()


def not_at_all(book: tallybook.Book, world: World, dice: random.Random) -> None:
    pass


def of_some_metrics(book: tallybook.Book, world: World, dice: random.Random) -> None:
    book.run(*dice.sample(sorted(book.project.catalog.metrics), 2))


def overlapping(book: tallybook.Book, world: World, dice: random.Random) -> None:
    met = []

    def meanwhile(_: object) -> None:
        with world.book(book.project.folder) as other, pytest.raises(Busy):
            other.run()
        met.append(True)

    book.run(on_progress=meanwhile)
    assert met


def killed(book: tallybook.Book, world: World, dice: random.Random) -> None:
    left = dice.randrange(1, 9)

    def told(_: object) -> None:
        nonlocal left
        left -= 1
        if not left:
            raise KeyboardInterrupt

    interrupted(lambda: book.run(on_progress=told, publish_seconds=0))


def asked_to_stop(book: tallybook.Book, world: World, dice: random.Random) -> None:
    steps = iter([*[False] * dice.randrange(6), *[True] * 1000])
    interrupted(lambda: book.run(stop=lambda: next(steps)))


def and_compacted(book: tallybook.Book, world: World, dice: random.Random) -> None:
    book.run()
    book.compact()


def interrupted(run: Callable[[], object]) -> None:
    with suppress(KeyboardInterrupt):
        run()


WAYS: tuple[Way, ...] = (
    once,
    twice,
    overlapping,
    of_some_metrics,
    killed,
    asked_to_stop,
    and_compacted,
    *[not_at_all] * 6,
)


def test_skipped_doubled_overlapping_and_late_runs_all_end_in_the_same_book(
    tmp_path: Path, seed: int, soak: bool, record_property: Callable[[str, object], None]
) -> None:
    for life in range(8 if soak else 1):
        dice = random.Random(f"{seed} {life}")
        folder = tmp_path / str(life)
        folder.mkdir()
        did = lived(folder, 120 if soak else 90, 40 if soak else 74, dice)
        record_property(f"life {life}", dict(did))


def lived(folder: Path, days: int, gone: int, dice: random.Random) -> Counter[str]:
    """A book that is run in all ways, except on days that its owner is gone, and one collected at the end of its life.

    Both must contain the same."""
    world, did = World(folder, days, dice), Counter[str]()
    away = dice.randrange(5, days - gone - 5)
    with world.book(folder / "daily") as book:
        for number in range(1, days + 1):
            day = START + timedelta(days=number)
            if away <= number < away + gone:
                did["away"] += 1
                continue
            world.at(calendar.start_of(day, ZONE) + timedelta(hours=dice.randrange(0, 24)))
            way = dice.choice(WAYS)
            way(book, world, dice)
            did[way.__name__] += 1
        world.at(calendar.start_of(START + timedelta(days=days + 3), ZONE) + timedelta(hours=4))
        book.run()
        found = held(book)
    with world.book(folder / "at once") as book:
        book.run()
        expected = held(book)
    for what, rows in expected.items():
        assert found[what] == rows, f"{what} differ after {dict(did)}"
    assert expected["additive"]
    return did


def held(book: tallybook.Book) -> dict[str, list[Any]]:
    """Everything a book says: its points and its coverage."""
    snapshot = book.store.snapshot()
    found: dict[str, list[Any]] = {}
    with connect() as engine:
        for kind in ("additive", "ids", "buckets"):
            files = [file for file in snapshot.files if file.kind == kind]
            names = ", ".join(column_names(kind))
            rows = engine.execute(f"SELECT {names} FROM {book.store.scan(files)} ORDER BY ALL").fetchall()
            found[kind] = rows
    found["coverage"] = sorted(
        (key, s.first, s.last) for key, stretches in snapshot.coverage.items() for s in stretches
    )
    return found


def test_a_fact_that_came_late_is_found_by_a_run_that_came_later_still(tmp_path: Path) -> None:
    world = World(tmp_path, 0, random.Random(0))
    world.coming = [
        (datetime(2026, 1, 22, 12, tzinfo=UTC), "insert into users values (?, ?)", ("2026-01-20 12:00:00", "pro"))
    ]
    with world.book(tmp_path / "book") as book:
        world.at(datetime(2026, 1, 21, 4, tzinfo=UTC))
        book.run("signups")
        assert [row["signups"] for row in book.query("signups", from_=START, to=START).rows()] == [0]
        world.at(datetime(2026, 3, 2, 4, tzinfo=UTC))
        book.run("signups")
        assert [row["signups"] for row in book.query("signups", from_=START, to=START).rows()] == [1]
