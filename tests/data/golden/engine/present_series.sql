WITH points AS (
SELECT *, FALSE AS carried
FROM additive_points p
WHERE definition = 'DEFINITION' AND day BETWEEN DATE '2023-12-29' AND DATE '2024-03-31' AND metric = 'seats' AND slot = 0
),
facts AS (
SELECT *, FALSE AS carried
FROM additive_points p
WHERE definition = 'DEFINITION' AND day BETWEEN DATE '2023-12-29' AND DATE '2024-03-31' AND metric = 'seats' AND slot = 0
),
seen AS (
SELECT DISTINCT d1, day
FROM facts
WHERE rows > 0
),
spans AS (
SELECT d1, day,
  least(
    day + 3,
    coalesce(lead(day) OVER (PARTITION BY d1 ORDER BY day) - 1, day + 3),
    greatest(DATE '2024-03-31', day)
  ) AS upto
FROM seen
),
shown_days AS (
SELECT d1, day AS src,
  unnest(generate_series(day, upto, INTERVAL 1 DAY))::DATE AS shown
FROM spans
),
carried_points AS (
SELECT p.* REPLACE (s.shown AS day, s.shown > s.src AS carried)
FROM points p JOIN shown_days s ON p.day = s.src AND p.d1 IS NOT DISTINCT FROM s.d1
WHERE s.shown BETWEEN DATE '2024-01-01' AND DATE '2024-03-31'
)
SELECT DISTINCT day AS g, d1 AS k0
FROM carried_points
WHERE rows > 0;
