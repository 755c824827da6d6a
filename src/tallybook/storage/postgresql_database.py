"""Connections and transactions of a PostgreSQL ledger, and the translation of its errors."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tallybook.core import BookError, BookUnavailable, Busy, forks, quiet
from tallybook.storage.transaction import LedgerDatabase, StatementRows, Transaction

if TYPE_CHECKING:
    import psycopg


WAIT_SECONDS = 30.0
"""Maximum wait for a change of another process."""


IDLE_SECONDS = 60.0
"""Idle time within a transaction after which the server ends it, so that a sleeping process does not keep the lock."""


CONNECT_SECONDS = 15


class PostgresqlDatabase(LedgerDatabase):
    """The schema of a ledger: connecting, reading and writing."""

    schema: str
    name: str
    """The name of the ledger in messages, without a password."""
    _conninfo: str
    _local: threading.local
    _lock: int
    """The number of the advisory lock, which is the same for all writers to this schema."""

    def _connect(self) -> psycopg.Connection[Any]:
        import psycopg
        from psycopg.types.string import TextLoader

        quiet("psycopg")
        try:
            raw = psycopg.connect(self._conninfo, autocommit=True, prepare_threshold=None)
        except psycopg.Error as error:
            raise BookUnavailable(
                f"{self.name} cannot be reached: {_words(error)}",
                hint=(
                    "look at ledger in [book] of tallybook.toml (user, password, host, port, database), and "
                    "whether the server is up"
                ),
            ) from None
        forks.keep_from_children(raw)
        raw.adapters.register_loader("date", TextLoader)
        raw.adapters.register_loader("timestamptz", _stamp_loader())
        return raw

    @property
    def _held(self) -> psycopg.Connection[Any] | None:
        """The open connection of the calling thread, if it has one."""
        held: psycopg.Connection[Any] | None = getattr(self._local, "connection", None)
        return held if held is not None and not held.closed and self._local.pid == os.getpid() else None

    def _begun(self, begin: str) -> psycopg.Connection[Any]:
        """A connection in a new transaction. If the server has closed the connection, it is opened again; no statement
        was lost."""
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
    def _reading(self) -> Iterator[PostgresqlStatements]:
        with self._transaction("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY") as db:
            yield db

    @contextmanager
    def _writing(self) -> Iterator[PostgresqlStatements]:
        with self._transaction("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE") as db:
            self._only_us(db)
            yield db

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[PostgresqlStatements]:
        with self._translating_errors():
            raw = self._begun(f"{begin}; {self._settings()}")
            try:
                yield PostgresqlStatements(raw)
                raw.execute("COMMIT")
            except BaseException:
                self._undo(raw)
                raise

    def _only_us(self, db: Transaction) -> None:
        """Wait until no other process writes. Every later statement sees what others wrote before."""
        # If the server lost a commit in a crash, two commits could get the same version.
        db.execute(
            "SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'"
        )
        db.execute("SELECT pg_advisory_xact_lock(?)", [self._lock])

    def _undo(self, raw: psycopg.Connection[Any]) -> None:
        """Roll back. If that fails, close the connection; the caller reports the error."""
        import psycopg

        try:
            raw.execute("ROLLBACK")
        except psycopg.Error:
            with contextlib.suppress(psycopg.Error):
                self.close()

    @contextmanager
    def _translating_errors(self) -> Iterator[None]:
        """Raise errors of PostgreSQL as errors of the book with a remedy."""
        import psycopg

        try:
            yield
        except psycopg.Error as error:
            raise self._translated(error) from error

    def _translated(self, error: psycopg.Error) -> BookError | Busy:
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
        """The statements that grant the missing rights."""
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


class PostgresqlStatements:
    """The transaction of a connection, with the interface of `Transaction`."""

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        self.raw = raw

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> StatementRows:
        return self.raw.execute(_marked(sql), values or None)

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> object:
        with self.raw.cursor() as cursor:
            cursor.executemany(_marked(sql), rows)
        return None

    def keep(self, path: str, pieces: Iterable[bytes]) -> None:
        adding = f"INSERT INTO {table_of_contents(path)} VALUES (%s, %s, %b)".encode()
        for piece, body in enumerate(pieces):
            self.raw.execute(adding, [path, piece, body])

    def piece(self, path: str, piece: int) -> bytes | None:
        asked = f"SELECT body FROM {table_of_contents(path)} WHERE path = %s AND piece = %s".encode()
        row = self.raw.execute(asked, [path, piece], binary=True).fetchone()
        return bytes(row[0]) if row else None


def table_of_contents(path: str) -> str:
    """The table with the bytes of a file. Files of events, rules and entities are not in the table `files`."""
    return "event_contents" if path.startswith(("events/", "rules/", "entities/")) else "contents"


def _marked(sql: str) -> bytes:
    return sql.replace("?", "%s").encode()


def read_url(url: str, schema: str) -> tuple[str, str]:
    """(the URL in libpq's form, the name of the ledger in messages, without a password).

    Raises BookUnavailable if the URL cannot be read or the driver is missing."""
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
        # Neither the URL nor libpq's message is repeated, because a password may be in the wrong place in it.
        raise BookUnavailable(
            "the URL of the ledger cannot be read",
            hint=(
                "postgresql://user:password@host:5432/database, with @ : / % in the password written as %40 %3A %2F %25"
            ),
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
    """Begin a transaction on an existing connection. Returns False if the server closed the connection, or if an
    interruption left it in the middle of a transaction."""
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
    """A loader that converts `2026-03-01 06:00:00.5+00`, the server's text in UTC, to 2026-03-01T06:00:00.500000Z."""
    from psycopg.adapt import Loader

    class StampLoader(Loader):
        def load(self, data: Any) -> str:
            whole, _, rest = bytes(data).decode().removesuffix("+00").replace(" ", "T").partition(".")
            return f"{whole}.{rest:0<6}Z"

    return StampLoader
