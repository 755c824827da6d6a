-- additive, by one scan over days
SELECT CASE WHEN `at` < toDateTime64('2024-03-30 23:00:00', 0, 'UTC') THEN 0 ELSE CASE WHEN `at` < toDateTime64('2024-03-31 22:00:00', 0, 'UTC') THEN 1 ELSE 2 END END AS c0, toString(`plan`) AS c1, COUNT(*) AS c2, SUM((amount)) AS c3, SUM((score)) AS c4, COUNT((score)) AS c5, SUM(toInt128((account_id))) AS c6, COUNT(CASE WHEN (score > 1) THEN 1 END) AS c7
FROM `events`
WHERE `at` >= toDateTime64('2024-03-29 23:00:00', 0, 'UTC') AND `at` < toDateTime64('2024-04-01 22:00:00', 0, 'UTC') AND (amount > 0)
GROUP BY 1, 2;

-- mean and variance
SELECT toString(`plan`) AS c0, COUNT(*) AS c1, avgOrNull(toFloat64(CASE WHEN (score > 1) THEN (score) END)) AS c2, varPopStableOrNull(toFloat64(CASE WHEN (score > 1) THEN (score) END)) AS c3, minOrNull(toFloat64(CASE WHEN (score > 1) THEN (score) END)) AS c4, maxOrNull(toFloat64(CASE WHEN (score > 1) THEN (score) END)) AS c5, COUNT(CASE WHEN (score > 1) THEN (score) END) AS c6
FROM `events`
WHERE `at` >= toDateTime64('2024-03-29 23:00:00', 0, 'UTC') AND `at` < toDateTime64('2024-04-01 22:00:00', 0, 'UTC')
GROUP BY 1;

-- additive, of one day
SELECT toString(`plan`) AS c0, COUNT(*) AS c1
FROM `events`
WHERE `at` >= toDateTime64('2024-03-29 23:00:00', 0, 'UTC') AND `at` < toDateTime64('2024-03-30 23:00:00', 0, 'UTC') AND (amount > 0)
GROUP BY 1;

-- keyed
SELECT CASE WHEN `at` < toDateTime64('2024-03-30 23:00:00', 0, 'UTC') THEN 0 ELSE CASE WHEN `at` < toDateTime64('2024-03-31 22:00:00', 0, 'UTC') THEN 1 ELSE 2 END END AS c0, toString(`plan`) AS c1, toString((email)) AS c2, COUNT(*) AS c3
FROM `events`
WHERE `at` >= toDateTime64('2024-03-29 23:00:00', 0, 'UTC') AND `at` < toDateTime64('2024-04-01 22:00:00', 0, 'UTC') AND (email) IS NOT NULL
GROUP BY 1, 2, 3;

-- buckets
SELECT CASE WHEN `at` < toDateTime64('2024-03-30 23:00:00', 0, 'UTC') THEN 0 ELSE CASE WHEN `at` < toDateTime64('2024-03-31 22:00:00', 0, 'UTC') THEN 1 ELSE 2 END END AS c0, toFloat64((amount)) AS c1, COUNT(*) AS c2
FROM `events`
WHERE `at` >= toDateTime64('2024-03-29 23:00:00', 0, 'UTC') AND `at` < toDateTime64('2024-04-01 22:00:00', 0, 'UTC') AND (amount) IS NOT NULL
GROUP BY 1, 2;

-- by time
SELECT c0, c1, c2, c3, 1 AS c4
FROM (SELECT x.*, ROW_NUMBER() OVER (PARTITION BY c0, c1 ORDER BY c4 DESC, c3 DESC) AS tallybook_rank
FROM (SELECT CASE WHEN `at` < toDateTime64('2024-03-30 23:00:00', 0, 'UTC') THEN 0 ELSE CASE WHEN `at` < toDateTime64('2024-03-31 22:00:00', 0, 'UTC') THEN 1 ELSE 2 END END AS c0, toString(`plan`) AS c1, `at` AS c2, (amount) AS c3, `at` AS c4
FROM `events`
WHERE `at` >= toDateTime64('2024-03-29 23:00:00', 0, 'UTC') AND `at` < toDateTime64('2024-04-01 22:00:00', 0, 'UTC') AND (amount) IS NOT NULL) x) y
WHERE tallybook_rank = 1;

-- latest
SELECT CASE WHEN `day` < toDate32('2024-03-31') THEN 0 ELSE CASE WHEN `day` < toDate32('2024-04-01') THEN 1 ELSE 2 END END AS c0, COUNT(*) AS c1, SUM(toInt128((seats))) AS c2
FROM (SELECT *
FROM (SELECT x.*, ROW_NUMBER() OVER (PARTITION BY CASE WHEN `day` < toDate32('2024-03-31') THEN 0 ELSE CASE WHEN `day` < toDate32('2024-04-01') THEN 1 ELSE 2 END END, toString(`email`) ORDER BY CASE WHEN `day` IS NULL THEN 1 ELSE 0 END, `day` DESC) AS tallybook_rank
FROM (SELECT *
FROM `events`
WHERE `day` >= toDate32('2024-03-30') AND `day` < toDate32('2024-04-02')) x) y
WHERE tallybook_rank = 1) f
GROUP BY 1;

