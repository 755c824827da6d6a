"""Carries out the client's requests without HTTP: events go into the log of this host, attributes and closed days into
the ledger.

`tallybook.client` is below all rooms, so it names this module by path and imports it on first use."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tallybook.client import TransportAnswer, TransportFailed
from tallybook.config import load
from tallybook.core import BookUnavailable, DecodedEvents, EventRules
from tallybook.ingest.attribute_requests import decode_changes
from tallybook.ingest.log import LogFull, LogRow
from tallybook.ingest.logs import logs_to_write
from tallybook.ingest.sending import LOCAL_KEY, LocalSender
from tallybook.ingest.unpacking import decode_row
from tallybook.storage import EntityLedger, EventLedger, open_store


def _now() -> datetime:
    return datetime.now(UTC)


class BookTransport:
    """Writes to the book of the project in a folder. Access to the folder is the authorization; `key` is not used."""

    def __init__(self, folder: str, key: str = "", clock: Callable[[], datetime] = _now) -> None:
        project = load(Path(folder), os.environ)
        store = open_store(project.place)
        catalog = project.catalog
        self.clock, self.zone = clock, catalog.book.timezone
        self.rules = EventRules(settings=catalog.events, zone=self.zone)
        self.events = EventLedger(store.ledger, store.files)
        self.entities = EntityLedger(self.events.ledger, self.events.files)
        self.logs = logs_to_write(project.place, self.events, catalog.serve.durable)
        self.sender: LocalSender | None = None

    def request(self, method: str, path: str, body: bytes, seconds: float) -> TransportAnswer:
        try:
            if method == "POST":
                return self._store(path, body)
            if path.startswith("/v1/days/"):
                return self._close_day(path)
            return self._change(path, body)
        except (BookUnavailable, LogFull) as error:
            raise TransportFailed(f"the book cannot be written now: {error}") from None

    def _store(self, path: str, body: bytes) -> TransportAnswer:
        row = LogRow(received=self.clock(), key=LOCAL_KEY, protocol="tallybook", path=path, headers="{}", body=body)
        decoded = decode_row(row, self.rules)
        if decoded.error is not None:
            return TransportAnswer(status=decoded.error.status, body=decoded.error.as_json())
        # Rejected events are kept in the log too, as a worker of the server does, so that they can be read and
        # replayed.
        sender = self._sender()
        decoded = sender.within_names(decoded)
        sender.log.append([row])
        sender.waiting += len(body)
        if sender.is_full:
            sender.compact()
        return TransportAnswer(status=200 if decoded.events else 422, body=_verdicts(decoded))

    def _sender(self) -> LocalSender:
        if self.sender is None:
            settings = self.rules.settings
            self.sender = LocalSender(self.events, self.logs, zone=self.zone, clock=self.clock, settings=settings)
        return self.sender

    def _close_day(self, path: str) -> TransportAnswer:
        event, _, day = path.removeprefix("/v1/days/").rpartition("/")
        closed, now = date.fromisoformat(day), self.clock()
        if closed > self.rules.last_day(now):
            return TransportAnswer(status=400, body={"message": "the day has not begun in any time zone"})
        self.events.close_day(unquote(event), closed, LOCAL_KEY, now=now)
        return TransportAnswer(status=204)

    def _change(self, path: str, body: bytes) -> TransportAnswer:
        kind, _, entity_id = path.removeprefix("/v1/").partition("/")
        decoded = decode_changes(unquote(entity_id), json.loads(body), self.clock())
        if decoded.changes:
            self.entities.push(kind, {unquote(entity_id): decoded.changes}, now=self.clock())
        rejected = [one.as_json() for one in decoded.rejected]
        status = 422 if rejected and not decoded.changes else 200
        return TransportAnswer(status=status, body={"kept": len(decoded.changes), "rejected": rejected})

    def settle(self) -> None:
        """Compact what was stored. A server on this host may do so at the same time."""
        if self.sender is not None and self.sender.waiting:
            self.sender.compact()

    def close(self) -> None:
        if self.sender is not None:
            self.sender.close()
            self.sender = None
        self.events.close()


def _verdicts(decoded: DecodedEvents) -> dict[str, Any]:
    rejected = [one.as_json() for one in decoded.rejected]
    return {"stored": len(decoded.events), "duplicates": 0, "rejected": rejected}
