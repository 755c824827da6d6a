"""Consent of a user, by RFC 8252 for programs on the user's machine: the system's browser, a redirect to 127.0.0.1,
PKCE (RFC 7636, S256) and a state. Google's page: https://developers.google.com/identity/protocols/oauth2/native-app

    asked = request_consent(client, [FILES], places, redirect="http://127.0.0.1:49152")
    ... the browser opens asked.url and is redirected, or people paste the address that it was redirected to
    keys = exchange_answer(asked, url, places)

Without a listener at the redirect, the browser shows an error, but its address still contains the code.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tallybook.core import DeclarationError, DestinationUnavailable, SignInError
from tallybook.sheets.credentials import Keys, require_packages
from tallybook.sheets.refusals import Answer, token_answer_refusal, token_refusal
from tallybook.sheets.service_urls import CLIENTS, ServiceUrls

_AGAIN = "run `tallybook sheets setup` again"


@dataclass(frozen=True)
class OAuthClient:
    """An OAuth client of the type Desktop app. Its secret is not a user's secret, but it is not shown either."""

    id: str
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        if self.id.startswith("GOCSPX-"):
            raise DeclarationError("the client id is a client secret", hint=f"see {CLIENTS}")
        for what, text in {"client id": self.id, "client secret": self.secret}.items():
            if not text or any(letter.isspace() for letter in text):
                raise DeclarationError(f"the {what} is empty or contains blanks", hint=f"copy it from {CLIENTS}")


def client_file(path: Path) -> OAuthClient:
    """The client of a JSON file that Google offers for download. Raises DeclarationError."""
    try:
        content = json.loads(path.expanduser().read_text(encoding="utf-8"))
        kind, values = next(iter(content.items()))
        client = OAuthClient(values["client_id"], values["client_secret"])
    except OSError as error:
        raise DeclarationError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, AttributeError, StopIteration, KeyError, TypeError):
        raise DeclarationError(f"{path} is not the JSON of an OAuth client", hint=f"download it at {CLIENTS}") from None
    if kind != "installed":
        raise DeclarationError(
            f"{path} is a client of type {kind!r}, which cannot redirect to this machine",
            hint=f"create one of the type Desktop app at {CLIENTS}",
        )
    return client


@dataclass(frozen=True)
class ConsentRequest:
    """One request for consent. `url`: the page that the browser opens."""

    client: OAuthClient
    scopes: tuple[str, ...]
    redirect: str
    url: str
    state: str = field(repr=False)
    verifier: str = field(repr=False)


def request_consent(
    client: OAuthClient, scopes: Sequence[str], places: ServiceUrls, *, redirect: str
) -> ConsentRequest:
    """A new request with its own state and verifier."""
    verifier, state = secrets.token_urlsafe(64), secrets.token_urlsafe(24)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    parameters = {
        "response_type": "code",
        "client_id": client.id,
        "redirect_uri": redirect,
        "scope": " ".join(scopes),
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        # Google issues a refresh token only for offline access, and after an earlier consent only with prompt=consent.
        "access_type": "offline",
        "prompt": "consent",
    }
    return ConsentRequest(client, tuple(scopes), redirect, f"{places.consent}?{urlencode(parameters)}", state, verifier)


def exchange_answer(asked: ConsentRequest, url: str, places: ServiceUrls, *, now: datetime) -> Keys:
    """Exchange the address that the browser was redirected to for the keys.

    Raises SignInError: consent refused, wrong state, a used or expired code, an unknown client, an unchecked box.
    Raises DestinationUnavailable: no network."""
    return _exchanged(asked, code_in(asked, url), places, now)


def code_in(asked: ConsentRequest, url: str) -> str:
    """The code in a redirected address (RFC 6749, section 4.1.2). Raises SignInError."""
    found = {name: values[0] for name, values in parse_qs(urlsplit(url.strip()).query).items()}
    if not {"code", "error"} & found.keys():
        raise SignInError(
            "this is not the address of Google's redirect",
            hint=(
                f"copy the whole address from the browser: it starts with {asked.redirect} and contains code=; {_AGAIN}"
            ),
        )
    if not _same(found.get("state", ""), asked.state):
        raise SignInError(
            "the address belongs to another request: its state is different",
            hint=f"use the address of the page that was opened last; {_AGAIN}",
        )
    if found.get("error") == "access_denied":
        raise SignInError(
            "the consent was refused on Google's page",
            hint=(
                f"{_AGAIN} and press Continue. If Google blocks access, add your address as a test user, "
                "or publish the app"
            ),
        )
    if "error" in found:
        raise SignInError(
            f"Google's page refused: {found['error']} {found.get('error_description', '')}".strip(), hint=_AGAIN
        )
    return found["code"]


