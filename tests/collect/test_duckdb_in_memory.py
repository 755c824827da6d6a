"""A source of another package may keep a DuckDB database in memory. It cannot be written either."""

from __future__ import annotations

from contextlib import closing, suppress
from pathlib import Path

import duckdb
import pytest

from tallybook.collect import CONFIG, DuckdbSource
from tallybook.core import SourceSettings


class InMemory(DuckdbSource):
    def database(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(config=CONFIG)
        connection.execute("CREATE TABLE facts AS SELECT 1 AS x")
        return connection


@pytest.mark.parametrize("statement", ["insert into facts values (2)", "update facts set x = 9", "drop table facts"])
def test_a_python_metric_cannot_write_to_a_database_in_memory(tmp_path: Path, statement: str) -> None:
    (tmp_path / "app.duckdb").touch()
    settings = SourceSettings(name="app", url=f"duckdb:///{tmp_path / 'app.duckdb'}")
    with closing(InMemory(settings)) as source:
        with source.sql_connection() as connection, suppress(duckdb.Error):
            connection.execute(statement)
            pytest.fail(f"{statement} was let through")
        with source.sql_connection() as connection:
            assert connection.execute("select * from facts").fetchall() == [(1,)]
