"""Instants that a clock which was ahead wrote into the ledger. Compared with now they would last until then: an item of
the outbox would wait, and a rule would stay silent. They are set to now, when it is first seen that they cannot be."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from tallybook.storage.outbox_records import PLANNED, UNKNOWN_OUTCOME
from tallybook.storage.sql_ledger import SqlLedger
from tallybook.storage.stored_rows import stamp_of
from tallybook.storage.transaction import Transaction

MAX_CLOCK_SKEW = timedelta(minutes=5)
"""Clocks of several hosts differ by so much at most."""
LONGEST_PAUSE = timedelta(hours=25)
"""A receiver is asked again after a day at most."""


def correct_outbox(db: Transaction, delivery: str, now: datetime) -> None:
    """Let items of a delivery, and its receiver, wait no longer than from now on."""
    stamp, latest = stamp_of(now), stamp_of(now + MAX_CLOCK_SKEW)
    db.execute(
        "UPDATE outbox SET next = ?, at = ? WHERE delivery = ? AND state IN (?, ?) AND next > ? AND at > ?",
        [stamp, stamp, delivery, PLANNED, UNKNOWN_OUTCOME, latest, latest],
    )
    db.execute(
        "UPDATE outbox_deliveries SET again = NULL WHERE delivery = ? AND again > ?",
        [delivery, stamp_of(now + LONGEST_PAUSE)],
    )


def correct_rules(ledger: SqlLedger, *, now: datetime, day: date) -> None:
    """Evaluations, firings and collisions are of now at the latest; `day`: the last day of the metrics. A firing that
    waits for the end of quiet hours is looked at again."""
    stamp, latest = stamp_of(now), stamp_of(now + MAX_CLOCK_SKEW)
    with ledger._reading() as db:
        last = db.execute("SELECT at FROM rule_evaluations ORDER BY number DESC LIMIT 1").fetchone()
    if last is None or last[0] <= latest:
        return
    with ledger._writing() as db:
        db.execute("UPDATE firings SET due = ? WHERE due > ? AND at > ?", [stamp, latest, latest])
        db.execute("UPDATE firings SET at = ?, day = ? WHERE at > ?", [stamp, day.isoformat(), latest])
        db.execute("UPDATE collisions SET at = ? WHERE at > ?", [stamp, latest])
        db.execute("UPDATE rule_evaluations SET at = ?, day = ? WHERE at > ?", [stamp, day.isoformat(), latest])
