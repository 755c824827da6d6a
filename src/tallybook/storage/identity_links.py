"""Links between ids of users: every linked id, with the id that now replaces it.

A link has the number of the commit of events that added it. Ids are replaced when events are read, never in files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from tallybook.core import IdentityLink
from tallybook.storage.sql_ledger import SqlLedger
from tallybook.storage.stored_rows import stamp_of
from tallybook.storage.transaction import Transaction

LOOKUP = 500
"""Ids per statement."""


@dataclass(frozen=True, kw_only=True)
class LinkedId:
    """An id and the id that replaces it."""

    alias: str
    canonical: str
    at: datetime
    """The instant at which the link was received."""
    number: int
    """The last commit of events that changed the link."""


@dataclass(frozen=True, kw_only=True)
class NewLinks:
    """The links of one commit, and the (event, day) pairs with events of the linked ids.

    Days collected earlier contain another user there."""

    links: Sequence[tuple[str, datetime, IdentityLink]] = ()
    """(name of the key, time of receipt, link), in order."""
    days: Iterable[tuple[str, date]] = field(default_factory=tuple)


class IdentityLinks:
    """The links of a ledger. Every method is one transaction."""

    def __init__(self, ledger: SqlLedger) -> None:
        self.ledger = ledger

    def every(self) -> list[LinkedId]:
        """All linked ids, in alphabetical order."""
        with self.ledger._reading() as db:
            rows = db.execute("SELECT alias, canonical, at, number FROM identity_links ORDER BY alias").fetchall()
        return [LinkedId(alias=a, canonical=c, at=datetime.fromisoformat(at), number=n) for a, c, at, n in rows]

    def count(self) -> int:
        """How many ids are linked."""
        with self.ledger._reading() as db:
            return int(db.execute("SELECT count(*) FROM identity_links").fetchone()[0])

    def pairs(self) -> list[tuple[str, str]]:
        """(linked id, its user) of all links."""
        with self.ledger._reading() as db:
            return list(db.execute("SELECT alias, canonical FROM identity_links").fetchall())

    def pairs_of(self, aliases: Sequence[str]) -> list[tuple[str, str]]:
        """(linked id, its user) of those of some ids that are linked."""
        with self.ledger._reading() as db:
            return list(canonical_ids(db, aliases).items())

    def of_people(self, ids: Sequence[str]) -> list[LinkedId]:
        """Every linked id of the users that the given ids belong to."""
        found = []
        with self.ledger._reading() as db:
            known = canonical_ids(db, ids)
            users = sorted({known.get(id_, id_) for id_ in ids})
            for start in range(0, len(users), LOOKUP):
                some = users[start : start + LOOKUP]
                marks = ", ".join("?" * len(some))
                asked = f"SELECT alias, canonical, at, number FROM identity_links WHERE canonical IN ({marks})"
                found += db.execute(f"{asked} ORDER BY alias", some).fetchall()
        return [LinkedId(alias=a, canonical=c, at=datetime.fromisoformat(at), number=n) for a, c, at, n in found]

    def moved_by(self, links: Sequence[IdentityLink]) -> set[str]:
        """The ids that these links would map to another id."""
        with self.ledger._reading() as db:
            asked = sorted({one for link in links for one in (link.alias, link.user)})
            known = canonical_ids(db, asked)
            moved: set[str] = set()
            for link in links:
                alias, user = known.get(link.alias, link.alias), known.get(link.user, link.user)
                if alias != user and (link.merges or alias == link.alias):
                    rows = db.execute("SELECT alias FROM identity_links WHERE canonical = ?", [alias]).fetchall()
                    moved |= {alias, *(one for (one,) in rows)}
        return moved

    def aliases_of(self, user: str) -> list[str]:
        """The ids that map to a user."""
        with self.ledger._reading() as db:
            asked = "SELECT alias FROM identity_links WHERE canonical = ? ORDER BY alias"
            return [alias for (alias,) in db.execute(asked, [user]).fetchall()]

    def changed_days(self, event: str | None) -> Mapping[date, int]:
        """By day of one event, or of all: the last commit that linked an id with events on that day."""
        where, values = ("WHERE event = ?", [event]) if event is not None else ("", [])
        with self.ledger._reading() as db:
            asked = f"SELECT day, max(number) FROM identity_days {where} GROUP BY day"
            return {date.fromisoformat(str(day)): number for day, number in db.execute(asked, values).fetchall()}

    def forget(self, user: str) -> int:
        """Delete every link of an id. Returns the number of deleted links."""
        with self.ledger._writing() as db:
            gone = db.execute("DELETE FROM identity_links WHERE alias = ? OR canonical = ?", [user, user])
            return gone.rowcount


def apply_links(db: Transaction, new: NewLinks, *, number: int) -> list[tuple[str, str]]:
    """Apply links inside a larger transaction. Returns the new pairs (alias, canonical).

    An id that is linked to one user is not linked to another, except by a merging link. Otherwise a device shared by
    two people would make them one user."""
    made = []
    for key, received, link in new.links:
        alias, user = _canonical(db, link.alias), _canonical(db, link.user)
        if alias == user or (not link.merges and alias != link.alias):
            continue
        row = [user, key, stamp_of(received), number]
        moved = "UPDATE identity_links SET canonical = ?, key = ?, at = ?, number = ? WHERE canonical = ?"
        db.execute(moved, [*row, alias])
        added = "INSERT INTO identity_links (canonical, key, at, number, alias) VALUES (?, ?, ?, ?, ?)"
        db.execute(added, [*row, alias])
        made.append((alias, user))
    if made:
        for event, day in sorted(set(new.days)):
            place = [event, day.isoformat()]
            db.execute("DELETE FROM identity_days WHERE event = ? AND day = ?", place)
            db.execute("INSERT INTO identity_days (event, day, number) VALUES (?, ?, ?)", [*place, number])
    return made


def canonical_ids(db: Transaction, ids: Sequence[str]) -> dict[str, str]:
    """The linked ids among some ids, each with the id of its user."""
    found: dict[str, str] = {}
    for start in range(0, len(ids), LOOKUP):
        some = list(ids[start : start + LOOKUP])
        marks = ", ".join("?" * len(some))
        asked = f"SELECT alias, canonical FROM identity_links WHERE alias IN ({marks})"
        found |= dict(db.execute(asked, some).fetchall())
    return found


def _canonical(db: Transaction, user: str) -> str:
    row = db.execute("SELECT canonical FROM identity_links WHERE alias = ?", [user]).fetchone()
    return str(row[0]) if row else user
