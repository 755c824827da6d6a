"""systemd: a service and the timer that starts it."""

from __future__ import annotations

from tallybook.core import SchedulerKind
from tallybook.monitor.schedule.job import Job, ScheduleFile, comment, secrets_in_dotenv

PLACE = "/etc/systemd/system"


class Systemd:
    kind = SchedulerKind(name="systemd", title="systemd")

    def files(self, job: Job) -> tuple[ScheduleFile, ...]:
        """`NAME.service` and `NAME.timer`."""
        service, timer = f"{job.slug}.service", f"{job.slug}.timer"
        install = (
            f"  sudo cp {service} {timer} {PLACE}/",
            f"  sudo systemctl daemon-reload && sudo systemctl enable --now {timer}",
        )
        head = comment(
            job.summary,
            "",
            f"Install {service} and {timer} in {PLACE}:",
            *install,
            f"Its log: journalctl -u {service}. Its next run: systemctl list-timers {timer}. Without root "
            "install both in ~/.config/systemd/user, without the line User=, with `systemctl --user`, and run "
            "`loginctl enable-linger` once.",
            "",
            *secrets_in_dotenv(job, "systemd"),
        )
        return (
            ScheduleFile(service, head + "\n" + _service(job)),
            ScheduleFile(timer, comment(job.summary) + "\n" + _timer(job)),
        )


def _service(job: Job) -> str:
    program, *arguments = job.run_command
    command = " ".join((_quoted(program, dollar="$"), *map(_quoted, arguments)))
    return "\n".join(
        [
            "[Unit]",
            f"Description=Metrics of {_specifiers(' '.join(job.book.split()))}, collected by Tallybook",
            "Wants=network-online.target",
            "After=network-online.target",
            "",
            "[Service]",
            "Type=oneshot",
            *([f"User={job.user}"] if job.user else []),
            f"ExecStart={command}",
            "# Another run is in progress: not an error.",
            "SuccessExitStatus=5",
            "# A run that is asked to stop needs a moment to store what it has read.",
            "TimeoutStopSec=2min",
            "Nice=10",
            "NoNewPrivileges=true",
            "",
        ]
    )


def _timer(job: Job) -> str:
    return "\n".join(
        [
            "[Unit]",
            f"Description=Every day at {job.clock} in {job.zone}",
            "",
            "[Timer]",
            f"OnCalendar=*-*-* {job.clock}:00 {job.zone}",
            "# Start a missed run at boot.",
            "Persistent=true",
            "RandomizedDelaySec=5min",
            "",
            "[Install]",
            "WantedBy=timers.target",
            "",
        ]
    )


def _quoted(argument: str, dollar: str = "$$") -> str:
    """One word of ExecStart. Only in the first word, the program, systemd leaves a dollar sign as it is."""
    escaped = argument.replace("\\", "\\\\").replace('"', '\\"').replace("$", dollar)
    return f'"{_specifiers(escaped)}"'


def _specifiers(text: str) -> str:
    return text.replace("%", "%%")
