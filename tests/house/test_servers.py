"""The databases that the tests run on are the real ones, each test has its own, and none outlives its run."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import duckdb
import psycopg
import pymysql
import pytest
import sqlalchemy as sa

from tests import servers

ROOT = Path(__file__).resolve().parents[2]


def ask(url: str, statement: str) -> list[tuple]:
    """What a database answers, through the driver that its URL names."""
    if url.startswith("duckdb:///"):
        with closing(duckdb.connect(url.removeprefix("duckdb:///"))) as connection:
            return connection.execute(statement).fetchall()
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        answer = connection.execute(sa.text(statement))
        return [tuple(row) for row in answer] if answer.returns_rows else []


@pytest.mark.parametrize(
    ("kind", "question", "word"),
    [
        ("sqlite", "select 'SQLite ' || sqlite_version()", "SQLite 3."),
        ("duckdb", "select 'DuckDB ' || version()", "DuckDB v"),
        ("postgresql", "select version()", "PostgreSQL"),
        ("mariadb", "select version()", "MariaDB"),
    ],
)
def test_each_database_is_the_real_one(make_database, kind, question, word):
    ((version,),) = ask(make_database(kind), question)
    assert word in version


def test_a_database_is_empty_and_keeps_what_is_written(database_url):
    ask(database_url, "create table invoices (amount decimal(12, 2))")
    ask(database_url, "insert into invoices values (1.25), (2.50)")
    assert [float(total) for (total,) in ask(database_url, "select sum(amount) from invoices")] == [3.75]


@pytest.mark.parametrize("kind", ["sqlite", "duckdb", *servers.KINDS])
def test_two_databases_do_not_see_each_other(make_database, kind):
    one, other = make_database(kind), make_database(kind)
    ask(one, "create table mine (x int)")
    with pytest.raises((sa.exc.DBAPIError, duckdb.Error)):
        ask(other, "select * from mine")


def test_mariadb_and_postgresql_keep_any_letter(make_database):
    for kind in servers.KINDS:
        url = make_database(kind)
        ask(url, "create table words (word varchar(20))")
        ask(url, "insert into words values ('Zürich 東京 🧮')")
        assert ask(url, "select word from words") == [("Zürich 東京 🧮",)]


def test_a_wrong_password_is_refused(postgresql_server, mariadb_server):
    for server, database in ((postgresql_server, "postgres"), (mariadb_server, "mysql")):
        with pytest.raises(sa.exc.OperationalError):
            ask(server.url(database, password="wrong"), "select 1")


def test_the_log_of_postgresql_shows_what_was_asked(postgresql_url, postgresql_server, postgresql_admin):
    name = sa.make_url(postgresql_url).database
    postgresql_admin.execute(f"alter database {name} set log_statement = 'all'")
    ask(postgresql_url, "select 4711")
    lines = [line for line in Path(postgresql_server.log).read_text().splitlines() if f"@{name} " in line]
    assert any("select 4711" in line for line in lines)


def test_a_read_only_role_of_postgresql_cannot_write(postgresql_url, postgresql_server, postgresql_admin):
    name = sa.make_url(postgresql_url).database
    ask(postgresql_url, "create table facts (x int)")
    ask(postgresql_url, "insert into facts values (1)")
    postgresql_admin.execute(f"create role reader_{name} login password 'look' in role pg_read_all_data")
    try:
        url = postgresql_server.url(name, user=f"reader_{name}", password="look")
        assert ask(url, "select x from facts") == [(1,)]
        with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
            ask(url, "insert into facts values (2)")
    finally:
        postgresql_admin.execute(f"drop role reader_{name}")


def test_a_read_only_user_of_mariadb_cannot_write(mariadb_url, mariadb_server, mariadb_admin):
    name = sa.make_url(mariadb_url).database
    ask(mariadb_url, "create table facts (x int)")
    cursor = mariadb_admin.cursor()
    cursor.execute(f"create user reader_{name}@'%%' identified by 'look'", ())
    try:
        cursor.execute(f"grant select on {name}.* to reader_{name}@'%%'", ())
        url = mariadb_server.url(name, user=f"reader_{name}", password="look")
        assert ask(url, "select x from facts") == []
        with pytest.raises(sa.exc.OperationalError, match="denied"):
            ask(url, "insert into facts values (2)")
    finally:
        cursor.execute(f"drop user reader_{name}@'%%'", ())


@pytest.mark.parametrize("kind", servers.KINDS)
def test_a_connection_left_open_does_not_keep_a_database(request, kind):
    server = request.getfixturevalue(f"{kind}_server")
    name = server.create_database()
    left_open = server.connect(name)
    left_open.cursor().execute("create table facts (x int)")
    left_open.cursor().execute("begin")
    left_open.cursor().execute("select * from facts")
    server.drop_database(name)
    with pytest.raises((psycopg.OperationalError, pymysql.OperationalError)):
        server.connect(name)


OWNER = """
import sys, time
from tests import servers
folder, alive = servers.start_run()
print(folder, servers.server(sys.argv[1], folder).port, flush=True)
time.sleep(600)
"""


@pytest.mark.cases(1)
@pytest.mark.parametrize("kind", servers.KINDS)
def test_a_server_goes_when_the_run_that_started_it_is_killed(request, kind):
    request.getfixturevalue(f"{kind}_server")  # skips where it cannot be had
    with subprocess.Popen([sys.executable, "-c", OWNER, kind], cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
        folder, port = owner.stdout.readline().split()
        assert listens(int(port))
        os.kill(owner.pid, signal.SIGKILL)
    deadline = time.monotonic() + servers.STOP_SECONDS
    while (listens(int(port)) or Path(folder).exists()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not listens(int(port))
    assert not Path(folder).exists()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_seed_is_one_for_all_workers(seed):
    assert str(seed) == os.environ["TALLYBOOK_SEED"]
    assert random.Random(seed).random() == random.Random(int(os.environ["TALLYBOOK_SEED"])).random()
