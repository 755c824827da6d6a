"""The verb that deletes metrics and personal ids from the book: `forget`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from tallybook.cli.completions import of_metrics
from tallybook.cli.options import TABLE_OR_JSON, metrics, verb
from tallybook.cli.terminal import Terminal, count, day_range, listed
from tallybook.core import ACCOUNTS, DONE, USERS

if TYPE_CHECKING:
    from tallybook.collect import ForgottenMetric, ForgottenPerson
    from tallybook.deliver import ForgottenEntity


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
        help="With --person, --user or --account: the metrics to delete the id from, separated by commas or repeated.",
    ),
    click.option("--user", metavar="ID", help="A user to delete for good: attributes, events, distinct counts."),
    click.option("--account", metavar="ID", help="An account to delete for good, in the same way."),
    click.option("--yes", is_flag=True, help="Do not ask for confirmation."),
    TABLE_OR_JSON,
)
def forget(
    terminal: Terminal,
    metrics: tuple[str, ...],
    person: tuple[str, ...],
    within: tuple[str, ...],
    user: str | None,
    account: str | None,
    yes: bool,
    form: str,
) -> int:
    """Delete a metric from the book, or one person, user or account. This cannot be undone.

    \b
      tallybook forget old_signups
      tallybook forget --person 4711 --in active_users
      tallybook forget --person ada@example.org --in active_users,search_users --yes
      tallybook forget --user 4711
      tallybook forget --account acme --in seats

    Deletes the metric's points, days, definitions and revisions in every version of the book; --as-of does not return
    them. If the metric is still declared, the next run collects it again.

    Deletes an id from all days and versions of distinct counts and of measures with `per`. Values that change are
    kept as revisions without the id. Delete the person from the source first, because a run collects the last days
    again. Give all parts of an id of several columns: --person 4711 --person iphone.

    --user and --account delete an id with its attributes and their history, its events, requests with rejected events
    that contain it, requests in logs, and the distinct counts of its kind: of `user` or `account` of events, and of
    the columns in `dimension` of [users] or [accounts]. --in adds other metrics. Past totals stay."""
    if user is not None or account is not None:
        return _forget_entity(terminal, user, account, (*within, *metrics), person, yes=yes, form=form)
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


def _forget_entity(
    terminal: Terminal,
    user: str | None,
    account: str | None,
    within: Sequence[str],
    person: Sequence[str],
    *,
    yes: bool,
    form: str,
) -> int:
    if person or (user is not None and account is not None):
        raise click.UsageError("give one of --user ID, --account ID and --person ID")
    kind, entity_id = (USERS, user) if user is not None else (ACCOUNTS, account or "")
    names = [name.strip() for text in within for name in text.split(",") if name.strip()]
    _confirm(terminal, [f"the {kind.removesuffix('s')} {entity_id}"], (), yes=yes)
    gone = terminal.book().forget_entity(kind, entity_id or "", metrics=names)
    if form == "json":
        terminal.json(gone.to_dict())
    else:
        terminal.out("\n".join(_lines(terminal, gone)))
    return DONE


def _lines(terminal: Terminal, gone: ForgottenEntity) -> Iterator[str]:
    """Lines about what was deleted of a user or an account, and what was not."""
    yield (
        f"{gone.kind.removesuffix('s')} {gone.id}: "
        + ", ".join(
            (
                f"{count(gone.rows, 'row')} of attributes and history",
                count(gone.events, "event"),
                f"{count(gone.rejected, 'request')} with rejected events",
                f"{count(gone.logged, 'request')} in logs",
            )
        )
        + " deleted."
    )
    for one in gone.metrics:
        yield _described(terminal, one)
    if gone.kept:
        yield f"Still a value of a dimension of {listed(gone.kept)}; to delete a metric: tallybook forget METRIC"
    if gone.hosts:
        yield f"Not searched: the logs of {listed(gone.hosts)}; repeat the command there."


def _confirm(terminal: Terminal, names: Sequence[str], person: Sequence[str], *, yes: bool) -> None:
    """Ask for confirmation. Raises UsageError without a terminal, and Abort if the answer is no."""
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
