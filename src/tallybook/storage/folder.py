"""A book in a folder: the ledger beside the points files, which are only ever written anew.

book/ledger.sqlite
book/points/additive/2026-03-<id>.parquet          all metrics' additive parts of a month
book/points/ids/<metric>/2026-03-<id>.parquet       a metric's ids of a month
book/points/buckets/<metric>/2025-<id>.parquet      a closed year, folded by `compact`
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tallybook.core import (
    ADDITIVE,
    BUCKETS,
    EXACT,
    EXACT_DIGITS,
    FORMAT,
    IDS,
    KEY,
    ONE_DAY,
    READABLE,
    SCHEMAS,
    BookError,
    Busy,
    column_names,
    day_of,
    end_of,
    missing_columns,
    next_period,
    storage_key,
)
from tallybook.storage.files import BadFile, Files, FolderFiles, engine_path, hash_of, hint_for, on_disk
from tallybook.storage.ledger import LOST, Commit, Conflict, Covered, Lease, Ledger, PointsFile, VersionSnapshot
from tallybook.storage.lost import Losses, uncovered, way_out

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

Unit = tuple[str, str, date, date]
"""(kind, metric or '', first day, last day): what one file holds."""
ROW_GROUP = 122_880
"""Rows that a file is read and written by, as DuckDB's own."""
ATTEMPTS = 50
STRAY_HOURS = 24.0
"""So old is a points file without a version when nobody can be about to commit it."""
LOOSE_FILES = 100
"""Files that no kept version needs, above which a run deletes them by itself."""
FOLDABLE_FILES = 12
"""Months of closed years, from which on a run folds them by itself."""
GRACE = timedelta(hours=1)
"""A file that left the current version is kept so long, whatever `keep_versions` says: somebody may be reading it."""


