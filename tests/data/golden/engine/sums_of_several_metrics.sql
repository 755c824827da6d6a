WITH points AS (
SELECT (day - CAST(dayofmonth(day) - 1 AS INTEGER)) AS g, p.metric AS k0, p.d1 AS k1, p.*, FALSE AS carried
FROM additive_points p
WHERE definition IN ('DEFINITION', 'DEFINITION') AND day BETWEEN DATE '2024-01-01' AND DATE '2024-03-31' AND slot = 0
),
merged AS (
SELECT
  g, k0, k1,
  sum(rows) AS rows,
  FALSE AS carried,
  sum(total) AS total0
FROM points
GROUP BY g, k0, k1
)
SELECT b.g, b.k0, b.k1, b.rows,
  CAST(coalesce(b.total0, 0) AS DECIMAL(38,10)) AS value,
  FALSE AS approximate,
  b.carried,
  0 AS lost
FROM merged b
WHERE b.rows > 0;
