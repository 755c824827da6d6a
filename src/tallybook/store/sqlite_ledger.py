"""The ledger in a SQLite file: WAL, BEGIN IMMEDIATE for every change, one read transaction for every reading."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import sqlite3
import threading
import time
import uuid
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from tallybook.errors import BookError, Busy
from tallybook.store.ledger import (
    Change,
    Cleaned,
    Conflict,
    Covered,
    CoveredDay,
    Definition,
    Delivered,
    File,
    Followed,
    Lease,
    Revision,
    Snapshot,
    Stretch,
)

SCHEMA_NUMBER = 2
SCHEMA = """
CREATE TABLE versions (
    version INTEGER PRIMARY KEY, at TEXT NOT NULL, run INTEGER, what TEXT NOT NULL,
    cleaned INTEGER NOT NULL DEFAULT 0);
CREATE TABLE files (
    id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, metric TEXT NOT NULL,
    first_day TEXT NOT NULL, last_day TEXT NOT NULL, row_count INTEGER NOT NULL, byte_count INTEGER NOT NULL,
    format INTEGER NOT NULL, added INTEGER NOT NULL REFERENCES versions, removed INTEGER REFERENCES versions);
CREATE INDEX files_current ON files (removed, added);
CREATE TABLE coverage (
    metric TEXT NOT NULL, definition TEXT NOT NULL, day TEXT NOT NULL, run INTEGER, instant TEXT,
    added INTEGER NOT NULL REFERENCES versions, removed INTEGER REFERENCES versions,
    PRIMARY KEY (metric, definition, day, added)) WITHOUT ROWID;
CREATE TABLE definitions (
    metric TEXT NOT NULL, definition TEXT NOT NULL, declared TEXT NOT NULL, body TEXT NOT NULL,
    created TEXT NOT NULL, used TEXT NOT NULL,
    PRIMARY KEY (metric, definition));
CREATE TABLE runs (
    run INTEGER PRIMARY KEY AUTOINCREMENT, what TEXT NOT NULL, started TEXT NOT NULL, finished TEXT,
    status TEXT NOT NULL, host TEXT NOT NULL, pid INTEGER NOT NULL, report TEXT NOT NULL DEFAULT '{}');
CREATE TABLE leases (
    job TEXT PRIMARY KEY, holder TEXT, fence INTEGER NOT NULL, heartbeat TEXT NOT NULL, expires TEXT NOT NULL);
CREATE TABLE revisions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, metric TEXT NOT NULL, definition TEXT NOT NULL, day TEXT NOT NULL,
    series TEXT NOT NULL, old TEXT, new TEXT, run INTEGER, at TEXT NOT NULL);
CREATE INDEX revisions_metric ON revisions (metric, day);
CREATE TABLE metric_keys (name TEXT PRIMARY KEY, key TEXT NOT NULL);
CREATE TABLE deliveries (
    delivery TEXT PRIMARY KEY, version INTEGER NOT NULL, delivered TEXT NOT NULL, state TEXT NOT NULL DEFAULT '{}');
INSERT INTO versions VALUES (0, '0001-01-01T00:00:00.000000Z', NULL, 'empty', 0);
"""
MIGRATIONS = {
    2: """
CREATE TABLE followed (
    metric TEXT NOT NULL, definition TEXT NOT NULL, follows TEXT NOT NULL, seen TEXT NOT NULL, waiting TEXT NOT NULL,
    PRIMARY KEY (metric, definition)) WITHOUT ROWID;
