"""Creates tables with given rows in a database of their own. All writing statements are here."""

from __future__ import annotations

import importlib
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from tallybook.core import REGISTRY, DeclarationError, SourceKind, SourceSettings

Rows = Sequence[Mapping[str, Any]]


TYPES: Mapping[type, str] = {
    bool: "BOOLEAN",
    int: "BIGINT",
    str: "VARCHAR(500)",
    datetime: "TIMESTAMP",
    date: "DATE",
    time: "TIME",
}


class Scratch(ABC):
    """An empty database in which tables can be created and dropped."""

    url: str
    quote = '"'
    types: Mapping[type, str]
    """The column types for values in toml, if the test declares no type."""
    instant = "TIMESTAMP WITH TIME ZONE"

    @abstractmethod
    def execute(self, statements: Sequence[str]) -> None:
        """Execute the statements and commit."""

    def fill(self, given: Mapping[str, Rows], types: Mapping[str, Mapping[str, str]]) -> None:
        """Create the tables with their rows."""
        statements: list[str] = []
        for table in dict.fromkeys((*given, *types)):
            statements += self._table(table, given.get(table, ()), types.get(table, {}))
        self.execute(statements)

    def empty(self, tables: Sequence[str]) -> None:
        self.execute([f"DROP TABLE IF EXISTS {self.name(table)}" for table in tables])

    def name(self, name: str) -> str:
        return ".".join(
            f"{self.quote}{part.replace(self.quote, self.quote * 2)}{self.quote}" for part in name.split(".")
        )

    def _table(self, table: str, rows: Rows, types: Mapping[str, str]) -> list[str]:
        names = list(dict.fromkeys([*types, *(name for row in rows for name in row)]))
        if not names:
            raise DeclarationError(f"table {table!r} has no columns", hint=f'[types.{table}]\nid = "integer"')
        typed = [f"{self._column(n)} {types.get(n) or self._type([row.get(n) for row in rows])}" for n in names]
        made = [f"CREATE TABLE {self.name(table)} ({', '.join(typed)})"]
        listed = ", ".join(map(self._column, names))
        for row in rows:
            values = ", ".join(self.literal(row.get(name)) for name in names)
            made.append(f"INSERT INTO {self.name(table)} ({listed}) VALUES ({values})")
        return made

    def _column(self, name: str) -> str:
        return f"{self.quote}{name.replace(self.quote, self.quote * 2)}{self.quote}"

    def _type(self, values: Sequence[Any]) -> str:
        known = [value for value in values if value is not None]
        if any(isinstance(value, Decimal) for value in known):
            scale = max(-int(v.as_tuple().exponent) for v in known if isinstance(v, Decimal))
            return f"DECIMAL(30, {max(scale, 1)})"
        if known and isinstance(known[0], datetime):
            return self.types[datetime] if known[0].tzinfo is None else self.instant
        return self.types[type(known[0]) if known else str]

    def literal(self, value: Any) -> str:
        """A toml value as SQL."""
        if value is None:
            return "NULL"
        if isinstance(value, bool):
            return "TRUE" if value else "FALSE"
        if isinstance(value, int | Decimal):
            return format(value, "f") if isinstance(value, Decimal) else str(value)
        text = value.isoformat(" ") if isinstance(value, datetime) else str(value)
        return "'" + self.escaped(text) + "'"

    def escaped(self, text: str) -> str:
        return text.replace("'", "''")


class SqliteScratch(Scratch):
    instant = "TEXT"

    def __init__(self, path: Path) -> None:
        self.path, self.url = path, f"sqlite:///{path}"
        self.types = {bool: "BOOLEAN", int: "INTEGER", str: "TEXT", datetime: "TEXT", date: "TEXT", time: "TEXT"}

    def execute(self, statements: Sequence[str]) -> None:
        db = sqlite3.connect(self.path)
        try:
            for statement in statements:
                db.execute(statement)
            db.commit()
        finally:
            db.close()


class DuckdbScratch(Scratch):
    def __init__(self, path: Path) -> None:
        self.path, self.url = path, f"duckdb:///{path}"
        self.types = TYPES

    def execute(self, statements: Sequence[str]) -> None:
        import duckdb

        with duckdb.connect(self.path) as db:
            for statement in statements:
                db.execute(statement)


class ServerScratch(Scratch):
    """An empty database on a server. Raises DeclarationError if it is not empty."""

    types = TYPES

    def __init__(self, name: str, url: str) -> None:
        from tallybook.collect import ServerSource, open_source

        self.url = url
        source = open_source(SourceSettings(name=name, url=url))
        assert isinstance(source, ServerSource)
        try:
            there = source.tables()
        finally:
            source.close()
        if there:
            raise DeclarationError(
                f"--source {name}: the database is not empty, it holds {', '.join(there[:3])}",
                hint="tests make and drop tables: give them an empty database of their own",
            )
        self._at = source.engine().url

    def execute(self, statements: Sequence[str]) -> None:
        from sqlalchemy import create_engine
        from sqlalchemy.pool import NullPool

        engine = create_engine(self._at, poolclass=NullPool)
        with engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement.replace("%", "%%"))


class MysqlScratch(ServerScratch):
    quote, instant = "`", "TIMESTAMP(6)"
    types: Mapping[type, str] = {**TYPES, datetime: "DATETIME(6)"}

    def escaped(self, text: str) -> str:
        return super().escaped(text).replace("\\", "\\\\")


def file_kinds() -> dict[str, SourceKind]:
    """The kinds of sources whose scratch database is a new file, by SQL dialect."""
    return {kind.dialect: kind for kind in REGISTRY.kinds() if kind.scratch and kind.names_path}


def scratch_of(name: str, kind: SourceKind, url: str | None, folder: Path) -> Scratch:
    """A scratch database for a kind of source: a new file in `folder`, or the empty database at `url`."""
    other = " or ".join(f'dialect = "{dialect}"' for dialect in file_kinds())
    if not kind.scratch:
        raise DeclarationError(
            f"source {name!r} is {kind.title or kind.name}, of which no scratch database is made",
            hint=f"if its SQL means the same there: {other} at the top of the test file",
        )
    module, _, made = kind.scratch.partition(":")
    scratch = getattr(importlib.import_module(module), made)
    if kind.names_path:
        found: Scratch = scratch(folder / f"{name}.{kind.name}")
        return found
    if url is None:
        raise DeclarationError(
            f"source {name!r} is {kind.title or kind.name}; tests of its metrics need a database of that kind",
            hint=f"an empty one: tallybook test --source {name}=URL\n"
            f"or, if its SQL means the same there: {other} at the top of the test file",
        )
    server: Scratch = scratch(name, url)
    return server
