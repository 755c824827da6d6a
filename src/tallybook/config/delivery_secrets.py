"""Reads the secret values of [deliveries]: addresses of receivers, keys and signing secrets. They are never cached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from tallybook.config.catalog.values import Wrong
from tallybook.config.urls import HIDDEN, secrets_of_address
from tallybook.config.variables import Expansion
from tallybook.core import Delivery, Problems, known_destination

MIN_HIDDEN = 5
"""Values of variables up to this length are not masked on their own: masking them would hide ordinary words."""
Values = dict[str, dict[str, Any]]
"""Values by delivery and key."""


def secret_values(
    declared: Mapping[str, object], variables: Mapping[str, str], problems: Problems, secrets: dict[str, str]
) -> Values:
    """The expanded values of the secret keys of deliveries. Adds them to the texts that must not be shown."""
    found: Values = {}
    for name, table in declared.items():
        for keys in _secret_keys(table):
            expansion = Expansion(variables, problems)
            for key in keys:
                value = expansion.value(table[key], f"deliveries.{name}.{key}")  # type: ignore[index]
                found.setdefault(name, {})[key] = value
                for text in texts_in(value):
                    secrets |= secrets_of_address(text, {}) if "://" in text else {text: HIDDEN}
            secrets |= {value: HIDDEN for value in expansion.used.values() if value and len(value) > MIN_HIDDEN}
    return found


def without_secrets(deliveries: Mapping[str, Delivery]) -> dict[str, Delivery]:
    """The deliveries without secret values, for the cache."""
    found = {}
    for name, delivery in deliveries.items():
        kind = known_destination(delivery.to)
        secret = {option.name for option in kind.options if option.secret} if kind else set()
        kept = {key: value for key, value in delivery.options.items() if key not in secret}
        found[name] = msgspec.structs.replace(delivery, options=kept) if secret else delivery
    return found


def with_secrets(deliveries: Mapping[str, Delivery], values: Values, problems: Problems) -> dict[str, Delivery]:
    """The deliveries with their secret values."""
    found = dict(deliveries)
    for name, written in values.items():
        delivery = found.get(name)
        kind = known_destination(delivery.to) if delivery else None
        if delivery is None or kind is None:
            continue
        read = {}
        for key, value in written.items():
            option = kind.option(key)
            assert option
            try:
                read[key] = option.read(value)
            except (Wrong, ValueError) as error:
                if not problems.found:  # else it was reported before
                    expected = error.expected if isinstance(error, Wrong) else str(error)
                    problems.add(f"deliveries.{name}.{key}", f"{key} is not valid", seen="…", expected=expected)
        found[name] = msgspec.structs.replace(delivery, options={**delivery.options, **read})
    return found


def _secret_keys(table: object) -> Iterator[list[str]]:
    """The secret keys of a delivery, if it has any.

    The module of a destination is only imported if a value of the delivery looks like a secret."""
    if not isinstance(table, dict) or not any("://" in text or "${" in text for text in texts_in(list(table.values()))):
        return
    kind = known_destination(table.get("to"))
    keys = [option.name for option in kind.options if option.secret and option.name in table] if kind else []
    if keys:
        yield keys


def texts_in(value: object) -> Iterator[str]:
    if isinstance(value, str) and value:
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts_in(item)
    elif isinstance(value, dict):
        yield from texts_in(list(value.values()))
