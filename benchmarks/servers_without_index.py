"""The same metrics over a year of a table without an index on its time, from MariaDB and from PostgreSQL."""

from __future__ import annotations

import contextlib
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks.databases import FIRST_DAY
from benchmarks.figures import Budget, Report, print_progress
from benchmarks.projects import collect, write_project
from benchmarks.scene import Scene
from tests import servers

DAYS = 365
MEASURES = {
    "orders": "count(*)",
    "revenue": "sum(amount)",
    "refunds": "count(*) filter (where status = 'refunded')",
    "largest": "max(amount)",
    "buyers": "count(distinct buyer_id)",
    "mean_amount": "avg(amount)",
}
BY = ["country", "plan"]
COLUMNS = """
    CREATE TABLE orders (
        id bigint NOT NULL PRIMARY KEY, placed_at {time} NOT NULL,
        country varchar(2) NOT NULL, plan varchar(10) NOT NULL, status varchar(10) NOT NULL,
        buyer_id integer NOT NULL, amount numeric(12, 2) NOT NULL)"""
FILL = {
    "postgresql": """
        INSERT INTO orders SELECT i, timestamp '{first}' + (i::bigint * 7919 % {seconds}) * interval '1 second',
            (ARRAY['DE', 'FR', 'US', 'JP', 'BR'])[1 + i % 5], (ARRAY['free', 'pro', 'team'])[1 + i % 3],
            CASE WHEN i % 20 = 0 THEN 'refunded' ELSE 'paid' END,
            i::bigint * 31 % 5000, (i::bigint * 37 % 100000) / 100.0
        FROM generate_series(1, {rows}) i""",
    "mariadb": """
        INSERT INTO orders SELECT seq, timestamp '{first} 00:00:00' + interval (seq * 7919 % {seconds}) second,
            elt(1 + seq % 5, 'DE', 'FR', 'US', 'JP', 'BR'), elt(1 + seq % 3, 'free', 'pro', 'team'),
            if(seq % 20 = 0, 'refunded', 'paid'), seq * 31 % 5000, (seq * 37 % 100000) / 100
        FROM seq_1_to_{rows}""",
}
TIMES = {"postgresql": "timestamp", "mariadb": "datetime"}
ANALYZE = {"postgresql": "VACUUM (FREEZE, ANALYZE) orders", "mariadb": "ANALYZE TABLE orders"}
COUNT = "SELECT country, plan, count(*), sum(amount) FROM orders GROUP BY country, plan"


def measure(scene: Scene) -> Report:
    rows = 200_000 if scene.quick else 5_000_000
    found: dict[str, dict[str, float]] = {}
    books = {}
    with servers.run() as run:
        for kind in FILL:
            server = servers.server(kind, run)
            name = server.create_database()
            print_progress(f"  {kind}: {rows:,} rows")
            _fill(kind, server, name, rows)
            books[kind] = _project(scene.new_folder(), server.url(name))
            found[kind] = _costs(books[kind], server, name)
    answers = [_answer(folder) for folder in books.values()]
    assert answers[0] == answers[1], "the two servers have the same rows, so the two books have the same numbers"
    ours, theirs = found["mariadb"], found["postgresql"]
    return Report(
        name="servers_without_index",
        what=(
            f"{len(MEASURES)} metrics by {' and '.join(BY)} over {DAYS} days of {rows:,} rows "
            "without an index on the time"
        ),
        figures={
            "rows": rows,
            **{f"{kind}_{name}": seconds for kind, costs in found.items() for name, seconds in costs.items()},
            "bare_count_ratio": ours["bare_count_s"] / theirs["bare_count_s"],
        },
        budgets=[
            Budget(
                what="collecting from MariaDB ÷ from PostgreSQL", seen=ours["collect_s"] / theirs["collect_s"], limit=3
            )
        ],
    )


def _fill(kind: str, server: servers.Server, name: str, rows: int) -> None:
    statements = (COLUMNS.format(time=TIMES[kind]), FILL[kind], ANALYZE[kind])
    with contextlib.closing(server.connect(name)) as connection, contextlib.closing(connection.cursor()) as cursor:
        for statement in statements:
            cursor.execute(statement.format(first=FIRST_DAY, rows=rows, seconds=DAYS * 86_400))


def _project(folder: Path, url: str) -> Path:
    shared = {"table": "orders", "time": "placed_at", "by": BY}
    metrics = {name: {**shared, "measure": measure} for name, measure in MEASURES.items()}
    return write_project(folder, url, metrics, start=FIRST_DAY)


def _costs(folder: Path, server: servers.Server, name: str) -> dict[str, float]:
    """Seconds of a grouped count, and of collecting everything."""
    with contextlib.closing(server.connect(name)) as connection, contextlib.closing(connection.cursor()) as cursor:
        began = time.perf_counter()
        cursor.execute(COUNT)
        cursor.fetchall()
        counted = time.perf_counter() - began
    began = time.perf_counter()
    collect(folder, FIRST_DAY + timedelta(days=DAYS - 1))
    return {"bare_count_s": counted, "collect_s": time.perf_counter() - began}


def _answer(folder: Path) -> list[dict[str, Any]]:
    import tallybook

    with tallybook.open(folder) as book:
        last = FIRST_DAY + timedelta(days=DAYS - 1)
        return list(book.query(*MEASURES, scope="month", by=BY, from_=FIRST_DAY, to=last).rows())
