"""Puts an oracle's `Table` into a real database, as an application would have stored it.

    database = open_database("postgresql+psycopg://…")
    database.create(table)                       # drops an older one of that name; rows go in too
    database.insert(table, more_rows)
    database.replace(table, changed_row)         # changed in place, found by its id
    database.delete(table, [3, 4])
    database.rows(table)                         # what the database now holds, in the judge's types

Connections are opened for each call and closed after it, so that a DuckDB file is free for the book.
"""

from __future__ import annotations

import re
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy.engine import URL, make_url

from tests.oracle import Column, Dialect, Row, Table

OFFSETS = (UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-8)))
"""Text that carries offsets carries several."""


class Database(ABC):
    """One database that tables are put into."""

    dialect: Dialect
    types: ClassVar[dict[str, str]]
    """The type to declare for each type of `Column`; may hold {precision} and {scale}."""
    mark = "?"
    """How a parameter is written."""
    quote = '"'
    table_options = ""

    def __init__(self, url: URL) -> None:
        self.url = url

    @abstractmethod
    def connect(self) -> Any:
        """A DBAPI connection."""

    @contextmanager
    def cursor(self) -> Iterator[Any]:
        """A cursor whose work is committed at the end."""
        connection = self.connect()
        try:
            cursor = connection.cursor()
            yield cursor
            connection.commit()
        finally:
            connection.close()

    # ---- what tests call

    def create(self, table: Table, *, index: bool = True) -> None:
        """Make the table anew with its rows, and an index on each time column unless `index` is false."""
        name = self.quoted(table.name)
        columns = ", ".join(f"{self.quoted(c.name)} {self.declared(c)}" for c in table.columns)
        with self.cursor() as cursor:
            cursor.execute(f"drop table if exists {name}")
            cursor.execute(f"create table {name} ({columns}){self.table_options}")
            for column in table.columns:
                if index and column.is_time:
                    made = self.quoted(f"{table.name}_{column.name}")
                    cursor.execute(f"create index {made} on {name} ({self.quoted(column.name)})")
            self.fill(cursor, table, table.rows)

    def insert(self, table: Table, rows: Sequence[Row]) -> None:
        with self.cursor() as cursor:
            self.fill(cursor, table, rows)

    def replace(self, table: Table, row: Row) -> None:
        """Change the row with this id in place."""
        columns = [column for column in table.columns if column.name != "id"]
        settings = ", ".join(f"{self.quoted(column.name)} = {self.mark}" for column in columns)
        values = [self.value(column, row) for column in columns]
        with self.cursor() as cursor:
            cursor.execute(
                f"update {self.quoted(table.name)} set {settings} where id = {self.mark}",
                [*values, row["id"]],
            )

    def delete(self, table: Table, ids: Iterable[int]) -> None:
        with self.cursor() as cursor:
            for number in ids:
                cursor.execute(f"delete from {self.quoted(table.name)} where id = {int(number)}")

    def drop(self, table: Table) -> None:
        with self.cursor() as cursor:
            cursor.execute(f"drop table if exists {self.quoted(table.name)}")

    def rows(self, table: Table) -> list[Row]:
        """Every row as the judge writes it, by id."""
        names = ", ".join(self.quoted(column.name) for column in table.columns)
        with self.cursor() as cursor:
            cursor.execute(f"select {names} from {self.quoted(table.name)} order by id")
            found = cursor.fetchall()
        return [
            {column.name: self.read(column, value) for column, value in zip(table.columns, row, strict=True)}
            for row in found
        ]

    # ---- how each database differs

    def fill(self, cursor: Any, table: Table, rows: Sequence[Row]) -> None:
        """Insert `rows`, fast."""
        names = ", ".join(self.quoted(column.name) for column in table.columns)
        marks = ", ".join([self.mark] * len(table.columns))
        values = [[self.value(column, row) for column in table.columns] for row in rows]
        if values:
            cursor.executemany(f"insert into {self.quoted(table.name)} ({names}) values ({marks})", values)

    def value(self, column: Column, row: Row) -> Any:
        """What is bound for a column of `row`."""
        return row[column.name]

    def read(self, column: Column, value: Any) -> Any:
        """A fetched value as the judge writes it."""
        if isinstance(value, datetime) and column.type == "timestamptz":
            return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        return bool(value) if column.type == "bool" and value is not None else value

    def quoted(self, name: str) -> str:
        return f"{self.quote}{name}{self.quote}"

    def declared(self, column: Column) -> str:
        if column.name == "id":
            return f"{self.types['int']} primary key"
        return self.types[column.type].format(precision=column.precision, scale=column.scale)


