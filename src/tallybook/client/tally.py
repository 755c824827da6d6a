"""Counts of the events and changes that an application tracked, by outcome, with the reasons for what is not stored."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from tallybook.client.records import SendRecord, event_and_days

MAX_REASONS = 20


@dataclass(frozen=True, kw_only=True)
class SendReport:
    """Counts since the client was made, in this process. What was tracked is `stored`, `rejected`, `dropped` or
    `waiting`; of a spill folder, also what earlier processes left there."""

    stored: int = 0
    """On the disk of the server, or in the log of the book. Sent again, it is there once."""
    rejected: int = 0
    """Refused for good; the server keeps them: `tallybook events rejected`."""
    dropped: int = 0
    """Never sent: the queue or the spill folder was full."""
    waiting: int = 0
    """Not sent yet."""
    is_kept: bool = False
    """Whether what waits is in a spill folder, for the next process to send."""
    error: str = ""
    """Why something still waits."""
    reasons: tuple[str, ...] = ()
    """The first reasons for rejections and drops."""

    @property
    def lost(self) -> int:
        """How many are not stored and never will be, unless they are sent by hand."""
        return self.rejected + self.dropped + (0 if self.is_kept else self.waiting)

    @property
    def is_flushed(self) -> bool:
        return self.waiting == 0

    def __str__(self) -> str:
        kept = " in the spill folder" if self.is_kept and self.waiting else ""
        text = f"{self.stored} stored, {self.rejected} rejected, {self.dropped} dropped, {self.waiting} waiting{kept}"
        return "; ".join([text, *filter(None, [self.error, *self.reasons[:3]])])


class Tally:
    """The counts as they grow. May be used by several threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.stored = self.rejected = self.dropped = 0
        self.error = ""
        self.reasons: list[str] = []
        self.damaged: set[tuple[str, str]] = set()
        """(event, day) of which something is not stored: such a day is not closed."""

    def store(self, count: int) -> None:
        with self.lock:
            self.stored += count

    def reject(self, record: SendRecord, reason: str) -> None:
        with self.lock:
            self.rejected += 1
            self._note(record, reason)

    def drop(self, record: SendRecord, reason: str) -> None:
        with self.lock:
            self.dropped += 1
            self._note(record, reason)

    def _note(self, record: SendRecord, reason: str) -> None:
        if len(self.reasons) < MAX_REASONS and reason not in self.reasons:
            self.reasons.append(reason)
        if (found := event_and_days(record)) is not None:
            self.damaged |= {(found[0], day) for day in found[1]}

    def report(self, waiting: int, *, is_kept: bool) -> SendReport:
        with self.lock:
            return SendReport(
                stored=self.stored,
                rejected=self.rejected,
                dropped=self.dropped,
                waiting=waiting,
                is_kept=is_kept,
                error=self.error if waiting else "",
                reasons=tuple(self.reasons),
            )
