"""The tables and columns from which a metric is computed, directly or through other metrics. Reads declarations
only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import field

from tallybook.core import Catalog, Metric, SourceError, isolated, quiet
from tallybook.query.records import BookRecord

Columns = dict[str, set[str]]
"""{table: columns}. The key '' has the columns whose table cannot be determined without the database."""


class Lineage(BookRecord, frozen=True, kw_only=True):
    """The lineage of one metric. A derived metric is `made_of` others.

    Any other metric has a `source` and `tables` with the columns that are read, or a `function`. `unread`: SQL that
    cannot be parsed."""

    metric: str
    measure: str | None
    made_of: list[Lineage] = field(default_factory=list)
    source: str | None = None
    function: str | None = None
    tables: dict[str, list[str]] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        plain = super().to_dict()
        if self.made_of:
            return {"metric": self.metric, "measure": self.measure, "made_of": [one.to_dict() for one in self.made_of]}
        optional = [name for name in ("made_of", "function", "unread") if not plain[name]]
        return {name: value for name, value in plain.items() if name not in optional}


def lineage(catalog: Catalog, name: str, dialects: Mapping[str, str]) -> Lineage:
    """The lineage of one metric. `dialects`: the SQL dialect of each source."""
    metric = catalog.metrics[name]
    if metric.derived:
        assert metric.parsed is not None
        operands = dict.fromkeys(o.metric for o in metric.parsed.operands)
        made_of = [lineage(catalog, operand, dialects) for operand in operands]
        return Lineage(metric=name, measure=metric.measure, made_of=made_of)
    measure = metric.steps if metric.per else metric.measure
    if metric.function:
        return Lineage(metric=name, measure=measure, source=metric.source, function=metric.function)
    tables, unread = _tables(metric, dialects.get(metric.source or "", "duckdb"))
    columns = {table: sorted(columns) for table, columns in sorted(tables.items())}
    return Lineage(metric=name, measure=measure, source=metric.source, tables=columns, unread=unread)


def used_by(catalog: Catalog, name: str) -> list[str]:
    """The derived metrics that use `name`, directly or through others."""
    return [other for other in catalog.metrics if other != name and name in _below(catalog, other)]


def _below(catalog: Catalog, name: str) -> set[str]:
    parsed = catalog.metrics[name].parsed
    if not catalog.metrics[name].derived or parsed is None:
        return set()
    return {below for o in parsed.operands for below in {o.metric, *_below(catalog, o.metric)}}


def _tables(metric: Metric, dialect: str) -> tuple[Columns, list[str]]:
    """({table: columns}, texts that could not be parsed)."""
    unread: list[str] = []
    named = [
        metric.time,
        metric.from_,
        metric.until,
        *metric.received_columns,
        metric.changed,
        metric.per,
        *metric.by,
        *metric.series,
    ]
    columns = {column for column in named if column}
    for text in _expressions(metric):
        found = _columns_of(text, dialect)
        if found is None:
            unread.append(text)
        columns |= found or set()
    if metric.table is not None:
        return {metric.table: columns}, unread
    within = _columns_of_query(metric.sql or "", dialect)
    return ({}, [*unread, metric.sql or ""]) if within is None else (within, unread)


def _expressions(metric: Metric) -> list[str]:
    slots = metric.parsed.slots if metric.parsed else ()
    return [text for text in (metric.where, *(t for slot in slots for t in (*slot.args, slot.filter))) if text]


def _columns_of(text: str, dialect: str) -> set[str] | None:
    from sqlglot import exp, parse_one

    quiet("sqlglot")
    try:
        with isolated():
            return {column.name for column in parse_one(text, dialect=dialect).find_all(exp.Column)}
    except SourceError:
        return None


def _columns_of_query(sql: str, dialect: str) -> Columns | None:
    """Every column that the query reads, by table."""
    import re

    from sqlglot import parse_one
    from sqlglot.optimizer.scope import traverse_scope

    found: Columns = {}
    quiet("sqlglot")
    try:
        with isolated():
            # The placeholders of the bounds are replaced by NULL, because they name no column.
            for scope in traverse_scope(parse_one(re.sub(r"\{\{.*?\}\}", "NULL", sql), dialect=dialect)):
                _add_scope(scope, found)
    except SourceError:
        return None
    return found


def _add_scope(scope: Any, found: Columns) -> None:
    from sqlglot import exp

    tables = {alias: _full_name(s) for alias, s in scope.sources.items() if isinstance(s, exp.Table)}
    for table in tables.values():
        found.setdefault(table, set())
    if scope.expression.args.get("expressions") and any(e.is_star for e in scope.expression.expressions):
        for table in tables.values():
            found[table].add("*")
    for column in scope.columns:
        if column.table in tables:
            found[tables[column.table]].add(column.name)
        elif not column.table and len(scope.sources) == 1 and tables:
            found[next(iter(tables.values()))].add(column.name)
        elif not column.table and tables:
            found.setdefault("", set()).add(column.name)


def _full_name(table: Any) -> str:
    return ".".join(part for part in (table.catalog, table.db, table.name) if part)
