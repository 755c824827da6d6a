"""The verbs that read sources: `check`, `plan` and `run`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from tallybook.cli.aiming import goal_in_words
from tallybook.cli.alerting import alerts_in_words
from tallybook.cli.failures import filled
from tallybook.cli.log import log_run
from tallybook.cli.options import (
    FROM,
    LOG,
    SOURCE_AS_OF,
    SOURCES,
    TABLE_OR_JSON,
    TO,
    Decorator,
    gathered,
    metrics,
    overridden,
    verb,
)
from tallybook.cli.terminal import Terminal, count, indented, table
from tallybook.core import DONE, NOT_READY, USAGE, TallybookError, known_destination

if TYPE_CHECKING:
    from tallybook.book import Book
    from tallybook.collect import EntityReport, Inspection, MetricReport, RunReport
    from tallybook.core import Catalog, Delivery

# --- check


@verb(
    click.option("--source", is_flag=True, help="Also check the databases: tables, columns, times, indexes."),
    TABLE_OR_JSON,
)
def check(terminal: Terminal, source: bool, form: str) -> int:
    """List every problem in tallybook.toml at once, each with a line to paste; without problems, explain each metric.

    \b
      tallybook check             the project file; opens no database
      tallybook check --source    also tables, columns, how times are stored, and missing indexes

    Exit code 2 if there are problems, 4 if a source cannot be reached."""
    book = terminal.book()  # raises with all problems
    looks = book.look() if source else []
    whole = book.look_at_sources() if source else []
    doubts = _doubts(book)
    if form == "json":
        warned = [{"path": place, "message": why} for place, whys in doubts.items() for why in whys]
        seen = {"sources": [{"source": one.source, "said": one.said} for one in whole]} if source else {}
        terminal.json(_checked(book.project.catalog, looks) | seen | ({"warnings": warned} if warned else {}))
    else:
        noted = [(one.source, said) for one in whole for said in one.said] if source else _experimental(book)
        for name, said in noted:
            terminal.out(terminal.wrapped(f"source {terminal.styled(name, 'bold')}: {said}"))
        _print_checked(terminal, book.project.catalog, looks, doubts)
    if any(look.unreachable for look in looks):
        return NOT_READY
    return USAGE if any(look.problems for look in looks) else DONE


def _experimental(book: Book) -> list[tuple[str, str]]:
    """(source, sentence) for each source whose adapter is experimental."""
    from tallybook.core import kind_of

    kinds = {name: kind_of(source.url) for name, source in book.project.catalog.sources.items()}
    return [(name, kind.experimental_notice) for name, kind in kinds.items() if kind and kind.experimental]


def _doubts(book: Book) -> dict[str, list[str]]:
    """Doubts about the file, and doubts that need the book, which are left out if the book cannot be read."""
    from tallybook.config import zone_warnings

    found = zone_warnings(book.project.catalog)
    try:
        return found | book.doubts()
    except TallybookError:
        return found


def _meanings(catalog: Catalog) -> dict[str, str]:
    from tallybook.config import explain_assumptions

    return {name: explain_assumptions(metric, catalog.book.timezone) for name, metric in catalog.metrics.items()}


def _checked(catalog: Catalog, looks: list[Inspection]) -> dict[str, Any]:
    found = {look.metric: look for look in looks}
    metrics_found = []
    for name, meaning in _meanings(catalog).items():
        look = found.get(name)
        seen = {"said": look.said, "warned": look.warned, "doubts": look.doubts} if look else {}
        metrics_found.append({"metric": name, "means": meaning, **seen})
    problems = [filled(vars(p)) for look in looks for p in look.problems]
    handed = [{"delivery": name, "means": _handed(d)} for name, d in catalog.deliveries.items()]
    aimed = [{"goal": name, "means": goal_in_words(goal)} for name, goal in catalog.goals.items()]
    alerts = [{"means": sentence} for sentence in alerts_in_words(catalog)]
    more = (
        ({"alerts": alerts} if alerts else {})
        | ({"goals": aimed} if aimed else {})
        | ({"deliveries": handed} if handed else {})
    )
    return {"metrics": metrics_found, **more, "problems": problems}


def _handed(delivery: Delivery) -> str:
    """One sentence on what a delivery writes and where."""
    from tallybook.deliver import shown

    split = f", split by {', '.join(delivery.by)}" if delivery.by else ""
    asked = f"{', '.join(delivery.metrics)} by {delivery.scope}{split}"
    if delivery.path:
        kind = known_destination(delivery.to)
        tab = f", tab {delivery.tab_name!r}" if kind and kind.tabs else ""
        return f"{delivery.name} writes {asked} to {delivery.path}{tab}."
    return f"{delivery.name} writes {asked} to {shown(delivery)}."


def _print_checked(
    terminal: Terminal, catalog: Catalog, looks: list[Inspection], doubts: Mapping[str, list[str]]
) -> None:
    found = {look.metric: look for look in looks}
    for name, meaning in _meanings(catalog).items():
        terminal.out(terminal.wrapped(meaning).replace(name, terminal.styled(name, "bold"), 1))
        if name in found:
            for sentence in found[name].said:
                terminal.out(terminal.wrapped(f"  seen: {sentence}"))
            for doubt in found[name].doubts:
                terminal.out(terminal.styled(terminal.wrapped(f"  warning: {doubt}"), "yellow"))
            for warned in found[name].warned:
                terminal.out(terminal.styled(terminal.wrapped(f"  slow: {warned}"), "yellow"))
    more = {name: goal_in_words(goal) for name, goal in catalog.goals.items()}
    more |= {name: _handed(delivery) for name, delivery in catalog.deliveries.items()}
    alerts = [("alerts", sentence) for sentence in alerts_in_words(catalog)]
    for name, meaning in [*more.items(), *alerts]:
        terminal.out(terminal.wrapped(meaning).replace(name, terminal.styled(name, "bold"), 1))
    for place, whys in doubts.items():
        key = place if place.startswith(("metrics.", "book.")) else f"{place}.where"
        terminal.err(terminal.styled(f"{key}: {'; '.join(whys)}", "yellow", stream=terminal.stderr))
    problems = [problem for look in looks for problem in look.problems]
    for problem in problems:
        terminal.err(f"\n{problem}")
    if problems:
        number = terminal.styled(count(len(problems), "problem"), "bold", "red", stream=terminal.stderr)
        terminal.err(f"\n{number}.")
        return
    warnings = sum(map(len, doubts.values())) + sum(len(look.doubts) for look in looks)
    terminal.out(f"\n{_verdict(warnings)}: {_declared(catalog)}.{_checks_more(looks)}")


def _verdict(warnings: int) -> str:
    """The first words of the last line, which never contradict the warnings above it."""
    return f"No problems, but {count(warnings, 'warning')}" if warnings else "All is well"


def _checks_more(looks: list[Inspection]) -> str:
    return "" if looks else " `tallybook check --source` checks the database too."


def _declared(catalog: Catalog) -> str:
    """What the file declares, in numbers."""
    declared = f"{count(len(catalog.metrics), 'metric')}, {count(len(catalog.sources), 'source')}"
    declared += f", {count(len(catalog.goals), 'goal')}" if catalog.goals else ""
    if catalog.deliveries:
        several = len(catalog.deliveries)
        declared += f", {several} deliver{'y' if several == 1 else 'ies'}"
    return f"{declared}, days of {catalog.book.timezone}"


# --- what to collect, for `plan` and `run`

COLLECTED: tuple[Decorator, ...] = (
    metrics(required=False),
    FROM,
    TO,
    SOURCES,
    SOURCE_AS_OF,
    click.option(
        "--older-source",
        is_flag=True,
        help="Also overwrite days that were read from a newer state of their source.",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Collected:
    """The arguments of `Book.run` as typed."""

    metrics: tuple[str, ...]
    from_: str | None
    to: str | None
    sources: Mapping[str, str]
    source_as_of: datetime | None
    older_source: bool


collected = gathered(Collected)

# --- plan


@verb(
    *COLLECTED,
    click.option("--all", "every", is_flag=True, help="Show the statements of every day, not only of the first."),
    TABLE_OR_JSON,
)
@collected
def plan(terminal: Terminal, asked: Collected, every: bool, form: str) -> int:
    """Show what `run` would do: which days of which metrics, with which statements, and why. Changes nothing.

    \b
      tallybook plan
      tallybook plan revenue --from 2026-01-01 --all"""
    from tallybook.cli.plans import described, in_words, searches

    sources = overridden(terminal, asked.sources)
    made = terminal.book().plan(
        *asked.metrics,
        from_=asked.from_,
        to=asked.to,
        sources=sources,
        source_as_of=asked.source_as_of,
        older_source=asked.older_source,
    )
    groups = described(made, every=every)
    changes = searches(made, every=every)
    reports = list(made.reports.values())
    if form == "json":
        found = {"groups": groups, "metrics": [report.to_dict() for report in reports]}
        terminal.json(found | ({"changes": changes} if changes else {}))
    else:
        terminal.out(in_words(groups, changes))
        _print_notes(terminal, reports)
    failed = [report for report in reports if report.error]
    return 0 if not failed else NOT_READY if all(r.unavailable for r in failed) and not groups else 1


# --- run


@verb(
    *COLLECTED,
    TABLE_OR_JSON,
    click.option("-q", "--quiet", is_flag=True, help="Print errors only."),
    click.option(
        "--source-moved",
        "moved",
        multiple=True,
        metavar="NAME",
        help="Accept that this source is another database from now on, and record its identity.",
    ),
    LOG,
)
@collected
def run(terminal: Terminal, asked: Collected, form: str, quiet: bool, moved: tuple[str, ...]) -> int:
    """Collect every closed day that is missing, oldest first, and the last few days again for late rows. Then update
    the [deliveries], and send problems to the addresses of [alerts].

    \b
      tallybook run                                  once a day, or as often as you like
      tallybook run revenue --from 2026-01-01        collect these days again; changed values are kept as revisions
      tallybook run --source app=postgresql://reader@copy/app --source-as-of 2026-03-01T04:00Z
      tallybook run --quiet --log json               a line of JSON for each step, on stderr

    Safe to repeat and to kill. If another run is in progress, this one ends with exit code 5."""
    from tallybook.cli.progress import progress

    sources = overridden(terminal, asked.sources)
    terminal.event("run_started", metrics=list(asked.metrics))
    with progress(terminal, quiet=quiet) as on_progress:
        report = terminal.book().run(
            *asked.metrics,
            from_=asked.from_,
            to=asked.to,
            sources=sources,
            source_as_of=asked.source_as_of,
            source_moved=moved,
            older_source=asked.older_source,
            on_progress=on_progress,
        )
    log_run(terminal, report)
    if form == "json":
        terminal.json(report.to_dict())
    else:
        _print_run(terminal, report, quiet=quiet)
    return report.exit_code


def _print_run(terminal: Terminal, report: RunReport, *, quiet: bool) -> None:
    if not quiet:
        header = ("metric", "days", "from", "to", "points", "revisions", "seconds")
        rows = [
            (m.metric, m.days, m.first, m.last, f"{m.points:,}", m.revisions or "", f"{m.seconds:.1f}")
            for m in report.metrics
        ]
        first, *lines = table(header, rows, numbers=("days", "points", "revisions", "seconds"))
        terminal.out("\n".join([terminal.styled(first, "bold"), *lines]))
    if terminal.log is None:  # else the line is in the log
        for note in report.notes:
            terminal.err(f"\n{note}")
        _print_notes(terminal, report.metrics, only_errors=quiet)
    for one in report.entities if terminal.log is None else ():
        _print_entities(terminal, one, quiet=quiet)
    if terminal.log is None:
        from tallybook.cli.rules import print_rules

        print_rules(terminal, report.rules, quiet=quiet)
    if report.deliveries and terminal.log is None:
        from tallybook.cli.delivering import print_deliveries

        print_deliveries(terminal, report.deliveries, quiet=quiet)
    if terminal.log is None:
        from tallybook.cli.alerting import print_alerts

        print_alerts(terminal, report.alerts, quiet=quiet)
    if not quiet:
        terminal.out(
            f"\nRun {report.run}: {report.status} in {report.seconds:.1f} s; the book is at version {report.version}."
        )


def _print_entities(terminal: Terminal, report: EntityReport, *, quiet: bool) -> None:
    """Print one line on what was read about users or accounts."""
    if report.error:
        failed = terminal.styled("failed:", "bold", "red", stream=terminal.stderr)
        hint = f"\n{indented(report.hint)}" if report.hint else ""
        terminal.err(f"\n{report.kind} {failed} {report.error}{hint}")
    elif not quiet:
        said = [count(report.rows, "row"), f"{report.changed} changed"]
        said += [f"{report.deleted} deleted"] if report.deleted else []
        said += [f"{report.skipped} without an id"] if report.skipped else []
        wrong = ", ".join(f"{name} ({number})" for name, number in report.conflicts.items())
        said += [f"values of another type than the first: {wrong}"] if wrong else []
        terminal.out(f"\n{report.kind}: {', '.join(said)}")


def _print_notes(terminal: Terminal, reports: list[MetricReport], *, only_errors: bool = False) -> None:
    """Print each note once, with its metrics; errors go to stderr."""
    notes: dict[str, list[str]] = {}
    errors: dict[tuple[str, str], list[str]] = {}
    for report in reports:
        for note in () if only_errors else report.notes:
            notes.setdefault(note, []).append(report.metric)
        if report.error:
            errors.setdefault((report.error, report.hint), []).append(report.metric)
    for note, names in notes.items():
        terminal.out(f"\n{', '.join(names)}: {note}")
    tracebacks = dict.fromkeys(report.traceback for report in reports if report.traceback)
    for text in tracebacks if terminal.env.get("TALLYBOOK_DEBUG") == "1" else ():
        terminal.err(f"\n{text}")
    for (error, hint), names in errors.items():
        failed = terminal.styled("failed:", "bold", "red", stream=terminal.stderr)
        terminal.err(f"\n{', '.join(names)} {failed} {error}" + (f"\n{indented(hint)}" if hint else ""))
