"""Writes the rows of an answer to a table in your own database, in one transaction with a marker.

The marker, a row of `tallybook_deliveries`, names the version of the book in the table. Rows and marker are written
in the same transaction. So a table has each version completely or not at all, even if the outcome of a commit is
unknown."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime
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
INTEGER_SIZE, DECIMAL_SIZE = (38, 0), (38, 10)
"""Digits and digits after the point of columns of numbers."""
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
                return _would_write(connection, task, result, rows)
        table, marker = in_own_transaction(engine, lambda connection: _made_tables(connection, name, result))
        with engine.begin() as connection:
            _lock_marker(connection, marker, task.delivery.name)
            seen = _marked_version(connection, marker, task.delivery.name)
            # A version that this book never had belongs to an earlier book.
            if result.version < seen <= task.book_version():
                return DeliveryOutcome(status=UP_TO_DATE, hint=f"the table has version {seen} of the book already")
            changed, gone = _difference(connection, table, rows, by_values=task.mode.force or task.mode.verify)
            _write(connection, table, changed, gone)
            _check_stored(connection, table, changed)
            connection.execute(
                marker.update()
                .where(marker.c.delivery == task.delivery.name)
                .values(version=result.version, delivered=task.created.replace(tzinfo=None))
            )
    status = DELIVERED if changed or gone else UP_TO_DATE
    return DeliveryOutcome(status=status, rows=len(changed) + len(gone))


def _would_write(
    connection: Connection, task: DeliveryTask, result: Result, rows: Mapping[str, OwnRow]
) -> DeliveryOutcome:
    """What a delivery would do. Creates nothing."""
    table, _ = _described(task.options["table"], result)
    there = _columns_of(connection, task.options["table"])
    changed, gone = list(rows.values()), list[str]()
    if there is not None and not _unfit_columns(connection, table, there):
        changed, gone = _difference(connection, table, rows, by_values=task.mode.force or task.mode.verify)
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
    # A database of MySQL may have a character set that lacks most characters.
    return Table(bare, metadata, *_columns(result), mysql_charset="utf8mb4", mariadb_charset="utf8mb4"), marker


def _columns_of(connection: Connection, name: str) -> dict[str, Any] | None:
    """The types of the existing table's columns, or None if there is no table. Raises DestinationRefused if the table
    belongs to something else."""
    from sqlalchemy import inspect

    schema, _, bare = name.rpartition(".")
    there = inspect(connection)
    if not there.has_table(bare, schema=schema or None):
        return None
    found = {column["name"]: column["type"] for column in there.get_columns(bare, schema=schema or None)}
    if KEY not in found:
        raise DestinationRefused(
            f"the table {name} is there already, and Tallybook did not make it",
            hint='name another one: table = "tallybook_metrics"',
        )
    return found


def _made_tables(connection: Connection, name: str, result: Result) -> tuple[Table, Table]:
    """The table and the table of markers. Missing tables and columns are created, and columns of numbers of another
    type are changed."""
    table, marker = _described(name, result)
    found = _columns_of(connection, name)
    unfit = _unfit_columns(connection, table, found) if found is not None else []
    if found is not None and unfit and HASH in found:
        # Before the columns, as MySQL commits with each. Rows without a hash are written again, even after a crash.
        connection.execute(table.update().values({HASH: ""}))
    for column in unfit:
        _change_column(connection, column, is_there=column.name in (found or ()))
    table.metadata.create_all(connection, checkfirst=True)
    return table, marker


def _unfit_columns(connection: Connection, table: Table, found: Mapping[str, Any]) -> list[Column[Any]]:
    """The columns that are missing, and those of numbers that the declared type would round: a metric that counted and
    has decimals now. Types that Tallybook does not make stay unchanged."""
    is_typed = connection.dialect.name != "sqlite"
    unfit = []
    for column in table.columns:
        wanted, there = _number_kind(column.type), _number_kind(found.get(column.name))
        is_other = is_typed and None not in (wanted, there) and wanted != there
        if column.name not in found or (is_other and (there, wanted) != ("decimal", "integer")):
            unfit.append(column)
    return unfit


def _number_kind(type_: Any) -> str | None:
    """The kind of numbers of a column type that Tallybook makes, or None."""
    from sqlalchemy import Float, Numeric

    if isinstance(type_, Float):
        return "float"
    size = (type_.precision, type_.scale) if isinstance(type_, Numeric) else None
    return "integer" if size == INTEGER_SIZE else "decimal" if size == DECIMAL_SIZE else None


def _change_column(connection: Connection, column: Column[Any], *, is_there: bool) -> None:
    """Add a column, or change its type."""
    from sqlalchemy import text

    kind = column.type.compile(dialect=connection.dialect)
    quoted = connection.dialect.identifier_preparer
    name = quoted.format_column(column)
    verb = f"ADD COLUMN {name} {kind}"
    if is_there:
        is_postgresql = connection.dialect.name == "postgresql"
        verb = f"ALTER COLUMN {name} TYPE {kind}" if is_postgresql else f"MODIFY COLUMN {name} {kind}"
    connection.execute(text(f"ALTER TABLE {quoted.format_table(column.table)} {verb}"))


def _columns(result: Result) -> list[Column[Any]]:
    from sqlalchemy import BigInteger, Boolean, Column, Date, Double, Numeric, String, Text

    types: dict[str, Any] = {
        "date": Date(),
        "text": Text(),
        "integer": Numeric(*INTEGER_SIZE).with_variant(BigInteger(), "sqlite"),
        "decimal": Numeric(*DECIMAL_SIZE).with_variant(Double(), "sqlite"),
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


def _difference(
    connection: Connection, table: Table, rows: Mapping[str, OwnRow], *, by_values: bool
) -> tuple[list[OwnRow], list[str]]:
    """The rows to write, and the keys of the rows to delete. A row is the same if it has the same hash. `by_values`:
    and the same values, because somebody may have changed some."""
    from sqlalchemy import select

    there: dict[str, str] = {}
    other: set[str] = set()
    """Keys of rows that are there more than once, as without a primary key, or have other values than their hash."""
    asked = select(table) if by_values else select(table.c[KEY], table.c[HASH])
    for row in connection.execute(asked).mappings():
        key = row[KEY]
        if key in there or (by_values and key in rows and _other_value(row, rows[key])):
            other.add(key)
        there[key] = row[HASH]
    changed = [row for key, row in rows.items() if there.get(key) != row.hash or key in other]
    return changed, [key for key in there if key not in rows]


def _write(connection: Connection, table: Table, changed: Sequence[OwnRow], gone: Sequence[str]) -> None:
    for start in range(0, len(gone), AT_ONCE):
        connection.execute(table.delete().where(table.c[KEY].in_(gone[start : start + AT_ONCE])))
    for start in range(0, len(changed), AT_ONCE):
        some = changed[start : start + AT_ONCE]
        # Deleting and inserting in one transaction is an upsert that works in every database.
        connection.execute(table.delete().where(table.c[KEY].in_([row.key for row in some])))
        connection.execute(table.insert(), [{KEY: row.key, HASH: row.hash, **row.values} for row in some])


def _check_stored(connection: Connection, table: Table, written: Sequence[OwnRow]) -> None:
    """Read back the written rows. Raises DestinationRefused if the database has other values: a column of another type
    rounds, a trigger changes, and MySQL without strict mode cuts off."""
    from sqlalchemy import select

    for start in range(0, len(written), AT_ONCE):
        some = {row.key: row for row in written[start : start + AT_ONCE]}
        stored = {row[KEY]: row for row in connection.execute(select(table).where(table.c[KEY].in_(some))).mappings()}
        for key, row in some.items():
            name = _other_value(stored[key], row) if key in stored else KEY
            if name is not None:
                got, sent = (stored[key][name], row.values[name]) if key in stored else ("nothing", key)
                raise DestinationRefused(
                    f"the column {name} of {table.fullname} does not keep its values: wrote {sent}, and read {got}",
                    hint=f"drop the column {name}; the next delivery makes it again",
                )


def _other_value(stored: Mapping[Any, Any], row: OwnRow) -> str | None:
    """The first column whose stored value is not that of the row, or None."""
    return next((name for name, value in row.values.items() if not _is_same(stored[name], value)), None)


def _is_same(stored: Any, value: Any) -> bool:
    if isinstance(stored, float) or isinstance(value, float):
        return stored is not None and value is not None and math.isclose(stored, value, rel_tol=1e-12)
    if isinstance(stored, datetime) and isinstance(value, date):
        return stored == datetime(value.year, value.month, value.day)  # a column that somebody made a time
    return bool(stored == value)
