"""Webhooks and heartbeats against servers that misbehave: slow, endless, redirecting elsewhere."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from tallybook.core.errors import DestinationRefused, DestinationUnavailable
from tallybook.deliver import exchange
from tallybook.deliver.destinations.notification import notified
from tallybook.deliver.outgoing.failures import TRY_LATER
from tallybook.monitor.alerts.message import Message
from tallybook.monitor.notify import beat, send
from tests.receivers import HEADERS, Serve, byte_by_byte, endless, headers_byte_by_byte, server, silent

MESSAGE = Message(title="revenue failed", text="since 3 March", well=False, plain={})


@pytest.mark.cases(3)
@pytest.mark.parametrize("serve", [byte_by_byte, headers_byte_by_byte, silent])
@pytest.mark.parametrize("call", [lambda url: send(url, MESSAGE), lambda url: beat(url, well=True)])
def test_a_slow_answer_is_waited_for_until_the_deadline_of_the_whole_exchange(
    serve: Serve, call: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "DEADLINE_SECONDS", 0.3)
    with server(serve) as (address, _), pytest.raises(DestinationUnavailable, match=r"within 0.3 seconds|timed out"):
        call(f"http://{address}/hook")


@pytest.mark.parametrize("form", ["length", "chunks", "until closed"])
@pytest.mark.parametrize("by", ["http", "apprise", "digest"])
def test_only_the_beginning_of_an_endless_answer_is_read(form: str, by: str) -> None:
    if by != "http":
        apprise = pytest.importorskip("apprise")
    sent = [0]
    with server(endless(form, sent, 64_000_000)) as (address, _):
        if by == "apprise":
            send(f"json://{address}/hook", MESSAGE)
        elif by == "digest":
            notified(apprise.Apprise.instantiate(f"json://{address}/hook"), title="A", body="B")
        else:
            send(f"http://{address}/hook", MESSAGE)
            beat(f"http://{address}/ping", well=True)
    assert sent[0] < 32_000_000


def test_what_else_uses_requests_in_this_process_reads_whole_answers() -> None:
    requests = pytest.importorskip("requests")
    body = b"x" * 300_000

    def whole(connection: socket.socket) -> None:
        connection.sendall(HEADERS + f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)

    with server(whole) as (address, _):
        send(f"json://{address}/hook", MESSAGE)
        assert requests.get(f"http://{address}/", timeout=10).content == body


def test_the_body_of_a_redirect_is_not_read() -> None:
    with server(lambda c: c.sendall(HEADERS + b"Content-Length: 0\r\n\r\n")) as (goal, requests):

        def endless(connection: socket.socket) -> None:
            connection.sendall(f"HTTP/1.1 302 Found\r\nLocation: http://{goal}/there\r\n\r\n".encode())
            while True:
                connection.sendall(b"x" * 65536)

        with server(endless) as (address, _):
            beat(f"http://{address}/ping", well=True)
    assert requests[0].startswith(b"GET /there ")


def test_a_redirect_gets_no_password() -> None:
    with server(lambda c: c.sendall(HEADERS + b"Content-Length: 0\r\n\r\n")) as (elsewhere, theirs):
        location = f"HTTP/1.1 302 Found\r\nLocation: http://{elsewhere}/there\r\nContent-Length: 0\r\n\r\n".encode()
        with server(lambda c: c.sendall(location)) as (address, ours):
            assert beat(f"http://user:pw@{address}/ping", well=True)
    assert b"Authorization: Basic dXNlcjpwdw==" in ours[0]
    assert b"authorization" not in theirs[0].lower()


@pytest.mark.parametrize("location", ["file:///etc/hostname", "ftp://127.0.0.1/x", "data:text/plain,x", "gopher://x/"])
def test_a_redirect_to_anything_but_http_is_refused(location: str) -> None:
    answer = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
    with (
        server(lambda c: c.sendall(answer)) as (address, _),
        pytest.raises(DestinationRefused, match="it answered 302"),
    ):
        beat(f"http://{address}/ping", well=True)


def test_a_message_is_not_posted_to_where_a_redirect_points() -> None:
    answer = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"
    with (
        server(lambda c: c.sendall(answer)) as (address, _),
        pytest.raises(DestinationRefused, match="it answered 307"),
    ):
        send(f"http://{address}/hook", MESSAGE)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect"])
def test_a_redirected_message_of_apprise_is_not_sent_elsewhere_and_has_not_arrived(status: str) -> None:
    """Of the headers in the address `requests` keeps all but the password, and of most redirects only a GET remains."""
    apprise = pytest.importorskip("apprise")
    with server(lambda c: c.sendall(HEADERS + b"Content-Length: 0\r\n\r\n")) as (elsewhere, theirs):
        location = f"HTTP/1.1 {status}\r\nLocation: http://{elsewhere}/there\r\nContent-Length: 0\r\n\r\n".encode()
        with server(lambda c: c.sendall(location)) as (address, ours):
            url = f"json://user:pw@{address}/?+X-Token=s3cr3t"
            with pytest.raises(DestinationUnavailable, match=status[:3]):
                send(url, MESSAGE)
            verdict = notified(apprise.Apprise.instantiate(url), title="A", body="B")
    assert (verdict.outcome, len(ours)) == (TRY_LATER, 2)
    assert theirs == []
