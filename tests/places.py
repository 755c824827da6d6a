"""Databases of every kind that tests can make, and the facts they are filled with.

Where databases differ in what a test needs, the difference is an attribute or a method of a `Place`.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest
from sqlalchemy.engine import make_url

from tallybook.collect.sources.base import Source
from tallybook.collect.sources.registry import open_source
from tallybook.collect.sources.values import BOOL, DATE, DEC, FLOAT, INT, TEXT, TIMESTAMP, TIMESTAMPTZ
from tallybook.core import SourceSettings
from tests import servers
from tests.loading import open_database
from tests.projects import Project

NOW = "2024-03-06T12:00"
SECRET = "pass:word/with@all#of?it%"

# ---------------------------------------------------------------------------------------------- the facts

TABLES = (
    "events (id int, happened timestamp, plan varchar(20), amount decimal(10, 2), score double precision, user_id bigint)",
    "subscriptions (id int, started timestamp, ended timestamp, plan varchar(20), mrr int)",
    "seats (day date, account int, seats int)",
    "tickets (id int, closed timestamp)",
)
EVENTS = [
    (number, f"2024-0{1 + number % 3}-{1 + number % 5:02} {number % 22:02}:15:00", ("free", "pro", None)[number % 3],
     Decimal(number * 7) / 100, number / 8, number % 11)
    for number in range(120)
]  # fmt: skip
SUBSCRIPTIONS = [
    (
        number,
        f"2024-01-{1 + number:02} 08:00:00",
        f"2024-02-{1 + number:02} 08:00:00" if number % 2 else None,
        "pro",
        10 + number,
    )
    for number in range(20)
]
SEATS = [(f"2024-02-{1 + number // 2:02}", number % 2, number) for number in range(40)]
TICKETS = [(number, "2024-02-01 00:00:00" if number % 3 else None) for number in range(9)]

EVERY_MEASURE = """
[metrics.events]
table = "events"
time = "happened"
measure = "count(*)"
by = ["plan"]

[metrics.amount]
table = "events"
time = "happened"
measure = "sum(amount)"
where = "amount > 0.1"
by = ["plan"]

[metrics.scores]
table = "events"
time = "happened"
measure = "avg(score) + max(score) - min(amount)"

[metrics.spread]
table = "events"
time = "happened"
measure = "stddev(score)"

[metrics.users]
table = "events"
time = "happened"
measure = "count(distinct user_id)"
by = ["plan"]

[metrics.plans]
table = "events"
time = "happened"
measure = "count(distinct plan)"

[metrics.typical]
table = "events"
time = "happened"
measure = "p90(amount)"

[metrics.own_sql]
sql = "select e.happened, e.plan, s.mrr from events e join subscriptions s on s.id = e.id"
time = "happened"
measure = "sum(mrr)"

[metrics.mrr]
kind = "level"
table = "subscriptions"
from = "started"
until = "ended"
measure = "sum(mrr)"
by = ["plan"]

[metrics.largest]
kind = "level"
table = "subscriptions"
from = "started"
until = "ended"
measure = "max(mrr)"

[metrics.subscribers]
kind = "level"
table = "subscriptions"
from = "started"
until = "ended"
measure = "count(distinct id)"

[metrics.seats]
kind = "level"
table = "seats"
time = "day"
measure = "sum(seats)"
by = ["account"]
carry = "2d"

[metrics.latest_seats]
table = "seats"
time = "day"
measure = "sum(seats)"
daily_aggregate = true
series = ["account"]

[metrics.open_tickets]
kind = "level"
table = "tickets"
where = "closed is null"
measure = "count(*)"

[metrics.a_function]
kind = "level"
function = "counting.py:how_many"
source = "app"
"""
FUNCTION = """
import tallybook
from sqlalchemy import text

def how_many(day, db):
    found = db.execute("select count(*) from tickets" if "duckdb" in type(db).__module__ else text("select count(*) from tickets"))
    return found.fetchall()[0][0]
