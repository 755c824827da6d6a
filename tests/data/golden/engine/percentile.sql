WITH points AS (
SELECT (day - CAST(dayofmonth(day) - 1 AS INTEGER)) AS g, p.d1 AS k0, p.*, FALSE AS carried
FROM additive_points p
WHERE definition = 'DEFINITION' AND day BETWEEN DATE '2024-01-01' AND DATE '2024-03-31' AND metric = 'p95' AND slot = 0
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
FROM buckets_points p
WHERE definition = 'DEFINITION' AND day BETWEEN DATE '2024-01-01' AND DATE '2024-03-31' AND metric = 'p95'
),
slot0_values AS (
SELECT g, k0, CASE
    WHEN low_f = high_f THEN low_f
    WHEN low_f > 0 OR high_f < 0 THEN 2 * low_f * (high_f / (low_f + high_f))
    ELSE (low_f + high_f) / 2
  END AS v,
  sum(n) AS n, bool_or(low_f < high_f) AS wide
FROM slot0_points
GROUP BY g, k0, CASE
    WHEN low_f = high_f THEN low_f
    WHEN low_f > 0 OR high_f < 0 THEN 2 * low_f * (high_f / (low_f + high_f))
    ELSE (low_f + high_f) / 2
  END
),
slot0_ranked AS (
SELECT *, sum(n) OVER (PARTITION BY g, k0 ORDER BY v) AS upto,
  0.95 * (sum(n) OVER (PARTITION BY g, k0) - 1) AS rank_at
FROM slot0_values
),
slot0_per_key AS (
SELECT g, k0,
  max(v) FILTER (upto > floor(rank_at) AND upto - n <= floor(rank_at))
  + (max(v) FILTER (upto > ceil(rank_at) AND upto - n <= ceil(rank_at)) - max(v) FILTER (upto > floor(rank_at) AND upto - n <= floor(rank_at))) * (max(rank_at) - floor(max(rank_at))) AS v,
  bool_or(wide) AS wide
FROM slot0_ranked
GROUP BY g, k0
)
SELECT b.g, b.k0, b.rows,
  CAST(j0.v AS DOUBLE) AS value,
  coalesce(j0.wide, FALSE) AS approximate,
  b.carried,
  0 AS lost
FROM merged b
LEFT JOIN slot0_per_key j0 ON j0.g IS NOT DISTINCT FROM b.g AND j0.k0 IS NOT DISTINCT FROM b.k0
WHERE b.rows > 0;
