"""Default keys of a metric of users or accounts: its relations always have the same columns."""

from __future__ import annotations

from collections.abc import Container, Mapping

from tallybook.core import LEVEL

ENTITIES = "entities"
"""The scheme of the sources of users and accounts."""


def with_entity(keys: object, of_entities: Container[str]) -> object:
    """The keys of a metric of users or accounts, completed with defaults.

    A level counts the states in the history by the time span in which they are valid. Other metrics read the current
    state."""
    name = keys.get("source") if isinstance(keys, Mapping) else None
    if not isinstance(keys, Mapping) or not isinstance(name, str) or name not in of_entities:
        return keys
    if {"table", "sql"} & keys.keys():
        return keys
    if keys.get("kind") == LEVEL and not {"time", "from"} & keys.keys():
        return {"table": f"{name}_history", "from": "valid_from", "until": "valid_until", **keys}
    return {"table": name, **keys}
