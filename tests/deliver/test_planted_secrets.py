"""Keys of receivers appear in no report, status, trace, ledger or dry run, also where a receiver repeats the request."""

from __future__ import annotations

import base64
import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.deliver.test_webhooks import VISITS
from tests.projects import project
from tests.server.served import Served

__all__ = ["project"]

KEY = "pl4nted-s3cret-k3y"
DELIVERIES = {
    "gainsight_px": 'api = "URL/v1"\nkey = "${KEY}"\nproduct = "AP-X-2"\nidentify = "{plan}"\nread_back = 0',
    "segment": 'api = "URL"\nkey = "${KEY}"\nidentify = "{plan}"\nevent = "visits"',
    "mixpanel": 'api = "URL"\nkey = "${KEY}"\nidentify = "{plan}"\nevent = "visits"',
    "webhook": 'url = "URL/${KEY}"',
}


@pytest.fixture
def echo() -> Iterator[str]:
    """The address of a receiver that refuses everything and repeats what it got."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
            said = json.dumps({"path": self.path, "headers": dict(self.headers), "body": body}).encode()
            self.send_response(503)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.cases(2)
@pytest.mark.parametrize("to", DELIVERIES)
def test_the_key_of_a_receiver_that_repeats_its_request_appears_nowhere(project, monkeypatch, caplog, echo, to):
    monkeypatch.setenv("KEY", KEY)
    caplog.set_level(0)
    made = project("sqlite", now="2024-03-06T12:00")
    made.table("visits (at timestamp, plan varchar(9), n int)", VISITS)
    made.declare(
        f"""
        [metrics.visits]
        table = "visits"
        time = "at"
        measure = "sum(n)"
        by = ["plan"]
        [deliveries.out]
        to = "{to}"
        metrics = ["visits"]
        by = ["plan"]
        """
        + DELIVERIES[to].replace("URL", echo),
        start="2024-03-04",
    )
    report = made.run()
    assert "503" in repr(made.book.delivery_trace("out"))
    said = [
        str(report.to_dict()),
        str(made.book.status().to_dict()),
        repr(made.book.delivery_trace("out")),
        caplog.text,
    ]
    said += [str([one.to_dict() for one in made.book.deliver(dry_run=True)])]
    kept = b"".join(path.read_bytes() for path in made.folder.rglob("*") if path.is_file())
    encoded = [base64.b64encode(text.encode()).decode() for text in (KEY, f"{KEY}:")]
    for secret in (KEY, *encoded):
        assert not any(secret in text for text in said)
        assert secret.encode() not in kept


METRIC = """
    [metrics.visits]
    table = "visits"
    time = "at"
    measure = "sum(n)"
    by = ["plan"]
"""
OTHERS = {
    "table": """
        [deliveries.out]
        to = "table"
        url = "postgresql://writer:${KEY}@127.0.0.1:9/db"
        table = "daily_visits"
        metrics = ["visits"]
        by = ["plan"]
    """,
    "digest": """
        [boards.sales]
        title = "Sales"
        views = [{ metrics = ["visits"], scope = "day", last = "2 days" }]
        [deliveries.out]
        to = "digest"
        board = "sales"
        recipients = ["json://reader:${KEY}@HOST/${KEY}"]
        at = "07:00"
    """,
    "rest_hooks": """
        [deliveries.out]
        to = "rest_hooks"
        metrics = ["visits"]
        by = ["plan"]
        private = true
    """,
    "rules": """
        [rules.busy]
        for = "book"
        when = "visits > 50"
        then = [
            { to = "table", url = "postgresql://writer:${KEY}@127.0.0.1:9/db", table = "busy" },
            { to = "webhook", url = "URL/${KEY}" },
        ]
    """,
    "attribute": """
        [accounts]
        table = "accounts"
        attributes = ["plan"]
        [rules.pro]
        when = "plan = 'pro'"
        then = { to = "gainsight_px", api = "URL/v1", key = "${KEY}", attribute = "pro__c" }
    """,
}


@pytest.mark.cases(3)
@pytest.mark.parametrize("what", OTHERS)
def test_secrets_of_tables_digests_hooks_and_rules_appear_nowhere(project, monkeypatch, caplog, echo, what):
    monkeypatch.setenv("KEY", KEY)
    caplog.set_level(0)
    made = project("sqlite", now="2024-03-06T07:05")
    made.table("visits (at timestamp, plan varchar(9), n int)", VISITS)
    made.table("accounts (id int, plan varchar(9))", [(1, "free")])
    text = OTHERS[what].replace("URL", echo).replace("HOST", echo.removeprefix("http://"))
    made.declare(METRIC + text, start="2024-03-04")
    said = [str(made.run().to_dict())]
    if what == "rest_hooks":
        made.book.subscribe("h00k", "out", f"{echo}/{KEY}", "zap")
    made.insert("visits", [("2024-03-06 10:00:00", "pro", 90)])
    made.execute("update accounts set plan = 'pro'")
    made.at("2024-03-07T07:05")
    reports = [*made.book.run().deliveries, *made.book.deliver_rest(), *made.book.deliver()]
    assert any(one.error or one.hint for one in reports), reports
    said += [str([one.to_dict() for one in [*reports, *made.book.deliver(dry_run=True)]])]
    said += [
        str(made.book.status().to_dict()),
        repr(made.book.rules.list()),
        repr(made.book.project.catalog),
    ]
    # At the level DEBUG libraries show their requests to programs that ask for it.
    said += [one.getMessage() for one in caplog.records if one.levelno >= logging.INFO or "tallybook" in one.name]
    boxed = {one.delivery for one in reports if one.to not in ("table", "rest_hooks")}
    said += [repr(made.book.delivery_trace(name)) for name in sorted(boxed)]
    served = Served(made)
    page = served.ask("GET", "/health", key=served.key("reader"))
    served.close()
    assert page.status == 200
    said.append(page.body.decode())
    kept = b"".join(path.read_bytes() for path in made.folder.rglob("*") if path.is_file() and path.name != ".env")
    for secret in (KEY, base64.b64encode(KEY.encode()).decode()):
        assert [text for text in said if secret in text] == []
        # The target of a subscription is all that a ledger may keep: without it nothing could be sent.
        assert what == "rest_hooks" or secret.encode() not in kept
