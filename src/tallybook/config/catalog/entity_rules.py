"""Reads and checks `[rules.NAME]` and `[messages.NAME]`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tallybook.config.catalog.action_checks import RuleReceivers, claims_of_deliveries, claims_of_rule
from tallybook.config.catalog.asking import Asking
from tallybook.config.catalog.keys import MESSAGE_KEYS, RULE_KEYS
from tallybook.config.catalog.tables import named_tables, read_section
from tallybook.config.catalog.templates import template_fields
from tallybook.config.catalog.words import closest_key, toml
from tallybook.config.condition_parsing import names_in
from tallybook.config.conditions import ANY, ConditionColumn, compile_condition
from tallybook.config.overlaps import common_example
from tallybook.core import (
    NUMBER_VALUE,
    SUBJECT_BOOK,
    TEXT_VALUE,
    TO_MESSAGE,
    USERS,
    Catalog,
    EntitySettings,
    InAppMessage,
    Problems,
    QueryError,
    Rule,
)


@dataclass(frozen=True)
class DeclaredRule:
    """A rule while it is read: its valid values, its keys as given, and the keys with a problem."""

    rule: Rule
    path: str
    given: Mapping[str, object]
    bad: set[str]


def read_acting(
    raw: Mapping[str, object],
    catalog: Catalog,
    metrics: Iterable[str],
    entities: Mapping[str, EntitySettings],
    problems: Problems,
) -> dict[str, Any]:
    """Read and check the rules and messages."""
    messages = read_messages(raw, problems)
    rules = EntityRules(catalog, metrics, problems, entities, messages).checked(read_rules(raw, problems))
    return {"rules": rules, "messages": messages}


def read_rules(raw: Mapping[str, object], problems: Problems) -> dict[str, DeclaredRule]:
    """Read every `[rules.NAME]`. Attributes and metrics are not checked yet."""
    found = {}
    for name, keys in named_tables(raw, "rules", problems):
        table = read_section(keys, RULE_KEYS, f"rules.{name}", problems)
        found[name] = DeclaredRule(Rule(name=name, **table.values), table.path, table.given, table.bad)
    return found


def read_messages(raw: Mapping[str, object], problems: Problems) -> dict[str, InAppMessage]:
    """Read every `[messages.NAME]`."""
    found = {}
    for name, keys in named_tables(raw, "messages", problems):
        table = read_section(keys, MESSAGE_KEYS, f"messages.{name}", problems)
        if not {"title", "text"} & {*table.given, *table.bad}:
            paste, path = f"text = {MESSAGE_KEYS['text'].example}", f"messages.{name}.text"
            problems.add(path, "a message needs a text", seen="nothing", expected="title or text", paste=paste)
        found[name] = InAppMessage(name=name, **table.values)
    return found


@dataclass
class EntityRules(Asking):
    """All rules, checked against the attributes, the metrics and the messages."""

    entities: Mapping[str, EntitySettings]
    messages: Mapping[str, InAppMessage]

    def checked(self, declared: Mapping[str, DeclaredRule]) -> dict[str, Rule]:
        """The rules. Reports unknown names, types that cannot be compared, and missing keys."""
        for d in declared.values():
            if "for" in d.bad:
                continue
            self.needs(d, "when", "a rule needs a condition", RULE_KEYS["when"])
            if not d.rule.draft:
                self.needs(d, "then", "a rule needs something to do", RULE_KEYS["then"])
            if self.check_subject(d):
                self.check_conditions(d)
                self.check_zone(d)
                self.check_messages(d)
                RuleReceivers(self, d).check()
        self.check_claims(declared)
        return {name: d.rule for name, d in declared.items()}

    def check_subject(self, d: DeclaredRule) -> bool:
        """Whether the subject of the rule is declared. Reports it if not."""
        kind = d.rule.kind
        if kind == SUBJECT_BOOK or kind in self.entities:
            return True
        paste = f'[{kind}]\ntable = "{kind}"\nattributes = ["name"]'
        self.report(
            d, "for", f"there is no [{kind}]", expected=f"[{kind}] in the file, or another subject", paste=paste
        )
        return False

    def columns(self, kind: str) -> dict[str, ConditionColumn]:
        """The names that a condition may use. The types of attributes are unknown before their first values."""
        if kind == SUBJECT_BOOK:
            return {name: ConditionColumn(sql="x", type=NUMBER_VALUE) for name in self.metrics}
        own = self.entities[kind]
        found = {"id": ConditionColumn(sql="x", type=TEXT_VALUE)}
        if kind == USERS and own.account:
            found["account"] = ConditionColumn(sql="x", type=TEXT_VALUE)
        found |= {name: ConditionColumn(sql="x", type=ANY) for name in own.attributes}
        return found | {name: ConditionColumn(sql="x", type=NUMBER_VALUE) for name in own.metrics}

    def check_conditions(self, d: DeclaredRule) -> None:
        """Report conditions that cannot be evaluated, and a `leave` that can be true together with `when`."""
        given = {key: text for key in ("when", "leave") if key not in d.bad and (text := getattr(d.rule, key))}
        fine = [self.check_condition(d, key, text) for key, text in given.items()]
        if len(given) == 2 and all(fine) and (example := common_example(given["when"], given["leave"])) is not None:
            seen = ", ".join(f"{name} = {_shown(value)}" for name, value in example.items())
            message = f"leave and when are both true for {seen}: such an entity would enter and leave at once"
            self.report(d, "leave", message, expected="a condition that is false wherever when is true")

    def check_condition(self, d: DeclaredRule, key: str, text: str) -> bool:
        declared = self.columns(d.rule.kind)
        columns, folded = dict(declared), {one.casefold() for one in declared}
        try:
            named = names_in(text)
            for name in named.attributes:
                if name not in folded and self.is_perhaps_pushed(d, name, declared):
                    columns[name] = ConditionColumn(sql="x", type=ANY)
            compile_condition(text, columns, now="x", earlier=lambda name, span: columns[name])
        except QueryError as error:
            self.report(d, key, error.message, expected=error.hint)
            return False
        if not named.lasts and d.rule.hold and key == "when":
            message = "changed and crossed are true for one evaluation only, so nothing can hold"
            self.report(d, "hold", message, expected="without this line")
        return True

    def is_perhaps_pushed(self, d: DeclaredRule, name: str, columns: Mapping[str, object]) -> bool:
        """Whether a name may be a pushed attribute: no declared name is similar. `check` also looks it up in the
        book."""
        return d.rule.kind != SUBJECT_BOOK and closest_key(name, columns) is None

    def check_zone(self, d: DeclaredRule) -> None:
        if d.rule.quiet_zone and not d.rule.quiet and "quiet" not in d.bad:
            message, paste = "quiet_zone needs quiet", f"quiet = {RULE_KEYS['quiet'].example}"
            self.report(d, "quiet_zone", message, expected="quiet too", paste=paste)
        elif d.rule.quiet_zone:
            self.check_field(d, "quiet_zone", d.rule.quiet_zone, "attribute")

    def check_messages(self, d: DeclaredRule) -> None:
        """Report unknown messages, and messages with unknown fields."""
        for action in d.rule.then:
            if action.to != TO_MESSAGE:
                continue
            name = action.options.get("message", "")
            message = self.messages.get(name)
            if d.rule.kind == SUBJECT_BOOK:
                self.report(d, "then", "a message is shown to users, and this rule is for the book", seen=name)
            elif message is None:
                meant = closest_key(name, tuple(self.messages))
                hint = f"did you mean {meant!r}?" if meant else ""
                expected = ", ".join(self.messages) or f"[messages.{name}]"
                text = f"there is no message {name!r}"
                self.report(d, "then", text, seen=f"message = {toml(name)}", expected=expected, hint=hint)
            else:
                for field in fields_of(message):
                    self.check_field(d, "then", field, f"field {{{field}}} of [messages.{name}]")

    def check_claims(self, declared: Mapping[str, DeclaredRule]) -> None:
        """Report values that two actions, or an action and a delivery, would both write."""
        taken = dict(claims_of_deliveries(self.catalog))
        for d in declared.values():
            for what in claims_of_rule(d.rule):
                owner = f"[rules.{d.rule.name}]"
                if what in taken:
                    message = f"{taken[what]} already writes {what.partition(' ')[2]}"
                    expected = "one action for each attribute; its leave = … is the value for those who leave"
                    self.report(d, "then", message, expected=expected)
                taken.setdefault(what, owner)

    def check_field(self, d: DeclaredRule, key: str, name: str, what: str) -> None:
        columns = self.columns(d.rule.kind)
        if name.casefold() in {one.casefold() for one in columns} or self.is_perhaps_pushed(d, name, columns):
            return
        meant = closest_key(name, tuple(columns))
        hint = f"did you mean {meant!r}?" if meant else ""
        self.report(d, key, f"{name!r} is not an attribute ({what})", seen=name, expected=", ".join(columns), hint=hint)


def fields_of(message: InAppMessage) -> Iterator[str]:
    """The attributes used in the texts of a message."""
    for text in (message.title, message.text, message.link or "", message.link_text):
        yield from template_fields(text)


def _shown(value: Any) -> str:
    from fractions import Fraction

    if isinstance(value, Fraction):
        return f"{float(value):g}"
    return "null" if value is None else repr(value)
