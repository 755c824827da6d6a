"""Builds a `Catalog` from parsed TOML, or reports all mistakes together. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from tallybook.config.catalog.among import Metrics
from tallybook.config.catalog.boards import Boards, Notes
from tallybook.config.catalog.deliveries import Deliveries
from tallybook.config.catalog.entities import MetricAttributes, read_entities
from tallybook.config.catalog.entity_keys import ENTITIES
from tallybook.config.catalog.entity_rules import read_acting
from tallybook.config.catalog.event_tables import read_events
from tallybook.config.catalog.goals import Goals
from tallybook.config.catalog.rules import EVENTS
from tallybook.config.catalog.sections import check_sections
from tallybook.config.catalog.tables import (
    read_alerts,
    read_book,
    read_deliveries,
    read_goals,
    read_metrics,
    read_schedule,
    read_serve,
    read_sources,
)
from tallybook.config.catalog.words import toml
from tallybook.core import ACCOUNTS, ENTITY_KINDS, AlertSettings, Catalog, Problem, Problems, SourceKind


def build(
    raw: Mapping[str, object],
    *,
    kinds: Mapping[str, SourceKind],
    places: Mapping[str, str] | None = None,
    found: Problems | None = None,
    every_kind: Callable[[], Iterable[SourceKind]] = tuple,
) -> Catalog:
    """Build the catalog of a parsed `tallybook.toml` (variables expanded), checked as a whole.

    `kinds`: descriptors by the name of the source; `every_kind` returns all descriptors. `places`: the files of
    metrics that are declared outside the TOML. `found`: problems found earlier; their values are not checked again.
    Raises one DeclarationError with all problems, in the order of the file."""
    problems = found if found is not None else Problems()
    check_sections(raw, problems)
    book = read_book(raw, problems)
    schedule = read_schedule(raw, problems)
    serve = read_serve(raw, problems)
    alerts = read_alerts(raw, problems)
    sources = read_sources(raw, kinds, problems, every_kind)
    events = msgspec.structs.replace(read_events(raw, problems), downtime=serve.downtime)
    if EVENTS in sources:
        sources[EVENTS] = msgspec.structs.replace(sources[EVENTS], events=events)
    entities = read_entities(raw, sources, problems)
    of_entities = frozenset(name for name in ENTITY_KINDS if name in kinds and kinds[name].name == ENTITIES)
    for name in of_entities & sources.keys():
        sources[name] = msgspec.structs.replace(sources[name], entity=entities.get(name))
    declared = read_metrics(raw, events, problems, of_entities)
    dialects = {name: kind.dialect for name, kind in kinds.items()}
    Metrics(declared, tuple(sources), dialects, problems, frozenset([EVENTS]) | of_entities).check()
    is_sound = not any(p.path.startswith("metrics") for p in problems.found)
    sound = {name: d.metric for name, d in declared.items() if is_sound}  # a formula may name an invalid metric
    asked = read_deliveries(raw, problems)
    made = {name: d.delivery for name, d in asked.items()}
    catalog = Catalog(book=book, sources=sources, metrics=sound, deliveries=made, entities=entities)
    pages = _read_pages(raw, catalog, declared, problems)
    Deliveries(msgspec.structs.replace(catalog, **pages), declared, problems, asked).check()
    MetricAttributes(catalog, declared, problems, entities).check()
    goals = Goals(catalog, declared, problems, read_goals(raw, problems)).check()
    pages |= read_acting(raw, catalog, declared, entities, problems)
    _check_watched_units(catalog, alerts, problems)
    events = msgspec.structs.replace(
        events,
        groups=entities[ACCOUNTS].groups if ACCOUNTS in entities else None,
        daily=tuple(sorted({one.event for one in sound.values() if one.event and one.keeps_latest})),
    )
    problems.found = [_placed(p, places or {}) for p in _in_order(problems.found, raw)]
    problems.raise_if_any("tallybook.toml")
    rest = {"schedule": schedule, "alerts": alerts, "serve": serve, "events": events}
    return msgspec.structs.replace(catalog, goals=goals, **pages, **rest)


def _read_pages(
    raw: Mapping[str, object], catalog: Catalog, metrics: Iterable[str], problems: Problems
) -> dict[str, Any]:
    """Read the boards and notes."""
    return {
        "boards": Boards(catalog, metrics, problems).read(raw),
        "notes": Notes(catalog, metrics, problems).read(raw),
    }


def _check_watched_units(catalog: Catalog, alerts: AlertSettings, problems: Problems) -> None:
    """Report metrics that alerts cannot check because they have a separate value for each unit."""
    if not alerts.to or not {"stopped", "unusual", "revised"} & set(alerts.about):
        return
    for metric in catalog.metrics.values():
        if metric.unit_from and metric.alerts:
            message = f"alerts judge one value a day, and {metric.name!r} has one for each {metric.unit_from}"
            expected = "alerts = false, and a count of the same rows as a metric that is watched"
            path = f"metrics.{metric.name}.alerts"
            problems.add(
                path, message, seen=f"unit_from = {toml(metric.unit_from)}", expected=expected, paste="alerts = false"
            )


def _in_order(problems: list[Problem], raw: Mapping[str, object]) -> list[Problem]:
    """Problems in the order of their tables in the file; those without a table come first."""
    tables = ["book", "schedule", "alerts", "serve", "accounts", "users", "events"]
    for section in ("events", "sources", "metrics", "goals", "boards", "notes", "deliveries"):
        named = raw.get(section)
        tables += [f"{section}.{name}" for name in named] if isinstance(named, Mapping) else [section]
    rank = {table: i for i, table in enumerate(tables)}

    def place(problem: Problem) -> int:
        path = problem.path
        while path and path not in rank:
            path = path.rpartition(".")[0]
        return rank.get(path, -1)

    return sorted(problems, key=place)


def _placed(problem: Problem, places: Mapping[str, str]) -> Problem:
    """The problem with the file of its metric after the path, if that file is not the TOML."""
    name = problem.path.removeprefix("metrics.")
    name = name if name in places else name.rpartition(".")[0]
    if name not in places or not problem.path.startswith("metrics."):
        return problem
    paste = problem.paste
    if places[name].endswith(".sql"):
        paste = "\n".join(f"-- {line}" for line in paste.splitlines() if not line.startswith("["))
    return replace(problem, path=f"{problem.path} ({places[name]})", paste=paste)
