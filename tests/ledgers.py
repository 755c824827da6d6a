"""Every kind of ledger, and every place for points, opened for a folder: what the suites run on.

A PostgreSQL ledger is one schema for each folder in a database that the processes of a run share.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

from tallybook.core.calendar import days
from tallybook.storage import tables
from tallybook.storage.folder import Store
from tallybook.storage.ledger import Ledger
from tallybook.storage.ledger_files import LedgerFiles
from tallybook.storage.places import BookLocation
from tallybook.storage.postgresql_ledger import PostgresqlLedger
from tallybook.storage.sqlite_ledger import SqliteLedger
from tallybook.storage.transaction import Transaction

HANDED_ON = "TALLYBOOK_TEST_LEDGERS"
_making = threading.Lock()


class ByTheTestsClock(PostgresqlLedger):
    """Leases by the clock that a test hands in, as a SQLite ledger has them; the server's is tested by itself."""

    def _instant(self, db: Transaction, now: datetime) -> datetime:
        return now


def database() -> str:
    """The URL of this run's database for ledgers. Skips the test where there is no server."""
    from tests.conftest import server_or_skip

    with _making:  # several threads of a test may be the first to ask
        if HANDED_ON not in os.environ:
            server = server_or_skip("postgresql")
            # In the environment, for processes that a test starts.
            os.environ[HANDED_ON] = server.url(server.create_database())
    return os.environ[HANDED_ON]


def schema_of(folder: Path) -> str:
    return "b_" + hashlib.sha256(str(folder).encode()).hexdigest()[:16]


def place_of(folder: Path, store: str = "folder") -> BookLocation:
    """A book on PostgreSQL, with its points in the folder or in the ledger."""
    return BookLocation(folder=None if store == "ledger" else folder, ledger=database(), schema=schema_of(folder))


LEDGERS: dict[str, Callable[[Path], Ledger]] = {
    "sqlite": lambda folder: SqliteLedger(folder / "ledger.sqlite"),
    "postgresql": lambda folder: ByTheTestsClock(database(), schema=schema_of(folder)),
}


def _with_points_in_the_ledger(folder: Path, ledger: Ledger) -> Store:
    folder.mkdir(exist_ok=True)
    return Store(folder, ledger, LedgerFiles(ledger, folder))  # type: ignore[arg-type]


STORES: dict[str, tuple[str, Callable[[Path, Ledger], Store]]] = {
    "sqlite, folder": ("sqlite", Store),
    "postgresql, folder": ("postgresql", Store),
    "postgresql, ledger": ("postgresql", _with_points_in_the_ledger),
}
"""{name: (its kind of ledger, what makes a store of a folder and that ledger)}."""


def as_number_3(ledger: Any) -> None:
    """Make a ledger what it was at number 3: without later tables, and with a row for each covered day."""
    sqlite = isinstance(ledger, SqliteLedger)
    types = tables.SQLITE if sqlite else tables.POSTGRESQL
    names = ("metric", "definition", "first_day", "last_day", "run", "instant", "added", "removed")
    of_events = (
        *reversed(tables.EVENT_TABLES),
        *(() if sqlite else ("event_contents", "event_writers", "event_requests")),
    )
    with ledger._writing() as db:
        found = db.execute(f"SELECT {', '.join(names)} FROM coverage").fetchall()
        for table in ("coverage", "identities", "horizons", *of_events, *tables.ENTITY_TABLES, *tables.ACTION_TABLES):
            db.execute(f"DROP TABLE {table}")
        db.execute(
            "CREATE TABLE coverage (metric {text} NOT NULL, definition {text} NOT NULL, day {day} NOT NULL, run {number}, "
            "instant {text}, added {number} NOT NULL REFERENCES versions, removed {number} REFERENCES versions, "
            "PRIMARY KEY (metric, definition, day, added)){rowless}".format(**types)
        )
        db.executemany(
            "INSERT INTO coverage VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (metric, definition, str(one), *rest)
                for metric, definition, first, last, *rest in found
                for one in days(date.fromisoformat(first), date.fromisoformat(last))
            ],
        )
        if sqlite:
            db.execute("PRAGMA user_version = 3")
        else:
            db.execute("UPDATE ledger_schema SET number = 3")
