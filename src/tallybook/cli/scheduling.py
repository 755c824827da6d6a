"""The verbs for daily operation: `schedule` and `serve`."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tallybook.cli.adapter_names import AdapterName
from tallybook.cli.options import LOG, verb
from tallybook.cli.terminal import Terminal
from tallybook.core import DONE, SCHEDULERS, DestinationError, QueryError
from tallybook.monitor import files_for, job_of

if TYPE_CHECKING:
    from tallybook.monitor import ScheduleFile

# --- schedule


def _clock(_: click.Context, __: click.Parameter, value: str | None) -> time | None:
    if value is None:
        return None
    try:
        return datetime.strptime(value, "%H:%M").replace(tzinfo=UTC).time()
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a time of day; expected a form like 03:30") from None


@verb(
    click.argument("scheduler", type=AdapterName(SCHEDULERS.__contains__, SCHEDULERS.names)),
    click.option(
        "--at",
        metavar="HH:MM",
        callback=_clock,
        help="The time, in the book's zone. Default: `at` of [schedule], or 03:30.",
    ),
    click.option("--out", metavar="DIR", type=click.Path(path_type=Path), help="Write the files to this folder."),
    click.option("--utc", is_flag=True, help="For a cron without time zones, on a machine whose clock shows UTC."),
)
def schedule(terminal: Terminal, scheduler: str, at: time | None, out: Path | None, utc: bool) -> int:
    """Print the configuration with which a scheduler starts `tallybook run` every day, and how to install it.

    \b
      tallybook schedule cron
      tallybook schedule systemd --at 04:15 --out units
      tallybook schedule github --out .github/workflows

    Times are in the book's zone. For a scheduler without time zones they are in UTC, and never too early. Variables of
    tallybook.toml appear by name only, never with their values."""
    if utc and not SCHEDULERS.kind(scheduler).takes_utc:
        raise _utc_refused(scheduler)
    project = terminal.book().project
    job = job_of(
        project,
        at=at,
        today=terminal.book().today,
        user=_user(),
        wsl=terminal.env.get("WSL_DISTRO_NAME"),
        utc=utc,
    )
    files = files_for(scheduler, job)
    if out is None:
        terminal.data("\n".join(_shown(file, single=len(files) == 1) for file in files))
        return DONE
    for file in files:
        _write(out / file.name, file.text)
        terminal.out(f"wrote {out / file.name}; its first lines say how to install it")
    return DONE


def _utc_refused(scheduler: str) -> QueryError:
    """The error for `--utc` with a scheduler that does not support it."""
    able = " and ".join(kind.name for kind in SCHEDULERS.kinds() if kind.takes_utc)
    package = SCHEDULERS.distribution(scheduler)
    without = (
        f"the scheduler {scheduler} of {package} does not support it"
        if package
        else f"the time of {scheduler} is correct without it"
    )
    return QueryError(f"--utc applies to {able} only; {without}", hint="remove --utc")


def _user() -> str:
    """The name of the current user; empty if the system has none, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def _shown(file: ScheduleFile, *, single: bool) -> str:
    """The text of a file, under its name unless it is the only one."""
    return file.text if single else f"# ------ {file.name}\n{file.text}"


def _write(path: Path, text: str) -> None:
    from tallybook.deliver import replacing

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DestinationError(f"cannot create the folder {path.parent}: {error.strerror}", hint="--out DIR") from None
    with replacing(path) as file:
        file.write(text.encode())


# --- serve


@verb(
    click.option(
        "--schedule",
        "cron",
        metavar="CRON",
        help=(
            'The cron expression, in the book\'s zone, for example "30 3 * * *". Default: [schedule] of tallybook.toml.'
        ),
    ),
    click.option(
        "--listen",
        metavar="ADDRESS",
        help="Answer queries and take usage events over HTTP at this address. Default: `listen` of [serve]; without a "
        "schedule 127.0.0.1:8321.",
    ),
    click.option(
        "--only",
        metavar="ROLES",
        help="Some of ingest, web, compact, schedule, separated by commas. Default: all of them.",
    ),
    click.option(
        "--workers",
        type=click.IntRange(1, 64),
        metavar="N",
        help="How many processes take requests. Default: `workers` of [serve], or 1.",
    ),
    click.option("--listener", "handed", type=int, hidden=True),
    click.option("--number", type=int, default=0, hidden=True),
    click.option("--shared", type=click.Path(path_type=Path), hidden=True),
    click.option("--parent-pipe", "pipe", type=int, hidden=True),
    LOG,
)
def serve(
    terminal: Terminal,
    cron: str | None,
    listen: str | None,
    only: str | None,
    workers: int | None,
    handed: int | None,
    number: int,
    shared: Path | None,
    pipe: int | None,
) -> int:
    """Keep running: collect whenever a run is due, answer questions over HTTP, and take usage events.

    \b
      tallybook serve                                answers at http://127.0.0.1:8321
      tallybook serve --schedule "30 3 * * *"
      tallybook serve --log json                     with the time of [schedule]
      tallybook serve --listen 127.0.0.1:8321        and answers and takes events over HTTP
      tallybook serve --only ingest --workers 4      only takes events; another host compacts

    Runs at once if a run was missed, retries a failed run at the next time, and logs to stderr. Reads tallybook.toml
    again before each run. SIGTERM ends it after the current statement is stored, and after the requests in flight are
    answered. SIGHUP reads [serve], [events] and the certificate again."""
    terminal.log = terminal.log or "text"
    catalog = terminal.book().project.catalog
    is_scheduled = bool(cron or catalog.schedule.cron)
    if only != "schedule" and (listen or only or catalog.serve.listen or not is_scheduled):
        from tallybook.cli.event_serving import ChildArguments, EventServing, chosen_roles, watch_parent

        watch_parent(pipe)
        child = ChildArguments(listener=handed, number=number, shared=shared)
        EventServing(terminal, listen, child, workers).serve(chosen_roles(only, scheduled=is_scheduled), cron)
        return DONE
    return _serve_schedule(terminal, cron, pipe)


def _serve_schedule(terminal: Terminal, cron: str | None, pipe: int | None) -> int:
    from tallybook.cli.serving import Serving
    from tallybook.cli.signals import Stop

    if pipe is not None:
        from tallybook.cli.event_serving import watch_parent

        watch_parent(pipe)
    with Stop() as stop:
        Serving(terminal, cron, stop).serve()
    return DONE
