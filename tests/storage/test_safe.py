"""A book survives what happens to computers: kill -9 at any moment, several processes at once, a full disk.

The acts are done by processes of their own (`crash.py`); after each, the book must be what a single,
undisturbed pass would have made of it: every answer, coverage, revisions, and no file too many.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import tallybook
from tallybook.core.errors import Refused
from tallybook.storage.engines.duckdb import identifier
from tallybook.storage.ledger import Commit
from tallybook.storage.sqlite_ledger import SqliteLedger
from tallybook.storage.tables import COLUMNS
from tests.conftest import SOAK, sampled
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


PARTS = 4 if SOAK else 1
HISTORY = (
    Act("first collect", "run", "2024-01-16T06:00"),
    Act(
        "daily collect",
        "run",
        "2024-01-18T06:00",
        changes=(
            """INSERT INTO users (created_at, plan, country, referrer) SELECT created_at, 'late', country, 'late'
            FROM users WHERE created_at BETWEEN '2024-01-13' AND '2024-01-15'""",
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
            row = (
                moment(day),
                moment(until) if dice.random() < 0.6 else None,
                dice.choice(PLANS),
                dice.randrange(10, 99),
            )
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


NAMING = ("path", "holder", "host", "pid", "report")
"""Columns of a ledger in which no two runs agree that do the same."""


@dataclass
class Lived:
    """The history lived through once, undisturbed: the folder as it was before and after each act, and which steps the
    act took, and how many seconds."""

    folder: Path
    driver: Driver
    before: dict[str, Path] = field(default_factory=dict)
    ends: dict[str, Path] = field(default_factory=dict)
    told: dict[str, Said] = field(default_factory=dict)
    did: dict[str, Said] = field(default_factory=dict)

    def live(self) -> Lived:
        make_company(self.folder)
        for place, act in enumerate(HISTORY):
            change(self.folder, act)
            self.before[act.name] = shutil.copytree(self.folder, self.folder.with_name(f"before-{place}"))
            self.did[act.name] = self.act(self.folder, act, trace=True)
            assert self.did[act.name]["exit"] == 0, self.did[act.name]
            self.ends[act.name] = shutil.copytree(self.folder, self.folder.with_name(f"after-{place}"))
        return self

    def after(self, act: Act) -> Said:
        """What the book said after an act."""
        if act.name not in self.told:
            self.told[act.name] = self.dump(self.ends[act.name], act)
        return self.told[act.name]

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

    def survives(self, act: Act, seen: set[str] | None = None, **crash: Any) -> Said:
        """Crash an act, do it again, and hold the book against the one that was written in a single pass.

        `seen`: the states of crashed books that were gone on from; the same state is not gone on from again."""
        with self.again(act) as folder:
            crashed = self.act(folder, act, **crash)
            assert crashed["exit"] in (None, 0), crashed
            if seen is not None:
                left = what_is_left(folder / "book")
                if left in seen:
                    return crashed
                seen.add(left)
            halfway = self.driver.do(folder, "dump", now=act.now, questions=QUESTIONS[:3])
            assert halfway["said"]["doctor"] == [], (crash, halfway["said"]["doctor"])
            again = self.act(folder, act)
            assert again["exit"] == 0, (crash, again)
            assert_same(self.dump(folder, act), self.after(act), crash)
            tidied = self.driver.do(folder, "tidy", now=act.now)["said"]
            assert tidied["left"] == tidied["missing"] == [], (crash, tidied)
        return crashed


def what_is_left(book: Path) -> str:
    """What is on the disk of a book, in one word: its folders and points files under any names, and its ledger, looked
    at in a copy and without what names a file, a process or its duration."""
    points = [(path.parent.relative_to(book), path.name[: -len("0123456789ab.parquet")], sha256(path.read_bytes()).digest())
              for path in book.rglob("*.parquet")]  # fmt: skip
    folders = [path.relative_to(book) for path in book.rglob("*") if path.is_dir()]
    with tempfile.TemporaryDirectory() as copied:
        for path in (book / "ledger.sqlite", book / "ledger.sqlite-wal"):
            if path.exists():
                shutil.copy(path, copied)
        with closing(sqlite3.connect(Path(copied) / "ledger.sqlite")) as ledger:
            made = {name for (name,) in ledger.execute("SELECT name FROM sqlite_schema")}
            rows = [
                ledger.execute(f"SELECT {', '.join(identifier(c) for c in columns if c not in NAMING)} FROM {name}").fetchall()
                for name, columns in COLUMNS.items() if name in made
            ]  # fmt: skip
    return sha256(
        repr((sorted(points), sorted(folders), [sorted(map(repr, table)) for table in rows])).encode()
    ).hexdigest()


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


@pytest.fixture(params=sampled(HISTORY, 1, "acts"), ids=lambda act: act.name)
def act(request: pytest.FixtureRequest) -> Act:
    return request.param


@pytest.fixture(scope="module")
def lived(driver: Driver, tmp_path_factory: pytest.TempPathFactory) -> Lived:
    return Lived(tmp_path_factory.mktemp("history") / "project", driver).live()


@contextmanager
def at(folder: Path, now: str) -> Iterator[Any]:
    """The book of a project by a clock that stands still."""
    instant = datetime.fromisoformat(now).replace(tzinfo=UTC)
    with tallybook.open(folder, now=lambda: instant) as book:
        yield book


# ---------------------------------------------------------------------------------------------- kill -9


@pytest.mark.parametrize("part", range(PARTS))
def test_killed_at_any_step_and_done_again_it_is_the_same_book(
    lived: Lived, act: Act, part: int, seed: int, soak: bool, record_property: Callable[[str, object], None]
) -> None:
    """In parts, which several workers share. The long run kills at many steps, of those inside of a transaction
    at one, and goes on from every state that a kill leaves."""
    dice = random.Random(f"{seed} {act.name} {part}")
    steps = worth_a_kill(lived.did[act.name]["steps"], dice)
    own = steps[len(steps) * part // PARTS : len(steps) * (part + 1) // PARTS]
    chosen, seen = dice.sample(own, min(len(own), 20 if soak else 1)), set[str]()
    crashes = [lived.survives(act, seen, at=step) for step in chosen]
    assert all(crash["signal"] == signal.SIGKILL for crash in crashes)
    record_property("killed at steps", len(chosen))
    record_property("gone on from states", len(seen))


def worth_a_kill(steps: Sequence[str], dice: random.Random) -> list[int]:
    """The numbers of the steps, but of those inside of a transaction only one: before its COMMIT nothing of them is
    on the disk."""
    chosen: list[int] = []
    inside: list[int] = []
    for number, name in enumerate(steps, 1):
        if name.startswith("ledger ") and name not in ("ledger BEGIN", "ledger COMMIT"):
            inside.append(number)
            continue
        chosen += [dice.choice(inside)] if inside else []
        chosen.append(number)
        inside = []
    return chosen


def test_killed_at_any_moment_and_done_again_it_is_the_same_book(
    lived: Lived, act: Act, seed: int, soak: bool, record_property: Callable[[str, object], None]
) -> None:
    dice = random.Random(f"{seed} {act.name}")
    moments = [dice.random() * lived.did[act.name]["seconds"] for _ in range(10 if soak else 1)]
    crashes = [lived.survives(act, after=moment) for moment in moments]
    record_property("killed at moments", sum(crash["signal"] == signal.SIGKILL for crash in crashes))


def test_killed_again_and_again_it_ends_up_the_same_book(lived: Lived, seed: int, soak: bool) -> None:
    """Each attempt gets a little further; what it did need not be done twice."""
    dice = random.Random(seed)
    for act in HISTORY if soak else (HISTORY[dice.choice((0, 1, 3))],):
        with lived.again(act) as folder:
            kills = 0
            further = (60, 160) if soak else (130, 260)
            while lived.act(folder, act, at=dice.randrange(*further))["exit"] is None:
                kills += 1
                assert kills < 50
            assert_same(lived.dump(folder, act), lived.after(act), kills)


def test_a_run_that_was_killed_has_kept_what_it_published(lived: Lived) -> None:
    act = HISTORY[0]
    with lived.again(act) as folder:
        lived.act(folder, act, at=len(lived.did[act.name]["steps"]) - 20)
        with at(folder, act.now) as book:
            covered = sum(row.days for row in book.metrics() if row.kind != "derived")
            lost = book.runs()
        assert covered > 300
        assert lost[0].status == "running"
        lived.act(folder, act)
        with at(folder, act.now) as book:
            assert [run.status for run in book.runs()] == ["done", "lost"]


# ---------------------------------------------------------------------------------- written before it is said


def test_a_version_names_only_files_that_are_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a power cut there is what was synced: a file, and the folder that holds its name."""
    make_company(tmp_path)
    synced: set[tuple[int, int]] = set()
    commits = 0
    real_sync, real_commit = os.fsync, SqliteLedger.commit

    def sync(descriptor: int) -> None:
        real_sync(descriptor)
        seen = os.fstat(descriptor)
        synced.add((seen.st_ino, seen.st_mtime_ns))

    def commit(ledger: SqliteLedger, base: int, change: Commit, **more: Any) -> int:
        nonlocal commits
        for file in change.add:
            for path in (tmp_path / "book" / file.path, (tmp_path / "book" / file.path).parent):
                seen = path.stat()
                assert (seen.st_ino, seen.st_mtime_ns) in synced, f"{path} was not synced as it is now"
            commits += 1
        return real_commit(ledger, base, change, **more)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(SqliteLedger, "commit", commit)
    with at(tmp_path, HISTORY[0].now) as book:
        book.run(publish_seconds=0)
        book.compact()
        assert book.store.ledger._connection().execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert commits > 20


