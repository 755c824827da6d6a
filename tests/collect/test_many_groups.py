"""Statements with about as many groups as rows are sorted on MariaDB, with the same numbers."""

from __future__ import annotations

from typing import Any

from tallybook.collect.sources.server import ServerReader
from tests.projects import Project, project

__all__ = ["project"]
ROWS = [(f"2024-01-0{1 + i % 3} 10:00:00", "ab"[i % 2], i % 7, i % 4) for i in range(60)]


def test_distinct_values_and_percentiles_are_sorted_on_mariadb(project: Any, monkeypatch: Any) -> None:
    asked: list[str] = []
    untouched = ServerReader.batches

    def batches(self: ServerReader, sql: str, size: int = 50_000) -> Any:
        asked.append(sql)
        return untouched(self, sql, size)

    monkeypatch.setattr(ServerReader, "batches", batches)
    made: Project = project("mariadb", now="2024-01-04T12:00")
    made.table("t (at timestamp, plan varchar(3), who integer, ms integer)", ROWS)
    made.declare(
        """
        [metrics.n]
        table = "t"
        time = "at"
        measure = "count(*)"
        by = ["plan"]
        [metrics.people]
        table = "t"
        time = "at"
        measure = "count(distinct who)"
        by = ["plan"]
        [metrics.middle]
        table = "t"
        time = "at"
        measure = "median(ms)"
        by = ["plan"]
        """
    )
    made.run()
    keyed = [sql for sql in asked if "who" in sql or "ms" in sql]
    assert keyed
    assert all(sql.startswith("SELECT SQL_BIG_RESULT ") for sql in keyed), keyed
    assert not [sql for sql in asked if sql not in keyed and "SQL_BIG_RESULT" in sql]
    own = [[row for row in ROWS if row[1] == plan] for plan in "ab"]
    assert made.ask("people", scope="all", by=["plan"]) == {
        ("2024-01-01", plan): len({row[2] for row in rows}) for plan, rows in zip("ab", own, strict=True)
    }
    assert made.ask("middle", scope="all", by=["plan"]) == {("2024-01-01", "a"): 1.0, ("2024-01-01", "b"): 2.0}
