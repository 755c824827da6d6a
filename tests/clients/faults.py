"""A proxy before a server that answers wrongly at first: one address for each client and case, all in one thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import msgspec

from tallybook.core import EventRequest, RequestError
from tallybook.server.protocol_routes import ProtocolRoutes, method_of

CASES = ("normal", "429", "503", "500", "cut", "late")
"""The first request is: stored; refused with Retry-After, in our server's own words; an error without a body; stored
and cut off; stored and answered after the client gave up."""
LATE_SECONDS = 1.5
REFUSALS = {
    "429": RequestError(status=429, code="rate_limit", message="too many"),
    "503": RequestError(status=503, code="backlog", message="too many wait"),
}


class FaultyProxy:
    """Forwards to `port` of this machine."""

    def __init__(self, port: int) -> None:
        self.port, self.routes = port, ProtocolRoutes()
        self.loop = asyncio.new_event_loop()

    def listen(self, clients: Sequence[str]) -> dict[str, dict[str, str]]:
        """By case and client the address."""
        made = asyncio.run_coroutine_threadsafe(self._listen(clients), self.loop)
        return made.result(10)

    async def _listen(self, clients: Sequence[str]) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for case in CASES:
            for client in clients:
                waiting = [case]

                async def answer(
                    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, waiting: list[str] = waiting
                ) -> None:
                    try:
                        await self._answer(reader, writer, waiting)
                    except (OSError, asyncio.IncompleteReadError):
                        pass
                    finally:
                        writer.close()

                server = await asyncio.start_server(answer, "127.0.0.1", 0)
                port = server.sockets[0].getsockname()[1]
                found.setdefault(case, {})[client] = f"http://127.0.0.1:{port}"
        return found

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, waiting: list[str]) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        fields = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])
        }
        if fields.get("expect"):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = b""
        if "content-length" in fields:
            body = await reader.readexactly(int(fields["content-length"]))
        elif "chunked" in fields.get("transfer-encoding", ""):
            body = await reader.readuntil(b"0\r\n\r\n")
        fault = waiting.pop() if waiting else "normal"
        if fault in REFUSALS or fault == "500":
            writer.write(self._refusal(fault, head))
            await writer.drain()
            return
        answer = await self._forwarded(head, body)
        if fault == "cut":
            return
        if fault == "late":
            await asyncio.sleep(LATE_SECONDS)
        writer.write(answer)
        await writer.drain()

    def _refusal(self, fault: str, head: bytes) -> bytes:
        if fault == "500":
            return b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        path = head.split(b" ", 2)[1].decode().partition("?")[0]
        route = self.routes.find(path)
        assert route is not None, path
        error = REFUSALS[fault]
        sent = EventRequest(body=b"", path=route.path, received=datetime.now(UTC))
        found = method_of(route.owner, "refused")(sent, error)
        body = found.text.encode() if found.text is not None else msgspec.json.encode(found.body)
        return (
            f"HTTP/1.1 {error.status} Refused\r\ncontent-type: application/json\r\nretry-after: 1\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        ).encode() + body

    async def _forwarded(self, head: bytes, body: bytes) -> bytes:
        first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
        kept = [line for line in lines if not line.lower().startswith((b"connection:", b"expect:"))]
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"\r\n".join([first, *kept, b"connection: close", b"", b""]) + body)
        await writer.drain()
        answer = await reader.read()
        writer.close()
        return answer


@contextmanager
def faulty_proxy(port: int) -> Iterator[FaultyProxy]:
    """A proxy in a thread of its own."""
    proxy = FaultyProxy(port)
    thread = threading.Thread(target=proxy.loop.run_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.loop.call_soon_threadsafe(proxy.loop.stop)
        thread.join(5)
