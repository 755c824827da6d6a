"""Checks of rule actions that set attributes of Gainsight PX or write a table. Problems have lines to paste."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tallybook.config.catalog.templates import only_field, template_fields
from tallybook.config.catalog.words import toml
from tallybook.core import SUBJECT_BOOK, TO_PX, TO_TABLE, Catalog, Rule, RuleAction

if TYPE_CHECKING:
    from tallybook.config.catalog.entity_rules import DeclaredRule, EntityRules

DATABASES = ("postgresql", "postgres", "mysql", "mariadb", "sqlite")


class RuleReceivers:
    """Checks of the actions of one rule."""

    def __init__(self, rules: EntityRules, d: DeclaredRule) -> None:
        self.rules, self.d = rules, d

    def check(self) -> None:
        for action in self.d.rule.then:
            if action.to == TO_PX:
                self.check_px(action)
            elif action.to == TO_TABLE:
                self.check_table(action)

    def check_px(self, action: RuleAction) -> None:
        """Report an attribute for a rule of the book, values of two types, unknown names, and a missing product."""
        if self.d.rule.for_ == SUBJECT_BOOK:
            message = "an attribute of Gainsight PX is of a user or an account, and this rule is for the book"
            self.report(message, expected='for = "account" or for = "user"', paste='for = "account"')
        sent = [action.options.get("value", True), *_given(action, "leave")]
        if len({_type(one) for one in sent} - {"any"}) > 1:
            message = f"an attribute has one type, and value = {toml(sent[0])}, leave = {toml(sent[1])} have two"
            self.report(message, expected="two flags, two numbers or two texts", paste=f"leave = {_like(sent[0])}")
        for one in sent:
            for name in template_fields(one):
                if self.d.rule.for_ != SUBJECT_BOOK:
                    self.rules.check_field(
                        self.d, "then", name, f"value of the attribute {action.options['attribute']}"
                    )
        if action.options.get("create") and not action.options.get("product"):
            message = "users and accounts are created with a product key"
            self.report(message, expected="the product key of PX", paste='product = "AP-XXXXXXXXXX-2"')

    def check_table(self, action: RuleAction) -> None:
        scheme = str(action.options["url"]).partition("://")[0].partition("+")[0]
        if scheme not in DATABASES:
            message = f"a table is in a database, and its url begins with {toml(scheme)}"
            self.report(message, expected="postgresql://…, mysql://… or sqlite:///…", paste='url = "${WAREHOUSE_URL}"')

    def report(self, message: str, **details: str) -> None:
        seen = ", ".join(f'to = "{action.to}"' for action in self.d.rule.then)
        self.rules.report(self.d, "then", message, seen=seen, **details)


def claims_of_rule(rule: Rule) -> Iterator[str]:
    """Identifiers of the attributes and rows that the actions of a rule write. Nothing else may write them."""
    for action in rule.then:
        if action.to == TO_PX:
            yield _px_claim(action.options["api"], rule.for_, action.options["attribute"])
        elif action.to == TO_TABLE:
            yield f"{action.options['url']} rows of {rule.name} in the table {action.options['table']}"


def claims_of_deliveries(catalog: Catalog) -> Iterator[tuple[str, str]]:
    """(identifier, name of the delivery) of each attribute that deliveries set."""
    for delivery in catalog.deliveries.values():
        attributes = delivery.options.get("attributes")
        if delivery.to == TO_PX and isinstance(attributes, dict):
            for theirs in attributes.values():
                what = _px_claim(delivery.options.get("api", ""), delivery.options.get("for", ""), theirs)
                yield what, f"[deliveries.{delivery.name}]"


def _px_claim(api: object, for_: object, attribute: str) -> str:
    return f"{api} {for_} attribute {attribute.casefold()}"


def _given(action: RuleAction, key: str) -> list[Any]:
    return [action.options[key]] if key in action.options else []


def _type(value: object) -> str:
    """The type of an attribute's value. A single name in braces can have any type."""
    if only_field(value) is not None:
        return "any"
    return "flag" if isinstance(value, bool) else "number" if isinstance(value, int | float) else "text"


def _like(value: object) -> str:
    """A value of the same type, to paste."""
    return {"flag": "false", "number": "0"}.get(_type(value), '"none"')
