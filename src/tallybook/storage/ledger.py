"""The interface of a ledger.

A *version* of the book is a number. It identifies a set of files and a coverage table. `commit` moves the book from
one version to the next in one transaction, only if no other process did so first, and only while the lease of the
work is still valid."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from datetime import date, datetime
from typing import Any, Protocol

from tallybook.core import BookError, merge_stretches

LOST = "lost"
"""Replaces the hash of a file that was given up. Its bytes are never read again."""


@dataclass(frozen=True, kw_only=True)
class PointsFile:
    """A points file. `metric` is empty for a kind whose files all metrics share. `first` and `last` are included."""

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
    """The SHA-256 of its bytes, in hexadecimal; empty for files written before hashes existed; LOST for a file given
    up."""


@dataclass(frozen=True)
class Stretch:
    """Consecutive covered days, both ends included. `instant`: when a snapshot was taken."""

    first: date
    last: date
    instant: str | None = None


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A definition as it was collected. `body`: the metric and what the source reported about it, as JSON."""

    metric: str
    id: str
    declared: str
    body: str
    created: str = ""


@dataclass(frozen=True, kw_only=True)
class VersionSnapshot:
    """A version with everything that a reader needs, from one read transaction.

    `coverage`: {(metric, definition): stretches in order}. `definitions`: {metric: definitions, newest first}."""

    version: int
    files: tuple[PointsFile, ...]
    coverage: dict[tuple[str, str], tuple[Stretch, ...]]
    definitions: dict[str, tuple[Definition, ...]]
    hidden: Mapping[tuple[str, str], tuple[tuple[date, date], ...]] = field(default_factory=dict)
    """Days by (metric, definition) whose points are in the files but must not be counted. `coverage` excludes them."""


@dataclass(frozen=True, kw_only=True)
class Revision:
    """A change of a past value. `series`: the dimension values as JSON."""

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
    """One covered day, with the run that last collected it and the first version that contains it."""

    definition: str
    day: date
    run: int | None
    instant: str | None
    version: int


@dataclass(frozen=True, kw_only=True)
class Covered:
    """Newly collected days of one metric and definition, as stretches (first, last) or as `days`."""

    metric: str
    definition: str
    stretches: Sequence[tuple[date, date]] = ()
    days: InitVar[Iterable[date]] = ()
    instant: str | None = None

    def __post_init__(self, days: Iterable[date]) -> None:
        object.__setattr__(self, "stretches", (*merge_stretches([*self.stretches, *((day, day) for day in days)]),))


@dataclass(frozen=True, kw_only=True)
class Ahead:
    """A run, or one source of a run, whose clock was ahead: its instant `until` lies after now.

    Its real time is unknown. It was after `last_true`, the latest possible instant of the runs before it."""

    run: int
    source: str | None
    until: datetime
    last_true: datetime


@dataclass(frozen=True, kw_only=True)
class Followed:
    """The progress of following changes in a metric's facts by one of their columns.

    The covered days contain everything written before `seen`, an instant of the source's clock, except for the days
    in `waiting`, which are to be collected again."""

    metric: str
    definition: str
    column: str
    seen: datetime
    waiting: Sequence[date] = ()
    """Days to collect again, the longest waiting first."""


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """The last write of a delivery: the version of the book, a fingerprint of the question, and the time."""

    version: int
    fingerprint: str
    at: str = ""
    record: str = ""
    """The place and the periods of the complete record written so far; empty if unknown."""


@dataclass(kw_only=True)
class Commit:
    """The changes of one commit: added and removed files, covered days, revised values."""

    what: str
    add: list[PointsFile] = field(default_factory=list)
    remove: list[int] = field(default_factory=list)
    covered: list[Covered] = field(default_factory=list)
    revisions: list[Revision] = field(default_factory=list)
    definitions: list[Definition] = field(default_factory=list)
    followed: list[Followed] = field(default_factory=list)
    horizons: dict[str, datetime] = field(default_factory=dict)
    """The instant up to which each source was known in this run."""
    taken_back: list[Covered] = field(default_factory=list)
    """Days that were collected while a clock was ahead. They lose their points and their coverage."""
    rewritten: dict[int, PointsFile | None] = field(default_factory=dict)
    """Files of any version that are replaced in place; None: nothing of the file remains."""
    forgotten: list[str] = field(default_factory=list)
    """Keys of metrics that are deleted from every version."""
    contents: Callable[[PointsFile], Iterable[bytes]] | None = None
    """Returns the bytes of a file, for a ledger that stores them."""
    lost: Sequence[PointsFile] = ()
    """Unreadable files of any version that are given up. In the current version, newly collected days replace theirs,
    and their other days lose their coverage."""
    uncovered: list[Covered] = field(default_factory=list)
    """Days that lose their coverage because their points are lost or taken back."""


