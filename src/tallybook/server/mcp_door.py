"""`/mcp`: tools for assistants over Streamable HTTP, for readers with a key or a login.

Each request is complete. There are no sessions, so any worker can answer it, and no stream stays open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from tallybook.core import RequestError
from tallybook.server.access import reader_of
from tallybook.server.answers import HttpAnswer, Refusal, only
from tallybook.server.bodies import BodyRoom, body_of
from tallybook.server.books import SharedBook
from tallybook.server.gate import Gate
from tallybook.server.readers import AnswerReader
from tallybook.server.requests import Request

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

PATH = "/mcp"
MAX_BODY = 1_000_000
START_SECONDS = 10.0
_READER: ContextVar[AnswerReader] = ContextVar("tallybook_assistant_reader")
"""The reader of the current request. Tasks of the request inherit it."""


@dataclass(kw_only=True)
class AssistantDoor:
    """Answers `/mcp`."""

    book: SharedBook
    on_error: Callable[[Exception], None] = lambda error: None
    room: BodyRoom = field(default_factory=BodyRoom)
    _running: tuple[asyncio.AbstractEventLoop, StreamableHTTPSessionManager, asyncio.Task[None]] | None = None

    def takes(self, request: Request) -> bool:
        return request.path == PATH

    async def answer(self, request: Request, gate: Gate) -> HttpAnswer:
        reader = await reader_of(request, gate)
        if (refused := only(request.method, "POST")) is not None:
            return refused
        with self.room.share() as share:
            body = await body_of(request.headers, request.receive, share, MAX_BODY)
        request.asked = _asked(body)
        manager = await self._manager()
        token = _READER.set(reader)
        try:
            return await _through(manager, request, body)
        finally:
            _READER.reset(token)

    async def _manager(self) -> StreamableHTTPSessionManager:
        """The transport of this event loop. The first request starts it."""
        loop = asyncio.get_running_loop()
        if self._running is not None and self._running[0] is loop and not self._running[2].done():
            return self._running[1]
        try:
            from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
        except ImportError:
            message = "this server has no tools for assistants"
            error = RequestError(
                status=501, code="not_installed", message=message, expected="pip install 'tallybook[mcp]'"
            )
            raise Refusal(error) from None
        from mcp.server.transport_security import TransportSecuritySettings

        from tallybook.server.assistants import AssistantTools, assistant_server

        tools = AssistantTools(self.book, _READER.get, self.on_error)
        # `reader_of` checks hosts and origins.
        unchecked = TransportSecuritySettings(enable_dns_rebinding_protection=False)
        made = StreamableHTTPSessionManager(
            assistant_server(tools)._lowlevel_server, json_response=True, stateless=True, security_settings=unchecked
        )
        ready = asyncio.Event()
        task = asyncio.create_task(_kept(made, ready))
        self._running = loop, made, task
        async with asyncio.timeout(START_SECONDS):
            await ready.wait()
        return made


async def _kept(manager: StreamableHTTPSessionManager, ready: asyncio.Event) -> None:
    """Run the transport until its event loop ends."""
    async with manager.run():
        ready.set()
        await asyncio.Event().wait()


async def _through(manager: StreamableHTTPSessionManager, request: Request, body: bytes) -> HttpAnswer:
    """The answer of the SDK's transport to a request."""
    sent: list[MutableMapping[str, Any]] = []
    given = False

    async def receive() -> MutableMapping[str, Any]:
        nonlocal given
        if given:
            await asyncio.Event().wait()  # waits for ever: the waiting task is cancelled at the end
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    kept = {name: text for name, text in request.headers.items() if name not in ("authorization", "cookie")}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.client.scheme,
        "path": PATH,
        "raw_path": PATH.encode(),
        "root_path": "",
        "query_string": b"",
        "client": None,
        "server": None,
        "headers": [(name.encode(), text.encode("latin-1")) for name, text in kept.items()],
    }
    await manager.handle_request(scope, receive, send)
    return _answer(sent)


def _answer(sent: list[MutableMapping[str, Any]]) -> HttpAnswer:
    start = next(one for one in sent if one["type"] == "http.response.start")
    content = b"".join(one.get("body", b"") for one in sent if one["type"] == "http.response.body")
    headers = {name.decode("latin-1").lower(): text.decode("latin-1") for name, text in start.get("headers", ())}
    headers = {name: text for name, text in headers.items() if name not in ("content-length", "connection", "date")}
    return HttpAnswer(start["status"], headers=headers, text=content)


def _asked(body: bytes) -> object:
    """The part of a request for the audit log: the tool and its arguments."""
    try:
        sent = msgspec.json.decode(body)
        called = sent.get("params", {})
        return {"method": sent.get("method"), **{k: called[k] for k in ("name", "arguments") if k in called}}
    except (msgspec.DecodeError, AttributeError, TypeError, RecursionError):
        return {}
