"""The definition of a metric outlives every version of Tallybook: its hash names the parts in every book.

`data/definitions.json` has the hash of each metric below on each database, as the first published state computed it.
A hash may change only where the meaning of stored parts changed. There it must change, so that old and new
parts are never merged: such metrics are listed in RENEWED with the reason.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.projects import project

__all__ = ["project"]

PINNED = Path(__file__).resolve().parents[1] / "data" / "definitions.json"
DATABASES = ("sqlite", "duckdb", "postgresql", "mariadb")
RENEWED: dict[str, tuple[str, ...]] = {
    "distinct_single_float": ("mariadb",),  # a FLOAT is its stored value, not its first six digits
    "by_single_float": ("mariadb",),
    # Each of their parts has a K of its own.
    **dict.fromkeys(("stddev", "stddev_pop", "variance", "lifetime_spread", "per_account_spread"), DATABASES),
}
"""Metrics whose parts mean something else than before, and on which databases."""

TABLE = """facts (
    id integer primary key, created timestamp, day date, since timestamp, until timestamp, changed timestamp,
    seconds bigint, millis bigint, stamp varchar(40), moment varchar(40),
    plan varchar(20), country varchar(20), account integer, number integer, big bigint,
    price decimal(12, 2), ratio double precision, real_ratio float, flag boolean
)"""
ROWS = [
    (1, "2024-01-02 10:00:00", "2024-01-02", "2024-01-02 10:00:00", None, "2024-01-02 10:00:00",
     1704189600, 1704189600000, "2024-01-02 10:00:00", "2024-01-02T10:00:00+02:00",
     "pro", "DE", 1, 3, 5000000000, "9.90", 0.5, 0.25, True),
    (2, "2024-01-03 23:30:00", "2024-01-03", "2024-01-03 23:30:00", "2024-02-01 00:00:00", "2024-02-01 00:00:00",
     1704324600, 1704324600000, "2024-01-03 23:30:00", "2024-01-03T23:30:00-05:00",
     None, "FR", 2, 4, 6000000000, "19.90", 1.5, 0.75, False),
]  # fmt: skip

AGGREGATES = {
    "count_all": "count(*)",
    "count_column": "count(plan)",
    "count_filtered": "count(*) filter (where number > 3)",
    "sum_integer": "sum(number)",
    "sum_big": "sum(big)",
    "sum_decimal": "sum(price)",
    "sum_float": "sum(ratio)",
    "sum_case": "sum(case when plan = 'pro' then price else 0 end)",
    "avg_integer": "avg(number)",
    "avg_decimal": "avg(price)",
    "avg_float": "avg(ratio)",
    "min_decimal": "min(price)",
    "max_float": "max(ratio)",
    "min_integer": "min(number)",
    "distinct_integer": "count(distinct account)",
    "distinct_text": "count(distinct country)",
    "distinct_pair": "count(distinct account, country)",
    "distinct_double": "count(distinct ratio)",
    "distinct_single_float": "count(distinct real_ratio)",
    "sum_distinct": "sum(distinct price)",
    "avg_distinct": "avg(distinct number)",
    "median": "median(price)",
    "p95": "p95(ratio)",
    "quantile": "quantile(number, 0.25)",
    "percentile_cont": "percentile_cont(0.9) within group (order by price)",
    "first_price": "first(price)",
    "last_ratio": "last(ratio)",
    "stddev": "stddev(ratio)",
    "stddev_pop": "stddev_pop(price)",
    "variance": "variance(number)",
    "formula": "100 * sum(price) / nullif(count(*), 0)",
    "rounded": "round(coalesce(sum(price), 0), 1)",
}
FORMS = {
    "at_utc": 'time = "created"\nstored = "utc"',
    "at_local": 'time = "created"\nstored = "local"',
    "at_other_zone": 'time = "created"\nstored = "local"\nstored_zone = "Asia/Tokyo"',
    "by_date": 'time = "day"',
    "by_seconds": 'time = "seconds"\nstored = "epoch_s"',
    "by_millis": 'time = "millis"\nstored = "epoch_ms"',
    "by_text": 'time = "stamp"',
    "by_text_with_offset": 'time = "moment"\nstored = "offset"',
}
OTHERS = {
    "by_plan": 'time = "created"\nmeasure = "sum(price)"\nby = ["plan"]',
    "by_three": 'time = "created"\nmeasure = "count(*)"\nby = ["plan", "country", "flag"]',
    "by_integer": 'time = "created"\nmeasure = "count(*)"\nby = ["number"]',
    "by_double": 'time = "created"\nmeasure = "count(*)"\nby = ["ratio"]',
    "by_single_float": 'time = "created"\nmeasure = "count(*)"\nby = ["real_ratio"]',
    "where": 'time = "created"\nmeasure = "count(*)"\nwhere = "plan = \'pro\' and number > 2"',
    "with_decimals": 'time = "created"\nmeasure = "sum(ratio)"\ndecimals = 2',
    "lifetime": 'kind = "level"\nfrom = "since"\nuntil = "until"\nmeasure = "count(*)"\nby = ["plan"]',
    "lifetime_inclusive": (
        'kind = "level"\nfrom = "since"\nuntil = "until"\nuntil_inclusive = true\nmeasure = "sum(price)"'
    ),
    "lifetime_accounts": 'kind = "level"\nfrom = "since"\nuntil = "until"\nmeasure = "count(distinct account)"',
    "lifetime_spread": 'kind = "level"\nfrom = "since"\nuntil = "until"\nmeasure = "stddev(price)"',
    "snapshot": 'kind = "level"\nmeasure = "count(*)"',
    "daily_level": 'kind = "level"\ntime = "day"\nmeasure = "sum(number)"\nby = ["plan"]\ncarry = "3d"',
    "daily_unique": 'kind = "uniques"\ntime = "day"\nmeasure = "sum(number)"',
    "aggregate": 'time = "created"\nmeasure = "sum(number)"\ndaily_aggregate = true\nseries = ["account"]',
    "per_account": 'time = "created"\nmeasure = "sum(price)"\nper = "account"\nthen = "p90"',
    "per_account_spread": 'time = "created"\nmeasure = "stddev(price)"\nper = "account"\nthen = "max"',
    "follows": 'time = "created"\nmeasure = "count(*)"\nchanged = "changed"',
}


def declared() -> str:
    """All metrics of this file as TOML."""
    found = []
    for name, measure in AGGREGATES.items():
        found.append(f'[metrics.{name}]\ntable = "facts"\ntime = "created"\nmeasure = "{measure}"\n')
    for name, time in FORMS.items():
        found.append(f'[metrics.{name}]\ntable = "facts"\n{time}\nmeasure = "count(*)"\n')
    for name, rest in OTHERS.items():
        found.append(f'[metrics.{name}]\ntable = "facts"\n{rest}\n')
    joined = 'join = "other on other.id = account"\ntime = "created"\nmeasure = "count(*)"\nby = ["size"]'
    found.append(f'[metrics.joined]\ntable = "facts"\n{joined}\n')
    text = "select created, price * 2 as double_price, plan from facts where price > 1"
    found.append(f'[metrics.by_sql]\nsql = "{text}"\ntime = "created"\nmeasure = "sum(double_price)"\nby = ["plan"]\n')
    return "\n".join(found)


def definitions(project: Any, kind: str) -> dict[str, str]:
    """The definition of each metric on an empty book."""
    made = project(kind)
    made.table(TABLE, ROWS)
    made.table("other (id integer primary key, size varchar(10))", [(1, "small")])
    made.declare(declared(), timezone="Europe/Berlin")
    with_it = made.folder / "metrics"
    with_it.mkdir()
    (with_it / "tickets.py").write_text(
        "import tallybook\n\n\n@tallybook.metric\ndef tickets(day, db):\n    return 3\n", encoding="utf-8"
    )
    reports: dict[str, Any] = made.book.plan().reports
    assert {name: report.error for name, report in reports.items() if report.error} == {}
    return {name: report.definition for name, report in reports.items()}


@pytest.mark.parametrize("kind", DATABASES)
def test_definitions_keep_their_hash(project: Any, kind: str) -> None:
    found = definitions(project, kind)
    if os.environ.get("TALLYBOOK_DEFINITIONS") == "write":
        known = json.loads(PINNED.read_text()) if PINNED.exists() else {}
        PINNED.write_text(json.dumps({**known, kind: found}, indent=1, sort_keys=True) + "\n")
    pinned = json.loads(PINNED.read_text())[kind]
    assert found.keys() == pinned.keys()
    renewed = {name for name, kinds in RENEWED.items() if kind in kinds}
    assert {name for name in found if found[name] != pinned[name]} == renewed
