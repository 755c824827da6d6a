"""A small HTTP/1.1 server on localhost, with one thread per connection. `http.server` would be the bottleneck."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from http import HTTPStatus
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

from tallybook_emulators.gainsight_px.api import PxAnswer, PxApi, in_json

MAX_LINE = 65_536


class PxConnection(StreamRequestHandler):
    """Reads whole requests, and sends each answer in one write."""

    disable_nagle_algorithm = True
    server: PxServer

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):
            while self._one():
                pass

    def _one(self) -> bool:
        """Answer one request. Returns False if the connection ends."""
        words = self.rfile.readline(MAX_LINE).decode("latin-1").split()
        if len(words) != 3:
            return False
        headers: dict[str, str] = {}
        while line := self.rfile.readline(MAX_LINE).strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        answer = self._answer(words[0], words[1], headers, self._body(headers))
        if answer.cut or answer.reset:
            self._cut(reset=answer.reset)
            return False
        keeps = headers.get("connection", "").lower() != "close" and words[2] == "HTTP/1.1"
        self.wfile.write(_on_the_wire(answer, keeps=keeps))
        return keeps

    def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" not in headers.get("transfer-encoding", "").lower():
            return self.rfile.read(int(headers.get("content-length") or 0))
        pieces = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _answer(self, verb: str, target: str, headers: dict[str, str], body: bytes) -> PxAnswer:
        try:
            return self.server.api.handle(verb, target, headers, body)
        except Exception as error:  # noqa: BLE001  # the client gets a 500, tests read `PxEmulator.mistakes`
            self.server.mistakes.append(error)
            return in_json(500, {"externalapierror": {"status": "INTERNAL_SERVER_ERROR", "message": repr(error)}})

    def _cut(self, *, reset: bool) -> None:
        with contextlib.suppress(OSError):
            if reset:
                # Linger of zero seconds: closing discards unsent bytes and sends RST.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                self.connection.shutdown(socket.SHUT_RDWR)
            self.connection.close()


def _on_the_wire(answer: PxAnswer, *, keeps: bool) -> bytes:
    head = [f"HTTP/1.1 {answer.status} {_phrase(answer.status)}"]
    head += [f"{name}: {value}" for name, value in answer.headers.items()]
    if answer.status != 204:
        head += [f"Content-Type: {answer.content_type}", f"Content-Length: {len(answer.body)}"]
    head += [] if keeps else ["Connection: close"]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + answer.body


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


class PxServer(ThreadingTCPServer):
    """A server that stops without waiting for idle connections."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, api: PxApi, host: str, port: int) -> None:
        super().__init__((host, port), PxConnection)
        self.api = api
        self.mistakes: list[Exception] = []
        self.connections = 0
        """Number of open connections."""
        self._counting = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        # 20 ms: the longest time that a stop waits.
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        if self._thread is not None:
            self._thread.join()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._counting:
            self.connections += 1
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._counting:
                self.connections -= 1

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnected."""
