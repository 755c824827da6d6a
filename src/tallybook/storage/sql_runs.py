"""Runs in the tables of a ledger: their times, their reports, and the days that they collected."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any

from tallybook.core import days
from tallybook.storage.coverage import covered_days
from tallybook.storage.ledger import Ahead, CoveredDay, Followed, Revision
from tallybook.storage.processes import is_process_alive, this_process
from tallybook.storage.stored_rows import stamp_of
from tallybook.storage.transaction import LedgerDatabase, Transaction

_RUN = "run, what, started, finished, status, host, pid, report"


class SqlRuns(LedgerDatabase):
    """Methods for runs; `Ledger` documents each of them."""

    def start_run(self, what: str, *, now: datetime) -> int:
        with self._writing() as db:
            db.execute(
                "UPDATE runs SET status = 'lost' WHERE status = 'running' AND host = ? AND pid = ?", this_process()
            )
            for run, host, pid in db.execute("SELECT run, host, pid FROM runs WHERE status = 'running'").fetchall():
                if not is_process_alive(json.dumps({"host": host, "pid": pid})):
                    db.execute("UPDATE runs SET status = 'lost' WHERE run = ?", [run])
            db.execute(
                "INSERT INTO runs (what, started, status, host, pid) VALUES (?, ?, 'running', ?, ?)",
                [what, stamp_of(now), *this_process()],
            )
            return int(db.execute("SELECT max(run) FROM runs").fetchone()[0])

    def finish_run(self, run: int, status: str, report: dict[str, Any], *, now: datetime) -> None:
        with self._writing() as db:
            db.execute(
                "UPDATE runs SET status = ?, finished = ?, report = ? WHERE run = ?",
                [status, stamp_of(now), json.dumps(report, default=str), run],
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
        stamp = stamp_of(now)
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
            bounds = [stamp_of(until), stamp_of(now)]
            rows = db.execute(
                "SELECT run, until FROM horizons WHERE source = ? AND until > ? AND until <= ? UNION ALL "
                # Runs from before horizons were recorded: their horizon is at most their start.
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


def _run(row: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(_RUN.split(", "), row, strict=True)) | {"report": json.loads(row[-1])}


def _last_true(db: Transaction, run: int, stamp: str) -> datetime:
    """The latest instant of earlier runs that does not lie after now."""
    found = db.execute(
        "SELECT max(started), max(CASE WHEN finished <= ? THEN finished END) FROM runs WHERE run < ? AND started <= ?",
        [stamp, run, stamp],
    ).fetchone()
    return max((datetime.fromisoformat(at) for at in found if at), default=datetime(1, 1, 1, tzinfo=UTC))
