"""Many metrics with a condition each, over ten years of a small SQLite table, beside one grouped query per metric.

    python -m benchmarks.many_metrics [--quick]

The plain loop runs half of its queries before ours and half after them, and throws the results away."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from benchmarks.databases import FIRST_DAY
from benchmarks.figures import Budget, Report, print_progress
from benchmarks.projects import write_project
from benchmarks.scene import Scene

ROWS = 50_000
MAX_RATIO, MAX_RATIO_QUICK = 1.5, 2.5
"""Allowed time as a multiple of a plain loop. A quick run has only 30 queries of a few milliseconds, so the fixed cost
of a run (about a second for the plan, the ledger and the files) weighs more. A full run has 1,000 queries."""
SCENARIOS = {"wide": "v > {i}", "selective": "k = {i}"}
"""`wide` conditions keep at least half of the rows, `selective` ones about one in a thousand."""


def measure(scene: Scene) -> Report:
    metrics, days = (30, 730) if scene.quick else (1000, 3650)
    report = Report(
        name="many_metrics",
        what=f"{metrics} metrics, a condition each, by three plans over {days} days of {ROWS:,} rows in SQLite",
    )
    for name, condition in SCENARIOS.items():
        folder = _project(scene.new_folder(), condition, metrics, days)
        report.figures[name] = _side_by_side(folder, condition, metrics, FIRST_DAY + timedelta(days=days - 1))
    wide, selective = report.figures["wide"], report.figures["selective"]
    report.budgets += [
        Budget(
            what="conditions that keep half of the rows: ours ÷ a plain loop",
            seen=wide["cpu_ratio"],
            limit=MAX_RATIO_QUICK if scene.quick else MAX_RATIO,
        ),
        Budget(what="selective conditions: ours, in all", seen=selective["ours_s"], limit=60, unit="s"),
        Budget(what="files written ÷ files of the final book", seen=wide["files_ratio"], limit=3),
        Budget(what="peak memory", seen=wide["peak_mib"] / 1024, limit=1, unit="GiB"),
    ]
    return report


def _project(folder: Path, condition: str, metrics: int, days: int) -> Path:
    declared = {
        f"m{i}": {
            "table": "facts",
            "time": "at",
            "measure": "count(*)",
            "by": ["plan"],
            "where": condition.format(i=i),
        }
        for i in range(1, metrics + 1)
    }
    write_project(folder, "sqlite:///app.sqlite", declared, start=FIRST_DAY)
    with contextlib.closing(sqlite3.connect(folder / "app.sqlite")) as app, app:
        app.execute("CREATE TABLE facts (id INTEGER PRIMARY KEY, at TEXT, plan TEXT, v INTEGER, k INTEGER)")
        app.executemany("INSERT INTO facts VALUES (?, ?, ?, ?, ?)", (_fact(i, days) for i in range(ROWS)))
    return folder


def _fact(i: int, days: int) -> tuple[Any, ...]:
    seconds = i * 7919 % (days * 86_400 // 60) * 60
    at = f"{FIRST_DAY + timedelta(seconds=seconds):%Y-%m-%d} {seconds % 86_400 // 3600:02}:{seconds % 3600 // 60:02}:00"
    return i, at, ("free", "pro", "team")[i % 3], i * 7 % 2001, i * 11 % 1000


def _side_by_side(folder: Path, condition: str, metrics: int, last: date) -> dict[str, Any]:
    half = metrics // 2
    before = _plain_loop(folder, condition, range(1, half + 1))
    print_progress("  ours")
    ours = _collected(folder, last)
    after = _plain_loop(folder, condition, range(half + 1, metrics + 1))
    loop = {what: before[what] + after[what] for what in before}
    return {
        "ours_s": ours["seconds"],
        "ours_cpu_s": ours["cpu"],
        "plain_loop_s": loop["seconds"],
        "plain_loop_cpu_s": loop["cpu"],
        "ratio": ours["seconds"] / loop["seconds"],
        "cpu_ratio": ours["cpu"] / loop["cpu"],
        "points": ours["points"],
        "peak_mib": ours["peak_mib"],
        "versions": ours["versions"],
        "files_written": ours["written"],
        "files_current": ours["current"],
        "files_ratio": ours["written"] / ours["current"],
        "book_mib": ours["book_mib"],
        "ledger_mib": ours["ledger_mib"],
    }


def _plain_loop(folder: Path, condition: str, numbers: range) -> dict[str, float]:
    print_progress(f"  plain loop, {len(numbers)} queries")
    began, cpu = time.perf_counter(), time.process_time()
    with contextlib.closing(sqlite3.connect(folder / "app.sqlite")) as app:
        for i in numbers:
            app.execute(
                f"SELECT date(at), plan, count(*) FROM facts WHERE {condition.format(i=i)} GROUP BY date(at), plan"
            ).fetchall()
    return {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}


def _collected(folder: Path, last: date) -> dict[str, Any]:
    """What a run costs in a process of its own, whose peak memory is nobody else's."""
    command = [sys.executable, "-m", "benchmarks.many_metrics", "--collect", str(folder), str(last)]
    return dict(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))


def _collect(folder: Path, last: date) -> dict[str, Any]:
    import resource

    from benchmarks.projects import collect, open_at

    began, cpu = time.perf_counter(), time.process_time()
    report = collect(folder, last)
    seconds, spent = time.perf_counter() - began, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with open_at(folder, last) as book:
        current, written = len(book.store.snapshot([]).files), len(book.store.ledger.known_files())
    kept = [file.stat().st_size for file in (folder / "book" / "points").rglob("*.parquet")]
    return {
        "seconds": seconds,
        "cpu": spent,
        "peak_mib": peak,
        "points": sum(m.points for m in report.metrics),
        "versions": report.version,
        "current": current,
        "written": written,
        "book_mib": sum(kept) / 2**20,
        "ledger_mib": (folder / "book" / "ledger.sqlite").stat().st_size / 2**20,
    }


def main() -> None:
    if sys.argv[1:2] == ["--collect"]:
        print(json.dumps(_collect(Path(sys.argv[2]), date.fromisoformat(sys.argv[3]))))
        return
    with tempfile.TemporaryDirectory() as folder, Scene(Path(folder), quick="--quick" in sys.argv) as scene:
        print(json.dumps(measure(scene).to_dict(), indent=2))


if __name__ == "__main__":
    main()
