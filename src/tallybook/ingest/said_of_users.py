"""What the log says about users and accounts: applied in the transaction that consumes it, so that it counts once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from tallybook.core import ENTITY_KINDS, AttributeChange, DecodedEvents, EntityChange, IdentityLink
from tallybook.ingest.id_runs import id_hash
from tallybook.ingest.log import LogRow
from tallybook.storage import Transaction, apply_links, apply_pushed

MESSAGE = "message\0"
"""Before the id of a message that says something about a user: an event may have the same id."""


@dataclass
class _Message:
    """What one message of a request says."""

    key: str
    received: datetime
    hash: bytes | None
    """Of its id; None without one."""
    changes: list[EntityChange] = field(default_factory=list)
    links: list[IdentityLink] = field(default_factory=list)


@dataclass
class SaidOfUsers:
    """What the rows of one commit say, in their order."""

    messages: list[_Message] = field(default_factory=list)

    def add(self, row: LogRow, received: datetime, decoded: DecodedEvents, *, again: bool = False) -> None:
        """Add what a row of the log says. `again`: a part of its messages may have been applied before; changes know by
        themselves which those are."""
        by_index: dict[int, _Message] = {}

        def message(index: int, id_: str | None) -> _Message:
            if index not in by_index:
                hash_ = id_hash(row.key, MESSAGE + id_) if id_ and not again else None
                by_index[index] = _Message(key=row.key, received=received, hash=hash_)
            return by_index[index]

        for index, change in decoded.changes:
            message(index, change.message).changes.append(change)
        for index, link in decoded.links:
            message(index, link.message).links.append(link)
        self.messages += [by_index[index] for index in sorted(by_index)]

    def ids(self) -> dict[bytes, datetime]:
        """The ids of messages, and when each was first received."""
        found: dict[bytes, datetime] = {}
        for one in self.messages:
            if one.hash is not None:
                found.setdefault(one.hash, one.received)
        return found

    def without(self, seen: Iterable[bytes]) -> SaidOfUsers:
        """Without messages that were applied before, each id once."""
        done, left = set(seen), []
        for one in self.messages:
            if one.hash is None or one.hash not in done:
                left.append(one)
            if one.hash is not None:
                done.add(one.hash)
        return SaidOfUsers(left)

    def apply(self, db: Transaction, number: int, now: datetime) -> None:
        """Change users, accounts and links in the transaction of a commit of events."""
        for kind in ENTITY_KINDS:
            sent: dict[str, list[AttributeChange]] = {}
            for one in self.messages:
                for change in one.changes:
                    if change.kind == kind:
                        sent.setdefault(change.id, []).extend(change.changes)
            if sent:
                apply_pushed(db, kind, sent, now=now)
        apply_links(db, [(one.key, one.received, link) for one in self.messages for link in one.links], number=number)
