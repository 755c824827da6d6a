"""PostgreSQL (psycopg 3), and databases with the same protocol.

A snapshot is one REPEATABLE READ READ ONLY transaction. Large results are fetched by COPY TO STDOUT, which only reads.
Statements use the extended protocol, in which the server accepts one statement at a time. With the simple protocol, a
COMMIT after a `;` would end the READ ONLY transaction."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from tallybook.collect.sources.base import Reader
from tallybook.collect.sources.catalog import CatalogTable, catalog_tables
from tallybook.collect.sources.dialect import TimeForm
from tallybook.collect.sources.failed_statements import (
    connection_lost,
    permission_denied,
    table_locked,
    timed_out,
    undecodable,
    unknown_name,
)
from tallybook.collect.sources.identity import Identity
from tallybook.collect.sources.policies import rows_filtered
from tallybook.collect.sources.postgresql_catalog import CATALOG_QUERIES
from tallybook.collect.sources.postgresql_driver import (
    FROM_LATIN1,
    PARAMETERS,
    is_connection_error,
    knows_parameter,
    one_statement_cursor,
    read_times_as_text,
)
from tallybook.collect.sources.postgresql_reader import PostgresqlReader
from tallybook.collect.sources.server import DescribedServer
from tallybook.collect.sources.values import (
    BOOL,
    BYTES,
    DATE,
    DEC,
    FLOAT,
    INT,
    OTHER,
    TEXT,
    TIMESTAMP,
    TIMESTAMPTZ,
    UUID,
    ColumnType,
)
from tallybook.core import APPLY, SourceError, SourceKind, SourceUnavailable, quiet
from tallybook.storage import connect

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb
    from sqlalchemy import Connection, Engine

_OIDS = {
    16: BOOL,
    17: BYTES,
    18: TEXT,
    19: TEXT,
    20: INT,
    21: INT,
    23: INT,
    25: TEXT,
    26: INT,
    700: FLOAT,
    701: FLOAT,
    1042: TEXT,
    1043: TEXT,
    1082: DATE,
    1114: TIMESTAMP,
    1184: TIMESTAMPTZ,
    1700: DEC,
    2950: UUID,
}


CONNECT_SECONDS = 10
_CAUGHT_UP = """\
SELECT max(last_msg_send_time) FROM pg_stat_wal_receiver
WHERE status = 'streaming' AND latest_end_lsn <= pg_last_wal_replay_lsn()"""

_TABLES = """\
SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname = current_schema() ORDER BY 1"""
# An invalid index was never finished. An index on some rows or on an expression does not make columns unique.
_UNIQUE = """\
SELECT (SELECT array_agg(a.attname::text ORDER BY k.n) FROM unnest(i.indkey) WITH ORDINALITY AS k (number, n)
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number WHERE k.n <= i.indnkeyatts)
FROM pg_index i WHERE i.indrelid = to_regclass('{name}') AND i.indisunique AND i.indisvalid AND i.indimmediate
AND i.indpred IS NULL AND i.indexprs IS NULL ORDER BY NOT i.indisprimary"""


# initdb creates the system identifier, and replicas have the same one.
_IDENTITY = (
    "SELECT system_identifier::text, current_database()::text, current_schema()::text "
    "FROM pg_catalog.pg_control_system()"
)
_POLICIES = """\
SELECT n.nspname || '.' || c.relname, row_security_active(c.oid) FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relrowsecurity ORDER BY 1"""


class PostgresqlSource(DescribedServer):
    kind = SourceKind(
        name="postgresql",
        title="PostgreSQL",
        schemes=("postgresql", "postgres"),
        dialect="postgres",
        extra="postgresql",
        example="postgresql://USER:PASSWORD@HOST/DATABASE",
        scratch="tallybook.metric_tests.scratch:ServerScratch",
        parameters=tuple(PARAMETERS.split()),
        drivers=("psycopg",),
        parameter_hints=dict.fromkeys(
            ("schema", "currentSchema", "search_path"),
            'write ?options=-csearch_path%3DNAME for the schema NAME, or name it in the table: table = "NAME.orders"',
        ),
        newer_parameter=knows_parameter,
        session_parameter="options",
        session_variable="PGOPTIONS",
        policies=True,
        plain_name="[a-z_][a-z0-9_]*",
    )
    grouping_sets = True
    drivername = "postgresql+psycopg"
    other_listener = ("a PostgreSQL server", 5432, ("SSL negotiation", "invalid response", "timeout"))
    _knows_policies = True
    engine_options: ClassVar = {"use_native_hstore": False}  # no extra query for a type on every connection

    def connect_options(self, driver: str) -> dict[str, Any]:
        """Driver options. No prepared statements, because a pooler loses them. Texts as UTF-8, whatever the encoding of
        the database."""
        if driver != "psycopg":
            return {}
        timeout = {} if "connect_timeout" in self.settings.url else {"connect_timeout": CONNECT_SECONDS}
        driver_options = {"prepare_threshold": None, "cursor_factory": one_statement_cursor()}
        return {**driver_options, "client_encoding": "UTF8", **timeout}

    def prepare(self) -> Sequence[str]:
        return ()

    def begin(self) -> Sequence[str]:
        return ()

    def limits(self) -> dict[str, str]:
        """Settings of one transaction, by name."""
        s = self.settings
        return {
            "TimeZone": "UTC",
            "DateStyle": "ISO",
            "extra_float_digits": "3",  # as before version 12, or set by a role: two floats could have the same text
            "jit": "off",
            "statement_timeout": str(int(s.statement_timeout * 1000)),
            "lock_timeout": str(int(s.lock_timeout * 1000)),
            "idle_in_transaction_session_timeout": str(int(max(60.0, 2 * s.statement_timeout) * 1000)),
            # An error if a policy would hide rows. For users who see all rows this changes nothing.
            **({"row_security": "off"} if s.policies != APPLY and self._knows_policies else {}),
        }

    def prepared(self, engine: Engine) -> Engine:
        from sqlalchemy import event

        quiet("psycopg")

        def connected(raw: Any, record: object) -> None:
            raw.read_only = True  # every transaction that psycopg begins, including after a commit
            self._close_session(raw)

        def begin(connection: Connection) -> None:
            limits = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in self.limits().items())
            connection.exec_driver_sql(f"SELECT {limits}")

        event.listen(engine, "connect", connected)
        event.listen(engine, "begin", begin)
        return engine

    def _close_session(self, raw: Any) -> None:
        """Make the session itself READ ONLY, if nobody else uses it.

        A pooler that passes sessions on between transactions (PgBouncer) would give the application a session in which
        it cannot write. Such a pooler is recognized by the invented process number of the connection."""
        from psycopg import Error

        try:
            raw.execute(
                f"SELECT CASE WHEN pg_backend_pid() = {int(raw.info.backend_pid)} "
                "THEN set_config('default_transaction_read_only', 'on', false) END"
            )
            raw.commit()
        except Error:  # databases with only PostgreSQL's protocol may not know these names
            raw.rollback()

    def _connect(self) -> Any:
        raw = super()._connect()
        raw.autocommit = True
        read_times_as_text(raw)
        self._close_session(raw)
        return raw

    def _begin(self, raw: Any) -> None:
        """Run several statements at once, all of them our own."""
        from psycopg import Cursor, Error

        limits = "".join(f"; SET LOCAL {name} = '{value}'" for name, value in self.limits().items())
        try:
            Cursor(raw).execute(f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY{limits}")
        except Error as error:
            if "row_security" not in str(error) or not self._knows_policies:
                raise
            self._knows_policies = False  # only PostgreSQL's protocol
            Cursor(raw).execute("ROLLBACK")
            self._begin(raw)

    def _end(self, raw: Any) -> None:
        try:
            raw.execute("ROLLBACK")
        except Exception:
            self._forget()

    def reader(self, raw: Any) -> Reader:
        return PostgresqlReader(self, raw)

    @functools.cached_property
    def csv_engine(self) -> duckdb.DuckDBPyConnection:
        """The engine that reads CSV from the server. Threads use cursors of it."""
        return connect()

    def describe(self, cursor: Any) -> list[ColumnType]:
        return [_type(column) for column in cursor.description]

    def known_until(self, now: datetime) -> datetime:
        with self.snapshot() as reader:
            clock, replica, replayed = reader.rows(
                "SELECT clock_timestamp(), pg_is_in_recovery(), pg_last_xact_replay_timestamp()"
            )[0]
        if replica and replayed is None:
            raise SourceUnavailable(f"source {self.settings.name!r} is a replica that has replayed nothing yet")
        known: datetime = max(replayed, self._caught_up() or replayed) if replica else clock
        return known.astimezone(UTC)

    def _caught_up(self) -> datetime | None:
        """The time when the primary last reported the end of its log, if the replica has replayed up to there. Then it
        lacks nothing from before, even if an idle primary leaves the time of the last replayed transaction unchanged.

        None if the replica has not caught up, or if the user may not see it (pg_read_all_stats)."""
        try:
            with self.snapshot() as reader:
                caught_up: datetime | None = reader.rows(_CAUGHT_UP)[0][0]
        except SourceUnavailable:
            raise
        except SourceError:  # databases with only PostgreSQL's protocol may not know these names
            return None
        return caught_up

    def index_reached(self, reader: Reader, sql: str) -> bool:
        plan = reader.rows("EXPLAIN (FORMAT JSON) " + sql)[0][0]
        return "Index" in json.dumps(plan if not isinstance(plan, str) else json.loads(plan))

    def explained(self, error: Exception) -> SourceError:
        name = self.settings.name
        reason = " ".join(str(error).split("\n")[0].split()) or type(error).__name__
        state = getattr(error, "sqlstate", None)
        if isinstance(error, UnicodeDecodeError) or state in ("22021", "22P05"):
            return undecodable(name, FROM_LATIN1)
        if state == "57014" and "statement timeout" in reason:
            return timed_out(name, self.settings.statement_timeout, ", or index the time column")
        if state == "40001":
            return SourceError(f"source {name!r}: {reason}", hint="run again; hot_standby_feedback = on makes it rarer")
        if state == "55P03":
            return table_locked(name, reason)
        if state in ("42P01", "42703", "42883"):
            return unknown_name(name, reason)
        if state == "42501" and "row-level security" in reason:
            return rows_filtered(name, reason)
        if state == "42501":
            return permission_denied(name, reason)
        if (state is None and is_connection_error(error)) or (state or "").startswith(("08", "57P")):
            return connection_lost(name, reason)
        return SourceError(f"source {name!r}: {reason}")

    def identity(self, folder: Path | None) -> Identity:
        found = super().identity(folder)
        try:
            with self.snapshot() as reader:
                system, database, schema = reader.rows(_IDENTITY)[0]
        except SourceUnavailable:
            raise
        except SourceError:  # only PostgreSQL's protocol, or a host that does not allow it
            return found
        cannot = "a copy of the whole server (a base backup, a snapshot of its disk) has the same one"
        says = {"system": system, "database": database, "schema": schema or ""}
        return Identity(says=says, address=found.address, cannot=cannot)

    def policies(self) -> list[tuple[str, bool]] | None:
        try:
            with self.snapshot() as reader:
                return [(table, filtered) for table, filtered in reader.rows(_POLICIES)]
        except SourceUnavailable:
            raise
        except SourceError:  # databases with only PostgreSQL's protocol may not know these names
            return None

    def base_tables(self) -> list[str]:
        """The base tables without partitions, whose rows belong to the partitioned table."""
        try:
            with self.snapshot() as reader:
                rows = reader.rows(_TABLES)
        except SourceUnavailable:
            raise
        except SourceError:  # databases with only PostgreSQL's protocol may not know these names
            return super().base_tables()
        return [row[0] for row in rows]

    def catalog(self) -> list[CatalogTable]:
        """The catalog, read with four statements, however many tables there are."""
        try:
            with self.snapshot() as reader:
                found = [reader.rows(sql) for sql in CATALOG_QUERIES]
        except SourceUnavailable:
            raise
        except SourceError:  # databases with only PostgreSQL's protocol may not know these names
            return super().catalog()
        tables, columns, unique, foreign = found
        return catalog_tables(tables, columns, unique, foreign)

    def unique_keys(self, table: str) -> list[tuple[str, ...]]:
        name = self.table_name(table).replace("'", "''")
        try:
            with self.snapshot() as reader:
                rows = reader.rows(_UNIQUE.format(name=name))
        except SourceUnavailable:
            raise
        except SourceError:
            return []
        return [tuple(row[0]) for row in rows]

    # -- SQL -----------------------------------------------------------------------------------

    def text(self, expression: str, type_: ColumnType) -> str:
        match type_.kind:
            case "int" | "uuid" | "bool" | "date" | "timestamp" | "timestamptz":
                return f"CAST({expression} AS text)"
            case "float":
                return f"CAST(({expression}) + '0' AS text)"  # -0 becomes 0, and a real stays one
            case "decimal":
                return f"CAST(trim_scale({expression}) AS text)"
            case "bytes":
                return f"encode({expression}, 'hex')"
        return f'CAST({expression} AS text) COLLATE "C"'

    def spread(self, expression: str, type_: ColumnType) -> list[str]:
        # For integers and decimals both are exact. For floats the variance is updated value by value (since 12).
        number = expression if type_.kind in (INT, DEC) else self.float(expression)
        return [f"AVG({number})", f"VAR_POP({number})", f"MIN({number})", f"MAX({number})"]

    def float(self, expression: str) -> str:
        return f"CAST({expression} AS double precision)"

    def naive_literal(self, naive: datetime) -> str:
        return f"TIMESTAMP '{naive:%Y-%m-%d %H:%M:%S}'"

    def only(self, text: str, characters: str) -> str:
        return f"{text} !~ '[^{characters}]'"

    plain_instant = "cast({} as timestamptz)"

    def text_as_instant(self, column: str) -> str:
        # The server raises an error for an invalid time, wherever it is among the conditions.
        real = self.real_day(column, TimeForm("text_offset"))
        text = f"CASE WHEN {real} AND {self.real_clock(column)} THEN REPLACE({column}, ',', '.') END"
        return f"CAST({text} AS timestamp with time zone)"

    def stretch(self, value: str, bounds: Sequence[str]) -> str:
        if not _searchable(bounds):
            return super().stretch(value, bounds)
        return f"width_bucket({value}, ARRAY[{', '.join(bounds)}])"

    def in_stretch(self, value: str, bounds: Sequence[str], results: Sequence[str]) -> str:
        if not _searchable(bounds):
            return super().in_stretch(value, bounds, results)
        return f"(ARRAY[{', '.join(results)}])[1 + {self.stretch(value, bounds)}]"


def _searchable(bounds: Sequence[str]) -> bool:
    """Whether the server should search for a value among the bounds itself, which is twice as fast as a tree of
    CASE."""
    return len(bounds) > 3 and bounds[0].startswith(("TIMESTAMP", "DATE"))


def _type(column: Any) -> ColumnType:
    kind = _OIDS.get(column.type_code, OTHER)
    scale = column.scale if kind == DEC else 0 if kind == INT else None
    return ColumnType(kind, scale, getattr(column, "type_display", "") or "")
