"""Starts runs by a timetable, without a scheduler. The clock is passed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from tallybook.core import Timetable

NAP_SECONDS = 60.0
"""How often the clock is read while waiting, because it may be set and the machine may sleep."""


@dataclass(kw_only=True)
class DaemonContext:
    """The inputs of the daemon: the timetable, the clock, and what to run."""

    timetable: Callable[[], Timetable]
    """Called before each wait, because the declaration may have changed."""
    clock: Callable[[], datetime]
    wait: Callable[[float], bool]
    """Waits this many seconds, or until asked to stop. Returns whether it was asked."""
    run: Callable[[], None]
    """One run. It logs errors and does not raise them; the next due time retries."""
    last: datetime | None
    """The start of the last complete run, or None."""
    jitter: Callable[[], float]
    """A random delay of the next run, in seconds."""
    waiting: Callable[[datetime, bool], None]
    """Called with the instant until which the daemon waits, or with the due time that was missed."""
    meanwhile: Callable[[], None] = lambda: None
    """Called from time to time while waiting. It logs errors and does not raise them."""
    nap: float = NAP_SECONDS


def serve_daily(context: DaemonContext) -> None:
    """Run once for every due time until asked to stop. Missed due times are covered by one run, right away."""
    last = context.last
    while not context.wait(0):
        now = context.clock()
        due = now if last is None else context.timetable().after(min(last, now))
        missed = due <= now
        start = now if missed else due + timedelta(seconds=context.jitter())
        context.waiting(due if missed else start, missed)
        if not _reached(start, context):
            return
        last = context.clock()
        context.run()


def _reached(start: datetime, context: DaemonContext) -> bool:
    """Wait until `start`. Returns False if asked to stop."""
    while (left := (start - context.clock()).total_seconds()) > 0:
        context.meanwhile()
        if context.wait(min(left, context.nap)):
            return False
    return True
