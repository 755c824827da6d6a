"""Maintains the files of attribute changes: moving rows out of the ledger, deleting old ones, and forgetting entities.

A month is written to a file when it is over, or when the ledger has too many changes. In the same transaction its
rows leave the ledger. If `history` limits the changes, older ones become one state per entity at the start of a
month, where the history then begins."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tallybook.core import calendar
from tallybook.storage.ahead import MAX_CLOCK_SKEW
from tallybook.storage.engines.duckdb import connect, literal
from tallybook.storage.entity_changes import (
    CHANGE_ORDER,
    CHANGE_TYPES,
    FILE_COLUMNS,
    FOLDER,
    ChangeRow,
    ChangesFile,
    EntityHistory,
    files_of,
    history_row,
)
from tallybook.storage.entity_clocks import BelievedStamps, correct_rows
from tallybook.storage.entity_history import entities_at, state_row
from tallybook.storage.entity_records import STATE
from tallybook.storage.files import Files, FolderFiles, engine_path, hash_of, on_disk
from tallybook.storage.ledger import Conflict, PointsFile
from tallybook.storage.loaded_rows import load_rows
from tallybook.storage.retention import GRACE, STRAY_HOURS
from tallybook.storage.sql_ledger import SqlLedger
from tallybook.storage.stored_rows import stamp_of
from tallybook.storage.transaction import Transaction

if TYPE_CHECKING:
    import duckdb

MAX_FRESH = 100_000
"""Number of changes in the ledger above which the changes of the open month are written to a file too."""
ATTEMPTS = 5
STRAY_AGE = timedelta(hours=STRAY_HOURS)


class EntityMonths:
    """Writes and deletes the files of changes."""

    def __init__(self, ledger: SqlLedger, files: Files) -> None:
        self.ledger, self.files = ledger, files
        self.history = EntityHistory(ledger, files)

    def keep_house(self, kind: str, *, days: int | None, zone: str, now: datetime) -> int:
        """Write closed months to files, delete changes older than `days`, and delete unused files. Safe to call again.

        Returns the number of files written or deleted."""
        done = 0
        with suppress(Conflict):
            done += self._write_months(kind, now)
            if days is not None:
                first = calendar.day_of(now - timedelta(days=days), zone).replace(day=1)
                done += self._begin_at(kind, stamp_of(calendar.start_of(first, zone)), now)
        return done + self._clean(now)

    def correct_ahead(self, kind: str, *, now: datetime) -> int:
        """Let changes that were kept by a clock that was ahead count from now on. How many. Safe to call again."""
        latest = stamp_of(now + MAX_CLOCK_SKEW)
        with self.ledger._reading() as db:
            files = [file for file in files_of(db, kind) if file.last > latest]
            asked = "SELECT DISTINCT received FROM attribute_changes WHERE kind = ? AND received > ?"
            fresh = [at for (at,) in db.execute(asked, [kind, latest]).fetchall()]
        if not files and not fresh:
            return 0
        with connect() as engine, self._drafts() as drafts:
            for file in files:
                kept = f"SELECT DISTINCT received FROM {self.history.relation([file])}"
                fresh += [at for (at,) in engine.execute(kept).fetchall()]
            stamps = BelievedStamps.of(fresh, now)
            with self.ledger._writing() as db:
                done = correct_rows(db, kind, stamps)
            made = []
            for file in files:
                rows = engine.execute(
                    f"SELECT {', '.join(CHANGE_TYPES)} FROM {self.history.relation([file])}"
                ).fetchall()
                corrected = [stamps.row(row) for row in rows]
                done += sum(old != new for old, new in zip(rows, corrected, strict=True))
                named = (dict(zip(CHANGE_TYPES, row, strict=True)) for row in corrected)
                load_rows(engine, "corrected", CHANGE_TYPES, named)
                label = STATE if file.label == STATE else stamps.stamp[:7]
                made.append(self._write(engine, "SELECT * FROM corrected", kind, label, drafts))
            if made:
                self._commit(kind, made, files, [], drafts, now)
        return done

    def forget(self, kind: str, entity_id: str, *, now: datetime) -> int:
        """Rewrite every file without an entity, and delete the old files at once. Returns the number of deleted
        changes."""
        for _ in range(ATTEMPTS):
            with suppress(Conflict):
                return self._without(kind, entity_id, now)
        raise Conflict(f"changes of {kind} were written again and again")

    def strays(self, *, before: datetime) -> list[Path]:
        """Files older than an instant that the ledger does not list: processes that died left them."""
        if not isinstance(self.files, FolderFiles):
            return []
        folder = self.files.folder
        with self.ledger._reading() as db:
            first = db.execute("SELECT at FROM entity_commits ORDER BY number LIMIT 1").fetchone()
        # Older files may belong to another ledger that was lost.
        since = datetime.fromisoformat(first[0]) if first else before
        every = sorted((folder / FOLDER).rglob("*.parquet"))
        found = [one for one in every if since.timestamp() <= _written(one) < before.timestamp()]
        with self.ledger._reading() as db:
            named = {path for (path,) in db.execute("SELECT path FROM attribute_files").fetchall()}
        return [path for path in found if path.relative_to(folder).as_posix() not in named]

    def _write_months(self, kind: str, now: datetime) -> int:
        moment = self.history.moment(kind)
        by_month: dict[str, list[ChangeRow]] = {}
        for row in moment.fresh:
            by_month.setdefault(row[2][:7], []).append(row)
        labels: dict[str, list[ChangesFile]] = {}
        for file in moment.files:
            labels.setdefault(file.label, []).append(file)
        this, written = stamp_of(now)[:7], 0
        for month in sorted({*by_month, *labels} - {STATE}):
            fresh, there = by_month.get(month, []), labels.get(month, [])
            is_closed = month < this
            if (is_closed and (fresh or len(there) > 1)) or len(fresh) > MAX_FRESH:
                merged = there if is_closed else []
                with connect() as engine, self._drafts() as drafts:
                    load_rows(
                        engine, "fresh", CHANGE_TYPES, (dict(zip(CHANGE_TYPES, row, strict=True)) for row in fresh)
                    )
                    rows = "SELECT * FROM fresh" + (
                        f" UNION ALL SELECT * FROM {self.history.relation(merged)}" if merged else ""
                    )
                    file = self._write(engine, rows, kind, month, drafts)
                    self._commit(kind, [file], merged, fresh, drafts, now)
                written += 1
        return written

    def _begin_at(self, kind: str, floor: str, now: datetime) -> int:
        """Replace the changes before a stamp by the states that result from them."""
        moment = self.history.moment(kind)
        before = [row for row in moment.fresh if row[1] < floor]
        old = [file for file in moment.files if file.first < floor]
        if not before and not any(file.rows for file in old):
            return 0
        with connect() as engine, self._drafts() as drafts, ExitStack() as stack:
            load_rows(engine, "states", CHANGE_TYPES, self._states(self.history.merged(stack, moment), floor))
            made = [self._write(engine, "SELECT * FROM states", kind, STATE, drafts, (floor, floor))]
            for file in old:
                left = f"SELECT * FROM {self.history.relation([file])} WHERE time >= {literal(floor)}"
                if file.label != STATE and file.last >= floor:
                    made.append(self._write(engine, left, kind, file.label, drafts))
            self._commit(kind, made, old, before, drafts, now)
        return len(made)

    @staticmethod
    def _states(rows: Iterator[ChangeRow], floor: str) -> Iterator[dict[str, Any]]:
        for _, several in groupby(rows, key=lambda row: row[0]):
            found = [history_row(row) for row in several if row[1] < floor]
            for entity in entities_at(found, floor).values():
                first = min(row.received for row in found)
                row = state_row(entity, time=floor, received=first)
                changes = msgspec.json.encode(row.changes).decode()
                yield dict(zip(CHANGE_TYPES, (row.id, floor, first, 0, 0, row.origin, None, changes), strict=True))

    def _without(self, kind: str, entity_id: str, now: datetime) -> int:
        with self.ledger._reading() as db:
            current = files_of(db, kind)
            asked = "SELECT path FROM attribute_files WHERE kind = ? AND removed IS NOT NULL"
            left = [path for (path,) in db.execute(asked, [kind]).fetchall()]
        gone = 0
        made: list[ChangesFile] = []
        old: list[ChangesFile] = []
        with connect() as engine, self._drafts() as drafts:
            for file in current:
                relation, same = self.history.relation([file]), f"id = {literal(entity_id)}"
                count = engine.execute(f"SELECT count(*) FROM {relation} WHERE {same}").fetchall()[0][0]
                if count:
                    gone, old = gone + count, [*old, file]
                    rows = f"SELECT * FROM {relation} WHERE NOT ({same})"
                    ends = (file.first, file.last)
                    made += [self._write(engine, rows, kind, file.label, drafts, ends)]
            if made:
                self._commit(kind, made, old, [], drafts, now)
        self._delete([*left, *(file.path for file in old)])
        return gone

    def _write(
        self,
        engine: duckdb.DuckDBPyConnection,
        rows: str,
        kind: str,
        label: str,
        drafts: list[PointsFile],
        ends: tuple[str, str] | None = None,
    ) -> ChangesFile:
        """Write the rows of a statement to a new file. The file is deleted again unless it is committed."""
        path = Path(FOLDER) / kind / f"{label}-{uuid.uuid4().hex[:12]}.parquet"
        with on_disk(path):
            written = self.files.new(path)
            options = "FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false"
            ordered = f"SELECT {', '.join(CHANGE_TYPES)} FROM ({rows}) ORDER BY {CHANGE_ORDER}"
            copied = engine.execute(f"COPY ({ordered}) TO {engine_path(written)} ({options})")
            count = int(copied.fetchall()[0][0])
            if ends is None:
                ends = engine.execute(
                    f"SELECT min(time), max(time) FROM read_parquet({engine_path(written)})"
                ).fetchall()[0]
            assert ends is not None
            file = ChangesFile(
                path=path.as_posix(),
                first=ends[0],
                last=ends[1],
                rows=count,
                bytes=written.stat().st_size,
                sha256=hash_of(written),
            )
            drafts.append(file.stored)
            self.files.keep(file.stored, written)
        return file

    def _commit(
        self,
        kind: str,
        made: Sequence[ChangesFile],
        old: Sequence[ChangesFile],
        fresh: Sequence[ChangeRow],
        drafts: list[PointsFile],
        now: datetime,
    ) -> None:
        """Add new files to the ledger and remove old files and rows from it, in one transaction.

        Raises Conflict if another process removed one of them first: it forgot an entity, or wrote the same month."""
        contents: Callable[[PointsFile], Iterable[bytes]] | None = self.files.contents
        pieces = [(one.path, contents(one.stored)) for one in made] if contents is not None else []
        with self.ledger._keeping(pieces) as db:
            number = int(db.execute("SELECT coalesce(max(number), 0) FROM entity_commits").fetchone()[0]) + 1
            db.execute("INSERT INTO entity_commits (number, at) VALUES (?, ?)", [number, stamp_of(now)])
            for file in old:
                asked = "UPDATE attribute_files SET removed = ? WHERE path = ? AND removed IS NULL"
                _expect(db.execute(asked, [number, file.path]).rowcount, 1)
            _delete_rows(db, kind, fresh)
            db.executemany(
                "INSERT INTO attribute_files (kind, path, first, last, rows, bytes, sha256, added) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [(kind, f.path, f.first, f.last, f.rows, f.bytes, f.sha256, number) for f in made],
            )
        drafts.clear()

    @contextmanager
    def _drafts(self) -> Iterator[list[PointsFile]]:
        """A list for written files. Files that are still in it at the end were not committed, and are deleted."""
        drafts: list[PointsFile] = []
        try:
            yield drafts
        finally:
            for file in drafts:
                self.files.delete(file)

    def _clean(self, now: datetime) -> int:
        """Delete stray files, and files that were replaced long enough ago."""
        joined = "attribute_files f JOIN entity_commits c ON c.number = f.removed WHERE c.at < ?"
        with self.ledger._reading() as db:
            gone = [p for (p,) in db.execute(f"SELECT f.path FROM {joined}", [stamp_of(now - GRACE)]).fetchall()]
        self._delete(gone)
        strays = self.strays(before=now - STRAY_AGE)
        for path in strays:
            with on_disk(path, "deleted"):
                path.unlink(missing_ok=True)
        return len(gone) + len(strays)

    def _delete(self, paths: Sequence[str]) -> None:
        """Remove files from the ledger, then delete them. After a crash in between they are strays."""
        if not paths:
            return
        names = "path, first, last, rows, bytes, sha256"
        with self.ledger._writing() as db:
            found = [
                ChangesFile(**dict(zip(FILE_COLUMNS, row, strict=True)))
                for path in paths
                for row in db.execute(f"SELECT {names} FROM attribute_files WHERE path = ?", [path]).fetchall()
            ]
            db.executemany("DELETE FROM attribute_files WHERE path = ? AND removed IS NOT NULL", [(p,) for p in paths])
            self.ledger._forget_contents(db, list(paths))
        for file in found:
            self.files.delete(file.stored)


def _delete_rows(db: Transaction, kind: str, rows: Sequence[ChangeRow]) -> None:
    """Delete changes from the ledger. Raises Conflict if one of them is already gone."""
    counted = "SELECT count(*) FROM attribute_changes WHERE kind = ?"
    before = int(db.execute(counted, [kind]).fetchone()[0])
    asked = "DELETE FROM attribute_changes WHERE kind = ? AND id = ? AND number = ? AND place = ?"
    db.executemany(asked, [(kind, row[0], row[3], row[4]) for row in rows])
    _expect(before - int(db.execute(counted, [kind]).fetchone()[0]), len(rows))


def _expect(seen: int, expected: int) -> None:
    if seen != expected:
        raise Conflict("changes of attributes were written or deleted meanwhile")


def _written(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        return float("inf")
