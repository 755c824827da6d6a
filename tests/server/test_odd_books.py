"""Pages of an odd book: long names, markup, huge, tiny and negative numbers, currencies, fiscal weeks, parts of years."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import pytest

from tallybook.server.charts.scales import tick_texts, value_axis
from tests.browser import watched
from tests.projects import Project
from tests.server.served import Served
from tests.server.test_pages import text_of
from tests.server.test_pages_in_a_browser import Site
from tests.server.test_query_page import as_number, table_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser

LONG = "An amount with a <b>title</b> that is much longer than anybody wants to read on a telephone"
IDS = ("50%25", "50%", "50", "a/b", "a?b=c", "a#b", "a b", "<i>", "%2F", "ü")
NOW, DAYS = "2024-03-20T12:00", 80
METRICS = f"""
[metrics.net]
title = "{LONG}"
table = "facts"
time = "day"
measure = "sum(amount)"
by = ["k"]
pinned = true

[metrics.money]
table = "facts"
time = "day"
measure = "sum(cents)"
unit_from = "currency"

[accounts]
table = "customers"
key = "id"
attributes = ["name", "seats"]

[boards.money]
views = [{{ metrics = ["money"], by = ["currency"], scope = "week" }}]

[metrics.huge]
table = "facts"
time = "day"
measure = "sum(big)"
pinned = true

