"""/tallybook.js in Chromium under a strict policy: what a page tracked is stored once, and nobody is forged."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

import tallybook
from tests.ingest.servers import Server

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

SCRIPT = Path(tallybook.__file__).parent / "server" / "static" / "tallybook.js"
SECRET = "a secret of 24 characters"
EVENTS = ("called", "queued", "tabs", "left", "forged", "named", "later", "over", "partly")
APP_JS = """
window.track = function (name, count) { for (var n = 0; n < count; n++) aptrinsic('track', name, {n: n}); };
window.aptrinsic = function () { (aptrinsic.q = aptrinsic.q || []).push(arguments); };
if (location.hash === '#early') aptrinsic('track', 'called', {n: 2});
"""


class AppPages(http.server.BaseHTTPRequestHandler):
    """A company's application: a page with the script and nothing inline, under `script-src 'self'`."""

    tally = ""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path.endswith(".js"):
            self.answer(SCRIPT.read_text() if parts.path == "/tallybook.js" else APP_JS, "text/javascript")
            return
        named = {name: values[0] for name, values in parse_qs(parts.query).items()}
        data = " ".join(f'data-{name}="{value}"' for name, value in {**named, "server": self.tally}.items())
        scripts = f'<script src="/app.js"></script><script src="/tallybook.js" {data}></script>'
        self.answer(f"<!doctype html><title>app</title><link rel=icon href=data:,>{scripts}<p>app</p>", "text/html")

    def answer(self, text: str, kind: str) -> None:
        policy = f"default-src 'none'; script-src 'self'; connect-src {self.tally}; img-src data:"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Security-Policy", policy)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None: ...


