"""Answers of a book with a fiscal calendar, held against sums over the raw rows and dates counted here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date, timedelta

import pytest

from tallybook.core import DeclarationError, QueryError, Refused
from tests.projects import Project, project

__all__ = ["project"]

DAY = timedelta(days=1)
FIRST, LAST = date(2022, 12, 1), date(2025, 5, 20)
FACTS = {FIRST + DAY * i: i % 17 + 1 for i in range((LAST - FIRST).days + 1)}
METRICS = """
    [metrics.n]
    table = "facts"
    time = "day"
    measure = "sum(amount)"
    by = ["plan"]

    [metrics.stock]
    kind = "level"
    table = "facts"
    time = "day"
    measure = "sum(amount)"

    [metrics.users]
    table = "facts"
    time = "day"
    measure = "count(distinct amount)"

    [metrics.double]
    measure = "n + n"
"""
RETAIL = {"week_starts": "sunday", "fiscal_year_starts": "february", "calendar": "4-5-4", "fiscal_year_named": "start"}
YEARS = {2022: date(2022, 1, 30), 2023: date(2023, 1, 29), 2024: date(2024, 2, 4), 2025: date(2025, 2, 2)}
"""The first days of the retail years, as the National Retail Federation publishes them. 2023 has 53 weeks."""


def retail_months() -> dict[date, tuple[date, str]]:
    """The last day and the label of each month of the retail years, by its first day."""
    found = {}
    for year in (2022, 2023, 2024):
        start = YEARS[year]
        for number, weeks in enumerate([4, 5, 4] * 4, 1):
            end = YEARS[year + 1] - DAY if number == 12 else start + 7 * weeks * DAY - DAY
            found[start] = (end, f"FY{year} M{number:02d}")
            start = end + DAY
    return found


MakeProject = Callable[..., Project]


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("retail")
    made = Project(folder, f"sqlite:///{folder}/app.db", now="2025-05-21T12:00")
    made.table("facts (day date, plan text, amount int)", [(d, "ab"[n % 2], n) for d, n in FACTS.items()])
    made.declare(METRICS, start=str(FIRST), **RETAIL)
    made.run()
    yield made
    made.close()


@pytest.fixture
def retail(collected: Project) -> Project:
    collected.declare(METRICS, start=str(FIRST), **RETAIL)
    return collected


def total(first: date, last: date) -> int:
    return sum(n for day, n in FACTS.items() if first <= day <= last)


def test_months_quarters_and_years_are_those_of_the_fiscal_calendar(retail: Project) -> None:
    months = {start: end for start, (end, _) in retail_months().items() if start >= date(2023, 1, 29)}
    asked = {"from_": "2023-01-29", "to": "2025-02-01"}
    for scope, size in (("month", 1), ("quarter", 3), ("year", 12)):
        starts = list(months)[::size]
        ends = list(months.values())[size - 1 :: size]
        spans = list(zip(starts, ends, strict=True))
        assert retail.ask("n", scope=scope, **asked) == {str(a): total(a, b) for a, b in spans}
        assert retail.ask("double", scope=scope, **asked) == {str(a): 2 * total(a, b) for a, b in spans}
        assert retail.ask("stock", scope=scope, **asked) == {str(a): FACTS[b] for a, b in spans}
        average = retail.ask("stock", scope=scope, show="average", **asked)
        assert average == pytest.approx({str(a): total(a, b) / ((b - a).days + 1) for a, b in spans})
        users = {str(a): len({n for d, n in FACTS.items() if a <= d <= b}) for a, b in spans}
        assert retail.ask("users", scope=scope, **asked) == users
        together = retail.rows("n", "users", scope=scope, **asked)
        assert {row["period"]: row["n"] for row in together} == {str(a): total(a, b) for a, b in spans}
        by_plan = retail.ask("n", scope=scope, by=["plan"], **asked)
        assert {p: by_plan[p, "a"] + by_plan[p, "b"] for p in users} == {str(a): total(a, b) for a, b in spans}
    assert retail.both("n", scope="quarter", **asked)


def test_a_row_has_the_label_of_its_period_beside_the_first_day(retail: Project) -> None:
    rows = json.loads(retail.book.query("n", scope="month", from_="2024-02-04", to="2024-05-04").to_json())["rows"]
    assert [(row["period"], row["label"]) for row in rows] == [
        ("2024-02-04", "FY2024 M01"), ("2024-03-03", "FY2024 M02"), ("2024-04-07", "FY2024 M03"),
    ]  # fmt: skip
    assert list(rows[0])[:3] == ["period", "label", "n"]
    assert retail.rows("n", scope="week", from_="2024-01-28", to="2024-01-28")[0]["label"] == "FY2023 W53"
    assert "label" not in retail.rows("n", scope="day", from_="2024-01-28", to="2024-01-28")[0]
    other_week = retail.rows("n", scope="week", week_starts="monday", from_="2024-01-29", to="2024-01-29")
    assert "label" not in other_week[0]
    text = retail.book.query("n", scope="quarter", from_="2024-02-04", to="2024-05-04").to_text()
    assert "FY2024 Q1" in text
    assert "4-5-4 years from the Sunday nearest to February 1" in text


@pytest.mark.parametrize("scope", ["week", "month", "quarter", "year"])
def test_csv_and_tables_have_the_label_too(retail: Project, scope: str) -> None:
    result = retail.book.query("n", by=["plan"], scope=scope, from_="2023-01-29")
    assert retail.book.csv("n", by=["plan"], scope=scope, from_="2023-01-29") == result.to_csv()
    head, first = result.to_csv().splitlines()[:2]
    assert head.startswith("period,label,plan,n,")
    assert first.startswith(f"2023-01-29,{result.rows()[0]['label']},a,")
    assert result.to_arrow().column("label").to_pylist()[0] == result.rows()[0]["label"]


def test_a_dimension_or_metric_called_label_keeps_its_column(project: MakeProject) -> None:
    made = project("sqlite")
    made.table("facts (day date, label text)", [("2024-02-01", "x")])
    declared = '[metrics.{}]\ntable = "facts"\ntime = "day"\nmeasure = "count(*)"\n'
    made.declare(declared.format("n") + 'by = ["label"]', fiscal_year_starts="february")
    made.run()
    (row,) = [row for row in made.rows("n", scope="quarter", by=["label"], from_="2024-02-01") if row["n"]]
    assert row["label"] == "x"
    made.declare(declared.format("n") + declared.format("label"), fiscal_year_starts="february")
    made.run()
    (row,) = made.rows("label", scope="quarter", from_="2024-02-01")
    assert row["label"] == 1
    (row,) = made.rows("n", scope="quarter", from_="2024-02-01")
    assert row["label"] == "FY2025 Q1"


def test_a_year_is_compared_by_periods_of_the_same_number(retail: Project) -> None:
    months = retail_months()
    labels = {label: (start, end) for start, (end, label) in months.items()}
    rows = retail.rows("n", scope="month", compare="year", from_="2024-02-04", to="2025-02-01")
    for row in rows:
        before = labels[row["label"].replace("2024", "2023")]
        assert row["n_previous"] == total(*before), row
    (year,) = retail.rows("n", scope="year", compare="year", from_="2024-02-04", to="2025-02-01")
    assert year["n_previous"] == total(YEARS[2023], YEARS[2024] - DAY)
    (whole,) = retail.rows("n", scope="all", compare="year", from_="2024-02-04", to="2025-02-01")
    assert whole["n_previous"] == total(YEARS[2023], YEARS[2024] - DAY)
    (last,) = retail.rows("n", scope="month", compare="previous", from_="2024-02-04", to="2024-03-02")
    assert last["n_previous"] == total(date(2023, 12, 31), date(2024, 2, 3))
    (far,) = retail.rows("n", scope="quarter", compare="2 quarters", from_="2024-02-04", to="2024-05-04")
    assert far["n_previous"] == total(*_span(labels, "FY2023 M07", "FY2023 M09"))


def _span(labels: dict[str, tuple[date, date]], first: str, last: str) -> tuple[date, date]:
    return labels[first][0], labels[last][1]


def test_a_week_53_has_nothing_to_be_compared_with(retail: Project) -> None:
    rows = retail.rows("n", scope="week", compare="year", from_="2024-01-21", to="2024-02-10")
    assert [row["label"] for row in rows] == ["FY2023 W52", "FY2023 W53", "FY2024 W01"]
    assert [row["n_previous"] for row in rows] == [
        total(date(2023, 1, 22), date(2023, 1, 28)), None, total(date(2023, 1, 29), date(2023, 2, 4)),
    ]  # fmt: skip
    assert rows[1]["notes"]["n_previous"]["why"] == "the fiscal year before has no such week"
    assert rows[1]["n"] == total(date(2024, 1, 28), date(2024, 2, 3))
    days = retail.rows("n", compare="year", from_="2024-01-31", to="2024-02-04")
    assert [row["n_previous"] for row in days] == [None, None, None, None, FACTS[date(2023, 1, 29)]]
    alone = retail.rows("stock", show="change", compare="year", from_="2024-01-31", to="2024-01-31")
    assert [row["stock_previous"] for row in alone] == [None]


def test_last_counts_fiscal_periods_and_windows_calendar_months(retail: Project) -> None:
    rows = retail.rows("n", scope="quarter", last="2 quarters")
    assert [(row["period"], row["label"]) for row in rows] == [("2025-02-02", "FY2025 Q1"), ("2025-05-04", "FY2025 Q2")]
    assert [row["period"] for row in retail.rows("n", scope="month", last="1 month")] == ["2025-05-04"]
    (window,) = retail.rows("n", scope="all", window="1 month", from_="2025-04-10", to="2025-04-30")
    assert window["n"] == total(date(2025, 3, 31), date(2025, 4, 30))
    (begun,) = retail.rows("n", scope="day", window="quarter to date", from_="2025-05-10", to="2025-05-10")
    assert begun["n"] == total(date(2025, 5, 4), date(2025, 5, 10))


def test_quarters_and_years_of_months_begin_in_the_declared_month(retail: Project) -> None:
    made = retail
    made.declare(METRICS, start=str(FIRST), fiscal_year_starts="february")
    quarters = [("2024-02-01", "2024-04-30"), ("2024-05-01", "2024-07-31"), ("2024-08-01", "2024-10-31")]
    asked = {"scope": "quarter", "from_": "2024-02-01", "to": "2024-10-31"}
    wanted = {a: total(date.fromisoformat(a), date.fromisoformat(b)) for a, b in quarters}
    assert made.both("n", **asked) == wanted
    assert made.ask("stock", **asked) == {a: FACTS[date.fromisoformat(b)] for a, b in quarters}
    rows = made.rows("n", compare="year", **asked)
    assert [row["label"] for row in rows] == ["FY2025 Q1", "FY2025 Q2", "FY2025 Q3"]
    assert [row["n_previous"] for row in rows] == [
        total(date.fromisoformat(a).replace(year=2023), date.fromisoformat(b).replace(year=2023)) for a, b in quarters
    ]
    assert made.rows("n", scope="month", from_="2024-02-01", to="2024-02-29")[0].get("label") is None
    assert [row["period"] for row in made.rows("n", scope="year", last="2 years")] == ["2024-02-01", "2025-02-01"]


GOAL = """
    [goals.growth]
    metric = "n"
    scope = "{scope}"
    targets = {{ "{period}" = 100 }}
