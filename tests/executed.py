"""Sources that cannot be had here, with another engine in their place: DuckDB executes what they would be asked.

Only our own SQL is translated, over plain facts, and by sqlglot, which is known to get a user's SQL wrong: it shows
that the shell counts right, and not that the database understands it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import duckdb
from sqlglot import exp, parse_one

from tallybook.collect.sources import bigquery, clickhouse, mssql, oracle, redshift, snowflake, trino
from tallybook.collect.sources.base import Reader, Source
from tallybook.collect.sources.duckdb import _type
from tallybook.collect.sources.values import ColumnType

CLASSES: dict[str, type[Source]] = {
    "bigquery": bigquery.BigquerySource, "mssql": mssql.MssqlSource, "oracle": oracle.OracleSource,
    "redshift": redshift.RedshiftSource, "snowflake": snowflake.SnowflakeSource, "trino": trino.TrinoSource,
}  # fmt: skip
URLS = {
    "bigquery": "bigquery://project/dataset", "mssql": "mssql://user:word@host/db", "oracle": "oracle://user:word@host/?service_name=x",
    "redshift": "redshift://user:word@host/db", "snowflake": "snowflake://user:word@account/db/schema",
    "trino": "trino://user@host/catalog/schema", "clickhouse": "clickhouse://user:word@host/db",
}  # fmt: skip


def executed(kind: str, path: Path) -> type[Source]:
    """The adapter of a kind, reading a DuckDB file."""
    own = {**CLASSES, "clickhouse": clickhouse.ClickhouseSource}[kind]
    return type("Executed", (Executed, own), {"path": path})


class Executed(Source):
    path: ClassVar[Path]

    @contextmanager
    def snapshot(self) -> Iterator[Reader]:
        with duckdb.connect(str(self.path), read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            yield ByDuckdb(self, connection)

    @contextmanager
    def sql_connection(self) -> Iterator[Any]:
        with duckdb.connect(str(self.path), read_only=True) as connection:
            yield connection

    def probe(self, relation: str, expressions: Sequence[str]) -> list[ColumnType]:
        asked = ", ".join(f"{expression} AS c{i}" for i, expression in enumerate(expressions))
        with self.snapshot() as reader:
            return [_type(row[1]) for row in reader.described(f"SELECT {asked} FROM {relation}")]  # type: ignore[attr-defined]

    def policies(self) -> list[tuple[str, bool]] | None:
        return []

    def known_until(self, now: Any) -> Any:
        return now

    def columns(self, table: str) -> list[str]:
        with duckdb.connect(str(self.path), read_only=True) as connection:
            sql = "select column_name from information_schema.columns where table_name = ? order by ordinal_position"
            return [row[0] for row in connection.execute(sql, [table]).fetchall()]

    def close(self) -> None:
        """Each snapshot has a connection of its own."""


class ByDuckdb(Reader):
    def __init__(self, source: Source, connection: Any) -> None:
        self.source, self.connection = source, connection

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(translated(sql, self.source.dialect)).fetchall()

    def described(self, sql: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(f"DESCRIBE {translated(sql, self.source.dialect)}").fetchall()

    def batches(self, sql: str, size: int = 50_000) -> Iterator[list[tuple[Any, ...]]]:
        yield from filter(None, [self.rows(sql)])


def translated(sql: str, dialect: str) -> str:
    """The statement as DuckDB understands it."""
    tree = parse_one(sql, dialect=dialect)
    for node in reversed(list(tree.walk())):  # what is within first
        other = _for_duckdb(node)
        if other is not node:
            node.replace(other)
    return tree.sql(dialect="duckdb")


def _for_duckdb(node: exp.Expr) -> exp.Expr:
    called = node.sql_name() if isinstance(node, exp.Func) else ""
    called = node.name.upper() if isinstance(node, exp.Anonymous) else called
    if isinstance(node, exp.Collate):  # DuckDB's own is by the characters
        return node.this.copy()
    if called in ("DATALENGTH", "OCTET_LENGTH", "BYTE_LENGTH"):
        argument = node.expressions[0] if isinstance(node, exp.Anonymous) else node.this
        return exp.func("strlen", argument.copy(), dialect="duckdb")
    if called == "CONVERT" or (isinstance(node, exp.Convert)):
        return exp.cast(node.expression.copy(), "TEXT")
    if isinstance(node, exp.ConvertTimezone):
        return node.args["timestamp"].copy()
    if called == "SYS_EXTRACT_UTC":
        return node.expressions[-1].copy()
    if called == "VARP":
        return exp.VariancePop(this=node.expressions[0].copy())
    if called == "COUNT_BIG":
        return exp.Count(this=node.expressions[0].copy())
    if isinstance(node, exp.StrToDate | exp.StrToTime) or called == "TO_DATE":
        literal = next(n for n in node.walk() if isinstance(n, exp.Literal))
        return exp.cast(literal.copy(), "TIMESTAMP")
    if isinstance(node, exp.DataType) and node.this in exp.DataType.TEXT_TYPES:
        return exp.DataType.build("TEXT")
    if isinstance(node, exp.DataType) and node.this in (exp.DataType.Type.FLOAT, exp.DataType.Type.DOUBLE):
        return exp.DataType.build("DOUBLE")  # T-SQL's FLOAT is one
    return node
