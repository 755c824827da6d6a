"""The ledger in a schema of a PostgreSQL database, for several hosts, or for hosts without a disk.

Every change keeps one advisory lock of the schema until its transaction ends, so that changes are serialized, as in
a SQLite file. Nothing is kept in the session, so a connection pooler can be used. Leases use the server's clock."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from tallybook.core import BookError
from tallybook.storage import tables
from tallybook.storage.ledger import Commit, NoLedger, PointsFile
from tallybook.storage.postgresql_database import (
    PostgresqlDatabase,
    PostgresqlStatements,
    read_url,
    table_of_contents,
)
from tallybook.storage.sql_ledger import SqlLedger
from tallybook.storage.transaction import Transaction

CONTENTS = """
CREATE TABLE ledger_schema (number BIGINT PRIMARY KEY, since TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp());
CREATE TABLE contents (
    path {text} NOT NULL REFERENCES files (path) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    piece {number} NOT NULL, body BYTEA NOT NULL, PRIMARY KEY (path, piece));
ALTER TABLE contents ALTER COLUMN body SET STORAGE EXTERNAL
"""
"""Tables of this ledger in addition to those of every ledger. The bytes are already compressed."""
EVENTS = """
CREATE TABLE event_contents (
    path {text} NOT NULL, piece {number} NOT NULL, body BYTEA NOT NULL, PRIMARY KEY (path, piece));
ALTER TABLE event_contents ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE TABLE event_writers (file {text} PRIMARY KEY, seen TIMESTAMPTZ);
CREATE TABLE event_requests (
    file {text} NOT NULL, n BIGINT GENERATED ALWAYS AS IDENTITY, received TIMESTAMPTZ NOT NULL, key {text} NOT NULL,
    protocol {text} NOT NULL, path {text} NOT NULL, headers {text} NOT NULL, size {number} NOT NULL,
    body BYTEA NOT NULL, PRIMARY KEY (file, n));
