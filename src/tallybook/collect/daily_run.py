"""One run: plans the days, gathers them group by group, publishes complete days, and reports on each metric."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from tallybook.collect.entities import collect_entities
from tallybook.collect.group_runs import GroupRuns
from tallybook.collect.identity import check_identity, record_moved, record_owner
from tallybook.collect.planning import Planner
from tallybook.collect.report import RunReport
from tallybook.collect.run_context import RunContext
from tallybook.collect.run_lease import JOB, LEASE_SECONDS, lease_kept_alive
from tallybook.collect.sources.registry import close_sources
from tallybook.collect.staging import Staging
from tallybook.collect.work import (
    Horizon,
    RunPlan,
    RunRequest,
    horizon,
)
from tallybook.core import ENTITY_KINDS, Catalog, SourceError, calendar, isolated
from tallybook.storage import (
    Commit,
    Conflict,
    EntityMonths,
    Lease,
    Losses,
    attributes_ahead,
    connect,
    kept_under,
    taken_back,
)


def run(context: RunContext, asked: RunRequest) -> RunReport:
    """Collect missing days, oldest first, and the lookback. Raises Busy while another run writes to the book."""
    ledger = context.store.ledger
    began = time.monotonic()
    lease = ledger.acquire(JOB, now=context.clock(), seconds=LEASE_SECONDS)
    with lease_kept_alive(context, lease):
        number = ledger.start_run(JOB, now=context.clock())
        report = RunReport(run=number)
        status = "failed"
        try:
            record_owner(context, number)
            _keep_renames(context)
            report.notes += [*_take_back(context, lease, number), *_correct_attributes(context)]
            if not asked.metrics and asked.first is None:
                # Before the metrics, because some of them may read users and accounts.
                report.entities = collect_entities(context, number)
            plan = make_plan(context, asked)
            report.metrics = list(plan.reports.values())
            record_moved(context, plan.reports, number)
            GroupRuns(context, plan, lease, number).work()
            status = report.status
        except (KeyboardInterrupt, SystemExit):
            status = "interrupted"
            raise
        finally:
            for one in report.metrics:
                one.masked(context.mask)
            report.version = ledger.version()
            report.seconds = time.monotonic() - began
            ledger.finish_run(number, status, report.to_dict(), now=context.clock())
            close_sources(context.sources)
    return report


def _keep_renames(context: RunContext) -> None:
    """Record the key under which a renamed metric is stored, even if this run collects none of its days. From then on,
    `renamed_from` may be removed."""
    ledger = context.store.ledger
    kept = ledger.metric_keys()
    renamed = [m for m in context.catalog.metrics.values() if m.renamed_from and not m.derived and m.name not in kept]
    stored = ledger.stored_metrics() if renamed else set()
    for metric in renamed:
        key = kept_under(kept, metric.name, metric.renamed_from)
        if key in stored and key != metric.name:
            ledger.bind_key(metric.name, key)


def _take_back(context: RunContext, lease: Lease, number: int) -> list[str]:
    """Take back days that were collected while a clock was ahead. Returns what a person should know about them."""
    gone = taken_back(context.store.ledger, now=context.now, zone=context.catalog.book.timezone)
    if gone:
        engine = connect()
        Staging(engine)
        change = Commit(what=JOB, taken_back=gone.covered)
        context.store.publish(engine, change, lease=lease, run=number, now=context.clock())
        engine.close()
    return [f"{said}; they are taken back, and collected again where they have ended" for said in gone.in_words()]


def _correct_attributes(context: RunContext) -> list[str]:
    """Let changes of attributes that were kept under a clock that was ahead count from now on."""
    store, said = context.store, attributes_ahead(context.store.ledger, now=context.now)
    if said:
        months = EntityMonths(store.ledger, store.files)
        for kind in ENTITY_KINDS:
            with suppress(Conflict):  # Somebody else wrote their files meanwhile; the next run corrects them.
                months.correct_ahead(kind, now=context.now)
    return [f"{one}; they count from now on" for one in said]


def make_plan(context: RunContext, asked: RunRequest) -> RunPlan:
    """The plan that `run` would carry out. Queries the sources and changes nothing."""
    ledger, catalog = context.store.ledger, context.catalog
    kept = ledger.metric_keys()
    keys = {m.name: kept_under(kept, m.name, m.renamed_from) for m in catalog.metrics.values()}
    gone = taken_back(ledger, now=context.now, zone=catalog.book.timezone)
    known = gone.without(ledger.snapshot(keys.values()))
    horizons = {name: horizon_of(context, name) for name in _needed(catalog, asked)}
    losses = _losses(context, asked, [keys[name] for name in asked.metrics if name in keys])
    return Planner(catalog, known, keys, horizons, context.now, ledger, losses).plan(asked)


def _losses(context: RunContext, asked: RunRequest, keys: Sequence[str]) -> Losses:
    """The points files that cannot be read. Files with requested days are given up. With `keys`, only files of these
    metrics."""
    whole = context.store.ledger.snapshot(metrics=None if asked.first else [])
    found = context.store.losses(whole.files)
    if asked.first:
        last_closed = calendar.last_closed_day(context.now, context.catalog.book.timezone)
        found.give_up(whole, asked.first, asked.last or last_closed, keys, last_closed)
    return found


def _needed(catalog: Catalog, asked: RunRequest) -> list[str]:
    names = asked.metrics or tuple(catalog.metrics)
    metrics = [catalog.metrics[o] for name in names for o in catalog.operands(name)]
    return list(dict.fromkeys(m.source or "" for m in metrics if not m.derived))


def horizon_of(context: RunContext, name: str) -> Horizon | SourceError:
    """The instant up to which a source is known to be complete, or the error if it cannot be queried."""
    if name in context.unopened:
        return context.unopened[name]
    try:
        with isolated():
            check_identity(context, name)
            return horizon(
                context.sources.get(name), context.now, context.catalog.book.timezone, context.as_of.get(name)
            )
    except SourceError as error:
        return error
