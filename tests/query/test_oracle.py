"""The judge, judged: small examples worked out by hand, with their data in sight.

T1 to T14 are the inputs and right answers of `facts/metric_queries.md` §4.4 and §4.5. Sections named in the
other tests are DESIGN.md's.
"""

from __future__ import annotations

import inspect
import math
import random
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.internal.conjecture.engine import ConjectureRunner

from tests import oracle, strategies
from tests.conftest import sampled
from tests.oracle import (
    DAY,
    DERIVED,
    Agg,
    And,
    Ask,
    BookSpec,
    Call,
    Case,
    Column,
    MetricSpec,
    Num,
    Op,
    Or,
    Pred,
    Ref,
    Refusal,
    Row,
    Table,
    Value,
    days_between,
    differences,
    near,
)
from tests.oracle.dates import Fiscal, days_before, same_day, shift_of
from tests.oracle.goals import GoalSpec, goal_differences
from tests.oracle.imports import CellsWithImports
from tests.strategies import Import, Life, World, worlds

UTC_BOOK = BookSpec("UTC")
COLLECTED = strategies.collected


def d(text: str) -> date:
    """'01-31' of 2024, or a whole date."""
    return date.fromisoformat(text if len(text) == 10 else f"2024-{text}")


def t(text: str) -> datetime:
    """'01-31 23:30' of 2024."""
    return datetime.fromisoformat(f"2024-{text}")


def table(types: str, rows: Iterable[Sequence[Any]], name: str = "t") -> Table:
    """A table from 'column type, column type, …' and its rows, numbered from 1."""
    columns = [Column(name="id", type="int")]
    for said in types.split(", "):
        column, kind = said.split(" ")
        columns.append(
            Column(
                name=column,
                type=kind.rstrip("0123456789"),
                scale=int("0" + kind.strip("abcdefghijklmnopqrstuvwxyz_")),
            )
        )
    names = [column.name for column in columns]
    found: list[Row] = [dict(zip(names, (i, *row), strict=True)) for i, row in enumerate(rows, 1)]
    return Table(name=name, columns=tuple(columns), rows=found)


def metric(measure: Any, **said: Any) -> MetricSpec:
    return MetricSpec(**{"name": "m", "table": "t", "time": "at", "measure": measure, **said})


def level(measure: Any, **said: Any) -> MetricSpec:
    return metric(measure, **{"kind": "level", "shape": "daily", "time": "day", **said})


def interval(measure: Any, **said: Any) -> MetricSpec:
    return metric(
        measure,
        **{"kind": "level", "shape": "interval", "time": "", "from_": "since", "until": "until", **said},
    )


def rows(
    spec: MetricSpec | Sequence[MetricSpec],
    facts: Table | dict[Any, Table],
    scope: Any,
    days: str,
    *,
    book: BookSpec = UTC_BOOK,
    missed: Sequence[str] = (),
    covered: Any = None,
    closed: str | None = None,
    **asked: Any,
) -> list[Row]:
    """Ask all the given metrics for `days` ('01-01..01-31'); every closed day is covered but the `missed`."""
    specs = [spec] if isinstance(spec, MetricSpec) else list(spec)
    first, last = (d(end) for end in days.split(".."))
    until = d(closed) if closed else last
    if covered is None:
        covered = set(days_between(first - DAY * 500, until)) - {d(day) for day in missed}
    asked_names = asked.pop("metrics", None) or tuple(s.name for s in specs)
    ask = Ask(metrics=asked_names, from_=first, to=last, scope=scope, **asked)
    tables = facts if isinstance(facts, dict) else {facts.name: facts}
    by_metric = covered if isinstance(covered, dict) else {s.name: covered for s in specs if s.table}
    return oracle.answer(book, {s.name: s for s in specs}, tables, ask, by_metric, until)


def told(found: Sequence[Row], *names: str) -> list[Any]:
    """Periods as '01-31' (or None), then the named cells; one name gives pairs."""
    return [
        (row["period"] and row["period"].strftime("%m-%d"), *(row[name] for name in names or ("m",))) for row in found
    ]


def only(found: Sequence[Row], name: str = "m") -> Any:
    """The one row's value."""
    assert len(found) == 1, found
    return found[0][name]


# ------------------------------------------------------------------------------- T1 to T14 of the field

GAUGE_DAYS = days_between(d("01-01"), d("03-05"))
GAUGE = table(
    "day date, account int, plan text, mrr decimal2",
    [
        (day, account, plan, Decimal(mrr))
        for day in GAUGE_DAYS
        for account, plan, mrr in [(1, "pro", 100), (2, "team", 50), (3, "free", 10)]
        if not (account == 2 and day == d("01-31")) and not (account == 3 and day > d("02-20"))
    ],
)
"""Account 2 has no row on 01-31: the collector missed it. Account 3 ends on 02-20: it churned."""
MRR = level(Agg("sum", ("mrr",)), by=("plan", "account"))
MRR_CARRIED = level(Agg("sum", ("mrr",)), by=("plan", "account"), carry=3)


def test_t1_the_sum_of_daily_mrr_is_refused() -> None:
    with pytest.raises(Refusal, match="level"):
        rows(MRR, GAUGE, "month", "01-01..01-31", show="total")
    with pytest.raises(Refusal, match="level"):
        rows(MRR, GAUGE, "day", "01-01..01-31", show="total")


def test_t2_the_average_is_of_daily_totals_not_of_rows() -> None:
    january = only(rows(MRR, GAUGE, "month", "01-01..01-31", show="average"))
    assert january == pytest.approx((30 * 160 + 110) / 31)
    assert round(january, 2) == 158.39
    assert only(rows(MRR_CARRIED, GAUGE, "month", "01-01..01-31", show="average")) == 160


def test_t3_a_missed_snapshot_on_the_last_day_is_carried_where_that_was_declared() -> None:
    assert only(rows(MRR_CARRIED, GAUGE, "month", "01-01..01-31")) == 160
    assert only(rows(MRR, GAUGE, "month", "01-01..01-31")) == 110  # without `carry` account 2 is gone


def test_t4_a_churned_account_is_gone() -> None:
    assert only(rows(MRR_CARRIED, GAUGE, "month", "02-01..02-29")) == 150
    by_day = told(rows(MRR_CARRIED, GAUGE, "day", "02-20..02-25"))
    assert by_day == [
        ("02-20", 160),
        ("02-21", 160),
        ("02-22", 160),
        ("02-23", 160),
        ("02-24", 150),
        ("02-25", 150),
    ]


def test_t5_parts_add_up_to_the_total() -> None:
    found = rows(MRR_CARRIED, GAUGE, "month", "01-01..02-29", by=("plan",), totals=True)
    assert [(row["period"], row["plan"], row["m"]) for row in found] == [
        (d("01-01"), "free", 10),
        (d("01-01"), "pro", 100),
        (d("01-01"), "team", 50),
        (d("01-01"), None, 160),
        (d("02-01"), "free", 0),  # gone at the end, shown as 0
        (d("02-01"), "pro", 100),
        (d("02-01"), "team", 50),
        (d("02-01"), None, 150),
        (None, None, 150),
    ]
    assert [row["total"] for row in found] == [False, False, False, True] * 2 + [True]


def test_t6_a_totals_row_over_months_is_the_last_day() -> None:
    found = rows(MRR_CARRIED, GAUGE, "month", "01-01..03-05", totals=True)
    assert told(found) == [("01-01", 160), ("02-01", 150), ("03-01", 150), (None, 150)]


EVENTS = table(
    "at timestamp, user_id int",
    [
        (t("01-01 12:00"), 1),
        (t("01-02 12:00"), 1),
        (t("01-07 23:30"), 1),
        (t("02-01 00:30"), 1),
        (t("01-08 00:30"), 2),
        (t("01-31 23:30"), 3),
        (t("02-15 12:00"), 3),
    ],
)


def test_t7_running_distinct_users() -> None:
    ever = table(
        "since timestamp, until timestamp, user_id int",
        [(row["at"], None, row["user_id"]) for row in EVENTS.rows],
    )
    running = interval(Agg("count_distinct", ("user_id",)))
    assert told(rows(running, ever, "month", "01-01..02-29")) == [("01-01", 3), ("02-01", 3)]
    flow = metric(Agg("count_distinct", ("user_id",)))
    assert told(rows(flow, EVENTS, "month", "01-01..02-29", totals=True)) == [
        ("01-01", 3),
        ("02-01", 2),
        (None, 3),
    ]


AVERAGES = table(
    "day date, account int, n int, avg_ms int, dau int",
    [
        (d("01-01"), 1, 10, 2, 5),
        (d("01-02"), 1, 90, 4, 5),
        (d("01-03"), 1, 100, 3, 6),
        (d("01-01"), 2, 1, 100, 1),
        (d("01-08"), 1, 50, 5, 4),
    ],
)


