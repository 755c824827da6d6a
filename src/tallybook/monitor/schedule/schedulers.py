"""What starts a run every day: the files of each scheduler, one module here and one line of
`tallybook.core.adapters.schedulers.SCHEDULERS` for each, and a daemon for those who have none.

A run collects whatever is missing, so no scheduler has to be exact: one that is late, or starts twice, or skips
a week ends in the same book.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

from tallybook.core import SCHEDULERS, SchedulerKind
from tallybook.monitor.schedule.job import Job, ScheduleFile


class Scheduler(Protocol):
    """Makes the files of a scheduler. Made by calling its class without arguments."""

    kind: ClassVar[SchedulerKind]

    def files(self, job: Job) -> tuple[ScheduleFile, ...]:
        """The files to put where their first lines say, so that the job is started every day."""
        ...


def files_for(scheduler: str, job: Job) -> tuple[ScheduleFile, ...]:
    """The files with which `scheduler` (a name in SCHEDULERS) starts the job every day."""
    made: Scheduler = SCHEDULERS.adapter(scheduler)()
    return made.files(job)
