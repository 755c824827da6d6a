"""Inspects a database: its catalog, and a few hundred rows of each table."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from tallybook.collect import (
    DATE,
    EPOCHS,
    INT,
    NUMBERS,
    OTHER,
    TEXT,
    TIMESTAMP,
    TIMESTAMPTZ,
    CatalogTable,
    ColumnType,
    Source,
    TimeColumn,
    TimeForm,
    as_text,
    day_of_digits,
    text_form,
    time_form,
)
from tallybook.core import Metric, SourceError, SourceUnavailable, isolated
from tallybook.draft.table_words import TECHNICAL
from tallybook.draft.words import bare_name, shared_prefix, words

ROWS = 400
"""Maximum sampled rows from the start of a table, and from its end if its key is indexed."""
STATEMENT_SECONDS = 10.0
"""Time limit of each statement. Facts that are unknown by then are not used."""
MAX_TABLES = 300
MIN_MILLISECONDS = 8
"""So many integers that all are milliseconds between 2001 and 2100 are times, whatever their name."""
TABLES_PER_STATEMENT = 100
_TIMELY = frozenset(["at", "on", "date", "time", "timestamp", "ts", "created", "updated", "when", "since", "day"])
_UNFETCHED = frozenset(["body", "content", "html", "json", "payload", "data", "metadata", "meta", "blob", "image"])


@dataclass(frozen=True)
class SeenColumn:
    """A column and its sampled values. `time`: how it stores time, with the `stored` to declare."""

    name: str
    type: ColumnType
    values: tuple[Any, ...]
    nulls: int
    key: bool = False
    refers: tuple[str, str] | None = None
    time: TimeForm | None = None
    stored: str | None = None
    cells: tuple[Any, ...] = ()
    """The values with nulls, row by row."""
    zero: bool = False
    """Whether 0 means that there is no time, and is counted as null here."""

    @property
    def words(self) -> tuple[str, ...]:
        """The words of its name."""
        return words(self.name)

    @cached_property
    def number(self) -> bool:
        """Whether it contains numbers."""
        if self.type.kind in NUMBERS:
            return True
        return self.type.kind == OTHER and bool(self.values) and all(isinstance(v, int | float) for v in self.values)

    @cached_property
    def textual(self) -> bool:
        """Whether it contains texts, also of an enumerated type."""
        enumerated = self.type.kind == OTHER and bool(self.values) and all(isinstance(v, str) for v in self.values)
        return self.time is None and (self.type.kind == TEXT or enumerated)

    @property
    def an_id(self) -> bool:
        """Whether it is an id."""
        return self.key or self.refers is not None or self.words[-1:] in (("id",), ("uuid",), ("guid",))

    @cached_property
    def counts(self) -> dict[str, int]:
        """The different texts with their numbers of sampled rows, the most frequent first."""
        counted: dict[str, int] = {}
        for value in self.values:
            text = as_text(value) or ""
            counted[text] = counted.get(text, 0) + 1
        return dict(sorted(counted.items(), key=lambda item: -item[1]))

    @cached_property
    def instants(self) -> list[float | None]:
        """Its times row by row, as seconds since 1970."""
        from tallybook.draft.evidence import instants_of

        return instants_of(self)

    @property
    def texts(self) -> list[str]:
        """The different texts, the most frequent first."""
        return list(self.counts)


@dataclass(frozen=True)
class SeenTable:
    name: str
    columns: tuple[SeenColumn, ...]
    rows: int
    """The number of sampled rows."""
    unique: tuple[tuple[str, ...], ...] = ()
    total: int = 0
    """The number of all rows; an estimate for a large table."""
    bare: str = ""
    """The name without the prefixes and the suffix that do not name the rows."""
    now: float | None = None
    """The time of the sample, as seconds since 1970."""
    has_people: bool = False
    """Whether the rows show that they are people; see `people`."""

    def column(self, name: str) -> SeenColumn | None:
        """The column with this name."""
        return next((c for c in self.columns if c.name.casefold() == name.casefold()), None)

    @property
    def times(self) -> list[SeenColumn]:
        """The columns with times."""
        return [c for c in self.columns if c.time is not None]

    def unique_by(self, column: str) -> bool:
        """Whether a single column is a unique key."""
        return any(len(key) == 1 and key[0].casefold() == column.casefold() for key in self.unique)


@dataclass
class Seen:
    """All tables with rows, and why other tables were left out."""

    tables: list[SeenTable] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)
    """Tables without rows."""
    found: int = 0
    """The number of tables in the catalog."""
    prefix: str = ""
    """The first word that most table names share."""
    references: dict[tuple[str, str], Any] = field(default_factory=dict)
    """Cached references, by (table, column)."""

    def table(self, name: str) -> SeenTable | None:
        """The table with this name."""
        return next((t for t in self.tables if t.name.casefold() == name.casefold()), None)


def see(source: Source, now: datetime, on_table: Callable[[str], None] = lambda _: None) -> Seen:
    """Inspect every table. Raises SourceUnavailable if the database is unreachable."""
    from tallybook.draft.people import with_people

    seen = Seen()
    catalog = source.catalog()
    seen.found = len(catalog)
    _remember(source, catalog)
    for table in catalog:
        if TECHNICAL.match(table.name):
            seen.skipped[table.name] = "is kept by a tool"
    rest = [table for table in catalog if table.name not in seen.skipped]
    seen.prefix = shared_prefix([table.name for table in rest])
    filled = _with_rows(source, [table.name for table in rest])
    for table in rest:
        if table.name not in filled:
            seen.empty.append(table.name)
        elif len(seen.tables) >= MAX_TABLES:
            seen.skipped[table.name] = f"is beyond the first {MAX_TABLES} tables with rows"
        else:
            on_table(table.name)
            _see_table(source, table, seen, now)
    seen.tables = with_people(seen.tables)
    return seen


def _remember(source: Source, catalog: Sequence[CatalogTable]) -> None:
    """Let later checks of joins use the catalog that was read."""
    for table in catalog:
        source.remembered["columns", table.name] = list(table.columns)
        source.remembered["unique keys", table.name] = list(table.unique_keys)


def _with_rows(source: Source, names: Sequence[str]) -> set[str]:
    """The tables with at least one row, found with one statement for many tables. All tables if the source cannot run
    it."""
    found: set[str] = set()
    for start in range(0, len(names), TABLES_PER_STATEMENT):
        part = names[start : start + TABLES_PER_STATEMENT]
        asked = " UNION ALL ".join(
            f"SELECT {place}, CASE WHEN EXISTS (SELECT 1 FROM {source.table_name(name)}) THEN 1 ELSE 0 END"
            for place, name in enumerate(part)
        )
        try:
            with isolated(), source.snapshot() as reader:
                found |= {part[int(place)] for place, there in reader.rows(asked) if there}
        except SourceUnavailable:
            raise
        except SourceError:  # other SQL, or a table that this user may not read: each table is tried
            found |= set(part)
    return found


def _see_table(source: Source, catalog: CatalogTable, seen: Seen, now: datetime) -> None:
    try:
        with isolated():
            table = replace(_table(source, catalog, seen.prefix), now=now.timestamp())
    except SourceUnavailable:
        raise
    except SourceError as error:
        seen.skipped[catalog.name] = f"cannot be read: {error.message}"
        return
    if table.rows:
        seen.tables.append(table)
    else:
        seen.empty.append(catalog.name)


def _table(source: Source, catalog: CatalogTable, prefix: str) -> SeenTable:
    refers = {column: (table, key) for column, table, key in catalog.foreign_keys}
    fetched = [c for c in catalog.columns if not set(words(c)) & _UNFETCHED]
    if not fetched:
        return SeenTable(catalog.name, (), 0)
    types, rows = _sampled(source, catalog, fetched)
    columns = []
    for place, (column, type_) in enumerate(zip(fetched, types, strict=True)):
        cells = tuple(row[place] for row in rows)
        values = tuple(value for value in cells if value is not None)
        key = catalog.unique_keys[:1] == ((column,),)
        made = SeenColumn(column, type_, values, len(rows) - len(values), key, refers.get(column), cells=cells)
        columns.append(_timed(source, catalog.name, made))
    total = len(rows) if len(rows) < ROWS else _count(source, catalog)
    bare = bare_name(catalog.name, prefix)
    return SeenTable(catalog.name, tuple(columns), len(rows), catalog.unique_keys, total, bare)


def _sampled(source: Source, table: CatalogTable, columns: Sequence[str]) -> tuple[list[ColumnType], list[Any]]:
    """The types, and the sampled rows: the first rows, and the latest by the key."""
    select = f"SELECT {', '.join(map(source.quote, columns))} FROM {source.table_name(table.name)}"
    types, rows = source.typed_rows(table.name, columns, source.limited(select, ROWS))
    key = table.unique_keys[0][0] if table.unique_keys and len(table.unique_keys[0]) == 1 else ""
    if len(rows) == ROWS and key in columns:
        latest = f"{select} ORDER BY {source.quote(key)} DESC"
        with source.snapshot() as reader:
            place = [c.casefold() for c in columns].index(key.casefold())
            first = {row[place] for row in rows}
            # In the order of the key, and no row twice: evidence counts rows and compares neighbors.
            rows = rows + [
                row for row in list(reader.rows(source.limited(latest, ROWS)))[::-1] if row[place] not in first
            ]
    return types, [tuple(row) for row in rows]


def _count(source: Source, table: CatalogTable) -> int:
    """The number of rows: the server's estimate, or else counted within the time limit."""
    if table.estimated_rows:
        return max(table.estimated_rows, ROWS)
    try:
        with isolated(), source.snapshot() as reader:
            return int(reader.rows(f"SELECT COUNT(*) FROM {source.table_name(table.name)}")[0][0])
    except SourceUnavailable:
        raise
    except SourceError:
        return ROWS


