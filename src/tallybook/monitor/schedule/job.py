"""What a scheduler is told: which command, when, with which variables. Never the value of one."""

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
    """A file by its name, and its text. The first lines of it say where it belongs and how to install it."""

    name: str
    text: str


class Variable(NamedTuple):
    """A variable that the project uses."""

    name: str
    optional: bool
    """The project has something to fall back on."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run of one book, every day at the same time."""

    book: str
    folder: Path
    store: str
    """The book's folder, as it is declared."""
    command: tuple[str, ...]
    """What starts Tallybook on this machine, wherever one stands."""
    at: time
    zone: str
    today: date
    variables: tuple[Variable, ...] = ()
    """Those of tallybook.toml and metrics/."""
    keys: tuple[Variable, ...] = ()
    """Those with credentials of destinations, for hosts that keep none."""
    extras: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    """Of the adapters that are not Tallybook's own."""
    metric_files: bool = False
    inside: PurePosixPath
    """The project's folder within its repository."""
    user: str = ""
    wsl: str | None = None
    """The distribution, where this is Linux on Windows."""
    utc: bool = False
    """The clock of the machine shows UTC, and its scheduler knows no other."""
    tells: time | None = None
    """When the quiet hours end in which it runs, and what it has to say can be told."""

    @property
    def slug(self) -> str:
        """The name for files and services: `tallybook-acme`."""
        letters = unicodedata.normalize("NFKD", self.book.casefold()).encode("ascii", "ignore").decode()
        name = re.sub(r"[^a-z0-9]+", "-", letters).strip("-")[:30].strip("-")
        return f"tallybook-{name or 'book'}"

    @property
    def here(self) -> tuple[str, ...]:
        """The command line on this machine."""
        return (*self.command, "run", "--quiet", "--project", str(self.folder))

    @property
    def telling(self) -> tuple[str, ...]:
        """The command line that tells, on this machine."""
        return (*self.command, "alerts", "--send", "--project", str(self.folder))

    @property
    def there(self) -> str:
        """The command line in a checkout of the repository, for a shell."""
        where = () if self.inside == PurePosixPath() else ("--project", str(self.inside))
        return shlex.join(("tallybook", "run", "--quiet", *where))

    @property
    def required(self) -> tuple[str, ...]:
        """The packages that pip is to install."""
        return (f"tallybook[{','.join(self.extras)}]" if self.extras else "tallybook", *self.packages)

    @property
    def requirements(self) -> str:
        """The same for a shell."""
        return shlex.join(self.required)

    @property
    def lasts(self) -> bool:
        """The book is kept elsewhere than on the disk of the machine that runs: all of it is in its ledger."""
        return self.store == IN_LEDGER

    @property
    def store_there(self) -> str:
        """The book's folder in a checkout of the repository."""
        return str(self.inside / self.store)

    @property
    def away(self) -> tuple[Variable, ...]:
        """What a host must be given that has neither .env nor keys of this machine."""
        return (*self.variables, *self.keys)

    @property
    def clock(self) -> str:
        return f"{self.at:%H:%M}"

    @property
    def safe(self) -> SafeTime:
        return safe_time(self.at, self.zone, self.today)

    @property
    def says(self) -> str:
        """The first sentence of every file."""
        book = re.sub(r"\s+", " ", self.book)
        return (
            f"Tallybook collects the metrics of {book} every day at {self.clock} in {self.zone}. A run that is late, or "
            f"doubled, or comes after a week does no harm: each collects whatever is missing.{self._waits}"
        )

    @property
    def _waits(self) -> str:
        if self.tells is None:
            return ""
        return (
            f" That is within the quiet hours of [alerts]: let `tallybook alerts --send` be started at {self.tells:%H:%M}, "
            "too, to tell what it had to say."
        )


class SafeTime(NamedTuple):
    """A time in UTC that is never before the wanted one, and what the clocks of the zone show then."""

    utc: time
    local: tuple[time, ...]

    def says(self, zone: str) -> str:
        first, *later = (f"{one:%H:%M}" for one in self.local)
        said = f" or, while the clock is ahead there, {' or '.join(later)}" if later else " all year"
        return f"{self.utc:%H:%M} UTC is {first} in {zone}{said}."


