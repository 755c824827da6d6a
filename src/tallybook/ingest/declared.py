"""Checks events against `[events.NAME]`: required properties, their types, and allowed texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from tallybook.core import (
    FLAG_VALUE,
    INSTANT_VALUE,
    INTEGER_VALUE,
    NUMBER_VALUE,
    TEXT_VALUE,
    DecodedEvents,
    Event,
    EventDeclaration,
    EventSettings,
    Rejection,
    fitted,
    property_type,
    shorten_list,
)
from tallybook.ingest.columns import flattened

SHOWN = {
    INTEGER_VALUE: "an integer",
    NUMBER_VALUE: "a number",
    TEXT_VALUE: "text",
    FLAG_VALUE: "true or false",
    INSTANT_VALUE: "a time with a zone, as 2026-03-01T12:00:00Z",
}


def as_declared(found: DecodedEvents, settings: EventSettings) -> DecodedEvents:
    """The events after the check. An event that violates a strict declaration is rejected. One that violates another
    declaration gets a warning."""
    if not settings.declared:
        return found
    good, rejected, warnings = [], list(found.rejected), list(found.warnings)
    for index, event in found.events:
        declared = settings.declared.get(event.name)
        wrong = next(_mistakes(event, declared), None) if declared and declared.schema != "off" else None
        if wrong is None or (declared and declared.schema != "strict"):
            good.append((index, event))
        if wrong is not None and declared:
            one = Rejection(index=index, code="schema", field=wrong[0], reason=wrong[1], id=event.id)
            (rejected if declared.schema == "strict" else warnings).append(one)
    return replace(found, events=good, rejected=sorted(rejected, key=lambda one: one.index), warnings=warnings)


def _mistakes(event: Event, declared: EventDeclaration) -> Iterator[tuple[str, str]]:
    """(field, reason) for each difference between an event and its declaration."""
    values: Mapping[str, Any] = {path.casefold(): value for path, value in flattened(event.properties)}
    own = {"user": event.user, "account": event.account, "id": event.id}
    for name in declared.required:
        there = own[name] is not None if name in own and name not in values else name.casefold() in values
        if not there:
            yield f"properties.{name}", f"{event.name} needs the property {name!r}"
    for name, type_ in declared.types.items():
        value, spelled = values.get(name), declared.spelled.get(name, name)
        if value is None:
            continue
        if not _fits(value, type_):
            yield f"properties.{spelled}", f"{spelled!r} of {event.name} is {SHOWN[type_]}, not {_kind(value)}"
        elif name in declared.allowed and value not in declared.allowed[name]:
            known = shorten_list(list(declared.allowed[name]), 8)
            yield f"properties.{spelled}", f"{spelled!r} of {event.name} is one of {known}, not {value!r:.60}"


def _fits(value: Any, type_: str) -> bool:
    if type_ != INSTANT_VALUE:
        return fitted(value, type_) is not None
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _kind(value: Any) -> str:
    found = property_type(value)
    return "a list or an object" if found is None else SHOWN[found] if found != INSTANT_VALUE else "text"
