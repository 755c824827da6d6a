"""The verbs for API keys: `keys create`, `keys list`, `keys rotate`, `keys revoke`."""

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
    from tallybook.ingest import KeyTerms
    from tallybook.storage import ApiKey, EventLedger

VERBS = {
    "Keys of the HTTP API": {
        "create": Verb("make a key and print it once", "keys:create"),
        "invite": Verb("make a link with which a person signs in once", "keys:invite"),
        "list": Verb("list the keys, without their text", "keys:list_"),
        "rotate": Verb("replace the text of a key and print the new one once", "keys:rotate"),
        "revoke": Verb("refuse a key from now on", "keys:revoke"),
        "log": Verb("list the requests of readers", "keys:log"),
    },
}
NAME = click.argument("name")
METRIC_BOUND = click.option(
    "--metric", "metrics", multiple=True, metavar="METRIC", help="The only metric it may read; repeat it."
)
WHERE_BOUND = click.option(
    "--where", multiple=True, metavar="FILTER", help="A filter of everything it reads, as plan=pro; repeat it."
)


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


def _check_bounds(terminal: Terminal, terms: KeyTerms) -> None:
    """Raise QueryError for a metric that is not declared, and for a filter that cannot be read."""
    from tallybook.query import known_metric, parse_filter

    for name in terms.metrics:
        known_metric(terminal.book().project.catalog, name)
    for text in terms.where:
        parse_filter(text)
    if (terms.metrics or terms.where) and not {"read", "admin"} & {*terms.scopes}:
        raise QueryError("--metric and --where bound what a key reads, and it may not read", hint="--scope read")


_SPAN = re.compile(r"(\d{1,5})\s*(h|d|w)")
_HOURS = {"h": 1, "d": 24, "w": 7 * 24}


def _expiry(text: str | None, terminal: Terminal) -> datetime | None:
    """The instant of `--expires`, or None if it is not given."""
    return None if text is None else instant_of("--expires", text, terminal)


def instant_of(option: str, text: str, terminal: Terminal) -> datetime:
    """The instant of an option: a span from now, a day in the book's zone, or an instant."""
    if span := _SPAN.fullmatch(text.strip()):
        return terminal.clock() + timedelta(hours=int(span[1]) * _HOURS[span[2]])
    unreadable = QueryError(
        f"{option} {text!r} cannot be read",
        hint=f"{option} 90d, {option} 2027-01-01 or {option} 2027-01-01T00:00:00Z",
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
    METRIC_BOUND,
    WHERE_BOUND,
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
    metrics: tuple[str, ...],
    where: tuple[str, ...],
    rate: int | None,
    expires: str | None,
    form: str,
) -> int:
    """Make a key and print it. It is not shown again. The book keeps a hash of it; with --scope share, the key itself.

    \b
      tallybook keys create loader-eu
      tallybook keys create admin --scope write --scope read --format json
      tallybook keys create acme --event login --account acme --rate 100 --expires 90d

    write sends events, daily values and complete days; browser sends declared events, from pages of [serve] origins;
    read reads them back; share signs links to shared pages; admin may do all but that. Ids of
    events belong to the name of the key that sent them: the same id sent with another key is another event."""
    from tallybook.ingest import KeyTerms, create_key

    terms = KeyTerms(
        scopes=tuple(dict.fromkeys(scopes)),
        events=tuple(dict.fromkeys(events)),
        accounts=tuple(dict.fromkeys(accounts)),
        rate=rate,
        expires=_expiry(expires, terminal),
        metrics=tuple(dict.fromkeys(metrics)),
        where=tuple(dict.fromkeys(where)),
    )
    _check_bounds(terminal, terms)
    with _events(terminal) as ledger:
        text = create_key(ledger, name, terms, now=terminal.clock())
    return _show_text(terminal, name, text, form)


