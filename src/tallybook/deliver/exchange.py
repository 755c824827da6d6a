"""Sends messages of alerts with one HTTP request to a declared address, through the sender that deliveries use.

The whole exchange has a deadline. Only the beginning of an answer is read. A redirect does not receive the password."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from urllib.parse import quote, unquote, urljoin, urlsplit

from tallybook.core import DestinationRefused, DestinationUnavailable
from tallybook.deliver.outgoing.addresses import Resolver, Target
from tallybook.deliver.outgoing.channel import Channel, OutgoingRequest
from tallybook.deliver.outgoing.failures import HttpReply

__all__ = ["fetch", "post", "within", "words_of"]

DEADLINE_SECONDS = 10.0
"""The deadline of the whole exchange: name lookup, connection, redirects and answer."""
MAX_REDIRECTS = 10
QUERY_SIGNS = "/?%:@!$&'()*+,;=~-._"


def post(address: str, body: bytes) -> None:
    """Send JSON. A redirect is an error, because it would turn the message into an empty GET.

    Raises DestinationRefused or DestinationUnavailable."""
    headers = _authorization(address)
    request = OutgoingRequest(
        method="POST", path=_path(address), body=body, headers=headers, content_type="application/json; charset=utf-8"
    )
    _check(_exchanged(address, request, DEADLINE_SECONDS))


def fetch(address: str) -> None:
    """Call an address and follow its redirects, without sending its password to them. Raises like `post`."""
    headers, until = _authorization(address), time.monotonic() + DEADLINE_SECONDS
    for _ in range(MAX_REDIRECTS + 1):
        request = OutgoingRequest(method="GET", path=_path(address), headers=headers)
        reply = _exchanged(address, request, max(until - time.monotonic(), 0.001))
        location = reply.headers.get("location", "")
        if not 300 <= reply.status < 400 or not location:
            break
        goal = urljoin(address, location)
        if urlsplit(goal).scheme not in ("http", "https"):
            break
        address, headers = goal, {}
    _check(reply)


def within(seconds: float, work: Callable[[], None], *, stop: Callable[[], None] = lambda: None) -> None:
    """Run `work` in a thread and wait at most this long. Raises what `work` raises. After the time limit, calls `stop`
    and raises DestinationUnavailable."""
    raised: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again below, in the caller's thread
            raised.append(error)

    thread = threading.Thread(target=guarded, daemon=True, name="tallybook-exchange")
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        stop()
        raise DestinationUnavailable(f"no complete answer within {seconds:g} seconds")
    if raised:
        raise raised[0]


def _exchanged(address: str, request: OutgoingRequest, seconds: float) -> HttpReply:
    """The reply from an address that the project declares. The address may be anywhere, including a private network."""
    try:
        channel = Channel(Target(_without_user(address), is_private_allowed=True), Resolver(), seconds=seconds)
    except ValueError:
        raise DestinationUnavailable("it did not answer: its address cannot be read") from None
    try:
        return channel.exchange(request)
    except DestinationUnavailable as error:
        # The caller names the address in its own message.
        raise type(error)(error.message.replace(channel.target.shown, "it", 1), hint=error.hint) from None
    finally:
        channel.close()


def _check(reply: HttpReply) -> None:
    if 200 <= reply.status < 300:
        return
    refused = 300 <= reply.status < 500 and reply.status not in (408, 429)
    kind = DestinationRefused if refused else DestinationUnavailable
    raise kind(f"it answered {reply.status} {reply.reason}".strip())


def _path(address: str) -> str:
    where = urlsplit(address)
    path = quote(where.path, safe="/%:@!$&'()*+,;=~-._") or "/"
    return path + (f"?{quote(where.query, safe=QUERY_SIGNS)}" if where.query else "")


def _without_user(address: str) -> str:
    where = urlsplit(address)
    return where._replace(netloc=where.netloc.rpartition("@")[2]).geturl()


def _authorization(address: str) -> dict[str, str]:
    from base64 import b64encode

    user, at, _ = urlsplit(address).netloc.rpartition("@")
    return {"Authorization": f"Basic {b64encode(unquote(user).encode()).decode()}"} if at else {}


def words_of(error: object) -> str:
    """The text of an error, on one line."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(said.split()) or type(error).__name__