# ------------------------------------------------------------------------------------- several at the same time

EVENTS = """
[book]
timezone = "Europe/Berlin"
start = "2023-11-24"

[sources.app]
url = "sqlite:///app.sqlite"

[metrics.events]
table = "events"
time = "at"
measure = "count(*)"
by = ["plan"]

[metrics.events_summed]
table = "events"
time = "at"
measure = "sum(1)"
by = ["plan"]

[metrics.events_of_ids]
table = "events"
time = "at"
measure = "count(distinct user_id)"
by = ["plan"]

[metrics.ratio]
measure = "events_of_ids / events"
"""
ALL = ["events", "events_summed", "events_of_ids", "ratio"]
READ: list[dict[str, Any]] = [
    {"metrics": ALL, "scope": "day"},
    {"metrics": ALL, "scope": "day", "by": ["plan"]},
    {"metrics": ALL, "scope": "week", "by": ["plan"], "totals": True},
    {"metrics": ALL, "scope": "month", "totals": True},
    {"metrics": ["events", "events_of_ids"], "scope": "all"},
    {"metrics": ALL, "scope": "month", "by": ["plan"], "as_of": "2024-01-16"},
]


def make_events(folder: Path) -> None:
    """One event of each plan on every day; the application adds and takes whole generations of them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tallybook.toml").write_text(EVENTS)
    days = [FIRST + timedelta(days=i) for i in range((LAST - FIRST).days + 1)]
    rows = [
        (f"{day} {number % 22:02}:30:00", plan) for number, day in enumerate(days) for plan in ("free", "pro", "team")
    ]
    with closing(sqlite3.connect(folder / "app.sqlite")) as app:
        app.execute("PRAGMA journal_mode = WAL")
        app.execute("CREATE TABLE events (at TEXT, plan TEXT, user_id INTEGER, generation INTEGER)")
        app.execute("CREATE INDEX events_at ON events (at)")
        app.executemany(
            "INSERT INTO events VALUES (?, ?, ?, 1)", [(at, plan, number) for number, (at, plan) in enumerate(rows)]
        )
        app.commit()


def lives(folder: Path, do: str, dice: random.Random, seconds: float, deaths: int, **more: Any) -> list[Job]:
    """One writer's lives: killed at random moments, and there again after each."""
    ends = sorted(dice.random() * seconds for _ in range(deaths))
    started = [0.0, *ends]
    common = {"now": "2024-01-18T06:00", "ticking": True, "seed": dice.random(), **more}
    mortal = [
        job(folder, do, delay=begin, after=end, seconds=seconds, **common)
        for begin, end in zip(started, ends, strict=False)
    ]
    return [*mortal, job(folder, do, delay=started[-1], seconds=seconds - started[-1], **common)]


