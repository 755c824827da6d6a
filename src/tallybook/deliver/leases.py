"""The lease on one delivery. A thread renews it, and it is checked before every request."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

from tallybook.core import Busy, TallybookError
from tallybook.storage import Lease, Ledger

LEASE_SECONDS = 60.0
RENEWED_EVERY = LEASE_SECONDS / 4


class HeldLease:
    """A lease on one delivery that is renewed while it is needed."""

    def __init__(self, ledger: Ledger, lease: Lease, clock: Callable[[], datetime]) -> None:
        self.ledger, self.lease, self.clock = ledger, lease, clock
        self._renewed = _instants(clock)
        self._is_lost = False
        self._stop = threading.Event()

    def check(self) -> None:
        """Raise Busy if the lease is lost, or may have expired because the ledger could not be reached."""
        passed = max(now - then for now, then in zip(_instants(self.clock), self._renewed, strict=True))
        if self._is_lost or passed > LEASE_SECONDS:
            raise Busy(
                "another process took over this delivery: this one was not heard of for too long",
                hint="tallybook deliver",
            )

    def renew(self) -> None:
        """Renew the lease until it is released. Runs in its own thread."""
        while not self._stop.wait(RENEWED_EVERY):
            began = _instants(self.clock)
            # The ledger was locked for too long. The next attempt may succeed, and `check` knows the age of the last
            # renewal.
            with suppress(TallybookError):
                if not self.ledger.renew(self.lease, now=self.clock(), seconds=LEASE_SECONDS):
                    self._is_lost = True
                    break
                self._renewed = began
        self.ledger.close()

    def stop(self) -> None:
        self._stop.set()


def _instants(clock: Callable[[], datetime]) -> tuple[float, float]:
    """Two clocks in seconds: one that nobody sets, and that of the ledger. The first stops while the machine sleeps,
    and others do not wait for it."""
    return time.monotonic(), clock().timestamp()


@contextmanager
def delivery_lease(ledger: Ledger, job: str, clock: Callable[[], datetime]) -> Iterator[HeldLease]:
    """Keep the lease of a delivery while the block runs. Raises Busy if another process has it."""
    try:
        lease = ledger.acquire(job, now=clock(), seconds=LEASE_SECONDS)
    except Busy:
        raise Busy(
            "another process is delivering from this book", hint="wait for it to end, then: tallybook deliver"
        ) from None
    held = HeldLease(ledger, lease, clock)
    thread = threading.Thread(target=held.renew, daemon=True, name="tallybook-delivery-lease")
    thread.start()
    try:
        yield held
    finally:
        held.stop()
        thread.join()
        ledger.release(lease)
