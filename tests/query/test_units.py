"""Units that are in a column: values of different units are never added, and cents are divided by their currency."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from tallybook.core import DeclarationError, Refused, amount_degree, minor_digits, parse_measure
from tests.projects import Project

ROWS = [
    ("2024-03-01", "EUR", "pro", 1, 1050), ("2024-03-01", "EUR", "basic", 2, 25), ("2024-03-01", "JPY", "pro", 3, 980),
    ("2024-03-02", "KWD", "pro", 4, 1), ("2024-03-02", None, "pro", 5, 7), ("2024-03-02", "usd", "basic", 1, 199),
    ("2024-03-02", "EUR", "pro", 1, 1), ("2024-03-03", "XXX", "pro", 1, 3), ("2024-03-03", "", "pro", 1, 4),
]  # fmt: skip
DIGITS = {"EUR": 2, "JPY": 0, "KWD": 3, "usd": 2}
"""The decimals of the currencies of ROWS in ISO 4217."""
REVENUE = """
    [metrics.revenue]
    table = "payments"
    time = "day"
    measure = "sum(amount)"
    unit_from = "currency"
    by = ["plan"]
"""
METRICS = f"""
    {REVENUE}

    [metrics.cents]
    table = "payments"
    time = "day"
    measure = "sum(amount)"
    unit_from = "currency"
    minor_units = true

    [metrics.ticket]
    table = "payments"
    time = "day"
    measure = "avg(amount)"
    unit_from = "currency"
    minor_units = true

    [metrics.euros]
    table = "payments"
    time = "day"
    where = "currency = 'EUR'"
    measure = "sum(amount)"
    unit = "EUR"
    minor_units = true

    [metrics.users]
    table = "payments"
    time = "day"
    measure = "count(distinct user_id)"

    [metrics.orders]
    table = "payments"
    time = "day"
    measure = "count(*)"
    by = ["currency"]

    [metrics.visits]
    table = "payments"
    time = "day"
    measure = "count(*)"

    [metrics.seats]
    kind = "level"
    table = "payments"
    time = "day"
    measure = "sum(user_id)"

    [metrics.per_visit]
    measure = "revenue / visits"

    [metrics.per_seat]
    measure = "revenue / seats"

    [metrics.per_user]
    measure = "revenue / users"

    [metrics.per_order]
    measure = "cents / orders"