def test_t8_a_running_total_by_week_is_that_of_its_last_day() -> None:
    ever = table("since date, until date, n int", [(row["day"], None, row["n"]) for row in AVERAGES.rows])
    assert told(rows(interval(Agg("sum", ("n",))), ever, "week", "01-01..01-14")) == [
        ("01-01", 201),
        ("01-08", 251),
    ]


def test_t9_an_average_of_daily_averages_is_weighted() -> None:
    weighted = metric(Op("/", Agg("sum", (("*", "n", "avg_ms"),)), Agg("sum", ("n",))), time="day")
    first, second = rows(weighted, AVERAGES, "week", "01-01..01-14")
    assert first["m"] == pytest.approx(780 / 201)
    assert round(first["m"], 2) == 3.88
    assert second["m"] == 5


def test_t10_a_weeks_unique_users_are_unknown_from_daily_counts_but_bounded() -> None:
    unique = metric(Agg("sum", ("dau",)), kind="uniques", time="day")
    first, second = rows(unique, AVERAGES, "week", "01-01..01-14")
    assert first["m"] is None
    assert [bound.number for bound in first["bounds"]["m"]] == [6, 17]
    assert [bound.number for bound in second["bounds"]["m"]] == [4, 4]
    assert told(rows(unique, AVERAGES, "day", "01-01..01-03")) == [("01-01", 6), ("01-02", 5), ("01-03", 6)]
    assert only(rows(unique, AVERAGES, "week", "01-03..01-03")) == 6  # only one day was asked for


def test_t11_by_account_over_all_time_is_one_row_an_account() -> None:
    found = rows(
        metric(Agg("sum", ("n",)), time="day", by=("account",)),
        AVERAGES,
        "all",
        "01-01..01-31",
        by=("account",),
    )
    assert told(found, "account", "m") == [("01-01", 1, 250), ("01-01", 2, 1)]


def test_t12_empty_weeks_are_zero_and_no_others_are_there() -> None:
    events = rows(metric(Agg("count")), EVENTS, "week", "01-01..02-18")
    assert told(events) == [
        ("01-01", 3),
        ("01-08", 1),
        ("01-15", 0),
        ("01-22", 0),
        ("01-29", 2),
        ("02-05", 0),
        ("02-12", 1),
    ]


def test_t13_months_in_new_york() -> None:
    new_york = rows(metric(Agg("count")), EVENTS, "month", "01-01..02-29", book=BookSpec("America/New_York"))
    assert told(new_york) == [("01-01", 6), ("02-01", 1)]
    assert told(rows(metric(Agg("count")), EVENTS, "month", "01-01..02-29")) == [("01-01", 5), ("02-01", 2)]


def test_t14_a_week_of_three_days_is_marked() -> None:
    found = rows(metric(Agg("count")), EVENTS, "week", "01-29..02-07")
    assert [(row["days"], row["days_expected"], row["complete"]) for row in found] == [
        (7, 7, True),
        (3, 7, False),
    ]


# --------------------------------------------------------------------------------------- time and zones

STAMPS = ["03-30 22:59:59", "03-30 23:00:00", "03-31 21:59:59", "03-31 22:00:00"]
"""Around 2024-03-31 in Berlin, which had 23 hours: 23:00 UTC of the day before until 22:00."""


@pytest.mark.parametrize("kind", ["timestamp", "timestamptz", "epoch_s", "epoch_ms"])
def test_a_local_day_of_23_hours(kind: str) -> None:
    def as_stored(moment: datetime) -> Any:
        seconds = int(moment.replace(tzinfo=UTC).timestamp())
        return {
            "timestamp": moment,
            "timestamptz": moment.replace(tzinfo=UTC),
            "epoch_s": seconds,
            "epoch_ms": seconds * 1000,
        }[kind]

    facts = table(f"at {kind}", [(as_stored(t(stamp)),) for stamp in STAMPS])
    found = rows(metric(Agg("count")), facts, "day", "03-30..04-01", book=BookSpec("Europe/Berlin"))
    assert told(found) == [("03-30", 1), ("03-31", 2), ("04-01", 1)]


def test_local_times_and_dates_are_their_own_days() -> None:
    local = table("at timestamp_local", [(t("03-31 00:00:00"),), (t("03-31 23:59:59"),), (t("04-01 00:00:00"),)])
    found = rows(metric(Agg("count")), local, "day", "03-31..04-01", book=BookSpec("Europe/Berlin"))
    assert told(found) == [("03-31", 2), ("04-01", 1)]
    dates = table("at date", [(d("03-31"),), (d("03-31"),), (None,)])
    assert told(rows(metric(Agg("count")), dates, "day", "03-31..03-31", book=BookSpec("Pacific/Apia"))) == [
        ("03-31", 2)
    ]


@pytest.mark.parametrize(
    ("timezone", "day", "hours"),
    [
        ("Europe/Berlin", "2024-03-31", 23),
        ("Europe/Berlin", "2024-10-27", 25),
        ("Australia/Lord_Howe", "2024-10-06", 23.5),
        ("Australia/Lord_Howe", "2024-04-07", 24.5),
        ("America/Sao_Paulo", "2017-10-15", 23),  # its midnight does not exist
        ("America/Sao_Paulo", "2018-02-17", 25),  # its last hour comes twice
        ("America/Havana", "2024-11-03", 25),  # its first hour comes twice
        ("Africa/Cairo", "2024-04-26", 23),
        ("Pacific/Apia", "2011-12-30", 0),  # was skipped
        ("Pacific/Apia", "2011-12-31", 24),
        ("Asia/Kathmandu", "2024-03-31", 24),
    ],
)
def test_each_day_takes_its_own_hours(timezone: str, day: str, hours: float) -> None:
    start, end = oracle.start_of_day(d(day), timezone), oracle.end_of_day(d(day), timezone)
    assert end - start == timedelta(hours=hours)
    inside = start
    while inside < end:
        assert oracle.day_of(inside, timezone) == d(day)
        inside += timedelta(minutes=15)
    assert oracle.day_of(end, timezone) == (d(day) + DAY if hours else d("2011-12-31"))


def test_a_clock_put_back_over_midnight_starts_no_day_twice() -> None:
    """St. John's went from 00:01 back to 23:01 until 2011."""
    second_2330 = datetime(2010, 11, 7, 3, 0, tzinfo=UTC)
    assert second_2330.astimezone(ZoneInfo("America/St_Johns")).strftime("%d %H:%M") == "06 23:30"
    assert oracle.day_of(second_2330, "America/St_Johns") == date(2010, 11, 7)


@pytest.mark.parametrize(
    ("scope", "starts", "expected"),
    [
        ("day", "monday", ["2024-02-29", 1]),
        ("week", "monday", ["2024-02-26", 7]),
        ("week", "sunday", ["2024-02-25", 7]),
        ("week", "saturday", ["2024-02-24", 7]),
        ("month", "monday", ["2024-02-01", 29]),
        ("quarter", "monday", ["2024-01-01", 91]),
        ("year", "monday", ["2024-01-01", 366]),
        ("all", "monday", ["2024-02-29", 1]),
    ],
)
def test_the_period_around_a_leap_day(scope: Any, starts: str, expected: list[Any]) -> None:
    row = rows(metric(Agg("count")), EVENTS, scope, "02-29..02-29", book=BookSpec("UTC", starts))[0]
    assert [str(row["period"]), row["days_expected"]] == expected
    assert row["complete"] == (expected[1] == 1)


# -------------------------------------------------------------------------------- zero, null and coverage

SALES = table(
    "at date, plan text, country text, amount decimal2, status text",
    [
        (d("03-01"), "pro", "DE", Decimal("10.10"), "paid"),
        (d("03-01"), "pro", "US", Decimal("20.20"), "paid"),
        (d("03-03"), "team", "DE", Decimal("5.00"), "paid"),
        (d("03-03"), None, "DE", None, "paid"),
        (d("03-05"), "free", "DE", Decimal("1.00"), "void"),
    ],
)
PAID = Pred("status", "=", "paid")
REVENUE = metric(Agg("sum", ("amount",)), where=PAID, by=("plan", "country"))
PRICE = metric(Agg("avg", ("amount",)), where=PAID, by=("plan",))


def test_covered_without_rows_is_zero_where_zero_exists_and_not_covered_is_null() -> None:
    assert told(rows(REVENUE, SALES, "day", "03-01..03-04", missed=["03-04"])) == [
        ("03-01", Decimal("30.30")),
        ("03-02", 0),
        ("03-03", 5),
        ("03-04", None),
    ]
    assert told(rows(PRICE, SALES, "day", "03-01..03-03")) == [
        ("03-01", 15.15),
        ("03-02", None),
        ("03-03", 5),
    ]


