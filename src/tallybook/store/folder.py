"""A book in a folder: the ledger beside the points files, which are only ever written anew.

    book/ledger.sqlite
    book/points/additive/2026-03-<id>.parquet          all metrics' additive parts of a month
    book/points/ids/<metric>/2026-03-<id>.parquet       a metric's ids of a month
    book/points/buckets/<metric>/2025-<id>.parquet      a closed year, folded by `compact`
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tallybook.calendar import ONE_DAY, next_period
from tallybook.errors import BookError, Refused
from tallybook.points import FORMAT, KEY, SCHEMAS, columns, storage_key
from tallybook.store.ledger import Change, Conflict, Covered, File, Lease, Snapshot
from tallybook.store.sqlite_ledger import SqliteLedger

if TYPE_CHECKING:
    import duckdb

Unit = tuple[str, str, date, date]
"""(kind, metric or '', first day, last day): what one file holds."""
ATTEMPTS = 50


class Store:
    """A book's files and ledger. The connection that builds files is the caller's."""

    def __init__(self, folder: Path, ledger: SqliteLedger) -> None:
        self.folder = folder
        self.ledger = ledger

    # -- reading ---------------------------------------------------------------------------------

    def snapshot(self, metrics: Iterable[str] | None = None, *, version: int | None = None) -> Snapshot:
        """A version with its files and coverage. Raises Refused when files of that version were cleaned."""
        if version is not None and self.ledger.cleaned(version):
            raise Refused(
                f"version {version} of the book was cleaned: of versions older than keep_versions one a month is kept",
                ask="--as-of the last day of that month",
            )
        found = self.ledger.snapshot(metrics, version=version)
        for file in found.files:
            if file.format != FORMAT:
                raise BookError(f"{file.path} has format {file.format}; this Tallybook reads {FORMAT}")
        return found

    def path(self, file: File) -> Path:
        return self.folder / file.path

    # -- writing ---------------------------------------------------------------------------------

    def publish(
        self,
        engine: duckdb.DuckDBPyConnection,
        change: Change,
        *,
        lease: Lease | None,
        run: int | None,
        now: datetime,
    ) -> int:
        """Replace the days that `change` covers by what stands in new_additive, new_ids and new_buckets.

        Files are written and synced first; then one ledger transaction makes them the book. If somebody else
        committed meanwhile, files that they touched are built again. Returns the new version."""
        _own(engine, change.covered)
        built: dict[tuple[Unit, tuple[int, ...]], File | None] = {}
        for _ in range(ATTEMPTS):
            base = self.ledger.snapshot(metrics=[])
            change.add, change.remove = [], []
            for unit, current in self._touched(engine, base.files):
                key = (unit, tuple(f.id for f in current))
                if key not in built:
                    built[key] = self._rebuild(engine, unit, current)
                self._replace(change, built[key], current)
            try:
                return self.ledger.commit(base.version, change, lease=lease, run=run, now=now)
            except Conflict:
                continue
        raise BookError(f"{ATTEMPTS} times somebody else changed the book first", hint="tallybook run")

    @staticmethod
    def _replace(change: Change, file: File | None, current: Sequence[File]) -> None:
        if file is None:
            return
        change.remove += [f.id for f in current]
        if file.rows:
            change.add.append(file)

    def _touched(
        self, engine: duckdb.DuckDBPyConnection, files: Sequence[File]
    ) -> list[tuple[Unit, tuple[File, ...]]]:
        """The files to be: for every kind, one for each stretch of days that owned days fall into."""
        found: dict[Unit, tuple[File, ...]] = {}
        owned = engine.execute("SELECT DISTINCT metric, day FROM owned").fetchall()
        for kind in SCHEMAS:
            fresh = engine.execute(f"SELECT DISTINCT metric, date_trunc('month', day)::DATE FROM new_{kind}").fetchall()
            for metric, day in owned:
                key = storage_key(kind, metric)
                for file in files:
                    if file.kind == kind and file.metric == key and file.first <= day <= file.last:
                        found[(kind, key, file.first, file.last)] = (file,)
            for metric, first in fresh:
                key = storage_key(kind, metric)
                if not any(k == kind and m == key and a <= first <= b for k, m, a, b in found):
                    found[(kind, key, first, next_period(first, "month") - ONE_DAY)] = ()
        return [(unit, current) for unit, current in sorted(found.items(), key=lambda item: item[0])]

    def _rebuild(self, engine: duckdb.DuckDBPyConnection, unit: Unit, current: Sequence[File]) -> File | None:
        """Write the file of a unit: old rows that are not owned, and the new ones. None when nothing changes."""
        kind, metric, first, last = unit
        names = ", ".join(columns(kind))
        within = f"day BETWEEN DATE '{first}' AND DATE '{last}'"
        only = f"AND metric = '{metric}'" if metric else ""
        fresh = f"SELECT {names} FROM new_{kind} WHERE {within} {only}"
        old = f"SELECT {names} FROM {self.scan(current)}" if current else None
        if old is None and not engine.execute(f"SELECT count(*) FROM ({fresh})").fetchall()[0][0]:
            return None
        if old is not None and self._same(engine, old, fresh):
            return None
        kept = (
            f"SELECT o.* FROM ({old}) o ANTI JOIN owned w ON o.metric = w.metric AND o.definition = w.definition "
            "AND o.day = w.day UNION ALL "
            if old
            else ""
        )
        return self.write(engine, f"{kept}{fresh}", unit)

    @staticmethod
    def _same(engine: duckdb.DuckDBPyConnection, old: str, fresh: str) -> bool:
        """Whether the owned days' old rows are what was collected again."""
        owned_old = (
            f"SELECT o.* FROM ({old}) o SEMI JOIN owned w ON o.metric = w.metric AND o.definition = w.definition "
            "AND o.day = w.day"
        )
        differ = engine.execute(
            f"SELECT (SELECT count(*) FROM (({owned_old}) EXCEPT ALL ({fresh}))) "
            f"+ (SELECT count(*) FROM (({fresh}) EXCEPT ALL ({owned_old})))"
        ).fetchall()
        return bool(differ[0][0] == 0)

    def write(self, engine: duckdb.DuckDBPyConnection, select: str, unit: Unit) -> File:
        """A new points file with the rows of `select`, sorted, synced to disk."""
        kind, metric, first, last = unit
        label = f"{first:%Y}" if first.year == last.year and last.month - first.month > 1 else f"{first:%Y-%m}"
        relative = Path("points", kind, metric, f"{label}-{uuid.uuid4().hex[:12]}.parquet")
        path = self.folder / relative
        _make_folder(path.parent)
        order = ", ".join(name for name, _ in (*KEY[:4], *KEY[4:])) + (", id" if kind == "ids" else "")
        target = str(path).replace("'", "''")
        engine.execute(
            f"COPY (SELECT * FROM ({select}) ORDER BY {order}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)"
        ).fetchall()
        rows = engine.execute(f"SELECT count(*) FROM read_parquet('{target}')").fetchall()[0][0]
        _sync(path)
        _sync(path.parent)
        return File(
            path=relative.as_posix(), kind=kind, metric=metric, first=first, last=last, rows=rows,
            bytes=path.stat().st_size, format=FORMAT,
        )  # fmt: skip

    def scan(self, files: Sequence[File]) -> str:
        """The files as a relation of the engine."""
        paths = ", ".join("'" + str(self.path(f)).replace("'", "''") + "'" for f in files)
        return f"read_parquet([{paths}])"

    # -- keeping house ---------------------------------------------------------------------------

    def compact(self, engine: duckdb.DuckDBPyConnection, *, today: date, run: int | None, now: datetime) -> int:
        """Fold the months of every closed year into one file per kind and metric. Returns how many files fewer."""
        for _ in range(ATTEMPTS):
            base = self.ledger.snapshot(metrics=[])
            change = Change(what="compact")
            for unit, current in _foldable(base.files, today):
                names = ", ".join(columns(unit[0]))
                change.add.append(self.write(engine, f"SELECT {names} FROM {self.scan(current)}", unit))
                change.remove += [f.id for f in current]
            if not change.add:
                return 0
            try:
                self.ledger.commit(base.version, change, lease=None, run=run, now=now)
                return len(change.remove) - len(change.add)
            except Conflict:
                continue
        raise BookError(f"{ATTEMPTS} times somebody else changed the book first", hint="tallybook compact")

    def clean(self, *, now: datetime, keep_days: int) -> int:
        """Delete files that no version worth keeping names, and strays of runs that died. Returns how many."""
        gone = self.ledger.droppable(now=now, keep_days=keep_days)
        self.ledger.forget_files([f.id for f in gone])
        for file in gone:
            self.path(file).unlink(missing_ok=True)
        strays = [] if self.ledger.leased(now=now) else self.strays(older_than_hours=24)
        for path in strays:
            path.unlink(missing_ok=True)
        return len(gone) + len(strays)

    def strays(self, *, older_than_hours: float = 0) -> list[Path]:
        """Points files that no version names."""
        known = self.ledger.known_paths()
        before = time.time() - older_than_hours * 3600
        found = []
        for path in sorted((self.folder / "points").rglob("*.parquet")):
            try:
                old = path.stat().st_mtime <= before
            except FileNotFoundError:
                continue
            if old and path.relative_to(self.folder).as_posix() not in known:
                found.append(path)
        return found


def _own(engine: duckdb.DuckDBPyConnection, covered: Sequence[Covered]) -> None:
    """The table of what this change replaces."""
    engine.execute("CREATE OR REPLACE TEMP TABLE owned (metric VARCHAR, definition VARCHAR, day DATE)")
    for one in covered:
        if not one.days:
            continue
        days = ", ".join(f"DATE '{day}'" for day in one.days)
        engine.execute(f"INSERT INTO owned SELECT '{one.metric}', '{one.definition}', unnest([{days}])")


def _foldable(files: Sequence[File], today: date) -> list[tuple[Unit, list[File]]]:
    groups: dict[Unit, list[File]] = {}
    for file in files:
        year = file.first.year
        if year < today.year and file.last.year == year:
            groups.setdefault((file.kind, file.metric, date(year, 1, 1), date(year, 12, 31)), []).append(file)
    return [(unit, found) for unit, found in sorted(groups.items(), key=lambda g: g[0]) if len(found) > 1]


def _make_folder(folder: Path) -> None:
    """Make a folder so that its name is on disk, too."""
    missing = [p for p in (folder, *folder.parents) if not p.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in missing:
        _sync(made.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
