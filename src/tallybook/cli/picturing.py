"""The verbs that write pictures: `chart` for a query, `report` for a board."""

from __future__ import annotations

from pathlib import Path

import click

from tallybook.cli.asking import QUESTION, question
from tallybook.cli.options import verb
from tallybook.cli.terminal import Terminal
from tallybook.core import CHART_FORMS, QueryError
from tallybook.query import Question

FILE = click.option("-o", "--output", "file", required=True, metavar="FILE", help="The file to write.")
FORMS = [form for form in CHART_FORMS if form not in ("number", "table")]


@verb(
    *QUESTION,
    click.option("--to", "--until", "to", metavar="DAY", help="The last day (inclusive)."),
    click.option("--form", type=click.Choice(FORMS), default=FORMS[0], help="The form of the chart."),
    FILE,
)
@question
def chart(terminal: Terminal, asked: Question, form: str, file: str) -> int:
    """Draw the answer of a query, as the pages do: gaps stay gaps, and what is not complete is hollow.

    \b
      tallybook chart signups --scope week --last "27 weeks" -o signups.svg
      tallybook chart revenue --by plan --scope month --form stacked -o revenue.png

    PNG and PDF need vl-convert: pip install 'tallybook[charts]'."""
    from tallybook.server import chart_file

    path = Path(file)
    content = chart_file(terminal.book(), asked, form, path.suffix.lower(), now=terminal.clock())
    _write(terminal, path, content)
    return 0


@verb(
    click.argument("board", metavar="BOARD"),
    click.option("--scope", metavar="SCOPE", help="Another scope than the board declares."),
    click.option("--last", metavar="SPAN", help='Another range than the board declares: "12 weeks".'),
    click.option("--where", metavar="DIM=VALUE", help="Only one value of a dimension that all views have."),
    FILE,
)
def report(terminal: Terminal, board: str, scope: str | None, last: str | None, where: str | None, file: str) -> int:
    """Write a board of [boards.NAME] as a file: .html without scripts and without a server, .pdf, .svg or .png.

    \b
      tallybook report weekly -o weekly.html
      tallybook report weekly --scope month --last "12 months" -o weekly.pdf
      tallybook report weekly --where plan=pro -o pro.html

    The numbers of the charts are in tables beside them."""
    from tallybook.server import board_file

    dimension, sign, value = (where or "").partition("=")
    if where is not None and not (dimension and sign and value):
        raise QueryError(f"--where {where!r} does not name one value of a dimension", hint="--where plan=pro")
    chosen = (("scope", scope), ("last", last), ("dim", dimension), ("value", value))
    fields = [(name, text) for name, text in chosen if text]
    path = Path(file)
    content = board_file(terminal.book(), board, path.suffix.lower(), now=terminal.clock(), fields=fields)
    _write(terminal, path, content)
    return 0


def _write(terminal: Terminal, path: Path, content: bytes) -> None:
    from tallybook.deliver import replacing

    with replacing(path) as opened:
        opened.write(content)
    terminal.err(f"{path} is written")