class Store:
    """A book's files and ledger. The connection that builds files is the caller's."""

    def __init__(self, folder: Path, ledger: Ledger, files: Files | None = None) -> None:
        """The files are in `folder` unless something else says where they are."""
        self.folder = folder
        self.ledger = ledger
        self.files: Files = files or FolderFiles(folder)
        self.last_closed: Callable[[], date] | None = None
        """The last day that is over, where somebody knows it; messages name no later one to be collected again."""

    # -- reading ---------------------------------------------------------------------------------

    def snapshot(self, metrics: Iterable[str] | None = None, *, version: int | None = None) -> VersionSnapshot:
        """A version with its files and coverage. Raises Cleaned when files of that version are deleted."""
        found = self.ledger.snapshot(metrics, version=version)
        for file in found.files:
            if file.format not in READABLE:
                raise BookError(
                    f"{file.path} has format {file.format}; this Tallybook reads {' and '.join(map(str, READABLE))}",
                    hint="pip install --upgrade tallybook",
                )
        return found

    def path(self, file: PointsFile) -> Path:
        """Where a file can be read, with the bytes that were written. Raises BadFile, with the lines that replace it."""
        try:
            return self.files.path(file)
        except BadFile as bad:
            hint = "ask for a later day" if file.sha256 == LOST else self.way_out(file)
            raise BadFile(file, bad.reason, hint=hint) from None

    def way_out(self, file: PointsFile) -> str:
        """What to do about a file that cannot be read."""
        return way_out(self.ledger.snapshot(), file, self.last_closed and self.last_closed())

    def problems(self, files: Sequence[PointsFile]) -> dict[str, BadFile]:
        """{path: why the file cannot be read}. Every file is read as a whole, once in each process."""
        found = {}
        missing = {file.path for file in self.files.missing(files)}
        for file in files:
            try:
                if file.path in missing and file.sha256 != LOST:
                    raise BadFile(file, "is missing", hint=self.way_out(file))
                self.path(file)
            except BadFile as bad:
                found[file.path] = bad
        return found

    def losses(self, current: Sequence[PointsFile]) -> Losses:
        """Which of these files cannot be read, found out when somebody asks."""
        return Losses(current, self.problems)

    # -- writing ---------------------------------------------------------------------------------

    def publish(
        self,
        engine: duckdb.DuckDBPyConnection,
        change: Commit,
        *,
        lease: Lease | None,
        run: int | None,
        now: datetime,
    ) -> int:
        """Replace the days that `change` covers by what stands in new_additive, new_ids and new_buckets.

        Files are written and synced first; then one ledger transaction makes them the book. If somebody else
        committed meanwhile, files that they touched are built again. Files that `change` gives up are not read. Returns
        the new version.
        Raises BadFile when another file that has to be read cannot be, Busy when the lease was lost, BookError when the book cannot be written."""
        change.contents = self.files.contents
        given_up = {file.path for file in change.lost}
        with self._drafts() as drafts:
            for _ in range(ATTEMPTS):
                base = self.ledger.snapshot(metrics=None if given_up else [])
                change.lost = [file for file in base.files if file.path in given_up]
                change.uncovered = [*change.taken_back, *uncovered(base, change.lost, change.covered)]
                change.add, change.remove = [], []
                _own(engine, change.covered, change.uncovered)
                for unit, current in self._touched(engine, base.files, change.lost):
                    if not drafts.has(unit, current):
                        readable = [file for file in current if file.path not in given_up]
                        drafts.put(unit, current, self._rebuild(engine, unit, readable))
                    _replace(change, drafts.get(unit, current), current)
                if (version := drafts.commit(base.version, change, lease=lease, run=run, now=now)) is not None:
                    return version
        raise Busy(f"{ATTEMPTS} times somebody else changed the book first", hint="run again when they are done")

    @contextmanager
    def _drafts(self) -> Iterator[_Drafts]:
        """Files written for a commit: those that did not become part of the book are deleted."""
        drafts = _Drafts(self.ledger)
        try:
            yield drafts
        finally:
            for file in drafts.unused():
                self.files.delete(file)

    def _touched(
        self, engine: duckdb.DuckDBPyConnection, files: Sequence[PointsFile], lost: Sequence[PointsFile]
    ) -> list[tuple[Unit, tuple[PointsFile, ...]]]:
        """The files to be: for every kind, one for each stretch of days that owned days fall into, and for each file
        that is lost."""
        owned = _owned_months(engine)
        found: dict[Unit, tuple[PointsFile, ...]] = {(f.kind, f.metric, f.first, f.last): (f,) for f in lost}
        for kind in SCHEMAS:
            fresh = {(storage_key(kind, metric), month) for metric, month in _months(engine, f"new_{kind}")}
            there: dict[str, list[PointsFile]] = {}
            for file in files:
                if file.kind == kind:
                    there.setdefault(file.metric, []).append(file)
            # A file holds whole months, so that the month says which one.
            for key, month in {(storage_key(kind, metric), month) for metric, month in owned}:
                holding = next((f for f in there.get(key, ()) if f.first <= month <= f.last), None)
                if holding is not None:
                    found[(kind, key, holding.first, holding.last)] = (holding,)
                elif (key, month) in fresh:
                    found[(kind, key, month, next_period(month, "month") - ONE_DAY)] = ()
        return sorted(found.items(), key=lambda item: item[0])

    def _rebuild(
        self, engine: duckdb.DuckDBPyConnection, unit: Unit, current: Sequence[PointsFile]
    ) -> PointsFile | None:
        """Write the file of a unit: old rows that are not owned, and the new ones. None when nothing changes."""
        kind, metric, first, last = unit
        names = ", ".join(column_names(kind))
        within = f"day BETWEEN DATE '{first}' AND DATE '{last}'"
        only = f"AND metric = '{metric}'" if metric else ""
        staged = _staged(engine, kind)
        new = f"SELECT * FROM new_{kind} n SEMI JOIN owned w ON {_same_day('n', 'w')} AND w.fresh WHERE {within} {only}"
        if not current:
            return self.write(engine, new, unit, [name for name in staged if name != "metric" or not metric])
        fresh = f"SELECT {', '.join(n if n in staged else f'NULL AS {n}' for n in column_names(kind))} FROM ({new})"
        old = f"SELECT {names} FROM {self.scan(current)}"
        replaced = f"SELECT o.* FROM ({old}) o SEMI JOIN owned w ON {_same_day('o', 'w')}"
        if _equal(engine, replaced, fresh):
            return None
        kept = f"SELECT o.* FROM ({old}) o ANTI JOIN owned w ON {_same_day('o', 'w')}"
        return self.write(engine, f"{kept} UNION ALL {fresh}", unit)

    def write(
        self, engine: duckdb.DuckDBPyConnection, select: str, unit: Unit, names: Sequence[str] | None = None
    ) -> PointsFile:
        """A new points file with the rows of `select`, sorted, synced to disk.

        `names`: its columns that need be looked at; the others hold nothing, or the metric of the unit. Raises BookError when it cannot be written; then nothing of it is left."""
        import duckdb

        kind, metric, first, last = unit
        label = f"{first:%Y}" if first.year == last.year and last.month - first.month > 1 else f"{first:%Y-%m}"
        relative = Path("points", kind, metric, f"{label}-{uuid.uuid4().hex[:12]}.parquet")
        try:
            path = self.files.new(relative)
        except OSError as error:
            raise _unwritable(self.folder / relative, error) from error
        try:
            rows = _write_parquet(engine, select, kind, metric, names or column_names(kind), path)
            file = PointsFile(
                path=relative.as_posix(),
                kind=kind,
                metric=metric,
                first=first,
                last=last,
                rows=rows,
                bytes=path.stat().st_size,
                format=FORMAT,
                sha256=hash_of(path),
            )
            self.files.keep(file, path)
        except (OSError, duckdb.IOException) as error:
            path.unlink(missing_ok=True)
            raise _unwritable(path, error) from error
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return file

    def scan(self, files: Sequence[PointsFile]) -> str:
        """The files as a relation of the engine; columns that their format does not have are null."""
        by_columns: dict[tuple[str, ...], list[PointsFile]] = {}
        for file in files:
            by_columns.setdefault(missing_columns(file.kind, file.format), []).append(file)
        scans = [self._read(several, absent) for absent, several in by_columns.items()]
        return scans[0] if len(scans) == 1 else f"({' UNION ALL BY NAME '.join(f'FROM {scan}' for scan in scans)})"

    def _read(self, files: Sequence[PointsFile], absent: Sequence[str]) -> str:
        paths = ", ".join(engine_path(self.path(f)) for f in files)
        types = dict(SCHEMAS[files[0].kind])
        nulls = "".join(f", CAST(NULL AS {types[name]}) AS {name}" for name in absent)
        return f"(SELECT *{nulls} FROM read_parquet([{paths}]))" if absent else f"read_parquet([{paths}])"

    # -- forgetting ------------------------------------------------------------------------------

    def rewrite(
        self,
        engine: duckdb.DuckDBPyConnection,
        change: Commit,
        gone: Callable[[PointsFile], str | None],
        *,
        lease: Lease,
        run: int,
        now: datetime,
    ) -> int:
        """Take rows out of the files of every version, and commit `change` with it as the next one.

        `gone(file)` is the condition of the rows to take, None for a file that holds none. The old files are
        deleted at once: who is reading one starts again. Returns how many rows of the current version went."""
        change.contents = self.files.contents
        with self._drafts() as drafts:
            for _ in range(ATTEMPTS):
                base = self.ledger.snapshot(metrics=[])
                files = {file.id: file for file in self.ledger.known_files()}
                current = {file.id for file in base.files}
                whole = [file for file in files.values() if file.metric in change.forgotten]
                change.rewritten, rows = (
                    {file.id: None for file in whole},
                    sum(f.rows for f in whole if f.id in current),
                )
                left = [file for file in files.values() if file not in whole and file.sha256 != LOST]
                change.lost = self._lost_before(left, current, gone)
                for file in left:
                    if file in change.lost:
                        continue
                    taken = self._without(engine, file, gone(file), drafts, change)
                    rows += taken if file.id in current else 0
                if drafts.commit(base.version, change, lease=lease, run=run, now=now) is not None:
                    for file in (*map(files.__getitem__, change.rewritten), *change.lost):
                        self.files.delete(file)
                    self._delete_strays()
                    return rows
        raise Busy(f"{ATTEMPTS} times somebody else changed the book first", hint="run again when they are done")

    def _lost_before(
        self, files: Sequence[PointsFile], current: set[int], gone: Callable[[PointsFile], str | None]
    ) -> list[PointsFile]:
        """Files of older versions out of which nothing can be taken, because they cannot be read: they go as a whole.
        Raises BadFile for one of the current version."""
        asked = [file for file in files if gone(file) is not None]
        problems = self.problems(asked)
        for file in asked:
            if file.id in current and file.path in problems:
                raise problems[file.path]
        return [file for file in asked if file.path in problems]

    def _without(
        self, engine: duckdb.DuckDBPyConnection, file: PointsFile, gone: str | None, drafts: _Drafts, change: Commit
    ) -> int:
        """Note the file that takes the place of `file`; how many rows it has less."""
        if gone is None:
            return 0
        taken = int(engine.execute(f"SELECT count(*) FROM {self.scan([file])} WHERE {gone}").fetchall()[0][0])
        if not taken:
            return 0
        unit = (file.kind, file.metric, file.first, file.last)
        if not drafts.has(unit, [file]):
            names = ", ".join(column_names(file.kind))
            kept = f"SELECT {names} FROM {self.scan([file])} WHERE NOT coalesce({gone}, FALSE)"
            drafts.put(unit, [file], self.write(engine, kept, unit) if taken < file.rows else None)
        change.rewritten[file.id] = drafts.get(unit, [file])
        return taken

    # -- keeping house ---------------------------------------------------------------------------

    def compact(self, engine: duckdb.DuckDBPyConnection, *, today: date, run: int | None, now: datetime) -> int:
        """Fold the months of every closed year into one file per kind and metric. Returns how many files fewer."""
        with self._drafts() as drafts:
            for _ in range(ATTEMPTS):
                base = self.ledger.snapshot(metrics=[])
                change = Commit(what="compact", contents=self.files.contents)
                for unit, current in _foldable(base.files, today):
                    if not drafts.has(unit, current):
                        select = f"SELECT {', '.join(column_names(unit[0]))} FROM {self.scan(current)}"
                        drafts.put(unit, current, self.write(engine, select, unit))
                    _replace(change, drafts.get(unit, current), current)
                if not change.remove:
                    return 0
                if drafts.commit(base.version, change, lease=None, run=run, now=now) is not None:
                    return len(change.remove) - len(change.add)
        raise Busy(f"{ATTEMPTS} times somebody else changed the book first", hint="tallybook compact")

    def foldable(self, today: date) -> list[tuple[date, date]]:
        """The days of the files that `compact` would fold."""
        found = _foldable(self.ledger.snapshot(metrics=[]).files, today)
        return [(file.first, file.last) for _, files in found for file in files]

    def loose(self, *, now: datetime, keep_days: int, zone: str) -> int:
        """How many files `clean` would delete, without strays."""
        kept = kept_versions(self.ledger.versions(), now=now, keep_days=keep_days, zone=zone)
        return len(self.ledger.droppable(kept, gone_before=now - GRACE))

    def clean(self, *, now: datetime, keep_days: int, zone: str) -> int:
        """Delete files that no version worth keeping names, and strays of runs that died. Returns how many."""
        kept = kept_versions(self.ledger.versions(), now=now, keep_days=keep_days, zone=zone)
        gone = self.ledger.droppable(kept, gone_before=now - GRACE)
        # First out of the ledger: after a crash between the two they are strays, not names without a file.
        self.ledger.forget_files([f.id for f in gone])
        leased = self.ledger.leased(now=now)
        for file in gone:
            self.files.delete(file)
        return len(gone) + (0 if leased else self._delete_strays())

    def _delete_strays(self) -> int:
        """Delete what runs left that died a day ago: a `forget` among them leaves what was to be forgotten."""
        strays = self.strays(older_than_hours=STRAY_HOURS)
        for path in strays:
            with on_disk(path, "deleted"):
                path.unlink(missing_ok=True)
        return len(strays)

    def strays(self, *, older_than_hours: float = 0) -> list[Path]:
        """Points files that no version names, left by runs that died."""
        return [path for path in self._unnamed(older_than_hours) if not self._is_of_another_ledger(path)]

    def older_than_the_ledger(self) -> list[Path]:
        """Points files that no version names and that were there before this ledger: those of another, perhaps, that is
        lost. A backup of that ledger needs them."""
        return [path for path in self._unnamed(0) if self._is_of_another_ledger(path)]

    def _unnamed(self, older_than_hours: float) -> list[Path]:
        return self.files.strays(self.ledger.known_files, older_than_hours=older_than_hours)

    def _is_of_another_ledger(self, path: Path) -> bool:
        # By the ledger's own instants, not the age of its file: a restored ledger is as old as its first run.
        began = self.ledger.first_at()
        return began is None or path.lstat().st_mtime < began.timestamp()