""",
}
"""What makes a ledger one of a number, out of one of the number before; 1 is `SCHEMA`."""
_CURRENT = "added <= :version AND (removed IS NULL OR removed > :version)"
_FILE = "id, path, kind, metric, first_day, last_day, row_count, byte_count, format"
_RUN = "run, what, started, finished, status, host, pid, report"
_PROCESS = uuid.uuid4().hex
"""Tells this process from an earlier one with its number: in a container a restart often has the same."""
WAIT_SECONDS = 30.0
"""How long a change of others is waited for."""


class SqliteLedger:
    """See `Ledger` for what each method promises. Usable from several threads and processes."""

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self.path = path
        if not path.exists():
            if not create:
                raise BookError(f"there is no book at {path.parent}", hint="tallybook run")
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise BookError(f"no book can be kept at {path.parent}: {error.strerror}") from None
        self._local = threading.local()
        self._prepare()

    # -- connections -----------------------------------------------------------------------------

    def _connection(self) -> sqlite3.Connection:
        held: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if held is None or self._local.pid != os.getpid():
            held = sqlite3.connect(self.path, timeout=WAIT_SECONDS, isolation_level=None)
            held.execute("PRAGMA synchronous = FULL")
            self._local.connection, self._local.pid = held, os.getpid()
        return held

    def _prepare(self) -> None:
        with self._telling():
            self._make_tables(self._connection())

    def _make_tables(self, connection: sqlite3.Connection) -> None:
        number = connection.execute("PRAGMA user_version").fetchone()[0]
        if number == SCHEMA_NUMBER:
            return
        if number > SCHEMA_NUMBER:
            raise BookError(
                f"the book at {self.path.parent} was written by a newer Tallybook (ledger {number}, known {SCHEMA_NUMBER})",
                hint="pip install --upgrade tallybook",
            )
        _become_wal(connection)
        with self._writing() as db:
            number = db.execute("PRAGMA user_version").fetchone()[0]
            for step, text in {1: SCHEMA, **MIGRATIONS}.items():
                for statement in text.strip().split(";\n") if step > number else ():
                    if statement.strip():
                        db.execute(statement)
            db.execute(f"PRAGMA user_version = {SCHEMA_NUMBER}")

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._telling():
            db = self._connection()
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            finally:
                # After some errors, as a full disk, SQLite has rolled back by itself.
                if db.in_transaction:
                    db.execute("ROLLBACK")

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._telling():
            db = self._connection()
            db.execute("BEGIN")
            try:
                yield db
            finally:
                if db.in_transaction:
                    db.execute("COMMIT")

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """SQLite's errors in our words, with what to do."""
        try:
            yield
        except sqlite3.Error as error:
            raise _told(error, self.path) from error

    def close(self) -> None:
        held: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if held is not None:
            held.close()
            self._local.connection = None

    # -- versions ----------------------------------------------------------------------------------

    def version(self) -> int:
        with self._reading() as db:
            return int(db.execute("SELECT max(version) FROM versions").fetchone()[0])

    def versions(self) -> list[tuple[int, datetime]]:
        with self._reading() as db:
            rows = db.execute("SELECT version, at FROM versions ORDER BY version").fetchall()
        return [(version, datetime.fromisoformat(at)) for version, at in rows]

    def version_at(self, instant: datetime) -> int:
        with self._reading() as db:
            found = db.execute("SELECT max(version) FROM versions WHERE at < ?", [_stamp(instant)]).fetchone()[0]
        return int(found or 0)

    def snapshot(self, metrics: Iterable[str] | None = None, *, version: int | None = None) -> Snapshot:
        wanted = None if metrics is None else sorted(set(metrics))
        with self._reading() as db:
            if version is None:
                version = int(db.execute("SELECT max(version) FROM versions").fetchone()[0])
            # In the transaction of the reading: a version must not be cleaned between the look and the reading.
            elif db.execute("SELECT 1 FROM versions WHERE version = ? AND cleaned", [version]).fetchone():
                raise Cleaned(f"version {version} was cleaned")
            asked = f"SELECT {_FILE} FROM files WHERE {_CURRENT} ORDER BY kind, metric, first_day"
            files = tuple(map(_file, db.execute(asked, {"version": version})))
            coverage = _coverage(db, wanted, version)
            definitions = _definitions(db, wanted)
        return Snapshot(version=version, files=files, coverage=coverage, definitions=definitions)

    def commit(self, base: int, change: Change, *, lease: Lease | None, run: int | None, now: datetime) -> int:
        if change.forgotten:
            # Deleted rows are overwritten with zeros, not only let go of.
            with self._telling():
                self._connection().execute("PRAGMA secure_delete = ON").fetchall()
        with self._writing() as db:
            current = int(db.execute("SELECT max(version) FROM versions").fetchone()[0])
            if current != base:
                raise Conflict(f"the book is at version {current}, not {base}")
            if lease is not None:
                _hold(db, lease)
            stamp = _stamp(now)
            db.execute(
                "INSERT INTO versions (version, at, run, what) VALUES (?, ?, ?, ?)", [base + 1, stamp, run, change.what]
            )
            for gone in change.remove:
                done = db.execute("UPDATE files SET removed = ? WHERE id = ? AND removed IS NULL", [base + 1, gone])
                if done.rowcount != 1:
                    raise Conflict(f"file {gone} is no longer current")
            db.executemany(
                "INSERT INTO files (path, kind, metric, first_day, last_day, row_count, byte_count, format, added) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (f.path, f.kind, f.metric, str(f.first), str(f.last), f.rows, f.bytes, f.format, base + 1)
                    for f in change.add
                ],
            )
            for old, file in change.rewritten.items():
                _rewrite(db, old, file)
            for key in change.forgotten:
                _forget(db, key)
            _record(db, change, base + 1, run, stamp)
        if change.forgotten:
            self._leave_no_trace()
        return base + 1

    def _leave_no_trace(self) -> None:
        """What was overwritten is not to stay in the log. It is committed already: nothing may go wrong here, and
        who is reading keeps the log until somebody else's checkpoint."""
        with contextlib.suppress(sqlite3.Error):
            self._connection().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    # -- leases --------------------------------------------------------------------------------------

    def acquire(self, job: str, *, now: datetime, seconds: float) -> Lease:
        holder = json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "process": _PROCESS})
        with self._writing() as db:
            row = db.execute("SELECT holder, fence, heartbeat, expires FROM leases WHERE job = ?", [job]).fetchone()
            if row and row[0] and row[3] > _stamp(now) and _alive(row[0]):
                who = json.loads(row[0])
                raise Busy(
                    f"another run is at work on this book: process {who['pid']} on {who['host']}, last heard of {row[2]}",
                    hint="wait for it to end, then run again; what it did need not be done twice",
                )
            fence = (row[1] if row else 0) + 1
            db.execute(
                "INSERT INTO leases VALUES (?, ?, ?, ?, ?) ON CONFLICT (job) DO UPDATE SET "
                "holder = excluded.holder, fence = excluded.fence, heartbeat = excluded.heartbeat, expires = excluded.expires",
                [job, holder, fence, _stamp(now), _stamp(now + timedelta(seconds=seconds))],
            )
        return Lease(job, holder, fence)

    def renew(self, lease: Lease, *, now: datetime, seconds: float) -> bool:
        with self._writing() as db:
            done = db.execute(
                "UPDATE leases SET heartbeat = ?, expires = ? WHERE job = ? AND fence = ? AND holder IS NOT NULL",
                [_stamp(now), _stamp(now + timedelta(seconds=seconds)), lease.job, lease.fence],
            )
            return done.rowcount == 1

    def release(self, lease: Lease) -> None:
        with self._writing() as db:
            db.execute("UPDATE leases SET holder = NULL WHERE job = ? AND fence = ?", [lease.job, lease.fence])

    def leased(self, *, now: datetime) -> list[str]:
        with self._reading() as db:
            rows = db.execute("SELECT job, holder, expires FROM leases WHERE holder IS NOT NULL").fetchall()
        return [job for job, holder, expires in rows if expires > _stamp(now) and _alive(holder)]

    # -- runs and revisions ------------------------------------------------------------------------------

    def start_run(self, what: str, *, now: datetime) -> int:
        with self._writing() as db:
            db.execute("UPDATE runs SET status = 'lost' WHERE status = 'running' AND host = ? AND pid = ?", _me())
            for run, host, pid in db.execute("SELECT run, host, pid FROM runs WHERE status = 'running'").fetchall():
                if not _alive(json.dumps({"host": host, "pid": pid})):
                    db.execute("UPDATE runs SET status = 'lost' WHERE run = ?", [run])
            done = db.execute(
                "INSERT INTO runs (what, started, status, host, pid) VALUES (?, ?, 'running', ?, ?)",
                [what, _stamp(now), *_me()],
            )
            return int(done.lastrowid or 0)

    def finish_run(self, run: int, status: str, report: dict[str, Any], *, now: datetime) -> None:
        with self._writing() as db:
            db.execute(
                "UPDATE runs SET status = ?, finished = ?, report = ? WHERE run = ?",
                [status, _stamp(now), json.dumps(report, default=str), run],
            )

    def runs(self, limit: int = 20) -> list[dict[str, Any]]:
        with self._reading() as db:
            return [_run(row) for row in db.execute(f"SELECT {_RUN} FROM runs ORDER BY run DESC LIMIT ?", [limit])]

    def run(self, number: int) -> dict[str, Any] | None:
        with self._reading() as db:
            row = db.execute(f"SELECT {_RUN} FROM runs WHERE run = ?", [number]).fetchone()
        return _run(row) if row else None

    def revisions(self, metric: str | None = None, limit: int = 1000, *, day: date | None = None) -> list[Revision]:
        asked = day and str(day)
        with self._reading() as db:
            rows = db.execute(
                "SELECT metric, definition, day, series, old, new, run, at FROM revisions "
                "WHERE (? IS NULL OR metric = ?) AND (? IS NULL OR day = ?) ORDER BY id DESC LIMIT ?",
                [metric, metric, asked, asked, limit],
            ).fetchall()
        return [
            Revision(
                metric=r[0], definition=r[1], day=date.fromisoformat(r[2]), series=r[3], old=r[4], new=r[5],
                run=r[6] or 0, at=r[7],
            )
            for r in rows
        ]  # fmt: skip

    def covered_days(self, metric: str, first: date, last: date) -> list[CoveredDay]:
        with self._reading() as db:
            rows = db.execute(
                "SELECT definition, day, run, instant, added FROM coverage "
                "WHERE metric = ? AND day BETWEEN ? AND ? AND removed IS NULL ORDER BY day, definition",
                [metric, str(first), str(last)],
            ).fetchall()
        return [
            CoveredDay(definition=r[0], day=date.fromisoformat(r[1]), run=r[2], instant=r[3], version=r[4])
            for r in rows
        ]

    def followed(self) -> dict[tuple[str, str], Followed]:
        with self._reading() as db:
            rows = db.execute("SELECT metric, definition, follows, seen, waiting FROM followed").fetchall()
        return {
            (metric, definition): Followed(
                metric=metric, definition=definition, column=column, seen=datetime.fromisoformat(seen),
                waiting=tuple(date.fromisoformat(day) for day in json.loads(waiting)),
            )
            for metric, definition, column, seen, waiting in rows
        }  # fmt: skip

    # -- names -----------------------------------------------------------------------------------------------

    def metric_keys(self) -> dict[str, str]:
        with self._reading() as db:
            return dict(db.execute("SELECT name, key FROM metric_keys").fetchall())

    def metric_key(self, name: str, renamed_from: str | None) -> str:
        keys = self.metric_keys()
        if name in keys:
            return keys[name]
        if renamed_from:
            return keys.get(renamed_from, renamed_from)
        if name not in keys.values():
            return name
        # A metric that was renamed keeps its points under this name; a new one of that name is another metric.
        return next(key for i in itertools.count(2) if (key := f"{name}-{i}") not in keys.values())

    def bind_key(self, name: str, key: str) -> None:
        with self._writing() as db:
            db.execute("INSERT INTO metric_keys VALUES (?, ?) ON CONFLICT (name) DO NOTHING", [name, key])

    # -- deliveries -------------------------------------------------------------------------------------------

    def delivered(self) -> dict[str, Delivered]:
        with self._reading() as db:
            rows = db.execute("SELECT delivery, version, state, delivered FROM deliveries").fetchall()
        return {
            name: Delivered(version=version, fingerprint=json.loads(state).get("fingerprint", ""), at=at)
            for name, version, state, at in rows
        }

    def record_delivery(self, name: str, done: Delivered, *, now: datetime) -> None:
        state = json.dumps({"fingerprint": done.fingerprint})
        with self._writing() as db:
            db.execute(
                "INSERT INTO deliveries VALUES (?, ?, ?, ?) ON CONFLICT (delivery) DO UPDATE SET "
                "version = excluded.version, delivered = excluded.delivered, state = excluded.state",
                [name, done.version, _stamp(now), state],
            )

    # -- cleaning ---------------------------------------------------------------------------------------------

    def droppable(self, kept: Sequence[int], *, gone_before: datetime) -> list[File]:
        wanted = sorted(kept)
        with self._reading() as db:
            rows = db.execute(
                f"SELECT {', '.join('f.' + name for name in _FILE.split(', '))}, f.added, f.removed "
                "FROM files f JOIN versions v ON v.version = f.removed WHERE v.at < ? ORDER BY f.id",
                [_stamp(gone_before)],
            ).fetchall()
        return [_file(row) for row in rows if bisect_left(wanted, row[9]) == bisect_left(wanted, row[10])]

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

    def known_files(self) -> list[File]:
        with self._reading() as db:
            return [_file(row) for row in db.execute(f"SELECT {_FILE} FROM files ORDER BY id")]

    def problems(self) -> list[str]:
        with self._reading() as db:
            found = [row[0] for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
            numbers = [row[0] for row in db.execute("SELECT version FROM versions ORDER BY version")]
            if numbers != list(range(len(numbers))):
                found.append(f"versions are not 0 … {len(numbers) - 1} without a gap")
            overlaps = db.execute(
                "SELECT a.path, b.path FROM files a JOIN files b ON a.id < b.id AND a.kind = b.kind "
                "AND a.metric = b.metric AND a.first_day <= b.last_day AND b.first_day <= a.last_day "
                "WHERE a.removed IS NULL AND b.removed IS NULL"
            ).fetchall()
            found += [f"{a} and {b} hold the same days" for a, b in overlaps]
            orphans = db.execute(
                "SELECT DISTINCT metric, definition FROM coverage EXCEPT SELECT metric, definition FROM definitions"
            ).fetchall()
            found += [f"days of {m!r} are covered under definition {d}, which is not recorded" for m, d in orphans]
        return found


# -- pieces of a transaction -----------------------------------------------------------------------------------


def _become_wal(connection: sqlite3.Connection) -> None:
    """Switch a new ledger to WAL. SQLite does not wait for others here, so we do."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def _told(error: sqlite3.Error, path: Path) -> BookError | Busy:
    said, where = str(error), f"the ledger of the book, {path}"
    if "locked" in said or "busy" in said:
        return Busy(f"{where}, was held by another process for {WAIT_SECONDS:g} s", hint="run again when it is done")
    if "full" in said or "disk I/O" in said:
        return BookError(
            f"{where}, cannot be written: {said}", hint="make room on the disk, then run again: nothing is half done"
        )
    if "readonly" in said or "unable to open" in said:
        return BookError(
            f"{where}, cannot be written: {said}", hint="it belongs to another user, or the disk is read-only"
        )
    if "malformed" in said or "not a database" in said:
        return BookError(
            f"{where}, is damaged: {said}", hint="restore it from a backup, with the folder points beside it"
        )
    return BookError(f"{where}: {said}")


def _run(row: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(_RUN.split(", "), row, strict=True)) | {"report": json.loads(row[-1])}


def _file(row: Sequence[Any]) -> File:
    return File(
        id=row[0], path=row[1], kind=row[2], metric=row[3], first=date.fromisoformat(row[4]),
        last=date.fromisoformat(row[5]), rows=row[6], bytes=row[7], format=row[8],
    )  # fmt: skip


def _coverage(
    db: sqlite3.Connection, wanted: list[str] | None, version: int
) -> dict[tuple[str, str], tuple[Stretch, ...]]:
    """Neighbouring days folded into stretches by the ledger itself: ten numbers instead of seven hundred rows."""
    at = f"added <= {version:d} AND (removed IS NULL OR removed > {version:d})"
    asked = "" if wanted is None else f" AND metric IN ({', '.join('?' * len(wanted))})"
    whole: dict[tuple[str, str], tuple[Stretch, ...]] = {}
    broken: list[str] = []
    for metric, definition, days, instants, first, last in db.execute(
        "SELECT metric, definition, count(*), count(instant), min(day), max(day) FROM coverage "
        f"WHERE {at}{asked} GROUP BY metric, definition",
        wanted or [],
    ):
        stretch = Stretch(date.fromisoformat(first), date.fromisoformat(last))
        if instants == 0 and days == (stretch.last - stretch.first).days + 1:
            whole[(metric, definition)] = (stretch,)
        else:
            broken.append(metric)
    return whole | _broken_coverage(db, list(dict.fromkeys(broken)), at)


def _broken_coverage(db: sqlite3.Connection, metrics: list[str], at: str) -> dict[tuple[str, str], tuple[Stretch, ...]]:
    """Of metrics with gaps, or with instants, which takes the ledger ten times as long."""
    found: dict[tuple[str, str], list[Stretch]] = {}
    for metric, definition, instant, first, last in db.execute(
        "SELECT metric, definition, instant, min(day), max(day) FROM ("
        "  SELECT metric, definition, instant, day, julianday(day) - row_number() OVER "
        "    (PARTITION BY metric, definition, instant ORDER BY day) AS island "
        f"  FROM coverage WHERE {at} AND metric IN ({', '.join('?' * len(metrics))})) "
        "GROUP BY metric, definition, instant, island ORDER BY 1, 2, 4",
        metrics,
    ):
        stretch = Stretch(date.fromisoformat(first), date.fromisoformat(last), instant)
        found.setdefault((metric, definition), []).append(stretch)
    return {key: tuple(stretches) for key, stretches in found.items()}


def _definitions(db: sqlite3.Connection, wanted: list[str] | None) -> dict[str, tuple[Definition, ...]]:
    asked = "" if wanted is None else f"WHERE metric IN ({', '.join('?' * len(wanted))})"
    rows = db.execute(
        f"SELECT metric, definition, declared, body, created FROM definitions {asked} ORDER BY metric, used DESC, created DESC",
        wanted or [],
    )
    found: dict[str, list[Definition]] = {}
    for metric, definition, declared, body, created in rows:
        one = Definition(metric=metric, id=definition, declared=declared, body=body, created=created)
        found.setdefault(metric, []).append(one)
    return {metric: tuple(several) for metric, several in found.items()}


def _record(db: sqlite3.Connection, change: Change, version: int, run: int | None, stamp: str) -> None:
    db.executemany(
        "INSERT INTO definitions VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (metric, definition) DO UPDATE SET used = excluded.used, declared = excluded.declared",
        [(d.metric, d.id, d.declared, d.body, stamp, stamp) for d in change.definitions],
    )
    for covered in change.covered:
        _cover(db, covered, version, run)
    db.executemany(
        "INSERT OR REPLACE INTO followed VALUES (?, ?, ?, ?, ?)",
        [
            (f.metric, f.definition, f.column, _stamp(f.seen), json.dumps(f.waiting, default=str))
            for f in change.followed
        ],
    )
    db.executemany(
        "INSERT INTO revisions (metric, definition, day, series, old, new, run, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [(r.metric, r.definition, str(r.day), r.series, r.old, r.new, run, stamp) for r in change.revisions],
    )


def _rewrite(db: sqlite3.Connection, old: int, file: File | None) -> None:
    """Another file in the place of one, in every version that has it."""
    if file is None:
        done = db.execute("DELETE FROM files WHERE id = ?", [old])
    else:
        done = db.execute(
            "UPDATE files SET path = ?, row_count = ?, byte_count = ?, format = ? WHERE id = ?",
            [file.path, file.rows, file.bytes, file.format, old],
        )
    if done.rowcount != 1:
        raise Conflict(f"file {old} was cleaned meanwhile")


def _forget(db: sqlite3.Connection, key: str) -> None:
    for table in ("coverage", "definitions", "revisions", "followed"):
        db.execute(f"DELETE FROM {table} WHERE metric = ?", [key])
    db.execute("DELETE FROM metric_keys WHERE key = ?", [key])


def _cover(db: sqlite3.Connection, covered: Covered, version: int, run: int | None) -> None:
    """Days that are covered already keep the version that covered them; a snapshot seen anew replaces the old,
    which older versions still show."""
    if not covered.days:
        return
    own = (covered.metric, covered.definition)
    found = db.execute(
        "SELECT day, instant FROM coverage WHERE metric = ? AND definition = ? AND removed IS NULL AND day BETWEEN ? AND ?",
        [*own, str(min(covered.days)), str(max(covered.days))],
    ).fetchall()
    there, days = dict(found), [str(day) for day in dict.fromkeys(covered.days)]
    again = [day for day in days if day in there and there[day] == covered.instant]
    fresh = [day for day in days if day not in there or there[day] != covered.instant]
    this = "metric = ? AND definition = ? AND day = ? AND removed IS NULL"
    db.executemany(f"UPDATE coverage SET run = ? WHERE {this}", [(run, *own, day) for day in again])
    db.executemany(
        f"UPDATE coverage SET removed = ? WHERE {this}", [(version, *own, day) for day in fresh if day in there]
    )
    db.executemany(
        "INSERT INTO coverage (metric, definition, day, run, instant, added) VALUES (?, ?, ?, ?, ?, ?)",
        [(*own, day, run, covered.instant, version) for day in fresh],
    )


def _hold(db: sqlite3.Connection, lease: Lease) -> None:
    row = db.execute("SELECT fence, holder FROM leases WHERE job = ?", [lease.job]).fetchone()
    if not row or row[0] != lease.fence or row[1] is None:
        raise Busy("this run was taken over by another: it had not been heard of for too long", hint="tallybook run")


def _alive(holder: str) -> bool:
    """False only when it is known to be dead: a process of this host that is gone."""
    who = json.loads(holder)
    if who["host"] != socket.gethostname():
        return True
    if who["pid"] == os.getpid() and who.get("process", _PROCESS) != _PROCESS:
        return False
    try:
        os.kill(who["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _me() -> list[Any]:
    return [socket.gethostname(), os.getpid()]


def _stamp(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
