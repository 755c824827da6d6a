"""The verb that takes over history: `import`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tallybook.cli.completions import of_metrics
from tallybook.cli.options import TABLE_OR_JSON, verb
from tallybook.cli.terminal import Terminal, count, stretch, table

if TYPE_CHECKING:
    from tallybook.collect import Imported

SHOWN = 20
"""Differences in words; JSON has them all."""


@verb(
    click.argument("metric", metavar="METRIC", shell_complete=of_metrics),
    click.argument("file", metavar="FILE"),
    click.option("--day", metavar="COLUMN", help="The column of days; day, date or period if not given."),
    click.option("--value", metavar="COLUMN", help="The column of values; the metric or value if not given."),
    click.option(
        "--dims",
        metavar="DIM…",
        help='Dimensions that are columns, as plan,country=Land; those of the metric that are there if not given, "" for none.',
    ),
    click.option(
        "--tab", metavar="NAME", help="The sheet of a workbook; that of the address, or the first, if not given."
    ),
    click.option("--dates", type=click.Choice(("dmy", "mdy")), help="How 01/02/2024 is meant, where no line tells."),
    click.option("--decimal", type=click.Choice((".", ",")), help="What stands before decimals, where no line tells."),
    click.option(
        "--skip", metavar="N", type=click.IntRange(min=0), default=0, help="Lines before the heads, as a title."
    ),
    click.option(
        "--headings", metavar="N", type=click.IntRange(min=1), default=1, help="How many lines the heads have."
    ),
    click.option("--across", is_flag=True, help="A column for each day, as in a pivot."),
    click.option(
        "--ignore", metavar="TEXT", multiple=True, help="Leave out lines and columns with this text, as Total."
    ),
    click.option("--check", is_flag=True, help="Compare with what is collected; store nothing."),
    click.option("--dry-run", is_flag=True, help="Read all of it and store nothing."),
    TABLE_OR_JSON,
)
def import_(terminal: Terminal, metric: str, file: str, form: str, **how: Any) -> int:
    """Take over history of a metric that another tool or a person has: one finished value a day, from a CSV file,
    an Excel workbook or a Google Sheet.

    \b
      tallybook import signups old.csv
      tallybook import revenue history.xlsx --tab Daily --day Datum --value Umsatz --decimal ,
      tallybook import revenue pivot.xlsx --skip 2 --across --ignore Total
      tallybook import revenue old.csv --check          does it say what is collected, where both have a day?
      tallybook import mrr "https://docs.google.com/spreadsheets/d/…/edit#gid=0"

    It is kept as a definition of its own, and answers where the metric says history = "imported": for periods that lie
    wholly before the first collected day. The same file again changes nothing. All mistakes are told with their lines;
    with one of them nothing is stored."""
    done = terminal.book().import_history(metric, file, **how)
    if form == "json":
        terminal.json(done.to_dict())
    else:
        _tell(terminal, done, stored=not (how["check"] or how["dry_run"]))
    return 1 if done.differences else 0


def _tell(terminal: Terminal, done: Imported, *, stored: bool) -> None:
    days = f"{count(len(done.days), 'day')} of {done.metric}, {stretch(done.days[0], done.days[-1])}"
    gaps = (done.days[-1] - done.days[0]).days + 1 - len(done.days)
    terminal.out(
        f"{days}, {count(done.values, 'value')}" + (f"; {count(gaps, 'day')} between are missing" if gaps else "")
    )
    if done.differences:
        rows = [
            (d.day, " ".join(f"{k}={v or ''}" for k, v in d.series.items()), _shown(d.imported), _shown(d.collected))
            for d in done.differences[:SHOWN]
        ]
        first, *lines = table(("day", "series", "file", "collected"), rows, numbers=("file", "collected"))
        terminal.show("\n".join([terminal.styled(first, "bold"), *lines]))
        if len(done.differences) > SHOWN:
            terminal.out(f"… and {len(done.differences) - SHOWN} more; --format json has them all")
    if done.compared:
        number = len(done.differences)
        differ = f"{count(number, 'value')} {'differs' if number == 1 else 'differ'}"
        terminal.out(f"{count(done.compared, 'day')} compared with what is collected: {differ}.")
    for note in done.notes:
        terminal.out(note)
    if not stored:
        terminal.out("Nothing is stored.")
    elif done.version:
        revised = f", {count(done.revised, 'value')} revised" if done.revised else ""
        terminal.out(
            f"Stored as {done.definition}: {count(done.new, 'new day')}{revised}; the book is at version {done.version}."
        )
    else:
        terminal.out(f"All of it is stored already, as {done.definition}.")


def _shown(value: object) -> str:
    return "–" if value is None else str(value)
