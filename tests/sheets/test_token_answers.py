"""What Google's token server answers decides about the keys only in the two documented forms (RFC 6749, section 5)."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tallybook.core.errors import DestinationUnavailable, SignInError
from tallybook.sheets import consent
from tallybook.sheets.api import Api
from tallybook.sheets.credentials import Keys
from tallybook.sheets.pace import Bucket, Patience
from tallybook.sheets.service_urls import ServiceUrls

PAGE = b"<html><title>Sign in to the hotel</title></html>"
TOKEN = json.dumps({"access_token": "t", "expires_in": 3600, "token_type": "Bearer"}).encode()
KEYS = Keys(client_id="c", client_secret="s", refresh_token="r")


def in_shape_of_apis(code: int, status: str) -> bytes:
    return json.dumps({"error": {"code": code, "message": "The service is unavailable.", "status": status}}).encode()


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    """Answers with what `answers` says, in order; then with a token, and to everything else with an empty document."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            self.server.asked.append(self.path)  # type: ignore[attr-defined]
            answers = self.server.answers  # type: ignore[attr-defined]
            self.answer(*(answers.pop(0) if answers else (200, TOKEN)))

        def do_GET(self) -> None:
            self.answer(200, b'{"spreadsheetId": "1"}')

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.answers, made.asked = [], []  # type: ignore[attr-defined]
    threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def api(server: ThreadingHTTPServer, tries: int = 1) -> Api:
    full = Bucket(per_minute=1e9)
    patience = Patience(tries=tries, sleep=lambda _: None)
    return Api(
        KEYS, ServiceUrls(f"http://127.0.0.1:{server.server_address[1]}"), patience=patience, reads=full, writes=full
    )


TEMPORARY = [
    (200, PAGE, "not from Google"),
    (200, b"", "not from Google"),
    (200, b"[]", "not from Google"),
    (200, b'{"scope": "x"}', "not from Google"),
    (200, b'{"access_token": "t", "expires_in": "soon"}', "not from Google"),
    (200, b"\xff\xfe", "not from Google"),
    (400, PAGE, "not from Google"),
    (403, PAGE, "not from Google"),
    (404, PAGE, "not from Google"),
    (502, PAGE, "responds with 502"),
    (504, PAGE, "responds with 504"),
    (503, in_shape_of_apis(503, "UNAVAILABLE"), "responds with 503: The service is unavailable."),
    (500, in_shape_of_apis(500, "INTERNAL"), "responds with 500: The service is unavailable."),
    (429, in_shape_of_apis(429, "RESOURCE_EXHAUSTED"), "responds with 429: The service is unavailable."),
    (403, in_shape_of_apis(403, "PERMISSION_DENIED"), "responds with 403: The service is unavailable."),
    (400, b'{"error": "temporarily_unavailable"}', "responds with temporarily_unavailable"),
    (503, b'{"error": "invalid_grant"}', "responds with 503: invalid_grant"),
]


@pytest.mark.parametrize(("status", "body", "said"), TEMPORARY)
def test_any_other_answer_is_temporary_and_sends_nobody_to_consent(server, status: int, body: bytes, said: str) -> None:
    server.answers += [(status, body)] * 3
    with pytest.raises(DestinationUnavailable) as raised:
        api(server).renew()
    assert said in raised.value.message
    assert "try again" in raised.value.hint
    assert "setup" not in raised.value.hint
    assert "{" not in raised.value.message, "a sentence"


@pytest.mark.parametrize(("status", "body"), [(status, body) for status, body, _ in TEMPORARY])
def test_after_a_temporary_answer_it_is_asked_again(server, status: int, body: bytes) -> None:
    server.answers.append((status, body))
    assert api(server, tries=3).read("1", fields="") == {"spreadsheetId": "1"}
    assert server.asked == ["/token", "/token"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("invalid_grant", "revoked or expired"),
        ("invalid_client", "does not know this client"),
        ("access_denied", "issued no token"),
    ],
)
def test_the_documented_refusals_are_for_good(server, error: str, said: str) -> None:
    server.answers.append((400, json.dumps({"error": error, "error_description": "Bad Request"}).encode()))
    with pytest.raises(SignInError, match=said):
        api(server, tries=3).read("1", fields="")
    assert server.asked == ["/token"]


@pytest.mark.parametrize(("status", "body", "said"), TEMPORARY)
def test_the_exchange_of_a_code_knows_the_same_answers(server, status: int, body: bytes, said: str) -> None:
    places = ServiceUrls(f"http://127.0.0.1:{server.server_address[1]}")
    asked = consent.request_consent(
        consent.OAuthClient(id="c", secret="s"), ["a"], places, redirect="http://127.0.0.1:1"
    )
    server.answers.append((status, body))
    with pytest.raises(DestinationUnavailable, match=re.escape(said)):
        consent.exchange_answer(asked, f"http://127.0.0.1:1/?code=x&state={asked.state}", places, now=datetime.now(UTC))
