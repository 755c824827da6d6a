"""Questions to two years of points, beside plain SQL over the same Parquet files."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import duckdb

from benchmarks import points
from benchmarks.figures import Budget, Report, Way, median_ms, print_progress
from benchmarks.projects import open_at
from benchmarks.scene import Scene
from tallybook.query.context import QueryContext

SCOPES = ("day", "week", "month", "quarter", "year", "all")


def measure(scene: Scene) -> Report:
    report = Report(
        name="query_latency",
        what=f"{scene.scale.metrics} metrics of {points.SERIES} series over {points.DAYS} days, "
        f"and {scene.scale.ids_per_day:,} ids a day; milliseconds, engine: execute and fetch",
    )
    with open_at(points.additive(scene), points.last_day(points.DAYS)) as book:
        _additive(report, scene, book, "months")
        book.compact()
        _additive(report, scene, book, "compacted")
    with open_at(points.people(scene), points.last_day(points.DAYS)) as book:
        _distinct(report, scene, book)
        _deviation(report, scene, book)
    return report


def _additive(report: Report, scene: Scene, book: Any, files: str) -> None:
    """One metric at every scope, then all of them by month."""
    print_progress(f"  {files}")
    one, everything = ["m7"], [f"m{i}" for i in range(scene.scale.metrics)]
    found = {scope: Asked(scene, book, one, scope=scope) for scope in SCOPES}
    found["month by region"] = Asked(scene, book, one, scope="month", by=["region"])
    found["day by region"] = Asked(scene, book, one, scope="day", by=["region"])
    all_monthly = Asked(scene, book, everything, scope="month")
    relation, with_sql = parquet(book, "additive"), plain(book)
    month = "date_trunc('month', day)"
    report.figures[files] = {
        "files": len(book.store.snapshot([]).files),
        "one_metric": {name: asked.figures for name, asked in found.items()},
        "all_metrics_by_month": all_monthly.figures,
        "plain_sql_one_metric_by_month_ms": median_ms(
            scene.scale.asks, with_sql(f"SELECT {month}, sum(total) FROM {relation} WHERE metric = 'm7' GROUP BY 1")
        ),
        "plain_sql_all_metrics_by_month_ms": median_ms(
            scene.scale.asks, with_sql(f"SELECT metric, {month}, sum(total) FROM {relation} GROUP BY 1, 2")
        ),
        "asked_again_ms": median_ms(scene.scale.asks, lambda: book.query("m7", scope="month")),
    }
    slowest = max((found[scope].engine_ms, scope) for scope in SCOPES)
    beside = found["month"].engine_ms / report.figures[files]["plain_sql_one_metric_by_month_ms"]
    report.budgets += [
        Budget(
            what=f"one metric, two years, month, {files}: in the engine ÷ plain DuckDB SQL over the same files",
            seen=beside,
            limit=0.5,
        ),
        Budget(
            what=f"one metric, two years, {slowest[1]} (the slowest scope), {files}: in the engine",
            seen=slowest[0],
            limit=5,
            unit="ms",
        ),
        Budget(
            what=f"{scene.scale.metrics} metrics monthly, {files}: in the engine",
            seen=all_monthly.engine_ms,
            limit=15,
            unit="ms",
        ),
    ]


def _distinct(report: Report, scene: Scene, book: Any) -> None:
    print_progress("  ids")
    relation, with_sql = parquet(book, "ids"), plain(book)
    ratios = []
    for scope, key in {"month": "date_trunc('month', day)", "year": "date_trunc('year', day)", "all": "1"}.items():
        asked = Asked(scene, book, ["visitors"], scope=scope)
        sql = with_sql(f"SELECT {key}, count(DISTINCT id) FROM {relation} GROUP BY 1")
        theirs = median_ms(scene.scale.asks, sql)
        report.figures[f"distinct_{scope}"] = asked.figures | {"count_distinct_ms": theirs}
        ratios.append((asked.engine_ms / theirs, scope))
    again = median_ms(scene.scale.asks, lambda: book.query("visitors", scope="month"))
    report.figures["distinct_asked_again_ms"] = again
    report.budgets += [
        Budget(
            what=f"exact distinct, {max(ratios)[1]} (the worst scope) ÷ DuckDB's count(distinct)",
            seen=max(ratios)[0],
            limit=1.2,
        ),
        Budget(what="the same asked again at the same version", seen=again, limit=5, unit="ms"),
    ]


def _deviation(report: Report, scene: Scene, book: Any) -> None:
    """Parts that are moved to the K of each cell before they are added."""
    print_progress("  deviations")
    found = {scope: Asked(scene, book, ["deviation"], scope=scope) for scope in SCOPES}
    report.figures["deviation"] = {scope: asked.figures for scope, asked in found.items()}
    slowest = max((asked.engine_ms, scope) for scope, asked in found.items())
    what = f"a standard deviation, two years, {slowest[1]} (the slowest scope): in the engine"
    report.budgets.append(Budget(what=what, seen=slowest[0], limit=30, unit="ms"))


class Asked:
    """What one question costs: in all, and in the engine."""

    def __init__(self, scene: Scene, book: Any, metrics: list[str], **question: Any) -> None:
        with engine_clock() as spent:
            self.total_ms = median_ms(scene.scale.asks, lambda: _ask_uncached(book, metrics, question))
            per_ask = sorted(sum(times) for times in spent)
        self.engine_ms = 1000 * per_ask[len(per_ask) // 2]
        self.statements = len(spent[-1])

    @property
    def figures(self) -> dict[str, Any]:
        return {"engine_ms": self.engine_ms, "total_ms": self.total_ms, "statements": self.statements}


def _ask_uncached(book: Any, metrics: list[str], question: dict[str, Any]) -> None:
    """Ask as if for the first time at this version."""
    book.answers.forget_answers()
    _asks.append([])
    book.query(*metrics, **question)


_asks: list[list[float]] = []


@contextlib.contextmanager
def engine_clock() -> Iterator[list[list[float]]]:
    """For each question asked in the block: the seconds of each of its statements."""
    untimed = QueryContext.rows

    def timed(self: QueryContext, sql: str) -> list[tuple[Any, ...]]:
        began, cpu = time.perf_counter(), time.process_time()
        try:
            return untimed(self, sql)
        finally:
            # On a shared machine, wall-clock time includes the waits for other processes.
            _asks[-1].append(min(time.perf_counter() - began, time.process_time() - cpu))

    QueryContext.rows = timed  # type: ignore[method-assign]
    _asks.clear()
    try:
        yield _asks
    finally:
        QueryContext.rows = untimed  # type: ignore[method-assign]


def parquet(book: Any, kind: str) -> str:
    """The current files of a kind, as a relation."""
    store = book.store
    return str(store.scan([f for f in store.snapshot([]).files if f.kind == kind]))


def plain(book: Any) -> Any:
    """A function that makes a way of a statement, run by an engine that knows nothing of the book."""
    connection = duckdb.connect()

    def way(sql: str) -> Way:
        return lambda: connection.execute(sql).fetchall()

    return way
