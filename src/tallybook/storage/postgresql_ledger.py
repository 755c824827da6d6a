"""The ledger in a schema of a PostgreSQL database, for several hosts, or for hosts without a disk.

Every change holds one advisory lock of the schema until its transaction ends, so that changes come one after the
other, as in a SQLite file; nothing is kept in the session, so that a pooler may stand between. Who holds a lease,
and until when, is said by the server's clock.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tallybook.core import BookError, BookUnavailable, Busy, forks, quiet
from tallybook.storage import tables
from tallybook.storage.ledger import Commit, NoLedger, PointsFile
from tallybook.storage.sql_ledger import SqlLedger
from tallybook.storage.transaction import StatementRows, Transaction

if TYPE_CHECKING:
    import psycopg

WAIT_SECONDS = 30.0
"""How long a change of others is waited for."""
IDLE_SECONDS = 60.0
"""After so long without a word within a transaction the server ends it: who sleeps must not hold the lock."""
CONNECT_SECONDS = 15
CONTENTS = """
CREATE TABLE ledger_schema (number BIGINT PRIMARY KEY, since TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp());
CREATE TABLE contents (
    path {text} NOT NULL REFERENCES files (path) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    piece {number} NOT NULL, body BYTEA NOT NULL, PRIMARY KEY (path, piece));
