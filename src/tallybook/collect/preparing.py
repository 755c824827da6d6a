"""Prepares a run: opens its sources, or the ones that replace them, and builds the request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime

from tallybook.collect.run_context import RunContext
from tallybook.collect.sources.registry import open_sources
from tallybook.collect.sources.values import as_instant
from tallybook.collect.work import RunRequest
from tallybook.config import Project, mask, owner_of, source_override
from tallybook.core import Catalog, QueryError, SourceError, SourceUnavailable
from tallybook.query import known_metric
from tallybook.storage import Store


def prepare_run(
    project: Project,
    store: Store,
    clock: Callable[[], datetime],
    *,
    copies: Mapping[str, str] | None = None,
    copied_at: datetime | None = None,
    replicas: Mapping[str, str] | None = None,
) -> RunContext:
    """The context of a run with the sources of a project. `copies` and `replicas` are {source: URL} to read instead.

    A replica knows how recent it is. A copy does not: raises SourceUnavailable if neither `copied_at` nor a declared
    `fresh` says when it was taken."""
    copied_at = _instant_of_copy(copied_at)
    others = {**(copies or {}), **(replicas or {})}
    project = source_override(project, others) if others else project
    for name in copies or ():
        if copied_at is None and not project.catalog.sources[name].fresh:
            raise SourceUnavailable(
                f"source {name!r} is read from a copy: when was it taken?",
                hint="say so: --source-as-of 2026-03-01T04:00Z, or declare it: "
                f'[sources.{name}] fresh = "select max(created_at) from …"',
            )
    opened, unopened = open_sources(project.catalog.sources)
    return RunContext(
        catalog=project.catalog,
        store=store,
        sources=opened,
        unopened=unopened,
        now=clock(),
        clock=clock,
        function_of=project.function,
        as_of=dict.fromkeys(copies or (), copied_at) if copied_at else {},
        mask=lambda text: mask(text, project),
        folder=project.folder,
        copies=frozenset(others),
        owner=owner_of(project.catalog.book),
    )


def run_request(
    catalog: Catalog, metrics: Sequence[str], first: date | None, last: date | None, *, older_source: bool
) -> RunRequest:
    """The request for a run. Raises QueryError for names that are not declared, and for a range that ends before it
    begins."""
    for name in metrics:
        known_metric(catalog, name)
    if first and last and last < first:
        raise QueryError(f"--to {last} is before --from {first}", hint=f"--from {last} --to {first}")
    return RunRequest(metrics=tuple(metrics), first=first, last=last, older_source=older_source)


def _instant_of_copy(as_of: datetime | None) -> datetime | None:
    """The time when a copy was taken. Raises QueryError for an invalid time."""
    try:
        return None if as_of is None else as_instant(as_of)
    except SourceError:
        raise QueryError(
            f"no copy is of {as_of}", hint="the time it was taken: --source-as-of 2026-03-01T04:00Z"
        ) from None
