"""MySQL and MariaDB (PyMySQL).

A snapshot is one START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY. The session's zone is UTC. Text is grouped by
its UTF-8 bytes, because the default collations treat 'a', 'A' and 'a ' as equal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tallybook.collect.sources.base import Reader, replay_margin
from tallybook.collect.sources.catalog import CatalogTable, catalog_tables
from tallybook.collect.sources.dialect import TimeForm
from tallybook.collect.sources.failed_statements import (
    connection_lost,
    permission_denied,
    table_locked,
    timed_out,
    unknown_name,
)
from tallybook.collect.sources.identity import Identity
from tallybook.collect.sources.server import DescribedServer, ServerReader
from tallybook.collect.sources.values import (
    BIT,
    BYTES,
    DATE,
    DEC,
    DECLARED,
    FLOAT,
    INT,
    OTHER,
    SINGLE,
    SINGLE_MARK,
    TEXT,
    TIMESTAMP,
    TIMESTAMPTZ,
    WIDE_BIT,
    ColumnType,
)
from tallybook.core import SourceError, SourceKind, SourceUnavailable

if TYPE_CHECKING:
    from pathlib import Path

_BINARY_CHARSET = 63
HANDSHAKE_SECONDS = 10
"""Time limit for the handshake. Anything that is not a MySQL server stays silent on a connection."""

_PARAMETERS = """auth_plugin_map autocommit bind_address binary_prefix charset client_flag collation compress
    connect_timeout database db host init_command local_infile max_allowed_packet named_pipe passwd password
    plugin_dir port program_name read_default_file read_default_group read_timeout server_public_key
    sql_mode ssl ssl_ca ssl_capath ssl_cert ssl_check_hostname ssl_cipher ssl_disabled ssl_key
    ssl_key_password ssl_verify_cert ssl_verify_identity unix_socket use_unicode user write_timeout"""


_TABLES = """\
SELECT table_name, table_rows FROM information_schema.tables
WHERE table_schema = DATABASE() AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY table_name"""
_COLUMNS = """\
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = DATABASE() ORDER BY table_name, ordinal_position"""
# A unique index on the first characters of a column, or on an expression, does not make the column unique.
_UNIQUE = """\
SELECT table_name, index_name, column_name, sub_part FROM information_schema.statistics
WHERE table_schema = DATABASE() AND non_unique = 0
ORDER BY table_name, index_name <> 'PRIMARY', index_name, seq_in_index"""
_FOREIGN = """\
SELECT table_name, constraint_name, column_name, referenced_table_name, referenced_column_name
FROM information_schema.key_column_usage
WHERE table_schema = DATABASE() AND referenced_table_schema = DATABASE()
ORDER BY table_name, constraint_name, ordinal_position"""


class MysqlSource(DescribedServer):
    kind = SourceKind(
        name="mysql",
        title="MySQL",
        schemes=("mysql", "mariadb"),
        dialect="mysql",
        extra="mysql",
        example="mysql://USER:PASSWORD@HOST/DATABASE",
        scratch="tallybook.metric_tests.scratch:MysqlScratch",
        parameters=tuple(_PARAMETERS.split()),
        drivers=("pymysql",),
        parameter_hints={
            "ssl": "remove it: TLS is used where it is offered; ssl_ca=/path/to/ca.pem checks the certificate",
            "sslmode": "remove it: TLS is used where it is offered; ssl_ca=/path/to/ca.pem checks the certificate",
            "useSSL": "remove it: TLS is used where it is offered; ssl_ca=/path/to/ca.pem checks the certificate",
        },
        booleans_are_numbers=True,
        impossible_dates=True,
    )
    drivername = "mysql+pymysql"
    other_listener = ("a MySQL or MariaDB server", 3306, ("Lost connection", "Packet sequence"))
    # Sorted. Without it, each row looks up its group in a temporary table, which is six times slower once on disk.
    many_groups = "SQL_BIG_RESULT "

    def connect_options(self, driver: str) -> dict[str, Any]:
        """Driver options: one statement per query, whatever the URL says, and a time limit for the handshake."""
        if driver != "pymysql":
            return {}
        from pymysql.constants import CLIENT
        from sqlalchemy import make_url

        query = make_url(self.settings.url).query
        asked = query.get("client_flag", 0)
        flags = {"client_flag": (int(str(asked)) | CLIENT.FOUND_ROWS) & ~CLIENT.MULTI_STATEMENTS}
        return flags if "read_timeout" in query else {**flags, "read_timeout": HANDSHAKE_SECONDS}

    def _prepare(self, raw: Any) -> None:
        super()._prepare(raw)
        if getattr(raw, "_read_timeout", None) == HANDSHAKE_SECONDS:
            raw._read_timeout = None  # statements have their own time limit

    def reason_of(self, error: BaseException) -> str:
        """The driver's message without its number."""
        words = error.args[1] if len(error.args) > 1 and isinstance(error.args[1], str) else str(error)
        return " ".join(words.split())

    def begin(self) -> Sequence[str]:
        return ("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",)

    def prepare(self) -> Sequence[str]:
        wait = max(1, int(self.settings.lock_timeout))
        waits = (f"SESSION {name} = {wait}" for name in ("lock_wait_timeout", "innodb_lock_wait_timeout"))
        return (
            "SET NAMES utf8mb4",
            # At READ COMMITTED, the default of many servers, WITH CONSISTENT SNAPSHOT is ignored.
            "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
            f"SET SESSION time_zone = '+00:00', {', '.join(waits)}",
            # A limit that the server sets for every session would silently cut results.
            f"SET SESSION sql_select_limit = {2**64 - 1}, SESSION sql_big_selects = 1",
        )

    def _connect(self) -> Any:
        raw = super()._connect()
        seconds = self.settings.statement_timeout
        mariadb = "mariadb" in raw.get_server_info().lower()
        limit = f"max_statement_time = {seconds:g}" if mariadb else f"max_execution_time = {int(seconds * 1000)}"
        with raw.cursor() as cursor:
            cursor.execute(f"SET SESSION {limit}")
        return raw

    def reader(self, raw: Any) -> Reader:
        return MysqlReader(self, raw)

    def describe(self, cursor: Any) -> list[ColumnType]:
        return [_type(field) for field in cursor._result.fields]

    def identity(self, folder: Path | None) -> Identity:
        found = super().identity(folder)
        servers = [one for one in map(self._variable, ("@@server_uuid", "@@server_uid")) if one]
        servers += [
            part.partition(":")[0] for part in self._variable("@@global.gtid_executed").replace("\n", "").split(",")
        ]
        own = tuple(sorted({one.strip().lower() for one in servers} - {""}))
        if not own:
            return found
        cannot = "a copy of the server's whole folder has the same one"
        return Identity(
            says={"schema": self._variable("DATABASE()")}, servers=own, address=found.address, cannot=cannot
        )

    def _variable(self, variable: str) -> str:
        """The value of a server variable. Empty if it does not exist or the user may not read it."""
        try:
            with self.snapshot() as reader:
                return str(reader.rows(f"SELECT {variable}")[0][0] or "")
        except SourceUnavailable:
            raise
        except SourceError:
            return ""

    def known_until(self, now: datetime) -> datetime:
        with self.snapshot() as reader:
            clock = reader.rows("SELECT UTC_TIMESTAMP(6)")[0][0].replace(tzinfo=UTC)
        return replay_margin(self._seconds_behind(), clock)

    def _seconds_behind(self) -> float | None:
        """The lag of a replica in seconds, or None if this is not a replica.

        Raises SourceUnavailable if replication has stopped, or if this may be a replica whose lag we may not see."""
        import pymysql

        for statement in ("SHOW REPLICA STATUS", "SHOW SLAVE STATUS"):
            try:
                with self.raw().cursor() as cursor:
                    cursor.execute(statement)
                    row = cursor.fetchone()
                    names = [d[0] for d in cursor.description or ()]
            except pymysql.Error:
                continue  # not allowed, or the other spelling
            return None if not row else self._lag(dict(zip(names, row, strict=False)))
        with self.raw().cursor() as cursor:
            cursor.execute("SELECT @@global.read_only")
            read_only = bool(cursor.fetchone()[0])
        if read_only and not self.settings.fresh:
            raise SourceUnavailable(
                f"source {self.settings.name!r} is read-only, so it may be a replica, and its lag cannot be seen",
                hint="GRANT REPLICA MONITOR (MySQL: REPLICATION CLIENT) ON *.* to the user of the url, or declare "
                f'[sources.{self.settings.name}] fresh = "select max(created_at) from …"',
            )
        return None

    def _lag(self, status: dict[str, Any]) -> float:
        behind = status.get("Seconds_Behind_Source", status.get("Seconds_Behind_Master"))
        if behind is None:
            raise SourceUnavailable(
                f"source {self.settings.name!r} is a replica whose replication is stopped",
                hint="START REPLICA on it, or read from the primary",
            )
        return float(behind)

    def catalog(self) -> list[CatalogTable]:
        """The catalog, read with four statements, however many tables there are."""
        with self.snapshot() as reader:
            tables, columns, indexed, referring = map(reader.rows, (_TABLES, _COLUMNS, _UNIQUE, _FOREIGN))
        unique: dict[tuple[str, str], list[str | None]] = {}
        for table, index, column, prefix in indexed:
            unique.setdefault((table, index), []).append(None if prefix else column)
        foreign: dict[tuple[str, str], list[tuple[str, str, str]]] = {}
        for table, constraint, *key in referring:
            foreign.setdefault((table, constraint), []).append((key[0], key[1], key[2]))
        return catalog_tables(
            tables,
            columns,
            ((table, [c for c in key if c]) for (table, _), key in unique.items() if None not in key),
            ((table, *keys[0]) for (table, _), keys in foreign.items() if len(keys) == 1),
        )

    def index_reached(self, reader: Reader, sql: str) -> bool:
        # type and key of every step: a range or a reference through a key
        with reader.cursor() as cursor:  # type: ignore[attr-defined]
            cursor.execute("EXPLAIN " + sql)
            names = [d[0].lower() for d in cursor.description]
            steps = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        return any(step.get("key") and step.get("type") in ("range", "ref", "const", "eq_ref") for step in steps)

    def explained(self, error: Exception) -> SourceError:
        name = self.settings.name
        code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        reason = self.reason_of(error)
        if code in (1969, 3024):
            return timed_out(name, self.settings.statement_timeout, ", or index the time column")
        if code == 1205:
            return table_locked(name, reason)
        if code in (1146, 1054, 1305):
            return unknown_name(name, reason)
        if code in (1142, 1143):
            return permission_denied(name, reason)
        unnumbered = code == 0 and not isinstance(error, ValueError | ArithmeticError)
        if unnumbered or code in (2006, 2013, 1053, 1927) or code >= 4031:
            return connection_lost(name, reason)
        return SourceError(f"source {name!r}: {reason}")

    # -- SQL -----------------------------------------------------------------------------------

    def quote(self, name: str) -> str:
        return "`" + name.replace("`", "``") + "`"

    def text(self, expression: str, type_: ColumnType) -> str:
        if type_.kind in (TEXT, OTHER):
            return f"CAST(CONVERT({expression} USING utf8mb4) AS BINARY)"
        if type_.kind == BYTES:
            return f"LOWER(HEX({expression}))"
        stored = self._stored(expression, type_)
        return f"CONCAT('{SINGLE_MARK}', {stored})" if type_.declared == SINGLE else stored

    def value(self, expression: str, type_: ColumnType) -> str:
        return super().value(self._stored(expression, type_), type_)

    def no_numbers(self, expression: str, type_: ColumnType) -> str | None:
        """The condition that a text is not a number. A cast would turn such a text into 0."""
        if type_.declared != DECLARED + TEXT:
            return None
        return f"(({expression}) NOT REGEXP '^ *[-+]?([0-9]+([.][0-9]*)?|[.][0-9]+)(e[-+]?[0-9]+)? *$')"

    @staticmethod
    def _stored(expression: str, type_: ColumnType) -> str:
        """A number as stored. By default the server sends six digits of a FLOAT, and a BIT as bytes."""
        zero = {SINGLE: "0e0", BIT: "0", WIDE_BIT: "0"}.get(type_.declared)
        return f"(({expression}) + {zero})" if zero else expression

    def float(self, expression: str) -> str:
        return f"(({expression}) + 0e0)"

    def float_of(self, expression: str, type_: ColumnType) -> str:
        """A number as a float. BIT(64) as a float would be negative from 2 to the 63rd on, so it is converted to a
        number first."""
        return self.float(self._stored(expression, type_) if type_.declared == WIDE_BIT else expression)

    def as_digits(self, number: str) -> str:
        return f"CAST({number} AS CHAR(20))"

    def only(self, text: str, characters: str) -> str:
        return f"{text} NOT REGEXP '[^{characters}]'"

    def real_day(self, column: str, form: TimeForm) -> str | None:
        if form.name in ("date", "midnight", "naive"):  # excludes 2026-00-00 and, if the server allows it, 2026-02-30
            return f"FROM_DAYS(TO_DAYS({column})) = DATE({column})"
        if form.name == "instant":
            return f"YEAR({column}) > 0"
        if form.is_text and not form.number:
            return f"TO_DAYS(LEFT({column}, 10)) IS NOT NULL"
        return super().real_day(column, form)

    def not_ended(self, column: str, form: TimeForm) -> str:
        # IS NULL is true for a zero date only if the column is NOT NULL.
        zero = f" OR YEAR({column}) = 0" if form.name in ("date", "midnight", "naive", "instant") else ""
        return super().not_ended(column, form) + zero

    def instant_literal(self, instant: datetime) -> str:
        return f"TIMESTAMP '{instant:%Y-%m-%d %H:%M:%S}'"

    def text_instant_literal(self, instant: datetime) -> str:
        return str(int(instant.timestamp()))

    def text_as_instant(self, column: str) -> str:
        """Seconds since 1970, computed from pieces of the text. CONVERT_TZ knows neither '+00' nor '+14:00', and
        returns null for zone names."""
        rest = f"SUBSTRING({column}, 12)"
        sign = f"(LOCATE('+', {rest}) + LOCATE('-', {rest}))"
        clock = f"REPLACE(LEFT(CASE WHEN {sign} > 0 THEN LEFT({rest}, {sign} - 1) ELSE {rest} END, 8), 'Z', '')"
        digits = f"REPLACE(SUBSTRING({rest}, {sign} + 1), ':', '')"
        hours, minutes = f"CAST(LEFT({digits}, 2) AS SIGNED)", f"CAST(CONCAT('0', SUBSTRING({digits}, 3, 2)) AS SIGNED)"
        seconds = f"({hours} * 3600 + {minutes} * 60)"
        ahead = (
            f"CASE WHEN {sign} = 0 THEN 0 WHEN SUBSTRING({rest}, {sign}, 1) = '-' THEN -{seconds} ELSE {seconds} END"
        )
        local = f"CAST(CONCAT(LEFT({column}, 10), ' ', {clock}) AS DATETIME)"
        return f"(TIMESTAMPDIFF(SECOND, '1970-01-01', {local}) - ({ahead}))"


