"""Corrects instants in the ledger that were written by a clock that ran ahead.

Without a correction they would apply until the real time catches up: an item of the outbox would wait, and a rule
would not fire."""

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
"""Allowed difference between the clocks of several hosts."""
LONGEST_PAUSE = timedelta(hours=25)
"""The longest pause before a receiver is contacted again: a day, plus a margin of an hour."""
CONFIRMED_WITHIN = timedelta(days=31)
"""The period before now in which other days must be recorded before a clock is trusted."""


def is_clock_confirmed(ledger: SqlLedger, now: datetime) -> bool:
    """Whether the runs and event commits of the last month include two earlier days.

    A clock that jumped ahead has none. Deletion by age therefore waits until the clock has been recorded on two
    days."""
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
    """Shorten waits of a delivery's items, and of its receiver, that lie in the future because of a clock that was
    ahead."""
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
    """The firings with corrected instants, for counting against caps.

    A firing after `now` was made at the latest just before the next evaluation, so it gets the instant of that
    evaluation. Without such an evaluation before `now`, it gets `now`. A due instant after `now`, at the end of quiet
    hours, becomes `now`. Nothing is written, because this process's own clock may be the wrong one."""
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
