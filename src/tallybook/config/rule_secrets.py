"""Reads the actions of [rules]. They contain addresses and signing secrets, so they are never cached."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import msgspec

from tallybook.config.catalog.values import Wrong
from tallybook.config.delivery_secrets import MIN_HIDDEN, texts_in
from tallybook.config.urls import HIDDEN, secrets_of_address
from tallybook.config.variables import Expansion
from tallybook.core import Problems, Rule, RuleAction

TARGET_KEYS = ("url", "address", "message", "api", "attribute", "table")
"""What makes two actions of one kind different."""
SECRET_KEYS = ("url", "address", "secrets", "key")
Actions = dict[str, tuple[RuleAction, ...]]


def rule_actions(declared: Mapping[str, object], variables: Mapping[str, str], secrets: dict[str, str]) -> Actions:
    """The actions of each rule whose actions can be read. Adds their addresses to the texts that must not be shown."""
    from tallybook.config.catalog.rule_values import read_actions

    found: Actions = {}
    for name, table in declared.items():
        if not isinstance(table, dict) or "then" not in table:
            continue
        expansion = Expansion(variables, Problems())
        value = expansion.value(table["then"], f"rules.{name}.then")
        for action in value if isinstance(value, list) else [value]:
            for key in SECRET_KEYS if isinstance(action, dict) else ():
                for text in texts_in(action.get(key)):  # type: ignore[union-attr]
                    secrets |= secrets_of_address(text, {}) if "://" in text else {text: HIDDEN}
        secrets |= {value: HIDDEN for value in expansion.used.values() if value and len(value) > MIN_HIDDEN}
        try:
            found[name] = _with_targets(read_actions(value), table["then"])
        except Wrong:
            continue  # the check of the file reports it
    return found


def _with_targets(actions: tuple[RuleAction, ...], written: object) -> tuple[RuleAction, ...]:
    """The actions, each with the hash of where to, as it is written."""
    several = written if isinstance(written, list) else [written]
    return tuple(
        msgspec.structs.replace(action, target=_target_of(one)) for action, one in zip(actions, several, strict=True)
    )


def _target_of(written: Mapping[str, object]) -> str:
    parts = [written.get(key) for key in TARGET_KEYS]
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:16]


def without_actions(rules: Mapping[str, Rule]) -> dict[str, Rule]:
    """The rules without their actions, for the cache."""
    return {name: msgspec.structs.replace(rule, then=()) for name, rule in rules.items()}


def with_actions(rules: Mapping[str, Rule], actions: Actions) -> dict[str, Rule]:
    """The rules with their actions."""
    return {name: msgspec.structs.replace(rule, then=actions.get(name, ())) for name, rule in rules.items()}
