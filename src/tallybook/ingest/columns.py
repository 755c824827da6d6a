"""Events as typed columns: which property is which column, of which type, and what goes to `rest`.

The first value of a property pins its type. A later value of another type is kept in `rest` and counted; nothing is
converted by a guess."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from tallybook.core import (
    COMMIT_COLUMN,
    FLAG_VALUE,
    INSTANT_TYPE,
    INSTANT_VALUE,
    INTEGER_VALUE,
    MAX_PROPERTIES,
    NUMBER_VALUE,
    TEXT_VALUE,
    ArrowTable,
    arrow_column,
    fitted,
    property_type,
)
from tallybook.storage import PROPERTY_PREFIX, Property

LEVELS = 3
"""Objects inside properties become columns to this depth: `a.b.c`."""
COLUMN_TYPES = {
    INTEGER_VALUE: "BIGINT",
    NUMBER_VALUE: "DOUBLE",
    TEXT_VALUE: "VARCHAR",
    FLAG_VALUE: "BOOLEAN",
    INSTANT_VALUE: INSTANT_TYPE,
}
"""The types of the columns of property values."""


@dataclass(frozen=True, kw_only=True)
class StoredEvent:
    """An event as it is stored: with a time, an id and the name of its key."""

    name: str
    time: datetime
    day: date
    received: datetime
    user: str | None
    account: str | None
    id: str
    key: str
    properties: Mapping[str, Any]
    commit: int = 0
    """Its place in the order in which events were stored."""


@dataclass
class PropertyTypes:
    """The pinned types of one event's properties, and what was found out about them since."""

    event: str
    known: dict[str, Property]
    new: list[Property] = field(default_factory=list)
    conflicts: dict[tuple[str, str], int] = field(default_factory=dict)

    def place(self, path: str, value: Any) -> tuple[str, Any] | None:
        """(column, value to store), or None where the value goes to `rest`."""
        name = path.casefold()
        known = self.known.get(name)
        if known is None:
            type_ = property_type(value)
            if type_ is None or len(self.known) >= MAX_PROPERTIES or path.startswith(PROPERTY_PREFIX):
                return None
            known = self.known[name] = Property(event=self.event, name=name, type=type_, spelled=path)
            self.new.append(known)
        fitting = fitted(value, known.type) if known.spelled == path else None
        if fitting is None:
            self.count(path)
            return None
        return known.column, fitting

    def count(self, path: str) -> None:
        """Count a value that goes to `rest` although its property has a column."""
        key = (self.event, path.casefold())
        self.conflicts[key] = self.conflicts.get(key, 0) + 1


def flattened(properties: Mapping[str, Any], prefix: str = "", level: int = 1) -> list[tuple[str, Any]]:
    """(path, value) of every property; null is no value."""
    found: list[tuple[str, Any]] = []
    for name, value in properties.items():
        if isinstance(value, dict) and level < LEVELS:
            found += flattened(value, f"{prefix}{name}.", level + 1)
        elif value is not None:
            found.append((f"{prefix}{name}", value))
    return found


def table_of(events: Sequence[StoredEvent], types: PropertyTypes) -> ArrowTable:
    """The events of one name as a table, by time."""
    events = sorted(events, key=lambda one: (one.time, one.received, one.commit))
    columns: dict[str, list[Any]] = {}
    rests: list[str | None] = []
    for i, event in enumerate(events):
        rest: dict[str, Any] = {}
        for path, value in flattened(event.properties):
            place = types.place(path, value)
            column = columns.setdefault(place[0], [None] * len(events)) if place else None
            if place is None or column is None:
                rest[path] = value
            elif column[i] is not None:  # {"a.b": 1, "a": {"b": 2}}
                types.count(path)
                rest[path] = value
            else:
                column[i] = place[1]
        rests.append(json.dumps(rest, ensure_ascii=False) if rest else None)
    table = {
        "time": arrow_column([one.time for one in events], INSTANT_TYPE),
        "day": arrow_column([one.day for one in events], "DATE"),
        "received": arrow_column([one.received for one in events], INSTANT_TYPE),
        **{
            name: arrow_column([getattr(one, name) for one in events], "VARCHAR")
            for name in ("user", "account", "id", "key")
        },
        COMMIT_COLUMN: arrow_column([one.commit for one in events], "BIGINT"),
    }
    for known in types.known.values():
        if known.column in columns:
            table[known.column] = arrow_column(columns[known.column], COLUMN_TYPES[known.type])
    return ArrowTable.of({**table, "rest": arrow_column(rests, "VARCHAR")})
