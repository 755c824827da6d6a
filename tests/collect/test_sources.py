"""What goes wrong with a database is reported in words and costs nothing but itself, and a run leaves it as it was.

What every source promises by itself is in `conformance`."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

import tallybook
from tallybook.collect.sources.registry import open_source
from tallybook.core import SourceSettings
from tallybook.core.calendar import ONE_DAY
from tests import servers
from tests.places import (
    EVERY_MEASURE,
    FILES,
    NOW,
    SECRET,
    SERVERS,
    Chdb,
    Duckdb,
    Place,
    Postgresql,
    ServerPlace,
    Sqlite,
    SqliteWithoutWal,
    fill,
    make_place,
    named,
    numbers,
)  # fmt: skip
from tests.projects import Project
from tests.replicas import Replicated, wait_for

place = pytest.fixture(params=[*FILES, Chdb, *SERVERS], ids=named)(make_place)
file_place = pytest.fixture(params=FILES, ids=named)(make_place)
server_place = pytest.fixture(params=SERVERS, ids=named)(make_place)


# -------------------------------------------------------------------------------------- what it says of itself


# ------------------------------------------------------------------------------------------------- snapshots


def test_a_session_of_postgresql_is_left_as_it_was(
    make_database: Callable[[str], str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """All but that it is read-only: behind a pooler, which may hand it to the application next, not that either."""
    place = Postgresql(make_database("postgresql"), tmp_path, request)
    place.execute("create table facts (x int)")
    with closing(place.source(statement_timeout=3.0)) as source:
        with source.snapshot() as reader:
            assert reader.rows("show statement_timeout")[0][0] == "3s"
            assert reader.rows("show transaction_read_only")[0][0] == "on"
        session = source.raw()
        shown = {name: session.execute(f"show {name}").fetchone()[0] for name in ("statement_timeout", "lock_timeout")}
        assert shown == {"statement_timeout": "0", "lock_timeout": "0"}
        with pytest.raises(Exception, match="read-only transaction"):
            session.execute("insert into facts values (1)")
        with source.sql_connection() as connection:
            assert connection.exec_driver_sql("show statement_timeout").scalar() == "3s"
            connection.commit()
            with pytest.raises(Exception, match="read-only transaction"):
                connection.exec_driver_sql("insert into facts values (2)")


# ------------------------------------------------------------------------------------------------- read-only


@pytest.mark.cases(1)
def test_a_run_needs_no_more_than_select(server_place: ServerPlace) -> None:
    fill(server_place.project())
    with server_place.reader() as url:
        project = server_place.project(url=url, name="as-reader")
        shutil.copy(server_place.folder / "project" / "counting.py", project.folder)
        project.run()
        looked = numbers(project)
        project.close()
    project = server_place.project(name="as-administrator")
    shutil.copy(server_place.folder / "project" / "counting.py", project.folder)
    project.run()
    assert numbers(project) == looked
    project.close()


READS = (
    "SELECT ",
    "SET ",
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    "ROLLBACK",
    "COMMIT",
    "EXPLAIN ",
    "SHOW ",
    "COPY (SELECT ",
    "BEGIN",
)


@pytest.mark.cases(1)
@pytest.mark.xdist_group("statement log")
def test_the_server_hears_only_reads(server_place: ServerPlace, record_property: Callable[[str, object], None]) -> None:
    """A whole run with every kind of measure, twice, live queries and `check --source`, by the server's own log."""
    fill(server_place.project())
    with general_log(server_place), server_place.reader() as url:
        project = server_place.project(url=url, name="as-reader")
        shutil.copy(server_place.folder / "project" / "counting.py", project.folder)
        project.run()
        project.run(from_="2024-02-01", to="2024-02-10")
        project.book.plan()
        project.book.look()
        names = [metric.name for metric in project.book.project.catalog.metrics.values() if not metric.snapshot]
        project.rows(*names, scope="month", from_="2024-02-01", to="2024-03-05", live=True)
        project.close()
        heard = server_place.statements_of(make_url(url).username or "")
    assert len(heard) > 100
    writes = [one for one in heard if not one.upper().startswith(READS)]
    assert writes == []
    words = {
        word for one in heard if not one.startswith("SHOW CREATE") for word in one.upper().replace("(", " ").split()
    }
    assert (
        words
        & {
            "INSERT",
            "UPDATE",
            "DELETE",
            "CREATE",
            "DROP",
            "ALTER",
            "TRUNCATE",
            "MERGE",
            "GRANT",
            "INTO",
            "CALL",
            "LOCK",
        }
        == set()
    )
    copies = [one for one in heard if one.upper().startswith("COPY")]
    assert all(" TO STDOUT " in one for one in copies)
    record_property("statements heard", len(heard))


