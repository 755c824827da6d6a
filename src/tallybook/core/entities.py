"""Users and accounts: changes of attributes, and the value that results from a set of changes. Pure.

The value of a pushed attribute is the result of its changes in the order of the sender's time, then of receipt. It
does not depend on the order in which they arrive."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

ACCOUNTS, USERS = "accounts", "users"
ENTITY_KINDS = (ACCOUNTS, USERS)
SET, SET_ONCE, UNSET, ADD = "set", "set_once", "unset", "add"
ACTIONS = (SET, SET_ONCE, UNSET, ADD)
PUSHED = "pushed"
"""The origin of a value that was pushed. The origin of a value that was read is the name of its source."""
MAX_ATTRIBUTES = 500
"""Per entity."""
MAX_ATTRIBUTE_NAME = 1_024
ENTITY_FUTURE = timedelta(hours=24)
"""Maximum time by which a change's time may be after its receipt."""
ENTITY_COLUMNS = ("id", "account", "deleted")
"""Columns that every entity has. No attribute may have one of these names."""
SETTLED_AFTER = timedelta(days=30)
"""Changes received longer ago are merged into a few with the same result; their ids are forgotten."""
ATTRIBUTE_DIMENSION = re.compile(
    r"(?P<kind>accounts|users)\.(?P<name>[^@\[\]]+)(?P<day>@day)?(?:\[(?P<bins>[^\]]*)\])?"
)
"""An attribute as the dimension of a question: accounts.plan, accounts.plan@day, accounts.mrr[0,100]."""


@dataclass(frozen=True, kw_only=True)
class AttributeChange:
    """One change of one attribute. `time` is the sender's time and `received` the server's, both as stamps of the
    ledger.

    `id` is the id of the message: two changes by `add` with one id count once."""

    attribute: str
    action: str
    value: Any
    time: str
    received: str
    id: str = ""
    origin: str = PUSHED
    first: tuple[str, str, str] | None = None
    """(time, receipt, id) of the first of several changes that were merged into this one. The other fields are those of
    the last of them."""

    @cached_property
    def order(self) -> tuple[str, str, str, int, str]:
        """The sort key that defines the order in which changes are applied. The order is total."""
        text = json.dumps(self.value, sort_keys=True, ensure_ascii=False, default=str)
        return (*(self.first or (self.time, self.received, self.id)), ACTIONS.index(self.action), text)


@dataclass(frozen=True, kw_only=True)
class PushedAttribute:
    """A pushed attribute: the changes that can still affect its value, in order."""

    changes: tuple[AttributeChange, ...] = ()

    @classmethod
    def of(cls, changes: Iterable[AttributeChange]) -> PushedAttribute:
        """The attribute that results from changes in any order."""
        by_id: dict[tuple[str, str], list[AttributeChange]] = {}
        left = []
        for one in sorted(changes, key=lambda one: one.order):
            known = by_id.setdefault((one.action, one.id), [])
            if not any(_is_same(one, other) for other in known):
                known.append(one)
                left.append(one)
        return cls(changes=_relevant(left))

    def knows(self, change: AttributeChange) -> bool:
        """Whether a change is already included, so that sending it again adds nothing."""
        return any(one.order <= change.order for one in self._same(change))

    def after(self, change: AttributeChange) -> PushedAttribute:
        """The attribute with one more change.

        The same changes in any order, also repeated, give the same result, except changes for which
        `is_among_settled` is true."""
        same = self._same(change)
        if any(one.order <= change.order for one in same):
            return self
        others = [one for one in self.changes if one not in same] if same else self.changes
        place = bisect_right(others, change.order, key=lambda one: one.order)
        made = (*others[:place], change, *others[place:])
        # A change at the end hides nothing: a counter with thousands of additions is not filtered again each time.
        is_plain = place == len(others) and change.action not in (SET, UNSET) and not same
        return PushedAttribute(changes=made if is_plain else _relevant(made))

    def _same(self, change: AttributeChange) -> list[AttributeChange]:
        """The included changes that are repetitions of a change."""
        action, id_ = change.action, change.id
        return [one for one in self.changes if one.id == id_ and one.action == action and _is_same(one, change)]

    def is_among_settled(self, change: AttributeChange) -> bool:
        """Whether only the full history can give the result of a change, because its time lies among changes that were
        already merged: a value that is set in the middle of a sum."""
        if change.action not in (SET, UNSET):
            return False
        if any(one.action in (SET, UNSET) and one.order > change.order for one in self.changes):
            return False
        return any(
            one.first is not None
            and change.time <= one.time
            and (change.action == UNSET or (one.action == ADD and one.first[0] <= change.time))
            for one in self.changes
        )

    def settled(self, before: str) -> PushedAttribute:
        """The attribute after merging the changes that were received before a stamp into a few."""
        count = 0
        while count < len(self.changes) and self.changes[count].received < before:
            count += 1
        if count < 2:
            return self
        return PushedAttribute(changes=(*_summed(self.changes[:count]), *self.changes[count:]))

    @property
    def value(self) -> Any:
        """The value after all changes, or None."""
        return value_after(self.changes)

    @property
    def last(self) -> AttributeChange | None:
        """The change that determined the value."""
        found = None
        for one in self.changes:
            if one.action in (SET, UNSET, ADD) or found is None or found.action == UNSET:
                found = one
        return found


