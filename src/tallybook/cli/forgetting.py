"""The verb that takes things out of the book for good: `forget`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from tallybook.cli.completions import of_metrics
from tallybook.cli.options import TABLE_OR_JSON, metrics, verb
from tallybook.cli.terminal import Terminal, count, listed, stretch
from tallybook.core import DONE


@verb(
    metrics(required=False),
    click.option(
        "--person",
        multiple=True,
        metavar="ID",
        help="An id that count(distinct …) counted, or of the column of per; see below.",
    ),
    click.option(
        "--in",
        "within",
        multiple=True,
        metavar="METRIC…",
        shell_complete=of_metrics,
        help="With --person: the metrics to take it out of; repeat it, or put commas.",
    ),
    click.option("--yes", is_flag=True, help="Do not ask."),
    TABLE_OR_JSON,
)
def forget(
    terminal: Terminal, metrics: tuple[str, ...], person: tuple[str, ...], within: tuple[str, ...], yes: bool, form: str
) -> int:
    """Drop a metric from the book, or one person from the metrics that hold them. There is no way back.

    \b
      tallybook forget old_signups
      tallybook forget --person 4711 --in active_users
      tallybook forget --person ada@example.org --in active_users,search_users --yes

    Of a metric its points, days, definitions and revisions go, in every version of the book: --as-of does not
    bring them back. A metric that is still declared is collected again by the next run.

    An id goes from all days and versions, out of distinct counts and of measures with per; the values it took part
    in change, and are kept as revisions that do not name it. Take the person out of the source first: a run collects the last days again. Of an id of
    several columns say every part: --person 4711 --person iphone."""
    within = tuple(name.strip() for text in within for name in text.split(",") if name.strip())
    names = tuple(dict.fromkeys((*within, *metrics)))
    if not names:
        raise click.UsageError("forget what? A METRIC, or --person ID --in METRIC")
    if within and not person:
        raise click.UsageError("--in goes with --person ID")
    _confirm(terminal, names, person, yes=yes)
    told = terminal.book().forget_person(*person, metrics=names) if person else list(map(terminal.book().forget, names))
    if form == "json":
        terminal.json(told)
    else:
        terminal.out("\n".join(_told(terminal, one, person=bool(person)) for one in told))
    return DONE


def _confirm(terminal: Terminal, names: Sequence[str], person: Sequence[str], *, yes: bool) -> None:
    """Ask, where somebody can answer. Raises UsageError where nobody can, Abort for a no."""
    if yes:
        return
    if not (terminal.is_watched and sys.stdin.isatty()):
        raise click.UsageError("nobody is there to be asked; if you mean it: --yes")
    what = f"the id {' '.join(person)} out of {listed(names)}" if person else listed(names)
    if not click.confirm(f"Take {what} out of the book, in every version, for good?", err=True):
        raise click.Abort


def _told(terminal: Terminal, one: dict[str, object], *, person: bool) -> str:
    days, points = int(str(one["days"])), int(str(one["points"]))
    if person:
        changed = count(int(str(one["revisions"])), "value")
        return f"{one['metric']}: taken out of {count(days, 'day')}, {count(points, 'point')}; {changed} changed."
    if not points and not days:
        return f"{one['metric']}: the book contains nothing of it."
    when = f", {stretch(one['from'], one['to'])}" if days else ""
    again = ""
    if one["metric"] in terminal.book().project.catalog.metrics:
        again = " It is still declared: the next run collects it again."
    return f"{one['metric']}: {count(days, 'day')}{when}, {count(points, 'point')} forgotten.{again}"
