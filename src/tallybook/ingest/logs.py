"""Decides which log a host writes and which logs it compacts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallybook.core import DeclarationError
from tallybook.ingest.log import LogFolder
from tallybook.ingest.log_sqlite import SqliteLogs
from tallybook.storage import BookLocation, EventLedger

if TYPE_CHECKING:
    from tallybook.ingest.log_ledger import LedgerLogs

DISK, LEDGER = "disk", "ledger"


def logs_to_write(place: BookLocation, events: EventLedger, durable: str | None) -> LogFolder:
    """The logs that a worker writes: by `durable` of `[serve]`, else in the ledger if the book has no folder.

    Raises DeclarationError if that place does not exist."""
    if (durable or (LEDGER if place.folder is None else DISK)) == DISK:
        if place.folder is None:
            raise DeclarationError(
                'durable = "disk" in [serve] needs a folder for the log, and this book has store = "ledger"',
                hint='in [serve] of tallybook.toml: durable = "ledger", or in [book]: store = "book"',
            )
        return SqliteLogs(place.folder)
    return _in_ledger(place, events)


def logs_to_compact(place: BookLocation, events: EventLedger, durable: str | None) -> list[LogFolder]:
    """The logs that are written now, and those left from another setting of `durable`."""
    written = logs_to_write(place, events, durable)
    if isinstance(written, SqliteLogs):
        left = [_in_ledger(place, events)] if place.ledger else []
        return [written, *(one for one in left if one.names())]
    here = SqliteLogs(place.folder) if place.folder is not None else None
    return [written, here] if here is not None and here.folder.exists() else [written]


def _in_ledger(place: BookLocation, events: EventLedger) -> LedgerLogs:
    if not place.ledger:
        raise DeclarationError(
            'durable = "ledger" in [serve] needs a PostgreSQL ledger, and this book has a SQLite file',
            hint='in [book] of tallybook.toml: ledger = "${LEDGER_URL}", or leave durable out',
        )
    from tallybook.ingest.log_ledger import LedgerLogs
    from tallybook.storage import PostgresqlLedger, RequestLog

    assert isinstance(events.ledger, PostgresqlLedger)
    return LedgerLogs(RequestLog(events.ledger))
