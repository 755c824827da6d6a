"""The ledger in SQL: what every database that keeps one does alike. Its own file says how it begins and ends a
transaction, and in which few words it differs.

Days and instants are texts here, as 2026-03-01 and 2026-03-01T06:00:00.000000Z: they compare as what they are.
"""

from __future__ import annotations

import abc
import json
import os
import socket
import uuid
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar, Protocol

from tallybook.core import BookError, Busy, days
from tallybook.storage.coverage import cover, covered_days, stretches_of, uncover
from tallybook.storage.ledger import (
    LOST,
    Ahead,
    Cleaned,
    Commit,
    Conflict,
    CoveredDay,
    Definition,
    Delivered,
    Followed,
    Identified,
    Lease,
    PointsFile,
    Revision,
    Tables,
    VersionSnapshot,
)
from tallybook.storage.tables import COLUMNS, NUMBER

MAX_CLOCK_DIFFERENCE = timedelta(hours=1)
"""The clocks of two hosts that share a book differ by less. Who loses a lease by a larger one cannot commit."""
_FILE = "id, path, kind, metric, first_day, last_day, row_count, byte_count, format, sha256"
_RUN = "run, what, started, finished, status, host, pid, report"
_PROCESS = uuid.uuid4().hex
"""Tells this process from an earlier one with its number: in a container a restart often has the same."""


class StatementRows(Protocol):
    """What a statement answers."""

    @property
    def rowcount(self) -> int: ...

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


class Transaction(Protocol):
    """Statements that happen together; `?` stands for a value."""

    def execute(self, sql: str, values: Sequence[Any] = ..., /) -> StatementRows: ...

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> object: ...


