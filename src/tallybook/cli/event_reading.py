"""The verbs that read events back: `events tail`, `events rejected`, and `events replay`."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import click

from tallybook.cli.event_access import event_tables, note_kept_from
from tallybook.cli.options import TABLE_OR_JSON, verb
from tallybook.cli.terminal import Terminal, count, table
from tallybook.core import DONE, calendar

if TYPE_CHECKING:
    from tallybook.ingest import RejectedQuestion

FOLLOW_SECONDS = 0.5
PROGRESS_SECONDS = 5.0
"""Seconds between two progress lines of a replay."""
MAX_SHOWN = 100
"""Maximum number of characters of a value in a table."""
LIMIT = click.option("-n", "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many.")


@verb(
    click.option("--event", metavar="NAME", help="Only this event."),
    click.option("--user", metavar="ID", help="Only events of this user."),
    click.option("--account", metavar="ID", help="Only events of this account."),
    click.option("--id", "id_", metavar="ID", help="Only events with this id."),
    LIMIT,
    click.option("-f", "--follow", is_flag=True, help="Keep showing new events until Ctrl-C."),
    TABLE_OR_JSON,
)
def tail(terminal: Terminal, limit: int, follow: bool, form: str, id_: str | None, **filters: Any) -> int:
    """Show the latest stored events, the newest last: one on each line, with --format json as NDJSON.

    \b
      tallybook events tail --event signup -n 5
      tallybook events tail --follow --account acme
      tallybook events tail --format json | jq .properties"""
    from tallybook.ingest import EventQuestion, read_events

    cursor = "newest"
    with event_tables(terminal) as tables:
        while True:
            asked = EventQuestion(cursor=cursor, limit=limit, id=id_, **filters)
            page = read_events(tables, asked)
            for event in page.events:
                terminal.show(json.dumps(event, ensure_ascii=False) if form == "json" else _line(event))
            if cursor == "newest" and len(page.events) < limit:
                note_kept_from(terminal, page.kept_from)
            if not follow:
                return DONE
            terminal.flush()
            cursor = page.cursor
            if not page.more:
                time.sleep(FOLLOW_SECONDS)


def _line(event: dict[str, Any]) -> str:
    who = " ".join(f"{name}={event[name]}" for name in ("user", "account") if event.get(name))
    what = " ".join(f"{name}={_short(value)}" for name, value in event["properties"].items())
    return "  ".join(part for part in (event["time"][:19] + "Z", event["event"], who, what) if part)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


REJECTED = (
    click.option("--key", metavar="NAME", help="Only events that were sent with this key."),
    click.option("--code", metavar="CODE", help="Only events that were rejected with this code, such as naive_time."),
    click.option("--from", "from_", metavar="DAY", help="Received on this day or later."),
    click.option("--to", metavar="DAY", help="Received on this day or earlier."),
)


def _question(terminal: Terminal, from_: str | None, to: str | None, **given: Any) -> RejectedQuestion:
    from tallybook.ingest import RejectedQuestion

    book = terminal.book()
    zone = book.project.catalog.book.timezone
    first, last = book.day(from_), book.day(to)
    return RejectedQuestion(start=_starts(first, zone), end=_starts(last, zone, days=1), **given)


def _starts(day: date | None, zone: str, *, days: int = 0) -> datetime | None:
    return None if day is None else calendar.start_of(calendar.plus_days(day, days), zone).astimezone(UTC)


@verb(*REJECTED, LIMIT, TABLE_OR_JSON)
def rejected(terminal: Terminal, limit: int, form: str, from_: str | None, to: str | None, **given: Any) -> int:
    """Show rejected events, the newest first, each with the reason; with --format json also its bytes.

    \b
      tallybook events rejected --key loader-eu
      tallybook events rejected --code naive_time --from yesterday --format json"""
    from tallybook.ingest import read_rejected

    with event_tables(terminal) as tables:
        found = read_rejected(tables, _question(terminal, from_, to, limit=limit, **given)).rejected
    if form == "json":
        terminal.json({"rejected": found})
    elif not found:
        terminal.out("No event was rejected.")
    else:
        terminal.show("\n".join(_rejected_lines(found)))
    return DONE


def _rejected_lines(found: Sequence[dict[str, Any]]) -> list[str]:
    rows = [(one["at"][:19] + "Z", one["key"], one["code"], one["field"], _short(one["reason"])) for one in found]
    return table(("received", "key", "code", "field", "reason"), rows)


@verb(*REJECTED, TABLE_OR_JSON)
def replay(terminal: Terminal, form: str, from_: str | None, to: str | None, **given: str | None) -> int:
    """Decode rejected events again, and store those that are valid now, for example after a declaration was corrected.

    Each event is stored once, with its original receipt. Events that are still invalid stay rejected.

    \b
      tallybook events replay
      tallybook events replay --code schema --key loader-eu"""
    from tallybook.ingest import Compactor, Replayed, logs_to_write, replay_rejected

    project = terminal.book().project
    zone = project.catalog.book.timezone
    with event_tables(terminal) as tables:
        logs = logs_to_write(project.place, tables, project.catalog.serve.durable)
        settings = project.catalog.events
        compactor = Compactor(tables, logs, zone=zone, clock=terminal.clock, settings=settings)
        asked, done = _question(terminal, from_, to, **given), Replayed()
        while True:
            one = replay_rejected(compactor, asked, seconds=PROGRESS_SECONDS)
            done = Replayed(
                stored=done.stored + one.stored,
                duplicates=done.duplicates + one.duplicates,
                rejected=done.rejected + one.rejected,
            )
            if one.cursor is None:
                break
            terminal.err(f"{count(done.stored, 'event')} stored, {done.rejected:,} still rejected so far …")
            asked = replace(asked, cursor=one.cursor)
    if form == "json":
        terminal.json(done.as_json())
    else:
        before = f"{done.duplicates:,} stored before"
        terminal.out(f"{count(done.stored, 'event')} stored, {before}, {done.rejected:,} still rejected.")
    return DONE
