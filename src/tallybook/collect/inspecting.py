"""Compares a whole project with its sources, for `check --source`."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from tallybook.collect.inspection import Inspection, SourceInspection, inspect_metric, inspect_source
from tallybook.collect.sources.base import Source
from tallybook.collect.sources.registry import close_sources, open_sources
from tallybook.config import Project
from tallybook.core import Metric, Problem, SourceError, SourceUnavailable, isolated


def inspect_metrics(project: Project, now: datetime) -> list[Inspection]:
    """Compare every metric with its source. A source that cannot be reached is reported once.

    `now`: the time for sources without a clock."""
    catalog = project.catalog
    sources, unopened = open_sources(catalog.sources)
    found: dict[str, Inspection] = {}
    try:
        for metric in catalog.metrics.values():
            name = metric.source or ""
            lost = any(one.unreachable and one.source == name for one in found.values())
            if name in catalog.sources and not lost:
                source = unopened.get(name) or sources[name]
                found[metric.name] = _inspected(source, metric, catalog.book.timezone, now)
    finally:
        close_sources(sources)
    return list(found.values())


def inspect_sources(project: Project) -> list[SourceInspection]:
    """Inspect each source as a whole. Sources that cannot be reached are left out."""
    sources, _ = open_sources(project.catalog.sources)
    found = []
    try:
        for source in sources.values():
            with suppress(SourceError), isolated():
                found.append(inspect_source(source, project.folder))
    finally:
        close_sources(sources)
    return found


def _inspected(source: Source | SourceError, metric: Metric, zone: str, now: datetime) -> Inspection:
    path, lost = f"metrics.{metric.name}", False
    try:
        with isolated():
            if isinstance(source, SourceError):
                path, lost = f"sources.{metric.source}", True
                raise source
            return inspect_metric(source, metric, zone, now)
    except SourceError as error:
        if isinstance(error, SourceUnavailable):
            path, lost = f"sources.{metric.source}", True
        problem = Problem(path=path, message=error.message, hint=error.hint)
        return Inspection(metric.name, source=metric.source or "", unreachable=lost, problems=[problem])
