"""The common part of database servers: a URL, a DBAPI connection, and a transaction per snapshot."""

from __future__ import annotations

import abc
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from tallybook.collect.sources.base import Reader, Source
from tallybook.collect.sources.failed_statements import reason_of
from tallybook.collect.sources.identity import SAME_ADDRESS, Identity, address_of
from tallybook.collect.sources.values import ColumnType
from tallybook.core import SourceError, SourceUnavailable, schema_and_table

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection, Engine


_NEEDLESS_ESCAPE = re.compile(r"://[^:/@]*:[^@]*%(?:3\d|[46][1-9A-Fa-f]|[57][0-9Aa])[^@]*@")
"""Matches a URL whose password has a percent-encoded letter or digit, which nobody writes on purpose."""


class ServerSource(Source):
    """A database server reached through SQLAlchemy's engine. Statements go to the driver unchanged."""

    drivername: str
    engine_options: ClassVar[Mapping[str, Any]] = {}
    """Options of SQLAlchemy's dialect."""
    other_listener: ClassVar[tuple[str, int, Sequence[str]]] = ("", 0, ())
    """(the server, its usual port, error messages of the driver if something else listens at the port)."""

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self._engine: Engine | None = None
        self._raw: Any = None
        self._inspected: Connection | None = None
        """SQLAlchemy's connection for queries on the catalog."""

    @abc.abstractmethod
    def prepare(self) -> Sequence[str]:
        """Session settings: time zone, time limits, read-only."""

    @abc.abstractmethod
    def begin(self) -> Sequence[str]:
        """Statements that start a read-only snapshot."""

    @abc.abstractmethod
    def explained(self, error: Exception) -> SourceError:
        """A driver's error in our words, with the next step."""

    def connect_options(self, driver: str) -> Mapping[str, Any]:
        """Driver arguments for a connection, in addition to the URL."""
        return {}

    def engine(self) -> Engine:
        if self._engine is None:
            from sqlalchemy import create_engine, make_url
            from sqlalchemy.exc import NoSuchModuleError
            from sqlalchemy.pool import NullPool

            url = make_url(self.settings.url)
            if "+" not in url.drivername:  # postgres://, mysql://, mariadb://: our driver accepts all of them
                url = url.set(drivername=self.drivername)
            try:
                engine = create_engine(url, poolclass=NullPool, **self.engine_options)
                self._engine = self.prepared(self._connecting(engine))
            except (ModuleNotFoundError, NoSuchModuleError) as error:
                driver = getattr(error, "name", None) or f"of {url.drivername} URLs"
                raise SourceUnavailable(
                    f"source {self.settings.name!r} needs the driver {driver}",
                    hint=self.kind.install,
                ) from None
            except Exception as error:  # for example if BigQuery finds no credentials
                raise self._unreachable(error) from None
        return self._engine

    def _connecting(self, engine: Engine) -> Engine:
        """The engine with the driver's options on every connection, including those that a Python metric opens."""
        from sqlalchemy import event

        options = self.connect_options(engine.dialect.driver)

        def connect(dialect: object, record: object, args: object, found: dict[str, Any]) -> None:
            found.update(options)

        event.listen(engine, "do_connect", connect)
        return engine

    def prepared(self, engine: Engine) -> Engine:
        """SQLAlchemy's engine for `sql_connection` and for the catalog. Each connection is prepared and each
        transaction begins as for our own statements."""
        from sqlalchemy import event

        def connected(raw: Any, record: object) -> None:
            try:
                self._prepare(raw)
            except Exception as error:
                raise self.explained(error) from None

        def begin(connection: Connection) -> None:
            for statement in self.begin():
                connection.exec_driver_sql(statement)

        event.listen(engine, "connect", connected)
        event.listen(engine, "begin", begin)
        return engine

    def raw(self) -> Any:
        """The driver's connection, opened and prepared on first use."""
        if self._raw is None:
            self._raw = self._connect()
        return self._raw

    def _connect(self) -> Any:
        engine = self.engine()
        try:
            # The driver's own connection, because SQLAlchemy's would first run a dozen queries of its own.
            args, options = engine.dialect.create_connect_args(engine.url)
            raw: Any = engine.dialect.connect(*args, **{**options, **self.connect_options(engine.dialect.driver)})
        except Exception as error:
            raise self._unreachable(error) from None
        try:
            self._prepare(raw)
        except Exception as error:
            raise self.explained(error) from None
        return raw

    def _prepare(self, raw: Any) -> None:
        cursor = raw.cursor()
        for statement in self.prepare():
            cursor.execute(statement)
        cursor.close()
        raw.commit()

    def _unreachable(self, error: BaseException) -> SourceUnavailable:
        hint = f"look at the url of [sources.{self.settings.name}] (user, password, host, port, database), "
        hint += "then `tallybook check --source`"
        server, port, words = self.other_listener
        if any(word in str(error) for word in words):
            hint = f"does {server} listen at this port? Its own is {port}; {hint}"
        if _NEEDLESS_ESCAPE.search(self.settings.url):
            hint = f"% and two digits in a password mean one character, and a % itself is written %25; {hint}"
        return SourceUnavailable(f"source {self.settings.name!r} cannot be reached: {self.reason_of(error)}", hint=hint)

    def reason_of(self, error: BaseException) -> str:
        """The driver's message on one line."""
        return reason_of(error)

    def close(self) -> None:
        inspected, self._inspected = self._inspected, None
        raw, self._raw = self._raw, None
        try:
            if inspected is not None:
                inspected.close()
        finally:
            if raw is not None:
                raw.close()

    @contextmanager
    def snapshot(self) -> Iterator[Reader]:
        raw = self.raw()
        try:
            self._begin(raw)
        except Exception as error:
            self._forget()
            raise self.explained(error) from None
        try:
            yield self.reader(raw)
        finally:
            self._end(raw)

    def _begin(self, raw: Any) -> None:
        cursor = raw.cursor()
        for statement in self.begin():
            cursor.execute(statement)
        cursor.close()

    def _end(self, raw: Any) -> None:
        try:
            raw.rollback()
        except Exception:
            # The connection was lost. The statement that noticed it has reported it.
            self._forget()

    def _forget(self) -> None:
        try:
            self.close()
        except Exception:
            self._raw = None

    def reader(self, raw: Any) -> Reader:
        return ServerReader(self, raw)

    @contextmanager
    def sql_connection(self) -> Iterator[Any]:
        from sqlalchemy.exc import DBAPIError

        try:
            with self.engine().connect() as connection:
                yield connection
                connection.rollback()
        except DBAPIError as error:
            raise self.explained(error.orig if isinstance(error.orig, Exception) else error) from None

    def identity(self, folder: Path | None) -> Identity:
        """The identity by address, for a server without an id that all of its replicas share."""
        from sqlalchemy import make_url

        cannot = SAME_ADDRESS.format(name=self.settings.name)
        return Identity(address=address_of(make_url(self.settings.url)), cannot=cannot)

    @contextmanager
    def inspector(self) -> Iterator[Any]:
        """SQLAlchemy's inspector. All catalog queries use one connection, which is kept until `close`."""
        from sqlalchemy import inspect

        self.raw()
        if self._inspected is None:
            self._inspected = self.engine().connect()
        connection = self._inspected
        try:
            yield inspect(connection)
            connection.rollback()  # so that the next query sees the current catalog
        except BaseException:
            self._inspected = None
            connection.close()
            raise

    def tables(self) -> list[str]:
        with self.inspector() as found:
            return sorted([*found.get_table_names(), *found.get_view_names()])

    def columns(self, table: str) -> list[str]:
        from sqlalchemy.exc import NoSuchTableError

        schema, name = schema_and_table(table)
        try:
            with self.inspector() as inspector:
                return [column["name"] for column in inspector.get_columns(name, schema=schema or None)]
        except NoSuchTableError:
            return []

    def indexed_columns(self, table: str) -> set[str]:
        schema, name = schema_and_table(table)
        with self.inspector() as found:
            indexes = found.get_indexes(name, schema=schema or None)
            key = found.get_pk_constraint(name, schema=schema or None).get("constrained_columns") or []
        firsts = {index["column_names"][0] for index in indexes if index["column_names"]}
        return {*(str(c) for c in firsts if c), *key[:1]}

    def base_tables(self) -> list[str]:
        with self.inspector() as found:
            return sorted(found.get_table_names())

    def foreign_keys(self, table: str) -> list[tuple[str, str, str]]:
        schema, name = schema_and_table(table)
        with self.inspector() as inspector:
            found = inspector.get_foreign_keys(name, schema=schema or None)
        return [
            (key["constrained_columns"][0], key["referred_table"], key["referred_columns"][0])
            for key in found
            if len(key["constrained_columns"]) == 1 and not key["referred_schema"]
        ]

    def unique_keys(self, table: str) -> list[tuple[str, ...]]:
        schema, name = schema_and_table(table)
        with self.inspector() as found:
            key = found.get_pk_constraint(name, schema=schema or None).get("constrained_columns") or []
            indexes = found.get_indexes(name, schema=schema or None)
        # An index on some of the rows, or on an expression, does not make columns unique.
        whole = [
            i["column_names"] for i in indexes if i.get("unique") and None not in i["column_names"] and not _partial(i)
        ]
        return [tuple(map(str, columns)) for columns in (key, *whole) if columns]


