"""The verbs that look at deliveries: `deliveries show`, `deliveries replay`."""

from __future__ import annotations

import click

from tallybook.cli.options import TABLE_OR_JSON, verb
from tallybook.cli.terminal import Terminal, count, table
from tallybook.cli.verbs import Verb, verb_group
from tallybook.core import DONE

VERBS = {
    "Deliveries": {
        "show": Verb("show how far a delivery is, its items, and the last requests", "deliveries:show"),
        "replay": Verb("send items again that their receiver refused", "deliveries:replay"),
    },
}


@verb_group(VERBS)
def deliveries() -> None:
    """Look at deliveries whose items are sent one by one, such as webhooks, and send refused items again.

    \b
      tallybook deliveries show hook
      tallybook deliveries replay hook            all that were refused
      tallybook deliver hook                      sends them now"""


@verb(click.argument("name"), TABLE_OR_JSON)
def show(terminal: Terminal, name: str, form: str) -> int:
    """Show the progress of a delivery, its unsent items, and the last requests with their answers.

    \b
      tallybook deliveries show hook
      tallybook deliveries show hook --format json"""
    found = terminal.book().delivery_trace(name)
    if form == "json":
        terminal.json(found.to_dict())
        return DONE
    states = ", ".join(f"{number:,} {state}" for state, number in found.counts.items())
    terminal.out(f"{name}: {count(found.sent, 'item')} sent{f', {states}' if states else ''}")
    if found.stopped:
        terminal.out(f"It is stopped: {found.stopped}")
    elif found.again:
        terminal.out(f"Its receiver failed {count(found.failures, 'time')}: {found.said}; asked again {found.again}")
    if found.items:
        rows = [(one["state"], one["item"], one["attempts"], one["answer"]) for one in found.items]
        terminal.out("\n" + "\n".join(table(("state", "item", "attempts", "answer"), rows)))
    if found.attempts:
        requests = [
            (
                one["at"][:19].replace("T", " "),
                one["outcome"],
                one["status"] or "",
                one["seconds"],
                one["items"],
                one["answer"],
            )
            for one in found.attempts
        ]
        terminal.out("\n" + "\n".join(table(("request (UTC)", "", "status", "s", "items", "answer"), requests)))
    return DONE


@verb(click.argument("name"), click.argument("items", nargs=-1, metavar="[ITEM…]"), TABLE_OR_JSON)
def replay(terminal: Terminal, name: str, items: tuple[str, ...], form: str) -> int:
    """Plan refused items again: all, or the given ones. `tallybook deliver` sends them.

    A delivery that was stopped continues.

    \b
      tallybook deliveries replay hook
      tallybook deliveries replay hook 'value:revenue:2026-03-09::["pro"]'"""
    planned = terminal.book().replay_delivery(name, *items)
    if form == "json":
        terminal.json({"delivery": name, "planned": planned})
    else:
        terminal.out(f"{count(planned, 'item')} planned again: tallybook deliver {name}")
    return DONE
