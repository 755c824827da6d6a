"""The log in a PostgreSQL ledger, for hosts without a durable disk. Each request is one row.

PostgreSQL flushes its own log before a commit returns, and before any reader sees it."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress

from tallybook.core import BookUnavailable, Busy, TallybookError
from tallybook.ingest.log import LogAway, LogFailed, LogFull, LogRow
from tallybook.storage import LEDGER_HOST, RequestLog, StoredRequest

MAX_LOG_BYTES = 16 * 1024 * 1024
"""Maximum size of a log. It is kept small, because a log is deleted as a whole."""


class LedgerLog:
    """One log. Its writer counts as alive while it appends or calls `LedgerLogs.beat`."""

    def __init__(self, requests: RequestLog, name: str, *, writing: bool) -> None:
        self.requests, self.name, self.writing = requests, name, writing

    def append(self, rows: Sequence[LogRow]) -> list[int]:
        stored = [
            StoredRequest(
                n=0,
                received=row.received,
                key=row.key,
                protocol=row.protocol,
                path=row.path,
                headers=row.headers,
                body=row.body,
            )
            for row in rows
        ]
        try:
            numbers = self.requests.append(self.name, stored)
        except (Busy, BookUnavailable) as error:
            raise LogAway(error.message) from error
        except TallybookError as error:  # The server has rolled everything back, for example because its disk is full.
            raise LogFull(error.message) from error
        if len(numbers) != len(rows):
            raise LogFailed(f"the log {self.name} was dropped: this process was taken for dead")
        return numbers

    def read(self, after: int, max_bytes: int) -> list[LogRow]:
        found = self.requests.read(self.name, after, max_bytes)
        return [
            LogRow(
                n=one.n,
                received=one.received,
                key=one.key,
                protocol=one.protocol,
                path=one.path,
                headers=one.headers,
                body=one.body,
            )
            for one in found
        ]

    def erase(self, numbers: Sequence[int]) -> None:
        self.requests.erase(self.name, numbers)

    def close(self) -> None:
        if self.writing:
            self.writing = False
            # The ledger cannot be reached. The log then ends because its writer is silent.
            with suppress(TallybookError):
                self.requests.end(self.name)

    def drop(self) -> None:
        self.requests.drop(self.name)


class LedgerLogs:
    """The logs of all hosts that write to one ledger."""

    host = LEDGER_HOST
    max_log_bytes = MAX_LOG_BYTES

    def __init__(self, requests: RequestLog, now: Callable[[], float] = time.time) -> None:
        self.requests, self.now = requests, now
        self.current: LedgerLog | None = None

    def new(self) -> LedgerLog:
        name = f"{int(self.now() * 1000):013d}-{os.getpid()}-{uuid.uuid4().hex[:12]}"
        try:
            self.requests.register(name)
        except TallybookError as error:
            raise LogAway(error.message) from error
        self.current = LedgerLog(self.requests, name, writing=True)
        return self.current

    def names(self) -> list[str]:
        return self.requests.files()

    def open(self, name: str) -> LedgerLog:
        return LedgerLog(self.requests, name, writing=False)

    def has_writer(self, name: str) -> bool:
        return self.requests.has_writer(name)

    def byte_count(self) -> int:
        return self.requests.waiting_bytes()

    def beat(self) -> None:
        if self.current is not None and self.current.writing:
            self.requests.beat(self.current.name)