def _partial(index: Any) -> bool:
    options = index.get("dialect_options", {})  # MySQL leaves it out if an index has none
    return any(option.endswith(("where", "length")) and value for option, value in options.items())


class DescribedServer(ServerSource):
    """A server whose driver provides the types of a cursor's columns."""

    @abc.abstractmethod
    def describe(self, cursor: Any) -> list[ColumnType]:
        """The types of a cursor's columns."""

    def probe(self, relation: str, expressions: Sequence[str]) -> list[ColumnType]:
        with self.snapshot() as reader:
            assert isinstance(reader, ServerReader)
            with reader.cursor() as cursor:
                cursor.execute(f"SELECT {', '.join(expressions)} FROM {relation} WHERE 1 = 0")
                return self.describe(cursor)

    def typed_rows(self, table: str, columns: Sequence[str], select: str) -> tuple[list[ColumnType], list[Any]]:
        with self.snapshot() as reader:
            assert isinstance(reader, ServerReader)
            with reader.cursor() as cursor:
                cursor.execute(select)
                return self.describe(cursor), list(cursor.fetchall())


class ServerReader(Reader):
    def __init__(self, source: ServerSource, raw: Any) -> None:
        self.source, self.raw = source, raw

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def batches(self, sql: str, size: int = 50_000) -> Iterator[list[tuple[Any, ...]]]:
        with self.streaming_cursor() as cursor:
            cursor.execute(sql)
            while batch := cursor.fetchmany(size):
                yield list(batch)

    @contextmanager
    def cursor(self) -> Iterator[Any]:
        with self.explaining():
            cursor = self.raw.cursor()
            try:
                yield cursor
            finally:
                cursor.close()

    @contextmanager
    def streaming_cursor(self) -> Iterator[Any]:
        with self.cursor() as cursor:
            yield cursor

    @contextmanager
    def explaining(self) -> Iterator[None]:
        try:
            yield
        except SourceError:
            raise
        except Exception as error:
            raise self.source.explained(error) from None
