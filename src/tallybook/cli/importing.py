"""The verb that imports history: `import`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tallybook.cli.completions import of_metrics
from tallybook.cli.options import TABLE_OR_JSON, verb
from tallybook.cli.terminal import Terminal, count, day_range, table

if TYPE_CHECKING:
    from tallybook.collect import Imported

MAX_DIFFERENCES = 20
"""Maximum number of differences in the table. JSON has all of them."""


@verb(
    click.argument("metric", metavar="METRIC", shell_complete=of_metrics),
    click.argument("file", metavar="FILE"),
    click.option("--day", metavar="COLUMN", help="The column of days. Default: day, date or period."),
    click.option("--value", metavar="COLUMN", help="The column of values. Default: the name of the metric, or value."),
    click.option(
        "--dims",
        metavar="DIM…",
        help=(
            'Columns of dimensions, for example plan,country=Land; "" for none. Default: all dimensions that the '
            "file has."
        ),
    ),
    click.option(
        "--tab", metavar="NAME", help="The sheet of a workbook. Default: the one in the address, or the first."
    ),
    click.option(
        "--dates",
        type=click.Choice(("dmy", "mdy")),
        help="The order of day and month in 01/02/2024, if no line decides it.",
    ),
    click.option("--decimal", type=click.Choice((".", ",")), help="The decimal separator, if no line decides it."),
    click.option(
        "--skip",
        metavar="N",
        type=click.IntRange(min=0),
        default=0,
        help="Lines to skip before the headings, such as a title.",
    ),
    click.option("--headings", metavar="N", type=click.IntRange(min=1), default=1, help="The number of heading lines."),
    click.option("--across", is_flag=True, help="The file has one column for each day, like a pivot table."),
    click.option(
        "--ignore", metavar="TEXT", multiple=True, help="Skip lines and columns with this text, for example Total."
    ),
    click.option("--check", is_flag=True, help="Compare with collected days; store nothing."),
    click.option("--dry-run", is_flag=True, help="Read the file and store nothing."),
    TABLE_OR_JSON,
)
def import_(terminal: Terminal, metric: str, file: str, form: str, **how: Any) -> int:
    """Import the history of a metric from another tool: one finished value for each day, from a CSV file, an Excel
    workbook or a Google Sheet.

    \b
      tallybook import signups old.csv
      tallybook import revenue history.xlsx --tab Daily --day Datum --value Umsatz --decimal ,
      tallybook import revenue pivot.xlsx --skip 2 --across --ignore Total
      tallybook import revenue old.csv --check          compare the days that both have
      tallybook import mrr "https://docs.google.com/spreadsheets/d/…/edit#gid=0"

    Imported values have a definition of their own. A metric with history = "imported" uses them for periods that end
    before the first collected day. Importing the same file again changes nothing. All mistakes are listed with their
    lines; if there is one, nothing is stored."""
    done = terminal.book().import_history(metric, file, **how)
    if form == "json":
        terminal.json(done.to_dict())
    else:
        _print(terminal, done, stored=not (how["check"] or how["dry_run"]))
    return 1 if done.differences else 0


def _print(terminal: Terminal, done: Imported, *, stored: bool) -> None:
    days = f"{count(len(done.days), 'day')} of {done.metric}, {day_range(done.days[0], done.days[-1])}"
    gaps = (done.days[-1] - done.days[0]).days + 1 - len(done.days)
    terminal.out(
        f"{days}, {count(done.values, 'value')}" + (f"; {count(gaps, 'day')} in between are missing" if gaps else "")
    )
    if done.differences:
        rows = [
            (d.day, " ".join(f"{k}={v or ''}" for k, v in d.series.items()), _shown(d.imported), _shown(d.collected))
            for d in done.differences[:MAX_DIFFERENCES]
        ]
        first, *lines = table(("day", "series", "file", "collected"), rows, numbers=("file", "collected"))
        terminal.show("\n".join([terminal.styled(first, "bold"), *lines]))
        if len(done.differences) > MAX_DIFFERENCES:
            terminal.out(f"… and {len(done.differences) - MAX_DIFFERENCES} more; --format json has them all")
    if done.compared:
        number = len(done.differences)
        differ = f"{count(number, 'value')} {'differs' if number == 1 else 'differ'}"
        terminal.out(f"{count(done.compared, 'day')} compared with collected days: {differ}.")
    for note in done.notes:
        terminal.out(note)
    if not stored:
        terminal.out("Nothing was stored.")
    elif done.version:
        revised = f", {count(done.revised, 'value')} revised" if done.revised else ""
        terminal.out(
            f"Stored as {done.definition}: {count(done.new, 'new day')}{revised}; the book is at version "
            f"{done.version}."
        )
    else:
        terminal.out(f"Everything is stored already, as {done.definition}.")


def _shown(value: object) -> str:
    return "–" if value is None else str(value)
