WITH points AS (
SELECT (day - CAST(dayofmonth(day) - 1 AS INTEGER)) AS g, p.*, FALSE AS carried
FROM additive_points p
WHERE definition = 'DEFINITION' AND day BETWEEN DATE '2024-01-01' AND DATE '2024-03-31' AND metric = 'revenue' AND slot = 0
),
merged AS (
SELECT
  g,
  sum(rows) AS rows,
  FALSE AS carried,
  CASE WHEN sum(CAST(trunc(total) AS HUGEINT)) BETWEEN -9999999999999999000000000000 AND 9999999999999999000000000000 THEN CAST(sum(CAST(trunc(total) AS HUGEINT)) AS DECIMAL(38,10)) + sum(total - trunc(total)) END AS total0,
  (CAST(sum(CAST(trunc(total) AS HUGEINT)) AS DOUBLE) + CAST(sum(total - trunc(total)) AS DOUBLE)) AS float0
FROM points
GROUP BY g
)
SELECT b.g, b.rows,
  CASE WHEN NOT coalesce(FALSE, FALSE) AND NOT ((b.float0 IS NOT NULL AND b.total0 IS NULL) OR (TRY(CAST(coalesce(b.total0, 0) AS DECIMAL(38,10))) IS NULL AND TRY(CAST(coalesce(b.float0, 0) AS DOUBLE)) IS NOT NULL)) THEN TRY(CAST(coalesce(b.total0, 0) AS DECIMAL(38,10))) END AS value,
  FALSE AS approximate,
  b.carried,
  CASE WHEN (b.float0 IS NOT NULL AND b.total0 IS NULL) OR (TRY(CAST(coalesce(b.total0, 0) AS DECIMAL(38,10))) IS NULL AND TRY(CAST(coalesce(b.float0, 0) AS DOUBLE)) IS NOT NULL) THEN 1 ELSE 0 END AS lost
FROM merged b
WHERE b.rows > 0;