def test_by_a_dimension_only_series_with_a_fact_have_a_row() -> None:
    found = rows(REVENUE, SALES, "day", "03-01..03-05", by=("plan",), missed=["03-04"])
    assert told(found, "plan", "m") == [
        ("03-01", "pro", Decimal("30.30")),
        ("03-03", "team", 5),
        ("03-03", None, 0),  # a fact without an amount
        ("03-04", None, None),  # not collected: one null row
    ]  # and no ghost of `free`, whose only fact fails the `where`
    assert [row["days"] for row in found] == [1, 1, 1, 0]


def test_fill_gives_every_series_in_every_covered_period() -> None:
    found = rows(REVENUE, SALES, "day", "03-02..03-04", by=("plan",), missed=["03-04"], fill=True)
    assert told(found, "plan", "m") == [
        ("03-02", "team", 0),
        ("03-02", None, 0),
        ("03-03", "team", 5),
        ("03-03", None, 0),
        ("03-04", None, None),
    ]


def test_a_partly_covered_period_says_so() -> None:
    (week,) = rows(REVENUE, SALES, "week", "02-26..03-03", missed=["03-01"])
    assert (week["m"], week["days"], week["days_expected"], week["complete"]) == (5, 6, 7, False)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ([("plan", "=", "pro")], ["30.30"]),
        ([("plan", "=", "pro"), ("plan", "=", "team")], ["35.30"]),
        ([("plan", "=", None)], ["0"]),
        ([("plan", "!=", "pro")], ["5"]),
        ([("plan", "!=", None)], ["35.30"]),
        ([("plan", "!=", "pro"), ("plan", "!=", "team")], ["0"]),
        ([("plan", "=", "pro"), ("country", "=", "US")], ["20.20"]),
        ([("plan", "=", "PRO")], ["0"]),
    ],
)
def test_where_ors_the_same_dimension_and_ands_the_rest(where: Any, expected: list[str]) -> None:
    found = rows(REVENUE, SALES, "all", "03-01..03-31", where=tuple(where))
    assert [row["m"] for row in found] == [Decimal(text) for text in expected]


def test_a_condition_that_is_not_equal_keeps_nulls() -> None:
    found = rows(REVENUE, SALES, "all", "03-01..03-31", by=("plan",), where=(("plan", "!=", "pro"),))
    assert [row["plan"] for row in found] == ["team", None]


def test_a_dimension_that_a_metric_lacks_is_refused() -> None:
    with pytest.raises(Refusal, match="country"):
        rows(PRICE, SALES, "day", "03-01..03-02", by=("country",))
    with pytest.raises(Refusal, match="country"):
        rows(PRICE, SALES, "day", "03-01..03-02", where=(("country", "=", "DE"),))


def test_totals_are_recomputed_not_added() -> None:
    users = metric(Agg("count_distinct", ("user_id",)))
    found = rows(users, EVENTS, "day", "01-01..01-02", totals=True)
    assert told(found) == [("01-01", 1), ("01-02", 1), (None, 1)]
    assert (found[-1]["days"], found[-1]["days_expected"], found[-1]["total"]) == (2, 2, True)


# -------------------------------------------------------------------------------------- flows over days


def test_daily_values_of_a_flow() -> None:
    def shown(show: Any, **said: Any) -> Any:
        return only(rows(REVENUE, SALES, "week", "02-26..03-03", show=show, **said))

    assert shown("average") == pytest.approx(35.30 / 7)
    assert shown("average", missed=["02-26", "02-27", "02-28", "02-29"]) == pytest.approx(35.30 / 3)
    assert shown("min") == 0
    assert shown("max") == Decimal("30.30")
    assert shown("first") == 0
    assert shown("last") == 5
    assert shown("last", missed=["03-03"]) == 0
    with pytest.raises(Refusal, match="flow"):
        shown("change")


def test_daily_values_of_a_measure_without_zero_leave_empty_days_out() -> None:
    assert only(rows(PRICE, SALES, "week", "02-26..03-03", show="min")) == 5
    assert only(rows(PRICE, SALES, "week", "02-26..03-03", show="first")) is None
    with pytest.raises(Refusal, match="mean of daily values"):
        rows(PRICE, SALES, "week", "02-26..03-03", show="average")


@pytest.mark.parametrize(
    ("measure", "linear"),
    [
        (Agg("count"), True),
        (Agg("count_distinct", ("a",)), True),
        (Op("-", Agg("sum", ("a",)), Agg("count")), True),
        (Op("*", Num("100"), Agg("sum", ("a",))), True),
        (Op("/", Agg("sum", ("a",)), Num("100")), True),
        (Op("/", Agg("sum", ("a",)), Agg("count")), False),
        (Op("/", Num("1"), Agg("count")), False),
        (Op("*", Agg("count"), Agg("count")), False),
        (Agg("max", ("a",)), False),
        (Call("round", (Agg("sum", ("a",)), Num("2"))), False),
    ],
)
def test_what_is_a_linear_combination_of_sums(measure: Any, linear: bool) -> None:
    assert oracle.is_linear(measure) == linear


# ---------------------------------------------------------------------------------------------- levels


def test_an_interval_holds_at_the_end_of_its_days() -> None:
    """§4: from < end(d) and (until is null or until >= end(d))."""
    spans = table(
        "since timestamp, until timestamp, n int",
        [
            (t("03-01 00:00"), t("03-03 00:00"), 1),  # ends exactly at midnight: held on 03-02, not on 03-03
            (t("03-02 00:00"), None, 10),  # begins exactly at midnight: held on 03-02, not on 03-01
            (t("03-02 08:00"), t("03-02 20:00"), 100),  # within a day: at no day's end
            (t("03-03 08:00"), t("03-01 08:00"), 1000),  # reversed
            (t("03-02 08:00"), t("03-02 08:00"), 10000),  # of no length
            (None, t("03-09 00:00"), 100000),
            (t("03-02 23:59:59.999999"), t("03-03 00:00:00.000001"), 1000000),
        ],
    )
    found = rows(interval(Agg("sum", ("n",))), spans, "day", "02-29..03-04")
    assert told(found) == [("02-29", 0), ("03-01", 1), ("03-02", 1000011), ("03-03", 10), ("03-04", 10)]


def test_intervals_of_dates() -> None:
    """§4: from <= d and (until is null or until > d); `until_inclusive` for the last valid day."""
    spans = table(
        "since date, until date",
        [(d("03-01"), d("03-03")), (d("03-02"), d("03-02")), (d("03-03"), d("03-01"))],
    )
    assert told(rows(interval(Agg("count")), spans, "day", "03-01..03-03")) == [
        ("03-01", 1),
        ("03-02", 1),
        ("03-03", 0),
    ]
    inclusive = interval(Agg("count"), until_inclusive=True)
    assert told(rows(inclusive, spans, "day", "03-01..03-04")) == [
        ("03-01", 1),
        ("03-02", 2),
        ("03-03", 1),
        ("03-04", 0),
    ]


def test_the_end_of_a_day_is_that_of_the_books_zone() -> None:
    spans = table(
        "since timestamptz, until timestamptz",
        [(t("03-30 23:30").replace(tzinfo=UTC), t("03-31 22:00").replace(tzinfo=UTC))],
    )
    berlin = rows(interval(Agg("count")), spans, "day", "03-30..04-01", book=BookSpec("Europe/Berlin"))
    assert told(berlin) == [("03-30", 0), ("03-31", 1), ("04-01", 0)]


SEATS = table(
    "day date, plan text, n int",
    [
        (d(day), plan, n)
        for day, plan, n in [
            ("03-04", "pro", 5),
            ("03-04", "team", 2),
            ("03-05", "pro", 7),
            ("03-10", "pro", 6),
            ("03-10", "pro", 3),
            ("03-12", "team", 8),
        ]
    ],
)
SEATED = level(Agg("sum", ("n",)), by=("plan",))


def shown(show: Any, days: str = "03-04..03-10", **said: Any) -> Any:
    return only(rows(SEATED, SEATS, "week", days, show=show, **said))


def test_daily_values_of_a_level() -> None:
    assert shown("last") == 9  # two rows on its last day
    assert shown("first") == 7
    assert shown("average") == pytest.approx((7 + 7 + 9) / 7)
    assert (shown("min"), shown("max")) == (0, 9)
    assert shown("average", missed=["03-06", "03-07", "03-08", "03-09"]) == pytest.approx(23 / 3)
    assert shown("first", missed=["03-04"]) is None
    assert shown("last", missed=["03-10"]) is None


def test_the_running_period_shows_its_last_covered_day() -> None:
    assert shown("last", closed="03-05") == 7
    assert shown("last", closed="03-06", missed=["03-06"]) == 7
    assert shown("last", "03-04..03-06", closed="03-06", missed=["03-06"]) == 7  # the week still runs
    assert shown("last", "03-04..03-06", closed="03-31", missed=["03-06"]) is None  # it is over
    (week,) = rows(SEATED, SEATS, "week", "03-04..03-10", closed="03-05")
    assert (week["days"], week["days_expected"], week["complete"]) == (2, 7, False)


