"""Metrics as attributes of users and accounts: `api_calls_7d = { metric = "api_calls", last = "7 days" }`.

They are computed from points; attributes over the same days share one read. If a day is not collected, the value is
unknown for every entity, never 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tallybook.core import (
    BOOK_ENTITY,
    INTEGER,
    INTEGER_VALUE,
    NUMBER_VALUE,
    ONE_DAY,
    Catalog,
    EntitySettings,
    MetricAttribute,
    QueryError,
    plus_days,
)
from tallybook.query.context import Coverage, QueryContext
from tallybook.query.filter_texts import parse_filter
from tallybook.query.past import solve_with_past
from tallybook.query.question import Question
from tallybook.query.questions import Query
from tallybook.query.reach import ranged

if TYPE_CHECKING:
    from tallybook.query.cells import Solved
    from tallybook.query.service import QueryService


@dataclass(frozen=True, kw_only=True)
class MetricValues:
    """One metric attribute for every id. `why`: why it is unknown for all of them.

    `until`: the last day up to which all its days are known."""

    name: str
    type: str
    values: Mapping[str, Any]
    whys: Mapping[str, str]
    """Why the value of an id is unknown, by id."""
    empty: Any
    """The value for an id without a fact."""
    why: str | None = None
    until: date | None = None

    def of(self, entity_id: str) -> tuple[Any, str | None]:
        """(value, why it is unknown) for one id."""
        if self.why is not None or entity_id in self.whys:
            return None, self.why or self.whys[entity_id]
        return self.values.get(entity_id, self.empty), None


def metric_values(
    service: QueryService,
    catalog: Catalog,
    settings: EntitySettings,
    day: date,
    names: Sequence[str] | None = None,
    *,
    only: str | None = None,
) -> dict[str, MetricValues]:
    """The metric attributes, or those named, over days that end with `day`; for all ids, or for the id `only`."""
    wanted = {name: one for name, one in settings.metrics.items() if names is None or name in names}
    alike: dict[tuple[Any, ...], list[str]] = {}
    for name, one in wanted.items():
        dimension = id_dimension(catalog, settings, one.metric)
        alike.setdefault((dimension, one.last, one.show, one.where), []).append(name)
    found: dict[str, MetricValues] = {}
    for (dimension, last, show, where), several in alike.items():
        metrics = list(dict.fromkeys(wanted[name].metric for name in several))
        span = last or ("1 day" if show in ("last", "first") or _are_levels(catalog, metrics) else None)
        chosen = list(where) if only is None else [*where, *_only(dimension, only)]
        question = Question(metrics=metrics, by=[dimension], scope="all", last=span, to=day, show=show, where=chosen)
        solved = service.read(question, _solved) if service.reader.has_book else {}
        for name in several:
            found[name] = _values(name, wanted[name], solved.get(wanted[name].metric))
    return {name: found[name] for name in wanted}


def book_values(service: QueryService, catalog: Catalog, names: Sequence[str], day: date) -> dict[str, MetricValues]:
    """Metrics as attributes of the whole book: the value of one day for each, under the id of the book."""
    found = {}
    for name in names:
        question = Question(metrics=[name], scope="all", last="1 day", to=day)
        solved = service.read(question, _solved) if service.reader.has_book else {}
        values = _values(name, MetricAttribute(metric=name), solved.get(name), whole=True)
        found[name] = values
    return found


def _only(dimension: str, entity_id: str) -> list[str]:
    """The filter that selects one id. Empty if no filter can express it; then all ids are computed."""
    text = f"{dimension}={entity_id}"
    with suppress(QueryError):
        found = parse_filter(text)
        return [text] if (found.dimension, found.equal, found.value) == (dimension, True, entity_id) else []
    return []


def _are_levels(catalog: Catalog, metrics: Sequence[str]) -> bool:
    return any(catalog.metrics[name].default_show == "last" for name in metrics)


def id_dimension(catalog: Catalog, settings: EntitySettings, metric: str) -> str:
    """The dimension of a metric that contains the ids. Raises QueryError if the metric has no such dimension, which
    `check` also reports."""
    dims = catalog.queryable_dims(metric)
    for name in settings.dimension:
        if name in dims:
            return name
    raise QueryError(f"{metric!r} stores no ids of {settings.kind}", hint=f'by = ["{settings.dimension[0]}"]')


@dataclass(frozen=True)
class _Known:
    """A metric over its days, and the first missing day."""

    solved: Solved
    missing: date | None
    first: date


def _solved(query: Query, context: QueryContext) -> dict[str, _Known]:
    if query.first is None and not any(context.covered(name).stretches for name in query.metrics):
        return {}
    query = ranged(query, context).query
    assert query.first is not None
    assert query.last is not None
    found = {}
    for name in query.metrics:
        missing = first_missing(context.covered(name), query.first, query.last)
        found[name] = _Known(solve_with_past(context, query, name), missing, query.first)
    return found


def first_missing(covered: Coverage, first: date, last: date) -> date | None:
    """The first day of a range that is not covered; None if all are covered."""
    day = first
    while day <= last:
        stretch = next((one for one in covered.stretches if one[0] <= day <= one[1]), None)
        if stretch is None:
            return day
        day = plus_days(stretch[1], 1)
    return None


def _values(name: str, attribute: MetricAttribute, known: _Known | None, *, whole: bool = False) -> MetricValues:
    """The values by id. `whole`: there is only one value, under the id of the book."""
    why: str | None = None
    until: date | None = None
    if known is None:
        why = f"{attribute.metric} is not collected yet: tallybook run"
        return MetricValues(name=name, type=NUMBER_VALUE, values={}, whys={}, empty=None, why=why)
    solved = known.solved
    type_ = INTEGER_VALUE if solved.type == INTEGER and solved.show != "average" else NUMBER_VALUE
    if known.missing is not None:
        why = f"{known.missing} is not collected: tallybook run {attribute.metric}"
        until = known.missing - ONE_DAY if known.missing > known.first else None
    values: dict[str, Any] = {}
    whys: dict[str, str] = {}
    for (_, dims), cell in solved.cells.items():
        entity = BOOK_ENTITY if whole else dims[0]
        if entity is None:
            continue
        if cell.why or cell.bounds:
            whys[entity] = cell.why or "only bounds are known"
        else:
            values[entity] = _plain(cell.value, type_)
    return MetricValues(
        name=name, type=type_, values=values, whys=whys, empty=_plain(solved.empty, type_), why=why, until=until
    )


def _plain(value: Any, type_: str) -> Any:
    if isinstance(value, Decimal):
        return int(value) if type_ == INTEGER_VALUE else float(value)
    return float(value) if value is not None and type_ == NUMBER_VALUE else value
