"""Levels from intervals whose bounds are zero dates, empty texts, infinity or no days at all."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from tests.projects import everywhere, literal, project

__all__ = ["project"]

METRIC = """
    [metrics.n]
    kind = "level"
    table = "o"
    from = "begun"
    until = "ended"
    measure = "{measure}"
    {more}
"""
ZERO = "0000-00-00 00:00:00"
BEGUN = "2024-03-02 10:00:00"


def level(project, kind, type_, rows, *, measure="count(*)", more=""):
    p = project(kind, now="2024-03-06T12:00")
    p.execute(f"create table o (begun {type_.replace(' not null', '')}, ended {type_})")
    p.execute(*(f"insert into o values ({literal(begun)}, {literal(ended)})" for begun, ended in rows))
    p.declare(METRIC.format(measure=measure, more=more), start="2024-03-01")
    p.run()
    return p


OPEN = [
    *(
        ("mariadb", f"{type_} {null}", ZERO)
        for type_ in ("datetime", "date", "timestamp")
        for null in ("null", "not null")
    ),
    ("mariadb", "varchar(30)", ZERO),
    ("mariadb", "varchar(30)", ""),
    ("sqlite", "text", ZERO),
    ("sqlite", "text", ""),
    ("duckdb", "varchar", ZERO),
    ("duckdb", "timestamp", "infinity"),
    ("duckdb", "date", "infinity"),
    ("postgresql", "text", ""),
    ("postgresql", "timestamptz", "infinity"),
    ("postgresql", "date", "infinity"),
]


@pytest.mark.cases(4)
@pytest.mark.parametrize(("kind", "type_", "ended"), OPEN)
def test_a_row_holds_for_ever_when_its_end_is_a_zero_date_or_infinity(project, kind, type_, ended):
    by_day = type_.startswith("date") and "datetime" not in type_
    begun = BEGUN[:10] if by_day else BEGUN
    end = "2024-03-04" if by_day else "2024-03-04 10:00:00"
    p = level(project, kind, type_, [(begun, ended), (begun, end)])
    assert p.both("n") == {"2024-03-01": 0, "2024-03-02": 2, "2024-03-03": 2, "2024-03-04": 1, "2024-03-05": 1}
    assert not [note for m in p.book.run().metrics for note in m.notes if "not after" in note]


@pytest.mark.parametrize("measure", ["max(1)", "count(distinct begun)", "median(1)"])
def test_so_do_values_and_ids(project, measure):
    p = level(project, "mariadb", "datetime null", [(BEGUN, ZERO)], measure=measure)
    assert p.ask("n")["2024-03-05"] == 1


@pytest.mark.parametrize("kind", ["sqlite", "mariadb", "duckdb", "postgresql"])
@pytest.mark.parametrize("begun", ["", ZERO, "2024-02-30 10:00:00"])
def test_a_row_that_begins_on_no_day_never_holds(project, kind, begun):
    p = level(project, kind, "varchar(30)", [(begun, None), (BEGUN, None)])
    assert p.both("n") == {"2024-03-01": 0, "2024-03-02": 1, "2024-03-03": 1, "2024-03-04": 1, "2024-03-05": 1}


@pytest.mark.parametrize("type_", ["datetime", "date", "timestamp null"])
def test_nor_one_that_begins_on_a_zero_date(project, type_):
    p = level(project, "mariadb", type_, [(ZERO, None), ("2024-03-02", None)])
    assert p.both("n")["2024-03-05"] == 1


@everywhere
def test_an_end_in_the_far_past_is_said_by_run_and_check(project, kind):
    p = project(kind, now="2024-03-06T12:00")
    p.table("o (begun timestamp, ended timestamp)", [(BEGUN, "1900-01-01 00:00:00"), (BEGUN, None)])
    p.declare(METRIC.format(measure="count(*)", more=""), start="2024-03-01")
    (report,) = p.run().metrics
    assert [note for note in report.notes if "1 row" in note]
    (look,) = p.book.look()
    assert [said for said in look.doubts if "1 row ends before it begins" in said]
    assert p.ask("n")["2024-03-05"] == 1


@pytest.mark.parametrize(
    ("kind", "type_"),
    [
        ("sqlite", "text"),
        ("duckdb", "varchar"),
        ("postgresql", "text"),
        ("mariadb", "varchar(30)"),
        ("mariadb", "datetime"),
        ("mariadb", "date"),
    ],
)
def test_30_february_belongs_to_no_day(project, kind, type_):
    allow = ["set sql_mode = 'ALLOW_INVALID_DATES'"] if type_ in ("datetime", "date") else []
    days = ["2024-02-30", "2024-03-00", "2024-00-10", "2023-02-29", *([] if allow else ["2023-13-01"]), "2024-02-29"]
    p = project(kind)
    p.execute(f"create table o (happened {type_})")
    rows = (f"({literal(day if type_ == 'date' else f'{day} 12:00:00')})" for day in days)
    p.execute(*allow, f"insert into o values {', '.join(rows)}")
    p.declare("""
        [metrics.n]
        table = "o"
        time = "happened"
        measure = "count(*)"
    """, start="2022-12-01", timezone="Europe/Berlin")  # fmt: skip
    p.run()
    assert p.both("n", scope="all") == {"2022-12-01": 1}


def as_an_old_book(p):
    """The definitions say no more by which rules their parts were read."""
    p.close()
    with closing(sqlite3.connect(p.folder / "book" / "ledger.sqlite")) as ledger:
        assert ledger.execute(
            """update definitions set body = replace(body, '"checked":true', '"checked":false')"""
        ).rowcount
        ledger.commit()


@pytest.mark.parametrize("ended", [ZERO, "2024-03-04 10:00:00"])
def test_an_old_book_gets_a_new_definition_only_where_rows_were_read_otherwise(project, ended):
    p = level(project, "mariadb", "datetime null", [(BEGUN, ended), (BEGUN, None)])
    before = p.run().metrics[0].definition
    as_an_old_book(p)
    changed = p.run().metrics[0]
    assert (changed.definition != before) == (ended == ZERO)
    p.execute("update o set ended = null")  # and keeps it when such rows are gone
    assert p.run().metrics[0].definition == changed.definition


@pytest.mark.parametrize("v", ["''", "3"])
def test_text_among_numbers_likewise(project, v):
    p = project("sqlite")
    p.execute("create table o (happened text, v integer)", "insert into o values ('2024-03-02 10:00:00', 1)")
    p.declare("""
        [metrics.n]
        table = "o"
        time = "happened"
        measure = "median(v)"
    """)
    before = p.run().metrics[0].definition
    p.execute(f"insert into o values ('2024-01-05 10:00:00', {v})")
    as_an_old_book(p)
    assert (p.run().metrics[0].definition != before) == (v == "''")
