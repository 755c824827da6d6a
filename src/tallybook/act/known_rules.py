"""Whether a rule is the one that was evaluated before. The ledger keeps two hashes of each rule: of its condition, and
of the definitions of the metrics that the condition names.

A rule with another condition is a new rule. With other metrics it begins again: a value that is another one because it
is computed in another way is no edge."""

from __future__ import annotations

import hashlib

import msgspec

from tallybook.act.stepping import RuleNames
from tallybook.core import SUBJECT_BOOK, Catalog, Rule
from tallybook.storage import KnownRule

NEW, RESTARTED, KNOWN = "new", "restarted", "known"


def written_definition(catalog: Catalog, rule: Rule, names: RuleNames) -> str:
    """What the ledger keeps of a rule: the hash of its condition, and that of its metrics where it names some."""
    meanings = _meanings(catalog, rule, names)
    if not meanings:
        return rule.definition
    digest = hashlib.sha256(msgspec.json.encode(meanings)).hexdigest()[:16]
    return f"{rule.definition}:{digest}"


def is_condition_of(rule: Rule, written: str) -> bool:
    """Whether what the ledger keeps is of the condition that the rule has."""
    return written.partition(":")[0] == rule.definition


def stage_of(rule: Rule, known: KnownRule | None, definition: str) -> str:
    """Whether a rule is new, begins again, or is the one that was evaluated before. Ledgers of before know only its
    condition."""
    if known is None or known.kind != rule.kind or not is_condition_of(rule, known.definition):
        return NEW
    return KNOWN if known.definition in (definition, rule.definition) else RESTARTED


def _meanings(catalog: Catalog, rule: Rule, names: RuleNames) -> list[tuple[str, object, str]]:
    """(attribute, how it is declared, definition of its metric) of each metric that the condition names."""
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
