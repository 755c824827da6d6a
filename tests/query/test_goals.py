"""Goals: what is declared, where a metric should be by now, and when nobody can say so. Compared with the rows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from tallybook.cli import invoke
from tallybook.config.catalog.building import build
from tallybook.core import Result
from tallybook.core.errors import DeclarationError, QueryError
from tallybook.query import Question, pace
from tallybook.query.goals import standings
from tests.kinds import kinds_of
from tests.projects import Project

METRICS = """
    [metrics.signups]
    table = "users"
    time = "day"
    measure = "count(*)"
    by = ["plan"]

    [metrics.revenue]
    table = "users"
    time = "day"
    measure = "sum(paid)"
    unit = "EUR"

    [metrics.people]
    table = "users"
    time = "day"
    measure = "count(distinct person)"

    [metrics.ticket]
    table = "users"
    time = "day"
    measure = "avg(paid)"

    [metrics.dearest]
    table = "users"
    time = "day"
    measure = "max(paid)"

    [metrics.per_person]
    measure = "revenue / people"

    [metrics.mean_paid]
    measure = "revenue / signups"

    [metrics.net]
    measure = "revenue - 0.5 * signups"

    [metrics.arr]
    measure = "mrr * 12"

    [metrics.above_one]
    measure = "revenue - 1"

    [metrics.mrr]
    kind = "level"
    table = "subscriptions"
    from = "since"
    until = "gone"
    measure = "sum(mrr)"