@verb(
    NAME,
    METRIC_BOUND,
    WHERE_BOUND,
    click.option(
        "--account", "accounts", multiple=True, metavar="ID", help="The only account whose numbers they see; repeat it."
    ),
    click.option(
        "--until", default="7d", show_default=True, metavar="WHEN", help="Until when the link can be used, once."
    ),
    click.option("--expires", metavar="WHEN", help="Until when the person may read: 90d, 2027-01-01, or an instant."),
    click.option(
        "--url",
        default="http://127.0.0.1:8321",
        show_default=True,
        metavar="URL",
        help="Where people reach the server.",
    ),
    TABLE_OR_JSON,
)
def invite(
    terminal: Terminal,
    name: str,
    metrics: tuple[str, ...],
    where: tuple[str, ...],
    accounts: tuple[str, ...],
    until: str,
    expires: str | None,
    url: str,
    form: str,
) -> int:
    """Make a link with which a person signs in, once. They may read until it expires, or until it is revoked.

    \b
      tallybook keys invite ada --url https://metrics.acme.com
      tallybook keys invite auditor --metric revenue --where country=DE --expires 30d"""
    from tallybook.ingest import KeyTerms, invite as make

    terms = KeyTerms(
        scopes=("read",),
        accounts=tuple(dict.fromkeys(accounts)),
        metrics=tuple(dict.fromkeys(metrics)),
        where=tuple(dict.fromkeys(where)),
        expires=_expiry(expires, terminal),
    )
    _check_bounds(terminal, terms)
    open_until = instant_of("--until", until, terminal)
    with _events(terminal) as ledger:
        text = make(ledger, name, terms, until=open_until, now=terminal.clock())
    link = f"{url.rstrip('/')}/login?invite={text}"
    if form == "json":
        terminal.json({"name": name, "link": link})
    else:
        terminal.out(link)
        terminal.err(f"It works once. To end the access of {name!r}: tallybook keys revoke {name}")
    return DONE


@verb(
    click.option("--reader", metavar="NAME", help="Only requests of this reader: the name of a key, or a person."),
    click.option("--last", default="7 days", show_default=True, metavar="SPAN", help="How far back."),
    TABLE_OR_JSON,
)
def log(terminal: Terminal, reader: str | None, last: str, form: str) -> int:
    """List the requests of readers over HTTP, oldest first: time, reader, path, query and status.

    \b
      tallybook keys log --reader dashboard --last "30 days"
      tallybook keys log --format json"""
    from tallybook.server import audited
    from tallybook.storage import AuditLines

    book = terminal.book()
    place, today = book.project.place, terminal.clock().date()
    try:
        first = book.project.catalog.book.periods("monday").last_span(last, today)[0]
    except ValueError as error:
        raise QueryError(str(error), hint='--last "7 days"') from None
    if place.folder is not None:
        lines = list(audited(place.folder, first, today, reader))
    else:
        with _events(terminal) as events:
            lines = list(audited(AuditLines(events.ledger), first, today, reader))
    if form == "json":
        terminal.json({"requests": lines})
        return DONE
    rows = [
        (
            one["time"][:19],
            one["reader"],
            f"{one.get('method', '')} {one.get('path', '')}",
            _shown_question(one),
            one.get("status", ""),
        )
        for one in lines
    ]
    terminal.out("\n".join(table(("time (UTC)", "reader", "request", "asked", "status"), rows, numbers=())))
    return DONE


def _shown_question(one: dict[str, Any]) -> str:
    import json

    text = json.dumps(one["asked"], ensure_ascii=False) if "asked" in one else one.get("query", "")
    return text if len(text) <= 100 else f"{text[:99]}…"


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
                listed([*one["events"], *one["accounts"], *one["metrics"], *one["where"]], max_named=3),
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
        "metrics": list(key.metrics),
        "where": list(key.where),
        "rate": key.rate,
        "invited": _second(key.invited),
        **{name: _second(getattr(key, name)) for name in ("created", "expires", "seen", "revoked")},
    }


def _second(stamp: str | None) -> str | None:
    return stamp and stamp[:19] + "Z"
