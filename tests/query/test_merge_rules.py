"""One table says how each part of a point merges: `PARTS` of `tallybook.core.points`. Merging, caching and staging read it."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tallybook.collect import staging
from tallybook.collect.staging import Staging
from tallybook.core import ADDITIVE, BUCKETS, IDS, StoredDefinition, points
from tallybook.core.measure.model import AGGREGATES
from tallybook.query import merge, points_cache
from tallybook.query.merge import Parts
from tallybook.query.point_relations import Points
from tests.projects import project

__all__ = ["project"]

SOURCE = Path(points.__file__).parents[1]
DAYS = date(2024, 1, 1), date(2024, 1, 31)
ONE_PART = r"\b(sum|min|max)\((rows|total|total_f|low|low_f|high|high_f)\b"
DECIMAL = r"DECIMAL\(38, ?10\)|decimal128\(38, 10"


class Recorder:
    """An engine that keeps the statements it is to execute."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def execute(self, sql: str) -> Recorder:
        self.statements.append(sql)
        return self

    def fetchall(self) -> list[Any]:
        return []


def test_each_kind_of_points_has_a_rule_for_each_of_its_parts():
    assert set(points.PARTS) == {ADDITIVE, IDS, BUCKETS}
    rules = {part.rule for parts in points.PARTS.values() for part in parts}
    assert rules == {points.SUM, points.MIN, points.MAX, points.UNION, points.CENTER}
    for kind, schema in points.SCHEMAS.items():
        assert [name for name, _ in schema[len(points.KEY) :]] == [part.name for part in points.PARTS[kind]]


def test_each_additive_aggregate_has_parts_that_exist():
    additive = {agg for agg, shape in AGGREGATES.items() if shape == ADDITIVE}
    assert set(points.PARTS_OF) == additive
    assert {part for parts in points.PARTS_OF.values() for part in parts} <= set(points.PART_TYPES[ADDITIVE])


@pytest.mark.parametrize("part", ["total", "rows"])
def test_another_rule_in_the_table_is_another_rule_everywhere(project, monkeypatch, part):
    made = project()
    made.table("t (day date, v int)", [("2024-01-01", 1)])
    made.declare('[metrics.s]\ntable = "t"\ntime = "day"\nmeasure = "sum(v)"')
    made.run()
    (definition,) = made.book.store.snapshot(["s"]).definitions["s"]
    bound = msgspec.json.decode(definition.body, type=StoredDefinition)

    def statements() -> list[str]:
        engine = Recorder()
        merged = Parts(bound, {ADDITIVE: Points("t")}, ()).finished("day", *DAYS)
        tables = {ADDITIVE: "a", "totals": "b"}
        points_cache._make_totals(engine, tables, False)
        cached = engine.statements.pop()
        Staging(engine).accumulate([], *DAYS)
        return [merged, cached, next(s for s in engine.statements if "delta_additive" in s and "INSERT" in s)]

    before = statements()
    monkeypatch.setitem(points.MERGE[ADDITIVE], part, "bit_xor")
    for old, new in zip(before, statements(), strict=True):
        assert f"sum({part})" in old or f"sum(CAST(trunc({part})" in old
        assert f"sum({part})" not in new
    assert "bit_xor" in statements()[0]


def test_merging_caching_and_staging_write_no_rule_of_their_own():
    for module in (merge, points_cache, staging):
        assert re.findall(ONE_PART, Path(module.__file__).read_text()) == []


def test_the_type_of_exact_numbers_and_the_number_of_dimensions_are_written_once():
    written = [
        f"{path.relative_to(SOURCE)}: {line.strip()}"
        for path in sorted(SOURCE.rglob("*.py"))
        if "testing" not in path.parts
        for line in re.sub(r'"""(.|\n)*?"""', "", path.read_text()).splitlines()
        if re.search(DECIMAL, line) or re.search(r"DIM\w*\s*=\s*16\b", line)
    ]
    hints = [line for line in written if "hint=" in line or "cast it to" in line]
    assert [line for line in written if line not in hints] == ["core/points.py: MAX_DIMENSIONS = 16"]
