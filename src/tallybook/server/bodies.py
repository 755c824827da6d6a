"""Reads the body of a request, within the limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tallybook.core import RequestError
from tallybook.server.answers import Receive, Refusal
from tallybook.server.timers import at_most

BODY_SECONDS = 30.0
"""Time for a client to send a body, in seconds."""


MAX_BUFFERED_BYTES = 256_000_000
"""Maximum size of all bodies that one process has in memory."""


class BodyRoom:
    """The memory budget for bodies that are being received or stored."""

    def __init__(self, max_bytes: int = MAX_BUFFERED_BYTES) -> None:
        self.left = max_bytes

    @contextmanager
    def share(self) -> Iterator[BodyShare]:
        """The share of one request. It is given back at the end."""
        made = BodyShare(self)
        try:
            yield made
        finally:
            self.left += made.taken


class BodyShare:
    def __init__(self, room: BodyRoom) -> None:
        self.room, self.taken = room, 0

    def take(self, count: int) -> None:
        """Reserve memory. Raises Refusal if all bodies together are too large."""
        if count > self.room.left:
            message = "too many large requests are being received at once"
            raise Refusal(RequestError(status=503, code="backlog", message=message), closes=True)
        self.room.left -= count
        self.taken += count


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


async def body_of(headers: Mapping[str, str], receive: Receive, share: BodyShare, most: int) -> bytes:
    """The body as sent. Raises Refusal for a body that is too large, before the rest of it is read."""
    if "transfer-encoding" in headers and "content-length" in headers:
        # A proxy may use one of the two and we the other.
        both = "the request has both Transfer-Encoding and Content-Length"
        raise Refusal(RequestError(status=400, code="bad_encoding", message=both), closes=True)
    declared = headers.get("content-length", "")
    if declared.isdigit() and int(declared) > most:
        raise _too_large(f"{int(declared):,} bytes", most)
    try:
        return await at_most(BODY_SECONDS, _received(receive, share, most))
    except TimeoutError:
        error = RequestError(
            status=408, code="slow", message="the body took too long", expected=f"at most {BODY_SECONDS:g} s"
        )
        raise Refusal(error, closes=True) from None


async def _received(receive: Receive, share: BodyShare, most: int) -> bytes:
    found = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        piece = message.get("body", b"")
        share.take(len(piece))
        found += piece
        if len(found) > most:
            raise _too_large(f"more than {most:,} bytes", most)
        if not message.get("more_body", False):
            return bytes(found)


def _too_large(seen: str, most: int) -> Refusal:
    error = RequestError(
        status=413,
        code="too_large",
        message="the body is too large; send the events in several requests",
        seen=seen,
        expected=f"at most {most:,} bytes",
    )
    return Refusal(error, closes=True)
