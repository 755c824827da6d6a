"""Changes of users and accounts found in the log. They are applied in the transaction that consumes the log, so each
counts once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from tallybook.core import ENTITY_KINDS, AttributeChange, DecodedEvents, EntityChange, IdentityLink
from tallybook.ingest.files import own_engine
from tallybook.ingest.id_runs import id_hash
from tallybook.ingest.log import LogRow
from tallybook.storage import (
    REJECTED,
    EntityHistory,
    EventFile,
    EventLedger,
    IdentityLinks,
    NewLinks,
    Transaction,
    apply_links,
    apply_pushed,
    engine_path,
    merge_linked,
)

MESSAGE = "message\0"
"""Prefix for the ids of messages about a user, because an event may have the same id."""


@dataclass
class _Message:
    """The changes in one message of a request."""

    key: str
    received: datetime
    hash: bytes | None
    """The hash of its id, or None without one."""
    changes: list[EntityChange] = field(default_factory=list)
    links: list[IdentityLink] = field(default_factory=list)


@dataclass
class PushedUserChanges:
    """The changes in the rows of one commit, in order."""

    messages: list[_Message] = field(default_factory=list)

    def add(self, row: LogRow, received: datetime, decoded: DecodedEvents, *, again: bool = False) -> None:
        """Add the changes in a row of the log. `again`: some of its messages may have been applied before; the changes
        themselves detect which."""
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
        """The ids of the messages, each with its first receipt."""
        found: dict[bytes, datetime] = {}
        for one in self.messages:
            if one.hash is not None:
                found.setdefault(one.hash, one.received)
        return found

    def without(self, seen: Iterable[bytes]) -> PushedUserChanges:
        """The changes without messages that were applied before, with each id once."""
        done, left = set(seen), []
        for one in self.messages:
            if one.hash is None or one.hash not in done:
                left.append(one)
            if one.hash is not None:
                done.add(one.hash)
        return PushedUserChanges(left)

    @property
    def links(self) -> list[tuple[str, datetime, IdentityLink]]:
        return [(one.key, one.received, link) for one in self.messages for link in one.links]

    def apply(
        self,
        db: Transaction,
        number: int,
        now: datetime,
        linked_days: Iterable[tuple[str, date]],
        history: EntityHistory,
    ) -> None:
        """Change users, accounts and links in the transaction of an event commit. `linked_days`: the (event, day) pairs
        whose users the links change."""
        made = apply_links(db, NewLinks(links=self.links, days=linked_days), number=number)
        merge_linked(db, made, history=history, now=now)
        for kind in ENTITY_KINDS:
            sent: dict[str, list[AttributeChange]] = {}
            for one in self.messages:
                for change in one.changes:
                    if change.kind == kind:
                        sent.setdefault(change.id, []).extend(change.changes)
            if sent:
                apply_pushed(db, kind, sent, history=history, now=now)


def days_of_users(
    events: EventLedger, files: Sequence[EventFile], links: Sequence[IdentityLink]
) -> set[tuple[str, date]]:
    """The (event, day) pairs of stored events whose users get another id by the given links. Raises OSError or BadFile
    if another process replaced a file."""
    moved = IdentityLinks(events.ledger).moved_by(links) if links else set()
    by_path = {engine_path(events.local_path(file)): file for file in files if file.event != REJECTED}
    if not moved or not by_path:
        return set()
    for file in by_path.values():
        events.local_path(file).stat()
    with own_engine() as engine:
        found = engine.execute(
            f'SELECT DISTINCT filename, "day" FROM read_parquet([{", ".join(by_path)}], union_by_name = true, '
            'filename = true) WHERE "user" IN (SELECT unnest(?))',
            [sorted(moved)],
        ).fetchall()
    by_name = {path.strip("'"): file.event for path, file in by_path.items()}
    return {(by_name[name], day) for name, day in found}
