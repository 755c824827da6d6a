"""Two years of a level with validity intervals, beside one query for every day."""

from __future__ import annotations

import contextlib
from datetime import date, timedelta

from benchmarks.databases import FIRST_DAY
from benchmarks.figures import Budget, Report, ratio, side_by_side
from benchmarks.projects import collect, write_project
from benchmarks.scene import Scene

DAYS = 730
MRR = {
    "kind": "level",
    "table": "subscriptions",
    "from": "started_at",
    "until": "cancelled_at",
    "measure": "sum(mrr)",
    "by": ["plan"],
}


def measure(scene: Scene) -> Report:
    rows = scene.scale.subscriptions
    scene.server.subscriptions(rows, DAYS)
    days = [FIRST_DAY + timedelta(days=i * DAYS // scene.scale.sampled_days) for i in range(scene.scale.sampled_days)]
    ways = {"backfill": lambda: backfill(scene), "query_a_day": lambda: query_a_day(scene, days)}
    for way in ways.values():
        way()
    found = side_by_side(
        scene.scale.rounds, ways, cpu=scene.server.cpu_seconds, meters={"buffers": scene.server.buffers}
    )
    ours, naive = found.values()
    times = DAYS / len(days)
    return Report(
        name="interval_levels",
        what=(
            f"{DAYS} days of MRR by plan from {rows:,} subscriptions, "
            f"beside one query per day ({len(days)} sampled, scaled)"
        ),
        figures={
            "backfill_s": ours.median(),
            "query_a_day_s": times * naive.median(),
            "backfill_cpu_s": ours.median("cpu"),
            "query_a_day_cpu_s": times * naive.median("cpu"),
            "cpu_ratio": times * ratio(naive, ours, "cpu"),
            "buffers_ratio": times * naive.median("buffers") / ours.median("buffers"),
        },
        budgets=[
            Budget(
                what="one query per day ÷ interval level over two years",
                seen=times * ratio(naive, ours),
                limit=50,
                at_least=True,
            )
        ],
    )


def backfill(scene: Scene) -> None:
    folder = write_project(scene.new_folder(), scene.server.url, {"mrr": MRR}, start=FIRST_DAY)
    collect(folder, FIRST_DAY + timedelta(days=DAYS - 1))


def query_a_day(scene: Scene, days: list[date]) -> None:
    with contextlib.closing(scene.server.connect()) as connection:
        for day in days:
            end = f"'{day + timedelta(days=1)} 00:00+00'"
            connection.execute(
                f"SELECT plan, sum(mrr) FROM subscriptions WHERE started_at < {end} "
                f"AND (cancelled_at IS NULL OR cancelled_at >= {end}) GROUP BY plan"
            ).fetchall()
