"""Tables of your own whose columns, types or rows somebody changed, or whose metrics are declared another way."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.conftest import sampled
from tests.loading import open_database
from tests.projects import Project, project

__all__ = ["project"]

SERVERS = ["postgresql", "mariadb"]
KINDS = ["sqlite", *SERVERS]
ROWS = [("2024-03-04 10:00:00", "pro", "2.5"), ("2024-03-05 10:00:00", "pro", "5.25")]
RIGHT = [Decimal("2.5"), Decimal("5.25")]


def declared(project: Any, url: str, measure: str = "sum(n)") -> Project:
    made = project(now="2024-03-06T12:00")
    made.table("visits (at timestamp, plan varchar(9), n decimal(12,2))", ROWS)
    write(made, url, measure)
    made.run()
    return made


def write(made: Project, url: str, measure: str = "sum(n)") -> None:
    made.declare(
        f"""
        [metrics.visits]
        table = "visits"
        time = "at"
        measure = "{measure}"
        by = ["plan"]
        [deliveries.warehouse]
        to = "table"
        url = "{url}"
        table = "daily_visits"
        metrics = ["visits"]
        by = ["plan"]
        """,
        start="2024-03-04",
    )


def change(url: str, *statements: str) -> None:
    with open_database(url).cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def stored(url: str) -> list[Decimal | None]:
    with open_database(url).cursor() as cursor:
        cursor.execute("select visits from daily_visits order by period, visits")
        return [None if row[0] is None else Decimal(str(row[0])) for row in cursor.fetchall()]


def to_integers(kind: str) -> str:
    verb = "alter column visits type integer" if kind == "postgresql" else "modify column visits integer"
    return f"alter table daily_visits {verb}"


@pytest.mark.parametrize("kind", sampled(KINDS, 2, "metrics with another type"))
def test_a_metric_that_is_declared_with_decimals_is_not_rounded_by_its_column_of_integers(project, make_database, kind):
    url = make_database(kind)
    made = declared(project, url, "count(*)")
    assert stored(url) == [1, 1]
    write(made, url)
    made.run()
    assert stored(url) == RIGHT
    write(made, url, "avg(n) / 8192")
    made.run()
    assert stored(url) == [one / 8192 for one in RIGHT]
    write(made, url, "count(*)")
    made.run()
    assert stored(url) == [1, 1]


@pytest.mark.parametrize("kind", sampled(SERVERS, 1, "columns made integers"))
def test_a_column_that_rounds_is_refused_and_the_table_stays(project, make_database, kind):
    url = make_database(kind)
    made = declared(project, url)
    change(url, to_integers(kind))
    before = stored(url)
    made.insert("visits", [("2024-03-05 11:00:00", "pro", "0.25")])
    (report,) = made.run().deliveries
    assert report.status == "failed"
    assert "column visits of daily_visits does not keep its values: wrote 5.5" in report.error
    assert stored(url) == before
    change(url, "alter table daily_visits drop column visits")
    assert [one.status for one in made.book.deliver()] == ["delivered"]
    assert stored(url) == [Decimal("2.5"), Decimal("5.5")]


@pytest.mark.parametrize("kind", sampled(KINDS, 2, "columns dropped"))
def test_a_column_that_somebody_dropped_comes_back_with_its_values(project, make_database, kind):
    url = make_database(kind)
    made = declared(project, url)
    change(url, "alter table daily_visits drop column visits")
    made.insert("visits", [("2024-03-05 11:00:00", "pro", "0.25")])
    assert made.run().deliveries[0].rows == 2
    assert stored(url) == [Decimal("2.5"), Decimal("5.5")]


@pytest.mark.parametrize("kind", sampled(KINDS, 2, "values edited"))
def test_force_brings_back_values_that_somebody_edited(project, make_database, kind):
    url = make_database(kind)
    made = declared(project, url)
    change(url, "update daily_visits set visits = 777 where period = '2024-03-04'")
    assert [(one.status, one.rows) for one in made.book.deliver(force=True)] == [("delivered", 1)]
    assert stored(url) == RIGHT
    assert [one.status for one in made.book.deliver(force=True)] == ["up to date"]


@pytest.mark.parametrize("kind", sampled(SERVERS, 1, "rows twice"))
def test_rows_that_are_there_twice_without_a_primary_key_are_there_once_again(project, make_database, kind):
    url = make_database(kind)
    made = declared(project, url)
    drop = "constraint daily_visits_pkey" if kind == "postgresql" else "primary key"
    change(
        url,
        f"alter table daily_visits drop {drop}",
        "insert into daily_visits select * from daily_visits",
    )
    assert len(stored(url)) == 4
    made.insert("visits", [("2024-03-05 11:00:00", "pro", "0.25")])
    made.run()
    assert stored(url) == [Decimal("2.5"), Decimal("5.5")]


def test_a_new_table_takes_every_character_in_a_database_of_latin1(project, make_database):
    url = make_database("mariadb")
    change(url, f"alter database {url.rsplit('/', 1)[1]} character set latin1")
    made = project(now="2024-03-06T12:00")
    texts = ["a", "A", "a ", "ä", "\U0001f600", ""]
    made.table("visits (at timestamp, plan varchar(9), n int)", [("2024-03-04 10:00:00", text, 1) for text in texts])
    write(made, url)
    assert [(one.status, one.rows) for one in made.run().deliveries] == [("delivered", len(texts))]
    with open_database(url).cursor() as cursor:
        cursor.execute("select plan from daily_visits")
        assert sorted(row[0] for row in cursor.fetchall()) == sorted(texts)
