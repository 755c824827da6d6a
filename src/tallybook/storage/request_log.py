"""The request log in a PostgreSQL ledger: rows of `event_requests`, each belonging to a writer in `event_writers`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tallybook.storage.postgresql_database import PostgresqlStatements
from tallybook.storage.postgresql_ledger import PostgresqlLedger

LEDGER_HOST = "ledger"
"""The host name of these logs in the tables of events. Every compactor compacts all of them, because hosts come and
go."""
SILENT_SECONDS = 15
"""Seconds of silence after which a writer is considered dead. If it is alive, its next append fails."""
MAX_READ_ROWS = 20_000
_APPEND = b"""
WITH alive AS (UPDATE event_writers SET seen = clock_timestamp() WHERE file = %s AND seen IS NOT NULL RETURNING file),
durable AS (SELECT CASE WHEN current_setting('synchronous_commit') = 'off'
    THEN set_config('synchronous_commit', 'on', true) END AS now)
INSERT INTO event_requests (file, received, key, protocol, path, headers, size, body)
SELECT alive.file, one.received, one.key, one.protocol, one.path, one.headers, length(one.body), one.body
FROM alive, durable, unnest(%s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::text[], %b::bytea[])
    WITH ORDINALITY AS one (received, key, protocol, path, headers, body, place)
ORDER BY one.place RETURNING n
"""
_STALE = f"(seen IS NULL OR seen < clock_timestamp() - interval '{SILENT_SECONDS} seconds')"
_READ = b"""
SELECT n, received, key, protocol, path, headers, body FROM event_requests WHERE file = %s AND n > %s AND n <= (
    SELECT max(n) FROM (
        SELECT n, sum(size) OVER (ORDER BY n) - size AS before FROM (
            SELECT n, size FROM event_requests WHERE file = %s AND n > %s ORDER BY n LIMIT %s) AS next) AS sized
    WHERE before < %s)
ORDER BY n
"""
_CONSUMED = f"coalesce((SELECT consumed FROM event_logs AS l WHERE l.host = '{LEDGER_HOST}' AND l.file = r.file), 0)"


@dataclass(frozen=True, kw_only=True)
class StoredRequest:
    """A row of the request log."""

    n: int
    received: datetime
    key: str
    protocol: str
    path: str
    headers: str
    body: bytes


class RequestLog:
    """The tables of the log. Every method is one transaction. Errors are those of the ledger."""

    def __init__(self, ledger: PostgresqlLedger) -> None:
        self.ledger = ledger

    # -- for a writer ------------------------------------------------------------------------------

    def register(self, file: str) -> None:
        """Start a log."""
        with self._transaction() as db:
            db.execute("INSERT INTO event_writers (file, seen) VALUES (?, clock_timestamp())", [file])

    def append(self, file: str, rows: Sequence[StoredRequest]) -> list[int]:
        """Append rows and return their numbers, which increase. Returns an empty list if the log was dropped."""
        columns: list[list[Any]] = [
            [getattr(row, name) for row in rows] for name in ("received", "key", "protocol", "path", "headers", "body")
        ]
        with self._transaction() as db:
            return [n for (n,) in db.raw.execute(_APPEND, [file, *columns]).fetchall()]

    def beat(self, file: str) -> None:
        """Record that the writer of a log is alive."""
        with self._transaction() as db:
            db.execute("UPDATE event_writers SET seen = clock_timestamp() WHERE file = ? AND seen IS NOT NULL", [file])

    def end(self, file: str) -> None:
        """Record that a log is complete."""
        with self._transaction() as db:
            db.execute("UPDATE event_writers SET seen = NULL WHERE file = ?", [file])

    # -- for a compactor ---------------------------------------------------------------------------

    def files(self) -> list[str]:
        with self.ledger._reading() as db:
            return [file for (file,) in db.execute("SELECT file FROM event_writers ORDER BY file").fetchall()]

    def has_writer(self, file: str) -> bool:
        with self.ledger._reading() as db:
            asked = f"SELECT 1 FROM event_writers WHERE file = ? AND NOT {_STALE}"
            return db.execute(asked, [file]).fetchone() is not None

    def read(self, file: str, after: int, max_bytes: int) -> list[StoredRequest]:
        """Rows after a number, in order, until their bodies reach `max_bytes`."""
        with self.ledger._reading() as db:
            values = [file, after, file, after, MAX_READ_ROWS, max_bytes]
            found = db.raw.execute(_READ, values, binary=True).fetchall()
        names = ("n", "received", "key", "protocol", "path", "headers", "body")
        return [StoredRequest(**dict(zip(names, row, strict=True))) for row in found]

    def erase(self, file: str, numbers: Sequence[int]) -> None:
        """Clear the bodies and headers of rows."""
        with self._transaction() as db:
            asked = (
                b"UPDATE event_requests SET body = ''::bytea, size = 0, headers = '{}' WHERE file = %s AND n = ANY(%s)"
            )
            db.raw.execute(asked, [file, list(numbers)])

    def drop(self, file: str) -> None:
        """Delete a log, unless its writer is still alive or it contains rows that are not compacted."""
        with self._transaction() as db:
            if not db.execute(f"SELECT 1 FROM event_writers WHERE file = ? AND {_STALE} FOR UPDATE", [file]).fetchone():
                return
            left = f"SELECT 1 FROM event_requests AS r WHERE file = ? AND n > {_CONSUMED} LIMIT 1"
            if db.execute(left, [file]).fetchone():
                return
            db.execute("DELETE FROM event_requests WHERE file = ?", [file])
            db.execute("DELETE FROM event_writers WHERE file = ?", [file])

    def waiting_bytes(self) -> int:
        """The total size of the bodies that are not compacted."""
        with self.ledger._reading() as db:
            asked = f"SELECT coalesce(sum(size), 0)::bigint FROM event_requests AS r WHERE n > {_CONSUMED}"
            return int(db.execute(asked).fetchone()[0])

    def close(self) -> None:
        """Close the connections of the calling thread."""
        self.ledger.close()

    def _transaction(self) -> AbstractContextManager[PostgresqlStatements]:
        # Does not take the lock of the ledger, because rows of different writers do not conflict.
        return self.ledger._transaction("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
