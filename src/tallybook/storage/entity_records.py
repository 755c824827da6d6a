"""Users and accounts as the ledger stores them: the row of an entity, the types of attributes, and changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tallybook.core import AttributeChange, PushedAttribute

DELETED, REVIVED, STATE = "deleted", "revived", "state"
"""Actions of a change of the entity itself; its attribute name is empty. The value of REVIVED says whether earlier
pushed values are restored. The value of STATE is the whole entity."""
HistoryChange = tuple[str, str, Any, str, str]
"""(attribute, action, value, message id, the sender's time)."""


class StoredChange(msgspec.Struct, frozen=True, array_like=True):
    """A change of a pushed attribute, as stored in a row."""

    action: str
    value: Any
    time: str
    received: str
    id: str
    origin: str
    first: tuple[str, str, str] | None = None


class EntityRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """All stored data of one entity. Stamps are texts, as in the ledger."""

    source: str = ""
    """The source of `values`; empty if nothing was read."""
    values: dict[str, Any] = {}
    """Attributes read from the source."""
    read: tuple[str, str] = ("", "")
    """(time, received) of the first read."""
    since: dict[str, tuple[str, str]] = {}
    """(time, received) of attributes whose values changed in a later read."""
    pushed: dict[str, list[StoredChange]] = {}
    begun: str = ""
    """When the entity came back after its deletion. Changes with an earlier time count from then on."""
    other: dict[str, Any] = {}
    """The last value of a wrong type, by attribute."""

    def attribute(self, name: str) -> PushedAttribute:
        """A pushed attribute by name."""
        return PushedAttribute(
            changes=tuple(
                AttributeChange(attribute=name, **{f: getattr(one, f) for f in StoredChange.__struct_fields__})
                for one in self.pushed.get(name, ())
            )
        )

    def keep(self, name: str, attribute: PushedAttribute) -> None:
        """Replace the changes of a pushed attribute."""
        fields = StoredChange.__struct_fields__
        self.pushed[name] = [StoredChange(*(getattr(one, f) for f in fields)) for one in attribute.changes]

    def revived(self, *, keeps_pushed: bool) -> EntityRecord:
        """The record of a deleted entity that comes back, without the values that were read."""
        return EntityRecord(pushed=self.pushed, other=self.other) if keeps_pushed else EntityRecord()

    def effective(self) -> dict[str, Any]:
        """The value of each attribute: the read value, or else the pushed one."""
        pushed = {name: self.attribute(name).value for name in self.pushed if name not in self.values}
        return {**self.values, **{name: value for name, value in pushed.items() if value is not None}}


@dataclass(frozen=True, kw_only=True)
class Entity:
    """A user or an account in its current state."""

    id: str
    record: EntityRecord
    version: int
    """The number of the last commit that changed it."""
    deleted: str | None = None


@dataclass(frozen=True, kw_only=True)
class ChangedEntities:
    """Entities that changed since a commit. `number` and `at` describe the last commit; `count` is the number of all
    entities."""

    number: int
    at: str
    count: int
    entities: Iterator[Entity]


@dataclass(frozen=True, kw_only=True)
class AttributeType:
    """The pinned type of an attribute. `name`: its case-folded name. `spelled`: its first spelling."""

    name: str
    type: str
    spelled: str
    conflicts: int = 0


@dataclass(frozen=True, kw_only=True)
class HistoryRow:
    """Changes of one entity at one time. They count from `time` on."""

    id: str
    time: str
    received: str
    origin: str
    run: int | None
    changes: Sequence[HistoryChange]


@dataclass(kw_only=True)
class EntityChanges:
    """The result of one commit: its number (of the last commit if nothing changed), and the number of changed
    entities."""

    number: int
    changed: int = 0
    conflicts: dict[str, int] = field(default_factory=dict)
    """The number of values of a wrong type, by attribute. Such values are stored separately."""
