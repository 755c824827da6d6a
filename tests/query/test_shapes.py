"""Windows, comparisons and "other": every number is what the judge finds over the raw rows of just those days.

The judge (tests/oracle) knows nothing of windows or comparisons. It is asked about each stretch of days alone; which
days those must be is worked out here, with dateutil and plain arithmetic.
"""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from dateutil.relativedelta import relativedelta
from hypothesis import given, strategies as st

import tallybook
from tallybook.core.errors import QueryError, Refused
from tests.oracle import Ask, Judge, Value, period_start
from tests.query.test_right import DAY, FIRST, QUESTIONS, RIGHT, SCOPES, Play, company_book, every_world_is_a_new_one

__all__ = ["company_book", "every_world_is_a_new_one"]

CLOSED = date(2024, 4, 3)
"""The last day that is over in the book of the company."""
COVERED_FROM = FIRST
KNOWN = [name for name in QUESTIONS if name != "visitors"]
"""Uniques have no number over several days."""


def value_over(judge: Judge, name: str, first: date, last: date, **asked: Any) -> Value:
    """What a metric is over these days and no others, from the raw rows."""
    ask = Ask(metrics=(name,), from_=first, to=last, scope="all", **asked)
    (row,) = judge.answer(ask)
    return row["cells"][name]


def periods(first: date, last: date, scope: str) -> list[tuple[date, date, date]]:
    """(start of the period, first and last day of it that are asked for)."""
    if scope == "all":
        return [(first, first, last)]
    found: dict[date, list[date]] = {}
    for i in range((last - first).days + 1):
        day = first + DAY * i
        found.setdefault(period_start(day, scope, "sunday"), []).append(day)
    return [(start, days[0], days[-1]) for start, days in found.items()]


def running(scope: str) -> date | None:
    """The first day of the period that is not over."""
    return None if scope == "all" else period_start(CLOSED + DAY, scope, "sunday")


def months_back(day: date, months: int) -> date:
    return day - relativedelta(months=months)


def same_end(day: date, months: int) -> date:
    """So many months before, the last of a month staying the last of a month."""
    if (day + DAY).day == 1:
        return months_back(day.replace(day=1), months) + relativedelta(months=1) - DAY
    return months_back(day, months)


# --- windows ----------------------------------------------------------------------------------------------

WINDOWS = {
    "1 day": lambda last: last,
    "7 days": lambda last: last - 6 * DAY,
    "28 days": lambda last: last - 27 * DAY,
    "2 weeks": lambda last: last - 13 * DAY,
    "1 month": lambda last: months_back(last, 1) + DAY,
    "2 months": lambda last: months_back(last, 2) + DAY,
    "month to date": lambda last: last.replace(day=1),
    "quarter to date": lambda last: date(last.year, last.month - (last.month - 1) % 3, 1),
    "year to date": lambda last: date(last.year, 1, 1),
    "week to date": lambda last: last - timedelta(days=(last.weekday() + 1) % 7),
    "all": lambda last: COVERED_FROM,
}


@pytest.mark.cases(5)
@pytest.mark.parametrize("window", WINDOWS)
def test_a_window_holds_the_days_up_to_each_period_s_end(
    window: str, company_book: Play, seed: int, soak: bool
) -> None:
    judge, dice = company_book.life.judge(), random.Random(f"{seed} {window}")
    for _ in range(60 if soak else 6):
        name, scope = dice.choice(KNOWN), dice.choice(SCOPES)
        first = FIRST + DAY * dice.randrange(60)
        last = min(CLOSED, first + DAY * dice.randrange(40))
        first = min(first, last)
        rows = company_book.book.query(name, scope=scope, from_=first, to=last, window=window).rows()
        assert [row["period"] for row in rows] == [start for start, *_ in periods(first, last, scope)]
        for row, (start, _, until) in zip(rows, periods(first, last, scope), strict=True):
            begin = WINDOWS[window](until)
            if until not in judge.days(name) and start == running(scope):
                continue  # a running period shows its last collected day, as without a window
            expected = value_over(judge, name, begin, until)
            assert expected.accepts(row[name]), (name, scope, window, begin, until, row, str(expected))
            covered = [d for d in judge.days(name) if begin <= d <= until]
            assert (row["days"], row["days_expected"]) == (len(covered), (until - begin).days + 1)