def test_a_clipped_period_shows_the_last_day_that_was_asked_for() -> None:
    assert shown("last", "03-04..03-05") == 7
    assert shown("first", "03-05..03-10") == 7
    assert shown("first", "03-06..03-10") == 0


def test_change_reaches_back_to_the_day_before_the_calendar_period() -> None:
    assert told(rows(SEATED, SEATS, "week", "03-04..03-17", show="change")) == [("03-04", 9), ("03-11", -9)]
    assert told(rows(SEATED, SEATS, "week", "03-12..03-12", show="change")) == [("03-11", 8 - 9)]
    assert told(rows(SEATED, SEATS, "all", "03-05..03-12", show="change")) == [("03-05", 8 - 7)]
    assert told(rows(SEATED, SEATS, "week", "03-04..03-17", show="change", missed=["03-10"])) == [
        ("03-04", None),
        ("03-11", None),
    ]
    by_plan = rows(SEATED, SEATS, "week", "03-11..03-17", show="change", by=("plan",))
    assert told(by_plan, "plan", "m") == [("03-11", "pro", -9), ("03-11", "team", 0)]  # pro only before


def test_carry_fills_days_that_were_not_collected_but_never_the_future() -> None:
    carried = level(Agg("sum", ("n",)), by=("plan",), carry=2)
    found = rows(carried, SEATS, "day", "03-04..03-09", missed=["03-06", "03-07", "03-08"], closed="03-31")
    assert told(found) == [
        ("03-04", 7),
        ("03-05", 9),
        ("03-06", 9),
        ("03-07", 7),
        ("03-08", None),
        ("03-09", 0),
    ]
    assert [row["days"] for row in found] == [1, 1, 0, 0, 0, 1]
    by_plan = rows(carried, SEATS, "day", "03-06..03-07", missed=["03-06", "03-07"], closed="03-31", by=("plan",))
    assert told(by_plan, "plan", "m") == [("03-06", "pro", 7), ("03-06", "team", 2), ("03-07", "pro", 7)]
    assert told(rows(carried, SEATS, "day", "03-05..03-06", closed="03-05")) == [
        ("03-05", 9),
        ("03-06", None),
    ]
    still_running = rows(carried, SEATS, "week", "03-04..03-10", missed=["03-06", "03-07"], closed="03-07")
    assert only(still_running) == 7  # carried into 03-07, the last closed day: without team's 2
    parts = rows(carried, SEATS, "week", "03-04..03-10", missed=["03-06", "03-07"], closed="03-07", by=("plan",))
    assert told(parts, "plan", "m") == [("03-04", "pro", 7), ("03-04", "team", None)]
    mean = rows(carried, SEATS, "week", "03-04..03-10", missed=["03-06", "03-07", "03-08"], show="average")
    assert only(mean) == pytest.approx((7 + 9 + 0 + 9) / 4)  # over covered days


def test_carry_is_per_series_before_dimensions_and_may_be_finer_than_they_are() -> None:
    seats = table(
        "day date, plan text, account int, n int",
        [(d("03-04"), "pro", 1, 5), (d("03-04"), "pro", 2, 6), (d("03-05"), "pro", 1, 7)],
    )
    coarse = level(Agg("sum", ("n",)), by=("plan",), carry=3)
    fine = level(Agg("sum", ("n",)), by=("plan",), series=("account",), carry=3)
    assert only(rows(coarse, seats, "day", "03-05..03-05")) == 7
    assert only(rows(fine, seats, "day", "03-05..03-05")) == 13


def test_the_average_of_a_level_without_zero_is_over_days_that_have_a_value() -> None:
    price = level(Agg("avg", ("n",)), by=("plan",))
    assert only(rows(price, SEATS, "week", "03-04..03-10", show="average")) == pytest.approx((3.5 + 7 + 4.5) / 3)


# ------------------------------------------------------------------------- aggregates sent again, uniques


def test_the_latest_value_received_counts() -> None:
    """§4: 100, 50 and a re-sent 110 make 160."""
    sent = table(
        "at date, received int, account text, api text, n int",
        [
            (d("03-01"), 1, "a", "rest", 100),
            (d("03-01"), 3, "a", "rest", 110),
            (d("03-01"), 2, "b", "rest", 50),
        ],
    )
    said = {"shape": "daily_aggregate", "received": "received", "series": ("account", "api"), "by": ("api",)}
    assert only(rows(metric(Agg("sum", ("n",)), **said), sent, "day", "03-01..03-01")) == 160
    assert only(rows(metric(Agg("sum", ("n",)), **said), sent, "month", "03-01..03-31")) == 160
    late_is_first = metric(Agg("sum", ("n",)), where=Pred("n", "<>", 110), **said)
    assert only(rows(late_is_first, sent, "day", "03-01..03-01")) == 150


# -------------------------------------------------------------------------------------- derived metrics


def test_derived_metrics_are_made_of_days_that_all_their_metrics_cover() -> None:
    revenue = metric(Agg("sum", ("amount",)), name="revenue", where=PAID, by=("plan",))
    orders = metric(Agg("count"), name="orders", where=PAID, by=("plan", "country"))
    ratio = MetricSpec(name="ratio", kind=DERIVED, shape=DERIVED, measure=Op("/", Ref("revenue"), Ref("orders")))
    every = set(days_between(d("03-01"), d("03-31")))
    found = rows(
        [revenue, orders, ratio],
        SALES,
        "month",
        "03-01..03-31",
        covered={"revenue": every, "orders": every - {d("03-03")}},
    )
    assert found[0]["revenue"] == Decimal("35.30")
    assert found[0]["orders"] == 2
    assert found[0]["ratio"] == pytest.approx(15.15)
    assert found[0]["days"] == 30  # the fewest of the row's metrics
    by_plan = rows([revenue, orders, ratio], SALES, "month", "03-01..03-31", metrics=("ratio",), by=("plan",))
    assert told(by_plan, "plan", "ratio") == [
        ("03-01", "pro", 15.15),
        ("03-01", "team", 5.0),
        ("03-01", None, 0),
    ]
    with pytest.raises(Refusal, match="country"):
        rows([revenue, orders, ratio], SALES, "month", "03-01..03-31", metrics=("ratio",), by=("country",))


def test_an_operand_may_spell_its_show() -> None:
    seats = level(Agg("sum", ("n",)), name="seats", by=("plan",))
    calls = level(Agg("count"), name="rows", by=("plan",))
    made = MetricSpec(
        name="m", kind=DERIVED, shape=DERIVED, measure=Op("/", Ref("seats", "average"), Ref("rows", "max"))
    )
    assert only(rows([seats, calls, made], SEATS, "week", "03-04..03-10", metrics=("m",))) == pytest.approx(23 / 7 / 2)
    refused = MetricSpec(name="m", kind=DERIVED, shape=DERIVED, measure=Op("/", Ref("seats", "total"), Ref("rows")))
    with pytest.raises(Refusal, match="level"):
        rows([seats, calls, refused], SEATS, "week", "03-04..03-10", metrics=("m",))


# -------------------------------------------------------------------------------------------- measures

NUMBERS = table(
    "at date, a int, b decimal2, f float, s text, big bigint",
    [
        (d("03-01"), 1, Decimal("0.10"), 0.1, "x", 2**62),
        (d("03-01"), 2, Decimal("0.20"), 0.2, "X", 2**62),
        (d("03-01"), 2, Decimal("-5.00"), 0.3, "x ", 2**62),
        (d("03-01"), None, None, None, None, None),
        (d("03-01"), 7, Decimal("0.30"), 0.3, "x", -1),
    ],
)