class _Drafts:
    """Files that were written for a commit, each by its unit and the files it replaces."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._built: dict[tuple[Unit, tuple[int, ...]], PointsFile | None] = {}
        self._named: list[PointsFile] = []

    def has(self, unit: Unit, current: Sequence[PointsFile]) -> bool:
        return (unit, tuple(f.id for f in current)) in self._built

    def get(self, unit: Unit, current: Sequence[PointsFile]) -> PointsFile | None:
        return self._built[(unit, tuple(f.id for f in current))]

    def put(self, unit: Unit, current: Sequence[PointsFile], file: PointsFile | None) -> None:
        """`file` is None when nothing changes."""
        self._built[(unit, tuple(f.id for f in current))] = file

    def commit(self, base: int, change: Commit, *, lease: Lease | None, run: int | None, now: datetime) -> int | None:
        """The new version; None when somebody else committed first."""
        self._named = [*change.add, *(file for file in change.rewritten.values() if file is not None)]
        try:
            return self._ledger.commit(base, change, lease=lease, run=run, now=now)
        except (Conflict, Busy) as lost:
            self._named = []
            if isinstance(lost, Conflict):
                return None
            raise

    def unused(self) -> list[PointsFile]:
        """Files that are certainly not part of the book. A commit that failed midway may have happened."""
        return [file for file in self._built.values() if file is not None and file not in self._named]


def kept_versions(versions: Sequence[tuple[int, datetime]], *, now: datetime, keep_days: int, zone: str) -> list[int]:
    """The versions that `--as-of` can ask for: each that was current in the last `keep_days` days, before that
    the one at the end of each month of the book's zone; always the current one."""
    oldest = now - timedelta(days=keep_days)
    kept = {version for version, at in versions if at >= oldest}
    kept.add(versions[-1][0])
    made = sorted((at, version) for version, at in versions if at < oldest)
    ends = {_end_of_month(at, zone) for at, version in made if version} | {oldest}
    for end in ends:
        kept.add(max((version for at, version in made if at < end), default=0))
    return sorted(kept)


