"""Reads the states of one kind of entities from its files into a relation of the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tallybook.storage import BadFile, RuleLedger, StatesFile, engine_path, identifier

if TYPE_CHECKING:
    import duckdb

MAX_PARTIAL_FILES = 12
"""Maximum number of files of changes. Beyond it, all states are written again as one file."""


@dataclass(frozen=True)
class StoredStates:
    """The states stored in the files of a kind."""

    relation: str
    """An engine table with one row per entity; the id column is `s id`."""
    others: Mapping[str, str] = field(default_factory=dict)
    """Types, by column name, of columns that are kept for the rules of other processes."""
    lost: str = ""
    """Why the files cannot be read. If set, the table has no rows."""


def read_states(
    engine: duckdb.DuckDBPyConnection,
    ledger: RuleLedger,
    files: Sequence[StatesFile],
    wanted: Mapping[str, str],
    *,
    kind: str,
    some: str = "",
    with_others: bool = False,
) -> StoredStates:
    """The states with the wanted columns. `wanted` maps names to types. `some`: a relation with the ids to read.
    `with_others`: also read the columns of rules that are unknown here but may be known to another process.

    If an entity has several rows, the row in the last file counts."""
    try:
        paths = [engine_path(ledger.path(file)) for file in files]
    except BadFile as bad:
        return StoredStates(_empty(engine, kind, wanted), lost=bad.message)
    if not paths:
        return StoredStates(_empty(engine, kind, wanted))
    columns_of = {path: _columns(engine, path) for path in paths}
    others: dict[str, str] = {}
    if with_others:
        for there in columns_of.values():
            others |= {name: type_ for name, type_ in there.items() if name != "id" and name not in wanted}
    wanted = {**wanted, **others}
    selects = []
    for path, there in columns_of.items():
        chosen = [
            f"CAST({identifier(name) if name in there else 'NULL'} AS {type_}) AS {identifier(name)}"
            for name, type_ in wanted.items()
        ]
        within = f" SEMI JOIN {some} x USING (id)" if some else ""
        columns = ", ".join(['id AS "s id"', *chosen])
        selects.append(f"SELECT {columns} FROM read_parquet({path}){within}")
    table = f"{kind}_states_before"
    if len(selects) > 1:
        parts = " UNION ALL ".join(f"(SELECT *, {place} AS part FROM ({one}))" for place, one in enumerate(selects[1:]))
        latest = f'SELECT * EXCLUDE (part) FROM ({parts}) QUALIFY part = max(part) OVER (PARTITION BY "s id")'
        engine.execute(f"CREATE OR REPLACE TEMP TABLE {table}_changes AS {latest}").fetchall()
        changes = f"{table}_changes"
        selects = [f'SELECT b.* FROM ({selects[0]}) b ANTI JOIN {changes} c USING ("s id")', f"SELECT * FROM {changes}"]
    engine.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS {' UNION ALL '.join(selects)}").fetchall()
    return StoredStates(table, others)


def _columns(engine: duckdb.DuckDBPyConnection, path: str) -> dict[str, str]:
    """The columns of a file, with their engine types."""
    asked = f"SELECT column_name, column_type FROM (DESCRIBE FROM read_parquet({path}))"
    return dict(engine.execute(asked).fetchall())


def _empty(engine: duckdb.DuckDBPyConnection, kind: str, wanted: Mapping[str, str]) -> str:
    columns = ", ".join(['"s id" VARCHAR', *(f"{identifier(name)} {type_}" for name, type_ in wanted.items())])
    table = f"{kind}_states_before"
    engine.execute(f"CREATE OR REPLACE TEMP TABLE {table} ({columns})").fetchall()
    return table
