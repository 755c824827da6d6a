"""The outbox in a ledger: each item that a delivery sends irrevocably, and its state.

An item is `planned`, then `sending` before its request begins, then `sent`, `refused` or `unknown`. The sender owns the
lease of the delivery, and every change checks the lease: a process that lost it changes nothing. Days whose items are
all settled are folded to one row each. The last value of an attribute is kept as a hash."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

from tallybook.storage.ahead import correct_outbox
from tallybook.storage.ledger import Lease
from tallybook.storage.outbox_records import (
    MAY_HAVE_ARRIVED,
    PLANNED,
    REFUSED_ITEM,
    SENDING,
    SENT,
    UNKNOWN_OUTCOME,
    Attempt,
    FoldedDay,
    OutboxItem,
    OutboxRow,
    PlannedDelivery,
    ReceiverHealth,
    ReservedPace,
    Settled,
    quoted_part,
)
from tallybook.storage.outbox_writing import (
    MAX_ANSWER_CHARACTERS,
    ROW,
    OutboxPlan,
    fold_settled,
    keep_attempts,
    keep_health,
)
from tallybook.storage.sql_leases import check_lease
from tallybook.storage.sql_ledger import SqlLedger
from tallybook.storage.stored_rows import stamp_of

PLANNED_FIELDS = ("version", "entities", "question", "at", "stopped", "failures", "again", "said")
LOOKUP = 500
"""Items per statement."""
SECOND = 1_000_000
"""A second in the unit of `outbox_pace.slot`, microseconds."""


class OutboxLedger:
    """The tables of the outbox in a ledger. Every method is one transaction."""

    def __init__(self, ledger: SqlLedger) -> None:
        self.ledger = ledger

    # -- reading -----------------------------------------------------------------------------------

    def planned(self, delivery: str) -> PlannedDelivery | None:
        """The planning state of a delivery; None if it was never planned."""
        return self.all_planned().get(delivery)

    def all_planned(self) -> dict[str, PlannedDelivery]:
        """The planning state of each delivery."""
        with self.ledger._reading() as db:
            rows = db.execute(f"SELECT delivery, {', '.join(PLANNED_FIELDS)} FROM outbox_deliveries").fetchall()
        return {name: PlannedDelivery(**dict(zip(PLANNED_FIELDS, values, strict=True))) for name, *values in rows}

    def counts(self) -> dict[str, dict[str, int]]:
        """{delivery: {state: number of items}} for items that are not folded."""
        found: dict[str, dict[str, int]] = {}
        with self.ledger._reading() as db:
            rows = db.execute("SELECT delivery, state, count(*) FROM outbox GROUP BY delivery, state").fetchall()
        for delivery, state, number in rows:
            found.setdefault(delivery, {})[state] = number
        return found

    def folded(self, delivery: str) -> dict[date, FoldedDay]:
        """The planned days of a delivery."""
        with self.ledger._reading() as db:
            rows = db.execute(
                "SELECT day, version, hash, items FROM outbox_folded WHERE delivery = ?", [delivery]
            ).fetchall()
        return {
            date.fromisoformat(day): FoldedDay(version=version, hash=hash_, items=items)
            for day, version, hash_, items in rows
        }

    def gone(self, delivery: str, day: date) -> set[str]:
        """The items of a day that once arrived and now have no value."""
        with self.ledger._reading() as db:
            rows = db.execute(
                "SELECT item FROM outbox_gone WHERE delivery = ? AND day = ?", [delivery, str(day)]
            ).fetchall()
        return {item for (item,) in rows}

    def wanted(self, delivery: str) -> list[tuple[str, str]]:
        """(entity, body) of the state that rules want each entity to have, in order of entities."""
        with self.ledger._reading() as db:
            asked = "SELECT entity, body FROM outbox_wanted WHERE delivery = ? ORDER BY entity"
            return [(entity, body) for entity, body in db.execute(asked, [delivery]).fetchall()]

    def wanted_state(self, delivery: str) -> tuple[int, int]:
        """(number of the last evaluation that changed them, number of entities) of the states that rules want."""
        with self.ledger._reading() as db:
            asked = "SELECT coalesce(max(number), 0), count(*) FROM outbox_wanted WHERE delivery = ?"
            number, entities = db.execute(asked, [delivery]).fetchone()
        return int(number), int(entities)

    def attributes(self, delivery: str) -> dict[tuple[str, str], str]:
        """{(entity, attribute): last sent hash} of a delivery."""
        with self.ledger._reading() as db:
            rows = db.execute(
                "SELECT entity, attribute, hash FROM outbox_attributes WHERE delivery = ?", [delivery]
            ).fetchall()
        return {(entity, attribute): hash_ for entity, attribute, hash_ in rows}

    def waiting_latest(self, delivery: str) -> dict[str, str]:
        """{item: hash} of latest values that have not been sent."""
        with self.ledger._reading() as db:
            asked = "SELECT item, hash FROM outbox WHERE delivery = ? AND day = '' AND state <> ?"
            return dict(db.execute(asked, [delivery, SENT]).fetchall())

    def rows(
        self,
        delivery: str,
        states: Sequence[str] = (),
        *,
        days: Sequence[str] = (),
        limit: int | None = None,
        is_tried: bool = False,
    ) -> list[OutboxRow]:
        """Items of a delivery in the given states and of the given days, in order. `is_tried`: only items with at least
        one attempt."""
        asked, values = "delivery = ?" + (" AND attempts > 0" if is_tried else ""), [delivery]
        for column, chosen in (("state", states), ("day", days)):
            if chosen:
                asked += f" AND {column} IN ({', '.join('?' * len(chosen))})"
                values += chosen
        most = f" LIMIT {limit}" if limit is not None else ""
        with self.ledger._reading() as db:
            found = db.execute(f"SELECT {ROW} FROM outbox WHERE {asked} ORDER BY item{most}", values).fetchall()
        return [OutboxRow(*row) for row in found]

    def next_at(self, delivery: str) -> str | None:
        """The time at which the next item of a delivery may be sent; None if there is no item to send."""
        with self.ledger._reading() as db:
            found = db.execute(
                "SELECT min(next) FROM outbox WHERE delivery = ? AND state IN (?, ?, ?)",
                [delivery, PLANNED, SENDING, UNKNOWN_OUTCOME],
            ).fetchone()[0]
        return str(found) if found else None

    def attempts(self, delivery: str) -> list[tuple[Any, ...]]:
        """The last requests of a delivery, newest first: (at, items, first, outcome, status, seconds, answer)."""
        with self.ledger._reading() as db:
            rows = db.execute(
                "SELECT at, items, first, outcome, status, seconds, answer FROM outbox_trace WHERE delivery = ? "
                "ORDER BY number DESC",
                [delivery],
            ).fetchall()
        return [tuple(row) for row in rows]

    def collected_since(self, metrics: Sequence[str], version: int) -> list[tuple[date, date]]:
        """Stretches of days of metrics (given by key) that were collected, or lost their coverage, after a version."""
        marks = ", ".join("?" * len(metrics))
        with self.ledger._reading() as db:
            last = db.execute("SELECT max(run) FROM versions WHERE version <= ?", [version]).fetchone()[0]
            rows = db.execute(
                f"SELECT first_day, last_day FROM coverage WHERE metric IN ({marks}) "
                "AND (added > ? OR removed > ? OR run >= ?) ORDER BY first_day",
                [*metrics, version, version, last if last is not None else 1 << 60],
            ).fetchall()
        return [(date.fromisoformat(first), date.fromisoformat(end)) for first, end in rows]

    # -- planning ----------------------------------------------------------------------------------

    @contextmanager
    def planning(self, delivery: str, lease: Lease, *, now: datetime) -> Iterator[OutboxPlan]:
        """Open a transaction in which items of a delivery are planned."""
        with self.ledger._writing() as db:
            check_lease(db, lease)
            yield OutboxPlan(db, delivery, now)

    def put(self, delivery: str, items: Iterable[OutboxItem], *, now: datetime) -> int:
        """Plan items that no query produces, such as firings of rules. Returns the number of new items."""
        with self.ledger._writing() as db:
            return OutboxPlan(db, delivery, now).put_new(items, version=0)

    # -- sending -----------------------------------------------------------------------------------

    def recover(self, delivery: str, lease: Lease, *, now: datetime) -> int:
        """Mark the items that a dead process was sending as `unknown`, and correct waits set by a clock that was ahead.

        Returns the number of marked items."""
        with self.ledger._writing() as db:
            check_lease(db, lease)
            correct_outbox(db, delivery, self.ledger._instant(db, now))
            db.execute(
                "UPDATE outbox SET answer = ? || at WHERE delivery = ? AND state = ? AND answer NOT LIKE ?",
                [MAY_HAVE_ARRIVED, delivery, SENDING, f"{MAY_HAVE_ARRIVED}%"],
            )
            return db.execute(
                "UPDATE outbox SET state = ?, at = ? WHERE delivery = ? AND state = ?",
                [UNKNOWN_OUTCOME, stamp_of(now), delivery, SENDING],
            ).rowcount

    def claim(
        self,
        delivery: str,
        lease: Lease,
        *,
        now: datetime,
        limit: int,
        siblings: Callable[[OutboxRow], Iterable[str]] = lambda _: (),
    ) -> list[OutboxRow]:
        """Mark the next due items as `sending` and return them.

        `siblings(item)`: the names of items that share a request with an item. The due ones among them are included."""
        stamp = stamp_of(now)
        with self.ledger._writing() as db:
            check_lease(db, lease)
            held = "SELECT 1 FROM outbox_deliveries d WHERE d.delivery = outbox.delivery AND d.held = outbox.day"
            due = f"delivery = ? AND state = ? AND next <= ? AND NOT EXISTS ({held})"
            values = [delivery, PLANNED, stamp]
            found = db.execute(f"SELECT {ROW} FROM outbox WHERE {due} ORDER BY next, item LIMIT {limit}", values)
            rows = {row[1]: OutboxRow(*row) for row in found.fetchall()}
            more = [item for row in list(rows.values()) for item in siblings(row) if item not in rows]
            for start in range(0, len(more), LOOKUP):
                some = more[start : start + LOOKUP]
                asked = f"{due} AND item IN ({', '.join('?' * len(some))})"
                found = db.execute(f"SELECT {ROW} FROM outbox WHERE {asked}", [*values, *some])
                rows |= {row[1]: OutboxRow(*row) for row in found.fetchall()}
            db.executemany(
                "UPDATE outbox SET state = ?, attempts = attempts + 1, at = ? WHERE delivery = ? AND item = ?",
                [(SENDING, stamp, delivery, item) for item in rows],
            )
        return list(rows.values())

    def settle(
        self,
        delivery: str,
        lease: Lease,
        outcomes: Iterable[Settled],
        *,
        now: datetime,
        attempts: Sequence[Attempt] = (),
        health: ReceiverHealth | None = None,
    ) -> None:
        """Store the outcomes of items that were `sending` or `unknown`, their requests, and the state of the receiver.

        Raises Busy if the lease was lost."""
        stamp = stamp_of(now)
        rows = [
            (
                one.state,
                stamp,
                one.answer[:MAX_ANSWER_CHARACTERS],
                stamp_of(one.next or now),
                -1 if one.is_untried else 0,
                delivery,
                one.item,
            )
            for one in outcomes
        ]
        with self.ledger._writing() as db:
            check_lease(db, lease)
            db.executemany(
                "UPDATE outbox SET state = ?, at = ?, answer = ?, next = ?, attempts = attempts + ? "
                "WHERE delivery = ? AND item = ? "
                f"AND state IN ('{SENDING}', '{UNKNOWN_OUTCOME}')",
                rows,
            )
            keep_attempts(db, delivery, attempts)
            if health is not None:
                keep_health(db, delivery, health, stamp)

    def fold(self, delivery: str, lease: Lease) -> int:
        """Fold the sent items of attributes, and of days with nothing left to send. Returns the number of folded
        items."""
        with self.ledger._writing() as db:
            check_lease(db, lease)
            return fold_settled(db, delivery)

    def resume(self, delivery: str, *, now: datetime) -> None:
        """Resume a delivery that was stopped or whose receiver failed."""
        with self.ledger._writing() as db:
            keep_health(db, delivery, ReceiverHealth(), stamp_of(now))

    def replay(self, delivery: str, items: Sequence[str] = (), *, now: datetime) -> int:
        """Plan refused items again: the given ones, or all. Returns their number."""
        chosen = f" AND item IN ({', '.join('?' * len(items))})" if items else ""
        with self.ledger._writing() as db:
            keep_health(db, delivery, ReceiverHealth(), stamp_of(now))
            return db.execute(
                f"UPDATE outbox SET state = ?, attempts = 0, next = ? WHERE delivery = ? AND state = ?{chosen}",
                [PLANNED, stamp_of(now), delivery, REFUSED_ITEM, *items],
            ).rowcount

    def forget(
        self,
        entity: str,
        *,
        is_of: Callable[[str], bool] = lambda _: True,
        contains: Callable[[str, str, str], bool] = lambda *_: True,
    ) -> int:
        """Delete the items and last values of a user or an account in every delivery. Returns the number of deleted
        rows.

        A user and an account can have the same id. `is_of(delivery)`: whether its latest values are of the right
        kind. `contains(delivery, item, body)`: whether an item is about the entity. The body is empty if only the
        item's name is left."""
        like = _in_pattern(quoted_part(entity))
        inside = _in_pattern(json.dumps(entity, ensure_ascii=False))
        series = _in_pattern(quoted_part(json.dumps(entity, ensure_ascii=False)))
        gone = 0
        with self.ledger._writing() as db:
            for table in ("outbox_attributes", "outbox_wanted"):
                found = db.execute(f"SELECT DISTINCT delivery FROM {table} WHERE entity = ?", [entity]).fetchall()
                for (delivery,) in found:
                    if is_of(delivery):
                        asked = f"DELETE FROM {table} WHERE delivery = ? AND entity = ?"
                        gone += db.execute(asked, [delivery, entity]).rowcount
            for table, body, other, pattern in (
                ("outbox", "body", "body", inside),
                ("outbox_gone", "''", "item", series),
            ):
                found = db.execute(
                    f"SELECT delivery, item, {body} FROM {table} "
                    f"WHERE item LIKE ? ESCAPE '!' OR {other} LIKE ? ESCAPE '!'",
                    [f"%:{like}:%", f"%{pattern}%"],
                ).fetchall()
                for delivery, item, content in found:
                    if contains(delivery, item, content):
                        asked = f"DELETE FROM {table} WHERE delivery = ? AND item = ?"
                        gone += db.execute(asked, [delivery, item]).rowcount
            db.execute(
                "DELETE FROM outbox_trace"
                " WHERE first LIKE ? ESCAPE '!' OR first LIKE ? ESCAPE '!' OR answer LIKE ? ESCAPE '!'",
                [f"%:{like}:%", f"%{series}%", f"%{inside}%"],
            )
        return gone

    # -- pace --------------------------------------------------------------------------------------

    def reserve(self, place: str, wanted: int, *, per_second: float, per_day: int, now: datetime) -> ReservedPace:
        """Reserve up to `wanted` requests to a place. All processes that use this ledger share the limits. Days are UTC
        days."""
        with self.ledger._writing() as db:
            at = self.ledger._instant(db, now)
            microseconds, day = int(at.timestamp() * SECOND), str(at.date())
            row = db.execute("SELECT day, requests, slot FROM outbox_pace WHERE place = ?", [place]).fetchone()
            made, slot = (row[1] if row[0] == day else 0, row[2]) if row else (0, 0)
            # A slot far in the future was written by a clock that was ahead.
            slot = microseconds if slot > microseconds + 3600 * SECOND else max(slot, microseconds)
            granted = max(0, min(wanted, per_day - made))
            db.execute(
                "INSERT INTO outbox_pace VALUES (?, ?, ?, ?) ON CONFLICT (place) DO UPDATE SET day = excluded.day, "
                "requests = excluded.requests, slot = excluded.slot",
                [place, day, made + granted, slot + int(granted * SECOND / per_second)],
            )
        return ReservedPace(granted=granted, after=(slot - microseconds) / SECOND, left_today=per_day - made - granted)

    def requests_today(self, place: str, *, now: datetime) -> int:
        """The number of requests reserved for a place on the current UTC day."""
        with self.ledger._reading() as db:
            row = db.execute(
                "SELECT requests FROM outbox_pace WHERE place = ? AND day = ?", [place, stamp_of(now)[:10]]
            ).fetchone()
        return int(row[0]) if row else 0


def _in_pattern(text: str) -> str:
    """A text escaped for a LIKE pattern with the escape character `!`."""
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")
