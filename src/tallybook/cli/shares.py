"""The verbs of shared links: `shares create`, `shares list`, `shares revoke`."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import click

from tallybook.cli.keys import instant_of
from tallybook.cli.options import TABLE_OR_JSON, verb
from tallybook.cli.terminal import Terminal, table
from tallybook.cli.verbs import Verb, verb_group
from tallybook.core import DONE, QueryError

if TYPE_CHECKING:
    from tallybook.server import ShareTerms
    from tallybook.storage import EventLedger, ShareRecord

VERBS = {
    "Shared links": {
        "create": Verb("make a link that shows one board or view, and print it", "shares:create"),
        "list": Verb("list the links, without their signatures", "shares:list_"),
        "revoke": Verb("refuse a link from now on", "shares:revoke"),
    },
}


@verb_group(VERBS)
def shares() -> None:
    """Share one board or view with people who have no key: read-only, with fixed filters, until a day.

    \b
      tallybook keys create share --scope share       once: the key that signs links
      tallybook shares create money --where plan=pro --until 30d
      tallybook shares list
      tallybook shares revoke ID"""


@contextmanager
def _events(terminal: Terminal) -> Iterator[EventLedger]:
    from tallybook.server import event_ledger

    events = event_ledger(terminal.book().project.place)
    try:
        yield events
    finally:
        events.close()


@verb(
    click.argument("what", metavar="BOARD|LINK"),
    click.option("--where", multiple=True, metavar="FILTER", help="A fixed filter, as plan=pro; repeat it."),
    click.option(
        "--until", default="30d", show_default=True, metavar="WHEN", help="Until when: 30d, 2027-01-01, or an instant."
    ),
    click.option(
        "--by", metavar="WHO", help="The person to contact after it has expired. Default: contact of [serve], or you."
    ),
    click.option(
        "--url",
        default="http://127.0.0.1:8321",
        show_default=True,
        metavar="URL",
        help="Where people reach the server.",
    ),
    TABLE_OR_JSON,
)
def create(
    terminal: Terminal, what: str, where: tuple[str, ...], until: str, by: str | None, url: str, form: str
) -> int:
    """Make a link that shows one board, or one view: the address of a page of the query builder.

    \b
      tallybook shares create money --until 30d
      tallybook shares create "/q?metrics=mrr&scope=week" --where plan=pro --by data@acme.com

    Anyone with the link sees the numbers of that board or view within the filters, and nothing else. A new key with
    the scope share, or `tallybook keys rotate`, ends all links that the old key signed."""
    from tallybook.server import ShareTerms, create_share
    from tallybook.storage import ShareLedger

    catalog, now = terminal.book().project.catalog, terminal.clock()
    view = _view(what)
    contact = by or catalog.serve.contact or _user()
    terms: ShareTerms = ShareTerms(
        until=instant_of("--until", until, terminal),
        board=None if view is not None else what,
        view=view,
        where=tuple(dict.fromkeys(where)),
        contact=contact,
    )
    with _events(terminal) as events:
        shared = ShareLedger(events.ledger)
        link, path = create_share(shared, events.api_keys(), terms, catalog, maker=_user(), now=now)
    whole = url.rstrip("/") + path
    if form == "json":
        terminal.json({"id": link.id, "link": whole, "until": f"{link.until:%Y-%m-%dT%H:%M:%SZ}"})
    else:
        terminal.out(whole)
        terminal.err(f"It ends {link.until:%Y-%m-%d %H:%M} UTC. To end it now: tallybook shares revoke {link.id}")
    return DONE


def _view(what: str) -> dict[str, Any] | None:
    """The options of the view in the query string of a link, or None if the argument is the name of a board."""
    from tallybook.server import view_of_fields

    parts = urlsplit(what)
    return view_of_fields(parse_qsl(parts.query, keep_blank_values=True)) if parts.query else None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


@verb(TABLE_OR_JSON)
def list_(terminal: Terminal, form: str) -> int:
    """List shared links: what each shows, within which filters, until when, and who made it.

    \b
      tallybook shares list --format json"""
    from tallybook.storage import ShareLedger

    with _events(terminal) as events:
        found = [_described(one) for one in ShareLedger(events.ledger).every()]
    if form == "json":
        terminal.json({"shares": found})
    elif not found:
        terminal.out("Nothing is shared: tallybook shares create BOARD")
    else:
        names = ("id", "shows", "where", "made by", "until", "opened", "revoked")
        rows = [
            (
                one["id"],
                _shown(one),
                " ".join(one["where"]),
                one["maker"],
                one["until"],
                one["seen"] or "",
                one["revoked"] or "",
            )
            for one in found
        ]
        terminal.out("\n".join(table(names, rows, numbers=())))
    return DONE


def _described(share: ShareRecord) -> dict[str, Any]:
    payload = share.payload
    return {
        "id": share.id,
        "board": payload.get("board"),
        "view": payload.get("view"),
        "where": list(payload.get("where", ())),
        "by": payload.get("by", ""),
        "maker": share.maker,
        **{
            name: stamp and stamp[:19] + "Z"
            for name, stamp in (
                ("created", share.created),
                ("until", share.until),
                ("seen", share.seen),
                ("revoked", share.revoked),
            )
        },
    }


def _shown(one: dict[str, Any]) -> str:
    view = one["view"]
    return one["board"] or (f"{', '.join(view.get('metrics', []))} by {view.get('scope', 'day')}" if view else "")


@verb(click.argument("share_id", metavar="ID"))
def revoke(terminal: Terminal, share_id: str) -> int:
    """Refuse a link from now on, at once.

    \b
      tallybook shares revoke ID"""
    from tallybook.storage import ShareLedger

    with _events(terminal) as events:
        if not ShareLedger(events.ledger).revoke(share_id, now=terminal.clock()):
            raise QueryError(f"there is no link {share_id!r}", hint="tallybook shares list")
    terminal.out(f"The link {share_id} is revoked.")
    return DONE
