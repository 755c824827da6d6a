"""Places events in typed columns: which property goes to which column, with which type, and what goes to `rest`.

The first value of a property pins its type. A later value of another type goes to `rest` and is counted. No value is
converted by a guess."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import msgspec

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


class StoredEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An event as it is stored, with a time, an id and the name of its key."""

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
    """Its position in the order in which events were stored."""


@dataclass
class PropertyTypes:
    """The pinned types of one event's properties, and what was learned about them since."""

    event: str
    known: dict[str, Property]
    declared: Mapping[str, str] = field(default_factory=dict)
    """Types that `[events.NAME]` declares, by case-folded name."""
    new: list[Property] = field(default_factory=list)
    conflicts: dict[tuple[str, str], int] = field(default_factory=dict)

    def place(self, path: str, value: Any) -> tuple[str, Any] | None:
        """The column and the value to store in it, or None if the value goes to `rest`."""
        known = self.known.get(path.casefold()) or self.pin(path, value)
        if known is None:
            return None
        fitting = fitted(value, known.type) if known.spelled == path else None
        if fitting is None:
            self.count(path)
            return None
        return known.column, fitting

    def pin(self, path: str, value: Any) -> Property | None:
        """Pin a new property, with its declared type or the type of its first value. Returns None if it gets no
        column."""
        name = path.casefold()
        type_ = self._type_of(name, value)
        if type_ is None or len(self.known) >= MAX_PROPERTIES or path.startswith(PROPERTY_PREFIX):
            return None
        known = self.known[name] = Property(event=self.event, name=name, type=type_, spelled=path)
        self.new.append(known)
        return known

    def _type_of(self, name: str, value: Any) -> str | None:
        """The type of a new property: the declared type, else the type of its first value. A declared time is stored as
        text, which readers convert."""
        found, declared = property_type(value), self.declared.get(name)
        if found is None or declared is None:
            return found
        return TEXT_VALUE if declared == INSTANT_VALUE else declared

    def count(self, path: str) -> None:
        """Count a value that goes to `rest` although its property has a column."""
        key = (self.event, path.casefold())
        self.conflicts[key] = self.conflicts.get(key, 0) + 1


def flattened(properties: Mapping[str, Any], prefix: str = "", level: int = 1) -> list[tuple[str, Any]]:
    """The (path, value) of every property. A null counts as no value."""
    found: list[tuple[str, Any]] = []
    for name, value in properties.items():
        if isinstance(value, dict) and level < LEVELS:
            found += flattened(value, f"{prefix}{name}.", level + 1)
        elif value is not None:
            found.append((f"{prefix}{name}", value))
    return found


@dataclass
class PlacedProperties:
    """The values of each column, and for each event what goes to `rest`."""

    types: PropertyTypes
    columns: dict[str, list[Any]]
    rests: list[dict[str, Any] | None]

    @classmethod
    def of(
        cls, properties: Sequence[Mapping[str, Any]], types: PropertyTypes
    ) -> tuple[dict[str, list[Any]], list[dict[str, Any] | None]]:
        """Place the properties of events, given in order. Returns the columns and the `rest` of each event."""
        placed = cls(types, {}, [None] * len(properties))
        shapes = _Shapes(properties, types)
        if shapes.is_independent:
            for row, path, value in shapes.left:
                placed._leave(row, path, value)
            for names, (rows, values) in shapes.by_names.items():
                for path, column in zip(names, zip(*values, strict=True), strict=False):
                    placed._together(path, rows, column)
        else:
            for row, one in enumerate(properties):
                placed._one_by_one(row, one)
        return placed.columns, placed.rests

    def _one_by_one(self, row: int, properties: Mapping[str, Any]) -> None:
        """Place the values of one event."""
        for path, value in flattened(properties):
            place = self.types.place(path, value)
            if place is None:
                self._leave(row, path, value)
            elif (column := self._column(place[0]))[row] is not None:  # {"a.b": 1, "a": {"b": 2}}
                self.types.count(path)
                self._leave(row, path, value)
            else:
                column[row] = place[1]

    def _together(self, path: str, rows: Sequence[int], values: Sequence[Any]) -> None:
        """Place one property of several events, all at once if every value has the pinned type."""
        if path.casefold() not in self.types.known:
            self.types.pin(path, values[0])
        known = self.types.known.get(path.casefold())
        if known is not None and known.spelled == path and set(map(type, values)) == {_PYTHON_TYPES.get(known.type)}:
            if len(rows) == len(self.rests):
                self.columns[known.column] = list(values)
                return
            column = self._column(known.column)
            for row, value in zip(rows, values, strict=True):
                column[row] = value
            return
        for row, value in zip(rows, values, strict=True):
            place = self.types.place(path, value)
            if place is None:
                self._leave(row, path, value)
            else:
                self._column(place[0])[row] = place[1]

    def _column(self, name: str) -> list[Any]:
        found = self.columns.get(name)
        if found is None:
            found = self.columns[name] = [None] * len(self.rests)
        return found

    def _leave(self, row: int, path: str, value: Any) -> None:
        rest = self.rests[row]
        if rest is None:
            rest = self.rests[row] = {}
        rest[path] = value


_PYTHON_TYPES = {FLAG_VALUE: bool, INTEGER_VALUE: int, NUMBER_VALUE: float, TEXT_VALUE: str}


class _Shapes:
    """Events grouped by their set of properties, in the order in which each set came first."""

    def __init__(self, properties: Sequence[Mapping[str, Any]], types: PropertyTypes) -> None:
        self.known = types.known
        self.by_names: dict[tuple[str, ...], tuple[list[int], list[Any]]] = {}
        """The rows and values of the events with the same properties."""
        self.left: list[tuple[int, str, Any]] = []
        """(row, path, value) of lists and deep objects, which get no column."""
        self.is_independent = True
        """False if the types of single values matter, so that events must be placed one by one."""
        for row, one in enumerate(properties):
            values = one.values()
            plain = one if _SCALARS.issuperset(map(type, values)) else self._plain(row, one)
            shape = self.by_names.get(names := tuple(plain))
            if shape is None:
                shape = self.by_names[names] = ([], [])
            shape[0].append(row)
            shape[1].append(plain.values())
        left = {path.casefold() for _, path, _ in self.left}
        if left and any(name.casefold() in left for names in self.by_names for name in names):
            self.is_independent = False

    def _plain(self, row: int, one: Mapping[str, Any]) -> dict[str, Any]:
        """The properties of an event, without nulls, nested levels, and values that get no column."""
        plain: dict[str, Any] = {}
        for path, value in flattened(one):
            if path in plain:
                self.is_independent = False
            if property_type(value) is None and path.casefold() not in self.known:
                self.left.append((row, path, value))
            else:
                plain[path] = value
        return plain


_SCALARS = frozenset((bool, int, float, str))


def table_of(events: Sequence[StoredEvent], types: PropertyTypes) -> ArrowTable:
    """The events of one name as a table, ordered by time."""
    events = sorted(events, key=lambda one: (one.time, one.received, one.commit))
    columns, rests = PlacedProperties.of([one.properties for one in events], types)
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
    texts = [json.dumps(rest, ensure_ascii=False) if rest else None for rest in rests]
    return ArrowTable.of({**table, "rest": arrow_column(texts, "VARCHAR")})
