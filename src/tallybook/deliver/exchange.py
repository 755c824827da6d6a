"""One HTTP request to a declared address, with a deadline and a size limit, which does not send the password elsewhere.

A socket timeout applies to each step, so a server that sends a byte every few seconds would never reach it. Here the
whole exchange has a deadline, and only the beginning of an answer is read."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tallybook.core import DestinationRefused, DestinationUnavailable

if TYPE_CHECKING:
    from http.client import HTTPMessage
    from urllib.request import OpenerDirector, Request

DEADLINE_SECONDS = 10.0
"""The deadline of the whole exchange: name lookup, connection, redirects, answer."""
MAX_ANSWER_BYTES = 64 * 1024
"""The part of an answer that is read. Nothing else of it is needed."""
AGENT = "tallybook"


def post(address: str, body: bytes) -> None:
    """Send JSON. A redirect is an error, because it would turn the message into an empty GET.

    Raises DestinationRefused or DestinationUnavailable."""
    _exchange(address, body, {"Content-Type": "application/json; charset=utf-8"}, follow=False)


def fetch(address: str) -> None:
    """Call an address and follow its redirects, without sending its password to them. Raises like `post`."""
    _exchange(address, None, {}, follow=True)


def within(seconds: float, work: Callable[[], None], *, stop: Callable[[], None] = lambda: None) -> None:
    """Run `work` in a thread and wait at most this long. Raises what it raises, or DestinationUnavailable after
    calling `stop`."""
    raised: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again below, in the caller's thread
            raised.append(error)

    thread = threading.Thread(target=guarded, daemon=True, name="tallybook-exchange")
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        stop()
        raise DestinationUnavailable(f"no complete answer within {seconds:g} seconds")
    if raised:
        raise raised[0]


def _exchange(address: str, body: bytes | None, headers: Mapping[str, str], *, follow: bool) -> None:
    sockets: list[socket.socket] = []

    def stop() -> None:
        for one in sockets:
            try:
                socket.socket.shutdown(one, socket.SHUT_RDWR)
            except OSError:
                continue  # closed already

    opener = _opener(sockets, follow=follow)
    within(DEADLINE_SECONDS, lambda: _open(address, body, headers, opener), stop=stop)


def _open(address: str, body: bytes | None, headers: Mapping[str, str], opener: OpenerDirector) -> None:
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import Request

    try:
        request = Request(_without_user(address), body, {"User-Agent": AGENT, **headers})
        for name, value in _authorization(address).items():
            request.add_unredirected_header(name, value)
        with opener.open(request, timeout=DEADLINE_SECONDS) as answer:
            answer.read(MAX_ANSWER_BYTES)
    except HTTPError as error:
        error.close()
        refused = 300 <= error.code < 500 and error.code not in (408, 429)
        kind = DestinationRefused if refused else DestinationUnavailable
        raise kind(f"it answered {error.code} {error.reason}") from None
    except URLError as error:
        raise DestinationUnavailable(f"it cannot be reached: {words_of(error.reason)}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise DestinationUnavailable(f"it did not answer: {words_of(error)}") from None


def _opener(sockets: list[socket.socket], *, follow: bool) -> OpenerDirector:
    """An opener for HTTP and HTTPS only, which lists the sockets it uses."""
    from http.client import HTTPConnection, HTTPSConnection
    from urllib import request

    class Plain(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            sockets.append(self.sock)

    class Secure(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            sockets.append(self.sock)

    class Http(request.HTTPHandler):
        def http_open(self, req: Request) -> Any:
            return self.do_open(Plain, req)

    class Https(request.HTTPSHandler):
        def https_open(self, req: Request) -> Any:
            return self.do_open(Secure, req)

    class Redirects(request.HTTPRedirectHandler):
        def redirect_request(
            self, req: Request, fp: Any, code: int, msg: str, headers: HTTPMessage, newurl: str
        ) -> Request | None:
            if not follow or urlsplit(newurl).scheme not in ("http", "https"):
                return None
            fp.close()  # urllib would read it to its end
            return super().redirect_request(req, fp, code, msg, headers, newurl)

    opener = request.OpenerDirector()
    handlers = (
        request.ProxyHandler,
        Http,
        Https,
        Redirects,
        request.HTTPErrorProcessor,
        request.HTTPDefaultErrorHandler,
    )
    for handler in handlers:
        opener.add_handler(handler())
    return opener


def _without_user(address: str) -> str:
    where = urlsplit(address)
    return where._replace(netloc=where.netloc.rpartition("@")[2]).geturl()


def _authorization(address: str) -> dict[str, str]:
    from base64 import b64encode
    from urllib.parse import unquote

    user, at, _ = urlsplit(address).netloc.rpartition("@")
    return {"Authorization": f"Basic {b64encode(unquote(user).encode()).decode()}"} if at else {}


def words_of(error: object) -> str:
    """The text of an error, on one line."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(said.split()) or type(error).__name__
