"""Shared links in the ledger: what each link shows, until when it is valid, and whether it was revoked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from tallybook.storage.sql_ledger import SqlLedger
from tallybook.storage.stored_rows import stamp_of

_COLUMNS = "id, payload, created, maker, until, revoked, seen"


@dataclass(frozen=True, kw_only=True)
class ShareRecord:
    """A shared link. `maker`: who signed it; "elsewhere" for a link signed by another program."""

    id: str
    payload: Mapping[str, Any]
    created: str
    maker: str
    until: str
    revoked: str | None = None
    seen: str | None = None
    """The time at which it was first opened."""

    def is_valid(self, now: datetime) -> bool:
        return self.revoked is None and stamp_of(now) < self.until


class ShareLedger:
    """The table of shared links. Every method is one transaction."""

    def __init__(self, ledger: SqlLedger) -> None:
        self.ledger = ledger

    def add(self, share: ShareRecord) -> bool:
        """Store a link. Returns False if a link with this id exists."""
        with self.ledger._writing() as db:
            if db.execute("SELECT 1 FROM shares WHERE id = ?", [share.id]).fetchone():
                return False
            payload = msgspec.json.encode(share.payload).decode()
            values = [share.id, payload, share.created, share.maker, share.until, share.revoked, share.seen]
            db.execute(f"INSERT INTO shares ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        return True

    def get(self, share_id: str) -> ShareRecord | None:
        """The link with an id, or None."""
        with self.ledger._reading() as db:
            row = db.execute(f"SELECT {_COLUMNS} FROM shares WHERE id = ?", [share_id]).fetchone()
        return _share(*row) if row is not None else None

    def every(self) -> list[ShareRecord]:
        """All links, the newest first."""
        with self.ledger._reading() as db:
            rows = db.execute(f"SELECT {_COLUMNS} FROM shares ORDER BY created DESC, id").fetchall()
        return [_share(*row) for row in rows]

    def note_seen(self, share_id: str, *, now: datetime) -> None:
        """Record when a link was first opened."""
        with self.ledger._writing() as db:
            asked = "UPDATE shares SET seen = ? WHERE id = ? AND seen IS NULL"
            db.execute(asked, [stamp_of(now), share_id])

    def revoke(self, share_id: str, *, now: datetime) -> bool:
        """Revoke a link. Returns False if there is no link with this id."""
        with self.ledger._writing() as db:
            asked = "UPDATE shares SET revoked = coalesce(revoked, ?) WHERE id = ?"
            return db.execute(asked, [stamp_of(now), share_id]).rowcount == 1


def _share(
    share_id: str, payload: str, created: str, maker: str, until: str, revoked: str | None, seen: str | None
) -> ShareRecord:
    found: dict[str, Any] = msgspec.json.decode(payload)
    return ShareRecord(
        id=share_id, payload=found, created=created, maker=maker, until=until, revoked=revoked, seen=seen
    )
