"""`[events.NAME]`: the types of an event's properties, where the first value that came does not say it."""

from __future__ import annotations

from collections.abc import Mapping

from tallybook.config.catalog.words import closest_key, shorten_toml
from tallybook.core import FLAG_VALUE, INTEGER_VALUE, NUMBER_VALUE, TEXT_VALUE, Problems

DECLARED_TYPES = (INTEGER_VALUE, NUMBER_VALUE, TEXT_VALUE, FLAG_VALUE)
EXAMPLE = 'properties = { amount = "number" }'


def read_event_types(raw: Mapping[str, object], problems: Problems) -> dict[str, dict[str, str]]:
    """By event, the declared types of its properties, by their case-folded names."""
    tables = raw.get("events", {})
    if not isinstance(tables, Mapping):
        problems.add("events", "is not a table", seen=type(tables).__name__, expected="[events.NAME]")
        return {}
    return {str(event): _types(str(event), table, problems) for event, table in tables.items()}


def _types(event: str, table: object, problems: Problems) -> dict[str, str]:
    path = f"events.{event}"
    if not isinstance(table, Mapping):
        expected = f"a table with the name of an event: [events.NAME], {EXAMPLE}"
        problems.add(path, f"there is no key {event!r} here", seen=shorten_toml(table), expected=expected)
        return {}
    for key in table:
        if key != "properties":
            problems.add(f"{path}.{key}", f"there is no key {key!r} here", seen=str(key), expected="properties")
    properties = table.get("properties", {})
    if not isinstance(properties, Mapping):
        problems.add(f"{path}.properties", "is not a table", seen=shorten_toml(properties), expected=EXAMPLE)
        return {}
    found = {}
    for name, type_ in properties.items():
        if isinstance(type_, str) and type_ in DECLARED_TYPES:
            found[str(name).casefold()] = type_
            continue
        meant = closest_key(type_, DECLARED_TYPES) if isinstance(type_, str) else None
        problems.add(
            f"{path}.properties.{name}",
            "is not a type of a property",
            seen=shorten_toml(type_),
            expected=", ".join(DECLARED_TYPES),
            hint=f"did you mean {meant!r}?" if meant else "",
            paste=f'properties = {{ {name} = "{meant or NUMBER_VALUE}" }}',
        )
    return found