def test_four_writers_at_once_and_every_answer_is_of_one_version(
    driver: Driver, tmp_path: Path, seed: int, soak: bool, record_property: Callable[[str, object], None]
) -> None:
    make_events(tmp_path)
    four_writers_at_once(driver, tmp_path, seed, soak, record_property)
    tidied = driver.do(tmp_path, "tidy", now="2024-01-18T08:00")["said"]
    assert tidied["left"] == tidied["missing"] == []


def four_writers_at_once(
    driver: Driver, tmp_path: Path, seed: int, soak: bool, record_property: Callable[[str, object], None]
) -> None:
    """Three collect and one compacts, killed now and then, while the application changes and two read."""
    assert driver.do(tmp_path, "run", now="2024-01-16T06:00")["exit"] == 0
    dice, seconds, deaths = random.Random(seed), 60.0 if soak else 2.5, 12 if soak else 1
    writers = [
        *lives(tmp_path, "collect_forever", dice, seconds, deaths),
        *lives(tmp_path, "collect_forever", dice, seconds, deaths),
        *lives(
            tmp_path, "collect_forever", dice, seconds, deaths, days=[str(FIRST + timedelta(days=i)) for i in range(50)]
        ),
        *lives(tmp_path, "compact_forever", dice, seconds, deaths),
    ]
    application = lives(tmp_path, "change_forever", dice, seconds, 0)
    readers = [life for _ in range(2) for life in lives(tmp_path, "read_forever", dice, seconds, 0, asked=READ)]
    said = driver.together([*writers, *application, *readers])

    wrote, read = said[: len(writers)], said[-2:]
    assert [one for one in said if one["exit"] not in (0, None)] == []
    assert sum(one["signal"] == signal.SIGKILL for one in wrote) == 4 * deaths
    ended = [one["said"] for one in wrote if one["exit"] == 0]
    assert sum(one.get("failed", 0) for one in ended) == 0
    assert [wrong for one in read for wrong in one["said"]["wrong"]] == []
    reads = [read for one in read for read in one["said"]["reads"]]
    # On a busy machine a reader may come to no question of the past.
    assert len({digest for _, question, digest in reads if question.get("as_of")}) <= 1
    again = driver.do(tmp_path, "reread", now="2024-01-18T06:05", reads=reads)
    assert again["said"]["differ"] == []

    assert driver.do(tmp_path, "run", now="2024-01-18T07:00", **{"from": str(FIRST)})["exit"] == 0
    with at(tmp_path, "2024-01-18T07:00") as book, closing(sqlite3.connect(tmp_path / "app.sqlite")) as app:
        (generations,) = app.execute("SELECT count(DISTINCT generation) FROM events").fetchone()
        rows = book.query("events", "events_of_ids", scope="day", by=["plan"]).rows()
        assert {(row["events"], row["events_of_ids"]) for row in rows} == {(generations, generations)}
        assert book.doctor() == []
        versions = book.store.ledger.version()
    record_property("reads", len(reads))
    record_property("different answers", again["said"]["asked"])
    record_property("versions", versions)
    record_property("writers killed", 4 * deaths)
    for what in ("runs", "busy", "compacted"):
        record_property(what, sum(one.get(what, 0) for one in ended))