def safe_time(at: time, zone: str, today: date, *, step: int = 1) -> SafeTime:
    """The time in UTC for schedulers that know no zones: on no day of the coming two years before `at` in the zone.

    `step` minutes are what the scheduler can be told to the nearest of; it is rounded up."""
    tz = calendar.zone(zone)
    noons = (datetime(day.year, day.month, day.day, 12, tzinfo=tz) for day in calendar.days(today, today + _TWO_YEARS))
    offsets = sorted({offset for noon in noons if (offset := noon.utcoffset()) is not None})
    wanted = datetime.combine(today, at) - offsets[0]
    late = timedelta(minutes=-(wanted.hour * 60 + wanted.minute) % step)
    found = wanted + late
    return SafeTime(found.time(), tuple((found + offset).time() for offset in offsets))


_TWO_YEARS = timedelta(days=730)


def job_of(project: Project, *, at: time | None, today: date, user: str, wsl: str | None, utc: bool = False) -> Job:
    """The job of a project on this machine. `at` is the declared time, or 03:30, unless given.

    Raises QueryError for a schedule of which no scheduler here can be told."""
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
        tells=_tells(catalog, at),
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


def _tells(catalog: Catalog, at: time) -> time | None:
    if catalog.alerts.quiet is None or not catalog.alerts.to:
        return None
    quiet = QuietHours(*catalog.alerts.quiet, catalog.book.timezone)
    return quiet.end if quiet.covers(at) else None


def this_command() -> tuple[str, ...]:
    """What starts this installation of Tallybook from anywhere, whatever PATH says."""
    script = Path(sys.executable).with_name("tallybook")
    return (str(script),) if script.is_file() else (sys.executable, "-m", "tallybook")


def _declared(cron: str | None, zone: str) -> time:
    if cron is None:
        return DEFAULT
    if (at := Timetable(cron=cron, zone=zone).daily_at) is None:
        raise QueryError(
            f'[schedule] cron = "{cron}" is not one time of every day; these files start a daily run',
            hint="say at which time: --at 03:30; `tallybook serve` keeps to the expression itself",
        )
    return at


def _keys(kinds: Iterable[DestinationKind]) -> tuple[Variable, ...]:
    names = dict.fromkeys(name for kind in kinds for name in kind.variables)
    return tuple(Variable(name, optional=True) for name in names)


def _packages(kinds: Iterable[DestinationKind]) -> tuple[str, ...]:
    """The distributions of the destinations that are not built in."""
    found = {DESTINATIONS.distribution(kind.name) for kind in kinds}
    return tuple(sorted(name for name in found if name))


def _refuse_control_characters(folder: Path) -> None:
    if re.search(r"[\x00-\x1f\x7f]", str(folder)):
        raise QueryError(
            f"the folder {str(folder)!r} has a control character in its name, which no scheduler can be told",
            hint="call it otherwise, or give another --project",
        )


# --- words of the files


def comment(*paragraphs: str, sign: str = "#") -> str:
    """Paragraphs as lines of a comment; a line that begins with a blank is one to paste, and is not wrapped."""
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
    return ", ".join(variable.name + (" if you have it" if variable.optional else "") for variable in variables)


def secrets_in_dotenv(job: Job, who: str) -> Iterable[str]:
    """Where the variables come from, on a machine with a disk."""
    if not job.variables:
        return ()
    place, used = shlex.quote(str(job.folder / ".env")), ", ".join(variable.name for variable in job.variables)
    read = (
        f"{who} knows nothing of your shell's environment. The variables of tallybook.toml ({used}) are read "
        "from .env beside it; nobody else should read that:"
    )
    return (read, f"  chmod 600 {place}")


DISK_IS_LOST = (
    "The disk there is gone when the run ends, and the book with it: the next run begins with an empty one and "
    "collects everything again from `start`. Numbers of what only its present shows (levels without time) lose their past. "
    'Keep the book in a PostgreSQL database instead: ledger = "${DATABASE_URL}" and store = "ledger" in [book].'
)
