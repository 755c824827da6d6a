"""Where the actions of rules are sent: each action is a delivery of its own.

Rules put the items of webhooks and chats into the outbox. For an attribute of Gainsight PX and for a table they keep
what each entity is to have, and the delivery sends what differs from what was sent last."""

from __future__ import annotations

from tallybook.core import TO_PX, TO_TABLE, Catalog, Delivery, Rule, RuleAction

CHAT_TEXTS = {"discord.com": "content", "discordapp.com": "content"}
"""The key of the text, by the host of a chat's webhook; else `text`."""
WEB_SCHEMES = ("https://", "http://")
FIRING = "firing"
"""The kind of an item that says that a rule has fired."""
RULES = "rules."
"""Begins the names of these deliveries. The name of a declared one has no dot."""
RULE_TABLE = "rule_table"


def rule_delivery(rule: Rule, place: int) -> str:
    """The name of the delivery of an action, by its place in `then`."""
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
    """The destination of an action; None for one that sends nothing."""
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
