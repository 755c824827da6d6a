"""The verbs and where they live. A verb's module is imported when it is typed, not before."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from tallybook.cli.terminal import Terminal
from tallybook.core import USAGE

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

EXAMPLES = """\
\b
  tallybook init sqlite:///app.db                   draft a tallybook.toml from a database
  tallybook check --source                          does the project fit its database?
  tallybook run                                     collect every closed day that is missing
  tallybook query signups --scope week --last "12 weeks"
  tallybook query mrr,revenue --scope month --by plan --totals
  tallybook export mrr revenue --scope month --to metrics.xlsx
"""
ENDINGS = """\
\b
Exit codes:
  0  done                                       4  a source is not ready; nothing is stored
  1  some metrics failed, the rest is stored    5  another run is at work
  2  usage or configuration                     70 a bug
  3  a question without a right answer was refused

`tallybook VERB --help` has examples of each verb.
"""


class Verb(NamedTuple):
    """One line of help, and the command as module:name."""

    about: str
    place: str


VERBS = {
    "Declare and collect": {
        "init": Verb("look at a database and draft a tallybook.toml", "beginning:init"),
        "check": Verb("every problem of the project file, and with --source of the database", "collecting:check"),
        "test": Verb("do the metrics give what tests/*.toml expects of given rows?", "trying:test"),
        "plan": Verb("show what `run` would do, statements and all, and touch nothing", "collecting:plan"),
        "import": Verb(
            "take over finished daily values from a CSV file, a workbook or a Google Sheet", "importing:import_"
        ),
        "run": Verb("collect every closed day that is missing, and the last few again", "collecting:run"),
    },
    "Ask": {
        "query": Verb("metrics at any scope, split by any of their dimensions", "asking:query"),
        "export": Verb("the same into a workbook, a CSV or a Parquet file", "asking:export"),
        "goals": Verb("how far each goal is, whether it is on pace, where it ends", "aiming:goals"),
    },
    "Every day": {
        "schedule": Verb("the lines or files that make cron, systemd, GitHub and others run it", "scheduling:schedule"),
        "status": Verb(
            "is all well? The last run, what is late or failed, what is due; for monitors too", "glancing:status"
        ),
        "alerts": Verb("what is not well, who was told, and a test message; --send tells it", "alerting:alerts"),
        "serve": Verb("stay and run whenever it is due, where there is no scheduler", "scheduling:serve"),
    },
    "Look behind": {
        "why": Verb("everything behind one number: definition, statements, run, revisions, lineage", "behind:why"),
        "coverage": Verb("a calendar of the days that are collected, and what collects the gaps", "behind:coverage"),
        "diff": Verb("what a changed definition does to the numbers, before it is collected", "behind:diff"),
        "audit": Verb("random old days counted again in the source: does the book still agree?", "auditing:audit"),
    },
    "Hand on": {
        "deliver": Verb("bring the declared files up to date; `run` does so too", "delivering:deliver"),
        "sheets": Verb("connect Google Sheets, list worksheets, see how the connection is", "sheets:sheets"),
    },
    "Keep": {
        "metrics": Verb("what is declared, and what is collected of it", "keeping:metrics"),
        "runs": Verb("the latest runs and what became of them", "keeping:runs"),
        "compact": Verb("fold closed years, delete files that no kept version needs", "keeping:compact"),
        "forget": Verb("drop a metric from the book, or a person's id from distinct counts", "forgetting:forget"),
        "move": Verb("keep the book on PostgreSQL, in a file, in another folder: copied and verified", "moving:move"),
        "backup": Verb("copy the book, as it is now, into a new folder", "moving:backup"),
        "restore": Verb("make a backup the book again", "moving:restore"),
        "doctor": Verb("is the book what it says it is?", "keeping:doctor"),
        "completion": Verb("the script that makes bash, zsh or fish complete what you type", "keeping:completion"),
        "version": Verb("the version of Tallybook", "keeping:version"),
    },
}


class Lazy(click.Group):
    """A group that knows its verbs by name, under titles, and imports the one that is asked for."""

    def __init__(self, *, verbs: Mapping[str, Mapping[str, Verb]], **settings: Any) -> None:
        super().__init__(**settings)
        self.verbs = verbs

    @property
    def by_name(self) -> dict[str, Verb]:
        return {name: verb for verbs in self.verbs.values() for name, verb in verbs.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.by_name)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Verbs by their names, none of them imported."""
        from click.shell_completion import CompletionItem

        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [CompletionItem(name, help=v.about) for name, v in self.by_name.items() if name.startswith(incomplete)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        verb = self.by_name.get(cmd_name)
        if verb is None:
            return None
        module, _, name = verb.place.partition(":")
        found: click.Command = getattr(importlib.import_module(f"tallybook.cli.{module}"), name)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        names = self.list_commands(ctx)
        if args and args[0] not in names and not args[0].startswith("-"):
            from tallybook.core import did_you_mean

            meant = did_you_mean(args[0], names, f"there are: {', '.join(names)}")
            raise click.UsageError(f"there is no verb {args[0]!r}; {meant}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, verbs in self.verbs.items():
            with formatter.section(title):
                formatter.write_dl([(name, verb.about) for name, verb in verbs.items()])


def _choose(ctx: click.Context, _: click.Parameter, value: Path | None) -> None:
    terminal = ctx.find_object(Terminal)
    if value is not None and terminal is not None:
        terminal.folder = value


project = click.option(
    "--project",
    metavar="DIR",
    type=click.Path(path_type=Path),
    expose_value=False,
    callback=_choose,
    help="The folder of tallybook.toml; the current one unless given.",
)
"""Accepted before the verb and after it; the one after it counts."""


def _say_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        from tallybook import __version__

        click.echo(f"tallybook {__version__}")
        ctx.exit()


@click.group(
    cls=Lazy,
    verbs=VERBS,
    invoke_without_command=True,
    epilog=ENDINGS,
    subcommand_metavar="VERB …",
    options_metavar="[--project DIR]",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help=f"""Backend metrics done right: declare a metric once in tallybook.toml, collect it every day in one
    light pass over your own database, read it right at every scope.\n\n{EXAMPLES}""",
)
@project
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_say_version,
    help="Say the version.",
)
@click.pass_context
def tallybook(ctx: click.Context) -> int:
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)  # nothing was done, and a cron job should hear of it
        return USAGE
    return 0
