"""What a point takes on disk, by kind; a point of ids is one id, of buckets one value or stretch of values."""

from __future__ import annotations

from typing import Any

from benchmarks import points
from benchmarks.figures import Report
from benchmarks.projects import open_at
from benchmarks.scene import Scene


def measure(scene: Scene) -> Report:
    report = Report(name="bytes_per_point", what="bytes on disk per point, in files of a month and of a closed year")
    for folder in (points.additive(scene), points.people(scene)):
        # A year later, so that every month is of a closed one.
        with open_at(folder, points.last_day(points.DAYS + 366)) as book:
            before = sizes(book)
            book.compact()
            after = sizes(book)
        for kind in before:
            found = {"months": before[kind], "years": after[kind]} | report.figures.get(kind, {})
            report.figures[kind] = found
    return report


def sizes(book: Any) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for file in book.store.snapshot([]).files:
        kind = found.setdefault(file.kind, {"files": 0, "points": 0, "bytes": 0})
        kind["files"] += 1
        kind["points"] += file.rows
        kind["bytes"] += file.bytes
    return {k: {**v, "bytes_per_point": v["bytes"] / v["points"]} for k, v in found.items()}
