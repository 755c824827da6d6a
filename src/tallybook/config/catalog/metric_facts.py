"""Checks of the facts of a metric: its SQL, joins, columns and measure."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from tallybook.config.catalog.keys import METRIC_KEYS
from tallybook.config.catalog.rules import EVENTS, DeclaredMetric
from tallybook.config.catalog.sql import (
    output_columns,
    wrong_cut,
    wrong_in_all,
    wrong_measure,
    wrong_placeholder,
    wrong_query,
    wrong_where,
)
from tallybook.config.catalog.tables import wrong_value
from tallybook.config.catalog.values import Wrong
from tallybook.config.catalog.words import closest_key, shorten_toml, toml
from tallybook.core import (
    BY_TIME,
    UNIQUES,
    MeasureError,
    Problems,
    parse_measure,
    schema_and_table,
)

ANY_DIALECT = ["postgres", "mysql", "sqlite", "duckdb"]


@dataclass
class MetricChecks:
    """The declared metrics, the sources that they can use, and the problems found so far."""

    declared: dict[str, DeclaredMetric]
    sources: Sequence[str]
    dialects: Mapping[str, str]
    problems: Problems
    own: frozenset[str] = frozenset([EVENTS])
    """Sources inside the book itself. A metric reads them only if it names them."""

    def report(self, d: DeclaredMetric, key: str, message: str, **details: str) -> None:
        """Report a problem of one key."""
        d.bad.add(key)
        self.problems.add(f"{d.path}.{key}", message, **details)

    def written(self, d: DeclaredMetric, key: str) -> str:
        """The key with its value as given, or `nothing`."""
        return f"{key} = {shorten_toml(d.given[key])}" if key in d.given else "nothing"

    def report_wrong_value(self, d: DeclaredMetric, key: str, text: str, wrong: Wrong | None) -> None:
        """Report a value that is invalid for a reason already found."""
        if wrong:
            d.bad.add(key)
            self.problems.found.append(wrong_value(d.path, key, text, wrong, METRIC_KEYS[key]))

    def refuse_keys(self, d: DeclaredMetric, allowed: frozenset[str], what: str, why: Mapping[str, str]) -> None:
        """Report keys that are not allowed for this kind of metric."""
        for key in METRIC_KEYS:
            if key not in d.given or key in allowed or key in d.bad:
                continue
            message = f"{what} has no {key}" + (f": {why[key]}" if key in why else "")
            self.report(d, key, message, seen=self.written(d, key), expected="without this line")


class FactChecks(MetricChecks):
    """Checks of the facts of one metric."""

    def dialects_of(self, d: DeclaredMetric) -> list[str]:
        """The dialect of the metric's source; several common dialects if the source is unknown."""
        known = self.dialects.get(d.metric.source or "")
        return [known] if known is not None else ANY_DIALECT

    def check_facts(self, d: DeclaredMetric) -> None:
        """Check the SQL of a metric: measure, where, sql and joins."""
        dialects = self.dialects_of(d)
        if d.metric.measure and "measure" not in d.bad:
            self.parse(d, dialects)
        if d.metric.where and "where" not in d.bad:
            self.report_wrong_value(d, "where", d.metric.where, wrong_in_all(wrong_where, d.metric.where, dialects))
        if d.metric.sql and "sql" not in d.bad:
            self.check_sql(d, d.metric.sql, dialects)
        self.check_joins(d)

    def check_joins(self, d: DeclaredMetric) -> None:
        """Report table names used twice, and qualified columns of tables that are not joined."""
        names = [schema_and_table(d.metric.table or "")[1]]
        for join in d.metric.join if "join" not in d.bad else ():
            if join.name.casefold() in (n.casefold() for n in names):
                paste = f"join = {toml(f'{join.table} as other on …')}"
                message = f"{join.name!r} is the name of two tables"
                self.report(d, "join", message, seen=self.written(d, "join"), expected="a name for each", paste=paste)
                return
            for _, other in join.on:
                self.check_qualified(d, "join", other, names)
            names.append(join.name)
        for key in ("time", "from", "until", "changed", "by", "series", "unit_from"):
            value = getattr(d.metric, METRIC_KEYS[key].field or key)
            for column in (value,) if isinstance(value, str) else value or ():
                self.check_qualified(d, key, column, names)

    def check_qualified(self, d: DeclaredMetric, key: str, column: str, names: Sequence[str]) -> None:
        """Report a qualified column of a table that is not joined."""
        table, _, bare = column.rpartition(".")
        if not table or {key, "join"} & d.bad:
            return
        if not d.metric.join:
            message, expected = f"{column!r} contains a table name", "the column only, or the table in join"
            paste = f"{key} = {toml([bare] if key in ('by', 'series') else bare)}"
            self.report(d, key, message, seen=self.written(d, key), expected=expected, paste=paste)
        elif table.casefold() not in (n.casefold() for n in names):
            meant = closest_key(table, names)
            hint = f"did you mean {meant + '.' + bare!r}?" if meant else ""
            message = f"{column!r} is of a table that is not joined" + (" before" if key == "join" else "")
            self.report(d, key, message, seen=self.written(d, key), expected=", ".join(names), hint=hint)

    def check_sql(self, d: DeclaredMetric, text: str, dialects: Sequence[str]) -> None:
        """Report a query that writes, limits its rows or has wrong placeholders."""
        timed = d.metric.time is not None or bool(d.bad & {"time", "kind"})
        wrong = (
            wrong_placeholder(text, timed=timed)
            or wrong_in_all(wrong_query, text, dialects)
            or wrong_in_all(functools.partial(wrong_cut, timed=timed), text, dialects)
        )
        self.report_wrong_value(d, "sql", text, wrong)
        if not wrong and len(dialects) == 1:
            self.check_columns(d, text, dialects[0])

    def parse(self, d: DeclaredMetric, dialects: Sequence[str]) -> None:
        """Parse the measure. If the dialect is unknown, it is enough that one common dialect can parse it."""
        failure = MeasureError("the measure is nested too deeply")
        for dialect in reversed(dialects):
            if wrong := wrong_measure(d.metric.measure or "", dialect):
                failure = MeasureError(wrong)
                continue
            try:
                d.metric = replace(d.metric, parsed=parse_measure(d.metric.measure or "", dialect))
            except RecursionError:
                continue
            except MeasureError as error:
                failure = error
            else:
                self.check_by_time(d)
                return
        seen, expected, paste = self.written(d, "measure"), "an SQL aggregate", 'measure = "count(*)"'
        self.report(d, "measure", failure.message, seen=seen, expected=expected, hint=failure.hint, paste=paste)

    def check_by_time(self, d: DeclaredMetric) -> None:
        """Report `first` and `last` in a measure whose facts have no usable time."""
        words = [slot.agg for slot in d.metric.parsed.slots if slot.agg in BY_TIME] if d.metric.parsed else []
        if not words or "time" in d.bad:
            return
        if d.metric.daily_aggregate:
            why = "daily_aggregate already uses the value received last"
        elif d.metric.time is None or d.metric.kind == UNIQUES:
            why = "it needs facts with a time"
        else:
            return
        seen, expected = self.written(d, "measure"), "sum(x), min(x) or max(x), or facts with a time"
        self.report(d, "measure", f"{words[0]}(x) orders values by time: {why}", seen=seen, expected=expected)

    def check_columns(self, d: DeclaredMetric, text: str, dialect: str) -> None:
        """Report columns that the query does not return, if its columns are known."""
        given = output_columns(text, dialect)
        if given is None:
            return
        folded = {g.casefold() for g in given}
        for key in ("time", "from", "until", "received", "changed", "per", "by", "series", "unit_from"):
            value = getattr(d.metric, METRIC_KEYS[key].field or key)
            for name in (value,) if isinstance(value, str) else value or ():
                if key not in d.bad and name.casefold() not in folded:
                    self.missing_column(d, key, name, given)

    def missing_column(self, d: DeclaredMetric, key: str, name: str, given: Sequence[str]) -> None:
        """Report a column that the query does not return."""
        meant = closest_key(name, given)
        value = getattr(d.metric, METRIC_KEYS[key].field or key)
        fixed = meant if isinstance(value, str) else [meant if v == name else v for v in value]
        self.problems.add(
            f"{d.path}.{key}",
            f"the sql returns no column {name!r}",
            seen=self.written(d, key),
            expected=", ".join(given),
            hint=f"did you mean {meant!r}?" if meant else "",
            paste=f"{key} = {toml(fixed)}" if meant else "",
        )
