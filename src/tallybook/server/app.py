"""The HTTP door for usage events: an ASGI callable. A 2xx means that the bytes of the request are on disk."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from tallybook.core import (
    MAX_BODY_BYTES,
    MAX_ID,
    MAX_NAME,
    PROTOCOLS,
    DecodedEvents,
    RequestError,
    TallybookError,
)
from tallybook.ingest import (
    GroupCommit,
    KeyRing,
    KeysUnknown,
    LogAway,
    LogFailed,
    LogFull,
    LogRow,
    decode_row,
    key_text,
)
from tallybook.storage import ApiKey, EventLedger

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

BODY_SECONDS = 30.0
"""How long a client may take to send a body."""
RETRY_SECONDS = 2
SMALL_BODY = 64 * 1024
"""Larger bodies are decoded in a thread, so that others are answered meanwhile."""
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass
class HttpAnswer:
    status: int
    body: Mapping[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    closes: bool = False
    """The rest of the request is not read."""


class Refusal(Exception):
    """A request that is answered with an error."""

    def __init__(self, error: RequestError, *, closes: bool = False) -> None:
        self.error, self.closes = error, closes

    def answer(self) -> HttpAnswer:
        headers = {"content-type": "application/problem+json"}
        if self.error.status in (429, 503):
            headers["retry-after"] = str(RETRY_SECONDS)
        if self.error.status == 401:
            headers["www-authenticate"] = "Bearer"
        return HttpAnswer(self.error.status, self.error.as_json(), headers, self.closes)


class _Gone(Exception):
    """The client closed the connection before its request was whole."""


class EventsApp:
    """`problem` returns why nothing can be stored now, or None. `clock` is asked once for each request."""

    def __init__(
        self,
        commit: GroupCommit,
        keys: KeyRing,
        events: EventLedger,
        *,
        clock: Callable[[], datetime],
        problem: Callable[[], RequestError | None] = lambda: None,
    ) -> None:
        self.commit, self.keys, self.events, self.clock, self.problem = commit, keys, events, clock, problem
        self.protocols = {path: kind.name for kind in PROTOCOLS.kinds() for path in kind.paths}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            answer = await self._answer(scope, receive)
        except Refusal as refusal:
            answer = refusal.answer()
        except _Gone:
            return
        await _send(send, answer, head=scope["method"] == "HEAD")

    async def _answer(self, scope: Scope, receive: Receive) -> HttpAnswer:
        method, path = scope["method"], scope["path"]
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if path == "/healthz":
            return _only(method, "GET", "HEAD") or HttpAnswer(200, {"status": "ok"})
        if path == "/readyz":
            return _only(method, "GET", "HEAD") or self._ready()
        if path in self.protocols:
            return _only(method, "POST") or await self._store(path, headers, receive)
        if path == "/v1/events/schema":
            return _only(method, "GET") or await self._schema(headers)
        if path.startswith("/v1/days/"):
            return _only(method, "PUT", "DELETE") or await self._day(method, scope, headers)
        error = RequestError(
            status=404,
            code="not_found",
            message="there is nothing at this path",
            seen=path[:200],
            expected="/v1/events",
        )
        raise Refusal(error, closes=True)

    def _ready(self) -> HttpAnswer:
        problem = self.problem() or (_ledger_error() if self.keys.is_stale else None)
        if problem is not None:
            raise Refusal(problem)
        return HttpAnswer(200, {"status": "ready"})

    # -- keys --------------------------------------------------------------------------------------

    async def _key(self, headers: Mapping[str, str], scope: str) -> ApiKey:
        """The key of a request. Raises Refusal without one, or without the scope."""
        text = key_text(headers)
        if text is None:
            raise _no_key("the request has no key")
        try:
            key = self.keys.find(text)
        except KeysUnknown:
            key = None
        if key is None:
            try:
                await asyncio.to_thread(self.keys.refresh)
                key = self.keys.find(text)
            except (TallybookError, KeysUnknown):
                raise Refusal(_ledger_error(), closes=True) from None
        if key is None:
            raise _no_key("the key is not valid: it is unknown, revoked or has expired")
        if scope not in key.scopes and "admin" not in key.scopes:
            raise Refusal(
                RequestError(
                    status=403,
                    code="wrong_scope",
                    message=f"the key {key.name!r} may not do this",
                    seen=" ".join(key.scopes),
                    expected=scope,
                ),
                closes=True,
            )
        return key

    # -- events ------------------------------------------------------------------------------------

    async def _store(self, path: str, headers: Mapping[str, str], receive: Receive) -> HttpAnswer:
        key = await self._key(headers, "write")
        if (problem := self.problem()) is not None:
            raise Refusal(problem, closes=True)
        body = await _body(headers, receive)
        received = self.clock()
        noted = {"encoding": headers.get("content-encoding", ""), "idempotency_key": headers.get("idempotency-key", "")}
        if len(noted["idempotency_key"]) > MAX_ID:
            error = RequestError(
                status=400, code="bad_text", message=f"Idempotency-Key is longer than {MAX_ID} characters"
            )
            raise Refusal(error)
        row = LogRow(
            received=received,
            key=key.name,
            protocol=self.protocols[path],
            path=path,
            headers=json.dumps({name: value for name, value in noted.items() if value}),
            body=body,
        )
        if len(body) > SMALL_BODY or noted["encoding"]:
            decoded = await asyncio.to_thread(decode_row, row)
        else:
            decoded = decode_row(row)
        if decoded.error is not None:
            raise Refusal(decoded.error)
        if decoded.events or decoded.rejected:
            await _on_disk(self.commit.append(row))
        return _verdicts(decoded, received)

    # -- days and types ----------------------------------------------------------------------------

    async def _day(self, method: str, scope: Scope, headers: Mapping[str, str]) -> HttpAnswer:
        key = await self._key(headers, "write")
        # From the path as it was sent: the name of an event may contain a slash.
        raw = scope.get("raw_path", scope["path"].encode()).decode("latin-1").removeprefix("/v1/days/")
        event, _, text = raw.rpartition("/")
        event = unquote(event)
        try:
            day = datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007  # a day has no zone
        except ValueError:
            error = RequestError(
                status=400, code="bad_time", message="the path ends with a day", seen=text[:40], expected="2026-03-01"
            )
            raise Refusal(error) from None
        if not event:
            raise Refusal(RequestError(status=400, code="no_event", message="the path has no event"))
        if len(event) > MAX_NAME or any(ord(character) < 32 for character in event):
            message = "the name of the event is too long, or contains control characters"
            raise Refusal(RequestError(status=400, code="bad_name", message=message, seen=event[:40]))
        try:
            if method == "PUT":
                await asyncio.to_thread(self.events.close_day, event, day, key.name, now=self.clock())
            else:
                await asyncio.to_thread(self.events.open_day, event, day)
        except TallybookError:
            raise Refusal(_ledger_error()) from None
        return HttpAnswer(204)

    async def _schema(self, headers: Mapping[str, str]) -> HttpAnswer:
        await self._key(headers, "read")
        try:
            found = await asyncio.to_thread(self.events.snapshot)
        except TallybookError:
            raise Refusal(_ledger_error()) from None
        last = found.last_received
        return HttpAnswer(
            200,
            {
                "events": {
                    event: {
                        "properties": {one.spelled: one.type for one in properties},
                        "conflicts": {one.spelled: one.conflicts for one in properties if one.conflicts},
                        "last": last.get(event),
                    }
                    for event, properties in found.properties.items()
                }
            },
        )


async def _on_disk(waiting: Future[tuple[str, int]]) -> None:
    """Wait until the disk has a row. Raises Refusal when it has no room, or failed."""
    try:
        # Not cancelled with the client: the row may be written already.
        await asyncio.shield(asyncio.wrap_future(waiting))
    except LogAway:
        raise Refusal(_ledger_error()) from None
    except LogFull:
        error = RequestError(status=503, code="disk", message="the disk has no room for more events; nothing is stored")
        raise Refusal(error) from None
    except LogFailed:
        error = RequestError(status=503, code="disk", message="the disk failed; this server ends")
        raise Refusal(error, closes=True) from None


def _verdicts(decoded: DecodedEvents, received: datetime) -> HttpAnswer:
    ids = [event.id for _, event in decoded.events if event.id is not None]
    duplicates = len(ids) - len(set(ids))
    body = {
        "stored": len(decoded.events) - duplicates,
        "duplicates": duplicates,
        "rejected": [one.as_json() for one in decoded.rejected],
        "receipt": receipt(received),
    }
    return HttpAnswer(422 if decoded.rejected and not decoded.events else 200, body)


def receipt(received: datetime) -> str:
    """A name for a request, 26 characters that sort by time (a ULID)."""
    number = int(received.timestamp() * 1000) << 80 | secrets.randbits(80)
    return "".join(ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def _no_key(message: str) -> Refusal:
    error = RequestError(
        status=401, code="no_key", message=message, expected="Authorization: Bearer KEY; tallybook keys create NAME"
    )
    return Refusal(error, closes=True)


def _ledger_error() -> RequestError:
    return RequestError(status=503, code="ledger", message="the ledger of the book cannot be read now")


def _only(method: str, *allowed: str) -> HttpAnswer | None:
    if method in allowed:
        return None
    listed = ", ".join(allowed)
    error = RequestError(
        status=405, code="bad_method", message=f"this path takes {listed}", seen=method[:20], expected=listed
    )
    answer = Refusal(error, closes=True).answer()
    answer.headers["allow"] = listed
    return answer


# -- bytes ---------------------------------------------------------------------------------------------------------


async def _body(headers: Mapping[str, str], receive: Receive) -> bytes:
    """The body as it is sent. Raises Refusal for one that is too large, before the rest of it is read."""
    declared = headers.get("content-length", "")
    if declared.isdigit() and int(declared) > MAX_BODY_BYTES:
        raise _too_large(f"{int(declared):,} bytes")
    found = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _Gone
                found += message.get("body", b"")
                if len(found) > MAX_BODY_BYTES:
                    raise _too_large(f"more than {MAX_BODY_BYTES:,} bytes")
                if not message.get("more_body", False):
                    return bytes(found)
    except TimeoutError:
        error = RequestError(
            status=408, code="slow", message="the body took too long", expected=f"at most {BODY_SECONDS:g} s"
        )
        raise Refusal(error, closes=True) from None


def _too_large(seen: str) -> Refusal:
    error = RequestError(
        status=413,
        code="too_large",
        message="the body is too large; send the events in several requests",
        seen=seen,
        expected=f"at most {MAX_BODY_BYTES:,} bytes",
    )
    return Refusal(error, closes=True)


async def _send(send: Send, answer: HttpAnswer, *, head: bool) -> None:
    body = b"" if answer.body is None else json.dumps(answer.body, ensure_ascii=False).encode()
    headers = {"content-type": "application/json", "cache-control": "no-store", **answer.headers}
    if answer.body is None:
        del headers["content-type"]
    if answer.status != 204:
        headers["content-length"] = str(len(body))
    if answer.closes:
        headers["connection"] = "close"
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
    await send({"type": "http.response.body", "body": b"" if head else body})
