"""Checks of metrics against the rules, their sources and one another."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from tallybook.config.catalog.rules import (
    FACT_RULES,
    FUNCTION_KEYS,
    FUNCTION_RULES,
    DeclaredMetric,
    KeyRule,
    wrong_show,
)
from tallybook.config.catalog.unit_checks import UNIT_RULES, UnitChecks
from tallybook.config.catalog.words import closest_key, toml
from tallybook.core import (
    RESERVED_NAMES,
)


class Metrics(UnitChecks):
    """All metrics, checked against one another and against their sources."""

    def check(self) -> None:
        """Check all metrics."""
        for d in self.declared.values():
            self.find_source(d)
        for d in self.declared.values():
            if not d.refused:
                self.check_metric_keys(d)
        for d in self.declared.values():
            self.check_among(d)
        self.check_cycles()
        self.check_units()
        self.check_renames()

    def check_metric_keys(self, d: DeclaredMetric) -> None:
        """Check the keys of one metric."""
        if not d.given:
            self.nothing_declared(d)
        elif d.shape == "derived":
            self.check_derived(d)
        elif d.shape == "function":
            self.check_rules(d, (*FUNCTION_RULES, *UNIT_RULES))
            self.refuse_keys(d, FUNCTION_KEYS, "a metric that is a function", {})
            self.check_over_time(d)
        else:
            self.check_rules(d, (*FACT_RULES, *UNIT_RULES))
            self.check_facts(d)
            self.check_over_time(d)

    def nothing_declared(self, d: DeclaredMetric) -> None:
        """Report an empty table."""
        expected = "table or sql with a measure, a measure of other metrics, or a function"
        paste = 'table = "users"\ntime = "created_at"\nmeasure = "count(*)"'
        self.problems.add(d.path, "is empty", seen="an empty table", expected=expected, paste=paste)

    def check_rules(self, d: DeclaredMetric, rules: Sequence[KeyRule]) -> None:
        """Report each rule that a metric breaks."""
        series = ", ".join(toml(c) for c in dict.fromkeys((*d.metric.series, *d.metric.by)))
        for rule in rules:
            if d.bad & {rule.key, *rule.looks_at} or not rule.broken(d):
                continue
            expected, paste = (text.replace("{series}", series) for text in (rule.expected, rule.paste))
            seen = self.written(d, rule.key)
            self.report(d, rule.key, rule.message, seen=seen, expected=expected, paste=paste)

    def find_source(self, d: DeclaredMetric) -> None:
        """Fill in the source of a metric if there is only one; report an unknown one."""
        name = d.metric.source
        if name is None and "source" not in d.bad:
            self.only_source(d)
        elif name is not None and name not in self.sources:
            self.unknown_source(d, name)

    def only_source(self, d: DeclaredMetric) -> None:
        """Fill in the only source, or report that one must be named."""
        if d.shape == "derived" or d.refused:
            return
        named = [name for name in self.sources if name not in self.own]
        if len(named) == 1:
            d.metric = replace(d.metric, source=named[0])
        elif named:
            message, expected = "there are several sources, and none is named", ", ".join(named)
            paste = f"source = {toml(named[0])}"
            self.report(d, "source", message, seen="nothing", expected=expected, paste=paste)
        elif d.shape == "facts":
            d.bad.add("source")
            self.no_source()

    def no_source(self) -> None:
        """Report, once, that the project has no source."""
        if not any(p.path == "sources" for p in self.problems.found):
            paste = '[sources.app]\nurl = "${DATABASE_URL}"'
            expected = "a database to read from"
            self.problems.add("sources", "there is no source", seen="nothing", expected=expected, paste=paste)

    def unknown_source(self, d: DeclaredMetric, name: str) -> None:
        """Report a source that does not exist."""
        meant = closest_key(name, self.sources) or (self.sources[0] if len(self.sources) == 1 else None)
        self.report(
            d,
            "source",
            f"there is no source {name!r}",
            seen=f"source = {toml(name)}",
            expected=", ".join(self.sources) or "[sources.NAME]",
            hint=f"did you mean {meant!r}?" if meant else "",
            paste=f"source = {toml(meant)}" if meant else f"[sources.{name}]",
        )

    def check_over_time(self, d: DeclaredMetric) -> None:
        """Report an over_time that has no correct answer."""
        show = d.metric.over_time
        refused = wrong_show(d.metric, show) if show and "over_time" not in d.bad else None
        if refused:
            why, instead = refused
            seen, paste = self.written(d, "over_time"), f"over_time = {toml(instead[0])}"
            self.report(d, "over_time", why, seen=seen, expected=", ".join(instead), paste=paste)

    def check_among(self, d: DeclaredMetric) -> None:
        """Check the dimensions and operands of one metric against the others."""
        self.check_dimensions(d)
        operands = d.metric.parsed.operands if d.metric.parsed else ()
        for operand in operands:
            other = self.declared.get(operand.metric)
            if other is None:
                self.unknown_operand(d, operand.metric)
            elif operand.show and not other.bad:
                self.check_operand(d, other, operand.show)

    def check_dimensions(self, d: DeclaredMetric) -> None:
        """Report names that cannot be dimensions."""
        metrics = {name.casefold(): name for name in self.declared}
        by = {name.casefold(): name for name in d.metric.by}
        for name in d.metric.by if "by" not in d.bad else ():
            self.report_dimension(d, "by", name, _wrong_dimension(name, metrics))
        if (unit := d.metric.unit_from) and unit not in d.metric.by and "unit_from" not in d.bad:
            self.report_dimension(d, "unit_from", unit, _wrong_dimension(unit, metrics))
        for name in d.metric.series if "series" not in d.bad else ():
            twin = by.get(name.casefold())
            why = f"is written {twin!r} in by" if twin else _wrong_dimension(name, metrics)
            self.report_dimension(d, "series", name, "" if twin == name else why)

    def report_dimension(self, d: DeclaredMetric, key: str, name: str, why: str) -> None:
        """Report a column that cannot be a dimension."""
        if why:
            expected, seen = "another name, for example by `select … as …` in sql", self.written(d, key)
            self.problems.add(f"{d.path}.{key}", f"{name!r} {why}", seen=seen, expected=expected)

    def check_renames(self) -> None:
        """Report former names that are still in use or claimed twice."""
        claimed: dict[str, str] = {}
        for d in self.declared.values():
            old = d.metric.renamed_from
            first = claimed.setdefault(old, d.metric.name) if old else d.metric.name
            if old in self.declared:
                self.report_rename(d, f"{old!r} is still declared")
            elif first != d.metric.name:
                self.report_rename(d, f"{first!r} already has renamed_from = {old!r}")

    def report_rename(self, d: DeclaredMetric, message: str) -> None:
        """Report a wrong renamed_from."""
        seen, expected = self.written(d, "renamed_from"), "the name of a metric that is no longer declared"
        self.report(d, "renamed_from", message, seen=seen, expected=expected)


def _wrong_dimension(name: str, metrics: Mapping[str, str]) -> str:
    """Why a column cannot be a dimension; empty if it can."""
    if not re.fullmatch(r"[^\W\d]\w*(\.\w+)?", name):
        return "is not a plain name, which --by and --where require"
    if name.casefold() in RESERVED_NAMES:
        return "is a reserved name: every result has a key of that name"
    if name.casefold() in metrics:
        return f"has the same name as the metric {metrics[name.casefold()]!r}"
    return ""
