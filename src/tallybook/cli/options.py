"""Options that several verbs share, and what a verb is made of."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import fields
from datetime import datetime
from typing import Any

import click

from tallybook.cli import LOGS
from tallybook.cli.completions import Complete, of_dimensions, of_filters, of_metrics, of_words
from tallybook.cli.terminal import Terminal
from tallybook.cli.verbs import project

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def verb(*options: Decorator) -> Callable[[Callable[..., int]], click.Command]:
    """A verb with these options and --project. Its function gets the Terminal first, returns the exit code.

    What the user's own Python prints meanwhile goes to stderr: stdout holds what was asked for."""

    def made(function: Callable[..., int]) -> click.Command:
        @functools.wraps(function)
        def command(**given: Any) -> int:
            terminal = click.get_current_context().find_object(Terminal)
            assert terminal is not None
            with redirect_stdout(terminal.stderr):
                return function(terminal, **given)

        decorated: Callable[..., Any] = command
        for option in reversed(options):
            decorated = option(decorated)
        return click.command(function.__name__.rstrip("_"))(project(decorated))

    return made


def gathered(made: type[Any]) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Gathers the options that are fields of a dataclass into one, the verb's second argument."""
    own = [field.name for field in fields(made)]

    def decorator(command: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(command)
        def called(terminal: Terminal, **given: Any) -> int:
            asked = made(**{name: given.pop(name) for name in own})
            return command(terminal, asked, **given)

        return called

    return decorator


def metrics(*, required: bool) -> Decorator:
    return named("metrics", "METRIC…" if required else "[METRIC…]", of_metrics, required=required)


def named(what: str, metavar: str, complete: Complete, *, required: bool = False) -> Decorator:
    """Names as arguments, one by one or with commas between them."""
    return click.argument(what, nargs=-1, required=required, metavar=metavar, callback=_parted, shell_complete=complete)


def _parted(_: click.Context, __: click.Parameter, values: Sequence[str]) -> tuple[str, ...]:
    """Names given one by one or with commas between them, each once."""
    return tuple(dict.fromkeys(part.strip() for value in values for part in value.split(",") if part.strip()))


def form(*forms: str) -> Decorator:
    """--format; the first is what is meant when it is not given."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(forms),
        default=forms[0],
        help="A table for people, if not given.",
    )


TABLE_OR_JSON = form("table", "json")
LOG = click.option(
    "--log",
    type=click.Choice(LOGS),
    expose_value=False,
    help="What happens, line by line on stderr; or TALLYBOOK_LOG=json in the environment.",
)
SCOPES = ("day", "week", "month", "quarter", "year", "all")
SCOPE = click.option(
    "--scope",
    default="day",
    metavar="SCOPE",
    shell_complete=of_words(SCOPES),
    help="day (the default), week, month, quarter, year, all.",
)
BY = click.option(
    "--by",
    multiple=True,
    metavar="DIM…",
    shell_complete=of_dimensions,
    help="Split by these dimensions; repeat it, or put commas.",
)
WHERE = click.option(
    "--where",
    multiple=True,
    metavar="FILTER",
    shell_complete=of_filters,
    help="dim=value, dim!=value, dim= for null, \"dim=''\" for the empty text. Another dimension: and; the same one again: or.",
)
FROM = click.option("--from", "from_", metavar="DAY", help="The first day; 2026-03-01, yesterday or today.")
TO = click.option("--to", metavar="DAY", help="The last day, included.")


def urls_of(_: click.Context, __: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    found = {}
    for value in values:
        name, sign, url = value.partition("=")
        if not sign or not url or "://" in name:
            raise click.BadParameter("write NAME=URL, as app=postgresql://reader@replica/app")
        found[name.strip()] = url.strip()
    return found


SOURCES = click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="NAME=URL",
    callback=urls_of,
    help="Read a copy of this source instead; needs --source-as-of, or `fresh` declared.",
)


def _instant(_: click.Context, __: click.Parameter, value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not an instant; write 2026-03-01T04:00Z") from None
    if instant.tzinfo is None:
        raise click.BadParameter(f"in which zone is {value}? Write {value}Z for UTC, or {value}+01:00")
    return instant


SOURCE_AS_OF = click.option(
    "--source-as-of",
    metavar="INSTANT",
    callback=_instant,
    help="When the copy was taken, as 2026-03-01T04:00Z: later days stay uncovered.",
)


def overridden(terminal: Terminal, sources: Mapping[str, str]) -> Mapping[str, str]:
    """The same, its secrets known to the terminal. Raises DeclarationError for what cannot be."""
    from tallybook.config import source_override

    if sources:
        terminal.hide(source_override(terminal.book().project, sources).secrets)
    return sources