def value_after(changes: Iterable[AttributeChange]) -> Any:
    """The value that results from ordered changes; None if no value remains."""
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


def _is_same(one: AttributeChange, other: AttributeChange) -> bool:
    """Whether two changes are one that was sent again within SETTLED_AFTER of receipt; it counts as first received.
    An addition without an id is one with itself only."""
    if one.action != other.action or one.id != other.id or one.first is not None or other.first is not None:
        return False
    if one.action == ADD and not one.id:
        return one.order == other.order
    is_equal = one.action == ADD or (one.time == other.time and _text(one.value) == _text(other.value))
    return is_equal and are_near(one.received, other.received)


def are_near(received: str, other: str) -> bool:
    """Whether two receipts are within SETTLED_AFTER of each other, so that equal ids mean the same change."""
    return received == other or abs(datetime.fromisoformat(received) - datetime.fromisoformat(other)) <= SETTLED_AFTER


def _text(value: Any) -> str:
    return json.dumps(value, default=str)


def _relevant(changes: Sequence[AttributeChange]) -> tuple[AttributeChange, ...]:
    """Without the changes that the last `set` or `unset` hides. Kept are those that must be recognized when they are
    sent again, because they would count after it: additions with an id, and changes of the same time."""
    last = max((place for place, one in enumerate(changes) if one.action in (SET, UNSET)), default=0)
    time = changes[last].time if changes else ""
    return tuple(one for place, one in enumerate(changes) if place >= last or _may_return(one, time))


def _may_return(hidden: AttributeChange, time: str) -> bool:
    """Whether a hidden change must be recognized when it is sent again. `time`: of the change that hides it."""
    return bool(hidden.id) if hidden.action == ADD else hidden.time == time and hidden.first is None


def _summed(changes: Sequence[AttributeChange]) -> list[AttributeChange]:
    """At most four changes with the same result, even if an earlier change arrives later: the last `set` or `unset`,
    the first `set_once` that counts after it, one change for all other `set_once`, and one for all additions."""
    last = max((place for place, one in enumerate(changes) if one.action in (SET, UNSET)), default=-1)
    base, rest = list(changes[max(last, 0) : last + 1]), changes[last + 1 :]
    is_empty = not base or base[0].value is None
    effective = list(rest[:1]) if is_empty and rest and rest[0].action == SET_ONCE else []
    others = [one for one in rest if one.action == SET_ONCE and one not in effective]
    added = [one for one in rest if one.action == ADD]
    left = [*base, *effective, *_as_one(others, others[-1].value if others else None), *_as_one(added, _total(added))]
    return sorted(left, key=lambda one: one.order)


def _as_one(changes: Sequence[AttributeChange], value: Any) -> list[AttributeChange]:
    """Merge several changes of one action into one change with the time of the last."""
    if len(changes) < 2:
        return list(changes)
    last = max(changes, key=lambda one: (one.time, one.received))
    return [replace(last, id="", value=value, first=changes[0].order[:3])]


def _total(changes: Sequence[AttributeChange]) -> Any:
    return sum(one.value for one in changes)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
