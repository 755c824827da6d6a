"""Sends events for commands: into the log of this host, or over HTTP to a server."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from tallybook.client import HttpTransport, TransportAnswer, TransportFailed
from tallybook.core import DEFAULT_EVENTS, BookError, DecodedEvents, EventSettings, QueryError, SourceUnavailable
from tallybook.ingest.compaction import Compactor
from tallybook.ingest.log import LogFolder, LogFull, LogRow
from tallybook.ingest.names import within_names
from tallybook.ingest.unpacking import decode_row
from tallybook.storage import EventLedger

EVENTS_PATH = "/v1/events"
LOCAL_KEY = "local"
"""Name of the key for events that a command appends to the log itself. Their ids belong to it."""
MAX_WAITING_BYTES = 32 * 1024 * 1024
"""Maximum size of events in the log that are not compacted yet."""
MAX_WAIT_SECONDS = 20.0
PAUSE_SECONDS = 0.05
MAX_REQUEST_BYTES = 4_000_000
"""Of one request. A server may take less: then a request is sent in halves."""
TOO_LARGE, BUSY = 413, (429, 503)
MAX_BUSY_SECONDS = 60.0
"""How long one request is sent again to a server that says when to come back."""


@dataclass(frozen=True, kw_only=True)
class SentEvents:
    """The result for a batch of events: how many were accepted, and (index, code, field, reason) of the others."""

    stored: int
    rejected: Sequence[dict[str, Any]] = field(default_factory=tuple)


class EventSender(Protocol):
    """Accepts batches of events. After `close`, or after an exception, nothing more may be sent."""

    def send(self, events: Sequence[dict[str, Any]]) -> SentEvents:
        """Send a batch. Returns the verdict once the accepted events are on disk."""

    def close(self) -> None:
        """Return when everything sent can be queried, as far as this process can make sure."""


class _Local(Compactor):
    """Compacts what a command sent. It does not vouch for the host, because no server is running."""

    def __init__(self, *given: Any, **settings: Any) -> None:
        super().__init__(*given, **settings)
        self.known: dict[tuple[datetime, bytes], DecodedEvents] = {}
        """By (received, body), the decoded events of rows that this process put into the log."""

    def decoded(self, row: LogRow) -> DecodedEvents:
        found = self.known.pop((row.received, row.body), None)
        return super().decoded(row) if found is None else found

    def _seal(self, began: datetime, batch: Any) -> None:
        pass


class LocalSender:
    """Appends to a log of this host, as a worker of the server does, and compacts it. Access to the book is the
    authorization."""

    def __init__(
        self,
        events: EventLedger,
        logs: LogFolder,
        *,
        zone: str,
        clock: Callable[[], datetime],
        settings: EventSettings = DEFAULT_EVENTS,
        key: str = LOCAL_KEY,
    ) -> None:
        self.clock, self.key, self.waiting = clock, key, 0
        self.logs = logs
        self.compactor = _Local(events, logs, zone=zone, clock=clock, settings=settings)
        # First store what a killed command left in the log, so that a repeated import finds it.
        self.compact()
        self.names = set(events.names())
        try:
            self.log = self.logs.new()
        except LogFull as full:
            raise BookError(f"cannot write the log of events: {full}") from None

    def send(self, events: Sequence[dict[str, Any]]) -> SentEvents:
        most = self.compactor.rules.limits.max_batch
        stored, rejected = 0, []
        for start in range(0, len(events), most):
            sent = self._send(events[start : start + most])
            stored += sent.stored
            rejected += [{**one, "index": start + one["index"]} for one in sent.rejected]
        return SentEvents(stored=stored, rejected=rejected)

    def _send(self, events: Sequence[dict[str, Any]]) -> SentEvents:
        whole = self._row(events)
        decoded = self.within_names(decode_row(whole, self.compactor.rules))
        if decoded.error is not None:
            raise QueryError(f"the events cannot be stored: {decoded.error.message}", hint=decoded.error.expected)
        good = [index for index, _ in decoded.events]
        if good:
            row = whole if len(good) == len(events) else self._row([events[index] for index in good])
            try:
                self.log.append([row])
            except LogFull as full:
                raise BookError(f"cannot write the log of events: {full}", hint="make room on the disk") from None
            if row is whole and not decoded.rejected:
                self.compactor.known[row.received, row.body] = decoded
            self.waiting += len(row.body)
            if self.is_full:
                self.compact()
        return SentEvents(stored=len(good), rejected=[one.as_json() for one in decoded.rejected])

    def within_names(self, decoded: DecodedEvents) -> DecodedEvents:
        """The events whose names the book has, or may still have."""
        return within_names(decoded, self.names, self.compactor.rules.settings.max_events)

    @property
    def is_full(self) -> bool:
        """Whether so much is waiting that it should be compacted."""
        return self.waiting > MAX_WAITING_BYTES

    def _row(self, events: Sequence[dict[str, Any]]) -> LogRow:
        body = json.dumps(list(events), ensure_ascii=False).encode()
        return LogRow(
            received=self.clock(), key=self.key, protocol="tallybook", path=EVENTS_PATH, headers="{}", body=body
        )

    def compact(self) -> None:
        """Store what is in the logs. A server on this host may do so at the same time."""
        until = time.monotonic() + MAX_WAIT_SECONDS
        while True:
            self.waiting = 0
            try:
                if not self.compactor.step() and not self.compactor.has_more:
                    self.compactor.known.clear()
                    return
            except (sqlite3.OperationalError, FileNotFoundError) as error:
                # The server's compactor dropped the log before it could be read.
                if time.monotonic() > until:
                    raise BookError(f"cannot read the log of events: {error}", hint="tallybook doctor") from None
                time.sleep(PAUSE_SECONDS)

    def close(self) -> None:
        self.log.close()
        self.compact()


class HttpSender:
    """Sends to a server, with a key."""

    def __init__(self, url: str, key: str, *, timeout: float = 30.0) -> None:
        self.url, self.timeout = url.rstrip("/"), timeout
        self.transport = HttpTransport(self.url, key)

    def send(self, events: Sequence[dict[str, Any]]) -> SentEvents:
        """In as many requests as the limits of the server need. Raises SourceUnavailable."""
        stored, rejected = 0, []
        parts = _parts([json.dumps(one, ensure_ascii=False).encode() for one in events])
        while parts:
            start, bodies = parts.pop()
            answer = self._asked(b"[" + b",".join(bodies) + b"]")
            said = answer.body if isinstance(answer.body, dict) else {}
            if answer.status == TOO_LARGE and len(bodies) > 1:
                half = len(bodies) // 2
                parts += [(start + half, bodies[half:]), (start, bodies[:half])]
            elif answer.status == TOO_LARGE:
                why = {"code": "too_large", "field": "", "reason": said.get("message") or "the event is too large"}
                rejected.append({"index": start, **why})
            else:
                stored += self._stored(answer, said)
                rejected += [{**one, "index": start + one["index"]} for one in said.get("rejected", ())]
        return SentEvents(stored=stored, rejected=rejected)

    def _asked(self, body: bytes) -> TransportAnswer:
        """The answer to a request, sent again while the server is busy. Raises SourceUnavailable."""
        until = time.monotonic() + MAX_BUSY_SECONDS
        while True:
            try:
                answer = self.transport.request("POST", EVENTS_PATH, body, self.timeout)
            except TransportFailed as failed:
                raise SourceUnavailable(
                    f"cannot send events: {failed.message}", hint="tallybook serve --listen 127.0.0.1:8321"
                ) from None
            if answer.status not in BUSY or answer.retry_after is None:
                return answer
            if time.monotonic() + answer.retry_after > until:
                return answer
            time.sleep(answer.retry_after)

    def _stored(self, answer: TransportAnswer, said: dict[str, Any]) -> int:
        """How many events of a request are stored. Raises SourceUnavailable."""
        if not (200 <= answer.status < 300 or (answer.status == 422 and "rejected" in said)):
            raise SourceUnavailable(
                f"{self.url} refused the events: {said.get('message') or f'HTTP status {answer.status}'}",
                hint=str(said.get("expected", "")),
            )
        if "stored" not in said:
            raise SourceUnavailable(f"cannot send events to {self.url}: its answer is not from a Tallybook server")
        return int(said["stored"])

    def close(self) -> None:
        self.transport.close()


def _parts(bodies: Sequence[bytes]) -> list[tuple[int, Sequence[bytes]]]:
    """Events in parts of at most MAX_REQUEST_BYTES, the first part last. Of each the number of its first event."""
    starts, size = [0], 0
    for place, one in enumerate(bodies):
        size += len(one) + 1
        if size > MAX_REQUEST_BYTES and place > starts[-1]:
            starts.append(place)
            size = len(one) + 1
    ends = [*starts[1:], len(bodies)]
    return [(start, bodies[start:end]) for start, end in reversed(list(zip(starts, ends, strict=True)))]
