"""DuckDB connections configured for books: in memory, in UTC, without downloaded extensions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from tallybook.core import EngineKind

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T")


def connect() -> duckdb.DuckDBPyConnection:
    """A new in-memory engine. Its time zone is UTC, so that no session setting can shift a day."""
    import duckdb

    connection = duckdb.connect(
        ":memory:",
        config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"},
    )
    # Set globally for all connections to this engine, because a cursor does not inherit session settings.
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    connection.execute("SET GLOBAL preserve_insertion_order = true")
    return without_bar(connection)


def without_bar(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """The connection with the progress bar disabled. Each cursor needs this again."""
    connection.execute("SET enable_progress_bar = false")
    return connection


def widened(answer: Callable[[bool], T]) -> T:
    """The result of `answer(False)`, or of `answer(True)` if an intermediate number overflows the engine's types.

    `answer(True)` is slower, and must return null for numbers that still do not fit."""
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
        """A new engine in memory."""
        return connect()
