"""Computes sums and squares of floats that begin and end, accurately at the end of each day, whatever has ended
before."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

LAST_DIGIT = 2.0**-50
"""Maximum error of a running sum, as a fraction of everything that it has added and subtracted."""
MAX_RELATIVE_ERROR = 1e-12
"""Maximum error of a sum or of squares, as a fraction of the result."""


def accumulate_sums(engine: duckdb.DuckDBPyConnection, keys: str, mine: str, days: str, *, counted: bool) -> None:
    """Compute the sum of values that begin and end (and with `counted` their number) at the end of each day, by running
    sums.

    If so much was added and subtracted that too few digits remain, the remaining values are added instead."""
    engine.execute(_sum_deltas(keys, mine)).fetchall()
    engine.execute(f"DELETE FROM raw_values WHERE {mine}")
    engine.execute(_sum_levels(keys)).fetchall()
    number = ", n::BIGINT AS n" if counted else ""
    engine.execute(_sums_of_days(keys, days, number)).fetchall()
    engine.execute("DROP TABLE sum_deltas")
    engine.execute("DROP TABLE sum_levels")


def accumulate_squares(engine: duckdb.DuckDBPyConnection, keys: str, mine: str, days: str) -> None:
    """Compute count, K and squares of values that begin and end, at the end of each day, by running sums around one K
    per series.

    If a value that ended was so far away that too few digits remain, the remaining values are used instead."""
    engine.execute(_square_deltas(keys, mine)).fetchall()
    engine.execute(f"DELETE FROM raw_values WHERE {mine}")
    engine.execute(_square_levels(keys)).fetchall()
    engine.execute(_squares_of_days(keys, days)).fetchall()
    engine.execute("DROP TABLE spread_deltas")
    engine.execute("DROP TABLE spread_levels")


def _changes_by_day(keys: str, mine: str) -> str:
    """SQL of the subquery `changes`: for each series, how many rows of each value began or ended on each day."""
    return f"""changes AS (
  SELECT {keys}, day, low_f AS v, sum(n)::BIGINT AS n
  FROM raw_values
  WHERE {mine}
  GROUP BY {keys}, day, low_f
  HAVING sum(n) <> 0
)"""


def _sum_deltas(keys: str, mine: str) -> str:
    """SQL that creates a table of the changes of each series on each day."""
    return f"""CREATE OR REPLACE TEMP TABLE sum_deltas AS
WITH {_changes_by_day(keys, mine)}
SELECT *, dense_rank() OVER (ORDER BY {keys}) AS series
FROM changes"""


def _sum_levels(keys: str) -> str:
    """SQL of the running sums of each series, and whether they are accurate enough."""
    return f"""CREATE OR REPLACE TEMP TABLE sum_levels AS
WITH steps AS (
  SELECT {keys}, series, day, sum(n)::BIGINT AS n, fsum(n * v) AS total, fsum(abs(n * v)) AS seen
  FROM sum_deltas
  GROUP BY {keys}, series, day
),
levels AS (
  SELECT {keys}, series, day, lead(day) OVER o AS following,
    sum(n) OVER o AS n, sum(total) OVER o AS total, sum(seen) OVER o AS seen
  FROM steps
  WINDOW o AS (PARTITION BY series ORDER BY day)
)
SELECT *, row_number() OVER () AS id, seen * {LAST_DIGIT!r} <= {MAX_RELATIVE_ERROR!r} * abs(total) AS sure
FROM levels
WHERE n > 0"""


def _sums_of_days(keys: str, days: str, number: str) -> str:
    """SQL of the sums at the end of each day: running sums if accurate, otherwise sums of the remaining values."""
    # The largest first, so that values which cancel each other out leave nothing behind.
    return f"""INSERT INTO new_additive BY NAME
WITH left_over AS (
  SELECT l.id, d.v, sum(d.n) AS n
  FROM sum_levels l JOIN sum_deltas d ON d.series = l.series AND d.day <= l.day
  WHERE NOT l.sure
  GROUP BY l.id, d.v
  HAVING sum(d.n) <> 0
),
direct AS (
  SELECT id, fsum(n * v ORDER BY abs(v) DESC) AS exact
  FROM left_over
  GROUP BY id
)
SELECT {keys}, {days}, 0 AS rows{number}, coalesce(exact, total) AS total_f
FROM sum_levels LEFT JOIN direct USING (id)"""


def _square_deltas(keys: str, mine: str) -> str:
    """SQL that creates a table of the changes of each series on each day, with one K per series."""
    return f"""CREATE OR REPLACE TEMP TABLE spread_deltas AS
WITH {_changes_by_day(keys, mine)},
numbered AS (
  SELECT *, dense_rank() OVER (ORDER BY {keys}) AS series
  FROM changes
),
placed AS (
  SELECT *, min(v) OVER p AS origin
  FROM numbered
  WINDOW p AS (PARTITION BY series)
)
SELECT *, origin + sum(abs(n) * (v - origin)) OVER p / sum(abs(n)) OVER p AS mid
FROM placed
WINDOW p AS (PARTITION BY series)"""


def _square_levels(keys: str) -> str:
    """SQL of the running squares of each series, and whether they are accurate enough."""
    return f"""CREATE OR REPLACE TEMP TABLE spread_levels AS
WITH steps AS (
  SELECT {keys}, series, mid, day, sum(n) AS n,
    sum(n * (v - mid)) AS s1,
    sum(n * (v - mid) * (v - mid)) AS s2,
    sum(abs(n) * (v - mid) * (v - mid)) AS seen
  FROM spread_deltas
  GROUP BY {keys}, series, mid, day
),
levels AS (
  SELECT {keys}, series, mid, day, lead(day) OVER o AS following,
    sum(n) OVER o AS n, sum(s1) OVER o AS s1, sum(s2) OVER o AS s2, sum(seen) OVER o AS seen
  FROM steps
  WINDOW o AS (PARTITION BY series ORDER BY day)
),
held AS (
  SELECT *, greatest(s2 - s1 * s1 / n, 0) AS squares
  FROM levels
  WHERE n > 0
)
SELECT *, row_number() OVER () AS id,
  seen * {LAST_DIGIT!r} <= {MAX_RELATIVE_ERROR!r} * squares AS sure
FROM held"""


def _squares_of_days(keys: str, days: str) -> str:
    """SQL of the squares at the end of each day: running squares if accurate, otherwise those of the remaining
    values."""
    return f"""INSERT INTO new_additive BY NAME
WITH left_over AS (
  SELECT l.id, d.v, sum(d.n) AS n
  FROM spread_levels l JOIN spread_deltas d ON d.series = l.series AND d.day <= l.day
  WHERE NOT l.sure
  GROUP BY l.id, d.v
  HAVING sum(d.n) > 0
),
placed AS (
  SELECT *, min(v) OVER p AS origin
  FROM left_over
  WINDOW p AS (PARTITION BY id)
),
centered AS (
  SELECT *, origin + sum(n * (v - origin)) OVER p / sum(n) OVER p AS k
  FROM placed
  WINDOW p AS (PARTITION BY id)
),
direct AS (
  SELECT id, k, sum(n * (v - k)) AS s1, sum(n * (v - k) * (v - k)) AS s2
  FROM centered
  GROUP BY id, k
)
SELECT {keys}, {days}, 0 AS rows, l.n,
  coalesce(x.k, mid + l.s1 / l.n) AS k,
  coalesce(x.s1, 0) AS s1,
  coalesce(x.s2, squares) AS s2
FROM spread_levels l LEFT JOIN direct x USING (id)"""
