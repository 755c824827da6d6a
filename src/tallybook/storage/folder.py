"""A book in a folder: the ledger and the points files, which are never modified after writing.

book/ledger.sqlite
book/points/additive/2026-03-<id>.parquet          all metrics' additive parts of a month
book/points/ids/<metric>/2026-03-<id>.parquet       a metric's ids of a month
book/points/buckets/<metric>/2025-<id>.parquet      a closed year, merged by `compact`"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tallybook.core import (
    FORMAT,
    ONE_DAY,
    READABLE,
    SCHEMAS,
    BookError,
    Busy,
    column_names,
    missing_columns,
    next_period,
    storage_key,
)
from tallybook.storage.drafts import Drafts, Unit, replace_files
from tallybook.storage.files import BadFile, Files, FolderFiles, engine_path, hash_of, on_disk
from tallybook.storage.ledger import LOST, Commit, Lease, PointsFile, VersionSnapshot
from tallybook.storage.lost import Losses, recovery_hint, uncovered
from tallybook.storage.owned_days import (
    has_equal_rows,
    make_owned_days,
    months_of,
    owned_months,
    same_day_sql,
    staged_columns,
)
from tallybook.storage.points_writer import unwritable, write_parquet
from tallybook.storage.retention import GRACE, STRAY_HOURS, foldable_files, kept_versions

if TYPE_CHECKING:
    import duckdb

    from tallybook.storage.sql_ledger import SqlLedger


ATTEMPTS = 50


class Store:
    """The files and the ledger of a book. The caller supplies the engine connection that builds files."""

    def __init__(self, folder: Path, ledger: SqlLedger, files: Files | None = None) -> None:
        """The files are in `folder`, unless `files` gives another place."""
        self.folder = folder
        self.ledger = ledger
        self.files: Files = files or FolderFiles(folder)
        self.last_closed: Callable[[], date] | None = None
        """Returns the last closed day, if set. Messages then suggest collecting only days up to it."""

    # -- reading ---------------------------------------------------------------------------------

    def snapshot(self, metrics: Iterable[str] | None = None, *, version: int | None = None) -> VersionSnapshot:
        """A version with its files and coverage. Raises Cleaned if files of that version were deleted."""
        found = self.ledger.snapshot(metrics, version=version)
        for file in found.files:
            if file.format not in READABLE:
                raise BookError(
                    f"{file.path} has format {file.format}; this Tallybook reads {' and '.join(map(str, READABLE))}",
                    hint="pip install --upgrade tallybook",
                )
        return found

    def path(self, file: PointsFile) -> Path:
        """The path of an intact file. Raises BadFile with the command that replaces the file."""
        try:
            return self.files.path(file)
        except BadFile as bad:
            hint = "ask for a later day" if file.sha256 == LOST else self.recovery_hint(file)
            raise BadFile(file, bad.reason, hint=hint) from None

    def recovery_hint(self, file: PointsFile) -> str:
        """The remedy for a file that cannot be read."""
        return recovery_hint(self.ledger.snapshot(), file, self.last_closed and self.last_closed())

    def problems(self, files: Sequence[PointsFile]) -> dict[str, BadFile]:
        """{path: error} of the files that cannot be read. Every file is read completely, once in each process."""
        found = {}
        missing = {file.path for file in self.files.missing(files)}
        for file in files:
            try:
                if file.path in missing and file.sha256 != LOST:
                    raise BadFile(file, "is missing", hint=self.recovery_hint(file))
                self.path(file)
            except BadFile as bad:
                found[file.path] = bad
        return found

    def losses(self, current: Sequence[PointsFile]) -> Losses:
        """The unreadable files among these. They are determined on first use."""
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
        """Replace the days that `change` covers by the rows of new_additive, new_ids and new_buckets.

        Files are written and synced first. Then one ledger transaction makes them part of the book. If another
        process committed meanwhile, the files that it changed are built again. Files that `change` gives up are not
        read. Returns the new version. Raises BadFile if another file cannot be read, Busy if the lease was lost,
        BookError if the book cannot be written."""
        change.contents = self.files.contents
        given_up = {file.path for file in change.lost}
        with self._drafts() as drafts:
            for _ in range(ATTEMPTS):
                base = self.ledger.snapshot(metrics=None if given_up else [])
                change.lost = [file for file in base.files if file.path in given_up]
                change.uncovered = [*change.taken_back, *uncovered(base, change.lost, change.covered)]
                change.add, change.remove = [], []
                make_owned_days(engine, change.covered, change.uncovered)
                for unit, current in self._touched(engine, base.files, change.lost):
                    if not drafts.has(unit, current):
                        readable = [file for file in current if file.path not in given_up]
                        drafts.put(unit, current, self._rebuild(engine, unit, readable))
                    replace_files(change, drafts.get(unit, current), current)
                if (version := drafts.commit(base.version, change, lease=lease, run=run, now=now)) is not None:
                    return version
        raise Busy(f"{ATTEMPTS} times somebody else changed the book first", hint="run again when they are done")

    @contextmanager
    def _drafts(self) -> Iterator[Drafts]:
        """Files written for a commit. Those that did not become part of the book are deleted."""
        drafts = Drafts(self.ledger)
        try:
            yield drafts
        finally:
            for file in drafts.unused():
                self.files.delete(file)

    def _touched(
        self, engine: duckdb.DuckDBPyConnection, files: Sequence[PointsFile], lost: Sequence[PointsFile]
    ) -> list[tuple[Unit, tuple[PointsFile, ...]]]:
        """The units to write: per kind, one for each file or month that contains owned days, and one for each lost
        file."""
        owned = owned_months(engine)
        found: dict[Unit, tuple[PointsFile, ...]] = {(f.kind, f.metric, f.first, f.last): (f,) for f in lost}
        for kind in SCHEMAS:
            fresh = {(storage_key(kind, metric), month) for metric, month in months_of(engine, f"new_{kind}")}
            there: dict[str, list[PointsFile]] = {}
            for file in files:
                if file.kind == kind:
                    there.setdefault(file.metric, []).append(file)
            # A file contains whole months, so the month identifies it.
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
        """Write the file of a unit: its old rows that are not owned, and the new rows. None if nothing changes."""
        kind, metric, first, last = unit
        names = ", ".join(column_names(kind))
        within = f"day BETWEEN DATE '{first}' AND DATE '{last}'"
        only = f"AND metric = '{metric}'" if metric else ""
        staged = staged_columns(engine, kind)
        fresh_days = f"SEMI JOIN owned w ON {same_day_sql('n', 'w')} AND w.fresh"
        new = f"SELECT * FROM new_{kind} n {fresh_days} WHERE {within} {only}"
        if not current:
            return self.write(engine, new, unit, [name for name in staged if name != "metric" or not metric])
        fresh = f"SELECT {', '.join(n if n in staged else f'NULL AS {n}' for n in column_names(kind))} FROM ({new})"
        old = f"SELECT {names} FROM {self.scan(current)}"
        replaced = f"SELECT o.* FROM ({old}) o SEMI JOIN owned w ON {same_day_sql('o', 'w')}"
        if has_equal_rows(engine, replaced, fresh):
            return None
        kept = f"SELECT o.* FROM ({old}) o ANTI JOIN owned w ON {same_day_sql('o', 'w')}"
        return self.write(engine, f"{kept} UNION ALL {fresh}", unit)

    def write(
        self, engine: duckdb.DuckDBPyConnection, select: str, unit: Unit, names: Sequence[str] | None = None
    ) -> PointsFile:
        """Write the rows of `select` to a new points file, sorted and synced to disk.

        `names`: the columns that have values. Other columns are empty, or contain the metric of the unit. Raises
        BookError if the file cannot be written, and leaves nothing of it."""
        import duckdb

        kind, metric, first, last = unit
        label = f"{first:%Y}" if first.year == last.year and last.month - first.month > 1 else f"{first:%Y-%m}"
        relative = Path("points", kind, metric, f"{label}-{uuid.uuid4().hex[:12]}.parquet")
        try:
            path = self.files.new(relative)
        except OSError as error:
            raise unwritable(self.folder / relative, error) from error
        try:
            rows = write_parquet(engine, select, kind, metric, names or column_names(kind), path)
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
            raise unwritable(path, error) from error
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return file

    def scan(self, files: Sequence[PointsFile]) -> str:
        """The files as a relation of the engine. Columns that a file's format lacks are null."""
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
        """Remove rows from the files of every version, and commit the result as the next version, together with
        `change`.

        `gone(file)` is the condition of the rows to remove; None for a file without such rows. The old files are
        deleted at once, so a reader of one of them must start again. Returns the number of rows removed from the
        current version."""
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
        """Files of older versions that cannot be rewritten because they are unreadable. They are removed entirely.

        Raises BadFile for an unreadable file of the current version."""
        asked = [file for file in files if gone(file) is not None]
        problems = self.problems(asked)
        for file in asked:
            if file.id in current and file.path in problems:
                raise problems[file.path]
        return [file for file in asked if file.path in problems]

    def _without(
        self, engine: duckdb.DuckDBPyConnection, file: PointsFile, gone: str | None, drafts: Drafts, change: Commit
    ) -> int:
        """Record the file that replaces `file`. Returns the number of rows removed."""
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
        """Merge the months of every closed year into one file per kind and metric. Returns by how many files fewer
        there are."""
        with self._drafts() as drafts:
            for _ in range(ATTEMPTS):
                base = self.ledger.snapshot(metrics=[])
                change = Commit(what="compact", contents=self.files.contents)
                for unit, current in foldable_files(base.files, today):
                    if not drafts.has(unit, current):
                        select = f"SELECT {', '.join(column_names(unit[0]))} FROM {self.scan(current)}"
                        drafts.put(unit, current, self.write(engine, select, unit))
                    replace_files(change, drafts.get(unit, current), current)
                if not change.remove:
                    return 0
                if drafts.commit(base.version, change, lease=None, run=run, now=now) is not None:
                    return len(change.remove) - len(change.add)
        raise Busy(f"{ATTEMPTS} times somebody else changed the book first", hint="tallybook compact")

    def foldable(self, today: date) -> list[tuple[date, date]]:
        """The days of the files that `compact` would merge."""
        found = foldable_files(self.ledger.snapshot(metrics=[]).files, today)
        return [(file.first, file.last) for _, files in found for file in files]

    def loose(self, *, now: datetime, keep_days: int, zone: str) -> int:
        """The number of files that `clean` would delete, without strays."""
        kept = kept_versions(self.ledger.versions(), now=now, keep_days=keep_days, zone=zone)
        return len(self.ledger.droppable(kept, gone_before=now - GRACE))

    def clean(self, *, now: datetime, keep_days: int, zone: str) -> int:
        """Delete files that no kept version contains, and strays of runs that died. Returns the number of files."""
        kept = kept_versions(self.ledger.versions(), now=now, keep_days=keep_days, zone=zone)
        gone = self.ledger.droppable(kept, gone_before=now - GRACE)
        # Remove them from the ledger first: after a crash in between they are strays, not entries without a file.
        self.ledger.forget_files([f.id for f in gone])
        leased = self.ledger.leased(now=now)
        for file in gone:
            self.files.delete(file)
        return len(gone) + (0 if leased else self._delete_strays())

    def _delete_strays(self) -> int:
        """Delete files left by runs that died at least STRAY_HOURS ago. A dead `forget` leaves the rows it should have
        deleted."""
        strays = self.strays(older_than_hours=STRAY_HOURS)
        for path in strays:
            with on_disk(path, "deleted"):
                path.unlink(missing_ok=True)
        return len(strays)

    def strays(self, *, older_than_hours: float = 0) -> list[Path]:
        """Points files that no version contains, left by runs that died."""
        return [path for path in self._unnamed(older_than_hours) if not self._is_of_another_ledger(path)]

    def older_than_the_ledger(self) -> list[Path]:
        """Points files that no version contains and that are older than this ledger.

        They may belong to another, lost ledger. A backup of that ledger needs them."""
        return [path for path in self._unnamed(0) if self._is_of_another_ledger(path)]

    def _unnamed(self, older_than_hours: float) -> list[Path]:
        return self.files.strays(self.ledger.known_files, older_than_hours=older_than_hours)

    def _is_of_another_ledger(self, path: Path) -> bool:
        # Compared with the ledger's own instants, not with the age of its file: a restored ledger is as old as its
        # first run.
        began = self.ledger.first_at()
        return began is None or path.lstat().st_mtime < began.timestamp()