def measured(measure: Any) -> Any:
    return only(rows(metric(measure), NUMBERS, "day", "03-01..03-01"))


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        (Agg("count"), 5),
        (Agg("count", ("a",)), 4),
        (Agg("sum", ("a",)), 12),
        (Agg("sum", ("b",)), Decimal("-4.40")),
        (Agg("sum", ("big",)), 3 * 2**62 - 1),
        (Agg("avg", ("a",)), 3),
        (Agg("min", ("b",)), Decimal("-5.00")),
        (Agg("max", ("f",)), 0.3),
        (Agg("count_distinct", ("a",)), 3),
        (Agg("count_distinct", ("s",)), 3),  # exact bytes: 'x', 'X' and 'x '
        (Agg("count_distinct", ("a", "s")), 4),
        (Agg("sum_distinct", ("a",)), 10),
        (Agg("avg_distinct", ("a",)), 10 / 3),
        (Agg("sum", (("*", "a", 3),)), 36),
        (Agg("count", (), Pred("a", ">", 1)), 3),
        (Agg("sum", ("a",), Pred("s", "is null")), 0),
        (Agg("avg", ("a",), Pred("s", "is null")), None),
        (Agg("count", (), And(Pred("a", ">", 1), Pred("s", "=", "x"))), 1),
        (Agg("count", (), Or(Pred("a", ">", 6), Pred("s", "<>", "x"))), 3),
        (Agg("quantile", ("a",)), 2),
        (Agg("quantile", ("a",), q="0.75"), 3.25),
        (Agg("quantile", ("a",), q="1"), 7),
        (Agg("variance", ("a",)), statistics.variance([1, 2, 2, 7])),
        (Agg("stddev", ("f",)), statistics.stdev([0.1, 0.2, 0.3, 0.3])),
        (Agg("stddev", ("a",), Pred("a", "=", 1)), None),
        (Op("/", Agg("sum", ("a",)), Agg("count")), 2.4),
        (Op("/", Agg("count"), Agg("count", (), Pred("a", ">", 100))), None),
        (Op("/", Num("7"), Num("2")), 3.5),
        (Op("+", Agg("sum", ("a",)), Agg("avg", ("a",), Pred("a", ">", 100))), None),
        (Call("coalesce", (Agg("avg", ("a",), Pred("a", ">", 100)), Num("0"))), 0),
        (Call("nullif", (Agg("count"), Num("5"))), None),
        (Call("round", (Agg("sum", ("b",)), Num("1"))), -4.4),
        (Call("round", (Op("/", Agg("count"), Num("2")),)), 3),  # half away from zero
        (Call("abs", (Agg("sum", ("b",)),)), Decimal("4.40")),
        (Case(Agg("count"), Num("4"), Agg("sum", ("a",))), 12),
        (Case(Agg("count"), Num("5"), Agg("sum", ("a",))), None),
        (Case(Agg("count"), Num("5"), Agg("sum", ("a",)), Num("0")), 0),
    ],
)
def test_every_measure(measure: Any, expected: Any) -> None:
    got = measured(measure)
    assert got == (pytest.approx(expected) if isinstance(expected, float) else expected)


def test_over_no_values_counts_sums_and_distincts_are_zero_and_the_rest_null() -> None:
    nothing = Pred("a", ">", 100)
    for fn in ("count", "sum", "count_distinct", "sum_distinct"):
        assert measured(Agg(fn, ("a",), nothing)) == 0
    for fn in ("avg", "min", "max", "stddev", "variance", "avg_distinct", "quantile"):
        assert measured(Agg(fn, ("a",), nothing)) is None


def test_plain_statistics_agree_with_duckdb() -> None:
    """The same aggregates over a few hundred rows, written by somebody else."""
    import duckdb

    chance = random.Random(1)
    facts = table(
        "at date, a int, b decimal3, f float, s text",
        [
            (
                d("03-01") + DAY * chance.randrange(40),
                chance.choice([None, *range(-50, 50)]),
                Decimal(chance.randrange(-(10**6), 10**6)).scaleb(-3),
                chance.uniform(-1e6, 1e6),
                chance.choice(["x", "y", None]),
            )
            for _ in range(500)
        ],
    )
    arguments = [("a",), ("b",), ("f",)]
    measures = [Agg(fn, args) for fn in ("sum", "avg", "min", "max", "stddev", "variance") for args in arguments]
    measures += [Agg("quantile", args, q=q) for args in arguments for q in ("0.1", "0.5", "0.95")]
    measures += [Agg("count"), Agg("count", ("a",)), Agg("sum", ("a",), Pred("s", "=", "x"))]
    measures += [Agg(fn, ("a",)) for fn in ("count_distinct", "sum_distinct", "avg_distinct")]
    con = duckdb.connect()
    con.execute('create table t (id int, "at" date, a int, b decimal(18, 3), f double, s varchar)')
    con.executemany("insert into t values (?, ?, ?, ?, ?, ?)", [list(row.values()) for row in facts.rows])
    for agg in measures:
        # Of a DECIMAL, DuckDB would round the quantile to its scale.
        text = agg.sql("duckdb").replace("quantile(b", "quantile(b::double").replace("quantile", "quantile_cont")
        con.execute(f"select date_trunc('month', \"at\")::date, {text} from t group by 1 order by 1")
        theirs = [row[1] for row in con.fetchall()]
        ours = [row["cells"]["m"] for row in rows(metric(agg), facts, "month", "03-01..04-30")]
        for value, number in zip(ours, theirs, strict=True):
            if value.exact:
                assert Fraction(number) == value.middle
            else:
                assert float(number) == pytest.approx(float(value.middle), rel=1e-9)


# ------------------------------------------------------------------------------------------- tolerances


def cell(measure: Any, facts: Table = NUMBERS) -> Value:
    found: Value = rows(metric(measure), facts, "day", "03-01..03-01")[0]["cells"]["m"]
    return found


def test_integers_and_decimals_are_exact_to_the_last_digit() -> None:
    money = cell(Agg("sum", ("b",)))
    assert money.accepts(Decimal("-4.4"))
    assert not money.accepts(-4.4)  # the float is not -4.40
    big = cell(Agg("sum", ("big",)))
    assert big.accepts(3 * 2**62 - 1)
    assert not big.accepts(float(3 * 2**62 - 1))
    assert not big.accepts(3 * 2**62)
    assert not big.accepts(None)
    assert not big.accepts(math.nan)
    assert not cell(Agg("count", ("a",), Pred("a", "=", 1))).accepts(True)


def test_floats_may_be_off_by_a_trillionth_of_what_was_added() -> None:
    added = cell(Agg("sum", ("f",)))
    assert added.accepts(0.1 + 0.2 + 0.3 + 0.3)
    assert added.accepts(0.9 + 8e-13)
    assert not added.accepts(0.9 + 2e-12)
    cancelled = table("at date, f float", [(d("03-01"), 1e9), (d("03-01"), 1.0), (d("03-01"), -1e9)])
    assert cell(Agg("sum", ("f",)), cancelled).accepts(1.0005)
    assert not cell(Agg("sum", ("f",)), cancelled).accepts(1.1)


def test_an_average_of_money_is_exact_but_for_its_last_bits() -> None:
    average = cell(Agg("avg", ("b",)))
    assert average.accepts(-1.1)
    assert average.accepts(Decimal("-1.1"))
    assert not average.accepts(-1.1 + 1e-12)


def test_a_case_with_a_float_among_its_branches_is_a_float() -> None:
    money, average = Agg("sum", ("b",)), Agg("avg", ("b",))
    assert cell(Case(Agg("count"), Num("1"), money, average)).accepts(-4.4)
    assert not cell(Case(Agg("count"), Num("1"), money, money)).accepts(-4.4)


def test_percentiles_of_over_a_thousand_values_a_cell_may_be_off_by_one_percent() -> None:
    few = table("at date, a int", [(d("03-01"), n) for n in range(1000)])
    many = table("at date, a int", [(d("03-01"), n) for n in range(1001)])
    median = Agg("quantile", ("a",))
    assert not cell(median, few).accepts(500)
    assert not cell(median, few).approximate
    assert cell(median, many).accepts(504.9)
    assert not cell(median, many).accepts(505.1)
    assert cell(median, many).approximate


def test_what_hangs_on_the_last_bit_of_a_float_is_not_judged() -> None:
    nearly = Op("-", Agg("sum", ("f",)), Agg("sum", ("f",)))
    assert cell(Op("/", Num("1"), nearly)).free
    assert cell(Call("nullif", (nearly, Num("0")))).free
    assert cell(Case(nearly, Num("0"), Num("1"), Num("2"))).free
    half = Op("/", Agg("count"), Num("2"))
    assert cell(Call("round", (half,))).accepts(3)
    assert not cell(Call("round", (half,))).accepts(4)


# --------------------------------------------------------------------------------------------- spelling