"""
ASKED: Mapping[str, Any] = {"scope": "month", "from_": "2024-03-01", "to": "2024-03-03"}


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("units")
    made = Project(folder, f"sqlite:///{folder}/app.db", now="2024-03-04T12:00")
    made.table("payments (day date, currency text, plan text, user_id int, amount int)", ROWS)
    made.declare(METRICS, start="2024-03-01")
    made.run()
    yield made
    made.close()


def amounts(**only: str | None) -> list[tuple[str | None, int]]:
    names = ("day", "currency", "plan", "user_id", "amount")
    rows = [dict(zip(names, row, strict=True)) for row in ROWS]
    return [(r["currency"], r["amount"]) for r in rows if all(r[k] == v for k, v in only.items())]  # type: ignore[misc]


# --- what is refused, whichever currencies the rows have -------------------------------------------------------


@pytest.mark.parametrize(("metric", "question", "instead"), [
    ("revenue", {}, 'by=["currency"]), or with where currency=…'),
    ("revenue", {"by": ["plan"]}, 'by=["plan", "currency"]'),
    ("revenue", {"where": ["plan=pro"]}, 'by=["currency"]'),
    ("revenue", {"where": ["currency=EUR", "currency=USD"]}, 'by=["currency"]'),
    ("revenue", {"where": ["currency!=EUR"]}, 'by=["currency"]'),
    ("revenue", {"by": ["currency"], "totals": True}, "without totals"),
    ("revenue", {"by": ["currency"], "top": 2}, "without top"),
    ("revenue", {"by": ["currency", "plan"], "top": 1}, "without top"),
    ("revenue", {"compare": "previous"}, 'by=["currency"]'),
    ("revenue", {"show": "max"}, 'by=["currency"]'),
    ("revenue", {"by": ["currency"], "having": ["revenue > 100"]}, "where currency=…"),
    ("revenue", {"by": ["currency"], "sort": ["-revenue"]}, "where currency=…"),
    ("cents", {"scope": "all"}, 'by=["currency"]'),
    ("per_user", {}, "where currency=…"),
    ("per_order", {"by": ["currency"], "totals": True}, "without totals"),
])  # fmt: skip
def test_an_answer_that_would_add_currencies_is_refused(
    book: Project, metric: str, question: dict[str, Any], instead: str
) -> None:
    with pytest.raises(Refused, match="unit") as refused:
        book.ask(metric, **{**ASKED, **question})
    assert instead in refused.value.hint
    with pytest.raises(Refused):
        book.ask(metric, **{**ASKED, **question, "from_": "2024-02-01", "to": "2024-02-02"})  # a range without rows


@pytest.mark.parametrize("question", [
    {"by": ["currency"]}, {"by": ["currency", "plan"]}, {"where": ["currency=EUR"]}, {"where": ["currency="]},
    {"where": ["currency=EUR"], "by": ["plan"], "totals": True}, {"where": ["currency=EUR"], "by": ["plan"], "top": 1},
    {"by": ["currency"], "compare": "previous"}, {"by": ["currency"], "sort": ["currency", "-revenue"]},
    {"by": ["currency"], "compare": "previous", "having": ["revenue_change > 0"]},
    {"where": ["currency=EUR", "currency=EUR"]}, {"where": ["currency=DEM"]},
])  # fmt: skip
def test_an_answer_in_one_unit_for_each_number_is_given(book: Project, question: dict[str, Any]) -> None:
    book.ask("revenue", **{**ASKED, **question})


# --- numbers -----------------------------------------------------------------------------------------------------


def test_null_is_a_currency_of_its_own(book: Project) -> None:
    expected: dict[Any, int] = {}
    for currency, amount in amounts():
        expected["2024-03-01", currency] = expected.get(("2024-03-01", currency), 0) + amount
    assert book.both("revenue", by=["currency"], **ASKED) == expected
    assert book.ask("revenue", where=["currency="], **ASKED) == {"2024-03-01": 7}
    assert book.ask("revenue", where=['currency=""'], **ASKED) == {"2024-03-01": 4}


def test_minor_units_are_divided_by_the_digits_of_each_currency(book: Project) -> None:
    found = book.both("cents", by=["currency"], **ASKED)
    for currency, digits in DIGITS.items():
        total = sum(amount for code, amount in amounts() if code == currency)
        assert found["2024-03-01", currency] == Decimal(total).scaleb(-digits), currency
        assert Fraction(found["2024-03-01", currency]) == Fraction(total, 10**digits)
        assert book.ask("cents", where=[f"currency={currency}"], **ASKED) == {
            "2024-03-01": Decimal(total).scaleb(-digits)
        }
    mean = book.ask("ticket", by=["currency"], **ASKED)
    assert mean["2024-03-01", "EUR"] == pytest.approx((1050 + 25 + 1) / 3 / 100)
    assert mean["2024-03-01", "JPY"] == 980
    assert book.both("euros", **ASKED) == {"2024-03-01": Decimal("10.76")}
    assert book.ask("euros", **{**ASKED, "scope": "day"})["2024-03-03"] == 0
    average = book.ask("cents", where=["currency=EUR"], show="average", **ASKED)
    assert average == {"2024-03-01": pytest.approx(1076 / 3 / 100)}
    change = book.rows("cents", where=["currency=EUR"], compare="previous", **{**ASKED, "scope": "day"})
    assert [row["cents_previous"] for row in change] == [None, Decimal("10.75"), Decimal("0.01")]


@pytest.mark.parametrize(("code", "named"), [("XXX", "'XXX'"), (None, "null"), ("", "the empty text")])
def test_an_unknown_currency_has_no_amount(book: Project, code: str | None, named: str) -> None:
    rows = [row for row in book.rows("cents", by=["currency"], **ASKED) if row["currency"] == code]
    (row,) = rows
    assert row["cents"] is None
    assert f"{named} is no currency of ISO 4217" in row["notes"]["cents"]["why"]


def test_the_definition_does_not_change_with_minor_units(book: Project) -> None:
    before = book.book.metric("cents").definition
    book.declare(METRICS.replace("minor_units = true", ""), start="2024-03-01")
    assert book.book.metric("cents").definition == before
    assert book.ask("cents", where=["currency=EUR"], **ASKED) == {"2024-03-01": 1076}
    book.declare(METRICS, start="2024-03-01")


def test_a_filter_of_a_formula_applies_to_the_metrics_that_have_the_unit(book: Project) -> None:
    users = len({row[3] for row in ROWS})
    euros = sum(amount for code, amount in amounts() if code == "EUR")
    assert book.both("per_user", where=["currency=EUR"], **ASKED) == {"2024-03-01": pytest.approx(euros / users)}
    explain = book.book.query("per_user", where=["currency=EUR"], **ASKED).explain
    assert "users not filtered by currency" in explain
    with pytest.raises(Refused, match="users lacks it"):
        book.ask("per_user", by=["currency"], **ASKED)
    found = book.both("per_order", by=["currency"], **ASKED)
    assert found["2024-03-01", "EUR"] == pytest.approx(10.76 / 3)
    assert book.both("per_order", where=["currency=EUR"], **ASKED) == {"2024-03-01": pytest.approx(10.76 / 3)}


@pytest.mark.parametrize("asked", [["per_visit"], ["per_visit", "per_seat"], ["per_visit", "revenue"], ["per_seat"]])
def test_an_operand_without_the_unit_may_be_a_sum_or_a_level(book: Project, asked: list[str]) -> None:
    euros = sum(amount for code, amount in amounts() if code == "EUR")
    last = max(row[0] for row in ROWS)
    per = {"per_visit": len(ROWS), "per_seat": sum(row[3] for row in ROWS if row[0] == last), "revenue": 1}
    (row,) = book.book.query(asked, where=["currency=EUR"], **ASKED).rows()
    assert {name: float(row[name]) for name in asked} == {name: pytest.approx(euros / per[name]) for name in asked}


def test_json_and_csv_name_the_column_with_the_unit(book: Project) -> None:
    answer = book.book.query("cents", by=["currency"], **ASKED)
    column = json.loads(answer.to_json())["columns"][-1]
    assert (column["unit"], column["unit_from"]) == (None, "currency")
    assert "unit_from" not in json.loads(book.book.query("euros", **ASKED).to_json())["columns"][-1]
    assert "2024-03-01,EUR,10.76," in answer.to_csv()
    written = book.book.csv("cents", by=["currency"], **ASKED)
    assert written in (None, answer.to_csv())


# --- declarations --------------------------------------------------------------------------------------------------


def problems(book: Project, text: str) -> str:
    book.declare(text, start="2024-03-01")
    try:
        _ = book.book
    except DeclarationError as error:
        return str(error)
    finally:
        book.declare(METRICS, start="2024-03-01")
    return ""


DELIVERY = '[deliveries.board]\nto = "csv"\npath = "b.csv"\nmetrics = ["{metric}"]\n'
GOAL = '[goals.g]\nmetric = "{metric}"\ntarget = 5\n'


@pytest.mark.parametrize(("more", "says"), [
    (DELIVERY.format(metric="revenue"), 'by = ["currency"]'),
    (DELIVERY.format(metric="revenue") + 'by = ["plan"]', 'by = ["plan", "currency"]'),
    (DELIVERY.format(metric="revenue") + 'by = ["currency"]\ntotals = true', "without totals"),
    (DELIVERY.format(metric="per_user"), 'where = ["currency=EUR"]'),
    (GOAL.format(metric="revenue"), 'where = ["currency=EUR"]'),
    (GOAL.format(metric="per_user") + 'where = ["currency!=EUR"]', "currency=EUR"),
    ('[alerts]\nto = ["https://x.example/y"]', "alerts = false"),
])  # fmt: skip
def test_check_names_the_line_for_what_would_add_currencies(book: Project, more: str, says: str) -> None:
    found = problems(book, METRICS + "\n" + more)
    assert says in found
    assert "different units" in found or "one for each currency" in found


@pytest.mark.parametrize("more", [
    DELIVERY.format(metric="revenue") + 'by = ["currency"]',
    DELIVERY.format(metric="revenue") + 'where = ["currency=EUR"]\ntotals = true\nby = ["plan"]',
    DELIVERY.format(metric="per_user") + 'where = ["currency=EUR"]',
    GOAL.format(metric="per_user") + 'where = ["currency=EUR"]',
    '[alerts]\nto = ["https://x.example/y"]\nabout = ["failed", "late"]',
])  # fmt: skip
def test_what_splits_or_filters_is_in_order(book: Project, more: str) -> None:
    assert problems(book, METRICS + "\n" + more) == ""


@pytest.mark.parametrize(("line", "says"), [
    ('unit = "EUR"', "unit and unit_from are both given"),
    ('measure = "count(*)"\nminor_units = true', "minor_units divides amounts"),
    ('measure = "sum(amount) + count(*)"\nminor_units = true', "minor_units divides amounts"),
    ('measure = "var_pop(amount)"\nminor_units = true', "minor_units divides amounts"),
    ('measure = "sum(amount)"\nper = "user_id"\nthen = "count"\nminor_units = true', "minor_units divides amounts"),
    ('per = "currency"\nthen = "avg"', "the entity of per"),
])  # fmt: skip
def test_check_refuses_units_that_mean_nothing(book: Project, line: str, says: str) -> None:
    head = '[metrics.x]\ntable = "payments"\ntime = "day"\nunit_from = "currency"\n'
    measure = "" if "measure" in line else 'measure = "sum(amount)"\n'
    assert says in problems(book, head + measure + line)


@pytest.mark.parametrize(("line", "says"), [
    ("", "minor_units needs the currency"), ('unit = "points"', "no currency of ISO 4217"),
    ('unit = "XAU"', "no currency of ISO 4217"),
])  # fmt: skip
def test_check_refuses_minor_units_without_a_currency(book: Project, line: str, says: str) -> None:
    head = '[metrics.x]\ntable = "payments"\ntime = "day"\nmeasure = "sum(amount)"\nminor_units = true\n'
    assert says in problems(book, head + line)


@pytest.mark.parametrize(("measure", "says"), [
    ("revenue + euros", "adds or compares the unit in currency and EUR"),
    ("euros - dollars", "adds or compares EUR and USD"),
    ("coalesce(euros, dollars)", "adds or compares EUR and USD"),
    ("(euros / users) + (dollars / users)", ""),
    ("2 * euros - dollars / 2", "adds or compares EUR and USD"),
    ("ratio + twice", ""),
    ("twice + dollars", "adds or compares EUR and USD"),
    ("euros / dollars", ""), ("euros * 2 + users", ""), ("euros + 5", ""), ("revenue + cents", ""),
])  # fmt: skip
def test_a_formula_does_not_add_different_units(book: Project, measure: str, says: str) -> None:
    more = f"""
    [metrics.dollars]
    table = "payments"
    time = "day"
    measure = "sum(amount)"
    unit = "USD"

    [metrics.ratio]
    measure = "euros / dollars"

    [metrics.twice]
    measure = "euros * 2"

    [metrics.x]
    measure = "{measure}"
    """
    found = problems(book, METRICS + more)
    assert says in found if says else found == ""


@pytest.mark.parametrize(("measure", "degree"), [
    ("sum(x)", 1), ("avg(x)", 1), ("sum(x) - sum(y)", 1), ("sum(x) / count(*)", 1), ("count(*)", 0), ("p95(x)", 1),
    ("stddev(x)", 1), ("variance(x)", 2), ("sum(x) * sum(y)", 2), ("sum(x) / sum(y)", 0), ("sum(x) + 1", None),
    ("coalesce(sum(x), 0)", 1), ("max(x) - min(x)", 1), ("2 * sum(x)", 1), ("count(distinct x)", 0),
    ("sum(x) / nullif(count(*), 0)", 1),
])  # fmt: skip
def test_only_amounts_are_divided(measure: str, degree: int | None) -> None:
    parsed = parse_measure(measure, "duckdb")
    assert amount_degree(parsed.shell, parsed.slots) == degree


@pytest.mark.parametrize(("code", "digits"), [
    ("EUR", 2), ("jpy", 0), ("KWD", 3), ("CLF", 4), ("ISK", 0), ("XXX", None), ("euro", None), ("", None),
])  # fmt: skip
def test_digits_are_those_of_iso_4217(code: str, digits: int | None) -> None:
    assert minor_digits(code) == digits
