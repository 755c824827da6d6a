SELECT 1 FROM raw_values LIMIT 1;

SELECT low_f, metric, slot FROM raw_values WHERE isinf(low_f) OR isnan(low_f) LIMIT 1;

INSERT INTO new_buckets BY NAME
WITH merged AS (
  SELECT metric, definition, slot, d1, day, low_f AS v, sum(n) AS n
  FROM raw_values
  GROUP BY metric, definition, slot, d1, day, low_f
),
sized AS (
  SELECT *, count(*) OVER (PARTITION BY metric, definition, slot, d1, day) AS different
  FROM merged
),
placed AS (
  SELECT *, CASE WHEN different <= 1000 OR v = 0 THEN v ELSE sign(v) * CAST(ceil(ln(abs(v)) / ln(1.02020202020202)) AS INTEGER) END AS place
  FROM sized
)
SELECT metric, definition, slot, d1, day, CAST(min(v) AS DOUBLE) AS low_f, CAST(max(v) AS DOUBLE) AS high_f, CAST(sum(n) AS BIGINT) AS n
FROM placed
GROUP BY metric, definition, slot, d1, day, place, sign(v);

DELETE FROM raw_values;