def test_of_two_runs_one_does_the_work_and_the_other_says_so(driver: Driver, lived: Lived) -> None:
    act = HISTORY[0]
    with lived.again(act) as folder:
        one, other = driver.together([job(folder, "run", now=act.now), job(folder, "run", now=act.now)])
        done, busy = (one, other) if one["exit"] == 0 else (other, one)
        assert (done["exit"], busy["exit"], busy["kind"]) == (0, 5, "Busy")
        assert "another run is writing to this book: process" in busy["error"]
        assert "run again" in busy["hint"]
        assert_same(lived.dump(folder, act), lived.after(act), "two runs")


@pytest.mark.cases(1)
@pytest.mark.parametrize("act", [HISTORY[2], HISTORY[4]], ids=["compact", "clean"])
def test_several_compact_at_the_same_time(driver: Driver, lived: Lived, act: Act, soak: bool) -> None:
    for _ in range(30 if soak else 1):
        with lived.again(act) as folder:
            said = driver.together([job(folder, "compact", now=act.now)] * 4)
            assert [one["exit"] for one in said] == [0, 0, 0, 0], said
            assert_same(lived.dump(folder, act), lived.after(act), "four compacts")
            tidied = driver.do(folder, "tidy", now=act.now)["said"]
            assert tidied["left"] == tidied["missing"] == []


