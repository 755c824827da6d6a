WITH collected AS (
WITH points AS (
SELECT day AS g, p.d1 AS k0, p.*, FALSE AS carried
FROM new_additive p
WHERE definition = 'DEFINITION' AND day BETWEEN DATE '2024-01-01' AND DATE '2024-01-01' AND metric = 'revenue' AND slot = 0
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
),
published AS (
WITH points AS (
SELECT day AS g, p.d1 AS k0, p.*, FALSE AS carried
FROM new_additive p
WHERE definition = 'DEFINITION' AND day BETWEEN DATE '2024-01-01' AND DATE '2024-01-01' AND metric = 'revenue' AND slot = 0
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
SELECT coalesce(a.g, b.g), coalesce(a.k0, b.k0), b.value, a.value
FROM collected a FULL JOIN published b ON a.g IS NOT DISTINCT FROM b.g AND a.k0 IS NOT DISTINCT FROM b.k0
WHERE coalesce(a.g, b.g) IN (DATE '2024-01-01') AND (a.value IS DISTINCT FROM b.value)
ORDER BY 1
LIMIT 10000;
