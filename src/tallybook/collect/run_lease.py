"""The lease on writing to a book. A run keeps it while it works; other verbs keep it for a few minutes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from tallybook.collect.run_context import RunContext
from tallybook.core import TallybookError
from tallybook.storage import Lease, Store

JOB = "collect"


LEASE_SECONDS = 60.0


EXCLUSIVE_SECONDS = 600.0


@contextmanager
def lease_kept_alive(context: RunContext, lease: Lease) -> Iterator[None]:
    """Renew the lease from another thread while the block runs, and release it at the end."""
    stop = threading.Event()

    def renew() -> None:
        while not stop.wait(LEASE_SECONDS / 4):
            # The ledger is locked for too long, or the disk is full. The next attempt may succeed, and the commit
            # checks the lease.
            with suppress(TallybookError):
                if not context.store.ledger.renew(lease, now=context.clock(), seconds=LEASE_SECONDS):
                    break
        # This closes what this thread has opened in the ledger, such as a connection.
        context.store.ledger.close()

    thread = threading.Thread(target=renew, daemon=True, name="tallybook-lease")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        context.store.ledger.release(lease)


@contextmanager
def exclusive_run(store: Store, clock: Callable[[], datetime], job: str) -> Iterator[tuple[Lease, int, dict[str, Any]]]:
    """Run a job of a few minutes with the lease of the book. Yields the lease, the number of this run, and its report
    to fill in.

    Raises Busy while another run has the lease."""
    lease = store.ledger.acquire(JOB, now=clock(), seconds=EXCLUSIVE_SECONDS)
    try:
        run = store.ledger.start_run(job, now=clock())
        report: dict[str, Any] = {"metrics": []}
        status = "failed"
        try:
            yield lease, run, report
            status = "done"
        finally:
            store.ledger.finish_run(run, status, report, now=clock())
    finally:
        store.ledger.release(lease)
