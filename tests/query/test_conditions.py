"""The condition language of lists and rules: SQL's three values, and a fourth that is not known."""

from __future__ import annotations

from itertools import product

import duckdb
import pytest
from hypothesis import given, strategies as st

from tallybook.config import ConditionColumn, compile_condition
from tallybook.core import QueryError

NOW = "TIMESTAMPTZ '2026-03-10T00:00:00+00:00'"
COLUMNS = {
    "plan": ConditionColumn(sql='"plan"', type="text"),
    "seats": ConditionColumn(sql="seats", type="integer"),
    "calls": ConditionColumn(sql="calls", type="number", known="calls_known"),
    "created_at": ConditionColumn(sql="created_at", type="time"),
    "paying": ConditionColumn(sql="paying", type="flag"),
    "address.Plan": ConditionColumn(sql='upper("plan")', type="text"),
}
ROWS = """
  (1, 'trial', 3,    5.0,  TRUE,  TIMESTAMPTZ '2026-01-01 00:00:00+00', TRUE),
  (2, 'trial', NULL, NULL, FALSE, TIMESTAMPTZ '2026-03-09 00:00:00+00', FALSE),
  (3, NULL,    7,    50.0, TRUE,  TIMESTAMPTZ '2026-03-01 00:00:00+00', NULL),
  (4, 'Pro',   10,   NULL, TRUE,  TIMESTAMPTZ '2025-03-01 00:00:00+00', TRUE)
"""


def found(text: str, rows: str = ROWS) -> tuple[list[int], list[int]]:
    """The ids for which a condition is true, and for which it is not known."""
    condition = compile_condition(text, COLUMNS, now=NOW)
    engine = duckdb.connect()
    relation = f'(VALUES {rows}) AS v(id, "plan", seats, calls, calls_known, created_at, paying)'
    ids = [
        [id_ for (id_,) in engine.execute(f"SELECT id FROM {relation} WHERE {where} ORDER BY id").fetchall()]
        for where in (condition.true, condition.unknown or "FALSE", condition.where)
    ]
    assert ids[2] == ids[0], "what is chosen after WHERE"
    return ids[0], ids[1]


@pytest.mark.parametrize(
    ("text", "true", "unknown"),
    [
        ("plan = 'trial'", [1, 2], []),
        ("not plan = 'trial'", [4], []),
        ("plan is null", [3], []),
        ("plan = 'trial' and calls < 10", [1], [2]),
        ("plan = 'trial' or calls < 10", [1, 2], []),
        ("plan = 'Pro' and calls < 10", [], []),
        ("not (plan = 'trial' and calls < 10)", [3, 4], [2]),
        ("calls is unknown", [2], []),
        ("calls is known and calls is null", [4], []),
        ("calls is not known or seats > 5", [2, 3, 4], []),
        ("seats between 3 and 7", [1, 3], []),
        ("seats in (3, 10.0)", [1, 4], []),
        ("plan not in ('trial')", [4], []),
        ("lower(plan) like 'p%'", [4], []),
        ("plan not like 'tri%'", [4], []),
        ("plan not ilike 'P%' and seats >= 3", [1], []),
        ("not (plan not like 'tri%')", [1, 2], []),
        ("plan not like 'tri%' or calls > 10", [3, 4], [2]),
        ("PLAN ilike 'P%'", [4], []),
        ("age(created_at) > '30 days'", [1, 4], []),
        ("age(created_at) > '1 year'", [4], []),
        ("'12 months' < now() - created_at", [4], []),
        ("age(created_at) between '9 days' and '374 days'", [1, 3, 4], []),
        ("age(created_at) in ('1 day', '9 days')", [2, 3], []),
        ("created_at > now() - interval '9 days'", [2], []),
        ("created_at >= '2026-03-01'", [2, 3], []),
        ("paying", [1, 4], []),
        ("paying is false", [2], []),
        ("calls / seats > 1", [1, 3], [2]),
        ("calls / 0 > 1", [], [2]),
        ("plan = 'is unknown'", [], []),
        ("address.plan = 'TRIAL'", [1, 2], []),
        ("Address.Plan is null or \"address.plan\" = 'PRO'", [3, 4], []),
        ("lower(address.plan) = plan and not (address.plan = plan)", [1, 2], []),
    ],
)
def test_which_rows_a_condition_chooses(text: str, true: list[int], unknown: list[int]) -> None:
    assert found(text) == (true, unknown)


