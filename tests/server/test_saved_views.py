"""A question of the query builder, saved as a view of a board: the board and its file show what the builder shows."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.conftest import sampled
from tests.server.paged import company, with_people
from tests.server.served import Answer, Served
from tests.server.test_pages import text_of, typed
from tests.server.test_query_page import as_number, table_of

A, B = {"metrics": "signups"}, {"metrics_b": "apiCalls"}
QUESTIONS: list[dict[str, Any]] = [
    A | B | {"formula": "B / A", "scope": "week", "last": "5 weeks"},
    {"metrics": "signups", "where": ["plan=pro", "country=DE"], "metrics_b": "signups", "where_b": "plan=team"}
    | {"formula": "A / B", "scope": "month", "show": "average", "from": "2024-01-01", "to": "2024-02-29"},
    {"metrics": "mrr", "show": "average", "metrics_b": "signups", "metrics_c": "latency", "scope": "day"},
    {"metrics": "mrr", "by": "plan", "scope": "day", "last": "9 days", "chart": "stacked"},
    {"metrics": "apiCalls", "by": "apiType", "top": "all", "scope": "week", "last": "4 weeks", "show": "max"},
    {"metrics": "apiCalls", "by": "apiType", "top": "2", "scope": "month"},
    {"metrics": "signups", "scope": "all", "by": "country"},
    {"metrics": "signups", "segments": ["paid: plan=pro", "free: plan=free"], "scope": "week", "to": "yesterday"},
    {"metrics": "signups", "compare": "previous", "scope": "week", "from": "2024-02-05"},
    {"metrics": "signups", "metrics_b": "mrr", "scope": "month", "chart": "number", "formula": "B / A"},
    {"metrics": "event:request", "scope": "day", "last": "5 days", "by": "account"},
    {"metrics": "event:request", "measure": "distinct", "property": "page", "metrics_b": "signups", "scope": "day"}
    | {"last": "5 days", "formula": "A * 2 + B"},
]


ANSWERS: list[Answer] = []
"""Of the query builder to each of them."""


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The builder, and a board with every question, as the builder printed it."""
    folder = tmp_path_factory.mktemp("saved") / "book"
    made = Served(with_people(company(folder)))
    ANSWERS.extend(made.ask("GET", f"/q?{urlencode(one, doseq=True)}") for one in QUESTIONS)
    lines = [printed(one) for one in ANSWERS]
    file = folder / "tallybook.toml"
    boards = "".join(f"\n[boards.b{n}]\nviews = [\n{line}\n]\n" for n, line in enumerate(lines))
    file.write_text(file.read_text() + boards)
    yield made
    made.close()
    ANSWERS.clear()


def printed(page: Answer) -> str:
    """The line of the view that the page prints."""
    text = unescape(page.body.decode())
    found = re.search(r"\[boards\.mine\]\nviews = \[\n(.*?)\n\]", text, re.DOTALL)
    assert found, text
    tomllib.loads(found[0])
    return found[1]


def numbers_of(page: Answer) -> list[list[str]]:
    """The tables of the cards."""
    html = page.body.decode()
    html = html[html.index('class="boards"') :].replace("<table>", '<table id="numbers">')
    return table_of(Answer(200, html.encode(), {}))


@pytest.mark.parametrize("place", sampled(range(len(QUESTIONS)), 6, "saved views"))
def test_a_saved_view_shows_what_the_builder_shows(people: Served, place: int) -> None:
    builder, board = ANSWERS[place], people.ask("GET", f"/boards/b{place}")
    assert (builder.status, board.status) == (200, 200)
    assert numbers_of(board) == table_of(builder)
    link = re.search(r'<h2><a href="(/q[^"]*)"', board.body.decode())
    assert link
    again = people.ask("GET", unescape(link[1]))
    assert table_of(again) == table_of(builder)
    assert printed(again) == printed(builder)


def test_a_formula_is_the_headline_of_its_card_and_is_in_the_file_of_the_board(people: Served, tmp_path: Path) -> None:
    week = next(line for line in table_of(ANSWERS[0]) if line[0] == "2024-02-26")
    signups, calls, formula = (as_number(text) for text in week[1:4])
    assert signups
    assert calls
    assert formula == pytest.approx(calls / signups, rel=0.01)
    said = text_of(people.ask("GET", "/boards/b0"))
    assert f"Signups and API calls a day, B / A {week[3]}" in said
    for ending in ("html", "svg"):
        file = tmp_path / f"b0.{ending}"
        assert typed(people, "report", "b0", "-o", str(file)) == (0, "")
        assert "Formula B / A" in file.read_text()
        assert week[3] in file.read_text()


def test_readers_of_some_metrics_see_no_card_with_a_series_of_others(people: Served) -> None:
    key = people.key("some", metrics=("signups",))
    assert people.ask("GET", "/boards/b0", key=key).status == 404
    assert people.ask("GET", "/boards/b1", key=key).status == 200
    assert people.ask("GET", "/boards/b11", key=key).status == 404