def _end_of_month(instant: datetime, zone: str) -> datetime:
    first = day_of(instant, zone).replace(day=1)
    return end_of(next_period(first, "month") - ONE_DAY, zone)


def _replace(change: Commit, file: PointsFile | None, current: Sequence[PointsFile]) -> None:
    if file is None:
        return
    change.remove += [f.id for f in current]
    if file.rows:
        change.add.append(file)


def _months(engine: duckdb.DuckDBPyConnection, table: str) -> list[tuple[str, date]]:
    return engine.execute(f"SELECT DISTINCT metric, date_trunc('month', day)::DATE FROM {table}").fetchall()


def _owned_months(engine: duckdb.DuckDBPyConnection) -> list[tuple[str, date]]:
    months = "generate_series(date_trunc('month', first_day), last_day, INTERVAL 1 MONTH)"
    return engine.execute(f"SELECT DISTINCT metric, unnest({months})::DATE FROM owned").fetchall()


def _staged(engine: duckdb.DuckDBPyConnection, kind: str) -> list[str]:
    """The columns of a staging table, which leaves out dimensions that no metric has."""
    return [row[0] for row in engine.execute(f"DESCRIBE new_{kind}").fetchall()]


def _order(kind: str, names: Sequence[str]) -> str:
    """What rows of a file are sorted by, so that they are small and found quickly. Ids and buckets are one metric's."""
    keys = [name for name, _ in KEY if kind == ADDITIVE or name not in ("metric", "definition")]
    return ", ".join(n for n in [*keys, *{IDS: ["id"], BUCKETS: ["low_f"]}.get(kind, [])] if n in names)


