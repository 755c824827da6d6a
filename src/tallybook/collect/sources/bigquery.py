"""BigQuery. Tables are named dataset.table or project.dataset.table. Types are determined without reading rows, so
without cost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from tallybook.collect.sources.values import DEC, TIMESTAMP, TIMESTAMPTZ, ColumnType
from tallybook.collect.sources.warehouse import WarehouseSource
from tallybook.core import UNTESTED, SourceError, SourceKind


class BigquerySource(WarehouseSource):
    kind = SourceKind(
        name="bigquery",
        title="BigQuery",
        schemes=("bigquery",),
        dialect="bigquery",
        extra="bigquery",
        experimental=UNTESTED,
        example="bigquery://PROJECT/DATASET",
    )
    calendar_times = True
    drivername = "bigquery"
    clock = "SELECT UNIX_MILLIS(CURRENT_TIMESTAMP())"
    took_long = "Job timed out|job_timeout|exceeded the time limit|Operation timed out"
    missing = "Not found|Unrecognized name|Function not found|was not found"
    denied = "Access Denied|does not have permission|403"
    exactly = "COLLATE(CAST({} AS STRING), '')"
    moment = "CAST({} AS STRING)"
    double = "FLOAT64"
    kinds: ClassVar = {"datetime": TIMESTAMP, "timestamp": TIMESTAMPTZ, "bignumeric": DEC}

    def _connect(self) -> Any:
        raw = super()._connect()
        config = raw._client.default_query_job_config or _job()
        config.job_timeout_ms = int(self.settings.statement_timeout * 1000)
        raw._client.default_query_job_config = config
        return raw

    def probe(self, relation: str, expressions: Sequence[str]) -> list[ColumnType]:
        asked = ", ".join(f"{expression} AS c{i}" for i, expression in enumerate(expressions))
        try:
            job = self.raw()._client.query(f"SELECT {asked} FROM {relation}", job_config=_job(dry_run=True))
            return [self.type_of(_name(field)) for field in job.schema]
        except SourceError:
            raise
        except Exception as error:
            raise self.explained(error) from None

    # -- SQL -----------------------------------------------------------------------------------

    def quote(self, name: str) -> str:
        # A column of a joined table, accounts.plan. No BigQuery column name contains a dot.
        name = name.replace(".", "__")
        return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"

    def decimal(self, scale: int) -> str:
        return f"BIGNUMERIC({38 + scale}, {scale})"

    def as_digits(self, number: str) -> str:
        return f"CAST({number} AS STRING)"

    def instant_literal(self, instant: datetime) -> str:
        return f"TIMESTAMP '{instant:%Y-%m-%d %H:%M:%S}+00:00'"

    def naive_literal(self, naive: datetime) -> str:
        return f"DATETIME '{naive:%Y-%m-%d %H:%M:%S}'"


def _job(**options: Any) -> Any:
    from google.cloud.bigquery import QueryJobConfig

    return QueryJobConfig(**options)


_SCALES = {"NUMERIC": (38, 9), "BIGNUMERIC": (76, 38)}
"""The precision and scale of numbers without declared digits."""


def _name(field: Any) -> str:
    if field.mode == "REPEATED":
        return "array"
    precision, scale = _SCALES.get(field.field_type, (None, None))
    if precision is None:
        return str(field.field_type)
    if field.precision is not None:
        precision, scale = field.precision, field.scale or 0
    return f"{field.field_type}({precision}, {scale})"