def _same(seen: str, expected: str) -> bool:
    """Whether two states are equal, in constant time. As bytes, because pasted text can contain any character."""
    return hmac.compare_digest(seen.encode(errors="surrogatepass"), expected.encode())


def _exchanged(asked: ConsentRequest, code: str, places: ServiceUrls, now: datetime) -> Keys:
    body = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": asked.redirect,
        "client_id": asked.client.id,
        "client_secret": asked.client.secret,
        "code_verifier": asked.verifier,
    }
    status, content = _post(places.token, body)
    temporary = token_answer_refusal(Answer(status, content))
    if temporary is not None:
        raise DestinationUnavailable(temporary.message, hint=_AGAIN)
    if status != 200:
        raise _refused(status, content)
    granted = tuple(str(content.get("scope", " ".join(asked.scopes))).split())
    if lacking := [scope for scope in asked.scopes if scope not in granted]:
        raise SignInError(
            f"the consent does not cover {', '.join(scope.rpartition('/')[2] for scope in lacking)}",
            hint=f"{_AGAIN} and check the box on Google's page",
        )
    if not content.get("refresh_token"):
        raise SignInError("Google gave no refresh token", hint=f"the client must be a Desktop app: {CLIENTS}")
    # Only refresh tokens of apps in testing expire: after 7 days.
    ends = content.get("refresh_token_expires_in")
    ends = ends if str(ends).isdigit() else None
    return Keys(
        client_id=asked.client.id,
        client_secret=asked.client.secret,
        refresh_token=str(content["refresh_token"]),
        scopes=granted,
        since=now.astimezone(UTC),
        until=now.astimezone(UTC) + timedelta(seconds=float(ends)) if ends else None,
    )


def _refused(status: int, content: Mapping[str, Any]) -> SignInError:
    error, why = str(content.get("error", f"HTTP {status}")), str(content.get("error_description", ""))
    if error == "invalid_grant":
        return SignInError(
            f"Google does not accept the code ({why or error})",
            hint=f"a code is valid once, for a few minutes; {_AGAIN}",
        )
    return token_refusal(error, why)


def _post(url: str, body: Mapping[str, str]) -> tuple[int, Mapping[str, Any]]:
    require_packages()
    import requests

    from tallybook.sheets.bounded import token_session

    try:
        with token_session() as session:
            response = session.post(url, data=body, timeout=30, allow_redirects=False)
    except requests.RequestException as error:
        raise DestinationUnavailable(
            f"Google's token server cannot be reached ({type(error).__name__})", hint=f"check the network; {_AGAIN}"
        ) from None
    try:
        content = response.json()
    except ValueError:
        content = {}
    return response.status_code, content if isinstance(content, dict) else {}


# -- the redirect ------------------------------------------------------------------------------------------------

PAGE = """<!doctype html><meta charset="utf-8"><title>Tallybook</title>
<body style="font: 1.1em system-ui; margin: 4em auto; max-width: 34em"><h1>{head}</h1><p>{text}</p></body>"""


class RedirectListener:
    """Waits on 127.0.0.1 for the redirect: `with RedirectListener() as listener: … listener.wait(300, state)`.

    Any page and program on this machine can call the port, so only a request with the right state counts."""

    def __init__(self, port: int = 0) -> None:
        self.url = self.state = ""
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                listener.answer(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Log nothing, because the address contains the code."""

        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        except OSError as error:
            raise DeclarationError(
                f"cannot listen on port {port} of 127.0.0.1: {error.strerror}", hint="choose another --port, or none"
            ) from None

    @property
    def redirect(self) -> str:
        """The redirect URL."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Respond to a request. Browsers also request icons."""
        query = parse_qs(urlsplit(handler.path).query)
        ours = bool(self.state) and _same(query.get("state", [""])[0], self.state)
        is_answer = ours and bool({"code", "error"} & query.keys())
        head = "Nothing here" if not is_answer else "Not connected" if "error" in query else "Received"
        text = PAGE.format(head=head, text="Continue in the terminal. You can close this page.").encode()
        handler.send_response(200 if is_answer else 404)
        handler.send_header("Content-Type", "text/html; charset=utf-8")
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)
        self.url = self.url or (self.redirect + handler.path if is_answer else "")

    def wait(self, seconds: float, state: str) -> str:
        """The address of the redirect with this state. Raises SignInError if none arrives in time."""
        import time

        self.state = state
        end = time.monotonic() + seconds
        while not self.url:
            left = end - time.monotonic()
            if left <= 0:
                raise SignInError(
                    f"no redirect from the browser within {seconds:.0f} seconds",
                    hint=f"{_AGAIN}; use --no-browser if the browser is on another machine",
                )
            # Each request has its own thread, because browsers also open connections without sending anything.
            self._server.timeout = min(left, 0.1)
            self._server.handle_request()
        return self.url

    def __enter__(self) -> RedirectListener:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.server_close()
