"""What starts a run every day: the files of each scheduler, one module here and one line of
`tallybook.scheduler_kinds.SCHEDULERS` for each, and a daemon for those who have none.

A run collects whatever is missing, so no scheduler has to be exact: one that is late, or starts twice, or skips
a week ends in the same book.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

from tallybook.schedule.job import File, Job, job_of
from tallybook.scheduler_kinds import SCHEDULERS, SchedulerKind


class Scheduler(Protocol):
    """Makes the files of a scheduler. Made by calling its class without arguments."""

    kind: ClassVar[SchedulerKind]

    def files(self, job: Job) -> tuple[File, ...]:
        """The files to put where their first lines say, so that the job is started every day."""
        ...


def files_for(scheduler: str, job: Job) -> tuple[File, ...]:
    """The files with which `scheduler` (a name in SCHEDULERS) starts the job every day."""
    made: Scheduler = SCHEDULERS.adapter(scheduler)()
    return made.files(job)


__all__ = ["File", "Job", "Scheduler", "files_for", "job_of"]
