"""GitLab CI: a job for a scheduled pipeline."""

from __future__ import annotations

import json
import shlex

from tallybook.core import SchedulerKind, cron_of
from tallybook.monitor.schedule.job import IMAGE, Job, ScheduleFile, comment, names


class Gitlab:
    kind = SchedulerKind(name="gitlab", title="GitLab CI")

    def files(self, job: Job) -> tuple[ScheduleFile, ...]:
        """One file for `.gitlab-ci.yml`. A command in it creates the schedule."""
        schedule = ("--cron", cron_of(job.at), "--cronTimeZone", job.zone, "--ref", "main", "--description", job.slug)
        variables = (
            f"The variables ({names(job.host_variables)}) are CI/CD variables of the project, masked: Settings, CI/CD, "
            "Variables. "
        )
        disk = (
            "The machine is deleted after each run, so the book is stored in the cache of the project. If the "
            "cache is cleared, "
            "everything is collected again from `start`, but snapshots (levels of which only the present is "
            "visible) lose "
            "their past."
        )
        head = comment(
            job.summary,
            "",
            "Add it to .gitlab-ci.yml, and create the schedule, in a checkout or under Build, Pipeline schedules:",
            f"  {shlex.join(('glab', 'schedule', 'create', *schedule))}",
            *([variables] if job.host_variables else []),
            *([] if job.book_is_in_ledger else ["", disk]),
        )
        return (ScheduleFile(f"{job.slug}.gitlab-ci.yml", f"{head}\n{_job(job)}"),)


def _job(job: Job) -> str:
    q = json.dumps
    lines = [
        f"{job.slug}:",
        f"  image: {IMAGE}",
        "  rules:",
        "    - if: '$CI_PIPELINE_SOURCE == \"schedule\"'",
        "  # One run at a time: two would have two different books.",
        f"  resource_group: {job.slug}",
        "  timeout: 3 hours",
        *([] if job.book_is_in_ledger else _cache(job)),
        "  script:",
        f"    - {q(f'pip install --quiet {job.requirements}')}",
        f"    - {q(job.checkout_command, ensure_ascii=False)}",
        "  # Another run is in progress: not an error.",
        "  allow_failure:",
        "    exit_codes: [5]",
    ]
    return "\n".join(lines) + "\n"


def _cache(job: Job) -> list[str]:
    return [
        "  cache:",
        f"    key: {job.slug}-book",
        f"    paths: [{json.dumps(f'{job.checkout_store}/', ensure_ascii=False)}]",
        "    # Also after a run with failed metrics.",
        "    when: always",
    ]
