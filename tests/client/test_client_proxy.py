"""The Python client behind an HTTP proxy: HTTPS_PROXY, HTTP_PROXY and NO_PROXY mean what they mean to other programs."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from tallybook.client.over_http import HttpTransport
from tallybook.client.transports import TransportFailed
from tallybook.core import DeclarationError

ANSWERS = {b"CONNECT": b"HTTP/1.1 407 Sign in\r\n\r\n", b"POST": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"}


class Proxy:
    """Takes requests, passes none on, and keeps what came."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://ada:p%40ss@127.0.0.1:{self.listener.getsockname()[1]}"
        self.seen: list[bytes] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                found = b""
                while b"\r\n\r\n" not in found and (more := connection.recv(65536)):
                    found += more
                self.seen.append(found)
                connection.sendall(ANSWERS[found.split(b" ")[0]])


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    made = Proxy()
    with closing(made.listener):
        yield made


def test_an_https_server_is_reached_through_a_tunnel_that_does_not_see_the_key(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.address)
    with pytest.raises(TransportFailed, match=r"through the proxy 127\.0\.0\.1:\d+: .*407"):
        HttpTransport("https://tallybook.invalid/usage", "tb_w_secret").request("POST", "/v1/events", b"[]", 10)
    (seen,) = proxy.seen
    assert seen.startswith(b"CONNECT tallybook.invalid:443 HTTP/1.")
    assert b"Proxy-Authorization: Basic YWRhOnBAc3M=" in seen
    assert b"tb_w_secret" not in seen


def test_an_http_server_is_asked_for_by_its_whole_address(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", proxy.address)
    answer = HttpTransport("http://tallybook.invalid:8321/usage", "k").request("POST", "/v1/events", b"[]", 10)
    assert (answer.status, answer.body) == (200, {})
    (seen,) = proxy.seen
    assert seen.startswith(
        b"POST http://tallybook.invalid:8321/usage/v1/events HTTP/1.1\r\nHost: tallybook.invalid:8321"
    )
    assert b"Proxy-Authorization: Basic YWRhOnBAc3M=" in seen


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "http://localhost:1", "http://tb.inside.invalid"])
def test_this_machine_and_what_no_proxy_names_are_reached_without_it(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.address)
    monkeypatch.setenv("http_proxy", proxy.address)
    monkeypatch.setenv("no_proxy", ".inside.invalid")
    with pytest.raises(TransportFailed):
        HttpTransport(address, "k").request("POST", "/v1/events", b"[]", 10)
    assert not proxy.seen


def test_a_proxy_of_another_kind_is_refused_at_once(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1080")
    with pytest.raises(DeclarationError, match="HTTPS_PROXY is no address of an HTTP proxy"):
        HttpTransport("https://tallybook.invalid", "k")
