"""The narrow door to a ledger: what every ledger must be able to say and to promise.

A *version* of the book is a number; it names a set of files and a coverage table. `commit` moves the book
from one version to the next in one transaction, only if nobody else did so first, and only while the lease
it was made under still holds.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from datetime import date, datetime
from typing import Any, Protocol

from tallybook.core import BookError, merge_stretches

LOST = "lost"
"""Written instead of the hash of a file that was given up: its bytes are never read again."""


@dataclass(frozen=True, kw_only=True)
class PointsFile:
    """A points file. `metric` is empty for a kind that all metrics share; days are both included."""

    path: str
    kind: str
    metric: str
    first: date
    last: date
    rows: int
    bytes: int
    format: int = 1
    id: int = 0
    sha256: str = ""
    """Of its bytes, in hexadecimal; empty of files written before there were hashes; LOST of one that was given up."""


@dataclass(frozen=True)
class Stretch:
    """Neighbouring covered days, both included; `instant` is when a snapshot saw what it saw."""

    first: date
    last: date
    instant: str | None = None


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A definition as it was collected. `body` is the metric and what the source told about it, as JSON."""

    metric: str
    id: str
    declared: str
    body: str
    created: str = ""


@dataclass(frozen=True, kw_only=True)
class VersionSnapshot:
    """A version with everything a reader needs, taken in one read transaction.

    `coverage`: {(metric, definition): stretches in order}. `definitions`: {metric: newest first}."""

    version: int
    files: tuple[PointsFile, ...]
    coverage: dict[tuple[str, str], tuple[Stretch, ...]]
    definitions: dict[str, tuple[Definition, ...]]
    hidden: Mapping[tuple[str, str], tuple[tuple[date, date], ...]] = field(default_factory=dict)
    """Days of each (metric, definition) whose points are in the files and do not count: `coverage` is without them."""


@dataclass(frozen=True, kw_only=True)
class Revision:
    """A value of the past that changed. `series` is the dimension values as JSON."""

    metric: str
    definition: str
    day: date
    series: str
    old: str | None
    new: str | None
    run: int = 0
    at: str = ""


@dataclass(frozen=True, kw_only=True)
class CoveredDay:
    """One covered day: by which run it was collected last, in which version it first was."""

    definition: str
    day: date
    run: int | None
    instant: str | None
    version: int


@dataclass(frozen=True, kw_only=True)
class Covered:
    """Days of one metric and definition that are now collected: as stretches (first, last), or as `days`."""

    metric: str
    definition: str
    stretches: Sequence[tuple[date, date]] = ()
    days: InitVar[Iterable[date]] = ()
    instant: str | None = None

    def __post_init__(self, days: Iterable[date]) -> None:
        object.__setattr__(self, "stretches", (*merge_stretches([*self.stretches, *((day, day) for day in days)]),))


@dataclass(frozen=True, kw_only=True)
class Ahead:
    """A run, or one of its sources, whose clock was ahead: the instant `until` by that clock lies after now.

    When it really was is not known; it was after `last_true`, the latest instant of the runs before it that can be."""

    run: int
    source: str | None
    until: datetime
    last_true: datetime


@dataclass(frozen=True, kw_only=True)
class Followed:
    """How far the changes of a metric's facts were followed, by one of their columns: its covered days hold all that
    was written before `seen`, an instant of the source's clock, but for the days that wait to be collected again."""

    metric: str
    definition: str
    column: str
    seen: datetime
    waiting: Sequence[date] = ()
    """Who has waited longest first."""


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """What a delivery last put in its place: the book's version, a fingerprint of what was asked, when."""

    version: int
    fingerprint: str
    at: str = ""
    record: str = ""
    """The place and the periods of a record without holes up to then; empty where that is not known."""


