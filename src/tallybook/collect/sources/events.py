"""Usage events as a source, with one relation per event over the Parquet files named in the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tallybook.collect.sources.duckdb import CONFIG, DuckdbSource, literal
from tallybook.collect.sources.identity import Identity
from tallybook.core import (
    COMMIT_COLUMN,
    EVENT_TYPES,
    FLAG_VALUE,
    INSTANT_VALUE,
    INTEGER_VALUE,
    NUMBER_VALUE,
    SERIES_COLUMN,
    TEXT_VALUE,
    SourceError,
    SourceKind,
    SourceUnavailable,
    calendar,
    table_parts,
)

if TYPE_CHECKING:
    import duckdb

    from tallybook.core import Metric
    from tallybook.storage import CoveredDay, EventLedger, EventsSnapshot, Property

EVENTS = "events"
COMMON = {
    "time": "TIMESTAMPTZ",
    "day": "DATE",
    "received": "TIMESTAMPTZ",
    "user": "VARCHAR",
    "account": "VARCHAR",
    "id": "VARCHAR",
    "key": "VARCHAR",
}
SENT_USER, SENT_COLUMN, LINKS = "sent_user", "tallybook_sent_user", "tallybook_links"
"""The column with the user id as it was sent (unless a property has that name), its name while the relation is built,
and the table of linked ids."""
FITS = {
    INTEGER_VALUE: "regexp_full_match({}, '-?[0-9]{{1,18}}')",
    NUMBER_VALUE: "TRY_CAST({} AS DOUBLE) IS NOT NULL",
    TEXT_VALUE: "true",
    FLAG_VALUE: "{} IN ('true', 'false')",
    # A text without a zone is not an instant.
    INSTANT_VALUE: (
        "(regexp_matches({0}, '(Z|[+-][0-9]{{2}}(:?[0-9]{{2}})?)$') AND TRY_CAST({0} AS TIMESTAMPTZ) IS NOT NULL)"
    ),
}
"""By declared type, the engine's SQL for whether a text is a value of that type."""