ALTER TABLE contents ALTER COLUMN body SET STORAGE EXTERNAL
"""
"""What this ledger has beside the tables of every ledger. The bytes are compressed already."""
# The table stays, and with it what others may do to it.
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
    5: ";\n".join(tables.event_tables(tables.POSTGRESQL)),
}
"""{number: the statements that make a ledger of the number before one of this number}."""


class PostgresqlLedger(SqlLedger):
    """`url` is as libpq reads it, with any SQLAlchemy driver named in it left out."""

    island: ClassVar[str] = "first_day - ({count})::int"

    def __init__(self, url: str, *, schema: str = "tallybook", create: bool = True) -> None:
        """Raises NoLedger when it is not there and `create` is false, BookUnavailable when it cannot be reached."""
        self.schema = schema
        self._conninfo, self.name = _read(url, schema)
        self.where = self.name.removeprefix("the ledger ").removesuffix(",")
        self.out_of_the_way = f'move it away first: ALTER SCHEMA "{schema}" RENAME TO "{schema}_old"'
        # Of this schema alone, and the same for all who write to it.
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

    # -- connections -----------------------------------------------------------------------------

    def _connect(self) -> psycopg.Connection[Any]:
        import psycopg
        from psycopg.types.string import TextLoader

        quiet("psycopg")
        try:
            raw = psycopg.connect(self._conninfo, autocommit=True, prepare_threshold=None)
        except psycopg.Error as error:
            raise BookUnavailable(
                f"{self.name} cannot be reached: {_words(error)}",
                hint="look at ledger in [book] of tallybook.toml (user, password, host, port, database), and whether the server is up",
            ) from None
        forks.keep_from_children(raw)
        raw.adapters.register_loader("date", TextLoader)
        raw.adapters.register_loader("timestamptz", _stamp_loader())
        return raw

    @property
    def _held(self) -> psycopg.Connection[Any] | None:
        """The calling thread's connection, if it has one that is open."""
        held: psycopg.Connection[Any] | None = getattr(self._local, "connection", None)
        return held if held is not None and not held.closed and self._local.pid == os.getpid() else None

    def _begun(self, begin: str) -> psycopg.Connection[Any]:
        """A connection with a transaction begun. One that was closed from the other end is opened anew: nothing was
        said on it yet."""
        held = self._held
        if held is not None and _begins(held, begin):
            return held
        self.close()
        raw = self._connect()
        self._local.connection, self._local.pid = raw, os.getpid()
        raw.execute(begin.encode())
        return raw

    def close(self) -> None:
        held = self._held
        self._local.connection = None
        if held is not None:
            held.close()

    def _settings(self) -> str:
        settings = {
            "search_path": f'"{self.schema}"',
            "TimeZone": "'UTC'",
            "DateStyle": "'ISO'",
            "statement_timeout": "'10min'",
            "lock_timeout": f"'{WAIT_SECONDS * 1000:.0f}ms'",
            "idle_in_transaction_session_timeout": f"'{IDLE_SECONDS * 1000:.0f}ms'",
        }
        return "; ".join(f"SET LOCAL {name} = {value}" for name, value in settings.items())

    @contextmanager
    def _reading(self) -> Iterator[_Statements]:
        with self._transaction("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY") as db:
            yield db

    @contextmanager
    def _writing(self) -> Iterator[_Statements]:
        with self._transaction("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE") as db:
            self._only_us(db)
            yield db

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[_Statements]:
        with self._telling():
            raw = self._begun(f"{begin}; {self._settings()}")
            try:
                yield _Statements(raw)
                raw.execute("COMMIT")
            except BaseException:
                self._undo(raw)
                raise

    def _only_us(self, db: Transaction) -> None:
        """Wait until nobody else writes. What others wrote before is seen by every statement from here on."""
        # A commit that the server has forgotten after a crash would be a version that two commits had.
        db.execute(
            "SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'"
        )
        db.execute("SELECT pg_advisory_xact_lock(?)", [self._lock])

    def _undo(self, raw: psycopg.Connection[Any]) -> None:
        """What went wrong has been said; a connection that cannot even roll back is let go of."""
        import psycopg

        try:
            raw.execute("ROLLBACK")
        except psycopg.Error:
            with contextlib.suppress(psycopg.Error):
                self.close()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """PostgreSQL's errors in our words, with what to do."""
        import psycopg

        try:
            yield
        except psycopg.Error as error:
            raise self._told(error) from error

    def _told(self, error: psycopg.Error) -> BookError | Busy:
        state, said = error.sqlstate or "", _words(error)
        if state == "55P03":
            return Busy(
                f"{self.name} was held by another process for {WAIT_SECONDS:g} s", hint="run again when it is done"
            )
        if not state or state.startswith(("08", "57P")) or state == "25P03":
            return BookUnavailable(
                f"the connection to {self.name} was lost: {said}",
                hint="run again: what was committed is kept, nothing is half done",
            )
        if state.startswith("53"):
            return BookError(
                f"{self.name} cannot be written: {said}",
                hint="make room on the server (its disk, its connections), then run again: nothing is half done",
            )
        if state == "25006":
            return BookError(
                f"{self.name} cannot be written: {said}", hint="name the primary, not a standby, in ledger"
            )
        if state == "42501":
            return BookError(f"{self.name} may not be used: {said}", hint=self._grants(said))
        if state == "42P07":
            return BookError(
                f"{self.name} cannot be made: {said}",
                hint='the schema holds tables of others: name another one in [book], as schema = "tallybook_2"',
            )
        return BookError(f"{self.name}: {said}")

    def _grants(self, said: str) -> str:
        """The statements that give the rights which are lacking."""
        if "for database" in said:
            return f'let somebody who may: CREATE SCHEMA "{self.schema}" AUTHORIZATION {self._user}'
        return (
            f'GRANT USAGE ON SCHEMA "{self.schema}" TO {self._user}; '
            f'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "{self.schema}" TO {self._user}; '
            f'GRANT USAGE ON ALL SEQUENCES IN SCHEMA "{self.schema}" TO {self._user}'
        )

    @property
    def _user(self) -> str:
        held = self._held
        return f'"{held.info.user}"' if held is not None else "the user of the URL"

    # -- tables ------------------------------------------------------------------------------------

    def _number(self, db: Transaction) -> int:
        """The number of the tables that are there; 0 for none."""
        if not self._is_there(db):
            return 0
        return int(db.execute(f'SELECT max(number) FROM "{self.schema}".ledger_schema').fetchone()[0])

    def identity(self) -> str:
        """What tells this ledger from any other, also from one that is made in its place later."""
        with self._reading() as db:
            since = db.execute("SELECT min(since) FROM ledger_schema").fetchone()[0]
        return f"the PostgreSQL ledger in schema {self.schema}, made {since}"

    def _is_there(self, db: Transaction) -> bool:
        # Asked of the tables of tables: what resolves names may remember that there was none.
        asked = (
            "SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = ? AND c.relname = 'ledger_schema'"
        )
        return db.execute(asked, [self.schema]).fetchone() is not None

    def _make_tables(self, db: Transaction, number: int) -> None:
        """From the number that was seen to today's."""
        # Looked at again: another process may have done it while we waited.
        if number == 0 and self._is_there(db):
            return
        if number == 0:
            if not db.execute("SELECT 1 FROM pg_namespace WHERE nspname = ?", [self.schema]).fetchone():
                db.execute(f'CREATE SCHEMA "{self.schema}"')
            for text in (tables.TABLES, CONTENTS):
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
        """What PostgreSQL finds wrong with its own pages it says itself, of whatever reads them."""
        return []

    # -- leases ------------------------------------------------------------------------------------

    def _instant(self, db: Transaction, now: datetime) -> datetime:
        """By the server's clock: those of several hosts differ."""
        return datetime.fromisoformat(db.execute("SELECT clock_timestamp()").fetchone()[0])

    def _holder(self) -> dict[str, Any]:
        return super()._holder() | {"place": _place()}

    def _is_alive(self, holder: str) -> bool:
        """Only here can it be seen that a process is gone: containers of several hosts may have one name."""
        place = json.loads(holder).get("place")
        return not place or place != _place() or super()._is_alive(holder)

    # -- files kept as bytes -------------------------------------------------------------------------

    @contextmanager
    def _committing(self, change: Commit) -> Iterator[Transaction]:
        with self._transaction("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE") as db:
            # Before the lock: nobody need wait for the bytes to arrive.
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
        """What was deleted is not to stay in the tables. It is committed already: nothing may go wrong here; only the
        owner of the tables can do it, and who is reading keeps it a while."""
        import psycopg

        named = ", ".join(f'"{self.schema}".{name}' for name in ("contents", *tables.COLUMNS))
        with contextlib.suppress(psycopg.Error):
            if (held := self._held) is not None:
                held.execute(f"VACUUM {named}".encode())

    def _filled(self, db: Transaction, contents: Iterable[tuple[str, Iterable[bytes]]]) -> None:
        for table, column in tables.NUMBERED.items():
            sequence = f"pg_get_serial_sequence('\"{self.schema}\".{table}', '{column}')"
            db.execute(f"SELECT setval({sequence}, max({column})) FROM {table} HAVING max({column}) IS NOT NULL")
        assert isinstance(db, _Statements)
        for path, pieces in contents:
            db.keep(path, pieces)

    def content(self, path: str) -> Iterator[bytes]:
        """The bytes of a file, piece by piece; none at all where they are not kept here."""
        with self._reading() as db:
            piece = 0
            while (body := db.piece(path, piece)) is not None:
                yield body
                piece += 1

    def without_content(self, files: Sequence[PointsFile]) -> list[PointsFile]:
        """Those whose bytes are not kept here, or not all of them."""
        with self._reading() as db:
            kept: dict[str, int] = dict(
                db.execute("SELECT path, sum(length(body))::bigint FROM contents GROUP BY path").fetchall()
            )
        return [file for file in files if kept.get(file.path) != file.bytes]

    def keep_contents(self, files: Sequence[PointsFile], contents: Callable[[PointsFile], Iterable[bytes]]) -> None:
        """Keep the bytes of files that the ledger names already, all of them or none."""
        with self._writing() as db:
            for file in files:
                db.execute("DELETE FROM contents WHERE path = ?", [file.path])
                db.keep(file.path, contents(file))
            db.executemany("UPDATE files SET sha256 = ? WHERE id = ?", [(file.sha256, file.id) for file in files])


