"""Sessions of people who signed in on a page: a cookie instead of a read key, valid for two weeks.

The cookie contains the name of the key, and is signed with the hash of the key's text, which only the ledger knows. So
it needs no table, every worker can read it, and it ends when the key is revoked, rotated or expires."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode

from tallybook.core import TallybookError
from tallybook.ingest import KeyRing, claim_invitation
from tallybook.server.answers import HttpAnswer, Refusal, only
from tallybook.server.bodies import BodyRoom, body_of
from tallybook.server.gate import Gate
from tallybook.server.requests import Request
from tallybook.server.signed_text import is_signed, read_unsigned, sign_text
from tallybook.storage import ApiKey

COOKIE, SECURE_COOKIE = "tallybook", "__Host-tallybook"
SESSION = timedelta(days=14)
MAX_FORM = 10_000
SIGN_INS_A_SECOND = 2
_USE = "session"


def session_cookie(key: ApiKey, *, now: datetime, is_secure: bool) -> str:
    """The `Set-Cookie` value for a person who signed in with a key."""
    until = int((now + SESSION).timestamp())
    text = sign_text({"use": _USE, "key": key.name, "until": until}, _secret(key))
    return _cookie(text, int(SESSION.total_seconds()), is_secure=is_secure)


def no_cookie(*, is_secure: bool) -> str:
    """The value of `Set-Cookie` that ends a session."""
    return _cookie("", 0, is_secure=is_secure)


def session_key(request: Request, keys: KeyRing, now: datetime) -> ApiKey | None:
    """The key for which the cookie of a request was issued, or None without a valid cookie. Raises KeysUnknown."""
    text = _sent(request)
    payload = read_unsigned(text) if text else None
    if payload is None or payload.get("use") != _USE or not isinstance(until := payload.get("until"), int):
        return None
    try:
        if datetime.fromtimestamp(until, UTC) <= now:
            return None
    except (OverflowError, ValueError, OSError):
        return None
    known = [key for key in keys.valid_keys("read") + keys.valid_keys("admin") if key.name == payload.get("key")]
    return known[0] if known and is_signed(text, [_secret(known[0])]) else None


def is_secure(request: Request) -> bool:
    """Whether a request came over TLS."""
    return request.client.scheme == "https"


def safe_next(text: str) -> str:
    """The path on this server to continue to, or `/` for anything else, such as another site."""
    is_path = text.startswith("/") and not text.startswith(("//", "/\\")) and "\\" not in text
    return text if is_path and text.isprintable() and " " not in text and len(text) <= 2_000 else "/"


def _cookie(text: str, seconds: int, *, is_secure: bool) -> str:
    name = SECURE_COOKIE if is_secure else COOKIE
    parts = [f"{name}={text}", "Path=/", f"Max-Age={seconds}", "HttpOnly", "SameSite=Lax"]
    return "; ".join([*parts, "Secure"] if is_secure else parts)


def _sent(request: Request) -> str:
    """The text of our cookie. With TLS, a cookie from a page without TLS is not trusted."""
    try:
        found = SimpleCookie(request.headers.get("cookie", ""))
    except CookieError:
        return ""
    morsel = found.get(SECURE_COOKIE if is_secure(request) else COOKIE)
    return morsel.value if morsel is not None else ""


def _secret(key: ApiKey) -> str:
    return f"{_USE} {key.hash}"


class SessionDoor:
    """`POST /login` with a form that has `next` and either `key` or `invite`, and `POST /logout`. `GET /login` is the
    page with the form; its query string names what failed, such as `failed=key`."""

    def __init__(self) -> None:
        self.room = BodyRoom()

    def takes(self, request: Request) -> bool:
        return request.path == "/logout" or (request.path == "/login" and request.method == "POST")

    async def answer(self, request: Request, gate: Gate) -> HttpAnswer:
        from tallybook.server.access import check_site

        if (refused := only(request.method, "POST")) is not None:
            return refused
        check_site(request)
        secure = is_secure(request)
        if request.path == "/logout":
            return _onward("/login", no_cookie(is_secure=secure))
        gate.reads.take(f"sign-in of {request.client.address}", SIGN_INS_A_SECOND)
        with self.room.share() as share:
            sent = await body_of(request.headers, request.receive, share, MAX_FORM)
        form = dict(parse_qsl(sent.decode("latin-1"), keep_blank_values=True, max_num_fields=20))
        onward = safe_next(form.get("next", "/"))
        key, failed = await _signed_in(request, gate, form)
        if key is None:
            return _onward(f"/login?{urlencode({'failed': failed, 'next': onward})}")
        request.key = key
        return _onward(onward, session_cookie(key, now=gate.clock(), is_secure=secure))


async def _signed_in(request: Request, gate: Gate, form: dict[str, str]) -> tuple[ApiKey | None, str]:
    """The key in a form, and what failed."""
    import asyncio

    if invitation := form.get("invite", ""):
        try:
            claimed = await asyncio.to_thread(claim_invitation, gate.keys.events, invitation, now=gate.clock())
            if claimed is not None:
                await asyncio.to_thread(gate.keys.refresh)
        except TallybookError:
            return None, "ledger"
        return claimed, "invite"
    text = form.get("key", "").strip()
    try:
        return await gate.key_of(request, "read", text=text, applies_bounds=True), "key"
    except Refusal as refusal:
        return None, "ledger" if refusal.error.status == 503 else "key"


def _onward(path: str, cookie: str | None = None) -> HttpAnswer:
    """Redirect to a path on this server, with GET."""
    headers = {"location": path, "cache-control": "no-store", "referrer-policy": "no-referrer"}
    return HttpAnswer(303, headers=headers | ({"set-cookie": cookie} if cookie else {}))