Tables = dict[str, list[tuple[Any, ...]]]
"""{table: rows with the columns of `store.tables.COLUMNS`}. Days and instants are texts."""


@dataclass(frozen=True)
class Lease:
    """The exclusive right to do a job. `fence` grows with every holder and is checked on commit."""

    job: str
    holder: str
    fence: int


class NoLedger(Exception):
    """The place has no ledger yet."""


class LedgerLost(BookError):
    """The ledger is damaged, or it is missing or empty although points files exist."""


class Conflict(Exception):
    """Another process committed first. Read again and retry."""


class Cleaned(Exception):
    """Files of the requested version were deleted, so that it can no longer answer."""


def kept_under(keys: Mapping[str, str], name: str, renamed_from: str | None) -> str:
    """The key under which the points of a metric are stored, given `Ledger.metric_keys`.

    It is the first name the metric ever had, unless another metric uses that name as its key."""
    if name in keys:
        return keys[name]
    if renamed_from:
        return keys.get(renamed_from, renamed_from)
    if name not in keys.values():
        return name
    # A renamed metric keeps its points under its old name. A new metric with that name is another metric.
    return next(key for i in itertools.count(2) if (key := f"{name}-{i}") not in keys.values())


@dataclass(frozen=True, kw_only=True)
class Identified:
    """The last recorded value of an identity, and the run that recorded it."""

    run: int
    value: str


