"""Goals checked against their metrics and against the calendar."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from msgspec.structs import replace

from tallybook.config.catalog.asking import Asking, filtered
from tallybook.config.catalog.keys import GOAL_KEYS
from tallybook.config.catalog.rules import wrong_show
from tallybook.config.catalog.tables import DeclaredGoal
from tallybook.config.catalog.words import shown, toml
from tallybook.core import WEEKDAYS, Goal, period_start

SHORT = {"month": (r"\d{4}-\d\d", "-01"), "year": (r"\d{4}", "-01-01")}
"""How a period may be written shorter than by its first day: the form, and what is left out."""
EXAMPLES = {"month": "2026-03", "quarter": "2026-04-01", "year": "2026"}


@dataclass
class Goals(Asking):
    """The goals against the catalog that answers them."""

    declared: Mapping[str, DeclaredGoal]

    def check(self) -> dict[str, Goal]:
        """Every goal, with the targets of its periods by their first days."""
        for d in self.declared.values():
            self.check_keys(d)
            if d.goal.metric:
                self.check_metric(d, "metric", d.goal.metric, {"where": filtered(d.goal.where)})
                self.check_show(d)
        return {name: replace(d.goal, targets=self.targets(d)) for name, d in self.declared.items()}

    def check_keys(self, d: DeclaredGoal) -> None:
        self.needs(d, "metric", "a goal needs a metric", GOAL_KEYS["metric"])
        if {"target", "targets"} <= {*d.given, *d.bad}:
            message = "target and targets are both given: which one counts?"
            self.tell(d, "targets", message, expected="one of them: one number for every period, or one for each")
        elif "targets" not in {*d.given, *d.bad}:
            self.needs(d, "target", "a goal needs a target, or targets of its periods", GOAL_KEYS["target"])

    def check_show(self, d: DeclaredGoal) -> None:
        metric, show = self.catalog.metrics.get(d.goal.metric), d.goal.show
        refused = wrong_show(metric, show) if metric and show else None
        if refused:
            why, instead = refused
            expected = " or ".join(instead) or "without this line"
            paste = f"show = {toml(instead[0])}" if instead[0] else ""
            self.tell(d, "show", why, expected=expected, paste=paste)

    # periods

    def targets(self, d: DeclaredGoal) -> dict[date, Decimal]:
        """By the first days of their periods; what is not one is told."""
        found: dict[date, Decimal] = {}
        for written, target in d.targets.items() if "scope" not in d.bad else ():
            start = self.first_day(d, written)
            if start in found:
                message = f"the {d.goal.scope} of {start} has two targets"
                self.tell(d, "targets", message, seen=_entry(written, target), expected="one of them")
            elif start is not None:
                found[start] = target
        return found

    def first_day(self, d: DeclaredGoal, written: str) -> date | None:
        """The first day of the period that was written; None where that is none."""
        scope, day = d.goal.scope, _day(written, d.goal.scope)
        if day is None:
            self.wrong_period(d, written, f"{written!r} is not the first day of a {scope}", "")
            return None
        start = period_start(day, scope, WEEKDAYS.index(self.catalog.book.week_starts))
        if start != day:
            self.wrong_period(d, written, f"{written} is not the first day of a {scope}", str(start))
            return None
        return start

    def wrong_period(self, d: DeclaredGoal, written: str, message: str, meant: str) -> None:
        scope = d.goal.scope
        weekdays = f"{self.catalog.book.week_starts.capitalize()}s: the first days of weeks"
        fixed = {meant if period == written else period: target for period, target in d.targets.items()}
        self.tell(
            d,
            "targets",
            message,
            seen=_entry(written, d.targets[written]),
            expected=weekdays if scope == "week" else f"first days of {scope}s, as {EXAMPLES[scope]}",
            hint=f"did you mean {meant!r}?" if meant else "",
            paste=f"targets = {toml(fixed)}" if meant else "",
        )


def _day(written: str, scope: str) -> date | None:
    """A period as the day that was written for it: the first one, where only its month or year was."""
    form, rest = SHORT.get(scope, ("", ""))
    text = written.strip()
    if re.fullmatch(form or "(?!)", text):
        text += rest
    try:
        return date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else None
    except ValueError:
        return None


def _entry(written: str, target: Decimal) -> str:
    return f"{shown(written)} = {target}"
