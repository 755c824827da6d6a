WITH entities AS (
WITH points AS (
SELECT (day - CAST(dayofmonth(day) - 1 AS INTEGER)) AS g, p.d1 AS k0, p.*, FALSE AS carried
FROM additive_points p
WHERE definition = 'DEFINITION' AND day BETWEEN DATE '2024-01-01' AND DATE '2024-03-31' AND metric = 'per_account' AND slot = 0
),
merged AS (
SELECT
  g, k0,
  sum(rows) AS rows,
  FALSE AS carried,
  sum(total) AS total0
FROM points
GROUP BY g, k0
)
SELECT b.g, b.k0, b.rows,
  CAST(coalesce(b.total0, 0) AS DECIMAL(38,10)) AS value,
  FALSE AS approximate,
  b.carried,
  0 AS lost
FROM merged b
WHERE b.rows > 0
)
SELECT g, sum(rows) AS rows,
  CASE WHEN coalesce(max(lost) FILTER (k0 IS NOT NULL), 0) = 0 THEN CAST(quantile_cont(CAST(value AS DOUBLE), 0.5) FILTER (k0 IS NOT NULL) AS DOUBLE) END AS value,
  coalesce(bool_or(approximate) FILTER (k0 IS NOT NULL), FALSE) AS approximate,
  bool_or(carried) AS carried,
  coalesce(max(lost) FILTER (k0 IS NOT NULL), 0) AS lost
FROM entities
GROUP BY g;
