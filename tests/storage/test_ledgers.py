"""A book on PostgreSQL is the book that it would be on SQLite: with its points in a folder, or in the ledger itself;
also when its processes are killed, its writers meet, its server is restarted.

What every ledger promises by itself is in `test_store.py`, which runs on both.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

import tallybook
from tallybook.cli import invoke
from tallybook.core.errors import BookError, BookUnavailable, Busy, QueryError
from tallybook.storage import ledger_files, postgresql_database, postgresql_ledger, tables
from tallybook.storage.ledger import Commit, Covered, PointsFile
from tallybook.storage.ledger_files import LedgerFiles, private_folder
from tallybook.storage.places import BookLocation, find_store, open_store
from tallybook.storage.postgresql_ledger import PostgresqlLedger
from tests import ledgers, servers
from tests.conftest import SOAK, sampled
from tests.crash import Driver, Said, job
from tests.storage.test_safe import (
    EVENTS,
    HISTORY,
    QUESTIONS,
    TOML,
    assert_same,
    change,
    four_writers_at_once,
    make_company,
    make_events,
)

NOW = datetime(2024, 3, 1, 6, tzinfo=UTC)
PLACES = ("folder", "ledger")


@pytest.fixture(autouse=True, scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Files brought from ledgers go into a folder of this run."""
    with pytest.MonkeyPatch.context() as patch:
        folder = str(tmp_path_factory.mktemp("tmp"))
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.fixture(scope="module")
def driver(temporary: None) -> Iterator[Driver]:
    with Driver() as driver:
        yield driver


@pytest.fixture(params=sampled(PLACES, 1, "places"))
def store(request: pytest.FixtureRequest) -> str:
    """Where the points are."""
    return request.param


def kept_on_postgresql(toml: str, folder: Path, store: str, url: str | None = None) -> str:
    """A project's toml with its book there."""
    lines = ['ledger = "${LEDGER_URL}"', f'schema = "{ledgers.schema_of(folder)}"']
    lines += ['store = "ledger"'] if store == "ledger" else []
    (folder / ".env").write_text(f"LEDGER_URL='{url or ledgers.database()}'\n")
    return toml.replace("[book]", "\n".join(["[book]", *lines]))


def company(folder: Path, store: str, url: str | None = None) -> Path:
    """A project with a database, and its book on PostgreSQL; nothing collected."""
    make_company(folder)
    (folder / "tallybook.toml").write_text(kept_on_postgresql(TOML, folder, store, url))
    return folder


@contextmanager
def at(folder: Path, now: str = "2024-01-16T06:00") -> Iterator[Any]:
    instant = datetime.fromisoformat(now).replace(tzinfo=UTC)
    with tallybook.open(folder, now=lambda: instant, env={}) as book:
        yield book


# ----------------------------------------------------------------------------------------------- whole books

ACTS = HISTORY if SOAK else HISTORY[:3]


@dataclass
class Lived:
    """What a book in a SQLite ledger and a folder said after each of its acts: in the everyday run, of the first three."""

    driver: Driver
    after: dict[str, Said]
    steps: dict[str, int]


@pytest.fixture(scope="module")
def lived(driver: Driver, tmp_path_factory: pytest.TempPathFactory) -> Lived:
    folder = tmp_path_factory.mktemp("lived") / "project"
    make_company(folder)
    found = Lived(driver, {}, {})
    for act in ACTS:
        change(folder, act)
        did = driver.do(folder, act.do, now=act.now, **act.more)
        assert did["exit"] == 0, did
        found.after[act.name] = dump(driver, folder, act)
    return found


def dump(driver: Driver, folder: Path, act: Any) -> Said:
    answer = driver.do(folder, "dump", now=act.now, questions=QUESTIONS)
    assert answer["exit"] == 0, answer
    return answer["said"]


