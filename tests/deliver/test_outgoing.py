"""The sender: which addresses it calls, how long it waits, and what it makes of answers."""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from tallybook.core import DestinationRefused, OutcomeUnknown, wrong_receiver
from tallybook.deliver.outgoing.addresses import Resolver, Target, is_public
from tallybook.deliver.outgoing.channel import MAX_ANSWER_BYTES, Channel, OutgoingRequest
from tallybook.deliver.outgoing.deadlines import DEADLINES, Deadlines
from tallybook.deliver.outgoing.failures import (
    ARRIVED,
    REJECTED,
    STOPPED,
    TRY_LATER,
    UNCERTAIN,
    HttpReply,
    retry_after_of,
    verdict_of,
)
from tallybook.deliver.outgoing.patience import RetryWaits
from tests.deliver.test_alert_exchange import HEADERS, byte_by_byte, headers_byte_by_byte, server, silent

NOW = datetime(2024, 3, 6, 12, tzinfo=UTC)
POST = OutgoingRequest(method="POST", path="/hook", body=b"{}")


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True), ("2606:2800:220:1::1", True), ("10.0.0.1", False), ("127.0.0.1", False),
        ("169.254.169.254", False), ("192.168.1.1", False), ("100.64.0.1", False), ("0.0.0.0", False), ("::1", False),
        ("::ffff:127.0.0.1", False), ("fe80::1", False), ("fd00::1", False), ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False), ("224.0.0.1", False), ("::127.0.0.1", False), ("::ffff:0:127.0.0.1", False),
        ("64:ff9b:1::7f00:1", False), ("fec0::1", False),
    ],
)  # fmt: skip
def test_addresses_of_private_networks_in_every_form_are_known(address, public):
    assert is_public(address) is public


def test_a_name_is_looked_up_once_and_the_connection_goes_to_the_address_that_was_checked(monkeypatch):
    answers = ["93.184.216.34", "127.0.0.1"]
    connected = []

    def looked_up(host, port, **_):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answers.pop(0), port))]

    def connect(address, timeout):
        connected.append(address)
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    monkeypatch.setattr(socket, "create_connection", connect)
    channel = Channel(Target("https://example.org/x"), Resolver())
    for _ in range(2):
        with pytest.raises(Exception, match="cannot be reached: Connection refused"):
            channel.exchange(POST)
    assert connected == [("93.184.216.34", 443)] * 2
    other = Channel(Target("https://example.org/x"), Resolver())
    with pytest.raises(DestinationRefused, match=r"private address 127\.0\.0\.1"):
        other.exchange(POST)
    assert len(connected) == 2


@pytest.mark.parametrize("serve", [byte_by_byte, headers_byte_by_byte, silent])
def test_a_slow_answer_ends_at_the_deadline_of_the_whole_exchange(serve):
    with server(serve) as (address, _), pytest.raises(OutcomeUnknown, match=r"within 0\.3 seconds"):
        Channel(Target(f"http://{address}/"), Resolver(), seconds=0.3).exchange(POST)


def test_a_redirect_is_not_followed_and_only_the_beginning_of_an_answer_is_kept():
    def redirecting(connection):
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n")

    with server(redirecting) as (address, _):
        assert Channel(Target(f"http://{address}/"), Resolver()).exchange(POST).status == 302

    def long(connection):
        connection.sendall(HEADERS + b"Content-Length: 1000000\r\n\r\n" + b"x" * 1_000_000)

    with server(long) as (address, _):
        assert len(Channel(Target(f"http://{address}/"), Resolver()).exchange(POST).body) == MAX_ANSWER_BYTES


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, ARRIVED), (204, ARRIVED), (301, TRY_LATER), (400, REJECTED), (422, REJECTED), (401, STOPPED), (403, STOPPED),
        (410, STOPPED), (404, TRY_LATER), (408, TRY_LATER), (429, TRY_LATER), (503, TRY_LATER), (500, UNCERTAIN),
        (502, UNCERTAIN), (504, UNCERTAIN),
    ],
)  # fmt: skip
def test_each_status_has_one_class(status, outcome):
    assert verdict_of(HttpReply(status=status), NOW).outcome == outcome


def test_a_page_of_a_firewall_is_not_a_refusal_of_the_receiver():
    page = HttpReply(status=403, headers={"content-type": "text/html"}, body=b"<html>blocked</html>")
    assert (verdict_of(page, NOW).outcome, verdict_of(page, NOW).said) == (TRY_LATER, "403")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        ("Wed, 06 Mar 2024 12:01:00 GMT", 60),
        ("99999999", 86400),
        ("-1", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_read_in_both_forms(text, seconds):
    assert retry_after_of(HttpReply(status=429, headers={"retry-after": text}), NOW) == seconds


def test_waits_grow_with_a_random_part_and_end():
    waits, dice = RetryWaits(), random.Random(1)
    found = [waits.wait(attempt, None, dice) for attempt in range(1, 12)]
    assert found[-1] is None
    assert found[:-1] == sorted(found[:-1])
    assert len({waits.wait(3, None, dice) for _ in range(5)}) == 5
    assert waits.wait(1, 3600, dice) >= 3600


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("https://example.org/x", False), ("https://[2606:2800::1]:8443/x", False), ("http://127.0.0.1:80/x", False),
        ("http://localhost/x", False), ("http://example.org/x", True), ("https://a:b@example.org/", True),
        ("https://exa mple.org/", True), ("https://example.org:0/", True), ("https://example.org\\@127.0.0.1/", True),
        ("file:///etc/passwd", True), ("https://", True), ("http://127.0.0.1.example.org/", True),
    ],
)  # fmt: skip
def test_addresses_that_nothing_may_be_sent_to(url, wrong):
    assert bool(wrong_receiver(url)) is wrong


def test_the_first_exchanges_of_a_forked_process_all_have_their_deadline(monkeypatch):
    begin, both, turns = Deadlines.__init__, threading.Barrier(2), iter((0.0, 0.2))

    def begin_late(deadlines: Deadlines) -> None:
        with suppress(threading.BrokenBarrierError):
            both.wait(0.2)
        time.sleep(next(turns, 0.0))
        begin(deadlines)

    def ended(stopped: threading.Event) -> None:
        with DEADLINES.limit(0.5, stopped.set):
            stopped.wait(3)

    monkeypatch.setattr(Deadlines, "__init__", begin_late)
    child = os.fork()
    if child == 0:
        stops = [threading.Event(), threading.Event()]
        threads = [threading.Thread(target=ended, args=(stop,)) for stop in stops]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        os._exit(sum(not stop.is_set() for stop in stops))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