def test_several_open_a_book_that_is_not_there_yet(driver: Driver, tmp_path: Path, soak: bool) -> None:
    for number in range(50 if soak else 2):
        folder = tmp_path / str(number)
        make_events(folder)
        said = driver.together([job(folder, "open", now="2024-01-18T06:00")] * 6)
        assert [(one["exit"], one["said"]) for one in said] == [(0, {"version": 0})] * 6, said


# --------------------------------------------------------------------------------------------------- leases


def test_a_run_that_was_taken_over_while_it_slept_can_not_commit(
    driver: Driver, lived: Lived, seed: int, soak: bool
) -> None:
    act = HISTORY[1]
    steps = lived.did[act.name]["steps"]
    places = [steps.index("points written") + 1, len(steps) - steps[::-1].index("points begun")]
    for place in places if soak else [random.Random(seed).choice(places)]:
        with lived.again(act) as folder:
            asleep = lived.act(folder, act, at=place, signal="STOP")
            soon = driver.do(folder, "run", now="2024-01-18T06:00:59")
            assert (soon["exit"], soon["kind"]) == (5, "Busy")
            later = driver.do(folder, "run", now="2024-01-18T06:01:01")
            assert later["exit"] == 0
            taken = driver.do(folder, "dump", now=act.now, questions=QUESTIONS)["said"]
            awake = driver.resume(asleep["stopped"])
            assert (awake["exit"], awake["kind"]) == (5, "Busy")
            assert "taken over" in awake["error"]
            assert driver.do(folder, "dump", now=act.now, questions=QUESTIONS)["said"] == taken
            # What can only be seen now was seen a minute later; all else is the same.
            taken = json.loads(json.dumps(taken).replace("2024-01-18T06:01:01", "2024-01-18T06:00:00"))
            assert_same(taken, lived.after(act), "taken over")
            tidied = driver.do(folder, "tidy", now=act.now)["said"]
            assert tidied["left"] == tidied["missing"] == []
            with at(folder, act.now) as book:
                assert [run.status for run in book.runs(2)] == ["done", "failed"]


# ------------------------------------------------------------------------------------------- the book as it was


@dataclass
class Year:
    """A book that was written to on many days of a year; `believed`: what it answered on each of them."""

    folder: Path
    believed: dict[date, int]

    def days(self) -> list[date]:
        """Every day since there is a book."""
        first = min(self.believed)
        return [first + timedelta(days=i) for i in range((date(2023, 12, 30) - first).days + 1)]

    def at_the_end_of(self, day: date) -> int:
        return max((then, number) for then, number in self.believed.items() if then <= day)[1]


