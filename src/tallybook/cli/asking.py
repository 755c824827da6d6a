"""The verbs that query metrics: `query` and `export`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tallybook.cli.adapter_names import AdapterName
from tallybook.cli.completions import of_words
from tallybook.cli.options import BY, FROM, SCOPE, WHERE, Decorator, gathered, metrics, verb
from tallybook.cli.terminal import Terminal, count
from tallybook.core import DESTINATIONS, EXPORT, QUERY, SHOWS, destination_kinds
from tallybook.query import Question

if TYPE_CHECKING:
    from tallybook.core import Result


def _is_format(name: str) -> bool:
    return name == "table" or (name in DESTINATIONS and QUERY in DESTINATIONS.kind(name).uses)


def _formats() -> list[str]:
    return [kind.name for kind in destination_kinds(QUERY)]


PROPERTY_MEASURES = {
    "sum": "The sum",
    "avg": "The average",
    "distinct": "How many different values",
    "min": "The smallest value",
    "max": "The largest value",
    "median": "The median",
    **{f"p{n}": f"The percentile {n}" for n in (50, 75, 90, 95, 99)},
}
QUESTION: tuple[Decorator, ...] = (
    metrics(required=False),
    SCOPE,
    BY,
    WHERE,
    FROM,
    click.option(
        "--segment",
        "segments",
        multiple=True,
        metavar="SEGMENT",
        help='Add a segment "NAME: dim=value". Separate several conditions by commas; they work like --where.',
    ),
    click.option("--last", metavar="SPAN", help='How far back, instead of --from: "12 weeks"; whole periods.'),
    click.option(
        "--show",
        metavar="HOW",
        shell_complete=of_words(SHOWS),
        help="How days become one number of a wider scope: total, average, last, first, min, max or change.",
    ),
    click.option("--fill", is_flag=True, help="A row for every series in every covered period."),
    click.option(
        "--totals", is_flag=True, help="Rows over all series, computed from the stored parts instead of added up."
    ),
    click.option("--as-of", metavar="DAY", help="The book as of the end of that day."),
    click.option(
        "--definition", metavar="ID", help="An older definition of the metric; `tallybook metrics NAME` lists them."
    ),
    click.option(
        "--live", is_flag=True, help="Query the source now instead of the book; --to today adds the day so far."
    ),
    click.option(
        "--compare",
        metavar="WITH",
        help='Add the earlier number over as many days, and the change: previous, year, or "1 month" ago.',
    ),
    click.option(
        "--window",
        metavar="SPAN",
        help='Each row over the days up to its end: "28 days", "2 months", "month to date", "year to date", all.',
    ),
    click.option("--top", type=int, metavar="N", help="The N largest series; all others together as one."),
    click.option("--sort", multiple=True, metavar="COLUMN…", help="Rows in this order; -COLUMN is the largest first."),
    click.option("--limit", type=int, metavar="N", help="Only the first N rows."),
    click.option(
        "--having", multiple=True, metavar="CONDITION", help='Only rows like "revenue < 0", "mrr_change < -10%".'
    ),
    click.option("--week-starts", metavar="DAY", help="The first day of weeks, instead of the book's."),
    click.option(
        "--event",
        metavar="NAME",
        help="Query a usage event instead of metrics, with the measures below. Needs no declaration.",
    ),
    click.option("--count", is_flag=True, help="How many events."),
    *(
        click.option(f"--{name}", multiple=True, metavar="PROPERTY…", help=f"{words} of a property of the event.")
        for name, words in PROPERTY_MEASURES.items()
    ),
)


question = gathered(Question)


@verb(
    *QUESTION,
    click.option("--to", "--until", "to", metavar="DAY", help="The last day (inclusive)."),
    click.option(
        "--format",
        "form",
        type=AdapterName(_is_format, _formats),
        default="table",
        help="The output format. Default: a table.",
    ),
    click.option("--exact", is_flag=True, help="Decimals in JSON as texts, to the last digit."),
    click.option("--chart", is_flag=True, help="Draw a chart for each metric, with a line for each series."),
    click.option(
        "--spark", is_flag=True, help="A sparkline for each series, with its smallest, largest and last value."
    ),
    click.option("--explain", is_flag=True, help="Print only the sentence that explains how the numbers are computed."),
    click.option("--sql", is_flag=True, help="Print only the SQL that runs over the points."),
    click.option(
        "-o",
        "--to-file",
        "file",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Write to a file; its extension selects the format.",
    ),
)
@question
def query(
    terminal: Terminal,
    asked: Question,
    form: str,
    file: Path | None,
    exact: bool,
    explain: bool,
    sql: bool,
    chart: bool,
    spark: bool,
) -> int:
    """Query metrics, several side by side.

    \b
      tallybook query signups                                  every day that is collected
      tallybook query revenue --scope month --by plan --totals
      tallybook query mrr,signups --scope week --last "12 weeks" --where country=DE
      tallybook query mrr --scope month --show average         the mean of the days, not the last one
      tallybook query revenue --scope week --compare previous  the current week so far and as many days of the last
      tallybook query active_users --window "28 days"          rolling, each user once
      tallybook query revenue --by country --top 5 --scope month
      tallybook query mrr --segment "paid: plan!=free" --segment "free: plan=free" --scope month
      tallybook query signups --live --to today --last "1 day" today so far
      tallybook query revenue --format csv > revenue.csv
      tallybook query revenue --by plan --scope week --chart
      tallybook query mrr,signups --by plan --last "90 days" --spark
      tallybook query --event signup --count --distinct user --scope week --by plan
      tallybook query --event dailyApiCalls --sum apiCalls --scope week --show average

    In the table * marks incomplete periods, ≈ approximate values, † values carried forward, ‡ imported
    values and – unknown values; the lines below give the reasons. A query without a correct answer is refused
    (exit code 3), with a query to use instead.

    --event answers from the stored events as they are now, like --live, without a declared metric."""
    form = _format(terminal, form, file)
    if chart or spark:
        return _draw(terminal, asked, form, file, as_chart=chart)
    if form == "csv" and not (explain or sql) and (text := terminal.book().answers.csv(asked)) is not None:
        _give(terminal, text, file)
        return 0
    result = terminal.book().ask(asked)
    if explain or sql:
        _say_how(terminal, result, form, explain=explain, sql=sql)
    elif form == "table" and file is None:
        _show(terminal, result)
    else:
        _give(terminal, _rendered(result, form, exact), file)
    return 0


@verb(
    *QUESTION,
    click.option("--until", "to", metavar="DAY", help="The last day (inclusive)."),
    click.option(
        "--to",
        "file",
        required=True,
        metavar="FILE",
        help="The file to write: .xlsx, .csv, .parquet, or the extension of another destination.",
    ),
)
@question
def export(terminal: Terminal, asked: Question, file: str) -> int:
    """Write metrics to a file: a workbook with real dates and a chart per metric, a CSV or a Parquet file.

    \b
      tallybook export signups revenue mrr --scope month --to metrics.xlsx
      tallybook export revenue --by plan --last "90 days" --to revenue.parquet

    --to names the file; --from and --until select the days."""
    from tallybook.deliver import writer_for

    path = Path(file)
    writer_for(path)  # an unknown extension is reported before any work
    result = terminal.book().ask(asked)
    terminal.book().export(result, path)
    terminal.out(f"{path}: {', '.join(result.metrics)} by {result.scope}, {count(len(result.data), 'row')}.")
    return 0


# --- output of an answer


def _format(terminal: Terminal, form: str, file: Path | None) -> str:
    """The format by --format, or else by the extension of the file. Raises UsageError if the format cannot be shown."""
    typed = click.get_current_context().params.get("form")
    if file is not None and typed == "table":
        return _format_of(file)
    if file is None and terminal.is_watched and form != "table" and not DESTINATIONS.kind(form).is_text:
        kind = DESTINATIONS.kind(form)
        raise click.UsageError(f"{kind.noun} is not for the screen: -o metrics{kind.endings[0]}")
    return form


def _format_of(file: Path) -> str:
    """The format by the extension of a file."""
    from tallybook.deliver import kind_of_file

    kind = kind_of_file(file, QUERY)
    if kind is not None:
        return kind.name
    endings = (ending for kind in destination_kinds(QUERY) for ending in kind.endings)
    instead = f"tallybook export … --to {file}" if kind_of_file(file, EXPORT) else f"one of {', '.join(endings)}"
    raise click.UsageError(f"cannot tell the format of a query from the extension of {file}: {instead}, or --format")


def _rendered(result: Result, form: str, exact: bool) -> bytes:
    from io import BytesIO

    from tallybook.deliver import OutputSettings

    destination, file = DESTINATIONS.adapter(form)(), BytesIO()
    given = {"exact": exact} if destination.kind.option("exact") else {}
    destination.write(result, file, OutputSettings(options=destination.kind.with_defaults(given)))
    return file.getvalue()


def _give(terminal: Terminal, content: str | bytes, file: Path | None) -> None:
    """Write to the file, or to standard output."""
    if file is None:
        terminal.data(content)
    else:
        _write(terminal, content, file)


def _write(terminal: Terminal, content: str | bytes, file: Path) -> None:
    from tallybook.deliver import replacing

    with replacing(file) as opened:
        opened.write(content.encode() if isinstance(content, str) else content)
    terminal.err(f"{file} is written")


def _say_how(terminal: Terminal, result: Result, form: str, *, explain: bool, sql: bool) -> None:
    told = ({"explain": result.explain} if explain else {}) | ({"sql": result.sql} if sql else {})
    if form == "json":
        terminal.json(told)
    else:
        terminal.out("\n\n".join(text for text in told.values() if text))


def _draw(terminal: Terminal, asked: Question, form: str, file: Path | None, *, as_chart: bool) -> int:
    """Print a picture instead of the table. Every series has a value in every covered period, as with --fill."""
    if form != "table" or file is not None:
        raise click.UsageError("--chart and --spark are for the screen; a file or --format holds the numbers")
    from tallybook.cli import charts

    result = terminal.book().ask(replace(asked, fill=True, totals=False))
    draw = charts.chart if as_chart else charts.sparklines
    terminal.show("\n".join(line.rstrip() for line in draw(result, terminal.styled, terminal.width).split("\n")))
    for line in (*result.remarks(), result.explain):
        terminal.show(terminal.styled(terminal.wrapped(line), "dim"))
    return 0


def _show(terminal: Terminal, result: Result) -> None:
    """Print the table of all rows. On a screen, incomplete rows look different."""
    lines = result.to_text(max_rows=None, width=terminal.width).split("\n")
    if not terminal.is_watched:
        terminal.show("\n".join(lines))
        return
    shown = [terminal.styled(lines[0], "bold")]
    for row, line in zip(result.data, lines[1:], strict=False):
        gap = all(row[name] is None for name in result.metrics)
        shown.append(terminal.styled(line, *(["dim"] if gap else [] if row["complete"] else ["italic"])))
    shown += [terminal.styled(terminal.wrapped(line), "dim") for line in lines[len(result.data) + 1 :]]
    terminal.show("\n".join(shown))