class EventsSource(DuckdbSource):
    """The events of a book, as of the commit when the source is opened."""

    kind = SourceKind(
        name=EVENTS,
        title="usage events",
        schemes=(EVENTS,),
        dialect="duckdb",
        location="folder",
        example="events:///path/to/book",
        parameters=(),
    )

    finds_changes = True
    commit_order = (COMMIT_COLUMN,)

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self.found: EventsSnapshot | None = None
        self.folder = f"{self.path.rstrip('/')}/events/"
        """The folder with the files of events."""
        self.relations: dict[str, str] = {}
        """The name of each event's relation. Names that differ only in case need different relations."""
        self.recorded: set[int] = set()

    # -- the ledger --------------------------------------------------------------------------------

    @contextmanager
    def ledger(self) -> Iterator[EventLedger]:
        """The tables of events. Raises SourceUnavailable if there is no book yet."""
        from tallybook.storage import BookLocation, EventLedger, find_store

        folder = None if self.settings.in_ledger else Path(self.path)
        store = find_store(BookLocation(folder=folder, ledger=self.settings.ledger, schema=self.settings.schema))
        if store is None:
            raise self._never_served()
        events = EventLedger(store.ledger, store.files)
        try:
            yield events
        finally:
            events.close()

    def snapshot_of_events(self) -> EventsSnapshot:
        self.connection()
        assert self.found is not None
        return self.found

    def opened(self) -> duckdb.DuckDBPyConnection:
        return self._connect() if self.settings.in_ledger else super().opened()

    def database(self) -> duckdb.DuckDBPyConnection:
        import duckdb

        from tallybook.storage import IdentityLinks, LedgerFiles

        with self.ledger() as ledger:
            self.found = ledger.snapshot()
            paths = {file.path: ledger.local_path(file) for file in self.found.files if file.event}
            if isinstance(ledger.files, LedgerFiles):
                self.folder = f"{ledger.files.folder}/"
            links = [(one.alias, one.canonical) for one in IdentityLinks(ledger.ledger).every()]
        connection = duckdb.connect(config=CONFIG)
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET parquet_metadata_cache = true")  # a file never changes
        load_links(connection, links)
        self.relations = {}
        # A declared event has a relation even before its first occurrence.
        for event in sorted({*self.found.events, *self.settings.events.declared}):
            taken = {name.casefold() for name in self.relations.values()}
            name, number = event, 2
            while name.casefold() in taken:
                name, number = f"{event} ({number})", number + 1
            self.relations[event] = name
            files = [paths[file.path] for file in self.found.files if file.event == event]
            types = self.settings.events.of(event).types
            select = relation_sql(files, self._properties(event), types, has_links=bool(links))
            connection.execute(f"CREATE VIEW {self.quote(name)} AS {select}")
        return connection

    def failure(self, error: duckdb.Error) -> SourceError:
        """The error of a statement. If a file is missing or damaged, the error names it."""
        with self.ledger() as ledger:
            bad = ledger.damage()
        if bad is None:
            return super().failure(error)
        return SourceError(f"source {self.settings.name!r}: {bad.message}", hint=bad.hint)

    def reachable(self) -> Sequence[str]:
        return [self.folder]

    def close(self) -> None:
        super().close()
        self.found = None

    # -- answers of the source ---------------------------------------------------------------------

    def table_name(self, name: str) -> str:
        (event, *rest) = table_parts(name)
        self.connection()
        return self.quote(self.relations.get(event, event)) if not rest else super().table_name(name)

    def columns(self, table: str) -> list[str]:
        (event, *rest) = table_parts(table)
        snapshot = self.snapshot_of_events()
        if rest or event not in {*snapshot.properties, *self.settings.events.declared}:
            return []
        own = [one.column for one in self._properties(event)]
        sent = [] if SENT_USER in {one.casefold() for one in own} else [SENT_USER]
        return [*COMMON, *sent, *own, "rest", SERIES_COLUMN, COMMIT_COLUMN]

    def _properties(self, event: str) -> list[Property]:
        """The properties of an event: those received and those declared."""
        from tallybook.storage import Property

        assert self.found is not None
        declared = self.settings.events.of(event)
        found = list(self.found.properties.get(event, ()))
        known = {one.name for one in found}
        return found + [
            Property(event=event, name=name, type=type_, spelled=declared.spelled.get(name, name))
            for name, type_ in declared.types.items()
            if name not in known
        ]

    def identity(self, folder: Path | None) -> Identity:
        """The identity: the events belong to their book, wherever it is moved."""
        return Identity(says={"events": "of this book"})

    def known_until(self, now: datetime) -> datetime:
        """The instant until which every host has compacted everything that it received."""
        found = self.snapshot_of_events()
        if not found.sealed and not found.files:
            raise self._never_served()
        # If no host serves events, imported events are all there is.
        return min([now, *found.sealed.values()])

    def _never_served(self) -> SourceUnavailable:
        return SourceUnavailable(
            f"source {self.settings.name!r}: no host has ever served, so that no event could be received",
            hint="tallybook serve --listen 127.0.0.1:8321, or tallybook track EVENT",
        )

    def vouched(self, metric: Metric, days: Sequence[date], zone: str) -> set[date]:
        """The complete days. For daily values, days for which a value came or that were closed. For other events, days
        on which they could be sent; days before the first server are the sender's history."""
        named = self._events_of(metric)
        if (kept := self.snapshot_of_events().kept_from) is not None:
            days = [day for day in days if day >= kept]
        if metric.keeps_latest:
            with self.ledger() as ledger:
                return {day for event in named for day in ledger.whole_days(event, metric.expect_keys)} & set(days)
        from tallybook.storage import gaps_of

        gaps = gaps_of(self.snapshot_of_events().served)
        longest = timedelta(seconds=self.settings.events.downtime)
        whole = {day for day in days if not any(_overlap(day, gap, zone) > longest for gap in gaps)}
        if (others := set(days) - whole) and named:
            with self.ledger() as ledger:
                whole |= others.intersection(*(ledger.closed_days(event) for event in named))
        return whole

    def why_unvouched(self, metric: Metric, days: Sequence[date]) -> str:
        """Why days of a metric stay uncovered: silence is not zero. Empty if no value is expected on any of these
        days."""
        from tallybook.storage import day_path, not_kept

        kept = self.snapshot_of_events().kept_from
        if kept is not None and any(day < kept for day in days):
            return not_kept(kept)
        days = [day for day in days if metric.expect is None or day.weekday() in metric.expect]
        if not days:
            return ""
        which = str(days[0]) if len(days) == 1 else f"{len(days)} days, {days[0]} the first"
        closing = f"PUT {day_path(metric.event, days[0])}" if metric.event else "PUT /v1/days/{event}/{day}"
        if metric.keeps_latest:
            keys = f" by each of {', '.join(metric.expect_keys)}" if metric.expect_keys else ""
            return f"no value was pushed for {which}{keys}: send it to /v1/values, or close the day: {closing}"
        minutes = f"{self.settings.events.downtime / 60:g} minutes"
        return f"no server ran for more than {minutes} of {which}; where no event is missing, close the day: {closing}"

    def changed_since(self, metric: Metric, covered: Sequence[CoveredDay]) -> set[date]:
        """The days for which events were stored after the last run that collected them. A level from intervals also
        changes on the days after its events."""
        with self.ledger() as ledger:
            seen = ledger.numbers_of_runs()
            touched: dict[date, int] = {}
            for event in self._events_of(metric):
                for day, number in ledger.touched(event).items():
                    touched[day] = max(number, touched.get(day, 0))
        if metric.from_ is not None:
            days = sorted({*touched, *(one.day for one in covered)})
            touched = dict(zip(days, accumulate((touched.get(day, 0) for day in days), max), strict=True))
        return {one.day for one in covered if touched.get(one.day, 0) > seen.get(one.run or 0, 0)}

    def record_run(self, run: int) -> None:
        """Record which commit a run sees, before its days are covered."""
        if run not in self.recorded and self.found is not None:
            with self.ledger() as ledger:
                ledger.note_run(run, self.found.number)
            self.recorded.add(run)

    def _events_of(self, metric: Metric) -> list[str]:
        """The events that a metric reads. All events if the metric is SQL."""
        return [metric.event] if metric.event else self.snapshot_of_events().events

    def probe(self, relation: str, expressions: Sequence[str]) -> list[Any]:
        try:
            return super().probe(relation, expressions)
        except SourceError as error:
            known = self.snapshot_of_events().events
            if "does not exist" in error.message and relation.startswith('"') and not self._is_known(relation):
                listed = ", ".join(known[:10]) or "none yet"
                raise SourceError(
                    f"no event {relation} was ever received", hint=f"events that were: {listed}"
                ) from None
            raise

    def _is_known(self, relation: str) -> bool:
        return any(self.quote(name) == relation for name in self.relations.values())


