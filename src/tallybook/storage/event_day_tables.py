"""The ledger's data about days of events: which days have events, from which keys, and when servers ran."""

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
        """The days of an event for which anything was ever stored."""
        with self.ledger._reading() as db:
            found = db.execute("SELECT DISTINCT day FROM event_days WHERE event = ?", [event]).fetchall()
        return {date.fromisoformat(day) for (day,) in found}

    def touched(self, event: str) -> dict[date, int]:
        """The number of the last commit that stored something for each day of an event."""
        with self.ledger._reading() as db:
            asked = "SELECT day, max(number) FROM event_days WHERE event = ? GROUP BY day"
            return {date.fromisoformat(day): number for day, number in db.execute(asked, [event]).fetchall()}

    def closed_days(self, event: str) -> set[date]:
        """The days of an event that were declared complete."""
        with self.ledger._reading() as db:
            found = db.execute("SELECT DISTINCT day FROM event_closed WHERE event = ?", [event]).fetchall()
        return {date.fromisoformat(day) for (day,) in found}

    def whole_days(self, event: str, keys: Sequence[str] = ()) -> set[date]:
        """The days of an event that have events or were closed. With `keys`: only days complete for each of these keys.

        A key that is not in `keys` closes a day for all keys."""
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
        """The periods without a running server, after the first server started."""
        with self.ledger._reading() as db:
            served = db.execute("SELECT first, last FROM served ORDER BY first, last").fetchall()
        return gaps_of([(datetime.fromisoformat(a), datetime.fromisoformat(b)) for a, b in served])

    def kept_from(self) -> date | None:
        """The first day whose events are still kept; None if all are."""
        with self.ledger._reading() as db:
            return kept_from_of(db)

    def close_day(self, event: str, day: date, key: str, *, now: datetime) -> None:
        """Record that a day of an event is complete. Safe to repeat."""
        with self.ledger._writing() as db:
            row = [event, day.isoformat(), key]
            db.execute("DELETE FROM event_closed WHERE event = ? AND day = ? AND key = ?", row)
            db.execute("INSERT INTO event_closed (event, day, key, at) VALUES (?, ?, ?, ?)", [*row, stamp_of(now)])

    def open_day(self, event: str, day: date) -> None:
        """Remove every record that a day of an event is complete, whichever key made it."""
        with self.ledger._writing() as db:
            db.execute("DELETE FROM event_closed WHERE event = ? AND day = ?", [event, day.isoformat()])


def kept_from_of(db: Transaction) -> date | None:
    """The first day whose events are still kept; None if all are."""
    (found,) = db.execute("SELECT max(first) FROM event_kept").fetchone() or (None,)
    return date.fromisoformat(str(found)) if found else None


def note_kept_from(db: Transaction, first: date, number: int, now: datetime) -> None:
    """Record, inside a transaction, that the events before `first` are deleted."""
    row = [first.isoformat(), number, stamp_of(now)]
    if not db.execute("SELECT 1 FROM event_kept WHERE first = ?", row[:1]).fetchone():
        db.execute("INSERT INTO event_kept (first, number, at) VALUES (?, ?, ?)", row)


def not_kept(first: date) -> str:
    """The reason why days before `first` cannot be collected."""
    return f"events of days before {first} are no longer kept ([events] keep)"


def day_path(event: str, day: date) -> str:
    """The path of the HTTP API that closes a day of an event."""
    return f"/v1/days/{quote(event, safe='')}/{day}"


def gaps_of(served: Sequence[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """The periods without a running server, after the first server started."""
    gaps: list[tuple[datetime, datetime]] = []
    until: datetime | None = None
    for first, last in sorted(served):
        if until is not None and first > until:
            gaps.append((until, first))
        until = last if until is None else max(until, last)
    return gaps
