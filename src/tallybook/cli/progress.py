"""The progress of a run on a terminal or in the log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tallybook.cli.terminal import Terminal

if TYPE_CHECKING:
    from tallybook.collect import OnProgress, RunProgress


@contextmanager
def progress(terminal: Terminal, *, quiet: bool) -> Iterator[OnProgress | None]:
    """A callback for the progress of a run, or None. It shows a bar with rate and remaining time on a terminal, or
    log lines."""
    if terminal.log is not None:
        from tallybook.cli.log import logged_progress

        yield logged_progress(terminal)
        return
    if quiet or not terminal.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress as Bar, TaskProgressColumn, TextColumn, TimeRemainingColumn

    bar = Bar(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}", markup=False),
        TimeRemainingColumn(),
        console=Console(file=terminal.stderr),
        transient=True,
    )
    task = bar.add_task("reading the sources", total=None, rate="")

    def update(seen: RunProgress) -> None:
        what = seen.what if seen.done < seen.of else "writing the book"
        bar.update(task, description=what, total=seen.of, completed=seen.done)
        speed = bar.tasks[0].speed
        rate = f", {speed:,.0f} days/s, time left" if speed else ""
        bar.update(task, rate=f"{seen.points:,} points{rate}")

    with bar:
        yield update