ALTER TABLE event_requests ALTER COLUMN body SET STORAGE EXTERNAL
"""
"""The bytes of event files, and the request log with its writers. A writer whose `seen` is null is closed."""


# The table is altered, not replaced, so that its privileges stay.
_STRETCHES = f"""
CREATE TABLE coverage_3 AS SELECT * FROM coverage;
DELETE FROM coverage;
ALTER TABLE coverage RENAME COLUMN day TO first_day;
ALTER TABLE coverage ADD COLUMN last_day DATE NOT NULL;
ALTER TABLE coverage ADD COLUMN day_count BIGINT NOT NULL;
{tables.folded("coverage_3", "day - ({count})::int")};
DROP TABLE coverage_3
"""


STEPS: Mapping[int, str] = {
    3: tables.made("alerts", tables.POSTGRESQL),
    4: ";\n".join([_STRETCHES, *(tables.made(one, tables.POSTGRESQL) for one in ("identities", "horizons"))]),
    5: ";\n".join(tables.added_tables(tables.EVENT_TABLES, tables.POSTGRESQL)),
    6: ";\n".join(
        [
            *tables.added_tables(tables.ENTITY_TABLES, tables.POSTGRESQL),
            *(f"ALTER TABLE id_runs ADD COLUMN IF NOT EXISTS {one}" for one in tables.HASHES_OF_RUNS),
            EVENTS,
        ]
    ),
    7: ";\n".join(tables.added_tables(tables.ACTION_TABLES, tables.POSTGRESQL)),
}
"""{number: statements that upgrade a ledger with the previous number to this number}."""


class PostgresqlLedger(PostgresqlDatabase, SqlLedger):
    """A ledger in PostgreSQL. `url` is in libpq's form; the SQLAlchemy driver in it is ignored."""

    island: ClassVar[str] = "first_day - ({count})::int"

    def __init__(self, url: str, *, schema: str = "tallybook", create: bool = True) -> None:
        """Raises NoLedger if it does not exist and `create` is false, BookUnavailable if it cannot be reached."""
        self.schema = schema
        self._conninfo, self.name = read_url(url, schema)
        self.where = self.name.removeprefix("the ledger ").removesuffix(",")
        self.out_of_the_way = f'move it away first: ALTER SCHEMA "{schema}" RENAME TO "{schema}_old"'
        # The lock is specific to this schema, and the same for all its writers.
        self._lock = int.from_bytes(hashlib.sha256(f"tallybook {schema}".encode()).digest()[:8], "big", signed=True)
        self._local = threading.local()
        with self._reading() as db:
            number = self._number(db)
        if number > tables.NUMBER:
            raise BookError(
                f"{self.name} was written by a newer Tallybook (ledger {number}, known {tables.NUMBER})",
                hint="pip install --upgrade tallybook",
            )
        if number == 0 and not create:
            raise NoLedger(self.name)
        if number < tables.NUMBER:
            try:
                with self._writing() as db:
                    self._make_tables(db, number)
            except BookError as error:
                if number and "permission denied" in str(error):
                    raise tables.older_book(self.name, number) from None
                raise

    # -- tables ------------------------------------------------------------------------------------

    def _number(self, db: Transaction) -> int:
        """The schema number of the existing tables; 0 without tables."""
        if not self._is_there(db):
            return 0
        return int(db.execute(f'SELECT max(number) FROM "{self.schema}".ledger_schema').fetchone()[0])

    def identity(self) -> str:
        """A text that identifies this ledger, even among ledgers created later at the same place."""
        with self._reading() as db:
            since = db.execute("SELECT min(since) FROM ledger_schema").fetchone()[0]
        return f"the PostgreSQL ledger in schema {self.schema}, made {since}"

    def _is_there(self, db: Transaction) -> bool:
        # Reads pg_class directly, because name resolution may have cached that the table is missing.
        asked = (
            "SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = ? AND c.relname = 'ledger_schema'"
        )
        return db.execute(asked, [self.schema]).fetchone() is not None

    def _make_tables(self, db: Transaction, number: int) -> None:
        """Upgrade the tables from `number` to the current schema number."""
        # Check again, because another process may have upgraded them while we waited.
        if number == 0 and self._is_there(db):
            return
        if number == 0:
            if not db.execute("SELECT 1 FROM pg_namespace WHERE nspname = ?", [self.schema]).fetchone():
                db.execute(f'CREATE SCHEMA "{self.schema}"')
            for text in (tables.TABLES, CONTENTS, EVENTS):
                self._do(db, text)
        else:
            number = self._number(db)
            for step in range(number + 1, tables.NUMBER + 1):
                self._do(db, STEPS[step])
        if number < tables.NUMBER:
            db.execute("INSERT INTO ledger_schema (number) VALUES (?)", [tables.NUMBER])

    def _do(self, db: Transaction, text: str) -> None:
        for statement in tables.statements(text, tables.POSTGRESQL):
            db.execute(statement)

    def _columns(self, db: Transaction) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        asked = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = ?"
        for table, column in db.execute(asked, [self.schema]):
            found.setdefault(table, set()).add(column)
        return found

    def _damage(self, db: Transaction) -> list[str]:
        """An empty list: PostgreSQL reports damaged pages itself whenever they are read."""
        return []

    # -- leases ------------------------------------------------------------------------------------

    def _instant(self, db: Transaction, now: datetime) -> datetime:
        """The server's time, because the clocks of several hosts differ."""
        return datetime.fromisoformat(db.execute("SELECT clock_timestamp()").fetchone()[0])

    def _holder(self) -> dict[str, Any]:
        return super()._holder() | {"place": _place()}

    def _is_alive(self, holder: str) -> bool:
        """Whether a holder is alive. Only processes in this place can be checked: containers on several hosts may share
        a name."""
        place = json.loads(holder).get("place")
        return not place or place != _place() or super()._is_alive(holder)

    # -- files kept as bytes -------------------------------------------------------------------------

    @contextmanager
    def _committing(self, change: Commit) -> Iterator[Transaction]:
        with self._transaction("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE") as db:
            # Before the lock, so that no other process waits while the bytes are sent.
            if change.contents is not None:
                for file in (*change.add, *(f for f in change.rewritten.values() if f is not None)):
                    db.keep(file.path, change.contents(file))
            self._only_us(db)
            yield db
        if change.forgotten or change.rewritten:
            self._leave_no_trace()

    def _rewrite(self, db: Transaction, old: int, file: PointsFile | None) -> None:
        db.execute("DELETE FROM contents WHERE path = (SELECT path FROM files WHERE id = ?)", [old])
        super()._rewrite(db, old, file)

    def _give_up(self, db: Transaction, file: PointsFile) -> None:
        db.execute("DELETE FROM contents WHERE path = ?", [file.path])
        super()._give_up(db, file)

    def _leave_no_trace(self) -> None:
        """Remove deleted rows physically. The deletion is already committed, so errors are ignored.

        Only the owner of the tables can do this, and active readers delay it."""
        import psycopg

        named = ", ".join(f'"{self.schema}".{name}' for name in ("contents", "event_contents", *tables.COLUMNS))
        with contextlib.suppress(psycopg.Error):
            if (held := self._held) is not None:
                held.execute(f"VACUUM {named}".encode())

    def _filled(self, db: Transaction, contents: Iterable[tuple[str, Iterable[bytes]]]) -> None:
        for table, column in tables.NUMBERED.items():
            sequence = f"pg_get_serial_sequence('\"{self.schema}\".{table}', '{column}')"
            db.execute(f"SELECT setval({sequence}, max({column})) FROM {table} HAVING max({column}) IS NOT NULL")
        assert isinstance(db, PostgresqlStatements)
        for path, pieces in contents:
            db.keep(path, pieces)

    @contextmanager
    def _keeping(self, contents: Iterable[tuple[str, Iterable[bytes]]]) -> Iterator[Transaction]:
        with self._transaction("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE") as db:
            # Before the lock, so that no other process waits while the bytes are sent.
            for path, pieces in contents:
                db.keep(path, pieces)
            self._only_us(db)
            yield db

    def _forget_contents(self, db: Transaction, paths: Sequence[str]) -> None:
        db.executemany("DELETE FROM event_contents WHERE path = ?", [(path,) for path in paths])

    def content(self, path: str) -> Iterator[bytes]:
        """The bytes of a file, in pieces; empty if they are not stored here."""
        with self._reading() as db:
            piece = 0
            while (body := db.piece(path, piece)) is not None:
                yield body
                piece += 1

    def without_content(self, files: Sequence[PointsFile]) -> list[PointsFile]:
        """The files whose bytes are not stored here completely."""
        with self._reading() as db:
            sums = "SELECT path, sum(length(body))::bigint FROM {} GROUP BY path"
            every = " UNION ALL ".join(sums.format(table) for table in ("contents", "event_contents"))
            kept: dict[str, int] = dict(db.execute(every).fetchall())
        return [file for file in files if kept.get(file.path) != file.bytes]

    def keep_contents(self, files: Sequence[PointsFile], contents: Callable[[PointsFile], Iterable[bytes]]) -> None:
        """Store the bytes of files that are already in the ledger, all or none."""
        with self._writing() as db:
            for file in files:
                db.execute(f"DELETE FROM {table_of_contents(file.path)} WHERE path = ?", [file.path])
                db.keep(file.path, contents(file))
            db.executemany("UPDATE files SET sha256 = ? WHERE id = ?", [(file.sha256, file.id) for file in files])


def _place() -> str:
    """The scope of process ids: this boot of this machine, in this container. Empty if unknown."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() + str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
