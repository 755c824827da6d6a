"""Ad hoc questions over stored usage events, beside DuckDB's own SQL over the same files.

    python -m benchmarks.run --only ad_hoc [--quick]

Both read the days from the time of each event. Ours are those of the book's zone."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, time as clock, timedelta
from functools import partial
from typing import Any

import duckdb

from benchmarks.databases import FIRST_DAY
from benchmarks.figures import Budget, Report, print_progress
from benchmarks.projects import open_at, write_project
from benchmarks.scene import Scene
from tallybook.core import INTEGER_VALUE, TEXT_VALUE
from tallybook.ingest.files import own_engine, write_rows
from tallybook.storage import EventCommit, EventFile, EventLedger, Property, stamp_of

DAYS, FILE_ROWS, EVENT = 90, 100_000, "api_call"
MAX_SECONDS, MAX_RATIO = 1.0, 1.5
QUESTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "count by day": ({"count": True}, "SELECT date_trunc('day', time), count(*)"),
    "count by week and type": (
        {"count": True, "by": ["apiType"], "scope": "week"},
        "SELECT date_trunc('week', time), \"apiType\", count(*)",
    ),
    "average by week and type": (
        {"avg": "n", "by": ["apiType"], "scope": "week"},
        "SELECT date_trunc('week', time), \"apiType\", avg(n)",
    ),
    "sum by month": ({"sum": "n", "scope": "month"}, "SELECT date_trunc('month', time), sum(n)"),
}
"""Our question, and the same in SQL."""


def measure(scene: Scene) -> Report:
    events = 200_000 if scene.quick else 10_000_000
    report = Report(name="ad_hoc", what=f"questions about {events:,} stored events; seconds")
    folder = write_project(scene.new_folder(), "duckdb:///none.duckdb", {}, start=FIRST_DAY)
    with (folder / "tallybook.toml").open("a") as file:
        file.write(f"[events.{EVENT}]\n")
    with open_at(folder, FIRST_DAY + timedelta(days=DAYS)) as book:
        _fill(book, events)
        print_progress("  the events are stored")
        with duckdb.connect() as engine:
            engine.execute("SET TimeZone = 'UTC'")
            files = ", ".join(f"'{path}'" for path in sorted((folder / "book" / "events").rglob("*.parquet")))
            for name, (question, sql) in QUESTIONS.items():
                plain = f"{sql} FROM read_parquet([{files}]) GROUP BY ALL"
                ours, theirs = [], []
                for _ in range(scene.scale.rounds):
                    ours.append(_seconds(partial(_ask, book, question)))
                    theirs.append(_seconds(partial(_run, engine, plain)))
                report.figures[name] = {
                    "seconds": min(ours),
                    "duckdb_seconds": min(theirs),
                    "ratio": min(ours) / min(theirs),
                }
    slowest = max(one["seconds"] for one in report.figures.values())
    ratio = max(one["ratio"] for one in report.figures.values())
    report.budgets += [
        Budget(what=f"the slowest question about {events:,} events", seen=slowest, limit=MAX_SECONDS, unit="s"),
        Budget(what="ad hoc ÷ DuckDB's own SQL, the largest of the questions", seen=ratio, limit=MAX_RATIO),
    ]
    return report


def _fill(book: Any, events: int) -> None:
    """Events that are spread over the days, in files as compaction writes them."""
    now = datetime.combine(FIRST_DAY + timedelta(days=DAYS), clock(6), UTC)
    ledger = EventLedger(book.store.ledger, book.store.files)
    step = DAYS * 86_400 / events
    files = []
    properties = [
        Property(event=EVENT, name="apitype", type=TEXT_VALUE, spelled="apiType"),
        Property(event=EVENT, name="n", type=INTEGER_VALUE, spelled="n"),
    ]
    with own_engine() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        for start in range(0, events, FILE_ROWS):
            end = min(start + FILE_ROWS, events)
            written = write_rows(book.store.files, engine, _rows(start, end, step), f"files/{FIRST_DAY:%Y-%m}")
            at = [stamp_of(_begin() + timedelta(seconds=int(number * step))) for number in (start, end - 1)]
            files.append(
                EventFile(
                    event=EVENT,
                    path=written.path,
                    first=at[0],
                    last=at[1],
                    received_first=at[0],
                    received_last=at[1],
                    rows=written.rows,
                    bytes=written.bytes,
                    sha256=written.sha256,
                )
            )
    every = [(EVENT, FIRST_DAY + timedelta(days=number)) for number in range(DAYS)]
    ledger.commit(ledger.snapshot().number, EventCommit(files=files, days=every, properties=properties), now=now)
    ledger.close()


def _begin() -> datetime:
    return datetime.combine(FIRST_DAY, clock(), UTC)


def _rows(start: int, end: int, step: float) -> str:
    """A user belongs to one account, and has several events a day."""
    at = f"TIMESTAMPTZ '{FIRST_DAY} 00:00:00+00' + to_seconds(CAST(floor(i * {step}) AS BIGINT))"
    user = "hash(i) % 20000"
    return (
        f"SELECT {at} AS time, CAST({at} AS DATE) AS day, {at} AS received, 'u' || {user} AS \"user\", "
        f"'a' || {user} % 2000 AS account, 'e' || i AS id, 'key' AS key, CAST(i AS BIGINT) AS tallybook_commit, "
        "'type ' || hash(i * 3) % 5 AS \"apiType\", CAST(hash(i * 11) % 1000 AS BIGINT) AS n, "
        f"CAST(NULL AS VARCHAR) AS rest FROM range({start}, {end}) r(i)"
    )


def _ask(book: Any, question: dict[str, Any]) -> None:
    assert book.query(event=EVENT, **question).rows()


def _run(engine: duckdb.DuckDBPyConnection, sql: str) -> None:
    assert engine.execute(sql).fetchall()


def _seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began
