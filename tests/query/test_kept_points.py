"""Points that are kept in memory follow the files of each version: what stays is copied, and only the rest is read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from tallybook.query import points_cache
from tallybook.query.points_cache import PointsCache, changed_files, fresh_tables
from tallybook.storage import PointsFile
from tests.projects import Project

DAYS = [date(2024, 1, 1) + timedelta(days=n) for n in range(130)]
METRICS = """
[metrics.orders]
table = "orders"
time = "day"
measure = "count(*)"
by = ["plan"]

[metrics.spread]
table = "orders"
time = "day"
measure = "stddev_samp(amount)"
by = ["plan"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path / "book", f"sqlite:///{tmp_path}/app.db", now="2024-05-01T12:00")
    rows = [(day, "ab"[n % 2], n % 11) for n, day in enumerate(DAYS) for _ in range(2)]
    made.table("orders (day date, plan text, amount int)", rows)
    made.declare(METRICS)
    made.run()
    yield made
    made.close()


def kept_and_read(project: Project) -> list[list[Any]]:
    """The rows of both kept tables, and those of tables that are made of all files: [kept, read, kept, read]."""
    for scope in ("week", "month", "day"):  # kept from the second question on
        project.ask("orders", scope=scope)
    cache: PointsCache = project.book.reader._engine._shelf
    kept = cache._kept
    assert kept is not None
    whole = cache._made(kept.key, kept.files)
    with closing(cache.connect()) as engine:
        found = []
        for kind in kept.tables:
            for tables in (kept.tables, whole.tables):
                columns = f"SELECT * FROM (FROM {tables[kind]}) ORDER BY ALL"
                found.append([repr(row) for row in engine.execute(columns).fetchall()])
    return found


def test_kept_points_are_those_of_the_files_after_every_kind_of_run(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    load = PointsCache._load
    monkeypatch.setattr(
        PointsCache, "_load", lambda self, *rest: read.append(sum(one.rows for one in rest[-1])) or load(self, *rest)
    )

    def check() -> None:
        table, whole_table, totals, whole_totals = kept_and_read(project)
        assert table == whole_table
        assert totals == whole_totals

    check()
    project.at("2024-05-09T12:00").run()
    check()
    incremental, whole = read[-2:]
    assert incremental < whole / 2, "only the changed months are read"
    project.execute("UPDATE orders SET amount = amount + 1 WHERE day < '2024-01-10'")
    project.run(from_="2024-01-05", to="2024-02-03")
    check()
    project.execute("DELETE FROM orders WHERE day BETWEEN '2024-03-01' AND '2024-03-20'")
    project.run(from_="2024-03-01", to="2024-03-31")
    check()
    project.declare(METRICS + METRICS.replace("orders]", "all]").replace("spread]", "more]"))
    project.run()
    check()


def test_a_version_that_differs_little_reads_the_tables_of_one_before(tmp_path: Path) -> None:
    """Nothing is copied; what no version reads is dropped with the last question that reads it."""
    project = Project(tmp_path / "book", f"sqlite:///{tmp_path}/app.db", now="2024-05-08T12:00")
    project.table("orders (day date, plan text, amount int)", [(day, "ab"[n % 2], n) for n, day in enumerate(DAYS)])
    project.declare(METRICS)
    project.run()
    table, whole_table, totals, whole_totals = kept_and_read(project)
    assert (table, totals) == (whole_table, whole_totals)
    cache: PointsCache = project.book.reader._engine._shelf
    first = cache._kept
    assert first is not None
    for amount in (100, 200, 300):
        project.execute(f"UPDATE orders SET amount = {amount} WHERE day = '2024-05-07'")
        project.run(from_="2024-05-07")
        assert project.ask("spread", scope="week")
        assert cache._kept is not None
        assert cache._kept.base is first
        table, whole_table, totals, whole_totals = kept_and_read(project)
        assert (table, totals) == (whole_table, whole_totals)
    names = {*first.tables.values(), *cache._kept.tables.values(), *fresh_tables(cache._kept.tables).values()}
    with closing(cache.connect()) as engine:
        there = "SELECT table_name FROM information_schema.tables WHERE table_name SIMILAR TO '(kept|fresh)_.*'"
        number = {int(name.rpartition("_")[2]) for name in names}
        found = {name for (name,) in engine.execute(there).fetchall()}
        # Tables that this test made of all files are no version's.
        assert names <= found
        assert not {name for name in found if name.startswith("fresh") and int(name.rpartition("_")[2]) not in number}
    cache.forget()
    with closing(cache.connect()) as engine:
        assert not names & {name for (name,) in engine.execute(there).fetchall()}
    project.close()


def file(path: str, first: str, last: str, rows: int = 10) -> PointsFile:
    days = date.fromisoformat(first), date.fromisoformat(last)
    return PointsFile(path=path, kind="additive", metric="", first=days[0], last=days[1], rows=rows, bytes=1)


JANUARY, FEBRUARY = file("1", "2024-01-01", "2024-01-31"), file("2", "2024-02-01", "2024-02-29")
MARCH, APRIL = file("3", "2024-03-01", "2024-03-20"), file("4", "2024-03-21", "2024-04-30")


@pytest.mark.parametrize(
    ("now", "read"),
    [
        ([JANUARY, FEBRUARY, MARCH, file("5", "2024-03-21", "2024-05-02")], ["5"]),
        ([JANUARY, FEBRUARY, MARCH, APRIL, file("5", "2024-04-30", "2024-04-30")], ["5"]),
        ([JANUARY, FEBRUARY, MARCH], None),  # nothing new: what is gone is gone
        ([file("6", "2024-01-01", "2024-04-30", 40)], None),
        ([JANUARY, FEBRUARY, file("7", "2024-03-01", "2024-04-30")], ["7"]),
    ],
)
def test_files_that_share_days_with_one_that_is_gone_are_read_again(
    now: list[PointsFile], read: list[str] | None
) -> None:
    change = changed_files([JANUARY, FEBRUARY, MARCH, APRIL], now)
    assert (change and [one.path for one in change.read]) == read
    before = [JANUARY, FEBRUARY, MARCH, APRIL, file("8", "2024-02-10", "2024-03-02")]
    change = changed_files(before, [JANUARY, FEBRUARY, file("9", "2024-03-01", "2024-03-02"), APRIL])
    assert change is not None
    assert sorted(one.path for one in change.read) == ["2", "9"], "February shares days with a file that is gone"


def test_much_that_changed_is_read_whole() -> None:
    assert points_cache.changed_files([JANUARY, FEBRUARY], [JANUARY, file("9", "2024-02-01", "2024-02-29")]) is not None
    assert points_cache.changed_files([JANUARY, FEBRUARY], [JANUARY, file("9", "2024-02-01", "2024-02-29", 30)]) is None
