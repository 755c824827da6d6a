"""Times that are odd in a way that the first thousand rows do not show.

Hours and offsets that no clock has, digits of other scripts, names of zones, texts among numbers,
NaN: each fails its own metric or is a row without a time."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tallybook.core.errors import QueryError
from tests.collect.test_other_forms import METRIC, OLD, made, run
from tests.conftest import sampled
from tests.projects import everywhere, project

__all__ = ["project"]
EVERY = {f"2024-03-{i:02}" for i in range(1, 12)}
IMPOSSIBLE = [
    "2024-03-05T24:00:00Z",
    "2024-03-05T25:00:00Z",
    "2024-03-05 10:61:00+02:00",
    "2024-03-05T10:00:00+25:00",
    "2024-03-05T10:00:60Z",
    "2024-03-05T24:00:00",
    "2024-03-05 10:00:00 CET",
    "2024-03-05 10:00:00 am",
    "2024-03-05 10:00:00+XX",
]


@pytest.mark.cases(2)
@everywhere
def test_what_no_clock_shows_fails_its_metric_only(project, kind):
    p = made(project, kind, OLD)
    for value in sampled(IMPOSSIBLE, 3, f"impossible {kind}"):
        p.execute("delete from o where v < 0")
        p.insert_in_order("o", [(value, -1)])
        said, _ = run(p)
        assert "1 row contains a time in another form" in said, value
        assert value in said
        p.close()
        (look,) = [one for one in p.book.look() if one.metric == "n"]
        assert value in look.problems[0].message


@everywhere
@pytest.mark.parametrize("value", ["2024-03-05 24:00:00", "2024-03-05T25:00:00"])
def test_an_impossible_hour_among_plain_dates_fails_its_metric(project, kind, value):
    rows = [(text[:10], v) for text, v in OLD]
    said, missing = run(made(project, kind, [*rows, (value, -1)]))
    assert value in said
    assert "2024-03-05" in missing


@everywhere
def test_the_name_of_a_zone_is_no_offset(project, kind):
    rows = [(f"{text}+01:00", v) for text, v in OLD]
    said, missing = run(made(project, kind, [*rows, ("2024-03-05 10:00:00 CET", -1)]), 'stored = "offset"')
    assert "CET" in said
    assert missing == EVERY


@everywhere
@pytest.mark.parametrize("value", ["٢٠٢٤-٠٣-٠٣ 10:00:00", "2024-03-0٣ 10:00:00"])
def test_digits_of_another_script_are_no_time(project, kind, value):
    p = project(kind, now="2024-03-12T12:00")
    p.table(f"o (happened varchar(40){' character set utf8mb4' * (kind == 'mariadb')}, v integer)")
    p.table("good (happened timestamp)", [("2024-03-02 10:00:00",)])
    p.insert("o", [*OLD[-3:], (value, 1)])
    said, _ = run(p)
    assert "is no time" in said
    p.insert("o", OLD)
    assert run(p)[0]


@everywhere
@pytest.mark.parametrize("value", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-12:00", "0001-01-01"])
def test_an_instant_outside_of_the_calendar_is_a_row_without_a_time(project, kind, value):
    p = made(project, kind, [*OLD, (value, 1)])
    assert run(p) == ("", set())
    (report,) = [m for m in p.run("n").metrics if m.metric == "n"]
    assert report.notes == [f"1 row has no time and is left out: happened is {value!r}"]


@everywhere
@pytest.mark.parametrize("value", ["2024-03-05", "2024-03-05 10:00:00", "2024-03-06T10:00:00Z", "2024/03/05"])
def test_days_with_dashes_beside_digits_fail_the_metric(project, kind, value):
    rows = [(text[:10].replace("-", ""), v) for text, v in OLD]
    said, missing = run(made(project, kind, [*rows, (value, -1), (value, -1)]), 'stored = "yyyymmdd"')
    assert "2 rows contain" in said
    assert value in said
    assert value.replace("/", "-")[:10] in missing


@pytest.mark.cases(3)
@pytest.mark.parametrize("type_", ["integer", "datetime", ""])
@pytest.mark.parametrize(
    ("stored", "value"),
    [
        ("epoch_s", "'2024-03-05 10:00:00'"),
        ("epoch_s", "x'ff00'"),
        ("yyyymmdd", "'2024-03-05'"),
        ("yyyymmdd", "'n/a'"),
    ],
)
def test_texts_among_numbers_after_a_thousand_rows(project, type_, stored, value):
    def number(text):
        moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
        return int(moment.timestamp()) if stored == "epoch_s" else int(f"{moment:%Y%m%d}")

    p = made(project, "sqlite", [(number(text), v) for text, v in OLD], type_)
    p.insert("o", [("", 1), ("", 2)])
    assert run(p, f'stored = "{stored}"') == ("", set())
    (report,) = [m for m in p.run("n").metrics if m.metric == "n"]
    assert report.notes == ["2 rows have no time and are left out: happened is '' or the like"]
    p.execute(f"insert into o values ({value}, -1)")
    p.declare(METRIC.format(more=f'stored = "{stored}"', measure="count(*)"), start="2024-02-20")
    (failed,) = p.book.run(from_="2024-03-01").failed
    assert failed.metric == "n"
    assert "1 row contains a time in another form" in failed.error


def test_an_empty_text_does_not_make_texts_of_numbers(project):
    p = made(project, "sqlite", [("", 1), (1709632800, 2)], "integer")
    assert run(p, 'stored = "epoch_s"') == ("", set())
    assert p.ask("n", to="2024-03-10")["2024-03-05"] == 1


@pytest.mark.parametrize(
    ("kind", "type_"), [("postgresql", "numeric"), ("postgresql", "double precision"), ("duckdb", "double")]
)
def test_nan_is_a_row_without_a_time(project, kind, type_):
    p = made(project, kind, [("NaN", 1), (1709632800, 2), ("NaN", 3)], type_)
    assert run(p, 'stored = "epoch_s"') == ("", set())
    assert p.ask("n", to="2024-03-10")["2024-03-05"] == 1
    (report,) = [m for m in p.run("n").metrics if m.metric == "n"]
    assert report.notes[0].startswith("2 rows have no time and are left out")
    said, _ = run(p)
    assert 'stored = "epoch_s"' in said


@pytest.mark.parametrize(
    "as_of", ["0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00+00:00", "9999-12-31T23:59:00-12:00"]
)
def test_no_copy_was_taken_outside_of_the_calendar(project, as_of):
    p = made(project, "sqlite", OLD)
    run(p)
    with pytest.raises(QueryError, match="no copy is of"):
        p.book.run(sources={"app": p.url}, source_as_of=datetime.fromisoformat(as_of))


@pytest.mark.parametrize("value", ["2024-02-30 10:00", "2024-03-00"])
def test_a_day_that_no_month_has_is_counted_on_mariadb(project, value):
    p = made(project, "mariadb", [("2024-03-05 10:00:00", 1)], "datetime")
    p.execute("set sql_mode = 'ALLOW_INVALID_DATES'", f"insert into o values ('{value}', 1)")
    assert run(p) == ("", set())
    (report,) = [m for m in p.run("n", from_="2024-02-20").metrics if m.metric == "n"]
    assert report.notes[0].startswith("1 row has no time and is left out")
    (look,) = [one for one in p.book.look() if one.metric == "n"]
    assert [said for said in look.said if said.startswith("1 row has no time")]


def test_what_holds_from_the_first_day_on_is_not_called_left_out(project):
    p = project("postgresql", now="2024-03-04T12:00")
    p.execute("create table o (since timestamp, until timestamp)", "insert into o values ('-infinity', null)")
    p.declare("""
        [metrics.begun]
        table = "o"
        time = "since"
        measure = "count(*)"

        [metrics.held]
        kind = "level"
        table = "o"
        from = "since"
        until = "until"
        measure = "count(*)"
    """, start="2024-03-01")  # fmt: skip
    notes = {one.metric: one.notes for one in p.run().metrics}
    assert "no time" in str(notes["begun"])
    assert "no time" not in str(notes["held"])
    assert p.ask("held") == {"2024-03-01": 1, "2024-03-02": 1, "2024-03-03": 1}