@pytest.mark.parametrize(
    ("measure", "dialect", "text"),
    [
        (Agg("count"), "sqlite", "count(*)"),
        (Agg("count_distinct", ("a", "group")), "duckdb", 'count(distinct a, "group")'),
        (Agg("sum", ("group",)), "mysql", "sum(`group`)"),
        (Agg("sum", ("a",), PAID), "postgresql", "sum(a) filter (where status = 'paid')"),
        (Agg("sum", ("a",), PAID, spelling="case"), "mysql", "sum(case when status = 'paid' then a end)"),
        (
            Agg("count", (), Pred("s", "=", "o'neil"), spelling="case"),
            "duckdb",
            "count(case when s = 'o''neil' then 1 end)",
        ),
        (
            Agg("sum", ("a",), Or(PAID, Pred("a", "is null"))),
            "duckdb",
            "sum(a) filter (where (status = 'paid' or a is null))",
        ),
        (Agg("quantile", ("a",), q="0.95", spelling="p"), "mysql", "p95(a)"),
        (Agg("quantile", ("a",), q="0.999", spelling="p"), "mysql", "p99_9(a)"),
        (Agg("quantile", ("a",), spelling="median"), "mysql", "median(a)"),
        (Agg("quantile", ("a",), q="0.9"), "sqlite", "quantile(a, 0.9)"),
        (
            Agg("quantile", ("a",), q="0.9", spelling="percentile_cont"),
            "mysql",
            "percentile_cont(0.9) within group (order by a)",
        ),
        (Agg("variance", ("a",), spelling="samp"), "mysql", "var_samp(a)"),
        (
            Op("/", Op("*", Num("100"), Agg("count", (), PAID)), Agg("count")),
            "duckdb",
            "((100 * count(*) filter (where status = 'paid')) / count(*))",
        ),
        (Call("coalesce", (Agg("avg", (("-", "a", 1),)), Num("0"))), "duckdb", "coalesce(avg(a - 1), 0)"),
        (
            Case(Agg("count"), Num("1"), Agg("max", ("a",)), Num("0")),
            "duckdb",
            "case when count(*) > 1 then max(a) else 0 end",
        ),
        (Op("/", Ref("mrr", "average"), Ref("users")), "duckdb", "(average(mrr) / users)"),
    ],
)
def test_measures_are_spelled_as_people_write_them(measure: Any, dialect: Any, text: str) -> None:
    assert measure.sql(dialect) == text


def test_a_metric_is_declared_with_the_keys_of_the_file() -> None:
    spec = MetricSpec(
        name="calls",
        measure=Agg("sum", ("n",)),
        shape="daily_aggregate",
        table="t",
        time="at",
        where=PAID,
        by=("api",),
        series=("api", "account"),
        received="received",
    )
    facts = table("at epoch_s, received int, api text, account text, n int", [])
    assert spec.toml(facts, "duckdb").splitlines() == [
        "[metrics.calls]",
        'table = "t"',
        'time = "at"',
        'stored = "epoch_s"',
        "where = \"status = 'paid'\"",
        'measure = "sum(n)"',
        'by = ["api"]',
        "daily_aggregate = true",
        'series = ["api", "account"]',
        'received = "received"',
    ]
    assert interval(Agg("count"), until_inclusive=True, carry=3, over_time="average").toml(
        table("since timestamptz, until timestamptz", []), "sqlite"
    ).splitlines() == [
        "[metrics.m]",
        'kind = "level"',
        'table = "t"',
        'from = "since"',
        'until = "until"',
        'stored = "offset"',
        "until_inclusive = true",
        'measure = "count(*)"',
        'carry = "3d"',
        'over_time = "average"',
    ]


def test_a_question_as_it_is_typed() -> None:
    ask = Ask(
        metrics=("a", "b"),
        from_=d("03-01"),
        to=d("03-31"),
        scope="week",
        by=("plan", "group"),
        where=(("plan", "!=", "a b"), ("group", "=", None)),
        show="last",
        fill=True,
    )
    assert ask.command() == (
        "tallybook query a b --scope week --by plan,group --where 'plan!=a b' --where 'group=' "
        "--from 2024-03-01 --to 2024-03-31 --show last --fill"
    )


# -------------------------------------------------------------------------------------------- comparing

ASKED = Ask(metrics=("m",), from_=d("03-01"), to=d("03-03"), by=("plan",))


def given_rows() -> tuple[list[Row], list[Row]]:
    """What is expected, and the same as a book would give it."""
    expected = rows(REVENUE, SALES, "day", "03-01..03-03", by=("plan",))
    return expected, [{**row, "notes": {}} for row in expected]


def test_right_rows_show_no_difference() -> None:
    expected, got = given_rows()
    assert differences(expected, got, ASKED) == []
    as_json = [{**row, "period": str(row["period"])} for row in got]
    assert differences(expected, as_json, ASKED) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda got: got.pop(), "[2024-03-03, plan=None] is missing; it says m = 0 exactly"),
        (lambda got: got.append(got[1]), "[2024-03-03, plan='team'] is there 2 times"),
        (
            lambda got: got[0].update(m=30.3),
            "[2024-03-01, plan='pro']: m should be 30.3 exactly, the book says 30.3",
        ),
        (
            lambda got: got[0].update(plan="Pro"),
            "[2024-03-01, plan='Pro'] should not be there; it says m = Decimal('30.3')",
        ),
        (lambda got: got[0].update(days=0), "[2024-03-01, plan='pro']: days should be 1, the book says 0"),
        (
            lambda got: got[0].update(approximate=True),
            "[2024-03-01, plan='pro']: approximate should be False, the book says True",
        ),
        (lambda got: got.reverse(), "[2024-03-01, plan='pro'] comes after [2024-03-03, plan='team']"),
    ],
)
def test_a_wrong_row_is_said_in_a_sentence(change: Any, said: str) -> None:
    expected, got = given_rows()
    change(got)
    assert said in differences(expected, got, ASKED)


def test_bounds_are_compared_too() -> None:
    unique = metric(Agg("sum", ("dau",)), kind="uniques", time="day")
    expected = rows(unique, AVERAGES, "week", "01-01..01-07")
    ask = Ask(metrics=("m",), from_=d("01-01"), to=d("01-07"), scope="week")
    got = [{**row, "notes": {"m": {"bounds": [6, 17]}}} for row in expected]
    assert differences(expected, got, ask) == []
    got[0]["notes"]["m"]["bounds"] = [6, 16]
    assert "bounds 6 exactly to 17 exactly" in differences(expected, got, ask)[0]


def test_the_evidence_names_the_rows_that_count() -> None:
    judge = oracle.Judge(UTC_BOOK, {"m": MRR_CARRIED}, {"t": GAUGE}, {"m": set(GAUGE_DAYS) - {d("01-30")}}, d("03-05"))
    text = oracle.evidence(judge, Ask(metrics=("m",), from_=d("01-30"), to=d("01-31")))
    assert text.splitlines() == [
        "m, day by day (UTC); not covered: 2024-01-30",
        "  2024-01-30 carried from 2024-01-29: id=85 account=1 day=2024-01-29 mrr=100 plan='pro'",
        "  2024-01-30 carried from 2024-01-29: id=86 account=2 day=2024-01-29 mrr=50 plan='team'",
        "  2024-01-30 carried from 2024-01-29: id=87 account=3 day=2024-01-29 mrr=10 plan='free'",
        "  2024-01-31: id=91 account=1 day=2024-01-31 mrr=100 plan='pro'",
        "  2024-01-31: id=92 account=3 day=2024-01-31 mrr=10 plan='free'",
        "  2024-01-31 carried from 2024-01-29: id=86 account=2 day=2024-01-29 mrr=50 plan='team'",
    ]


# ------------------------------------------------------------------------------------ what must always hold

MANY = settings(suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.reuse, Phase.generate])
"""Without shrinking: five minutes would not make a world small; `examine` of test_right.py would."""


@MANY
@given(world=worlds("postgresql"))
def test_parts_of_a_world_add_up_to_its_totals(world: World) -> None:
    """Counts and sums by series, added, are the total; of a flow, over weeks, added, they are the range's."""
    last = world.start + DAY * 80
    days = set(days_between(world.start, last))
    additive = [spec for spec in world.metrics.values() if adds_up(spec)]
    for spec, asked in product(additive, world.asks):
        if (asked.from_ - last).days > 1:
            continue
        judge = oracle.Judge(world.book, world.metrics, world.tables, {spec.name: days}, last)
        show = "last" if spec.kind == "level" else "total"
        ask = replace(asked, metrics=(spec.name,), scope="week", by=spec.by, where=(), show=show, totals=True)
        ask = replace(ask, compare=None, window=None, top=None, having=())
        try:
            found = judge.answer(ask)
        except oracle.Undecided:  # A week that begins before the calendar.
            continue
        weeks = {row["period"] for row in found} - {None}
        of_weeks = {
            week: sum_of(row for row in found if row["period"] == week and row["total"] == bool(spec.by))
            for week in weeks
        }
        if spec.by:
            for week in weeks:
                assert of_weeks[week] == sum_of(r for r in found if r["period"] == week and not r["total"])
        if spec.kind == "flow":
            assert sum(of_weeks.values()) == sum_of(found[-1:])


def adds_up(spec: MetricSpec) -> bool:
    """Values of entities (`per`) do not, nor do values of several units, whose totals are refused."""
    counted = isinstance(spec.measure, Agg) and spec.measure.fn in ("count", "sum")
    return spec.kind in ("flow", "level") and counted and not spec.per and not spec.unit_from


def sum_of(found: Iterable[Row]) -> Fraction:
    """The first metric's exact values, added."""
    return sum((next(iter(row["cells"].values())).middle or Fraction(0) for row in found), Fraction(0))


