"""A year of seven additive metrics out of PostgreSQL, beside one bare count over the same rows."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import date, timedelta

from benchmarks.databases import FIRST_DAY
from benchmarks.figures import Budget, Report, ratio, side_by_side
from benchmarks.projects import ADDITIVE, collect, on_api_calls, write_project
from benchmarks.scene import Scene

FUSED = (
    "count(*), count(CASE WHEN status >= 500 THEN 1 END), sum(bytes), sum(latency_ms), count(latency_ms), "
    "max(latency_ms), count(CASE WHEN latency_ms > 100 THEN 1 END)"
)


def measure(scene: Scene) -> Report:
    rows = scene.server.api_calls(scene.scale.days, scene.scale.calls_per_day)
    ways = {
        "bare_count": lambda: bare_count(scene),
        "bare_count_by_index": lambda: bare_count(scene, "SET enable_seqscan = off; SET enable_bitmapscan = off"),
        "bare_count_by_plan": lambda: bare_count(scene, columns="plan, count(bytes)"),
        "fused_by_hand": lambda: fused_by_hand(scene),
        "backfill": lambda: backfill(scene, []),
        "backfill_by_plan": lambda: backfill(scene, ["plan"]),
    }
    for way in ways.values():
        way()  # modules are imported, pages in memory
    found = side_by_side(
        scene.scale.rounds, ways, cpu=scene.server.cpu_seconds, meters={"buffers": scene.server.buffers}
    )
    limit, ours = found["bare_count"], found["backfill"]
    by_plan = found["backfill_by_plan"]
    return Report(
        name="collect_additive",
        what=(
            f"backfill of {len(ADDITIVE)} additive metrics over {rows:,} rows of {scene.scale.days} days "
            "÷ a bare count of the same rows"
        ),
        figures={
            "rows": rows,
            **{f"{name}_s": costs.median() for name, costs in found.items()},
            **{f"{name}_cpu_s": costs.median("cpu") for name, costs in found.items()},
            **{f"{name}_buffers_mib": costs.median("buffers") / 128 for name, costs in found.items()},
            "cpu_ratio": ratio(ours, limit, "cpu"),
            "ratio_to_fused_by_hand": ratio(ours, found["fused_by_hand"]),
            "ratio_to_count_by_index": ratio(ours, found["bare_count_by_index"]),
            "by_plan_ratio": ratio(by_plan, limit),
            "by_plan_ratio_to_count_by_plan": ratio(by_plan, found["bare_count_by_plan"]),
        },
        budgets=[Budget(what="additive backfill ÷ bare count", seen=ratio(ours, limit), limit=2)],
    )


def bare_count(scene: Scene, settings: str = "", columns: str = "count(bytes)") -> None:
    """The limit: every row of the range is looked at, nothing is done with it. A plain count(*) of a vacuumed table
    would read the index alone."""
    first, last = FIRST_DAY, scene.last_day
    grouped = " GROUP BY 1" if "," in columns else ""
    scene.server.rows(
        f"SELECT {columns} FROM api_calls WHERE called_at >= '{first} 00:00+00' "
        f"AND called_at < '{last} 24:00+00'{grouped}",
        settings,
    )


def fused_by_hand(scene: Scene) -> None:
    """What the server itself needs for these numbers: one statement a day, written by hand, thrown away."""
    with contextlib.closing(scene.server.connect()) as connection:
        for i in range(scene.scale.days):
            connection.execute(f"SELECT {FUSED} FROM api_calls WHERE {on(FIRST_DAY + timedelta(days=i))}").fetchall()


def on(day: date) -> str:
    return f"called_at >= '{day} 00:00+00' AND called_at < '{day + timedelta(days=1)} 00:00+00'"


def backfill(scene: Scene, by: list[str], measures: Mapping[str, str] = ADDITIVE) -> None:
    """A new book, filled."""
    folder = write_project(scene.new_folder(), scene.server.url, on_api_calls(measures, by), start=FIRST_DAY)
    collect(folder, scene.last_day)
