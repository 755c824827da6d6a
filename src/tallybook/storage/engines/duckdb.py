"""A DuckDB connection as we need it: in memory, in UTC, without extensions fetched from anywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from tallybook.core import EngineKind

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T")


def connect() -> duckdb.DuckDBPyConnection:
    """A fresh in-memory engine. Its time zone is UTC, so that no session setting can move a day."""
    import duckdb

    connection = duckdb.connect(
        ":memory:",
        config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"},
    )
    # Of all connections to this engine: a cursor does not take over what is set for a session.
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    connection.execute("SET GLOBAL preserve_insertion_order = true")
    return without_bar(connection)


def without_bar(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """The connection, which draws no bar on a terminal while a statement takes seconds. Each cursor needs it again."""
    connection.execute("SET enable_progress_bar = false")
    return connection


def widened(answer: Callable[[bool], T]) -> T:
    """`answer(False)`; where a number on the way does not fit the engine's types, `answer(True)`, which is slower and
    must leave null in the place of such numbers."""
    import duckdb

    try:
        return answer(False)
    except (duckdb.OutOfRangeException, duckdb.ConversionException):
        return answer(True)


def literal(value: object) -> str:
    """A Python value as an SQL literal of the engine: text is quoted, None is NULL."""
    if value is None:
        return "NULL"
    if isinstance(value, bool | int | float):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"


def identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class Duckdb:
    """DuckDB in this process, in memory."""

    kind = EngineKind(name="duckdb", dialect="duckdb")

    def connect(self) -> duckdb.DuckDBPyConnection:
        """A fresh engine in memory."""
        return connect()
