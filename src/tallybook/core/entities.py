"""Users and accounts: what a change of an attribute is, and which value a set of changes leaves. Pure.

The value of a pushed attribute is what its changes leave when they are applied in the order of the sender's time, then
of receipt. It does not depend on the order in which they arrive."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

ACCOUNTS, USERS = "accounts", "users"
ENTITY_KINDS = (ACCOUNTS, USERS)
SET, SET_ONCE, UNSET, ADD = "set", "set_once", "unset", "add"
ACTIONS = (SET, SET_ONCE, UNSET, ADD)
PUSHED = "pushed"
"""The origin of a value that was sent. A value that was read has the name of its source."""
MAX_ATTRIBUTES = 500
"""Of one entity."""
MAX_ATTRIBUTE_NAME = 1_024
ENTITY_FUTURE = timedelta(hours=24)
"""A change may be this far ahead of its receipt."""
ENTITY_COLUMNS = ("id", "account", "deleted")
"""Columns that every entity has. No attribute has such a name."""
SETTLED_AFTER = timedelta(days=30)
"""Changes that were received longer ago are one value; a change that arrives later still counts after them."""
ATTRIBUTE_DIMENSION = re.compile(
    r"(?P<kind>accounts|users)\.(?P<name>[^@\[\]]+)(?P<day>@day)?(?:\[(?P<bins>[^\]]*)\])?"
)
"""An attribute as the dimension of a question: accounts.plan, accounts.plan@day, accounts.mrr[0,100]."""


@dataclass(frozen=True, kw_only=True)
class AttributeChange:
    """One change of one attribute. `time` is the sender's, `received` ours, both stamps of the ledger. `id` is that of
    the message: two changes by `add` with one id are one."""

    attribute: str
    action: str
    value: Any
    time: str
    received: str
    id: str = ""
    origin: str = PUSHED

    @property
    def order(self) -> tuple[str, str, str, int, str]:
        """Changes are applied in this order: a total one."""
        text = json.dumps(self.value, sort_keys=True, ensure_ascii=False, default=str)
        return (self.time, self.received, self.id, ACTIONS.index(self.action), text)


@dataclass(frozen=True, kw_only=True)
class PushedAttribute:
    """A pushed attribute: the changes that can still matter, in order."""

    changes: tuple[AttributeChange, ...] = ()

    def after(self, change: AttributeChange) -> PushedAttribute:
        """With one more change. The same changes in any order, some of them twice, leave the same."""
        known = {_same(one): one for one in self.changes}
        twin = known.get(_same(change))
        if twin is None or change.order < twin.order:
            known[_same(change)] = change
        return PushedAttribute(changes=_relevant(sorted(known.values(), key=lambda one: one.order)))

    def settled(self, before: str) -> PushedAttribute:
        """With the changes that were received before a stamp as one value."""
        count = 0
        while count < len(self.changes) and self.changes[count].received < before:
            count += 1
        if count < 2:
            return self
        old, rest = self.changes[:count], self.changes[count:]
        value, last = value_after(old), old[-1]
        one = replace(last, action=UNSET if value is None else SET, value=value, id="")
        return PushedAttribute(changes=(one, *rest))

    @property
    def value(self) -> Any:
        """The value after all changes; None where there is none."""
        return value_after(self.changes)

    @property
    def last(self) -> AttributeChange | None:
        """The change that the value is from."""
        found = None
        for one in self.changes:
            if one.action in (SET, UNSET, ADD) or found is None or found.action == UNSET:
                found = one
        return found


def value_after(changes: Iterable[AttributeChange]) -> Any:
    """What changes leave that are in order; None where nothing is left."""
    value = None
    for one in changes:
        match one.action:
            case "set":
                value = one.value
            case "unset":
                value = None
            case "set_once":
                value = one.value if value is None else value
            case "add":
                value = one.value if not _is_number(value) else value + one.value
    return value


def _same(change: AttributeChange) -> tuple[object, ...]:
    """Changes with the same key are one change that was sent again; it counts as first received."""
    if change.action == ADD:
        return (ADD, change.id) if change.id else change.order
    return (change.action, change.time, change.id, json.dumps(change.value, default=str))


def _relevant(changes: list[AttributeChange]) -> tuple[AttributeChange, ...]:
    """Without the changes that the last `set` or `unset` hides; of `add` the ids are kept, so that a repetition with a
    later time is recognized."""
    last = max((place for place, one in enumerate(changes) if one.action in (SET, UNSET)), default=0)
    return tuple(one for place, one in enumerate(changes) if place >= last or (one.action == ADD and one.id))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
