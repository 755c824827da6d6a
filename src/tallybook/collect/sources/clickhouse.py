"""ClickHouse, a server over HTTP or chDB's folder, through clickhouse-connect.

There are no snapshots, so every statement sees its own state. A user's profile may have settings that change the
meaning of a statement or silently cut its result. So every statement sets them."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tallybook.collect.sources.base import Reader
from tallybook.collect.sources.clickhouse_reader import ClickhouseReader
from tallybook.collect.sources.clickhouse_sql import ClickhouseSql
from tallybook.collect.sources.clickhouse_types import column_type
from tallybook.collect.sources.failed_statements import (
    connection_lost,
    permission_denied,
    reason_of,
    timed_out,
    unknown_name,
)
from tallybook.collect.sources.identity import SAME_ADDRESS, Identity, file_identity
from tallybook.collect.sources.policies import check_policies
from tallybook.collect.sources.values import ColumnType
from tallybook.core import SourceError, SourceKind, SourceUnavailable, schema_and_table

if TYPE_CHECKING:
    pass

LIMITS = ("timeout", "read", "group_by", "distinct", "set", "join", "result", "sort", "transfer")
SETTINGS = {
    "readonly": 2,
    # Names: a column name means the column and not our alias of the same name; GROUP BY 1 means the first column.
    "prefer_column_name_to_alias": 1,
    "enable_positional_arguments": 1,
    # A limit that is reached is an error instead of a partial result.
    **{f"{limit}_overflow_mode": "throw" for limit in LIMITS},
    # No rows left out, and no cached results.
    "limit": 0,
    "offset": 0,
    "extremes": 0,
    "skip_unavailable_shards": 0,
    "use_query_cache": 0,
    # A tree of comparisons for days is long.
    "max_query_size": 100_000_000,
    "max_ast_elements": 5_000_000,
    "max_expanded_ast_elements": 5_000_000,
    # Times arrive in UTC, and all other values as we read them.
    "session_timezone": "UTC",
    "date_time_output_format": "iso",
    "output_format_decimal_trailing_zeros": 0,
    "format_csv_delimiter": ",",
    "format_csv_null_representation": "\\N",
    "format_tsv_null_representation": "\\N",
    "output_format_csv_crlf_end_of_line": 0,
    "output_format_tsv_crlf_end_of_line": 0,
    "bool_true_representation": "true",
    "bool_false_representation": "false",
}
POLICIES = """\
SELECT database, table, max((apply_to_all AND NOT hasAny(apply_to_except, us)) OR hasAny(apply_to_list, us)) AS filtered
FROM system.row_policies CROSS JOIN (SELECT arrayConcat([currentUser()], enabledRoles()) AS us) AS u
GROUP BY database, table ORDER BY database, table"""
"""Tables with policies. A table whose policies are all for other users is not filtered, unless the server is configured
to hide it then."""
_MISSING = (46, 47, 60, 81, 36)
"""Error codes: no such function, column, table, database."""


class ClickhouseSource(ClickhouseSql):
    kind = SourceKind(
        name="clickhouse",
        title="ClickHouse",
        schemes=("clickhouse",),
        dialect="clickhouse",
        extra="clickhouse",
        example="clickhouse://USER:PASSWORD@HOST:8123/DATABASE",
        parameters=("secure", "verify"),
        policies=True,
        parameter_hints={"database": "the database is the path: clickhouse://user@host:8123/app"},
    )
    calendar_times = True
    snapshots = False

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self._client: Any = None

    # -- reading -------------------------------------------------------------------------------

    def client(self) -> Any:
        if self._client is None:
            self._client = self._connect()
        return self._client

    def _connect(self) -> Any:
        name, url = self.settings.name, self.settings.url
        embedded = url.startswith("chdb:")
        extra = "chdb" if embedded else "clickhouse"
        try:
            import clickhouse_connect
            import pyarrow as pa  # noqa: F401 - it reads the answers
        except ModuleNotFoundError as error:
            raise self._without(error, extra) from None
        # We report errors ourselves, once.
        logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())
        try:
            return clickhouse_connect.get_client(**(self._folder() if embedded else self._address()))
        except ImportError as error:
            raise self._without(error, extra) from None
        except Exception as error:
            said = " ".join(str(error).split())
            raise SourceUnavailable(f"source {name!r} cannot be reached: {said}", hint=self._how(said)) from None

    def _without(self, error: ImportError, extra: str) -> SourceUnavailable:
        return SourceUnavailable(
            f"source {self.settings.name!r} needs the package {error.name or extra}",
            hint=f"pip install 'tallybook[{extra}]'",
        )

    def _how(self, said: str) -> str:
        name = self.settings.name
        if "different path" in said:
            return "a process opens one folder of chDB: collect the sources one by one, tallybook run METRIC"
        if "lock" in said.lower():
            return "a folder of chDB admits one process: run when the writer is closed, or on a copy"
        return (
            f"look at the url of [sources.{name}]: clickhouse://user:password@host:8123/database, the port of HTTP; "
            "with ?secure=true (port 8443) for TLS; then `tallybook check --source`"
        )

    def _options(self) -> dict[str, Any]:
        limits = {"max_execution_time": self.settings.statement_timeout, "wait_end_of_query": 1}
        return {"settings": {**SETTINGS, **limits}, "query_limit": 0}

    def _folder(self) -> dict[str, Any]:
        path = self._path()
        if not Path(path).is_dir():
            raise SourceUnavailable(
                f"source {self.settings.name!r}: there is no folder {path}",
                hint=f'write its path in tallybook.toml: [sources.{self.settings.name}] url = "chdb:///path/to/folder"',
            )
        return {"dsn": f"chdb:///{path}", **self._options()}

    def _address(self) -> dict[str, Any]:
        from sqlalchemy import make_url

        url = make_url(self.settings.url)
        secure = str(url.query.get("secure", "")).lower() in ("1", "true", "yes") or url.port == 8443
        found = {
            "host": url.host or "localhost",
            "port": url.port or (8443 if secure else 8123),
            "secure": secure,
            "username": url.username or "default",
            "password": url.password or "",
            "database": url.database or "default",
            "autogenerate_session_id": False,
            "connect_timeout": 10,
            "send_receive_timeout": self.settings.statement_timeout + 30,
            **self._options(),
        }
        if "verify" in url.query:
            found["verify"] = str(url.query["verify"]).lower() not in ("0", "false", "no")
        return found

    def close(self) -> None:
        if self._client is not None:
            try:
                self._client.close()
            finally:
                self._client = None

    @contextmanager
    def snapshot(self) -> Iterator[ClickhouseReader]:
        self.client()
        yield ClickhouseReader(self)

    @contextmanager
    def sql_connection(self) -> Iterator[Any]:
        from clickhouse_connect.dbapi.connection import Connection
        from sqlalchemy import create_engine
        from sqlalchemy.exc import DBAPIError
        from sqlalchemy.pool import NullPool

        def connected() -> Connection:
            made = dict(self._folder() if self.settings.url.startswith("chdb:") else self._address())
            settings = {
                f"ch_{name}": value for name, value in made.pop("settings").items() if name != "wait_end_of_query"
            }
            return Connection(**made, **settings)

        try:
            with create_engine(
                "clickhousedb+connect://", creator=connected, poolclass=NullPool
            ).connect() as connection:
                yield connection
        except DBAPIError as error:
            raise self.explained(error.orig if isinstance(error.orig, Exception) else error) from None

    def probe(self, relation: str, expressions: Sequence[str]) -> list[ColumnType]:
        asked = ", ".join(f"{expression} AS c{i}" for i, expression in enumerate(expressions))
        with self.snapshot() as reader:
            return [column_type(row[1]) for row in reader.rows(f"DESCRIBE (SELECT {asked} FROM {relation})")]

    def known_until(self, now: datetime) -> datetime:
        with self.snapshot() as reader:
            clock: datetime = reader.rows("SELECT now64(6, 'UTC')")[0][0]
        return clock

    def index_reached(self, reader: Reader, sql: str) -> bool:
        """Whether most of the table is skipped, by its order, its partitions or another index."""
        plan = json.loads("".join(row[0] for row in reader.rows(f"EXPLAIN indexes = 1, json = 1 {sql}")))
        found = [index for node in _nodes(plan) for index in node.get("Indexes", [])]
        before = sum(index.get("Initial Granules", 0) for index in found[:1])
        return bool(found) and 2 * found[-1].get("Selected Granules", before) < before

    def explained(self, error: Exception) -> SourceError:
        name, reason = self.settings.name, _reason(error)
        code = _code(error)
        if code == 159:
            return timed_out(name, self.settings.statement_timeout, ", or order the table by its time")
        if code in _MISSING:
            return unknown_name(name, reason)
        if code == 164 and "setting" in reason:
            return SourceError(
                f"source {name!r}: {reason}",
                hint="the settings of a session have to be ours: "
                "ALTER USER … SETTINGS readonly = 2, which cannot write either",
            )
        if code == 497:
            return permission_denied(name, reason)
        if code is None:
            return connection_lost(name, reason)
        return SourceError(f"source {name!r}: {reason}")

    # -- catalog ---------------------------------------------------------------------------------

    def identity(self, folder: Path | None) -> Identity:
        """The identity: the path of a folder, or the address of a server, because each server of a cluster has its own
        id."""
        if self.settings.url.startswith("chdb:"):
            return file_identity(self._path(), folder)
        found = self._address()
        address = {"host": found["host"].lower(), "port": str(found["port"]), "database": found["database"]}
        return Identity(address=address, cannot=SAME_ADDRESS.format(name=self.settings.name))

    def _path(self) -> str:
        return str(self.settings.url.partition(":///")[2].partition("?")[0])

    def policies(self) -> list[tuple[str, bool]] | None:
        try:
            with self.snapshot() as reader:
                return [(f"{database}.{table}", bool(filtered)) for database, table, filtered in reader.rows(POLICIES)]
        except SourceUnavailable:
            raise
        except SourceError:  # needs the privilege SHOW ROW POLICIES
            return None

    def view_texts(self) -> list[tuple[str, str]]:
        with self.snapshot() as reader:
            return [
                (n, sql) for n, sql in reader.rows("SELECT name, as_select FROM system.tables WHERE as_select <> ''")
            ]

    def check_policies(self, text: str) -> None:
        check_policies(self, text)

    def tables(self) -> list[str]:
        return self._names("1")

    def base_tables(self) -> list[str]:
        return self._names("engine NOT IN ('View', 'MaterializedView', 'LiveView', 'WindowView', 'Dictionary')")

    def _names(self, condition: str) -> list[str]:
        with self.snapshot() as reader:
            found = reader.rows(
                "SELECT name FROM system.tables WHERE database = currentDatabase() AND NOT is_temporary "
                f"AND name NOT LIKE '.inner%' AND {condition} ORDER BY name"
            )
        return [row[0] for row in found]

    def columns(self, table: str) -> list[str]:
        with self.snapshot() as reader:
            found = reader.rows(f"SELECT name FROM system.columns WHERE {_is(table)} ORDER BY position")
        return [row[0] for row in found]

    def indexed_columns(self, table: str) -> set[str]:
        """The columns in the first part of the table's order, in its partition key, and in its other indexes."""
        with self.snapshot() as reader:
            tables = reader.rows(
                f"SELECT sorting_key, partition_key FROM system.tables WHERE {_is(table).replace('table =', 'name =')}"
            )
            others = reader.rows(f"SELECT expr FROM system.data_skipping_indices WHERE {_is(table)}")
        first = [_first(row[0]) for row in tables]
        named = re.findall(r"\w+", " ".join([*first, *(row[1] for row in tables), *(row[0] for row in others)]))
        return set(self.columns(table)) & set(named)


