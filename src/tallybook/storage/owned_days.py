"""The table `owned` of the engine: the days of each metric that a commit replaces, and the rows of points in them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from tallybook.storage.ledger import Covered

if TYPE_CHECKING:
    import duckdb


def months_of(engine: duckdb.DuckDBPyConnection, table: str) -> list[tuple[str, date]]:
    return engine.execute(f"SELECT DISTINCT metric, date_trunc('month', day)::DATE FROM {table}").fetchall()


def owned_months(engine: duckdb.DuckDBPyConnection) -> list[tuple[str, date]]:
    months = "generate_series(date_trunc('month', first_day), last_day, INTERVAL 1 MONTH)"
    return engine.execute(f"SELECT DISTINCT metric, unnest({months})::DATE FROM owned").fetchall()


def staged_columns(engine: duckdb.DuckDBPyConnection, kind: str) -> list[str]:
    """The columns of a staging table, which lacks the dimensions that no metric uses."""
    return [row[0] for row in engine.execute(f"DESCRIBE new_{kind}").fetchall()]


def same_day_sql(left: str, right: str) -> str:
    """The SQL condition that a row of points (`left`) lies in a replaced stretch (`right`)."""
    same = [f"{left}.{name} = {right}.{name}" for name in ("metric", "definition")]
    return " AND ".join([*same, f"{left}.day BETWEEN {right}.first_day AND {right}.last_day"])


def has_equal_rows(engine: duckdb.DuckDBPyConnection, old: str, fresh: str) -> bool:
    """Whether the newly collected rows equal the old ones."""
    was, now = engine.execute(f"SELECT (SELECT count(*) FROM ({old})), (SELECT count(*) FROM ({fresh}))").fetchall()[0]
    # If the counts are equal and no row is missing, there are no extra rows either.
    return was == now and (not was or not engine.execute(f"({old}) EXCEPT ALL ({fresh}) LIMIT 1").fetchall())


def make_owned_days(
    engine: duckdb.DuckDBPyConnection, covered: Sequence[Covered], uncovered: Sequence[Covered]
) -> None:
    """Create the table of the days that this change replaces. `fresh`: whether there are new rows for them."""
    engine.execute(
        "CREATE OR REPLACE TEMP TABLE owned "
        "(metric VARCHAR, definition VARCHAR, first_day DATE, last_day DATE, fresh BOOLEAN)"
    )
    rows = [
        f"('{one.metric}', '{one.definition}', DATE '{first}', DATE '{last}', {fresh})"
        for several, fresh in ((covered, True), (uncovered, False))
        for one in several
        for first, last in one.stretches
    ]
    for at in range(0, len(rows), 1000):
        engine.execute(f"INSERT INTO owned VALUES {', '.join(rows[at : at + 1000])}")
