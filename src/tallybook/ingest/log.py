"""The log of requests: what was acknowledged is in it, and on disk, until it is compacted.

A log is written by one process and read by the compactor, also while it is written. `log_sqlite` keeps logs in files,
`log_ledger` in a PostgreSQL ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class LogRow:
    """One request. `headers` is a JSON object of the headers on which its decoding depends; `n` is its
    place in the log."""

    received: datetime
    key: str
    protocol: str
    path: str
    headers: str
    body: bytes
    n: int = 0


class LogFull(Exception):
    """There is no room for a row. Nothing of the append is kept, and later appends may work."""


class LogAway(LogFull):
    """The log cannot be reached. Nothing of the append is acknowledged, and later appends may work."""


class LogGone(Exception):
    """Somebody else dropped the log."""


class LogFailed(Exception):
    """Whether rows are on disk is not known. The process must end without acknowledging anything more."""


class EventLog(Protocol):
    """One log. `append` is called by one thread of one process, the rest by the compactor."""

    name: str

    def append(self, rows: Sequence[LogRow]) -> list[int]:
        """Write rows to the disk and return their places. Raises LogFull or LogFailed."""

    def read(self, after: int, max_bytes: int) -> list[LogRow]:
        """Rows whose place is greater than `after`, in order, until their bodies have `max_bytes`; at least one row
        where there is one."""

    def erase(self, numbers: Sequence[int]) -> None:
        """Empty the bodies of rows that are compacted. Their places stay."""

    def close(self) -> None:
        """Let go of the log. A writer that closes it promises to append nothing more."""

    def drop(self) -> None:
        """Delete the log. Every row of it is compacted, and it has no writer."""


class LogFolder(Protocol):
    """All logs of a host, or of a ledger."""

    host: str
    max_log_bytes: int
    """A writer begins another log when the bodies in one have so many bytes."""

    def new(self) -> EventLog:
        """A new log to write to."""

    def names(self) -> list[str]:
        """The logs that are there, oldest first."""

    def open(self, name: str) -> EventLog:
        """A log to read. Raises LogGone when it was dropped meanwhile."""

    def has_writer(self, name: str) -> bool:
        """Whether a living process may still append to a log."""

    def byte_count(self) -> int:
        """The size of the rows that wait to be compacted."""

    def beat(self) -> None:
        """Show that the writer of the newest log lives, where it does not show by itself. Called every few seconds."""
