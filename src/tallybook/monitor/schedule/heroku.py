"""Heroku Scheduler: what to type into the page of the add-on."""

from __future__ import annotations

from tallybook.core import SchedulerKind
from tallybook.monitor.schedule.job import DISK_IS_LOST, Job, ScheduleFile, comment, names, safe_time

STEP = 30
"""Minutes: the page offers full and half hours."""


class Heroku:
    kind = SchedulerKind(name="heroku", title="Heroku Scheduler")

    def files(self, job: Job) -> tuple[ScheduleFile, ...]:
        """A script that opens the page, with what to type there in its comments."""
        safe = safe_time(job.at, job.zone, job.today, step=STEP)
        variables = (
            f"The config vars of the app hold the variables ({names(job.away)}); those that `heroku config` does "
            "not list are set with `heroku config:set NAME=…`."
        )
        head = comment(
            job.says,
            "",
            "The two commands below, typed in the folder of the app, open the page of Heroku Scheduler. Create a job there:",
            f"  Schedule:     Every day at… {safe.utc:%I:%M %p} UTC",
            f"  Run Command:  {job.there}",
            f"It knows no zones: {safe.says(job.zone)} It sometimes leaves out a day; the next run collects both.",
            "",
            f"requirements.txt of the app names {' and '.join(job.required)}.",
            *([variables] if job.away else []),
            *([] if job.lasts else ["", DISK_IS_LOST]),
        )
        commands = "heroku addons:create scheduler:standard\nheroku addons:open scheduler\n"
        return (ScheduleFile(f"{job.slug}.heroku.sh", head + commands),)
