"""GitLab CI: a job for the pipeline that a schedule starts."""

from __future__ import annotations

import json
import shlex

from tallybook.core import SchedulerKind, cron_of
from tallybook.monitor.schedule.job import IMAGE, Job, ScheduleFile, comment, names


class Gitlab:
    kind = SchedulerKind(name="gitlab", title="GitLab CI")

    def files(self, job: Job) -> tuple[ScheduleFile, ...]:
        """One file for `.gitlab-ci.yml`; the schedule itself is made by a command."""
        schedule = ("--cron", cron_of(job.at), "--cronTimeZone", job.zone, "--ref", "main", "--description", job.slug)
        variables = (
            f"The variables ({names(job.away)}) are CI/CD variables of the project, masked: Settings, CI/CD, "
            "Variables. A job sees them under their names."
        )
        disk = (
            "The machine is thrown away after each run, so the book is kept in the cache of the project. Where that is "
            "cleared, everything is collected again from `start`, but numbers of what only its present shows (levels without "
            "time) have lost their past."
        )
        head = comment(
            job.says,
            "",
            "Add it to .gitlab-ci.yml, and make the schedule, in a checkout or under Build, Pipeline schedules:",
            f"  {shlex.join(('glab', 'schedule', 'create', *schedule))}",
            *([variables] if job.away else []),
            *([] if job.lasts else ["", disk]),
        )
        return (ScheduleFile(f"{job.slug}.gitlab-ci.yml", f"{head}\n{_job(job)}"),)


def _job(job: Job) -> str:
    q = json.dumps
    lines = [
        f"{job.slug}:",
        f"  image: {IMAGE}",
        "  rules:",
        "    - if: '$CI_PIPELINE_SOURCE == \"schedule\"'",
        "  # One after the other: two would each have a book of its own.",
        f"  resource_group: {job.slug}",
        "  timeout: 3 hours",
        *([] if job.lasts else _cache(job)),
        "  script:",
        f"    - {q(f'pip install --quiet {job.requirements}')}",
        f"    - {q(job.there, ensure_ascii=False)}",
        "  # Another run is at work: not an error.",
        "  allow_failure:",
        "    exit_codes: [5]",
    ]
    return "\n".join(lines) + "\n"


def _cache(job: Job) -> list[str]:
    return [
        "  cache:",
        f"    key: {job.slug}-book",
        f"    paths: [{json.dumps(f'{job.store_there}/', ensure_ascii=False)}]",
        "    # Also of a run in which some metrics failed.",
        "    when: always",
    ]
