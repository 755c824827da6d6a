"""A DuckDB file, opened read-only by the engine's own driver.

The engine loads no extension, uses no network, and reads only the files declared in `files`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tallybook.collect.sources.base import Reader, deadline
from tallybook.collect.sources.csv_columns import column_as, refused_number
from tallybook.collect.sources.dialect import TimeForm
from tallybook.collect.sources.failed_statements import timed_out, unknown_name
from tallybook.collect.sources.file import FileSource
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
from tallybook.core import (
    ArrowTable,
    Option,
    SourceError,
    SourceKind,
    SourceUnavailable,
    schema_and_table,
)

if TYPE_CHECKING:
    import duckdb

_KINDS = {
    "TINYINT": INT,
    "SMALLINT": INT,
    "INTEGER": INT,
    "BIGINT": INT,
    "HUGEINT": INT,
    "UTINYINT": INT,
    "USMALLINT": INT,
    "UINTEGER": INT,
    "UBIGINT": INT,
    "UHUGEINT": INT,
    "FLOAT": FLOAT,
    "DOUBLE": FLOAT,
    "VARCHAR": TEXT,
    "BOOLEAN": BOOL,
    "DATE": DATE,
    "UUID": UUID,
    "BLOB": BYTES,
    "TIMESTAMP": TIMESTAMP,
    "TIMESTAMP_S": TIMESTAMP,
    "TIMESTAMP_MS": TIMESTAMP,
    "TIMESTAMP_NS": TIMESTAMP,
    "TIMESTAMP WITH TIME ZONE": TIMESTAMPTZ,
}

_ZONED = "TIMESTAMP WITH TIME ZONE"


CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
}
"""No extensions, and no variables of this process as tables."""


def _read_paths(value: Any) -> tuple[str, ...]:
    from tallybook.config import read_paths

    return read_paths(value)


FILES = Option(
    name="files",
    read=_read_paths,
    example='["exports/"]',
    help="folders (with a `/` at the end) and files that a [DuckDB source](sources.md#duckdb) may also read",
    default=(),
    paths=True,
)


class DuckdbSource(FileSource["duckdb.DuckDBPyConnection"]):
    kind = SourceKind(
        name="duckdb",
        title="DuckDB",
        schemes=("duckdb",),
        dialect="duckdb",
        location="file",
        example="duckdb:///path/to/app.duckdb",
        scratch="tallybook.metric_tests.scratch:DuckdbScratch",
        parameters=("access_mode", "read_only"),
        options=(FILES,),
    )

    def _connect(self) -> duckdb.DuckDBPyConnection:
        import duckdb

        try:
            connection = self.database()
            connection.execute("SET enable_progress_bar = false")
            self._close_doors(connection)
            connection.execute("SET TimeZone = 'UTC'")
        except duckdb.Error as error:
            failed = self.failure(error)
            raise SourceUnavailable(failed.message, hint=failed.hint or self._how(error)) from None
        return connection

    def failure(self, error: duckdb.Error) -> SourceError:
        """A general error of the engine."""
        return SourceError(f"source {self.settings.name!r}: {_first_line(error)}")

    def database(self) -> duckdb.DuckDBPyConnection:
        """A connection that can still reach every file. Access is then restricted to `reachable`."""
        import duckdb

        return duckdb.connect(self.path, read_only=True, config=CONFIG)

    def reachable(self) -> Sequence[str]:
        """Absolute paths of the files and folders (with a / at the end) that statements may read."""
        files: Sequence[str] = self.options["files"]
        return files

    def _how(self, error: Exception) -> str:
        name, said = self.settings.name, str(error).lower()
        copy = f"tallybook run --source {name}=duckdb:///copy.duckdb --source-as-of <instant>"
        if "different configuration" in said:
            return f"this process has the file open already: close that connection, or run on a copy: {copy}"
        if "lock" in said:
            return (
                "a DuckDB file admits one process while it is written; run when the writer is closed, or on a copy: "
                + copy
            )
        return ""

    def _close_doors(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Restrict access to the file itself and `files`. The engine does not allow this to be undone."""
        folders = sorted(path for path in self.reachable() if path.endswith("/"))
        files = sorted(path for path in self.reachable() if not path.endswith("/"))
        setting = "SELECT current_setting('enable_external_access'), current_setting('allowed_directories')"
        access, allowed = connection.execute(setting).fetchall()[0]
        if access:
            connection.execute(f"SET allowed_directories = {_list(folders)}")
            connection.execute(f"SET allowed_paths = {_list(files)}")
            connection.execute("SET enable_external_access = false")
        elif not set(folders) <= set(allowed):  # all connections of a process to one file share the engine
            raise SourceUnavailable(
                f"source {self.settings.name!r}: this process reads the same file with other `files`",
                hint="declare the same `files` for each source of one DuckDB file",
            )

    @contextmanager
    def snapshot(self) -> Iterator[DuckdbReader]:
        connection = self.connection()
        connection.execute("BEGIN TRANSACTION READ ONLY")
        try:
            yield DuckdbReader(self, connection)
        finally:
            connection.execute("ROLLBACK")

    @contextmanager
    def sql_connection(self) -> Iterator[Any]:
        cursor = self.connection().cursor()
        is_read_only = "SELECT readonly FROM duckdb_databases() WHERE database_name = current_database()"
        if cursor.execute(is_read_only).fetchall() != [(True,)]:  # an in-memory database of another package
            cursor.execute("BEGIN TRANSACTION READ ONLY")
        try:
            yield cursor
        finally:
            cursor.close()

    def index_reached(self, reader: Reader, sql: str) -> bool:
        return False

    def probe(self, relation: str, expressions: Sequence[str]) -> list[ColumnType]:
        asked = ", ".join(f"{expression} AS c{i}" for i, expression in enumerate(expressions))
        with self.snapshot() as reader:
            described = reader.rows(f"DESCRIBE SELECT {asked} FROM {relation}")
        return [_type(row[1]) for row in described]

    def tables(self) -> list[str]:
        with self.snapshot() as reader:
            found = reader.rows("SELECT table_name FROM information_schema.tables ORDER BY table_name")
        return [row[0] for row in found]

    def columns(self, table: str) -> list[str]:
        name = schema_and_table(table)[1].replace("'", "''")
        with self.snapshot() as reader:
            found = reader.rows(
                "SELECT column_name FROM information_schema.columns "
                f"WHERE lower(table_name) = lower('{name}') ORDER BY ordinal_position"
            )
        return [row[0] for row in found]

    def indexed_columns(self, table: str) -> set[str]:
        # Zone maps on every column replace indexes.
        return set(self.columns(table))

    def base_tables(self) -> list[str]:
        with self.snapshot() as reader:
            found = reader.rows(
                "SELECT table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE' ORDER BY table_name"
            )
        return [row[0] for row in found]

    def foreign_keys(self, table: str) -> list[tuple[str, str, str]]:
        name = schema_and_table(table)[1].replace("'", "''")
        with self.snapshot() as reader:
            found = reader.rows(
                "SELECT constraint_column_names, referenced_table, referenced_column_names FROM duckdb_constraints() "
                f"WHERE constraint_type = 'FOREIGN KEY' AND lower(table_name) = lower('{name}')"
            )
        return [(columns[0], other, keys[0]) for columns, other, keys in found if len(columns) == 1]

    def unique_keys(self, table: str) -> list[tuple[str, ...]]:
        name = schema_and_table(table)[1].replace("'", "''")
        with self.snapshot() as reader:
            found = reader.rows(
                "SELECT constraint_column_names FROM duckdb_constraints() "
                f"WHERE constraint_type IN ('PRIMARY KEY', 'UNIQUE') AND lower(table_name) = lower('{name}')"
            )
        return [tuple(row[0]) for row in found]

    # -- SQL -----------------------------------------------------------------------------------

    def text(self, expression: str, type_: ColumnType) -> str:
        if type_.kind == DEC:
            # 1.50 and 1.5 are the same value, but DuckDB writes the zeros of the type.
            return (
                f"rtrim(rtrim(CAST({expression} AS VARCHAR), '0'), '.')"
                if type_.scale
                else f"CAST({expression} AS VARCHAR)"
            )
        if type_.kind == FLOAT:
            # -0 equals 0, but has another text.
            return f"regexp_replace(CAST(({expression}) + 0 AS VARCHAR), '\\.0$', '')"
        if type_.kind == BYTES:
            return f"lower(hex({expression}))"
        return f"CAST({expression} AS VARCHAR) COLLATE C" if type_.kind == TEXT else f"CAST({expression} AS VARCHAR)"

    def total(self, expression: str, type_: ColumnType) -> list[str]:
        # The engine's sum of this type is a DOUBLE.
        return super().total(f"CAST({expression} AS HUGEINT)" if type_.declared == "UHUGEINT" else expression, type_)

    def spread(self, expression: str, type_: ColumnType) -> list[str]:
        # The variance fails for non-finite values without naming them. Then the mean shows the value.
        number = self.float(expression)
        variance = f"VAR_POP(CASE WHEN isfinite({number}) THEN {number} END)"
        return [f"FAVG({number})", variance, f"MIN({number})", f"MAX({number})"]

    def float(self, expression: str) -> str:
        return f"CAST({expression} AS DOUBLE)"

    def only(self, text: str, characters: str) -> str:
        return f"NOT regexp_matches({text}, '[^{characters}]')"

    def real_day(self, column: str, form: TimeForm) -> str | None:
        if not form.is_text or form.number:
            return super().real_day(column, form)
        return f"TRY_CAST({self.substring(column, 1, 10)} AS DATE) IS NOT NULL"

    plain_instant = "cast({} as timestamptz)"

    def text_as_instant(self, column: str) -> str:
        """The instant in a text. Also handles 10:00:00,5+02:00 and 10:00:00 +02:00, for which a cast gives null."""
        text = f"regexp_replace(replace({column}, ',', '.'), '(:[0-9.]+)\\s+([Z+-])', '\\1\\2')"
        return f"TRY_CAST({text} AS TIMESTAMP WITH TIME ZONE)"


