"""Shared code of the verbs about usage events: access to the tables of events, and a sender."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

import click

from tallybook.cli.terminal import Terminal
from tallybook.core import QueryError
from tallybook.storage import not_kept

if TYPE_CHECKING:
    from tallybook.ingest import EventSender
    from tallybook.storage import EventLedger

SERVER, KEY = "TALLYBOOK_SERVER", "TALLYBOOK_KEY"
SERVER_OPTION = click.option(
    "--server",
    metavar="URL",
    help=f"Send over HTTP to this server, with the key in {KEY}. Default: {SERVER}; without it, the log of this book.",
)


@contextmanager
def event_tables(terminal: Terminal) -> Iterator[EventLedger]:
    """The tables of events of the project's book. Raises DeclarationError for a book that cannot have events."""
    from tallybook.server import event_ledger

    events = event_ledger(terminal.book().project.place)
    try:
        yield events
    finally:
        events.close()


def note_kept_from(terminal: Terminal, kept_from: date | None) -> None:
    """If older events were deleted, print on stderr the first day with events."""
    if kept_from is not None:
        terminal.err(not_kept(kept_from))


@contextmanager
def opened_sender(terminal: Terminal, server: str | None, key: str) -> Iterator[tuple[EventSender, EventLedger | None]]:
    """A sender to the named server, or else a sender to the log of this host under the name of a key, with the tables
    in which it stores.

    Raises QueryError for a server without a key."""
    from tallybook.ingest import HttpSender, LocalSender, logs_to_write

    if url := server or terminal.env.get(SERVER):
        text = terminal.env.get(KEY)
        if not text:
            raise QueryError(f"sending to {url} needs a key in {KEY}", hint="tallybook keys create NAME")
        terminal.hide({text: "…"})
        yield HttpSender(url, text), None
        return
    project = terminal.book().project
    zone = project.catalog.book.timezone
    with event_tables(terminal) as events:
        logs = logs_to_write(project.place, events, project.catalog.serve.durable)
        settings = project.catalog.events
        yield LocalSender(events, logs, zone=zone, clock=terminal.clock, settings=settings, key=key), events
