"""Shows the progress of a run, on a terminal or in the log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tallybook.cli.terminal import Terminal

if TYPE_CHECKING:
    from tallybook.collect import OnProgress, RunProgress


@contextmanager
def progress(terminal: Terminal, *, quiet: bool) -> Iterator[OnProgress | None]:
    """A callback for the progress of a run, or None. On a terminal it shows a bar with rate and remaining time.
    Otherwise it writes log lines."""
    if terminal.log is not None:
        from tallybook.cli.log import logged_progress

        yield logged_progress(terminal)
        return
    if quiet or not terminal.stderr.isatty():
        yield None
        return
    bar = _Bar(terminal)
    try:
        yield bar.update
    finally:
        bar.close()


class _Bar:
    """click's progress bar on one line of stderr. The line is cleared at the end."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.bar: Any = None
        self.began = time.monotonic()

    def update(self, seen: RunProgress) -> None:
        import click

        if self.bar is None or self.bar.length != seen.of:
            self.close()
            self.bar = click.progressbar(
                length=seen.of,
                label="reading the sources",
                file=self.terminal.stderr,
                item_show_func=lambda what: what or "",
                update_min_steps=1,
                width=30,
            )
            self.bar.render_progress()
        seconds = time.monotonic() - self.began
        rate = f", {seen.done / seconds:,.0f} days/s" if seen.done and seconds > 1 else ""
        self.bar.label = seen.what if seen.done < seen.of else "writing the book"
        self.bar.update(seen.done - self.bar.pos, f"{seen.points:,} points{rate}")

    def close(self) -> None:
        """Clear the line of the bar."""
        if self.bar is not None:
            self.bar.render_finish()
            self.terminal.stderr.write("\x1b[1A\x1b[2K")
            self.bar = None