@dataclass(kw_only=True)
class Commit:
    """What a commit does: files in, files out, days covered, values revised."""

    what: str
    add: list[PointsFile] = field(default_factory=list)
    remove: list[int] = field(default_factory=list)
    covered: list[Covered] = field(default_factory=list)
    revisions: list[Revision] = field(default_factory=list)
    definitions: list[Definition] = field(default_factory=list)
    followed: list[Followed] = field(default_factory=list)
    horizons: dict[str, datetime] = field(default_factory=dict)
    """Until when each source was known to this run."""
    taken_back: list[Covered] = field(default_factory=list)
    """Days that were collected under a clock that was ahead: their points go, they are collected no longer."""
    rewritten: dict[int, PointsFile | None] = field(default_factory=dict)
    """Files of any version that are replaced where they stand (None: nothing of them is left)."""
    forgotten: list[str] = field(default_factory=list)
    """Metrics (keys) of which nothing stays, in no version."""
    contents: Callable[[PointsFile], Iterable[bytes]] | None = None
    """The bytes of its files, for a ledger that keeps them."""
    lost: Sequence[PointsFile] = ()
    """Files of any version that cannot be read and are given up. Those of the current version are replaced by what is
    collected now; their other days lose their coverage."""
    uncovered: list[Covered] = field(default_factory=list)
    """Days that are collected no longer: their points are lost, or they are taken back."""


Tables = dict[str, list[tuple[Any, ...]]]
"""{table: its rows, with the columns of `store.tables.COLUMNS`}; days and instants are texts."""


@dataclass(frozen=True)
class Lease:
    """The right to do a job; `fence` grows with every holder and is looked at on commit."""

    job: str
    holder: str
    fence: int


class NoLedger(Exception):
    """There is no ledger in this place yet."""


class LedgerLost(BookError):
    """The ledger is missing or empty beside points files, or damaged."""


class Conflict(Exception):
    """Somebody committed first; look again and try again."""


class Cleaned(Exception):
    """Files of the version that was asked for are deleted: it has no answer any more."""


def kept_under(keys: Mapping[str, str], name: str, renamed_from: str | None) -> str:
    """Under which name the points of a metric are kept, by what `Ledger.metric_keys` says: the first it ever had, or
    another where a metric that is called otherwise today holds that one."""
    if name in keys:
        return keys[name]
    if renamed_from:
        return keys.get(renamed_from, renamed_from)
    if name not in keys.values():
        return name
    # A metric that was renamed keeps its points under this name; a new one of that name is another metric.
    return next(key for i in itertools.count(2) if (key := f"{name}-{i}") not in keys.values())


@dataclass(frozen=True, kw_only=True)
class Identified:
    """What something was when it was last recorded, and by which run."""

    run: int
    value: str