def test_a_distinct_count_over_28_days_counts_everybody_once(company_book: Play) -> None:
    """By plan as well: a series that is gone for a week is still in the window."""
    judge = company_book.life.judge()
    last = date(2024, 3, 30)
    rows = company_book.book.query("active", by=["plan"], window="28 days", from_=last, to=last).rows()
    for row in rows:
        where = (("plan", "=", row["plan"]),)
        assert value_over(judge, "active", last - 27 * DAY, last, where=where).accepts(row["active"])
    daily = company_book.book.query("active", from_=last - 27 * DAY, to=last).rows()
    (whole,) = company_book.book.query("active", window="28 days", from_=last, to=last).rows()
    assert whole["active"] < sum(row["active"] or 0 for row in daily), "daily counts added up count people again"


def test_a_window_that_reaches_back_before_the_first_collected_day_is_not_complete(company_book: Play) -> None:
    (row,) = company_book.book.query("signups", window="28 days", from_=FIRST + DAY, to=FIRST + DAY).rows()
    assert (row["days"], row["days_expected"], row["complete"]) == (2, 28, False)


# --- comparisons ---------------------------------------------------------------------------------------------


def compared_days(first: date, last: date, scope: str, with_: str) -> tuple[date, date]:
    """The days that first … last are compared with."""
    length = last - first + DAY
    days = {("previous", "day"): 1, ("previous", "week"): 7, ("year", "day"): 364, ("year", "week"): 364,
            ("4 weeks", "week"): 28, ("4 weeks", "day"): 28}  # fmt: skip
    months = {("previous", "month"): 1, ("previous", "quarter"): 3, ("previous", "year"): 12, ("1 month", "day"): 1,
              ("1 month", "month"): 1, ("1 month", "all"): 1, ("year", "all"): 12, ("year", "month"): 12}  # fmt: skip
    if (with_, scope) == ("previous", "all"):
        return first - length, last - length
    if (with_, scope) in days:
        back = days[(with_, scope)] * DAY
        return first - back, last - back
    back_months = months[(with_, scope)]
    return same_end(first, back_months), same_end(last, back_months)


COMPARISONS = [
    ("previous", "day"), ("previous", "week"), ("previous", "month"), ("previous", "quarter"), ("previous", "all"),
    ("1 month", "day"), ("1 month", "month"), ("1 month", "all"), ("4 weeks", "day"), ("4 weeks", "week"),
    ("year", "week"), ("year", "month"),
]  # fmt: skip


@pytest.mark.cases(6)
@pytest.mark.parametrize(("with_", "scope"), COMPARISONS)
def test_a_number_is_compared_with_as_many_days_of_the_period_before(
    with_: str, scope: Any, company_book: Play, seed: int, soak: bool
) -> None:
    judge, dice = company_book.life.judge(), random.Random(f"{seed} {with_} {scope}")
    for _ in range(60 if soak else 6):
        name = dice.choice(KNOWN)
        first = FIRST + DAY * dice.randrange(55)
        last = min(CLOSED, first + DAY * dice.randrange(40))
        first = min(first, last)
        rows = company_book.book.query(name, scope=scope, from_=first, to=last, compare=with_).rows()
        for row, (_, begin, until) in zip(rows, periods(first, last, scope), strict=True):
            then = compared_days(begin, until, scope, with_)
            was = value_over(judge, name, *then)
            said = (name, scope, with_, begin, until, then, row, str(was))
            assert was.accepts(row[f"{name}_previous"]), said
            now = value_over(judge, name, begin, until)
            assert now.accepts(row[name]), said
            change = row[f"{name}_change"]
            if change is not None:
                assert was.middle is not None, said
                assert was.middle > 0, said
                assert abs(Fraction(change) - (now.middle - was.middle) / was.middle) < Fraction(3, 100), said
            else:
                assert row["notes"][f"{name}_change"]["why"], said
            if QUESTIONS[name].kind == "flow" and not covered(judge, name, *then):
                assert change is None, said


