"""Where the actions of rules are sent: each action is a delivery of its own, whose items rules put into the outbox."""

from __future__ import annotations

from tallybook.core import Catalog, Delivery, Rule, RuleAction

CHAT_TEXTS = {"discord.com": "content", "discordapp.com": "content"}
"""The key of the text, by the host of a chat's webhook; else `text`."""
WEB_SCHEMES = ("https://", "http://")


def rule_delivery(rule: Rule, place: int) -> str:
    """The name of the delivery of an action, by its place in `then`."""
    return f"rules.{rule.name}.{place}"


def rule_deliveries(catalog: Catalog) -> dict[str, Delivery]:
    """The deliveries of all actions that send something, by name."""
    found = {}
    for rule in catalog.rules.values():
        for place, action in enumerate(rule.then):
            kind = _destination(action)
            if kind is not None:
                name = rule_delivery(rule, place)
                found[name] = Delivery(name=name, to=kind, metrics=(), options=_options(action))
    return found


def _destination(action: RuleAction) -> str | None:
    """The destination of an action; None for one that sends nothing."""
    if action.to in ("mail", "chat"):
        return "webhook" if action.options["address"].startswith(WEB_SCHEMES) else "notification"
    return action.to if action.to in ("webhook", "gainsight_px") else None


def _options(action: RuleAction) -> dict[str, object]:
    if action.to in ("mail", "chat"):
        address = action.options["address"]
        if not address.startswith(WEB_SCHEMES):
            return {"address": address}
        host = address.split("//", 1)[1].split("/", 1)[0].split("@")[-1].split(":")[0].lower()
        return {"url": address, "body": f'{{"{CHAT_TEXTS.get(host, "text")}": "{{text}}"}}'}
    return dict(action.options)
