"""Sends requests over a connection that stays open. Redirects are not followed: their target was not checked, and a
message would turn into an empty GET."""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import ClassVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from tallybook.core import DestinationUnavailable, OutcomeUnknown, is_loopback
from tallybook.deliver.outgoing.addresses import Resolver, Target
from tallybook.deliver.outgoing.deadlines import DEADLINES
from tallybook.deliver.outgoing.failures import HttpReply

CONNECT_SECONDS = 10.0
REQUEST_SECONDS = 30.0
MAX_ANSWER_BYTES = 64 * 1024
"""Maximum size of the part of an answer that is kept. A longer answer closes the connection."""
AGENT = "tallybook"


@dataclass(frozen=True, kw_only=True)
class OutgoingRequest:
    """A request. `path` begins with a slash and includes the query. The body is text or bytes of `content_type`."""

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


class _Plain(HTTPConnection):
    """A connection to a checked address, or to a proxy."""

    address: tuple[str, int]

    def connect(self) -> None:
        self.sock = socket.create_connection(self.address, self.timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class _Secure(HTTPSConnection):
    """A connection with TLS. The certificate must match the name in the URL."""

    address: tuple[str, int]
    is_tunnel: bool = False
    tls: ClassVar[ssl.SSLContext | None] = None

    def connect(self) -> None:
        if _Secure.tls is None:
            _Secure.tls = ssl.create_default_context()
        plain = socket.create_connection(self.address, self.timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = plain
        if self.is_tunnel:
            _open_tunnel(plain, self.host, self.port)
        self.sock = _Secure.tls.wrap_socket(plain, server_hostname=self.host)


CREDENTIAL_HEADERS = frozenset({"authorization", "proxy-authorization", "x-aptrinsic-api-key"})
MIN_CREDENTIAL = 8
"""Minimum length of a credential. Shorter words, such as Basic, do not count as credentials."""


@dataclass
class Channel:
    """A connection to one target, for one thread. The first request opens it, and so does the first request after a
    failure."""

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
        """The answer to a request, within `seconds`.

        Raises DestinationUnavailable if nothing was sent, OutcomeUnknown if something was sent and no complete answer
        came, and DestinationRefused for an address that may not be called."""
        began, self._is_late = time.monotonic(), False
        with DEADLINES.limit(self.seconds, self._stop):
            connection = self._connected()
            answer: HttpReply | None
            try:
                answer = self._exchanged(connection, request, began)
            except (OSError, HTTPException, ValueError) as error:
                self.close()
                # The time limit of one read and that of the whole exchange can end at the same moment.
                if not self._is_late and not isinstance(error, TimeoutError):
                    raise OutcomeUnknown(f"{self.target.shown} gave no complete answer ({_words(error)})") from None
                answer = None
        if answer is None or self._is_late:
            self.close()
            raise OutcomeUnknown(f"{self.target.shown} gave no complete answer within {self.seconds:.3g} seconds")
        return answer

    def _exchanged(self, connection: HTTPConnection, request: OutgoingRequest, began: float) -> HttpReply:
        headers = {"User-Agent": AGENT, "Accept": "application/json", **request.headers}
        if request.body or request.method in ("POST", "PUT", "PATCH"):
            headers["Content-Type"] = request.content_type
        body = request.body if request.body or request.method in ("POST", "PUT", "PATCH") else None
        path = request.path
        if not self.target.is_tls and self._proxy() is not None:
            path = f"http://{self.target.split.netloc}{path}"
        connection.request(request.method, path, body, headers)
        with connection.getresponse() as response:
            beginning = b"" if 300 <= response.status < 400 else response.read(self.max_answer + 1)
            is_whole = len(beginning) <= self.max_answer
            found = {name.lower(): value for name, value in response.getheaders()}
            status, will_close = response.status, response.will_close or 300 <= response.status < 400
            reason = " ".join(response.reason.split())
            if not is_whole:
                self.close()
        if will_close:
            self.close()
        seconds = time.monotonic() - began
        answer = beginning[: self.max_answer]
        if status >= 300:
            answer = _without_credentials(answer, request.headers)
        return HttpReply(status=status, headers=found, body=answer, seconds=seconds, reason=reason)

    def _connected(self) -> HTTPConnection:
        """The open connection, or a new one. A connection that the other end closed is detected here, before
        sending."""
        if self._connection is not None and not _is_closed(self._connection.sock):
            return self._connection
        self.close()
        failed = ""
        for address in self._addresses():
            kind = _Secure if self.target.is_tls else _Plain
            made = kind(self.target.host, self.target.port, timeout=min(CONNECT_SECONDS, self.seconds))
            made.address = address
            if isinstance(made, _Secure):
                made.is_tunnel = self._proxy() is not None
            self._connection = made
            try:
                made.connect()
            except (OSError, ValueError, HTTPException) as error:
                self.close()
                failed = f"within {self.seconds:.3g} seconds" if self._is_late else _words(error)
                if self._is_late:
                    break
                continue
            made.sock.settimeout(self.seconds)
            return made
        raise DestinationUnavailable(f"{self.target.shown} cannot be reached: {failed}")

    def _addresses(self) -> list[tuple[str, int]]:
        """The addresses to connect to: the checked addresses of the target, or the address of the proxy."""
        proxy = self._proxy()
        if proxy is None:
            return [(address, self.target.port) for address in self.resolver.addresses(self.target)]
        with suppress(DestinationUnavailable):  # behind a proxy, public names may not resolve here
            self.resolver.addresses(self.target)
        return [proxy]

    def _proxy(self) -> tuple[str, int] | None:
        """The proxy for this target from HTTPS_PROXY or HTTP_PROXY, or None."""
        if is_loopback(self.target.host):
            return None
        url = getproxies().get(self.target.split.scheme.lower(), "")
        if not url or proxy_bypass(self.target.host):
            return None
        where = urlsplit(url if "://" in url else f"http://{url}")
        return (where.hostname or "", where.port or 8080)

    def _stop(self) -> None:
        """End an exchange that takes too long. Called from another thread."""
        self._is_late = True
        held = self._connection.sock if self._connection is not None else None
        if held is not None:
            try:
                socket.socket.shutdown(held, socket.SHUT_RDWR)
            except OSError:
                return  # closed already


def _without_credentials(answer: bytes, headers: Mapping[str, str]) -> bytes:
    """The answer of a failing receiver, without the credentials of its request. Some receivers repeat them, and answers
    are shown and stored."""
    for name, value in headers.items():
        if name.lower() in CREDENTIAL_HEADERS:
            for part in value.split():
                if len(part) >= MIN_CREDENTIAL:
                    answer = answer.replace(part.encode(), b"***")
    return answer


def _open_tunnel(plain: socket.socket, host: str, port: int) -> None:
    """Ask a proxy for a connection to a host."""
    plain.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode("ascii"))
    head = b""
    while b"\r\n\r\n" not in head:
        more = plain.recv(1)
        if not more or len(head) > MAX_ANSWER_BYTES:
            raise OSError("the proxy did not answer")
        head += more
    if head.split(b" ", 2)[1:2] != [b"200"]:
        raise OSError("the proxy refused the connection")


def _is_closed(held: socket.socket | None) -> bool:
    """Whether the other end closed a connection, or sent something unexpected."""
    if held is None:
        return True
    try:
        return bool(select.select([held], [], [], 0)[0])
    except (OSError, ValueError):
        return True


def _words(error: BaseException) -> str:
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(said.split()) or type(error).__name__
