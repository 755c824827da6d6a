"""The verb that deletes metrics and personal ids from the book: `forget`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tallybook.cli.completions import of_metrics
from tallybook.cli.options import TABLE_OR_JSON, metrics, verb
from tallybook.cli.terminal import Terminal, count, day_range, listed
from tallybook.core import DONE

if TYPE_CHECKING:
    from tallybook.collect import ForgottenMetric, ForgottenPerson


@verb(
    metrics(required=False),
    click.option(
        "--person",
        multiple=True,
        metavar="ID",
        help="An id that count(distinct …) counted, or a value of the `per` column; see below.",
    ),
    click.option(
        "--in",
        "within",
        multiple=True,
        metavar="METRIC…",
        shell_complete=of_metrics,
        help="With --person: the metrics to delete the id from, separated by commas or repeated.",
    ),
    click.option("--yes", is_flag=True, help="Do not ask for confirmation."),
    TABLE_OR_JSON,
)
def forget(
    terminal: Terminal, metrics: tuple[str, ...], person: tuple[str, ...], within: tuple[str, ...], yes: bool, form: str
) -> int:
    """Delete a metric from the book, or one person from metrics. This cannot be undone.

    \b
      tallybook forget old_signups
      tallybook forget --person 4711 --in active_users
      tallybook forget --person ada@example.org --in active_users,search_users --yes

    Deletes the metric's points, days, definitions and revisions in every version of the book; --as-of does not return
    them. If the metric is still declared, the next run collects it again.

    Deletes an id from all days and versions of distinct counts and of measures with `per`. Values that change are
    kept as revisions without the id. Delete the person from the source first, because a run collects the last days
    again. Give all parts of an id of several columns: --person 4711 --person iphone."""
    within = tuple(name.strip() for text in within for name in text.split(",") if name.strip())
    names = tuple(dict.fromkeys((*within, *metrics)))
    if not names:
        raise click.UsageError("nothing to forget: give a METRIC, or --person ID --in METRIC")
    if within and not person:
        raise click.UsageError("--in needs --person ID")
    _confirm(terminal, names, person, yes=yes)
    book = terminal.book()
    gone = book.forget_person(*person, metrics=names) if person else [book.forget(name) for name in names]
    if form == "json":
        terminal.json([one.to_dict() for one in gone])
    else:
        terminal.out("\n".join(_described(terminal, one) for one in gone))
    return DONE


def _confirm(terminal: Terminal, names: Sequence[str], person: Sequence[str], *, yes: bool) -> None:
    """Ask for confirmation. Raises UsageError without a terminal, Abort for a no."""
    if yes:
        return
    if not (terminal.is_watched and sys.stdin.isatty()):
        raise click.UsageError("cannot ask for confirmation without a terminal; to confirm: --yes")
    what = f"the id {' '.join(person)} of {listed(names)}" if person else listed(names)
    if not click.confirm(f"Delete {what} from every version of the book? This cannot be undone.", err=True):
        raise click.Abort


def _described(terminal: Terminal, one: ForgottenMetric | ForgottenPerson) -> str:
    from tallybook.collect import ForgottenPerson

    days, points = count(one.days, "day"), count(one.points, "point")
    if isinstance(one, ForgottenPerson):
        return f"{one.metric}: deleted from {days}, {points}; {count(one.revisions, 'value')} changed."
    if not one.points and not one.days:
        return f"{one.metric}: not in the book."
    when = f", {day_range(one.from_, one.to)}" if one.from_ and one.to else ""
    declared = one.metric in terminal.book().project.catalog.metrics
    again = " It is still declared: the next run collects it again." if declared else ""
    return f"{one.metric}: {days}{when}, {points} deleted.{again}"
