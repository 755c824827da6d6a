"""Users and accounts as a source: `accounts` has their current state, and `accounts_history` a row for each state of an
account.

A state has `valid_from` and `valid_until`, so that "accounts by plan, per day" is a level like any other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tallybook.collect.sources.duckdb import CONFIG, DuckdbSource
from tallybook.collect.sources.identity import Identity
from tallybook.core import EVENT_TYPES, TEXT_VALUE, SourceError, SourceKind, SourceUnavailable, calendar, table_parts
from tallybook.storage import load_rows

if TYPE_CHECKING:
    import duckdb

    from tallybook.core import Metric
    from tallybook.storage import HistoryRow, Store

ENTITIES = "entities"
HISTORY = "_history"
"""Suffix of a kind's name for the relation with all states."""
FROM, UNTIL = "valid_from", "valid_until"
LATEST_RUNS = 100
"""Number of latest runs that are searched for the last reading of the table."""


class EntitiesSource(DuckdbSource):
    """The users or the accounts of a book, as of the instant when the source is opened. The source has the name of the
    kind."""

    kind = SourceKind(
        name=ENTITIES,
        title="users and accounts",
        schemes=(ENTITIES,),
        dialect="duckdb",
        location="folder",
        example="entities:///path/to/book",
        parameters=(),
    )

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self.types: dict[str, str] = {}
        """The type of each column, by name."""
        self.begun: datetime | None = None
        """When the first entity was known."""
        self.read_at: datetime | None = None
        """When this run read the table."""

    @property
    def entity(self) -> str:
        """accounts or users."""
        return self.settings.name

    @contextmanager
    def store(self) -> Iterator[Store]:
        """The book. Raises SourceUnavailable if there is no book yet."""
        from tallybook.storage import BookLocation, find_store

        folder = None if self.settings.in_ledger else Path(self.path)
        store = find_store(BookLocation(folder=folder, ledger=self.settings.ledger, schema=self.settings.schema))
        if store is None:
            raise self._unknown()
        try:
            yield store
        finally:
            store.ledger.close()

    def opened(self) -> duckdb.DuckDBPyConnection:
        return self._connect() if self.settings.in_ledger else super().opened()

    def database(self) -> duckdb.DuckDBPyConnection:
        import duckdb

        from tallybook.storage import EntityHistory, EntityLedger

        with self.store() as store:
            ledger = EntityLedger(store.ledger)
            types = {one.spelled: one.type for one in ledger.types(self.entity).values()}
            changes = EntityHistory(store.ledger, store.files)
            begins, rows = changes.begins(self.entity) or "", list(changes.rows(self.entity))
        declared = dict.fromkeys(self.settings.entity.attributes if self.settings.entity else (), TEXT_VALUE)
        own = {"id": "VARCHAR", FROM: "TIMESTAMPTZ", UNTIL: "TIMESTAMPTZ"}
        columns = {name: EVENT_TYPES[type_] for name, type_ in {**declared, **types}.items()}
        self.types = {**{name: type_ for name, type_ in columns.items() if name not in own}, **own}
        self.begun = min((datetime.fromisoformat(max(row.received, begins)) for row in rows), default=None)
        connection = duckdb.connect(config=CONFIG)
        connection.execute("SET TimeZone = 'UTC'")
        load_rows(connection, "loaded", self.types, states_of(rows))
        connection.execute("CREATE TABLE states AS SELECT * FROM loaded")
        history, now = self.quote(f"{self.entity}{HISTORY}"), self.quote(self.entity)
        connection.execute(f"CREATE VIEW {history} AS SELECT * FROM states")
        connection.execute(f"CREATE VIEW {now} AS SELECT * EXCLUDE ({FROM}, {UNTIL}) FROM states WHERE {UNTIL} IS NULL")
        return connection

    def reachable(self) -> Sequence[str]:
        return []

    def note_read(self, at: datetime) -> None:
        """Record that this run has read the table. From now on, the new rows are visible."""
        self.read_at = at
        self.close()

    # -- answers of the source ---------------------------------------------------------------------

    def columns(self, table: str) -> list[str]:
        (name, *rest) = table_parts(table)
        self.connection()
        if rest or name not in (self.entity, f"{self.entity}{HISTORY}"):
            return []
        return [one for one in self.types if name != self.entity or one not in (FROM, UNTIL)]

    def identity(self, folder: Path | None) -> Identity:
        """The identity: users and accounts belong to their book, wherever it is moved."""
        return Identity(says={self.entity: "of this book"})

    def known_until(self, now: datetime) -> datetime:
        """When the table was last read. If entities are only pushed or imported, the current time."""
        if self.settings.entity is None or self.settings.entity.table is None:
            self._begun()
            return now
        if self.read_at is not None:
            return min(now, self.read_at)
        with self.store() as store:
            for run in store.ledger.runs(LATEST_RUNS):
                if any(one["kind"] == self.entity and "error" not in one for one in run["report"].get("entities", ())):
                    return min(now, datetime.fromisoformat(run["started"]))
        raise self._unknown()

    def _begun(self) -> datetime:
        self.connection()
        if self.begun is None:
            raise self._unknown()
        return self.begun

    def _unknown(self) -> SourceUnavailable:
        return SourceUnavailable(
            f"source {self.entity!r}: the book has no {self.entity} yet",
            hint=f"tallybook run, or tallybook {self.entity} import FILE",
        )

    def vouched(self, metric: Metric, days: Sequence[date], zone: str) -> set[date]:
        """For states, the days since the first entity was known, because earlier states are unknown. For the current
        state all days, as for a table."""
        if metric.table == self.entity:
            return set(days)
        first = calendar.day_of(self._begun(), zone)
        return {day for day in days if day >= first}

    def why_unvouched(self, metric: Metric, days: Sequence[date]) -> str:
        which = str(days[0]) if len(days) == 1 else f"{len(days)} days, {days[0]} the first"
        return f"the history of {self.entity} begins on {self._begun():%Y-%m-%d}: not known for {which}"

    def probe(self, relation: str, expressions: Sequence[str]) -> list[Any]:
        try:
            return super().probe(relation, expressions)
        except SourceError as error:
            if "does not exist" in error.message:
                listed = f"{self.entity}, {self.entity}{HISTORY}"
                raise SourceError(f"there is no {relation} among {listed}", hint=f'table = "{self.entity}"') from None
            raise


def states_of(rows: Sequence[HistoryRow]) -> Iterator[dict[str, Any]]:
    """A row for each state of each entity: its attributes, and its start and end. The end of the current state is
    None."""
    from tallybook.storage import entity_states

    open_: dict[str, dict[str, Any]] = {}
    for row, entity in entity_states(rows, _END):
        before = open_.pop(row.id, None)
        now = None if entity.deleted is not None else {"id": row.id, **entity.record.effective()}
        if before is not None and now is not None and _same(before, now):
            open_[row.id] = before
            continue
        if before is not None and before[FROM] < row.time:
            yield {**before, UNTIL: row.time}
        if now is not None:
            open_[row.id] = {**now, FROM: row.time}
    yield from open_.values()


_END = "9999-12-31T23:59:59.999999Z"


def _same(before: dict[str, Any], now: dict[str, Any]) -> bool:
    return {key: value for key, value in before.items() if key != FROM} == now
