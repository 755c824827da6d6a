"""Writes the rows of an answer to a table in your own database, in one transaction with a marker.

The marker, a row of `tallybook_deliveries`, names the version of the book in the table. Rows and marker are written
in the same transaction. So a table has each version completely or not at all, even if the outcome of a commit is
unknown."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from tallybook.core import (
    DELIVERED,
    UP_TO_DATE,
    WOULD_DELIVER,
    DestinationError,
    DestinationRefused,
    DestinationUnavailable,
    Result,
)
from tallybook.deliver.destinations.base import DeliveryOutcome, DeliveryTask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Column, Connection, Engine, Table

Made = TypeVar("Made")
KEY, HASH, COMPLETE = "tallybook_key", "tallybook_hash", "complete"
MARKER = "tallybook_deliveries"
AT_ONCE = 500
MAX_TRIES = 4
DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
    "sqlite": "sqlite",
}


@dataclass(frozen=True)
class OwnRow:
    """A row to write: its key, a hash of its values, and the values by column."""

    key: str
    hash: str
    values: Mapping[str, Any]


def deliver_to_table(task: DeliveryTask) -> DeliveryOutcome:
    """Update the table. Raises DestinationError; then nothing is written to it."""
    result, name = task.answer(), task.options["table"]
    rows = {row.key: row for row in rows_of(result)}
    with own_database(task.options["url"], task.path) as engine:
        if not task.mode.writes:
            with engine.connect() as connection:
                return _would_write(connection, name, result, rows)
        table, marker = in_own_transaction(engine, lambda connection: _made_tables(connection, name, result))
        with engine.begin() as connection:
            _lock_marker(connection, marker, task.delivery.name)
            seen = _marked_version(connection, marker, task.delivery.name)
            # A version that this book never had belongs to an earlier book.
            if result.version < seen <= task.book_version():
                return DeliveryOutcome(status=UP_TO_DATE, hint=f"the table has version {seen} of the book already")
            changed, gone = _difference(connection, table, rows)
            _write(connection, table, changed, gone)
            connection.execute(
                marker.update()
                .where(marker.c.delivery == task.delivery.name)
                .values(version=result.version, delivered=task.created.replace(tzinfo=None))
            )
    status = DELIVERED if changed or gone else UP_TO_DATE
    return DeliveryOutcome(status=status, rows=len(changed) + len(gone))


def _would_write(connection: Connection, name: str, result: Result, rows: Mapping[str, OwnRow]) -> DeliveryOutcome:
    """What a delivery would do. Creates nothing."""
    table, _ = _described(name, result)
    there = _columns_of(connection, name)
    changed, gone = (list(rows.values()), []) if there is None else _difference(connection, table, rows)
    status = WOULD_DELIVER if changed or gone else UP_TO_DATE
    return DeliveryOutcome(status=status, rows=len(changed) + len(gone))


def rows_of(result: Result) -> Iterator[OwnRow]:
    """The rows of an answer, with a key made of the period and the dimensions. Totals are left out."""
    names = [c.name for c in result.columns]
    dimensions = [c.name for c in result.dimension_columns]
    for row in result.data:
        if row.get("total") or row.get("others"):
            continue
        values = {name: row.get(name) for name in names} | {COMPLETE: bool(row.get(COMPLETE))}
        period = values["period"]
        key = [period.isoformat() if isinstance(period, date) else None, *(values[name] for name in dimensions)]
        written = {name: str(value) if value is not None else None for name, value in values.items()}
        yield OwnRow(_digest(key), _digest(written), values)


def _digest(value: Any) -> str:
    return hashlib.blake2b(msgspec.json.encode(value), digest_size=16).hexdigest()


# --- the database


@contextmanager
def own_database(address: str, folder: Path) -> Iterator[Engine]:
    """An engine with a pool of one connection, closed at the end. Errors of the database become our own errors."""
    try:
        from sqlalchemy import create_engine, exc, make_url
        from sqlalchemy.pool import NullPool
    except ImportError:  # pragma: no cover  # a dependency of Tallybook
        raise DestinationError("writing to a table needs SQLAlchemy", hint="pip install sqlalchemy") from None
    from tallybook.config import resolved

    engine = None
    try:
        url = make_url(resolved(address, folder))
        driver = DRIVERS.get(url.drivername.partition("+")[0])
        if driver is None:
            raise DestinationRefused(f"tables of {url.drivername.partition('+')[0]} are not written", hint=_EXPECTED)
        engine = create_engine(url.set(drivername=driver), poolclass=NullPool, hide_parameters=True)
        yield engine
    except exc.NoSuchModuleError as error:
        raise DestinationError(f"the driver is not installed: {error}", hint=_EXTRA) from None
    except ModuleNotFoundError as error:
        raise DestinationError(f"the driver {error.name} is not installed", hint=_EXTRA) from None
    except exc.OperationalError as error:
        raise DestinationUnavailable(f"the database of the table cannot be used: {_words(error)}") from None
    except exc.SQLAlchemyError as error:
        raise DestinationRefused(f"the database of the table refuses: {_words(error)}") from None
    finally:
        if engine is not None:
            engine.dispose()


_EXPECTED = 'url = "postgresql://user:password@host/database", or mysql://…'
_EXTRA = "pip install 'tallybook[postgresql]' or 'tallybook[mysql]'"


def _words(error: Exception) -> str:
    """The message of the database, without the statement and its values."""
    original = getattr(error, "orig", None)
    return " ".join(str(original or error).split())[:300]


def in_own_transaction(engine: Engine, make: Callable[[Connection], Made]) -> Made:
    """The result of `make`, run in a transaction of its own. If another process creates one of the tables at the same
    moment, databases fail in many ways. So it is tried again, and then finds that table."""
    from sqlalchemy import exc

    with engine.connect() as connection:
        for _ in range(MAX_TRIES - 1):
            with suppress(exc.SQLAlchemyError), connection.begin():
                return make(connection)
        with connection.begin():
            return make(connection)


def _described(name: str, result: Result) -> tuple[Table, Table]:
    """The table and the table of markers, as declared."""
    from sqlalchemy import BigInteger, Column, DateTime, MetaData, String, Table

    schema, _, bare = name.rpartition(".")
    metadata = MetaData(schema=schema or None)
    marker = Table(
        MARKER,
        metadata,
        Column("delivery", String(200), primary_key=True),
        Column("version", BigInteger, nullable=False),
        Column("delivered", DateTime),
    )
    return Table(bare, metadata, *_columns(result)), marker


def _columns_of(connection: Connection, name: str) -> set[str] | None:
    """The columns of the existing table, or None if there is no table. Raises DestinationRefused if the table belongs
    to something else."""
    from sqlalchemy import inspect

    schema, _, bare = name.rpartition(".")
    there = inspect(connection)
    if not there.has_table(bare, schema=schema or None):
        return None
    found = {column["name"] for column in there.get_columns(bare, schema=schema or None)}
    if KEY not in found:
        raise DestinationRefused(
            f"the table {name} is there already, and Tallybook did not make it",
            hint='name another one: table = "tallybook_metrics"',
        )
    return found


def _made_tables(connection: Connection, name: str, result: Result) -> tuple[Table, Table]:
    """The table and the table of markers. Missing tables and columns are created."""
    from sqlalchemy import text

    table, marker = _described(name, result)
    found = _columns_of(connection, name)
    for column in table.columns if found is not None else ():
        if column.name not in (found or ()):
            kind = column.type.compile(dialect=connection.dialect)
            quoted = connection.dialect.identifier_preparer
            where = quoted.format_table(table)
            connection.execute(text(f"ALTER TABLE {where} ADD COLUMN {quoted.format_column(column)} {kind}"))
    table.metadata.create_all(connection, checkfirst=True)
    return table, marker


def _columns(result: Result) -> list[Column[Any]]:
    from sqlalchemy import BigInteger, Boolean, Column, Date, Double, Numeric, String, Text

    types: dict[str, Any] = {
        "date": Date(),
        "text": Text(),
        "integer": Numeric(38, 0).with_variant(BigInteger(), "sqlite"),
        "decimal": Numeric(38, 10).with_variant(Double(), "sqlite"),
        "float": Double(),
        "boolean": Boolean(),
    }
    own = [Column(KEY, String(32), primary_key=True), Column(HASH, String(32), nullable=False)]
    shown = [Column(column.name, types.get(column.type, Text())) for column in result.columns]
    return [*own, *shown, Column(COMPLETE, Boolean())]


def _lock_marker(connection: Connection, marker: Table, delivery: str) -> None:
    """Create the marker if it is missing, and keep others from writing until the transaction ends."""
    from sqlalchemy import exc, select

    if connection.execute(select(marker.c.version).where(marker.c.delivery == delivery)).first() is None:
        with connection.begin_nested() as inner:
            try:
                connection.execute(marker.insert().values(delivery=delivery, version=0))
            except exc.IntegrityError:
                inner.rollback()
    connection.execute(marker.update().where(marker.c.delivery == delivery).values(delivery=delivery))


def _marked_version(connection: Connection, marker: Table, delivery: str) -> int:
    from sqlalchemy import select

    found = connection.execute(select(marker.c.version).where(marker.c.delivery == delivery)).scalar()
    return int(found or 0)


def _difference(connection: Connection, table: Table, rows: Mapping[str, OwnRow]) -> tuple[list[OwnRow], list[str]]:
    """The rows to write, and the keys of the rows to delete."""
    from sqlalchemy import select

    there: dict[str, str] = dict(connection.execute(select(table.c[KEY], table.c[HASH])).tuples().all())
    return [row for key, row in rows.items() if there.get(key) != row.hash], [k for k in there if k not in rows]


def _write(connection: Connection, table: Table, changed: Sequence[OwnRow], gone: Sequence[str]) -> None:
    for start in range(0, len(gone), AT_ONCE):
        connection.execute(table.delete().where(table.c[KEY].in_(gone[start : start + AT_ONCE])))
    for start in range(0, len(changed), AT_ONCE):
        some = changed[start : start + AT_ONCE]
        # Deleting and inserting in one transaction is an upsert that works in every database.
        connection.execute(table.delete().where(table.c[KEY].in_([row.key for row in some])))
        connection.execute(table.insert(), [{KEY: row.key, HASH: row.hash, **row.values} for row in some])