# --- time ---------------------------------------------------------------------------------------------------


def _timed(source: Source, table: str, column: SeenColumn) -> SeenColumn:
    """The column with the form in which it stores time, if it does; decided as in `check --source`."""
    column = _without_zeros(column)
    if not _may_be_time(column, typeless=source.kind.typeless_columns):
        return column
    for stored in _forms(column, typeless=source.kind.typeless_columns):
        metric = Metric(name="draft", table=table, time=column.name, stored=stored)
        try:
            with isolated():
                form = time_form(TimeColumn(source, metric, source.table_name(table), column.name, column.type, "UTC"))
        except SourceUnavailable:
            raise
        except SourceError as error:
            advice = re.search(r'stored = "(\w+)"', error.hint)
            if advice and advice[1] != stored:
                return _timed_as(source, table, column, advice[1])
            continue
        return replace(column, time=form, stored=stored)
    return column


def _without_zeros(column: SeenColumn) -> SeenColumn:
    """A column of integer times in which 0 means null, as one without a value in these rows."""
    if column.an_id or column.type.kind not in (INT, OTHER) or not column.values or 0 not in column.values:
        return column
    kept = tuple(value for value in column.values if value != 0 or isinstance(value, bool))
    if not kept or not _are_epochs(column, kept):
        return column
    cells = tuple(None if cell == 0 else cell for cell in column.cells)
    nulls = column.nulls + len(column.values) - len(kept)
    return replace(column, values=kept, nulls=nulls, cells=cells, zero=True)


