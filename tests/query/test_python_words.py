"""The book as Python people use it: lists, columns, charts that save themselves, refusals in Python's words."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pytest

from tallybook import QueryError, Refused, TallybookError
from tallybook.query import python_words
from tests.projects import Project


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    folder = tmp_path_factory.mktemp("python")
    project = Project(folder, f"sqlite:///{folder / 'app.db'}", now="2024-01-04T12:00")
    project.table(
        "orders (at timestamp, plan text, amount decimal(9,2))",
        [("2024-01-01 10:00:00", "pro", 12.25), ("2024-01-02 10:00:00", "team", 3), ("2024-01-02 11:00:00", "pro", 1)],
    )
    project.table("seats (day date, n int)", [("2024-01-01", 5), ("2024-01-02", 6)])
    project.declare(
        """
        [metrics.revenue]
        table = "orders"
        time = "at"
        measure = "sum(amount)"
        by = ["plan"]
        decimals = 2

        [metrics.orders]
        table = "orders"
        time = "at"
        measure = "count(*)"
        by = ["plan"]

        [metrics.seats]
        table = "seats"
        time = "day"
        measure = "sum(n)"
        kind = "level"
        """
    )
    project.run()
    yield project.book
    project.close()


def test_metrics_and_options_are_lists_or_texts(book):
    asked = {"scope": "all", "from_": "2024-01-01", "to": "2024-01-03"}
    listed = book.query(["revenue", "orders"], by=["plan"], **asked)
    assert listed.rows() == book.query("revenue,orders", by="plan", **asked).rows()
    assert listed.rows() == book.query("revenue", ["orders"], by="plan", **asked).rows()
    only = book.query(["orders"], where="plan=pro", **asked)
    assert only["orders"] == [2]
    daily = {"from_": "2024-01-01", "to": "2024-01-03", "where": "plan=pro"}
    assert book.csv(["orders"], **daily) in (None, book.query("orders", **daily).to_csv())


def test_a_result_has_a_length_rows_and_columns(book):
    answer = book.query("orders", from_="2024-01-01", to="2024-01-03")
    assert len(answer) == 3
    assert [row["orders"] for row in answer] == answer["orders"] == [1, 2, 0]
    assert [day.isoformat() for day in answer["period"]] == ["2024-01-01", "2024-01-02", "2024-01-03"]
    assert answer["complete"] == [True, True, True]
    with pytest.raises(KeyError, match="'order' is not a column of this result: period, orders, complete"):
        answer["order"]
    assert bool(book.query("orders", having=["orders > 99"]))  # an answer without rows is an answer


def test_exact_decimals_become_floating_point_when_asked(book):
    answer = book.query("revenue", from_="2024-01-01", to="2024-01-02")
    frame = answer.to_pandas(decimals="float")
    assert str(frame["revenue"].dtype) == "float64"
    assert frame["revenue"].sum() == 16.25
    assert answer.to_pandas()["revenue"].dtype == object
    assert answer.to_polars(decimals="float")["revenue"].to_list() == [12.25, 4.0]
    with pytest.raises(QueryError, match='decimals="exact" or decimals="float"'):
        answer.to_pandas(decimals="double")


def test_a_chart_is_a_dict_that_saves_itself(book, tmp_path, monkeypatch):
    answer = book.query("revenue", from_="2024-01-01", to="2024-01-03")
    chart = answer.chart("Revenue")
    assert chart == answer.plot("Revenue")
    assert json.loads(chart.save(tmp_path / "chart.json").read_text()) == dict(chart)
    with pytest.raises(QueryError, match=r'cannot tell the format of a chart from .chart.doc.\n  save\("chart.png"\)'):
        chart.save(tmp_path / "chart.doc")
    monkeypatch.setitem(__import__("sys").modules, "vl_convert", None)
    with pytest.raises(TallybookError, match=r"pip install 'tallybook\[charts\]'"):
        chart.save(tmp_path / "chart.png")


def test_a_chart_is_saved_as_a_picture_without_a_network(book, tmp_path):
    pytest.importorskip("vl_convert")
    chart = book.query("revenue", from_="2024-01-01", to="2024-01-03", by="plan").chart()
    assert chart.save(tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")
    assert chart.save(tmp_path / "chart.svg").read_text().startswith("<svg")


def test_a_refusal_names_arguments_of_python_and_keeps_the_line_for_a_shell(book):
    with pytest.raises(Refused) as refused:
        book.query("seats", scope="month", show="total")
    assert 'ask instead: book.query("seats", scope="month", show="last") or show="average"' in str(refused.value)
    assert refused.value.ask == "tallybook query seats --scope month --show last or --show average"
    with pytest.raises(QueryError) as unknown:
        book.query("tickets")
    assert unknown.value.hint == "`book.metrics()` lists them"
    with pytest.raises(QueryError, match='to="2024-01-01" is before from_="2024-01-02"'):
        book.query("orders", from_="2024-01-02", to="2024-01-01")


def test_a_book_says_where_it_is(book):
    assert repr(book) == f"<Book {str(book.project.folder)!r}: 3 metrics>"


@pytest.mark.parametrize(
    ("typed", "called"),
    [
        (
            "tallybook query mrr,users --by plan,land --where 'plan=a b' --where c!=d --from 2024-01-01 --top 3",
            'book.query("mrr", "users", by=["plan", "land"], where=["plan=a b", "c!=d"], from_="2024-01-01", top=3)',
        ),
        ("tallybook query --event calls --sum n --show total", 'book.query(event="calls", sum=["n"], show="total")'),
        ("`tallybook metrics` lists them", "`book.metrics()` lists them"),
        ("`tallybook metrics mrr` lists them", '`book.metric("mrr")` lists them'),
        (
            "117 days: `tallybook diff mrr`, or tallybook forget mrr",
            '117 days: `book.diff("mrr")`, or book.forget("mrr")',
        ),
        ("`tallybook coverage mrr` shows the gaps", '`book.coverage("mrr")` shows the gaps'),
        ("not collected: tallybook run mrr --from 2024-01-04", 'not collected: book.run("mrr", from_="2024-01-04")'),
        ("tallybook query mrr without --live, or --live --to today", None),
        ("--top picks series, and there is one only", "top picks series, and there is one only"),
        ("--by DIM --top 5", 'by=["DIM"], top=5'),
        ('--compare "1 month", or --scope day', 'compare="1 month", or scope="day"'),
        ("--compare adds a column 'x'", "compare adds a column 'x'"),
        ("the same with --from 2024-01-01, or without --from", 'the same with from_="2024-01-01", or without from_'),
        ("--having 'x' is not understood", 'having=["x"] is not understood'),
        ("-- is no option, nor is a-b", "-- is no option, nor is a-b"),
    ],
)
def test_options_become_arguments(typed, called):
    assert python_words(typed) == (called or 'book.query("mrr") without live, or live=True, to="today"')


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"last": 30}, "last=30 is not a text", 'last="30 days"'),
        ({"scope": ["month"]}, "scope=['month'] is not a text", 'scope="month"'),
        ({"by": [3]}, "by=3 is not a text", 'by="plan"'),
        ({"by": "plan", "top": "3"}, "top='3' is not a whole number", "top=3"),
        ({"where": {"plan": "pro"}}, "where=('plan', 'pro') is not a text", 'where=["plan=pro"]'),
        ({"from_": 20240101}, "20240101 is not a day", "did you mean 2024-01-01 (1 January)?"),
        ({"from_": datetime(2024, 1, 1, 3, tzinfo=UTC)}, "is an instant, not a day", "in the zone of the book"),
    ],
)
def test_a_value_of_another_type_is_refused_in_pythons_words(book, options, message, hint):
    with pytest.raises(QueryError) as refused:
        book.query("orders", **options)
    assert message in refused.value.message
    assert hint in refused.value.hint


def test_metrics_are_texts_and_unknown_arguments_are_named(book):
    for metrics in (5, [5], [["orders"], 5]):
        with pytest.raises(QueryError, match="metrics=5 is not a text"):
            book.query(metrics)
    for query in (book.query, book.csv):
        with pytest.raises(TypeError, match=r"unexpected keyword argument 'scop'; did you mean 'scope'\?"):
            query("orders", scop="month")


def test_a_time_of_python_or_pandas_is_the_day_that_it_has(book):
    days = book.query("orders", from_=datetime(2024, 1, 2, 15), to=datetime(2024, 1, 3))["period"]
    assert days == [date(2024, 1, 2), date(2024, 1, 3)]
    assert book.query("orders", by=None, where=None, scope="all")["orders"] == [3]


@pytest.mark.parametrize(
    "asked",
    [
        lambda book: book.why("revenu"),
        lambda book: book.coverage("revenu"),
        lambda book: book.metric("revenu"),
        lambda book: book.diff("revenu"),
        lambda book: book.run("revenu"),
        lambda book: book.plan("revenu"),
        lambda book: book.audit("revenu"),
        lambda book: book.import_history("revenu", "x.csv", day="d", value="v"),
    ],
)
def test_other_methods_of_a_book_name_methods_too(book, asked):
    with pytest.raises(QueryError) as refused:
        asked(book)
    assert refused.value.hint == "did you mean 'revenue'? `book.metrics()` lists them"
    book.shell = True
    try:
        with pytest.raises(QueryError) as typed:
            asked(book)
    finally:
        book.shell = False
    assert typed.value.hint == "did you mean 'revenue'? `tallybook metrics` lists them"
