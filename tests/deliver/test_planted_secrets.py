"""Keys of receivers appear in no report, status, trace, ledger or dry run, also where a receiver repeats the request."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.deliver.test_webhooks import VISITS
from tests.projects import project

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
