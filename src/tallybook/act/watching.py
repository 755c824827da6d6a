"""Evaluates the rules of users and accounts soon after they change, while a server runs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tallybook.act.evaluate import COMMITS
from tallybook.core import Busy, RulesReport
from tallybook.storage import EntityLedger

if TYPE_CHECKING:
    from tallybook.act.rules import Rules

QUIET_CHECK = timedelta(minutes=1)
"""How often to check the ledger for firings whose quiet hours are over."""


class RuleWatch:
    """Evaluates rules for changed users and accounts. Remembers, by kind, the last commit of users and accounts that
    the rules have seen, starting from the last evaluation in the ledger."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.seen: dict[str, int] | None = None
        self.checked: datetime | None = None

    def step(self) -> list[RulesReport]:
        """Evaluate the rules for entities that changed since the last step, and fire what waited for the end of quiet
        hours. If another process is evaluating, the next step covers the changes."""
        reader, catalog = self.rules.service.reader, self.rules.catalog
        if not catalog.rules or not reader.has_book:
            return []
        ledger = EntityLedger(reader.store.ledger)
        number = ledger.number()
        if self.seen is None:
            self.seen = self.first_seen(number)
        done: list[RulesReport] = []
        for kind in sorted({rule.kind for rule in catalog.rules.values()} & set(catalog.entities)):
            since = self.seen.get(kind, number)
            if number == since:
                continue
            ids = [one.id for one in ledger.changed(kind, since).entities]
            try:
                done += [self.rules.touch(kind, ids, commit=number)] if ids else []
            except Busy:
                return done
            self.seen[kind] = number
        return done + self.after_quiet_hours()

    def first_seen(self, number: int) -> dict[str, int]:
        """By kind, the last commit that earlier evaluations have seen."""
        known = self.rules.evaluator.ledger.last_report().get(COMMITS, {})
        return {kind: int(known.get(kind, number)) for kind in self.rules.catalog.entities}

    def after_quiet_hours(self) -> list[RulesReport]:
        """Fire what waited for the end of quiet hours, at most once per `QUIET_CHECK`."""
        now = self.rules.clock()
        if self.checked is not None and now - self.checked < QUIET_CHECK:
            return []
        self.checked = now
        return self.rules.after_quiet_hours()