def test_a_book_on_postgresql_says_after_every_act_what_one_on_sqlite_says(
    lived: Lived, store: str, tmp_path: Path
) -> None:
    folder = company(tmp_path / "project", store)
    for act in ACTS:
        change(folder, act)
        did = lived.driver.do(folder, act.do, now=act.now, **act.more)
        assert did["exit"] == 0, did
        assert_same(dump(lived.driver, folder, act), lived.after[act.name], act.name)
    here = {path.relative_to(folder).parts[0] for path in folder.rglob("*") if path.is_file()}
    assert ("book" in here) == (store == "folder"), "without a folder nothing is written beside the project"
    assert not list(folder.rglob("ledger.sqlite"))


def test_killed_at_any_step_and_run_again_it_is_the_same_book(
    lived: Lived, store: str, tmp_path: Path, seed: int, soak: bool
) -> None:
    """kill -9 in the middle of the first collect, and of a later one that finds changed rows: in the long run, of both."""
    dice = random.Random(f"{seed} {store}")
    kills = HISTORY[:2] if soak else [dice.choice(HISTORY[:2])]
    for number in range(8 if soak else 1):
        folder = company(tmp_path / str(number), store)
        for act in HISTORY[:2]:
            change(folder, act)
            if act not in kills:
                assert lived.driver.do(folder, act.do, now=act.now, **act.more)["exit"] == 0
                continue
            whole = lived.steps.setdefault(f"{store} {act.name}", 0)
            if not whole:
                whole = lived.steps[f"{store} {act.name}"] = steps_of(lived, tmp_path, store, act)
            killed = lived.driver.do(folder, act.do, now=act.now, **act.more, at=dice.randrange(1, whole))
            # After another history an act may take a step or two less.
            assert killed["signal"] == 9 or killed["exit"] == 0, killed
            halfway = lived.driver.do(folder, "dump", now=act.now, questions=QUESTIONS[:2])
            assert halfway["said"]["doctor"] == [], halfway["said"]["doctor"]
            again = lived.driver.do(folder, act.do, now=act.now, **act.more)
            assert again["exit"] == 0, again
            assert_same(dump(lived.driver, folder, act), lived.after[act.name], killed)
            if act is kills[-1]:
                break


def steps_of(lived: Lived, tmp_path: Path, store: str, act: Any) -> int:
    """How many steps an act takes that nobody disturbs."""
    folder = company(tmp_path / f"steps of {act.name}", store)
    for before in HISTORY[: HISTORY.index(act)]:
        lived.driver.do(folder, before.do, now=before.now, **before.more)
    change(folder, act)
    return int(lived.driver.do(folder, act.do, now=act.now, **act.more)["steps"])


def test_two_writers_at_once_are_one_after_the_other(lived: Lived, store: str, tmp_path: Path) -> None:
    """One collects, the other is told to wait; who compacts meanwhile disturbs nobody."""
    folder, act = company(tmp_path / "project", store), HISTORY[0]
    same = {"now": act.now, **act.more}
    said = lived.driver.together(
        [job(folder, "run", **same), job(folder, "run", **same), job(folder, "compact", **same)]
    )
    assert sorted(one["exit"] for one in said[:2]) in ([0, 0], [0, 5]), said
    assert said[2]["exit"] == 0, said
    assert_same(dump(lived.driver, folder, act), lived.after[act.name], "two writers")


def test_four_writers_at_once_and_every_answer_is_of_one_version(
    driver: Driver, store: str, tmp_path: Path, seed: int, soak: bool, record_property: Callable[[str, object], None]
) -> None:
    make_events(tmp_path)
    (tmp_path / "tallybook.toml").write_text(kept_on_postgresql(EVENTS, tmp_path, store))
    four_writers_at_once(driver, tmp_path, seed, soak, record_property)


# -------------------------------------------------------------------------------------------------- leases


