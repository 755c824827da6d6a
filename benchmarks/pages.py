"""The pages of a book of 100 metrics over three years: the first page of a version, and the same one again.

    python -m benchmarks.run --only pages [--quick]

The times are those of the server: from the request to the rendered page, without the network. "Cold" is the first
page of a new version in a warm process. Of several rounds the fastest one counts: others wait for the machine."""

from __future__ import annotations

import contextlib
import json
import math
import sqlite3
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tallybook
from benchmarks.databases import FIRST_DAY
from benchmarks.figures import Budget, Report, print_progress
from benchmarks.projects import collect, write_project
from benchmarks.scene import Scene
from tallybook.server import SharedBook

if TYPE_CHECKING:
    from tallybook.server.pages.door import PagesDoor

ROWS_PER_DAY = 60
PLANS = ("free", "pro", "team")
MAX_OVERVIEW_MS, MAX_AGAIN_MS, MAX_METRIC_MS, MAX_UNCHANGED_MS = 300, 30, 150, 5
METRIC = "/m/count_3"


def measure(scene: Scene) -> Report:
    count, days, rounds = (20, 120, 2) if scene.quick else (100, 3 * 365, 7)
    report = Report(
        name="pages",
        what=f"pages of {count} metrics by {len(PLANS)} plans over {days} days; milliseconds in the server",
    )
    last = FIRST_DAY + timedelta(days=days - 1)
    folder = _project(scene.new_folder(), count, days)
    collect(folder, last)
    report.figures = _measured(folder, last, rounds)
    report.budgets = [
        Budget(what="overview, first page of a version", seen=_ms(report, "/"), limit=MAX_OVERVIEW_MS, unit="ms"),
        Budget(
            what="overview that was prepared when the version was published, rendered",
            seen=_ms(report, "prepared"),
            limit=MAX_AGAIN_MS,
            unit="ms",
        ),
        Budget(what="overview again, another reader", seen=_ms(report, "again"), limit=MAX_AGAIN_MS, unit="ms"),
        Budget(what="a metric with its charts", seen=_ms(report, METRIC), limit=MAX_METRIC_MS, unit="ms"),
        Budget(what="304 to a reader who has it", seen=_ms(report, "unchanged"), limit=MAX_UNCHANGED_MS, unit="ms"),
    ]
    return report


def _ms(report: Report, name: str) -> float:
    return float(report.figures[name]["ms"])


