"""The SQL of the engine, word for word: named steps that a reader of SQL can review.

tests/data/golden/engine holds one file for each shape of statement. TALLYBOOK_GOLDEN=write writes them again."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

from tallybook.collect import revise
from tallybook.collect.staging import Staging
from tallybook.core import ADDITIVE, PLAIN, SCHEMAS, StoredDefinition
from tallybook.query import points_cache
from tallybook.query.merge import Parts
from tallybook.query.point_relations import Points, period_sql, values_relation
from tallybook.query.questions import Filter
from tests.projects import project

__all__ = ["project"]

GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "engine"
DAYS = date(2024, 1, 1), date(2024, 3, 31)
MONTH = period_sql("month", PLAIN, DAYS[0])
FACTS = 'table = "facts"\ntime = "paid"\nby = ["plan"]\n'
METRICS = f"""
[metrics.revenue]
{FACTS}measure = "sum(amount)"
[metrics.orders]
{FACTS}measure = "count(*)"
[metrics.mean]
{FACTS}measure = "sum(amount) / count(*)"
[metrics.spread]
{FACTS}measure = "stddev(score)"
[metrics.customers]
{FACTS}measure = "count(distinct account)"
[metrics.p95]
{FACTS}measure = "p95(score)"
[metrics.per_account]
{FACTS}per = "account"
measure = "sum(amount)"
then = "median"
[metrics.seats]
table = "seats"
kind = "level"
time = "day"
by = ["plan"]
carry = "3d"
measure = "sum(n)"
"""


class RecordingEngine:
    """An engine that keeps the statements it executes."""

    def __init__(self) -> None:
        self.engine = duckdb.connect()
        self.statements: list[str] = []

    def execute(self, sql: str, *values: Any) -> Any:
        self.statements.append(sql)
        return self.engine.execute(sql, *values)


@pytest.fixture
def bounds(project: Any) -> dict[str, StoredDefinition]:
    made = project("duckdb")
    made.table(
        "facts (paid timestamp, plan varchar, amount decimal(10, 2), score double, account int)",
        [("2024-01-01 10:00:00", "pro", 5, 0.5, 1)],
    )
    made.table("seats (day date, plan varchar, n int, received timestamp)", [("2024-01-01", "pro", 5, "2024-01-02")])
    made.declare(METRICS)
    made.run()
    known = made.book.store.snapshot().definitions
    return {name: msgspec.json.decode(several[0].body, type=StoredDefinition) for name, several in known.items()}


def relations() -> Mapping[str, Points]:
    return {kind: Points(f"{kind}_points") for kind in SCHEMAS}


def merged(bounds: Mapping[str, StoredDefinition]) -> dict[str, str]:
    """{file: statement} of questions."""
    pro, windows = (
        Filter(dimension="plan", value="pro", equal=True),
        [(date(2024, 1, 7), date(2024, 1, 1), date(2024, 1, 7))],
    )

    def of(name: str, by: tuple[str, ...] = ("plan",), group: str = MONTH, **more: Any) -> str:
        targets = more.pop("targets", None)
        return Parts(bounds[name], relations(), by, **more).finished(group, *DAYS, targets=targets)

    return {
        "sum_by_month": of("revenue", where=(pro,)),
        "sum_that_overflows": of("revenue", (), wide=True),
        "sum_over_windows": of("revenue", (), "period", targets=values_relation(windows)),
        "sums_of_several_metrics": of("revenue", together=[bounds["orders"]]),
        "mean_by_month": of("mean"),
        "standard_deviation": of("spread"),
        "distinct_ids": of("customers"),
        "percentile": of("p95"),
        "two_steps": of("per_account", ()),
        "carried_level_by_day": of("seats", group="day"),
        "present_series": Parts(bounds["seats"], relations(), ("plan",)).present("day", *DAYS),
    }


def staged(bounds: Mapping[str, StoredDefinition]) -> dict[str, str]:
    """{file: statements} of caching, staging and revising."""
    engine = RecordingEngine()
    tables = {ADDITIVE: "kept_additive", "totals": "kept_totals"}
    names = ", ".join(f"NULL::{type_} AS {name}" for name, type_ in SCHEMAS[ADDITIVE])
    engine.engine.execute(f"CREATE TABLE kept_additive AS SELECT {names} WHERE FALSE")
    points_cache._make_totals(engine, tables, False)  # type: ignore[arg-type]
    totals = engine.statements.copy()
    staging = Staging(engine, 1)  # type: ignore[arg-type]
    engine.statements.clear()
    staging.accumulate([], *DAYS)
    levels = engine.statements.copy()
    engine.engine.execute("INSERT INTO raw_values (metric, low_f, n) VALUES ('m', 1, 1)")
    engine.statements.clear()
    staging.bucket()
    buckets = engine.statements.copy()
    engine.statements.clear()
    revise.revisions(engine, bounds["revenue"], [DAYS[0]], lambda kind: f"new_{kind}")  # type: ignore[arg-type]
    exact = engine.statements.copy()
    engine.statements.clear()
    revise.revisions(engine, bounds["spread"], list(DAYS), lambda kind: f"new_{kind}")  # type: ignore[arg-type]
    return {
        name: ";\n\n".join(several)
        for name, several in {
            "totals_for_the_cache": totals,
            "levels_from_deltas": levels,
            "buckets": buckets,
            "revised_values": exact,
            "revised_floats": engine.statements,
        }.items()
    }


def test_the_sql_of_the_engine_is_as_it_was_reviewed(bounds: dict[str, StoredDefinition]) -> None:
    found = {}
    for name, sql in (merged(bounds) | staged(bounds)).items():
        found[f"{name}.sql"] = re.sub(r"'[0-9a-f]{6,}'", "'DEFINITION'", sql) + ";\n"
    if os.environ.get("TALLYBOOK_GOLDEN") == "write":
        GOLDEN.mkdir(parents=True, exist_ok=True)
        for path in GOLDEN.glob("*.sql"):
            path.unlink()
        for name, sql in found.items():
            (GOLDEN / name).write_text(sql, encoding="utf-8")
    assert {path.name: path.read_text(encoding="utf-8") for path in GOLDEN.glob("*.sql")} == found
