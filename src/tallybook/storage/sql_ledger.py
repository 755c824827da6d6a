"""The part of a ledger that all SQL databases share. Each database adds its transactions and a few differences in SQL.

Days and instants are texts here, such as 2026-03-01 and 2026-03-01T06:00:00.000000Z, which sort in time order."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from tallybook.core import IMPORTED
from tallybook.storage.coverage import cover, stretches_of, uncover
from tallybook.storage.ledger import LOST, Cleaned, Commit, Conflict, Definition, Lease, PointsFile, VersionSnapshot
from tallybook.storage.sql_copies import SqlCopies
from tallybook.storage.sql_leases import SqlLeases, check_lease
from tallybook.storage.sql_records import SqlRecords
from tallybook.storage.sql_runs import SqlRuns
from tallybook.storage.stored_rows import FILE_COLUMNS, file_of_row, metric_condition, row_of_file, stamp_of
from tallybook.storage.transaction import Transaction

IMPORT = "import"
"""Beginning of a version's `what` if the version contains imported values. The metric's key and definition follow."""


class SqlLedger(SqlLeases, SqlRuns, SqlRecords, SqlCopies):
    """A ledger in SQL; `Ledger` documents each method. Usable from several threads and processes."""

    # -- versions ----------------------------------------------------------------------------------

    def version(self) -> int:
        with self._reading() as db:
            return int(db.execute("SELECT max(version) FROM versions").fetchone()[0])

    def versions(self) -> list[tuple[int, datetime]]:
        with self._reading() as db:
            rows = db.execute("SELECT version, at FROM versions ORDER BY version").fetchall()
        found: list[tuple[int, datetime]] = []
        for version, at in reversed(rows):
            made = datetime.fromisoformat(at)
            # A version was made before the ones after it, even if a clock that was ahead recorded a later time.
            found.append((version, min(made, found[-1][1]) if found else made))
        return found[::-1]

    def version_at(self, instant: datetime) -> int:
        with self._reading() as db:
            found = db.execute("SELECT max(version) FROM versions WHERE at < ?", [stamp_of(instant)]).fetchone()[0]
        return int(found or 0)

    def snapshot(self, metrics: Iterable[str] | None = None, *, version: int | None = None) -> VersionSnapshot:
        wanted = None if metrics is None else sorted(set(metrics))
        former = version
        with self._reading() as db:
            if version is None:
                version = int(db.execute("SELECT max(version) FROM versions").fetchone()[0])
            # Inside the read transaction, so that the version cannot be cleaned between the check and the read.
            elif db.execute("SELECT 1 FROM versions WHERE version = ? AND cleaned = 1", [version]).fetchone():
                raise Cleaned(f"version {version} was cleaned")
            at = f"added <= {version:d} AND (removed IS NULL OR removed > {version:d})"
            asked = f"SELECT {FILE_COLUMNS} FROM files WHERE {at} ORDER BY kind, metric, first_day"
            files = tuple(map(file_of_row, db.execute(asked)))
            coverage = stretches_of(db, at, metric_condition, wanted, self.island)
            definitions = _definitions(db, wanted)
            if former is not None:
                definitions = _imported_until(db, definitions, former)
        return VersionSnapshot(version=version, files=files, coverage=coverage, definitions=definitions)

    def commit(self, base: int, change: Commit, *, lease: Lease | None, run: int | None, now: datetime) -> int:
        with self._committing(change) as db:
            current = int(db.execute("SELECT max(version) FROM versions").fetchone()[0])
            if current != base:
                raise Conflict(f"the book is at version {current}, not {base}")
            if lease is not None:
                check_lease(db, lease)
            stamp = stamp_of(now)
            db.execute(
                "INSERT INTO versions (version, at, run, what) VALUES (?, ?, ?, ?)", [base + 1, stamp, run, change.what]
            )
            for gone in change.remove:
                done = db.execute("UPDATE files SET removed = ? WHERE id = ? AND removed IS NULL", [base + 1, gone])
                if done.rowcount != 1:
                    raise Conflict(f"file {gone} is no longer current")
            db.executemany(
                "INSERT INTO files (path, kind, metric, first_day, last_day, row_count, byte_count, format, "
                "sha256, added) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(*row_of_file(file), base + 1) for file in change.add],
            )
            for old, file in change.rewritten.items():
                self._rewrite(db, old, file)
            for file in change.lost:
                self._give_up(db, file)
            for key in change.forgotten:
                _forget(db, key)
            _record(db, change, base + 1, run, stamp)
        return base + 1

    def _rewrite(self, db: Transaction, old: int, file: PointsFile | None) -> None:
        """Replace a file by another one in every version that contains it."""
        if file is None:
            done = db.execute("DELETE FROM files WHERE id = ?", [old])
        else:
            done = db.execute(
                "UPDATE files SET path = ?, row_count = ?, byte_count = ?, format = ?, sha256 = ? WHERE id = ?",
                [file.path, file.rows, file.bytes, file.format, file.sha256 or None, old],
            )
        if done.rowcount != 1:
            raise Conflict(f"file {old} was cleaned meanwhile")

    def _give_up(self, db: Transaction, file: PointsFile) -> None:
        """Mark the bytes of a file as lost. Older versions keep the entry, so that they can report the loss."""
        db.execute("UPDATE files SET sha256 = ? WHERE id = ?", [LOST, file.id])

    # -- cleaning ---------------------------------------------------------------------------------------------

    def droppable(self, kept: Sequence[int], *, gone_before: datetime) -> list[PointsFile]:
        wanted = sorted(kept)
        with self._reading() as db:
            rows = db.execute(
                f"SELECT {', '.join('f.' + name for name in FILE_COLUMNS.split(', '))}, f.added, f.removed "
                # A version was made before the ones after it, even if a clock that was ahead recorded a later time.
                "FROM files f WHERE (SELECT min(v.at) FROM versions v WHERE v.version >= f.removed) < ? ORDER BY f.id",
                [stamp_of(gone_before)],
            ).fetchall()
        return [file_of_row(row) for row in rows if bisect_left(wanted, row[-2]) == bisect_left(wanted, row[-1])]

    def forget_files(self, ids: Sequence[int]) -> None:
        with self._writing() as db:
            for gone in ids:
                row = db.execute(
                    "SELECT added, removed FROM files WHERE id = ? AND removed IS NOT NULL", [gone]
                ).fetchone()
                if row is None:
                    continue
                db.execute("UPDATE versions SET cleaned = 1 WHERE version >= ? AND version < ?", row)
                db.execute("DELETE FROM files WHERE id = ?", [gone])

    def known_files(self) -> list[PointsFile]:
        with self._reading() as db:
            return [file_of_row(row) for row in db.execute(f"SELECT {FILE_COLUMNS} FROM files ORDER BY id")]


def _definitions(db: Transaction, wanted: list[str] | None) -> dict[str, tuple[Definition, ...]]:
    rows = db.execute(
        f"SELECT metric, definition, declared, body, created FROM definitions{metric_condition('WHERE', wanted)} "
        "ORDER BY metric, used DESC, created DESC",
        wanted or [],
    )
    found: dict[str, list[Definition]] = {}
    for metric, definition, declared, body, created in rows:
        one = Definition(metric=metric, id=definition, declared=declared, body=body, created=created)
        found.setdefault(metric, []).append(one)
    return {metric: tuple(several) for metric, several in found.items()}


def _imported_until(
    db: Transaction, definitions: dict[str, tuple[Definition, ...]], version: int
) -> dict[str, tuple[Definition, ...]]:
    """The definitions, with imported ones ordered by their last import up to a version."""
    if sum(one.declared == IMPORTED for several in definitions.values() for one in several) < 2:
        return definitions
    # Versions from before `what` named imports: the newest version that added days to the definition counts.
    rows = db.execute(
        "SELECT metric, definition, max(added) FROM coverage WHERE added <= ? GROUP BY metric, definition", [version]
    ).fetchall()
    last = {(metric, definition): int(added) for metric, definition, added in rows}
    for what, number in db.execute(
        "SELECT what, max(version) FROM versions WHERE version <= ? AND what LIKE ? GROUP BY what",
        [version, f"{IMPORT} %"],
    ).fetchall():
        metric, _, definition = what.removeprefix(f"{IMPORT} ").rpartition(" ")
        last[(metric, definition)] = max(last.get((metric, definition), 0), int(number))
    found = {}
    for metric, several in definitions.items():
        own = [one for one in several if one.declared == IMPORTED]
        ordered = iter(sorted(own, key=lambda one: -last.get((one.metric, one.id), 0)))
        found[metric] = tuple(next(ordered) if one.declared == IMPORTED else one for one in several)
    return found


def _record(db: Transaction, change: Commit, version: int, run: int | None, stamp: str) -> None:
    # The definition used last comes first, even after a clock that was ahead.
    latest = db.execute("SELECT max(used) FROM definitions").fetchone()[0]
    used = max(stamp, stamp_of(datetime.fromisoformat(latest) + timedelta(microseconds=1))) if latest else stamp
    db.executemany(
        "INSERT INTO horizons VALUES (?, ?, ?) ON CONFLICT (run, source) DO NOTHING",
        [(run, source, stamp_of(until)) for source, until in change.horizons.items()],
    )
    db.executemany(
        "INSERT INTO definitions VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (metric, definition) DO UPDATE SET used = excluded.used, declared = excluded.declared",
        [(d.metric, d.id, d.declared, d.body, stamp, used) for d in change.definitions],
    )
    for covered in change.uncovered:
        uncover(db, covered, version)
    for covered in change.covered:
        cover(db, covered, version, run)
    db.executemany(
        "INSERT INTO followed VALUES (?, ?, ?, ?, ?) ON CONFLICT (metric, definition) DO UPDATE SET "
        "follows = excluded.follows, seen = excluded.seen, waiting = excluded.waiting",
        [
            (f.metric, f.definition, f.column, stamp_of(f.seen), json.dumps(f.waiting, default=str))
            for f in change.followed
        ],
    )
    db.executemany(
        "INSERT INTO revisions (metric, definition, day, series, old, new, run, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [(r.metric, r.definition, str(r.day), r.series, r.old, r.new, run, stamp) for r in change.revisions],
    )


def _forget(db: Transaction, key: str) -> None:
    for table in ("coverage", "definitions", "revisions", "followed", "alerts"):
        db.execute(f"DELETE FROM {table} WHERE metric = ?", [key])
    db.execute("DELETE FROM metric_keys WHERE key = ?", [key])
