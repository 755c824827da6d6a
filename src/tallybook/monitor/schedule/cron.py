"""cron: lines for a crontab."""

from __future__ import annotations

import shlex

from tallybook.core import SchedulerKind, cron_of
from tallybook.monitor.schedule.job import Job, ScheduleFile, comment, safe_time, secrets_in_dotenv, shell


class Cron:
    kind = SchedulerKind(name="cron", title="cron", takes_utc=True)

    def files(self, job: Job) -> tuple[ScheduleFile, ...]:
        """One file, to be added to the crontab of the user who runs it."""
        name = f"{job.slug}.crontab"
        command = _escaped(shell(job.run_command))
        head = comment(
            job.summary,
            "",
            "Add it to the end of your crontab (CRON_TZ applies to all lines below it):",
            f"  (crontab -l; cat {name}) | crontab -",
            "",
            *secrets_in_dotenv(job, "cron"),
            "",
            *_zone(job),
            "",
            "A run prints errors only, and cron mails them to you. cron skips runs while the machine is off; "
            "the line with "
            "@reboot makes up for them.",
        )
        zone, at = ("UTC", job.utc_time.utc) if job.utc else (job.zone, job.at)
        lines = [f"CRON_TZ={zone}", f"{cron_of(at)} {command}", f"@reboot {command}"]
        if job.alerts_at is not None:
            send_at = safe_time(job.alerts_at, job.zone, job.today).utc if job.utc else job.alerts_at
            lines.append(f"{cron_of(send_at)} {_escaped(shell(job.alerts_command))}")
        return (ScheduleFile(name, head + "\n".join(lines) + "\n"),)


def _escaped(command: str) -> str:
    """A command for cron. Percent signs are escaped, because a bare one would end the command."""
    return command.replace("%", r"\%")


def _zone(job: Job) -> tuple[str, ...]:
    if job.utc:
        return (f"For a machine whose clock shows UTC (`date` says so). {job.utc_time.in_words(job.zone)}",)
    again = shlex.join(("tallybook", "schedule", "cron", "--utc", "--at", job.clock))
    known = (
        "cronie (Fedora, RHEL, SUSE, Arch) supports CRON_TZ. The crons of Debian, Ubuntu, Alpine and macOS "
        "ignore it and "
        f"use the clock of the machine. That is right if `date` shows {job.zone}; if it shows UTC, use the lines of"
    )
    return (known, f"  {again}")
