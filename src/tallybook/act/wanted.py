"""What an attribute of Gainsight PX, or a row of a table, is to be after a firing. Pure.

The ledger keeps the newest for each action and entity, written in the transaction of the evaluation. Deliveries send
what differs from what was sent last, so that an older value never follows a newer one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec

from tallybook.core import DELETE_ROW, ENTER, LEAVE, MARK_ROW, TO_PX, RuleAction
from tallybook.storage import Firing, Transaction, want_in

_FIELD = re.compile(r"\{(\w+)\}")


class WantedStates:
    """What the actions of one evaluation want, by delivery and entity."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.found: dict[str, dict[str, str]] = {}

    def add(self, delivery: str, action: RuleAction, firing: Firing) -> None:
        """Add what an action wants after a firing. Later firings replace earlier ones."""
        made = px_attribute(action, firing) if action.to == TO_PX else table_row(action, firing, self.number)
        if made is not None:
            self.found.setdefault(delivery, {})[firing.entity] = msgspec.json.encode(made).decode()

    def writes(self) -> list[Callable[[Transaction], None]]:
        """What happens in the transaction of the evaluation."""
        return [partial(_want, name=name, wanted=several, number=self.number) for name, several in self.found.items()]


def _want(db: Transaction, *, name: str, wanted: Mapping[str, str], number: int) -> None:
    want_in(db, name, list(wanted.items()), number=number)


def px_attribute(action: RuleAction, firing: Firing) -> dict[str, Any] | None:
    """The attribute after a firing; None where the action says nothing about this edge, or its value is not known."""
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
    """A value with the attributes that it names in braces. A single name has the type of its attribute; None where it
    is not known."""
    if not isinstance(value, str):
        return value
    known = {name.casefold(): one for name, one in values.items()}
    if single := _FIELD.fullmatch(value):
        return known.get(single[1].casefold())
    return _FIELD.sub(lambda found: _text(known.get(found[1].casefold())), value)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def table_row(action: RuleAction, firing: Firing, number: int) -> dict[str, Any] | None:
    """The row after a firing; None where the action says nothing about this edge."""
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