@pytest.fixture
def open_ledger(tmp_path: Path) -> Iterator[Callable[[], PostgresqlLedger]]:
    opened: list[PostgresqlLedger] = []

    def open_() -> PostgresqlLedger:
        opened.append(PostgresqlLedger(ledgers.database(), schema=ledgers.schema_of(tmp_path)))
        return opened[-1]

    yield open_
    for ledger in opened:
        ledger.close()


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it to be a process of another host."""

    def become() -> None:
        monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")
        monkeypatch.setattr(postgresql_ledger, "_place", lambda: "another machine")

    return become


def test_a_lease_expires_by_the_servers_clock_whatever_the_hosts_say(
    open_ledger: Callable[[], PostgresqlLedger], elsewhere: Callable[[], None]
) -> None:
    one, other = open_ledger(), open_ledger()
    lease = one.acquire("collect", now=NOW - timedelta(days=900), seconds=60)
    elsewhere()
    with pytest.raises(Busy, match="another run is writing to this book"):
        other.acquire("collect", now=NOW + timedelta(days=9000), seconds=60)
    assert one.renew(lease, now=NOW + timedelta(days=9000), seconds=0.1)
    time.sleep(0.2)
    assert other.leased(now=NOW - timedelta(days=900)) == []
    assert other.acquire("collect", now=NOW, seconds=60).fence == 2


def test_a_heartbeat_prolongs_a_lease(
    open_ledger: Callable[[], PostgresqlLedger], elsewhere: Callable[[], None]
) -> None:
    one, other = open_ledger(), open_ledger()
    lease = one.acquire("collect", now=NOW, seconds=0.5)
    elsewhere()
    assert one.renew(lease, now=NOW, seconds=60)
    time.sleep(0.6)
    with pytest.raises(Busy):
        other.acquire("collect", now=NOW, seconds=60)


def test_who_slept_through_its_lease_cannot_commit_after_it_was_taken(
    open_ledger: Callable[[], PostgresqlLedger], elsewhere: Callable[[], None]
) -> None:
    asleep, awake = open_ledger(), open_ledger()
    late = asleep.acquire("collect", now=NOW, seconds=0.1)
    elsewhere()
    time.sleep(0.2)
    taken = awake.acquire("collect", now=NOW, seconds=60)
    days = Commit(what="collect", covered=[Covered(metric="m", definition="d", days=[date(2024, 2, 1)])])
    assert awake.commit(0, days, lease=taken, run=None, now=NOW) == 1
    assert not asleep.renew(late, now=NOW, seconds=60)
    with pytest.raises(Busy, match="taken over"):
        asleep.commit(1, days, lease=late, run=None, now=NOW)
    asleep.release(late)
    assert (awake.version(), awake.leased(now=NOW)) == (1, ["collect"])


def test_a_process_of_a_container_with_our_name_is_not_taken_for_dead(
    open_ledger: Callable[[], PostgresqlLedger], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hosts whose containers are called alike: process 4194305 of the other is none of ours."""
    monkeypatch.setattr(postgresql_ledger, "_place", lambda: "there")
    monkeypatch.setattr(os, "getpid", lambda: 2**22 + 1)
    open_ledger().acquire("collect", now=NOW, seconds=60)
    monkeypatch.undo()
    with pytest.raises(Busy):
        open_ledger().acquire("collect", now=NOW, seconds=60)


# ----------------------------------------------------------------------------------------- schemas and rights


def test_two_books_in_one_database_know_nothing_of_each_other(tmp_path: Path) -> None:
    one, other = (open_store(ledgers.place_of(tmp_path / name)).ledger for name in ("one", "other"))
    one.commit(0, Commit(what="test"), lease=None, run=None, now=NOW)
    one.acquire("collect", now=NOW, seconds=60)
    assert (one.version(), other.version()) == (1, 0)
    assert other.acquire("collect", now=NOW, seconds=60).fence == 1


