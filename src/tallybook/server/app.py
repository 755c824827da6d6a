"""The HTTP door for usage events, as an ASGI callable. A 2xx means that the bytes of the request are on disk."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from tallybook.core import DEFAULT_RULES, MAX_ID, PROTOCOLS, EventRules, RequestError, TallybookError
from tallybook.ingest import OWN_PROTOCOL, GroupCommit, KeyRing, LogRow, decode_row, unpack
from tallybook.server.access import is_at_this_machine
from tallybook.server.answers import (
    CLIENT_GONE,
    HttpAnswer,
    Receive,
    Refusal,
    Scope,
    Send,
    ledger_error,
    only,
    send_answer,
    unforeseen,
)
from tallybook.server.beacons import BeaconDoor
from tallybook.server.bodies import BodyRoom, ClientGone, body_of
from tallybook.server.claims import RequestClaims
from tallybook.server.clients import DoorPolicy
from tallybook.server.csv_imports import CsvDoor
from tallybook.server.doors import Door
from tallybook.server.entities import EntityDoor, entity_of
from tallybook.server.event_names import KnownNames
from tallybook.server.gate import Gate
from tallybook.server.identities import check_entity, page_of
from tallybook.server.openapi import document
from tallybook.server.origins import PAGE_PATHS, allow_origin, check_origin, preflight
from tallybook.server.protocol_door import ProtocolDoor
from tallybook.server.protocol_routes import ProtocolRoutes
from tallybook.server.rates import Rates
from tallybook.server.reads import EventReads
from tallybook.server.requests import Request, request_of
from tallybook.server.scripts import ScriptDoor
from tallybook.server.storing import event_and_day, on_disk, verdicts_of
from tallybook.server.watching import Watching
from tallybook.storage import ApiKey, EventLedger

SMALL_BODY = 64 * 1024
"""Larger bodies are decoded in a thread, so that other requests are answered meanwhile."""


class EventsApp:
    """The application. `problem` returns why nothing can be stored now, or None. `clock` is called once per request.
    Without `commit`, it only answers readers. `first_doors` are tried before everything else, because they decide by a
    header."""

    def __init__(
        self,
        commit: GroupCommit | None,
        keys: KeyRing,
        events: EventLedger,
        *,
        clock: Callable[[], datetime],
        problem: Callable[[], RequestError | None] = lambda: None,
        reads: EventReads | None = None,
        watching: Watching | None = None,
        entities: EntityDoor | None = None,
        first_doors: Sequence[Door] = (),
        doors: Sequence[Door] = (),
        rules: EventRules = DEFAULT_RULES,
    ) -> None:
        self.commit, self.keys, self.events, self.clock, self.problem = commit, keys, events, clock, problem
        self.reads, self.watching, self.entities = reads, watching or Watching(), entities
        self.first_doors, self.doors = first_doors, doors
        self.policy = DoorPolicy()
        self.protocols = dict.fromkeys(PROTOCOLS.kind(OWN_PROTOCOL).paths, OWN_PROTOCOL) if commit else {}
        self.gate = Gate(keys, clock)
        self.claims, self.names = RequestClaims(events, clock), KnownNames(events)
        self.others = ProtocolDoor(self)
        self.rates, self.room = Rates(time.monotonic), BodyRoom()
        self.page_doors: Sequence[Door] = (BeaconDoor(self), ScriptDoor(), CsvDoor(self))
        self.set_rules(rules)

    def set_rules(self, rules: EventRules) -> None:
        """Set the rules for events from now on."""
        self.rules = rules
        self.claims.window = timedelta(seconds=rules.settings.dedup)
        allowed = rules.settings.protocols
        self.routes = ProtocolRoutes(allowed if self.commit is not None else ())
        self.watching.routes = self.routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        began = time.monotonic()
        request = request_of(scope, receive, self.policy)
        try:
            answer = await self._answer(request)
        except Refusal as refusal:
            answer = refusal.answer()
        except ClientGone:
            answer = HttpAnswer(CLIENT_GONE)
        except Exception as error:  # noqa: BLE001  # whatever it is, the sender must know that nothing is acknowledged
            self.watching.on_error(error)
            answer = Refusal(unforeseen(), closes=True).answer()
        if self._is_for_pages(request):
            allow_origin(answer, request, self.policy)
        if answer.status != CLIENT_GONE:
            await send_answer(send, answer, head=request.method == "HEAD")
        self.watching.answered(self.clock(), request, answer, time.monotonic() - began)

    async def _answer(self, request: Request) -> HttpAnswer:
        method, path = request.method, request.path
        if method == "OPTIONS" and "origin" in request.headers and self._is_for_pages(request):
            return preflight(request, self.policy)
        if (first := next((one for one in self.first_doors if one.takes(request)), None)) is not None:
            return await first.answer(request, self.gate)
        if (route := self.routes.find(path)) is not None:
            return await self.others.answer(request, route)
        has_page = self.reads is not None and path == "/v1/events"
        if path in self.protocols and not (has_page and method == "GET"):
            return only(method, "POST", *(("GET",) if has_page else ())) or await self._store(request)
        if path == "/healthz":
            return only(method, "GET", "HEAD") or HttpAnswer(200, {"status": "ok"})
        if path == "/readyz":
            return only(method, "GET", "HEAD") or self._ready()
        if path == "/openapi.json":
            return only(method, "GET") or HttpAnswer(200, document())
        if path == "/metrics":
            return only(method, "GET") or await self._metrics(request)
        if path.startswith("/v1/days/") and self.commit is not None:
            return only(method, "PUT", "DELETE") or await self._day(request)
        if self.entities is not None and (entity := entity_of(request.raw_path)) is not None:
            return only(method, "PUT", "GET", "DELETE") or await self._entity(self.entities, request, *entity)
        if (read := self._read_of(path)) is not None:
            allowed, scopes, answer = read
            return only(method, allowed) or await self._read(request, scopes, answer)
        if (door := next((one for one in (*self.page_doors, *self.doors) if one.takes(request)), None)) is not None:
            return await door.answer(request, self.gate)
        error = RequestError(
            status=404,
            code="not_found",
            message="there is nothing at this path",
            seen=path[:200],
            expected="/v1/events",
        )
        raise Refusal(error, closes=True)

    def _is_for_pages(self, request: Request) -> bool:
        """Whether pages may call this path with a browser key."""
        path = request.path
        is_entity = self.entities is not None and entity_of(request.raw_path) is not None
        return path in self.protocols or path in PAGE_PATHS or is_entity

    def _ready(self) -> HttpAnswer:
        problem = self.problem() or (ledger_error() if self.keys.is_stale else None)
        if problem is not None:
            raise Refusal(problem)
        return HttpAnswer(200, {"status": "ready"})

    async def _metrics(self, request: Request) -> HttpAnswer:
        """The counters. Without a key they are only for this machine, because they contain names of keys."""
        if not is_at_this_machine(request):
            await self.gate.key_of(request, "read")
        problem = self.problem()
        ready = {"ready": ("1 while events can be stored.", float(problem is None and not self.keys.is_stale))}
        text = self.watching.counts.exposition({**self.watching.gauges(), **ready})
        return HttpAnswer(200, headers={"content-type": "text/plain; version=0.0.4; charset=utf-8"}, text=text)

    # -- events ------------------------------------------------------------------------------------

    async def _store(self, request: Request) -> HttpAnswer:
        key = await self.gate.key_of(request, "write", *(("browser",) if request.path != "/v1/values" else ()))
        check_origin(key, request, self.policy)
        self.rates.check(key)
        if (problem := self.problem()) is not None:
            raise Refusal(problem, closes=True)
        assert self.commit is not None
        with self.room.share() as share:
            body = await body_of(request.headers, request.receive, share, self.rules.limits.max_body)
            encoding = request.headers.get("content-encoding", "")
            row = self.row(request, key, body, protocol=OWN_PROTOCOL, path=request.path, encoding=encoding)
            return await self.keep(request, key, row, len(body))

    async def keep(self, request: Request, key: ApiKey, row: LogRow, size: int) -> HttpAnswer:
        """Write a request to the log and return the verdict on it. Raises Refusal if it cannot be read. `size`: number
        of bytes as sent."""
        if len(row.body) > SMALL_BODY or "encoding" in row.headers:
            decoded = await asyncio.to_thread(decode_row, row, self.rules)
        else:
            decoded = decode_row(row, self.rules)
        if decoded.error is not None:
            raise Refusal(decoded.error)
        decoded = await self.names.within(decoded, self.rules.settings.max_events)
        self.rates.take(key, len(decoded.events) + len(decoded.rejected) + len(decoded.changes))
        if not decoded.is_empty:
            await self._claim(request, key, row)
            assert self.commit is not None
            await on_disk(self.commit.on_disk(row))
        answer = verdicts_of(decoded, row.received)
        self.watching.stored(key, answer, size)
        return answer

    def row(
        self,
        request: Request,
        key: ApiKey,
        body: bytes,
        *,
        protocol: str,
        path: str,
        encoding: str,
        noted: Mapping[str, Any] | None = None,
    ) -> LogRow:
        """The log row of a request, with everything that its decoding depends on."""
        again = request.headers.get("idempotency-key", "")
        if len(again) > MAX_ID:
            message = f"Idempotency-Key is longer than {MAX_ID} characters"
            raise Refusal(RequestError(status=400, code="bad_text", message=message))
        headers = {"encoding": encoding, "idempotency_key": again, **key.bounds, **(noted or {})}
        kept = {name: value for name, value in headers.items() if value} | page_of(request, key, self.clock())
        return LogRow(
            received=self.clock(),
            key=key.name,
            protocol=protocol,
            path=path,
            headers=msgspec.json.encode(kept).decode(),
            body=body,
        )

    async def _claim(self, request: Request, key: ApiKey, row: LogRow) -> None:
        """Raise Refusal if the Idempotency-Key was sent with another body before."""
        again = request.headers.get("idempotency-key", "")
        if not again:
            return
        unpacked = unpack(row.body, json.loads(row.headers).get("encoding", ""), self.rules.limits)
        assert isinstance(unpacked, bytes)  # it was decoded before
        digest = hashlib.sha256(row.path.encode() + b"\0" + unpacked).hexdigest()
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
        key = await self.gate.key_of(request, "write")
        event, day = event_and_day(request.raw_path)
        if (key.events and event not in key.events) or key.accounts:
            message = f"the key {key.name!r} is not for the days of this event"
            raise Refusal(RequestError(status=403, code="not_bound", message=message, seen=event[:80]))
        self.rates.check(key)
        if request.method == "PUT" and day > (last := self.rules.last_day(self.clock())):
            message = "the day has not begun in any time zone"
            raise Refusal(
                RequestError(status=400, code="future", message=message, seen=str(day), expected=f"at most {last}")
            )
        self.rates.take(key, 1)
        try:
            if request.method == "PUT":
                await asyncio.to_thread(self.events.close_day, event, day, key.name, now=self.clock())
            else:
                await asyncio.to_thread(self.events.open_day, event, day)
        except TallybookError:
            raise Refusal(ledger_error()) from None
        return HttpAnswer(204)

    async def _entity(self, door: EntityDoor, request: Request, kind: str, entity_id: str) -> HttpAnswer:
        pages = ("browser",) if request.method == "PUT" else ()
        key = await self.gate.key_of(request, "read" if request.method == "GET" else "write", *pages)
        check_origin(key, request, self.policy)
        check_entity(request, key, kind, entity_id, self.clock())
        self.rates.check(key)
        self.rates.take(key, request.method != "GET")
        body = b""
        if request.method == "PUT":
            with self.room.share() as share:
                sent = await body_of(request.headers, request.receive, share, self.rules.limits.max_body)
            unpacked = unpack(sent, request.headers.get("content-encoding", ""))
            if isinstance(unpacked, RequestError):
                raise Refusal(unpacked)
            body = unpacked
        try:
            return await asyncio.to_thread(door.answer, key, request.method, kind, entity_id, body)
        except TallybookError:
            raise Refusal(ledger_error()) from None

    def _read_of(self, path: str) -> tuple[str, tuple[str, ...], Callable[[ApiKey, str], Mapping[str, Any]]] | None:
        """The (method, scopes, answer) of a path that is answered from stored data."""
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
        key = await self.gate.key_of(request, *scopes)
        try:
            return HttpAnswer(200, await asyncio.to_thread(answer, key, request.query))
        except TallybookError:
            raise Refusal(ledger_error()) from None
