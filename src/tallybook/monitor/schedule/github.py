"""GitHub Actions: a workflow."""

from __future__ import annotations

import json

from tallybook.core import SchedulerKind, cron_of
from tallybook.monitor.schedule.job import Job, ScheduleFile, comment


class Github:
    kind = SchedulerKind(name="github", title="GitHub Actions")

    def files(self, job: Job) -> tuple[ScheduleFile, ...]:
        """One workflow, for the default branch of the repository."""
        head = comment(
            job.summary,
            "",
            "Put it into .github/workflows/ of the repository with tallybook.toml, on the default branch; try it with",
            f"  gh workflow run {job.slug}.yml",
            *_secrets(job),
            "",
            "GitHub starts workflows late when it is busy, and sometimes skips one; the next run collects both "
            "days. In a "
            "public repository without commits for 60 days GitHub switches schedules off.",
            *_disk(job),
        )
        return (ScheduleFile(f"{job.slug}.yml", f"{head}\n{_workflow(job)}"),)


def _secrets(job: Job) -> tuple[str, ...]:
    if not job.host_variables:
        return ()
    names = (
        f"  gh secret set {name}" + (" (if you have it)" if optional else "") for name, optional in job.host_variables
    )
    return ("", "The variables are secrets of the repository with the same names; each line asks for a value:", *names)


def _disk(job: Job) -> tuple[str, ...]:
    if job.book_is_in_ledger:
        return ()
    kept = (
        "The machine is deleted after each run, so the book is stored in the cache of the repository. GitHub "
        "deletes caches "
        "that are unused for a week: then everything is collected again from `start`, but snapshots (levels of "
        "which only "
        "the present is visible) lose their past."
    )
    better = (
        "A book that must not be lost belongs in PostgreSQL. In [book] of tallybook.toml write "
        '`ledger = "${LEDGER_URL}"` and `store = "ledger"`, then create this file again: it needs no cache.'
    )
    return ("", better, "", kept)


def _workflow(job: Job) -> str:
    q = json.dumps
    lines = [
        f"name: {q(f'Metrics of {job.book}', ensure_ascii=False)}",
        "on:",
        "  schedule:",
        f"    - cron: {q(cron_of(job.at))}",
        f"      timezone: {q(job.zone)}",
        "  workflow_dispatch:",
        "permissions:",
        "  contents: read",
        "# One run at a time: two would have two different books.",
        "concurrency:",
        f"  group: {job.slug}",
        "  cancel-in-progress: false",
        "jobs:",
        "  run:",
        "    runs-on: ubuntu-latest",
        "    timeout-minutes: 180",
        "    steps:",
        "      - uses: actions/checkout@v6",
        "      - uses: actions/setup-python@v6",
        "        with:",
        '          python-version: "3.13"',
        f"      - run: {q(f'pip install {job.requirements}')}",
        *([] if job.book_is_in_ledger else _cache(job, "restore")),
        f"      - run: {q(job.checkout_command, ensure_ascii=False)}",
        *_env(job),
        *([] if job.book_is_in_ledger else _cache(job, "save")),
    ]
    return "\n".join(lines) + "\n"


def _cache(job: Job, what: str) -> list[str]:
    key = f"{job.slug}-book"
    return [
        *(["      # Also of a run in which some metrics failed."] if what == "save" else []),
        f"      - uses: actions/cache/{what}@v5",
        *(["        if: always()"] if what == "save" else []),
        "        with:",
        f"          path: {json.dumps(job.checkout_store, ensure_ascii=False)}",
        f"          key: {key}-${{{{ github.run_id }}}}-${{{{ github.run_attempt }}}}",
        *([f"          restore-keys: {key}-"] if what == "restore" else []),
    ]


def _env(job: Job) -> list[str]:
    found = [f"          {name}: ${{{{ secrets.{name} }}}}" for name, _ in job.host_variables]
    return ["        env:", *found] if found else []
