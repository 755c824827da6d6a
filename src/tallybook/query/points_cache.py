"""Points files as relations of the engine. Points that are read repeatedly are kept in memory."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from tallybook.core import ADDITIVE, MERGE, SCHEMAS, BookError, column_names, merge_sql
from tallybook.query.point_relations import TOTALS, Points
from tallybook.query.steps import Steps
from tallybook.storage import widened

if TYPE_CHECKING:
    import duckdb

    from tallybook.storage import PointsFile

Relation = Callable[[str, str, date, date], Points]
CacheKey = tuple[int, tuple[str, ...]]
"""A version and its files. Forgetting data, in any process, replaces the files of every version."""
_NUMBERS = itertools.count(1)
"""Numbers for table names. Tables of a dropped cache exist until the last question that reads them ends."""
MAX_CACHED_ROWS = 5_000_000
"""Maximum number of additive points that are cached, at about 100 bytes each."""
MAX_VIEW_SHARE = 0.25
"""Maximum share of the rows of a version that a view reads from other tables than those of an earlier version."""


@dataclass(kw_only=True)
class CachedPoints:
    """The additive points of one version in two tables or views of the engine, {ADDITIVE or TOTALS: table name}."""

    key: CacheKey
    files: Sequence[PointsFile]
    tables: dict[str, str]
    base: CachedPoints | None = None
    """The tables that the views read, beside tables of the days that changed since."""
    questions: int = 0
    """Number of running questions, and of views of later versions, that may read the tables."""
    is_dropped: bool = False

    @property
    def drops(self) -> list[str]:
        """The statements after which nothing of it is left."""
        if self.base is None:
            return [f"DROP TABLE IF EXISTS {name}" for name in self.tables.values()]
        views = [f"DROP VIEW IF EXISTS {name}" for name in self.tables.values()]
        return [*views, *(f"DROP TABLE IF EXISTS {name}" for name in fresh_tables(self.tables).values())]


def fresh_tables(tables: Mapping[str, str]) -> dict[str, str]:
    """The tables of the points that views add to older tables."""
    return {kind: f"fresh_{name}" for kind, name in tables.items()}


class PointsCache:
    """Caches the points of one version at a time. The first question of a version reads files, later ones read memory.

    Thread-safe: one thread creates tables while others read files. Tables of an older version are dropped with the
    last question that may read them."""

    def __init__(
        self, connect: Callable[[], duckdb.DuckDBPyConnection], scan: Callable[[Sequence[PointsFile]], str]
    ) -> None:
        """`connect` opens another connection to the engine."""
        self.connect, self.scan = connect, scan
        self.closed = False
        self._lock = threading.Lock()
        self._asked: CacheKey | None = None
        self._forgotten = False
        self._kept: CachedPoints | None = None
        self._making = False

    @contextmanager
    def question(self) -> Iterator[Callable[[int, Sequence[PointsFile]], Relation]]:
        """(version, files) → the relations of one question, which may be read until the block ends."""
        used: list[CachedPoints] = []

        def relation(version: int, files: Sequence[PointsFile]) -> Relation:
            kept = self._tables_of(version, [f for f in files if f.kind == ADDITIVE])
            used.extend([kept] if kept else [])
            return self._relation(kept, files)

        try:
            yield relation
        finally:
            for kept in used:
                self._release(kept)

    def forget(self) -> None:
        """Discard everything cached so far."""
        with self._lock:
            old, self._kept, self._forgotten = self._kept, None, True
        self._drop_unused(old)

    def _relation(self, kept: CachedPoints | None, files: Sequence[PointsFile]) -> Relation:
        """(kind, metric, first, last) → a relation that contains all these points, and possibly others."""

        def relation(kind: str, metric: str, first: date, last: date) -> Points:
            if kept is not None and kind in kept.tables:
                return Points(kept.tables[kind])
            kind = ADDITIVE if kind == TOTALS else kind
            there = [
                f for f in files if f.kind == kind and f.metric in ("", metric) and f.first <= last and f.last >= first
            ]
            if not there:
                return Points(_nothing(kind))
            days = (min(f.first for f in there), max(f.last for f in there))
            return Points(self.scan(there), one_metric=kind != ADDITIVE, days=days)

        return relation

    # -- kept tables

    def _tables_of(self, version: int, files: Sequence[PointsFile]) -> CachedPoints | None:
        """The cached tables of a version, counted as in use. They are created when a version is queried for the second
        time, or at once if they differ little from those of an earlier version."""
        key = (version, tuple(f.path for f in files))
        with self._lock:
            if self._kept is not None and self._kept.key == key:
                self._kept.questions += 1
                return self._kept
            again, self._asked = key == self._asked, key
            if self._making or not files or sum(f.rows for f in files) > MAX_CACHED_ROWS:
                return None
            before = self._kept
            if not again and (before is None or _small_change(before, files) is None):
                return None
            self._making = True
            if before is not None:
                before.questions += 1
        try:
            made = self._made(key, files, before)
            with self._lock:
                self._kept = None if self._forgotten else made
        except BookError:
            # This question may not need an unreadable file. Each question reports the files that it cannot read.
            return None
        finally:
            self._making = False
            if before is not None:
                self._release(before)
        return made

    def _release(self, kept: CachedPoints) -> None:
        with self._lock:
            kept.questions -= 1
        self._drop_unused(kept)

    def _drop_unused(self, kept: CachedPoints | None) -> None:
        """Drop tables that no running question reads and no new question will read."""
        with self._lock:
            if kept is None or kept is self._kept or kept.questions or kept.is_dropped or self.closed:
                return
            kept.is_dropped = True
        with closing(self.connect()) as engine:
            for statement in kept.drops:
                engine.execute(statement)
        if kept.base is not None:
            self._release(kept.base)

    def _made(self, key: CacheKey, files: Sequence[PointsFile], before: CachedPoints | None = None) -> CachedPoints:
        """Create the tables of some files. Points that `before` has of the same files are used or copied; only other
        files are read."""
        names, number = ", ".join(column_names(ADDITIVE)), next(_NUMBERS)
        tables = {kind: f"kept_{kind}_{number}" for kind in (ADDITIVE, TOTALS)}
        fresh = fresh_tables(tables)
        little = _small_change(before, files) if before is not None else None
        change = changed_files(before.files, files) if before is not None else None
        with closing(self.connect()) as engine:
            if before is not None and little is not None:
                base = before.base or before
                self._load(engine, fresh, names, little.read)
                for kind, view in tables.items():
                    engine.execute(f"CREATE VIEW {view} AS {_changed(base.tables[kind], fresh[kind], little)}")
                with self._lock:
                    base.questions += 1
                return CachedPoints(key=key, files=files, tables=tables, base=base, questions=1)
            if before is None or change is None:
                self._load(engine, tables, names, files)
                return CachedPoints(key=key, files=files, tables=tables, questions=1)
            self._load(engine, fresh, names, change.read)
            for kind, table in tables.items():
                rows = _changed(before.tables[kind], fresh[kind], change)
                engine.execute(f"CREATE TABLE {table} AS {rows}").fetchall()
                engine.execute(f"DROP TABLE {fresh[kind]}").fetchall()
        return CachedPoints(key=key, files=files, tables=tables, questions=1)

    def _load(
        self, engine: duckdb.DuckDBPyConnection, tables: Mapping[str, str], names: str, files: Sequence[PointsFile]
    ) -> None:
        engine.execute(
            f"CREATE TABLE {tables[ADDITIVE]} AS SELECT {names} FROM {self.scan(files)} "
            "ORDER BY metric, definition, slot, day"
        ).fetchall()
        widened(lambda wide: _make_totals(engine, tables, wide))


@dataclass(frozen=True)
class FilesChange:
    """The difference between two sets of files. `stays`: the SQL condition for days whose points are unchanged. `read`:
    the files with all other days."""

    stays: str
    read: Sequence[PointsFile]


def changed_files(before: Sequence[PointsFile], now: Sequence[PointsFile]) -> FilesChange | None:
    """The files to read for a new set of files, if the points of the old set are cached.

    None if nothing, everything or more than half would be read. A file that shares days with a removed file is read
    again, because points do not record their file."""
    paths = {one.path for one in now}
    gone = [one for one in before if one.path not in paths]
    known = {one.path for one in before}
    fresh = [one for one in now if one.path not in known]
    same = [one for one in now if one.path in known]
    while again := [one for one in same if any(one.first <= g.last and one.last >= g.first for g in gone)]:
        gone, fresh = [*gone, *again], [*fresh, *again]
        same = [one for one in same if one not in again]
    if not fresh or not same or 2 * sum(one.rows for one in fresh) > sum(one.rows for one in now):
        return None
    days = [f"day NOT BETWEEN DATE '{one.first}' AND DATE '{one.last}'" for one in gone]
    return FilesChange(stays=" AND ".join(days) or "TRUE", read=fresh)


def _changed(table: str, fresh: str, change: FilesChange) -> str:
    """The rows of a table that stay, and those of another one."""
    return f"SELECT * FROM {table} WHERE {change.stays} UNION ALL BY NAME SELECT * FROM {fresh}"


def _small_change(before: CachedPoints, files: Sequence[PointsFile]) -> FilesChange | None:
    """What to read beside the tables of an earlier version; None where that is much."""
    change = changed_files((before.base or before).files, files)
    if change is None or sum(one.rows for one in change.read) > MAX_VIEW_SHARE * sum(one.rows for one in files):
        return None
    return change


def _make_totals(engine: duckdb.DuckDBPyConnection, tables: Mapping[str, str], wide: bool) -> None:
    """Create the table of additive points without dimensions: one row for each slot and day.

    Rows of squares stay separate, because each has its own K. With `wide`, all rows stay separate."""
    keys, points, table = "metric, definition, slot, day", tables[ADDITIVE], tables[TOTALS]
    merged = ",\n  ".join(f"{merge_sql(ADDITIVE, part)} AS {part}" for part in MERGE[ADDITIVE])
    steps = Steps()
    squares = f"SELECT {keys}, {', '.join(MERGE[ADDITIVE])}, k\nFROM {points}"
    with_squares = steps.add("with_squares", squares if wide else f"{squares}\nWHERE s2 IS NOT NULL")
    select = f"SELECT * FROM {with_squares}"
    if not wide:
        totals = f"SELECT {keys},\n  {merged},\n  NULL::DOUBLE AS k\nFROM {points}\nWHERE s2 IS NULL\nGROUP BY ALL"
        select += f"\nUNION ALL BY NAME\nSELECT * FROM {steps.add('totals', totals)}"
    sql = f"CREATE OR REPLACE TABLE {table} AS\nFROM (\n{steps.select(select)}\n)\nORDER BY {keys}"
    engine.execute(sql).fetchall()


def _nothing(kind: str) -> str:
    typed = ", ".join(f"NULL::{type_} AS {name}" for name, type_ in SCHEMAS[kind])
    return f"(SELECT {typed} WHERE FALSE)"