@contextmanager
def general_log(place: ServerPlace) -> Iterator[None]:
    """MariaDB logs all or nobody; PostgreSQL a role at a time (see `reader`)."""
    if place.kind != "mariadb":
        yield
        return
    with closing(place.server.connect()) as admin, closing(admin.cursor()) as cursor:
        cursor.execute("set global general_log = 1")
        try:
            yield
        finally:
            cursor.execute("set global general_log = 0")


@pytest.mark.cases(1)
def test_a_run_leaves_a_file_as_it_was(file_place: Place) -> None:
    """Its bytes and the time it was changed; nothing beside it that was not there."""
    project = fill(file_place.project())
    path = Path(file_place.database)
    if file_place.kind == "sqlite":
        with closing(sqlite3.connect(path)) as app:
            app.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    old = time.time() - 1000
    os.utime(path, (old, old))

    def look() -> tuple[str, float]:
        return hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime

    before = look()
    project.run()
    project.run(from_="2024-02-01", to="2024-02-10")
    project.ask("users", scope="month", live=True)
    project.book.look()
    assert look() == before
    project.close()
    left = {p.name.removeprefix(path.name) for p in path.parent.glob(f"{path.name}*")}
    assert left <= {"", "-wal", "-shm"}


@pytest.mark.cases(1)
def test_a_file_that_nobody_may_write_to_can_be_read(file_place: Place) -> None:
    """In a folder that nobody may write to either, as on a mounted backup."""
    project = fill(file_place.project())
    shelf = file_place.folder / "shelf"
    shelf.mkdir()
    if file_place.kind == "sqlite":
        with closing(sqlite3.connect(file_place.database)) as app:
            app.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            app.execute("PRAGMA journal_mode = DELETE")
    copy = Path(shutil.copy(file_place.database, shelf))
    copy.chmod(0o444)
    shelf.chmod(0o555)
    project.url = f"{file_place.kind}:///{copy}"
    project.declare(EVERY_MEASURE)
    project.run()
    assert project.ask("events", scope="all", from_="2024-01-01", to="2024-03-05") == {"2024-01-01": 120}
    project.close()
    shelf.chmod(0o755)


# ----------------------------------------------------------------------------- what goes wrong, and what it costs

TWO = """
[metrics.events]
table = "events"
time = "happened"
measure = "count(*)"
by = ["plan"]

[metrics.other]
table = "subscriptions"
time = "started"
measure = "count(*)"

[metrics.broken]
{broken}
"""


def broken(facts: str, measure: str = "count(*)") -> str:
    return TWO.format(broken=f'{facts}\ntime = "happened"\nmeasure = "{measure}"')


def costs_only_itself(project: Project, *, words: str, hint: str) -> None:
    """Run: `broken` fails with these words, the others are collected, nothing half is visible, exit code 1."""
    report = project.book.run(publish_seconds=0)
    failed = {m.metric: m for m in report.metrics if m.error}
    assert set(failed) == {"broken"}, {m: f.error for m, f in failed.items()}
    assert words in failed["broken"].error, failed["broken"].error
    assert hint in failed["broken"].hint, failed["broken"].hint
    assert report.exit_code == 1
    rows = project.rows("events", "other", "broken", scope="all", from_="2024-01-01", to="2024-03-05")
    assert [(row["events"], row["other"], row["broken"]) for row in rows] == [(120, 20, None)]
    assert project.book.doctor() == []


