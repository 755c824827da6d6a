"""Time limits for whole exchanges. A socket's time limit applies to each step, so a server that sends a byte now and
then would never reach it. Here, one thread ends every exchange that takes too long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tallybook.core import forks

IDLE_SECONDS = 5.0


class Deadlines:
    """Calls `stop` of each exchange that takes too long. Usable from several threads and in forked children."""

    def __init__(self) -> None:
        self._begin()
        forks.watch(self)

    def _begin(self) -> None:
        self._changed = threading.Condition()
        self._entries: dict[int, tuple[float, Callable[[], None]]] = {}
        self._next = 0
        self._runs = False

    @contextmanager
    def limit(self, seconds: float, stop: Callable[[], None]) -> Iterator[None]:
        """Run the block, and call `stop` if it takes longer than `seconds`."""
        entry = self._add(time.monotonic() + seconds, stop)
        try:
            yield
        finally:
            with self._changed:
                self._entries.pop(entry, None)

    def before_fork(self) -> None:
        """Do nothing: the child starts without entries."""

    def after_fork_in_parent(self) -> None:
        """Do nothing."""

    def after_fork_in_child(self) -> None:
        """Forget the entries of the parent, before the child has threads: one would forget those of another."""
        self._begin()

    def _add(self, at: float, stop: Callable[[], None]) -> int:
        with self._changed:
            self._next += 1
            self._entries[self._next] = (at, stop)
            if not self._runs:
                self._runs = True
                threading.Thread(target=self._watch, daemon=True, name="tallybook-deadlines").start()
            elif at <= min(at for at, _ in self._entries.values()):
                self._changed.notify()
            return self._next

    def _watch(self) -> None:
        idle_since = time.monotonic()
        while True:
            with self._changed:
                now = time.monotonic()
                late = [entry for entry, (at, _) in self._entries.items() if at <= now]
                stops = [self._entries.pop(entry)[1] for entry in late]
                if self._entries or stops:
                    idle_since = now
                elif now - idle_since > IDLE_SECONDS:
                    self._runs = False
                    return
                if not stops:
                    soonest = min((at for at, _ in self._entries.values()), default=now + IDLE_SECONDS)
                    self._changed.wait(max(soonest - now, 0.001))
            for stop in stops:
                stop()


DEADLINES = Deadlines()
