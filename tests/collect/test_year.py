"""A year on a host without a disk: nothing but DATABASE_URL, a scheduler that skips, doubles and overlaps runs, a
platform that kills them, a PostgreSQL server that is restarted in the middle of one. At its end the book, and the
workbook, are those of a single pass.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import psycopg
import pytest

import tallybook
from tallybook.core import calendar
from tests.collect.test_daily import METRICS, START, ZONE, facts, held
from tests.crash import Driver, Said, job
from tests.servers import OwnServer

TOML = f"""
[book]
timezone = "{ZONE}"
start = "{START}"
lookback = "3d"
ledger = "${{DATABASE_URL}}"
store = "ledger"

[sources.app]
url = "${{DATABASE_URL}}"
{METRICS}
[metrics.revenue_per_payer]
measure = "revenue / payers"

[deliveries.board]
to = "xlsx"
path = "board.xlsx"
metrics = ["signups", "revenue", "payers", "median", "mrr", "seats", "revenue_per_payer"]
last = "400 days"
"""
IN_ONE_PASS = "\n".join(line for line in TOML.splitlines() if not line.startswith(("ledger =", "store =")))
TABLES = """
create table users (created_at timestamp, plan text);
create table invoices (paid_at timestamp, plan text, customer text, amount decimal(10, 2));
create table contracts (id int, plan text, started_at timestamp, ended_at timestamp, mrr int);
create table daily_seats (day date, account text, seats int)
"""


class Host:
    """Where each start finds what was pushed there, and nothing that a start before it has written."""

    def __init__(self, folder: Path, server: OwnServer, driver: Driver, days: int, dice: random.Random) -> None:
        self.folder, self.server, self.driver, self.dice = folder, server, driver, dice
        self.coming = sorted(facts(days, dice), key=lambda fact: fact[0])
        self.now = calendar.start_of(START, ZONE)
        self.restarts = 0
        with psycopg.connect(self._libpq) as db:
            db.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public; DROP SCHEMA IF EXISTS tallybook CASCADE")
            db.execute(TABLES)

    @property
    def _libpq(self) -> str:
        return self.server.url.replace("+psycopg", "")

    def at(self, now: datetime) -> None:
        """It is now; what has come until now is in the database."""
        self.now = now
        with psycopg.connect(self._libpq) as db:
            db.execute("SET synchronous_commit = on")
            while self.coming and self.coming[0][0] <= now:
                _, statement, values = self.coming.pop(0)
                db.execute(statement.replace("?", "%s"), values)

    def started(self, toml: str = TOML) -> Path:
        """A folder with the project, on a disk that is empty otherwise."""
        for left in (self.folder, *Path(tempfile.gettempdir()).iterdir()):
            shutil.rmtree(left, ignore_errors=True)
        self.folder.mkdir()
        (self.folder / "tallybook.toml").write_text(toml)
        (self.folder / ".env").write_text(f"DATABASE_URL='{self.server.url}'\n")
        return self.folder

    def job(self, **more: Any) -> dict[str, Any]:
        return job(self.folder, "run", now=f"{self.now:%Y-%m-%dT%H:%M:%S}", **more)

    def run(self, **crash: Any) -> Said:
        self.started()
        return self.driver.together([self.job(**crash)])[0]


Way = Callable[[Host], None]


def once(host: Host) -> None:
    assert host.run()["exit"] == 0


def doubled(host: Host) -> None:
    once(host)
    once(host)


def overlapping(host: Host) -> None:
    host.started()
    exits = [said["exit"] for said in host.driver.together([host.job(), host.job()])]
    assert sorted(exits) in ([0, 0], [0, 5]), exits


def killed_at_a_step(host: Host) -> None:
    assert host.run(at=host.dice.randrange(1, 150))["exit"] in (None, 0)


def killed_at_a_moment(host: Host) -> None:
    assert host.run(after=host.dice.random() * 0.8)["exit"] in (None, 0)


def restarted(host: Host) -> None:
    """The server goes away while a run is at work, as in a maintenance window, and comes back."""
    said = host.run(at=host.dice.randrange(1, 100), signal="STOP")
    host.server.stop()
    host.server.start()
    if "stopped" in said:
        host.restarts += 1
        told = host.driver.resume(said["stopped"])
        assert told.get("kind") != "bug", told["error"]


def not_at_all(host: Host) -> None:
    pass


WAYS: tuple[Way, ...] = (once, doubled, overlapping, killed_at_a_step, killed_at_a_moment, restarted, not_at_all)
AWAY = 40


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    with pytest.MonkeyPatch.context() as patch:
        folder = str(tmp_path_factory.mktemp("tmp"))
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        with Driver() as driver:
            yield driver


def test_a_year_without_a_disk_ends_in_the_book_and_the_workbook_of_a_single_pass(
    own_server: OwnServer,
    driver: Driver,
    tmp_path: Path,
    seed: int,
    soak: bool,
    record_property: Callable[[str, object], None],
) -> None:
    """A year in the long run; a week, in which everything happens, in the everyday one."""
    dice = random.Random(seed)
    days, away = (365, dice.randrange(30, 300)) if soak else (len(WAYS), None)
    host, did = Host(tmp_path / "app", own_server, driver, days, dice), Counter[str]()
    ways = [way for _ in range(0, days, len(WAYS)) for way in dice.sample(WAYS, len(WAYS))]
    for number, way in enumerate(ways[:days], 1):
        if away and away <= number < away + AWAY:
            continue
        host.at(morning(number) + timedelta(hours=dice.randrange(24)))
        way(host)
        did[way.__name__] += 1
    host.at(morning(days + 4))
    once(host)
    found, board = held_by(host), cells(host.folder / "board.xlsx")
    once_more = host.run()
    assert once_more["said"]["revisions"] == 0
    in_one_pass = host.started(IN_ONE_PASS)
    assert driver.do(in_one_pass, "run", now=f"{host.now:%Y-%m-%dT%H:%M:%S}")["exit"] == 0
    expected = held_by(host)
    for what, rows in expected.items():
        assert found[what] == rows, f"{what} differ after {dict(did)}"
    assert board == cells(host.folder / "board.xlsx")
    assert expected["additive"]
    assert host.restarts
    record_property("days", days)
    record_property("did", dict(did))


def morning(number: int) -> datetime:
    return calendar.start_of(START + timedelta(days=number), ZONE)


def held_by(host: Host) -> dict[str, list[Any]]:
    with tallybook.open(host.folder, now=lambda: host.now, env={}) as book:
        assert book.doctor() == []
        return held(book)


def cells(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """What stands in the sheets of numbers; the page about the workbook names the version of the book."""
    book = openpyxl.load_workbook(path)
    return {sheet.title: list(sheet.values) for sheet in book.worksheets if sheet.title != "About"}
