"""The verb that recounts old days: `audit`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from tallybook.cli.options import TABLE_OR_JSON, metrics, verb
from tallybook.cli.terminal import Terminal, count, indented, listed, table

if TYPE_CHECKING:
    from tallybook.monitor import Audit


def _seconds(_: click.Context, __: click.Parameter, value: str) -> float:
    from tallybook.config import SOURCE_KEYS, Wrong

    try:
        return float(SOURCE_KEYS["statement_timeout"].read(value))
    except Wrong as wrong:
        raise click.BadParameter(f"{value!r} {wrong.why}; expected a form like 60s or 5m") from None


@verb(
    metrics(required=False),
    click.option(
        "--sample",
        type=click.IntRange(1, 100_000),
        default=20,
        metavar="N",
        help="The number of days, over all metrics. Default: 20.",
    ),
    click.option("--seed", type=int, metavar="N", help="Choose the same days as an earlier audit with this seed."),
    click.option(
        "--for",
        "seconds",
        default="60s",
        metavar="SPAN",
        callback=_seconds,
        help="Start no further day after this time. Default: 60s.",
    ),
    click.option("--restate", is_flag=True, help="Collect the differing days again."),
    TABLE_OR_JSON,
)
def audit(terminal: Terminal, metrics: tuple[str, ...], restate: bool, form: str, **asked: Any) -> int:
    """Recount random old days in the source and list where the book differs.

    \b
      tallybook audit                               20 days of all metrics, within a minute
      tallybook audit revenue --sample 100 --for 5m
      tallybook audit --restate                     also collect differing days again

    Skips days that every run collects again, snapshots and Python functions. Reads one day at a time, from the
    `replica` of [sources.NAME] if it has one. Exit code 1 if days differ and were not restated."""
    found = terminal.book().audit(*metrics, restate=restate, **asked)
    if form == "json":
        terminal.json(found.to_dict())
        return found.exit_code
    for line in _drift(terminal, found):
        terminal.show(line)
    _print_summary(terminal, found)
    return found.exit_code


def _drift(terminal: Terminal, found: Audit) -> Iterator[str]:
    """The differing values of each metric and day."""
    rows = [
        (one.metric, one.day, _series(change["series"]), _shown(change["old"]), _shown(change["new"]))
        for one in found.drifted
        for change in one.to_dict()["drift"]
    ]
    if rows:
        first, *lines = table(("metric", "day", "series", "book", "source"), rows, numbers=("book", "source"))
        yield from (terminal.styled(first, "bold"), *lines, "")


def _series(series: dict[str, str | None]) -> str:
    return " ".join(f"{name}={'' if value is None else value}" for name, value in series.items())


def _shown(value: str | None) -> str:
    return "–" if value is None else value


def _print_summary(terminal: Terminal, found: Audit) -> None:
    errors: dict[tuple[str, str], list[str]] = {}
    for one in found.failed:
        errors.setdefault((one.error or "", one.hint), []).append(f"{one.metric} on {one.day}")
    for (error, hint), days in errors.items():
        terminal.err(f"{listed(days)} could not be recounted: {error}" + (f"\n{indented(hint)}" if hint else ""))
    for name, why in found.skipped.items():
        terminal.out(f"skipped {name}: {why}")
    good = len(found.counted) - len(found.drifted) - len(found.failed)
    drifted = f", {count(len(found.drifted), 'day')} differ{'s' * (len(found.drifted) == 1)}" if found.drifted else ""
    terminal.out(
        f"{count(good, 'day')} match{'es' * (good == 1)} the book{drifted}; recounted in {found.seconds:.1f} s, "
        f"--seed {found.seed}."
    )
    if len(found.counted) < found.chosen:
        terminal.out(f"{found.chosen - len(found.counted)} more were not reached in time; allow more with --for 5m.")
    for line in found.restated:
        terminal.out(f"restated: {line}")
    left = [line for line in found.lines if line not in found.restated]
    if left:
        terminal.out("To collect them again, or use --restate:")
        terminal.out("\n".join(map(indented, left)))
