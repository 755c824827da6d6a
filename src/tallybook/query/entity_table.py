"""Users or accounts as a relation of the engine: a row for each, a typed column for each attribute."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tallybook.core import EVENT_TYPES, INSTANT_VALUE, TEXT_VALUE
from tallybook.query.conditions import ConditionColumn
from tallybook.storage import Entity, identifier, literal, scratch_folder

if TYPE_CHECKING:
    import duckdb

    from tallybook.storage import AttributeType


@dataclass(frozen=True)
class EntityTable:
    """A temporary table of the engine, and its columns: `id`, then the attributes as they are spelled."""

    sql: str
    columns: Mapping[str, ConditionColumn]


def entity_table(
    engine: duckdb.DuckDBPyConnection, kind: str, types: Mapping[str, AttributeType], entities: Iterable[Entity]
) -> EntityTable:
    """Load entities that are not deleted. The order of the rows is that of `entities`."""
    columns = {one.spelled: one.type for one in types.values()}
    spec = {"id": "VARCHAR", **{name: EVENT_TYPES[type_] for name, type_ in columns.items()}}
    with scratch_folder() as folder:
        file = folder / "entities.ndjson"
        _write(file, entities)
        listed = ", ".join(f"{literal(name)}: {literal(type_)}" for name, type_ in spec.items())
        engine.execute(
            f"CREATE OR REPLACE TEMP TABLE {identifier(kind)} AS SELECT * FROM read_json({literal(str(file))}, "
            f"columns = {{{listed}}}, format = 'newline_delimited', maximum_object_size = 268435456)"
        ).fetchall()
    every = {"id": TEXT_VALUE, **columns}
    return EntityTable(
        sql=identifier(kind),
        columns={name: ConditionColumn(sql=identifier(name), type=type_) for name, type_ in every.items()},
    )


def _write(file: Path, entities: Iterable[Entity]) -> None:
    encoder = msgspec.json.Encoder()
    with file.open("wb") as lines:
        for entity in entities:
            if entity.deleted is None:
                lines.write(encoder.encode({"id": entity.id, **entity.record.effective()}) + b"\n")


def shown_column(name: str, column: ConditionColumn) -> str:
    """A column as it is fetched: times as texts, in UTC."""
    if column.type == INSTANT_VALUE:
        return f"strftime({column.sql}, '%Y-%m-%dT%H:%M:%SZ') AS {identifier(name)}"
    return f"{column.sql} AS {identifier(name)}"
