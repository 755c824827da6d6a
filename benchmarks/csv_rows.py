"""Rows per second that `tallybook query … --format csv` writes: by the engine, and by rows of Python."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from benchmarks import points
from benchmarks.figures import Budget, Report, print_progress
from benchmarks.projects import open_at
from benchmarks.scene import Scene

ROWS_A_SECOND = 500_000
ROWS_A_SECOND_QUICK = 250_000
"""Of 200,000 rows, of which opening a book (a quarter of a second) is most of the time."""
OTHERS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "two_metrics": (["m0", "m1"], {}),
    "last_day": (["m0"], {"show": "last"}),
}
"""Other plain columns that the engine writes: (metrics, what more is asked)."""


def measure(scene: Scene) -> Report:
    series, days = (5000, 40) if scene.quick else (5000, 300)
    folder = points.additive_book(scene.new_folder(), metrics=2, series=series, days=days)
    text, engine = _by_engine(folder, days, ["m0"])
    rows = text.count("\n") - 1
    others = {name: rows / _by_engine(folder, days, *asked)[1] for name, asked in OTHERS.items()}
    by_rows = _by_rows(folder, days, text)
    limit = ROWS_A_SECOND_QUICK if scene.quick else ROWS_A_SECOND
    return Report(
        name="csv_rows",
        what=f"{rows:,} rows of one metric by day and series as CSV, from a book just opened",
        figures={
            "rows": rows,
            "engine_s": engine,
            "by_rows_s": by_rows,
            "rows_a_second": rows / engine,
            **{f"{name}_rows_a_second": seen for name, seen in others.items()},
        },
        budgets=[Budget(what="rows a second as CSV", seen=rows / engine, limit=limit, unit="rows/s", at_least=True)],
    )


def _by_engine(folder: Path, days: int, metrics: list[str], more: dict[str, Any] | None = None) -> tuple[str, float]:
    """The CSV, and its seconds."""
    with open_at(folder, points.last_day(days)) as book:
        began, cpu = time.perf_counter(), time.process_time()
        text = book.csv(*metrics, by=["region"], **(more or {}))
        # On a machine that others use too, the processor's time says more.
        return text, min(time.perf_counter() - began, time.process_time() - cpu)


def _by_rows(folder: Path, days: int, text: str) -> float:
    print_progress("  by rows of Python")
    with open_at(folder, points.last_day(days)) as book:
        began, cpu = time.perf_counter(), time.process_time()
        assert book.query("m0", by=["region"]).to_csv() == text
        return min(time.perf_counter() - began, time.process_time() - cpu)
