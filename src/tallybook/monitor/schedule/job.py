"""The facts that a scheduler needs: the command, the time, and the names of variables. Never their values."""

from __future__ import annotations

import re
import shlex
import sys
import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from tallybook.config import WEBHOOKS, Project, variables_of
from tallybook.core import (
    DESTINATIONS,
    Catalog,
    DestinationKind,
    QueryError,
    QuietHours,
    Timetable,
    calendar,
    kind_of,
    known_destination,
    scheme_of,
)
from tallybook.storage import IN_LEDGER

DEFAULT = time(3, 30)
IMAGE = "python:3.13-slim"


class ScheduleFile(NamedTuple):
    """The name and text of a file. Its first lines explain how to install it."""

    name: str
    text: str


class Variable(NamedTuple):
    """A variable that the project uses."""

    name: str
    optional: bool
    """Whether the project has a default for it."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """The daily run of a book, described for a scheduler."""

    book: str
    folder: Path
    store: str
    """The book's folder, as declared."""
    command: tuple[str, ...]
    """The command that starts Tallybook on this machine, from any folder."""
    at: time
    zone: str
    today: date
    variables: tuple[Variable, ...] = ()
    """Variables of tallybook.toml and metrics/."""
    keys: tuple[Variable, ...] = ()
    """Variables with credentials of destinations, for hosts without stored keys."""
    extras: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    """Packages of adapters that are not part of Tallybook."""
    metric_files: bool = False
    inside: PurePosixPath
    """The project's folder within its repository."""
    user: str = ""
    wsl: str | None = None
    """The distribution, if this is Linux on Windows."""
    utc: bool = False
    """Whether the machine's clock shows UTC and its scheduler has no time zones."""
    alerts_at: time | None = None
    """The end of the quiet hours if the run is within them. Its alerts are sent at that time."""

    @property
    def slug(self) -> str:
        """The name for files and services: `tallybook-acme`."""
        letters = unicodedata.normalize("NFKD", self.book.casefold()).encode("ascii", "ignore").decode()
        name = re.sub(r"[^a-z0-9]+", "-", letters).strip("-")[:30].strip("-")
        return f"tallybook-{name or 'book'}"

    @property
    def run_command(self) -> tuple[str, ...]:
        """The command line on this machine."""
        return (*self.command, "run", "--quiet", "--project", str(self.folder))

    @property
    def alerts_command(self) -> tuple[str, ...]:
        """The command line on this machine that sends alerts."""
        return (*self.command, "alerts", "--send", "--project", str(self.folder))

    @property
    def checkout_command(self) -> str:
        """The shell command line for a checkout of the repository."""
        where = () if self.inside == PurePosixPath() else ("--project", str(self.inside))
        return shlex.join(("tallybook", "run", "--quiet", *where))

    @property
    def required(self) -> tuple[str, ...]:
        """The packages for pip to install."""
        return (f"tallybook[{','.join(self.extras)}]" if self.extras else "tallybook", *self.packages)

    @property
    def requirements(self) -> str:
        """The packages for pip, quoted for a shell."""
        return shlex.join(self.required)

    @property
    def book_is_in_ledger(self) -> bool:
        """Whether the whole book is in its PostgreSQL ledger, so that the host needs no disk."""
        return self.store == IN_LEDGER

    @property
    def checkout_store(self) -> str:
        """The book's folder in a checkout of the repository."""
        return str(self.inside / self.store)

    @property
    def host_variables(self) -> tuple[Variable, ...]:
        """The variables that a host without .env and stored keys needs."""
        return (*self.variables, *self.keys)

    @property
    def clock(self) -> str:
        """The time as HH:MM."""
        return f"{self.at:%H:%M}"

    @property
    def utc_time(self) -> SafeTime:
        """The time for schedulers without time zones."""
        return safe_time(self.at, self.zone, self.today)

    @property
    def summary(self) -> str:
        """The first sentences of every file."""
        book = re.sub(r"\s+", " ", self.book)
        return (
            f"Tallybook collects the metrics of {book} every day at {self.clock} in {self.zone}. A late or "
            "repeated run "
            f"does no harm: each run collects whatever is missing.{self._waits}"
        )

    @property
    def _waits(self) -> str:
        if self.alerts_at is None:
            return ""
        return (
            " This is within the quiet hours of [alerts]: also start `tallybook alerts --send` at "
            f"{self.alerts_at:%H:%M} to send "
            "its alerts."
        )


class SafeTime(NamedTuple):
    """A UTC time that is never before the wanted local time, and the zone's local times at that moment."""

    utc: time
    local: tuple[time, ...]

    def in_words(self, zone: str) -> str:
        """One sentence on the local times."""
        first, *later = (f"{one:%H:%M}" for one in self.local)
        later_text = f" or, while the clock is ahead there, {' or '.join(later)}" if later else " all year"
        return f"{self.utc:%H:%M} UTC is {first} in {zone}{later_text}."


def safe_time(at: time, zone: str, today: date, *, step: int = 1) -> SafeTime:
    """The UTC time for schedulers without time zones. In the next two years, it is never before `at` in the zone.

    It is rounded up to a multiple of `step` minutes, the precision of the scheduler."""
    tz = calendar.zone(zone)
    noons = (datetime(day.year, day.month, day.day, 12, tzinfo=tz) for day in calendar.days(today, today + _TWO_YEARS))
    offsets = sorted({offset for noon in noons if (offset := noon.utcoffset()) is not None})
    wanted = datetime.combine(today, at) - offsets[0]
    late = timedelta(minutes=-(wanted.hour * 60 + wanted.minute) % step)
    found = wanted + late
    return SafeTime(found.time(), tuple((found + offset).time() for offset in offsets))


