"""The metrics of a question solved: each by itself, or by the formula of others over the days all of them cover."""

from __future__ import annotations

from collections.abc import Sequence

from tallybook.core import type_of
from tallybook.query.cells import Cell, Key, MergedTotal, MetricPeriod, Solved, formula_of
from tallybook.query.context import Coverage, QueryContext
from tallybook.query.one_metric import OneMetric, as_written
from tallybook.query.questions import Query


def solve(
    context: QueryContext,
    query: Query,
    name: str,
    show: str | None = None,
    coverage: Coverage | None = None,
    total: MergedTotal | None = None,
) -> Solved:
    """The metric `name` over the range of `query` (whose first and last day are set).

    `total`: its totals over all its covered days, where they were merged with those of other metrics."""
    metric = context.catalog.metrics[name]
    if metric.derived:
        return _derived(context, query, name, coverage)
    shared = coverage if coverage is not None else context.covered(name)
    return OneMetric(context, query, name, show or query.show or metric.default_show, shared, total).solved()


def _derived(context: QueryContext, query: Query, name: str, coverage: Coverage | None) -> Solved:
    """Every operand rolled up over the days all of them cover, then the formula, cell by cell."""
    measure = context.catalog.metrics[name].parsed
    assert measure is not None
    own = context.covered(name)
    shared = own if coverage is None else own & coverage
    operands = [solve(context, query, o.metric, o.show, shared) for o in measure.operands]
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
            "the days all of them cover, then evaluated"
        ),
    )


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
        why=next((p.why for p in several if p.why), None),
    )
