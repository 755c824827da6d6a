"""Messages in the product: for the signed user only, escaped, reachable by keyboard, and dismissed in every browser."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import tallybook
from tallybook.core import ServeSettings
from tests.act.test_rule_edges import METRICS
from tests.ingest.servers import Server
from tests.projects import Project
from tests.server.served import Served

SECRET = "a secret of at least thirty-two characters, for signing"
EVIL = "<script>document.title='stolen'</script>\"'&"
RULES = """
[rules.trial]
when = "plan = 'trial'"
then = { to = "message", message = "tips" }

[rules.welcome]
when = "plan = 'trial'"
priority = 5
then = { to = "message", message = "hello" }

[messages.tips]
kind = "banner"
title = "Need a hand, {name}?"
text = "You made {calls_7d} calls this week."
link = "https://docs.example.com/start?for={name}"
show = "until_dismissed"

[messages.hello]
kind = "dialog"
title = "Welcome"
text = "Nice to see you, {name}."
"""


def company(folder: Path) -> Project:
    """Account 1 has entered both rules, account 2 none."""
    made = Project(folder, f"sqlite:///{folder}/app.db", now="2024-01-11T04:00")
    made.table("calls (day date, account_id varchar(9), n int)", [("2024-01-10", "1", 1234)])
    rows = [(1, EVIL.replace("'", "''"), "pro"), (2, "B", "pro")]
    made.execute("create table accounts (id int, name varchar(99), plan varchar(9))")
    made.execute(*(f"insert into accounts values ({id_}, '{name}', '{plan}')" for id_, name, plan in rows))
    made.declare(METRICS + RULES)
    made.run()
    made.execute("update accounts set plan = 'trial' where id = 1")
    made.at("2024-01-12T04:00").run()
    return made


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    settings = ServeSettings(origins=("https://app.acme.com",), identity_secrets=(SECRET,))
    made = Served(company(tmp_path / "book"), settings)
    yield made
    made.close()


def asked(served: Served, key: str, user: str, account: str, **more: Any) -> Any:
    until = served.project.now + more.pop("lasts", timedelta(hours=1))
    identity = tallybook.sign(user, account, until, more.pop("secret", SECRET))
    body, method = more.get("body"), "POST" if more.get("body") else "GET"
    return served.ask(
        method, "/v1/engagements", body, key, X_Tallybook_Identity=identity, origin="https://app.acme.com"
    )


def names(answer: Any) -> list[str]:
    return [one["id"].rpartition(".")[2] for one in answer.json["messages"]]


def test_the_signed_user_gets_the_messages_of_the_account_and_a_stranger_nothing(served: Served) -> None:
    key = served.key("page", "browser")
    answer = asked(served, key, "u1", "1")
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "https://app.acme.com"
    assert answer.json["messages"] == [
        {
            "id": "welcome.2.hello",
            "kind": "dialog",
            "title": "Welcome",
            "text": f"Nice to see you, {EVIL}.",
            "link": None,
            "link_text": "",
            "show": "once",
        },
        {
            "id": "trial.2.tips",
            "kind": "banner",
            "title": f"Need a hand, {EVIL}?",
            "text": "You made 1,234 calls this week.",
            "link": "https://docs.example.com/start?for=" + "%3Cscript%3Edocument.title%3D%27stolen%27%3C%2Fscript%3E"
            "%22%27%26",
            "link_text": "",
            "show": "until_dismissed",
        },
    ]
    assert asked(served, key, "u2", "2").json == {"messages": []}
    stranger = asked(served, key, "u2", "2", body={"id": "trial.2.tips", "what": "dismissed"})
    assert (stranger.status, names(asked(served, key, "u1", "1"))) == (404, ["hello", "tips"])


def test_without_a_valid_identity_nothing_is_said(served: Served) -> None:
    key = served.key("page", "browser")
    bodies = [
        asked(served, key, "u1", "1", lasts=timedelta(hours=-1)),
        asked(served, key, "u1", "1", secret="another secret, which is as long as the right one is"),
        served.ask("GET", "/v1/engagements", None, key, origin="https://app.acme.com"),
    ]
    assert {one.status for one in bodies} == {401}
    assert len({one.body for one in bodies}) == 1
    assert b"u1" not in bodies[0].body
    assert served.ask("GET", "/v1/engagements").status == 401
    read = served.key("reader", "read")
    assert asked(served, read, "u1", "1").status == 403


def test_what_was_shown_or_dismissed_in_one_browser_is_over_in_every_browser(served: Served) -> None:
    key = served.key("page", "browser")
    for id_, what in (("welcome.2.hello", "shown"), ("trial.2.tips", "shown"), ("trial.2.tips", "clicked")):
        assert asked(served, key, "u1", "1", body={"id": id_, "what": what}).status == 204
    assert names(asked(served, key, "u1", "1")) == ["tips"]
    assert names(asked(served, key, "another user of the account", "1")) == ["hello", "tips"]
    asked(served, key, "u1", "1", body={"id": "trial.2.tips", "what": "dismissed"})
    assert names(asked(served, key, "u1", "1")) == []
    counts = served.project.book.rules.results("trial").messages
    assert counts == {"tips": {"shown": 1, "clicked": 1, "dismissed": 1}}


def test_who_leaves_the_rule_sees_the_message_no_longer(served: Served) -> None:
    key = served.key("page", "browser")
    assert asked(served, key, "u1", "1").json["messages"]
    served.project.execute("update accounts set plan = 'pro' where id = 1")
    served.project.at("2024-01-13T04:00").run()
    assert asked(served, key, "u1", "1").json == {"messages": []}


# -- in Chromium


PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>product</title>
<script src="{server}/tallybook-messages.js" data-key="{key}" data-identity="{identity}" defer></script></head>
<body><main><h1>Product</h1><button id="work" autofocus>Work</button></main></body></html>"""


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a page of the product, under a strict policy, whose script is from another origin."""
    folder = tmp_path_factory.mktemp("product") / "book"
    made = company(folder)
    made.close()
    pages: dict[str, bytes] = {}
    policies: dict[str, str] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages.get(self.path, b"")
            self.send_response(200 if body else 404)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.send_header("content-security-policy", policies["own"])
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    origin = f"http://127.0.0.1:{web.server_address[1]}"
    file = folder / "tallybook.toml"
    serve = f'\n[serve]\nreserve = "1 MB"\norigins = ["{origin}"]\nidentity_secrets = ["{SECRET}"]\n\n[events.tallybook_message]\n'
    file.write_text(file.read_text() + serve)
    server = Server.of(folder)
    key = server.key("page", "browser")
    server.start()
    address = server.address if "://" in server.address else f"http://{server.address}"
    policies["own"] = f"default-src 'none'; script-src {address}; connect-src {address}"
    for user in ("one", "two", "three"):
        identity = tallybook.sign(user, "1", datetime.now(UTC) + timedelta(hours=1), SECRET)
        pages[f"/{user}"] = PAGE.format(server=address, key=key, identity=identity).encode()
    yield origin
    server.stop()
    web.shutdown()


def test_a_dialog_takes_the_focus_gives_it_back_and_closes_with_escape(product: str, web_page: Any) -> None:
    web_page.goto(f"{product}/one")
    dialog = web_page.get_by_role("dialog", name="Welcome")
    dialog.wait_for()
    assert web_page.get_by_role("button", name="Close").last.evaluate("one => one === one.getRootNode().activeElement")
    assert EVIL in dialog.inner_text()
    assert web_page.title() == "product"
    web_page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert web_page.evaluate("document.activeElement.id") == "work"
    banner = web_page.get_by_role("region", name=f"Need a hand, {EVIL}?")
    assert "1,234 calls" in banner.inner_text()
    assert web_page.problems == []


def test_what_is_dismissed_in_one_profile_is_not_shown_in_another(product: str, chromium: Any) -> None:
    first, second = chromium.new_context(), chromium.new_context()
    one, two = first.new_page(), second.new_page()
    one.goto(f"{product}/two")
    one.get_by_role("dialog", name="Welcome").wait_for()
    with one.expect_response(lambda answer: "/v1/engagements" in answer.url and answer.request.method == "POST"):
        one.keyboard.press("Escape")
    with one.expect_response(lambda answer: "/v1/engagements" in answer.url and answer.request.method == "POST"):
        one.get_by_role("button", name="Close").click()
    with two.expect_response(lambda answer: "/v1/engagements" in answer.url and answer.request.method == "GET") as got:
        two.goto(f"{product}/two")
    assert got.value.json() == {"messages": [], "event": "tallybook_message"}
    first.close()
    second.close()
