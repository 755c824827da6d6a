"""Checks of goals against their metrics and the calendar."""

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
from tallybook.config.catalog.words import shorten_toml, toml
from tallybook.core import Goal

SHORT = {"month": (r"\d{4}-\d\d", "-01"), "year": (r"\d{4}", "-01-01")}
"""Short forms of periods: the pattern, and the text that completes it to the first day."""
EXAMPLES = {"month": "2026-03", "quarter": "2026-04-01", "year": "2026"}


@dataclass
class Goals(Asking):
    """All goals, checked against the catalog."""

    declared: Mapping[str, DeclaredGoal]

    def check(self) -> dict[str, Goal]:
        """Check all goals and return them with targets by the first day of each period."""
        for d in self.declared.values():
            self.check_keys(d)
            if d.goal.metric:
                self.check_metric(d, "metric", d.goal.metric, {"where": filtered(d.goal.where)})
                self.check_unit(d, d.goal.metric, (), d.goal.where)
                self.check_show(d)
        return {name: replace(d.goal, targets=self.targets(d)) for name, d in self.declared.items()}

    def check_keys(self, d: DeclaredGoal) -> None:
        """Report missing keys and keys that exclude each other."""
        self.needs(d, "metric", "a goal needs a metric", GOAL_KEYS["metric"])
        if {"target", "targets"} <= {*d.given, *d.bad}:
            message = "target and targets are both given"
            self.report(d, "targets", message, expected="one of them: one number for every period, or one for each")
        elif "targets" not in {*d.given, *d.bad}:
            self.needs(d, "target", "a goal needs a target, or targets of its periods", GOAL_KEYS["target"])

    def check_show(self, d: DeclaredGoal) -> None:
        """Report a show that the metric does not have."""
        metric, show = self.catalog.metrics.get(d.goal.metric), d.goal.show
        refused = wrong_show(metric, show) if metric and show else None
        if refused:
            why, instead = refused
            expected = " or ".join(instead) or "without this line"
            paste = f"show = {toml(instead[0])}" if instead[0] else ""
            self.report(d, "show", why, expected=expected, paste=paste)

    # periods

    def targets(self, d: DeclaredGoal) -> dict[date, Decimal]:
        """Targets by the first days of their periods; reports texts that are not periods."""
        targets: dict[date, Decimal] = {}
        for written, target in d.targets.items() if "scope" not in d.bad else ():
            start = self.first_day(d, written)
            if start in targets:
                message = f"the {d.goal.scope} of {start} has two targets"
                self.report(d, "targets", message, seen=_entry(written, target), expected="one of them")
            elif start is not None:
                targets[start] = target
        return targets

    def first_day(self, d: DeclaredGoal, written: str) -> date | None:
        """The first day of a period as written. Reports an invalid one, and returns None for it."""
        scope, periods = d.goal.scope, self.catalog.book.periods()
        named = periods.start_named(written, scope)
        if named is not None:
            return named
        day = _day(written, scope)
        if day is None:
            self.wrong_period(d, written, f"{written!r} is not the first day of a {scope}", "")
            return None
        start = periods.period_start(day, scope)
        if start != day:
            meant = periods.label(start, scope) or str(start)
            self.wrong_period(d, written, f"{written} is not the first day of a {scope}", meant)
            return None
        return start

    def wrong_period(self, d: DeclaredGoal, written: str, message: str, meant: str) -> None:
        """Report a text that is not the first day of a period."""
        scope = d.goal.scope
        weekdays = f"{self.catalog.book.week_starts.capitalize()}s: the first days of weeks"
        fixed = {meant if period == written else period: target for period, target in d.targets.items()}
        self.report(
            d,
            "targets",
            message,
            seen=_entry(written, d.targets[written]),
            expected=weekdays if scope == "week" else f"first days of {scope}s, such as {EXAMPLES[scope]}",
            hint=f"did you mean {meant!r}?" if meant else "",
            paste=f"targets = {toml(fixed)}" if meant else "",
        )


def _day(written: str, scope: str) -> date | None:
    """The day that is written; the first day if only the month or year is given."""
    form, rest = SHORT.get(scope, ("", ""))
    text = written.strip()
    if re.fullmatch(form or "(?!)", text):
        text += rest
    try:
        return date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else None
    except ValueError:
        return None


def _entry(written: str, target: Decimal) -> str:
    return f"{shorten_toml(written)} = {target}"