_TWO_YEARS = timedelta(days=730)


def job_of(project: Project, *, at: time | None, today: date, user: str, wsl: str | None, utc: bool = False) -> Job:
    """The job of a project on this machine. If `at` is not given, it is the declared time, or 03:30.

    Raises QueryError for a schedule that scheduler files cannot express."""
    catalog = project.catalog
    _refuse_control_characters(project.folder)
    repository = next((p for p in (project.folder, *project.folder.parents) if (p / ".git").exists()), project.folder)
    kinds = [kind for source in catalog.sources.values() if (kind := kind_of(source.url))]
    names = sorted({delivery.to for delivery in catalog.deliveries.values()})
    used = [known for name in names if (known := known_destination(name))]
    extras = {extra for extra in (*(kind.extra for kind in kinds), *(kind.extra for kind in used)) if extra}
    extras |= {"postgresql"} if catalog.book.ledger else set()
    extras |= set() if all(scheme_of(to) in WEBHOOKS for to in catalog.alerts.to) else {"alerts"}
    at = at or _declared(catalog.schedule.cron, catalog.book.timezone)
    return Job(
        book=catalog.book.name,
        folder=project.folder,
        store=catalog.book.store,
        command=this_command(),
        at=at,
        alerts_at=_alerts_at(catalog, at),
        zone=catalog.book.timezone,
        today=today,
        variables=tuple(Variable(*found) for found in variables_of(project.folder).items()),
        keys=_keys(used),
        extras=tuple(sorted(extras)),
        packages=tuple(sorted({*_packages(used), *(kind.package for kind in kinds if kind.package)})),
        metric_files=(project.folder / "metrics").is_dir(),
        inside=PurePosixPath(project.folder.relative_to(repository).as_posix()),
        user=user,
        wsl=wsl,
        utc=utc,
    )


def _alerts_at(catalog: Catalog, at: time) -> time | None:
    if catalog.alerts.quiet is None or not catalog.alerts.to:
        return None
    quiet = QuietHours(*catalog.alerts.quiet, catalog.book.timezone)
    return quiet.end if quiet.covers(at) else None


def this_command() -> tuple[str, ...]:
    """The command that starts this installation of Tallybook from any folder, independent of PATH."""
    script = Path(sys.executable).with_name("tallybook")
    return (str(script),) if script.is_file() else (sys.executable, "-m", "tallybook")


def _declared(cron: str | None, zone: str) -> time:
    if cron is None:
        return DEFAULT
    if (at := Timetable(cron=cron, zone=zone).daily_at) is None:
        raise QueryError(
            f'[schedule] cron = "{cron}" is not one time of every day, and these files start a daily run',
            hint="give a time: --at 03:30; `tallybook serve` supports the expression",
        )
    return at


def _keys(kinds: Iterable[DestinationKind]) -> tuple[Variable, ...]:
    names = dict.fromkeys(name for kind in kinds for name in kind.variables)
    return tuple(Variable(name, optional=True) for name in names)


def _packages(kinds: Iterable[DestinationKind]) -> tuple[str, ...]:
    """The distributions of destinations that are not built in."""
    found = {DESTINATIONS.distribution(kind.name) for kind in kinds}
    return tuple(sorted(name for name in found if name))


def _refuse_control_characters(folder: Path) -> None:
    if re.search(r"[\x00-\x1f\x7f]", str(folder)):
        raise QueryError(
            f"the folder {str(folder)!r} has a control character in its name, which scheduler files cannot contain",
            hint="rename the folder, or give another --project",
        )


# --- text for the files


def comment(*paragraphs: str, sign: str = "#") -> str:
    """Paragraphs as comment lines. A line that begins with a blank is a command to paste, and is not wrapped."""
    lines: list[str] = []
    for paragraph in paragraphs:
        if not paragraph and lines and not lines[-1]:
            continue
        whole = paragraph.startswith(" ") or not paragraph
        lines += [paragraph] if whole else textwrap.wrap(paragraph, 100, break_long_words=False, break_on_hyphens=False)
    return "".join(f"{sign} {line}".rstrip() + "\n" for line in lines)


def shell(arguments: Sequence[str]) -> str:
    """A command line for /bin/sh."""
    return shlex.join(arguments)


def names(variables: Sequence[Variable]) -> str:
    """The names of variables. Optional variables are marked."""
    return ", ".join(variable.name + (" if you have it" if variable.optional else "") for variable in variables)


def secrets_in_dotenv(job: Job, who: str) -> Iterable[str]:
    """Paragraphs that explain how to set the variables in .env, for a machine with a disk."""
    if not job.variables:
        return ()
    place, used = shlex.quote(str(job.folder / ".env")), ", ".join(variable.name for variable in job.variables)
    read = (
        f"{who} does not have the variables of your shell. The variables of tallybook.toml ({used}) are read from .env "
        "beside it; keep that file private:"
    )
    return (read, f"  chmod 600 {place}")


DISK_IS_LOST = (
    "The disk is deleted when the run ends, and the book with it: the next run collects everything again from "
    "`start`, and "
    "snapshots (levels of which only the present is visible) lose their past. "
    'Keep the book in a PostgreSQL database instead: ledger = "${DATABASE_URL}" and store = "ledger" in [book].'
)
