"""Instants that a clock which was ahead wrote into the ledger. Compared with now they would last until then: an item of
the outbox would wait, and a rule would stay silent."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from tallybook.core import ONE_DAY, calendar
from tallybook.storage.outbox_records import PLANNED, UNKNOWN_OUTCOME
from tallybook.storage.rule_ledger import Firing
from tallybook.storage.sql_ledger import SqlLedger
from tallybook.storage.stored_rows import stamp_of
from tallybook.storage.transaction import Transaction

MAX_CLOCK_SKEW = timedelta(minutes=5)
"""Clocks of several hosts differ by so much at most."""
LONGEST_PAUSE = timedelta(hours=25)
"""A receiver is asked again after a day at most."""
CONFIRMED_WITHIN = timedelta(days=31)
"""How long before now other days must be known for a clock to be believed."""


def is_clock_confirmed(ledger: SqlLedger, now: datetime) -> bool:
    """Whether runs and commits of events are of two earlier days of the last month. By a clock that jumped ahead there
    are none: what is deleted because of its age waits until the clock was there on two days."""
    days: set[str] = set()
    since = stamp_of(now - CONFIRMED_WITHIN)
    with ledger._reading() as db:
        for table, column in (("runs", "started"), ("event_commits", "at")):
            before = stamp_of(now)[:10]
            for _ in range(2):
                asked = f"SELECT max({column}) FROM {table} WHERE {column} < ? AND {column} >= ?"
                found = db.execute(asked, [before, since]).fetchone()[0]
                if found is None:
                    break
                before = found[:10]
                days.add(before)
    return len(days) > 1


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


def firings_until(ledger: SqlLedger, firings: Sequence[Firing], now: datetime, zone: str) -> list[Firing]:
    """The firings as caps count them. One of after now was made before the evaluation that followed it, which is as
    late as it can be. Where that one is of after now too, or there is none, it is one of now. What waits for the end of
    quiet hours is looked at now.

    Nothing is written: it may be this clock that is wrong."""
    stamp, latest = stamp_of(now), stamp_of(now + MAX_CLOCK_SKEW)
    if all(one.at <= latest for one in firings):
        return list(firings)
    with ledger._reading() as db:
        known = db.execute("SELECT number, at FROM rule_evaluations WHERE at <= ? ORDER BY number", [stamp]).fetchall()
    numbers = [number for number, _ in known]

    def until_now(one: Firing) -> Firing:
        place = bisect_right(numbers, one.number)
        at = known[place][1] if place < len(known) else stamp
        day = calendar.day_of(datetime.fromisoformat(at), zone) - ONE_DAY
        due = stamp if one.due is not None and one.due > latest else one.due
        return replace(one, at=at, day=min(one.day, day), due=due)

    return [until_now(one) if one.at > latest else one for one in firings]