@MANY
@given(world=worlds("sqlite"))
def test_the_judge_has_an_answer_to_every_question_of_a_world(world: World) -> None:
    """It neither fails nor contradicts itself, whatever the world."""
    days = {name: set(days_between(world.start, world.start + DAY * 9)) for name in world.metrics}
    judge = oracle.Judge(world.book, world.metrics, world.tables, days, world.start + DAY * 12)
    for ask in world.asks:
        try:
            found = judge.answer(ask)
        except (Refusal, oracle.Undecided):
            continue
        assert differences(found, [{**row, "notes": bounds_as_notes(row)} for row in found], ask) == []
        assert all(row["days"] <= row["days_expected"] for row in found)


def bounds_as_notes(row: Row) -> dict[str, Any]:
    return {name: {"bounds": [low.number, high.number]} for name, (low, high) in row["bounds"].items()}


# ------------------------------------------------------------------------- the worlds, judged by their judge


class FoundOut(Exception):
    """A world in which a wrong judge and the right one differ."""


def without_zeros(daily: Sequence[Value], show: Any) -> Value:
    return OVER_DAYS([value for value in daily if not (value.exact and value.middle == 0)] or daily, show)


def before_midnight(moment: Any, timezone: str) -> date:
    late = isinstance(moment, datetime) and moment.tzinfo is not None
    return DAY_OF(moment - timedelta(microseconds=1) if late else moment, timezone)


def one_offset_all_year(moment: Any, timezone: str) -> date:
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        return DAY_OF(moment, timezone)
    winter = datetime(2020, 1, 15, tzinfo=ZoneInfo(timezone)).utcoffset()
    assert winter is not None
    return (moment + winter).date()


def imported_for_good(cells: CellsWithImports, name: str) -> set[date]:
    return cells.judge.imported[name].days if name in cells.judge.imported else set()


def first_file_for_good(life: Life, step: Import) -> None:
    if step.metric not in life.imported:
        IMPORT(life, step)


def blind_to_nulls(answer: oracle.Answer, series: Any) -> bool:
    values = dict(series)
    dropped = any(op == "!=" and values.get(dim, "") is None for dim, op, _ in answer.ask.where)
    return not dropped and ADMITS(answer, series)


def blind_to_case(answer: oracle.Answer, fact: oracle.Fact) -> Any:
    return tuple(x.lower().rstrip() if isinstance(x, str) else x for x in KEY(answer, fact))


def carried_further(judge: oracle.Judge, spec: MetricSpec, day: date) -> Any:
    return FIND_FACTS(judge, replace(spec, carry=spec.carry + 1) if spec.carry else spec, day)


def open_at_its_end(judge: oracle.Judge, spec: MetricSpec, table: Table, row: Row, day: date) -> bool:
    until, column = row[spec.until], table.column(spec.from_)
    at_end = column.type in ("timestamp", "timestamptz") and until is not None
    ended = at_end and column.moment(until) == oracle.end_of_day(day, judge.book.timezone)
    return HOLDS(judge, spec, table, row, day) and not ended


def restated(judge: oracle.Judge, name: str, day: date) -> Table:
    return judge.facts_of(name, judge.tables)


def only_with_an_account(facts: Table, other: Table) -> Table:
    known = {row["id"] for row in other.rows}
    table = JOINED(facts, other)
    return replace(table, rows=[row for row in table.rows if row["account_id"] in known])


def begun_again(life: Life, name: str) -> None:
    RENAME(life, name)
    life.believed[name] = {}


def moved_without_days(life: Life, folder: str) -> None:
    MOVE(life, folder)
    life.believed = {name: {} for name in life.believed}


def rounded_to_a_rank(ordered: Sequence[Any], q: Fraction, *, approximate: bool) -> Value:
    return near(Fraction(ordered[int(q * (len(ordered) - 1))]))


def by_the_day_alone(text: str, scope: str, first: date, last: date) -> tuple[date, date]:
    days, months = shift_of(text, scope, (last - first).days + 1)
    return tuple(days_before(same_day(day, months), days) for day in (first, last))  # type: ignore[return-value]


def a_day_longer(window: str, last: date, weekday: int, earliest: date | None, fiscal: Fiscal | None = None) -> date:
    return days_before(WINDOW_START(window, last, weekday, earliest, fiscal), 1)


def of_what_is_now(answer: Any, name: str, now: Value, was: Value, *spans: Any) -> Value:
    return CHANGE(answer, name, was, now, *spans)


def paced_by_the_calendar(judge: oracle.Judge, goal: GoalSpec, kind: str, when: Any, days: int) -> Value:
    return LINE(judge, goal, kind, when, (when[1] - when[0]).days + 1 if days else 0)


def turned(goal: GoalSpec, value: Value, line: Value) -> bool | None:
    return MEETS(replace(goal, at_most=not goal.at_most), value, line)


LINE, MEETS = oracle.goals.line_of, GoalSpec.meets
JOINED, RENAME, MOVE = oracle.joined, Life.rename, Life.move
WINDOW_START, CHANGE = oracle.dates.window_start, oracle.Answer.change
OVER_DAYS, DAY_OF = oracle.over_days, oracle.day_of
ADMITS, KEY = oracle.Answer.admits, oracle.Answer.key
IMPORT = Life.import_
FIND_FACTS, HOLDS = oracle.Judge.find_facts, oracle.Judge.holds


def redefined_with_its_days(life: Life, spec: MetricSpec) -> None:
    life.specs[spec.name] = spec


def redefined_from_nothing(life: Life, spec: MetricSpec) -> None:
    life.shelved.setdefault(spec.name, []).append((life.specs[spec.name], life.believed[spec.name]))
    life.specs[spec.name], life.believed[spec.name] = spec, {}


def whatever_is_older(step: Any, world: World, covered: Any, older: Any = ()) -> list[date]:
    return COLLECTED(step, world, covered)


MISTAKES: dict[str, tuple[Any, str, Any]] = {
    "days without rows are no days": (oracle.cells, "over_days", without_zeros),
    "midnight belongs to the day before": (oracle.judge, "day_of", before_midnight),
    "one offset from UTC all year": (oracle.judge, "day_of", one_offset_all_year),
    "not equal drops nulls": (oracle.Answer, "admits", blind_to_nulls),
    "'a' is 'A' is 'a '": (oracle.Answer, "key", blind_to_case),
    "carried a day too far": (oracle.Judge, "find_facts", carried_further),
    "ended at midnight is ended the day before": (oracle.Judge, "holds", open_at_its_end),
    "the metric's where is ignored": (oracle.Judge, "admitted", lambda judge, spec, table: table.rows),
    "old days are restated": (oracle.Judge, "table", restated),
    "every received value counts": (oracle.judge, "latest", lambda rows, spec: list(rows)),
    "percentiles are not interpolated": (oracle.aggregates, "percentile", rounded_to_a_rank),
    "a month's end is a day like others": (oracle.answers, "compared_days", by_the_day_alone),
    "a window has a day too many": (oracle.answers, "window_start", a_day_longer),
    "the change is of what is now": (oracle.Answer, "change", of_what_is_now),
    "others are all": (oracle.Answer, "everyone", lambda answer, periods: set()),
    "the pace is of all days that are over": (oracle.goals, "line_of", paced_by_the_calendar),
    "a limit is a target": (GoalSpec, "meets", turned),
    "no sum decides early": (oracle.goals, "decided_early", lambda goal, kind, met, *, all_collected: ""),
    "facts without an account are left out": (oracle.judge, "joined", only_with_an_account),
    "what changed is not looked for": (Life, "late", lambda life, name, step, now: []),
    "what is forgotten stays": (Life, "forget", lambda life, name: None),
    "a renamed metric begins again": (Life, "rename", begun_again),
    "a moved book begins again": (Life, "move", moved_without_days),
    "days of the old definition answer for the new one": (Life, "redefine", redefined_with_its_days),
    "a definition that is back begins again": (Life, "redefine", redefined_from_nothing),
    "a new definition is collected at once": (strategies, "collected", whatever_is_older),
    "imported days stay in the place of collected ones": (CellsWithImports, "before", imported_for_good),
    "a second file of values is not read": (Life, "import_", first_file_for_good),
    "change is since the first asked day": (
        oracle.Span,
        "before",
        property(lambda span: days_before(span.asked.first, 1)),
    ),
}


def lived(world: World) -> Life:
    """A world after all of its steps."""
    life = Life.begun(world)
    for step in world.steps:
        life.take(step)
    return life


def answers(judge: oracle.Judge, world: World) -> dict[int, Any]:
    """The rows of each question; None where it has no answer."""
    return {number: tried(judge.answer, ask) for number, ask in enumerate(world.asks)}


def standings_of(judge: oracle.Judge, world: World) -> dict[int, Any]:
    """How far each goal is, on each of the days."""
    asked = enumerate(product(world.goals, world.goal_days(judge.closed_until)))
    return {number: tried(oracle.goals.standing, judge, goal, day) for number, (goal, day) in asked}