YEAR = """
[book]
timezone = "America/New_York"
start = "2023-01-01"

[sources.app]
url = "sqlite:///app.sqlite"

[metrics.events]
table = "events"
time = "at"
measure = "count(*)"
"""
ASKED = {"metrics": ["events"], "scope": "all", "from_": "2023-01-01", "to": "2023-01-01"}


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory, seed: int) -> Year:
    """The number of events of one day is another on every day that somebody looked."""
    folder, dice = tmp_path_factory.mktemp("year"), random.Random(seed)
    (folder / "tallybook.toml").write_text(YEAR)
    days = sorted({date(2023, 1, 3) + timedelta(days=dice.randrange(360)) for _ in range(34)} | {date(2023, 8, 31)})
    believed = {}
    with closing(sqlite3.connect(folder / "app.sqlite")) as app:
        app.execute("CREATE TABLE events (at TEXT)")
        for number, day in enumerate(days, 1):
            app.execute("INSERT INTO events VALUES ('2023-01-01 12:00:00')")
            app.commit()
            # In New York it is still the day before until four or five in the morning.
            hour = dice.choice((5, 12, 27))
            instant = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=hour, minutes=30)
            with tallybook.open(folder, now=lambda instant=instant: instant) as book:
                book.run(from_="2023-01-01", to="2023-01-01")
            believed[day] = number
    return Year(folder, believed)


def test_what_was_believed_can_be_asked_until_it_is_cleaned_and_then_is_refused(
    year: Year, tmp_path: Path, seed: int, soak: bool
) -> None:
    folder = shutil.copytree(year.folder, tmp_path / "year")
    days = year.days()
    asked = days if soak else sorted(random.Random(seed).sample(days, 90))
    with at(folder, "2023-12-31T12:00") as book:
        for day in asked:
            assert as_of(book, day) == year.at_the_end_of(day)
        files = len(list((folder / "book" / "points").rglob("*.parquet")))
        assert book.compact()["deleted"] > 10
        assert len(list((folder / "book" / "points").rglob("*.parquet"))) < files - 10
        assert book.doctor() == []
        oldest = date(2023, 12, 31) - timedelta(days=90)
        refused = 0
        for day in asked:
            month_ends = (day + timedelta(days=1)).day == 1
            if day >= oldest or month_ends:
                assert as_of(book, day) == year.at_the_end_of(day)
                continue
            why = right_or_refused(book, day, year.at_the_end_of(day))
            if why is not None:
                refused += 1
                assert f"at the end of {day} was cleaned" in str(why)
                instead = date.fromisoformat(why.ask.removeprefix("--as-of "))
                assert (instead + timedelta(days=1)).day == 1
                assert as_of(book, instead) == year.at_the_end_of(instead)
        assert refused > (20 if soak else 0)


def as_of(book: Any, day: date) -> int:
    row = book.query("events", scope="all", from_="2023-01-01", to="2023-01-01", as_of=day).rows()[0]
    return row["events"]


def right_or_refused(book: Any, day: date, expected: int) -> Refused | None:
    try:
        found = as_of(book, day)
    except Refused as why:
        return why
    assert found == expected
    return None


