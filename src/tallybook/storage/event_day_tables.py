"""What the ledger knows of the days of events: for which something came, of which keys, and when servers ran."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from urllib.parse import quote

from tallybook.storage.sql_ledger import SqlLedger
from tallybook.storage.stored_rows import stamp_of
from tallybook.storage.transaction import Transaction


class EventDayTables:
    """The tables `event_days`, `event_pushed`, `event_closed`, `event_kept` and `served`."""

    ledger: SqlLedger

    def days_with_events(self, event: str) -> set[date]:
        """The days of an event for which something was ever stored."""
        with self.ledger._reading() as db:
            found = db.execute("SELECT DISTINCT day FROM event_days WHERE event = ?", [event]).fetchall()
        return {date.fromisoformat(day) for (day,) in found}

    def touched(self, event: str) -> dict[date, int]:
        """By day of an event: the number of the last commit that stored something for it."""
        with self.ledger._reading() as db:
            asked = "SELECT day, max(number) FROM event_days WHERE event = ? GROUP BY day"
            return {date.fromisoformat(day): number for day, number in db.execute(asked, [event]).fetchall()}

    def closed_days(self, event: str) -> set[date]:
        """The days of an event that were declared complete."""
        with self.ledger._reading() as db:
            found = db.execute("SELECT DISTINCT day FROM event_closed WHERE event = ?", [event]).fetchall()
        return {date.fromisoformat(day) for (day,) in found}

    def whole_days(self, event: str, keys: Sequence[str] = ()) -> set[date]:
        """The days of an event for which something came, or which were closed: of `keys` from each of them. A key that
        is not among these closes a day for all."""
        if not keys:
            return self.days_with_events(event) | self.closed_days(event)
        with self.ledger._reading() as db:
            closed = db.execute("SELECT day, key FROM event_closed WHERE event = ?", [event]).fetchall()
            pushed = db.execute("SELECT day, key FROM event_pushed WHERE event = ?", [event]).fetchall()
        there: dict[str, set[str]] = {}
        for day, key in [*closed, *pushed]:
            there.setdefault(day, set()).add(key)
        for_all = {day for day, key in closed if key not in keys}
        return {date.fromisoformat(day) for day, own in there.items() if day in for_all or own.issuperset(keys)}

    def pauses(self) -> list[tuple[datetime, datetime]]:
        """When no server ran, after the first one started."""
        with self.ledger._reading() as db:
            served = db.execute("SELECT first, last FROM served ORDER BY first, last").fetchall()
        return gaps_of([(datetime.fromisoformat(a), datetime.fromisoformat(b)) for a, b in served])

    def kept_from(self) -> date | None:
        """The first day whose events are still kept; None while all are."""
        with self.ledger._reading() as db:
            return kept_from_of(db)

    def close_day(self, event: str, day: date, key: str, *, now: datetime) -> None:
        """Record that a day of an event is complete. Doing it again changes nothing."""
        with self.ledger._writing() as db:
            row = [event, day.isoformat(), key]
            db.execute("DELETE FROM event_closed WHERE event = ? AND day = ? AND key = ?", row)
            db.execute("INSERT INTO event_closed (event, day, key, at) VALUES (?, ?, ?, ?)", [*row, stamp_of(now)])

    def open_day(self, event: str, day: date) -> None:
        """Take back that a day of an event is complete, whoever declared it."""
        with self.ledger._writing() as db:
            db.execute("DELETE FROM event_closed WHERE event = ? AND day = ?", [event, day.isoformat()])


def kept_from_of(db: Transaction) -> date | None:
    """The first day whose events are still kept; None while all are."""
    (found,) = db.execute("SELECT max(first) FROM event_kept").fetchone() or (None,)
    return date.fromisoformat(str(found)) if found else None


def note_kept_from(db: Transaction, first: date, number: int, now: datetime) -> None:
    """Record in a transaction that the events of the days before `first` are deleted."""
    row = [first.isoformat(), number, stamp_of(now)]
    if not db.execute("SELECT 1 FROM event_kept WHERE first = ?", row[:1]).fetchone():
        db.execute("INSERT INTO event_kept (first, number, at) VALUES (?, ?, ?)", row)


def not_kept(first: date) -> str:
    """Why days before `first` cannot be collected."""
    return f"events of days before {first} are no longer kept ([events] keep)"


def day_path(event: str, day: date) -> str:
    """The path of the HTTP API at which a day of an event is closed."""
    return f"/v1/days/{quote(event, safe='')}/{day}"


def gaps_of(served: Sequence[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """The stretches in which nobody served, after the first server started."""
    gaps: list[tuple[datetime, datetime]] = []
    until: datetime | None = None
    for first, last in sorted(served):
        if until is not None and first > until:
            gaps.append((until, first))
        until = last if until is None else max(until, last)
    return gaps
