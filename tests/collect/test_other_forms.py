"""Rows whose time is in another form or unit than the column is read in, wherever they lie. Each fails the days that it
belongs to in either reading; all others are collected."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.projects import everywhere, project

__all__ = ["project"]

METRIC = """
    [metrics.n]
    table = "o"
    time = "happened"
    measure = "{measure}"
    {more}

    [metrics.other]
    table = "good"
    time = "happened"
    measure = "count(*)"
"""
OLD = [(f"{datetime(2024, 1, 10) + timedelta(hours=i):%Y-%m-%d %H:%M:%S}", i) for i in range(1300)]
"""An hour each, to 4 March 2024 at 3 o'clock."""


def made(project, kind, rows, type_="varchar(40)", index=False):
    p = project(kind, now="2024-03-12T12:00")
    p.table(f"o (happened {type_}, v integer)")
    p.table("good (happened timestamp)", [("2024-03-02 10:00:00",)])
    if index:
        p.execute("create index o_happened on o (happened)")
    p.insert_in_order("o", rows)
    return p


def run(p, more="", measure="count(*)", **book):
    """Collects; says what failed, and which days are covered."""
    p.declare(METRIC.format(more=more, measure=measure), **{"start": "2024-02-20", **book})
    report = p.book.run()
    failed = {m.metric: f"{m.error} {m.hint}" for m in report.failed}
    assert set(failed) <= {"n"}
    assert p.ask("other", scope="all", to="2024-03-10")
    covered = any(m.metric == "n" and m.days for m in report.metrics)
    days = [row["period"] for row in p.rows("n", to="2024-03-11") if row["complete"]] if covered else []
    return failed.get("n", ""), {d for d in (f"2024-03-{i:02}" for i in range(1, 12)) if d not in days}


LATER = [(f"2024-03-{day:02}T{hour:02}:30:00Z", 0) for day in (5, 6) for hour in (0, 3, 10, 20, 22, 23)]


@everywhere
@pytest.mark.parametrize("index", [False, True])
def test_a_second_form_after_a_thousand_rows_fails_its_days(project, kind, index):
    if kind == "chdb":
        index = False
    p = made(project, kind, [*OLD, *LATER], index=index)
    said, missing = run(p, timezone="Europe/Berlin")
    assert "12 rows" in said
    assert "2024-03-05T00:30:00Z" in said
    assert 'stored = "offset"' in said
    assert missing == {"2024-03-05", "2024-03-06", "2024-03-07"}
    assert p.ask("n", to="2024-03-01")["2024-03-01"] == 24
    (look,) = [one for one in p.book.look() if one.metric == "n"]
    assert "12 rows" in look.problems[0].message
    p.at("2024-03-12T12:05")
    p.declare(METRIC.format(more='stored = "offset"', measure="count(*)"), start="2024-02-20", timezone="Europe/Berlin")
    p.run(from_="2024-03-03", to="2024-03-08")
    assert list(p.ask("n", from_="2024-03-03", to="2024-03-08").values()) == [24, 5, 5, 6, 1, 0]


ONE_ROW = [
    ("2024-03-05T01:30:00+09:00", {"2024-03-04", "2024-03-05"}),
    ("2024-03-05", {"2024-03-05"}),
    ("1709632800", {"2024-03-05"}),
    ("20240305", {"2024-03-05"}),
    ("05.03.2024", None),
    ("Mar 5 2024", None),
    ("2024/03/05", None),
    ("n/a", None),
]


@everywhere
@pytest.mark.parametrize(("value", "days"), ONE_ROW)
def test_one_row_of_another_form_fails_its_day_or_all_where_that_is_unknown(project, kind, value, days):
    said, missing = run(made(project, kind, [*OLD, (value, 1)]))
    assert "1 row contains" in said
    assert value in said
    assert missing == (days or {f"2024-03-{i:02}" for i in range(1, 12)})


@pytest.mark.cases(3)
@everywhere
@pytest.mark.parametrize(
    "value", ["", "0000-00-00 00:00:00", "2024-02-30 10:00:00", "infinity", "12024-01-01 10:00:00", None]
)
def test_a_row_without_a_time_is_counted_and_the_metric_is_well(project, kind, value):
    p = made(project, kind, [*OLD, (value, 1), (value, 1)])
    said, missing = run(p)
    assert (said, missing) == ("", set())
    (report,) = [m for m in p.run("n").metrics if m.metric == "n"]
    if value != "2024-02-30 10:00:00":  # which is seen where it lies
        assert [note for note in report.notes if note.startswith("2 rows have no time")]
    (look,) = [one for one in p.book.look() if one.metric == "n"]
    assert not look.problems
    assert [said for said in look.said if said.startswith("2 rows have no time")]


@everywhere
@pytest.mark.parametrize("measure", ["count(*)", "count(distinct v)", "median(v)", "last(v)"])
def test_seconds_before_a_release_and_milliseconds_after_it(project, kind, measure):
    def number(day, unit):
        return int(datetime(2024, 3, day, 10, tzinfo=UTC).timestamp()) * unit

    rows = [(number(day, 1 if day < 6 else 1000), day) for day in range(1, 10)]
    said, missing = run(made(project, kind, rows, "bigint"), 'stored = "epoch_s"', measure)
    assert "4 rows" in said
    assert str(number(6, 1000)) in said
    assert 'stored = "epoch_ms"' in said
    assert missing == {f"2024-03-0{day}" for day in range(6, 10)}


@everywhere
def test_future_facts_and_birthdays_are_in_order(project, kind):
    said, missing = run(made(project, kind, [*OLD, ("2032-01-01 10:00:00", 1), ("1949-01-01 10:00:00", 1)]))
    assert (said, missing) == ("", set())


def test_only_the_metrics_that_count_such_a_row_fail(project):
    p = made(project, "sqlite", [*OLD, ("n/a", -1)])
    p.declare(METRIC.format(more='where = "v >= 0"', measure="count(*)") + """
    [metrics.bad]
    table = "o"
    time = "happened"
    measure = "count(*)"
    """)  # fmt: skip
    assert [m.metric for m in p.book.run().failed] == ["bad"]


def test_a_text_stored_as_a_blob_is_no_text(project):
    p = made(project, "sqlite", [])
    p.execute("insert into o values (cast('2024-03-05 10:00:00' as blob), 1), ('2024-03-06 10:00:00', 1)")
    said, missing = run(p)
    assert "BLOB" in said
    assert "cast(happened as text)" in said
    assert missing == {"2024-03-05"}


def test_an_index_on_the_text_is_used_to_look(project):
    from tallybook.collect.binding import bind
    from tallybook.collect.column_checks import _texts
    from tallybook.collect.grouping import group_key
    from tallybook.collect.sources.registry import open_source
    from tallybook.collect.statements import Group
    from tallybook.core import SourceSettings

    p = made(project, "sqlite", OLD, index=True)
    p.declare(METRIC.format(more="", measure="count(*)"))
    metric = p.book.project.catalog.metrics["n"]
    source = open_source(SourceSettings(name="app", url=p.url))
    facts = bind(source, metric, "UTC", "n")
    day = datetime(2024, 3, 1).date()
    sql = _texts(Group(source, group_key(facts), [facts], "UTC"), "happened", facts.time, day, day, day)
    with source.snapshot() as reader:
        steps = " ".join(str(row) for row in reader.rows("EXPLAIN QUERY PLAN " + sql))
    source.close()
    assert "SEARCH" in steps
    assert "SCAN o" not in steps
