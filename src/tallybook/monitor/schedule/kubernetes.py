"""Kubernetes: a CronJob with a disk for the book, and the Dockerfile for its image."""

from __future__ import annotations

import json
import shlex
from pathlib import PurePosixPath

from tallybook.core import SchedulerKind, cron_of
from tallybook.monitor.schedule.job import IMAGE, Job, ScheduleFile, comment, names

FOLDER = "/project"
LATE_SECONDS = 20 * 3600
"""A missed run is still started within this time."""


class Kubernetes:
    kind = SchedulerKind(name="kubernetes", title="Kubernetes")

    def files(self, job: Job) -> tuple[ScheduleFile, ...]:
        """`NAME.cronjob.yaml` and `NAME.Dockerfile`."""
        image = f"registry.example.com/{job.slug}:1"
        manifest, build = f"{job.slug}.cronjob.yaml", f"{job.slug}.Dockerfile"
        head = comment(
            job.summary,
            "",
            "Build the image and push it to a registry of your cluster (replace registry.example.com here):",
            f"  docker build --file {build} --tag {image} {shlex.quote(str(job.folder))} && docker push {image}",
            *_secret(job),
            "Then, and after each change:",
            f"  kubectl apply --filename {manifest}",
            "Try it at once:",
            f"  kubectl create job {job.slug}-now --from=cronjob/{job.slug}",
        )
        documents = ([] if job.book_is_in_ledger else [_claim(job)]) + [_cron_job(job, image)]
        return (ScheduleFile(manifest, f"{head}\n" + "---\n".join(documents)), ScheduleFile(build, _dockerfile(job)))


def _secret(job: Job) -> tuple[str, ...]:
    if not job.host_variables:
        return ()
    dotenv = shlex.quote(str(job.folder / ".env"))
    return (
        (
            f"The variables ({names(job.host_variables)}) come from a secret. Create it from NAME=value lines "
            "without quotes:"
        ),
        f"  kubectl create secret generic {job.slug} --from-env-file={dotenv}",
    )


def _claim(job: Job) -> str:
    return "\n".join(
        [
            "apiVersion: v1",
            "kind: PersistentVolumeClaim",
            "metadata:",
            f"  name: {job.slug}-book",
            "spec:",
            "  accessModes: [ReadWriteOnce]",
            "  resources:",
            "    requests:",
            "      storage: 10Gi",
            "",
        ]
    )


def _cron_job(job: Job, image: str) -> str:
    lines = [
        "apiVersion: batch/v1",
        "kind: CronJob",
        "metadata:",
        f"  name: {job.slug}",
        "spec:",
        f"  schedule: {json.dumps(cron_of(job.at))}",
        f"  timeZone: {json.dumps(job.zone)}",
        "  concurrencyPolicy: Forbid",
        f"  startingDeadlineSeconds: {LATE_SECONDS}",
        "  jobTemplate:",
        "    spec:",
        "      # Retries a source that was not reachable; stored days are not collected twice.",
        "      backoffLimit: 3",
        "      template:",
        "        spec:",
        "          restartPolicy: Never",
        "          terminationGracePeriodSeconds: 120",
        "          securityContext:",
        "            runAsNonRoot: true",
        "            runAsUser: 1000",
        "            fsGroup: 1000",
        "          containers:",
        "            - name: tallybook",
        f"              image: {image}",
        f"              command: {json.dumps(['tallybook', 'run', '--quiet', '--project', FOLDER])}",
        *_env(job),
        *([] if job.book_is_in_ledger else _mount(job)),
    ]
    return "\n".join(lines) + "\n"


def _mount(job: Job) -> list[str]:
    return [
        "              volumeMounts:",
        "                - name: book",
        f"                  mountPath: {json.dumps(str(PurePosixPath(FOLDER) / job.store), ensure_ascii=False)}",
        "          volumes:",
        "            - name: book",
        "              persistentVolumeClaim:",
        f"                claimName: {job.slug}-book",
    ]


def _env(job: Job) -> list[str]:
    lines = ["              env:"] if job.host_variables else []
    for name, optional in job.host_variables:
        lines += [
            f"                - name: {name}",
            "                  valueFrom:",
            "                    secretKeyRef:",
            f"                      name: {job.slug}",
            f"                      key: {name}",
            *(["                      optional: true"] if optional else []),
        ]
    return lines


def _dockerfile(job: Job) -> str:
    head = comment(
        "The image contains the declarations only: no .env, no book, no database file. Mount a SQLite or "
        "DuckDB file as a volume."
    )
    lines = [
        f"FROM {IMAGE}",
        f"RUN pip install --no-cache-dir {job.requirements}",
        f"WORKDIR {FOLDER}",
        "COPY tallybook.toml ./",
        *(["COPY metrics/ metrics/"] if job.metric_files else []),
    ]
    return head + "\n".join(lines) + "\n"
