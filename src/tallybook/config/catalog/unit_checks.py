"""Checks of units: the column with the unit of each row, amounts in cents, and formulas that add different units."""

from __future__ import annotations

from msgspec.structs import replace

from tallybook.config.catalog.metric_formulas import FormulaChecks
from tallybook.config.catalog.rules import DeclaredMetric, KeyRule
from tallybook.core import LEVEL, MAX_DIMENSIONS, UNIQUES, FormulaUnits, amount_degree, minor_digits

UNIT_RULES = (
    KeyRule(
        "unit_from",
        ("unit",),
        lambda d: d.has("unit_from") and d.has("unit"),
        "unit and unit_from are both given",
        "one of them: one unit for all rows, or the column with the unit of each",
    ),
    KeyRule(
        "unit_from",
        ("per",),
        lambda d: d.has("unit_from") and d.metric.unit_from == d.metric.per,
        "unit_from is also the entity of per",
        "the column with the unit of each row",
    ),
    KeyRule(
        "minor_units",
        ("unit", "unit_from"),
        lambda d: d.metric.minor_units and not d.has("unit", "unit_from"),
        "minor_units needs the currency: unit, or unit_from for the column that holds it",
        "a currency of ISO 4217",
        'unit_from = "currency"',
    ),
    KeyRule(
        "minor_units",
        ("unit",),
        lambda d: d.metric.minor_units and d.has("unit") and minor_digits(d.metric.unit or "") is None,
        "the unit is no currency of ISO 4217 with a smallest unit",
        "a code such as EUR, or without minor_units",
        'unit = "EUR"',
    ),
    KeyRule(
        "minor_units",
        ("kind",),
        lambda d: d.metric.minor_units and d.metric.kind == UNIQUES,
        "minor_units is for amounts, and uniques count things",
        "without this line",
    ),
    KeyRule(
        "unit_from",
        ("by", "series"),
        lambda d: len({*d.metric.dims, *([d.metric.unit_from] if d.metric.unit_from else [])}) > MAX_DIMENSIONS,
        "too many dimensions: unit_from is one",
        f"at most {MAX_DIMENSIONS}, with series, per and unit_from",
    ),
)


class UnitChecks(FormulaChecks):
    """Checks of the units of metrics and of formulas."""

    def check_units(self) -> None:
        """Check the units of all metrics. Columns with units become dimensions of their metrics."""
        for d in self.declared.values():
            self.check_amount(d)
            if "unit_from" in d.bad or "by" in d.bad:
                continue
            unit, known = d.metric.unit_from, (*d.metric.by, *(d.metric.series if d.metric.kind == LEVEL else ()))
            if unit and unit not in known:
                d.metric = replace(d.metric, by=(*d.metric.by, unit))
        for d in self.declared.values():
            self.check_formula_units(d)

    def check_amount(self, d: DeclaredMetric) -> None:
        """Report `minor_units` for a measure that does not scale with its amounts."""
        parsed = d.metric.parsed
        if not d.metric.minor_units or parsed is None or parsed.operands or {"minor_units", "measure"} & d.bad:
            return
        if amount_degree(parsed.shell, parsed.slots, d.metric.second) != 1:
            message = f"minor_units divides amounts, and {d.metric.steps} is not one"
            expected = "a sum, average, percentile or other amount, or the metric without this line"
            self.report(d, "minor_units", message, seen=self.written(d, "minor_units"), expected=expected)

    def check_formula_units(self, d: DeclaredMetric) -> None:
        """Report a formula that adds or compares metrics of different units."""
        parsed = d.metric.parsed
        if parsed is None or not parsed.operands or "measure" in d.bad or self.cycle_from(d.metric.name):
            return
        units = FormulaUnits(lambda index: self.unit_of(parsed.operands[index].metric))
        units.of(parsed.shell)
        for one, other in units.added[:1]:
            names = [f"{o.metric} is in {unit}" for o in parsed.operands if (unit := self.unit_of(o.metric))]
            message = f"the formula adds or compares {one} and {other}: {', '.join(dict.fromkeys(names))}"
            expected = "metrics of one unit; a quotient of different units is fine"
            self.report(d, "measure", message, seen=self.written(d, "measure"), expected=expected)

    def unit_of(self, name: str) -> str | None:
        """The declared unit of a metric, or the unit of its formula; None if unknown."""
        d = self.declared.get(name)
        if d is None:
            return None
        if d.metric.unit or d.metric.unit_from:
            return d.metric.unit or f"the unit in {d.metric.unit_from}"
        parsed = d.metric.parsed
        if parsed is None or not parsed.operands or self.cycle_from(name):
            return None
        return FormulaUnits(lambda index: self.unit_of(parsed.operands[index].metric)).of(parsed.shell)
