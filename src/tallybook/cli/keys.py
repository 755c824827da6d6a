"""The verbs of API keys: `keys create`, `keys list`, `keys rotate`, `keys revoke`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from tallybook.cli.options import TABLE_OR_JSON, verb
from tallybook.cli.terminal import Terminal, table
from tallybook.cli.verbs import Verb, verb_group
from tallybook.core import DONE

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


@verb(
    NAME,
    click.option(
        "--scope",
        "scopes",
        multiple=True,
        type=click.Choice(("write", "read", "admin")),
        default=("write",),
        show_default=True,
        help="What the key may do; repeat it for several.",
    ),
    TABLE_OR_JSON,
)
def create(terminal: Terminal, name: str, scopes: tuple[str, ...], form: str) -> int:
    """Make a key and print it. It is shown this once; the book keeps a hash of it.

    \b
      tallybook keys create loader-eu
      tallybook keys create admin --scope write --scope read --format json

    Ids of events belong to the name of the key that sent them: the same id sent with another key is another event."""
    from tallybook.ingest import create_key

    with _events(terminal) as events:
        text = create_key(events, name, tuple(dict.fromkeys(scopes)), now=terminal.clock())
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
    """List the keys: their scopes, since when, and whether they are revoked.

    \b
      tallybook keys list --format json"""
    with _events(terminal) as events:
        found = [_described(key) for key in events.api_keys()]
    if form == "json":
        terminal.json({"keys": found})
    elif not found:
        terminal.out("There is no key yet: tallybook keys create NAME")
    else:
        names = ("name", "scopes", "created", "revoked")
        rows = [tuple(one[name] or "" for name in names) for one in found]
        terminal.out("\n".join(table(names, rows, numbers=())))
    return DONE


def _described(key: ApiKey) -> dict[str, Any]:
    shown = {"name": key.name, "scopes": " ".join(key.scopes), "created": key.created[:19] + "Z"}
    return {**shown, "revoked": key.revoked and key.revoked[:19] + "Z"}
