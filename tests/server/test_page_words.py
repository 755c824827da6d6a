"""Pages speak of the fields of their form where the command line speaks of options."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from urllib.parse import urlencode

import pytest

from tallybook.server.pages.page_words import page_words
from tallybook.server.pages.words import begins_sentence
from tests.server.paged import company
from tests.server.served import Served


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("--from and --last cannot both say where to begin", "From and Last cannot both say where to begin"),
        ("--where 'plan' is not understood", "Filter 'plan' is not understood"),
        ("the same question with --where plan=pro", "the same question with Filter plan=pro"),
        ("tallybook query mrr --show average or --show last", "“Daily average” or “The last day”"),
        ("tallybook query signups --by country, or without", "Split by country, or without"),
        ("--from 2024-02-01 --to 2024-03-01", "From 2024-02-01 To 2024-03-01"),
        ('write --compare "1 month"', "write Compare with 1 month"),
        ('--segment "paid: plan=pro", several', "Segments: name “paid”, conditions “plan=pro”, several"),
        ("--sum needs numbers; or --distinct page", "“Sum of” needs numbers; or “Different values of” page"),
        ("--top picks series by their values", "Values picks series by their values"),
        (
            "not collected: tallybook run signups --from 2024-01-01 --to 2024-01-31; the rest is",
            "not collected: tallybook run signups --from 2024-01-01 --to 2024-01-31; the rest is",
        ),
        ("see `tallybook metrics`", "see `tallybook metrics`"),
    ],
)
def test_options_are_fields_and_other_commands_stay(text: str, said: str) -> None:
    assert page_words(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("the book holds nothing", "The book holds nothing"),
        ("tallybook.toml declares no [accounts]", "tallybook.toml declares no [accounts]"),
        ("api_calls is not collected", "api_calls is not collected"),
        ("tallybook run", "tallybook run"),
        ("", ""),
    ],
)
def test_names_and_commands_at_the_beginning_of_a_sentence_stay_as_they_are_written(text: str, said: str) -> None:
    assert begins_sentence(text) == said


def test_lines_for_the_configuration_are_shown_as_lines(served: Served) -> None:
    body = served.ask("GET", "/users").body.decode()
    assert "<h1>tallybook.toml declares no [users]</h1>" in body
    assert '<pre tabindex="0"><code>[users]\ntable = &#34;users&#34;\nattributes = ' in body


WRONG = [
    {"from": "2024-02-01", "last": "3 weeks"},
    {"from": "2024-03-01", "to": "2024-02-01"},
    {"segments": "plan=pro"},
    {"compare": "xyz"},
    {"where": "plan"},
    {"from": "2030-01-01"},
    {"metrics": "mrr_per_signup", "show": "total"},
    {"metrics": "latency", "by": "weekday", "show": "average"},
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = Served(company(tmp_path_factory.mktemp("words") / "book"))
    yield made
    made.close()


def test_no_option_of_the_command_is_in_what_the_builder_says_of_a_wrong_field(served: Served) -> None:
    for asked in WRONG:
        page = served.ask("GET", f"/q?{urlencode({'metrics': 'signups'} | asked)}")
        html = page.body.decode()
        said = re.findall(r'class="wrong"[^>]*>.*?</p>|class="refusal".*?</section>', html, re.DOTALL)
        assert page.status in (400, 422), asked
        assert said, asked
        assert not re.search(r"(?<!\w)--[a-z]", unescape(" ".join(said))), said
    board = served.ask("GET", "/boards/weekly?last=abc").body.decode()
    assert "--last" not in board


def test_weekdays_are_split_without_a_choice_of_values(served: Served) -> None:
    """The form always sends how many values: weekdays are seven, and have no order of size."""
    page = served.ask("GET", "/q?metrics=signups&by=weekday&scope=week&top=6&last=3+weeks")
    assert page.status == 200
    assert "Monday" in page.body.decode()
