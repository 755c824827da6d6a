"""Details of the query builder: what its charts, words and files say about days, series and formulas."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from html import unescape

import pytest

from tallybook.core import parsed_formula
from tallybook.query import keeps_its_size
from tests.server.paged import company, with_people
from tests.server.served import Served
from tests.server.test_pages import text_of
from tests.server.test_query_page import as_number, table_of


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = Served(with_people(company(tmp_path_factory.mktemp("details") / "book")))
    yield made
    made.close()


def test_all_days_are_one_line_for_each_series_and_one_for_all(people: Served) -> None:
    page = people.ask("GET", "/q?metrics=signups&scope=all&by=country")
    assert [line[1] for line in table_of(page)[1:]] == ["DE", "FR", "US", "All"]
    assert "2024-01-01 to 2024-03-09." in text_of(page)
    assert 'aria-label="Chart"' not in page.body.decode(), "no empty card"


def test_a_chart_has_the_periods_in_which_no_series_has_a_row(people: Served) -> None:
    """The first events came on March 3. The days before them are collected, and have none."""
    page = people.ask("GET", "/q?metrics=event:request&scope=day&by=account&last=10+days")
    assert len(table_of(page)) == 11
    drawn = page.body.decode().partition('<svg class="wide"')[2].partition("</svg>")[0]
    assert drawn.count("<title>") == 10
    assert "Count of a1 stayed at 15 from 2024-03-03 to 2024-03-09." in text_of(page)


def test_an_average_has_no_total(people: Served) -> None:
    said = text_of(people.ask("GET", "/q?metrics=latency&scope=week"))
    assert "Whole week45 msover all 7 days" in said
    assert "Total" not in said.partition("Filter")[0]


def test_a_refused_question_is_no_view_of_a_board(people: Served) -> None:
    page = people.ask("GET", "/q?metrics=mrr&scope=week&show=total")
    assert page.status == 422
    assert "[boards.mine]" not in page.body.decode()


@pytest.mark.parametrize(
    ("formula", "growing", "is_comparable"),
    [
        ("B / A", "AB", True),
        ("B - A", "AB", False),
        ("B / A", "A", False),
        ("A / (A + B)", "AB", True),
        ("B", "A", True),
    ],
)
def test_a_formula_of_a_part_is_compared_only_where_its_series_grow_alike(
    formula: str, growing: str, is_comparable: bool
) -> None:
    assert keeps_its_size(parsed_formula(formula, "AB"), growing) is is_comparable


def test_files_of_several_series_have_the_numbers_of_the_table(people: Served) -> None:
    asked = "metrics=signups&where=plan%3Dpro&metrics_b=mrr&formula=B/A&scope=week&last=5+weeks"
    page = people.ask("GET", f"/q?{asked}")
    head, *lines = table_of(page)
    file = people.ask("GET", f"/q.csv?{asked}")
    rows = list(csv.DictReader(io.StringIO(file.body.decode())))
    assert head == ["Week of", "A plan=pro", "B Recurring revenue", "B/A", "Days"]
    for line, row in zip(lines, reversed(rows), strict=True):
        assert line[0].removesuffix(" *") == row["period"]
        for place, name in enumerate(head[1:4], 1):
            assert as_number(line[place]) == pytest.approx(float(row[name]), abs=0.006)
    assert [row["complete"] for row in rows][-1].casefold() == "false"
    assert people.ask("GET", f"/q.xlsx?{asked}").body[:2] == b"PK"
    svg = people.ask("GET", f"/q.svg?{asked}").body.decode()
    assert "Formula B/A" in svg
    assert re.findall(r'href="(/q\.[a-z]+)', page.body.decode()) == ["/q.csv", "/q.xlsx", "/q.png", "/q.svg"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("last=abc", "'abc' is not a span"),
        ("scope=hour", "There is no scope 'hour'"),
        ("dim=plan&value=pro", "Not every view of this board has 'plan'; the views have none in common"),
    ],
)
def test_a_wrong_field_of_a_board_is_beside_it_and_no_filter_is_left_out(people: Served, asked: str, said: str) -> None:
    page = people.ask("GET", f"/boards/weekly?{asked}")
    assert page.status == 400
    html = unescape(page.body.decode())
    field = asked.partition("=")[0]
    assert said in html.partition(f'id="{field}-wrong">')[2][:200]
    assert asked.partition("=")[2].partition("&")[0] in html.partition("<form")[2].partition("</form>")[0]
    assert 'class="big"' not in html


def test_a_wrong_value_in_the_address_of_a_metric_is_400(people: Served) -> None:
    page = people.ask("GET", "/m/signups?last=abc")
    assert page.status == 400
    assert "This address cannot be read" in text_of(page)
    assert people.ask("GET", "/m/nothing").status == 404
    assert people.ask("GET", "/users/nobody").status == 404


def test_what_is_wrong_with_the_second_series_is_beside_its_own_fields(people: Served) -> None:
    page = people.ask("GET", "/q?metrics=signups&metrics_b=signupz").body.decode()
    assert "There is no metric" in page.partition('id="metrics_b-wrong">')[2][:100]
    assert 'id="metrics-wrong"' not in page
    filtered = people.ask("GET", "/q?metrics=signups&metrics_b=signups&where_b=pla%3Dpro").body.decode()
    assert "has no dimension" in filtered.partition('id="where_b-wrong">')[2][:100]


def test_a_refused_second_series_is_explained_and_changed_itself(people: Served) -> None:
    page = people.ask("GET", "/q?metrics=signups&metrics_b=mrr&show_b=total&formula=B/A&scope=week")
    said = text_of(page)
    assert page.status == 422
    assert "Recurring revenue does not add up over a week" in said
    link = unescape(re.findall(r'class="answer" href="([^"]+)"', page.body.decode())[1])
    assert "show_b=average" in link
    assert people.ask("GET", link).status == 200


def test_numbers_of_series_end_with_that_of_all(people: Served) -> None:
    html = people.ask("GET", "/q?metrics=signups&scope=week&by=plan&last=4+weeks&chart=number").body.decode()
    shown = re.findall(r'muted">([^<]+)</p><p class="big">([\d,]+)', html)
    assert shown == [
        (f"{name}, 2024-02-26", n)
        for name, n in zip(("free", "pro", "team", "All"), ("43", "29", "22", "94"), strict=True)
    ]
