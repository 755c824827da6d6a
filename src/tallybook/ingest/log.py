"""The log of requests. Every acknowledged request is in it, on disk, until it is compacted.

One process writes a log, and the compactor reads it, even while it is being written. `log_sqlite` keeps logs in files,
`log_ledger` in a PostgreSQL ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class LogRow:
    """One request. `headers`: a JSON object of the headers that its decoding needs. `n`: its position in the log."""

    received: datetime
    key: str
    protocol: str
    path: str
    headers: str
    body: bytes
    n: int = 0


class LogFull(Exception):
    """The log has no room for a row. Nothing of the append is stored, and later appends may work."""


class LogAway(LogFull):
    """The log cannot be reached. Nothing of the append is acknowledged, and later appends may work."""


class LogGone(Exception):
    """Another process dropped the log."""


class LogFailed(Exception):
    """It is unknown whether rows are on disk. The process must end without acknowledging anything more."""


class EventLog(Protocol):
    """One log. One thread of one process calls `append`; the compactor calls everything else."""

    name: str

    def append(self, rows: Sequence[LogRow]) -> list[int]:
        """Write rows to the disk and return their positions. Raises LogFull or LogFailed."""

    def read(self, after: int, max_bytes: int) -> list[LogRow]:
        """Rows with a position greater than `after`, in order, until their bodies reach `max_bytes`. At least one row
        if there is one."""

    def erase(self, numbers: Sequence[int]) -> None:
        """Empty the bodies of compacted rows. Their positions stay."""

    def close(self) -> None:
        """Close the log. A writer that closes it promises to append nothing more."""

    def drop(self) -> None:
        """Delete the log. Every row must be compacted, and the log must have no writer."""


class LogFolder(Protocol):
    """All logs of a host or of a ledger."""

    host: str
    max_log_bytes: int
    """A writer starts another log once the bodies in its log reach this size."""

    def new(self) -> EventLog:
        """A new log to write to."""

    def names(self) -> list[str]:
        """The names of the existing logs, oldest first."""

    def open(self, name: str) -> EventLog:
        """Open a log for reading. Raises LogGone if it was dropped meanwhile."""

    def has_writer(self, name: str) -> bool:
        """Whether a living process may still append to the log."""

    def byte_count(self) -> int:
        """The size of the rows that are not compacted yet."""

    def beat(self) -> None:
        """Show that the writer of the newest log is alive, if nothing else shows it. Called every few seconds."""