def test_asking_while_it_is_cleaned_is_answered_rightly_or_refused(
    driver: Driver, year: Year, tmp_path: Path, seed: int, soak: bool, record_property: Callable[[str, object], None]
) -> None:
    counts = {"answered": 0, "refused": 0}
    for number in range(20 if soak else 1):
        folder = shutil.copytree(year.folder, tmp_path / str(number))
        believed = [(str(day), year.at_the_end_of(day)) for day in year.days()]
        asking = [
            job(
                folder,
                "ask_while_cleaned",
                now="2023-12-31T12:00",
                seconds=2.5,
                seed=seed + i,
                believed=believed,
                question=ASKED,
            )
            for i in range(2)
        ]
        cleaning = [job(folder, "compact", now="2023-12-31T12:00", delay=0.8)] * 2
        said = driver.together([*asking, *cleaning])
        assert [one["exit"] for one in said] == [0, 0, 0, 0], said
        for one in said[:2]:
            assert one["said"]["wrong"] == []
            for what in counts:
                counts[what] += one["said"][what]
    assert counts["answered"] > 0
    assert counts["refused"] > 0
    for what, number in counts.items():
        record_property(what, number)


def test_a_file_that_left_the_book_is_kept_for_an_hour(tmp_path: Path) -> None:
    """Whatever keep_versions says: somebody may be reading it."""
    make_events(tmp_path)
    toml = (tmp_path / "tallybook.toml").read_text().replace("[book]", '[book]\nkeep_versions = "0d"')
    (tmp_path / "tallybook.toml").write_text(toml)
    with at(tmp_path, "2024-01-18T06:00") as book:
        book.run()
        book.compact()
        files = set((tmp_path / "book" / "points").rglob("*.parquet"))
        assert book.compact() == {"folded": 0, "deleted": 0}
    with at(tmp_path, "2024-01-18T06:59") as book:
        assert book.compact()["deleted"] == 0
    with at(tmp_path, "2024-01-18T07:01") as book:
        assert book.compact()["deleted"] > 0
        left = set((tmp_path / "book" / "points").rglob("*.parquet"))
        assert left < files
        assert {book.store.path(file) for file in book.store.snapshot().files} == left


def test_a_stray_is_left_alone_while_a_run_is_at_work(tmp_path: Path) -> None:
    make_events(tmp_path)
    with at(tmp_path, "2024-01-18T06:00") as book:
        book.run()
        strays = [tmp_path / "book" / "points" / "additive" / f"2024-01-{name}.parquet" for name in ("young", "old")]
        for stray in strays:
            stray.write_bytes(b"half a file")
        long_ago = time.time() - 25 * 3600
        os.utime(strays[1], (long_ago, long_ago))
        assert "1 points file belongs to no version" in book.doctor()[0]
        lease = book.store.ledger.acquire("collect", now=book.clock(), seconds=60)
        assert book.compact()["deleted"] == 0
        book.store.ledger.release(lease)
        assert book.compact()["deleted"] == 1
        assert [stray.exists() for stray in strays] == [True, False]
        assert book.doctor() == []


# ------------------------------------------------------------------------------------------------- a full disk


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Callable[[int], None]]:
    """A disk of so many kilobytes at `folder`; call what is given to make it larger. Needs root on Linux."""
    folder.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield lambda more: subprocess.run(["mount", "-o", f"remount,size={more}k", str(folder)], check=True) and None
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_told_and_nothing_is_half_done(
    driver: Driver, lived: Lived, seed: int, soak: bool, record_property: Callable[[str, object], None]
) -> None:
    act, dice, told = HISTORY[0], random.Random(seed), 0
    sizes = range(8, 720, 24) if soak else [dice.randrange(4, 60)]
    for kilobytes in sizes:
        with lived.again(act) as folder, small_disk(folder / "book", kilobytes) as enlarge:
            full = lived.act(folder, act)
            assert full["exit"] == 0 or full["kind"] == "BookError", full
            if full["exit"]:
                told += 1
                assert "cannot be written" in full["error"]
                assert "make room on the disk" in full["hint"]
                assert "Traceback" not in full["error"]
            enlarge(65_536)
            halfway = driver.do(folder, "dump", now=act.now, questions=QUESTIONS[:3])
            assert halfway["said"]["doctor"] == [], (kilobytes, halfway)
            assert lived.act(folder, act)["exit"] == 0
            assert_same(lived.dump(folder, act), lived.after(act), kilobytes)
            tidied = driver.do(folder, "tidy", now=act.now)["said"]
            assert tidied["left"] == tidied["missing"] == [], (kilobytes, tidied)
    assert told
    record_property("disks too small", told)


