"""The verbs for every day: `schedule` and `serve`."""

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
        raise click.BadParameter(f"{value!r} is not a time of day; write 03:30") from None


@verb(
    click.argument("scheduler", type=AdapterName(SCHEDULERS.__contains__, SCHEDULERS.names)),
    click.option(
        "--at",
        metavar="HH:MM",
        callback=_clock,
        help="When, in the book's zone; [schedule] at of tallybook.toml, or 03:30, unless given.",
    ),
    click.option("--out", metavar="DIR", type=click.Path(path_type=Path), help="Write the files there."),
    click.option(
        "--utc", is_flag=True, help="cron: for a machine whose clock shows UTC and whose cron knows no zones."
    ),
)
def schedule(terminal: Terminal, scheduler: str, at: time | None, out: Path | None, utc: bool) -> int:
    """Print what makes a scheduler start `tallybook run` every day: lines or files, with where they belong.

    \b
      tallybook schedule cron
      tallybook schedule systemd --at 04:15 --out units
      tallybook schedule github --out .github/workflows

    Times are those of the book's zone, or where a scheduler knows no zones a time in UTC that is never too early.
    Variables of tallybook.toml appear by name, their values never."""
    if utc and not SCHEDULERS.kind(scheduler).takes_utc:
        able = " and ".join(kind.name for kind in SCHEDULERS.kinds() if kind.takes_utc)
        raise QueryError(f"--utc is for {able}; {scheduler} is told the right time anyhow", hint="without --utc")
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
        terminal.data("\n".join(_shown(file, alone=len(files) == 1) for file in files))
        return DONE
    for file in files:
        _write(out / file.name, file.text)
        terminal.out(f"wrote {out / file.name}; its first lines say where it belongs")
    return DONE


def _user() -> str:
    """Who runs this; nobody where the system has no name for them, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def _shown(file: ScheduleFile, *, alone: bool) -> str:
    """A file as it is, under its name where there are several."""
    return file.text if alone else f"# ------ {file.name}\n{file.text}"


def _write(path: Path, text: str) -> None:
    from tallybook.deliver import replacing

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DestinationError(f"cannot make the folder {path.parent}: {error.strerror}", hint="--out DIR") from None
    with replacing(path) as file:
        file.write(text.encode())


# --- serve


@verb(
    click.option(
        "--schedule",
        "cron",
        metavar="CRON",
        help='When, as "30 3 * * *" in the book\'s zone; [schedule] of tallybook.toml unless given.',
    ),
    LOG,
)
def serve(terminal: Terminal, cron: str | None) -> int:
    """Stay and run whenever it is due: for containers and machines without a scheduler.

    \b
      tallybook serve --schedule "30 3 * * *"
      tallybook serve --log json                     when [schedule] says when

    Runs at once when a run was missed, tries again at the next time when one failed, and tells what it does on
    stderr. tallybook.toml is read anew before each run. SIGTERM ends it once what is being read is stored."""
    from tallybook.cli.serving import Serving
    from tallybook.cli.signals import Stop

    terminal.log = terminal.log or "text"
    with Stop() as stop:
        Serving(terminal, cron, stop).serve()
    return DONE
