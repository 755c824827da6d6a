"""Millions of rows as CSV: what `tallybook query … --format csv` writes a second, in the engine and by rows of Python."""

from __future__ import annotations

import time

from benchmarks import points
from benchmarks.figures import Budget, Report, tell
from benchmarks.projects import open_at
from benchmarks.scene import Scene

ROWS_A_SECOND = 500_000


def measure(scene: Scene) -> Report:
    series, days = (500, 40) if scene.quick else (5000, 300)
    folder = points.additive_book(scene.new_folder(), metrics=1, series=series, days=days)
    with open_at(folder, points.last_day(days)) as book:
        began, cpu = time.perf_counter(), time.process_time()
        text = book.csv("m0", by=["region"])
        # On a machine that others use too, the processor's time says more.
        engine = min(time.perf_counter() - began, time.process_time() - cpu)
    rows = text.count("\n") - 1
    with open_at(folder, points.last_day(days)) as book:
        tell("  by rows of Python")
        began = time.perf_counter()
        assert book.query("m0", by=["region"]).to_csv() == text
        by_rows = time.perf_counter() - began
    return Report(
        name="csv_rows", what=f"{rows:,} rows of one metric by day and series as CSV, from a book just opened",
        figures={"rows": rows, "engine_s": engine, "by_rows_s": by_rows, "rows_a_second": rows / engine},
        budgets=[
            Budget(what="rows a second as CSV", seen=rows / engine, limit=ROWS_A_SECOND, unit="rows/s", at_least=True)
        ],
    )  # fmt: skip
