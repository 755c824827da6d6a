"""The verb that sends one event: `track`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import click

from tallybook.cli.event_access import SERVER_OPTION, opened_sender
from tallybook.cli.options import TABLE_OR_JSON, verb
from tallybook.cli.terminal import Terminal
from tallybook.core import DONE, QueryError

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")


@verb(
    click.argument("event", metavar="EVENT"),
    click.argument("properties", nargs=-1, metavar="[KEY=VALUE…]"),
    click.option("--user", metavar="ID", help="Who did it."),
    click.option("--account", metavar="ID", help="The account it belongs to."),
    click.option("--time", metavar="INSTANT", help="The time, such as 2026-03-01T12:00:00Z. Default: now."),
    click.option("--id", "id_", metavar="ID", help="An id that is stored once, however often it is sent."),
    SERVER_OPTION,
    TABLE_OR_JSON,
)
def track(
    terminal: Terminal,
    event: str,
    properties: tuple[str, ...],
    form: str,
    server: str | None,
    **fields: str | None,
) -> int:
    """Store one usage event: over HTTP where a server is named, else in the log of this book.

    \b
      tallybook track signup plan=pro seats=5 --user u-1 --account acme
      tallybook track signup zip='"01234"'                  quoted JSON stays text
      TALLYBOOK_KEY=… tallybook track signup --server http://127.0.0.1:8321 --id s-1

    5 is an integer, 5.5 a number, true a flag, everything else text. The event can be queried when the command ends,
    and needs no running server and no key: whoever may write the folder of the book may store events."""
    sent = {name.rstrip("_"): value for name, value in fields.items() if value is not None}
    body = {"event": event, **sent, "properties": _parsed(properties)}
    from tallybook.ingest import LOCAL_KEY, StoredIds

    with opened_sender(terminal, server, LOCAL_KEY) as (sender, tables):
        is_known = tables is not None and StoredIds(tables, LOCAL_KEY).has(fields["id_"])
        try:
            verdict = sender.send([body])
        finally:
            sender.close()
    for why in verdict.rejected:
        raise QueryError(
            f"the event is not stored: {why['reason']}", hint=f"{why['code']} {why.get('field', '')}".strip()
        )
    if form == "json":
        terminal.json({"stored": 0 if is_known else verdict.stored, "known": int(is_known)})
    elif is_known:
        terminal.out(f"Stored before, with the id {fields['id_']}.")
    else:
        terminal.out(f"Stored: {event}. Ask: tallybook query --event {event} --count --last '1 day' --to today")
    return DONE


def _parsed(written: Sequence[str]) -> dict[str, Any]:
    """The properties. Raises UsageError for a word that is not a property."""
    found: dict[str, Any] = {}
    for word in written:
        name, sign, text = word.partition("=")
        if not sign or not name:
            raise click.UsageError(f"{word!r} is no property; write KEY=VALUE")
        found[name] = _value(text)
    return found


def _value(text: str) -> Any:
    if text in ("true", "false") or _NUMBER.fullmatch(text) or text[:1] in ('"', "{", "["):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text
