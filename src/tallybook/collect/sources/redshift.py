"""Amazon Redshift (redshift_connector). Its = and GROUP BY ignore trailing blanks of a text. Ours do not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from tallybook.collect.sources.server import DescribedServer
from tallybook.collect.sources.values import TIMESTAMP, TIMESTAMPTZ, ColumnType
from tallybook.collect.sources.warehouse import TransactionSource
from tallybook.core import UNTESTED, SourceKind

_NAMES = {
    16: "boolean",
    20: "bigint",
    21: "smallint",
    23: "integer",
    26: "integer",
    700: "real",
    701: "double precision",
    25: "text",
    18: "character",
    19: "text",
    1042: "character",
    1043: "varchar",
    1082: "date",
    1114: "timestamp",
    1184: "timestamptz",
    6551: "varbyte",
}
_NUMERIC = 1700


class RedshiftSource(DescribedServer, TransactionSource):
    kind = SourceKind(
        name="redshift",
        title="Redshift",
        schemes=("redshift",),
        dialect="redshift",
        extra="redshift",
        experimental=UNTESTED,
        example="redshift://USER:PASSWORD@HOST/DATABASE",
    )
    drivername = "redshift+redshift_connector"
    clock = "SELECT EXTRACT(EPOCH FROM GETDATE())"
    took_long = "canceling statement due to statement timeout|cancelled on user's request|statement timeout"
    denied = "permission denied"
    hex = "FROM_VARBYTE({}, 'hex')"
    exactly = "COLLATE(CAST({} AS VARCHAR(65535)), 'case_sensitive')"
    moment = "CAST({} AS VARCHAR(40))"
    kinds: ClassVar = {"timestamp": TIMESTAMP, "timestamptz": TIMESTAMPTZ, "varbyte": "bytes"}

    def prepare(self) -> Sequence[str]:
        return ("SET timezone TO 'UTC'", f"SET statement_timeout TO {int(self.settings.statement_timeout * 1000)}")

    def begin(self) -> Sequence[str]:
        return ("BEGIN READ ONLY",)

    def _connect(self) -> Any:
        raw = super()._connect()
        raw.autocommit = True  # otherwise it would begin its own transaction, which may write
        return raw

    def _end(self, raw: Any) -> None:
        try:
            raw.cursor().execute("ROLLBACK")
        except Exception:
            # The connection was lost. The statement that noticed it has reported it.
            self._forget()

    def describe(self, cursor: Any) -> list[ColumnType]:
        return [self.type_of(_name(column)) for column in cursor.description]

    def instant_literal(self, instant: datetime) -> str:
        return f"CAST('{instant:%Y-%m-%d %H:%M:%S}+00:00' AS TIMESTAMPTZ)"

    def grouping(self, place: int, expression: str) -> list[str]:
        return [str(place), *self.partition_by_terms(expression, expression)[1:]]

    def partition_by_terms(self, name: str, expression: str) -> list[str]:
        return [name, f"OCTET_LENGTH({name})"] if expression.endswith("'case_sensitive')") else [name]


def _name(column: Any) -> str:
    if column[1] != _NUMERIC:
        return _NAMES.get(column[1], "other")
    return f"numeric({column[4]}, {column[5]})" if column[4] else "numeric"