def _write_parquet(
    engine: duckdb.DuckDBPyConnection, select: str, kind: str, metric: str, names: Sequence[str], path: Path
) -> int:
    """Write the rows of a statement, sorted, as they come. Returns how many.

    pyarrow writes columns without values for next to nothing (DuckDB's COPY takes half its time for them) and
    sorted ids as differences."""
    import pyarrow as pa
    from pyarrow import parquet

    sorted_ = f"SELECT {', '.join(names)} FROM ({select}) ORDER BY {_order(kind, names)}"
    schema = pa.schema([(name, _arrow(type_)) for name, type_ in SCHEMAS[kind]])
    rows = 0
    with parquet.ParquetWriter(
        path,
        schema,
        compression="zstd",
        use_dictionary=[name for name in schema.names if name != "id"],
        column_encoding={"id": "DELTA_BINARY_PACKED"} if "id" in schema.names else None,
    ) as writer:
        for batch in engine.sql(sorted_).to_arrow_reader(ROW_GROUP):
            own = pa.repeat(metric, batch.num_rows)
            rest = {
                name: own if name == "metric" else pa.nulls(batch.num_rows, schema.field(name).type)
                for name in schema.names
                if name not in names
            }
            whole = [rest[name] if name in rest else batch.column(name) for name in schema.names]
            writer.write_batch(pa.record_batch(whole, schema=schema), row_group_size=ROW_GROUP)
            rows += batch.num_rows
    return rows


