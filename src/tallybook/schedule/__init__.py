"""What starts a run every day: the files of each scheduler, one module here and one line of `SCHEDULERS` for each,
and a daemon for those who have none.

A run collects whatever is missing, so no scheduler has to be exact: one that is late, or starts twice, or skips
a week ends in the same book.
"""

from __future__ import annotations

import importlib

from tallybook.schedule.job import File, Job, job_of

SCHEDULERS = {
    "cron": "tallybook.schedule.cron:files",
    "systemd": "tallybook.schedule.systemd:files",
    "heroku": "tallybook.schedule.heroku:files",
    "github": "tallybook.schedule.github:files",
    "gitlab": "tallybook.schedule.gitlab:files",
    "kubernetes": "tallybook.schedule.kubernetes:files",
    "windows": "tallybook.schedule.windows:files",
}


def files_for(scheduler: str, job: Job) -> tuple[File, ...]:
    """What to put where, so that `scheduler` (a key of SCHEDULERS) starts the job every day."""
    module, _, name = SCHEDULERS[scheduler].partition(":")
    made: tuple[File, ...] = getattr(importlib.import_module(module), name)(job)
    return made


__all__ = ["SCHEDULERS", "File", "Job", "files_for", "job_of"]