def test_a_file_that_may_not_grow_is_told_and_nothing_is_half_done(
    driver: Driver, lived: Lived, seed: int, soak: bool
) -> None:
    """The same where no disk can be mounted: the system's limit on the size of a file."""
    act, dice, told = HISTORY[0], random.Random(seed), 0
    sizes = range(1, 200, 6) if soak else [6, dice.randrange(100, 160)]
    for kilobytes in sizes:
        with lived.again(act) as folder:
            full = lived.act(folder, act, largest=kilobytes * 1024)
            assert full["exit"] == 0 or full["kind"] == "BookError", full
            told += bool(full["exit"])
            halfway = driver.do(folder, "dump", now=act.now, questions=QUESTIONS[:3])
            assert halfway["said"]["doctor"] == [], (kilobytes, halfway)
            assert lived.act(folder, act)["exit"] == 0
            assert_same(lived.dump(folder, act), lived.after(act), kilobytes)
    assert told


# ---------------------------------------------------------------------------------------------------- doctor


def test_doctor_finds_what_was_done_to_a_book(lived: Lived) -> None:
    act = HISTORY[1]
    damages: dict[str, Callable[[Path, Path], Any]] = {
        "is missing": lambda book, file: file.unlink(),
        "bytes, the ledger says": lambda book, file: file.write_bytes(file.read_bytes()[:-9]),
        "contain the bytes": lambda book, file: file.write_bytes(b"x" * file.stat().st_size),
        "does not contain the bytes that were written": lambda book, file: flip_a_bit(file),
        "days that are not covered": lambda book, file: ledger(
            book, "DELETE FROM coverage WHERE metric = 'signups' AND '2024-01-09' BETWEEN first_day AND last_day"
        ),
        "which is not recorded": lambda book, file: ledger(book, "DELETE FROM definitions WHERE metric = 'mrr'"),
        "without a gap": lambda book, file: ledger(book, "DELETE FROM versions WHERE version = 3"),
        "rows, the ledger says": lambda book, file: ledger(
            book, "UPDATE files SET row_count = 1 WHERE removed IS NULL"
        ),
        "hold the same days": lambda book, file: ledger(
            book,
            "INSERT INTO files (path, kind, metric, first_day, last_day, row_count, byte_count, format, added) "
            "SELECT path || '2', kind, metric, first_day, last_day, row_count, byte_count, format, added FROM files "
            "WHERE removed IS NULL LIMIT 1",
        ),
    }
    for words, damage in damages.items():
        with lived.again(act) as folder:
            with at(folder, act.now) as book:
                assert book.doctor() == []
                file = book.store.path(next(f for f in book.store.snapshot().files if f.kind == "additive"))
            damage(folder / "book", file)
            with at(folder, act.now) as book:
                told = book.doctor()
            assert any(words in one for one in told), (words, told)


def test_doctor_tells_of_a_missing_file_that_only_the_past_needs(lived: Lived) -> None:
    act = HISTORY[3]
    with lived.again(act) as folder, at(folder, act.now) as book:
        current = {file.path for file in book.store.snapshot().files}
        older = next(file for file in book.store.ledger.known_files() if file.path not in current)
        book.store.path(older).unlink()
        (told,) = book.doctor()
        assert "today's answers do not need it, --as-of before it was replaced does" in told


def flip_a_bit(file: Path) -> None:
    """Of the metadata that say who wrote the file: every number in it stays."""
    written = file.read_bytes()
    assert b"DuckDB version" in written
    file.write_bytes(written.replace(b"DuckDB version", b"DuckDB versioo"))


def ledger(book: Path, statement: str) -> None:
    with closing(sqlite3.connect(book / "ledger.sqlite", isolation_level=None)) as connection:
        connection.execute(statement)
