"""Users and accounts as the ledger keeps them: the row of an entity, the types of attributes, and changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tallybook.core import AttributeChange, PushedAttribute

DELETED, REVIVED, STATE = "deleted", "revived", "state"
"""Actions of a change that is of the entity itself. Its attribute is empty; the value of REVIVED says whether what was
pushed before is there again, that of STATE is the whole entity as it was."""
HistoryChange = tuple[str, str, Any, str, str]
"""(attribute, action, value, message id, the sender's time)."""


class StoredChange(msgspec.Struct, frozen=True, array_like=True):
    """A change of a pushed attribute as a row keeps it."""

    action: str
    value: Any
    time: str
    received: str
    id: str
    origin: str
    first: tuple[str, str, str] | None = None


class EntityRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """All that the ledger keeps of one entity. Stamps are texts as in the ledger."""

    source: str = ""
    """Where `values` were read; empty where nothing was."""
    values: dict[str, Any] = {}
    """Attributes that were read."""
    read: tuple[str, str] = ("", "")
    """(time, received) of what was read first."""
    since: dict[str, tuple[str, str]] = {}
    """(time, received) of attributes that were read again with another value."""
    pushed: dict[str, list[StoredChange]] = {}
    begun: str = ""
    """When it came back after it was deleted: changes of the time before count from then on."""
    other: dict[str, Any] = {}
    """The last value of another type, by attribute."""

    def attribute(self, name: str) -> PushedAttribute:
        """A pushed attribute."""
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
        """The record of an entity that was deleted and comes back: what was read is gone."""
        return EntityRecord(pushed=self.pushed, other=self.other) if keeps_pushed else EntityRecord()

    def effective(self) -> dict[str, Any]:
        """By attribute its value: what was read, and what was pushed where nothing is read."""
        pushed = {name: self.attribute(name).value for name in self.pushed if name not in self.values}
        return {**self.values, **{name: value for name, value in pushed.items() if value is not None}}


@dataclass(frozen=True, kw_only=True)
class Entity:
    """A user or an account as it is now."""

    id: str
    record: EntityRecord
    version: int
    """The number of the commit that changed it last."""
    deleted: str | None = None


@dataclass(frozen=True, kw_only=True)
class ChangedEntities:
    """Entities that changed since a commit. `number` and `at` are of the last commit, `count` is of all entities."""

    number: int
    at: str
    count: int
    entities: Iterator[Entity]


@dataclass(frozen=True, kw_only=True)
class AttributeType:
    """The pinned type of an attribute. `name` is its case-folded name, `spelled` how it was first written."""

    name: str
    type: str
    spelled: str
    conflicts: int = 0


@dataclass(frozen=True, kw_only=True)
class HistoryRow:
    """Changes of one entity at one time. It counts from `time` on."""

    id: str
    time: str
    received: str
    origin: str
    run: int | None
    changes: Sequence[HistoryChange]


@dataclass(kw_only=True)
class EntityChanges:
    """What one commit did: its number (that of the last commit where nothing changed), and how many entities."""

    number: int
    changed: int = 0
    conflicts: dict[str, int] = field(default_factory=dict)
    """By attribute: values of another type than the pinned one, which are kept beside."""
