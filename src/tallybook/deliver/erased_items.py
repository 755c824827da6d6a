"""Finds the outbox items about a user or an account that is deleted.

A user, an account and another dimension may have the same text as value, so the name beside the value decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from tallybook.core import SUBJECT_KINDS, USERS, Catalog
from tallybook.deliver.actions_of_rules import FIRING, rule_of_delivery
from tallybook.deliver.destinations.registry import open_destination
from tallybook.storage import ATTRIBUTE, parts_of_item


@dataclass(frozen=True)
class ErasedItems:
    """Recognizes the items of one user or account. A delivery that is no longer declared counts as one about it."""

    catalog: Catalog
    kind: str
    entity: str

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of dimensions and fields that contain ids of the kind."""
        own = "user" if self.kind == USERS else "account"
        settings = self.catalog.entities.get(self.kind)
        return frozenset((own, f"{own}_id", *(settings.dimension if settings else ())))

    def is_of(self, delivery: str) -> bool:
        """Whether a delivery sends latest values or firings of this kind of entity."""
        if (rule := self.catalog.rules.get(rule_of_delivery(delivery) or "")) is not None:
            return rule.kind == self.kind
        declared = self.catalog.deliveries.get(delivery)
        return declared is None or SUBJECT_KINDS.get(str(declared.options.get("for"))) in (None, self.kind)

    def contains(self, delivery: str, item: str, body: str) -> bool:
        """Whether an item is about the user or account. Its content decides, or its name if only the name is left."""
        if not body:
            return self.is_named(delivery, item)
        data = msgspec.json.decode(body)
        if item.partition(":")[0] in (ATTRIBUTE, FIRING) and "entity" in data and self.is_of(delivery):
            return bool(data["entity"] == self.entity)
        return self.is_inside(data, self.names_in(delivery))

    def names_in(self, delivery: str) -> frozenset[str]:
        """The names that may have ids of the kind in the items of a delivery. A delivery may rename dimensions."""
        declared = self.catalog.deliveries.get(delivery)
        renamed: Mapping[str, str] = declared.options.get("properties") or {} if declared else {}
        return self.names | {theirs for ours, theirs in renamed.items() if ours in self.names}

    def is_inside(self, data: Any, names: frozenset[str]) -> bool:
        """Whether the data contains one of the names with the id as its value."""
        if isinstance(data, list):
            return any(self.is_inside(one, names) for one in data)
        if not isinstance(data, dict):
            return False
        return any((name in names and one == self.entity) or self.is_inside(one, names) for name, one in data.items())

    def is_named(self, delivery: str, item: str) -> bool:
        """Whether the name of an item contains the id, as its user or in the position of a dimension with ids."""
        declared = self.catalog.deliveries.get(delivery)
        if declared is None:
            return True
        _, _, _, user, series = parts_of_item(item)
        if self.kind == USERS and user == self.entity:
            return True
        by = open_destination(declared.to).completed(declared, self.catalog).by
        values = msgspec.json.decode(series) if series else []
        return any(name in self.names and value == self.entity for name, value in zip(by, values, strict=False))