def _is(table: str) -> str:
    schema, name = schema_and_table(table)
    database = _literal(schema) if schema else "currentDatabase()"
    return f"database = {database} AND table = {_literal(name)}"


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _first(key: str) -> str:
    """The first expression of a sorting key: `toDate(at)` of `toDate(at), cityHash64(a, b)`."""
    depth = 0
    for place, letter in enumerate(key):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            return key[:place]
    return key


def _nodes(plan: Any) -> Iterator[dict[str, Any]]:
    if isinstance(plan, list):
        for one in plan:
            yield from _nodes(one)
    elif isinstance(plan, dict):
        yield plan
        yield from _nodes([value for key, value in plan.items() if key in ("Plan", "Plans")])


def _code(error: Exception) -> int | None:
    found = re.search(r"[Cc]ode:? (\d+)", str(error))
    return int(found[1]) if found else None


def _reason(error: Exception) -> str:
    text = reason_of(error)
    return text.partition("DB::Exception: ")[2] or text


class ChdbSource(ClickhouseSource):
    """ClickHouse in this process, on a folder."""

    kind = SourceKind(
        name="chdb",
        title="chDB",
        schemes=("chdb",),
        dialect="clickhouse",
        extra="chdb",
        location="folder",
        example="chdb:///path/to/folder",
        parameters=(),
        policies=True,
        parameter_hints={"database": 'name the tables with their database: table = "app.orders"'},
    )