def repaired(project: Project, expected: int = 120) -> None:
    report = project.run()
    assert report.exit_code == 0
    assert project.ask("broken", scope="all", from_="2024-01-01", to="2024-03-05") == {"2024-01-01": expected}
    assert project.book.doctor() == []


@pytest.mark.cases(2)
@pytest.mark.parametrize(
    ("facts", "measure", "words"),
    [
        ('table = "nothing_here"', "count(*)", "nothing_here"),
        ('table = "events"', "sum(nothing_here)", "nothing_here"),
        ('sql = "select happened, nothing_here from events"', "count(*)", "nothing_here"),
        ('table = "events"\\nby = ["nothing_here"]', "count(*)", "nothing_here"),
    ],
    ids=["table", "column", "sql", "dimension"],
)
def test_what_is_missing_costs_one_metric(place: Place, facts: str, measure: str, words: str) -> None:
    project = fill(place.project(broken(facts.replace("\\n", "\n"), measure)))
    costs_only_itself(project, words=words, hint="`tallybook check --source` lists what is there")
    project.declare(broken('table = "events"'))
    repaired(project)
    project.close()


@pytest.mark.cases(2)
def test_a_statement_that_takes_too_long_costs_one_metric(place: Place, soak: bool) -> None:
    if place.kind == "chdb" and not soak:
        pytest.skip("halves the days until one is too long, a second each: in the long run")
    # the facts are found out of time only when they are read: nothing is read to learn their types
    project = fill(place.project(broken(f'sql = """{place.slow}"""'), source='statement_timeout = "1s"'))
    began = time.monotonic()
    costs_only_itself(project, words="a statement took longer than 1 s", hint='[sources.app] statement_timeout = "2s"')
    assert time.monotonic() - began < 60
    project.close()


@pytest.mark.cases(2)
def test_statements_of_several_metrics_that_fail_are_asked_one_by_one(place: Place) -> None:
    """Fused with others, a division by zero or an overflow must not take them along."""
    value, words = "cast(cast(amount as double precision) as smallint)", "out of range"
    if place.kind == "chdb":  # whose casts begin anew from the other end
        value, words = "accurateCast(amount, 'Int16')", "Convert overflow"
    metrics = TWO.format(broken=f'table = "events"\ntime = "happened"\nby = ["plan"]\nmeasure = "sum({value})"')
    if place.kind in ("sqlite", "mariadb"):
        pytest.skip("no expression of it fails while rows are read")
    project = fill(place.project(metrics))
    place.execute("update events set amount = 99999.99 where id = 50")
    costs_only_itself(project, words=words, hint="")
    place.execute("update events set amount = 1 where id = 50")
    project.run()
    assert project.ask("broken", scope="all", from_="2024-01-01", to="2024-03-05") != {}
    project.close()


# -- who is not there


def unreachable(project: Project, *, words: str, hint: str, url: str) -> Any:
    """Run: nothing is stored, exit code 4, and the words hold no secret."""
    report = project.book.run()
    assert report.exit_code == 4
    assert all(words in m.error for m in report.metrics), [m.error for m in report.metrics]
    assert all(hint in m.hint for m in report.metrics), [m.hint for m in report.metrics]
    assert project.book.doctor() == []
    said = f"{report.to_dict()} {project.book.runs()}"
    assert url not in said
    return said


@pytest.mark.cases(3)
def test_a_database_that_is_not_there_is_told(place: Place) -> None:
    url = place.url.replace(place.database, place.database + "_gone")
    fill(place.project())
    project = place.project(broken('table = "events"'), url=url, name="elsewhere")
    words = "there is no file" if isinstance(place, Sqlite | Duckdb) else "cannot be reached"
    unreachable(project, words=words, hint="[sources.app]", url=url)
    project.declare(broken('table = "events"'))
    repaired(project)
    project.close()


