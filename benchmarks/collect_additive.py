"""A year of seven additive metrics out of PostgreSQL, beside one bare count over the same rows."""

from __future__ import annotations

from benchmarks.databases import FIRST_DAY
from benchmarks.figures import Budget, Report, ratio, side_by_side
from benchmarks.projects import ADDITIVE, collect, on_api_calls, write_project
from benchmarks.scene import Scene


def measure(scene: Scene) -> Report:
    rows = scene.server.api_calls(scene.scale.days, scene.scale.calls_per_day)
    ways = {"bare_count": lambda: bare_count(scene), "whole": lambda: backfill(scene, []), "by_plan": lambda: backfill(scene, ["plan"])}
    for way in ways.values():
        way()  # warm: modules are imported, pages in memory
    found = side_by_side(scene.scale.rounds, ways, cpu=scene.server.cpu_seconds, meters={"buffers": scene.server.buffers})
    limit = found["bare_count"]
    return Report(
        name="collect_additive",
        what=f"backfill of {len(ADDITIVE)} additive metrics over {rows:,} rows of {scene.scale.days} days ÷ a bare count of the same rows",
        figures={
            "rows": rows,
            **{f"{name}_s": costs.median() for name, costs in found.items()},
            **{f"{name}_cpu_s": costs.median("cpu") for name, costs in found.items()},
            **{f"{name}_buffers_mib": costs.median("buffers") / 128 for name, costs in found.items()},
            "by_plan_ratio": ratio(found["by_plan"], limit),
            "whole_cpu_ratio": ratio(found["whole"], limit, "cpu"),
            "by_plan_cpu_ratio": ratio(found["by_plan"], limit, "cpu"),
        },
        budgets=[
            Budget(what="additive backfill ÷ bare count", seen=ratio(found["whole"], limit), limit=2),
            Budget(what="additive backfill by plan ÷ bare count", seen=ratio(found["by_plan"], limit), limit=2),
        ],
    )


def bare_count(scene: Scene) -> None:
    """The limit: every row of the range is looked at, nothing is done with it."""
    scene.server.rows(
        f"SELECT count(bytes) FROM api_calls WHERE called_at >= '{FIRST_DAY} 00:00+00' AND called_at < '{scene.last_day} 24:00+00'"
    )


def backfill(scene: Scene, by: list[str]) -> None:
    """A new book, filled."""
    folder = write_project(scene.new_folder(), scene.server.url, on_api_calls(ADDITIVE, by), start=FIRST_DAY)
    collect(folder, scene.last_day)
