"""Reads `[events]` and `[events.NAME]`: limits on events, and the expected days, properties and types of each event."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import fields

from tallybook.config.catalog.keys import EVENT_KEYS, EVENTS_KEYS
from tallybook.config.catalog.tables import read_section
from tallybook.config.catalog.words import closest_key, shorten_toml
from tallybook.core import (
    FLAG_VALUE,
    INSTANT_VALUE,
    INTEGER_VALUE,
    NUMBER_VALUE,
    PROTOCOLS,
    TEXT_VALUE,
    EventDeclaration,
    EventLimits,
    EventSettings,
    Problems,
)

DECLARED_TYPES = (INTEGER_VALUE, NUMBER_VALUE, TEXT_VALUE, FLAG_VALUE, INSTANT_VALUE)
LIMITS = frozenset(field.name for field in fields(EventLimits))


def read_events(raw: Mapping[str, object], problems: Problems) -> EventSettings:
    """Read `[events]` with every `[events.NAME]` in it."""
    tables = raw.get("events", {})
    if not isinstance(tables, Mapping):
        problems.add("events", "is not a table", seen=type(tables).__name__, expected="[events] or [events.NAME]")
        return EventSettings()
    keys = {key: value for key, value in tables.items() if not isinstance(value, Mapping)}
    values = read_section(keys, EVENTS_KEYS, "events", problems).values
    for name in values.get("protocols", ()):
        if name not in PROTOCOLS:
            _report_protocol(name, problems)
    return EventSettings(
        **{key: value for key, value in values.items() if key not in LIMITS},
        limits=EventLimits(**{key: value for key, value in values.items() if key in LIMITS}),
        declared={
            str(event): _declared(str(event), table, problems)
            for event, table in tables.items()
            if isinstance(table, Mapping)
        },
    )


def _declared(event: str, table: Mapping[str, object], problems: Problems) -> EventDeclaration:
    path = f"events.{event}"
    values = read_section(table, EVENT_KEYS, path, problems).values
    properties = values.pop("properties", {})
    types: dict[str, str] = {}
    allowed: dict[str, tuple[str, ...]] = {}
    for name, value in properties.items():
        if isinstance(value, list | tuple) and value and all(isinstance(one, str) for one in value):
            types[name.casefold()], allowed[name.casefold()] = TEXT_VALUE, tuple(value)
        elif isinstance(value, str) and value in DECLARED_TYPES:
            types[name.casefold()] = value
        else:
            _report_type(path, name, value, problems)
    spelled = {name.casefold(): name for name in [*properties, *values.get("required", ())]}
    return EventDeclaration(name=event, types=types, allowed=allowed, spelled=spelled, **values)


def _report_protocol(name: str, problems: Problems) -> None:
    known = PROTOCOLS.names()
    meant = closest_key(name, known)
    problems.add(
        "events.protocols",
        "there is no such wire protocol",
        seen=shorten_toml(name),
        expected=", ".join(known),
        hint=f"did you mean {meant!r}?" if meant else "",
        paste=f"protocols = [{shorten_toml(meant or known[0])}]",
    )


def _report_type(path: str, name: str, value: object, problems: Problems) -> None:
    meant = closest_key(value, DECLARED_TYPES) if isinstance(value, str) else None
    problems.add(
        f"{path}.properties.{name}",
        "is not a type of a property",
        seen=shorten_toml(value),
        expected=f"{', '.join(DECLARED_TYPES)}, or a list of the texts that are allowed",
        hint=f"did you mean {meant!r}?" if meant else "",
        paste=f'properties = {{ {name} = "{meant or NUMBER_VALUE}" }}',
    )