def test_a_wrong_password_is_told_and_not_shown(server_place: ServerPlace) -> None:
    fill(server_place.project())
    with server_place.reader(SECRET) as url:
        wrong = make_url(url).set(password="not-the-one").render_as_string(hide_password=False)
        project = server_place.project(broken('table = "events"'), url=wrong, name="elsewhere")
        said = unreachable(
            project, words="cannot be reached", hint="look at the url of [sources.app] (user, password", url=wrong
        )
        assert "not-the-one" not in said
        project.close()
        project = server_place.project(broken('table = "events"'), url=url, name="elsewhere")
        repaired(project)
        project.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_a_host_that_is_not_there_is_told_at_once(server_place: ServerPlace, host: str) -> None:
    fill(server_place.project())
    url = (
        make_url(server_place.url)
        .set(host=host, port=servers.free_port(), password="s3cr3t-word")
        .render_as_string(hide_password=False)
    )
    project = server_place.project(broken('table = "events"'), url=url, name="elsewhere")
    began = time.monotonic()
    said = unreachable(project, words="cannot be reached", hint="host, port", url=url)
    assert time.monotonic() - began < 60
    assert "s3cr3t-word" not in said
    project.close()


def test_a_source_that_is_away_does_not_keep_the_others(
    server_place: ServerPlace, make_database: Callable[[str], str]
) -> None:
    here = make_database("sqlite")
    project = Project(server_place.folder / "two", here, now=NOW)
    fill(project)
    away = make_url(server_place.url).set(port=servers.free_port()).render_as_string(hide_password=False)
    metrics = f'[sources.away]\nurl = "{away}"\n' + TWO.format(
        broken='table = "events"\ntime = "happened"\nmeasure = "count(*)"\nsource = "away"'
    )
    project.declare(
        metrics.replace("[metrics.events]", '[metrics.events]\nsource = "app"').replace(
            "[metrics.other]", '[metrics.other]\nsource = "app"'
        )
    )
    costs_only_itself(project, words="cannot be reached", hint="[sources.away]")
    project.close()


def test_a_user_who_may_not_select_is_told_what_to_grant(server_place: ServerPlace) -> None:
    fill(server_place.project())
    with server_place.reader() as url:
        user = make_url(url).username
        if server_place.kind == "postgresql":
            server_place.execute(f"revoke select on events from {user}")
        else:
            server_place.execute(f"revoke all on {server_place.database}.* from {user}@'%'")
            for table in ("subscriptions", "seats", "tickets"):
                server_place.execute(f"grant select on {server_place.database}.{table} to {user}@'%'")
        metrics = broken('table = "events"')
        project = server_place.project(metrics[metrics.index("[metrics.other]") :], url=url, name="elsewhere")
        report = project.book.run()
        told = {m.metric: (m.error, m.hint) for m in report.metrics}
        assert told["other"] == (None, "")
        assert "denied" in (told["broken"][0] or "")
        assert told["broken"][1] == "GRANT SELECT on it to the user of the url"
        assert report.exit_code == 1
        project.close()


# -- what dies


def test_a_connection_that_dies_costs_one_metric(server_place: ServerPlace) -> None:
    """Killed by the administrator in the middle of a statement: the next metric is asked by a new one."""
    metrics = broken(f'sql = """{server_place.slow}"""')
    # asked for first
    first = metrics.index("[metrics.broken]")
    project = fill(server_place.project(metrics[first:] + metrics[:first]))
    with later(server_place.end_long_statements):
        costs_only_itself(project, words="the connection was lost", hint="tallybook run")
    project.declare(broken('table = "events"'))
    repaired(project)
    project.close()


@contextmanager
def later(act: Callable[[], int]) -> Iterator[None]:
    """Try again and again from another thread, until it has happened."""
    stop, done = threading.Event(), []

    def run() -> None:
        while not stop.wait(0.05):
            done.append(act())
            if done[-1]:
                return

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert done
    assert done[-1]


@contextmanager
def own_server(kind: str) -> Iterator[OwnServer]:
    """A server of this test's own, that may be stopped and started."""
    servers_folder = Path(tempfile.mkdtemp(prefix="tallybook-own-"))
    servers_folder.chmod(0o755)
    own = OwnServer(kind, servers_folder / kind)
    try:
        yield own
    finally:
        own.stop()
        shutil.rmtree(servers_folder, ignore_errors=True)


