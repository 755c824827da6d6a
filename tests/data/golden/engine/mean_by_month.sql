WITH points AS (
SELECT (day - CAST(dayofmonth(day) - 1 AS INTEGER)) AS g, p.d1 AS k0, p.*, FALSE AS carried
FROM additive_points p
WHERE definition = 'DEFINITION' AND day BETWEEN DATE '2024-01-01' AND DATE '2024-03-31' AND metric = 'mean'
),
merged AS (
SELECT
  g, k0,
  sum(rows) FILTER (slot = 0) AS rows,
  FALSE AS carried,
  sum(total) FILTER (slot = 0) AS total0,
  sum(n) FILTER (slot = 1) AS n1
FROM points
GROUP BY g, k0
)
SELECT b.g, b.k0, b.rows,
  CAST((CAST(coalesce(b.total0, 0) AS DOUBLE) / nullif(CAST(CAST(coalesce(b.n1, 0) AS DECIMAL(38,10)) AS DOUBLE), 0)) AS DOUBLE) AS value,
  FALSE AS approximate,
  b.carried,
  0 AS lost
FROM merged b
WHERE b.rows > 0;