"""


def fill(project: Project) -> Project:
    for columns, rows in zip(TABLES, (EVENTS, SUBSCRIPTIONS, SEATS, TICKETS), strict=True):
        project.table(columns, rows)
    (project.folder / "counting.py").write_text(FUNCTION)
    return project


def numbers(project: Project) -> dict[str, Any]:
    """What the book says, over all time: something of every metric."""
    names = list(project.book.project.catalog.metrics)
    return {name: project.ask(name, scope="month", from_="2024-01-01", to="2024-03-05") for name in names}


@dataclass
class Place:
    """A database of one kind: how its project is declared and who else may look into it."""

    url: str
    folder: Path
    request: pytest.FixtureRequest

    suite: ClassVar[str] = "source"
    """Which promises it is tested for."""
    kind: ClassVar[str]
    snapshots: ClassVar[bool] = True
    """What is read in a snapshot is of one moment."""
    shared: ClassVar[bool] = True
    """Others can write while it is read."""
    indexes: ClassVar[bool] = True
    """Some columns have an index, and others have none."""
    moment: ClassVar[str] = "timestamp"
    """The type of a time without a zone."""
    forms: ClassVar[tuple[str, str]] = ("naive", "date")
    """How it stores a time without a zone, and a date."""
    exact_decimals: ClassVar[bool] = True
    """Decimals are not stored as floats."""
    exact_sums: ClassVar[bool] = True
    """Sums of decimals with two digits are decimals."""
    views: ClassVar[bool] = True
    """Views can be made."""
    added: ClassVar[tuple[str, ...]] = ()
    """Columns that every table has beside its own."""
    one_moment: ClassVar[bool] = False
    """All that an open source reads is of one moment."""
    slow: ClassVar[str]
    """Facts that take for ever, of columns happened and plan."""
    types: ClassVar[dict[str, tuple[str, str, int | None]]]
    """Column → (how it is declared, what kind it is told to be, its scale)."""

    def __post_init__(self) -> None:
        """Where a database needs more than to be there."""

    def source(self, url: str | None = None, **settings: Any) -> Source:
        return open_source(SourceSettings(name="app", url=url or self.url, **settings))

    def project(
        self, metrics: str = EVERY_MEASURE, *, url: str | None = None, source: str = "", name: str = "project"
    ) -> Project:
        project = Project(self.folder / name, self.url, now=NOW)
        project.url = url or self.url
        project.declare(metrics, source=source, timezone="Europe/Berlin")
        project.url = self.url
        return project

    def execute(self, *statements: str) -> list[Any]:
        with open_database(self.url).cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall()) if statements[-1].lower().startswith("select") else []

    @classmethod
    def make(cls, request: pytest.FixtureRequest) -> Place:
        """An empty database for one test."""
        return cls(request.getfixturevalue("make_database")(cls.kind), request.getfixturevalue("tmp_path"), request)

    def insert(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        """Add rows to a table that is there."""
        database = open_database(self.url)
        marks = ", ".join([database.mark] * len(rows[0]))
        with database.cursor() as cursor:
            for row in rows:
                cursor.execute(f"insert into {table} values ({marks})", row)

    @property
    def database(self) -> str:
        return make_url(self.url).database or ""


class Sqlite(Place):
    kind = "sqlite"
    forms = ("text_space", "text_date")
    exact_decimals = False
    slow = (
        "select happened, plan from events where id < (with recursive c(x) as (select 1 union all select x + 1 from c "
        "where x < 1000000000) select max(x) from c)"
    )
    types: ClassVar = {
        "i": ("int", INT, 0), "d": ("decimal(12, 3)", DEC, 3), "f": ("double precision", FLOAT, None),
        "t": ("varchar(10)", TEXT, None), "b": ("boolean", BOOL, None), "s": ("timestamp", TIMESTAMP, None), "y": ("date", DATE, None),
    }  # fmt: skip

    def __post_init__(self) -> None:
        with closing(sqlite3.connect(self.database)) as app:
            app.execute("CREATE TABLE first_page (x)")  # an empty file has no mode
            assert app.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)


class SqliteWithoutWal(Sqlite):
    snapshots = False

    def __post_init__(self) -> None:
        pass


class Duckdb(Place):
    kind = "duckdb"
    shared = indexes = False
    slow = (
        "select happened, plan from events, range(100000) a, range(100000) b, range(100000) c "
        "where hash(a.range + b.range * c.range) % 1000003 = id"
    )
    types: ClassVar = {
        "i": ("int", INT, 0), "d": ("decimal(12, 3)", DEC, 3), "f": ("double precision", FLOAT, None),
        "t": ("varchar(10)", TEXT, None), "b": ("boolean", BOOL, None), "s": ("timestamp", TIMESTAMP, None),
        "z": ("timestamptz", TIMESTAMPTZ, None), "y": ("date", DATE, None),
    }  # fmt: skip


class Chdb(Place):
    """ClickHouse, in this process."""

    kind = "chdb"
    snapshots = indexes = False
    slow = "select happened, plan from events where sleepEachRow(0.02) = 0"
    types: ClassVar = {
        "i": ("int", INT, 0), "g": ("UInt64", INT, 0), "d": ("decimal(12, 3)", DEC, 3), "f": ("double precision", FLOAT, None),
        "t": ("FixedString(3)", TEXT, None), "e": ("Enum('a', 'b')", TEXT, None), "b": ("bool", BOOL, None),
        "s": ("DateTime64(3)", TIMESTAMP, None), "z": ("DateTime('Europe/Berlin')", TIMESTAMPTZ, None),
        "y": ("date", DATE, None), "u": ("UUID", "uuid", None),
    }  # fmt: skip


class ServerPlace(Place):
    @property
    def server(self) -> servers.Server:
        return self.request.getfixturevalue(f"{self.kind}_server")

    @contextmanager
    def reader(self, password: str = "look") -> Iterator[str]:
        """The URL of a user who may only SELECT, and see whether there is a replica."""
        raise NotImplementedError

    long_statements: ClassVar[str]
    """Asks for the connections to a database (%s) that are in a statement for more than 0.3 s."""
    kill: ClassVar[str]
    """Ends a connection."""

    def end_long_statements(self) -> int:
        """End the connections that are in a long statement; returns how many."""
        with closing(self.server.connect()) as admin, closing(admin.cursor()) as cursor:
            cursor.execute(self.long_statements, (self.database,))
            found = cursor.fetchall()
            for (number,) in found:
                cursor.execute(self.kill.format(number))
            return len(found)

    def statements_of(self, user: str) -> list[str]:
        """Every statement the server heard from a user."""
        raise NotImplementedError

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the table events so that nobody can read it."""
        raise NotImplementedError


