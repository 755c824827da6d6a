"""Pages without a browser: what they say is what the book answers, for every reader, and nothing else gets in."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from tallybook.cli import invoke
from tallybook.core import QueryError
from tallybook.server import board_file
from tallybook.server.pages.board_views import BoardControls, narrowed
from tallybook.server.pages.boards import share_command
from tallybook.server.pages.door import PagesDoor
from tallybook.server.pages.facts import VersionFacts
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


def test_a_board_has_one_scope_and_filter_for_all_its_views(served: Served) -> None:
    said = text_of(served.ask("GET", "/boards"))
    assert "Weekly review" in said
    board = served.ask("GET", "/boards/weekly")
    assert board.status == 200
    week = served.query(metrics=["mrr"], scope="week", **{"from": "2024-02-26", "to": "2024-03-03"}).json
    assert f"{week['rows'][0]['mrr']:,} EUR" in text_of(board)
    month = text_of(served.ask("GET", "/boards/weekly?scope=month&last=3+months"))
    assert "Last 3 months. Headline numbers: 2024-02 vs. the month before." in month
    assert served.ask("GET", "/boards/weekyl").status == 404
    assert "did you mean 'weekly'?" in text_of(served.ask("GET", "/boards/weekyl")).lower()


def test_the_filter_of_a_board_narrows_its_views_and_is_in_the_command_that_shares_it(served: Served) -> None:
    said = text_of(served.ask("GET", "/boards/weekly"))
    assert "tallybook shares create weekly --until 30d" in said
    made = BoardControls(scope="week", last="6 weeks", dimension="plan", value="pro", dims=["plan"])
    assert narrowed(("plan=pro", "plan=team", "country=DE"), made) == ("country=DE", "plan=pro")
    assert narrowed(("plan!=free",), made) == ("plan!=free", "plan=pro")
    assert share_command("weekly", made.where) == "tallybook shares create weekly --where plan=pro --until 30d"
    with pytest.raises(QueryError, match="only about plan team or free"):
        narrowed(("plan=team", "plan=free"), made)


def test_health_names_gaps_with_the_commands_that_close_them(served: Served) -> None:
    said = text_of(served.ask("GET", "/health"))
    assert "tallybook run exports --from 2024-01-22 --to 2024-02-04" in said
    assert "2024-01-22 to 2024-02-04, 14 days" in said


def test_a_board_is_written_as_one_file_that_needs_no_server(served: Served, tmp_path: Path) -> None:
    html = board_file(served.project.book, "weekly", ".html", now=served.project.now).decode()
    assert "<script" not in html
    assert not re.search(r"""(?:src|href|url)\s*[=(]\s*["']?(?!#)""", html)
    assert board_file(served.project.book, "weekly", ".pdf", now=served.project.now)[:5] == b"%PDF-"
    assert typed(served, "chart", "signups", "--scope", "week", "-o", str(tmp_path / "c.svg")) == (0, "")
    assert (tmp_path / "c.svg").read_text().startswith("<svg xmlns=")
    code, said = typed(served, "report", "weekly", "-o", str(tmp_path / "c.doc"))
    assert code == 2
    assert "one of .html, .pdf, .svg, .png" in said


def typed(served: Served, *words: str) -> tuple[int, str]:
    """(exit code, what went wrong) of a command."""
    errors = io.StringIO()
    folder = ["--project", str(served.project.folder)]
    code = invoke([*words, *folder], stdout=io.StringIO(), stderr=errors, now=lambda: served.project.now)
    return code, "" if code == 0 else errors.getvalue()


def test_signing_in_takes_a_key_and_goes_on_to_the_page(served: Served) -> None:
    served.peer = ("192.0.2.7", 40_000)
    own = {"origin": "http://127.0.0.1:8321", "content_type": "application/x-www-form-urlencoded"}
    try:
        key = served.key("signs_in")
        form = f"key={key}&next=%2Fm%2Fmrr%3Fscope%3Dmonth".encode()
        done = served.ask("POST", "/login", form, **own)
        assert (done.status, done.headers["location"]) == (303, "/m/mrr?scope=month")
        cookie = done.headers["set-cookie"].partition(";")[0]
        page = served.ask("GET", "/", cookie=cookie)
        assert page.status == 200
        assert "Signed in as signs_in" in text_of(page)
        wrong = served.ask("POST", "/login", b"key=tb_no&next=//evil.example", **own)
        assert wrong.headers["location"].startswith("/login?failed=key")
        shown = served.ask("GET", wrong.headers["location"])
        assert "This key is not valid" in text_of(shown)
        assert "evil.example" not in shown.body.decode()
    finally:
        served.peer = ("127.0.0.1", 50_000)


def test_a_fact_of_a_moment_replaces_that_of_the_moment_before() -> None:
    """A version may be read for a day: its facts do not pile up."""
    facts, made = VersionFacts(), iter(range(9))
    found = [facts.get("status", lambda: next(made), moment) for moment in (1, 1, 2, 2)]
    assert (found, facts.get("goals", lambda: "two"), len(facts._known)) == ([0, 0, 1, 1], "two", 2)
