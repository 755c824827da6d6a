"""Times that no calendar has: zero dates, infinity, years before Christ and after 9999, numbers that count nothing.

Such a row belongs to no day. It is left out, and ends neither a run nor a draft nor another metric.
"""

from __future__ import annotations

from typing import Any

import pytest

from tallybook.draft.drafting import draft
from tests.projects import everywhere, literal, project

__all__ = ["project"]

COUNT = """
    [metrics.n]
    table = "o"
    time = "happened"
    measure = "count(*)"
    {more}

    [metrics.other]
    table = "good"
    time = "happened"
    measure = "count(*)"
"""
GOOD = "2024-03-02 10:00:00"
TYPES = [
    ("mariadb", "datetime not null", ["0000-00-00 00:00:00"]),
    ("mariadb", "datetime null", ["0000-00-00 00:00:00"]),
    ("mariadb", "date null", ["0000-00-00"]),
    ("mariadb", "timestamp null", ["0000-00-00 00:00:00"]),
    ("mariadb", "varchar(30)", ["0000-00-00 00:00:00"]),
    ("sqlite", "text", ["0000-00-00 00:00:00"]),
    ("sqlite", "text", ["0000-01-01 00:00:00"]),
    ("duckdb", "timestamp", ["0044-03-15 (BC) 10:00:00", "-infinity", "infinity"]),
    ("duckdb", "timestamptz", ["0044-03-15 (BC) 10:00:00+00", "-infinity", "infinity"]),
    ("duckdb", "date", ["0044-03-15 (BC)", "infinity", "-infinity"]),
    ("postgresql", "timestamptz", ["-infinity", "infinity"]),
    ("postgresql", "timestamptz", ["0044-03-15 10:00:00 BC", "12026-01-01 00:00:00+00"]),
    ("postgresql", "timestamp", ["-infinity", "0001-01-01 00:00:00"]),
    ("postgresql", "date", ["-infinity", "infinity", "0044-03-15 BC"]),
]


def made(project: Any, kind: str, type_: str, values: list[Any], good: Any = GOOD) -> Any:
    p = project(kind)
    p.execute(
        f"create table o (happened {type_})",
        f"create table good (happened {type_.split(maxsplit=1)[0] if kind != 'sqlite' else 'text'})",
    )
    p.execute(*(f"insert into o values ({literal(value)})" for value in [*values, good, good]))
    p.execute(f"insert into good values ({literal(good)})")
    return p


@pytest.mark.cases(7)
@pytest.mark.parametrize(("kind", "type_", "values"), TYPES)
def test_the_first_fact_is_the_first_that_a_calendar_has(project, kind, type_, values):
    p = made(project, kind, type_, values)
    p.declare(COUNT.format(more=""), start="", timezone="America/New_York")
    p.run()
    assert p.ask("n", scope="all") == {"2024-03-02": 2}
    assert p.ask("other", scope="all") == {"2024-03-02": 1}


@everywhere
@pytest.mark.parametrize("value", [-99999999999999, -(10**18), 10**15])
def test_a_number_that_counts_to_no_day_is_not_the_first_fact(project, kind, value):
    p = made(project, kind, "bigint", [value], 1709373600)
    p.declare(
        COUNT.format(more='stored = "epoch_s"').replace("[metrics.other]", '[metrics.other]\n    stored = "epoch_s"'),
        start="",
    )
    report = p.book.run()
    assert {m.metric for m in report.failed} <= {"n"}  # only where the value is a time in another unit
    assert p.ask("other", scope="all") == {"2024-03-02": 1}


SPAN = """
    [metrics.n]
    kind = "level"
    table = "o"
    from = "begun"
    until = "ended"
    changed = "up"
    measure = "count(*)"
"""


@pytest.mark.parametrize("start", ["", "2024-03-01"])
@pytest.mark.parametrize("begun", ["-infinity", "0044-03-15 10:00:00 BC"])
def test_an_interval_without_a_beginning_holds_from_the_first_day_and_its_changes_are_followed(project, begun, start):
    p = project("postgresql", now="2024-03-04T12:00")
    p.execute("create table o (begun timestamp, ended timestamp, up timestamp)")
    p.execute(f"insert into o values ('{begun}', 'infinity', '2024-03-01'), ('2024-03-01 10:00', null, '2024-03-01')")
    p.declare(SPAN, start=start, lookback="1d")
    p.run()
    assert p.ask("n") == {"2024-03-01": 2, "2024-03-02": 2, "2024-03-03": 2}
    p.execute(f"update o set ended = '2024-03-02 12:00', up = '2024-03-04 12:00' where begun = '{begun}'")
    p.at("2024-03-05T12:00").run()
    assert p.ask("n") == {"2024-03-01": 2, "2024-03-02": 1, "2024-03-03": 1, "2024-03-04": 1}


@pytest.mark.parametrize(
    "answer", ["timestamp 'infinity'", "date '-infinity'", "timestamptz '0044-03-15 10:00:00+00 BC'"]
)
def test_an_impossible_answer_of_fresh_is_said_and_is_no_lost_connection(project, answer):
    p = made(project, "postgresql", "timestamp", [])
    p.declare(COUNT.format(more=""), source=f'fresh = "select {answer}"')
    report = p.book.run()
    assert [m.metric for m in report.failed] == ["n", "other"]
    assert all("`fresh` answered" in m.error and "connection" not in m.error for m in report.failed)


@pytest.mark.parametrize("type_", ["timestamptz", "timestamp", "date"])
def test_a_draft_is_made_of_tables_with_infinite_times(project, type_):
    p = made(project, "postgresql", type_, ["infinity", "-infinity", "10000-01-01"])
    made_of = draft(p.url, folder=p.folder, now=p.now)
    assert 'table = "good"' in made_of.text


@pytest.mark.parametrize("index", ["unique (code)", "index (code)", "fulltext (code)", "unique (code(3))"])
def test_a_table_with_any_index_can_be_joined_on_mariadb(project, index):
    p = project("mariadb")
    p.execute(f"create table a (id int primary key, code varchar(10), plan varchar(10), {index})")
    p.execute("create table o (id int, happened datetime, acct int)")
    p.execute("insert into a values (1, 'x', 'pro')", "insert into o values (1, '2024-03-02 10:00:00', 1)")
    p.declare("""
        [metrics.m]
        table = "o"
        join = "a on a.id = acct"
        time = "happened"
        measure = "count(*)"
        by = ["plan"]
    """)
    p.run()
    assert p.ask("m", scope="all", by=["plan"])[("2024-01-01", "pro")] == 1
