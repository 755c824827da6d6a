"""Users or accounts as a relation of the engine: one row per entity, one typed column per attribute."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tallybook.config import ConditionColumn
from tallybook.core import EVENT_TYPES, INSTANT_VALUE, TEXT_VALUE
from tallybook.query.entity_snapshots import IS_DELETED, WAS_READ, EntitySnapshots
from tallybook.storage import Entity, identifier, load_rows

if TYPE_CHECKING:
    import duckdb

    from tallybook.query.metric_attributes import MetricValues
    from tallybook.storage import AttributeType

IS_KNOWN = "is known"
"""Suffix of the column that says whether an attribute's value is known; the attribute's name comes before it."""


@dataclass(frozen=True)
class EntityTable:
    """A relation of the engine and its columns: `id`, then the attributes in their declared spelling."""

    sql: str
    columns: Mapping[str, ConditionColumn]


def entity_table(
    engine: duckdb.DuckDBPyConnection, kind: str, types: Mapping[str, AttributeType], entities: Iterable[Entity]
) -> EntityTable:
    """Load the entities that are not deleted. The rows keep the order of `entities`."""
    columns = {one.spelled: one.type for one in types.values()}
    spec = {"id": "VARCHAR", **{name: EVENT_TYPES[type_] for name, type_ in columns.items()}}
    rows = ({"id": one.id, **one.record.effective()} for one in entities if one.deleted is None)
    load_rows(engine, identifier(kind), spec, rows)
    every = {"id": TEXT_VALUE, **columns}
    return EntityTable(
        sql=identifier(kind),
        columns={name: ConditionColumn(sql=identifier(name), type=type_) for name, type_ in every.items()},
    )


def current_table(engine: duckdb.DuckDBPyConnection, kind: str, snapshots: EntitySnapshots) -> tuple[int, EntityTable]:
    """(commit, table of the entities that are not deleted)."""
    found = snapshots.current(engine, kind)
    every = {"id": TEXT_VALUE, **{one.spelled: one.type for one in found.types.values()}}
    columns = {name: ConditionColumn(sql=identifier(name), type=type_) for name, type_ in every.items()}
    deleted, read = identifier(IS_DELETED), identifier(WAS_READ)
    sql = f"(SELECT * EXCLUDE ({deleted}, {read}) FROM {found.sql} WHERE NOT {deleted})"
    return found.number, EntityTable(sql=sql, columns=columns)


def with_metrics(
    engine: duckdb.DuckDBPyConnection, table: EntityTable, metrics: Mapping[str, MetricValues]
) -> EntityTable:
    """The table with a column for each metric attribute."""
    if not metrics:
        return table
    spec = {"id": "VARCHAR"}
    for name, one in metrics.items():
        spec |= {name: EVENT_TYPES[one.type], f"{name} {IS_KNOWN}": "BOOLEAN"}
    ids = sorted({entity for one in metrics.values() if one.why is None for entity in (*one.values, *one.whys)})
    load_rows(engine, "metric_values", spec, (_row(entity, metrics) for entity in ids))
    columns, shown = dict(table.columns), []
    for name, one in metrics.items():
        own, flag = identifier(name), identifier(f"{name} {IS_KNOWN}")
        if one.why is not None:
            shown += [f"CAST(NULL AS {EVENT_TYPES[one.type]}) AS {own}", f"FALSE AS {flag}"]
        else:
            empty = "NULL" if one.empty is None else repr(one.empty)
            value = f"CASE WHEN m.id IS NULL THEN {empty} ELSE m.{own} END"
            shown += [f"CAST({value} AS {EVENT_TYPES[one.type]}) AS {own}", f"coalesce(m.{flag}, TRUE) AS {flag}"]
        columns[name] = ConditionColumn(sql=own, type=one.type, known=flag if one.why or one.whys else None)
    joined = f"{table.sql} e LEFT JOIN metric_values m ON m.id = e.id"
    return EntityTable(sql=f"(SELECT e.*, {', '.join(shown)} FROM {joined})", columns=columns)


def _row(entity: str, metrics: Mapping[str, MetricValues]) -> dict[str, object]:
    """The values of one id, each with whether it is known."""
    row: dict[str, object] = {"id": entity}
    for name, one in metrics.items():
        value, why = one.of(entity)
        row |= {name: value, f"{name} {IS_KNOWN}": why is None}
    return row


def shown_column(name: str, column: ConditionColumn) -> str:
    """A column in the form that is fetched: times as texts, in UTC."""
    if column.type == INSTANT_VALUE:
        return f"strftime({column.sql}, '%Y-%m-%dT%H:%M:%SZ') AS {identifier(name)}"
    return f"{column.sql} AS {identifier(name)}"
