"""Many metrics of a question in one pass over their points."""

from __future__ import annotations

from datetime import date
from typing import Any

from tallybook.core import ADDITIVE, FLOW, StoredDefinition
from tallybook.query.cells import Cell, Key, MergedTotal, merged
from tallybook.query.context import QueryContext
from tallybook.query.merge import Parts
from tallybook.query.point_relations import TOTALS, period_sql, values_relation
from tallybook.query.questions import Query
from tallybook.query.ranges import spans


def merge_together(context: QueryContext, query: Query) -> dict[str, MergedTotal]:
    """The totals of flows of the same measure and dimensions, by metric, merged in one pass over their points. Operands
    of derived metrics are among them.

    A hundred metrics are then as many scans as there are kinds of measures among them. A metric that shares its pass
    with no other is absent."""
    assert query.first is not None
    assert query.last is not None
    groups: dict[Any, list[str]] = {}
    for name in dict.fromkeys(operand for asked in query.metrics for operand in context.catalog.operands(asked)):
        bound = context.bounds.get(name)
        if bound is not None and _mergeable(context, query, name):
            groups.setdefault(_merge_group_key(bound, query), []).append(name)
    totals: dict[str, MergedTotal] = {}
    for names in groups.values():
        if len(names) > 1:
            totals |= _merged(context, query, names, query.first, query.last)
    return totals


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


def _merge_group_key(bound: StoredDefinition, query: Query) -> Any:
    """What metrics must share to be merged by one statement."""
    columns = [bound.column(d) for d in (*query.by, *(f.dimension for f in query.where))]
    slots = [(slot.agg, own.type) for slot, own in zip(bound.measure.slots, bound.slots, strict=True)]
    return repr((bound.measure.shell, slots, columns))


def _merged(
    context: QueryContext, query: Query, names: list[str], first: date, last: date
) -> dict[str, dict[Key, Cell]]:
    bounds = [context.bounds[name] for name in names]
    known = max(context.last_closed, context.running or context.last_closed)
    days = list(spans(first, last, query.scope, query.calendar, shift=query.shift, known=known, earliest=None))
    first, last = min(one.first for one in days), max(one.last for one in days)
    targets = None
    if query.spanned or query.calendar.by_weeks(query.scope):
        targets = values_relation([(one.start, one.first, one.last) for one in days if not one.why])
    period = period_sql(query.scope, query.calendar, first)
    kind = ADDITIVE if query.by or query.where or query.excluded_series else TOTALS
    relation = {ADDITIVE: context.relation(kind, "", first, last)}
    parts = Parts(
        bounds[0], relation, query.by, query.where, query.excluded_series, together=bounds[1:], hidden=context.hidden
    )
    n = len(parts.dims)
    named = {bound.key: name for name, bound in zip(names, bounds, strict=True)}
    found: dict[str, dict[Key, Cell]] = {bound.key: {} for bound in bounds}
    for row in context.merged_rows(parts, lambda p: p.fetched(p.finished(period, first, last, targets=targets))):
        if row[1] in found:  # not another metric of the very same definition
            found[row[1]][(row[0], row[2 : n + 1])] = merged(named[row[1]], row, n)
    return {name: found[bound.key] for name, bound in zip(names, bounds, strict=True)}