def _project(folder: Path, count: int, days: int) -> Path:
    """Counts, sums, averages, levels and ratios of one table."""
    declared: dict[str, Mapping[str, Any]] = {}
    plain = {"table": "facts", "time": "at", "by": ["plan"], "group": "Facts"}
    for i in range(count * 4 // 10):
        declared[f"count_{i}"] = plain | {"measure": "count(*)", "where": f"k > {i}"}
    for i in range(count * 3 // 10):
        declared[f"sum_{i}"] = plain | {"measure": "sum(v)", "where": f"k > {i}", "group": "Sums"}
    for i in range(count // 10):
        declared[f"mean_{i}"] = plain | {"measure": "avg(v)", "where": f"k > {i}", "group": "Sums"}
    for i in range(count // 10):
        declared[f"level_{i}"] = {
            "kind": "level",
            "table": "levels",
            "time": "day",
            "by": ["plan"],
            "measure": f"sum(seats + {i})",
        }
    for i in range(count // 10):
        declared[f"ratio_{i}"] = {"measure": f"sum_{i} / count_{i}", "group": "Ratios"}
    write_project(folder, "sqlite:///app.sqlite", declared, start=FIRST_DAY)
    with contextlib.closing(sqlite3.connect(folder / "app.sqlite")) as app, app:
        app.execute("CREATE TABLE facts (id INTEGER PRIMARY KEY, at TEXT, plan TEXT, v INTEGER, k INTEGER)")
        app.executemany("INSERT INTO facts VALUES (?, ?, ?, ?, ?)", _facts(days))
        app.execute("CREATE TABLE levels (day TEXT, plan TEXT, seats INTEGER)")
        app.executemany("INSERT INTO levels VALUES (?, ?, ?)", _levels(days))
    return folder


def _facts(days: int) -> Iterator[tuple[Any, ...]]:
    for n in range((days + 1) * ROWS_PER_DAY):
        day, minute = FIRST_DAY + timedelta(days=n // ROWS_PER_DAY), n % ROWS_PER_DAY
        busy = 1 + math.sin(n // ROWS_PER_DAY / 7)
        at = f"{day} {minute * 7919 % 24:02}:{minute:02}:00"
        yield n, at, PLANS[n % 3], int(n * 7919 % 1000 * busy), n * 31 % 200


def _levels(days: int) -> Iterator[tuple[Any, ...]]:
    for n in range(days + 1):
        for place, plan in enumerate(PLANS):
            yield str(FIRST_DAY + timedelta(days=n)), plan, 100 * (place + 1) + n % 11


def _measured(folder: Path, last: date, rounds: int) -> dict[str, Any]:
    from tallybook.server.pages.door import PagesDoor

    now = datetime.combine(last + timedelta(days=1), datetime.min.time(), UTC) + timedelta(hours=6)
    shared = SharedBook(folder, lambda: tallybook.open(folder, now=lambda: now))
    door = PagesDoor(book=shared, clock=lambda: now)
    print_progress("  first page of the process")
    first = _timed(door, "/")
    times: dict[str, list[float]] = {"/": [], "prepared": [], "again": [], METRIC: [], "unchanged": [], "/health": []}
    for number in range(rounds):
        print_progress(f"  version {number + 2}")
        _new_version(folder, now)
        times["/"].append(_timed(door, "/"))
        times["again"].append(_timed(door, "/"))
        times["unchanged"].append(_timed(door, "/", door_tag(door)))
        times["prepared"].append(_timed(door, "/?find="))
        times[METRIC].append(_timed(door, METRIC))
        times["/health"].append(_timed(door, "/health"))
    shared.close()
    found: dict[str, Any] = {name: {"ms": min(several), "slowest_ms": max(several)} for name, several in times.items()}
    return found | {"first_page_of_a_process": {"ms": first}}


def door_tag(door: PagesDoor) -> str:
    """The ETag of the overview."""
    from tallybook.server.pages.page import PageRequest
    from tallybook.server.readers import LOCAL

    with door.book.using() as book:
        return str(door.made(book, PageRequest(path="/"), LOCAL).headers["etag"])


def _timed(door: PagesDoor, path: str, known: str = "") -> float:
    from tallybook.server.pages.page import PageRequest
    from tallybook.server.readers import LOCAL

    plain, _, query = path.partition("?")
    ask = PageRequest(path=plain, fields=[("find", "")] if query else [])
    began, cpu = time.perf_counter(), time.process_time()
    with door.book.using() as book:
        answer = door.made(book, ask, LOCAL, known)
    # On a shared machine, wall-clock time includes the waits for other processes.
    spent = 1000 * min(time.perf_counter() - began, time.process_time() - cpu)
    assert answer.status == (304 if known else 200), (path, answer.status)
    return spent


def _new_version(folder: Path, now: datetime) -> None:
    """Change a fact of the last day, and collect it."""
    with contextlib.closing(sqlite3.connect(folder / "app.sqlite")) as app, app:
        app.execute("UPDATE facts SET v = v + 1 WHERE at >= ?", (str(now.date() - timedelta(days=1)),))
    with tallybook.open(folder, now=lambda: now) as book:
        before = book.reader.version
        book.run()
        assert book.reader.version > before


if __name__ == "__main__":
    import sys
    import tempfile

    with tempfile.TemporaryDirectory() as scratch, Scene(Path(scratch), quick="--quick" in sys.argv) as scene:
        print(json.dumps(measure(scene).to_dict(), indent=2, ensure_ascii=False))
