"""HTTP/1.1 as parsed by uvicorn, with a time limit for slow headers, a limit on connections, and errors as problem
documents."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from tallybook.core import RequestError

HEAD_SECONDS = 20.0
"""Time for a client to send the request line and the headers, in seconds."""
MAX_CONNECTIONS = 10_000
"""Maximum number of connections of one worker. Further ones are closed at once."""


class DoorProtocol(H11Protocol):
    on_invalid: Callable[[], None]
    """Called for bytes that are not HTTP."""
    head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.close()
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        cycle: Any = self.cycle  # None before the first request
        is_between = cycle is None or cycle.response_complete
        if self.conn.their_state is h11.IDLE and is_between:
            self._await_head()
        else:
            self._stop_timer()

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
        self._refuse(RequestError(status=400, code="bad_request", message=message))

    def _refuse(self, error: RequestError) -> None:
        body = json.dumps(error.as_json()).encode()
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        answer: list[Any] = [
            h11.Response(status_code=error.status, headers=headers),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ]
        with suppress(h11.LocalProtocolError):  # an answer is already being sent, so it is cut off
            for part in answer:
                self.transport.write(self.conn.send(part))
        self.transport.close()


def protocol_class(on_invalid: Callable[[], None]) -> type[asyncio.Protocol]:
    """The protocol class of a worker. `on_invalid` is called for bytes that are not HTTP."""
    return type("WorkerProtocol", (DoorProtocol,), {"on_invalid": staticmethod(on_invalid)})