def test_two_ledgers_never_share_a_folder_of_points(tmp_path: Path) -> None:
    """Each would delete the points of the other, as what runs that died have left."""
    make_company(tmp_path)
    with at(tmp_path) as book:
        book.run("signups")
    points = sorted((tmp_path / "book" / "points").rglob("*.parquet"))
    (tmp_path / "tallybook.toml").write_text(kept_on_postgresql(TOML, tmp_path, "folder"))
    for typed in (["run"], ["compact"], ["query", "signups"]):
        said = Command(tmp_path, *typed)
        assert said.code == 2
        assert "has a SQLite ledger" in said.text
        assert "tallybook move --to-ledger URL --to-store book-2" in said.text
    (tmp_path / "book" / "ledger.sqlite").unlink()
    with at(tmp_path) as book:
        aside = book.set_aside()
    points = [aside / path.relative_to(tmp_path / "book") for path in points]
    with at(tmp_path) as book:
        book.run("signups")
    toml = (tmp_path / "tallybook.toml").read_text()
    (tmp_path / "tallybook.toml").write_text(toml.replace("schema = ", 'schema = "other_book" # '))
    for typed in (["run"], ["compact"]):
        said = Command(tmp_path, *typed)
        assert said.code == 2, said.text
        assert "let every book have a folder of its own" in said.text
    (tmp_path / "tallybook.toml").write_text(TOML)
    for typed in (["run"], ["query", "signups"]):
        said = Command(tmp_path, *typed)
        assert said.code == 2, said.text
        assert "[book] of tallybook.toml names no ledger" in said.text
    assert all(path.is_file() for path in points)


def test_who_only_looks_makes_no_schema(tmp_path: Path) -> None:
    folder = company(tmp_path, "ledger")
    with at(folder) as book:
        assert book.runs() == []
        assert book.doctor() == []
        with pytest.raises(QueryError, match="nothing of signups is collected yet"):
            book.query("signups", scope="month")
        assert book.plan().works
    assert find_store(ledgers.place_of(tmp_path, "ledger")) is None
    with closing(psycopg.connect(libpq(ledgers.database()))) as admin:
        there = admin.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [ledgers.schema_of(tmp_path)])
        assert there.fetchone() is None


def libpq(url: str) -> str:
    return url.replace("+psycopg", "")


def as_user(url: str, name: str, password: str) -> str:
    return f"postgresql://{name}:{password}@{url.partition('@')[2]}"


