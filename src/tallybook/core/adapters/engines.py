"""Descriptors and registry of engines.

An engine merges points: it reads their Parquet files and runs the SQL of `query` in DuckDB's dialect. It is one module
and one line of `ENGINES`. Another package adds one by an entry point in the group `tallybook.engines`."""

from __future__ import annotations

from dataclasses import dataclass

from tallybook.core.adapters.registry import Option, Registry


@dataclass(frozen=True, kw_only=True)
class EngineKind:
    """The descriptor of an engine. `dialect`: sqlglot's name for its SQL."""

    name: str
    dialect: str
    options: tuple[Option, ...] = ()


ENGINES: Registry[EngineKind] = Registry("tallybook.engines", {"duckdb": "tallybook.storage.engines.duckdb:Duckdb"})
