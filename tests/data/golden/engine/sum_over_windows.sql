WITH periods AS (
SELECT * FROM (VALUES (DATE '2024-01-07', DATE '2024-01-01', DATE '2024-01-07')) AS v(period, first, last)
),
points AS (
SELECT t.period AS g, p.*, FALSE AS carried
FROM additive_points p JOIN periods t ON p.day BETWEEN t.first AND t.last
WHERE definition = 'DEFINITION' AND day BETWEEN DATE '2024-01-01' AND DATE '2024-03-31' AND metric = 'revenue' AND slot = 0
),
merged AS (
SELECT
  g,
  sum(rows) AS rows,
  FALSE AS carried,
  sum(total) AS total0
FROM points
GROUP BY g
)
SELECT b.g, b.rows,
  CAST(coalesce(b.total0, 0) AS DECIMAL(38,10)) AS value,
  FALSE AS approximate,
  b.carried,
  0 AS lost
FROM merged b
WHERE b.rows > 0;
