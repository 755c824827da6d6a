"""In-app messages: which messages a user is shown, based on the firings of rules, and how the user reacted.

A message that is dismissed in one browser is dismissed in every browser, because the ledger keeps it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tallybook.act.people import People
from tallybook.config import filled_template
from tallybook.core import ACCOUNTS, ENTER, TO_MESSAGE, USERS, Catalog, InAppMessage, QueryError, Rule
from tallybook.storage import Firing, MessageLedger, MessageState, RuleLedger

SHOWN, CLICKED, DISMISSED = "shown", "clicked", "dismissed"
REACTIONS = (SHOWN, CLICKED, DISMISSED)
_ID = re.compile(r"([A-Za-z_]\w*)\.(\d{1,15})\.([A-Za-z_]\w*)")


@dataclass(frozen=True, kw_only=True)
class Viewer:
    """The person who uses the product, as identified by a signed identity."""

    user: str | None = None
    account: str | None = None

    @property
    def name(self) -> str:
        """The name under which views are counted: the user, or the account if no user is given."""
        return f"u:{self.user}" if self.user is not None else f"a:{self.account}"

    def entity_of(self, kind: str) -> str | None:
        """The id of the viewer for rules of the given kind, or None."""
        return {USERS: self.user, ACCOUNTS: self.account}.get(kind)


@dataclass(frozen=True)
class Engagements:
    """The in-app messages of a book."""

    catalog: Catalog
    ledger: RuleLedger
    clock: Callable[[], datetime]

    @property
    def shown(self) -> MessageLedger:
        return MessageLedger(self.ledger.ledger)

    def messages(self, viewer: Viewer) -> list[dict[str, Any]]:
        """The messages to show to a viewer now. Rules with a high priority come first."""
        found = []
        names = self.names(viewer)
        for firing, rule in self.current(viewer):
            states = self.shown.message_states(rule.name, firing.entity, names, firing.number)
            for message in messages_of(self.catalog, rule):
                if is_due(message, states.get(message.name)):
                    found.append(shown_message(message, firing))
        return found

    def names(self, viewer: Viewer) -> list[str]:
        """The names under which a viewer's views were counted, including those of ids linked to the user."""
        if viewer.user is None:
            return [viewer.name]
        return [f"u:{id_}" for id_ in People.of(self.ledger, USERS, [viewer.user]).every_id([viewer.user])]

    def current(self, viewer: Viewer) -> list[tuple[Firing, Rule]]:
        """The firings of rules that the viewer's user or account is still inside."""
        found: list[tuple[Firing, Rule]] = []
        for kind in (USERS, ACCOUNTS):
            entity = viewer.entity_of(kind)
            rules = {r.name: r for r in self.catalog.rules.values() if r.kind == kind and messages_of(self.catalog, r)}
            if entity is None or not rules:
                continue
            people = People.of(self.ledger, kind, [entity])
            last = people.inside(people.firings(self.ledger, kind, [entity]))
            found += [(one, rules[name]) for name, one in last.items() if name in rules and not rules[name].draft]
        order = list(self.catalog.rules)
        return sorted(found, key=lambda one: (-(one[1].priority or 0), order.index(one[1].name)))

    def react(self, viewer: Viewer, id_: str, what: str) -> None:
        """Record that a viewer has seen, clicked or dismissed a message. Raises QueryError for a message that the
        viewer was not shown."""
        found = _ID.fullmatch(id_)
        if found is None or what not in REACTIONS:
            raise QueryError("this is no message, or nothing that can happen to one", hint=", ".join(REACTIONS))
        rule, number, message = found[1], int(found[2]), found[3]
        for firing, one in self.current(viewer):
            named = [each.name for each in messages_of(self.catalog, one)]
            if one.name == rule and firing.number == number and message in named:
                self.shown.note_message(
                    MessageState(message=message, rule=rule, entity=firing.entity, viewer=viewer.name, number=number),
                    what,
                    now=self.clock(),
                )
                return
        raise QueryError("there is no such message for this user", hint="GET /v1/engagements")


def messages_of(catalog: Catalog, rule: Rule) -> list[InAppMessage]:
    """The messages that a rule shows when an entity enters."""
    names = [one.options.get("message") for one in rule.then if one.to == TO_MESSAGE and one.on == ENTER]
    return [catalog.messages[name] for name in names if name in catalog.messages]


def is_due(message: InAppMessage, state: MessageState | None) -> bool:
    """Whether to show a message to a viewer in the given state."""
    if state is None or message.show == "always":
        return True
    return state.shown is None if message.show == "once" else state.dismissed is None


def shown_message(message: InAppMessage, firing: Firing) -> dict[str, Any]:
    """A message filled with the values that its rule fired with. The values are plain text; the page escapes them."""
    values = {name.casefold(): value for name, value in firing.values.items()} | {"id": firing.entity}
    return {
        "id": f"{firing.rule}.{firing.number}.{message.name}",
        "kind": message.kind,
        "title": filled(message.title, values),
        "text": filled(message.text, values),
        "link": filled_link(message.link, values) if message.link else None,
        "link_text": filled(message.link_text, values),
        "show": message.show,
    }


def filled(text: str, values: Mapping[str, Any]) -> str:
    """The text with its fields replaced by values. Empty values are left out."""
    return filled_template(text, lambda name: _plain(values.get(name)))


def filled_link(link: str, values: Mapping[str, Any]) -> str:
    """The address with its fields replaced by URL-encoded values."""
    from urllib.parse import quote

    return filled_template(link, lambda name: quote(_plain(values.get(name)), safe=""))


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.2f}".rstrip("0").rstrip(".")
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
