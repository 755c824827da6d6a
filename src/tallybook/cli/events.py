"""The group of verbs about usage events, and the verbs that describe them: `events schema`, `events hosts`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tallybook.cli.event_access import event_tables
from tallybook.cli.options import TABLE_OR_JSON, verb
from tallybook.cli.terminal import Terminal, table
from tallybook.cli.verbs import Verb, verb_group
from tallybook.core import DONE, QueryError, did_you_mean, table_parts

if TYPE_CHECKING:
    from tallybook.core import Metric
    from tallybook.storage import EventsSnapshot

VERBS = {
    "Look": {
        "tail": Verb("show the latest events, and follow what is stored", "event_reading:tail"),
        "schema": Verb("list the events, their properties and the metrics they feed", "events:schema"),
        "rejected": Verb("show rejected events with their reasons", "event_reading:rejected"),
        "hosts": Verb("list the hosts that take events, and how far each is compacted", "events:hosts"),
    },
    "Move": {
        "import": Verb("import events from an NDJSON, CSV or Parquet file", "event_files:import_"),
        "export": Verb("write events to NDJSON or Parquet", "event_files:export"),
        "replay": Verb("decode rejected events again and store those that are valid now", "event_reading:replay"),
    },
}


@verb_group(VERBS)
def events() -> None:
    """Look at stored usage events, import and export them, and replay rejected ones.

    \b
      tallybook events tail --event signup --follow
      tallybook events schema
      tallybook events import old.csv --event signup --time created_at --dry-run
      tallybook events export --event signup --from 2026-03-01 -o signups.parquet"""


@verb(click.argument("event", required=False, metavar="[EVENT]"), TABLE_OR_JSON)
def schema(terminal: Terminal, event: str | None, form: str) -> int:
    """List the events: how many, since when, the types of their properties, and the metrics that each one feeds.

    \b
      tallybook events schema
      tallybook events schema signup --format json          also whether it looks like daily values

    `other` counts values of another type than the first one. They are kept, and a metric that reads them fails until
    the type is declared in [events.NAME]."""
    with event_tables(terminal) as tables:
        snapshot = tables.snapshot()
    if event is not None and event not in snapshot.events:
        hint = did_you_mean(event, snapshot.events, "tallybook events schema")
        raise QueryError(f"no event {event!r} was ever received", hint=hint)
    names = [event] if event else snapshot.events
    found = {name: _described(terminal, snapshot, name) for name in names}
    if event is not None:
        found[event]["looks"] = _looks(terminal, event)
    if form == "json":
        terminal.json({"events": found})
    elif not found:
        terminal.out("There is no event yet: tallybook track EVENT")
    else:
        terminal.show("\n".join(_lines(found)))
        if event is not None and found[event]["looks"]:
            terminal.out("Looks like daily values: a sum over several days is refused; --show average or total.")
    return DONE


def _looks(terminal: Terminal, event: str) -> str | None:
    """`daily` for an event that is a daily aggregate, by its declaration or by its events."""
    from tallybook.collect import EventAnswers

    try:
        is_daily = EventAnswers(terminal.book().project, terminal.clock).looks_daily(event)
    except QueryError:
        return None
    return "daily" if is_daily else None


def _described(terminal: Terminal, snapshot: EventsSnapshot, name: str) -> dict[str, Any]:
    files = [file for file in snapshot.files if file.event == name]
    properties = snapshot.properties[name]
    metrics = terminal.book().project.catalog.metrics.values()
    return {
        "events": sum(file.rows for file in files),
        "first": min((file.first for file in files), default=None),
        "last": max((file.last for file in files), default=None),
        "properties": {one.spelled: one.type for one in properties},
        "conflicts": {one.spelled: one.conflicts for one in properties if one.conflicts},
        "metrics": [one.name for one in metrics if _feeds(name, one)],
    }


def _feeds(event: str, metric: Metric) -> bool:
    return metric.source == "events" and metric.table is not None and table_parts(metric.table) == (event,)


def _lines(found: dict[str, dict[str, Any]]) -> list[str]:
    header = ("event", "events", "first", "last", "property", "type", "other", "metrics")
    rows: list[tuple[object, ...]] = []
    for name, one in found.items():
        what = list(one["properties"].items()) or [("", "")]
        for place, (prop, type_) in enumerate(what):
            day = ((one["first"] or "")[:10], (one["last"] or "")[:10])
            own = (name, f"{one['events']:,}", *day) if place == 0 else ("", "", "", "")
            fed = ", ".join(one["metrics"]) or "–" if place == 0 else ""
            rows.append((*own, prop, type_, one["conflicts"].get(prop, ""), fed))
    return table(header, rows, numbers=("events", "other"))


@verb(
    click.option("--gone", metavar="HOST", help="This host will never serve again: days are complete without it."),
    TABLE_OR_JSON,
)
def hosts(terminal: Terminal, gone: str | None, form: str) -> int:
    """List the hosts that take events, and until when everything that each received can be queried.

    \b
      tallybook events hosts
      tallybook events hosts --gone web-3          after its last log was compacted or is lost

    A day of an event is complete when every host is past its end. If a host is gone for good, no later day is
    complete until it is declared gone with --gone. A host that serves again counts again."""
    from tallybook.storage import event_hosts, lose_host

    with event_tables(terminal) as tables:
        if gone is not None and not lose_host(tables, gone, now=terminal.clock()):
            known = [one.host for one in event_hosts(tables)]
            raise QueryError(
                f"there is no host {gone!r}", hint=did_you_mean(gone, known, f"there are {', '.join(known)}")
            )
        found = [one.as_json() for one in event_hosts(tables)]
    if form == "json":
        terminal.json({"hosts": found})
    elif not found:
        terminal.out("No host has served yet: tallybook serve --listen 127.0.0.1:8321")
    else:
        rows = [tuple(one[name] or "" for name in ("host", "complete_until", "gone_since")) for one in found]
        terminal.show("\n".join(table(("host", "complete until", "gone since"), rows)))
    return DONE
