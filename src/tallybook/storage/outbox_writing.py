"""Writes the tables of the outbox inside a transaction: planned items, folded days, past requests, and receivers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import date, datetime

from tallybook.storage.outbox_records import (
    ATTRIBUTE,
    PLANNED,
    REFUSED_ITEM,
    SENDING,
    SENT,
    UNKNOWN_OUTCOME,
    Attempt,
    OutboxItem,
    ReceiverHealth,
    parts_of_item,
)
from tallybook.storage.stored_rows import stamp_of
from tallybook.storage.transaction import Transaction

ROW = "delivery, item, hash, state, attempts, next, at, answer, day, version, body"
REPLACED = (
    f"DO UPDATE SET hash = excluded.hash, state = '{PLANNED}', attempts = 0, next = excluded.next, at = excluded.at, "
    "answer = '', version = excluded.version, body = excluded.body WHERE outbox.hash <> excluded.hash"
)
MAX_TRACED = 200
"""Number of requests per delivery that are kept for `deliveries show`."""
MAX_ANSWER_CHARACTERS = 500


class OutboxPlan:
    """Items of one delivery that are planned in a transaction."""

    def __init__(self, db: Transaction, delivery: str, now: datetime) -> None:
        self.db, self.delivery, self.stamp = db, delivery, stamp_of(now)

    def put(self, items: Iterable[OutboxItem], *, version: int) -> None:
        """Plan items. An existing item with other content gets the new content, unless it is `sending` or `unknown`."""
        kept = f"outbox.state NOT IN ('{SENDING}', '{UNKNOWN_OUTCOME}')"
        self._insert(items, version, f"{REPLACED} AND {kept}")

    def put_latest(self, items: Iterable[OutboxItem], *, version: int) -> None:
        """Plan latest values. The newest value replaces any other, even one with an unknown outcome."""
        self._insert(items, version, REPLACED)

    def hold(self, day: date) -> None:
        """Block the sending of a day until `release`, while it is planned in several transactions."""
        self.db.execute(
            "INSERT INTO outbox_deliveries (delivery, version, entities, question, at, held) "
            "VALUES (?, 0, 0, '', ?, ?) "
            "ON CONFLICT (delivery) DO UPDATE SET held = excluded.held",
            [self.delivery, self.stamp, str(day)],
        )

    def release(self) -> None:
        """Unblock the day that was held."""
        self.db.execute("UPDATE outbox_deliveries SET held = NULL WHERE delivery = ?", [self.delivery])

    def put_new(self, items: Iterable[OutboxItem], *, version: int) -> int:
        """Plan items that are not in the outbox. Returns the number of new items."""
        count = "SELECT count(*) FROM outbox WHERE delivery = ?"
        before = self.db.execute(count, [self.delivery]).fetchone()[0]
        self._insert(items, version, "DO NOTHING")
        return int(self.db.execute(count, [self.delivery]).fetchone()[0] - before)

    def _insert(self, items: Iterable[OutboxItem], version: int, conflict: str) -> None:
        delivery, stamp = self.delivery, self.stamp
        in_order = sorted(items, key=lambda one: one.key)  # neighbors in the table, so each page is written once
        self.db.executemany(
            f"INSERT INTO outbox ({ROW}) VALUES (?, ?, ?, '{PLANNED}', 0, ?, ?, '', ?, ?, ?) "
            f"ON CONFLICT (delivery, item) {conflict}",
            ((delivery, one.key, one.hash, stamp, stamp, one.day, version, one.body) for one in in_order),
        )

    def lose(self, day: date, items: Iterable[str], returned: Iterable[str]) -> None:
        """Remember items of a day that arrived and no longer have a value. Forget the `returned` ones, which have one
        again."""
        self.db.executemany(
            "DELETE FROM outbox_gone WHERE delivery = ? AND day = ? AND item = ?",
            [(self.delivery, str(day), item) for item in returned],
        )
        self.db.executemany(
            "INSERT INTO outbox_gone VALUES (?, ?, ?) ON CONFLICT (delivery, day, item) DO NOTHING",
            [(self.delivery, str(day), item) for item in items],
        )

    def drop(self, keys: Iterable[str]) -> None:
        """Delete items that were never sent and should not be sent any more."""
        self.db.executemany(
            f"DELETE FROM outbox WHERE delivery = ? AND item = ? AND state IN ('{PLANNED}', '{REFUSED_ITEM}')",
            [(self.delivery, key) for key in keys],
        )

    def refuse(self, items: Iterable[OutboxItem], *, version: int) -> None:
        """Store items as refused, so that they are not sent automatically. `said` in their bodies is the reason."""
        kept = list(items)
        self.put(kept, version=version)
        self.db.executemany(
            f"UPDATE outbox SET state = '{REFUSED_ITEM}', answer = ? WHERE delivery = ? AND item = ? "
            f"AND state = '{PLANNED}'",
            [(_notes_of(one)[:MAX_ANSWER_CHARACTERS], self.delivery, one.key) for one in kept],
        )

    def day(self, day: date, *, version: int, hash_: str) -> None:
        """Record that a day was planned from a version of the book, with the hash of all its items."""
        self.db.execute(
            "INSERT INTO outbox_folded VALUES (?, ?, ?, ?, 0) ON CONFLICT (delivery, day) DO UPDATE SET "
            "version = excluded.version, hash = excluded.hash",
            [self.delivery, str(day), version, hash_],
        )

    def done(self, *, version: int, entities: int, question: str) -> None:
        """Record that the whole delivery is planned up to a version of the book and a commit of users and accounts."""
        self.db.execute(
            "INSERT INTO outbox_deliveries (delivery, version, entities, question, at) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (delivery) DO UPDATE SET version = excluded.version, entities = excluded.entities, "
            "question = excluded.question, at = excluded.at",
            [self.delivery, version, entities, question, self.stamp],
        )


def _notes_of(item: OutboxItem) -> str:
    return str(json.loads(item.body).get("said", "changed after it was sent"))


def put_in(db: Transaction, delivery: str, items: Iterable[OutboxItem], *, now: datetime) -> int:
    """`OutboxLedger.put` inside an open transaction, so that items are planned together with their cause."""
    return OutboxPlan(db, delivery, now).put_new(items, version=0)


def want_in(db: Transaction, delivery: str, wanted: Sequence[tuple[str, str]], *, number: int) -> None:
    """Store the (entity, body) states that rules want, inside the transaction of an evaluation."""
    db.executemany(
        "INSERT INTO outbox_wanted VALUES (?, ?, ?, ?) ON CONFLICT (delivery, entity) DO UPDATE SET "
        "number = excluded.number, body = excluded.body WHERE outbox_wanted.number <= excluded.number",
        [(delivery, entity, number, body) for entity, body in wanted],
    )


def keep_health(db: Transaction, delivery: str, health: ReceiverHealth, stamp: str) -> None:
    again = stamp_of(health.again) if health.again else None
    db.execute(
        "INSERT INTO outbox_deliveries (delivery, version, entities, question, at, stopped, failures, again, said) "
        "VALUES (?, 0, 0, '', ?, ?, ?, ?, ?) ON CONFLICT (delivery) DO UPDATE SET stopped = excluded.stopped, "
        "failures = excluded.failures, again = excluded.again, said = excluded.said",
        [
            delivery,
            stamp,
            health.stopped[:MAX_ANSWER_CHARACTERS],
            health.failures,
            again,
            health.said[:MAX_ANSWER_CHARACTERS],
        ],
    )


def fold_settled(db: Transaction, delivery: str) -> int:
    left = "SELECT day FROM outbox WHERE delivery = ? AND state IN (?, ?, ?)"
    open_ = [delivery, PLANNED, SENDING, UNKNOWN_OUTCOME]
    done = f"delivery = ? AND state = '{SENT}' AND (day = '' OR day NOT IN ({left}))"
    days = db.execute(
        f"SELECT day, count(*), max(version) FROM outbox WHERE {done} AND day <> '' GROUP BY day", [delivery, *open_]
    ).fetchall()
    for day, items, version in days:
        db.execute(
            "INSERT INTO outbox_folded VALUES (?, ?, ?, '', ?) ON CONFLICT (delivery, day) DO UPDATE SET "
            "items = outbox_folded.items + excluded.items",
            [delivery, day, version, items],
        )
    attributes = db.execute(
        f"SELECT item, hash, at FROM outbox WHERE {done} AND day = '' AND item LIKE ?",
        [delivery, *open_, f"{ATTRIBUTE}:%"],
    ).fetchall()
    db.executemany(
        "INSERT INTO outbox_attributes VALUES (?, ?, ?, ?, ?) ON CONFLICT (delivery, entity, attribute) DO UPDATE SET "
        "hash = excluded.hash, at = excluded.at",
        [(delivery, *_entity_and_attribute(item), hash_, at) for item, hash_, at in attributes],
    )
    return db.execute(f"DELETE FROM outbox WHERE {done}", [delivery, *open_]).rowcount


def _entity_and_attribute(item: str) -> tuple[str, str]:
    _, attribute, _, entity, _ = parts_of_item(item)
    return entity, attribute


def keep_attempts(db: Transaction, delivery: str, attempts: Sequence[Attempt]) -> None:
    """Store the last requests. Of more than MAX_TRACED, failed ones are kept first."""
    if not attempts:
        return
    kept = sorted(attempts, key=lambda one: (one.outcome == SENT, one.at))[:MAX_TRACED]
    last = db.execute("SELECT coalesce(max(number), 0) FROM outbox_trace WHERE delivery = ?", [delivery]).fetchone()[0]
    db.executemany(
        "INSERT INTO outbox_trace VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                delivery,
                last + place,
                stamp_of(one.at),
                one.items,
                one.first,
                one.outcome,
                one.status,
                f"{one.seconds:.3f}",
                one.answer[:MAX_ANSWER_CHARACTERS],
            )
            for place, one in enumerate(sorted(kept, key=lambda one: one.at), 1)
        ],
    )
    db.execute("DELETE FROM outbox_trace WHERE delivery = ? AND number <= ?", [delivery, last + len(kept) - MAX_TRACED])
