"""Leases in the tables of a ledger: the exclusive right to write to a book."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from tallybook.core import Busy
from tallybook.storage.ledger import Lease
from tallybook.storage.processes import this_holder
from tallybook.storage.stored_rows import stamp_of
from tallybook.storage.transaction import LedgerDatabase, Transaction

MAX_CLOCK_DIFFERENCE = timedelta(hours=1)
"""Maximum difference between the clocks of two hosts that share a book. A holder that loses its lease through a larger
difference cannot commit."""


class SqlLeases(LedgerDatabase):
    """Methods for leases; `Ledger` documents each of them."""

    def acquire(self, job: str, *, now: datetime, seconds: float) -> Lease:
        holder = json.dumps(self._holder())
        with self._writing() as db:
            row = db.execute("SELECT holder, fence, heartbeat, expires FROM leases WHERE job = ?", [job]).fetchone()
            at = self._instant(db, now)
            if row and row[0] and is_lease_valid(at, *row[2:]) and self._is_alive(row[0]):
                who = json.loads(row[0])
                raise Busy(
                    f"another run is writing to this book: process {who['pid']} on {who['host']}, last heard of "
                    f"{row[2]}",
                    hint="wait for it to end, then run again; what it did need not be done twice",
                )
            fence = (row[1] if row else 0) + 1
            db.execute(
                "INSERT INTO leases VALUES (?, ?, ?, ?, ?) ON CONFLICT (job) DO UPDATE SET "
                "holder = excluded.holder, fence = excluded.fence, heartbeat = excluded.heartbeat, expires = "
                "excluded.expires",
                [job, holder, fence, stamp_of(at), stamp_of(at + timedelta(seconds=seconds))],
            )
        return Lease(job, holder, fence)

    def _holder(self) -> dict[str, Any]:
        """This process, in the form in which others check whether it is alive."""
        return this_holder()

    def renew(self, lease: Lease, *, now: datetime, seconds: float) -> bool:
        with self._writing() as db:
            at = self._instant(db, now)
            done = db.execute(
                "UPDATE leases SET heartbeat = ?, expires = ? WHERE job = ? AND fence = ? AND holder IS NOT NULL",
                [stamp_of(at), stamp_of(at + timedelta(seconds=seconds)), lease.job, lease.fence],
            )
            return done.rowcount == 1

    def release(self, lease: Lease) -> None:
        with self._writing() as db:
            db.execute("UPDATE leases SET holder = NULL WHERE job = ? AND fence = ?", [lease.job, lease.fence])

    def leased(self, *, now: datetime) -> list[str]:
        with self._reading() as db:
            rows = db.execute("SELECT job, holder, heartbeat, expires FROM leases WHERE holder IS NOT NULL").fetchall()
            at = self._instant(db, now)
        return [job for job, holder, *held in rows if is_lease_valid(at, *held) and self._is_alive(holder)]


def is_lease_valid(at: datetime, heartbeat: str, expires: str) -> bool:
    """Whether a lease is still valid. A lease from the far future was taken by a clock that was ahead, and would never
    end."""
    return stamp_of(at) < expires and heartbeat <= stamp_of(at + MAX_CLOCK_DIFFERENCE)


def check_lease(db: Transaction, lease: Lease) -> None:
    row = db.execute("SELECT fence, holder FROM leases WHERE job = ?", [lease.job]).fetchone()
    if not row or row[0] != lease.fence or row[1] is None:
        raise Busy("this run was taken over by another: it had not been heard of for too long", hint="tallybook run")
