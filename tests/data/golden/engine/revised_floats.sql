WITH collected AS (
WITH points AS (
SELECT day AS g, p.d1 AS k0, p.*, FALSE AS carried
FROM new_additive p
WHERE definition = 'DEFINITION' AND day BETWEEN DATE '2024-01-01' AND DATE '2024-03-31' AND metric = 'spread' AND slot = 0
),
merged AS (
SELECT
  g, k0,
  sum(rows) AS rows,
  FALSE AS carried,
  list({'n': CAST(n AS DOUBLE), 'k': coalesce(k, 0), 's1': s1, 's2': s2}) FILTER (n > 0) AS parts0
FROM points
GROUP BY g, k0
),
with_means AS (
SELECT
  *,
  list_sum(list_transform(parts0, lambda p: p.n)) AS n0,
  list_sum(list_transform(parts0, lambda p: p.n * (p.k - parts0[1].k) + p.s1)) AS mean0,
  list_sum(list_transform(parts0, lambda p: p.n * p.s2)) AS off0
FROM merged
),
centered AS (
SELECT
  * REPLACE (off0 * 1.1102230246251565e-16 AS off0),
  CASE WHEN n0 > 1 THEN greatest(list_sum(list_transform(parts0, lambda p: p.s2 + 2 * (p.k - parts0[1].k - mean0 / n0) * p.s1 + p.n * (p.k - parts0[1].k - mean0 / n0) * (p.k - parts0[1].k - mean0 / n0))), 0) ELSE 0 END AS squares0
FROM with_means
)
SELECT b.g, b.k0, b.rows,
  CASE WHEN NOT coalesce((b.n0 >= 2 AND b.off0 > 1e-06 * b.squares0), FALSE) THEN CAST(sqrt(CASE WHEN b.n0 >= 2 THEN b.squares0 / (b.n0 - 1) END) AS DOUBLE) END AS value,
  FALSE AS approximate,
  b.carried,
  CASE WHEN (b.n0 >= 2 AND b.off0 > 1e-06 * b.squares0) THEN 2 ELSE 0 END AS lost
FROM centered b
WHERE b.rows > 0
),
published AS (
WITH points AS (
SELECT day AS g, p.d1 AS k0, p.*, FALSE AS carried
FROM new_additive p
WHERE definition = 'DEFINITION' AND day BETWEEN DATE '2024-01-01' AND DATE '2024-03-31' AND metric = 'spread' AND slot = 0
),
merged AS (
SELECT
  g, k0,
  sum(rows) AS rows,
  FALSE AS carried,
  list({'n': CAST(n AS DOUBLE), 'k': coalesce(k, 0), 's1': s1, 's2': s2}) FILTER (n > 0) AS parts0
FROM points
GROUP BY g, k0
),
with_means AS (
SELECT
  *,
  list_sum(list_transform(parts0, lambda p: p.n)) AS n0,
  list_sum(list_transform(parts0, lambda p: p.n * (p.k - parts0[1].k) + p.s1)) AS mean0,
  list_sum(list_transform(parts0, lambda p: p.n * p.s2)) AS off0
FROM merged
),
centered AS (
SELECT
  * REPLACE (off0 * 1.1102230246251565e-16 AS off0),
  CASE WHEN n0 > 1 THEN greatest(list_sum(list_transform(parts0, lambda p: p.s2 + 2 * (p.k - parts0[1].k - mean0 / n0) * p.s1 + p.n * (p.k - parts0[1].k - mean0 / n0) * (p.k - parts0[1].k - mean0 / n0))), 0) ELSE 0 END AS squares0
FROM with_means
)
SELECT b.g, b.k0, b.rows,
  CASE WHEN NOT coalesce((b.n0 >= 2 AND b.off0 > 1e-06 * b.squares0), FALSE) THEN CAST(sqrt(CASE WHEN b.n0 >= 2 THEN b.squares0 / (b.n0 - 1) END) AS DOUBLE) END AS value,
  FALSE AS approximate,
  b.carried,
  CASE WHEN (b.n0 >= 2 AND b.off0 > 1e-06 * b.squares0) THEN 2 ELSE 0 END AS lost
FROM centered b
WHERE b.rows > 0
)
SELECT coalesce(a.g, b.g), coalesce(a.k0, b.k0), b.value, a.value
FROM collected a FULL JOIN published b ON a.g IS NOT DISTINCT FROM b.g AND a.k0 IS NOT DISTINCT FROM b.k0
WHERE coalesce(a.g, b.g) IN (DATE '2024-01-01', DATE '2024-03-31') AND ((a.value IS NULL) <> (b.value IS NULL) OR abs(a.value - b.value) > 1e-09 * greatest(abs(a.value), abs(b.value)))
ORDER BY 1
LIMIT 10000;
