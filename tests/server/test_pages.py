"""Pages without a browser: what they say is what the book answers, for every reader, and nothing else gets in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

import pytest

from tallybook.server.pages.door import PagesDoor
from tallybook.server.pages.page import PageRequest
from tallybook.server.pages.templates import static_address
from tallybook.server.readers import AnswerReader
from tests.server.paged import company
from tests.server.served import Answer, Served


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = Served(company(tmp_path_factory.mktemp("paged") / "book"))
    yield made
    made.close()


def text_of(answer: Answer) -> str:
    """What a page says, without its markup."""
    html = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", answer.body.decode(), flags=re.DOTALL)
    html = re.sub(r"</?(time|b|span|a|code)\b[^>]*>", "", html)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def test_the_overview_shows_last_complete_periods_and_the_running_one_beside_them(served: Served) -> None:
    answer = served.ask("GET", "/")
    assert answer.status == 200
    said = text_of(answer)
    assert "The week of 2024-02-26, the last complete one" in said
    assert "The current week has 6 of 7 days" in said
    week = served.query(metrics=["mrr"], scope="week", **{"from": "2024-02-26", "to": "2024-03-03"}).json
    assert f"{week['rows'][0]['mrr']:,}" in said
    assert "14 days are not collected: Exports 14." in said
    assert "Growth 2" in said


def test_a_metric_page_has_the_numbers_of_the_api(served: Served) -> None:
    said = text_of(served.ask("GET", "/m/signups?scope=week&last=8+weeks"))
    for row in served.query(metrics=["signups"], scope="week", last="8 weeks").json["rows"]:
        assert f"{row['period']} {'* ' if not row['complete'] else ''}{row['signups']:,}" in said


def test_a_page_with_unknown_names_says_what_was_meant(served: Served) -> None:
    answer = served.ask("GET", "/m/signup")
    assert answer.status == 404
    assert "There is no metric 'signup'" in text_of(answer)
    assert "signups" in text_of(answer)


def test_what_people_write_is_text_on_pages(served: Served) -> None:
    body = served.ask("GET", "/m/signups").body.decode()
    assert "<b>changed" not in body
    assert "Prices &lt;b&gt;changed&lt;/b&gt;" in body
    for path in ("/m/%3Cscript%3E", "/?find=%22%3E%3Cscript%3Ealert(1)", "/m/signups?where=plan%3D%3Cscript%3E"):
        assert b"<script>" not in served.ask("GET", path).body


def test_pages_of_one_version_are_304_without_being_made_again(served: Served) -> None:
    first = served.ask("GET", "/")
    assert served.ask("GET", "/", if_none_match=first.headers["etag"]).status == 304
    assert served.ask("GET", "/").body == first.body
    assert served.ask("GET", "/?scope=month").headers["etag"] != first.headers["etag"]


def test_browsers_enforce_a_policy_and_static_files_stay_for_ever(served: Served) -> None:
    policy = served.ask("GET", "/").headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    for name in ("pages.css", "pages.js", "icon.svg"):
        found = served.ask("GET", static_address(name))
        assert (found.status, "immutable" in found.headers["cache-control"]) == (200, True)
    for path in ("/_/x/../../worker.py", "/_/x/..%2f..%2fworker.py", "/_/x/secret", "/_/"):
        assert served.ask("GET", path).status == 404


def test_no_page_without_a_key_from_elsewhere(served: Served) -> None:
    served.peer = ("192.0.2.7", 40_000)
    try:
        refused = served.ask("GET", "/")
        assert refused.status == 401
        assert "Sign in" in text_of(refused)
        assert "Recurring revenue" not in text_of(refused)
        assert served.ask("GET", "/", key=served.key("page_reader")).status == 200
    finally:
        served.peer = ("127.0.0.1", 50_000)


def test_a_name_that_was_rebound_to_this_machine_gets_no_page(served: Served) -> None:
    served.host = "evil.example:8321"
    try:
        assert served.ask("GET", "/").status == 401
    finally:
        served.host = "127.0.0.1:8321"


def test_a_reader_of_some_metrics_sees_pages_of_these_only(served: Served) -> None:
    reader = AnswerReader(name="growth", metrics=("signups",))
    said = said_to(served, reader, "/")
    assert "Signups" in said
    assert "Recurring revenue" not in said
    assert "There is no metric 'mrr'" in said_to(served, reader, "/m/mrr")


def said_to(served: Served, reader: AnswerReader, path: str) -> str:
    door = next(one for one in served.doors if isinstance(one, PagesDoor))
    with served.book.using() as book:
        made = door.made(book, PageRequest(path=path), reader)
    return text_of(Answer(made.status, str(made.text).encode(), {}))


def test_the_theme_is_kept_in_a_cookie_and_only_our_own_forms_are_taken(served: Served) -> None:
    form = b"theme=dark&back=%2Fm%2Fmrr"
    chosen = served.ask("POST", "/theme", form, origin="http://127.0.0.1:8321")
    assert (chosen.status, chosen.headers["location"]) == (303, "/m/mrr")
    assert 'data-theme="dark"' in served.ask("GET", "/", cookie="tallybook_theme=dark").body.decode()
    assert served.ask("POST", "/theme", form, origin="https://evil.example").status == 403
    assert served.ask("POST", "/theme", form, sec_fetch_site="cross-site").status == 403
    for back in ("//evil.example", "https://evil.example", "/\\evil.example", "/%0d%0aset-cookie:x"):
        sent = served.ask("POST", "/theme", f"theme=dark&back={back}".encode(), origin="http://127.0.0.1:8321")
        assert sent.headers["location"] == "/"


def test_a_book_without_a_run_says_what_to_type(tmp_path_factory: pytest.TempPathFactory) -> None:
    made = Served(company(tmp_path_factory.mktemp("empty") / "book", collected=False))
    try:
        said = text_of(made.ask("GET", "/"))
        assert "Two steps to your first number" in said
        assert "tallybook run" in said
    finally:
        made.close()
