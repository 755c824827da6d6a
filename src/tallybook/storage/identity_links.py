"""Which ids of users are one user: every id that was linked, with the id that stands for it now.

A link has the number of the commit of events that brought it. Ids are replaced when events are read, never in files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tallybook.core import IdentityLink
from tallybook.storage.sql_ledger import SqlLedger
from tallybook.storage.stored_rows import stamp_of
from tallybook.storage.transaction import Transaction


@dataclass(frozen=True, kw_only=True)
class LinkedId:
    """An id and the one that stands for it."""

    alias: str
    canonical: str
    at: datetime
    """When the link was received."""
    number: int
    """The commit of events that linked it last."""


class IdentityLinks:
    """The links of a ledger. Every method is one transaction."""

    def __init__(self, ledger: SqlLedger) -> None:
        self.ledger = ledger

    def every(self) -> list[LinkedId]:
        """All linked ids, in the order of their names."""
        with self.ledger._reading() as db:
            rows = db.execute("SELECT alias, canonical, at, number FROM identity_links ORDER BY alias").fetchall()
        return [LinkedId(alias=a, canonical=c, at=datetime.fromisoformat(at), number=n) for a, c, at, n in rows]

    def canonical(self, user: str) -> str:
        """The id that stands for an id; itself where it is not linked."""
        with self.ledger._reading() as db:
            return _canonical(db, user)


def apply_links(
    db: Transaction, links: Sequence[tuple[str, datetime, IdentityLink]], *, number: int
) -> list[tuple[str, str]]:
    """Link ids in a transaction that does more: (name of the key, received, link). The (alias, canonical) that are new.

    An id that was linked to one user is not linked to another one, except by a link that merges: a device that two
    people use would make them one."""
    made = []
    for key, received, link in links:
        alias, user = _canonical(db, link.alias), _canonical(db, link.user)
        if alias == user or (not link.merges and alias != link.alias):
            continue
        row = [user, key, stamp_of(received), number]
        db.execute(
            "UPDATE identity_links SET canonical = ?, key = ?, at = ?, number = ? WHERE canonical = ?", [*row, alias]
        )
        db.execute(
            "INSERT INTO identity_links (canonical, key, at, number, alias) VALUES (?, ?, ?, ?, ?)", [*row, alias]
        )
        made.append((alias, user))
    return made


def _canonical(db: Transaction, user: str) -> str:
    row = db.execute("SELECT canonical FROM identity_links WHERE alias = ?", [user]).fetchone()
    return str(row[0]) if row else user
