"""Heroku Scheduler: what to enter on the add-on's page."""

from __future__ import annotations

from tallybook.core import SchedulerKind
from tallybook.monitor.schedule.job import DISK_IS_LOST, Job, ScheduleFile, comment, names, safe_time

STEP = 30
"""Minutes between the times that the page offers: full and half hours."""


class Heroku:
    kind = SchedulerKind(name="heroku", title="Heroku Scheduler")

    def files(self, job: Job) -> tuple[ScheduleFile, ...]:
        """A script that opens the page. Its comments say what to enter there."""
        safe = safe_time(job.at, job.zone, job.today, step=STEP)
        variables = (
            f"The variables ({names(job.host_variables)}) are config vars of the app; set those that `heroku "
            "config` does not list "
            "with `heroku config:set NAME=…`."
        )
        head = comment(
            job.summary,
            "",
            (
                "The two commands below, typed in the folder of the app, open the page of Heroku Scheduler. Create "
                "a job there:"
            ),
            f"  Schedule:     Every day at… {safe.utc:%I:%M %p} UTC",
            f"  Run Command:  {job.checkout_command}",
            f"It has no time zones: {safe.in_words(job.zone)} It sometimes skips a day; the next run collects both.",
            "",
            f"Add to requirements.txt of the app: {' and '.join(job.required)}.",
            *([variables] if job.host_variables else []),
            *([] if job.book_is_in_ledger else ["", DISK_IS_LOST]),
        )
        commands = "heroku addons:create scheduler:standard\nheroku addons:open scheduler\n"
        return (ScheduleFile(f"{job.slug}.heroku.sh", head + commands),)
