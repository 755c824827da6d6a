"""Evaluates the rules of users and accounts soon after they change, while a server runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallybook.act.evaluate import COMMIT
from tallybook.core import Busy, RulesReport
from tallybook.storage import EntityLedger

if TYPE_CHECKING:
    from tallybook.act.rules import Rules


class RuleWatch:
    """Remembers up to which commit of users and accounts the rules have seen. It begins with that of the last
    evaluation."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.seen: int | None = None

    def step(self) -> list[RulesReport]:
        """Evaluate the rules for those who changed since the last step. While another process evaluates, the next step
        sees them."""
        reader, catalog = self.rules.service.reader, self.rules.catalog
        if not catalog.rules or not reader.there:
            return []
        ledger = EntityLedger(reader.store.ledger)
        number = ledger.number()
        if self.seen is None:
            self.seen = int(self.rules.evaluator.ledger.last_report().get(COMMIT, number))
        if number == self.seen:
            return []
        done = []
        for kind in {rule.kind for rule in catalog.rules.values()} & set(catalog.entities):
            ids = [one.id for one in ledger.changed(kind, self.seen).entities]
            if ids:
                try:
                    done.append(self.rules.touch(kind, ids))
                except Busy:
                    return done
        self.seen = number
        return done