class OwnServer:
    def __init__(self, kind: str, home: Path) -> None:
        try:
            self.process, self.server = servers.launch(kind, home)
        except servers.Missing as why:
            pytest.skip(str(why))
        self.kind, self.home = kind, home
        self.command = self.process.args

    def stop(self) -> None:
        """As a power cut."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def start(self) -> None:
        account = servers.account_for(servers.KIND[self.kind].account)
        with Path(self.server.log).open("ab") as output:
            self.process = servers.popen(self.command, account, self.home, output)  # type: ignore[arg-type]
        servers.wait_until_it_answers(self.process, self.server)


@pytest.mark.cases(1)
@pytest.mark.parametrize("kind", SERVERS, ids=named)
def test_a_server_that_goes_down_in_a_run_is_told_and_the_next_run_goes_on(
    request: pytest.FixtureRequest, kind: type[ServerPlace], tmp_path: Path
) -> None:
    request.getfixturevalue(f"{kind.kind}_server")  # skips where it cannot be had
    with own_server(kind.kind) as own:
        url = own.server.url(own.server.create_database())
        place = kind(url, tmp_path, request)
        metrics = broken(f'sql = """{place.slow}"""')
        first = metrics.index("[metrics.broken]")
        middle = metrics.index("[metrics.other]")
        project = fill(place.project(metrics[:middle] + metrics[first:] + "\n" + metrics[middle:first]))

        def stop_when_asleep() -> int:
            with closing(own.server.connect()) as admin, closing(admin.cursor()) as cursor:
                cursor.execute(kind.long_statements, (place.database,))
                asleep = len(cursor.fetchall())
            if asleep:
                own.stop()
            return asleep

        with later(stop_when_asleep):
            report = project.book.run(publish_seconds=0)
        told = {m.metric: (m.error or "", m.hint, m.days) for m in report.metrics}
        assert told["events"] == ("", "", 65)
        assert "the connection was lost" in told["broken"][0]
        assert "the connection was lost" in told["other"][0] or "cannot be reached" in told["other"][0]
        assert (told["broken"][2], told["other"][2], report.exit_code) == (0, 0, 1)
        assert project.ask("events", scope="all", from_="2024-01-01", to="2024-03-05") == {"2024-01-01": 120}
        assert project.rows("other", scope="all", from_="2024-01-01", to="2024-03-05")[0]["other"] is None
        assert project.book.doctor() == []

        assert project.book.run().exit_code == 4
        own.start()
        project.declare(broken('table = "events"'))
        repaired(project)
        project.close()


# -- who else is at it


@pytest.mark.cases(1)
def test_a_locked_table_costs_one_metric(server_place: ServerPlace) -> None:
    metrics = broken('table = "events"').replace(
        '[metrics.events]\ntable = "events"\ntime = "happened"', '[metrics.events]\ntable = "copy"\ntime = "happened"'
    )
    project = fill(server_place.project(metrics, source='lock_timeout = "1s"'))
    server_place.execute("create table copy as select * from events")
    with server_place.lock():
        began = time.monotonic()
        costs_only_itself(project, words="a table is locked", hint="run again when the lock is gone")
        assert time.monotonic() - began < 60
    repaired(project)
    project.close()


def test_a_sqlite_file_that_is_locked_is_told(
    tmp_path: Path, make_database: Callable[[str], str], request: pytest.FixtureRequest
) -> None:
    place = SqliteWithoutWal(make_database("sqlite"), tmp_path, request)
    project = fill(place.project(broken('table = "events"'), source='lock_timeout = "1s"'))
    with closing(sqlite3.connect(place.database, isolation_level=None)) as app:
        app.execute("BEGIN EXCLUSIVE")
        unreachable(project, words="database is locked", hint="run again when the writer is done", url=place.url)
        app.execute("ROLLBACK")
    repaired(project)
    project.close()


WRITER = """
import sqlite3, sys, time
app = sqlite3.connect(sys.argv[1], timeout=0.25, isolation_level=None)
longest, writes, print_ = 0.0, 0, print
print("writing", flush=True)
end = time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    began = time.monotonic()
    app.execute("insert into events values (?, '2020-01-01 00:00:00', 'pro', 1, 1, 1)", [writes])
    longest, writes = max(longest, time.monotonic() - began), writes + 1
    time.sleep(0.002)
