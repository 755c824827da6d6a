"""The hosts that accept events, as recorded in the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from tallybook.storage.stored_rows import stamp_of

if TYPE_CHECKING:
    from tallybook.storage.event_ledger import EventLedger


@dataclass(frozen=True, kw_only=True)
class EventHost:
    """A host that accepts events. Everything that it received before `sealed` is compacted."""

    host: str
    sealed: str | None
    lost: str | None
    """The instant at which it was declared gone."""

    def as_json(self) -> dict[str, str | None]:
        return {"host": self.host, "complete_until": self.sealed, "gone_since": self.lost}


def event_hosts(events: EventLedger) -> list[EventHost]:
    """Every host that ever served, including hosts that are gone, by name."""
    with events.ledger._reading() as db:
        rows = db.execute("SELECT host, sealed, lost FROM event_hosts ORDER BY host").fetchall()
    return [EventHost(host=host, sealed=sealed, lost=lost) for host, sealed, lost in rows]


def lose_host(events: EventLedger, host: str, *, now: datetime) -> bool:
    """Record that a host will not serve again. Returns False if there is no such host. If it serves again, it is no
    longer gone."""
    with events.ledger._writing() as db:
        asked = "UPDATE event_hosts SET lost = coalesce(lost, ?) WHERE host = ?"
        return db.execute(asked, [stamp_of(now), host]).rowcount == 1