def _arrow(type_: str) -> pa.DataType:
    import pyarrow as pa

    types = {
        "VARCHAR": pa.string(),
        "SMALLINT": pa.int16(),
        "DATE": pa.date32(),
        "BIGINT": pa.int64(),
        "DOUBLE": pa.float64(),
    }
    return pa.decimal128(*EXACT_DIGITS) if type_ == EXACT else types[type_]


def _same_day(left: str, right: str) -> str:
    """A row of points lies in what is replaced (`right`)."""
    same = [f"{left}.{name} = {right}.{name}" for name in ("metric", "definition")]
    return " AND ".join([*same, f"{left}.day BETWEEN {right}.first_day AND {right}.last_day"])


def _equal(engine: duckdb.DuckDBPyConnection, old: str, fresh: str) -> bool:
    """Whether what was collected again is what was there."""
    was, now = engine.execute(f"SELECT (SELECT count(*) FROM ({old})), (SELECT count(*) FROM ({fresh}))").fetchall()[0]
    # Of equally many rows, none missing means none too many.
    return was == now and not engine.execute(f"({old}) EXCEPT ALL ({fresh}) LIMIT 1").fetchall()


def _own(engine: duckdb.DuckDBPyConnection, covered: Sequence[Covered], uncovered: Sequence[Covered]) -> None:
    """The table of the days that this change replaces, and of which it has new rows (`fresh`)."""
    engine.execute(
        "CREATE OR REPLACE TEMP TABLE owned (metric VARCHAR, definition VARCHAR, first_day DATE, last_day DATE, fresh BOOLEAN)"
    )
    rows = [
        f"('{one.metric}', '{one.definition}', DATE '{first}', DATE '{last}', {fresh})"
        for several, fresh in ((covered, True), (uncovered, False))
        for one in several
        for first, last in one.stretches
    ]
    for at in range(0, len(rows), 1000):
        engine.execute(f"INSERT INTO owned VALUES {', '.join(rows[at : at + 1000])}")


def _foldable(files: Sequence[PointsFile], today: date) -> list[tuple[Unit, list[PointsFile]]]:
    groups: dict[Unit, list[PointsFile]] = {}
    for file in files:
        year = file.first.year
        if year < today.year and file.last.year == year:
            groups.setdefault((file.kind, file.metric, date(year, 1, 1), date(year, 12, 31)), []).append(file)
    return [(unit, found) for unit, found in sorted(groups.items(), key=lambda g: g[0]) if len(found) > 1]


def _unwritable(path: Path, error: Exception) -> BookError:
    number = _errno(error)
    reason = os.strerror(number) if number else " ".join(str(error).split())
    return BookError(f"{path} cannot be written: {reason}", hint=hint_for(OSError(number, reason)))


def _errno(error: Exception) -> int:
    """The system's number of an error, out of what the engine made of it; 0 when there is none."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    numbered = re.search(r'"errno":"(\d+)"', " ".join(str(error).split()))
    return int(numbered[1]) if numbered else 0
