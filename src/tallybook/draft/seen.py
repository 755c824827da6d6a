"""Inspects a database: its catalog, and some hundred rows of each table."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
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
    ColumnType,
    Source,
    TimeForm,
    as_text,
    bind,
    day_of_digits,
    text_form,
)
from tallybook.core import Metric, SourceError, SourceUnavailable, isolated, parse_measure
from tallybook.draft.table_words import TECHNICAL
from tallybook.draft.words import words

ROWS = 400
"""Maximum sampled rows from the start of a table, and from its end if its key is indexed."""
MAX_TABLES = 200
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

    @property
    def words(self) -> tuple[str, ...]:
        """The words of its name."""
        return words(self.name)

    @property
    def number(self) -> bool:
        """Whether it contains numbers."""
        if self.type.kind in NUMBERS:
            return True
        return self.type.kind == OTHER and bool(self.values) and all(isinstance(v, int | float) for v in self.values)

    @property
    def an_id(self) -> bool:
        """Whether it is an id."""
        return self.key or self.refers is not None or self.words[-1:] in (("id",), ("uuid",), ("guid",))

    @property
    def texts(self) -> list[str]:
        """The different texts, the most frequent first."""
        counted: dict[str, int] = {}
        for value in self.values:
            text = as_text(value) or ""
            counted[text] = counted.get(text, 0) + 1
        return sorted(counted, key=lambda text: -counted[text])


@dataclass(frozen=True)
class SeenTable:
    name: str
    columns: tuple[SeenColumn, ...]
    rows: int
    """The number of sampled rows."""
    unique: tuple[tuple[str, ...], ...] = ()

    def column(self, name: str) -> SeenColumn | None:
        """The column with this name."""
        return next((c for c in self.columns if c.name.casefold() == name.casefold()), None)

    @property
    def times(self) -> list[SeenColumn]:
        """The columns with times."""
        return [c for c in self.columns if c.time is not None]

    def unique_by(self, column: str) -> bool:
        """Whether a column alone is a unique key."""
        return any(len(key) == 1 and key[0].casefold() == column.casefold() for key in self.unique)


@dataclass
class Seen:
    """All tables with rows, and why other tables were left out."""

    tables: list[SeenTable] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def table(self, name: str) -> SeenTable | None:
        """The table with this name."""
        return next((t for t in self.tables if t.name.casefold() == name.casefold()), None)


def see(source: Source, on_table: Callable[[str], None] = lambda _: None) -> Seen:
    """Inspect every table. Raises SourceUnavailable if the database is unreachable."""
    seen = Seen()
    names = source.base_tables()
    for name in names:
        if TECHNICAL.match(name):
            seen.skipped[name] = "is kept by a tool"
        elif len(seen.tables) >= MAX_TABLES:
            seen.skipped[name] = f"is beyond the first {MAX_TABLES} tables"
        else:
            on_table(name)
            _see_table(source, name, seen)
    return seen


def _see_table(source: Source, name: str, seen: Seen) -> None:
    try:
        with isolated():
            table = _table(source, name)
    except SourceUnavailable:
        raise
    except SourceError as error:
        seen.skipped[name] = f"cannot be read: {error.message}"
        return
    if table.rows:
        seen.tables.append(table)
    else:
        seen.skipped[name] = "is empty"


def _table(source: Source, name: str) -> SeenTable:
    names = source.columns(name)
    types = source.probe(source.table_name(name), [source.quote(c) for c in names])
    unique = tuple(source.unique_keys(name))
    refers = {column: (table, key) for column, table, key in source.foreign_keys(name)}
    fetched = [c for c in names if not set(words(c)) & _UNFETCHED]
    rows = _rows(source, name, fetched, unique)
    columns = []
    for column, type_ in zip(names, types, strict=True):
        place = fetched.index(column) if column in fetched else None
        values = tuple(row[place] for row in rows if row[place] is not None) if place is not None else ()
        key = unique[:1] == ((column,),)
        made = SeenColumn(column, type_, values, len(rows) - len(values), key, refers.get(column))
        columns.append(_timed(source, name, made))
    return SeenTable(name, tuple(columns), len(rows), unique)


def _rows(source: Source, name: str, columns: Sequence[str], unique: Sequence[Sequence[str]]) -> list[tuple[Any, ...]]:
    """Sampled rows: the first ones, and the latest by the key."""
    select = f"SELECT {', '.join(map(source.quote, columns))} FROM {source.table_name(name)}"
    if not columns:
        return []
    with source.snapshot() as reader:
        rows = reader.rows(source.limited(select, ROWS))
        if len(rows) == ROWS and unique and len(unique[0]) == 1:
            rows += reader.rows(source.limited(f"{select} ORDER BY {source.quote(unique[0][0])} DESC", ROWS))
    return [tuple(row) for row in rows]


# --- time ---------------------------------------------------------------------------------------------------


def _timed(source: Source, table: str, column: SeenColumn) -> SeenColumn:
    """The column with the form in which it stores time, if it does; decided as in `check --source`."""
    from dataclasses import replace

    if not _may_be_time(column, typeless=source.kind.typeless_columns):
        return column
    for stored in _forms(column, typeless=source.kind.typeless_columns):
        metric = Metric(
            name="draft",
            table=table,
            time=column.name,
            stored=stored,
            measure="count(*)",
            parsed=parse_measure("count(*)", source.dialect),
        )
        try:
            with isolated():
                form = bind(source, metric, "UTC", "draft").time
        except SourceUnavailable:
            raise
        except SourceError as error:
            said = re.search(r'stored = "(\w+)"', error.hint)
            if said and said[1] != stored:
                return _timed_as(source, metric, column, said[1])
            continue
        return replace(column, time=form, stored=stored)
    return column


def _timed_as(source: Source, metric: Metric, column: SeenColumn, stored: str) -> SeenColumn:
    from dataclasses import replace

    from msgspec.structs import replace as with_

    try:
        with isolated():
            form = bind(source, with_(metric, stored=stored), "UTC", "draft").time
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
    timely = bool(set(column.words) & _TIMELY)
    return kind in (INT, OTHER) and timely and all(isinstance(v, int) and _an_epoch(v) for v in column.values)


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