def load_links(connection: duckdb.DuckDBPyConnection, links: Sequence[tuple[str, str]]) -> None:
    """Create a table of linked user ids, with the id that replaces each."""
    if not links:
        return
    connection.execute(f"CREATE TEMP TABLE {LINKS} (alias VARCHAR, canonical VARCHAR)")
    aliases, canonicals = zip(*links, strict=True)
    connection.execute(f"INSERT INTO {LINKS} SELECT unnest(?), unnest(?)", [list(aliases), list(canonicals)])


def relation_sql(
    files: Sequence[Path], properties: Sequence[Property], types: Mapping[str, str], *, has_links: bool = False
) -> str:
    """The SELECT of an event's relation, with every column in its declared or pinned type, even if no file has the
    column. `has_links`: there are linked ids, and `user` is the id that replaces the sent one.

    A value of another type than the pinned one is in `rest`. Without a declared type, reading its column is an error,
    so that no number silently omits the value."""
    columns = [one.column for one in properties]
    quoted = {name: _quoted(name) for name in (*COMMON, "rest", COMMIT_COLUMN, *columns)}
    # An empty row goes first, so that a column exists even if no file has it.
    names = {**COMMON, **{one.column: EVENT_TYPES[one.type] for one in properties}, "rest": "VARCHAR"}
    names[COMMIT_COLUMN] = "BIGINT"
    empty = ", ".join(f"CAST(NULL AS {type_}) AS {quoted[name]}" for name, type_ in names.items())
    rows = f"SELECT {empty} WHERE false"
    if files:
        paths = ", ".join(literal(str(path)) for path in files)
        rows += f" UNION ALL BY NAME SELECT * FROM read_parquet([{paths}], union_by_name = true)"
    if has_links:
        linked = f'SELECT r.* REPLACE (coalesce(l.canonical, r."user") AS "user"), r."user" AS {SENT_COLUMN}'
        rows = f'{linked} FROM ({rows}) r LEFT JOIN {LINKS} l ON l.alias = r."user"'
    else:
        rows = f'SELECT r.*, r."user" AS {SENT_COLUMN} FROM ({rows}) r'
    shown = [f"CAST({quoted[name]} AS {type_}) AS {quoted[name]}" for name, type_ in COMMON.items()]
    if SENT_USER not in {name.casefold() for name in columns}:
        shown.append(f"{SENT_COLUMN} AS {SENT_USER}")
    shown += [f"{_value(one, types.get(one.name))} AS {quoted[one.column]}" for one in properties]
    shown.append(f"{_series(properties)} AS {SERIES_COLUMN}")
    return f"SELECT {', '.join([*shown, 'rest', COMMIT_COLUMN])} FROM ({rows})"


