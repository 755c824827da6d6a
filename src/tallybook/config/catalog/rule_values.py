"""Readers of the values of rules and messages. Each returns the value, or raises `Wrong`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from tallybook.config.catalog.receiver_values import read_own_table, read_secret_texts, read_url
from tallybook.config.catalog.values import Wrong, choice_of, read_flag, read_number, read_text, whole_number
from tallybook.config.catalog.words import closest_key, toml
from tallybook.core import (
    ENTER,
    EVER,
    EVERY_TIME,
    LEAVE,
    ROW_LEAVES,
    RULE_EDGES,
    TO_MESSAGE,
    TO_PX,
    TO_TABLE,
    OncePer,
    RuleAction,
)

_ONCE = re.compile(r"per (?:(\d{1,4}) )?(day|week|month|year)s?")
_ONCE_WORDS = f'"{EVER}", "per month", "per 30 days" or "{EVERY_TIME}"'
_DAYS = {"day": 1, "week": 7}


def read_once(value: object) -> OncePer | str:
    """How often a rule may fire for one entity, such as "per month"."""
    text = " ".join(value.lower().split()) if isinstance(value, str) else ""
    if text in (EVER, EVERY_TIME):
        return text
    found = _ONCE.fullmatch(text)
    if found is None or found[1] == "0":
        meant = closest_key(text, (EVER, EVERY_TIME, "per month", "per week", "per day"))
        raise Wrong("does not say how often", expected=_ONCE_WORDS, instead=meant)
    number, unit = int(found[1] or 1), found[2]
    if unit in _DAYS:
        return OncePer(days=number * _DAYS[unit])
    return OncePer(months=number * (12 if unit == "year" else 1))


def read_holdout(value: object) -> float:
    """A share such as "10 %", as a fraction."""
    found = re.fullmatch(r"(\d{1,2}(?:\.\d+)?) ?%", value.strip()) if isinstance(value, str) else None
    if found is None:
        raise Wrong("is not a share below 100 %", expected='a share such as "10 %"')
    return float(found[1]) / 100


def read_whole_number(value: object) -> int:
    """Any whole number."""
    number = read_number(value)
    if number != int(number):
        raise Wrong("is not a whole number", expected="a whole number")
    return int(number)


def read_link(value: object) -> str:
    """The address of a page: https, http, mailto or a path on the same site. Scripts are refused."""
    text = read_text(value)
    if not re.fullmatch(r"(https?://|mailto:|/(?![/\\]))[^\s<>\"'\\]*", text):
        raise Wrong("is not the address of a page", expected='"https://…", or a path such as "/billing"')
    return text


def read_sent_value(value: object) -> bool | int | float | str:
    """The value that an attribute is set to: a flag, a number or a text."""
    if isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, str) and value.strip():
        return value
    raise Wrong("is not a value", expected='true, a number, or a text such as "quiet" or "{plan}"')


ACTIONS: dict[str, tuple[dict[str, Callable[[object], Any]], tuple[str, ...]]] = {
    "webhook": (
        {"url": read_text, "secrets": read_secret_texts, "private": read_flag, "rate": whole_number(1, 10_000)},
        ("url",),
    ),
    "mail": ({"address": read_text}, ("address",)),
    "chat": ({"address": read_text}, ("address",)),
    TO_PX: (
        {
            "api": read_url,
            "key": read_text,
            "attribute": read_text,
            "value": read_sent_value,
            "leave": read_sent_value,
            "create": read_flag,
            "product": read_text,
            "private": read_flag,
            "rate": whole_number(1, 10_000),
        },
        ("api", "key", "attribute"),
    ),
    TO_TABLE: ({"url": read_text, "table": read_own_table, "leave": choice_of(ROW_LEAVES)}, ("url", "table")),
    TO_MESSAGE: ({"message": read_text}, ("message",)),
}
"""For each `to`: the readers of its other keys, and the required keys."""


def read_actions(value: object) -> tuple[RuleAction, ...]:
    """One action, or a list of actions."""
    several = value if isinstance(value, list | tuple) else [value]
    return tuple(_action(one) for one in several)


def _action(value: object) -> RuleAction:
    if not isinstance(value, Mapping):
        raise Wrong("is not an action", expected='{ to = "webhook", url = "…" }, or a list of such tables')
    to = value.get("to")
    if to not in ACTIONS:
        meant = closest_key(to, tuple(ACTIONS))
        hint = f"did you mean to = {toml(meant)}?" if meant else ""
        raise Wrong(f"has to = {toml(to) if to else 'nothing'}", expected=", ".join(ACTIONS), hint=hint)
    readers, needed = ACTIONS[str(to)]
    known = ("to", "on", *readers)
    for key in value:
        if key not in known:
            meant = closest_key(key, known)
            hint = f"did you mean {meant!r}?" if meant else ""
            raise Wrong(f"has the key {key!r}, which an action to {to} has not", expected=", ".join(known), hint=hint)
    for key in needed:
        if key not in value:
            raise Wrong(f"has an action to {to} without {key}", expected=f'{{ to = "{to}", {key} = "…" }}')
    on = choice_of(RULE_EDGES)(value["on"]) if "on" in value else ENTER
    if on == LEAVE and "leave" in value:
        raise Wrong(f"has an action to {to} with on and leave", expected='leave = …, or on = "leave"')
    return RuleAction(to=str(to), on=on, options={key: _read(key, how, value) for key, how in _given(readers, value)})


def _given(
    readers: Mapping[str, Callable[[object], Any]], value: Mapping[str, object]
) -> list[tuple[str, Callable[[object], Any]]]:
    return [(key, how) for key, how in readers.items() if key in value]


def _read(key: str, how: Callable[[object], Any], value: Mapping[str, object]) -> Any:
    try:
        return how(value[key])
    except Wrong as wrong:
        raise Wrong(f"has {key}, which {wrong.why}", expected=wrong.expected, hint=wrong.hint) from None
