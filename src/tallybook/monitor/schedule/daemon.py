"""Runs whenever a timetable says so, for those who have no scheduler. Has no clock: it is handed one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from tallybook.core import Timetable

NAP = 60.0
"""The clock is looked at this often, because it may be set, and a machine may sleep while we wait."""


@dataclass(kw_only=True)
class DaemonContext:
    """What a daemon works with."""

    timetable: Callable[[], Timetable]
    """Asked before each wait: the declaration may have changed."""
    clock: Callable[[], datetime]
    wait: Callable[[float], bool]
    """Waits so many seconds, less if it is asked to stop; says whether it is."""
    run: Callable[[], None]
    """One run. What goes wrong in it is told there and not raised: the next due time tries again."""
    last: datetime | None
    """When the last run began that came to an end; None when there was none."""
    jitter: Callable[[], float]
    """Seconds by which the next run is late on purpose."""
    waiting: Callable[[datetime, bool], None]
    """Told until when it waits, or that what is due then was missed."""
    meanwhile: Callable[[], None] = lambda: None
    """Done every now and then while it waits; what goes wrong there is told there."""
    nap: float = NAP


def serve_daily(means: DaemonContext) -> None:
    """Run once for every due time until asked to stop; at once for what was missed, however much that is."""
    last = means.last
    while not means.wait(0):
        now = means.clock()
        due = now if last is None else means.timetable().after(min(last, now))
        missed = due <= now
        start = now if missed else due + timedelta(seconds=means.jitter())
        means.waiting(due if missed else start, missed)
        if not _reached(start, means):
            return
        last = means.clock()
        means.run()


def _reached(start: datetime, means: DaemonContext) -> bool:
    """Waits until then; False when it was asked to stop."""
    while (left := (start - means.clock()).total_seconds()) > 0:
        means.meanwhile()
        if means.wait(min(left, means.nap)):
            return False
    return True
