"""Events sent over HTTP to servers that misbehave: slow, endless, redirecting elsewhere, or none of Tallybook."""

from __future__ import annotations

import json
import socket
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import tallybook
from tallybook.client import HttpTransport, TransportFailed
from tallybook.client.queues import MemoryQueue
from tallybook.client.records import event_record
from tallybook.core.errors import EventsLost, SourceUnavailable
from tallybook.ingest.sending import HttpSender
from tests.receivers import Serve, Web, byte_by_byte, endless, headers_byte_by_byte, server, silent

EVENT = {"event": "signup", "id": "e1"}


def answers(body: bytes, status: str = "200 OK", headers: str = "") -> Serve:
    head = f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode()
    return lambda connection: connection.sendall(head + body)


def redirect(goal: str, status: str) -> Serve:
    return answers(b"", status, f"Location: http://{goal}/there\r\n")


@pytest.mark.parametrize("serve", [byte_by_byte, headers_byte_by_byte, silent])
def test_the_time_limit_of_a_request_is_that_of_the_whole_exchange(serve: Serve) -> None:
    with server(serve) as (address, _):
        with pytest.raises(TransportFailed, match=r"no complete answer in time|timed out"):
            HttpTransport(f"http://{address}", "k").request("POST", "/v1/events", b"[]", 0.2)
        with pytest.raises(SourceUnavailable, match="cannot send events: no answer from http"):
            HttpSender(f"http://{address}", "k", timeout=0.2).send([EVENT])
        client = tallybook.Client(f"http://{address}", "k", timeout=0.2, background=False)
        client.track("signup")
        assert client.flush(0.5).waiting == 1
        with pytest.raises(EventsLost):
            client.close(0)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect"])
def test_a_redirect_gets_neither_key_nor_events_and_nothing_counts_as_stored(status: str) -> None:
    with (
        server(answers(b"{}")) as (elsewhere, theirs),
        server(redirect(elsewhere, status)) as (address, ours),
    ):
        with pytest.raises(SourceUnavailable, match=f"refused the events: HTTP status {status[:3]}"):
            HttpSender(f"http://{address}", "s3cr3t").send([EVENT])
        client = tallybook.Client(f"http://{address}", "s3cr3t", background=False)
        client.track("signup")
        assert client.flush(0.2).waiting == 1
        with pytest.raises(EventsLost):
            client.close(0)
    assert len(ours) >= 2
    assert theirs == []


@pytest.mark.parametrize("body", [b"{}", b"<html>Sign in</html>", b"[]", b"", b'{"ok": true}'])
def test_an_answer_that_is_none_of_ours_stores_nothing(body: bytes) -> None:
    with (
        server(answers(body)) as (address, _),
        pytest.raises(SourceUnavailable, match="its answer is not from a Tallybook server"),
    ):
        HttpSender(f"http://{address}", "k").send([EVENT])


@pytest.mark.parametrize("form", ["length", "chunks", "until closed"])
def test_only_the_beginning_of_an_endless_answer_is_read(form: str) -> None:
    sent = [0]
    with (
        server(endless(form, sent, 128_000_000)) as (address, _),
        pytest.raises(SourceUnavailable, match="its answer is not from a Tallybook server"),
    ):
        HttpSender(f"http://{address}", "k").send([EVENT])
    assert sent[0] < 64_000_000


def test_a_connection_that_stays_open_is_used_again_with_a_new_time_limit() -> None:
    """Each answer comes within its own time, and all of them together take longer."""
    verdict = json.dumps({"stored": 1, "duplicates": 0, "rejected": []}).encode()

    def slowly(connection: socket.socket) -> None:
        for _ in range(4):
            time.sleep(0.1)
            answers(verdict)(connection)
            connection.recv(65536)

    with server(slowly) as (address, requests):
        sender = HttpSender(f"http://{address}", "k", timeout=0.3)
        assert [sender.send([EVENT]).stored for _ in range(4)] == [1] * 4
        assert len(requests) == 1
        sender.close()


class Bounded(Web):
    """Has limits of its own for requests. `busy`: the statuses of its first answers."""

    def __init__(self, most_bytes: int, most_events: int, *busy: int) -> None:
        super().__init__()
        waiting, web = list(busy), self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                events = json.loads(body)
                status, said = 200, {"stored": len(events), "duplicates": 0, "rejected": []}
                if waiting:
                    status = waiting.pop(0)
                elif len(body) > most_bytes or len(events) > most_events:
                    status, said = 413, {"message": "too large"}
                else:
                    web.posts.append((self.path, events))
                    bad = [{"index": n, "code": "x"} for n, one in enumerate(events) if one["id"] == "bad"]
                    said |= {"stored": len(events) - len(bad), "rejected": bad}
                text = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Retry-After", "0")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        self.server.server_close()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def taken(self) -> list[str]:
        return sorted(one["id"] for _, events in self.posts for one in events)


def test_a_batch_is_sent_in_as_many_requests_as_its_bytes_need() -> None:
    # Three bytes for each character: 2,700,000 characters are 8.1 MB.
    events = [{"event": "注册", "id": str(n), "properties": {"text": "数" * 9_000}} for n in range(300)]
    events[250]["id"] = "bad"
    with Bounded(5_000_000, 10_000, 503, 429) as web:
        sent = HttpSender(f"http://127.0.0.1:{web.port}", "k").send(events)
    assert (sent.stored, [one["index"] for one in sent.rejected], len(web.posts)) == (299, [250], 3)
    assert web.taken() == sorted(one["id"] for one in events)


def test_a_server_with_lower_limits_gets_halves_and_an_event_that_is_too_large_is_rejected() -> None:
    events = [{"event": "e", "id": str(n), "properties": {"text": "x" * (9_000 if n == 6 else 10)}} for n in range(10)]
    events[8]["id"] = "bad"
    with Bounded(5_000, 3) as web:
        sent = HttpSender(f"http://127.0.0.1:{web.port}", "k").send(events)
    found = sorted((one["index"], one["code"]) for one in sent.rejected)
    assert (sent.stored, found) == (8, [(6, "too_large"), (8, "x")])
    assert web.taken() == ["0", "1", "2", "3", "4", "5", "7", "9", "bad"]


def test_a_queue_counts_bytes_and_not_characters() -> None:
    record = event_record("注册", {}, {"text": "数" * 5_000})
    queue = MemoryQueue(1_000, 100_000)
    assert [queue.put(record) for _ in range(7)] == [True] * 6 + [False]
    assert len(queue.first(500, 40_000)) == 2
