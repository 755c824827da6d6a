"""The verbs of API keys: `keys create`, `keys list`, `keys rotate`, `keys revoke`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from tallybook.cli.options import TABLE_OR_JSON, verb
from tallybook.cli.terminal import Terminal, listed, table
from tallybook.cli.verbs import Verb, verb_group
from tallybook.core import DONE, QueryError, calendar
from tallybook.ingest import SCOPES

if TYPE_CHECKING:
    from tallybook.storage import ApiKey, EventLedger

VERBS = {
    "Keys of the HTTP API": {
        "create": Verb("make a key and print it once", "keys:create"),
        "list": Verb("list the keys, without their text", "keys:list_"),
        "rotate": Verb("give a key another text and print it once", "keys:rotate"),
        "revoke": Verb("refuse a key from now on", "keys:revoke"),
    },
}
NAME = click.argument("name")


@verb_group(VERBS)
def keys() -> None:
    """Create, list, rotate and revoke the keys with which events are sent and read.

    \b
      tallybook keys create loader-eu                         may send events
      tallybook keys create dashboard --scope read
      tallybook keys rotate loader-eu
      tallybook keys revoke loader-eu"""


@contextmanager
def _events(terminal: Terminal) -> Iterator[EventLedger]:
    from tallybook.server import event_ledger

    events = event_ledger(terminal.book().project.place)
    try:
        yield events
    finally:
        events.close()


def _show_text(terminal: Terminal, name: str, text: str, form: str) -> int:
    if form == "json":
        terminal.json({"name": name, "key": text})
    else:
        terminal.out(text)
        terminal.err(f"This is the only time that the key {name!r} is shown. Send it as: Authorization: Bearer KEY")
    return DONE


_SPAN = re.compile(r"(\d{1,5})\s*(h|d|w)")
_HOURS = {"h": 1, "d": 24, "w": 7 * 24}


def _expiry(text: str | None, terminal: Terminal) -> datetime | None:
    """The instant of `--expires`: a span from now, a day of the book's zone, or an instant."""
    if text is None:
        return None
    if span := _SPAN.fullmatch(text.strip()):
        return terminal.clock() + timedelta(hours=int(span[1]) * _HOURS[span[2]])
    unreadable = QueryError(
        f"--expires {text!r} cannot be read",
        hint="--expires 90d, --expires 2027-01-01 or --expires 2027-01-01T00:00:00Z",
    )
    try:
        if len(text) == 10:
            return calendar.start_of(date.fromisoformat(text), terminal.book().project.catalog.book.timezone)
        found = datetime.fromisoformat(text)
        if found.tzinfo is None:
            raise unreadable
        return found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise unreadable from None


@verb(
    NAME,
    click.option(
        "--scope",
        "scopes",
        multiple=True,
        type=click.Choice(SCOPES),
        default=("write",),
        show_default=True,
        help="What the key may do; repeat it for several.",
    ),
    click.option(
        "--event", "events", multiple=True, metavar="EVENT", help="The only event it may send or read; repeat it."
    ),
    click.option(
        "--account", "accounts", multiple=True, metavar="ID", help="The only account it may send or read; repeat it."
    ),
    click.option(
        "--rate", type=click.IntRange(1), metavar="N", help="How many events a second it may send to a worker."
    ),
    click.option("--expires", metavar="WHEN", help="Until when it is valid: 90d, 12h, 2027-01-01, or an instant."),
    TABLE_OR_JSON,
)
def create(
    terminal: Terminal,
    name: str,
    scopes: tuple[str, ...],
    events: tuple[str, ...],
    accounts: tuple[str, ...],
    rate: int | None,
    expires: str | None,
    form: str,
) -> int:
    """Make a key and print it. It is shown this once; the book keeps a hash of it.

    \b
      tallybook keys create loader-eu
      tallybook keys create admin --scope write --scope read --format json
      tallybook keys create acme --event login --account acme --rate 100 --expires 90d

    write sends events, daily values and complete days; browser sends declared events, from pages of [serve] origins;
    read reads them back; share is for shared pages; admin may do all. Ids of events belong to the name of the key that
    sent them: the same id sent with another key is another event."""
    from tallybook.ingest import KeyTerms, create_key

    terms = KeyTerms(
        scopes=tuple(dict.fromkeys(scopes)),
        events=tuple(dict.fromkeys(events)),
        accounts=tuple(dict.fromkeys(accounts)),
        rate=rate,
        expires=_expiry(expires, terminal),
    )
    with _events(terminal) as ledger:
        text = create_key(ledger, name, terms, now=terminal.clock())
    return _show_text(terminal, name, text, form)


@verb(NAME, TABLE_OR_JSON)
def rotate(terminal: Terminal, name: str, form: str) -> int:
    """Give a key another text and print it. The old text is refused within two seconds.

    \b
      tallybook keys rotate loader-eu"""
    from tallybook.ingest import rotate_key

    with _events(terminal) as events:
        text = rotate_key(events, name)
    return _show_text(terminal, name, text, form)


@verb(NAME)
def revoke(terminal: Terminal, name: str) -> int:
    """Refuse a key from now on, within two seconds. Its events stay.

    \b
      tallybook keys revoke loader-eu"""
    from tallybook.ingest import revoke_key

    with _events(terminal) as events:
        revoke_key(events, name, now=terminal.clock())
    terminal.out(f"The key {name!r} is revoked.")
    return DONE


@verb(TABLE_OR_JSON)
def list_(terminal: Terminal, form: str) -> int:
    """List the keys: their scopes and bounds, until when they are valid, and when they were last used.

    \b
      tallybook keys list --format json"""
    with _events(terminal) as events:
        found = [_described(key) for key in events.api_keys()]
    if form == "json":
        terminal.json({"keys": found})
    elif not found:
        terminal.out("There is no key yet: tallybook keys create NAME")
    else:
        names = ("name", "scopes", "bound to", "created", "expires", "last used", "revoked")
        rows = [
            (
                one["name"],
                one["scopes"],
                listed([*one["events"], *one["accounts"]], max_named=3),
                *(one[name] or "" for name in ("created", "expires", "seen", "revoked")),
            )
            for one in found
        ]
        terminal.out("\n".join(table(names, rows, numbers=())))
    return DONE


def _described(key: ApiKey) -> dict[str, Any]:
    return {
        "name": key.name,
        "scopes": " ".join(key.scopes),
        "events": list(key.events),
        "accounts": list(key.accounts),
        "rate": key.rate,
        **{name: _second(getattr(key, name)) for name in ("created", "expires", "seen", "revoked")},
    }


def _second(stamp: str | None) -> str | None:
    return stamp and stamp[:19] + "Z"
