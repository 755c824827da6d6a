"""Snowflake. A lower-case name is a name without quotes, which Snowflake stores in upper case."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from tallybook.collect.sources.server import DescribedServer
from tallybook.collect.sources.values import TIMESTAMP, TIMESTAMPTZ, ColumnType
from tallybook.collect.sources.warehouse import WarehouseSource
from tallybook.core import UNTESTED, SourceKind

_NAMES = (
    "number",
    "real",
    "varchar",
    "date",
    "timestamp",
    "variant",
    "timestamp_ltz",
    "timestamp_tz",
    "timestamp_ntz",
    "object",
    "array",
    "binary",
    "time",
    "boolean",
)
"""Names of types, by the driver's number for a type."""


class SnowflakeSource(DescribedServer, WarehouseSource):
    kind = SourceKind(
        name="snowflake",
        title="Snowflake",
        schemes=("snowflake",),
        dialect="snowflake",
        extra="snowflake",
        policies=True,
        experimental=UNTESTED,
        session_parameter="role",
        example="snowflake://USER:PASSWORD@ACCOUNT/DATABASE/SCHEMA",
    )
    drivername = "snowflake"
    folds_to_upper = True
    clock = "SELECT DATE_PART(EPOCH_MILLISECOND, CURRENT_TIMESTAMP())"
    took_long = "statement or warehouse timeout|reached its statement timeout|000630"
    missing = "does not exist or not authorized|invalid identifier|Unknown function"
    denied = "Insufficient privileges"
    hex = "HEX_ENCODE({})"
    exactly = "COLLATE(CAST({} AS VARCHAR), 'utf8')"
    moment = "TO_VARCHAR({}, 'YYYY-MM-DD HH24:MI:SS.FF9')"
    instant = "TO_VARCHAR(CONVERT_TIMEZONE('UTC', {}), 'YYYY-MM-DD HH24:MI:SS.FF9')"
    kinds: ClassVar = {
        "timestamp": TIMESTAMP,
        "timestamp_ntz": TIMESTAMP,
        "timestamp_ltz": TIMESTAMPTZ,
        "timestamp_tz": TIMESTAMPTZ,
    }

    policy_query = (
        "SELECT REF_SCHEMA_NAME || '.' || REF_ENTITY_NAME FROM SNOWFLAKE.ACCOUNT_USAGE.POLICY_REFERENCES "
        "WHERE POLICY_KIND = 'ROW_ACCESS_POLICY' AND REF_DATABASE_NAME = CURRENT_DATABASE()"
    )
    view_query = "SELECT TABLE_NAME, VIEW_DEFINITION FROM INFORMATION_SCHEMA.VIEWS WHERE VIEW_DEFINITION IS NOT NULL"

    def prepare(self) -> Sequence[str]:
        settings = {
            "TIMEZONE": "'UTC'",
            "STATEMENT_TIMEOUT_IN_SECONDS": max(1, round(self.settings.statement_timeout)),
            "ROWS_PER_RESULTSET": 0,  # a limit set by someone would silently cut the result
            "QUOTED_IDENTIFIERS_IGNORE_CASE": "FALSE",
        }
        return [f"ALTER SESSION SET {name} = {value}" for name, value in settings.items()]

    def describe(self, cursor: Any) -> list[ColumnType]:
        return [self.type_of(_name(column)) for column in cursor.description]

    def instant_literal(self, instant: datetime) -> str:
        return f"CAST('{instant:%Y-%m-%d %H:%M:%S} +00:00' AS TIMESTAMP_TZ)"

    def naive_literal(self, naive: datetime) -> str:
        return f"CAST('{naive:%Y-%m-%d %H:%M:%S}' AS TIMESTAMP_NTZ)"


def _name(column: Any) -> str:
    """The name of a column's type, such as number(38,0), from (name, number of the type, …, precision, scale, …)."""
    name = _NAMES[column[1]] if column[1] < len(_NAMES) else "other"
    return f"number({column[4]},{column[5]})" if name == "number" else name
