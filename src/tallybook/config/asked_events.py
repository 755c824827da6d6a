"""Metrics of an event that are not declared: the query builds them, with the code that reads `tallybook.toml`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from tallybook.core import EventSettings, Metric, Problems, SourceSettings
from tallybook.storage import IN_LEDGER

if TYPE_CHECKING:
    from tallybook.config.project import Project

EVENTS = "events"


def events_settings(project: Project) -> SourceSettings:
    """The source of the project's usage events, even if no metric reads an event."""
    catalog = project.catalog
    if EVENTS in catalog.sources:
        return catalog.sources[EVENTS]
    return SourceSettings(
        name=EVENTS,
        url=f"events:///{project.store_folder.as_posix()}",
        ledger=catalog.book.ledger,
        schema=catalog.book.schema,
        in_ledger=catalog.book.store == IN_LEDGER,
        events=catalog.events,
        folder=str(project.folder),
    )


def event_metrics(
    events: EventSettings, event: str, measures: Mapping[str, str], dimensions: Sequence[str], *, daily_aggregate: bool
) -> dict[str, Metric]:
    """A metric with these dimensions for each measure of an event, by name.

    Raises DeclarationError for a measure that no declared metric could have."""
    from tallybook.config.catalog.among import Metrics
    from tallybook.config.catalog.tables import read_metrics

    keys = {"event": event, **({"daily_aggregate": True} if daily_aggregate else {})}
    problems = Problems()
    written = {name: {**keys, "measure": text} for name, text in measures.items()}
    declared = read_metrics({"metrics": written}, events, problems)
    Metrics(declared, (EVENTS,), {EVENTS: "duckdb"}, problems).check()
    problems.raise_if_any("the question")
    # Property names may contain dots. `by` would read the part before a dot as the name of a joined table.
    return {name: _split(one.metric, tuple(dimensions)) for name, one in declared.items()}


def _split(metric: Metric, by: tuple[str, ...]) -> Metric:
    series = tuple(dict.fromkeys((*metric.series, *by))) if metric.daily_aggregate else ()
    return msgspec.structs.replace(metric, by=by, series=series)
