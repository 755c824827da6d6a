"""Group commit: one thread writes the rows of all waiting requests with one sync. Only then are the requests
answered."""

from __future__ import annotations

import asyncio
import os
import queue
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress

from tallybook.ingest.log import EventLog, LogFailed, LogFolder, LogFull, LogRow

MAX_GROUP = 1_000
"""Maximum number of rows written together."""
FAILED = 74
"""The exit code of a process whose log failed."""


def end_process(error: LogFailed) -> None:
    """End this process at once. Everything acknowledged so far is on disk; nothing more is acknowledged."""
    print(f"tallybook: the log of events failed, this process ends: {error}", file=sys.stderr, flush=True)  # noqa: T201
    os._exit(FAILED)


class _LoopFuture:
    """A future of an event loop that the thread of the log completes. The futures of a group are set together, because
    waking a loop is the most expensive part."""

    def __init__(self, loop: asyncio.AbstractEventLoop, future: asyncio.Future[tuple[str, int]]) -> None:
        self.loop, self.future = loop, future
        self.place: tuple[str, int] | None = None
        self.error: BaseException | None = None

    def set_running_or_notify_cancel(self) -> bool:
        return True  # Only its loop knows whether it was cancelled.

    def set_result(self, place: tuple[str, int]) -> None:
        self.place = place

    def set_exception(self, error: BaseException) -> None:
        self.error = error

    def resolve(self) -> None:
        """Answer the waiting coroutine. Called in the loop."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        elif self.place is not None:
            self.future.set_result(self.place)


_Waiting = tuple[LogRow, "Future[tuple[str, int]] | _LoopFuture"]


class GroupCommit:
    """Appends rows in its own thread. The result for a row is (log, position), available once the row is on disk."""

    def __init__(
        self,
        logs: LogFolder,
        *,
        max_bytes: int | None = None,
        on_failure: Callable[[LogFailed], None] = end_process,
    ) -> None:
        self.logs, self.max_bytes, self.on_failure = logs, max_bytes or logs.max_log_bytes, on_failure
        self.log: EventLog = logs.new()
        self.written = 0
        self.failed: LogFailed | None = None
        self.waiting: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._work, name="tallybook-log", daemon=True)
        self.thread.start()

    def append(self, row: LogRow) -> Future[tuple[str, int]]:
        """Append a row. The future raises LogFull if there is no room for the row."""
        found: Future[tuple[str, int]] = Future()
        self.waiting.put((row, found))
        return found

    async def on_disk(self, row: LogRow) -> tuple[str, int]:
        """Append a row from a coroutine. Cancelling it does not affect the other rows."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[tuple[str, int]] = loop.create_future()
        self.waiting.put((row, _LoopFuture(loop, found)))
        return await found

    def close(self) -> None:
        """Write the waiting rows and close the log."""
        self.waiting.put(None)
        self.thread.join()
        self.log.close()

    def _work(self) -> None:
        ended = False
        while not ended:
            group = [self.waiting.get()]
            while len(group) < MAX_GROUP and not self.waiting.empty():
                group.append(self.waiting.get())
            ended = None in group
            rows = [one for one in group if one is not None]
            self._write(rows)
            _wake(rows)

    def _write(self, group: list[_Waiting]) -> None:
        # A disconnected client has cancelled its future. The others must still be answered.
        group = [one for one in group if one[1].set_running_or_notify_cancel()]
        if not group:
            return
        if self.failed is not None:
            for _, future in group:
                future.set_exception(self.failed)
            return
        try:
            places = self.log.append([row for row, _ in group])
        except LogFull as full:
            for _, future in group:
                future.set_exception(full)
            return
        except Exception as error:  # noqa: BLE001  # after any other error it is not known what is on disk
            self.failed = error if isinstance(error, LogFailed) else LogFailed(repr(error))
            self.on_failure(self.failed)
            for _, future in group:
                future.set_exception(self.failed)
            return
        for (_, future), place in zip(group, places, strict=True):
            future.set_result((self.log.name, place))
        self.written += sum(len(row.body) for row, _ in group)
        if self.written >= self.max_bytes:
            self._turn()

    def _turn(self) -> None:
        """Switch to a new log. If none can be created, continue with this one."""
        try:
            new = self.logs.new()
        except LogFull:
            return
        self.log.close()
        self.log, self.written = new, 0


def _wake(group: Sequence[_Waiting]) -> None:
    """Answer the coroutines of a group."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_LoopFuture]] = {}
    for _, waiting in group:
        if isinstance(waiting, _LoopFuture):
            by_loop.setdefault(waiting.loop, []).append(waiting)
    for loop, those in by_loop.items():
        with suppress(RuntimeError):  # The server of this loop has ended.
            loop.call_soon_threadsafe(_resolve_all, those)


def _resolve_all(those: Sequence[_LoopFuture]) -> None:
    for one in those:
        one.resolve()