class DuckdbReader(Reader):
    def __init__(self, source: DuckdbSource, connection: duckdb.DuckDBPyConnection) -> None:
        self.source, self.connection = source, connection

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self._limited():
            found = self.connection.sql(self._only(sql))
            rows = found.fetchall()
            zoned = [place for place, type_ in enumerate(found.types) if str(type_) == _ZONED]
            # For infinity, the driver returns the end of year 9999 without a zone.
            if any(isinstance(row[at], datetime) and row[at].tzinfo is None for at in zoned for row in rows):
                rows = found.project(", ".join(map(self._shown, found.columns, found.types))).fetchall()
            return rows

    def _shown(self, name: str, type_: object) -> str:
        column = self.source.quote(name)
        return f"CAST({column} AS VARCHAR)" if str(type_) == _ZONED else column

    def _only(self, sql: str) -> Any:
        """The single statement in a text. Raises SourceError for several statements, or one that does not only read."""
        statements = self.connection.extract_statements(sql)
        if len(statements) != 1 or statements[0].type.name not in ("SELECT", "EXPLAIN"):
            seen = ", ".join(statement.type.name for statement in statements) or "nothing"
            raise SourceError(f"source {self.source.settings.name!r}: a query is one SELECT, seen {seen}")
        return statements[0]

    def batches(self, sql: str, size: int = 50_000) -> Iterator[list[tuple[Any, ...]]]:
        rows = self.rows(sql)
        yield from (rows[start : start + size] for start in range(0, len(rows), size))

    def table(self, sql: str, kinds: Sequence[str]) -> ArrowTable:
        with self._limited():
            self._only(sql)
            described = [row[:2] for row in self.connection.execute(f"DESCRIBE {sql}").fetchall()]
            columns = (
                f"{column_as(self.source.quote(name), type_, kind)} AS c{i}"
                for i, ((name, type_), kind) in enumerate(zip(described, kinds, strict=False))
            )
            found = self.connection.sql(f"SELECT {', '.join(columns)} FROM ({sql})").materialize()
            return ArrowTable.read(found)

    @contextmanager
    def _limited(self) -> Iterator[None]:
        import duckdb

        name, seconds = self.source.settings.name, self.source.settings.statement_timeout
        try:
            with deadline(seconds, self.connection.interrupt):
                yield
        except duckdb.InterruptException:
            raise timed_out(name, seconds) from None
        except duckdb.PermissionException as error:
            raise SourceError(
                f"source {name!r}: {_first_line(error)}",
                hint=_declaring(name, str(error), self.source.options["files"]),
            ) from None
        except (duckdb.CatalogException, duckdb.BinderException) as error:
            if "extension" not in str(error):
                raise unknown_name(name, _first_line(error)) from None
            hint = "extensions are not loaded in a source: export what it reads into the file"
            raise SourceError(f"source {name!r}: {_first_line(error)}", hint=hint) from None
        except duckdb.Error as error:
            refused = refused_number(error)
            raise (refused or self.source.failure(error)) from None


