"""The actions of a firing, as outbox items added in the transaction of the evaluation. An item has the key of its
firing, so each firing is in the outbox once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from tallybook.act.caps import RULE_CHANGED, Decisions
from tallybook.act.wanted import WantedStates
from tallybook.core import TO_MESSAGE, TO_PX, TO_TABLE, Catalog
from tallybook.deliver import FIRING, ActionNames, destination_of
from tallybook.query import BookReader
from tallybook.storage import Firing, OutboxItem, RulesCommit, item_key, keep_actions, put_in


class Enqueuing:
    """Adds items for firings to the commit of an evaluation."""

    def __init__(self, catalog: Catalog, reader: BookReader) -> None:
        self.catalog, self.reader = catalog, reader

    def __call__(self, decisions: Decisions, change: RulesCommit, number: int, now: datetime) -> None:
        names = ActionNames.of(self.reader.store.ledger)
        actions = names.actions(self.catalog)
        items: dict[str, list[OutboxItem]] = {}
        states = WantedStates(number)
        for firing in decisions.restored:
            for name, action in actions[firing.rule]:
                if action.to in (TO_PX, TO_TABLE):
                    states.add(name, action, firing)
        for firing in decisions.done:
            for name, action in actions[firing.rule]:
                if action.to in (TO_PX, TO_TABLE):
                    states.add(name, action, firing)
                elif firing.why == RULE_CHANGED or action.to == TO_MESSAGE:
                    continue
                elif action.on == firing.edge and destination_of(action) is not None:
                    items.setdefault(name, []).append(outbox_item(firing, firing.number or number))
        change.also += states.writes()
        change.also += [partial(_put, name=name, items=several, now=now) for name, several in items.items()]
        if kept := names.to_keep(pair for several in actions.values() for pair in several):
            change.also.append(partial(keep_actions, actions=kept, now=now))


def outbox_item(firing: Firing, number: int) -> OutboxItem:
    """The outbox item of a firing, with the body that a webhook receives as `data`."""
    day = str(firing.day)
    body: dict[str, Any] = {
        "rule": firing.rule,
        "kind": firing.kind.removesuffix("s"),
        "entity": firing.entity,
        "edge": firing.edge,
        "at": firing.at,
        "day": day,
        "text": firing_text(firing),
        "values": dict(firing.values),
    }
    key = item_key(FIRING, firing.rule, day, firing.entity, f"{firing.edge} {number}")
    return OutboxItem(key, day, msgspec.json.encode(body).decode())


def firing_text(firing: Firing) -> str:
    """The text of a firing in one line, for chats."""
    done = "entered" if firing.edge == "enter" else "left"
    values: Mapping[str, Any] = firing.values
    listed = ", ".join(f"{name} = {value}" for name, value in values.items())
    return f"{firing.kind.removesuffix('s')} {firing.entity} {done} {firing.rule}" + (f": {listed}" if listed else "")


def _put(db: Any, *, name: str, items: Sequence[OutboxItem], now: datetime) -> None:
    put_in(db, name, items, now=now)
