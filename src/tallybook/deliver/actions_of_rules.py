"""Turns the actions of rules into deliveries, one per action.

For webhooks and chats, rules put items into the outbox. For an attribute of Gainsight PX and for a table, rules keep
the wanted state of each entity, and the delivery sends the states that differ from what it sent last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from tallybook.core import TO_PX, TO_TABLE, Catalog, Delivery, Rule, RuleAction
from tallybook.storage import NumberedAction, RuleActions, SqlLedger

CHAT_TEXTS = {"discord.com": "content", "discordapp.com": "content"}
"""The key under which a chat webhook takes the text, by host; `text` for other hosts."""
WEB_SCHEMES = ("https://", "http://")
FIRING = "firing"
"""The kind of an item that reports the firing of a rule."""
RULES = "rules."
"""Prefix of the names of these deliveries. Names of declared deliveries have no dot."""
RULE_TABLE = "rule_table"


def is_of_rules(delivery: Delivery) -> bool:
    """Whether a delivery is an action of a rule."""
    return delivery.name.startswith(RULES)


def rule_of_delivery(name: str) -> str | None:
    """The rule whose action a delivery is."""
    return name.removeprefix(RULES).rpartition(".")[0] if name.startswith(RULES) else None


@dataclass(frozen=True)
class ActionNames:
    """The names of the deliveries of actions. `known`: by name, those that the ledger has.

    An action keeps its name while others are added, removed or moved. Else a firing that waits for one receiver would
    be sent to another one that has it already."""

    known: Mapping[str, NumberedAction]

    @classmethod
    def of(cls, ledger: SqlLedger) -> ActionNames:
        return cls({one.delivery: one for one in RuleActions(ledger).known()})

    def actions(self, catalog: Catalog) -> dict[str, list[tuple[str, RuleAction]]]:
        """By rule, (name of its delivery, action) of each action, in the order of `then`."""
        return {rule.name: list(zip(self.of_rule(rule), rule.then, strict=True)) for rule in catalog.rules.values()}

    def of_rule(self, rule: Rule) -> list[str]:
        """The name of the delivery of each action, in the order of `then`."""
        prefix = f"{RULES}{rule.name}."
        free = {name: one for name, one in self.known.items() if rule_of_delivery(name) == rule.name}
        found: dict[int, str] = {}

        def take(place: int, fitting: Iterable[str]) -> None:
            name = min(fitting, key=lambda one: (len(one), one), default=None)
            if name is not None and place not in found:
                found[place] = name
                del free[name]

        for place, action in enumerate(rule.then):
            take(place, [name for name, one in free.items() if one.action == action.identity])
        for place, action in enumerate(rule.then):  # one that was edited
            if place not in found:
                alike = f"{action.kind_and_edge} "
                take(place, [n for n, one in free.items() if one.action.startswith(alike) and not one.is_gone])
        number = 0
        for place in range(len(rule.then)):
            if place not in found:
                while f"{prefix}{number}" in self.known:
                    number += 1
                found[place] = f"{prefix}{number}"
                number += 1
        return [found[place] for place in range(len(rule.then))]

    def to_keep(self, declared: Iterable[tuple[str, RuleAction]]) -> list[NumberedAction]:
        """What the ledger does not know yet: actions that are new, edited, or no longer declared."""
        now = {name: NumberedAction(delivery=name, action=action.identity) for name, action in declared}
        gone = {name: replace(one, is_gone=True) for name, one in self.known.items() if name not in now}
        return [one for name, one in {**now, **gone}.items() if one != self.known.get(name)]


def rule_deliveries(catalog: Catalog, ledger: SqlLedger) -> dict[str, Delivery]:
    """The deliveries of all actions that send something, by name."""
    if not any(rule.then for rule in catalog.rules.values()):
        return {}
    found = {}
    for rule, actions in ActionNames.of(ledger).actions(catalog).items():
        for name, action in actions:
            if (kind := destination_of(action)) is not None:
                options = _options(catalog.rules[rule], action)
                found[name] = Delivery(name=name, to=kind, metrics=(), options=options)
    return found


def destination_of(action: RuleAction) -> str | None:
    """The destination of an action, or None if the action sends nothing."""
    if action.to in ("mail", "chat"):
        return "webhook" if action.options["address"].startswith(WEB_SCHEMES) else "notification"
    if action.to == TO_TABLE:
        return RULE_TABLE
    return action.to if action.to in ("webhook", TO_PX) else None


def _options(rule: Rule, action: RuleAction) -> dict[str, object]:
    if action.to == TO_PX:
        known = {key: one for key, one in action.options.items() if key not in ("attribute", "value", "leave")}
        return known | {"for": rule.for_, "attributes": {rule.name: action.options["attribute"]}}
    if action.to == TO_TABLE:
        return {"url": action.options["url"], "table": action.options["table"]}
    if action.to in ("mail", "chat"):
        address = action.options["address"]
        if not address.startswith(WEB_SCHEMES):
            return {"address": address}
        host = address.split("//", 1)[1].split("/", 1)[0].split("@")[-1].split(":")[0].lower()
        return {"url": address, "body": f'{{"{CHAT_TEXTS.get(host, "text")}": "{{text}}"}}'}
    return dict(action.options)