def _type(declared: str) -> ColumnType:
    scaled = re.match(r"DECIMAL\(\d+,(\d+)\)", declared)
    if scaled:
        return ColumnType(DEC, int(scaled[1]), declared)
    kind = TEXT if declared.startswith("ENUM") else _KINDS.get(declared, OTHER)
    return ColumnType(kind, 0 if kind == INT else None, declared)


def _list(paths: Sequence[str]) -> str:
    return "[" + ", ".join(map(literal, paths)) + "]"


def literal(text: str) -> str:
    """A text in SQL."""
    return "'" + text.replace("'", "''") + "'"


def _declaring(name: str, said: str, declared: Sequence[str]) -> str:
    """The line that declares a file which was not declared, or the path of a declared file that is in another
    folder."""
    found = re.search(r'Cannot access (?:file|directory) "([^"]+)"', said)
    if not found or "://" in found[1]:
        return (
            "a source reaches no network and loads no extension: bring the file here and declare its folder in `files`"
        )
    # Paths in SQL are relative to the current folder; in tallybook.toml they are relative to the project.
    near = re.split(r"[*?\[]", found[1])[0].rpartition("/")[0]
    folder = os.path.normpath(Path.cwd() / near)
    meant = next((one for one in declared if _ends_with(one, found[1], near)), None)
    if meant is not None and not found[1].startswith("/"):
        whole = meant if not meant.endswith("/") else meant + found[1].removeprefix(near).lstrip("/")
        here = f"a path in SQL is relative to the folder where Tallybook was started, {Path.cwd()}"
        return f"{here}: write the whole path, {whole!r}"
    return f'[sources.{name}]\nfiles = ["{folder.rstrip("/")}/"]'


def _ends_with(declared: str, path: str, near: str) -> bool:
    """Whether a declared path could be a relative path of SQL, seen from the project folder."""
    wanted = os.path.normpath(near) if declared.endswith("/") else os.path.normpath(path)
    return declared.rstrip("/").endswith(f"/{wanted}")


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2])
