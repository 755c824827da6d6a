"""Metrics checked by the rules, against their sources and against one another."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from tallybook.config.catalog.keys import METRIC_KEYS
from tallybook.config.catalog.rules import (
    DERIVED_KEYS,
    FACT_KEYS,
    FACT_RULES,
    FUNCTION_KEYS,
    FUNCTION_RULES,
    WHY_NOT_DERIVED,
    DeclaredMetric,
    KeyRule,
    wrong_show,
)
from tallybook.config.catalog.sql import (
    output_columns,
    reads_as_aggregate,
    wrong_cut,
    wrong_in_all,
    wrong_placeholder,
    wrong_query,
    wrong_where,
)
from tallybook.config.catalog.tables import EVENTS, wrong_value
from tallybook.config.catalog.values import Wrong
from tallybook.config.catalog.words import closest, shown, toml
from tallybook.core import (
    BY_TIME,
    RESERVED_NAMES,
    UNIQUES,
    MeasureError,
    Problems,
    parse_derived,
    parse_measure,
    schema_and_table,
)

ANY_DIALECT = ["postgres", "mysql", "sqlite", "duckdb"]


@dataclass
class Metrics:
    """The metrics against one another and against their sources."""

    declared: dict[str, DeclaredMetric]
    sources: Sequence[str]
    dialects: Mapping[str, str]
    problems: Problems

    def check(self) -> None:
        for d in self.declared.values():
            self.find_source(d)
        for d in self.declared.values():
            if not d.refused:
                self.check_alone(d)
        for d in self.declared.values():
            self.check_among(d)
        self.check_cycles()
        self.check_renames()

    def tell(self, d: DeclaredMetric, key: str, message: str, **details: str) -> None:
        d.bad.add(key)
        self.problems.add(f"{d.path}.{key}", message, **details)

    def written(self, d: DeclaredMetric, key: str) -> str:
        """The key with the value seen, where it was given."""
        return f"{key} = {shown(d.given[key])}" if key in d.given else "nothing"

    # one metric by itself

    def check_alone(self, d: DeclaredMetric) -> None:
        if not d.given:
            self.nothing_declared(d)
        elif d.shape == "derived":
            self.check_derived(d)
        elif d.shape == "function":
            self.check_rules(d, FUNCTION_RULES)
            self.refuse_keys(d, FUNCTION_KEYS, "a metric that is a function", {})
            self.check_over_time(d)
        else:
            self.check_rules(d, FACT_RULES)
            self.check_facts(d)
            self.check_over_time(d)

    def nothing_declared(self, d: DeclaredMetric) -> None:
        expected = "table or sql with a measure, a measure of other metrics, or a function"
        paste = 'table = "users"\ntime = "created_at"\nmeasure = "count(*)"'
        self.problems.add(d.path, "declares nothing", seen="an empty table", expected=expected, paste=paste)

    def check_rules(self, d: DeclaredMetric, rules: Sequence[KeyRule]) -> None:
        series = ", ".join(toml(c) for c in dict.fromkeys((*d.metric.series, *d.metric.by)))
        for rule in rules:
            if d.bad & {rule.key, *rule.looks_at} or not rule.broken(d):
                continue
            expected, paste = (text.replace("{series}", series) for text in (rule.expected, rule.paste))
            seen = self.written(d, rule.key)
            self.tell(d, rule.key, rule.message, seen=seen, expected=expected, paste=paste)

    def refuse_keys(self, d: DeclaredMetric, allowed: frozenset[str], what: str, why: Mapping[str, str]) -> None:
        for key in METRIC_KEYS:
            if key not in d.given or key in allowed or key in d.bad:
                continue
            message = f"{what} has no {key}" + (f": {why[key]}" if key in why else "")
            self.tell(d, key, message, seen=self.written(d, key), expected="without this line")

    # sources

    def find_source(self, d: DeclaredMetric) -> None:
        """Fills in the only source; an unknown one is told."""
        name = d.metric.source
        if name == EVENTS:
            d.refused = True
            self.refuse_events(d)
        elif name is None and "source" not in d.bad:
            self.only_source(d)
        elif name is not None and name not in self.sources:
            self.unknown_source(d, name)

    def refuse_events(self, d: DeclaredMetric) -> None:
        if "event" in d.bad:
            return
        expected = "a database: " + (", ".join(self.sources) or "[sources.app]")
        message = "usage events are not collected yet: this version reads databases"
        self.tell(d, "source", message, seen='source = "events"', expected=expected)

    def only_source(self, d: DeclaredMetric) -> None:
        if d.shape == "derived" or d.refused:
            return
        if len(self.sources) == 1:
            d.metric = replace(d.metric, source=self.sources[0])
        elif self.sources:
            message, expected = "there are several sources; which one?", ", ".join(self.sources)
            paste = f"source = {toml(self.sources[0])}"
            self.tell(d, "source", message, seen="nothing", expected=expected, paste=paste)
        elif d.shape == "facts":
            d.bad.add("source")
            self.no_source()

    def no_source(self) -> None:
        if not any(p.path == "sources" for p in self.problems.found):
            paste = '[sources.app]\nurl = "${DATABASE_URL}"'
            expected = "a database to read from"
            self.problems.add("sources", "there is no source", seen="nothing", expected=expected, paste=paste)

    def unknown_source(self, d: DeclaredMetric, name: str) -> None:
        meant = closest(name, self.sources) or (self.sources[0] if len(self.sources) == 1 else None)
        self.tell(
            d,
            "source",
            f"there is no source {name!r}",
            seen=f"source = {toml(name)}",
            expected=", ".join(self.sources) or "[sources.NAME]",
            hint=f"did you mean {meant!r}?" if meant else "",
            paste=f"source = {toml(meant)}" if meant else f"[sources.{name}]",
        )

    def dialects_of(self, d: DeclaredMetric) -> list[str]:
        """The dialect of its source; where the source is not known, any that could be."""
        known = self.dialects.get(d.metric.source or "")
        return [known] if known is not None else ANY_DIALECT

    # facts

    def check_facts(self, d: DeclaredMetric) -> None:
        dialects = self.dialects_of(d)
        if d.metric.measure and "measure" not in d.bad:
            self.parse(d, dialects)
        if d.metric.where and "where" not in d.bad:
            self.tell_wrong(d, "where", d.metric.where, wrong_in_all(wrong_where, d.metric.where, dialects))
        if d.metric.sql and "sql" not in d.bad:
            self.check_sql(d, d.metric.sql, dialects)
        self.check_joins(d)

    # joins

    def check_joins(self, d: DeclaredMetric) -> None:
        """Each name once, and every qualified column of a table that is there."""
        names = [schema_and_table(d.metric.table or "")[1]]
        for join in d.metric.join if "join" not in d.bad else ():
            if join.name.casefold() in (n.casefold() for n in names):
                paste = f"join = {toml(f'{join.table} as other on …')}"
                message = f"{join.name!r} names two tables"
                self.tell(d, "join", message, seen=self.written(d, "join"), expected="a name for each", paste=paste)
                return
            for _, other in join.on:
                self.check_qualified(d, "join", other, names)
            names.append(join.name)
        for key in ("time", "from", "until", "changed", "by", "series"):
            value = getattr(d.metric, METRIC_KEYS[key].field or key)
            for column in (value,) if isinstance(value, str) else value or ():
                self.check_qualified(d, key, column, names)

    def check_qualified(self, d: DeclaredMetric, key: str, column: str, names: Sequence[str]) -> None:
        table, _, bare = column.rpartition(".")
        if not table or {key, "join"} & d.bad:
            return
        if not d.metric.join:
            message, expected = f"{column!r} names a table too", "the column alone, or the table in join"
            paste = f"{key} = {toml([bare] if key in ('by', 'series') else bare)}"
            self.tell(d, key, message, seen=self.written(d, key), expected=expected, paste=paste)
        elif table.casefold() not in (n.casefold() for n in names):
            meant = closest(table, names)
            hint = f"did you mean {meant + '.' + bare!r}?" if meant else ""
            message = f"{column!r} is of a table that is not joined" + (" before" if key == "join" else "")
            self.tell(d, key, message, seen=self.written(d, key), expected=", ".join(names), hint=hint)

    def check_sql(self, d: DeclaredMetric, text: str, dialects: Sequence[str]) -> None:
        timed = d.metric.time is not None or bool(d.bad & {"time", "kind"})
        wrong = (
            wrong_placeholder(text, timed=timed)
            or wrong_in_all(wrong_query, text, dialects)
            or wrong_in_all(functools.partial(wrong_cut, timed=timed), text, dialects)
        )
        self.tell_wrong(d, "sql", text, wrong)
        if not wrong and len(dialects) == 1:
            self.check_columns(d, text, dialects[0])

    def tell_wrong(self, d: DeclaredMetric, key: str, text: str, wrong: Wrong | None) -> None:
        if wrong:
            d.bad.add(key)
            self.problems.found.append(wrong_value(d.path, key, text, wrong, METRIC_KEYS[key]))

    def parse(self, d: DeclaredMetric, dialects: Sequence[str]) -> None:
        """Takes the measure apart; where the dialect is not known, one that can read it is enough."""
        said = MeasureError("the measure is nested too deeply")
        for dialect in reversed(dialects):
            try:
                d.metric = replace(d.metric, parsed=parse_measure(d.metric.measure or "", dialect))
            except RecursionError:
                continue
            except MeasureError as error:
                said = error
            else:
                self.check_by_time(d)
                return
        seen, expected, paste = self.written(d, "measure"), "an SQL aggregate", 'measure = "count(*)"'
        self.tell(d, "measure", said.message, seen=seen, expected=expected, hint=said.hint, paste=paste)

    def check_by_time(self, d: DeclaredMetric) -> None:
        """A first or last value needs facts that happened at some time."""
        words = [slot.agg for slot in d.metric.parsed.slots if slot.agg in BY_TIME] if d.metric.parsed else []
        if not words or "time" in d.bad:
            return
        if d.metric.daily_aggregate:
            why = "of a daily_aggregate the value received last counts already"
        elif d.metric.time is None or d.metric.kind == UNIQUES:
            why = "it needs facts with a time"
        else:
            return
        seen, expected = self.written(d, "measure"), "sum(x), min(x) or max(x), or facts with a time"
        self.tell(d, "measure", f"{words[0]}(x) is a value by its time: {why}", seen=seen, expected=expected)

    def check_columns(self, d: DeclaredMetric, text: str, dialect: str) -> None:
        """Columns that the query certainly does not give, where it says which it gives."""
        given = output_columns(text, dialect)
        if given is None:
            return
        folded = {g.casefold() for g in given}
        for key in ("time", "from", "until", "received", "changed", "per", "by", "series"):
            value = getattr(d.metric, METRIC_KEYS[key].field or key)
            for name in (value,) if isinstance(value, str) else value or ():
                if key not in d.bad and name.casefold() not in folded:
                    self.missing_column(d, key, name, given)

    def missing_column(self, d: DeclaredMetric, key: str, name: str, given: Sequence[str]) -> None:
        meant = closest(name, given)
        value = getattr(d.metric, METRIC_KEYS[key].field or key)
        fixed = meant if isinstance(value, str) else [meant if v == name else v for v in value]
        self.problems.add(
            f"{d.path}.{key}",
            f"the sql gives no column {name!r}",
            seen=self.written(d, key),
            expected=", ".join(given),
            hint=f"did you mean {meant!r}?" if meant else "",
            paste=f"{key} = {toml(fixed)}" if meant else "",
        )

    def check_over_time(self, d: DeclaredMetric) -> None:
        show = d.metric.over_time
        refused = wrong_show(d.metric, show) if show and "over_time" not in d.bad else None
        if refused:
            why, instead = refused
            seen, paste = self.written(d, "over_time"), f"over_time = {toml(instead[0])}"
            self.tell(d, "over_time", why, seen=seen, expected=", ".join(instead), paste=paste)

    # derived metrics

    def check_derived(self, d: DeclaredMetric) -> None:
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
            self.no_facts(d)  # min(amount) of no table reads like the least daily value of a metric
            return
        d.metric = replace(d.metric, parsed=parsed)
        self.refuse_keys(d, DERIVED_KEYS, "a metric made of other metrics", WHY_NOT_DERIVED)

    def unreadable_formula(self, d: DeclaredMetric, text: str, error: Exception) -> None:
        """A formula that only a table could answer was meant as a measure of facts."""
        if reads_as_aggregate(text, self.dialects_of(d)) or FACT_KEYS & d.given.keys():
            self.no_facts(d)
            return
        message = error.message if isinstance(error, MeasureError) else "the formula is nested too deeply"
        expected = "a formula of other metrics, or table or sql and a measure"
        self.tell(d, "measure", message, seen=self.written(d, "measure"), expected=expected)

    def no_facts(self, d: DeclaredMetric) -> None:
        message = "a metric needs facts: table or sql"
        expected = "table, sql, function, or a measure of other metrics"
        self.tell(d, "table", message, seen="nothing", expected=expected, paste='table = "users"')

    # metrics among metrics

    def check_among(self, d: DeclaredMetric) -> None:
        self.check_dimensions(d)
        operands = d.metric.parsed.operands if d.metric.parsed else ()
        for operand in operands:
            other = self.declared.get(operand.metric)
            if other is None:
                self.unknown_operand(d, operand.metric)
            elif operand.show and not other.bad:
                self.check_operand(d, other, operand.show)

    def check_operand(self, d: DeclaredMetric, other: DeclaredMetric, show: str) -> None:
        refused = wrong_show(other.metric, show)
        if refused:
            why, instead = refused
            name = other.metric.name
            expected = " or ".join(f"{better}({name})" if better else name for better in instead)
            seen = self.written(d, "measure")
            self.tell(d, "measure", f"{show}({name}): {why}", seen=seen, expected=expected)

    def unknown_operand(self, d: DeclaredMetric, name: str) -> None:
        meant = closest(name, (n for n in self.declared if n != d.metric.name))
        fixed = re.sub(rf"\b{re.escape(name)}\b", meant or name, d.metric.measure or "")
        self.problems.add(
            f"{d.path}.measure",
            f"there is no metric {name!r}",
            seen=self.written(d, "measure"),
            expected="names of metrics; a column is measured with table or sql",
            hint=f"did you mean {meant!r}?" if meant else "",
            paste=f"measure = {toml(fixed)}" if meant else 'table = "users"',
        )

    def check_dimensions(self, d: DeclaredMetric) -> None:
        metrics = {name.casefold(): name for name in self.declared}
        by = {name.casefold(): name for name in d.metric.by}
        for name in d.metric.by if "by" not in d.bad else ():
            self.tell_dimension(d, "by", name, _wrong_dimension(name, metrics))
        for name in d.metric.series if "series" not in d.bad else ():
            twin = by.get(name.casefold())
            why = f"is called {twin!r} in by" if twin else _wrong_dimension(name, metrics)
            self.tell_dimension(d, "series", name, "" if twin == name else why)

    def tell_dimension(self, d: DeclaredMetric, key: str, name: str, why: str) -> None:
        if why:
            expected, seen = "another name; in sql, `select … as …` gives one", self.written(d, key)
            self.problems.add(f"{d.path}.{key}", f"{name!r} {why}", seen=seen, expected=expected)

    def check_cycles(self) -> None:
        told: set[str] = set()
        for name in self.declared:
            cycle = self.cycle_from(name)
            if cycle and not told & set(cycle):
                told |= set(cycle)
                d = self.declared[cycle[0]]
                message = "metrics are made of one another: " + " → ".join(cycle)
                self.tell(d, "measure", message, seen=self.written(d, "measure"), expected="no circle")

    def cycle_from(self, name: str) -> list[str]:
        """`[name, …, name]` when following operands leads back to it, else nothing."""
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
        d = self.declared.get(name)
        return [o.metric for o in d.metric.parsed.operands] if d and d.metric.parsed else []

    def check_renames(self) -> None:
        claimed: dict[str, str] = {}
        for d in self.declared.values():
            old = d.metric.renamed_from
            first = claimed.setdefault(old, d.metric.name) if old else d.metric.name
            if old in self.declared:
                self.tell_rename(d, f"{old!r} is still declared")
            elif first != d.metric.name:
                self.tell_rename(d, f"{first!r} was renamed from {old!r} already")

    def tell_rename(self, d: DeclaredMetric, message: str) -> None:
        seen, expected = self.written(d, "renamed_from"), "the name of a metric that is no longer declared"
        self.tell(d, "renamed_from", message, seen=seen, expected=expected)


def _wrong_dimension(name: str, metrics: Mapping[str, str]) -> str:
    """Why a column cannot be a dimension, or nothing."""
    if not re.fullmatch(r"[^\W\d]\w*(\.\w+)?", name):
        return "is not a plain name, as --by and --where need it"
    if name.casefold() in RESERVED_NAMES:
        return "is a word of every answer and could not be told from it"
    if name.casefold() in metrics:
        return f"is called like the metric {metrics[name.casefold()]!r}"
    return ""