def with_user(url: str, user: str, password: str) -> str:
    return make_url(url).set(username=user, password=password).render_as_string(hide_password=False)


class Postgresql(ServerPlace):
    kind = "postgresql"
    slow = "select happened, plan from events where pg_sleep(30) is not null"
    long_statements = (
        "select pid from pg_stat_activity where datname = %s and state = 'active' "
        "and query_start < clock_timestamp() - interval '0.3 s' and pid <> pg_backend_pid()"
    )
    kill = "select pg_terminate_backend({})"
    types: ClassVar = {
        "i": ("int", INT, 0), "g": ("bigint", INT, 0), "d": ("numeric(12, 3)", DEC, 3), "f": ("double precision", FLOAT, None),
        "t": ("text", TEXT, None), "b": ("boolean", BOOL, None), "s": ("timestamp", TIMESTAMP, None),
        "z": ("timestamptz", TIMESTAMPTZ, None), "y": ("date", DATE, None), "u": ("uuid", "uuid", None),
    }  # fmt: skip

    @contextmanager
    def reader(self, password: str = "look") -> Iterator[str]:
        user = f"reader_{uuid.uuid4().hex[:8]}"
        with closing(self.server.connect(self.database)) as admin:
            admin.execute(f"create role {user} login password '{password}'")
            admin.execute(f"grant select on all tables in schema public to {user}")
            admin.execute(f"alter role {user} set log_statement = 'all'")
            try:
                yield with_user(self.url, user, password)
            finally:
                admin.execute(f"drop owned by {user}")
                admin.execute(f"drop role {user}")

    def statements_of(self, user: str) -> list[str]:
        found, mine = [], False
        for line in Path(self.server.log).read_text().splitlines():
            if line.startswith("\t"):
                if mine:
                    found[-1] += "\n" + line.strip()
                continue
            mine = f" {user}@" in line and any(word in line for word in (" statement: ", " execute "))
            if mine:
                found.append(line.partition(": ")[2].partition(": ")[2])
        return found

    @contextmanager
    def lock(self) -> Iterator[None]:
        with closing(self.server.connect(self.database)) as admin:
            admin.execute("begin")
            admin.execute("lock table events in access exclusive mode")
            yield
            admin.execute("rollback")


class Mariadb(ServerPlace):
    kind = "mariadb"
    moment = "datetime"
    slow = "select happened, plan from events where sleep(30) = 0"
    long_statements = (
        "select id from information_schema.processlist where db = %s and command = 'Query' and time_ms > 300 "
        "and id <> connection_id()"
    )
    kill = "kill {}"
    types: ClassVar = {
        "i": ("int", INT, 0), "g": ("bigint", INT, 0), "d": ("decimal(12, 3)", DEC, 3), "f": ("double", FLOAT, None),
        "t": ("varchar(10)", TEXT, None), "b": ("tinyint(1)", INT, 0), "s": ("datetime(6)", TIMESTAMP, None),
        "z": ("timestamp(6) null", TIMESTAMPTZ, None), "y": ("date", DATE, None),
    }  # fmt: skip

    @contextmanager
    def reader(self, password: str = "look") -> Iterator[str]:
        user = f"reader_{uuid.uuid4().hex[:8]}"
        with closing(self.server.connect(self.database)) as admin, closing(admin.cursor()) as cursor:
            cursor.execute(f"create user {user}@'%' identified by '{password}'")
            cursor.execute(f"grant select on {self.database}.* to {user}@'%'")
            try:
                yield with_user(self.url, user, password)
            finally:
                cursor.execute(f"drop user {user}@'%'")

    def statements_of(self, user: str) -> list[str]:
        with closing(self.server.connect()) as admin, closing(admin.cursor()) as cursor:
            cursor.execute(
                "select argument from mysql.general_log where user_host like %s and command_type in ('Query', 'Execute', 'Prepare')",
                (f"{user}[%",),
            )
            return [row[0].decode() if isinstance(row[0], bytes) else row[0] for row in cursor.fetchall()]

    @contextmanager
    def lock(self) -> Iterator[None]:
        with closing(self.server.connect(self.database)) as admin, closing(admin.cursor()) as cursor:
            cursor.execute("lock tables events write")
            yield
            cursor.execute("unlock tables")


FILES: tuple[type[Place], ...] = (Sqlite, SqliteWithoutWal, Duckdb)
SERVERS: tuple[type[ServerPlace], ...] = (Postgresql, Mariadb)


def make_place(request: pytest.FixtureRequest) -> Any:
    return request.param.make(request)


def named(kind: type[Place]) -> str:
    return kind.__name__
