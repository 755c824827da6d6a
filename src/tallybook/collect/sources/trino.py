"""Trino, and databases with the same protocol (Starburst, and Athena's SQL through it)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from tallybook.collect.sources.server import DescribedServer
from tallybook.collect.sources.values import TIMESTAMP, TIMESTAMPTZ, ColumnType
from tallybook.collect.sources.warehouse import WarehouseSource
from tallybook.core import UNTESTED, SourceKind


class TrinoSource(DescribedServer, WarehouseSource):
    kind = SourceKind(
        name="trino",
        title="Trino",
        schemes=("trino",),
        dialect="trino",
        extra="trino",
        experimental=UNTESTED,
        example="trino://USER@HOST/CATALOG/SCHEMA",
    )
    drivername = "trino"
    clock = "SELECT TO_UNIXTIME(CURRENT_TIMESTAMP)"
    took_long = "EXCEEDED_TIME_LIMIT|exceeded the maximum (run|execution) time limit"
    missing = r"(TABLE|COLUMN|SCHEMA|CATALOG|FUNCTION)_NOT_FOUND|cannot be resolved|does not exist"
    denied = "PERMISSION_DENIED|Access Denied"
    instant = "CAST({} AT TIME ZONE 'UTC' AS VARCHAR)"
    double = "DOUBLE"
    kinds: ClassVar = {"timestamp": TIMESTAMP, "timestamp with time zone": TIMESTAMPTZ}

    def prepare(self) -> Sequence[str]:
        return ("SET TIME ZONE 'UTC'", f"SET SESSION query_max_run_time = '{self.settings.statement_timeout:g}s'")

    def describe(self, cursor: Any) -> list[ColumnType]:
        return [self.type_of(column[1]) for column in cursor.description]

    def instant_literal(self, instant: datetime) -> str:
        return f"TIMESTAMP '{instant:%Y-%m-%d %H:%M:%S} UTC'"
