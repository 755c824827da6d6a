"""Any date that a person or a BI tool can type is clipped to what is collected, or refused; none ends in a crash."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from tallybook.core import calendar
from tallybook.core.errors import QueryError, Refused
from tests.projects import Project, project

__all__ = ["project"]

DECLARED = """
    [metrics.n]
    table = "facts"
    time = "day"
    measure = "count(*)"
    by = ["plan"]

    [metrics.seats]
    kind = "level"
    table = "facts"
    time = "day"
    measure = "count(*)"
    by = ["plan"]
    carry = "3d"

    [metrics.per_seat]
    measure = "n / seats"

    [goals.many]
    metric = "n"
    target = 30

    [goals.grown]
    metric = "seats"
    target = 2
"""
FIRST, LAST = "2026-01-01", "2026-03-09"


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """One fact a day from 1 January to 9 March 2026."""
    folder = tmp_path_factory.mktemp("dates")
    made = Project(folder, f"sqlite:///{folder}/app.sqlite", now="2026-03-10T12:00")
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(68)]
    made.table("facts (day date, plan varchar(9))", [(str(day), ("pro", "team")[day.day % 2]) for day in days])
    made.declare(DECLARED, start=FIRST)
    made.run()
    yield made
    made.close()


OPEN = [
    {"to": "9999-12-31"}, {"from_": "0001-01-01"}, {"from_": "0001-01-01", "to": "9999-12-31"},
    {"from_": "1900-01-01", "to": "2100-12-31"}, {"last": "9999 years"}, {"last": "999999999999 days"},
    {"last": "9999 quarters", "to": "9999-12-31"},
]  # fmt: skip


@pytest.mark.parametrize("asked", OPEN, ids=str)
@pytest.mark.parametrize("metric", ["n", "seats", "per_seat"])
def test_an_open_end_is_clipped_to_what_is_collected(book: Project, metric: str, asked: dict[str, Any]) -> None:
    plain = book.rows(metric)
    rows = book.rows(metric, **asked)
    assert [(r["period"], r[metric]) for r in rows] == [(r["period"], r[metric]) for r in plain]
    found = book.rows(metric, by=[] if metric == "per_seat" else ["plan"], fill=True, scope="week", **asked)
    assert len(found) == (11 if metric == "per_seat" else 22)
    (whole,) = book.rows(metric, scope="all", **asked)
    assert (whole["period"], whole["days"], whole["complete"]) == (FIRST, 68, True)


@pytest.mark.parametrize("scope", ["day", "week", "month", "all"])
def test_the_reason_why_no_more_days_are_shown_is_in_the_notes(book: Project, scope: str) -> None:
    result = book.book.query("n", scope=scope, from_="0001-01-01", to="9999-12-31")
    rows = result.to_dict()["rows"]
    assert "asked from 0001-01-01, but nothing is collected before 2026-01-01" in rows[0]["notes"]["n"]["why"]
    assert "asked to 9999-12-31, but the last day is 2026-03-09" in rows[-1]["notes"]["n"]["why"]
    assert "asked to 9999-12-31" in result.explain
    assert "n: asked" in result.to_text(width=None)


@pytest.mark.parametrize("asked", [{"from_": "2025-12-30"}, {"to": "2026-03-12"}, {"from_": "2025-02-01"}])
def test_days_near_what_is_collected_are_gaps(book: Project, asked: dict[str, str]) -> None:
    rows = book.rows("n", **asked)
    assert len(rows) > 68
    assert all(row["n"] is not None or row["notes"]["n"]["why"] for row in rows)


@pytest.mark.parametrize("day", ["9999-12-31", "2026-03-12", "2100-01-01"])
def test_a_first_day_after_the_last_is_refused(book: Project, day: str) -> None:
    for asked in ({}, {"live": True}, {"scope": "all"}, {"to": "9999-12-31"}):
        with pytest.raises(Refused, match=f'{day}" is after the last day'):
            book.rows("n", from_=day, **asked)


def test_days_that_are_all_long_before_the_first_one_are_one_row_without_a_value(book: Project) -> None:
    for asked in (
        {"to": "0001-01-01"},
        {"from_": "0001-01-01", "to": "0004-01-01"},
        {"last": "2 weeks", "to": "0001-01-01"},
    ):
        (row,) = book.rows("n", **asked)
        assert row["n"] is None
        assert "nothing is collected before 2026-01-01" in row["notes"]["n"]["why"]


@pytest.mark.parametrize("with_", ["2100 years", "99999999 days", "30000 months"])
def test_a_comparison_with_days_before_the_calendar_has_no_value(book: Project, with_: str) -> None:
    for metric in ("n", "seats", "per_seat"):
        for row in book.rows(metric, compare=with_, from_="2026-02-27", to=LAST):
            assert row[metric] is not None
            assert row[f"{metric}_previous"] is None
            assert row["notes"][f"{metric}_previous"]["why"] == "nothing is collected before 2026-01-01"


@pytest.mark.parametrize("window", ["99999999 days", "9999 years", "120000 months"])
def test_a_window_longer_than_the_calendar_has_all_days(book: Project, window: str) -> None:
    (row,) = book.rows("n", window=window, from_=LAST, to=LAST)
    assert (row["n"], row["days"], row["complete"]) == (68, 68, False)
    assert "nothing is collected before 2026-01-01" in row["notes"]["n"]["why"]
    (row,) = book.rows("seats", window=window, show="average", from_=LAST, to=LAST)
    assert row["days"] == 68


def test_the_source_is_not_read_for_thousands_of_years(book: Project) -> None:
    assert book.ask("n", live=True, from_="0001-01-01", to="9999-12-31", scope="all") == {FIRST: 68}
    (row,) = book.rows("n", live=True, from_=LAST, to=LAST, compare="2000 years")
    assert (row["n"], row["n_previous"]) == (1, None)


def test_goals_of_any_day_and_span_are_those_of_the_collected_periods(book: Project) -> None:
    found = book.book.goals("many", last="9999 years")
    assert [(str(g.period), g.value) for g in found] == [("2026-01-01", 31), ("2026-02-01", 28), ("2026-03-01", 9)]
    for day in ("9999-12-31", "0001-01-01"):
        for goal in book.book.goals(on=day):
            assert goal.status == "unknown"
            assert goal.why


def test_audits_of_any_day_end_in_words(book: Project) -> None:
    (covered,) = book.book.coverage("n", from_="0001-01-01", to="9999-12-31")
    assert (covered.from_, covered.to, covered.days) == (FIRST, LAST, 68)
    assert book.book.coverage("n", from_="9999-12-31")[0].days == 0
    assert book.book.why("n", "0001-01-01").result.rows()[0]["n"] is None
    assert len(book.book.diff("n", from_="0001-01-01", to="9999-12-31")) == 1
    assert len(book.book.diff("n", last="9999 years")) == 1


def test_a_run_from_the_year_one_collects_from_the_first_fact(project: Any) -> None:
    made = project(now="2026-01-10T12:00")
    made.table("facts (day date, plan varchar(9))", [("2020-06-01", "pro"), ("2026-01-02", "pro")])
    made.declare(DECLARED.split("[goals", 1)[0], start="2026-01-01")
    report = made.run("n", from_="0001-01-01", to="2026-01-03")
    assert "asked from 0001-01-01, but its facts begin later: collected from 2020-06-01" in report.metrics[0].notes
    assert made.ask("n", scope="year") == {"2020-01-01": 1, "2021-01-01": 0, "2022-01-01": 0, "2023-01-01": 0, "2024-01-01": 0, "2025-01-01": 0, "2026-01-01": 1}  # fmt: skip
    assert not made.run("n", from_="0001-01-01", to="0001-01-09").metrics[0].days
    assert made.book.plan("n", from_="0001-01-01", to="2026-01-03").works[0].stretches[0][0] == date(2020, 6, 1)
    for ask in (made.book.plan, made.book.run):
        with pytest.raises(Refused, match="9999-12-31 is not over"):
            ask("n", to="9999-12-31")


@pytest.mark.parametrize("scope", ["week", "month", "quarter", "year"])
def test_periods_at_both_ends_of_the_calendar(scope: str) -> None:
    for day in (date.min, date.max):
        ((start, end),) = calendar.periods(day, day, scope)
        assert start <= day <= end
    for zone in ("UTC", "Pacific/Kiritimati", "America/Los_Angeles"):
        assert calendar.start_of(date.min, zone) < calendar.end_of(date.max, zone)


def test_what_is_no_span_is_told(book: Project) -> None:
    for asked in ({"last": "9" * 30 + " days"}, {"last": "0 days"}, {"window": "-1 days"}, {"compare": "1 eon"}):
        with pytest.raises(QueryError):
            book.rows("n", **asked)
