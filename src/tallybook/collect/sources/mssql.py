"""SQL Server and Azure SQL (pymssql, or pyodbc for URLs with mssql+pyodbc).

Everything is read in a transaction that is rolled back. If the database allows snapshots (ALTER DATABASE … SET
ALLOW_SNAPSHOT_ISOLATION ON), it sees one moment; otherwise it sees what is committed. The server's = and GROUP BY
ignore trailing blanks of a text, whatever the collation. Ours do not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, ClassVar

from tallybook.collect.sources.dialect import TimeForm
from tallybook.collect.sources.values import BOOL, DEC, FLOAT, TEXT, TIMESTAMP, TIMESTAMPTZ, UUID, ColumnType
from tallybook.collect.sources.warehouse import TransactionSource
from tallybook.core import UNTESTED, SourceKind

_BINARY = "COLLATE Latin1_General_100_BIN2"
_OF_ONE_MOMENT = (
    "IF (SELECT snapshot_isolation_state FROM sys.databases WHERE name = DB_NAME()) = 1 "
    "SET TRANSACTION ISOLATION LEVEL SNAPSHOT ELSE SET TRANSACTION ISOLATION LEVEL READ COMMITTED"
)
_LEAVES = 256
"""Maximum number of results in one CASE. The server nests CASE ten deep: eight for this many results, and one around
them."""


class MssqlSource(TransactionSource):
    kind = SourceKind(
        name="mssql",
        title="SQL Server",
        schemes=("mssql",),
        dialect="tsql",
        extra="mssql",
        policies=True,
        experimental=UNTESTED,
        example="mssql://USER:PASSWORD@HOST/DATABASE",
    )
    calendar_times = True
    drivername = "mssql+pymssql"
    has_indexes = True
    snapshots = False
    clock = "SELECT SYSUTCDATETIME()"
    took_long = r"timed out|timeout expired|HYT00|20003"
    missing = r"Invalid (object|column) name|is not a recognized .*function|could not be bound"
    denied = "permission was denied"
    hex = "CONVERT(VARCHAR(MAX), {}, 2)"
    exactly = f"CAST({{}} AS NVARCHAR(MAX)) {_BINARY}"
    moment = "CONVERT(VARCHAR(40), {}, 127)"
    double = "FLOAT"
    kinds: ClassVar = {
        "bit": BOOL,
        "money": DEC,
        "smallmoney": DEC,
        "ntext": TEXT,
        "datetime": TIMESTAMP,
        "datetime2": TIMESTAMP,
        "smalldatetime": TIMESTAMP,
        "datetimeoffset": TIMESTAMPTZ,
        "uniqueidentifier": UUID,
        "float": FLOAT,
    }

    def prepare(self) -> Sequence[str]:
        # ROWCOUNT: a limit set by a login would silently cut the result.
        return (
            "SET ANSI_NULLS, ANSI_PADDING, ANSI_WARNINGS, ARITHABORT, CONCAT_NULL_YIELDS_NULL, QUOTED_IDENTIFIER ON",
            f"SET ROWCOUNT 0; SET LOCK_TIMEOUT {int(self.settings.lock_timeout * 1000)}",
            _OF_ONE_MOMENT,
        )

    def connect_options(self, driver: str) -> dict[str, Any]:
        seconds = max(1, round(self.settings.statement_timeout))
        return {"timeout": seconds, "login_timeout": 10} if driver == "pymssql" else {"timeout": 10}

    def _connect(self) -> Any:
        raw = super()._connect()
        if self.engine().dialect.driver == "pyodbc":
            raw.timeout = max(1, round(self.settings.statement_timeout))
        return raw

    def probe(self, relation: str, expressions: Sequence[str]) -> list[ColumnType]:
        asked = ", ".join(f"{expression} AS c{i}" for i, expression in enumerate(expressions))
        sql = f"SELECT {asked} FROM {relation} WHERE 1 = 0"
        with self.snapshot() as reader:
            reader.rows(sql)  # reports missing names, which the description does not
            described = reader.rows(
                "SELECT system_type_name FROM sys.dm_exec_describe_first_result_set("
                f"N'{sql.replace(chr(39), chr(39) * 2)}', NULL, 0) WHERE is_hidden = 0 ORDER BY column_ordinal"
            )
        return [self.type_of(row[0]) for row in described]

    policy_query = (
        "SELECT SCHEMA_NAME(o.schema_id) + '.' + o.name FROM sys.security_predicates p "
        "JOIN sys.security_policies s ON s.object_id = p.object_id "
        "JOIN sys.objects o ON o.object_id = p.target_object_id "
        "WHERE s.is_enabled = 1 AND p.predicate_type_desc = 'FILTER'"
    )
    view_query = "SELECT v.name, m.definition FROM sys.views v JOIN sys.sql_modules m ON m.object_id = v.object_id"

    def type_of(self, declared: str) -> ColumnType:
        name = declared.lower().replace("(max)", "")
        if name in ("money", "smallmoney"):
            return ColumnType(DEC, 4, declared)
        return super().type_of(name)

    # -- SQL -----------------------------------------------------------------------------------

    def quote(self, name: str) -> str:
        return "[" + name.replace("]", "]]") + "]"

    def limited(self, select: str, rows: int) -> str:
        return f"SELECT TOP ({rows}) {select.removeprefix('SELECT ')}"

    def fetched_time(self, expression: str, form: TimeForm) -> str:
        return self.moment.format(expression)  # the drivers return DATETIMEOFFSET in different ways

    def substring(self, text: str, start: int, length: int) -> str:
        return f"SUBSTRING({text}, {start}, {length})"

    def as_value(self, condition: str) -> str:
        return f"CASE WHEN {condition} THEN 1 END"

    def spread(self, expression: str, type_: ColumnType) -> list[str]:
        return [column.replace("VAR_POP(", "VARP(") for column in super().spread(expression, type_)]

    def count(self, what: str) -> str:
        return f"COUNT_BIG({what})"

    def grouping(self, place: int, expression: str) -> list[str]:
        return [] if expression.isdigit() else self.partition_by_terms(expression, expression)

    def partition_by_terms(self, name: str, expression: str) -> list[str]:
        return [name, f"DATALENGTH({name})"] if expression.endswith(_BINARY) else [name]

    def in_stretch(self, value: str, bounds: Sequence[str], results: Sequence[str]) -> str:
        if len(results) <= _LEAVES:
            return super().in_stretch(value, bounds, results)
        ends = range(_LEAVES, len(results), _LEAVES)
        trees = [
            super(MssqlSource, self).in_stretch(value, bounds[at - _LEAVES : at - 1], results[at - _LEAVES : at])
            for at in ends
        ]
        last = len(trees) * _LEAVES
        rest = super().in_stretch(value, bounds[last:], results[last:])
        whens = " ".join(f"WHEN {value} < {bounds[at - 1]} THEN {tree}" for at, tree in zip(ends, trees, strict=True))
        return f"CASE {whens} ELSE {rest} END"

    # With a T and without TIMESTAMP, because the meaning of 2024-03-01 12:00 depends on the login's language.

    def instant_literal(self, instant: datetime) -> str:
        return f"CAST('{instant:%Y-%m-%dT%H:%M:%S}+00:00' AS DATETIMEOFFSET(0))"

    def naive_literal(self, naive: datetime) -> str:
        return f"CAST('{naive:%Y-%m-%dT%H:%M:%S}' AS DATETIME2(0))"

    def date_literal(self, day: date) -> str:
        return f"CAST('{day}' AS DATE)"
