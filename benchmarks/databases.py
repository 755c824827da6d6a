"""The databases that the benchmarks read: a throw-away PostgreSQL with everything in memory, and its tables."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from benchmarks.figures import print_progress
from tests import servers

FIRST_DAY = date(2024, 1, 1)
SETTINGS = {
    "shared_buffers": "1GB",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "autovacuum": "off",
    "stats_fetch_consistency": "none",
}


@contextlib.contextmanager
def postgresql(home: Path) -> Iterator[Postgresql]:
    """A server that lives as long as the block. Raises servers.Missing when PostgreSQL is not installed."""
    home.mkdir()
    home.chmod(0o755)
    process, server = servers.launch("postgresql", home / "server")
    try:
        with contextlib.closing(server.connect()) as admin:
            for name, value in SETTINGS.items():
                admin.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        servers.stop(process)
        with Path(server.log).open("ab") as output:
            account = servers.account_for("postgres")
            process = servers.popen(process.args, account, home / "server", output)
        servers.wait_until_it_answers(process, server)
        yield Postgresql(server, process.pid)
    finally:
        servers.stop(process)


class Postgresql:
    """One database, and what its server spends on us."""

    def __init__(self, server: servers.Server, pid: int) -> None:
        self.server, self.pid = server, pid
        self.name = server.create_database()
        self.url = server.url(self.name)
        self._made: set[str] = set()

    def connect(self) -> Any:
        return self.server.connect(self.name)

    def rows(self, sql: str, settings: str = "") -> list[tuple[Any, ...]]:
        """The answer of one statement, of a connection with other settings if need be."""
        with contextlib.closing(self.connect()) as connection:
            if settings:
                connection.execute(settings)
            return list(connection.execute(sql).fetchall())

    # -- what it spends ------------------------------------------------------------------------------

    def cpu_seconds(self) -> float:
        """Of all connections that were closed. Waits until none is left."""
        while any(self._serves_somebody(child) for child in self._children()):
            time.sleep(0.005)
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")

    def _children(self) -> list[str]:
        return Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()

    def _serves_somebody(self, child: str) -> bool:
        """Or did, and is still to be counted: a dead process has no words."""
        try:
            words = Path(f"/proc/{child}/cmdline").read_text()
        except OSError:
            return False
        return not words or self.server.user in words

    def buffers(self) -> float:
        """Pages of 8 KiB looked at in this database, by all connections that were closed."""
        self.cpu_seconds()
        with contextlib.closing(self.server.connect()) as admin:
            asked = "SELECT blks_hit + blks_read FROM pg_stat_database WHERE datname = %s"
            return float(admin.execute(asked, [self.name]).fetchone()[0])

    # -- tables --------------------------------------------------------------------------------------

    def api_calls(self, days: int, per_day: int) -> int:
        """The table api_calls: so many days from FIRST_DAY on, in the order of time, and twice as many after them, as
        a table has more than one looks at. Returns how many rows the days have."""
        rows = days * per_day
        self._make("api_calls", 3 * rows, API_CALLS.format(first=FIRST_DAY, rows=3 * rows, gap=86400 / per_day))
        return rows

    def subscriptions(self, rows: int, days: int) -> int:
        """The table subscriptions: `rows` stretches of validity, spread over `days` from a year earlier on."""
        first = FIRST_DAY - timedelta(days=365)
        self._make("subscriptions", rows, SUBSCRIPTIONS.format(first=first, rows=rows, span=days + 365))
        return rows

    def _make(self, table: str, rows: int, script: str) -> None:
        if table in self._made:
            return
        print_progress(f"  {table}: {rows:,} rows")
        with contextlib.closing(self.connect()) as connection:
            for statement in script.split(";\n"):
                connection.execute(statement)
        self._made.add(table)


# Of 5,000 users some 4,600 call on a day, a few of them often; latencies are log-normal; one call in 50 fails.
API_CALLS = """
CREATE TABLE api_calls (
    id bigint NOT NULL, account_id integer NOT NULL, user_id integer NOT NULL, plan text NOT NULL,
    called_at timestamptz NOT NULL, latency_ms integer NOT NULL, status smallint NOT NULL, bytes integer NOT NULL);
SELECT setseed(0.5);
INSERT INTO api_calls
    SELECT i, u / 12, u, (ARRAY['free', 'free', 'pro', 'team'])[1 + (u / 12) % 4],
        timestamptz '{first} 00:00:00+00' + (i * {gap}) * interval '1 second',
        (exp(3.5 + 0.8 * (random() + random() + random() + random() - 2) * 1.73))::integer,
        CASE WHEN random() < 0.02 THEN 500 ELSE 200 END, (random() * 20000)::integer
    FROM (SELECT i, (5000 * power(random(), 2))::integer AS u FROM generate_series(0, {rows} - 1) i) x;
CREATE INDEX api_calls_called_at ON api_calls (called_at);
VACUUM (FREEZE, ANALYZE) api_calls
"""
# Most begin on some day and last a while; a third are still running.
SUBSCRIPTIONS = """
CREATE TABLE subscriptions (
    id integer PRIMARY KEY, plan text NOT NULL, mrr numeric(10, 2) NOT NULL,
    started_at timestamptz NOT NULL, cancelled_at timestamptz);
SELECT setseed(0.5);
INSERT INTO subscriptions
    SELECT i, plan, mrr, s, CASE WHEN random() < 0.67 THEN s + random() * 400 * interval '1 day' END
    FROM (SELECT i, (ARRAY['free', 'pro', 'team', 'enterprise'])[1 + i % 4] AS plan,
            (10 + (random() * 50000)::integer / 100.0)::numeric(10, 2) AS mrr,
            timestamptz '{first} 00:00:00+00' + random() * {span} * interval '1 day' AS s
        FROM generate_series(1, {rows}) i) x;
CREATE INDEX subscriptions_started_at ON subscriptions (started_at);
CREATE INDEX subscriptions_cancelled_at ON subscriptions (cancelled_at);
VACUUM (FREEZE, ANALYZE) subscriptions
"""
