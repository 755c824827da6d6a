"""How collecting and asking grow with days, metrics and series: three sizes each, and the exponent of growth.

1 is in proportion, 0 is not at all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from benchmarks import points
from benchmarks.databases import FIRST_DAY
from benchmarks.figures import Report, side_by_side, slope
from benchmarks.projects import collect, open_at, write_project
from benchmarks.query_latency import Asked
from benchmarks.scene import Scene

AXES = ("days", "metrics", "series")


def measure(scene: Scene) -> Report:
    scene.server.api_calls(scene.scale.days, scene.scale.calls_per_day)
    report = Report(name="growth", what="growth with days, metrics and series: three sizes each, and the exponent")
    most = scene.scale.days
    sizes = {"days": [most // 9, most // 3, most], "metrics": [2, 8, 32], "series": [10, 100, 1000]}
    for axis in AXES:
        report.figures[f"collect_by_{axis}"] = _collecting(scene, axis, sizes[axis])
    points_of = {"days": [243, 729, 2187], "metrics": [10, 30, 90], "series": [10, 100, 1000]}
    for axis in AXES:
        report.figures[f"query_by_{axis}"] = _asking(scene, axis, points_of[axis])
    return report


# -- collecting -------------------------------------------------------------------------------------------


def _collecting(scene: Scene, axis: str, sizes: list[int]) -> dict[str, Any]:
    """From PostgreSQL; what does not vary is a ninth of the days, 8 metrics, 10 series."""
    fixed = {"days": scene.scale.days // 9, "metrics": 8, "series": 10}
    ways = {str(size): _backfill(scene, **{**fixed, axis: size}) for size in sizes}
    rounds = max(1, scene.scale.rounds // 2)
    found = side_by_side(rounds, ways, cpu=scene.server.cpu_seconds)
    seconds = [found[str(size)].median() for size in sizes]
    cpu = [found[str(size)].median("cpu") for size in sizes]
    return {axis: sizes, "seconds": seconds, "cpu_seconds": cpu, "exponent": slope(sizes, seconds)}


def _backfill(scene: Scene, *, days: int, metrics: int, series: int) -> Callable[[], object]:
    shared = {
        "sql": f"select called_at, bytes, latency_ms, status, cast(user_id % {series} as text) as part from api_calls",
        "time": "called_at",
        "by": ["part"],
    }
    declared = {f"m{i}": {**shared, "measure": f"sum(bytes + {i})"} for i in range(metrics)}
    last = FIRST_DAY + timedelta(days=days - 1)
    return lambda: collect(write_project(scene.new_folder(), scene.server.url, declared, start=FIRST_DAY), last)


# -- asking -----------------------------------------------------------------------------------------------


def _asking(scene: Scene, axis: str, sizes: list[int]) -> dict[str, Any]:
    """All metrics by month; what does not vary is 243 days, 10 metrics, 10 series."""
    fixed = {"days": 243, "metrics": 10, "series": 10}
    sizes = sizes[:2] if scene.quick else sizes
    engine, total = [], []
    for size in sizes:
        asked = _asked(scene, **{**fixed, axis: size})
        engine.append(asked.engine_ms)
        total.append(asked.total_ms)
    return {axis: sizes, "engine_ms": engine, "total_ms": total, "exponent": slope(sizes, total)}


def _asked(scene: Scene, *, days: int, metrics: int, series: int) -> Asked:
    folder = points.additive_book(scene.new_folder(), metrics=metrics, series=series, days=days)
    with open_at(folder, points.last_day(days)) as book:
        return Asked(scene, book, [f"m{i}" for i in range(metrics)], scope="month", by=["region"])
