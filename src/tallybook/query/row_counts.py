"""A lower bound for the rows of an answer, counted by the engine before the answer is computed."""

from __future__ import annotations

from tallybook.core import ADDITIVE
from tallybook.query.context import QueryContext
from tallybook.query.one_metric import OneMetric
from tallybook.query.questions import Query
from tallybook.query.reach import ranged


def rows_at_least(query: Query, context: QueryContext, most: int) -> int:
    """A number of rows that the answer has at least: periods and series with a fact, for the metric that has most.

    0 if the answer has no dimensions or leaves out rows, or if it is unlikely to have more than `most` rows."""
    leaves_out = query.top or query.limit is not None or query.having or query.window or query.weekdays is not None
    if not query.by or leaves_out or query.segments or query.shift or query.is_split_by_weekday or context.computed:
        return 0
    query = ranged(query, context).query
    return max((_rows_of(query, context, name, most) for name in query.metrics), default=0)


def _rows_of(query: Query, context: QueryContext, name: str, most: int) -> int:
    metric = context.catalog.metrics[name]
    bound = context.bounds.get(name)
    if metric.derived or bound is None or metric.carry or metric.per or bound.imported:
        return 0
    if any(slot.shape != ADDITIVE for slot in bound.measure.slots):
        return 0
    one = OneMetric(context, query, name, query.show or metric.default_show, context.covered(name))
    assert query.first is not None
    assert query.last is not None
    parts = one._parts()
    points = parts.points(ADDITIVE, one.first, one.last, 0)
    if context.rows(f"SELECT count(*) FROM ({points})")[0][0] <= most:
        return 0
    keys = "".join(f", k{place}" for place in range(len(query.by)))
    present = one._by_period(parts.present("day", one.first, one.last))
    count: int = context.rows(f"SELECT count(*) FROM (SELECT DISTINCT g{keys} FROM ({present}))")[0][0]
    return count
