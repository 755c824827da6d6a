"""Checks of derived metrics: their formulas, their operands, and cycles among them."""

from __future__ import annotations

import re

from msgspec.structs import replace

from tallybook.config.catalog.metric_facts import FactChecks
from tallybook.config.catalog.rules import (
    DERIVED_KEYS,
    FACT_KEYS,
    WHY_NOT_DERIVED,
    DeclaredMetric,
    wrong_show,
)
from tallybook.config.catalog.sql import (
    reads_as_aggregate,
)
from tallybook.config.catalog.words import closest_key, toml
from tallybook.core import (
    MeasureError,
    parse_derived,
)


class FormulaChecks(FactChecks):
    """Checks of derived metrics."""

    def check_derived(self, d: DeclaredMetric) -> None:
        """Parse the formula of a derived metric, and report keys that it cannot have."""
        text = d.metric.measure
        if text is None:
            if "measure" not in d.bad:
                self.no_facts(d)
            return
        try:
            parsed = parse_derived(text)
        except (MeasureError, RecursionError) as error:
            self.unreadable_formula(d, text, error)
            return
        if FACT_KEYS & d.given.keys() and not any(o.metric in self.declared for o in parsed.operands):
            self.no_facts(d)  # without a table, min(amount) parses as the minimum of a metric's daily values
            return
        d.metric = replace(d.metric, parsed=parsed)
        self.refuse_keys(d, DERIVED_KEYS, "a derived metric", WHY_NOT_DERIVED)

    def unreadable_formula(self, d: DeclaredMetric, text: str, error: Exception) -> None:
        """Report a formula that cannot be parsed. If it is a valid aggregate, report the missing table instead."""
        if reads_as_aggregate(text, self.dialects_of(d)) or FACT_KEYS & d.given.keys():
            self.no_facts(d)
            return
        message = error.message if isinstance(error, MeasureError) else "the formula is nested too deeply"
        expected = "a formula of other metrics, or table or sql and a measure"
        self.report(d, "measure", message, seen=self.written(d, "measure"), expected=expected)

    def no_facts(self, d: DeclaredMetric) -> None:
        """Report a metric without table or sql."""
        message = "a metric needs facts: table or sql"
        expected = "table, sql, function, or a measure of other metrics"
        self.report(d, "table", message, seen="nothing", expected=expected, paste='table = "users"')

    def check_operand(self, d: DeclaredMetric, other: DeclaredMetric, show: str) -> None:
        """Report a show that the operand does not have."""
        refused = wrong_show(other.metric, show)
        if refused:
            why, instead = refused
            name = other.metric.name
            expected = " or ".join(f"{better}({name})" if better else name for better in instead)
            seen = self.written(d, "measure")
            self.report(d, "measure", f"{show}({name}): {why}", seen=seen, expected=expected)

    def unknown_operand(self, d: DeclaredMetric, name: str) -> None:
        """Report an operand that is not a metric."""
        meant = closest_key(name, (n for n in self.declared if n != d.metric.name))
        fixed = re.sub(rf"\b{re.escape(name)}\b", meant or name, d.metric.measure or "")
        self.problems.add(
            f"{d.path}.measure",
            f"there is no metric {name!r}",
            seen=self.written(d, "measure"),
            expected="names of metrics; a measure of columns needs table or sql",
            hint=f"did you mean {meant!r}?" if meant else "",
            paste=f"measure = {toml(fixed)}" if meant else 'table = "users"',
        )

    def check_cycles(self) -> None:
        """Report cycles of metrics, each cycle once."""
        reported: set[str] = set()
        for name in self.declared:
            cycle = self.cycle_from(name)
            if cycle and not reported & set(cycle):
                reported |= set(cycle)
                d = self.declared[cycle[0]]
                message = "metrics depend on one another: " + " → ".join(cycle)
                self.report(d, "measure", message, seen=self.written(d, "measure"), expected="no cycle")

    def cycle_from(self, name: str) -> list[str]:
        """`[name, …, name]` if its operands lead back to it, else an empty list."""
        trails, seen = [[name]], {name}
        while trails:
            trail = trails.pop()
            for operand in self.operands(trail[-1]):
                if operand == name:
                    return [*trail, name]
                if operand not in seen:
                    seen.add(operand)
                    trails.append([*trail, operand])
        return []

    def operands(self, name: str) -> list[str]:
        """The names of the operands of a metric."""
        d = self.declared.get(name)
        return [o.metric for o in d.metric.parsed.operands] if d and d.metric.parsed else []
