"""`tallybook.Client`: what applications send usage events with."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Self

from tallybook.client import processes
from tallybook.client.queues import MemoryQueue, RecordQueue
from tallybook.client.records import SendRecord, day_record, entity_record, event_record, value_record
from tallybook.client.sending import MAX_BATCH, MAX_PAUSE_SECONDS, Sender, SendProblem
from tallybook.client.tally import SendReport, Tally
from tallybook.client.transports import BOOK, HTTP, TransportPlace
from tallybook.core import DeclarationError, EventsLost, TallybookError

LOG = logging.getLogger("tallybook.client")
MAX_QUEUE, MAX_QUEUE_BYTES, MAX_SPILL_BYTES = 100_000, 64_000_000, 256_000_000
LINGER_SECONDS = 0.5
"""An event waits this long for others, unless there are enough for a batch."""
IDLE_SECONDS = 10.0
"""Between two looks for what other processes left in the spill folder."""
EXIT_SECONDS = 5.0
SETTLE_SECONDS = 30.0
"""Seconds between two compactions of events that were stored without a server."""


class Client:
    """Sends usage events, daily values and attributes to a server, or into the book of a folder. Methods that track
    return at once; a thread sends, in batches, and sends again what was not acknowledged. May be used by several
    threads, and in children of a fork.

        client = tallybook.Client("https://tallybook.acme.com", os.environ["TALLYBOOK_KEY"])
        client.track("signup", user="u-1", account="acme", properties={"plan": "pro"})
        client.close()

    What is tracked is stored once, or `flush` and `close` return how much is not. `spill` is a folder in which it
    waits, so that it outlives a process that is killed; without one it waits in memory, `max_queue` at most. `timeout`
    is that of a request, in seconds. `background=False` sends in the calling thread; this is the default in AWS
    Lambda."""

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        book: str | os.PathLike[str] | None = None,
        spill: str | os.PathLike[str] | None = None,
        max_queue: int = MAX_QUEUE,
        max_spill_bytes: int = MAX_SPILL_BYTES,
        timeout: float = 10.0,
        linger: float = LINGER_SECONDS,
        background: bool | None = None,
    ) -> None:
        self._place = _place(url, key, book)
        self._spill = None if spill is None else os.fspath(spill)
        self._max_queue, self._max_spill_bytes = max_queue, max_spill_bytes
        self._timeout, self._linger = timeout, linger
        self._background = not processes.is_frozen_between_calls() if background is None else background
        self._closed = threading.Event()
        """The thread ends."""
        self._refuses = False
        """Nothing more is taken."""
        self._begin()
        processes.watch(self)

    def _begin(self) -> None:
        """What belongs to one process."""
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        self._tally = Tally()
        self._queue: RecordQueue | None = None
        self._sender: Sender | None = None
        self._thread: threading.Thread | None = None
        self._not_before = self._settle_at = 0.0
        """The server asked not to be asked before."""
        if self._spill is not None:
            self._opened()
            if self._background and self._waiting():
                self._start()

    def __repr__(self) -> str:
        return f"<Client {self._place.address!r}: {self.report()}>"

    # -- tracking ------------------------------------------------------------------------------------

    def track(
        self,
        event: str,
        *,
        user: str | int | None = None,
        account: str | int | None = None,
        properties: Mapping[str, Any] | None = None,
        time: datetime | str | None = None,
        id: str | None = None,  # noqa: A002  # as everywhere else in Tallybook
    ) -> None:
        """One usage event, at `time` (aware; default: now). With an `id` of yours it is stored once, however often it
        is tracked. Raises DeclarationError for what is not JSON."""
        fields = {"user": user, "account": account, "time": time, "id": id}
        self._put(event_record(event, fields, properties))

    def value(
        self,
        event: str,
        day: date | str,
        value: float | None = None,
        *,
        properties: Mapping[str, Any] | None = None,
        user: str | int | None = None,
        account: str | int | None = None,
        dimensions: Mapping[str, Any] | None = None,
    ) -> None:
        """The value of a day, or several in `properties`. The same day, user, account and dimensions again replace
        it."""
        if (value is None) == (properties is None):
            raise DeclarationError("give a value, or properties with several", hint='client.value("seats", day, 160)')
        fields = {"value": value, "properties": properties, "user": user, "account": account, "dimensions": dimensions}
        self._put(value_record(event, day, fields))

    def identify(
        self,
        user: str | int,
        attributes: Mapping[str, Any] | None = None,
        *,
        set_once: Mapping[str, Any] | None = None,
        add: Mapping[str, float] | None = None,
        unset: Sequence[str] | None = None,
        time: datetime | str | None = None,
    ) -> None:
        """Change attributes of a user: the latest by `time` wins."""
        fields = {"attributes": attributes, "set_once": set_once, "add": add, "unset": unset, "time": time}
        self._put(entity_record("users", user, fields))

    def group(
        self,
        account: str | int,
        attributes: Mapping[str, Any] | None = None,
        *,
        set_once: Mapping[str, Any] | None = None,
        add: Mapping[str, float] | None = None,
        unset: Sequence[str] | None = None,
        time: datetime | str | None = None,
    ) -> None:
        """Change attributes of an account: the latest by `time` wins."""
        fields = {"attributes": attributes, "set_once": set_once, "add": add, "unset": unset, "time": time}
        self._put(entity_record("accounts", account, fields))

    def close_day(self, event: str, day: date | str) -> None:
        """Say that a day of an event is complete, once all that was tracked before is stored. A day of which something
        was rejected or dropped is not closed; the report says so."""
        self._put(day_record(event, day))

    def _put(self, record: SendRecord) -> None:
        with self._changed:
            if self._refuses:
                raise DeclarationError("the client is closed", hint="make another tallybook.Client")
            is_kept = self._opened().queue.put(record)
            waiting = self._waiting()
            if self._background and self._thread is None:
                self._start()
            if is_kept and (waiting == 1 or waiting >= MAX_BATCH):
                self._changed.notify_all()
        if not is_kept:
            self._tally.drop(record, "the spill folder is full" if self._spill else "the queue is full")
        if not self._background:
            self._send_now()

    # -- sending -------------------------------------------------------------------------------------

    def flush(self, timeout: float = 30.0) -> SendReport:
        """Send all that was tracked before, and return what became of it. After `timeout` seconds, or where sending
        again is of no use, the rest is `waiting` in the report, and `error` says why."""
        until, queue = time.monotonic() + timeout, self._opened().queue
        goal = queue.added
        while queue.removed < goal and (left := until - time.monotonic()) > 0:
            # In slices: the thread may send what is waited for, and keep the lock for what came after it.
            if not self._sending.acquire(timeout=min(left, 0.1)):
                continue
            try:
                problem = self._step(min(self._timeout, max(left, 0.1))) if queue.removed < goal else None
            finally:
                self._sending.release()
            if problem is not None and (problem.is_refused or not self._pause(problem, until)):
                break
        self._settle(max(0.0, until - time.monotonic()))
        return self.report()

    def close(self, timeout: float = 30.0) -> SendReport:
        """Flush, and end. Raises EventsLost, which has the report, where something is not stored and will not be; what
        waits in a spill folder is not lost. Closed twice, it does nothing."""
        if self._closed.is_set():
            return self.report()
        report = self._ended(timeout)
        if report.lost:
            raise EventsLost(
                f"{report.lost} tracked events and changes are not stored: {report}",
                report,
                hint="give the client a spill folder, a larger max_queue, or close(timeout=…) more time",
            )
        return report

    def report(self) -> SendReport:
        """Counts of the events and changes tracked until now, by outcome."""
        return self._tally.report(self._waiting(), is_kept=self._spill is not None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.at_exit()

    # -- processes -----------------------------------------------------------------------------------

    def after_fork(self) -> None:
        """Begin again in a forked child: what waits in the parent is sent by the parent."""
        if self._queue is not None:
            self._queue.release()
        _PARENTS.append((self._sender, self._queue, self._changed, self._sending))
        if not self._closed.is_set():
            self._begin()

    def at_exit(self) -> None:
        """Send what waits before the process ends. What is lost is logged."""
        if self._closed.is_set() or os.getpid() != self._pid:
            return
        report = self._ended(EXIT_SECONDS)
        if report.lost:
            LOG.error("tallybook: %d tracked events and changes are not stored: %s", report.lost, report)

    def _ended(self, timeout: float) -> SendReport:
        """The last report. Nothing is taken after it is begun, so that nothing is missing in it."""
        with self._changed:
            self._refuses = True
        self.flush(timeout)
        report = self.report()
        self._end()
        return report

    def _end(self) -> None:
        with self._changed:
            self._closed.set()
            self._changed.notify_all()
        # An engine must not run in the thread while the interpreter ends: that aborts the process.
        seconds = 60 if self._place.kind == BOOK else 1
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(seconds)
        if self._sending.acquire(timeout=seconds):
            try:
                if self._sender is not None and self._sender.transport is not None:
                    self._sender.transport.close()
            except TallybookError as error:  # What is stored is in the log; the next process compacts it.
                LOG.warning("tallybook: %s", error)
            finally:
                self._sending.release()
            if self._queue is not None:
                self._queue.release()
        processes.forget(self)

    # -- the thread ----------------------------------------------------------------------------------

    def _opened(self) -> Sender:
        """The sender of this process, with its queue."""
        with self._changed:
            if self._sender is None:
                self._queue = self._new_queue()
                self._sender = Sender(self._queue, self._place, self._tally)
            return self._sender

    def _new_queue(self) -> RecordQueue:
        if self._spill is None:
            return MemoryQueue(self._max_queue, MAX_QUEUE_BYTES)
        from tallybook.client.spill import FileQueue

        return FileQueue(self._spill, self._max_spill_bytes)

    def _start(self) -> None:
        processes.keep(self)
        made = threading.Thread(target=self._work, name="tallybook-client", daemon=True)
        try:
            made.start()
        except RuntimeError:  # The interpreter is ending: what waits is sent by `at_exit`.
            return
        self._thread = made

    def _work(self) -> None:
        while not self._closed.is_set():
            with self._changed:
                if not self._waiting():
                    self._changed.wait(IDLE_SECONDS)
                if self._waiting() < MAX_BATCH and not self._closed.is_set():
                    self._changed.wait(self._linger)
            if self._closed.is_set():
                return
            with self._sending:
                if self._closed.is_set():
                    return
                problem = self._step(self._timeout)
                if not self._waiting():
                    self._opened().queue.adopt()
                    self._settle_now_and_then()
            if problem is not None:
                self._pause(problem, float("inf"))

    def _send_now(self) -> None:
        """Send in the calling thread, unless a pause was asked for."""
        processes.keep(self)
        with self._sending:
            while self._waiting() and time.monotonic() >= self._not_before:
                if (problem := self._step(self._timeout)) is not None:
                    self._not_before = time.monotonic() + problem.pause

    def _step(self, seconds: float) -> SendProblem | None:
        """Send one batch, unless the server asked for a pause that is not over."""
        left = self._not_before - time.monotonic()
        if left > 0:
            return SendProblem(reason=self._tally.error, pause=left, is_told=True)
        try:
            problem = self._opened().step(seconds)
        except Exception as error:
            LOG.log(self._severity(), "tallybook: sending failed", exc_info=True)
            self._tally.error = f"{type(error).__name__}: {error}"
            return SendProblem(reason=self._tally.error, pause=MAX_PAUSE_SECONDS, is_refused=True)
        if problem is not None and problem.is_told:
            self._not_before = time.monotonic() + problem.pause
        return problem

    def _pause(self, problem: SendProblem, until: float) -> bool:
        """Wait as long as a problem wants, but not beyond `until`. Returns whether it makes sense to go on."""
        left = until - time.monotonic()
        if problem.is_told and problem.pause > left:
            return False
        end = time.monotonic() + min(problem.pause, left)
        with self._changed:
            # Woken by what is tracked meanwhile: the pause goes on.
            while not self._closed.is_set() and (rest := end - time.monotonic()) > 0:
                self._changed.wait(rest)
        return True

    def _settle(self, seconds: float) -> None:
        """Have what was sent compacted, where this process sees to it."""
        if self._place.kind == BOOK and self._sending.acquire(timeout=seconds):
            try:
                self._settled()
            finally:
                self._sending.release()

    def _settle_now_and_then(self) -> None:
        if self._place.kind == BOOK and time.monotonic() > self._settle_at:
            self._settle_at = time.monotonic() + SETTLE_SECONDS
            self._settled()

    def _settled(self) -> None:
        try:
            if self._sender is not None and self._sender.transport is not None:
                self._sender.transport.settle()
        except TallybookError as error:  # What was sent is in the log; it is compacted another time.
            LOG.warning("tallybook: %s", error)
        except Exception:
            LOG.log(self._severity(), "tallybook: what was sent is not compacted yet", exc_info=True)

    def _severity(self) -> int:
        """The level of the log for an exception that nobody foresaw. A process that ends takes from the thread what an
        engine needs: who ends it repeats the step, so that this is no error."""
        is_ending = self._refuses and threading.current_thread() is self._thread
        return logging.DEBUG if is_ending else logging.ERROR

    def _waiting(self) -> int:
        return 0 if self._queue is None else self._queue.added - self._queue.removed


_PARENTS: list[object] = []
"""What a forked child has of its parent: it is kept, so that nothing of it is closed."""


def _place(url: str | None, key: str | None, book: str | os.PathLike[str] | None) -> TransportPlace:
    if book is not None:
        if url is not None or key is not None:
            raise DeclarationError("a client has a url and a key, or a book", hint='tallybook.Client(book=".")')
        return TransportPlace(kind=BOOK, address=os.fspath(book))
    if not url or not key:
        raise DeclarationError(
            "a client needs the url of a server and a key, or a book",
            hint='tallybook.Client("https://tallybook.acme.com", key), or tallybook.Client(book=".")',
        )
    if not url.startswith(("http://", "https://", "unix:")):
        raise DeclarationError(f"{url!r} is no address of a server", hint='tallybook.Client("https://…", key)')
    if not key.isascii() or not key.isprintable():
        raise DeclarationError("the key is not a text of printable ASCII characters", hint="tallybook keys create NAME")
    return TransportPlace(kind=HTTP, address=url, key=key)
