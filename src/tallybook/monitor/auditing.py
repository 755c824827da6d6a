"""Audits a book by the names that people use for metrics, days and sources."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tallybook.collect import prepare_run
from tallybook.monitor.context import MonitorContext
from tallybook.monitor.recount import Audit, audit
from tallybook.query import known_metric


def audit_book(
    context: MonitorContext, names: Sequence[str], *, sample: int, seed: int | None, seconds: float
) -> Audit:
    """Count old days of the named metrics, or of all, again in their sources, or in a replica if one is declared.

    Raises QueryError for a metric that is not declared, and SourceUnavailable if a replica is behind."""
    project, reader = context.project, context.reader
    catalog = project.catalog
    operands = [o for name in names or catalog.metrics for o in catalog.operands(known_metric(catalog, name).name)]
    metrics = [catalog.metrics[name] for name in dict.fromkeys(operands)]
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    with reader.only_reading():
        keys = reader.keys([metric.name for metric in metrics])
        replicas = {name: source.replica for name, source in catalog.sources.items() if source.replica}
        means = prepare_run(project, reader.store, context.clock, replicas=replicas)
        known = reader.snapshot(keys, None)
        return audit(means, known, keys, metrics, sample=sample, seed=seed, seconds=seconds)
