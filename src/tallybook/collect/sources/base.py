"""The interface of a source, which the adapter of a database implements. It only reads."""

from __future__ import annotations

import abc
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tallybook.collect.sources.catalog import CatalogTable
from tallybook.collect.sources.dialect import Dialect
from tallybook.collect.sources.identity import SAME_ADDRESS, Identity
from tallybook.collect.sources.values import CONVERT, DEC, FLOAT, INT, TEXT, ColumnType, as_instant
from tallybook.core import EXACT, ArrowTable, arrow_column

if TYPE_CHECKING:
    from pathlib import Path

    from tallybook.core import Metric, SourceSettings
    from tallybook.storage import CoveredDay

ARROW_TYPES = {TEXT: "VARCHAR", INT: "BIGINT", DEC: EXACT, FLOAT: "DOUBLE"}
"""The engine types of columns, by kind."""


class Reader(abc.ABC):
    """Runs statements on one snapshot: all see the same data, if the source supports that."""

    @abc.abstractmethod
    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a statement, as the driver returns them."""

    def several(self, statements: Sequence[str]) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of several statements, in order. The source may run the next one while the caller reads."""
        return map(self.rows, statements)

    @abc.abstractmethod
    def batches(self, sql: str, size: int = 50_000) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of a statement, in chunks."""

    def fetched(self, sql: str, kinds: Sequence[str]) -> Callable[[], ArrowTable]:
        """Like `table`, but returns a function that finishes the work after the source has responded. Any thread may
        call it."""
        table = self.table(sql, kinds)
        return lambda: table

    def table(self, sql: str, kinds: Sequence[str]) -> ArrowTable:
        """A large result as columns c0, c1, … of the given kinds: text, int, decimal or float.

        Raises SourceError if a value does not fit its kind."""
        types = {f"c{i}": ARROW_TYPES[kind] for i, kind in enumerate(kinds)}
        batches = (
            {
                name: arrow_column([CONVERT[kind](value) for value in values], type_)
                for (name, type_), kind, values in zip(types.items(), kinds, zip(*batch, strict=True), strict=True)
            }
            for batch in self.batches(sql)
        )
        return ArrowTable.of_batches(types, batches)


class Source(Dialect, abc.ABC):
    """A database that is only read.

    An adapter implements the nine abstract methods. The others have defaults. They are called in this order: `probe`
    when a metric is bound, `known_until` and `snapshot` in each run, then `close`. `tables`, `columns`,
    `indexed_columns` and `index_reached` serve `check`, `init` and the search for days; `sql_connection` serves Python
    metrics.

    A source connects only when a call needs it. All methods may be called repeatedly and in any order. A call after
    `close` connects again, and `close` without a connection does nothing. A method that cannot reach the database
    raises SourceUnavailable with the next step in its hint. The run then continues with other sources and ends with
    exit code 4. Any other failure is a SourceError, which fails the metric but not the run. A message contains no
    password."""

    snapshots: bool = True
    """Whether several statements see one snapshot."""
    plain_instant: str = ""
    """A readable way to convert a text with an offset to an instant, such as `unixepoch({})`. `init --check` compares
    it with `bound`."""

    def __init__(self, settings: SourceSettings) -> None:
        self.settings = settings
        self.options = {option.name: settings.options.get(option.name, option.default) for option in self.kind.options}
        """The values of the source's own keys in `[sources.NAME]`, with defaults for missing keys."""
        self.remembered: dict[tuple[str, ...], Any] = {}
        """Cache of the catalog and of unique keys, for the life of this object: one command."""

    # -- what an adapter must implement --------------------------------------------------------------

    @abc.abstractmethod
    def snapshot(self) -> Any:
        """A context manager with a Reader on one read-only, time-limited snapshot."""

    @abc.abstractmethod
    def probe(self, relation: str, expressions: Sequence[str]) -> list[ColumnType]:
        """The types of expressions over a relation, without reading rows (or from a small sample).

        Raises SourceError if the relation or one of the expressions does not exist."""

    @abc.abstractmethod
    def known_until(self, now: datetime) -> datetime:
        """The instant (UTC) up to which the source is complete: its clock, or a replica's replay time.

        `now` is the caller's time, for sources without a clock."""

    @abc.abstractmethod
    def tables(self) -> list[str]:
        """Names of tables and views."""

    @abc.abstractmethod
    def columns(self, table: str) -> list[str]:
        """The names of a table's columns. Empty for an unknown table."""

    @abc.abstractmethod
    def indexed_columns(self, table: str) -> set[str]:
        """Columns that come first in an index of the table."""

    @abc.abstractmethod
    def index_reached(self, reader: Reader, sql: str) -> bool:
        """Whether the source would answer `sql` through an index, according to its own EXPLAIN."""

    @abc.abstractmethod
    def sql_connection(self) -> Any:
        """A read-only connection for a Python metric (SQLAlchemy's, or DuckDB's own), as a context manager."""

    @abc.abstractmethod
    def close(self) -> None:
        """Close every connection."""

    # -- what an adapter may implement ---------------------------------------------------------------

    def fresh_until(self, reader: Reader) -> datetime | None:
        """The instant that the declared `fresh` statement returns."""
        if not self.settings.fresh:
            return None
        self.check_policies(self.settings.fresh)
        rows = reader.rows(self.settings.fresh.rstrip().rstrip(";"))
        value = rows[0][0] if rows else None
        return None if value is None else as_instant(value)

    def identity(self, folder: Path | None) -> Identity:
        """The identity of the database, independent of its address. `folder`: the project folder."""
        where = re.sub(r"^[^:]*://([^@/]*@)?", "", self.settings.url).partition("?")[0]
        return Identity(address={"address": where}, cannot=SAME_ADDRESS.format(name=self.settings.name))

    def vouched(self, metric: Metric, days: Sequence[date], zone: str) -> set[date]:
        """The days for which this source has all facts of a metric, as far as it can know. A database has them for
        every day up to `known_until`. Days that the source does not vouch for stay uncovered."""
        return set(days)

    def why_unvouched(self, metric: Metric, days: Sequence[date]) -> str:
        """Why the source does not vouch for requested days, and what to do."""
        return f"the source does not vouch for {len(days)} of these days, {days[0]} the first: they stay uncovered"

    def changed_since(self, metric: Metric, covered: Sequence[CoveredDay]) -> set[date]:
        """The covered days whose facts changed since they were collected, if the source itself knows them."""
        return set()

    finds_changes = False
    """Whether `changed_since` finds all changes, so that no `changed` column is needed."""
    commit_order: tuple[str, ...] = ()
    """Columns that order rows received at the same time, if the source has such columns."""

    def record_run(self, run: int) -> None:
        """Record what a run has seen, for `changed_since`. Called before the run's days are covered."""

    def policies(self) -> list[tuple[str, bool]] | None:
        """Tables with row-level policies, and whether they filter rows for this user. None if the server does not show
        it."""
        return []

    def view_texts(self) -> list[tuple[str, str]]:
        """(name, SQL) of each view whose tables must be checked for policies."""
        return []

    def check_policies(self, text: str) -> None:
        """Raise SourceError if SQL reads rows that a policy filters, unless the server itself refuses that."""

    def sample(self, relation: str, expression: str, limit: int = 1000) -> list[Any]:
        """Sampled non-null values of an expression, in any order."""
        select = f"SELECT {expression} FROM {relation} WHERE ({expression}) IS NOT NULL"
        with self.snapshot() as reader:
            found = reader.rows(self.limited(select, limit))
        return [row[0] for row in found]

    def base_tables(self) -> list[str]:
        """Names of tables, without views if the source distinguishes them."""
        return self.tables()

    def foreign_keys(self, table: str) -> list[tuple[str, str, str]]:
        """(column, referenced table, referenced column) of single-column foreign keys in the catalog."""
        return []

    def unique_keys(self, table: str) -> list[tuple[str, ...]]:
        """Unique keys of the catalog, as tuples of columns. Nulls count as different."""
        return []

    def catalog(self) -> list[CatalogTable]:
        """All base tables with their columns and keys. A server should use few statements, however many tables there
        are."""
        return [
            CatalogTable(
                name=name,
                columns=tuple(self.columns(name)),
                unique_keys=tuple(self.unique_keys(name)),
                foreign_keys=tuple(self.foreign_keys(name)),
            )
            for name in self.base_tables()
        ]

    def typed_rows(self, table: str, columns: Sequence[str], select: str) -> tuple[list[ColumnType], list[Any]]:
        """The types of a table's columns, and the rows of a SELECT of these columns."""
        types = self.probe(self.table_name(table), [self.quote(column) for column in columns])
        with self.snapshot() as reader:
            return types, reader.rows(select)


@contextmanager
def deadline(seconds: float, stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` from another thread if the block takes longer than `seconds`."""
    import threading

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def replay_margin(seconds: float | None, now: datetime) -> datetime:
    """The horizon of a replica that reports its lag in seconds."""
    return now - timedelta(seconds=seconds or 0.0)