def tried(judged: Callable[..., Any], *asked: Any) -> Any:
    try:
        return judged(*asked)
    except (Refusal, oracle.Undecided):
        return None


def differ(ask: Ask | None, right: Any, other: Any) -> bool:
    if ask is not None:
        return bool(differences(right, other, ask))
    return bool(goal_differences(right, {n: v.number if isinstance(v, Value) else v for n, v in vars(other).items()}))


@pytest.mark.parametrize("mistake", sampled(list(MISTAKES), 1, "mistakes"))
def test_worlds_find_out_a_judge_who_makes_a_mistake(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a few hundred worlds did not tell this mistake, they could not tell it of a book either."""
    monkeypatch.setattr(ConjectureRunner, "generate_mutations_from", lambda runner, data: None)
    owner, name, wrong = MISTAKES[mistake]
    found_by = standings_of if owner in (oracle.goals, GoalSpec) else answers

    @settings(max_examples=600, phases=[Phase.generate], database=None, suppress_health_check=list(HealthCheck))
    @given(world=worlds("duckdb"))
    def look(world: World) -> None:
        right = found_by(lived(world).judge(), world)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(owner, name, wrong)
            others = found_by(lived(world).judge(), world)
        for number, expected in right.items():
            ask = world.asks[number] if found_by is answers else None
            if expected is not None and others[number] is not None and differ(ask, expected, others[number]):
                raise FoundOut

    with pytest.raises(FoundOut):
        look()


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_takes_what_the_function_in_its_place_takes(mistake: str) -> None:
    """A mistake that fails when it is called is no mistake of numbers."""
    owner, name, wrong = MISTAKES[mistake]
    replaced = getattr(owner, name)
    if isinstance(wrong, property):
        assert isinstance(replaced, property)
        return
    taken = inspect.signature(replaced).parameters.values()
    inspect.signature(wrong).bind(
        *(one.name for one in taken if one.kind is one.POSITIONAL_OR_KEYWORD),
        **{one.name: None for one in taken if one.kind is one.KEYWORD_ONLY},
    )


def test_a_tiny_float_is_written_with_all_its_digits() -> None:
    for tiny in (1e-300, -1e-300, 5e-324):
        value = near(Fraction(tiny))
        assert value.accepts(value.number)
        assert value.accepts(tiny)


def test_near_and_null_read_well() -> None:
    assert str(near(Fraction(1, 4))) == "0.25 exactly"
    assert str(near(Fraction(1, 4), Fraction(1, 1000))) == "0.25 ± 0.001"
    assert str(oracle.NULL) == "null"


# --- comparisons, windows, the top, having: by hand ---------------------------------------------------------------

SIGNUPS = table(
    "at date, plan text",
    [(d("01-31"), "a"), (d("02-28"), "b"), (d("02-29"), "a"), (d("02-29"), "c"), (d("03-30"), "a"), (d("03-31"), "b")],
)
COUNT = metric(Agg("count"), by=("plan",))


def counted(days: str, *columns: str, **asked: Any) -> list[tuple[Any, ...]]:
    found = rows(
        COUNT, SIGNUPS, asked.pop("scope", "day"), days, covered={"m": days_between(d("01-01"), d("03-31"))}, **asked
    )
    return [tuple(row[column] for column in columns) for row in found]


def test_the_last_day_of_a_month_is_compared_with_the_last_day_of_the_other() -> None:
    assert counted("02-28..02-29", "m", "m_previous", compare="1 month") == [(1, 0), (2, 1)]
    assert counted("03-28..03-31", "m", "m_previous", compare="1 month") == [(0, 1), (0, 2), (1, 2), (1, 2)]
    assert counted("03-01..03-31", "m", "m_previous", compare="previous", scope="month") == [(2, 3)]


def test_a_change_is_a_fraction_of_what_was_and_null_of_nothing() -> None:
    (february, march) = rows(
        COUNT, SIGNUPS, "month", "02-01..03-31", covered={"m": days_between(d("01-01"), d("03-31"))}, compare="previous"
    )
    assert february["cells"]["m_change"].middle == 2
    assert march["cells"]["m_change"].middle == Fraction(-1, 3)
    assert counted("02-01..02-01", "m", "m_previous", "m_change", compare="previous") == [(0, 1, -1)]
    assert counted("01-31..01-31", "m", "m_previous", "m_change", compare="previous") == [(1, 0, None)]
    assert counted("01-01..01-01", "m_previous", "m_change", compare="previous") == [(None, None)]


def test_a_window_of_a_month_begins_the_day_after_the_same_day() -> None:
    assert counted("03-31..03-31", "m", "days", "days_expected", window="1 month") == [(2, 31, 31)]
    assert counted("03-30..03-30", "m", "days", "days_expected", window="1 month") == [(1, 30, 30)]
    assert counted("02-29..02-29", "m", "days", window="1 month") == [(4, 31)]
    assert counted("01-31..01-31", "m", "days", "days_expected", "complete", window="2 months") == [(1, 31, 62, False)]
    assert counted("03-30..03-30", "m", window="month to date") == [(1,)]
    assert counted("03-31..03-31", "m", "days", window="all") == [(6, 91)]


def test_others_are_all_series_but_the_largest_and_ties_go_by_name() -> None:
    found = counted("02-01..03-31", "plan", "m", "others", by=("plan",), top=1, scope="month")
    assert found == [("a", 1, False), (None, 2, True), ("a", 1, False), (None, 1, True)]
    found = counted(
        "03-01..03-31", "plan", "m", "m_previous", "others", by=("plan",), top=2, scope="month", compare="previous"
    )
    assert found == [("a", 1, 1, False), ("b", 1, 1, False), (None, 0, 1, True)]


def test_having_keeps_the_rows_that_are_so() -> None:
    assert counted("02-01..03-31", "m", scope="month", having=(("m", ">=", "3"),)) == [(3,)]
    assert counted("02-01..03-31", "m", scope="month", having=(("m", ">", "3"),)) == []
    assert counted("01-01..03-31", "m", scope="month", compare="previous", having=(("m_change", "<", "0"),)) == [(2,)]


def test_weeks_begin_on_the_day_that_is_asked_for() -> None:
    assert counted("02-26..03-03", "period", "m", scope="week") == [(d("02-26"), 3)]
    assert counted("02-26..03-03", "period", "m", scope="week", week_starts="thursday") == [
        (d("02-22"), 1),
        (d("02-29"), 2),
    ]


@pytest.mark.parametrize(
    ("compare", "scope"), [("1 month", "week"), ("10 days", "month"), ("2 months", "quarter"), ("4 weeks", "year")]
)
def test_a_comparison_that_meets_no_period_is_refused(compare: str, scope: str) -> None:
    with pytest.raises(Refusal):
        counted("02-01..03-31", "m", compare=compare, scope=scope)


def test_a_bound_far_away_is_an_open_end_and_a_near_one_shows_gaps() -> None:
    closed = {"m": days_between(d("02-01"), d("03-31"))}
    for days in ("0001-01-01..9999-12-31", "1999-01-01..2026-01-01"):
        assert len(rows(COUNT, SIGNUPS, "day", days, covered=closed, closed="03-31")) == 60
    assert len(rows(COUNT, SIGNUPS, "day", "2023-02-01..03-31", covered=closed, closed="03-31")) == 365 + 60
    with pytest.raises(Refusal):
        rows(COUNT, SIGNUPS, "day", "04-02..9999-12-31", covered=closed, closed="03-31")


def test_imported_values_answer_before_the_first_collected_day_and_no_value_is_made_of_both() -> None:
    facts = Table(name="facts", columns=(Column(name="at", type="date"),), rows=[{"id": 1, "at": d("02-02")}])
    counted = MetricSpec(name="n", table="facts", time="at", measure=Agg("count"), history=True)
    values = {(d("01-31"), ()): Decimal(5), (d("02-01"), ()): Decimal(7), (d("02-02"), ()): Decimal(9)}
    imported = {"n": oracle.Imported((), values)}
    judge = oracle.Judge(
        UTC_BOOK, {"n": counted}, {"facts": facts}, {"n": {d("02-02"), d("02-03")}}, d("02-03"), imported
    )
    ask = Ask(metrics=("n",), from_=d("01-30"), to=d("02-03"))
    assert [row["n"] for row in judge.answer(ask)] == [None, 5, 7, 1, 0]
    assert [row["n"] for row in judge.answer(replace(ask, scope="month"))] == [5, None]
    assert [row["n"] for row in judge.answer(replace(ask, window="2 days"))] == [None, 5, 12, None, 1]
    assert [row["n_previous"] for row in judge.answer(replace(ask, compare="previous"))] == [None, None, 5, 7, 1]
    with pytest.raises(Refusal):
        judge.answer(replace(ask, by=("plan",)))
