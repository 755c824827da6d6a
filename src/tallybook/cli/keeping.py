"""The verbs that inspect and maintain the book: `metrics`, `runs`, `compact`, `doctor`; and `completion`, `version`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

from tallybook.cli.completions import of_metrics
from tallybook.cli.options import TABLE_OR_JSON, verb
from tallybook.cli.terminal import Terminal, count, day_range, listed, table
from tallybook.core import DONE, SOME_FAILED

if TYPE_CHECKING:
    from tallybook.query import MetricDescription, MetricDetails, RunRecord

# --- metrics


@verb(click.argument("name", required=False, shell_complete=of_metrics), TABLE_OR_JSON)
def metrics(terminal: Terminal, name: str | None, form: str) -> int:
    """List the declared metrics and their collected days, or everything about one metric.

    \b
      tallybook metrics
      tallybook metrics revenue      with its definitions, collected days and gaps"""
    book = terminal.book()
    if name is None:
        found = book.metrics()
        if form == "json":
            terminal.json([one.to_dict() for one in found])
        else:
            _print_metrics(terminal, found)
        return DONE
    one, meaning = book.metric(name), _meaning(terminal, name)
    if form == "json":
        terminal.json(one.to_dict() | {"means": meaning})
    else:
        _print_metric(terminal, one, meaning)
    return DONE


def _meaning(terminal: Terminal, name: str) -> str:
    from tallybook.config import explain_assumptions

    catalog = terminal.book().project.catalog
    return explain_assumptions(catalog.metrics[name], catalog.book.timezone)


def _print_metrics(terminal: Terminal, found: Sequence[MetricDescription]) -> None:
    names = ("metric", "kind", "unit", "by", "from", "to", "days", "gaps", "measure")
    rows = [
        (
            m.metric,
            m.kind,
            m.unit or "",
            ", ".join(m.by),
            m.from_ or "",
            m.to or "",
            m.days or "",
            m.gaps or "",
            _one_line(m.measure),
        )
        for m in found
    ]
    first, *lines = table(names, rows, numbers=("days", "gaps"))
    terminal.out("\n".join([terminal.styled(first, "bold"), *lines]))
    if not any(m.days for m in found):
        terminal.out("\nNothing has been collected yet: tallybook run")


def _one_line(text: str | None, max_length: int = 60) -> str:
    line = " ".join((text or "").split())
    return line if len(line) <= max_length else line[: max_length - 1] + "…"


def _print_metric(terminal: Terminal, one: MetricDetails, meaning: str) -> None:
    terminal.out(terminal.wrapped(meaning))
    for key in ("title", "description", "measure", "unit", "source"):
        if value := getattr(one, key):
            terminal.out(f"  {key:<12} {value}")
    terminal.out(f"  {'split by':<12} {', '.join(one.by) or '–'}")
    if one.kind == "derived":
        terminal.out(f"  {'made of':<12} {', '.join(one.operands)}")
        return
    covered = [day_range(*days) for days in one.coverage]
    terminal.out(f"  {'collected':<12} {listed(covered) or 'nothing yet: tallybook run ' + one.metric}")
    if one.missing:
        terminal.out(f"  {'gaps':<12} {listed([day_range(*days) for days in one.missing])}")
    for definition in one.definitions:
        older = f"older; query it with --definition {definition.id}"
        which = "current" if definition.id == one.definition else older
        days = f"{count(definition.days, 'day')}, since {definition.created[:10]}"
        terminal.out(f"  {'definition':<12} {definition.id}  {days}  ({which})")


# --- runs


@verb(
    click.option("--limit", type=click.IntRange(min=1), default=20, help="The number of runs. Default: 20."),
    TABLE_OR_JSON,
)
def runs(terminal: Terminal, limit: int, form: str) -> int:
    """List the latest runs, newest first: time, duration, what was collected, what failed."""
    found = terminal.book().runs(limit)
    if form == "json":
        terminal.json([run.to_dict() for run in found])
        return DONE
    if not found:
        terminal.out("No runs yet: tallybook run")
        return DONE
    header = ("run", "started (UTC)", "seconds", "status", "metrics", "days", "points", "revisions", "failed")
    numbers = ("run", "seconds", "metrics", "days", "points", "revisions")
    first, *lines = table(header, [_run_row(run) for run in found], numbers)
    terminal.out("\n".join([terminal.styled(first, "bold"), *lines]))
    return DONE


def _run_row(run: RunRecord) -> tuple[object, ...]:
    done = run.report.get("metrics", [])
    sums = [sum(metric.get(key, 0) for metric in done) for key in ("days", "points", "revisions")]
    failed = ", ".join(metric["metric"] for metric in done if metric.get("error"))
    started = run.started[:19].replace("T", " ")
    return (run.run, started, _seconds(run), run.status, len(done), *(f"{n:,}" for n in sums), failed)


def _seconds(run: RunRecord) -> str:
    if not run.finished:
        return ""
    took = datetime.fromisoformat(run.finished) - datetime.fromisoformat(run.started)
    return f"{took.total_seconds():.1f}"


# --- the rest


@verb(TABLE_OR_JSON)
def compact(terminal: Terminal, form: str) -> int:
    """Merge the monthly files of closed years into one file per kind, and delete files that no kept version needs."""
    done = terminal.book().compact()
    if form == "json":
        terminal.json(done)
    else:
        terminal.out(f"{count(done['folded'], 'file')} merged, {count(done['deleted'], 'file')} deleted.")
    return DONE


@verb(
    click.option(
        "--set-aside",
        "aside",
        is_flag=True,
        help="If the ledger is lost: rename the folder of the book, and start a new book.",
    ),
    click.option(
        "--rebuild-ids",
        "ids",
        is_flag=True,
        help="If files of event ids are lost: write them again from the events.",
    ),
    TABLE_OR_JSON,
)
def doctor(terminal: Terminal, aside: bool, ids: bool, form: str) -> int:
    """Check that the ledger, the files and the covered days of the book agree. Exit code 1 if they do not.

    \b
      tallybook doctor
      tallybook doctor --set-aside      the ledger is lost and there is no backup; deletes nothing
      tallybook doctor --rebuild-ids    a file of event ids is lost and there is no backup

    Events that are sent again are recognized by their ids. --rebuild-ids does not know the ids of events that came
    without one or were deleted since. If these are sent again, they are stored again."""
    if aside:
        return _set_aside(terminal, form)
    if ids:
        return _rebuild_ids(terminal, form)
    problems, remarks = terminal.book().doctor(), terminal.book().remarks()
    if form == "json":
        terminal.json({"well": not problems, "problems": problems, "remarks": remarks})
        return SOME_FAILED if problems else DONE
    if remarks:
        terminal.err("\n".join(f"note: {remark}" for remark in remarks))
    if problems:
        terminal.err("\n".join(f"- {problem}" for problem in problems))
        terminal.err(f"\n{count(len(problems), 'problem')}.")
    else:
        terminal.out("The book is well.")
    return SOME_FAILED if problems else DONE


def _set_aside(terminal: Terminal, form: str) -> int:
    renamed = terminal.book().set_aside()
    if form == "json":
        terminal.json({"set_aside": str(renamed)})
    else:
        terminal.out(f"Renamed the old folder to {renamed}. The book is new and empty. Next: tallybook run")
    return DONE


def _rebuild_ids(terminal: Terminal, form: str) -> int:
    done = terminal.book().rebuild_ids()
    if form == "json":
        terminal.json({"files": done.files, "ids": done.ids, "unread": done.unread})
        return SOME_FAILED if done.unread else DONE
    if not done.files:
        terminal.out("No file of ids is missing or damaged.")
        return DONE
    terminal.out(
        f"{count(done.ids, 'id')} of events received from {done.first[:19]} to {done.last[:19]} UTC are known again; "
        f"replaced {count(len(done.files), 'file')}. Events wait in the log no longer."
    )
    for path in done.unread:
        terminal.err(f"{path} cannot be read: its events, sent again, are stored again. Next: tallybook doctor")
    return SOME_FAILED if done.unread else DONE


SHELLS = ("bash", "zsh", "fish")


@verb(click.argument("shell", type=click.Choice(SHELLS)))
def completion(terminal: Terminal, shell: str) -> int:
    """Print a script with which a shell completes verbs, options, metrics and dimensions.

    \b
      eval "$(tallybook completion bash)"                   in ~/.bashrc
      eval "$(tallybook completion zsh)"                    in ~/.zshrc, after compinit
      tallybook completion fish > ~/.config/fish/completions/tallybook.fish"""
    from click.shell_completion import get_completion_class

    from tallybook.cli.verbs import tallybook

    made = get_completion_class(shell)
    assert made is not None
    script = made(tallybook, {}, "tallybook", "_TALLYBOOK_COMPLETE")
    terminal.data((script.source_template % script.source_vars()).strip() + "\n")
    return DONE


@verb()
def version(terminal: Terminal) -> int:
    """Print the version of Tallybook."""
    from tallybook import __version__

    terminal.out(f"tallybook {__version__}")
    return DONE