"""
USERS = [  # day, plan, person, paid
    ("2024-02-01", "pro", 1, "10.10"),
    ("2024-02-01", "free", 2, "0.20"),
    ("2024-02-03", "pro", 1, "5.00"),
    ("2024-02-29", "pro", 3, "4.70"),
    ("2024-03-01", "pro", 1, "2.30"),
    ("2024-03-04", "pro", 1, "7.00"),
    ("2024-03-05", "free", 4, "0.45"),
]
SUBSCRIPTIONS = [("2024-01-01", None, 100), ("2024-02-10", "2024-03-03", 40), ("2024-03-02", None, 25)]


NOW = "2024-03-06T12:00"


def filled(folder: Path) -> Project:
    """The rows above in a database, and nothing collected yet."""
    folder.mkdir(exist_ok=True)
    (folder / "app.db").touch()
    project = Project(folder / "acme", f"sqlite:///{folder / 'app.db'}", now=NOW)
    project.table("users (day date, plan text, person int, paid decimal(10,2))")
    project.insert("users", [(day, plan, person, Decimal(paid)) for day, plan, person, paid in USERS])
    project.table("subscriptions (since date, gone date, mrr int)", SUBSCRIPTIONS)
    return project


@pytest.fixture
def project(tmp_path):
    """Nothing has been collected yet."""
    project = filled(tmp_path)
    yield project
    project.close()


@pytest.fixture(scope="module")
def collected_once(tmp_path_factory):
    project = filled(tmp_path_factory.mktemp("collected"))
    project.declare(METRICS)
    project.run()
    yield project
    project.close()


@pytest.fixture
def aim(collected_once):
    """The project with these goals; every day of its metrics is collected."""
    return lambda goals, **book: aiming(collected_once.at(NOW), goals, **book)


def aiming(project: Project, goals: str, **book: str) -> Project:
    """With these goals."""
    project.declare(METRICS + goals, **book)
    return project


def collected(project: Project, goals: str) -> Project:
    aiming(project, goals).run()
    return project


def only(project: Project, **asked: Any) -> Any:
    (standing,) = project.book.goals(**asked)
    return standing


def goal(metric: str, target: object, *more: str) -> str:
    return "\n".join([f"\n[goals.{metric}_goal]", f'metric = "{metric}"', f"target = {target}", *more, ""])


def paid_in(first: str, last: str) -> Decimal:
    return sum((Decimal(paid) for day, *_, paid in USERS if first <= day <= last), Decimal(0))


# ---------------------------------------------------------------------------------------------- what adds up


def test_a_running_month_is_held_against_the_targets_share_of_its_days(aim):
    found = only(aim(goal("signups", 31)))
    assert (found.period, found.until) == (date(2024, 3, 1), date(2024, 3, 31))
    assert (found.days, found.days_gone, found.days_expected) == (5, 5, 31)
    assert (found.value, found.expected, found.difference) == (3, 5, -2)
    assert found.difference_share == pytest.approx(-2 / 5)
    assert found.share == pytest.approx(3 / 31)
    assert found.projection == Decimal("18.6") == Decimal(3) / 5 * 31
    assert (found.status, found.why, found.notes) == ("behind", None, ())


def test_a_period_that_is_over_is_reached_or_missed_and_has_no_pace(aim):
    project = aim(goal("signups", 4) + goal("revenue", "20.01"))
    signups, revenue = project.book.goals(on="2024-02-29")
    assert (signups.value, signups.status, signups.expected, signups.projection) == (4, "reached", None, None)
    assert revenue.value == paid_in("2024-02-01", "2024-02-29") == Decimal("20.00")
    assert (revenue.status, revenue.share) == ("missed", pytest.approx(20 / 20.01))


def test_a_leap_years_february_has_29_days(aim):
    found = only(aim(goal("revenue", 29)), on="2024-02-10")
    assert (found.days, found.days_expected, found.expected) == (10, 29, 10)
    assert found.value == paid_in("2024-02-01", "2024-02-10") == Decimal("15.30")
    assert float(found.projection) == pytest.approx(15.30 / 10 * 29)


def test_decimals_stay_exact_where_a_fraction_has_an_end(aim):
    project = aim(goal("revenue", "0.29"))
    found = only(project, on="2024-02-10")
    assert (found.target, found.expected, found.difference) == (Decimal("0.29"), Decimal("0.1"), Decimal("15.2"))
    assert isinstance(found.expected, Decimal)
    endless = only(project, on="2024-02-07").projection
    assert endless == float(Fraction("15.30") / 7 * 29)


def test_a_month_of_which_days_are_missing_is_compared_like_for_like(project):
    aiming(project, goal("revenue", 31))
    project.run(from_="2024-03-01", to="2024-03-02")
    project.run(from_="2024-03-05", to="2024-03-05")
    found = only(project)
    assert (found.days, found.days_gone, found.days_expected) == (3, 5, 31)
    assert (found.value, found.expected) == (Decimal("2.75"), 3)
    assert found.projection == pytest.approx(2.75 / 3 * 31)
    assert found.status == "behind"
    assert found.notes == ("3 of the 5 days that are over are collected, and the pace is of these",)


def test_of_a_half_collected_month_nobody_says_that_it_was_missed_or_reached(project):
    aiming(project, goal("signups", 3) + goal("revenue", 1000))
    project.run(from_="2024-02-01", to="2024-02-14")
    for found in project.book.goals(on="2024-02-29"):
        assert (found.status, found.days, found.complete) == ("unknown", 14, False)
        assert found.why.startswith("14 of 29 days are collected: `tallybook coverage")


def test_days_that_are_missing_may_hold_what_takes_a_total_away_again(project):
    aiming(project, goal("revenue", 7))
    project.run(from_="2024-03-04", to="2024-03-05")
    assert (only(project).value, only(project).status) == (Decimal("7.45"), "ahead")
    project.run()
    assert (only(project).value, only(project).status) == (Decimal("9.75"), "reached")


def test_more_days_can_only_add_to_a_count(project):
    below = goal("signups", 1, "at_most = true").replace("signups_goal", "limit")
    aiming(project, goal("signups", 2) + below + goal("signups", -31).replace("signups_goal", "negative"))
    project.run(from_="2024-03-04", to="2024-03-05")
    found = {standing.goal: standing for standing in project.book.goals()}
    assert {name: one.status for name, one in found.items()} == {
        "signups_goal": "reached", "limit": "missed", "negative": "reached",
    }  # fmt: skip
    assert found["limit"].days < found["limit"].days_gone


@pytest.mark.parametrize(
    ("measure", "rises"),
    [
        ("count(*)", True), ("2 * count(*) + count(distinct person) / 3", True), ("coalesce(count(plan), 0)", True),
        ("count(*) - count(plan)", False), ("-1 * count(*)", False), ("sum(paid)", False), ("count(*) + 1", False),
    ],
)  # fmt: skip
def test_which_measures_never_fall(project, measure, rises):
    project.declare(
        f'[metrics.m]\ntable = "users"\ntime = "day"\nmeasure = "{measure}"\n[metrics.d]\nmeasure = "m * 2"\n'
    )
    catalog = project.book.project.catalog
    assert pace.never_falls(catalog, catalog.metrics["m"], "total") is rises
    assert pace.never_falls(catalog, catalog.metrics["d"], "formula") is rises


def test_nothing_collected_is_unknown_with_the_line_that_collects_it(project):
    found = only(aiming(project, goal("signups", 2)))
    assert (found.value, found.status, found.expected) == (None, "unknown", None)
    assert found.why == "signups was never collected: tallybook run"


def test_a_covered_month_without_a_fact_came_to_zero_and_not_to_nothing(aim):
    found = only(aim(goal("signups", 2)), on="2024-01-31")
    assert (found.value, found.share, found.status) == (0, 0.0, "missed")


# ---------------------------------------------------------------------------------------------- at most


def test_what_shall_stay_below_is_ahead_while_less_came_than_expected(aim):
    found = only(aim(goal("signups", 31, "at_most = true")))
    assert (found.value, found.expected, found.status) == (3, 5, "ahead")


def test_what_shall_stay_below_is_behind_when_it_comes_too_fast_and_missed_once_it_is_beyond(aim):
    project = aim(goal("signups", 4, "at_most = true") + goal("revenue", 9, "at_most = true"))
    signups, revenue = project.book.goals()
    assert (signups.value, signups.status) == (3, "behind")
    assert float(signups.expected) == pytest.approx(4 * 5 / 31)
    assert (revenue.value, revenue.status) == (Decimal("9.75"), "missed")


def test_a_limit_of_zero_is_kept_until_something_comes_and_divides_nothing(aim):
    project = aim(goal("signups", 0, "at_most = true"))
    january, february = project.book.goals(on="2024-02-15", last="2 months")
    assert (january.status, january.share) == ("reached", None)
    assert (february.status, february.expected, february.difference, february.difference_share) == (
        "missed",
        0,
        3,
        None,
    )
    quiet = only(project, on="2024-01-15")
    assert (quiet.value, quiet.status) == (0, "ahead")


def test_a_negative_target_is_no_reason_to_call_the_first_day_a_success(aim):
    project = aim(goal("revenue", -31))
    found = only(project)
    assert (found.value, found.expected, found.difference_share) == (Decimal("9.75"), -5, None)
    assert (found.status, found.share) == ("ahead", None)


# ---------------------------------------------------------------------------------------------- what does not add up


def test_distinct_people_have_no_pace_because_tomorrows_may_be_the_same_ones(aim):
    found = only(aim(goal("people", 3)))
    assert len({person for day, _, person, _ in USERS if day >= "2024-03-01"}) == found.value == 2
    assert (found.expected, found.difference, found.projection, found.status) == (None, None, None, "open")
    assert found.why == (
        "no pace: distinct things do not add up over days: those of several days overlap; decided when the month is over"
    )


def test_distinct_people_who_are_there_stay_there(aim):
    assert only(aim(goal("people", 2))).status == "reached"
    assert only(aim(goal("people", 1, "at_most = true"))).status == "missed"


def test_an_average_is_compared_with_the_target_itself(aim):
    project = aim(goal("ticket", "3.25") + goal("ticket", "3.26").replace("_goal", "_more"))
    found, more = project.book.goals()
    assert found.value == pytest.approx(9.75 / 3)
    assert [(s.expected, s.projection, s.status) for s in (found, more)] == [
        (None, None, "ahead"),
        (None, None, "behind"),
    ]
    assert found.notes == ("no pace: avg(paid) does not add up over days; compared with the target itself",)


def test_a_formula_has_no_pace_and_only_a_ratio_of_sums_is_like_its_whole(aim):
    project = aim(goal("mean_paid", 3) + goal("per_person", 3))
    ratio, growing = project.book.goals()
    assert (ratio.value, ratio.status) == (pytest.approx(9.75 / 3), "ahead")
    assert (growing.value, growing.status) == (pytest.approx(9.75 / 2), "open")
    assert ratio.expected is growing.expected is None


def test_a_formula_that_adds_totals_up_has_their_pace_and_one_of_levels_a_path(aim):
    project = aim(goal("net", 31) + goal("arr", 2052) + goal("above_one", 31))
    net, arr, above = project.book.goals()
    assert (net.value, net.expected, net.status) == (Decimal("9.75") - Decimal("1.5"), 5, "ahead")
    assert net.projection == Decimal("8.25") / 5 * 31
    assert (arr.value, arr.expected, arr.projection) == (12 * mrr_on("2024-03-05"), 12 * 145, None)
    assert (arr.status, arr.as_of) == ("behind", date(2024, 3, 5))
    assert (above.value, above.expected, above.status) == (Decimal("8.75"), None, "open")


def test_the_mean_of_the_days_is_no_sum_of_them(aim):
    found = only(aim(goal("signups", 1, 'show = "average"')))
    assert (found.value, found.expected, found.status) == (3 / 5, None, "behind")
    assert found.notes == ("no pace: the average of days is not their sum; compared with the target itself",)


def test_the_most_so_far_decides_when_it_is_beyond_the_target(aim):
    project = aim(goal("dearest", 7) + goal("dearest", 6, "at_most = true").replace("_goal", "_low"))
    assert [s.status for s in project.book.goals()] == ["reached", "missed"]
    assert [s.status for s in project.book.goals(on="2024-03-02")] == ["open", "open"]


def test_two_steps_do_not_add_up(project):
    collected(project, """
        [metrics.heavy]
        table = "users"
        time = "day"
        measure = "sum(paid)"
        per = "person"
        then = "max"
    """ + goal("heavy", 5))  # fmt: skip
    found = only(project)
    assert (found.value, found.expected, found.status) == (Decimal("9.30"), None, "open")
    assert "no pace: one number of the values of all person does not add up" in found.why


def test_daily_counts_of_distinct_things_are_judged_by_what_they_lie_between(project):
    project.table("daily (day date, n int)", [("2024-02-01", 5), ("2024-02-02", 7), ("2024-03-01", 1)])
    collected(project, """
        [metrics.visitors]
        kind = "uniques"
        table = "daily"
        time = "day"
        measure = "sum(n)"
    """ + "".join(goal("visitors", n).replace("_goal", f"_{n}") for n in (7, 9, 13)))  # fmt: skip
    found = project.book.goals(on="2024-02-29")
    assert [(s.value, s.status) for s in found] == [(None, "reached"), (None, "unknown"), (None, "missed")]
    assert found[1].why.endswith("those of several days overlap; between 7 and 12")


def test_an_approximate_value_near_its_target_is_on_neither_side(project):
    project.execute("delete from users")
    project.insert("users", [("2024-02-01", "pro", n, n) for n in range(1501)])
    collected(project, """
        [metrics.middle]
        table = "users"
        time = "day"
        measure = "median(paid)"
    """ + "".join(goal("middle", n).replace("_goal", f"_{n}") for n in (500, 750, 1000)))  # fmt: skip
    found = project.book.goals(on="2024-02-29")
    assert [s.approximate for s in found] == [True, True, True]
    assert [s.status for s in found] == ["reached", "unknown", "missed"]
    assert found[1].why == "the value is known to within 1%, and may be on either side"


# ---------------------------------------------------------------------------------------------- levels


def mrr_on(day: str) -> int:
    return sum(mrr for since, gone, mrr in SUBSCRIPTIONS if since <= day and (gone is None or gone > day))


def test_a_level_is_held_against_the_straight_path_from_where_the_month_began(aim):
    found = only(aim(goal("mrr", 171)))
    opening, now = mrr_on("2024-02-29"), mrr_on("2024-03-05")
    assert (opening, now) == (140, 125)
    assert (found.value, found.as_of) == (now, date(2024, 3, 5))
    assert found.expected == opening + Fraction(171 - opening) * Fraction(5, 31) == 145
    assert (found.difference, found.projection, found.status) == (-20, None, "behind")


def test_a_level_that_was_there_already_has_only_to_stay(aim):
    project = aim(goal("mrr", 120) + goal("mrr", 130).replace("_goal", "_more"))
    stays, fell = project.book.goals()
    assert (stays.status, stays.expected) == ("ahead", None)
    assert stays.notes == ("no pace: it was there already when the month began",)
    assert (fell.status, fell.expected) == ("behind", None)


def test_a_level_whose_beginning_was_not_collected_has_no_pace(project):
    aiming(project, goal("mrr", 171) + goal("mrr", 100).replace("_goal", "_less"))
    project.run(from_="2024-03-01", to="2024-03-05")
    short, there = project.book.goals()
    assert (short.value, short.expected, short.status) == (125, None, "open")
    assert short.why == "no pace: 2024-02-29, the day before the month, was not collected"
    assert there.status == "ahead"


def test_a_level_that_began_with_nothing_to_measure_has_no_pace(project):
    collected(project, """
        [metrics.price]
        kind = "level"
        table = "subscriptions"
        from = "since"
        where = "since > '2024-03-01'"
        measure = "avg(mrr)"
    """ + goal("price", 30))  # fmt: skip
    found = only(project)
    assert (found.value, found.status) == (25, "open")
    assert found.why == "no pace: 2024-02-29, the day before the month, had nothing to measure"


def test_a_level_is_compared_with_the_path_on_the_day_it_is_of(project):
    aiming(project, goal("mrr", 171))
    project.run(from_="2024-02-29", to="2024-03-02")
    found = only(project)
    assert (found.value, found.as_of, found.expected) == (165, date(2024, 3, 2), 142)
    assert found.status == "ahead"
    assert found.notes == (
        "2 of the 5 days that are over are collected",
        "the value is of the end of 2024-03-02",
    )


def test_a_level_is_judged_by_its_last_day_and_by_no_other(project):
    aiming(project, goal("mrr", 140))
    project.run(from_="2024-02-29", to="2024-02-29")
    assert (only(project, on="2024-02-29").status, only(project, on="2024-02-29").days) == ("reached", 1)
    found = only(project, on="2024-01-31")
    assert (found.status, found.value) == ("unknown", None)
    assert found.why == "not collected: tallybook run mrr --from 2024-01-01 --to 2024-01-31"


def test_the_change_of_a_level_goes_from_zero_to_its_target(aim):
    found = only(aim(goal("mrr", 31, 'show = "change"')))
    assert (found.value, found.expected, found.status) == (125 - 140, 5, "behind")


def test_the_average_of_a_level_is_compared_with_the_target_itself(aim):
    found = only(aim(goal("mrr", 130, 'show = "average"')))
    days = [mrr_on(f"2024-03-0{n}") for n in range(1, 6)]
    assert (found.value, found.expected, found.status) == (sum(days) / 5, None, "ahead")


# ---------------------------------------------------------------------------------------------- periods


def test_a_week_begins_where_the_book_says(aim):
    project = aim(goal("signups", 7, 'scope = "week"'), week_starts="sunday")
    found = only(project)  # 6 March 2024 is a Wednesday
    assert (found.period, found.until, found.days) == (date(2024, 3, 3), date(2024, 3, 9), 3)
    assert (found.value, found.expected) == (2, 3)


def test_the_days_up_to_then_count_and_no_later_ones(aim):
    project = aim(goal("signups", 31))
    assert [(s.value, s.days, s.status) for s in project.book.goals(on="2024-03-02")] == [(1, 2, "behind")]
    assert [(s.label, s.value) for s in project.book.goals(last="3 months")] == [
        ("2024-01", 0),
        ("2024-02", 4),
        ("2024-03", 3),
    ]


def test_a_month_is_told_of_from_when_its_first_day_is_over(project):
    collected(project.at("2024-03-01T08:00"), goal("signups", 31))
    assert only(project).label == "2024-02"
    running = only(project, on="today")
    assert (running.label, running.value, running.days_gone) == ("2024-03", None, 0)
    assert (running.status, running.why) == ("unknown", "2024-03-01 is not over yet")
    project.at("2024-03-02T08:00").run()
    assert (only(project).label, only(project).days) == ("2024-03", 1)


def test_every_period_has_its_own_target_and_one_without_has_no_status(aim):
    project = aim("""
        [goals.growth]
        metric = "signups"
        targets = { 2024-01 = 1, "2024-02-01" = 4 }
    """)  # fmt: skip
    assert [(s.target, s.status) for s in project.book.goals(last="3 months")] == [
        (1, "missed"), (4, "reached"), (None, "unknown"),
    ]  # fmt: skip
    running = only(project)
    assert (running.value, running.expected, running.share) == (3, None, None)
    assert running.why == "there is no target for 2024-03: targets has 2024-01, 2024-02"


def test_a_quarter_and_a_year_have_the_days_of_the_calendar(aim):
    project = aim(goal("signups", 91, 'scope = "quarter"') + goal("revenue", 366, 'scope = "year"'))
    quarter, year = project.book.goals()
    assert (quarter.days, quarter.days_expected, quarter.value, quarter.expected) == (65, 91, 7, 65)
    assert (year.days, year.days_expected, year.value) == (65, 366, paid_in("2024-01-01", "2024-12-31"))


def test_a_goal_says_the_number_that_the_same_question_says(aim):
    project = aim(goal("signups", 9, 'where = ["plan=pro"]'))
    found = project.book.goals(last="3 months")
    assert {str(s.period): s.value for s in found} == project.ask(
        "signups", scope="month", where=["plan=pro"], from_="2024-01-01"
    )
    assert [s.value for s in found] == [0, 3, 2]


def test_both_numbers_of_a_level_are_of_one_version_of_the_book(project):
    """A run that publishes between the two answers is no jump of the level."""
    collected(project, goal("mrr", 171))
    asked = []

    class Answers:
        def answer(self, question: Question) -> Result:
            result = project.book.ask(question)
            asked.append(question.scope)
            if len(asked) == 1:
                project.insert("subscriptions", [("2024-02-29", None, 1000)])
                project.run("mrr", from_="2024-02-01", to="2024-03-05")
            return result

    (found,) = standings(project.book.project.catalog, [], Answers(), today=date(2024, 3, 6))
    assert asked == ["month", "day", "month", "day"]
    assert (found.value, found.expected) == (1125, None)
    assert found.notes == ("no pace: it was there already when the month began",)


def test_an_unknown_goal_is_told_with_the_nearest_one(aim):
    project = aim(goal("signups", 9))
    with pytest.raises(QueryError, match=r"there is no goal 'signup_goal'\n.*did you mean 'signups_goal'\?"):
        project.book.goals("signup_goal")
    with pytest.raises(QueryError, match="is not a span"):
        project.book.goals(last="a while")


# ---------------------------------------------------------------------------------------------- any additive metric

DAYS = [date(2024, 2, 1) + timedelta(days=n) for n in range(29)]


@settings(max_examples=8)
@given(
    rows=st.lists(st.tuples(st.sampled_from(DAYS), st.integers(-9999, 9999)), max_size=12),
    measure=st.sampled_from(
        [("count(*)", lambda n: 1), ("sum(n)", lambda n: n), ("2 * sum(n) - count(*)", lambda n: 2 * n - 1)]
    ),
    gone=st.integers(1, 28),
    missing=st.integers(0, 5),
    target=st.decimals(-5000, 5000, places=2),
    at_most=st.booleans(),
)
def test_the_pace_of_what_adds_up_is_that_of_its_rows(tmp_path_factory, rows, measure, gone, missing, target, at_most):
    folder = tmp_path_factory.mktemp("book")
    (folder / "app.db").touch()
    project = Project(folder / "acme", f"sqlite:///{folder / 'app.db'}", now="2024-03-06T12:00")
    project.table("facts (day date, n int)", rows)
    text, each = measure
    project.declare(f"""
        [metrics.flow]
        table = "facts"
        time = "day"
        measure = "{text}"

        [goals.it]
        metric = "flow"
        target = {target}
        at_most = {str(at_most).lower()}
    """)
    covered = DAYS[min(missing, gone - 1) : gone]
    project.run(from_=covered[0], to=covered[-1])
    found = only(project, on=DAYS[gone - 1])
    project.close()
    value = sum(each(n) for day, n in rows if day in covered)
    share = Fraction(len(covered), 29)
    assert (found.value, found.days, found.days_gone) == (value, len(covered), gone)
    assert float(found.expected) == pytest.approx(float(Fraction(target) * share))
    assert float(found.difference) == pytest.approx(float(value - Fraction(target) * share))
    assert float(found.projection) == pytest.approx(float(value / share))
    on_pace = value <= Fraction(target) * share if at_most else value >= Fraction(target) * share
    decided = found.status in ("reached", "missed")
    assert found.status == ("ahead" if on_pace else "behind") or decided
    if text == "count(*)":
        assert decided == (value > target if at_most else value >= target)
    elif decided:
        assert len(covered) == gone
        assert value > target >= 0 if at_most else value >= target > 0


# ---------------------------------------------------------------------------------------------- what is declared


def problems_of(project: Project, goals: str, **book: str) -> dict[str, Any]:
    aiming(project, goals, **book)
    with pytest.raises(DeclarationError) as caught:
        _ = project.book
    found = {problem.path: problem for problem in caught.value.problems}
    assert len(found) == len(caught.value.problems)
    return found


def test_all_mistakes_of_all_goals_are_told_at_once(project):
    found = problems_of(project, """
        [goals.a]
        metric = "signup"
        scope = "day"
        target = "1200"

        [goals.b]
        metric = "mrr"
        show = "total"
        where = ["plan=pro"]

        [goals.c]
        metric = "signups"
        where = ["plam=pro"]
        show = "change"
        target = 3
        targets = { 2024-01 = 4 }

        [goals.d]
        target = true

        [goals.e]
        metric = "per_person"
        show = "average"
        target = inf

        [goals.f]
        metric = "signups"
        tarket = 5
    """)  # fmt: skip
    assert list(found) == [
        "goals.a.scope", "goals.a.target", "goals.a.metric",
        "goals.b.target", "goals.b.where", "goals.b.show",
        "goals.c.targets", "goals.c.where", "goals.c.show",
        "goals.d.target", "goals.d.metric",
        "goals.e.target", "goals.e.show",
        "goals.f.tarket",
    ]  # fmt: skip
    assert (found["goals.a.metric"].hint, found["goals.a.metric"].paste) == (
        "did you mean 'signups'?",
        'metric = "signups"',
    )
    assert found["goals.a.scope"].expected == "week, month, quarter, year"
    assert found["goals.a.target"].paste == "target = 1200"
    assert found["goals.b.target"].paste == "target = 1200"
    assert found["goals.b.where"].message == "'plan' is not a dimension of 'mrr'"
    assert found["goals.b.show"].message == "adding a level over days counts the same items once a day"
    assert found["goals.b.show"].paste == 'show = "average"'
    assert found["goals.c.where"].paste == 'where = ["plan=pro"]'
    assert found["goals.c.show"].message == "change is only for levels; a flow has a total"
    assert found["goals.e.show"].expected == "without this line"
    assert found["goals.f.tarket"].paste == "target = 5"


@pytest.mark.parametrize(
    ("scope", "period", "seen", "meant"),
    [
        ("month", '"2024-01-15"', '"2024-01-15" = 3', "2024-01-01"),
        ("week", '"2024-03-05"', '"2024-03-05" = 3', "2024-03-04"),
        ("quarter", '"2024-02-01"', '"2024-02-01" = 3', "2024-01-01"),
        ("year", '"2024-02-01"', '"2024-02-01" = 3', "2024-01-01"),
        ("month", '"January"', '"January" = 3', ""),
        ("quarter", '"2024-01"', '"2024-01" = 3', ""),
        ("month", '"2024-13"', '"2024-13" = 3', ""),
    ],
)
def test_a_target_belongs_to_a_period_of_its_scope(project, scope, period, seen, meant):
    found = problems_of(project, f"""
        [goals.a]
        metric = "signups"
        scope = "{scope}"
        targets = {{ {period} = 3 }}
    """)["goals.a.targets"]  # fmt: skip
    assert f"is not the first day of a {scope}" in found.message
    assert found.seen == seen
    assert found.paste == (f"targets = {{ {meant} = 3 }}" if meant else "")


def test_weeks_of_targets_begin_where_those_of_the_book_do(project):
    week = '\n[goals.a]\nmetric = "signups"\nscope = "week"\ntargets = { 2024-03-04 = 3 }\n'
    aiming(project, week)
    assert list(project.book.project.catalog.goals["a"].targets) == [date(2024, 3, 4)]
    found = problems_of(project, week, week_starts="sunday")["goals.a.targets"]
    assert (found.expected, found.hint) == ("Sundays: the first days of weeks", "did you mean '2024-03-03'?")


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ("{ 2024-01 = 1, 2024-01-01 = 2 }", "the month of 2024-01-01 has two targets"),
        ("{}", "targets contains no period"),
        ("[1, 2]", "targets is not a table of periods"),
        ('{ 2024-01 = "12" }', 'targets contains 2024-01 = "12", which is not a number'),
    ],
)
def test_targets_are_a_number_for_each_period(project, targets, message):
    found = problems_of(project, f'\n[goals.a]\nmetric = "signups"\ntargets = {targets}\n')
    assert found["goals.a.targets"].message == message


def test_a_goal_of_a_metric_with_mistakes_is_not_told_of_twice(project):
    broken = '[metrics.broken]\ntable = "users"\ntime = "day"\nmeasure = "sum(("\n'
    assert list(problems_of(project, broken + goal("broken", 3))) == ["metrics.broken.measure"]


def test_targets_are_read_as_they_are_written(project):
    catalog = build(
        {"sources": {"app": {"url": "sqlite:///app.db"}},
         "metrics": {"n": {"table": "t", "time": "at", "measure": "sum(x)"}},
         "goals": {"g": {"metric": "n", "target": 0.1}, "h": {"metric": "n", "scope": "year", "targets": {"2024": 10**20}}}},
        kinds=kinds_of({"app": "sqlite"}),
    )  # fmt: skip
    assert catalog.goals["g"].target == Decimal("0.1")
    assert catalog.goals["h"].targets == {date(2024, 1, 1): Decimal(10**20)}


def test_check_says_what_each_goal_asks_for(project):
    aiming(
        project, goal("signups", 9, 'where = ["plan=pro"]') + goal("mrr", "1.5", "at_most = true", 'show = "average"')
    )
    said = typed(project, "check")
    assert "signups_goal: signups where plan=pro should be at least 9 in every month." in said
    assert "mrr_goal: the average of mrr should be at most 1.5 in every month." in said
    assert "2 goals" in said
    told = json.loads(typed(project, "check", "--format", "json"))["goals"]
    assert [one["goal"] for one in told] == ["signups_goal", "mrr_goal"]


def test_what_was_read_is_kept_and_read_again(project):
    collected(project, '\n[goals.g]\nmetric = "signups"\ntargets = { 2024-02 = 1.25 }\n')
    before = project.book.project.catalog.goals
    project.close()
    assert project.book.project.catalog.goals == before
    assert before["g"].targets == {date(2024, 2, 1): Decimal("1.25")}


# ---------------------------------------------------------------------------------------------- on the screen


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def typed(project: Project, *words: str, screen: bool = False, exits: int = 0) -> str:
    out, err = Screen() if screen else io.StringIO(), io.StringIO()
    arguments: Sequence[str] = [*words, "--project", str(Path(project.folder))]
    assert invoke(arguments, now=lambda: project.now, stdout=out, stderr=err, env={}) == exits, err.getvalue()
    return out.getvalue()


def test_the_table_has_a_line_for_each_goal_and_period_and_the_reasons_below(aim):
    project = aim(goal("revenue", 31, 'title = "Revenue"') + goal("people", 3))
    assert typed(project, "goals", "--last", "2 months").splitlines() == [
        "goal         period       value     target   share      days  expected          difference  projection  status",
        "Revenue      2024-02  20.00 EUR  31.00 EUR   64.5%  29 of 29         –                   –           –  missed",
        "Revenue      2024-03   9.75 EUR  31.00 EUR   31.5%   5 of 31  5.00 EUR  +4.75 EUR (+95.0%)   60.45 EUR  ahead",
        "people_goal  2024-02          3          3  100.0%  29 of 29         –                   –           –  reached",
        "people_goal  2024-03          2          3   66.7%   5 of 31         –                   –           –  open",
        "– people_goal: no pace: distinct things do not add up over days: those of several days overlap; decided when the month is over (2024-03)",
    ]


def test_colours_say_how_it_stands(aim):
    project = aim(goal("revenue", 31) + goal("signups", 31) + goal("people", 3))
    shown = typed(project, "goals", screen=True)
    assert "\x1b[32mahead\x1b[0m" in shown
    assert "\x1b[33mbehind\x1b[0m" in shown
    assert "\x1b[2mopen\x1b[0m" in shown
    assert "\x1b[1;31mmissed\x1b[0m" in typed(project, "goals", "--on", "2024-02-29", "signups_goal", screen=True)


def test_a_narrow_screen_shows_what_fits_and_says_what_does_not(aim, monkeypatch):
    project = aim(goal("revenue", 31))
    monkeypatch.setenv("COLUMNS", "70")
    head, line, spared = typed(project, "goals", screen=True).splitlines()
    assert head == "\x1b[1mgoal          period      value     target  expected  status\x1b[0m"
    assert line == "revenue_goal  2024-03  9.75 EUR  31.00 EUR  5.00 EUR  \x1b[32mahead\x1b[0m"
    assert spared == "\x1b[2m… difference, share, days, projection\x1b[0m"


def test_programs_get_every_number_and_reason(aim):
    project = aim(goal("revenue", 31))
    (found,) = json.loads(typed(project, "goals", "--format", "json"))["goals"]
    assert {key: found[key] for key in ("goal", "period", "until", "value", "expected", "status", "unit", "show")} == {
        "goal": "revenue_goal", "period": "2024-03-01", "until": "2024-03-31", "value": 9.75, "expected": 5,
        "status": "ahead", "unit": "EUR", "show": "total",
    }  # fmt: skip
    (exact,) = json.loads(typed(project, "goals", "--format", "json", "--exact"))["goals"]
    assert exact["value"] == "9.75"
    (row,) = csv.DictReader(io.StringIO(typed(project, "goals", "revenue_goal", "--format", "csv")))
    assert (row["goal"], row["value"], row["at_most"], row["where"]) == ("revenue_goal", "9.75", "false", "")
    assert json.loads(typed(project, "goals", "--format", "ndjson")) == found


def test_without_goals_the_verb_says_where_they_are_declared(project):
    aiming(project, "")
    assert typed(project, "goals") == "No goals are declared: [goals.NAME] in tallybook.toml.\n"
