"""Deliveries into a table of a database of your own: the rows of the answer, each version whole."""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from tallybook.deliver.destinations import own_table
from tests.conftest import sampled
from tests.loading import open_database
from tests.projects import Project, project

__all__ = ["project"]

KINDS = ["sqlite", "postgresql", "mariadb"]


def declared(project: Any, url: str, more: str = "") -> Project:
    made = project(now="2024-03-06T12:00")
    made.table(
        "visits (at timestamp, plan varchar(9), n decimal(12,2))",
        [
            ("2024-03-04 10:00:00", "pro", "2.5"),
            ("2024-03-04 10:00:00", None, "3"),
            ("2024-03-05 10:00:00", "pro", "5"),
        ],
    )
    write(made, url, more)
    return made


def write(made: Project, url: str, more: str = "", metrics: str = '["visits"]') -> None:
    made.declare(
        f"""
        [metrics.visits]
        table = "visits"
        time = "at"
        measure = "sum(n)"
        by = ["plan"]
        [metrics.facts]
        table = "visits"
        time = "at"
        measure = "count(*)"
        by = ["plan"]
        [deliveries.warehouse]
        to = "table"
        url = "{url}"
        table = "daily_visits"
        metrics = {metrics}
        by = ["plan"]
        {more}
        """,
        start="2024-03-04",
    )


def stored(url: str, columns: str = "period, plan, visits") -> list[tuple[Any, ...]]:
    with open_database(url).cursor() as cursor:
        cursor.execute(f"select {columns} from daily_visits order by period, plan")
        return sorted((str(row[0]), row[1] or "", *(Decimal(str(v)) for v in row[2:])) for row in cursor.fetchall())


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_has_the_rows_of_the_answer_and_follows_it(project, make_database, kind):
    url = make_database(kind)
    made = declared(project, url)
    assert [(d.status, d.rows, d.path) for d in made.run().deliveries] == [("delivered", 3, "daily_visits")]
    assert stored(url) == [("2024-03-04", "", 3), ("2024-03-04", "pro", Decimal("2.5")), ("2024-03-05", "pro", 5)]
    made.execute("delete from visits where plan is null")
    made.insert("visits", [("2024-03-05 11:00:00", "pro", "0.25")])
    assert made.run().deliveries[0].rows == 2
    assert stored(url) == [("2024-03-04", "pro", Decimal("2.5")), ("2024-03-05", "pro", Decimal("5.25"))]
    write(made, url, metrics='["visits", "facts"]')
    made.book.deliver()
    assert stored(url, "period, plan, visits, facts")[1] == ("2024-03-05", "pro", Decimal("5.25"), 2)
    assert made.book.deliver()[0].status == "up to date"


def test_a_delivery_that_is_cut_off_leaves_the_version_before(project, make_database, monkeypatch):
    url = make_database("sqlite")
    made = declared(project, url)
    made.run()
    before = stored(url)
    made.insert("visits", [("2024-03-05 11:00:00", "free", "1")])
    kept = own_table._write

    def cut_off(*arguments: Any) -> None:
        kept(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(own_table, "_write", cut_off)
    with pytest.raises(KeyboardInterrupt):
        made.run()
    assert stored(url) == before
    monkeypatch.undo()
    assert made.book.deliver()[0].rows == 1
    assert len(stored(url)) == len(before) + 1


def test_a_table_of_somebody_else_is_left_alone(project, make_database):
    url = make_database("sqlite")
    with open_database(url).cursor() as cursor:
        cursor.execute("create table daily_visits (period date, plan text, visits int)")
    (report,) = declared(project, url).run().deliveries
    assert report.status == "failed"
    assert "Tallybook did not make it" in report.error


def test_what_is_wrong_is_reported_without_the_password(project):
    url = "postgresql://u:pa55word@127.0.0.1:9/db"
    (report,) = declared(project, url).run().deliveries
    assert report.status == "failed"
    assert "pa55word" not in f"{report.error} {report.hint} {report.path}"


def test_a_book_that_is_collected_again_writes_the_table_that_has_a_later_version_of_the_earlier_one(
    project, make_database
):
    url = make_database("sqlite")
    made = declared(project, url)
    for hour in (11, 12):
        made.run()
        made.insert("visits", [(f"2024-03-04 {hour}:00:00", "pro", "1")])
    made.close()
    shutil.rmtree(made.folder / "book")
    made.execute("delete from visits where plan is null or n > 1")
    assert [(d.status, d.rows) for d in made.run().deliveries] == [("delivered", 3)]
    assert stored(url) == [("2024-03-04", "pro", 2)]
    assert made.book.deliver(force=True)[0].status == "up to date"


@pytest.mark.parametrize("kind", sampled(KINDS, 1, "markers made at once"))
def test_deliveries_that_make_the_table_of_markers_at_once_all_get_it(project, tmp_path, make_database, kind):
    url, start = make_database(kind), threading.Barrier(4)
    made = declared(project, "sqlite:///elsewhere.db")
    made.run()
    result = made.book.query("visits")

    def make(number: int) -> list[str]:
        with own_table.own_database(url, tmp_path) as engine:
            start.wait()
            tables = own_table.in_own_transaction(
                engine, lambda connection: own_table._made_tables(connection, f"daily_{number % 2}", result)
            )
        return [table.name for table in tables]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(make, range(4))) == [[f"daily_{n % 2}", own_table.MARKER] for n in range(4)]


def test_a_dry_run_makes_no_table(project, make_database):
    url = make_database("sqlite")
    made = declared(project, url)
    made.run("visits")
    with open_database(url).cursor() as cursor:
        cursor.execute("drop table daily_visits")
        cursor.execute("drop table tallybook_deliveries")
        assert [one.rows for one in made.book.deliver(dry_run=True, force=True)] == [3]
        assert cursor.execute("select name from sqlite_master where type = 'table'").fetchall() == []
