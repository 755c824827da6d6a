"""Databases that are read. One file each; one line here each; third parties use the entry point group
`tallybook.sources` with the same kind of value."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from tallybook.errors import DeclarationError, SourceError
from tallybook.isolation import isolated

if TYPE_CHECKING:
    from tallybook.metrics import SourceSettings
    from tallybook.sources.base import Source

REGISTRY = {
    "sqlite": "tallybook.sources.sqlite:SqliteSource",
    "duckdb": "tallybook.sources.duckdb:DuckdbSource",
    "postgresql": "tallybook.sources.postgresql:PostgresqlSource",
    "postgres": "tallybook.sources.postgresql:PostgresqlSource",
    "mysql": "tallybook.sources.mysql:MysqlSource",
    "mariadb": "tallybook.sources.mysql:MysqlSource",
    "clickhouse": "tallybook.sources.clickhouse:ClickhouseSource",
    "bigquery": "tallybook.sources.bigquery:BigquerySource",
    "mssql": "tallybook.sources.mssql:MssqlSource",
    "oracle": "tallybook.sources.oracle:OracleSource",
    "redshift": "tallybook.sources.redshift:RedshiftSource",
    "snowflake": "tallybook.sources.snowflake:SnowflakeSource",
    "trino": "tallybook.sources.trino:TrinoSource",
    "chdb": "tallybook.sources.clickhouse:ClickhouseSource",
}


def open_source(settings: SourceSettings) -> Source:
    """The adapter for the URL of `settings`. Connects only when something is read.

    Raises DeclarationError when no adapter reads such URLs."""
    scheme = settings.url.partition(":")[0].partition("+")[0].lower()
    place = REGISTRY.get(scheme) or _from_entry_point(scheme)
    if place is None:
        raise DeclarationError(
            f"sources.{settings.name}.url: no adapter reads {scheme!r} URLs",
            hint=f'one of {", ".join(sorted(REGISTRY))}: url = "postgresql://user@host/database"',
        )
    module, _, name = place.partition(":")
    adapter: type[Source] = getattr(importlib.import_module(module), name)
    return adapter(settings)


def open_sources(declared: Mapping[str, SourceSettings]) -> tuple[dict[str, Source], dict[str, SourceError]]:
    """(the adapters, and why there is none for the other sources); connects to nothing."""
    opened: dict[str, Source] = {}
    unopened: dict[str, SourceError] = {}
    for name, settings in declared.items():
        try:
            with isolated():
                opened[name] = open_source(settings)
        except SourceError as error:
            unopened[name] = error
    return opened, unopened


def close_sources(sources: Mapping[str, Source]) -> None:
    """Let go of every connection; one that cannot be closed ends with the process."""
    for source in sources.values():
        with suppress(SourceError), isolated():
            source.close()


def _from_entry_point(scheme: str) -> str | None:
    from importlib.metadata import entry_points

    for point in entry_points(group="tallybook.sources"):
        if point.name == scheme:
            return point.value
    return None
