"""Turns the actions of rules into deliveries, one per action.

For webhooks and chats, rules put items into the outbox. For an attribute of Gainsight PX and for a table, rules keep
the wanted state of each entity, and the delivery sends the states that differ from what it sent last."""

from __future__ import annotations

from tallybook.core import TO_PX, TO_TABLE, Catalog, Delivery, Rule, RuleAction

CHAT_TEXTS = {"discord.com": "content", "discordapp.com": "content"}
"""The key under which a chat webhook takes the text, by host; `text` for other hosts."""
WEB_SCHEMES = ("https://", "http://")
FIRING = "firing"
"""The kind of an item that reports the firing of a rule."""
RULES = "rules."
"""Prefix of the names of these deliveries. Names of declared deliveries have no dot."""
RULE_TABLE = "rule_table"


def rule_delivery(rule: Rule, place: int) -> str:
    """The name of an action's delivery, by the action's position in `then`."""
    return f"{RULES}{rule.name}.{place}"


def is_of_rules(delivery: Delivery) -> bool:
    """Whether a delivery is an action of a rule."""
    return delivery.name.startswith(RULES)


def rule_deliveries(catalog: Catalog) -> dict[str, Delivery]:
    """The deliveries of all actions that send something, by name."""
    found = {}
    for rule in catalog.rules.values():
        for place, action in enumerate(rule.then):
            kind = _destination(action)
            if kind is not None:
                name = rule_delivery(rule, place)
                found[name] = Delivery(name=name, to=kind, metrics=(), options=_options(rule, action))
    return found


def _destination(action: RuleAction) -> str | None:
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
