"""From twenty declared metrics to the text of one statement; and what reading their measures costs before."""

from __future__ import annotations

from benchmarks import points
from benchmarks.databases import FIRST_DAY
from benchmarks.figures import Budget, Report, median_ms
from benchmarks.projects import open_at
from benchmarks.scene import Scene
from tallybook.collect.statements import Group
from tallybook.core import parse_measure

METRICS = 20
TIMES = 200


def measure(scene: Scene) -> Report:
    folder = points.additive_book(scene.new_folder(), metrics=METRICS, days=2)
    with open_at(folder, points.last_day(3)) as book:
        (work,) = book.plan().works
    assert work.group is not None
    whole, facts = work.group, work.facts
    assert len(facts) == METRICS

    def build() -> str:
        group = Group(whole.source, whole.key, facts, whole.zone)
        return group.select(group.additive().columns.expressions, FIRST_DAY, FIRST_DAY, split=False)

    texts = [one.bound.measure.text for one in facts]
    building = median_ms(TIMES, build)
    return Report(
        name="sql_build",
        what=f"one statement of {METRICS} fused metrics",
        figures={
            "build_ms": building,
            "parse_measures_ms": median_ms(TIMES, lambda: [parse_measure(text, "duckdb") for text in texts]),
            "statement_characters": len(build()),
        },
        budgets=[Budget(what=f"SQL of {METRICS} fused metrics", seen=building, limit=1, unit="ms")],
    )
