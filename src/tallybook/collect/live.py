"""The same statements over the same days, for an answer that is not stored."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from tallybook.collect.binding import BoundMetric
from tallybook.collect.column_checks import check_columns
from tallybook.collect.daily_run import horizon_of
from tallybook.collect.gathering import by_index, gather_days, gather_function, gather_intervals, gather_now
from tallybook.collect.grouping import INTERVAL_PLAN, SNAPSHOT_PLAN, group_key
from tallybook.collect.planning import bind_metric
from tallybook.collect.run_context import RunContext
from tallybook.collect.staging import Staging
from tallybook.collect.statements import Group
from tallybook.collect.work import Horizon
from tallybook.core import (
    ADDITIVE,
    ONE_DAY,
    Inseparable,
    Metric,
    Refused,
    SourceError,
    StoredDefinition,
    calendar,
    isolated,
)
from tallybook.query import ALL, TOTALS, Coverage, Points, Query, QueryContext, known_event_days, spans
from tallybook.storage import VersionSnapshot

if TYPE_CHECKING:
    import duckdb

    from tallybook.collect.sources.base import Source


def live_context(
    context: RunContext,
    query: Query,
    known: VersionSnapshot,
    keys: Mapping[str, str],
    engine: duckdb.DuckDBPyConnection,
    *,
    floor: date = date.min,
) -> QueryContext:
    """The context of a query on the current facts, for the days of `query` (both ends set) from `floor` on. Days are
    staged but not published."""
    assert query.first is not None
    assert query.last is not None
    catalog, zone = context.catalog, context.catalog.book.timezone
    staging = Staging(engine)
    today = calendar.day_of(context.now, zone)
    operands = dict.fromkeys(o for name in query.metrics for o in catalog.operands(name))
    bounds: dict[str, StoredDefinition] = {}
    coverage: dict[str, Coverage] = {}
    horizons: dict[str, Horizon | SourceError] = {}
    failures: dict[str, SourceError] = {}
    for name in operands:
        metric = catalog.metrics[name]
        source = metric.source or ""
        if source not in horizons:
            horizons[source] = horizon_of(context, source)
        try:
            with isolated():
                facts = _bound(context, metric, horizons[source], known, keys)
                coverage[name] = _gathered(context, facts, horizons[source], query, today, floor, staging)
                bounds[name] = facts.bound
        except SourceError as error:
            failures[name] = error
    if failures and len(failures) == len(operands):
        raise next(iter(failures.values()))
    closed = [h.last_closed for h in horizons.values() if isinstance(h, Horizon)]
    return QueryContext(
        catalog=catalog,
        engine=engine,
        relation=lambda kind, key, first, last: Points(f"new_{ADDITIVE if kind == TOTALS else kind}"),
        bounds=bounds,
        coverage=coverage,
        last_closed=min([*closed, today - ONE_DAY]),
        version=known.version,
        running=today if query.last >= today else None,
        running_until=f"{context.now.astimezone(calendar.zone(zone)):%H:%M}",
        whys={name: f"{name} cannot be read: {context.mask(error.message)}" for name, error in failures.items()},
        events=known_event_days(catalog, list(bounds), context.store.ledger),
    )


def _bound(
    context: RunContext, metric: Metric, found: Horizon | SourceError, known: VersionSnapshot, keys: Mapping[str, str]
) -> BoundMetric:
    if isinstance(found, SourceError):
        raise found
    return bind_metric(metric, found, context.catalog.book.timezone, keys.get(metric.name, metric.name), known)


def _gathered(
    context: RunContext,
    facts: BoundMetric,
    found: Horizon | SourceError,
    query: Query,
    today: date,
    floor: date,
    staging: Staging,
) -> Coverage:
    """Stage the facts of one metric. Returns the coverage of their days."""
    assert isinstance(found, Horizon)
    metric, database, zone = facts.metric, found.source, context.catalog.book.timezone
    first, last = _reach(metric, query, today)
    first = min(max(first, floor), last)
    if metric.function:
        function = context.function_of(metric)
        with database.sql_connection() if database else nullcontext() as connection:
            for day in calendar.days(first, last):
                gather_function(facts, function, connection, day, zone, staging)
        return Coverage(((first, last),))
    assert database is not None
    covered = _gather(Group(database, group_key(facts), [facts], zone), metric, first, last, today, staging)
    return covered & _vouched(database, metric, (first, last), today, zone)


def _vouched(database: Source, metric: Metric, days: tuple[date, date], today: date, zone: str) -> Coverage:
    """The days that the source vouches for. An empty day without this is unknown, not 0. The current day is incomplete
    anyway."""
    vouched = database.vouched(metric, list(calendar.days(*days)), zone)
    if not metric.keeps_latest and days[0] <= today <= days[1]:
        vouched = {*vouched, today}
    return Coverage(tuple(calendar.stretches(sorted(vouched))), expect=metric.expected_weekdays)


def _reach(metric: Metric, query: Query, today: date) -> tuple[date, date]:
    """The days to read: the requested days, the days that may be carried into them, and the day before for `change`."""
    assert query.first is not None
    assert query.last is not None
    first = min(_looked_at(one, today) for one in (query, replace(query, compare=None, shift=query.compare)))
    if query.top:
        first = min(first, query.first)  # the largest series are those of the whole range, including days in no window
    if (query.show or metric.default_show) == "change" and query.scope != "all":
        first = query.calendar.period_start(first, query.scope)
    first = calendar.plus_days(first, -(metric.carry + 1))
    return first, min(query.last, today)


def _looked_at(query: Query, today: date) -> date:
    """The first day that is used for any row of the answer."""
    if query.window == ALL:
        raise Refused(
            "the facts of all time are not read live", ask="the same question without --live", changes=[{"live": None}]
        )
    assert query.first is not None
    assert query.last is not None
    found = spans(
        query.first,
        query.last,
        query.scope,
        query.calendar,
        window=query.window,
        shift=query.shift,
        known=today,
        earliest=None,
    )
    return min(span.first for span in found)


def _gather(group: Group, metric: Metric, first: date, last: date, today: date, staging: Staging) -> Coverage:
    if group.key.plan == SNAPSHOT_PLAN:
        if last < today:
            raise Refused(
                f"of {metric.name!r} only the present can be seen; what it was on {last} is only in the book",
                ask=f"tallybook query {metric.name} without --live, or --live --to today",
                changes=[{"live": None}, {"to": "today"}],
            )
        gather_now(group, today, staging)
        return Coverage(((today, today),))
    for misfits in check_columns(group, first, last, today, {}).misfits:
        if misfits.days is None or misfits.days & set(calendar.days(first, last)):
            raise misfits.error(metric.name)
    if group.key.plan == INTERVAL_PLAN:
        steps = gather_intervals(group, first, last, staging)
    else:
        steps = gather_days(group, [(first, last)], staging, by_index(group, last))
    try:
        for _ in steps:
            pass
    except Inseparable:
        group.fused = False
        staging.abandon()
        for facts in group.members:
            staging.drop(facts.bound.key, facts.bound.definition)
        for _ in gather_days(group, [(first, last)], staging, by_index(group, last)):
            pass
    return Coverage(((first, last),))
