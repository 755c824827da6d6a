"""SQLite, through the standard library.

Opened read-only. In WAL mode a snapshot is one read transaction. Otherwise every statement sees its own state, because
an open read would make the application's writes fail. Sums are exact for integers, even beyond 64 bits, and for columns
declared DECIMAL(p,s) or NUMERIC(p,s), which are summed as integers of the smallest unit."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

from tallybook.collect.sources.base import Reader
from tallybook.collect.sources.dialect import TimeForm
from tallybook.collect.sources.file import FileSource
from tallybook.collect.sources.sqlite_digits import counted, marked, refused, scale_of, whole
from tallybook.collect.sources.sqlite_reader import SqliteReader
from tallybook.collect.sources.sqlite_spread import SPREAD, Spread, read_spread
from tallybook.collect.sources.sqlite_types import inferred_type
from tallybook.collect.sources.values import (
    BOOL,
    DEC,
    DECLARED,
    FLOAT,
    INT,
    OTHER,
    TEXT,
    ColumnType,
    Moments,
)
from tallybook.core import SourceKind, SourceUnavailable, schema_and_table
from tallybook.storage import State, left_behind, needs_side_files, state

_HALF = 2**32
_EXACT = Context(prec=60)
_PARAMETERS = "cache cached_statements check_same_thread detect_types immutable isolation_level mode nolock timeout uri"


class SqliteSource(FileSource["sqlite3.Connection"]):
    kind = SourceKind(
        name="sqlite",
        title="SQLite",
        schemes=("sqlite",),
        dialect="sqlite",
        location="file",
        example="sqlite:///path/to/app.db",
        scratch="tallybook.metric_tests.scratch:SqliteScratch",
        parameters=tuple(_PARAMETERS.split()),
        typeless_columns=True,
        money_as_integers=True,
        booleans_are_numbers=True,
    )
    no_inline_suffix = " LIMIT -1 OFFSET 0"

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self._stop_at = float("inf")
        self._frozen: State | None = None
        """The state of the file if it was opened as immutable. None if SQLite itself detects changes."""

    def connection(self) -> sqlite3.Connection:
        if not self.is_unchanged():
            self.close()
        return super().connection()

    def close(self) -> None:
        super().close()
        self._frozen = None

    def is_unchanged(self) -> bool:
        """Whether everything read since the file was opened is from the same state."""
        try:
            return self._frozen is None or self._frozen == state(Path(self.path))
        except OSError:
            return False

    def _connect(self) -> sqlite3.Connection:
        path = Path(self.path).absolute()
        uri = path.as_uri() + "?mode=ro"
        try:
            return self._opened(uri)
        except sqlite3.Error as error:
            if not needs_side_files(error) or not os.access(path, os.R_OK):
                raise self._unavailable(error) from None
        if left := left_behind(path):
            raise SourceUnavailable(
                f"source {self.settings.name!r}: {self.path} is not whole: "
                f"a writer that was killed left {left} beside it, and only who may write there can bring it in",
                hint="let the application open it once, or as its user: "
                f"sqlite3 {self.path} 'select count(*) from sqlite_master'",
            )
        # In WAL mode, no process has it open, and we may not create the files beside it that SQLite needs.
        seen = state(path)
        try:
            connection = self._opened(uri + "&immutable=1")
        except sqlite3.Error as error:
            raise self._unavailable(error) from None
        self._frozen, self.snapshots = self._frozen or seen, False
        return connection

    def _unavailable(self, error: sqlite3.Error) -> SourceUnavailable:
        hint = (
            "run again when the writer is done"
            if "locked" in str(error)
            else "is it an SQLite database, and may we read it?"
        )
        return SourceUnavailable(f"source {self.settings.name!r}: {self.path}: {error}", hint=hint)

    def _opened(self, uri: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            uri, uri=True, timeout=self.settings.lock_timeout, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA query_only = 1")
            mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
        except sqlite3.Error:
            connection.close()
            raise
        connection.create_aggregate(SPREAD, 1, Spread)  # type: ignore[arg-type]  # whose stub knows integers only
        self.snapshots = mode.lower() == "wal"
        connection.set_progress_handler(lambda: time.monotonic() > self._stop_at, 20_000)
        return connection

    @contextmanager
    def snapshot(self) -> Iterator[SqliteReader]:
        connection = self.connection()
        if self.snapshots:
            connection.execute("BEGIN")
        try:
            yield SqliteReader(self, connection)
        finally:
            # A connection that was closed because the file had changed is in no transaction.
            with suppress(sqlite3.ProgrammingError):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    @contextmanager
    def sql_connection(self) -> Iterator[Any]:
        from sqlalchemy import create_engine
        from sqlalchemy.pool import StaticPool

        engine = create_engine("sqlite://", creator=self.opened, poolclass=StaticPool)
        try:
            with engine.connect() as connection:
                yield connection
            if not self.is_unchanged():
                raise self.changed()
        finally:
            engine.dispose()

    def changed(self) -> SourceUnavailable:
        """The error of a read during which the file was written to."""
        return SourceUnavailable(
            f"source {self.settings.name!r}: {self.path} was written to while it was read", hint="run again"
        )

    def index_reached(self, reader: Reader, sql: str) -> bool:
        steps = [str(row[-1]) for row in reader.rows("EXPLAIN QUERY PLAN " + sql)]
        return any((step.startswith("SEARCH") and "INDEX" in step) or "PRIMARY KEY" in step for step in steps)

    def probe(self, relation: str, expressions: Sequence[str]) -> list[ColumnType]:
        with self.snapshot() as reader:
            for expression in expressions:
                reader.rows(f"SELECT {expression} FROM {relation} WHERE 1 = 0")
            declared = self._declared(relation)
        return [self._type_of(relation, expression, declared) for expression in expressions]

    def _type_of(self, relation: str, expression: str, declared: dict[str, str]) -> ColumnType:
        found = inferred_type(expression, declared)
        if found is not None and found.kind != OTHER:
            return found
        seen = {type(value) for value in self.sample(relation, expression)}
        kind = (
            INT
            if seen == {int}
            else FLOAT
            if seen and seen <= {int, float}
            else TEXT
            if str in seen or not seen
            else OTHER
        )
        return ColumnType(kind, declared=found.declared if found else "")

    def _declared(self, relation: str) -> dict[str, str]:
        """The declared type of each column, also through a query, because a temporary view knows the origin of its
        columns."""
        scratch = self._connect()
        try:
            scratch.execute("PRAGMA query_only = 0")
            scratch.execute(f"CREATE TEMP VIEW tallybook_probe AS SELECT * FROM {relation}")
            rows = scratch.execute("PRAGMA temp.table_info(tallybook_probe)").fetchall()
        except sqlite3.Error:
            return {}
        finally:
            scratch.close()
        return {row[1].lower(): row[2] for row in rows}

    def tables(self) -> list[str]:
        with self.snapshot() as reader:
            found = reader.rows("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name")
        return [row[0] for row in found]

    def columns(self, table: str) -> list[str]:
        with self.snapshot() as reader:
            return [row[1] for row in reader.rows(f"PRAGMA table_xinfo({self.quote(schema_and_table(table)[1])})")]

    def indexed_columns(self, table: str) -> set[str]:
        found: set[str] = set()
        with self.snapshot() as reader:
            for row in reader.rows(f"PRAGMA index_list({self.quote(schema_and_table(table)[1])})"):
                first = reader.rows(f"PRAGMA index_info({self.quote(row[1])})")[0]
                found.add(first[2])
            key = [
                row
                for row in reader.rows(f"PRAGMA table_info({self.quote(schema_and_table(table)[1])})")
                if row[5] == 1
            ]
            found.update(row[1] for row in key)
        return found

    def base_tables(self) -> list[str]:
        with self.snapshot() as reader:
            found = reader.rows("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        return [row[0] for row in found if not row[0].startswith("sqlite_")]

    def foreign_keys(self, table: str) -> list[tuple[str, str, str]]:
        with self.snapshot() as reader:
            found = reader.rows(f"PRAGMA foreign_key_list({self.quote(schema_and_table(table)[1])})")
        several = {row[0] for row in found if row[1]}
        single = [(row[3], row[2], row[4]) for row in found if row[0] not in several]
        return [(column, other, key or self._key(other)) for column, other, key in single]

    def _key(self, table: str) -> str:
        """The column that a foreign key without a column refers to."""
        return next((key[0] for key in self.unique_keys(table)), "rowid")

    def unique_keys(self, table: str) -> list[tuple[str, ...]]:
        name = self.quote(schema_and_table(table)[1])
        found: list[tuple[str, ...]] = []
        with self.snapshot() as reader:
            key = sorted((row[5], row[1]) for row in reader.rows(f"PRAGMA table_info({name})") if row[5])
            for row in reader.rows(f"PRAGMA index_list({name})"):
                columns = [part[2] for part in reader.rows(f"PRAGMA index_info({self.quote(row[1])})")]
                if row[2] and not row[4] and None not in columns:  # unique over all rows, and only of columns
                    found.append(tuple(columns))
        return [tuple(column for _, column in key), *found] if key else found

    # -- SQL -----------------------------------------------------------------------------------

    def quote(self, name: str) -> str:
        # Not in double quotes, because an unknown "name" would silently be the text 'name'.
        return "`" + name.replace("`", "``") + "`"

    def text(self, expression: str, type_: ColumnType) -> str:
        return expression if type_.kind in (INT, DEC, FLOAT, BOOL) else f"({expression}) COLLATE BINARY"

    def is_text(self, expression: str) -> str:
        return f"typeof({expression}) = 'text'"

    def finite(self, expression: str) -> str:
        return f"abs({expression}) < 9e999"

    def spread(self, expression: str, type_: ColumnType) -> list[str]:
        return [f"{SPREAD}({self.float(expression)})"]

    def read_spread(self, values: Sequence[Any]) -> Moments:
        return read_spread(values[0])

    def float(self, expression: str) -> str:
        return f"CAST({expression} AS REAL)"

    def total(self, expression: str, type_: ColumnType) -> list[str]:
        if type_.kind == FLOAT:
            return [f"SUM({expression})"]
        number = whole(f"({expression})", type_)
        # In two halves, because SUM fails beyond 64 bits.
        return [f"SUM(({number}) >> 32)", f"SUM(({number}) & 4294967295)", *counted(expression, type_)]

    def read_total(self, values: Sequence[Any], type_: ColumnType) -> Any:
        if type_.kind == FLOAT:
            return values[0]
        if values[2]:
            raise refused(int(values[2]), values[3], type_)
        if values[0] is None:
            return None
        return Decimal(int(values[0]) * _HALF + int(values[1])).scaleb(-scale_of(type_), _EXACT)

    def rounded(self, expression: str, type_: ColumnType) -> list[str]:
        return counted(expression, type_) if type_.kind == DEC else []

    def read_rounded(self, values: Sequence[Any], type_: ColumnType) -> None:
        if values and values[0]:
            raise refused(int(values[0]), values[1], type_)

    def no_numbers(self, expression: str, type_: ColumnType) -> str | None:
        if type_.kind not in (INT, DEC, FLOAT, BOOL):
            return None
        if type_.declared in (DECLARED + TEXT, DECLARED + OTHER):  # a text with a number is meant as a number
            x = f"({expression})"
            return f"(typeof{x} = 'blob' OR {x} GLOB '*[^0-9.eE+ -]*' OR {x} NOT GLOB '*[0-9]*')"
        return f"typeof({expression}) IN ('text', 'blob')"

    def value(self, expression: str, type_: ColumnType) -> str:
        return whole(f"({expression})", type_) if type_.kind == DEC else expression

    def value_key(self, expression: str, type_: ColumnType) -> str:
        return marked(expression, type_) if type_.kind == DEC else expression

    def read_value(self, value: Any, type_: ColumnType) -> Any:
        if value is None or type_.kind != DEC:
            return value
        return Decimal(int(value)).scaleb(-scale_of(type_))

    def only(self, text: str, characters: str) -> str:
        return f"{text} NOT GLOB '*[^{characters}]*'"

    def real_day(self, column: str, form: TimeForm) -> str | None:
        if not form.is_text or form.number:
            return super().real_day(column, form)
        day = self.substring(column, 1, 10)
        return f"date({day}, '+0 days') = {day}"  # it would turn 2026-02-30 into 2026-03-02, and 2026-13-01 into null

    def as_digits(self, number: str) -> str:
        return f"CAST({number} AS TEXT)"

    def text_instant_literal(self, instant: datetime) -> str:
        return str(int(instant.timestamp()))

    plain_instant = "unixepoch({})"

    def text_as_instant(self, column: str) -> str:
        """Seconds since 1970, computed from pieces of the text. unixepoch() returns null for '+00' and '+0530', and
        rounds the last half millisecond of a day into the next day."""
        rest = f"substr({column}, 12)"
        sign = f"(instr({rest}, '+') + instr({rest}, '-'))"
        clock = (
            f"replace(substr(CASE WHEN {sign} > 0 THEN substr({rest}, 1, {sign} - 1) ELSE {rest} END, 1, 8), 'Z', '')"
        )
        digits = f"replace(substr({rest}, {sign} + 1), ':', '')"
        seconds = f"(substr({digits}, 1, 2) * 3600 + substr({digits}, 3, 2) * 60)"
        ahead = f"CASE WHEN {sign} = 0 THEN 0 WHEN substr({rest}, {sign}, 1) = '-' THEN -{seconds} ELSE {seconds} END"
        return f"(unixepoch(substr({column}, 1, 10) || ' ' || {clock}) - ({ahead}))"

    def naive_literal(self, naive: datetime) -> str:
        return f"'{naive:%Y-%m-%d %H:%M:%S}'"

    def date_literal(self, day: Any) -> str:
        return f"'{day}'"
