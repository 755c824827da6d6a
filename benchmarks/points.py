"""Books full of points, collected from a DuckDB file made for the purpose."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from benchmarks.databases import FIRST_DAY
from benchmarks.figures import print_progress
from benchmarks.projects import collect, write_project
from benchmarks.scene import Scene

DAYS = 730
SERIES = 10


def last_day(days: int) -> date:
    return FIRST_DAY + timedelta(days=days - 1)


def additive_book(folder: Path, *, metrics: int, series: int = SERIES, days: int = DAYS) -> Path:
    """A project with so many sums by `region`, collected."""
    print_progress(f"  {metrics} metrics of {series} series, {days} days")
    made = (
        f"CREATE TABLE facts AS SELECT DATE '{FIRST_DAY}' + d::INTEGER AS day, 'region ' || s AS region, "
        f"(hash(d * 1000 + s) % 100000)::INTEGER AS amount FROM range({days}) a(d), range({series}) b(s)"
    )
    declared = {
        f"m{i}": {"table": "facts", "time": "day", "measure": f"sum(amount + {i})", "by": ["region"]}
        for i in range(metrics)
    }
    return _collected(folder, made, declared, days)


def people_book(folder: Path, *, ids: int, days: int = DAYS) -> Path:
    """A project with a distinct count of so many ids a day, and a percentile, by `plan`."""
    print_progress(f"  {ids} ids a day, {days} days")
    made = (
        f"CREATE TABLE visits AS SELECT DATE '{FIRST_DAY}' + d::INTEGER AS day, "
        "['free', 'pro', 'team'][1 + i % 3] AS plan, "
        f"(pow(random(), 2) * {ids * 10})::INTEGER AS user_id, exp(3.5 + 1.4 * (random() + random() - 1)) AS seconds "
        f"FROM range({days}) a(d), range({int(ids * 1.3)}) b(i)"
    )
    shared = {"table": "visits", "time": "day", "by": ["plan"]}
    declared = {
        "visitors": {**shared, "measure": "count(distinct user_id)"},
        "p95_seconds": {**shared, "measure": "p95(seconds)"},
        "deviation": {**shared, "measure": "stddev(seconds)"},
    }
    return _collected(folder, made, declared, days)


def _collected(folder: Path, made: str, declared: Mapping[str, Mapping[str, Any]], days: int) -> Path:
    import duckdb

    write_project(folder, "duckdb:///app.duckdb", declared, start=FIRST_DAY)
    with duckdb.connect(str(folder / "app.duckdb")) as connection:
        connection.execute("SELECT setseed(0.5)")
        connection.execute(made)
    collect(folder, last_day(days))
    return folder


@functools.lru_cache(maxsize=4)
def additive(scene: Scene) -> Path:
    """The book that several benchmarks ask."""
    return additive_book(scene.new_folder(), metrics=scene.scale.metrics)


@functools.lru_cache(maxsize=4)
def large(scene: Scene) -> Path:
    """A book of 40 MB, all of which a question about one metric opens; a small one when it has to be quick."""
    metrics, series = (4, 20) if scene.quick else (40, 275)
    return additive_book(scene.new_folder(), metrics=metrics, series=series)


def megabytes(folder: Path) -> float:
    """The size of the points of a project's book."""
    return sum(path.stat().st_size for path in (folder / "book" / "points").rglob("*.parquet")) / 1e6


@functools.lru_cache(maxsize=4)
def people(scene: Scene) -> Path:
    return people_book(scene.new_folder(), ids=scene.scale.ids_per_day)
