"""A DuckDB file, opened read-only with the engine's own driver."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tallybook.errors import SourceError, SourceUnavailable
from tallybook.sources.base import (
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
    Reader,
    as_exact,
    as_float,
    as_integer,
    deadline,
)
from tallybook.sources.file import FileSource

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_KINDS = {
    "TINYINT": INT, "SMALLINT": INT, "INTEGER": INT, "BIGINT": INT, "HUGEINT": INT, "UTINYINT": INT,
    "USMALLINT": INT, "UINTEGER": INT, "UBIGINT": INT, "UHUGEINT": INT, "FLOAT": FLOAT, "DOUBLE": FLOAT,
    "VARCHAR": TEXT, "BOOLEAN": BOOL, "DATE": DATE, "UUID": UUID, "BLOB": BYTES, "TIMESTAMP": TIMESTAMP,
    "TIMESTAMP_S": TIMESTAMP, "TIMESTAMP_MS": TIMESTAMP, "TIMESTAMP_NS": TIMESTAMP,
    "TIMESTAMP WITH TIME ZONE": TIMESTAMPTZ,
}  # fmt: skip

_ZONED = "TIMESTAMP WITH TIME ZONE"


class DuckdbSource(FileSource["duckdb.DuckDBPyConnection"]):
    dialect = "duckdb"
    example = "duckdb:///path/to/app.duckdb"

    def _connect(self) -> duckdb.DuckDBPyConnection:
        import duckdb

        try:
            connection = duckdb.connect(self.path, read_only=True)
        except duckdb.Error as error:
            hint = ""
            if "lock" in str(error).lower() or "different configuration" in str(error):
                hint = (
                    "a DuckDB file admits one process while it is written; run when the writer is closed, or on a copy: "
                    f"tallybook run --source {self.settings.name}=duckdb:///copy.duckdb --source-as-of <instant>"
                )
            raise SourceUnavailable(f"source {self.settings.name!r}: {_first_line(error)}", hint=hint) from None
        connection.execute("SET TimeZone = 'UTC'")
        return connection

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
        yield self.connection().cursor()

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
        name = table.rpartition(".")[2].replace("'", "''")
        with self.snapshot() as reader:
            found = reader.rows(
                "SELECT column_name FROM information_schema.columns "
                f"WHERE lower(table_name) = lower('{name}') ORDER BY ordinal_position"
            )
        return [row[0] for row in found]

    def indexed_columns(self, table: str) -> set[str]:
        # Zone maps on every column take the place of indexes.
        return set(self.columns(table))

    def base_tables(self) -> list[str]:
        with self.snapshot() as reader:
            found = reader.rows(
                "SELECT table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE' ORDER BY table_name"
            )
        return [row[0] for row in found]

    def foreign_keys(self, table: str) -> list[tuple[str, str, str]]:
        name = table.rpartition(".")[2].replace("'", "''")
        with self.snapshot() as reader:
            found = reader.rows(
                "SELECT constraint_column_names, referenced_table, referenced_column_names FROM duckdb_constraints() "
                f"WHERE constraint_type = 'FOREIGN KEY' AND lower(table_name) = lower('{name}')"
            )
        return [(columns[0], other, keys[0]) for columns, other, keys in found if len(columns) == 1]

    def unique_keys(self, table: str) -> list[tuple[str, ...]]:
        name = table.rpartition(".")[2].replace("'", "''")
        with self.snapshot() as reader:
            found = reader.rows(
                "SELECT constraint_column_names FROM duckdb_constraints() WHERE constraint_type IN ('PRIMARY KEY', 'UNIQUE') "
                f"AND lower(table_name) = lower('{name}')"
            )
        return [tuple(row[0]) for row in found]

    # -- SQL -----------------------------------------------------------------------------------

    def text(self, expression: str, type_: ColumnType) -> str:
        if type_.kind == DEC:
            # 1.50 and 1.5 are one value; DuckDB writes the zeros of the type.
            return (
                f"rtrim(rtrim(CAST({expression} AS VARCHAR), '0'), '.')"
                if type_.scale
                else f"CAST({expression} AS VARCHAR)"
            )
        if type_.kind == FLOAT:
            return f"regexp_replace(CAST({expression} AS VARCHAR), '\\.0$', '')"
        if type_.kind == BYTES:
            return f"lower(hex({expression}))"
        return f"CAST({expression} AS VARCHAR) COLLATE C" if type_.kind == TEXT else f"CAST({expression} AS VARCHAR)"

    def float(self, expression: str) -> str:
        return f"CAST({expression} AS DOUBLE)"

    def text_as_instant(self, column: str) -> str:
        return f"CAST({column} AS TIMESTAMP WITH TIME ZONE)"


class DuckdbReader(Reader):
    def __init__(self, source: DuckdbSource, connection: duckdb.DuckDBPyConnection) -> None:
        self.source, self.connection = source, connection

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self._limited():
            found = self.connection.sql(sql)
            if _ZONED in map(str, found.types):  # as Python values they would need pytz
                try:
                    return list(zip(*(c.to_pylist() for c in found.to_arrow_table().columns), strict=True))
                except (OverflowError, ValueError):  # infinity, before Christ
                    return found.project(", ".join(map(self._shown, found.columns, found.types))).fetchall()
            return found.fetchall()

    def _shown(self, name: str, type_: object) -> str:
        column = self.source.quote(name)
        return f"CAST({column} AS VARCHAR)" if str(type_) == _ZONED else column

    def batches(self, sql: str, size: int = 50_000) -> Iterator[list[tuple[Any, ...]]]:
        rows = self.rows(sql)
        yield from (rows[start : start + size] for start in range(0, len(rows), size))

    def table(self, sql: str, kinds: Sequence[str]) -> pa.Table:
        types = {TEXT: "VARCHAR", INT: "BIGINT", DEC: "DECIMAL(38,10)", FLOAT: "DOUBLE"}
        with self._limited():
            names = [row[0] for row in self.connection.execute(f"DESCRIBE {sql}").fetchall()]
            columns = (
                f"CAST({self.source.quote(n)} AS {types[k]}) AS c{i}"
                for i, (n, k) in enumerate(zip(names, kinds, strict=False))
            )
            return self.connection.sql(f"SELECT {', '.join(columns)} FROM ({sql})").to_arrow_table()

    @contextmanager
    def _limited(self) -> Iterator[None]:
        import duckdb

        name, seconds = self.source.settings.name, self.source.settings.statement_timeout
        try:
            with deadline(seconds, self.connection.interrupt):
                yield
        except duckdb.InterruptException:
            raise SourceError(
                f"source {name!r}: a statement took longer than {seconds:g} s",
                hint=f'give it more time: [sources.{name}] statement_timeout = "{2 * seconds:g}s"',
            ) from None
        except (duckdb.CatalogException, duckdb.BinderException) as error:
            hint = "`tallybook check --source` lists what is there"
            raise SourceError(f"source {name!r}: {_first_line(error)}", hint=hint) from None
        except duckdb.Error as error:
            raise SourceError(f"source {name!r}: {_first_line(error)}") from None


def _type(declared: str) -> ColumnType:
    scaled = re.match(r"DECIMAL\(\d+,(\d+)\)", declared)
    if scaled:
        return ColumnType(DEC, int(scaled[1]), declared)
    kind = TEXT if declared.startswith("ENUM") else _KINDS.get(declared, OTHER)
    return ColumnType(kind, 0 if kind == INT else None, declared)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2])


__all__ = ["DuckdbSource", "as_exact", "as_float", "as_integer"]