def _timed_as(source: Source, table: str, column: SeenColumn, stored: str) -> SeenColumn:
    metric = Metric(name="draft", table=table, time=column.name, stored=stored)
    try:
        with isolated():
            form = time_form(TimeColumn(source, metric, source.table_name(table), column.name, column.type, "UTC"))
    except SourceUnavailable:
        raise
    except SourceError:
        return column
    return replace(column, time=form, stored=stored)


def _may_be_time(column: SeenColumn, *, typeless: bool) -> bool:
    kind = column.type.kind
    if kind in (TIMESTAMP, TIMESTAMPTZ, DATE):
        return bool(column.values) or not typeless
    if column.an_id or not column.values:
        return False
    if kind in (TEXT, OTHER) and all(isinstance(v, str) for v in column.values):
        return all(text_form(v) for v in column.values)
    return kind in (INT, OTHER) and _are_epochs(column, column.values)


def _are_epochs(column: SeenColumn, values: Sequence[Any]) -> bool:
    """Whether all values are times as integers: by the name, or because there are many and all are milliseconds."""
    if not all(isinstance(v, int) and _an_epoch(v) for v in values):
        return False
    milliseconds = len(values) >= MIN_MILLISECONDS and all(10**12 <= v < 4_102_444_800_000 for v in values)
    return milliseconds or bool(set(column.words) & _TIMELY)


def _an_epoch(value: int) -> bool:
    """Whether a number is a time between 1990 and 2100, in s, ms, µs or ns, or a day such as 20260302."""
    if any(631_152_000 * unit <= value <= 4_102_444_800 * unit for unit in EPOCHS.values()):
        return True
    day = day_of_digits(str(value))
    return day is not None and 1990 <= day.year < 2100


def _forms(column: SeenColumn, *, typeless: bool) -> list[str | None]:
    """Values of `stored` to try. A timestamp that is always midnight is a date."""
    if column.type.kind == TIMESTAMP and not typeless and column.values and all(map(_midnight, column.values)):
        return ["date"]
    return [None]


def _midnight(value: Any) -> bool:
    return isinstance(value, datetime) and value.time() == datetime.min.time()


def by_day(column: SeenColumn) -> bool:
    """Whether its values are days."""
    if column.time is not None and column.time.by_day:
        return True
    texts = [v for v in column.values if isinstance(v, str)]
    return bool(texts) and all(re.fullmatch(r"[\d-]{10}([T ]00:00(:00(\.0+)?)?)?", t) for t in texts)
