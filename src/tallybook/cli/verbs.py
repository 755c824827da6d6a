"""The verbs and their modules. A module is imported only when its verb is typed."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from tallybook.cli.terminal import Terminal
from tallybook.core import DONE, USAGE

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

EXAMPLES = """\
\b
  tallybook init sqlite:///app.db                   draft a tallybook.toml from a database
  tallybook check --source                          compare the file with the database
  tallybook run                                     collect every closed day that is missing
  tallybook query signups --scope week --last "12 weeks"
  tallybook query mrr,revenue --scope month --by plan --totals
  tallybook export mrr revenue --scope month --to metrics.xlsx
"""
EXIT_CODES = """\
\b
Exit codes:
  0  success                                      4  a source is not ready; nothing was stored
  1  some metrics failed; the others are stored   5  another run is in progress
  2  wrong usage or configuration                 70 a bug in Tallybook
  3  refused: the question has no right answer

`tallybook VERB --help` shows examples of each verb.
"""


class Verb(NamedTuple):
    """A line of help, and the command as module:name."""

    about: str
    place: str


VERBS = {
    "Declare and collect": {
        "init": Verb("draft a tallybook.toml from a database", "beginning:init"),
        "check": Verb(
            "list every problem in tallybook.toml; with --source, compare it with the database", "collecting:check"
        ),
        "test": Verb("test the metrics on the rows in tests/*.toml", "trying:test"),
        "plan": Verb("show what `run` would do, with every SQL statement; changes nothing", "collecting:plan"),
        "import": Verb("import daily values from a CSV file, a workbook or a Google Sheet", "importing:import_"),
        "run": Verb("collect every closed day that is missing, and the last few days again", "collecting:run"),
    },
    "Ask": {
        "query": Verb("query metrics at any scope, split by any of their dimensions", "asking:query"),
        "export": Verb("write the answer of a query to a workbook, a CSV or a Parquet file", "asking:export"),
        "chart": Verb("draw the answer of a query as an SVG, PNG or PDF file", "picturing:chart"),
        "report": Verb("write a board as one HTML file that needs no server, or as PDF", "picturing:report"),
        "goals": Verb("show the progress of each goal, its pace and its projected end", "aiming:goals"),
    },
    "Every day": {
        "schedule": Verb(
            "print the configuration for cron, systemd, GitHub and other schedulers", "scheduling:schedule"
        ),
        "status": Verb("show the last run, what is late or failed, and what is due", "glancing:status"),
        "alerts": Verb("list current problems; --send sends them, --test sends a test message", "alerting:alerts"),
        "deliveries": Verb("show what webhooks got and refused, and send it again", "deliveries:deliveries"),
        "serve": Verb("keep running and collect whenever a run is due, without a scheduler", "scheduling:serve"),
    },
    "Usage events": {
        "track": Verb("store one usage event", "tracking:track"),
        "events": Verb("show, import, export and replay usage events", "events:events"),
        "keys": Verb("create, list, rotate and revoke the keys of the HTTP API, and invite people", "keys:keys"),
        "mcp": Verb("serve an assistant on this machine", "assistants:mcp"),
        "shares": Verb("share a board or a view by a link, list and revoke links", "shares:shares"),
    },
    "Users and accounts": {
        "accounts": Verb("list accounts by a condition over their attributes, show one", "entities:accounts"),
        "users": Verb("list users by a condition over their attributes, show one", "entities:users"),
    },
    "Act": {
        "rules": Verb("list and explain rules, try them out, release waiting firings", "rules:rules"),
    },
    "Explain": {
        "why": Verb("explain one number: definition, statements, run, revisions, lineage", "behind:why"),
        "coverage": Verb("show a calendar of the collected days, and the commands that fill gaps", "behind:coverage"),
        "diff": Verb("compare a changed definition with the stored numbers, before it is collected", "behind:diff"),
        "audit": Verb("recount random old days in the source and compare them with the book", "auditing:audit"),
    },
    "Deliver": {
        "deliver": Verb("update the declared deliveries; `run` does so too", "delivering:deliver"),
        "sheets": Verb("connect Google Sheets, list worksheets, check the connection", "sheets:sheets"),
    },
    "Maintain": {
        "metrics": Verb("list the declared metrics and which days are collected", "keeping:metrics"),
        "runs": Verb("list the latest runs and their results", "keeping:runs"),
        "compact": Verb("merge the files of closed years, delete files that no kept version needs", "keeping:compact"),
        "forget": Verb("delete a metric from the book, or a person's id from distinct counts", "forgetting:forget"),
        "move": Verb("move the book to PostgreSQL, to a file or to another folder: copied and verified", "moving:move"),
        "backup": Verb("copy the book into a new folder", "moving:backup"),
        "restore": Verb("restore the book from a backup", "moving:restore"),
        "doctor": Verb("check that the ledger, the files and the coverage agree", "keeping:doctor"),
        "completion": Verb("print the completion script for bash, zsh or fish", "keeping:completion"),
        "version": Verb("print the version of Tallybook", "keeping:version"),
    },
}


class Lazy(click.Group):
    """A group of verbs under titles. It knows their names, and imports only the typed verb."""

    def __init__(self, *, verbs: Mapping[str, Mapping[str, Verb]], **settings: Any) -> None:
        super().__init__(**settings)
        self.verbs = verbs

    @property
    def by_name(self) -> dict[str, Verb]:
        """All verbs by name."""
        return {name: verb for verbs in self.verbs.values() for name, verb in verbs.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all verbs, in the order of the help."""
        return list(self.by_name)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Verbs whose names begin with the typed text. Imports none of them."""
        from click.shell_completion import CompletionItem

        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [CompletionItem(name, help=v.about) for name, v in self.by_name.items() if name.startswith(incomplete)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a verb, imported on demand, or None."""
        verb = self.by_name.get(cmd_name)
        if verb is None:
            return None
        module, _, name = verb.place.partition(":")
        found: click.Command = getattr(importlib.import_module(f"tallybook.cli.{module}"), name)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command for the arguments. Raises UsageError with the closest name."""
        names = self.list_commands(ctx)
        if args and args[0] not in names and not args[0].startswith("-"):
            from tallybook.core import did_you_mean

            meant = did_you_mean(args[0], names, f"the verbs are {', '.join(names)}")
            raise click.UsageError(f"unknown verb {args[0]!r}; {meant}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs under their titles."""
        for title, verbs in self.verbs.items():
            with formatter.section(title):
                formatter.write_dl([(name, verb.about) for name, verb in verbs.items()])