class Ledger(Protocol):
    """The methods that `store.folder` and `book` need from a ledger. Every method is one transaction.

    Errors of the ledger itself are raised as BookError, or as Busy if others lock it too long."""

    where: str
    """The name of its location in messages."""

    # versions

    def version(self) -> int:
        """The current version; 0 is the empty book."""

    def versions(self) -> list[tuple[int, datetime]]:
        """Every version with the instant of its commit, oldest first."""

    def version_at(self, instant: datetime) -> int:
        """The version that was current just before `instant`."""

    def snapshot(self, metrics: Iterable[str] | None = None, *, version: int | None = None) -> VersionSnapshot:
        """The current version or an older one, with the coverage of some metrics (None: all).

        Raises Cleaned if files of that version were deleted."""

    def commit(self, base: int, change: Commit, *, lease: Lease | None, run: int | None, now: datetime) -> int:
        """Commit version base → base + 1 atomically. Raises Conflict if `base` is not current, Busy if the lease was
        lost."""

    # leases

    def acquire(self, job: str, *, now: datetime, seconds: float) -> Lease:
        """Acquire the right to do `job`. Raises Busy while another living holder has it."""

    def renew(self, lease: Lease, *, now: datetime, seconds: float) -> bool:
        """Extend a lease. Returns False if it is no longer held."""

    def release(self, lease: Lease) -> None:
        """Release a lease. Does nothing if it is no longer held."""

    def leased(self, *, now: datetime) -> list[str]:
        """Jobs that are currently leased."""

    # runs and revisions

    def start_run(self, what: str, *, now: datetime) -> int:
        """Record a new run and return its number. Runs whose process is known to be dead become "lost"."""

    def finish_run(self, run: int, status: str, report: dict[str, Any], *, now: datetime) -> None:
        """Record the end of a run."""

    def runs(self, limit: int = 20) -> list[dict[str, Any]]:
        """The latest runs, newest first."""

    def run(self, number: int) -> dict[str, Any] | None:
        """One run in the form of `runs`, or None."""

    def revisions(self, metric: str | None = None, limit: int = 1000, *, day: date | None = None) -> list[Revision]:
        """Values that changed after they were collected, newest first; with `day`, only those of one day."""

    def revised(self, since: int) -> dict[tuple[str, int], tuple[float, date]]:
        """{(metric, run): (total change of values, last changed day)} for this run and later ones."""

    def covered_days(self, metric: str, first: date, last: date) -> list[CoveredDay]:
        """The days of a range that the current version covers, under any definition, in order."""

    def ahead(self, now: datetime) -> list[Ahead]:
        """Runs whose clock was ahead of `now`.

        One entry for each source whose horizon the run recorded, and one for the run as a whole (source None) for
        all other sources."""

    def days_of_runs(self, runs: Iterable[int]) -> list[tuple[str, str, int, date]]:
        """(metric, definition, run, day) for the days of the current version that these runs last collected."""

    def known_further(self, source: str, until: datetime, *, now: datetime) -> dict[int, datetime]:
        """{run: horizon} of runs whose horizon of a source is after `until`. Excludes runs whose clock was ahead of
        `now`."""

    def followed(self) -> dict[tuple[str, str], Followed]:
        """The progress of following changes, by (metric, definition)."""

    # names

    def metric_keys(self) -> dict[str, str]:
        """The keys under which points are stored, for metrics whose key differs from their current name."""

    def stored_metrics(self) -> set[str]:
        """The names under which the book stores definitions of metrics."""

    def identities(self) -> dict[str, Identified]:
        """The last recorded identities of the book's sources and of its project, by name."""

    def identify(self, name: str, value: str, *, run: int, now: datetime) -> None:
        """Record an identity from this run on. Earlier values are kept."""

    def bind_key(self, name: str, key: str) -> None:
        """Store the points of `name` under `key` from now on. An existing key is not changed."""

    def forgotten(self) -> set[str]:
        """The metrics that were forgotten, by their names at that time."""

    # deliveries

    def delivered(self) -> dict[str, Delivered]:
        """The last write of each delivery, by name."""

    def record_delivery(self, name: str, done: Delivered, *, now: datetime) -> None:
        """Record the last write of a delivery, replacing the previous one."""

    # alerts

    def alerts(self) -> dict[str, str]:
        """The stored JSON of each alert cause that is not finished."""

    def keep_alerts(self, kept: Mapping[str, tuple[str | None, str]], gone: Iterable[str], *, lease: Lease) -> None:
        """Store (key of its metric, JSON) for each cause in `kept`, and delete the causes in `gone`. Raises Busy if the
        lease was lost."""

    # cleaning

    def droppable(self, kept: Sequence[int], *, gone_before: datetime) -> list[PointsFile]:
        """Files that are in none of the versions `kept` nor in the current one, and that left the book before an
        instant."""

    def forget_files(self, ids: Sequence[int]) -> None:
        """Remove files from the ledger before they are deleted. Their versions can no longer be queried.

        An already forgotten file is not an error, because two processes may clean at the same time."""

    def known_files(self) -> list[PointsFile]:
        """The files of every version."""

    # copies

    def export(self) -> Tables:
        """Every row of every table at one moment, in no particular order."""

    def fill(self, rows: Tables, contents: Iterable[tuple[str, Iterable[bytes]]], *, still: Callable[[], bool]) -> None:
        """Fill an empty ledger atomically with these rows and, if it stores them, the bytes of these files.

        Raises BookError if it is not empty, Conflict if `still` returns false at the end: the source has changed."""

    def lacking(self) -> list[str]:
        """Descriptions of tables and columns that are missing for the ledger's schema number."""

    def damage(self) -> list[str]:
        """Descriptions of defects below the level of tables."""

    def first_at(self) -> datetime | None:
        """The instant of the ledger's first run or version; None for a new ledger."""

    def problems(self) -> list[str]:
        """Descriptions of defects of the ledger itself."""

    def close(self) -> None:
        """Release the resources of the calling thread."""


class KeepsContents(Protocol):
    """The additional methods of a ledger that stores points files as bytes."""

    def content(self, path: str) -> Iterator[bytes]:
        """The bytes of a file, in pieces; empty if they are not stored."""

    def without_content(self, files: Sequence[PointsFile]) -> list[PointsFile]:
        """The files whose bytes are not stored completely."""

    def keep_contents(self, files: Sequence[PointsFile], contents: Callable[[PointsFile], Iterable[bytes]]) -> None:
        """Store the bytes and hashes of files that are already in the ledger, all or none."""
