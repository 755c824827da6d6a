"""Answers of the HTTP door, and its errors as problems of RFC 9457."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tallybook.core import RequestError, TallybookError
from tallybook.server.timers import at_most

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

SEND_SECONDS = 30.0
"""Time for a client to read an answer, in seconds."""
CLIENT_GONE = 499
"""The status for a client that closed the connection before its request was complete. Nothing is sent."""
RETRY_SECONDS, MAX_RETRY_SECONDS = 2, 10


@dataclass
class HttpAnswer:
    status: int
    body: Mapping[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    closes: bool = False
    """Whether the connection is closed without reading the rest of the request."""
    text: str | bytes | None = None
    """A body that is not JSON."""


class Refusal(Exception):
    """A request that is answered with an error."""

    def __init__(self, error: RequestError, *, closes: bool = False, retry_seconds: int = RETRY_SECONDS) -> None:
        self.error, self.closes, self.retry_seconds = error, closes, retry_seconds

    @property
    def when_to_retry(self) -> dict[str, str]:
        """The header that says when to retry, for temporary errors."""
        return {"retry-after": str(self.retry_seconds)} if self.error.status in (429, 503) else {}

    def answer(self) -> HttpAnswer:
        headers = {"content-type": "application/problem+json"} | self.when_to_retry
        if self.error.status == 401:
            headers["www-authenticate"] = "Bearer"
        return HttpAnswer(self.error.status, self.error.as_json(), headers, self.closes)


def no_key(message: str) -> Refusal:
    error = RequestError(
        status=401, code="no_key", message=message, expected="Authorization: Bearer KEY; tallybook keys create NAME"
    )
    return Refusal(error, closes=True)


def ledger_error() -> RequestError:
    return RequestError(status=503, code="ledger", message="the ledger of the book cannot be read now")


def unforeseen() -> RequestError:
    return RequestError(status=503, code="unforeseen", message="this server has a fault; its log has the details")


def bad_parameter(code: str, name: str, message: str, seen: str, expected: str) -> Refusal:
    """The refusal of a query string parameter that cannot be read."""
    seen = f"{name}={seen[:80]}"
    return Refusal(RequestError(status=400, code=code, message=message, seen=seen, expected=expected))


def refused_query(error: TallybookError) -> Refusal:
    return Refusal(RequestError(status=400, code="bad_text", message=error.message, expected=error.hint))


def only(method: str, *allowed: str) -> HttpAnswer | None:
    """The refusal of a method that a path does not support, or None if it does."""
    if method in allowed:
        return None
    listed = ", ".join(allowed)
    error = RequestError(
        status=405, code="bad_method", message=f"this path takes {listed}", seen=method[:20], expected=listed
    )
    answer = Refusal(error, closes=True).answer()
    answer.headers["allow"] = listed
    return answer


async def send_answer(send: Send, answer: HttpAnswer, *, head: bool) -> None:
    """Send an answer. Give up if the client does not read it."""
    body = _body_of(answer)
    headers = {"content-type": "application/json", "cache-control": "no-store", **answer.headers}
    if not body:
        del headers["content-type"]
    if answer.status not in (204, 304):
        headers["content-length"] = str(len(body))
    if answer.closes:
        headers["connection"] = "close"
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    start = {"type": "http.response.start", "status": answer.status, "headers": encoded}
    with suppress(TimeoutError):
        await at_most(SEND_SECONDS, _sent(send, start, {"type": "http.response.body", "body": b"" if head else body}))


async def _sent(send: Send, *messages: dict[str, Any]) -> None:
    for message in messages:
        await send(message)


def _body_of(answer: HttpAnswer) -> bytes:
    if answer.text is not None:
        return answer.text.encode() if isinstance(answer.text, str) else answer.text
    return b"" if answer.body is None else msgspec.json.encode(answer.body)