class Ledger(Protocol):
    """What `store.folder` and `book` ask of a ledger. Every method is one transaction.

    What goes wrong with the ledger itself is told as BookError, or Busy when others hold it too long."""

    where: str
    """What the place is called in messages."""

    # versions

    def version(self) -> int:
        """The current version; 0 is the empty book."""

    def versions(self) -> list[tuple[int, datetime]]:
        """Every version with the instant of its commit, oldest first."""

    def version_at(self, instant: datetime) -> int:
        """The version that was current just before `instant`."""

    def snapshot(self, metrics: Iterable[str] | None = None, *, version: int | None = None) -> VersionSnapshot:
        """The current version, or an old one, with the coverage of some metrics (None: of all).

        Raises Cleaned when files of that version are deleted."""

    def commit(self, base: int, change: Commit, *, lease: Lease | None, run: int | None, now: datetime) -> int:
        """Version base → base + 1, all of it or nothing. Raises Conflict if `base` is not current, Busy if the
        lease was lost."""

    # leases

    def acquire(self, job: str, *, now: datetime, seconds: float) -> Lease:
        """The right to do `job`. Raises Busy while another living holder has it."""

    def renew(self, lease: Lease, *, now: datetime, seconds: float) -> bool:
        """Prolong a lease; False when it is no longer ours."""

    def release(self, lease: Lease) -> None:
        """Give a lease back; nothing happens when it is no longer ours."""

    def leased(self, *, now: datetime) -> list[str]:
        """Jobs that are being done."""

    # runs and revisions

    def start_run(self, what: str, *, now: datetime) -> int:
        """The number of a new run. Runs whose process is known to be dead become "lost"."""

    def finish_run(self, run: int, status: str, report: dict[str, Any], *, now: datetime) -> None:
        """How a run ended."""

    def runs(self, limit: int = 20) -> list[dict[str, Any]]:
        """The latest runs, newest first."""

    def run(self, number: int) -> dict[str, Any] | None:
        """One run, as `runs` has it."""

    def revisions(self, metric: str | None = None, limit: int = 1000, *, day: date | None = None) -> list[Revision]:
        """What changed after it was collected, newest first; of one day, if it is said."""

    def revised(self, since: int) -> dict[tuple[str, int], tuple[float, date]]:
        """{(metric, run): (total change of values, last changed day)} of this run and later ones."""

    def covered_days(self, metric: str, first: date, last: date) -> list[CoveredDay]:
        """The days of a stretch that the current version covers, under any definition, in order."""

    def ahead(self, now: datetime) -> list[Ahead]:
        """Runs by a clock that was ahead: of each source of which the run recorded how far it was known, and of the
        run as a whole (source None) for all others."""

    def days_of_runs(self, runs: Iterable[int]) -> list[tuple[str, str, int, date]]:
        """(metric, definition, run, day) of the days of the current version that these runs collected last."""

    def known_further(self, source: str, until: datetime, *, now: datetime) -> dict[int, datetime]:
        """{run: horizon} of runs whose horizon of a source is after `until`; no runs with a clock ahead of `now`."""

    def followed(self) -> dict[tuple[str, str], Followed]:
        """How far changes were followed, by (metric, definition)."""

    # names

    def metric_keys(self) -> dict[str, str]:
        """Names under which points are kept, where they differ from today's names."""

    def stored_metrics(self) -> set[str]:
        """The names under which the book keeps definitions of metrics."""

    def identities(self) -> dict[str, Identified]:
        """What the sources of the book and the project it belongs to were last recorded as, by name."""

    def identify(self, name: str, value: str, *, run: int, now: datetime) -> None:
        """Record what something is from this run on; what it was before is kept."""

    def bind_key(self, name: str, key: str) -> None:
        """Keep the points of `name` under `key` from now on; the first key stays."""

    def forgotten(self) -> set[str]:
        """The metrics that were forgotten, by the names they had then."""

    # deliveries

    def delivered(self) -> dict[str, Delivered]:
        """What each delivery last put in its place, by its name."""

    def record_delivery(self, name: str, done: Delivered, *, now: datetime) -> None:
        """Keep what a delivery has put in its place, instead of what it put there before."""

    # alerts

    def alerts(self) -> dict[str, str]:
        """What is kept of each cause that was seen and is not done with, as JSON."""

    def keep_alerts(self, kept: Mapping[str, tuple[str | None, str]], gone: Iterable[str], *, lease: Lease) -> None:
        """Keep (the key of its metric, JSON) of these causes, and nothing more of those that are gone. Raises Busy if
        the lease was lost."""

    # cleaning

    def droppable(self, kept: Sequence[int], *, gone_before: datetime) -> list[PointsFile]:
        """Files that are in none of the versions `kept`, nor in the current one, and left it before an instant."""

    def forget_files(self, ids: Sequence[int]) -> None:
        """Take files out of the ledger before they are deleted; their versions can no longer be asked.

        A file that is forgotten already is no error: two may clean at the same time."""

    def known_files(self) -> list[PointsFile]:
        """The files of every version."""

    # copies

    def export(self) -> Tables:
        """Every row of every table, at one moment, in an order that says nothing."""

    def fill(self, rows: Tables, contents: Iterable[tuple[str, Iterable[bytes]]], *, still: Callable[[], bool]) -> None:
        """Make an empty ledger one with these rows and, where it keeps them, the bytes of these files; all of it or
        nothing. Raises BookError when it is not empty, Conflict when in the end they are not `still` what is wanted."""

    def lacking(self) -> list[str]:
        """Tables and columns that a ledger of its number has and this one lacks, in words."""

    def damage(self) -> list[str]:
        """What is wrong below the tables, in words."""

    def first_at(self) -> datetime | None:
        """When this ledger first recorded something: its first run or version; None for a new one."""

    def problems(self) -> list[str]:
        """What is wrong with the ledger itself, in words."""

    def close(self) -> None:
        """Let go of what the calling thread holds."""


class KeepsContents(Protocol):
    """What a ledger can that keeps points files as bytes."""

    def content(self, path: str) -> Iterator[bytes]:
        """The bytes of a file, piece by piece; none at all where they are not kept."""

    def without_content(self, files: Sequence[PointsFile]) -> list[PointsFile]:
        """Those whose bytes are not kept, or not all of them."""

    def keep_contents(self, files: Sequence[PointsFile], contents: Callable[[PointsFile], Iterable[bytes]]) -> None:
        """Keep the bytes and hashes of files that the ledger names already, all of them or none."""