def _series(properties: Sequence[Property]) -> str:
    """SQL of the text that identifies a series of daily values: user, account, and every text and flag."""
    words = [_quoted(one.column) for one in properties if one.type in (TEXT_VALUE, FLAG_VALUE)]
    texts = ", ".join(f"CAST({column} AS VARCHAR)" for column in ('"user"', "account", *words, "rest"))
    return f"CAST(to_json([{texts}]) AS VARCHAR)"


def _value(one: Property, declared: str | None) -> str:
    """The SQL of a property's column. A value in `rest` raises an error, or is read as the declared type."""
    column, type_ = _quoted(one.column), declared or one.type
    plain = column if type_ == one.type else _as_type(f"CAST({column} AS VARCHAR)", one, type_)
    if not one.conflicts:
        return plain
    # Keys of `rest` are paths, which may contain dots. They are compared as a whole, ignoring case.
    key = f"list_filter(json_keys(rest), lambda k: lower(k) = lower({literal(one.spelled)}))[1]"
    in_rest = f"json_extract_string(rest, '/' || replace(replace({key}, '~', '~0'), '/', '~1'))"
    other = _as_type(in_rest, one, type_) if declared else _conflict(one)
    return f"CASE WHEN rest IS NOT NULL AND {key} IS NOT NULL THEN {other} ELSE {plain} END"


def _as_type(text: str, one: Property, type_: str) -> str:
    """SQL of a text as a declared type. Raises an error if the text does not fit."""
    message = f"event {one.event}: a value of property {one.spelled} is not of its declared type, {type_}"
    fits = FITS[type_].format(text)
    cast = f"CAST({text} AS {EVENT_TYPES[type_]})"
    return f"CASE WHEN {text} IS NULL THEN NULL WHEN {fits} THEN {cast} ELSE error({literal(message)}) END"


def _conflict(one: Property) -> str:
    wider = NUMBER_VALUE if one.type == INTEGER_VALUE else TEXT_VALUE
    message = (
        f"property {one.spelled} of event {one.event} was first {one.type}, and there are values of another type or "
        f'spelled otherwise; declare its type: [events."{one.event}"] properties = {{ "{one.spelled}" = "{wider}" }}'
    )
    return f"error({literal(message)})"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _overlap(day: date, gap: tuple[datetime, datetime], zone: str) -> timedelta:
    """The duration of a gap within a day."""
    start, end = calendar.start_of(day, zone), calendar.start_of(day + calendar.ONE_DAY, zone)
    return min(end, gap[1]) - max(start, gap[0])