def covered(judge: Judge, name: str, first: date, last: date) -> bool:
    return all(first + DAY * i in judge.days(name) for i in range((last - first).days + 1))


def test_a_series_that_is_no_more_is_compared_with_what_it_was(company_book: Play) -> None:
    first = last = date(2024, 4, 3)
    asked = {"scope": "week", "by": ["plan", "country"], "from_": first, "to": last}
    rows = company_book.book.query("signups", compare="previous", **asked).rows()
    before = company_book.book.query(
        "signups", scope="all", by=["plan", "country"], from_=first - 7 * DAY, to=last - 7 * DAY
    ).rows()
    was = {(row["plan"], row["country"]): row["signups"] for row in before}
    assert was
    assert {
        key: n for key, n in ((k, r["signups_previous"]) for r in rows for k in [(r["plan"], r["country"])]) if n
    } == was


@pytest.mark.parametrize("name", ["signups", "revenue", "active", "latency", "heavy", "last_price", "mrr", "per_user"])
def test_the_source_itself_gives_the_same_windows_and_comparisons(name: str, company_book: Play) -> None:
    judge = company_book.life.judge(live=True)
    asked: dict[str, Any] = {"from_": date(2024, 3, 25), "to": CLOSED, "live": True}
    for row in company_book.book.query(name, window="7 days", compare="previous", **asked).rows():
        day = row["period"]
        assert value_over(judge, name, day - 6 * DAY, day).accepts(row[name])
        assert value_over(judge, name, day - 7 * DAY, day - DAY).accepts(row[f"{name}_previous"])


# --- the top and the others ------------------------------------------------------------------------------------


@RIGHT
@given(data=st.data())
def test_the_top_and_the_others_are_each_computed_from_their_own_rows(company_book: Play, data: st.DataObject) -> None:
    judge = company_book.life.judge()
    name = data.draw(st.sampled_from([n for n in KNOWN if "plan" in company_book.life.judge().dims(n)]))
    scope = data.draw(st.sampled_from(SCOPES))
    first = FIRST + DAY * data.draw(st.integers(0, 40))
    last = min(CLOSED, first + DAY * data.draw(st.integers(0, 40)))
    most = data.draw(st.integers(1, 3))
    rows = company_book.book.query(name, scope=scope, by=["plan"], from_=first, to=last, top=most).rows()
    everyone = company_book.book.query(name, scope=scope, by=["plan"], from_=first, to=last).rows()
    best = {row["plan"] for row in rows if not row.get("others") and row[name] is not None}
    assert len(best) <= most
    kept = tuple(("plan", "!=", plan) for plan in top_plans(company_book, name, first, last, most))
    others = judge.answer(Ask(metrics=(name,), from_=first, to=last, scope=scope, where=kept))
    expected = {row["period"]: row["cells"][name] for row in others}
    for row in rows:
        if row.get("others"):
            assert expected[row["period"]].accepts(row[name]), (name, scope, row, kept)
    plain = [row for row in rows if not row.get("others")]
    assert plain == [row for row in everyone if row in plain]


def test_the_others_of_one_series_are_that_series(company_book: Play) -> None:
    """`pro` is carried into no day after March 4, other plans into March 5: as of that day `pro` is unknown."""
    asked: dict[str, Any] = {"scope": "year", "by": ["plan"], "from_": date(2024, 2, 19), "to": date(2024, 3, 5)}
    [pro] = [row for row in company_book.book.query("seats", **asked).rows() if row["plan"] == "pro"]
    [others] = [row for row in company_book.book.query("seats", top=3, **asked).rows() if row.get("others")]
    assert (others["seats"], others["notes"]["seats"]["as_of"]) == (pro["seats"], pro["notes"]["seats"]["as_of"])
    assert pro["seats"] is None