print(writes, longest, flush=True)
"""


@pytest.mark.cases(1)
@pytest.mark.parametrize("kind", [Sqlite, SqliteWithoutWal], ids=named)
def test_the_application_writes_while_a_run_reads_its_sqlite_file(
    kind: type[Place],
    tmp_path: Path,
    make_database: Callable[[str], str],
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    """With a patience of a quarter of a second: without WAL, a read that stays open would make its writes fail."""
    place = kind(make_database("sqlite"), tmp_path, request)
    project = fill(place.project())
    project.execute(
        "insert into events select e.id + 1000 * r.id, e.happened, e.plan, e.amount, e.score, e.user_id from events e, "
        "(select id from events where id between 1 and 80) r"
    )
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, place.database, "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout.readline() == "writing\n"
        runs = 0
        while writer.poll() is None:
            project.run(from_="2024-01-01", to="2024-03-05", publish_seconds=0)
            runs += 1
        said, failed = writer.communicate()
    assert writer.returncode == 0, failed
    writes, longest = said.split()
    assert int(writes) > 20
    record_property("writes", int(writes))
    record_property("longest write, seconds", round(float(longest), 3))
    record_property("runs meanwhile", runs)
    project.close()


HOLD = """
import duckdb, sys, time
held = duckdb.connect(sys.argv[1])
held.execute("insert into events select * from events limit 0")
print("held", flush=True)
time.sleep(600)
"""


def test_a_duckdb_file_that_another_process_writes_to_is_told_as_such(
    tmp_path: Path, make_database: Callable[[str], str], request: pytest.FixtureRequest
) -> None:
    place = Duckdb(make_database("duckdb"), tmp_path, request)
    project = fill(place.project(broken('table = "events"')))
    with subprocess.Popen([sys.executable, "-c", HOLD, place.database], stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout.readline() == "held\n"
            unreachable(
                project, words="lock", hint="a DuckDB file admits one process while it is written", url=place.url
            )
            copy = shutil.copy(place.database, tmp_path / "copy.duckdb")
            report = project.book.run(
                sources={"app": f"duckdb:///{copy}"}, source_as_of=datetime(2024, 3, 6, tzinfo=UTC)
            )
            assert report.exit_code == 0
        finally:
            holder.kill()
    repaired(project)
    project.close()


# -------------------------------------------------------------------------------------------------- a replica


def test_a_lagging_replica_covers_nothing_past_what_it_replayed(replicated: Replicated, tmp_path: Path) -> None:
    today = datetime.now(UTC).date()
    name, replica = replicated.create_database(), replicated.replica
    with closing(replicated.primary.connect(name)) as primary:
        primary.execute("create table visits (happened timestamptz)")
        primary.execute("insert into visits select now() - n * interval '1 day' from generate_series(1, 5) n")
        project = replica_project(tmp_path, replica.url(name), today)
        with closing(replica.connect(name)) as second:
            wait_for(lambda: second.execute("select count(*) from pg_tables where tablename = 'visits'").fetchone()[0])
            wait_for(lambda: second.execute("select count(*) from visits").fetchone()[0] == 5)
            second.execute("select pg_wal_replay_pause()")
            wait_for(lambda: second.execute("select pg_get_wal_replay_pause_state()").fetchone()[0] == "paused")
            primary.execute("insert into visits select now() - interval '1 day' from generate_series(1, 90)")

            # Two days later by our clock the replica still stands where it was paused.
            ahead = datetime.now(UTC) + 2 * ONE_DAY
            report = run_at(project, ahead)
            assert report.metrics[0].error is None
            assert report.metrics[0].last == today - ONE_DAY
            assert report.metrics[0].not_ready
            assert "is known only until" in report.metrics[0].notes[0]
            assert count_of(project, ahead, today - ONE_DAY) == 1
            assert count_of(project, ahead, today) is None

            second.execute("select pg_wal_replay_resume()")
            primary.execute("insert into visits values (now())")
            wait_for(lambda: second.execute("select count(*) from visits").fetchone()[0] == 96)
            run_at(project, ahead)
            assert count_of(project, ahead, today - ONE_DAY) == 91
            assert count_of(project, ahead, today) is None, "the replica's own time is still today"


def test_a_replica_of_an_idle_primary_is_known_as_long_as_it_hears_of_it(replicated: Replicated) -> None:
    """Whoever may not see that (no pg_read_all_stats) knows only the time of the last transaction."""
    name, replica = replicated.create_database(), replicated.replica
    with closing(replicated.primary.connect(name)) as primary:
        primary.execute("create role plain login password 'plain'")
        written = primary.execute("select clock_timestamp()").fetchone()[0]
        with closing(replica.connect(name)) as second:
            wait_for(lambda: second.execute("select count(*) from pg_roles where rolname = 'plain'").fetchone()[0])
            second.execute("alter system set wal_receiver_timeout = '500ms'")  # how often it asks, nearly
            second.execute("select pg_reload_conf()")
        url = replica.url(name)
        wait_for(lambda: known_until(url) > written + timedelta(seconds=2))
        assert known_until(url) <= datetime.now(UTC)
        assert known_until(replica.url(name, user="plain", password="plain")) < written + timedelta(seconds=2)


def known_until(url: str) -> datetime:
    source = open_source(SourceSettings(name="app", url=url))
    try:
        return source.known_until(datetime.now(UTC))
    finally:
        source.close()


def replica_project(folder: Path, url: str, today: date) -> Path:
    (folder / "tallybook.toml").write_text(
        f'[book]\nstart = "{today - 6 * ONE_DAY}"\n[sources.app]\nurl = "{url}"\n'
        '[metrics.visits]\ntable = "visits"\ntime = "happened"\nmeasure = "count(*)"\n'
    )
    return folder


def run_at(folder: Path, now: datetime) -> Any:
    with tallybook.open(folder, now=lambda: now) as book:
        return book.run()


def count_of(folder: Path, now: datetime, day: date) -> int | None:
    with tallybook.open(folder, now=lambda: now) as book:
        return book.query("visits", from_=day, to=day).rows()[0]["visits"]


def test_a_distinct_count_of_what_it_is_split_by_stands_beside_another(postgresql_url: str, tmp_path: Path) -> None:
    """To PostgreSQL the key and the dimension are one: rows of one statement cannot be told apart."""
    engine = create_engine(postgresql_url)
    with engine.begin() as app:
        app.exec_driver_sql("drop table if exists plans_of_calls")
        app.exec_driver_sql("create table plans_of_calls (called timestamptz, plan text, account integer)")
        app.exec_driver_sql(
            "insert into plans_of_calls select timestamptz '2026-03-01 00:00+00' + i * interval '1 hour', "
            "'p' || mod(i, 3), mod(i, 7) "
            "from generate_series(0, 100) i"
        )
        app.exec_driver_sql("create index on plans_of_calls (called)")
    engine.dispose()
    (tmp_path / "tallybook.toml").write_text(
        f'[book]\nstart = "2026-03-01"\n[sources.app]\nurl = "{postgresql_url}"\n[metrics.both]\n'
        'table = "plans_of_calls"\ntime = "called"\n'
        'measure = "count(distinct account) + count(distinct plan)"\nby = ["plan"]\n'
    )
    with tallybook.open(tmp_path, now=lambda: datetime(2026, 3, 10, tzinfo=UTC)) as book:
        assert [m.error for m in book.run().metrics] == [None]
        for live in (False, True):
            rows = book.query("both", scope="all", by=["plan"], live=live).rows()
            assert [(row["plan"], row["both"]) for row in rows] == [("p0", 8), ("p1", 8), ("p2", 8)]
        assert book.query("both", scope="all").rows()[0]["both"] == 10
