"""The HTTP door for usage events: an ASGI callable. A 2xx means that the bytes of the request are on disk."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import unquote

from tallybook.core import MAX_ID, MAX_NAME, PROTOCOLS, DecodedEvents, RequestError, TallybookError
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
    unpack,
)
from tallybook.server.answers import (
    HttpAnswer,
    Receive,
    Refusal,
    Scope,
    Send,
    ledger_error,
    no_key,
    only,
    send_answer,
)
from tallybook.server.bodies import BodyRoom, ClientGone, body_of
from tallybook.server.claims import RequestClaims
from tallybook.server.entities import EntityDoor, entity_of
from tallybook.server.rates import Rates
from tallybook.server.reads import EventReads
from tallybook.storage import ApiKey, EventLedger

SMALL_BODY = 64 * 1024
"""Larger bodies are decoded in a thread, so that others are answered meanwhile."""
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass
class Request:
    """One request, as far as it is not its body."""

    method: str
    path: str
    raw_path: str
    query: str
    headers: Mapping[str, str]
    receive: Receive
    key: ApiKey | None = None
    """Set once it is known to be valid."""


def _request(scope: Scope, receive: Receive) -> Request:
    return Request(
        method=scope["method"],
        path=scope["path"],
        raw_path=scope.get("raw_path", scope["path"].encode()).decode("latin-1"),
        query=scope.get("query_string", b"").decode("latin-1"),
        headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
        receive=receive,
    )


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
        reads: EventReads | None = None,
        entities: EntityDoor | None = None,
    ) -> None:
        self.commit, self.keys, self.events, self.clock, self.problem = commit, keys, events, clock, problem
        self.reads, self.entities = reads, entities
        self.protocols = {path: kind.name for kind in PROTOCOLS.kinds() for path in kind.paths}
        self.claims = RequestClaims(events, clock)
        self.rates, self.room = Rates(time.monotonic), BodyRoom()
        self.seen: dict[str, datetime] = {}
        """By key: when it was last used."""
        self.key_reading: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = _request(scope, receive)
        try:
            answer = await self._answer(request)
        except Refusal as refusal:
            answer = refusal.answer()
        except ClientGone:
            return
        await send_answer(send, answer, head=request.method == "HEAD")

    async def _answer(self, request: Request) -> HttpAnswer:
        method, path = request.method, request.path
        if path in self.protocols and not (method == "GET" and path == "/v1/events"):
            return only(method, "POST", *(("GET",) if path == "/v1/events" else ())) or await self._store(request)
        if path == "/healthz":
            return only(method, "GET", "HEAD") or HttpAnswer(200, {"status": "ok"})
        if path == "/readyz":
            return only(method, "GET", "HEAD") or self._ready()
        if path.startswith("/v1/days/"):
            return only(method, "PUT", "DELETE") or await self._day(request)
        if self.entities is not None and (entity := entity_of(request.raw_path)) is not None:
            return only(method, "PUT", "GET", "DELETE") or await self._entity(self.entities, request, *entity)
        if (read := self._read_of(path)) is not None:
            allowed, scopes, answer = read
            return only(method, allowed) or await self._read(request, scopes, answer)
        error = RequestError(
            status=404,
            code="not_found",
            message="there is nothing at this path",
            seen=path[:200],
            expected="/v1/events",
        )
        raise Refusal(error, closes=True)

    def _ready(self) -> HttpAnswer:
        problem = self.problem() or (ledger_error() if self.keys.is_stale else None)
        if problem is not None:
            raise Refusal(problem)
        return HttpAnswer(200, {"status": "ready"})

    # -- keys --------------------------------------------------------------------------------------

    async def _key(self, request: Request, *scopes: str) -> ApiKey:
        """The key of a request. Raises Refusal without one, or where it has none of the scopes."""
        text = key_text(request.headers)
        if text is None:
            raise no_key("the request has no key")
        try:
            key = self.keys.find(text)
        except KeysUnknown:
            key = None
        if key is None:
            # It may have been made after the keys were read.
            try:
                await self._read_keys()
                key = self.keys.find(text)
            except (TallybookError, KeysUnknown):
                raise Refusal(ledger_error(), closes=True) from None
        if key is None:
            raise no_key("the key is not valid: it is unknown, revoked or has expired")
        request.key = key
        self.seen[key.name] = self.clock()
        if not {*scopes, "admin"} & {*key.scopes}:
            raise Refusal(
                RequestError(
                    status=403,
                    code="wrong_scope",
                    message=f"the key {key.name!r} may not do this",
                    seen=" ".join(key.scopes),
                    expected=" or ".join(scopes),
                ),
                closes=True,
            )
        return key

    async def _read_keys(self) -> None:
        """Read the keys once more. Those who ask before the reading starts share it."""
        if self.key_reading is None:
            self.key_reading = asyncio.create_task(self._read_keys_soon())
        await asyncio.shield(self.key_reading)

    async def _read_keys_soon(self) -> None:
        await asyncio.sleep(self.keys.seconds_to_wait())
        self.key_reading = None
        await asyncio.to_thread(self.keys.refresh)

    # -- events ------------------------------------------------------------------------------------

    async def _store(self, request: Request) -> HttpAnswer:
        key = await self._key(request, "write", *(("browser",) if request.path != "/v1/values" else ()))
        self.rates.check(key)
        if (problem := self.problem()) is not None:
            raise Refusal(problem, closes=True)
        with self.room.share() as share:
            body = await body_of(request.headers, request.receive, share)
            row = self._row(request, key, body)
            if len(body) > SMALL_BODY or request.headers.get("content-encoding"):
                decoded = await asyncio.to_thread(decode_row, row)
            else:
                decoded = decode_row(row)
            if decoded.error is not None:
                raise Refusal(decoded.error)
            self.rates.take(key, len(decoded.events) + len(decoded.rejected))
            if decoded.events or decoded.rejected:
                await self._claim(request, key, body)
                await _on_disk(self.commit.append(row))
            return _verdicts(decoded, row.received)

    def _row(self, request: Request, key: ApiKey, body: bytes) -> LogRow:
        """A request as it is logged, with what its decoding depends on."""
        again = request.headers.get("idempotency-key", "")
        if len(again) > MAX_ID:
            message = f"Idempotency-Key is longer than {MAX_ID} characters"
            raise Refusal(RequestError(status=400, code="bad_text", message=message))
        noted = {
            "encoding": request.headers.get("content-encoding", ""),
            "idempotency_key": again,
            **key.bounds,
        }
        return LogRow(
            received=self.clock(),
            key=key.name,
            protocol=self.protocols[request.path],
            path=request.path,
            headers=json.dumps({name: value for name, value in noted.items() if value}),
            body=body,
        )

    async def _claim(self, request: Request, key: ApiKey, body: bytes) -> None:
        """Raises Refusal where the Idempotency-Key was sent with another body before."""
        again = request.headers.get("idempotency-key", "")
        if not again:
            return
        unpacked = unpack(body, request.headers.get("content-encoding", ""))
        assert isinstance(unpacked, bytes)  # it was decoded before
        digest = hashlib.sha256(request.path.encode() + b"\0" + unpacked).hexdigest()
        try:
            is_same = await self.claims.claim(key.name, again, digest)
        except TallybookError:
            raise Refusal(ledger_error()) from None
        if not is_same:
            error = RequestError(
                status=422,
                code="idempotency_key",
                message="this Idempotency-Key was sent with another body before; nothing of this request is stored",
                seen=again[:80],
                expected="a new Idempotency-Key for a new body",
            )
            raise Refusal(error)

    # -- days and reading --------------------------------------------------------------------------

    async def _day(self, request: Request) -> HttpAnswer:
        key = await self._key(request, "write")
        event, day = _event_and_day(request.raw_path)
        if (key.events and event not in key.events) or key.accounts:
            message = f"the key {key.name!r} is not for the days of this event"
            raise Refusal(RequestError(status=403, code="not_bound", message=message, seen=event[:80]))
        try:
            if request.method == "PUT":
                await asyncio.to_thread(self.events.close_day, event, day, key.name, now=self.clock())
            else:
                await asyncio.to_thread(self.events.open_day, event, day)
        except TallybookError:
            raise Refusal(ledger_error()) from None
        return HttpAnswer(204)

    async def _entity(self, door: EntityDoor, request: Request, kind: str, entity_id: str) -> HttpAnswer:
        key = await self._key(request, "read" if request.method == "GET" else "write")
        self.rates.check(key)
        body = b""
        if request.method == "PUT":
            with self.room.share() as share:
                sent = await body_of(request.headers, request.receive, share)
            unpacked = unpack(sent, request.headers.get("content-encoding", ""))
            if isinstance(unpacked, RequestError):
                raise Refusal(unpacked)
            body = unpacked
        try:
            return await asyncio.to_thread(door.answer, key, request.method, kind, entity_id, body)
        except TallybookError:
            raise Refusal(ledger_error()) from None

    def _read_of(self, path: str) -> tuple[str, tuple[str, ...], Callable[[ApiKey, str], Mapping[str, Any]]] | None:
        """(method, scopes, answer) of a path that is answered from what is stored."""
        reads = self.reads
        if reads is None:
            return None
        found: dict[str, tuple[str, tuple[str, ...], Callable[[ApiKey, str], Mapping[str, Any]]]] = {
            "/v1/events": ("GET", ("read",), reads.stored),
            "/v1/events/schema": ("GET", ("read",), reads.schema),
            "/v1/rejected": ("GET", ("read",), reads.rejected),
            "/v1/rejected/replay": ("POST", ("write",), reads.replay),
        }
        return found.get(path)

    async def _read(
        self, request: Request, scopes: tuple[str, ...], answer: Callable[[ApiKey, str], Mapping[str, Any]]
    ) -> HttpAnswer:
        key = await self._key(request, *scopes)
        try:
            return HttpAnswer(200, await asyncio.to_thread(answer, key, request.query))
        except TallybookError:
            raise Refusal(ledger_error()) from None


def _event_and_day(raw_path: str) -> tuple[str, date]:
    """The event and the day of a path as it was sent: the name of an event may contain a slash."""
    raw, _, text = raw_path.removeprefix("/v1/days/").rpartition("/")
    event = unquote(raw)
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
    return event, day


async def _on_disk(waiting: Future[tuple[str, int]]) -> None:
    """Wait until the disk has a row. Raises Refusal when it has no room, or failed."""
    try:
        # Not cancelled with the client: the row may be written already.
        await asyncio.shield(asyncio.wrap_future(waiting))
    except LogAway:
        raise Refusal(ledger_error()) from None
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