class SQLite(Database):
    """Times are texts, decimals are bound as text into a column declared DECIMAL, as ORMs do it: the column's
    affinity makes numbers of them."""

    dialect = "sqlite"
    types: ClassVar = {
        "int": "INTEGER",
        "bigint": "BIGINT",
        "decimal": "DECIMAL({precision}, {scale})",
        "float": "REAL",
        "text": "TEXT",
        "bool": "BOOLEAN",
        "timestamp": "DATETIME",
        "timestamptz": "TEXT",
        "timestamp_local": "DATETIME",
        "date": "DATE",
        "epoch_s": "INTEGER",
        "epoch_ms": "INTEGER",
    }

    def connect(self) -> sqlite3.Connection:
        return sqlite3.connect(str(self.url.database))

    def value(self, column: Column, row: Row) -> Any:
        value = row[column.name]
        if isinstance(value, datetime):
            if column.type == "timestamptz":
                value = value.astimezone(OFFSETS[row["id"] % len(OFFSETS)])
            return value.isoformat(column.form)
        return str(value) if isinstance(value, Decimal | date) else value

    def read(self, column: Column, value: Any) -> Any:
        if value is None:
            return None
        if column.type.startswith("timestamp"):
            value = datetime.fromisoformat(value)
        elif column.type == "date":
            value = date.fromisoformat(value)
        elif column.type == "decimal":
            value = Decimal(value).quantize(Decimal(1).scaleb(-column.scale))
        return super().read(column, value)


class DuckDB(Database):
    dialect = "duckdb"
    types: ClassVar = {
        "int": "INTEGER",
        "bigint": "BIGINT",
        "decimal": "DECIMAL({precision}, {scale})",
        "float": "DOUBLE",
        "text": "VARCHAR",
        "bool": "BOOLEAN",
        "timestamp": "TIMESTAMP",
        "timestamptz": "TIMESTAMPTZ",
        "timestamp_local": "TIMESTAMP",
        "date": "DATE",
        "epoch_s": "BIGINT",
        "epoch_ms": "BIGINT",
    }

    def connect(self) -> Any:
        import duckdb

        connection = duckdb.connect(str(self.url.database))
        connection.execute("set TimeZone = 'UTC'")
        return connection

    def fill(self, cursor: Any, table: Table, rows: Sequence[Row]) -> None:
        if not rows:
            return
        import pyarrow as pa

        columns = {c.name: pa.array([row[c.name] for row in rows], arrow_type(c)) for c in table.columns}
        cursor.register("incoming", pa.table(columns))
        cursor.execute(f"insert into {self.quoted(table.name)} select * from incoming")
        cursor.unregister("incoming")

    def rows(self, table: Table) -> list[Row]:
        with self.cursor() as cursor:  # through Arrow: fetching a TIMESTAMPTZ needs pytz
            found = cursor.sql(f"select * from {self.quoted(table.name)} order by id").to_arrow_table()
        return [{c.name: self.read(c, row[c.name]) for c in table.columns} for row in found.to_pylist()]


def arrow_type(column: Column) -> Any:
    import pyarrow as pa

    if column.type == "decimal":
        return pa.decimal128(column.precision, column.scale)
    return {
        "int": pa.int32(),
        "bigint": pa.int64(),
        "float": pa.float64(),
        "text": pa.string(),
        "bool": pa.bool_(),
        "timestamp": pa.timestamp("us"),
        "timestamptz": pa.timestamp("us", tz="UTC"),
        "timestamp_local": pa.timestamp("us"),
        "date": pa.date32(),
        "epoch_s": pa.int64(),
        "epoch_ms": pa.int64(),
    }[column.type]


class PostgreSQL(Database):
    dialect = "postgresql"
    mark = "%s"
    types: ClassVar = {
        "int": "INTEGER",
        "bigint": "BIGINT",
        "decimal": "NUMERIC({precision}, {scale})",
        "float": "DOUBLE PRECISION",
        "text": "TEXT",
        "bool": "BOOLEAN",
        "timestamp": "TIMESTAMP",
        "timestamptz": "TIMESTAMPTZ",
        "timestamp_local": "TIMESTAMP",
        "date": "DATE",
        "epoch_s": "BIGINT",
        "epoch_ms": "BIGINT",
    }

    def connect(self) -> Any:
        import psycopg

        return psycopg.connect(self.url.set(drivername="postgresql").render_as_string(hide_password=False))

    def fill(self, cursor: Any, table: Table, rows: Sequence[Row]) -> None:
        names = ", ".join(self.quoted(column.name) for column in table.columns)
        with cursor.copy(f"copy {self.quoted(table.name)} ({names}) from stdin") as copy:
            for row in rows:
                copy.write_row([self.value(column, row) for column in table.columns])


