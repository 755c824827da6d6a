"""The schedulers: each has one module here and one line of `tallybook.core.adapters.schedulers.SCHEDULERS`.

A run collects whatever is missing, so a scheduler does not have to be exact. It may be late, start twice, or skip a
week."""

from __future__ import annotations

from typing import ClassVar, Protocol

from tallybook.core import SCHEDULERS, AdapterError, SchedulerKind
from tallybook.monitor.schedule.job import Job, ScheduleFile


class Scheduler(Protocol):
    """The configuration files of a scheduler. Its class is called without arguments."""

    kind: ClassVar[SchedulerKind]

    def files(self, job: Job) -> tuple[ScheduleFile, ...]:
        """The files that make the scheduler start the job every day. Their first lines explain the installation."""
        ...


def files_for(scheduler: str, job: Job) -> tuple[ScheduleFile, ...]:
    """The files with which `scheduler` (a name in SCHEDULERS) starts the job every day."""
    made: Scheduler = SCHEDULERS.adapter(scheduler)()
    files: object = made.files(job) if hasattr(made, "files") else None
    if isinstance(files, tuple) and all(isinstance(file, ScheduleFile) for file in files):
        return files
    raise AdapterError(
        f"the adapter {scheduler!r} of {SCHEDULERS.group} makes {type(files).__name__} instead of files",
        hint="its method files(job) returns a tuple: (ScheduleFile(name, text),)",
    )