[metrics.nothing]
table = "facts"
time = "day"
measure = "sum(zero)"
"""
PAGES = (
    "/",
    "/m/net",
    "/m/huge",
    "/q?metrics=net&by=k&scope=week&chart=stacked",
    "/q?metrics=net&metrics_b=huge&formula=A%2FB&scope=week",
    "/q?metrics=huge&chart=number&scope=week",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("odd")
    project = Project(folder / "book", f"sqlite:///{folder}/app.db", now=NOW)
    values = ("<i>", "x" * 120, "new\nline", "Other")
    rows = [
        (date(2024, 3, 19) - timedelta(days=n), values[place], sign * 10, "EUR" if place else "JPY", 100, 10**15 + n, 0)
        for n in range(DAYS)
        for place, sign in enumerate((5, 4, 3, -2))
    ]
    project.table("facts (day date, k text, amount int, currency text, cents int, big bigint, zero int)", rows)
    project.table("customers (id text, name text, seats int)", [(id_, f"Name of {id_}", 5) for id_ in IDS])
    project.declare(METRICS, calendar="4-4-5", fiscal_year_starts="february")
    project.run()
    made = Site(Served(project))
    yield made
    made.close()


def said_html(site: Site, path: str, status: int = 200) -> str:
    answer = site.served.ask("GET", path)
    assert answer.status == status, answer.body
    return answer.body.decode()


def said(site: Site, path: str, status: int = 200) -> str:
    answer = site.served.ask("GET", path)
    assert answer.status == status, answer.body
    return text_of(answer)


def test_the_week_of_a_fiscal_year_is_written_whole(site: Site) -> None:
    heads = re.findall(r"Week of<br>(.*?)</th>", site.served.ask("GET", "/").body.decode())
    assert heads == ["FY2025 W07"]


def test_a_formula_of_tiny_values_is_drawn(site: Site) -> None:
    page = site.served.ask("GET", "/q?metrics=net&metrics_b=huge&formula=A%2FB&scope=week")
    assert page.status == 200
    assert re.search(r">[\d.]+e−1\d</text>", page.body.decode())


@pytest.mark.parametrize(
    "values",
    [
        (1.3e-14, 2.2e-13),
        (-4e-200, 3e-200),
        (5e-300, 5e-300),
        (1e17, 1e17 + 16),
        (3e21, 9e22),
        (-8e307, 8e307),
        (-1e-9, 1e12),
        (0.1, 0.3),
        (99.5, 100.5),
    ],
)
@pytest.mark.parametrize("begins_at_zero", [True, False])
def test_an_axis_holds_its_values_between_ticks_that_differ(values: tuple[float, float], begins_at_zero: bool) -> None:
    axis = value_axis(values, begins_at_zero=begins_at_zero)
    assert list(axis.ticks) == sorted(set(axis.ticks))
    assert all(-1e-6 <= axis.share(value) <= 1 + 1e-6 for value in values)
    texts = tick_texts(axis)
    assert all(len(text) < 12 for text in texts)
    assert len(set(texts)) == len(texts) or values == (1e17, 1e17 + 16)


def test_a_metric_in_several_currencies_leads_to_the_question_that_has_an_answer(site: Site) -> None:
    page = site.served.ask("GET", "/m/money")
    assert page.status == 422
    assert "values of different units do not add up" in text_of(page)
    assert re.search(r'href="/q\?metrics=money&amp;[^"]*by=currency', page.body.decode())
    assert "Split by currency" in text_of(page)


def test_series_of_different_units_are_not_ranked_added_up_or_stacked(site: Site) -> None:
    link = re.findall(r'href="(/q\?metrics=money&amp;[^"]*by=currency[^"]*)"', said_html(site, "/m/money", 422))[0]
    page = said_html(site, unescape(link))
    assert "Other" not in page
    api = site.served.ask("GET", "/v1/query?metrics=money&scope=week&by=currency&last=3+weeks").json["rows"]
    lines = table_of(site.served.ask("GET", "/q?metrics=money&scope=week&by=currency&last=3+weeks"))
    assert lines[0][1:3] == ["EUR", "JPY"]
    shown = [as_number(text) for line in reversed(lines[1:]) for text in line[1:3]]
    assert shown == [row["money"] for row in api]
    assert "stacked bars" not in said_html(site, "/q?metrics=money&scope=week&by=currency&chart=stacked")
    board = said_html(site, "/boards/money")
    assert "do not add up" not in board
    assert "EUR" in board
    assert "--top 3" in said(site, "/q?metrics=money&scope=week&by=currency&top=3", 422)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("/?scope=hour", "There is no scope 'hour'"),
        ("/m/net?by=plans", "Metric 'net' has no dimension 'plans'"),
        ("/m/net?compare=lately", "Compare with 'lately' is not understood"),
        ("/accounts/50?metric=nothings", "There is no metric 'nothings'"),
        ("/accounts/50?scope=year", "There is no scope 'year'"),
    ],
)
def test_what_an_address_cannot_mean_is_said_and_not_replaced(site: Site, address: str, words: str) -> None:
    assert words in said(site, address, 400)


def test_a_period_without_all_its_days_says_of_how_many_days_its_number_is(site: Site) -> None:
    words = said(site, "/q?metrics=huge&scope=year&last=2+years")
    assert "over 28 of 364 days" in words
    assert "the mean of 28 of 364 days" in words
    assert "over all 7 days" in said(site, "/q?metrics=huge&scope=week")


def test_parts_of_periods_are_not_compared(site: Site) -> None:
    words = said(site, "/q?metrics=huge&scope=year&last=2+years")
    assert not re.search(r"Huge (rose|fell)", words)
    assert re.search(r"Huge was [\d,]+ in FY2025\. FY2025 is not complete", words)


def test_what_is_unknown_is_compared_with_nothing(site: Site) -> None:
    assert "on –" not in said(site, "/m/huge?scope=quarter")
    assert "on –" not in said(site, "/m/huge?scope=year")


def test_what_stays_the_same_is_a_sentence(site: Site) -> None:
    assert "Nothing stayed at 0 from the week of FY20" in said(site, "/m/nothing")


def test_parts_of_a_total_that_some_make_smaller_have_no_share(site: Site) -> None:
    page = site.served.ask("GET", "/m/net").body.decode()
    breakdown = page[page.index('id="by"') :].partition("</table>")[0]
    assert "Share" not in breakdown
    assert "−" in breakdown


def test_each_account_has_a_page_of_its_own_whatever_its_id_is(site: Site) -> None:
    links = dict.fromkeys(re.findall(r'href="(/accounts/[^"]+)"', said_html(site, "/accounts")))
    assert len(links) == len(IDS)
    names = set()
    for link in links:
        page = said_html(site, unescape(link))
        names |= {unescape(name) for name in re.findall(r"<h1[^>]*>(.*?)</h1>", page)}
        back = re.findall(r'(?:href|action|value)="(/accounts/[^"#?]+)', page)
        assert {unquote(path) for path in back} == {unquote(link)}, "its links and forms stay on it"
    assert names == {f"Name of {id_}" for id_ in IDS}


@pytest.mark.parametrize("condition", ["seats >", "seats = 5 or", "(", "name ~ %"])
def test_a_condition_that_cannot_be_read_is_explained_without_names_of_programs(site: Site, condition: str) -> None:
    words = said(site, f"/accounts?where={quote(condition)}", 400)
    assert "cannot be read" in words
    assert "class" not in words
    assert "sqlglot" not in words


def test_sentences_about_a_condition_begin_with_a_capital(site: Site) -> None:
    assert "which is no attribute. There are: id, name, seats" in said(site, "/accounts?where=nope=1", 400)


@pytest.mark.parametrize("width", [1280, 390])
def test_long_names_and_numbers_stay_within_the_page(chromium: Browser, site: Site, width: int) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 800})
    page = watched(context.new_page())
    for path in PAGES:
        page.goto(site.address + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        for shown in page.query_selector_all("td.value, .big, .two .tall tbody tr:first-child td:nth-child(2)"):
            box = shown.bounding_box()
            assert box is None or box["x"] + box["width"] <= width, (path, shown.inner_text())
    assert page.problems == []  # type: ignore[attr-defined]
    context.close()
