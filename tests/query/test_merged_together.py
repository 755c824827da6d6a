"""Metrics that are merged in one pass have the numbers of each by itself: operands and comparisons, too."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.projects import Project

DAYS = [date(2024, 1, 1) + timedelta(days=n) for n in range(69)]
METRICS = """
[metrics.orders]
table = "orders"
time = "day"
measure = "count(*)"
by = ["plan"]

[metrics.large]
table = "orders"
time = "day"
measure = "count(*)"
where = "amount > 6"
by = ["plan"]

[metrics.late]
table = "orders"
time = "day"
measure = "count(*)"
where = "amount > 8"
by = ["plan"]

[metrics.share]
measure = "large / orders"

[metrics.late_share]
measure = "late / large"

[metrics.twice]
measure = "share + late_share"
"""
NAMES = ["orders", "large", "late", "share", "late_share", "twice"]
ASKED: list[dict[str, Any]] = [
    {"scope": "week"},
    {"scope": "week", "compare": "previous"},
    {"scope": "month", "compare": "1 month", "from_": "2024-02-03"},
    {"scope": "day", "compare": "7 days", "by": ["plan"], "from_": "2024-01-20", "to": "2024-02-20"},
    {"scope": "month", "by": ["plan"], "totals": True},
    {"scope": "week", "where": ["plan=a"], "compare": "previous", "from_": "2024-02-27"},
    {"scope": "all", "from_": "2024-02-05", "compare": "previous"},
    {"scope": "quarter", "compare": "1 year"},
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("together") / "book"
    made = Project(folder, f"sqlite:///{folder.with_suffix('.db')}", now="2024-03-10T12:00")
    rows = [(day, "ab"[n % 2], n % 11) for place, day in enumerate(DAYS) for n in range(place % 13)]
    made.table("orders (day date, plan text, amount int)", rows)
    made.declare(METRICS)
    # Days of one operand are missing: values of derived metrics are over the days that all of them cover.
    made.book.run("orders", "late")
    made.book.run("large", from_="2024-01-01", to="2024-01-21")
    made.book.run("large", from_="2024-01-30", to="2024-03-09")
    yield made
    made.close()


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: " ".join(map(str, asked.values())))
def test_metrics_that_are_merged_together_have_the_numbers_of_each_alone(
    project: Project, asked: dict[str, Any]
) -> None:
    together = project.book.query(*NAMES, **asked)
    columns, names, seen = [column.name for column in together.columns], NAMES, 0
    for name in names:
        alone = project.book.query(name, **asked)
        own = [column.name for column in alone.columns if column.role == "metric" or column.name.startswith(name)]
        known = {_key(row): row for row in together.data}
        assert set(own) <= set(columns)
        for row in alone.data:
            if row.get("no_series"):
                continue
            joint = known[_key(row)]
            assert [row[one] for one in own] == [joint[one] for one in own], (name, row)
            seen += 1
    assert seen >= len(names)


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["period"], row.get("plan"), bool(row.get("total"))


def test_amounts_in_cents_are_divided_once_also_where_they_are_operands(tmp_path: Path) -> None:
    made = Project(tmp_path / "book", f"sqlite:///{tmp_path}/app.db", now="2024-01-08T12:00")
    made.table("sales (day date, cents int, fee int)", [("2024-01-01", 1050, 50), ("2024-01-02", 2000, 100)])
    cents = """
        [metrics.{name}]
        table = "sales"
        time = "day"
        measure = "sum({column})"
        unit = "EUR"
        minor_units = true
    """
    derived = """
        [metrics.share]
        measure = "fees / revenue"

        [metrics.net]
        measure = "revenue - fees"
    """
    made.declare(cents.format(name="revenue", column="cents") + cents.format(name="fees", column="fee") + derived)
    made.run()
    (row,) = made.rows("revenue", "fees", "net", "share", scope="week")
    found = [float(row[name]) for name in ("revenue", "fees", "net", "share")]
    assert found == pytest.approx([30.5, 1.5, 29.0, 1.5 / 30.5])
    (row,) = made.rows("net", "revenue", scope="week")
    assert (float(row["net"]), float(row["revenue"])) == (29.0, 30.5)
    made.close()


LEVELS = """
[metrics.seats]
kind = "level"
table = "levels"
time = "day"
measure = "sum(seats)"
by = ["plan"]

[metrics.used]
kind = "level"
table = "levels"
time = "day"
measure = "sum(used)"
by = ["plan"]

[metrics.paid]
kind = "level"
table = "levels"
time = "day"
measure = "sum(seats)"
where = "plan = 'a'"
by = ["plan"]

[metrics.carried]
kind = "level"
carry = "3d"
table = "levels"
time = "day"
measure = "sum(used)"
by = ["plan"]

[metrics.use]
measure = "used / seats"

[metrics.free]
measure = "seats - used"
"""
LEVEL_NAMES = ["seats", "used", "paid", "carried", "use", "free"]
ASKED_OF_LEVELS: list[dict[str, Any]] = [
    *ASKED,
    {"scope": "month", "show": "first"},
    {"scope": "week", "show": "average"},
    {"scope": "week", "show": "change", "by": ["plan"]},
    {"scope": "day", "from_": "2024-01-18", "to": "2024-02-01", "where": ["plan=b"]},
]


@pytest.fixture(scope="module")
def levels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("levels") / "book"
    made = Project(folder, f"sqlite:///{folder.with_suffix('.db')}", now="2024-03-10T12:00")
    rows = [
        (day, plan, 10 * place + n, (place * 7 + n) % 10)
        for place, day in enumerate(DAYS)
        for n, plan in enumerate("ab")
        if place % 9 != 4 or plan == "a"
    ]
    made.table("levels (day date, plan text, seats int, used int)", rows)
    made.declare(LEVELS)
    made.book.run("seats", "paid", "carried")
    made.book.run("used", from_="2024-01-01", to="2024-01-21")
    made.book.run("used", from_="2024-01-30", to="2024-03-09")
    yield made
    made.close()


@pytest.mark.cases(6)
@pytest.mark.parametrize("asked", ASKED_OF_LEVELS, ids=lambda asked: " ".join(map(str, asked.values())))
def test_levels_that_are_read_together_have_the_numbers_of_each_alone(levels: Project, asked: dict[str, Any]) -> None:
    names = LEVEL_NAMES[:4] if asked.get("show") in ("first", "average", "change") else LEVEL_NAMES
    together, seen = levels.book.query(*names, **asked), 0
    for name in names:
        alone = levels.book.query(name, **asked)
        own = [column.name for column in alone.columns if column.role == "metric" or column.name.startswith(name)]
        known = {_key(row): row for row in together.data}
        for row in alone.data:
            if row.get("no_series"):
                continue
            joint = known[_key(row)]
            assert [row[one] for one in own] == [joint[one] for one in own], (name, row)
            seen += 1
    assert seen >= len(names)


def test_levels_that_choose_the_same_days_are_one_statement(levels: Project) -> None:
    statements = levels.book.query("seats", "used", "paid", scope="week", from_="2024-02-05").sql.split(";\n\n")
    assert len(statements) == 1
