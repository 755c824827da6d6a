"""Computes the metrics of a question: each by itself, or by a formula over the days that all its operands cover."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tallybook.core import type_of
from tallybook.query.cells import Cell, Key, MergedValues, MetricPeriod, Solved, formula_of
from tallybook.query.context import Coverage, QueryContext
from tallybook.query.one_metric import OneMetric, as_written
from tallybook.query.questions import Query


def solve(
    context: QueryContext,
    query: Query,
    name: str,
    show: str | None = None,
    coverage: Coverage | None = None,
    totals: Mapping[str, MergedValues] | None = None,
) -> Solved:
    """The metric `name` over the range of `query`, whose first and last day are set.

    `totals`: values of metrics that were merged together."""
    metric = context.catalog.metrics[name]
    if metric.derived:
        return _derived(context, query, name, coverage, totals)
    shared = coverage if coverage is not None else context.covered(name)
    return OneMetric(
        context, query, name, show or query.show or metric.default_show, shared, (totals or {}).get(name)
    ).solved()


def _derived(
    context: QueryContext,
    query: Query,
    name: str,
    coverage: Coverage | None,
    totals: Mapping[str, MergedValues] | None,
) -> Solved:
    """Roll up every operand over the days that all of them cover, then apply the formula to each cell."""
    measure = context.catalog.metrics[name].parsed
    assert measure is not None
    own = context.covered(name)
    shared = own if coverage is None else own & coverage
    asked = [_for_operand(context, query, name, o.metric) for o in measure.operands]
    operands = [
        solve(context, q, o.metric, o.show, shared, totals if q is query else None)
        for q, o in zip(asked, measure.operands, strict=True)
    ]
    type_ = type_of(measure.shell, [operand.type for operand in operands])
    cells: dict[Key, Cell] = {}
    for key in {key for operand in operands for key in operand.cells}:
        cells[key] = formula_of(measure.shell, [operand.at(key) for operand in operands], type_)
    found = {start: _shared_period([o.periods[start] for o in operands]) for start in operands[0].periods}
    empty = formula_of(measure.shell, [Cell(o.empty) for o in operands], type_).value
    return Solved(
        cells=cells,
        periods=found,
        empty=empty,
        type=type_,
        show="formula",
        operands=operands,
        shell=measure.shell,
        said=(
            f"{name}: {as_written(context.catalog.metrics[name].measure or measure.text)}, each rolled up over "
            "the days all of them cover, then evaluated" + _unfiltered(context, query, name)
        ),
    )


def _for_operand(context: QueryContext, query: Query, name: str, operand: str) -> Query:
    """The question of an operand, without filters on units that it does not have."""
    units, has = context.catalog.unit_dims(name), context.catalog.queryable_dims(operand)
    nested = context.catalog.unit_dims(operand)
    kept = [f for f in query.where if f.dimension not in units or f.dimension in (*has, *nested)]
    return query if len(kept) == len(query.where) else replace(query, where=tuple(kept))


def _unfiltered(context: QueryContext, query: Query, name: str) -> str:
    """The operands to which a filter on units does not apply, as the end of a sentence."""
    catalog, said = context.catalog, []
    for unit in catalog.unit_dims(name):
        without = [o for o in catalog.operands(name) if unit not in catalog.queryable_dims(o)]
        if without and any(f.dimension == unit for f in query.where):
            said.append(f", {' and '.join(without)} not filtered by {unit}")
    return "".join(said)


def _shared_period(several: Sequence[MetricPeriod]) -> MetricPeriod:
    worst = min(several, key=lambda p: p.days)
    return MetricPeriod(
        worst.start,
        worst.first,
        worst.last,
        worst.expected,
        worst.days,
        min(p.known for p in several),
        absent_is_known=all(p.absent_is_known for p in several),
        as_of=next((p.as_of for p in several if p.as_of), None),
        last_closed=worst.last_closed,
        unexpected=worst.unexpected,
        why=next((p.why for p in several if p.why), None),
    )