@pytest.mark.parametrize(
    ("text", "why", "hint"),
    [
        ("pln = 'trial'", "names 'pln'", "did you mean 'plan'?"),
        ("plan = 3", "compares plan, of type text, with 3, of type integer", "single quotes"),
        ("plan =", "cannot be read", "comparisons"),
        ("select > 3", "cannot be read", '"first name" > 1'),
        ("adress.plan = 'trial'", "names 'adress.plan'", "did you mean 'address.Plan'?"),
        ("plan.seats > 3", "names 'plan.seats'", "there are"),
        ("count(seats) > 3", "has COUNT(seats)", "comparisons"),
        ("seats", "needs a value of type flag where it has seats, of type integer", "comparisons"),
        ("plan > now()", "compares plan, of type text", "single quotes"),
        ("created_at > '9999-12-31T23:00:00-05:00'", "beside a time", "2026-03-01"),
        ("age(created_at) > '1001 years'", "a span of more than 1,000 years", "comparisons"),
        (f"created_at > now() - interval '{10**30} seconds'", "a span of more than 1,000 years", "comparisons"),
        ("before(seats, '1.5 days') > 3", "has '1.5 days' where a span is expected", "7 days"),
        ("created_at > 'soon'", "has 'soon' beside a time", "2026-03-01"),
        ("plan = null", "compares plan with null, which is never true", "plan is null"),
        ("null <> seats + 1", "compares seats + 1 with null", "seats + 1 is null"),
        ("plan not in ('trial', null)", "compares plan with null", "plan is null"),
        ("plan + 1 > 2", "calculates with plan, of type text", "comparisons"),
        ("seats between symmetric 7 and 3", "which no condition has", "comparisons"),
        ("seats > 3; drop table x", "has seats > 3; DROP TABLE x", "comparisons"),
    ],
)
def test_what_is_no_condition_is_refused_with_the_reason(text: str, why: str, hint: str) -> None:
    with pytest.raises(QueryError) as refused:
        compile_condition(text, COLUMNS, now=NOW)
    assert why in refused.value.message
    assert hint in refused.value.hint


@pytest.mark.parametrize("span", ["30 days", "1 month", "2 months", "1 year", "24 months"])
def test_an_age_in_months_and_years_is_that_of_the_calendar(span: str) -> None:
    """365 days before 10 March 2026 are no more than a year, although the engine says that 360 days are one."""
    days = [28, 30, 31, 32, 59, 60, 359, 360, 361, 364, 365, 366, 367, 719, 720, 730, 731]
    rows = ", ".join(f"({day}, 'x', 1, 1.0, TRUE, {NOW} - INTERVAL '{day} days', TRUE)" for day in days)
    older = found(f"created_at < now() - interval '{span}'", rows)
    assert found(f"age(created_at) > '{span}'", rows) == older
    assert found(f"not age(created_at) <= '{span}'", rows) == older
    assert found("age(created_at) > '1 year'", rows)[0] == [day for day in days if day > 365]


LEAVES = st.sampled_from(["paying", "calls > 10", "seats > 5"])
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds("not ({})".format, inner),
        st.builds("({}) and ({})".format, inner, inner),
        st.builds("({}) or ({})".format, inner, inner),
    ),
    max_leaves=6,
)


@given(text=TREES)
def test_what_is_not_known_is_what_different_values_would_change(text: str) -> None:
    """Compared with plain SQL: a condition that holds whatever the unknown number is, is true. Where the outcome is the
    same although an unknown number occurs twice, it may be said not to be known."""
    plain = {}
    engine = duckdb.connect()
    for calls in ("5.0", "50.0", "NULL"):
        rows = ", ".join(
            f"({id_}, 'x', {seats}, {calls}, TRUE, NULL, {paying})"
            for id_, (seats, paying) in enumerate(product((3, 7, "NULL"), ("TRUE", "FALSE", "NULL")))
        )
        relation = f'(VALUES {rows}) AS v(id, "plan", seats, calls, calls_known, created_at, paying)'
        for id_, value in engine.execute(f"SELECT id, {text} FROM {relation}").fetchall():
            plain.setdefault(id_, set()).add(value)
    rows = ", ".join(
        f"({id_}, 'x', {seats}, NULL, FALSE, NULL, {paying})"
        for id_, (seats, paying) in enumerate(product((3, 7, "NULL"), ("TRUE", "FALSE", "NULL")))
    )
    true, unknown = found(text, rows)
    for id_, outcomes in plain.items():
        if id_ in true:
            assert outcomes == {True}
        elif id_ not in unknown:
            assert True not in outcomes
        if text.count("calls") <= 1:
            assert (id_ in true) == (outcomes == {True})
            assert (id_ in unknown) == (True in outcomes and outcomes != {True})