-- intervals, what holds before
SELECT toString(`plan`) AS c0, COUNT(*) AS c1, SUM(toInt128((mrr))) AS c2
FROM `subscriptions`
WHERE `started` < toDateTime64('2024-03-29 23:00:00', 0, 'UTC') AND (`ended` IS NULL OR `ended` >= toDateTime64('2024-03-29 23:00:00', 0, 'UTC'))
GROUP BY 1;

-- intervals, what begins
SELECT CASE WHEN `started` < toDateTime64('2024-03-30 23:00:00', 0, 'UTC') THEN 0 ELSE CASE WHEN `started` < toDateTime64('2024-03-31 22:00:00', 0, 'UTC') THEN 1 ELSE 2 END END AS c0, toString(`plan`) AS c1, COUNT(*) AS c2, SUM(toInt128((mrr))) AS c3
FROM `subscriptions`
WHERE `started` >= toDateTime64('2024-03-29 23:00:00', 0, 'UTC') AND `started` < toDateTime64('2024-04-01 22:00:00', 0, 'UTC') AND (`ended` IS NULL OR `ended` >= CASE WHEN `started` < toDateTime64('2024-03-30 23:00:00', 0, 'UTC') THEN toDateTime64('2024-03-30 23:00:00', 0, 'UTC') ELSE CASE WHEN `started` < toDateTime64('2024-03-31 22:00:00', 0, 'UTC') THEN toDateTime64('2024-03-31 22:00:00', 0, 'UTC') ELSE toDateTime64('2024-04-01 22:00:00', 0, 'UTC') END END)
GROUP BY 1, 2;

-- intervals, what ends
SELECT CASE WHEN `ended` < toDateTime64('2024-03-30 23:00:00', 0, 'UTC') THEN 0 ELSE CASE WHEN `ended` < toDateTime64('2024-03-31 22:00:00', 0, 'UTC') THEN 1 ELSE 2 END END AS c0, toString(`plan`) AS c1, COUNT(*) AS c2, SUM(toInt128((mrr))) AS c3
FROM `subscriptions`
WHERE `ended` >= toDateTime64('2024-03-29 23:00:00', 0, 'UTC') AND `ended` < toDateTime64('2024-04-01 22:00:00', 0, 'UTC') AND `started` < CASE WHEN `ended` < toDateTime64('2024-03-30 23:00:00', 0, 'UTC') THEN toDateTime64('2024-03-29 23:00:00', 0, 'UTC') ELSE CASE WHEN `ended` < toDateTime64('2024-03-31 22:00:00', 0, 'UTC') THEN toDateTime64('2024-03-30 23:00:00', 0, 'UTC') ELSE toDateTime64('2024-03-31 22:00:00', 0, 'UTC') END END
GROUP BY 1, 2;

-- intervals that end before they begin
SELECT COUNT(*) AS c0
FROM `subscriptions`
WHERE `ended` <= `started` AND NOT (`ended` IS NULL);

-- snapshot
SELECT toString(`plan`) AS c0, COUNT(*) AS c1
FROM `subscriptions`
WHERE (ended is null)
GROUP BY 1;

-- floats with decimals
SELECT COUNT(*) AS c0, SUM((CAST(toInt64(round(((score)) * 100)) AS Nullable(Decimal(38, 0))) * CAST('0.01' AS Decimal(38, 2)))) AS c1, SUM(CASE WHEN abs((score) - toFloat64((CAST(toInt64(round(((score)) * 100)) AS Nullable(Decimal(38, 0))) * CAST('0.01' AS Decimal(38, 2))))) > 1e-5 + 1e-15 * abs((score)) THEN 1 END) AS c2
FROM `events`
WHERE `at` >= toDateTime64('2024-03-29 23:00:00', 0, 'UTC') AND `at` < toDateTime64('2024-04-01 22:00:00', 0, 'UTC');

-- changed since
SELECT DISTINCT transform(roundDown(toUnixTimestamp64Milli(toDateTime64(`at`, 3, 'UTC')), [-100000000000000000, 1711753200000, 1711839600000, 1711922400000, 1712008800000]), [-100000000000000000, 1711753200000, 1711839600000, 1711922400000, 1712008800000], [0, 1, 2, 3, 4], -1) AS c0
FROM `events`
WHERE `updated_at` >= toDateTime64('2024-04-01 04:00:00', 0, 'UTC');

-- joined
SELECT CASE WHEN `at` < toDateTime64('2024-03-30 23:00:00', 0, 'UTC') THEN 0 ELSE CASE WHEN `at` < toDateTime64('2024-03-31 22:00:00', 0, 'UTC') THEN 1 ELSE 2 END END AS c0, toString(`accounts.region`) AS c1, COUNT(*) AS c2
FROM (SELECT `events`.*, `accounts`.`region` AS `accounts.region`
FROM `events` `events` LEFT JOIN `accounts` `accounts` ON `accounts`.`id` = `events`.`account_id` SETTINGS join_use_nulls = 1) `events`
WHERE `at` >= toDateTime64('2024-03-29 23:00:00', 0, 'UTC') AND `at` < toDateTime64('2024-04-01 22:00:00', 0, 'UTC')
GROUP BY 1, 2;

-- the earliest
SELECT minOrNull(`at`)
FROM `events`
WHERE `at` IS NOT NULL;

-- a sample
SELECT 1
FROM `events` LIMIT 1000;
