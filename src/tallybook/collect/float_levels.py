"""Sums of floats that begin and end: right at the end of each day, however far the values were that have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

LAST_DIGIT = 2.0**-50
"""How far a running sum may be off, as a fraction of all that it has added and taken away."""
WORST = 1e-12
"""How far a sum may be off, as a fraction of it."""


def accumulate_sums(engine: duckdb.DuckDBPyConnection, keys: str, mine: str, days: str, *, counted: bool) -> None:
    """Values that begin and end → their sum (and with `counted` their number) at the end of each day, by running sums.

    Where what was added and taken away is so large that too few digits remain, the values that are left are added."""
    engine.execute(
        f"CREATE OR REPLACE TEMP TABLE sum_deltas AS WITH changes AS (SELECT {keys}, day, low_f AS v, sum(n)::BIGINT AS n "
        f"FROM raw_values WHERE {mine} GROUP BY {keys}, day, low_f HAVING sum(n) <> 0) "
        f"SELECT *, dense_rank() OVER (ORDER BY {keys}) AS series FROM changes"
    ).fetchall()
    engine.execute(f"DELETE FROM raw_values WHERE {mine}")
    engine.execute(
        f"CREATE OR REPLACE TEMP TABLE sum_levels AS WITH steps AS (SELECT {keys}, series, day, sum(n)::BIGINT AS n, "
        f"fsum(n * v) AS total, fsum(abs(n * v)) AS seen FROM sum_deltas GROUP BY {keys}, series, day), "
        f"levels AS (SELECT {keys}, series, day, lead(day) OVER o AS following, sum(n) OVER o AS n, sum(total) OVER o AS total, "
        "sum(seen) OVER o AS seen FROM steps WINDOW o AS (PARTITION BY series ORDER BY day)) "
        f"SELECT *, row_number() OVER () AS id, seen * {LAST_DIGIT!r} <= {WORST!r} * abs(total) AS sure FROM levels WHERE n > 0"
    ).fetchall()
    number = ", n::BIGINT AS n" if counted else ""
    # The largest first: those that cancel each other out then leave nothing behind.
    engine.execute(
        "INSERT INTO new_additive BY NAME WITH left_over AS (SELECT l.id, d.v, sum(d.n) AS n FROM sum_levels l "
        "JOIN sum_deltas d ON d.series = l.series AND d.day <= l.day WHERE NOT l.sure GROUP BY l.id, d.v HAVING sum(d.n) <> 0), "
        "direct AS (SELECT id, fsum(n * v ORDER BY abs(v) DESC) AS exact FROM left_over GROUP BY id) "
        f"SELECT {keys}, {days}, 0 AS rows{number}, coalesce(exact, total) AS total_f FROM sum_levels LEFT JOIN direct USING (id)"
    ).fetchall()
    engine.execute("DROP TABLE sum_deltas")
    engine.execute("DROP TABLE sum_levels")