def top_plans(play: Play, name: str, first: date, last: date, most: int) -> list[str | None]:
    """The plans with the most over the whole range, as the judge has it."""
    judge, found = play.life.judge(), {}
    for row in judge.answer(Ask(metrics=(name,), from_=first, to=last, scope="all", by=("plan",))):
        found[row["plan"]] = row["cells"][name]

    def rank(plan: str | None) -> Any:
        value = found[plan]
        return (value.middle is None, -(value.middle or 0), plan is None, plan or "")

    return sorted(found, key=rank)[:most]


# --- order, limit, having ------------------------------------------------------------------------------------------


def test_rows_are_sorted_cut_and_picked(company_book: Play) -> None:
    ask = company_book.book.query
    days = {"from_": date(2024, 3, 11), "to": CLOSED}
    every = ask("revenue", **days).rows()
    by_size = sorted(every, key=lambda row: row["revenue"], reverse=True)
    assert [r["revenue"] for r in ask("revenue", sort=["-revenue"], limit=3, **days).rows()] == [
        r["revenue"] for r in by_size[:3]
    ]
    picked = ask("revenue", having=["revenue >= 30"], **days).rows()
    assert [r["period"] for r in picked] == [r["period"] for r in every if r["revenue"] >= 30]
    fell = ask("revenue", compare="previous", having=["revenue_change <= -50%"], **days).rows()
    assert fell
    assert all(2 * r["revenue"] <= r["revenue_previous"] for r in fell)


@pytest.mark.cases(1)
@pytest.mark.parametrize("week_starts", ["monday", "sunday", "saturday"])
def test_weeks_begin_on_the_asked_day(week_starts: str, company_book: Play) -> None:
    judge = company_book.life.judge()
    rows = company_book.book.query(
        "signups", scope="week", from_=date(2024, 3, 11), to=CLOSED, week_starts=week_starts
    ).rows()
    for row in rows:
        assert row["period"].strftime("%A").lower() == week_starts
        first, last = max(row["period"], date(2024, 3, 11)), min(row["period"] + 6 * DAY, CLOSED)
        assert value_over(judge, "signups", first, last).accepts(row["signups"])


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "why", "instead"),
    [
        ({"compare": "1 month", "scope": "week"}, "like for like", "4 weeks"),
        ({"compare": "10 days", "scope": "month"}, "like for like", "1 month"),
        ({"compare": "yesterday"}, "not understood", "previous"),
        ({"window": "a while"}, "not understood", "28 days"),
        ({"top": 3}, "one only", 'by=["DIM"]'),
        ({"top": 0, "by": ["plan"]}, "leaves nothing", "top=10"),
        ({"having": ["signups"]}, "not understood", "revenue < 0"),
        ({"having": ["mrr < 0"]}, "no column 'mrr'", "signups"),
        ({"sort": ["-mrr"]}, "no column 'mrr'", "-signups"),
        ({"week_starts": "moonday"}, "no weekday 'moonday'", "did you mean 'monday'"),
    ],
)
def test_what_makes_no_sense_is_told(asked: dict[str, Any], why: str, instead: str, company_book: Play) -> None:
    with pytest.raises((QueryError, Refused)) as told:
        company_book.book.query("signups", **asked)
    assert why in str(told.value)
    assert instead in str(told.value)


def test_a_metric_may_be_called_other(tmp_path: Path) -> None:
    (tmp_path / "tallybook.toml").write_text(
        '[book]\nstart = "2026-03-01"\n[sources.app]\nurl = "sqlite:///app.sqlite"\n'
        '[metrics.other]\ntable = "t"\ntime = "day"\nmeasure = "sum(n)"\nby = ["kind"]\n'
    )
    with closing(sqlite3.connect(tmp_path / "app.sqlite")) as app:
        app.execute("create table t (day date, kind text, n integer)")
        app.executemany("insert into t values ('2026-03-01', ?, ?)", [("a", 5), ("b", 3), ("c", 4)])
        app.commit()
    with tallybook.open(tmp_path, now=lambda: datetime(2026, 3, 2, 12, tzinfo=UTC)) as book:
        book.run()
        rows = book.query("other", by=["kind"], top=1).rows()
        assert [(row["kind"], row["other"], row.get("others")) for row in rows] == [("a", 5, None), (None, 7, True)]
