"""The HTTP/1.1 server on localhost, with one thread per connection."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tallybook_emulators.sheets.api import Answer, Api, in_json


class Handler(BaseHTTPRequestHandler):
    """Reads a whole request, and sends its answer in one write."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def log_message(self, *_: Any) -> None:
        """Log nothing. `Emulator.requests` has all requests."""

    def answer(self) -> None:
        body = self._body()
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            answer = self.server.api.handle(self.command, self.path, headers, body)
        except Exception as error:  # noqa: BLE001  # the client gets a 500, tests read `Emulator.mistakes`
            self.server.mistakes.append(error)
            answer = in_json(
                500, {"error": {"code": 500, "message": f"the emulator is wrong: {error!r}", "status": "INTERNAL"}}
            )
        if answer.cut or answer.reset:
            self._cut(reset=answer.reset)
        else:
            self._send(answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815  # http.server calls these names

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "private")
        with contextlib.suppress(ConnectionError):
            self.end_headers()
            self.wfile.write(answer.body)

    def _cut(self, *, reset: bool) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            if reset:
                # Linger of zero seconds: closing discards unsent bytes and sends RST.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                self.connection.shutdown(socket.SHUT_RDWR)
            self.connection.close()


class Server(ThreadingHTTPServer):
    """A server that stops without waiting for idle connections."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, api: Api, host: str, port: int) -> None:
        super().__init__((host, port), Handler)
        self.api = api
        self.mistakes: list[Exception] = []
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

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnected."""
