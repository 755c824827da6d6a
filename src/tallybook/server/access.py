"""Decides who may read answers of the book: a read key, a person who signed in, or a person at this machine.

Every reader of the HTTP API, of pages and of assistants passes `reader_of`."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from tallybook.core import RequestError
from tallybook.ingest import KeysUnknown
from tallybook.server.answers import Refusal, ledger_error, no_key
from tallybook.server.clients import FORWARDING
from tallybook.server.gate import Gate
from tallybook.server.readers import LOCAL, AnswerReader
from tallybook.server.requests import Request
from tallybook.server.sessions import session_key

MAX_PERSON = 200
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors "
)


async def reader_of(request: Request, gate: Gate) -> AnswerReader:
    """The reader who sends a request: a key, a person who signed in here or at a named proxy, or a person at this
    machine.

    Raises Refusal for anyone else, for requests that another site makes a browser send, and for too many requests."""
    reader = await _identified(request, gate)
    request.reader = reader.name
    if reader.is_ambient:
        check_site(request)
    if reader is not LOCAL:
        gate.reads.take(reader.name, request.policy.reads)
    return reader


async def _identified(request: Request, gate: Gate) -> AnswerReader:
    if "authorization" in request.headers:
        return AnswerReader.of_key(await gate.key_of(request, "read", applies_bounds=True))
    if "cookie" in request.headers:
        try:
            key = session_key(request, await gate.fresh_keys(), gate.clock())
        except KeysUnknown:
            raise Refusal(ledger_error(), closes=True) from None
        if key is not None:
            request.key, gate.seen[key.name] = key, gate.clock()
            return AnswerReader.of_key(key, is_ambient=True)
    if (person := _person(request)) is not None:
        return AnswerReader(name=f"person {person}", is_ambient=True)
    if is_at_this_machine(request):
        return LOCAL
    raise no_key("reading needs a key, or to sign in")


def _person(request: Request) -> str | None:
    """The person whom a named proxy signed in. Raises Refusal for a header that occurs twice."""
    name = request.policy.login_header
    if not name or not request.client.is_proxy:
        return None
    person = request.headers.get(name, "").strip()
    if "," in person or not person.isprintable() or len(person) > MAX_PERSON:
        # Repeated headers are joined by a comma, and one of them is from the sender.
        message = f"the header {name} names more than one person, or cannot be read"
        raise Refusal(RequestError(status=400, code="bad_text", message=message), closes=True)
    return person or None


def is_at_this_machine(request: Request) -> bool:
    """Whether the socket and `Host` are loopback, and the request has no proxy header. If a page of another site
    reaches us through a rebound name, its `Host` is different. Proxies that add no header either use HTTP/1.0 or are
    named in `[serve] proxies`."""
    if not request.policy.local or not request.client.is_loopback or request.version == "1.0":
        return False
    if any(name in FORWARDING or name.startswith("x-forwarded") for name in request.headers):
        return False
    return is_loopback_host(request.headers.get("host", ""))


def is_loopback_host(host: str) -> bool:
    """Whether a `Host` header names this machine itself: localhost, 127.0.0.1:8321, [::1]:8321."""
    name = host.strip().lower()
    name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def check_site(request: Request) -> None:
    """Raise Refusal if a page of another site makes a reader's browser send a request. Links that a person follows are
    allowed."""
    site = request.headers.get("sec-fetch-site", "").lower()
    if site in ("same-origin", "none"):
        return
    follows = request.method in ("GET", "HEAD") and request.headers.get("sec-fetch-mode", "").lower() == "navigate"
    if site and not follows:
        raise _other_site(site)
    origin = request.headers.get("origin", "").lower()
    if origin and not site and origin.partition("://")[2] not in own_hosts(request):
        raise _other_site(origin)


def own_hosts(request: Request) -> tuple[str, ...]:
    """The host names by which a browser may address this server."""
    hosts = [request.headers.get("host", "")]
    if request.client.is_proxy:
        hosts.append(request.headers.get("x-forwarded-host", ""))
    return tuple(host.strip().lower() for host in hosts if host.strip())


def _other_site(seen: str) -> Refusal:
    message = "a page of another site may not ask in the name of a reader"
    return Refusal(RequestError(status=403, code="origin", message=message, seen=seen[:200]), closes=True)


def page_headers(frames: Sequence[str] = ()) -> dict[str, str]:
    """The headers of every page. They allow no code, style or picture from other sites, and only `frames` as origins
    that may show the page in an <iframe>."""
    found = {
        "content-security-policy": PAGE_POLICY + (" ".join(frames) if frames else "'none'"),
        "x-content-type-options": "nosniff",
        "referrer-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
    }
    return found if frames else found | {"x-frame-options": "DENY"}
