"""HTTP/1.1 as uvicorn reads it, with limits for slow and long heads and for connections, and errors as problems."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tallybook.core import RequestError

HEAD_SECONDS = 20.0
"""How long a client may take to send the first line and the headers."""
MAX_HEAD_BYTES = 65_536
"""Of the first line and the headers."""
MAX_CHUNK_BYTES = 16
"""Of the framing of chunks for each byte of a body, at most; and MAX_HEAD_BYTES once."""
LONG = "a head or the framing of a body is too long"
FRAMING_HEADERS = (b"content-length", b"transfer-encoding")
MAX_CONNECTIONS = 10_000
"""Maximum number of connections of one worker. Further ones are closed at once."""


class DoorProtocol(HttpToolsProtocol):
    on_invalid: Callable[[], None]
    """Called for bytes that are not HTTP."""
    head_timer: asyncio.TimerHandle | None = None
    reads_head = True
    """The next bytes are of a first line or of headers."""
    has_head = False
    """The parser reads a head whose request has begun."""
    is_broken = False
    """Nothing more is read."""
    head_bytes = heads = body_bytes = 0
    """Bytes of the head that is read; of this connection how many heads are read, and the bytes of bodies."""
    framing_bytes = 0
    """Bytes that came since the last head or body ended and are of none."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.close()
            return
        # uvicorn's parser skips what follows a request with `Connection: close`.
        self.parser = httptools.HttpRequestParser(self)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.is_broken:
            return
        self._unset_keepalive_if_required()
        state = (self.heads, self.reads_head)
        bodies = self.body_bytes
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            self.send_400_response(str(error.__context__ or error))
            return
        if state == (self.heads, self.reads_head):
            framing = len(data) - (self.body_bytes - bodies) * (1 + MAX_CHUNK_BYTES)
            self.framing_bytes = max(0, self.framing_bytes + framing)
        else:
            self.framing_bytes = 0
        if self.framing_bytes > MAX_HEAD_BYTES:
            self.send_400_response(LONG)
        elif self.reads_head and self._is_answered:
            self._await_head()
        else:
            self._stop_timer()

    def _feed(self, data: bytes) -> None:
        """Raises HttpParserError."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # No other protocol is spoken here. The parser has skipped the body of the request: another one reads it.
            framing = [b"%b: %b\r\n" % one for one in self.headers if one[0] in FRAMING_HEADERS]
            self.parser, self.has_head = httptools.HttpRequestParser(self), True
            self.parser.feed_data(b"".join((b"POST / HTTP/1.1\r\n", *framing, b"\r\n")))
            self.has_head = False
            if rest := data[upgrade.args[0] :]:
                self._feed(rest)

    @property
    def _is_answered(self) -> bool:
        cycle: Any = self.cycle  # None before the first request
        return cycle is None or cycle.response_complete

    # -- callbacks of the parser ---------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if not self.has_head:
            self.head_bytes = 0
            super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self.has_head:
            self._count_head(url)
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        # Headers after a body are not the headers that the application has seen.
        if self.reads_head and not self.has_head:
            self._count_head(name, value)
            super().on_header(name, value)

    def _count_head(self, *parts: bytes) -> None:
        """Raises ValueError, which is an error of the parser, for a head that is too long."""
        self.head_bytes += sum(map(len, parts))
        if self.head_bytes > MAX_HEAD_BYTES:
            raise ValueError(LONG)

    def on_headers_complete(self) -> None:
        self.reads_head = False
        if not self.has_head:
            self.heads += 1
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self.body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            self.reads_head = True
            super().on_message_complete()

    # -- refusals ------------------------------------------------------------------------------------

    def _await_head(self) -> None:
        if self.head_timer is None:
            self.head_timer = self.loop.call_later(HEAD_SECONDS, self._close_slow)

    def _stop_timer(self) -> None:
        if self.head_timer is not None:
            self.head_timer.cancel()
            self.head_timer = None

    def _close_slow(self) -> None:
        self.head_timer = None
        message = f"the head of the request took longer than {HEAD_SECONDS:g} s"
        self._refuse(RequestError(status=408, code="slow", message=message))

    def send_400_response(self, msg: str) -> None:
        self.on_invalid()
        message = "the bytes are not a request of HTTP/1.1"
        self._refuse(RequestError(status=400, code="bad_request", message=message, seen=msg[:200]))

    def _refuse(self, error: RequestError) -> None:
        """Answer what is read, and close. Requests before it are answered first."""
        self.is_broken = True
        self._stop_timer()
        if not self._is_answered and not self.cycle.more_body:
            self.cycle.keep_alive = False
            return
        if not self._is_answered:
            # The application waits for the rest of this request, or it has begun to answer it.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self._is_answered or not (self.cycle.response_started or self.pipeline):
            self.transport.write(_answer_of(error))
        self.pipeline.clear()
        self.transport.close()


def _answer_of(error: RequestError) -> bytes:
    body = json.dumps(error.as_json()).encode()
    head = (
        f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\ncontent-type: application/problem+json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body


def protocol_class(on_invalid: Callable[[], None]) -> type[asyncio.Protocol]:
    """The protocol class of a worker. `on_invalid` is called for bytes that are not HTTP."""
    return type("WorkerProtocol", (DoorProtocol,), {"on_invalid": staticmethod(on_invalid)})
