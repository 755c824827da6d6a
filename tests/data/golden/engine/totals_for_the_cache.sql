CREATE OR REPLACE TABLE kept_totals AS
FROM (
WITH with_squares AS (
SELECT metric, definition, slot, day, rows, n, total, total_f, low, high, low_f, high_f, s1, s2, k
FROM kept_additive
WHERE s2 IS NOT NULL
),
totals AS (
SELECT metric, definition, slot, day,
  sum(rows) AS rows,
  sum(n) AS n,
  sum(total) AS total,
  sum(total_f) AS total_f,
  min(low) AS low,
  max(high) AS high,
  min(low_f) AS low_f,
  max(high_f) AS high_f,
  sum(s1) AS s1,
  sum(s2) AS s2,
  NULL::DOUBLE AS k
FROM kept_additive
WHERE s2 IS NULL
GROUP BY ALL
)
SELECT * FROM with_squares
UNION ALL BY NAME
SELECT * FROM totals
)
ORDER BY metric, definition, slot, day;
