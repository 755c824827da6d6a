"""The results of a rule: messages shown, clicked and dismissed, and its metrics before and after the firings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from tallybook.core import ENTER, ONE_DAY, SUBJECT_BOOK, Rule, calendar, plus_days
from tallybook.query import metric_values
from tallybook.storage import FIRED, HOLDOUT, Firing, MessageLedger

if TYPE_CHECKING:
    from tallybook.act.evaluate import RuleEvaluator

NO_EXPERIMENT = "no experiment: what changes after a firing may change without it"
EXPERIMENT = "an experiment: the entities of the holdout were chosen at random, and nothing was done for them"
DAYS_AFTER = 7


@dataclass(frozen=True, kw_only=True)
class BeforeAfter:
    """The mean of a metric at the firing and some days later, over the entities for which both values are known."""

    metric: str
    entities: int
    before: float | None
    after: float | None


@dataclass(frozen=True, kw_only=True)
class RuleResults:
    """The results of a rule. `label` says whether they come from an experiment."""

    rule: str
    label: str
    fired: int
    held_out: int
    messages: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By message, how many viewers were shown it, clicked it and dismissed it."""
    metrics: Sequence[BeforeAfter] = ()
    """Metrics of the entities for which the rule fired."""
    holdout_metrics: Sequence[BeforeAfter] = ()

    def to_dict(self) -> dict[str, Any]:
        found = {**vars(self), "messages": {name: dict(one) for name, one in self.messages.items()}}
        return found | {name: [vars(one) for one in getattr(self, name)] for name in ("metrics", "holdout_metrics")}


def rule_results(evaluator: RuleEvaluator, rule: Rule) -> RuleResults:
    """The results of all firings of a rule."""
    if not evaluator.reader.has_book:
        return RuleResults(rule=rule.name, label=NO_EXPERIMENT, fired=0, held_out=0)
    firings = [one for one in evaluator.ledger.firings(rule.name) if one.edge == ENTER]
    fired = [one for one in firings if one.state == FIRED]
    held = [one for one in firings if one.state == HOLDOUT]
    messages: dict[str, dict[str, int]] = {}
    for state in MessageLedger(evaluator.ledger.ledger).messages_of_rule(rule.name):
        counts = messages.setdefault(state.message, {"shown": 0, "clicked": 0, "dismissed": 0})
        for what in counts:
            counts[what] += getattr(state, what) is not None
    return RuleResults(
        rule=rule.name,
        label=EXPERIMENT if rule.holdout else NO_EXPERIMENT,
        fired=len(fired),
        held_out=len(held),
        messages=messages,
        metrics=_compared(evaluator, rule, fired),
        holdout_metrics=_compared(evaluator, rule, held),
    )


def _compared(evaluator: RuleEvaluator, rule: Rule, firings: Sequence[Firing]) -> list[BeforeAfter]:
    """The metrics of the rule at the firing and `DAYS_AFTER` days later. Firings of the last `DAYS_AFTER` days do not
    count."""
    if rule.kind == SUBJECT_BOOK or not firings:
        return []
    settings = evaluator.catalog.entities[rule.kind]
    names = [name for name in firings[-1].values if name in settings.metrics]
    last = calendar.day_of(evaluator.reader.now, evaluator.catalog.book.timezone) - ONE_DAY
    pairs: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    by_day: dict[date, list[Firing]] = {}
    for one in firings:
        if plus_days(one.day, DAYS_AFTER) <= last:
            by_day.setdefault(one.day, []).append(one)
    for day, several in by_day.items():
        later = metric_values(evaluator.service, evaluator.catalog, settings, plus_days(day, DAYS_AFTER), names)
        for one in several:
            for name in names:
                before, (after, why) = one.values.get(name), later[name].of(one.entity)
                if before is not None and after is not None and why is None:
                    pairs[name].append((float(before), float(after)))
    return [_mean(name, found) for name, found in pairs.items()]


def _mean(name: str, pairs: Sequence[tuple[float, float]]) -> BeforeAfter:
    number = len(pairs)
    sums = [sum(pair[place] for pair in pairs) for place in (0, 1)]
    before, after = (total / number if number else None for total in sums)
    return BeforeAfter(metric=name, entities=number, before=before, after=after)