class App:
    """The application's origin, and the Tallybook that its pages send to."""

    def __init__(self, folder: Path) -> None:
        self.pages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), AppPages)
        threading.Thread(target=self.pages.serve_forever, daemon=True).start()
        self.origin = f"http://127.0.0.1:{self.pages.server_port}"
        declared = "".join(f"[events.{name}]\n" for name in EVENTS)
        self.tally = Server(folder, f'origins = ["{self.origin}"]\nidentity_secrets = ["{SECRET}"]\n{declared}')
        self.key, self.reading = self.tally.key("page", "browser"), self.tally.key("reader", "read")
        self.tally.start()
        AppPages.tally = f"http://{self.tally.address}"

    def address(self, **data: str) -> str:
        from urllib.parse import urlencode

        return f"{self.origin}/?{urlencode({'key': self.key, **data})}"

    def stored(self, event: str, least: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for _ in range(1200):
            page = self.tally.ask("GET", f"/v1/events?event={event}&limit=1000", key=self.reading)[1]
            found = page["events"]
            if len(found) >= least:
                break
            time.sleep(0.05)
        return found

    def close(self) -> None:
        self.pages.shutdown()
        self.tally.kill()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    made = App(tmp_path_factory.mktemp("browser") / "acme")
    yield made
    made.close()


def sent(page: Page, waiting: int = 0) -> dict[str, int]:
    """The report once so many still wait. Playwright's own waiting needs `eval`, which the policy forbids."""
    found: dict[str, int] = {}
    for _ in range(1200):
        found = page.evaluate("tallybook.report()")
        if found["waiting"] == waiting and not page.evaluate("tallybook.flush().then(() => false)"):
            found = page.evaluate("tallybook.report()")
            if found["waiting"] == waiting:
                return found
        page.wait_for_timeout(50)
    raise AssertionError(found)


def blocked(page: Page) -> list[str]:
    """What the policy blocked, and exceptions; a refused request is no fault of the page."""
    problems: list[str] = page.problems  # type: ignore[attr-defined]
    return [one for one in problems if "status of 4" not in one]


def numbers(events: list[dict[str, Any]]) -> list[int]:
    return sorted(one["properties"]["n"] for one in events)


def identity(user: str, account: str | None = None, *, hours: float = 1, secret: str = SECRET) -> str:
    return tallybook.sign(user, account, datetime.now(UTC) + timedelta(hours=hours), secret)


def test_a_page_tracks_by_both_names_under_a_strict_policy_and_without_cookies(app: App, web_page: Page) -> None:
    web_page.goto(app.address() + "#early")  # calls before the script is there
    web_page.evaluate("tallybook('set', 'globalContext', {release: '7'})")
    web_page.evaluate("aptrinsic('track', 'called', {n: 0, Category: 'Machine Learning'})")
    web_page.evaluate("tallybook.track('called', {n: 1})")
    web_page.evaluate("tallybook('track', 'undeclared', {})")
    assert sent(web_page) == {"waiting": 0, "stored": 3, "rejected": 1, "dropped": 0}
    found = app.stored("called", 3)
    assert [one["properties"] for one in sorted(found, key=lambda one: one["properties"]["n"])] == [
        {"n": 0, "Category": "Machine Learning", "release": "7"},
        {"n": 1, "release": "7"},
        {"n": 2},
    ]
    assert web_page.context.cookies() == []
    assert blocked(web_page) == []


def test_what_is_tracked_offline_and_over_reloads_is_stored_once(app: App, web_page: Page) -> None:
    web_page.goto(app.address())
    web_page.context.set_offline(True)
    web_page.evaluate("for (let n = 0; n < 10; n++) tallybook('track', 'queued', {n})")
    web_page.evaluate("tallybook.flush()")
    assert sent(web_page, 10)["stored"] == 0
    web_page.context.set_offline(False)
    assert sent(web_page)["stored"] == 10
    web_page.route("**/v1/**", lambda route: route.abort())
    web_page.evaluate("for (let n = 10; n < 20; n++) tallybook('track', 'queued', {n})")
    web_page.evaluate("tallybook.flush()")
    web_page.reload()
    web_page.evaluate("for (let n = 20; n < 30; n++) tallybook('track', 'queued', {n})")
    assert sent(web_page, 20)["stored"] == 0
    web_page.unroute("**/v1/**")
    web_page.reload()
    sent(web_page)
    assert numbers(app.stored("queued", 30)) == list(range(30))


def test_two_tabs_share_what_waits_and_store_it_once(app: App, web_context: BrowserContext) -> None:
    one, other = web_context.new_page(), web_context.new_page()
    for tab in (one, other):
        tab.goto(app.address())
    for start, tab in ((0, one), (60, other)):
        tab.evaluate(f"for (let n = {start}; n < {start + 60}; n++) tallybook('track', 'tabs', {{n}})")
    sent(one), sent(other)
    assert numbers(app.stored("tabs", 120)) == list(range(120))


@pytest.mark.cases(1)
@pytest.mark.parametrize("way", ["navigation", "close"])
def test_what_is_tracked_just_before_a_page_is_left_arrives_and_is_stored_once(
    app: App, web_context: BrowserContext, way: str
) -> None:
    first = 0 if way == "navigation" else 100
    before = len(app.stored("left", 0))
    page = web_context.new_page()
    page.goto(app.address(user="u-1", identity=identity("u-1")))
    page.evaluate(f"for (let n = {first}; n < {first} + 20; n++) tallybook('track', 'left', {{n}})")
    if way == "navigation":
        page.goto("about:blank")
    else:
        page.close(run_before_unload=True)
    found = app.stored("left", before + 20)[before:]
    assert (numbers(found), {one["user"] for one in found}) == (list(range(first, first + 20)), {"u-1"})
    page = web_context.new_page()
    page.goto(app.address(user="u-1", identity=identity("u-1")))  # sends again what it saw no answer for
    sent(page)
    page.evaluate("tallybook('track', 'later', {})")
    sent(page)
    app.stored("later", 1)
    assert len(app.stored("left", before + 20)) == before + 20


def test_a_signed_page_names_its_user_and_no_page_names_another(app: App, web_page: Page) -> None:
    web_page.goto(app.address())
    web_page.evaluate(
        "([signed]) => aptrinsic('identify', {id: 'u-9', role: 'owner'}, {id: 'acme', plan: 'pro'}, signed)",
        [identity("u-9", "acme")],
    )
    web_page.evaluate("aptrinsic('track', 'named', {n: 0})")
    assert sent(web_page) == {"waiting": 0, "stored": 3, "rejected": 0, "dropped": 0}
    (event,) = app.stored("named", 1)
    assert (event["user"], event["account"]) == ("u-9", "acme")
    shown = app.tally.ask("GET", "/v1/users/u-9", key=app.reading)[1]
    assert shown["attributes"]["role"]["value"] == "owner"
    assert blocked(web_page) == []
    # Without a signature, and with one for somebody else: whoever writes a script with the page's key is refused.
    forge = """([server, key, headers]) => fetch(server + '/v1/events', {method: 'POST',
        headers: {Authorization: 'Bearer ' + key, ...headers},
        body: JSON.stringify([{event: 'forged', user: 'boss'}])}).then(answer => answer.json().then(
            said => [answer.status, said.code || said.rejected[0].code]))"""
    for headers, expected in (
        ({}, [422, "not_bound"]),
        ({"X-Tallybook-Identity": identity("u-9", "acme")}, [422, "not_bound"]),
        ({"X-Tallybook-Identity": identity("boss", secret="a secret that nobody knows")}, [403, "identity"]),
    ):
        assert web_page.evaluate(forge, [AppPages.tally, app.key, headers]) == expected
    assert app.stored("forged", 0) == []


def test_a_user_whom_the_signature_does_not_name_is_left_out_and_the_event_is_kept(app: App, web_page: Page) -> None:
    web_page.goto(app.address(identity=identity("Zoë 1")))
    for user in ("'Zoë 1'", "'u-8'", "'Zoë 1', 'acme'"):
        web_page.evaluate(f"tallybook('identify', {user}), tallybook('track', 'partly', {{n: 0}})")
    assert sent(web_page)["rejected"] == 0
    found = [(one["user"], one["account"]) for one in app.stored("partly", 3)]
    assert sorted(found, key=str) == [("Zoë 1", None), ("Zoë 1", None), (None, None)]


def test_events_of_a_signature_that_is_over_wait_for_the_next_one(app: App, web_page: Page) -> None:
    web_page.goto(app.address(user="u-3", identity=identity("u-3", hours=-1)))
    web_page.evaluate("tallybook('track', 'over', {n: 5})")
    web_page.evaluate("tallybook.flush()")
    assert sent(web_page, 1)["rejected"] == 0
    web_page.goto(app.address(user="u-4", identity=identity("u-4")))  # somebody else logs in, in the same browser
    web_page.evaluate("tallybook('track', 'over', {n: 6})")
    sent(web_page, 1)
    web_page.goto(app.address(user="u-3", identity=identity("u-3")))
    sent(web_page)
    found = {(one["user"], one["properties"]["n"]) for one in app.stored("over", 2)}
    assert found == {("u-3", 5), ("u-4", 6)}
