"""Answers of Google's servers that are slow or without an end."""

from __future__ import annotations

import gzip
import socket

import pytest
import requests

from tallybook.sheets.bounded import MAX_TOKEN_BYTES, BoundedAdapter, token_session
from tests.deliver.test_alert_exchange import HEADERS, byte_by_byte, server


def session(**bounds: float) -> requests.Session:
    made = requests.Session()
    made.mount("http://", BoundedAdapter(**bounds))  # type: ignore[arg-type]
    return made


def test_a_whole_answer_is_what_requests_would_return() -> None:
    packed = gzip.compress('{"a": "ä"}'.encode())
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
    answer = head + f"Content-Length: {len(packed)}\r\n\r\n".encode() + packed
    with server(lambda c: c.sendall(answer)) as (address, _):
        found = session().get(f"http://{address}/x")
    assert (found.status_code, found.json(), found.url) == (200, {"a": "ä"}, f"http://{address}/x")
    assert found.headers["content-type"] == "application/json"


def test_a_body_that_trickles_is_waited_for_until_the_deadline() -> None:
    with server(byte_by_byte) as (address, _), pytest.raises(requests.ReadTimeout, match=r"within 0\.2 seconds"):
        session(seconds=0.2).get(f"http://{address}/x", timeout=5)


def test_an_answer_without_an_end_is_not_kept() -> None:
    sent = [0]

    def endless(connection: socket.socket) -> None:
        connection.sendall(HEADERS + b"\r\n")
        while sent[0] < 64_000_000:
            connection.sendall(b"x" * 65536)
            sent[0] += 65536

    with (
        server(endless) as (address, _),
        pytest.raises(requests.RequestException, match=f"more than {MAX_TOKEN_BYTES}"),
    ):
        token_session().get(f"http://{address}/x")
    assert sent[0] < 32_000_000


def test_a_packed_answer_is_bounded_by_what_it_unpacks_to() -> None:
    packed = gzip.compress(b"x" * 10_000_000)
    answer = HEADERS + f"Content-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n".encode() + packed
    with (
        server(lambda c: c.sendall(answer)) as (address, _),
        pytest.raises(requests.RequestException, match="more than"),
    ):
        token_session().get(f"http://{address}/x")
