"""Descriptions of declared metrics, with their collected ranges."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import date

import msgspec

from tallybook.core import ONE_DAY, Metric, calendar
from tallybook.query.context import Coverage
from tallybook.query.event_days import known_event_days
from tallybook.query.questions import known_metric
from tallybook.query.ranges import TWO_YEARS
from tallybook.query.reader import BookReader
from tallybook.query.records import KnownDefinition, MetricDescription, MetricDetails
from tallybook.storage import VersionSnapshot


def describe_metrics(reader: BookReader) -> list[MetricDescription]:
    """Every declared metric, in the order of the declarations."""
    catalog = reader.project.catalog
    keys = reader.keys(list(catalog.metrics))
    known = reader.snapshot(keys, None)
    return [_described(reader, metric, keys[metric.name], known) for metric in catalog.metrics.values()]


def describe_metric(reader: BookReader, name: str) -> MetricDetails:
    """The description of one metric with its covered days, its gaps, and all definitions. Raises QueryError for an
    undeclared metric."""
    catalog = reader.project.catalog
    metric = known_metric(catalog, name)
    key = reader.keys([name])[name]
    known = reader.snapshot({name: key}, None)
    described = _described(reader, metric, key, known)
    covered = reader.covered(key, described.definition, known)
    between = [(a[1] + ONE_DAY, b[0] - ONE_DAY) for a, b in itertools.pairwise(covered)]
    missing = [part for a, b in between for part in calendar.stretches(_expected(metric, a, b))]
    definitions = [
        KnownDefinition(id=d.id, created=d.created, days=_days(reader.covered(key, d.id, known)))
        for d in known.definitions.get(key, ())
    ]
    return MetricDetails(
        **msgspec.structs.asdict(described) | {"definitions": definitions},
        operands=list(catalog.operands(name)) if metric.derived else [],
        coverage=_as_texts(covered),
        missing=_as_texts(missing),
    )


def _described(reader: BookReader, metric: Metric, key: str, known: VersionSnapshot) -> MetricDescription:
    bound = None if metric.derived else reader.bound(metric, key, known, None)
    stretches = reader.covered(key, bound.definition, known) if bound else ()
    days = _days(stretches)
    return MetricDescription(
        metric=metric.name,
        kind="derived" if metric.derived else metric.kind,
        source=metric.source,
        measure=metric.steps or None,
        by=list(reader.project.catalog.queryable_dims(metric.name)),
        unit=metric.unit,
        show="formula" if metric.derived else metric.default_show,
        title=metric.title,
        description=metric.description,
        definition=bound.definition if bound else None,
        definitions=[d.id for d in known.definitions.get(key, ())],
        from_=str(stretches[0][0]) if stretches else None,
        to=str(stretches[-1][1]) if stretches else None,
        days=days,
        gaps=_gaps(stretches, Coverage(stretches, expect=metric.expected_weekdays)) if stretches else 0,
    )


def days_without_value(reader: BookReader, due: date) -> dict[str, list[date]]:
    """The days up to `due` on which metrics of pushed values expected a value and received none, by metric."""
    catalog = reader.project.catalog
    names = [name for name, metric in catalog.metrics.items() if metric.expect is not None]
    if not names or not reader.has_book:
        return {}
    found = {}
    for name, days in known_event_days(catalog, names, reader.store.ledger).items():
        metric = catalog.metrics[name]
        # Days before the first value are not late, unless the metric has a start; nor are days that no run reads.
        begun = catalog.book.start or due - TWO_YEARS + ONE_DAY
        start = metric.start or min((day for day in days.sent if day >= begun), default=catalog.book.start)
        every = _expected(metric, start, due) if start and start <= due else ()
        found[name] = [day for day in every if day not in days.sent]
    return found


def _expected(metric: Metric, first: date, last: date) -> list[date]:
    return [day for day in calendar.days(first, last) if _is_expected(metric, day)]


def _is_expected(metric: Metric, day: date) -> bool:
    return metric.expect is None or day.weekday() in metric.expect


def _gaps(stretches: Sequence[tuple[date, date]], covered: Coverage) -> int:
    first, last = stretches[0][0], stretches[-1][1]
    return (last - first).days + 1 - _days(stretches) - covered.unexpected(first, last)


def _days(stretches: Sequence[tuple[date, date]]) -> int:
    return sum((last - first).days + 1 for first, last in stretches)


def _as_texts(stretches: Sequence[tuple[date, date]]) -> list[tuple[str, str]]:
    return [(str(first), str(last)) for first, last in stretches]
