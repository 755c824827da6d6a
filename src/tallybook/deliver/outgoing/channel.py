"""Requests over a connection that stays open. No redirect is followed: its target was not checked, and a message would
turn into an empty GET."""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import ClassVar

from tallybook.core import DestinationUnavailable, OutcomeUnknown
from tallybook.deliver.outgoing.addresses import Resolver, Target
from tallybook.deliver.outgoing.deadlines import DEADLINES
from tallybook.deliver.outgoing.failures import HttpReply

CONNECT_SECONDS = 10.0
REQUEST_SECONDS = 30.0
MAX_ANSWER_BYTES = 64 * 1024
"""The part of an answer that is kept; one that is longer closes the connection."""
AGENT = "tallybook"


@dataclass(frozen=True, kw_only=True)
class OutgoingRequest:
    """A request. `path` begins with a slash and has the query; a body is text or bytes of `content_type`."""

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


class _Plain(HTTPConnection):
    """A connection to an address that was checked."""

    address: str = ""

    def connect(self) -> None:
        self.sock = socket.create_connection((self.address, self.port), self.timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class _Secure(HTTPSConnection):
    """The same with TLS: the certificate must be of the name in the URL."""

    address: str = ""
    tls: ClassVar[ssl.SSLContext | None] = None

    def connect(self) -> None:
        if _Secure.tls is None:
            _Secure.tls = ssl.create_default_context()
        plain = socket.create_connection((self.address, self.port), self.timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = plain
        self.sock = _Secure.tls.wrap_socket(plain, server_hostname=self.host)


@dataclass
class Channel:
    """A connection to one target, for one thread. It is opened by the first request, and again after a failure."""

    target: Target
    resolver: Resolver
    seconds: float = REQUEST_SECONDS
    max_answer: int = MAX_ANSWER_BYTES
    _connection: HTTPConnection | None = None
    _is_late: bool = False

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def exchange(self, request: OutgoingRequest) -> HttpReply:
        """The answer to a request, at most `seconds` later.

        Raises DestinationUnavailable when nothing was sent, OutcomeUnknown when something was and no complete answer
        came, DestinationRefused for an address that may not be called."""
        began, self._is_late = time.monotonic(), False
        with DEADLINES.limit(self.seconds, self._stop):
            connection = self._connected()
            try:
                answer = self._exchanged(connection, request, began)
            except (OSError, HTTPException, ValueError) as error:
                self.close()
                reason = f"within {self.seconds:g} seconds" if self._is_late else f"({_words(error)})"
                raise OutcomeUnknown(f"{self.target.shown} gave no complete answer {reason}") from None
        if self._is_late:
            self.close()
        return answer

    def _exchanged(self, connection: HTTPConnection, request: OutgoingRequest, began: float) -> HttpReply:
        headers = {"User-Agent": AGENT, "Accept": "application/json", **request.headers}
        if request.body or request.method in ("POST", "PUT", "PATCH"):
            headers["Content-Type"] = request.content_type
        body = request.body if request.body or request.method in ("POST", "PUT", "PATCH") else None
        connection.request(request.method, request.path, body, headers)
        with connection.getresponse() as response:
            beginning = response.read(self.max_answer + 1)
            is_whole = len(beginning) <= self.max_answer
            found = {name.lower(): value for name, value in response.getheaders()}
            status, will_close = response.status, response.will_close
            if not is_whole:
                self.close()
        if will_close:
            self.close()
        seconds = time.monotonic() - began
        return HttpReply(status=status, headers=found, body=beginning[: self.max_answer], seconds=seconds)

    def _connected(self) -> HTTPConnection:
        """The open connection, or a new one: another end that was closed meanwhile is noticed here, before sending."""
        if self._connection is not None and not _is_closed(self._connection.sock):
            return self._connection
        self.close()
        failed = ""
        for address in self.resolver.addresses(self.target):
            kind = _Secure if self.target.is_tls else _Plain
            made = kind(self.target.host, self.target.port, timeout=min(CONNECT_SECONDS, self.seconds))
            made.address = address
            self._connection = made
            try:
                made.connect()
            except (OSError, ValueError) as error:
                self.close()
                failed = f"within {self.seconds:g} seconds" if self._is_late else _words(error)
                if self._is_late:
                    break
                continue
            made.sock.settimeout(self.seconds)
            return made
        raise DestinationUnavailable(f"{self.target.shown} cannot be reached: {failed}")

    def _stop(self) -> None:
        """End what takes too long, from another thread."""
        self._is_late = True
        held = self._connection.sock if self._connection is not None else None
        if held is not None:
            try:
                socket.socket.shutdown(held, socket.SHUT_RDWR)
            except OSError:
                return  # closed already


def _is_closed(held: socket.socket | None) -> bool:
    """Whether the other end closed a connection, or sent something that nobody asked for."""
    if held is None:
        return True
    try:
        return bool(select.select([held], [], [], 0)[0])
    except (OSError, ValueError):
        return True


def _words(error: BaseException) -> str:
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(said.split()) or type(error).__name__
