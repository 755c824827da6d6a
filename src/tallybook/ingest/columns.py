"""Events as typed columns: which property is which column, of which type, and what goes to `rest`.

The first value of a property pins its type. A later value of another type is kept in `rest` and counted; nothing is
converted by a guess."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from tallybook.core import (
    COMMIT_COLUMN,
    FLAG_VALUE,
    INSTANT_VALUE,
    INTEGER_VALUE,
    MAX_PROPERTIES,
    NUMBER_VALUE,
    TEXT_VALUE,
    fitted,
    property_type,
)
from tallybook.storage import PROPERTY_PREFIX, Property

if TYPE_CHECKING:
    import pyarrow as pa

LEVELS = 3
"""Objects inside properties become columns to this depth: `a.b.c`."""


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


def table_of(events: Sequence[StoredEvent], types: PropertyTypes) -> pa.Table:
    """The events of one name as a table, by time."""
    import pyarrow as pa

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
    instant = pa.timestamp("us", tz="UTC")
    table: dict[str, Any] = {
        "time": pa.array([one.time for one in events], instant),
        "day": pa.array([one.day for one in events], pa.date32()),
        "received": pa.array([one.received for one in events], instant),
        **{
            name: pa.array([getattr(one, name) for one in events], pa.string())
            for name in ("user", "account", "id", "key")
        },
        COMMIT_COLUMN: pa.array([one.commit for one in events], pa.int64()),
    }
    kinds = {
        INTEGER_VALUE: pa.int64(),
        NUMBER_VALUE: pa.float64(),
        TEXT_VALUE: pa.string(),
        FLAG_VALUE: pa.bool_(),
        INSTANT_VALUE: instant,
    }
    for known in types.known.values():
        name = known.column
        if name in columns:
            table[name] = pa.array(columns[name], kinds[known.type])
    return pa.table({**table, "rest": pa.array(rests, pa.string())})
