"""The attribute of Gainsight PX or the table row that an entity should have after a firing. Pure.

For each action and entity, the ledger keeps the newest wanted state, written in the transaction of the evaluation. A
delivery sends the states that differ from what it sent last, so an older value never follows a newer one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec

from tallybook.config import filled_template, only_field
from tallybook.core import DELETE_ROW, ENTER, LEAVE, MARK_ROW, TO_PX, RuleAction
from tallybook.storage import Firing, Transaction, want_in


class WantedStates:
    """The wanted states of the actions of one evaluation, by delivery and entity."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.found: dict[str, dict[str, str]] = {}

    def add(self, delivery: str, action: RuleAction, firing: Firing) -> None:
        """Add the wanted state of an action after a firing. Later firings replace earlier ones."""
        made = px_attribute(action, firing) if action.to == TO_PX else table_row(action, firing, self.number)
        if made is not None:
            self.found.setdefault(delivery, {})[firing.entity] = msgspec.json.encode(made).decode()

    def writes(self) -> list[Callable[[Transaction], None]]:
        """Functions that write the wanted states in the transaction of the evaluation."""
        return [partial(_want, name=name, wanted=several, number=self.number) for name, several in self.found.items()]


def _want(db: Transaction, *, name: str, wanted: Mapping[str, str], number: int) -> None:
    want_in(db, name, list(wanted.items()), number=number)


def px_attribute(action: RuleAction, firing: Firing) -> dict[str, Any] | None:
    """The attribute after a firing. None if the action does not apply to this edge, or if its value is unknown."""
    if action.on == firing.edge:
        value = action.options.get("value", True)
    elif firing.edge == LEAVE and "leave" in action.options:
        value = action.options["leave"]
    else:
        return None
    filled = filled_value(value, firing.values)
    if filled is None:
        return None
    return {"entity": firing.entity, "attribute": action.options["attribute"], "value": filled}


def filled_value(value: Any, values: Mapping[str, Any]) -> Any:
    """A value with the attribute names in braces replaced. If the value is a single name, the result has the type of
    that attribute, or is None if it is unknown."""
    if not isinstance(value, str):
        return value
    known = {name.casefold(): one for name, one in values.items()}
    if (single := only_field(value)) is not None:
        return known.get(single.casefold())
    return filled_template(value, lambda name: _text(known.get(name)))


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def table_row(action: RuleAction, firing: Firing, number: int) -> dict[str, Any] | None:
    """The table row after a firing. None if the action does not apply to this edge."""
    leave = action.options.get("leave")
    if action.on != firing.edge and not (firing.edge == LEAVE and leave in (MARK_ROW, DELETE_ROW)):
        return None
    if firing.edge == LEAVE and leave == DELETE_ROW:
        return {"rule": firing.rule, "entity": firing.entity, "number": number, "gone": True}
    return {
        "rule": firing.rule,
        "kind": firing.kind.removesuffix("s"),
        "entity": firing.entity,
        "state": "inside" if firing.edge == ENTER else "left",
        "at": firing.at,
        "day": str(firing.day),
        "number": number,
        "attributes": dict(firing.values),
    }
