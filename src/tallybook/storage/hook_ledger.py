"""Subscriptions of REST hooks in a ledger: the subscribed delivery and the target address."""

from __future__ import annotations

from datetime import datetime

from tallybook.storage.outbox_records import HookSubscription
from tallybook.storage.sql_ledger import SqlLedger
from tallybook.storage.stored_rows import stamp_of

OF_DELIVERIES = (
    "outbox",
    "outbox_folded",
    "outbox_gone",
    "outbox_wanted",
    "outbox_attributes",
    "outbox_deliveries",
    "outbox_trace",
)
"""Tables whose rows belong to a delivery."""
COLUMNS = "id, delivery, target, key, created, ended, why"


class HookLedger:
    """The table of subscriptions. Every method is one transaction."""

    def __init__(self, ledger: SqlLedger) -> None:
        self.ledger = ledger

    def current(self, delivery: str | None = None) -> list[HookSubscription]:
        """Active subscriptions of one delivery or of all, in the order in which they began."""
        asked, values = ("", []) if delivery is None else (" AND delivery = ?", [delivery])
        with self.ledger._reading() as db:
            rows = db.execute(
                f"SELECT {COLUMNS} FROM outbox_subscriptions WHERE ended IS NULL{asked} ORDER BY created, id", values
            ).fetchall()
        return [
            HookSubscription(id=id_, delivery=name, target=target, key=key, created=created, ended=ended, why=why)
            for id_, name, target, key, created, ended, why in rows
        ]

    def subscribe(self, id_: str, delivery: str, target: str, key: str, *, now: datetime) -> HookSubscription:
        """Add a subscription. If the target is already subscribed to the delivery, returns the existing
        subscription."""
        with self.ledger._writing() as db:
            row = db.execute(
                f"SELECT {COLUMNS} FROM outbox_subscriptions WHERE delivery = ? AND target = ? AND ended IS NULL",
                [delivery, target],
            ).fetchone()
            if row is None:
                row = (id_, delivery, target, key, stamp_of(now), None, "")
                db.execute(f"INSERT INTO outbox_subscriptions ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        return HookSubscription(
            id=row[0], delivery=row[1], target=row[2], key=row[3], created=row[4], ended=row[5], why=row[6]
        )

    def end(self, id_: str, why: str, *, now: datetime) -> bool:
        """End a subscription and delete everything planned for it. Returns False if it does not exist."""
        with self.ledger._writing() as db:
            row = db.execute(
                "SELECT delivery FROM outbox_subscriptions WHERE id = ? AND ended IS NULL", [id_]
            ).fetchone()
            if row is None:
                return False
            db.execute(
                "UPDATE outbox_subscriptions SET ended = ?, why = ?, target = '' WHERE id = ?",
                [stamp_of(now), why[:500], id_],
            )
            for table in OF_DELIVERIES:
                db.execute(f"DELETE FROM {table} WHERE delivery = ?", [f"{row[0]}.{id_}"])
        return True