class _Statements:
    """The transaction of a connection, in the words of `Transaction`."""

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        self.raw = raw

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> StatementRows:
        return self.raw.execute(_marked(sql), values or None)

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> object:
        with self.raw.cursor() as cursor:
            cursor.executemany(_marked(sql), rows)
        return None

    def keep(self, path: str, pieces: Iterable[bytes]) -> None:
        for piece, body in enumerate(pieces):
            self.raw.execute(b"INSERT INTO contents VALUES (%s, %s, %b)", [path, piece, body])

    def piece(self, path: str, piece: int) -> bytes | None:
        asked = b"SELECT body FROM contents WHERE path = %s AND piece = %s"
        row = self.raw.execute(asked, [path, piece], binary=True).fetchone()
        return bytes(row[0]) if row else None


def _marked(sql: str) -> bytes:
    return sql.replace("?", "%s").encode()


def _read(url: str, schema: str) -> tuple[str, str]:
    """(the URL as libpq wants it, what the ledger is called in messages, which has no password).

    Raises BookUnavailable when it cannot be read, or the driver is not there."""
    try:
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict, make_conninfo
    except ImportError:
        raise BookUnavailable(
            "a PostgreSQL ledger needs the driver psycopg", hint="pip install 'tallybook[postgresql]'"
        ) from None
    scheme, _, rest = url.partition("://")
    plain = f"{scheme.partition('+')[0]}://{rest}"
    try:
        given = {key: str(value) for key, value in conninfo_to_dict(plain).items()}
    except ProgrammingError:
        given = {"port": "none that can be read"}
    if not re.fullmatch(r"[\d,]*", given.get("port", "")) or "@" in given.get("host", "") + given.get("dbname", ""):
        # Neither the URL nor what libpq says of it is repeated: its parts are not where they should be.
        raise BookUnavailable(
            "the URL of the ledger cannot be read",
            hint="postgresql://user:password@host:5432/database, with @ : / % in the password written as %40 %3A %2F %25",
        )
    defaults: dict[str, Any] = {
        "connect_timeout": CONNECT_SECONDS,
        "application_name": "tallybook",
        "client_encoding": "utf8",
    }
    conninfo = make_conninfo(plain, **{k: v for k, v in defaults.items() if k not in given})
    host = given.get("host") or "localhost"
    port = f":{given['port']}" if given.get("port") else ""
    return conninfo, f"the ledger postgresql://{host}{port}/{given.get('dbname') or ''}, schema {schema},"


def _begins(held: psycopg.Connection[Any], begin: str) -> bool:
    """Begin a transaction on a connection of before; False when it was closed from the other end, or is in the middle
    of something, as an interruption leaves it."""
    import psycopg

    if held.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        return False
    try:
        held.execute(begin.encode())
    except psycopg.OperationalError:
        return False
    return True


def _words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _stamp_loader() -> type[Any]:
    """Reads `2026-03-01 06:00:00.5+00`, which is what the server writes in UTC, as 2026-03-01T06:00:00.500000Z."""
    from psycopg.adapt import Loader

    class StampLoader(Loader):
        def load(self, data: Any) -> str:
            whole, _, rest = bytes(data).decode().removesuffix("+00").replace(" ", "T").partition(".")
            return f"{whole}.{rest:0<6}Z"

    return StampLoader


def _place() -> str:
    """Where process numbers mean the same: this boot of this machine, in this container. Empty where it cannot be known."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() + str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