"""


@pytest.mark.parametrize("period", ["FY2024 Q1", "2024-02-04"])
def test_goals_use_the_quarters_of_the_book(retail: Project, period: str) -> None:
    retail.declare(METRICS + GOAL.format(scope="quarter", period=period), start=str(FIRST), **RETAIL)
    (standing,) = retail.book.goals(on="2024-03-01")
    assert (standing.period, standing.until, standing.label) == (date(2024, 2, 4), date(2024, 5, 4), "FY2024 Q1")
    assert standing.to_dict()["label"] == "FY2024 Q1"
    assert standing.target == 100


def test_a_target_of_a_calendar_quarter_is_refused_with_the_fiscal_one(retail: Project) -> None:
    retail.declare(METRICS + GOAL.format(scope="quarter", period="2024-01-01"), start=str(FIRST), **RETAIL)
    with pytest.raises(DeclarationError, match="did you mean 'FY2023 Q4'"):
        _ = retail.book


@pytest.mark.parametrize(
    ("key", "value"), [("calendar", "4-4-4"), ("fiscal_year_starts", "2"), ("fiscal_year_named", "x")]
)
def test_check_names_the_calendars_there_are(retail: Project, key: str, value: str) -> None:
    retail.declare(METRICS, start=str(FIRST), **{key: value})
    with pytest.raises(DeclarationError, match=key):
        _ = retail.book


def test_the_definitions_do_not_change_with_the_calendar(retail: Project) -> None:
    before = retail.ask("n", scope="day", from_="2024-01-01", to="2024-01-09")
    retail.declare(METRICS, start=str(FIRST))
    assert retail.ask("n", scope="day", from_="2024-01-01", to="2024-01-09") == before
    assert retail.ask("n", scope="month", from_="2024-02-01", to="2024-02-29") == {
        "2024-02-01": total(date(2024, 2, 1), date(2024, 2, 29))
    }


def test_a_span_that_meets_no_period_is_refused_as_ever(retail: Project) -> None:
    with pytest.raises(Refused):
        retail.ask("n", scope="quarter", compare="1 month")
    with pytest.raises(QueryError):
        retail.ask("n", scope="quarter", last="2 fortnights")
