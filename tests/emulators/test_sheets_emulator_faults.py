"""The Sheets emulator's way in (OAuth) and what it can do to its callers (faults)."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import google.auth.exceptions
import pytest
import requests
from google.auth.transport.requests import Request
from google.oauth2 import service_account
from google_auth_oauthlib.flow import InstalledAppFlow

from tallybook_emulators.sheets import Emulator, Seen
from tallybook_emulators.sheets.assertions import key_pair
from tests.google_clients import googles, gspreads

START = datetime(2026, 3, 10, 8, tzinfo=UTC)
SHEETS = "https://www.googleapis.com/auth/spreadsheets"
READ = "https://www.googleapis.com/auth/spreadsheets.readonly"
FILE = "https://www.googleapis.com/auth/drive.file"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(start=START) as made:
        yield made
        assert made.mistakes == []


def post(emulator: Emulator, path: str, **form: str) -> tuple[int, Any]:
    answer = requests.post(emulator.url + path, data=form, timeout=10)
    return answer.status_code, answer.json()


def asked(emulator: Emulator, **more: str) -> str:
    """The address of a consent page."""
    query = {
        "client_id": emulator.client_id, "redirect_uri": "http://127.0.0.1:9/", "response_type": "code", "scope": SHEETS,
        "state": "s1",
    }  # fmt: skip
    return f"{emulator.auth_uri}?{urlencode(query | more)}"


def exchanged(emulator: Emulator, landing: str, **more: str) -> tuple[int, Any]:
    """Status and answer of the token server for the code in a redirect."""
    code = parse_qs(urlsplit(landing).query)["code"][0]
    form = {
        "grant_type": "authorization_code", "code": code, "client_id": emulator.client_id,
        "client_secret": emulator.client_secret, "redirect_uri": "http://127.0.0.1:9/",
    }  # fmt: skip
    return post(emulator, "/token", **(form | more))


def refreshed(emulator: Emulator, token: str) -> tuple[int, Any]:
    form = {"client_id": emulator.client_id, "client_secret": emulator.client_secret, "refresh_token": token}
    return post(emulator, "/token", grant_type="refresh_token", **form)


# --- consent and tokens -------------------------------------------------------------------------------------


def test_the_installed_app_flow_of_googles_library_with_pkce(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    flow = InstalledAppFlow.from_client_config(emulator.client_secrets, [SHEETS])
    heard: list[str] = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        flow.redirect_uri = f"http://127.0.0.1:{server.server_address[1]}/"
        url, state = flow.authorization_url(access_type="offline", prompt="consent")
        assert "code_challenge_method=S256" in url
        assert emulator.visit(url).status == 200
    assert f"state={state}" in heard[0]
    flow.fetch_token(authorization_response=flow.redirect_uri + heard[0][1:])
    number = emulator.create()
    googles(emulator, credentials=flow.credentials).spreadsheets().get(spreadsheetId=number).execute()
    assert flow.credentials.refresh_token


def test_a_refusal_and_a_page_that_cannot_be_shown(emulator: Emulator) -> None:
    page = requests.get(asked(emulator), timeout=10).text
    assert SHEETS in page
    landing = emulator.visit(asked(emulator), approve=False, follow=False)
    assert landing.url == "http://127.0.0.1:9/?error=access_denied&state=s1"
    with pytest.raises(ConnectionError):
        emulator.visit(asked(emulator))
    assert emulator.visit(asked(emulator, client_id="other")).status == 401
    oob = emulator.visit(asked(emulator, redirect_uri="urn:ietf:wg:oauth:2.0:oob"))
    assert (oob.status, "OOB" in oob.body) == (400, True)
    assert "redirect_uri_mismatch" in emulator.visit(asked(emulator, redirect_uri="https://example.com/")).body


def test_pkce_and_codes_are_checked(emulator: Emulator) -> None:
    # The example of RFC 7636, appendix B.
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    challenge = {"code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method": "S256"}
    landing = emulator.visit(asked(emulator, **challenge), follow=False).url
    assert exchanged(emulator, landing)[1] == {"error": "invalid_grant", "error_description": "Missing code verifier."}
    landing = emulator.visit(asked(emulator, **challenge), follow=False).url
    assert exchanged(emulator, landing, code_verifier="x" * 43)[1]["error_description"] == "Invalid code verifier."
    landing = emulator.visit(asked(emulator, **challenge), follow=False).url
    status, answer = exchanged(emulator, landing, code_verifier=verifier)
    assert (status, answer["token_type"], answer["scope"], answer["expires_in"]) == (200, "Bearer", SHEETS, 3599)
    assert exchanged(emulator, landing, code_verifier=verifier) == (
        400, {"error": "invalid_grant", "error_description": "Malformed auth code."},
    )  # fmt: skip
    landing = emulator.visit(asked(emulator), follow=False).url
    assert exchanged(emulator, landing, client_secret="wrong")[0] == 401
    emulator.clock.advance(minutes=11)
    assert exchanged(emulator, landing)[1]["error"] == "invalid_grant"


def test_refresh_tokens_of_an_app_in_testing_end_after_seven_days(emulator: Emulator) -> None:
    landing = emulator.visit(asked(emulator), follow=False).url
    _, answer = exchanged(emulator, landing)
    assert answer["refresh_token_expires_in"] == 604799
    emulator.clock.advance(days=6.9)
    assert refreshed(emulator, answer["refresh_token"])[0] == 200
    emulator.clock.advance(days=0.2)
    gone = {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}
    assert refreshed(emulator, answer["refresh_token"]) == (400, gone)
    with Emulator(start=START, published=True) as published:
        token = published.authorized_user()["refresh_token"]
        published.clock.advance(days=300)
        assert refreshed(published, token)[0] == 200


def test_access_tokens_end_after_an_hour_and_are_revoked_with_their_consent(emulator: Emulator) -> None:
    number, consent = emulator.create(), emulator.authorized_user()
    token = refreshed(emulator, consent["refresh_token"])[1]["access_token"]

    def read(by: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {by}"} if by else {}
        return requests.get(f"{emulator.url}/v4/spreadsheets/{number}", headers=headers, timeout=10)

    assert read(token).status_code == 200
    info = requests.get(f"{emulator.url}/tokeninfo", params={"access_token": token}, timeout=10).json()
    assert (info["scope"], info["expires_in"], info["email"]) == (SHEETS, "3600", "ada@example.com")
    emulator.clock.advance(minutes=61)
    late = read(token)
    assert (late.status_code, late.json()["error"]["status"]) == (401, "UNAUTHENTICATED")
    assert read("").json()["error"]["message"].startswith("Request is missing required authentication credential.")
    token = refreshed(emulator, consent["refresh_token"])[1]["access_token"]
    assert post(emulator, "/revoke", token=token) == (200, {})
    assert read(token).status_code == 401
    assert refreshed(emulator, consent["refresh_token"])[1]["error"] == "invalid_grant"
    assert post(emulator, "/revoke", token=token)[1]["error"] == "invalid_token"


def test_googles_library_hears_of_a_revoked_consent(emulator: Emulator) -> None:
    credentials = emulator.credentials()
    requests.post(f"{emulator.url}/revoke", data={"token": credentials.refresh_token}, timeout=10)
    with pytest.raises(google.auth.exceptions.RefreshError, match="Token has been expired or revoked"):
        credentials.refresh(Request())


def test_an_assertion_is_verified(emulator: Emulator) -> None:
    key = emulator.service_account()
    good = service_account.Credentials.from_service_account_info(key, scopes=[SHEETS])
    good.refresh(Request())
    assert good.token
    other = service_account.Credentials.from_service_account_info(
        key | {"client_email": "nobody@emulated.iam.gserviceaccount.com"}, scopes=[SHEETS]
    )
    with pytest.raises(google.auth.exceptions.RefreshError, match="account not found"):
        other.refresh(Request())
    header, claims, signature = good._make_authorization_grant_assertion().decode().split(".")
    forged = ".".join([header, claims, ("B" if signature[0] == "A" else "A") + signature[1:]])
    grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    status, answer = post(emulator, "/token", grant_type=grant, assertion=forged)
    assert (status, answer) == (400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
    delegated = good.with_subject("ada@example.com")
    with pytest.raises(google.auth.exceptions.RefreshError, match="unauthorized_client"):
        delegated.refresh(Request())


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "unsupported_grant_type"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token"}, "invalid_client"),
        ({"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "a.b.c"}, "invalid_grant"),
        ({"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "MQ.MQ.MQ"}, "invalid_grant"),
    ],
)
def test_what_is_no_request_for_a_token_is_refused(emulator: Emulator, form: dict[str, str], error: str) -> None:
    status, answer = post(emulator, "/token", **form)
    assert (status in (400, 401), answer["error"]) == (True, error)
    broken = requests.post(emulator.token_uri, data=form, headers={"Authorization": "Basic abcde"}, timeout=10)
    assert broken.json()["error"] == "invalid_client"


def test_scopes_are_checked_on_every_call(emulator: Emulator) -> None:
    number = emulator.create()

    def call(verb: str, path: str, scope: str) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {emulator.token([scope])}"}
        answer = requests.request(verb, f"{emulator.url}/v4/spreadsheets{path}", headers=headers, json={}, timeout=10)
        return answer.status_code, answer.json().get("error", {}).get("message", "")

    assert call("GET", f"/{number}", READ)[0] == 200
    short = (403, "Request had insufficient authentication scopes.")
    assert call("POST", f"/{number}/values/A1:clear", READ) == short
    assert call("GET", f"/{number}", "openid") == short
    assert call("GET", f"/{number}", FILE) == (404, "Requested entity was not found.")
    emulator.pick(number)
    assert call("POST", f"/{number}/values/A1:clear", FILE)[0] == 200
    status, _ = call("POST", "", FILE)
    assert status == 200


# --- faults -------------------------------------------------------------------------------------------------


def appended(emulator: Emulator, number: str, session: requests.Session | None = None) -> requests.Response:
    """One row appended by a bare POST, its answer."""
    headers = {"Authorization": f"Bearer {emulator.token()}"}
    url = f"{emulator.url}/v4/spreadsheets/{number}/values/A1:append?valueInputOption=RAW"
    return (session or requests.Session()).post(url, headers=headers, json={"values": [["row"]]}, timeout=10)


def rows(emulator: Emulator, number: str) -> int:
    return len(emulator.document(number).tabs[0].values)


@pytest.mark.parametrize(
    ("answer", "more", "status", "word", "applied"),
    [
        (429, {}, 429, "RESOURCE_EXHAUSTED", 0),
        (500, {}, 500, "INTERNAL", 0),
        (503, {}, 503, "UNAVAILABLE", 0),
        (503, {"after": True}, 503, "UNAVAILABLE", 1),
        (401, {}, 401, "UNAUTHENTICATED", 0),
        (403, {"reason": "storageQuotaExceeded", "message": "quota"}, 403, "storageQuotaExceeded", 0),
        (400, {"message": "You are trying to edit a protected cell or object."}, 400, "protected cell", 0),
    ],
)
def test_a_fault_answers_instead(
    emulator: Emulator, answer: int, more: dict[str, Any], status: int, word: str, applied: int
) -> None:
    number = emulator.create()
    emulator.fault(answer, path=":append", **more)
    got = appended(emulator, number)
    assert (got.status_code, word in got.text) == (status, True)
    assert rows(emulator, number) == applied
    assert appended(emulator, number).status_code == 200
    assert [(seen.status, seen.fault) for seen in emulator.requests] == [(status, True), (200, False)]


@pytest.mark.parametrize("how", ["cut", "reset"])
@pytest.mark.parametrize("after", [False, True])
def test_a_connection_is_cut_before_or_after_applying(emulator: Emulator, how: str, after: bool) -> None:
    number = emulator.create()
    emulator.fault(path=":append", after=after, **{how: True})
    with pytest.raises(requests.ConnectionError):
        appended(emulator, number)
    assert rows(emulator, number) == int(after)
    assert emulator.requests[0].status == 0


def test_googles_client_repeats_a_request_whose_answer_was_lost(emulator: Emulator) -> None:
    """Why Tallybook has a client of its own: httplib2 sends the POST again, and the row is there twice."""
    number, client = emulator.create(), googles(emulator)
    append = client.spreadsheets().values().append
    append(spreadsheetId=number, range="A1", valueInputOption="RAW", body={"values": [["a"]]}).execute()
    emulator.fault(cut=True, after=True, path=":append")
    append(spreadsheetId=number, range="A1", valueInputOption="RAW", body={"values": [["b"]]}).execute()
    assert emulator.document(number).tabs[0].values == [["a"], ["b"], ["b"]]


def test_an_answer_comes_late_and_its_request_was_applied(emulator: Emulator) -> None:
    number = emulator.create()
    emulator.fault(delay=0.15, path=":append")
    begun = time.monotonic()
    assert appended(emulator, number).status_code == 200
    assert time.monotonic() - begun >= 0.15
    assert rows(emulator, number) == 1


def test_rules_choose_by_number_verb_and_predicate(emulator: Emulator) -> None:
    number = emulator.create()
    emulator.fault(503, nth=2, times=2)
    assert [appended(emulator, number).status_code for _ in range(4)] == [200, 503, 503, 200]
    emulator.faults.clear()
    emulator.fault(429, verb="GET", times=None, headers={"Retry-After": "7"})
    book = gspreads(emulator)
    refusal = requests.get(f"{emulator.url}/v4/spreadsheets/{number}", timeout=10)
    assert (refusal.status_code, refusal.headers["Retry-After"]) == (429, "7")
    assert appended(emulator, number).status_code == 200
    emulator.faults.clear()

    def writes_stars(seen: Seen) -> bool:
        return b"*" in seen.body

    emulator.fault(500, when=writes_stars)
    tab = book.open_by_key(number).sheet1
    tab.update([["plain"]])
    with pytest.raises(Exception, match="Internal error"):
        tab.update([["*"]])
    assert emulator.calls()["sheets.spreadsheets.values.update"] == 2
    emulator.forget_requests()
    assert emulator.requests == []


def test_without_the_extra_it_runs_and_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cryptography.hazmat.primitives", "google.oauth2.credentials"):
        monkeypatch.setitem(sys.modules, name, None)
    key_pair.cache_clear()
    with Emulator(start=START) as emulator:
        for wanted in (emulator.credentials, emulator.service_account):
            with pytest.raises(ImportError, match=r"pip install 'google-auth\[requests\]' cryptography"):
                wanted()
        assert appended(emulator, emulator.create()).status_code == 200
        assert requests.get(f"{emulator.url}/emulator", timeout=10).json()["service_account"] is None
