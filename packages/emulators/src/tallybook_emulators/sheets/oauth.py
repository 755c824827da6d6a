"""The OAuth 2 server: consent, tokens, expiry and revocation.

https://developers.google.com/identity/protocols/oauth2/native-app and …/oauth2/service-account."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode, urlsplit

from tallybook_emulators.sheets.assertions import ServiceAccount, verified_claims
from tallybook_emulators.sheets.clock import Clock
from tallybook_emulators.sheets.errors import GoogleError, OAuthError

Json = dict[str, Any]
TOKEN_SECONDS = 3600
CODE_SECONDS = 600
TESTING_REFRESH_SECONDS = 7 * 86400
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
OOB = "urn:ietf:wg:oauth:2.0:oob"


@dataclass(frozen=True)
class Client:
    """An OAuth client of type "desktop app"."""

    id: str
    secret: str
    project: str


@dataclass(frozen=True)
class AuthorizationCode:
    """An authorization code: the consent of a person, not yet exchanged for tokens."""

    client: Client
    redirect_uri: str
    scopes: tuple[str, ...]
    account: str
    challenge: str
    method: str
    expires: float


@dataclass
class RefreshToken:
    """A refresh token. `expires` is None for the tokens of a published app."""

    token: str
    client: Client
    account: str
    scopes: tuple[str, ...]
    expires: float | None
    revoked: bool = False


@dataclass(frozen=True)
class AccessToken:
    """An access token: the account, the app that acts for it, and the scopes."""

    token: str
    account: str
    app: str
    project: str
    scopes: tuple[str, ...]
    expires: float
    refresh: RefreshToken | None = None
    is_service: bool = False


@dataclass
class OAuth:
    """The state of the OAuth server. If `published`, refresh tokens do not expire after seven days."""

    clock: Clock
    url: Callable[[], str]
    published: bool = False
    clients: dict[str, Client] = field(default_factory=dict)
    services: dict[str, ServiceAccount] = field(default_factory=dict)
    codes: dict[str, AuthorizationCode] = field(default_factory=dict)
    refreshes: dict[str, RefreshToken] = field(default_factory=dict)
    accesses: dict[str, AccessToken] = field(default_factory=dict)

    # --- consent --------------------------------------------------------------------------------------------

    def checked_client(self, query: Mapping[str, str]) -> Client:
        """The client of an authorization request. Raises OAuthError as Google's consent page does."""
        client = self.clients.get(query.get("client_id", ""))
        if client is None:
            raise OAuthError("invalid_client", "The OAuth client was not found.", code=401)
        redirect = query.get("redirect_uri", "")
        if redirect == OOB:
            raise OAuthError("invalid_request", "The out-of-band (OOB) flow has been blocked.")
        if not is_loopback(redirect):
            raise OAuthError("redirect_uri_mismatch", f"The redirect URI is not a loopback address: {redirect}")
        if query.get("response_type") != "code":
            raise OAuthError("invalid_request", "Required parameter is missing: response_type")
        if not query.get("scope", "").split():
            raise OAuthError("invalid_request", "Missing required parameter: scope")
        if query.get("code_challenge_method", "plain") not in ("plain", "S256"):
            raise OAuthError("invalid_request", "code_challenge_method must be plain or S256")
        return client

    def page(self, query: Mapping[str, str]) -> str:
        """The consent page: a form with two buttons, and the query as hidden fields."""
        self.checked_client(query)
        hidden = "\n".join(
            f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
            for name, value in query.items()
        )
        scopes = "\n".join(f"<li>{html.escape(scope)}</li>" for scope in query["scope"].split())
        return (
            "<!doctype html><title>Consent</title>\n<h1>Emulator of Google: an app asks for access</h1>\n"
            f'<ul>\n{scopes}\n</ul>\n<form method="post" action="/o/oauth2/v2/auth">\n{hidden}\n'
            '<button name="decision" value="approve">Allow</button>\n'
            '<button name="decision" value="refuse">Cancel</button>\n</form>\n'
        )

    def redirect_after_consent(
        self, query: Mapping[str, str], *, approve: bool, account: str, scopes: Sequence[str] | None = None
    ) -> str:
        """The address to which the browser is redirected: it carries a code, or `error=access_denied`."""
        client = self.checked_client(query)
        answer = {"state": query["state"]} if query.get("state") else {}
        if not approve:
            return _with(query["redirect_uri"], {"error": "access_denied"} | answer)
        granted = tuple(query["scope"].split() if scopes is None else scopes)
        code = "4/0" + secrets.token_urlsafe(40)
        self.codes[code] = AuthorizationCode(
            client,
            query["redirect_uri"],
            granted,
            account,
            query.get("code_challenge", ""),
            query.get("code_challenge_method", "plain"),
            self.clock.timestamp() + CODE_SECONDS,
        )
        return _with(query["redirect_uri"], answer | {"code": code, "scope": " ".join(granted)})

    # --- tokens ---------------------------------------------------------------------------------------------

    def token(self, form: Mapping[str, str]) -> Json:
        """The answer of the token endpoint."""
        match form.get("grant_type"):
            case "authorization_code":
                return self._exchange(form)
            case "refresh_token":
                return self._refresh(form)
            case grant if grant == JWT_GRANT:
                return self._assertion(form.get("assertion", ""))
            case grant:
                raise OAuthError("unsupported_grant_type", f"Invalid grant_type: {grant or ''}")

    def _client(self, form: Mapping[str, str]) -> Client:
        client = self.clients.get(form.get("client_id", ""))
        if client is None:
            raise OAuthError("invalid_client", "The OAuth client was not found.", code=401)
        if form.get("client_secret") != client.secret:
            what = (
                "The provided client secret is invalid." if form.get("client_secret") else "client_secret is missing."
            )
            raise OAuthError(
                "invalid_client" if form.get("client_secret") else "invalid_request",
                what,
                code=401 if form.get("client_secret") else 400,
            )
        return client

    def _exchange(self, form: Mapping[str, str]) -> Json:
        client = self._client(form)
        code = self.codes.pop(form.get("code", ""), None)
        if code is None or code.client != client:
            raise OAuthError("invalid_grant", "Malformed auth code.")
        if code.expires < self.clock.timestamp():
            raise OAuthError("invalid_grant", "Bad Request")
        if form.get("redirect_uri") != code.redirect_uri:
            raise OAuthError("redirect_uri_mismatch", "Bad Request")
        if code.challenge:
            verifier = form.get("code_verifier", "")
            if not verifier:
                raise OAuthError("invalid_grant", "Missing code verifier.")
            if not secrets.compare_digest(challenge_of(verifier, code.method), code.challenge):
                raise OAuthError("invalid_grant", "Invalid code verifier.")
        refresh = self.grant(client, code.account, code.scopes)
        answer = self._answer(self.access_of(refresh)) | {"refresh_token": refresh.token}
        if refresh.expires is not None:
            answer["refresh_token_expires_in"] = int(refresh.expires - self.clock.timestamp()) - 1
        return answer

    def grant(self, client: Client, account: str, scopes: Iterable[str]) -> RefreshToken:
        """Issue a refresh token, as after consent."""
        ends = None if self.published else self.clock.timestamp() + TESTING_REFRESH_SECONDS
        refresh = RefreshToken("1//0" + secrets.token_urlsafe(40), client, account, tuple(scopes), ends)
        self.refreshes[refresh.token] = refresh
        return refresh

    def access_of(self, refresh: RefreshToken) -> AccessToken:
        client = refresh.client
        return self._issue(AccessToken("", refresh.account, client.id, client.project, refresh.scopes, 0, refresh))

    def service_access(self, email: str, scopes: Iterable[str]) -> AccessToken:
        """Issue an access token for a service account."""
        service = self.services[email]
        return self._issue(
            AccessToken("", email, service.client_id, service.project, tuple(scopes), 0, is_service=True)
        )

    def _issue(self, access: AccessToken) -> AccessToken:
        token, expires = "ya29." + secrets.token_urlsafe(60), self.clock.timestamp() + TOKEN_SECONDS
        made = self.accesses[token] = replace(access, token=token, expires=expires)
        return made

    def _answer(self, access: AccessToken) -> Json:
        return {
            "access_token": access.token,
            "expires_in": TOKEN_SECONDS - 1,
            "scope": " ".join(access.scopes),
            "token_type": "Bearer",
        }

    def _refresh(self, form: Mapping[str, str]) -> Json:
        client = self._client(form)
        refresh = self.refreshes.get(form.get("refresh_token", ""))
        if refresh is None or refresh.client != client:
            raise OAuthError("invalid_grant", "Bad Request")
        if not self.alive(refresh):
            raise OAuthError("invalid_grant", "Token has been expired or revoked.")
        wanted = tuple(form.get("scope", "").split()) or refresh.scopes
        if not set(wanted) <= set(refresh.scopes):
            raise OAuthError("invalid_scope", "Bad Request")
        return self._answer(self.access_of(replace_scopes(refresh, wanted)))

    def alive(self, refresh: RefreshToken) -> bool:
        return not refresh.revoked and (refresh.expires is None or refresh.expires > self.clock.timestamp())

    def _assertion(self, assertion: str) -> Json:
        """The access token of a service account, given an assertion that it signed."""
        account, claims = verified_claims(
            assertion,
            self.services,
            audiences=(f"{self.url()}/token", "https://oauth2.googleapis.com/token"),
            now=self.clock.machine_timestamp(),
        )
        scopes = claims.get("scope", "").split()
        if not scopes:
            raise OAuthError("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        answer = self._answer(self.service_access(account.email, scopes))
        del answer["scope"]
        return answer

    # --- revocation, introspection, callers -----------------------------------------------------------------

    def revoke(self, token: str) -> None:
        """Revoke a token and every token of the same consent."""
        access = self.accesses.get(token)
        refresh = self.refreshes.get(token) or (access.refresh if access else None)
        if (access is None and refresh is None) or (refresh is not None and refresh.revoked):
            raise OAuthError("invalid_token", "Token expired or revoked")
        if refresh is not None:
            self.refreshes[refresh.token].revoked = True
        for other in list(self.accesses.values()):
            if other.token == token or (refresh and other.refresh and other.refresh.token == refresh.token):
                del self.accesses[other.token]

    def info(self, token: str) -> Json:
        """The answer of the tokeninfo endpoint."""
        access = self.accesses.get(token)
        if access is None or access.expires <= self.clock.timestamp():
            raise OAuthError("invalid_token", "Invalid Value")
        return {
            "azp": access.app,
            "aud": access.app,
            "scope": " ".join(access.scopes),
            "exp": str(int(access.expires)),
            "expires_in": str(int(access.expires - self.clock.timestamp())),
            "email": access.account,
            "email_verified": "true",
            "access_type": "offline" if access.refresh else "online",
        }

    def caller(self, header: str, query_token: str = "") -> AccessToken:
        """The access token of a request to an API. Raises GoogleError 401 as Google does."""
        if not header and not query_token:
            raise unauthenticated("Request is missing required authentication credential.", "CREDENTIALS_MISSING")
        kind, _, token = header.partition(" ")
        access = self.accesses.get(query_token or token.strip())
        if (header and kind.lower() != "bearer") or access is None or access.expires <= self.clock.timestamp():
            raise unauthenticated(
                "Request had invalid authentication credentials.", "ACCESS_TOKEN_EXPIRED" if access else ""
            )
        return access


def replace_scopes(refresh: RefreshToken, scopes: tuple[str, ...]) -> RefreshToken:
    return replace(refresh, scopes=scopes)


def unauthenticated(what: str, reason: str) -> GoogleError:
    return GoogleError(
        401,
        f"{what} Expected OAuth 2 access token, login cookie or other valid authentication credential. See "
        "https://developers.google.com/identity/sign-in/web/devconsole-project.",
        details=[
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": reason,
                "domain": "googleapis.com",
                "metadata": {"service": "sheets.googleapis.com"},
            }
        ]
        if reason
        else (),
        headers={"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/", error="invalid_token"'},
    )


def is_loopback(redirect: str) -> bool:
    return bool(re.match(r"^http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(/[^#]*)?$", redirect))


def _with(redirect: str, answer: Mapping[str, str]) -> str:
    return redirect + ("&" if urlsplit(redirect).query else "?") + urlencode(answer)


def challenge_of(verifier: str, method: str) -> str:
    """The code challenge of a verifier, RFC 7636 section 4.2."""
    if method != "S256":
        return verifier
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii", "replace")).digest()).rstrip(b"=").decode()
