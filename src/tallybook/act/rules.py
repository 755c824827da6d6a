"""The rules of a book as its users see them: list, show, try out, release, evaluate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime

from tallybook.act.actions import Enqueuing
from tallybook.act.evaluate import RuleEvaluator
from tallybook.act.messages import Engagements
from tallybook.act.people import People
from tallybook.act.results import RuleResults, rule_results
from tallybook.act.showing import InsideRules, RuleDetails, RuleLine, RuleOfEntity, Showing
from tallybook.act.trial import RuleTrial, try_rule
from tallybook.core import Busy, QueryError, Rule, RulesReport, TallybookError, did_you_mean, isolated
from tallybook.query import QueryService
from tallybook.storage import WAITING, Firing, stamp_of


class Rules:
    """The rules of a book."""

    def __init__(self, service: QueryService, clock: Callable[[], datetime]) -> None:
        self.service, self.clock = service, clock
        self.catalog = service.catalog

    @property
    def evaluator(self) -> RuleEvaluator:
        return RuleEvaluator(self.service, self.clock, Enqueuing(self.catalog, self.service.reader))

    def evaluate(self) -> RulesReport:
        """Evaluate all rules now. Raises Busy while another process does."""
        return self.evaluator.evaluate()

    def touch(self, kind: str, ids: Sequence[str], *, commit: int | None = None) -> RulesReport:
        """Evaluate the rules for the given users or accounts, and settle waiting firings. `commit`: these are all
        entities that changed up to this commit of users and accounts."""
        return self.evaluator.evaluate(kind=kind, ids=ids, commit=commit)

    def after_quiet_hours(self) -> list[RulesReport]:
        """Fire what waited for the end of quiet hours, for entities that are still inside. If another process is
        evaluating, the firings keep waiting."""
        waiting = self.evaluator.ledger.firings(state=WAITING) if self.service.reader.has_book else []
        now, done = stamp_of(self.clock()), []
        for kind in sorted({one.kind for one in waiting if one.due is not None and one.due <= now}):
            with suppress(Busy):
                done.append(self.touch(kind, []))
        return done

    @property
    def engagements(self) -> Engagements:
        """The in-app messages."""
        return Engagements(self.catalog, self.evaluator.ledger, self.clock)

    def list(self) -> list[RuleLine]:
        """Every rule, with how many entities are inside, how often it fired, and how many firings wait."""
        return Showing(self.evaluator).lines()

    def show(self, name: str) -> RuleDetails:
        """One rule with its latest firings and collisions."""
        return Showing(self.evaluator).details(self.known(name))

    def explain(self, name: str, entity: str) -> RuleOfEntity:
        """Explain why a rule fired or did not fire for one entity."""
        return Showing(self.evaluator).entity(self.known(name), entity)

    @property
    def number(self) -> int:
        """The number of the last evaluation; 0 before the first."""
        return self.evaluator.ledger.number() if self.service.reader.has_book else 0

    def inside(self, kind: str, ids: Sequence[str] = ()) -> InsideRules:
        """How many users or accounts are inside rules, and which rules the given ids are inside."""
        return Showing(self.evaluator).inside(kind, ids)

    def firings_of(self, kind: str, entity: str) -> Sequence[Firing]:
        """The firings of all rules for one user or account, under every linked id, in the order of evaluations."""
        if not self.service.reader.has_book:
            return []
        ledger = self.evaluator.ledger
        return People.of(ledger, kind, [entity]).firings(ledger, kind, [entity])

    def results(self, name: str) -> RuleResults:
        """The results of a rule: messages shown, clicked and dismissed, and its metrics before and after."""
        return rule_results(self.evaluator, self.known(name))

    def try_out(self, name: str, *, over: str | None = None) -> RuleTrial:
        """Report what a rule would do: who is inside now, and who would have entered in the last week or in a span such
        as "90 days". Writes nothing."""
        return try_rule(self.evaluator, self.known(name), over=over)

    def release(self, name: str) -> RulesReport:
        """Fire for the entities that wait because too many entered the rule at once. Drops the firings of entities that
        have left since."""
        return self.evaluator.release(self.known(name).name)

    def known(self, name: str) -> Rule:
        """The rule with a name. Raises QueryError with the nearest name as a hint."""
        if name in self.catalog.rules:
            return self.catalog.rules[name]
        names = list(self.catalog.rules)
        hint = f"{did_you_mean(name, names)} there are: {', '.join(names) or 'none'}".strip()
        raise QueryError(f"there is no rule {name!r}", hint=hint)


def evaluate_after_a_run(rules: Rules) -> RulesReport:
    """Evaluate after a run. The collected points are already stored, so a failure here is reported and changes none of
    them."""
    try:
        with isolated():
            return rules.evaluate()
    except Busy as busy:
        return RulesReport(notes=[f"{busy.message}; it sees the new numbers, or the next evaluation does"])
    except TallybookError as error:
        return RulesReport(error=error.message, hint=error.hint)
