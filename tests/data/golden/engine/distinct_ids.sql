WITH points AS (
SELECT (day - CAST(dayofmonth(day) - 1 AS INTEGER)) AS g, p.d1 AS k0, p.*, FALSE AS carried
FROM additive_points p
WHERE definition = 'DEFINITION' AND day BETWEEN DATE '2024-01-01' AND DATE '2024-03-31' AND metric = 'customers' AND slot = 0
),
merged AS (
SELECT
  g, k0,
  sum(rows) AS rows,
  FALSE AS carried
FROM points
GROUP BY g, k0
),
slot0_points AS (
SELECT (day - CAST(dayofmonth(day) - 1 AS INTEGER)) AS g, p.d1 AS k0, p.*, FALSE AS carried
FROM ids_points p
WHERE definition = 'DEFINITION' AND day BETWEEN DATE '2024-01-01' AND DATE '2024-03-31' AND metric = 'customers'
),
slot0_distinct AS (
SELECT DISTINCT g, k0, id
FROM slot0_points
),
slot0_per_key AS (
SELECT g, k0, count(*) AS v
FROM slot0_distinct
GROUP BY g, k0
)
SELECT b.g, b.k0, b.rows,
  CAST(CAST(coalesce(j0.v, 0) AS DECIMAL(38,10)) AS DECIMAL(38,10)) AS value,
  FALSE AS approximate,
  b.carried,
  0 AS lost
FROM merged b
LEFT JOIN slot0_per_key j0 ON j0.g IS NOT DISTINCT FROM b.g AND j0.k0 IS NOT DISTINCT FROM b.k0
WHERE b.rows > 0;
