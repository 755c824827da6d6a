"""Those who get alerts: a web server and a mail server that are real, small, and remember what came.

with Web() as web:
    web.url                                    # "http://127.0.0.1:40123"
    web.answers = [503]                        # to the next request; 200 to all that follow
    web.posts                                  # [("/hook", {"text": …}), …]
    web.gets                                   # ["/ping/1", …]
"""

from __future__ import annotations

import json
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email import message_from_bytes
from email.header import decode_header, make_header
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class _Server:
    server: socketserver.BaseServer

    def __enter__(self) -> Any:
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])


class Web(_Server):
    """Answers 200 to everything, but for what `answers` says of the next requests."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, Any]] = []
        self.gets: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.answers: list[int] = []
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                web.headers.append(dict(self.headers))
                self.answered(lambda: web.posts.append((self.path, json.loads(body))))

            def do_GET(self) -> None:
                self.answered(lambda: web.gets.append(self.path))

            def answered(self, remember: Any) -> None:
                code = web.answers.pop(0) if web.answers else 200
                if code == 200:
                    remember()
                self.send_response(code)
                if 300 <= code < 400:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def told(self) -> list[dict[str, Any]]:
        """The messages that came, without those that were taken before."""
        found, self.posts = [body for _, body in self.posts], []
        return found


class Mail(_Server):
    """Takes every mail: (subject, text)."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, str]] = []
        self.to: list[str] = []
        mail = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.say("220 here")
                for line in iter(self.rfile.readline, b""):
                    word = line.decode().strip().upper()
                    if word.startswith("DATA"):
                        self.say("354 go on")
                        mail.take(self.data())
                    if word.startswith("RCPT"):
                        mail.to.append(line.decode().strip().partition(":")[2])
                    self.say("221 bye" if word == "QUIT" else "250 ok")

            def data(self) -> bytes:
                lines = list(iter(self.rfile.readline, b".\r\n"))
                return b"".join(line.removeprefix(b".") if line.startswith(b"..") else line for line in lines)

            def say(self, text: str) -> None:
                self.wfile.write(f"{text}\r\n".encode())

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)

    def take(self, written: bytes) -> None:
        mail = message_from_bytes(written)
        part = next(one for one in mail.walk() if one.get_content_type() == "text/plain")
        text = part.get_payload(decode=True).decode()  # type: ignore[union-attr]
        self.mails.append((str(make_header(decode_header(mail["Subject"]))), text))


# --- servers that misbehave, byte by byte


HEADERS = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
Serve = Callable[[socket.socket], None]


@contextmanager
def server(serve: Serve) -> Iterator[tuple[str, list[bytes]]]:
    """The address of a server on loopback that answers each connection with `serve`, and the requests that came."""
    listener = socket.create_server(("127.0.0.1", 0))
    requests: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            requests.append(connection.recv(65536))
            serve(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}", requests
    finally:
        listener.close()


def byte_by_byte(connection: socket.socket) -> None:
    connection.sendall(HEADERS + b"Content-Length: 1000000\r\n\r\n")
    while True:
        connection.sendall(b".")
        time.sleep(0.05)


def headers_byte_by_byte(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        connection.sendall(b".")
        time.sleep(0.05)


def endless(form: str, sent: list[int], most: int) -> Serve:
    """An answer of at most so many bytes: its length is said, or it comes in chunks, or ends with the connection.
    `sent[0]`: the bytes that the reader has taken."""

    def serve(connection: socket.socket) -> None:
        more = {"length": b"Content-Length: 9000000000\r\n", "chunks": b"Transfer-Encoding: chunked\r\n"}.get(form, b"")
        connection.sendall(HEADERS + more + b"\r\n")
        block = b"x" * 65536
        while sent[0] < most:
            connection.sendall(b"10000\r\n" + block + b"\r\n" if form == "chunks" else block)
            sent[0] += len(block)

    return serve


def silent(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass
