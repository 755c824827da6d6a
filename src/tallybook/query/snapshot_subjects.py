"""The current users or accounts, for rules, read from the columnar snapshot of their last commit without Python
rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tallybook.config import ANY, ConditionColumn
from tallybook.core import TEXT_VALUE
from tallybook.query.entity_snapshots import IS_DELETED, WAS_READ, EntitySnapshots
from tallybook.query.entity_table import EntityTable
from tallybook.storage import AttributeType, identifier, literal

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, kw_only=True)
class SnapshotSubjects:
    """The commit that was read, the relation, and the types of all attributes."""

    number: int
    table: EntityTable
    types: Mapping[str, AttributeType]


def snapshot_subjects(
    engine: duckdb.DuckDBPyConnection,
    snapshots: EntitySnapshots,
    kind: str,
    names: Sequence[str],
    declared: Iterable[str],
    gone: str,
) -> SnapshotSubjects:
    """All entities, including deleted ones, with the attributes in `names` (lower case).

    `declared`: attributes read from a table, which are unknown for entities that were never read. `gone`: the name
    of the column that marks deleted entities."""
    found = snapshots.current(engine, kind)
    chosen = [found.types[name] for name in names if name in found.types]
    columns = {"id": ConditionColumn(sql="id", type=TEXT_VALUE)}
    shown = ["id", f"{identifier(IS_DELETED)} AS {identifier(gone)}"]
    folded = {name.casefold(): name for name in declared}
    empty = [folded[name] for name in names if name in folded and name not in found.types]
    forms = _forms(engine, found.sql) if empty or any(one.name in folded for one in chosen) else {}
    for one in chosen:
        flag = None
        shown.append(identifier(one.spelled))
        if one.name in folded and any(one.spelled not in read for read in forms.values()):
            flag = identifier(f"{one.spelled} is known")
            shown.append(f"{_was_read(one.spelled, forms)} AS {flag}")
        columns[one.spelled] = ConditionColumn(sql=identifier(one.spelled), type=one.type, known=flag)
    for name in empty:
        # It has no type yet, because it is empty wherever it was read.
        if any(name in read for read in forms.values()):
            flag = identifier(f"{name} is known")
            shown.append(f"{_was_read(name, forms)} AS {flag}")
            columns[name] = ConditionColumn(sql="NULL", type=ANY, known=flag)
    sql = f"(SELECT {', '.join(shown)} FROM {found.sql})"
    return SnapshotSubjects(number=found.number, table=EntityTable(sql=sql, columns=columns), types=found.types)


def _was_read(name: str, forms: Mapping[str, frozenset[str]]) -> str:
    """SQL that tests whether an attribute was read for an entity."""
    knowing = ", ".join(literal(form) for form, read in forms.items() if name in read) or "NULL"
    return f"coalesce({identifier(WAS_READ)} IN ({knowing}), FALSE)"


def _forms(engine: duckdb.DuckDBPyConnection, relation: str) -> dict[str, frozenset[str]]:
    """The attributes listed in each text of WAS_READ, for entities that are not deleted."""
    read, deleted = identifier(WAS_READ), identifier(IS_DELETED)
    rows = engine.execute(f"SELECT DISTINCT {read} FROM {relation} WHERE NOT {deleted}").fetchall()
    return {text: frozenset(json.loads(text)) for (text,) in rows}
