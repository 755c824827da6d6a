"""Statements of many metrics: as many columns as the source admits, and numbers as one query per metric gives them."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from decimal import Decimal

import pytest

from tallybook.collect import fused, planned_group
from tests.projects import project, sampled_everywhere

__all__ = ["project"]

DAYS = 70
FACTS = [
    (date(2024, 1, 1) + timedelta(days=i * 37 % DAYS), ("free", "pro", None)[i % 3], i * 7 % 20, Decimal(i % 9) / 4)
    for i in range(400)
]
TABLE = "facts (day date, plan varchar(9), v int, amount decimal(10, 2))"
METRIC = """
    [metrics.{name}]
    table = "facts"
    time = "day"
    by = ["plan"]
    where = "{where}"
    measure = "{measure}"
"""


@pytest.fixture
def narrow(monkeypatch):
    """Statements of few columns, whose rows are turned into points a few at a time."""
    monkeypatch.setattr(planned_group, "MAX_COLUMNS", 5)
    monkeypatch.setattr(fused, "MAX_VALUES", 40)
    monkeypatch.setattr(fused, "MAX_POINTS", 50)


@pytest.mark.parametrize("indexed", [False, True])
@sampled_everywhere
def test_a_condition_for_each_metric_gives_what_one_query_for_each_gives(project, kind, indexed, narrow):
    found = project(kind, now="2024-03-15T12:00")
    found.table(TABLE, FACTS)
    if indexed:
        found.execute("create index facts_day on facts (day)")
    counts = [METRIC.format(name=f"n{i}", where=f"v > {i}", measure="count(*)") for i in range(0, 20, 2)]
    sums = [METRIC.format(name=f"s{i}", where=f"v = {i}", measure="sum(amount) / count(*)") for i in range(0, 20, 3)]
    found.declare("".join(counts + sums))
    found.run()
    for i in range(0, 20, 2):
        expected = Counter((str(day), plan) for day, plan, v, _ in FACTS if v > i)
        rows = found.rows(f"n{i}", scope="day", by=["plan"], to="2024-03-10")
        assert {(r["period"], r["plan"]): r[f"n{i}"] for r in rows if r[f"n{i}"]} == expected
    for i in range(0, 20, 3):
        amounts = [amount for _, _, v, amount in FACTS if v == i]
        (row,) = found.rows(f"s{i}", scope="all", to="2024-03-10")
        assert float(row[f"s{i}"]) == pytest.approx(float(sum(amounts) / len(amounts)))


def test_more_columns_than_a_database_admits_are_asked_for_in_several_statements(project):
    found = project(now="2024-01-04T12:00")
    found.table(TABLE, FACTS[:50])
    found.declare("".join(METRIC.format(name=f"m{i}", where=f"v <> {i}", measure="sum(v)") for i in range(700)))
    report = found.run()
    assert {m.plan for m in report.metrics} == {"one scan"}
    expected = sum(v for day, _, v, _ in FACTS[:50] if day.isoformat() == "2024-01-02" and v != 14)
    assert found.ask("m14", from_="2024-01-02", to="2024-01-02") == {"2024-01-02": expected}
    assert report.version == 1


def test_a_long_time_of_many_metrics_writes_each_month_once(project):
    found = project(now="2024-03-15T12:00")
    found.table(TABLE, FACTS)
    found.declare("".join(METRIC.format(name=f"n{i}", where=f"v > {i}", measure="count(*)") for i in range(20)))
    found.run()
    store = found.book.store
    assert len(store.ledger.known_files()) == len(store.snapshot([]).files) == 3


def test_ids_of_a_statement_that_failed_are_not_counted_twice(project):
    """The opening balance of `seats` is staged before `broken` fails, and read again after it."""
    found = project("postgresql", now="2024-01-05T12:00")
    found.table(
        "subs (since date, until date, user_id int, amount int)",
        [("2023-12-01", "2024-01-03", 1, 1), ("2023-12-02", None, 2, 0), ("2024-01-02", "2024-01-04", 3, 0)],
    )
    level = '[metrics.{}]\nkind = "level"\ntable = "subs"\nfrom = "since"\nuntil = "until"\nmeasure = "{}"\n'
    found.declare(
        level.format("seats", "count(distinct user_id)") + level.format("broken", "count(distinct 1 / (amount - 1))")
    )
    report = found.book.run()
    assert [m.metric for m in report.failed] == ["broken"]
    assert found.ask("seats", scope="day") == {
        "2024-01-01": 2, "2024-01-02": 3, "2024-01-03": 2, "2024-01-04": 1,
    }  # fmt: skip