class MySQL(Database):
    """In the collation that most applications have: blind to case and to trailing spaces."""

    dialect = "mysql"
    mark = "%s"
    quote = "`"
    table_options = " engine = InnoDB default charset = utf8mb4 collate = utf8mb4_general_ci"
    types: ClassVar = {
        "int": "INT",
        "bigint": "BIGINT",
        "decimal": "DECIMAL({precision}, {scale})",
        "float": "DOUBLE",
        "text": "VARCHAR(191)",
        "bool": "TINYINT(1)",
        "timestamp": "DATETIME(6) NULL",
        "timestamptz": "TIMESTAMP(6) NULL",
        "timestamp_local": "DATETIME(6) NULL",
        "date": "DATE",
        "epoch_s": "BIGINT",
        "epoch_ms": "BIGINT",
    }

    def connect(self) -> Any:
        import pymysql

        return pymysql.connect(
            host=self.url.host,
            port=self.url.port or 3306,
            user=self.url.username,
            password=self.url.password or "",
            database=self.url.database,
            unix_socket=self.url.query.get("unix_socket"),
            charset="utf8mb4",
            init_command="set time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES'",
        )

    def value(self, column: Column, row: Row) -> Any:
        value = row[column.name]
        if isinstance(value, datetime) and value.tzinfo:
            return value.astimezone(UTC).replace(tzinfo=None)
        return value


class Chdb(Database):
    """ClickHouse in this process, over a folder; columns may be null, and what others say in SQL is said its way."""

    dialect = "clickhouse"
    mark = "%s"
    quote = "`"
    types: ClassVar = {
        "int": "Int32",
        "bigint": "Int64",
        "decimal": "Decimal({precision}, {scale})",
        "float": "Float64",
        "text": "String",
        "bool": "Bool",
        "timestamp": "DateTime64(6)",
        "timestamptz": "DateTime64(6, 'America/New_York')",
        "timestamp_local": "DateTime64(6)",
        "date": "Date32",
        "epoch_s": "Int64",
        "epoch_ms": "Int64",
    }

    def connect(self) -> Any:
        from clickhouse_connect.dbapi.connection import Connection

        settings = {
            "data_type_default_nullable": 1, "default_table_engine": "MergeTree", "session_timezone": "UTC",
            "create_table_empty_primary_key_by_default": 1, "date_time_input_format": "best_effort",
            "mutations_sync": 1, "cast_string_to_date_time_mode": "best_effort",
        }  # fmt: skip
        Path(self.url.database or "").mkdir(exist_ok=True)
        return Connection(dsn=f"chdb:///{self.url.database}", **{f"ch_{name}": v for name, v in settings.items()})

    def fill(self, cursor: Any, table: Table, rows: Sequence[Row]) -> None:
        names = ", ".join(self.quoted(column.name) for column in table.columns)
        listed = (f"({', '.join(_literal(row[column.name]) for column in table.columns)})" for row in rows)
        if values := ", ".join(listed):
            cursor.execute(f"insert into {self.quoted(table.name)} ({names}) values {values}")

    def replace(self, table: Table, row: Row) -> None:
        names = [column.name for column in table.columns if column.name != "id"]
        settings = ", ".join(f"{self.quoted(name)} = {_literal(row[name])}" for name in names)
        with self.cursor() as cursor:
            cursor.execute(f"update {self.quoted(table.name)} set {settings} where id = {row['id']}")

    def declared(self, column: Column) -> str:
        return "Int64 not null primary key" if column.name == "id" else super().declared(column)

    @contextmanager
    def cursor(self) -> Iterator[Any]:
        with super().cursor() as cursor:
            execute = cursor.execute
            cursor.execute = lambda sql, *values: execute(_for_clickhouse(sql), *values)
            yield cursor


def _literal(value: Any) -> str:
    """As text: bound by the driver, times lose what is less than a second, and their zone."""
    if value is None:
        return "null"
    if isinstance(value, bool | int | float):
        return str(value).lower()
    return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"


def _for_clickhouse(sql: str) -> str:
    if index := re.fullmatch(r"create index (\S+) on (\S+) (\(.*\))", sql):
        return f"alter table {index[2]} add index {index[1]} {index[3]} type minmax granularity 1"
    if update := re.fullmatch(r"update (\S+) set (.*?)( where .*)?", sql, re.DOTALL):
        return f"alter table {update[1]} update {update[2]}{update[3] or ' where 1'}"
    return sql.replace("id int primary key", "id Int32 not null primary key")


DATABASES: dict[str, type[Database]] = {
    "chdb": Chdb,
    "sqlite": SQLite,
    "duckdb": DuckDB,
    "postgresql": PostgreSQL,
    "mysql": MySQL,
    "mariadb": MySQL,
}


def open_database(url: str) -> Database:
    """The database at an SQLAlchemy-style URL: sqlite:///…, duckdb:///…, postgresql+psycopg://…,
    mysql+pymysql://…."""
    parsed = make_url(url)
    name = parsed.drivername.partition("+")[0]
    assert name in DATABASES, f"nothing here writes to {name}: a harness adds a Database to tests.loading.DATABASES"
    return DATABASES[name](parsed)
