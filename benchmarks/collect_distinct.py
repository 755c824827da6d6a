"""Eleven metrics, three distinct counts and a percentile among them, beside a bare count and beside a query each."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from benchmarks.collect_additive import backfill, bare_count, fused_by_hand, on
from benchmarks.databases import FIRST_DAY, Postgresql
from benchmarks.figures import Budget, Costs, Report, ratio, side_by_side
from benchmarks.projects import ADDITIVE, NOT_ADDITIVE
from benchmarks.scene import Scene

EVERYTHING = {**ADDITIVE, **NOT_ADDITIVE}
# The worst case of a distinct count: as many ids as rows.
EVERY_ROW_AN_ID = {**EVERYTHING, "active_users": "count(distinct id)"}
P95 = "percentile_cont(0.95) within group (order by latency_ms)"


def measure(scene: Scene) -> Report:
    rows = scene.server.api_calls(scene.scale.days, scene.scale.calls_per_day)
    days = sampled(scene)
    ways = {
        "bare_count": lambda: bare_count(scene),
        "backfill": lambda: backfill(scene, [], EVERYTHING),
        "query_each": lambda: query_each(scene.server, days, EVERYTHING),
        "backfill_every_row_an_id": lambda: backfill(scene, [], EVERY_ROW_AN_ID),
        "fused_by_hand": lambda: grouped_by_hand(scene),
        "query_each_every_row_an_id": lambda: query_each(scene.server, days, EVERY_ROW_AN_ID),
    }
    for way in ways.values():
        way()
    found = side_by_side(
        scene.scale.rounds, ways, cpu=scene.server.cpu_seconds, meters={"buffers": scene.server.buffers}
    )
    times = scene.scale.days / len(days)
    return Report(
        name="collect_distinct",
        what=f"backfill of {len(EVERYTHING)} metrics (3 distinct counts, a p95) over {rows:,} rows "
        f"of {scene.scale.days} days ÷ a bare count, "
        f"and beside one query per metric and day ({len(days)} days sampled, scaled)",
        figures={"rows": rows, **_figures(found, times)},
        budgets=_budgets(found, times),
    )


def _figures(found: Mapping[str, Costs], times: float) -> dict[str, Any]:
    """Medians and ratios of the ways. `times`: all days for each sampled one."""
    limit, ours, naive, ours_at_worst, by_hand, naive_at_worst = found.values()
    return {
        "bare_count_s": limit.median(),
        "backfill_s": ours.median(),
        "fused_by_hand_s": by_hand.median(),
        "ratio_to_fused_by_hand": ratio(ours, by_hand),
        "query_each_s": times * naive.median(),
        "bare_count_cpu_s": limit.median("cpu"),
        "backfill_cpu_s": ours.median("cpu"),
        "query_each_cpu_s": times * naive.median("cpu"),
        "backfill_buffers_mib": ours.median("buffers") / 128,
        "query_each_buffers_mib": times * naive.median("buffers") / 128,
        "cpu_ratio": ratio(ours, limit, "cpu"),
        "query_each_cpu_ratio": times * ratio(naive, ours, "cpu"),
        "every_row_an_id": {
            "backfill_s": ours_at_worst.median(),
            "ratio": ratio(ours_at_worst, limit),
            "cpu_ratio": ratio(ours_at_worst, limit, "cpu"),
            "query_each_ratio": times * ratio(naive_at_worst, ours_at_worst),
        },
    }


def _budgets(found: Mapping[str, Costs], times: float) -> list[Budget]:
    limit, ours, naive, *_ = found.values()
    buffers = times * naive.median("buffers") / ours.median("buffers")
    each = "one query per metric and day ÷ backfill"
    read = "buffers of one query per metric and day ÷ of the backfill"
    return [
        Budget(what="backfill with 3 distinct and a p95 ÷ bare count", seen=ratio(ours, limit), limit=10),
        Budget(what=each, seen=times * ratio(naive, ours), limit=1.6, at_least=True),
        Budget(what=read, seen=buffers, limit=5, at_least=True),
    ]


def grouped_by_hand(scene: Scene) -> None:
    """What the server itself needs for these numbers: two statements a day, written by hand, counted there."""
    fused_by_hand(scene)
    grouped = "GROUP BY GROUPING SETS ((user_id), (account_id), (latency_ms))"
    with contextlib.closing(scene.server.connect()) as connection:
        for i in range(scene.scale.days):
            asked = (
                "SELECT user_id, account_id, latency_ms, count(*), count(CASE WHEN status >= 500 THEN 1 END) "
                f"FROM api_calls WHERE {on(FIRST_DAY + timedelta(days=i))} {grouped}"
            )
            connection.execute(f"SELECT count(*) FROM ({asked}) x").fetchall()


def sampled(scene: Scene) -> list[date]:
    """Days spread over the whole range."""
    step = scene.scale.days / scene.scale.sampled_days
    return [FIRST_DAY + timedelta(days=int(i * step)) for i in range(scene.scale.sampled_days)]


def query_each(server: Postgresql, days: list[date], measures: Mapping[str, str]) -> None:
    """What one does by hand: a statement for every metric and day."""
    with contextlib.closing(server.connect()) as connection:
        for day in days:
            for statement in statements(day, measures):
                connection.execute(statement).fetchall()


def statements(day: date, measures: Mapping[str, str]) -> Iterator[str]:
    for measure in measures.values():
        asked = P95 if measure.startswith("p95") else measure
        yield (
            f"SELECT {asked} FROM api_calls WHERE called_at >= '{day} 00:00+00' "
            f"AND called_at < '{day + timedelta(days=1)} 00:00+00'"
        )
