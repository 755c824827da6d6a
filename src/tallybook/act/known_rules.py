"""Compares a rule with the one that was evaluated before. The ledger keeps two hashes of each rule: one of its
condition, and one of the definitions of the metrics in the condition.

A rule whose condition changed is a new rule. A rule whose metrics changed restarts, because a value that differs only
in how it is computed is not an edge."""

from __future__ import annotations

import hashlib

import msgspec

from tallybook.act.stepping import RuleNames
from tallybook.core import SUBJECT_BOOK, Catalog, Rule
from tallybook.storage import KnownRule

NEW, RESTARTED, KNOWN = "new", "restarted", "known"


def written_definition(catalog: Catalog, rule: Rule, names: RuleNames) -> str:
    """What the ledger stores for a rule: the hash of its condition, followed by the hash of its metrics if the
    condition names any."""
    meanings = _meanings(catalog, rule, names)
    if not meanings:
        return rule.definition
    digest = hashlib.sha256(msgspec.json.encode(meanings)).hexdigest()[:16]
    return f"{rule.definition}:{digest}"


def is_condition_of(rule: Rule, written: str) -> bool:
    """Whether the stored definition has the current condition of the rule."""
    return written.partition(":")[0] == rule.definition


def stage_of(rule: Rule, known: KnownRule | None, definition: str) -> str:
    """Whether a rule is new, restarts, or is unchanged since the last evaluation. Older ledgers store only the hash of
    the condition."""
    if known is None or known.kind != rule.kind or not is_condition_of(rule, known.definition):
        return NEW
    return KNOWN if known.definition in (definition, rule.definition) else RESTARTED


def _meanings(catalog: Catalog, rule: Rule, names: RuleNames) -> list[tuple[str, object, str]]:
    """(attribute, its declaration, definition of its metric) for each metric that the condition names."""
    zone = catalog.book.timezone
    if rule.kind == SUBJECT_BOOK:
        found = {name: None for name in catalog.metrics if name.casefold() in names.conditions}
        return [(name, None, catalog.metrics[name].fingerprint(zone, {})) for name in sorted(found)]
    settings = catalog.entities.get(rule.kind)
    declared = settings.metrics if settings else {}
    return [
        (name, msgspec.to_builtins(one), catalog.metrics[one.metric].fingerprint(zone, {}))
        for name, one in sorted(declared.items())
        if name.casefold() in names.conditions and one.metric in catalog.metrics
    ]
