"""Options shared by several verbs, and the decorator that creates a verb."""

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
    """A decorator that turns a function into a verb with these options and --project. The function receives the
    Terminal first and returns the exit code.

    While it runs, output printed by the user's own Python goes to stderr, because stdout is for results."""

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
    """A decorator that collects the options for the fields of a dataclass, and passes them as one value in the second
    argument."""
    own = [field.name for field in fields(made)]

    def decorator(command: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(command)
        def called(terminal: Terminal, **given: Any) -> int:
            asked = made(**{name: given.pop(name) for name in own})
            return command(terminal, asked, **given)

        return called

    return decorator


def metrics(*, required: bool) -> Decorator:
    """The names of metrics as arguments."""
    return named("metrics", "METRIC…" if required else "[METRIC…]", of_metrics, required=required)


def named(what: str, metavar: str, complete: Complete, *, required: bool = False) -> Decorator:
    """Names as arguments, separated by blanks or commas."""
    return click.argument(
        what, nargs=-1, required=required, metavar=metavar, callback=_split_names, shell_complete=complete
    )


def _split_names(_: click.Context, __: click.Parameter, values: Sequence[str]) -> tuple[str, ...]:
    """The names, separated by blanks or commas, without duplicates."""
    return tuple(dict.fromkeys(part.strip() for value in values for part in value.split(",") if part.strip()))


def form(*forms: str) -> Decorator:
    """--format, with the first format as its default."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(forms),
        default=forms[0],
        help="The output format. Default: a table.",
    )


TABLE_OR_JSON = form("table", "json")
LOG = click.option(
    "--log",
    type=click.Choice(LOGS),
    expose_value=False,
    help="Log each step as a line on stderr; or set TALLYBOOK_LOG=json.",
)
SCOPES = ("day", "week", "month", "quarter", "year", "all")
SCOPE = click.option(
    "--scope",
    default="day",
    metavar="SCOPE",
    shell_complete=of_words(SCOPES),
    help="The length of the periods: day (default), week, month, quarter, year, all.",
)
BY = click.option(
    "--by",
    multiple=True,
    metavar="DIM…",
    shell_complete=of_dimensions,
    help="Split by these dimensions, separated by commas or repeated.",
)
WHERE = click.option(
    "--where",
    multiple=True,
    metavar="FILTER",
    shell_complete=of_filters,
    help=(
        "dim=value, dim!=value, dim= for null, \"dim=''\" for an empty text. Filters on one dimension are "
        "combined with OR, on "
        "several with AND."
    ),
)
FROM = click.option("--from", "from_", metavar="DAY", help="The first day: 2026-03-01, yesterday or today.")
TO = click.option("--to", metavar="DAY", help="The last day (inclusive).")


def urls_of(_: click.Context, __: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    """The URLs of NAME=URL options, by name."""
    found = {}
    for value in values:
        name, sign, url = value.partition("=")
        if not sign or not url or "://" in name:
            raise click.BadParameter("expected NAME=URL, for example app=postgresql://reader@replica/app")
        found[name.strip()] = url.strip()
    return found


SOURCES = click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="NAME=URL",
    callback=urls_of,
    help="Read a copy of this source instead. Needs --source-as-of, or `fresh` in tallybook.toml.",
)


def _instant(_: click.Context, __: click.Parameter, value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not an instant; expected a form like 2026-03-01T04:00Z") from None
    if instant.tzinfo is None:
        raise click.BadParameter(f"{value} has no time zone; write {value}Z for UTC, or {value}+01:00")
    return instant


SOURCE_AS_OF = click.option(
    "--source-as-of",
    metavar="INSTANT",
    callback=_instant,
    help="When the copy was made, for example 2026-03-01T04:00Z. Later days are not collected.",
)


def overridden(terminal: Terminal, sources: Mapping[str, str]) -> Mapping[str, str]:
    """The sources, with their secrets masked on the terminal from now on. Raises DeclarationError for an unknown
    source."""
    from tallybook.config import source_override

    if sources:
        terminal.hide(source_override(terminal.book().project, sources).secrets)
    return sources