class MysqlReader(ServerReader):
    @contextmanager
    def streaming_cursor(self) -> Iterator[Any]:
        from pymysql.cursors import SSCursor

        with self.explaining():
            cursor = self.raw.cursor(SSCursor)
            try:
                yield cursor
            finally:
                cursor.close()


_UNSIGNED = 32
_INTS = {1, 2, 3, 8, 9, 13}
_AS_NEEDED = 31
"""The number of decimals that means "as many as needed": FLOAT instead of FLOAT(10, 3)."""
_TEXTS = {15, 247, 248, 249, 250, 251, 252, 253, 254}


def _type(field: Any) -> ColumnType:
    code = field.type_code
    if code == 16:
        return ColumnType(INT, 0, WIDE_BIT if field.length > 63 else BIT)
    if code == 4 and field.scale == _AS_NEEDED:
        return ColumnType(FLOAT, declared=SINGLE)
    if code in _INTS:
        unsigned = code == 8 and field.flags & _UNSIGNED
        return ColumnType(INT, 0, "UNSIGNED" if unsigned else "")
    if code in (0, 246):
        return ColumnType(DEC, field.scale)
    if code in (4, 5):
        return ColumnType(FLOAT)
    if code in (10, 14):
        return ColumnType(DATE)
    if code == 12:
        return ColumnType(TIMESTAMP)
    if code == 7:
        return ColumnType(TIMESTAMPTZ)
    if code in _TEXTS:
        return ColumnType(BYTES if field.charsetnr == _BINARY_CHARSET else TEXT)
    return ColumnType(OTHER)
