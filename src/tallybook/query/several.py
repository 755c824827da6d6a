"""Merges many metrics of a question in one pass over their points."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from tallybook.core import ADDITIVE, FLOW, LEVEL, StoredDefinition
from tallybook.query.cells import Cell, ChosenDays, Key, MergedValues, merged
from tallybook.query.context import QueryContext
from tallybook.query.merge import Parts
from tallybook.query.one_metric import OneMetric, rows_on
from tallybook.query.point_relations import TOTALS, period_sql, values_relation
from tallybook.query.questions import Query
from tallybook.query.ranges import spans


def merge_together(context: QueryContext, query: Query) -> dict[str, MergedValues]:
    """The merged values of metrics with the same measure and dimensions, by metric: totals of flows, and levels on
    chosen days.

    Includes operands of derived metrics. A hundred metrics then need only one scan per kind of measure. A metric
    that cannot share a pass is absent."""
    assert query.first is not None
    assert query.last is not None
    asked_dims = {*query.by, *(one.dimension for one in query.where)} - set(context.computed)
    groups: dict[Any, list[str]] = {}
    days: dict[tuple[Any, tuple[tuple[date, date], ...]], list[str]] = {}
    for name in dict.fromkeys(operand for asked in query.metrics for operand in context.catalog.operands(asked)):
        bound = context.bounds.get(name)
        if bound is not None and not asked_dims <= set(bound.metric.dims):
            continue  # a filter on units does not apply to this operand, so its question differs
        if bound is not None and _mergeable(context, query, name):
            groups.setdefault(_merge_group_key(bound, query), []).append(name)
        elif bound is not None and _has_chosen_days(context, query, name):
            show = query.show or context.catalog.metrics[name].default_show
            targets = OneMetric(context, query, name, show, context.covered(name)).chosen_days()
            if targets:
                days.setdefault((_merge_group_key(bound, query), targets), []).append(name)
    found: dict[str, MergedValues] = {}
    for names in groups.values():
        if len(names) > 1:
            found |= _merged(context, query, names, query.first, query.last)
    for (_, targets), names in days.items():
        if len(names) > 1:
            found |= _merged_days(context, query, names, targets)
    return found


def _mergeable(context: QueryContext, query: Query, name: str) -> bool:
    metric = context.catalog.metrics[name]
    if any(name in context.computed for name in (*query.by, *(one.dimension for one in query.where))):
        return False
    total = (
        query.window is None
        and query.weekdays is None
        and not metric.derived
        and (query.show or metric.default_show) == "total"
    )
    return (
        total
        and metric.kind == FLOW
        and not metric.per
        and all(s.shape == ADDITIVE for s in context.bounds[name].measure.slots)
    )


def _has_chosen_days(context: QueryContext, query: Query, name: str) -> bool:
    """Whether the values of a level are those of one day per period, without carried rows."""
    metric, bound = context.catalog.metrics[name], context.bounds[name]
    if any(one in context.computed for one in (*query.by, *(f.dimension for f in query.where))):
        return False
    is_plain = query.window is None and query.weekdays is None and query.definition is None and not bound.imported
    is_level = metric.kind == LEVEL and not metric.derived and not metric.carry and not metric.per
    by_day = (query.show or metric.default_show) in ("first", "last")
    return is_plain and is_level and by_day and all(slot.shape == ADDITIVE for slot in bound.measure.slots)


def _merge_group_key(bound: StoredDefinition, query: Query) -> Any:
    """A key of the properties that metrics must share to be merged in one statement."""
    columns = [bound.column(d) for d in (*query.by, *(f.dimension for f in query.where))]
    slots = [(slot.agg, own.type) for slot, own in zip(bound.measure.slots, bound.slots, strict=True)]
    return repr((bound.measure.shell, slots, columns))


def _merged(
    context: QueryContext, query: Query, names: list[str], first: date, last: date
) -> dict[str, dict[Key, Cell]]:
    known = max(context.last_closed, context.running or context.last_closed)
    days = list(spans(first, last, query.scope, query.calendar, shift=query.shift, known=known, earliest=None))
    first, last = min(one.first for one in days), max(one.last for one in days)
    targets = None
    if query.spanned or query.calendar.by_weeks(query.scope):
        targets = values_relation([(one.start, one.first, one.last) for one in days if not one.why])
    period = period_sql(query.scope, query.calendar, first)
    parts = _parts_together(context, query, names, first, last)
    return _by_metric(context, parts, names, lambda p: p.finished(period, first, last, targets=targets))


def _merged_days(
    context: QueryContext, query: Query, names: list[str], targets: tuple[tuple[date, date], ...]
) -> dict[str, ChosenDays]:
    days = [day for _, day in targets]
    parts = _parts_together(context, query, names, min(days), max(days))
    found = _by_metric(context, parts, names, lambda p: rows_on(targets, p))
    return {name: ChosenDays(targets=targets, cells=cells) for name, cells in found.items()}


def _parts_together(context: QueryContext, query: Query, names: list[str], first: date, last: date) -> Parts:
    bounds = [context.bounds[name] for name in names]
    kind = ADDITIVE if query.by or query.where or query.excluded_series else TOTALS
    relation = {ADDITIVE: context.relation(kind, "", first, last)}
    return Parts(
        bounds[0], relation, query.by, query.where, query.excluded_series, together=bounds[1:], hidden=context.hidden
    )


def _by_metric(
    context: QueryContext, parts: Parts, names: list[str], build: Callable[[Parts], str]
) -> dict[str, dict[Key, Cell]]:
    """The cells of each metric in the rows that `build` selects."""
    n, bounds = len(parts.dims), [context.bounds[name] for name in names]
    named = {bound.key: name for name, bound in zip(names, bounds, strict=True)}
    found: dict[str, dict[Key, Cell]] = {bound.key: {} for bound in bounds}
    for row in context.merged_rows(parts, lambda p: p.fetched(build(p))):
        if row[1] in found:  # not another metric with the same definition
            found[row[1]][(row[0], row[2 : n + 1])] = merged(named[row[1]], row, n)
    return {name: found[bound.key] for name, bound in zip(names, bounds, strict=True)}
