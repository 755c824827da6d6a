"""Requests over HTTP with the standard library: one connection, kept open."""

from __future__ import annotations

import base64
import functools
import http.client
import io
import json
import socket
import ssl
import time
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from tallybook.client.transports import TransportAnswer, TransportFailed
from tallybook.core import DeclarationError

MAX_ANSWER_BYTES = 8_000_000
_GONE = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError, http.client.CannotSendRequest)
"""What a connection that the server closed meanwhile looks like."""


class _TimedReader(io.RawIOBase):
    """Reads from a socket until an instant. The time limit of a socket is for each step, so a server that sends a byte
    from time to time would never reach it."""

    def __init__(self, stream: io.RawIOBase, sock: socket.socket, until: float) -> None:
        self.stream, self.sock, self.until = stream, sock, until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError("no complete answer in time")
        self.sock.settimeout(left)
        return self.stream.readinto(buffer)

    def close(self) -> None:
        self.stream.close()
        super().close()


class _TimedAnswer(http.client.HTTPResponse):
    """An answer that is complete at `until`, an instant of the monotonic clock, or raises TimeoutError."""

    def __init__(self, sock: socket.socket, *given: Any, until: float, **named: Any) -> None:
        super().__init__(sock, *given, **named)
        buffered: Any = self.fp
        self.fp = io.BufferedReader(_TimedReader(buffered.detach(), sock, until))


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
        self.proxy = None if self.is_unix else proxy_of(self.parts)
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
            through = f" through the proxy {self.proxy.hostname}:{self.proxy.port or 80}" if self.proxy else ""
            raise TransportFailed(f"no answer from {self.address}{through}: {reason}") from None

    def _request(self, method: str, path: str, body: bytes, seconds: float) -> TransportAnswer:
        """The answer, complete after so many seconds at most."""
        until = time.monotonic() + seconds
        connection = self.connection = self.connection or self._connected()
        connection.timeout = seconds
        answers: Any = functools.partial(_TimedAnswer, until=until)
        connection.response_class = answers
        if connection.sock is not None:
            connection.sock.settimeout(seconds)
        connection.request(method, f"{self._before_path()}{path}", body or None, self._headers())
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
        reached = (host, port) if self.proxy is None else (self.proxy.hostname or "", self.proxy.port or 80)
        if self.parts.scheme != "https":
            return http.client.HTTPConnection(*reached)
        secured = http.client.HTTPSConnection(*reached, context=ssl.create_default_context())
        if self.proxy is not None:
            secured.set_tunnel(host, port, _sign_in(self.proxy))
        return secured

    def _before_path(self) -> str:
        """A proxy gets the whole address, unless it only passes bytes on."""
        return self.address if self.proxy is not None and self.parts.scheme == "http" else self.parts.path

    def _headers(self) -> dict[str, str]:
        """Through a tunnel the proxy sees none of these."""
        if self.proxy is None or self.parts.scheme == "https":
            return self.headers
        return {**self.headers, **_sign_in(self.proxy)}

    def settle(self) -> None:
        """The server compacts what it stored."""

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None


def proxy_of(parts: SplitResult) -> SplitResult | None:
    """The proxy that HTTPS_PROXY or HTTP_PROXY names for a server, unless NO_PROXY names the server or it is this
    machine. Raises DeclarationError."""
    from urllib.request import getproxies, proxy_bypass

    host = parts.hostname or ""
    found = getproxies().get(parts.scheme)
    if not found or host in ("localhost", "::1") or host.startswith("127.") or proxy_bypass(host):
        return None
    proxy = urlsplit(found if "://" in found else f"http://{found}")
    if proxy.scheme != "http" or not proxy.hostname:
        name = f"{parts.scheme.upper()}_PROXY"
        raise DeclarationError(f"{name} is no address of an HTTP proxy", hint=f"{name}=http://proxy.acme.com:3128")
    return proxy


def _sign_in(proxy: SplitResult) -> dict[str, str]:
    """The header with the user and the password of a proxy's address."""
    if proxy.username is None:
        return {}
    words = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(words.encode()).decode()}"}


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return None


def seconds_of(text: str | None) -> float | None:
    """The seconds of a Retry-After header: a number, or the time until an instant."""
    if not text:
        return None
    with suppress(ValueError):
        return max(0.0, float(text))
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