@pytest.fixture
def role(postgresql_url: str) -> Iterator[tuple[Any, str]]:
    """(a superuser's connection to a database of this test, the URL of a user there without any right)."""
    name = f"book_{random.SystemRandom().randrange(2**40)}"
    with psycopg.connect(libpq(postgresql_url), autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'S3cret-of-the-ledger'")
        admin.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        yield admin, as_user(postgresql_url, name, "S3cret-of-the-ledger")
        admin.execute(f"DROP OWNED BY {name}")
        admin.execute(f"DROP ROLE {name}")


def test_the_rights_that_lack_are_told_as_statements_to_paste(role: tuple[Any, str]) -> None:
    admin, url = role
    with pytest.raises(BookError, match="permission denied for database") as told:
        open_store(BookLocation(folder=None, ledger=url))
    admin.execute(told.value.hint.removeprefix("let somebody who may: "))
    made = open_store(BookLocation(folder=None, ledger=url))
    assert made.ledger.commit(0, Commit(what="test"), lease=None, run=None, now=NOW) == 1
    made.ledger.close()


def test_a_user_who_writes_need_not_own_the_tables(role: tuple[Any, str], postgresql_url: str) -> None:
    admin, url = role
    open_store(BookLocation(folder=None, ledger=postgresql_url)).ledger.close()
    with pytest.raises(BookError, match="permission denied for schema") as told:
        open_store(BookLocation(folder=None, ledger=url))
    for statement in told.value.hint.split("; "):
        admin.execute(statement.replace("the user of the URL", url.partition("//")[2].partition(":")[0]))
    writer = open_store(BookLocation(folder=None, ledger=url)).ledger
    lease = writer.acquire("collect", now=NOW, seconds=60)
    run = writer.start_run("collect", now=NOW)
    assert writer.commit(0, Commit(what="test"), lease=lease, run=run, now=NOW) == 1
    writer.close()


def test_a_user_who_only_reads_can_ask(role: tuple[Any, str], postgresql_url: str, tmp_path: Path) -> None:
    admin, url = role
    folder = company(tmp_path, "ledger", postgresql_url)
    with at(folder) as book:
        book.run("signups")
        said = book.query("signups", scope="month").rows()
    user = url.partition("//")[2].partition(":")[0]
    admin.execute(f'GRANT USAGE ON SCHEMA "{ledgers.schema_of(folder)}" TO {user}')
    admin.execute(f'GRANT SELECT ON ALL TABLES IN SCHEMA "{ledgers.schema_of(folder)}" TO {user}')
    (folder / ".env").write_text(f"LEDGER_URL='{url}'\n")
    with at(folder) as book:
        assert book.query("signups", scope="month").rows() == said
        with pytest.raises(BookError, match="permission denied") as told:
            book.run("signups")
        assert "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES" in told.value.hint


def test_a_schema_that_holds_tables_of_others_is_left_alone(postgresql_url: str) -> None:
    with psycopg.connect(libpq(postgresql_url), autocommit=True) as admin:
        admin.execute("CREATE SCHEMA app")
        admin.execute("CREATE TABLE app.runs (id int)")
        with pytest.raises(BookError, match="already exists") as told:
            open_store(BookLocation(folder=None, ledger=postgresql_url, schema="app"))
        assert 'schema = "tallybook_2"' in told.value.hint
        assert admin.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'app'").fetchone() == (1,)


def test_a_ledger_of_an_older_number_is_taken_forward_once(
    open_ledger: Callable[[], PostgresqlLedger], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_ledger().commit(0, Commit(what="before"), lease=None, run=None, now=NOW)
    newer = tables.NUMBER + 1
    monkeypatch.setattr(tables, "NUMBER", newer)
    monkeypatch.setattr(postgresql_ledger, "STEPS", {newer: "ALTER TABLE files ADD COLUMN note {text}"})
    for _ in range(2):
        ledger = open_ledger()
        with ledger._reading() as db:
            assert db.execute("SELECT count(*) FROM ledger_schema WHERE number = ?", [newer]).fetchone() == (1,)
            db.execute("SELECT note FROM files")
        assert ledger.version() == 1
    monkeypatch.undo()
    with pytest.raises(BookError, match="newer Tallybook") as told:
        open_ledger()
    assert "pip install --upgrade tallybook" in told.value.hint


TRIAL = """
now = 2024-01-03T12:00:00Z

[given]
users = [{ id = 1, created_at = 2024-01-02T10:00:00, plan = "pro", country = "DE", referrer = "r1" }]

[[test]]
name = "a signup is counted"
query = "signups"
from = 2024-01-02
to = 2024-01-02
expect = [{ period = "2024-01-02", signups = 1 }]
"""


def test_a_test_of_metrics_writes_nothing_into_the_book_of_the_project(store: str, tmp_path: Path) -> None:
    folder = company(tmp_path / "project", store)
    with at(folder) as book:
        book.run("signups")
        before = book.store.ledger.export()
    (folder / "tests").mkdir()
    (folder / "tests" / "signups.toml").write_text(TRIAL)
    said = Command(folder, "test")
    assert said.code == 0, said.text
    with at(folder) as book:
        assert book.store.ledger.export() == before


# --------------------------------------------------------------------------------- what is told, what is hidden


def test_a_server_that_is_not_there_is_told_with_exit_code_4(tmp_path: Path) -> None:
    with pytest.raises(BookUnavailable, match="cannot be reached") as told:
        open_store(BookLocation(folder=tmp_path, ledger="postgresql://u:S3cret-of-the-ledger@127.0.0.1:1/app"))
    assert told.value.exit_code == 4
    assert "look at ledger in [book]" in told.value.hint
    assert "S3cret" not in str(told.value)


def test_a_ledger_that_others_hold_too_long_is_busy(
    open_ledger: Callable[[], PostgresqlLedger], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = open_ledger(), open_ledger()
    monkeypatch.setattr(postgresql_database, "WAIT_SECONDS", 0.1)
    with one._writing(), pytest.raises(Busy, match=r"was held by another process for 0\.1 s"):
        other.commit(0, Commit(what="test"), lease=None, run=None, now=NOW)
    assert other.commit(0, Commit(what="test"), lease=None, run=None, now=NOW) == 1


def test_who_falls_asleep_in_a_transaction_does_not_hold_the_others_up(
    open_ledger: Callable[[], PostgresqlLedger], monkeypatch: pytest.MonkeyPatch
) -> None:
    asleep, awake = open_ledger(), open_ledger()
    monkeypatch.setattr(postgresql_database, "IDLE_SECONDS", 0.2)

    def sleep_while_another_commits() -> None:
        with asleep._writing() as db:
            assert awake.commit(0, Commit(what="test"), lease=None, run=None, now=NOW) == 1
            db.execute("SELECT 1")

    with pytest.raises(BookUnavailable, match="was lost"):
        sleep_while_another_commits()
    assert asleep.version() == 1, "it wakes up with a new connection"


def test_an_interruption_in_the_middle_leaves_nothing_behind(open_ledger: Callable[[], PostgresqlLedger]) -> None:
    ledger = open_ledger()
    days = Commit(what="collect", covered=[Covered(metric="m", definition="d", days=[date(2024, 2, 1)])])

    def interrupted(_: Any) -> Any:
        yield b"half a file"
        raise KeyboardInterrupt

    half = Commit(what="collect", add=[file_of("a")], covered=days.covered, contents=interrupted)
    with pytest.raises(KeyboardInterrupt):
        ledger.commit(0, half, lease=None, run=None, now=NOW)
    assert (ledger.version(), ledger.known_files(), ledger.snapshot().coverage) == (0, [], {})
    assert ledger.commit(0, days, lease=None, run=None, now=NOW) == 1


def file_of(path: str) -> PointsFile:
    return PointsFile(
        path=path, kind="additive", metric="", first=date(2024, 2, 1), last=date(2024, 2, 29), rows=1, bytes=9
    )


def test_a_driver_that_is_not_installed_is_told_with_the_line_to_paste(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(BookUnavailable, match="needs the driver psycopg") as told:
        open_store(BookLocation(folder=tmp_path, ledger="postgresql://h/app"))
    assert told.value.hint == "pip install 'tallybook[postgresql]'"


@pytest.mark.parametrize("url", ["postgresql://u:S3cret/x@127.0.0.1:99999x/app", "postgresql://u:S3cret%zz@h/app"])
def test_a_url_that_cannot_be_read_is_told_without_its_password(url: str, tmp_path: Path) -> None:
    with pytest.raises(BookUnavailable, match=r"cannot be (read|reached)") as told:
        open_store(BookLocation(folder=tmp_path, ledger=url))
    assert "S3cret" not in str(told.value)
    assert "S3cret" not in repr(BookLocation(folder=tmp_path, ledger=url))


class Command:
    """The command's two streams."""

    def __init__(self, folder: Path, *typed: str, **env: str) -> None:
        from io import StringIO

        out, err = StringIO(), StringIO()
        now = datetime(2024, 1, 16, 6, tzinfo=UTC)
        self.code = invoke([*typed, "--project", str(folder)], now=lambda: now, stdout=out, stderr=err, env=env)
        self.text = out.getvalue() + err.getvalue()


def test_no_output_shows_the_password_of_the_ledger(role: tuple[Any, str], tmp_path: Path) -> None:
    _, url = role
    folder = company(tmp_path, "ledger", url)
    for typed in (["run"], ["doctor"], ["runs"], ["check"], ["query", "signups", "--format", "json"]):
        said = Command(folder, *typed)
        assert "S3cret" not in said.text, said.text
    refused = Command(folder, "run")
    assert refused.code == 1
    assert "CREATE SCHEMA" in refused.text


def test_points_in_the_ledger_without_a_ledger_are_refused_with_the_line_to_paste(tmp_path: Path) -> None:
    make_company(tmp_path)
    (tmp_path / "tallybook.toml").write_text(TOML.replace("[book]", '[book]\nstore = "ledger"'))
    said = Command(tmp_path, "run")
    assert said.code == 2
    assert "book.store" in said.text
    assert 'ledger = "${DATABASE_URL}"' in said.text


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('ledger = "mysql://u:S3cret@h/app"', "is not the URL of a PostgreSQL database"),
        ('ledger = "book.sqlite"', "is not the URL of a PostgreSQL database"),
        ('store = "postgresql://u:S3cret@h/app"', "store is a URL"),
        ('schema = "Tally Book"', "is not a valid schema name"),
        ('schema = "other"', "only a PostgreSQL ledger has a schema"),
        ('ledger = "${NOT_SET}"', "NOT_SET is not set"),
        ('leger = "postgresql://u:S3cret@h/app"', "did you mean 'ledger'?"),
    ],
)
def test_a_place_that_cannot_be_is_told_by_check(line: str, words: str, tmp_path: Path) -> None:
    make_company(tmp_path)
    (tmp_path / "tallybook.toml").write_text(TOML.replace("[book]", f"[book]\n{line}"))
    said = Command(tmp_path, "check")
    assert said.code == 2
    assert words in said.text
    assert "S3cret" not in said.text


# ------------------------------------------------------------------------------ files brought from the ledger


@pytest.fixture
def collected(tmp_path: Path) -> Path:
    """A project with its points in the ledger, collected once."""
    folder = company(tmp_path / "project", "ledger")
    with at(folder) as book:
        assert book.run("signups", "referrers").exit_code == 0
    return folder


def brought() -> list[Path]:
    return sorted((private_folder() / "points").glob("*.parquet"))


def signups(folder: Path) -> list[dict[str, Any]]:
    with at(folder) as book:
        return book.query("signups", "referrers", scope="month", by=["plan"]).rows()


def test_what_is_brought_can_be_lost_at_any_time(collected: Path) -> None:
    before = signups(collected)
    shutil.rmtree(private_folder())
    assert signups(collected) == before
    with at(collected) as book:
        assert book.query("signups", scope="day").rows()
        for path in brought():
            path.unlink()
        assert book.query("signups", scope="week").rows()
        shutil.rmtree(private_folder())
        assert book.query("signups", "referrers", scope="month", by=["plan"]).rows() == before


def test_bytes_that_changed_on_this_host_are_brought_again(collected: Path) -> None:
    before = signups(collected)
    for path in brought():
        path.write_bytes(b"x" * path.stat().st_size)
    assert signups(collected) == before
    for path in brought():
        path.write_bytes(path.read_bytes()[:-7])
    assert signups(collected) == before


def test_bytes_that_changed_in_the_ledger_are_never_read(collected: Path) -> None:
    shutil.rmtree(private_folder())
    with psycopg.connect(libpq(ledgers.database()), autocommit=True) as admin:
        admin.execute(
            f"UPDATE {ledgers.schema_of(collected)}.contents SET body = set_byte(body, 9, 255 - get_byte(body, 9))"
        )
    with pytest.raises(BookError, match="does not contain the bytes that were written") as told:
        signups(collected)
    assert "tallybook run --from" in told.value.hint
    with at(collected) as book:
        problems = book.doctor()
    assert all("does not contain the bytes that were written in the ledger" in problem for problem in problems)
    assert len(problems) == 6


def test_bytes_that_are_gone_from_the_ledger_are_told_by_doctor(collected: Path) -> None:
    with psycopg.connect(libpq(ledgers.database()), autocommit=True) as admin:
        admin.execute(f"DELETE FROM {ledgers.schema_of(collected)}.contents")
    with at(collected) as book:
        assert all(
            "is missing: restore it from a backup; or collect its days again" in problem for problem in book.doctor()
        )
    shutil.rmtree(private_folder())
    with pytest.raises(BookError, match="is missing in the ledger"):
        signups(collected)


def test_no_more_is_kept_on_this_host_than_its_share(collected: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(private_folder())
    signups(collected)
    before = brought()
    assert len(before) == 6
    monkeypatch.setattr(ledger_files, "MAX_CACHED_BYTES", 1)
    files = LedgerFiles(ledger=None)  # type: ignore[arg-type]
    files._make_room(most=1, used_seconds=ledger_files.USED_SECONDS)
    assert brought() == before, "what was used within the hour stays"
    for path in before[:4]:
        os.utime(path, (time.time() - 7200, time.time() - 7200))
    files._make_room(most=sum(path.stat().st_size for path in before[3:]), used_seconds=ledger_files.USED_SECONDS)
    assert brought() == before[3:], "the longest unused go first, and only as many as have to"
    signups(collected)


def test_files_that_left_the_book_leave_the_ledger_by_the_same_rules(tmp_path: Path) -> None:
    folder = company(tmp_path / "project", "ledger")
    toml = (folder / "tallybook.toml").read_text().replace("[book]", '[book]\nkeep_versions = "0d"')
    (folder / "tallybook.toml").write_text(toml)

    def kept() -> int:
        with psycopg.connect(libpq(ledgers.database())) as admin:
            return admin.execute(f"SELECT count(DISTINCT path) FROM {ledgers.schema_of(folder)}.contents").fetchone()[0]

    with at(folder, "2024-01-16T06:00") as book:
        book.run("signups")
        whole = kept()
        assert book.compact() == {"folded": 1, "deleted": 0}
        assert kept() == whole + 1, "somebody may be reading what left within the hour"
    with at(folder, "2024-01-16T07:01") as book:
        assert book.compact()["deleted"] == 2
        assert kept() == len(book.store.snapshot().files) == whole - 1
        assert book.doctor() == []


def test_a_forgotten_metric_leaves_no_bytes_behind(collected: Path) -> None:
    with at(collected) as book:
        book.forget("referrers")
        assert book.doctor() == []
    with psycopg.connect(libpq(ledgers.database())) as admin:
        schema = ledgers.schema_of(collected)
        assert admin.execute(f"SELECT count(*) FROM {schema}.contents WHERE path LIKE '%referrers%'").fetchone() == (0,)
        asked = "SELECT last_vacuum FROM pg_stat_user_tables WHERE schemaname = %s AND relname = 'contents'"
        assert admin.execute(asked, [schema]).fetchone()[0] is not None
    assert all(row["signups"] for row in signups_only(collected))


def signups_only(folder: Path) -> list[dict[str, Any]]:
    with at(folder) as book:
        return book.query("signups", scope="month").rows()


# --------------------------------------------------------------------------------------- a server of our own


@pytest.mark.parametrize(
    ("store", "back"), sampled([("folder", "back at once"), ("ledger", "back later")], 1, "restarts")
)
def test_a_server_restarted_in_the_middle_is_told_and_the_rerun_completes(
    own_server: servers.OwnServer, lived: Lived, store: str, back: str, tmp_path: Path, seed: int
) -> None:
    folder, act = company(tmp_path / "project", store, own_server.url), HISTORY[0]
    whole = steps_of(lived, tmp_path, store, act)
    middle = random.Random(f"{seed} {store} {back}").randrange(whole // 3, whole)
    asleep = lived.driver.do(folder, act.do, now=act.now, at=middle, signal="STOP")
    own_server.stop()
    if back == "back at once":
        own_server.start()
    told = lived.driver.resume(asleep["stopped"])
    if back == "back later":
        own_server.start()
    # Between two transactions nothing is lost with the connection: the run goes on with a new one.
    if back == "back later" or told["exit"] != 0:
        assert (told["exit"], told["kind"]) == (4, "BookUnavailable"), told
        assert "the ledger postgresql://127.0.0.1" in told["error"]
        assert "was lost" in told["error"] or "cannot be reached" in told["error"]
    with at(folder, act.now) as book:
        assert book.store.ledger.version() > 0, "what was committed is kept, also by a server that flushes lazily"
        assert book.doctor() == []
    assert lived.driver.do(folder, act.do, now=act.now)["exit"] == 0
    assert_same(dump(lived.driver, folder, act), lived.after[act.name], "restarted")


def test_a_book_that_stays_open_finds_a_restarted_server_again(own_server: servers.OwnServer, tmp_path: Path) -> None:
    folder = company(tmp_path / "project", "ledger", own_server.url)
    with at(folder) as book:
        book.run("signups")
        before = book.query("signups", scope="month").rows()
        own_server.stop()
        own_server.start()
        assert book.query("signups", scope="month").rows() == before
        assert book.run("signups").exit_code == 0