class SqlLedger(abc.ABC):
    """See `Ledger` for what each method promises. Usable from several threads and processes."""

    where: str
    """What the place is called in messages."""
    out_of_the_way: str
    """The line that moves the book somewhere else."""
    island: ClassVar[str]
    """`first_day` minus a number of days, `{count}`, in the database's SQL."""

    @abc.abstractmethod
    def _reading(self) -> AbstractContextManager[Transaction]:
        """All statements see the same moment."""

    @abc.abstractmethod
    def _writing(self) -> AbstractContextManager[Transaction]:
        """Nobody else writes meanwhile; all of it is durable at the end, or none."""

    @contextmanager
    def _committing(self, change: Commit) -> Iterator[Transaction]:
        """The transaction of a commit, with what the database has to do before and after it."""
        with self._writing() as db:
            yield db

    def _instant(self, db: Transaction, now: datetime) -> datetime:
        """The instant by which leases are held and expire."""
        return now

    def _is_alive(self, holder: str) -> bool:
        """False only when a holder is known to be dead."""
        return _alive(holder)

    @abc.abstractmethod
    def _columns(self, db: Transaction) -> dict[str, set[str]]:
        """The columns of each table that is there."""

    @abc.abstractmethod
    def _damage(self, db: Transaction) -> list[str]:
        """What is wrong below the tables, in words."""

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of what the calling thread holds."""

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
            # It was made before those after it, also where a clock that was ahead says otherwise.
            found.append((version, min(made, found[-1][1]) if found else made))
        return found[::-1]

    def version_at(self, instant: datetime) -> int:
        with self._reading() as db:
            found = db.execute("SELECT max(version) FROM versions WHERE at < ?", [_stamp(instant)]).fetchone()[0]
        return int(found or 0)

    def snapshot(self, metrics: Iterable[str] | None = None, *, version: int | None = None) -> VersionSnapshot:
        wanted = None if metrics is None else sorted(set(metrics))
        with self._reading() as db:
            if version is None:
                version = int(db.execute("SELECT max(version) FROM versions").fetchone()[0])
            # In the transaction of the reading: a version must not be cleaned between the look and the reading.
            elif db.execute("SELECT 1 FROM versions WHERE version = ? AND cleaned = 1", [version]).fetchone():
                raise Cleaned(f"version {version} was cleaned")
            at = f"added <= {version:d} AND (removed IS NULL OR removed > {version:d})"
            asked = f"SELECT {_FILE} FROM files WHERE {at} ORDER BY kind, metric, first_day"
            files = tuple(map(_file, db.execute(asked)))
            coverage = stretches_of(db, at, _among, wanted, self.island)
            definitions = _definitions(db, wanted)
        return VersionSnapshot(version=version, files=files, coverage=coverage, definitions=definitions)

    def commit(self, base: int, change: Commit, *, lease: Lease | None, run: int | None, now: datetime) -> int:
        with self._committing(change) as db:
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
                "INSERT INTO files (path, kind, metric, first_day, last_day, row_count, byte_count, format, sha256, added) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(*_described(file), base + 1) for file in change.add],
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
        """Another file in the place of one, in every version that has it."""
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
        """Note that the bytes of a file are lost. Older versions keep its name, so that they say so."""
        db.execute("UPDATE files SET sha256 = ? WHERE id = ?", [LOST, file.id])

    # -- leases --------------------------------------------------------------------------------------

    def acquire(self, job: str, *, now: datetime, seconds: float) -> Lease:
        holder = json.dumps(self._holder())
        with self._writing() as db:
            row = db.execute("SELECT holder, fence, heartbeat, expires FROM leases WHERE job = ?", [job]).fetchone()
            at = self._instant(db, now)
            if row and row[0] and _is_held(at, *row[2:]) and self._is_alive(row[0]):
                who = json.loads(row[0])
                raise Busy(
                    f"another run is at work on this book: process {who['pid']} on {who['host']}, last heard of {row[2]}",
                    hint="wait for it to end, then run again; what it did need not be done twice",
                )
            fence = (row[1] if row else 0) + 1
            db.execute(
                "INSERT INTO leases VALUES (?, ?, ?, ?, ?) ON CONFLICT (job) DO UPDATE SET "
                "holder = excluded.holder, fence = excluded.fence, heartbeat = excluded.heartbeat, expires = excluded.expires",
                [job, holder, fence, _stamp(at), _stamp(at + timedelta(seconds=seconds))],
            )
        return Lease(job, holder, fence)

    def _holder(self) -> dict[str, Any]:
        """Who we are, for those who ask whether we are alive."""
        return {"host": socket.gethostname(), "pid": os.getpid(), "process": _PROCESS}

    def renew(self, lease: Lease, *, now: datetime, seconds: float) -> bool:
        with self._writing() as db:
            at = self._instant(db, now)
            done = db.execute(
                "UPDATE leases SET heartbeat = ?, expires = ? WHERE job = ? AND fence = ? AND holder IS NOT NULL",
                [_stamp(at), _stamp(at + timedelta(seconds=seconds)), lease.job, lease.fence],
            )
            return done.rowcount == 1

    def release(self, lease: Lease) -> None:
        with self._writing() as db:
            db.execute("UPDATE leases SET holder = NULL WHERE job = ? AND fence = ?", [lease.job, lease.fence])

    def leased(self, *, now: datetime) -> list[str]:
        with self._reading() as db:
            rows = db.execute("SELECT job, holder, heartbeat, expires FROM leases WHERE holder IS NOT NULL").fetchall()
            at = self._instant(db, now)
        return [job for job, holder, *held in rows if _is_held(at, *held) and self._is_alive(holder)]

    # -- runs and revisions ------------------------------------------------------------------------------

    def start_run(self, what: str, *, now: datetime) -> int:
        with self._writing() as db:
            db.execute("UPDATE runs SET status = 'lost' WHERE status = 'running' AND host = ? AND pid = ?", _me())
            for run, host, pid in db.execute("SELECT run, host, pid FROM runs WHERE status = 'running'").fetchall():
                if not _alive(json.dumps({"host": host, "pid": pid})):
                    db.execute("UPDATE runs SET status = 'lost' WHERE run = ?", [run])
            db.execute(
                "INSERT INTO runs (what, started, status, host, pid) VALUES (?, ?, 'running', ?, ?)",
                [what, _stamp(now), *_me()],
            )
            return int(db.execute("SELECT max(run) FROM runs").fetchone()[0])

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
        asked = {"metric": metric, "day": day and str(day)}
        chosen = {column: value for column, value in asked.items() if value is not None}
        where = " AND ".join(["id > 0", *(f"{column} = ?" for column in chosen)])
        with self._reading() as db:
            rows = db.execute(
                "SELECT metric, definition, day, series, old, new, run, at FROM revisions "
                f"WHERE {where} ORDER BY id DESC LIMIT ?",
                [*chosen.values(), limit],
            ).fetchall()
        return [
            Revision(
                metric=r[0],
                definition=r[1],
                day=date.fromisoformat(r[2]),
                series=r[3],
                old=r[4],
                new=r[5],
                run=r[6] or 0,
                at=r[7],
            )
            for r in rows
        ]

    def revised(self, since: int) -> dict[tuple[str, int], tuple[float, date]]:
        change = "coalesce(CAST(new AS DOUBLE PRECISION), 0) - coalesce(CAST(old AS DOUBLE PRECISION), 0)"
        with self._reading() as db:
            rows = db.execute(
                f"SELECT metric, run, sum(abs({change})), max(day) FROM revisions WHERE run >= ? GROUP BY metric, run",
                [since],
            ).fetchall()
        return {(metric, run): (float(size), date.fromisoformat(day)) for metric, run, size, day in rows}

    def covered_days(self, metric: str, first: date, last: date) -> list[CoveredDay]:
        with self._reading() as db:
            return covered_days(db, metric, first, last)

    def ahead(self, now: datetime) -> list[Ahead]:
        stamp = _stamp(now)
        with self._reading() as db:
            late = dict(db.execute("SELECT run, started FROM runs WHERE started > ?", [stamp]).fetchall())
            marks = ", ".join("?" * len(late)) or "NULL"
            known = db.execute(
                f"SELECT run, source, until FROM horizons WHERE until > ? OR run IN ({marks})", [stamp, *late]
            ).fetchall()
            found = [(run, None, started) for run, started in late.items()]
            return [
                Ahead(run=run, source=source, until=datetime.fromisoformat(until), last_true=_last_true(db, run, stamp))
                for run, source, until in (*found, *known)
            ]

    def days_of_runs(self, runs: Iterable[int]) -> list[tuple[str, str, int, date]]:
        wanted = sorted(set(runs))
        with self._reading() as db:
            rows = db.execute(
                "SELECT metric, definition, run, first_day, last_day FROM coverage WHERE removed IS NULL "
                f"AND run IN ({', '.join('?' * len(wanted)) or 'NULL'}) ORDER BY metric, definition, first_day",
                wanted,
            ).fetchall()
        return [
            (metric, definition, run, day)
            for metric, definition, run, first, last in rows
            for day in days(date.fromisoformat(first), date.fromisoformat(last))
        ]

    def known_further(self, source: str, until: datetime, *, now: datetime) -> dict[int, datetime]:
        with self._reading() as db:
            bounds = [_stamp(until), _stamp(now)]
            rows = db.execute(
                "SELECT run, until FROM horizons WHERE source = ? AND until > ? AND until <= ? UNION ALL "
                # Runs of before this was recorded: no later than they began.
                "SELECT run, started FROM runs r WHERE started > ? AND started <= ? AND what = 'collect' "
                "AND NOT EXISTS (SELECT 1 FROM horizons h WHERE h.run = r.run) "
                "AND EXISTS (SELECT 1 FROM coverage c WHERE c.run = r.run AND c.removed IS NULL)",
                [source, *bounds, *bounds],
            ).fetchall()
        return {run: datetime.fromisoformat(known) for run, known in rows}

    def followed(self) -> dict[tuple[str, str], Followed]:
        with self._reading() as db:
            rows = db.execute("SELECT metric, definition, follows, seen, waiting FROM followed").fetchall()
        return {
            (metric, definition): Followed(
                metric=metric,
                definition=definition,
                column=column,
                seen=datetime.fromisoformat(seen),
                waiting=tuple(date.fromisoformat(day) for day in json.loads(waiting)),
            )
            for metric, definition, column, seen, waiting in rows
        }

    # -- names -----------------------------------------------------------------------------------------------

    def metric_keys(self) -> dict[str, str]:
        with self._reading() as db:
            return dict(db.execute("SELECT name, key FROM metric_keys").fetchall())

    def bind_key(self, name: str, key: str) -> None:
        with self._writing() as db:
            db.execute("INSERT INTO metric_keys VALUES (?, ?) ON CONFLICT (name) DO NOTHING", [name, key])

    def forgotten(self) -> set[str]:
        with self._reading() as db:
            found = db.execute("SELECT DISTINCT what FROM versions WHERE what LIKE 'forget %'").fetchall()
        return {what.removeprefix("forget ") for (what,) in found}

    # -- identities -------------------------------------------------------------------------------------------

    def identities(self) -> dict[str, Identified]:
        with self._reading() as db:
            rows = db.execute("SELECT name, run, value FROM identities ORDER BY name, run").fetchall()
        return {name: Identified(run=run, value=value) for name, run, value in rows}

    def identify(self, name: str, value: str, *, run: int, now: datetime) -> None:
        with self._writing() as db:
            db.execute(
                "INSERT INTO identities VALUES (?, ?, ?, ?) ON CONFLICT (name, run) DO UPDATE SET value = excluded.value",
                [name, run, value, _stamp(now)],
            )

    # -- deliveries -------------------------------------------------------------------------------------------

    def delivered(self) -> dict[str, Delivered]:
        with self._reading() as db:
            rows = db.execute("SELECT delivery, version, state, delivered FROM deliveries").fetchall()
        said = {name: (version, at, json.loads(state)) for name, version, state, at in rows}
        return {
            name: Delivered(
                version=version, fingerprint=state.get("fingerprint", ""), at=at, record=state.get("record", "")
            )
            for name, (version, at, state) in said.items()
        }

    def record_delivery(self, name: str, done: Delivered, *, now: datetime) -> None:
        state = json.dumps({"fingerprint": done.fingerprint} | ({"record": done.record} if done.record else {}))
        with self._writing() as db:
            db.execute(
                "INSERT INTO deliveries VALUES (?, ?, ?, ?) ON CONFLICT (delivery) DO UPDATE SET "
                "version = excluded.version, delivered = excluded.delivered, state = excluded.state",
                [name, done.version, _stamp(now), state],
            )

    # -- alerts -----------------------------------------------------------------------------------------------

    def alerts(self) -> dict[str, str]:
        with self._reading() as db:
            return dict(db.execute("SELECT cause, state FROM alerts ORDER BY cause").fetchall())

    def keep_alerts(self, kept: Mapping[str, tuple[str | None, str]], gone: Iterable[str], *, lease: Lease) -> None:
        with self._writing() as db:
            _hold(db, lease)
            db.executemany("DELETE FROM alerts WHERE cause = ?", [(cause,) for cause in gone])
            db.executemany(
                "INSERT INTO alerts VALUES (?, ?, ?) ON CONFLICT (cause) DO UPDATE SET "
                "metric = excluded.metric, state = excluded.state",
                [(cause, metric, state) for cause, (metric, state) in kept.items()],
            )

    # -- cleaning ---------------------------------------------------------------------------------------------

    def droppable(self, kept: Sequence[int], *, gone_before: datetime) -> list[PointsFile]:
        wanted = sorted(kept)
        with self._reading() as db:
            rows = db.execute(
                f"SELECT {', '.join('f.' + name for name in _FILE.split(', '))}, f.added, f.removed "
                # A version was made before those after it, also where a clock that was ahead says otherwise.
                "FROM files f WHERE (SELECT min(v.at) FROM versions v WHERE v.version >= f.removed) < ? ORDER BY f.id",
                [_stamp(gone_before)],
            ).fetchall()
        return [_file(row) for row in rows if bisect_left(wanted, row[-2]) == bisect_left(wanted, row[-1])]

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
            return [_file(row) for row in db.execute(f"SELECT {_FILE} FROM files ORDER BY id")]

    # -- copies -----------------------------------------------------------------------------------------------

    def export(self) -> Tables:
        with self._reading() as db:
            return {
                table: [tuple(row) for row in db.execute(_all_rows(table, columns))]
                for table, columns in COLUMNS.items()
            }

    def fill(self, rows: Tables, contents: Iterable[tuple[str, Iterable[bytes]]], *, still: Callable[[], bool]) -> None:
        with self._writing() as db:
            version, files, runs = (
                db.execute(f"SELECT {what}").fetchone()[0] or 0
                for what in ("max(version) FROM versions", "count(*) FROM files", "count(*) FROM runs")
            )
            if version or files or runs:
                raise BookError(
                    f"there is a book in {self.where} already, at version {version}", hint=self.out_of_the_way
                )
            for table in reversed(tuple(COLUMNS)):
                db.execute(f"DELETE FROM {table}")
            for table, columns in COLUMNS.items():
                marks = ", ".join("?" * len(columns))
                db.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows[table])
            self._filled(db, contents)
            if not still():
                raise Conflict("the original was written to")

    @abc.abstractmethod
    def _filled(self, db: Transaction, contents: Iterable[tuple[str, Iterable[bytes]]]) -> None:
        """What is to be done after the rows of a copy, in their transaction."""

    def lacking(self) -> list[str]:
        with self._reading() as db:
            there = self._columns(db)
        found = []
        for table, columns in COLUMNS.items():
            lacks = [column for column in columns if column not in there.get(table, ())]
            if lacks:
                what = f"the table {table}" if table not in there else f"{', '.join(lacks)} of the table {table}"
                found.append(
                    f"it has the number {NUMBER} but lacks {what}: another program changed it; bring it back from a "
                    "backup: move the folder away, then: tallybook restore BACKUP"
                )
        return found

    def damage(self) -> list[str]:
        with self._reading() as db:
            return self._damage(db)

    def first_at(self) -> datetime | None:
        with self._reading() as db:
            asked = "SELECT min(at) FROM (SELECT at FROM versions WHERE version > 0 UNION ALL SELECT started FROM runs) AS all_of_them"
            found = db.execute(asked).fetchone()[0]
        return datetime.fromisoformat(found) if found else None

    def problems(self) -> list[str]:
        with self._reading() as db:
            found = self._damage(db)
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


def _run(row: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(_RUN.split(", "), row, strict=True)) | {"report": json.loads(row[-1])}


def _file(row: Sequence[Any]) -> PointsFile:
    return PointsFile(
        id=row[0],
        path=row[1],
        kind=row[2],
        metric=row[3],
        first=date.fromisoformat(row[4]),
        last=date.fromisoformat(row[5]),
        rows=row[6],
        bytes=row[7],
        format=row[8],
        sha256=row[9] or "",
    )


def _described(file: PointsFile) -> tuple[Any, ...]:
    return (
        file.path,
        file.kind,
        file.metric,
        str(file.first),
        str(file.last),
        file.rows,
        file.bytes,
        file.format,
        file.sha256 or None,
    )


def _all_rows(table: str, columns: Sequence[str]) -> str:
    order = ", ".join(str(place) for place in range(1, len(columns) + 1))
    return f"SELECT {', '.join(columns)} FROM {table} ORDER BY {order}"


def _among(word: str, metrics: list[str] | None) -> str:
    """The condition that chooses some metrics; with none of them chosen, none is found."""
    if metrics is None:
        return ""
    return f" {word} metric IN ({', '.join('?' * len(metrics)) or 'NULL'})"


def _definitions(db: Transaction, wanted: list[str] | None) -> dict[str, tuple[Definition, ...]]:
    rows = db.execute(
        f"SELECT metric, definition, declared, body, created FROM definitions{_among('WHERE', wanted)} "
        "ORDER BY metric, used DESC, created DESC",
        wanted or [],
    )
    found: dict[str, list[Definition]] = {}
    for metric, definition, declared, body, created in rows:
        one = Definition(metric=metric, id=definition, declared=declared, body=body, created=created)
        found.setdefault(metric, []).append(one)
    return {metric: tuple(several) for metric, several in found.items()}


def _last_true(db: Transaction, run: int, stamp: str) -> datetime:
    """The latest instant of the runs before one that does not lie after now."""
    found = db.execute(
        "SELECT max(started), max(CASE WHEN finished <= ? THEN finished END) FROM runs WHERE run < ? AND started <= ?",
        [stamp, run, stamp],
    ).fetchone()
    return max((datetime.fromisoformat(at) for at in found if at), default=datetime(1, 1, 1, tzinfo=UTC))


def _record(db: Transaction, change: Commit, version: int, run: int | None, stamp: str) -> None:
    # What was used last comes first, also after a clock that was ahead.
    latest = db.execute("SELECT max(used) FROM definitions").fetchone()[0]
    used = max(stamp, _stamp(datetime.fromisoformat(latest) + timedelta(microseconds=1))) if latest else stamp
    db.executemany(
        "INSERT INTO horizons VALUES (?, ?, ?) ON CONFLICT (run, source) DO NOTHING",
        [(run, source, _stamp(until)) for source, until in change.horizons.items()],
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
            (f.metric, f.definition, f.column, _stamp(f.seen), json.dumps(f.waiting, default=str))
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


def _is_held(at: datetime, heartbeat: str, expires: str) -> bool:
    """Whether a lease lasts. One from far in the future was taken by a clock that was ahead, and would never end."""
    return _stamp(at) < expires and heartbeat <= _stamp(at + MAX_CLOCK_DIFFERENCE)


def _hold(db: Transaction, lease: Lease) -> None:
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