def _choose_folder(ctx: click.Context, _: click.Parameter, value: Path | None) -> None:
    terminal = ctx.find_object(Terminal)
    if value is not None and terminal is not None:
        terminal.folder = value


project = click.option(
    "--project",
    metavar="DIR",
    type=click.Path(path_type=Path),
    expose_value=False,
    callback=_choose_folder,
    help="The folder of tallybook.toml. Default: the current folder.",
)
"""Accepted before and after the verb. If both are given, the one after it wins."""


def _print_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        from tallybook import __version__

        click.echo(f"tallybook {__version__}")
        ctx.exit()


def verb_group(
    verbs: Mapping[str, Mapping[str, Verb]], *, about: str | None = None, epilog: str | None = None
) -> Callable[[Callable[[], None]], click.Group]:
    """Make a function a group of verbs. Without a verb it prints its help: `about`, or the function's docstring."""

    def as_group(function: Callable[[], None]) -> click.Group:
        @wraps(function)
        def print_help() -> int:
            ctx = click.get_current_context()
            if ctx.invoked_subcommand is None:
                click.echo(ctx.get_help(), err=True)  # nothing was done, which is an error for a cron job
                return USAGE
            return DONE

        as_command = click.group(
            cls=Lazy,
            verbs=verbs,
            invoke_without_command=True,
            epilog=epilog,
            subcommand_metavar="VERB …",
            options_metavar="[--project DIR]",
            context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
            help=about,
        )
        return as_command(project(print_help))

    return as_group


@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version.",
)
@verb_group(
    VERBS,
    about=(
        "Backend metrics done right: declare a metric once in tallybook.toml, collect it every day from your own "
        f"database, and query it at any scope.\n\n{EXAMPLES}"
    ),
    epilog=EXIT_CODES,
)
def tallybook() -> None:
    """The command."""
