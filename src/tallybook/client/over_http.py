"""Requests over HTTP with the standard library: one connection, kept open."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from tallybook.client.transports import TransportAnswer, TransportFailed
from tallybook.core import DeclarationError

MAX_ANSWER_BYTES = 8_000_000
_GONE = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError, http.client.CannotSendRequest)
"""What a connection that the server closed meanwhile looks like."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class HttpTransport:
    """Sends to `https://host[:port][/prefix]`, `http://…` or `unix:/path`."""

    def __init__(self, address: str, key: str) -> None:
        self.address = address.rstrip("/")
        self.is_unix = address.startswith("unix:")
        self.parts = urlsplit("" if self.is_unix else self.address)
        if not self.is_unix and (self.parts.scheme not in ("http", "https") or not self.parts.hostname):
            raise DeclarationError(
                f"{address!r} is no address of a server", hint='tallybook.Client("https://tallybook.acme.com", key)'
            )
        self.headers = {
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/json",
            "User-Agent": "tallybook-python",
        }
        self.connection: http.client.HTTPConnection | None = None

    def request(self, method: str, path: str, body: bytes, seconds: float) -> TransportAnswer:
        is_reused = self.connection is not None
        try:
            try:
                return self._request(method, path, body, seconds)
            except _GONE:
                if not is_reused:
                    raise
                # The server closed a connection that had been idle. What is sent twice is stored once.
                self.close()
                return self._request(method, path, body, seconds)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            reason = str(error) or type(error).__name__
            raise TransportFailed(f"no answer from {self.address}: {reason}") from None

    def _request(self, method: str, path: str, body: bytes, seconds: float) -> TransportAnswer:
        connection = self.connection = self.connection or self._connected()
        connection.timeout = seconds
        if connection.sock is not None:
            connection.sock.settimeout(seconds)
        connection.request(method, f"{self.parts.path}{path}", body or None, self.headers)
        answer = connection.getresponse()
        raw = answer.read(MAX_ANSWER_BYTES)
        if answer.will_close or not answer.isclosed():
            self.close()
        return TransportAnswer(
            status=answer.status, body=_json(raw), retry_after=seconds_of(answer.getheader("Retry-After"))
        )

    def _connected(self) -> http.client.HTTPConnection:
        if self.is_unix:
            return _UnixConnection(self.address.removeprefix("unix:"))
        host, port = self.parts.hostname or "", self.parts.port
        if self.parts.scheme == "https":
            return http.client.HTTPSConnection(host, port, context=ssl.create_default_context())
        return http.client.HTTPConnection(host, port)

    def settle(self) -> None:
        """The server compacts what it stored."""

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return None


def seconds_of(text: str | None) -> float | None:
    """The seconds of a Retry-After header: a number, or the time until an instant."""
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
