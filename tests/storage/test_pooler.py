"""Through PgBouncer in transaction mode, as many hosts put it before PostgreSQL: connections of the server are shared,
so what is set on one of them for longer than a transaction is met by the application itself.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

import tallybook
from tallybook.core.errors import Busy
from tests import servers

TOML = """
[book]
timezone = "Europe/Berlin"
start = "2024-01-01"
{kept}

[sources.app]
url = "{url}"
statement_timeout = "20s"
lock_timeout = "2s"

[metrics.signups]
table = "users"
time = "created_at"
measure = "count(*)"
by = ["plan"]

[metrics.users]
table = "users"
time = "created_at"
measure = "count(distinct id)"

[metrics.active]
kind = "level"
table = "users"
from = "created_at"
until = "gone_at"
measure = "count(*)"
"""
USERS = """
create table users (id int, created_at timestamptz, gone_at timestamptz, plan text);
insert into users select n, timestamptz '2024-01-01' + n * interval '1 hour',
    case when n % 5 = 0 then timestamptz '2024-02-20' end, case when n % 3 = 0 then 'pro' else 'free' end
    from generate_series(1, 1500) n
"""
SETTINGS = (
    "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "default_transaction_read_only",
    "default_transaction_isolation", "search_path", "timezone", "datestyle", "extra_float_digits",
)  # fmt: skip
SHARED = 3
"""So many connections of the server are shared by all."""


class Pooler:
    """PgBouncer before the run's server, with a database of its own."""

    def __init__(self, home: Path, server: servers.Server) -> None:
        self.server, self.database, port = server, server.create_database(), servers.free_port()
        (home / "users.txt").write_text(f'"{server.user}" "{server.password}"\n')
        (home / "pgbouncer.ini").write_text(
            f"[databases]\n* = host={server.host} port={server.port}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = plain\nauth_file = {home}/users.txt\n"
            f"pool_mode = transaction\ndefault_pool_size = {SHARED}\nunix_socket_dir =\n"
        )
        self.direct = server.url(self.database)
        self.url = self.direct.replace(f":{server.port}/", f":{port}/")
        account = servers.account_for("postgres")
        for path in (home, *home.iterdir()):
            path.chmod(0o755)  # the account it runs under must get through
        self.process = servers.popen(
            [servers.tool("pgbouncer"), home / "pgbouncer.ini"], account, home, subprocess.DEVNULL
        )

    def connect(self) -> psycopg.Connection[Any]:
        until = time.monotonic() + 60
        while True:
            try:
                return psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True)
            except psycopg.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)

    def settings(self) -> list[list[str]]:
        """What the application meets on each of the shared connections."""
        several = [self.connect() for _ in range(SHARED)]
        for one in several:  # a transaction each, so that each has a connection of the server to itself
            one.execute("begin")
        found = [[one.execute(f"show {name}").fetchone()[0] for name in SETTINGS] for one in several]
        for one in several:
            one.close()
        return found


@pytest.fixture
def pooler(postgresql_server: servers.Server) -> Iterator[Pooler]:
    try:
        servers.tool("pgbouncer")
    except servers.Missing as why:
        pytest.skip(str(why))
    home = Path(tempfile.mkdtemp(prefix="tallybook-pooler-", dir="/tmp"))
    pooler = Pooler(home, postgresql_server)
    with closing(pooler.connect()) as database:
        database.execute(USERS)
    yield pooler
    pooler.process.terminate()
    pooler.process.wait(60)
    postgresql_server.drop_database(pooler.database)
    shutil.rmtree(home, ignore_errors=True)


def project(folder: Path, pooler: Pooler, url: str, kept: str = "") -> tallybook.Book:
    folder.mkdir()
    (folder / "tallybook.toml").write_text(TOML.format(url=url, kept=kept))
    return tallybook.open(folder, now=lambda: datetime(2024, 3, 1, 6, tzinfo=UTC), env={})


def answers(book: tallybook.Book, **how: Any) -> list[dict[str, Any]]:
    return book.query("signups", "users", "active", scope="month", to="2024-02-29", **how).rows()


def test_source_and_ledger_behind_a_pooler_make_the_book_of_a_direct_connection(pooler: Pooler, tmp_path: Path) -> None:
    before = pooler.settings()
    kept = f'ledger = "{pooler.url}"\nstore = "ledger"'
    with project(tmp_path / "pooled", pooler, pooler.url, kept) as pooled, project(tmp_path / "direct", pooler, pooler.direct) as direct:  # fmt: skip
        assert pooled.run().exit_code == direct.run().exit_code == 0
        assert answers(pooled) == answers(direct) == answers(direct, live=True)
        assert pooled.doctor() == []
        assert [look.problems for look in pooled.look()] == [[], [], []]
    assert pooler.settings() == before, "nothing that Tallybook sets is met by the application"


def test_behind_a_pooler_too_one_of_two_runs_does_the_work(pooler: Pooler, tmp_path: Path) -> None:
    kept = f'ledger = "{pooler.url}"\nstore = "ledger"'
    with project(tmp_path / "one", pooler, pooler.url, kept) as one, project(tmp_path / "other", pooler, pooler.url, kept) as other:  # fmt: skip
        met = []

        def meanwhile(_: object) -> None:
            with pytest.raises(Busy):
                other.run()
            met.append(True)

        one.run(on_progress=meanwhile)
        assert met
        assert answers(other) == answers(one)
