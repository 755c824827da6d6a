INSERT INTO new_additive BY NAME
WITH steps AS (
  SELECT metric, definition, slot, d1, day, sum(rows) AS rows, sum(n) AS n, sum(total) AS total, sum(total_f) AS total_f, sum(s1) AS s1, sum(s2) AS s2
  FROM delta_additive
  GROUP BY metric, definition, slot, d1, day
),
levels AS (
  SELECT metric, definition, slot, d1, day, lead(day) OVER w AS following, sum(rows) OVER w AS rows, sum(n) OVER w AS n, sum(total) OVER w AS total, sum(total_f) OVER w AS total_f, sum(s1) OVER w AS s1, sum(s2) OVER w AS s2
  FROM steps
  WINDOW w AS (PARTITION BY metric, definition, slot, d1 ORDER BY day)
)
SELECT metric, definition, slot, d1, unnest(generate_series(greatest(day, DATE '2024-01-01'), least(coalesce(following - 1, DATE '2024-03-31'), DATE '2024-03-31'), INTERVAL 1 DAY))::DATE AS day, CAST(rows AS BIGINT) AS rows, CAST(n AS BIGINT) AS n, CAST(total AS DECIMAL(38,10)) AS total, CAST(total_f AS DOUBLE) AS total_f, CAST(s1 AS DOUBLE) AS s1, CAST(s2 AS DOUBLE) AS s2
FROM levels
WHERE rows > 0;

DELETE FROM delta_additive;

INSERT INTO new_ids BY NAME
WITH steps AS (
  SELECT metric, definition, slot, d1, id, value, value_f, day, sum(n) AS n
  FROM delta_ids
  GROUP BY metric, definition, slot, d1, id, value, value_f, day
),
levels AS (
  SELECT metric, definition, slot, d1, id, value, value_f, day, lead(day) OVER w AS following, sum(n) OVER w AS n
  FROM steps
  WINDOW w AS (PARTITION BY metric, definition, slot, d1, id, value, value_f ORDER BY day)
)
SELECT metric, definition, slot, d1, id, value, value_f, unnest(generate_series(greatest(day, DATE '2024-01-01'), least(coalesce(following - 1, DATE '2024-03-31'), DATE '2024-03-31'), INTERVAL 1 DAY))::DATE AS day
FROM levels
WHERE n > 0;

DELETE FROM delta_ids;

SELECT low_f, metric, slot FROM raw_values WHERE isinf(low_f) OR isnan(low_f) LIMIT 1;

CREATE OR REPLACE TEMP TABLE held AS
WITH steps AS (
  SELECT metric, definition, slot, d1, low_f, value, day, sum(n) AS n
  FROM raw_values
  GROUP BY metric, definition, slot, d1, low_f, value, day
),
levels AS (
  SELECT metric, definition, slot, d1, low_f, value, day, lead(day) OVER w AS following, sum(n) OVER w AS n
  FROM steps
  WINDOW w AS (PARTITION BY metric, definition, slot, d1, low_f, value ORDER BY day)
)
SELECT metric, definition, slot, d1, low_f, value, unnest(generate_series(greatest(day, DATE '2024-01-01'), least(coalesce(following - 1, DATE '2024-03-31'), DATE '2024-03-31'), INTERVAL 1 DAY))::DATE AS day, n::BIGINT AS n
FROM levels
WHERE n > 0;

DELETE FROM raw_values;

DROP TABLE held;

SELECT 1 FROM raw_values LIMIT 1;
