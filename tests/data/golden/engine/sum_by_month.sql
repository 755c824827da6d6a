WITH points AS (
SELECT (day - CAST(dayofmonth(day) - 1 AS INTEGER)) AS g, p.d1 AS k0, p.*, FALSE AS carried
FROM additive_points p
WHERE definition = 'DEFINITION' AND day BETWEEN DATE '2024-01-01' AND DATE '2024-03-31' AND metric = 'revenue' AND slot = 0 AND (d1 IS NOT DISTINCT FROM 'pro')
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
WHERE b.rows > 0;
