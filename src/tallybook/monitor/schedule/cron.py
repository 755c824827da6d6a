"""cron: lines for a crontab."""

from __future__ import annotations

import shlex

from tallybook.core import SchedulerKind, cron_of
from tallybook.monitor.schedule.job import Job, ScheduleFile, comment, safe_time, secrets_in_dotenv, shell


class Cron:
    kind = SchedulerKind(name="cron", title="cron", takes_utc=True)

    def files(self, job: Job) -> tuple[ScheduleFile, ...]:
        """One file, to be added to the crontab of the user who shall run it."""
        name = f"{job.slug}.crontab"
        command = _escaped(shell(job.here))
        head = comment(
            job.says,
            "",
            "Add it at the end of your crontab (CRON_TZ holds for all lines below it):",
            f"  (crontab -l; cat {name}) | crontab -",
            "",
            *secrets_in_dotenv(job, "cron"),
            "",
            *_zone(job),
            "",
            "What a run has to complain about is printed, and cron mails that to you. cron forgets what was due while the machine was off: the line with @reboot makes up for it.",
        )
        zone, at = ("UTC", job.safe.utc) if job.utc else (job.zone, job.at)
        lines = [f"CRON_TZ={zone}", f"{cron_of(at)} {command}", f"@reboot {command}"]
        if job.tells is not None:
            tells = safe_time(job.tells, job.zone, job.today).utc if job.utc else job.tells
            lines.append(f"{cron_of(tells)} {_escaped(shell(job.telling))}")
        return (ScheduleFile(name, head + "\n".join(lines) + "\n"),)


def _escaped(command: str) -> str:
    """A percent sign is the end of the command to cron."""
    return command.replace("%", r"\%")


def _zone(job: Job) -> tuple[str, ...]:
    if job.utc:
        return (f"For a machine whose clock shows UTC (`date` says so). {job.safe.says(job.zone)}",)
    again = shlex.join(("tallybook", "schedule", "cron", "--utc", "--at", job.clock))
    known = (
        "CRON_TZ is understood by cronie (Fedora, RHEL, SUSE, Arch). The crons of Debian, Ubuntu, Alpine and macOS "
        f"pass over it and go by the clock of the machine. That is right where `date` shows {job.zone}; where it shows "
        "UTC, take the lines of"
    )
    return (known, f"  {again}")
