"""Who may come: proxies, origins of pages, the counters, and what is written down about requests."""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tallybook.core import EventDeclaration, EventRules, EventSettings, ServeSettings
from tallybook.server.access_log import AccessLog
from tallybook.server.clients import DoorPolicy, client_of
from tallybook.server.counts import Counts
from tests.ingest.doors import HttpDoor

EVENT = {"event": "signup"}
POLICY = DoorPolicy(proxies=(ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")), needs_proxy=True)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[HttpDoor]:
    made = HttpDoor(tmp_path / "book")
    yield made
    made.commit.close()
    made.events.close()


# --- proxies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),  # nobody's word counts but a named proxy's
        ("10.1.2.3", "198.51.100.1", "198.51.100.1"),
        ("10.1.2.3", "6.6.6.6, 198.51.100.1, 10.9.9.9", "198.51.100.1"),
        ("10.1.2.3", "not an address, 198.51.100.1", "198.51.100.1"),
        ("10.1.2.3", "198.51.100.1, not an address", "10.1.2.3"),
        ("10.1.2.3", "", "10.1.2.3"),
        ("10.1.2.3", "10.4.4.4", "10.4.4.4"),
        ("::ffff:10.1.2.3", "[2001:db8::1]:4711", "2001:db8::1"),
        ("fd00::1", "198.51.100.1:80", "198.51.100.1"),
        (None, "198.51.100.1", "198.51.100.1"),
        (None, "", "unix"),
    ],
)
def test_the_client_is_the_last_address_that_no_named_proxy_has(peer: str | None, forwarded: str, address: str) -> None:
    headers = {"x-forwarded-for": forwarded} if forwarded else {}
    assert client_of((peer, 1) if peer else None, "http", headers, POLICY).address == address


@pytest.mark.parametrize(
    ("peer", "headers", "is_local"),
    [
        ("127.0.0.1", {}, True),
        ("::1", {}, True),
        ("::ffff:127.0.0.1", {}, True),
        (None, {}, True),
        ("203.0.113.7", {}, False),
        # A proxy on this machine that is not named makes everybody look local.
        ("127.0.0.1", {"x-forwarded-for": "203.0.113.7"}, False),
        ("127.0.0.1", {"via": "1.1 nginx"}, False),
        ("127.0.0.1", {"forwarded": "for=203.0.113.7"}, False),
        ("203.0.113.7", {"x-forwarded-for": "127.0.0.1"}, False),
        ("10.1.2.3", {"x-forwarded-for": "203.0.113.7"}, False),
        ("10.1.2.3", {}, False),
        (None, {"x-forwarded-for": "203.0.113.7"}, False),
    ],
)
def test_only_this_machine_without_a_proxy_is_local(peer: str | None, headers: dict[str, str], is_local: bool) -> None:
    assert client_of((peer, 1) if peer else None, "http", headers, POLICY).is_local is is_local


def test_a_listener_without_tls_takes_keys_only_from_its_proxies(door: HttpDoor) -> None:
    door.app.policy = POLICY

    def status(peer: str, **headers: str) -> tuple[int, Any]:
        door.peer = peer
        answer = door.ask("POST", "/v1/events", EVENT, door.writer, **headers)
        return answer.status, (answer.json or {}).get("code")

    assert status("203.0.113.7") == (403, "insecure")
    assert status("203.0.113.7", X_Forwarded_Proto="https", X_Forwarded_For="10.1.2.3") == (403, "insecure")
    assert status("10.1.2.3", X_Forwarded_Proto="https") == (200, None)
    assert status("127.0.0.1") == (200, None)
    door.peer = "203.0.113.7"
    assert door.ask("GET", "/healthz").status == 200


# --- pages -------------------------------------------------------------------------------------------------------------


def test_a_page_of_a_named_origin_may_send_with_a_browser_key(door: HttpDoor) -> None:
    door.app.policy = DoorPolicy.of(ServeSettings(origins=("https://app.acme.com",)), needs_proxy=False)
    declared = EventDeclaration(name=EVENT["event"])
    door.app.set_rules(EventRules(settings=EventSettings(declared={declared.name: declared})))
    key = door.new_key("page", scopes=("browser",))
    door.keys.refresh()
    asked = {"Origin": "https://app.acme.com", "Access_Control_Request_Method": "POST"}
    answer = door.ask("OPTIONS", "/v1/events", **asked)
    assert (answer.status, answer.json) == (204, None)
    assert answer.headers["access-control-allow-origin"] == "https://app.acme.com"
    assert "authorization" in answer.headers["access-control-allow-headers"]
    answer = door.ask("POST", "/v1/events", EVENT, key, Origin="https://app.acme.com")
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, "https://app.acme.com")
    assert answer.headers["vary"] == "origin"
    refused = door.ask("POST", "/v1/events", {"event": ""}, key, Origin="https://app.acme.com")
    assert (refused.status, refused.headers["access-control-allow-origin"]) == (422, "https://app.acme.com")
    for origin in ("https://evil.example", "null", "https://app.acme.com.evil.example", "http://app.acme.com"):
        for answer in (
            door.ask("OPTIONS", "/v1/events", Origin=origin),
            door.ask("POST", "/v1/events", EVENT, key, Origin=origin),
        ):
            assert (answer.status, answer.json["code"]) == (403, "origin")
            assert "access-control-allow-origin" not in answer.headers
    assert door.ask("POST", "/v1/events", EVENT, door.writer, Origin="https://evil.example").status == 200
    assert door.ask("OPTIONS", "/v1/rejected", Origin="https://app.acme.com").status == 405


# --- counters ----------------------------------------------------------------------------------------------------------


def samples(text: str) -> dict[tuple[Any, ...], float]:
    found = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            found[(one.name, *sorted(one.labels.items()))] = one.value
    return found


def test_requests_and_events_are_counted_by_key_verdict_and_code(door: HttpDoor) -> None:
    door.post({"event": "a", "id": "1"}, {"event": "a", "id": "1"}, {"event": ""}, {"event": "a", "time": "noon"})
    door.ask("PUT", "/v1/days/secret-event/2026-03-01", key=door.writer)
    door.ask("GET", "/secret/path?token=abc")
    door.ask("BREW", "/healthz")
    answer = door.ask("GET", "/metrics", host="localhost:8321")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    found = samples(answer.json)
    worker = ("worker", "0")
    for verdict, count in (("stored", 1), ("duplicate", 1), ("rejected", 2)):
        assert found["tallybook_events_total", ("key", "loader"), ("verdict", verdict), worker] == count
    assert found["tallybook_rejected_events_total", ("code", "bad_time"), ("key", "loader"), worker] == 1
    total = "tallybook_http_requests_total"
    assert found[total, ("method", "PUT"), ("path", "/v1/days/{event}/{day}"), ("status", "204"), worker] == 1
    assert found[total, ("method", "GET"), ("path", "other"), ("status", "404"), worker] == 1
    assert found[total, ("method", "other"), ("path", "/healthz"), ("status", "405"), worker] == 1
    assert found["tallybook_http_request_seconds_count", worker] == 4
    assert "secret" not in answer.json
    assert found["tallybook_ready",] == 1


def test_counters_need_a_key_unless_they_are_asked_for_on_this_machine(door: HttpDoor) -> None:
    door.peer = "203.0.113.7"
    assert door.ask("GET", "/metrics").status == 401
    assert door.ask("GET", "/metrics", key=door.writer).status == 403
    assert door.ask("GET", "/metrics", key=door.reader).status == 200


def test_one_worker_shows_the_counters_of_all(tmp_path: Path) -> None:
    one, other = Counts(0, tmp_path), Counts(1, tmp_path)
    for counts, number in ((one, 2), (other, 3)):
        for _ in range(number):
            counts.request("GET", "/healthz", 200, 0.002)
        counts.publish()
    (tmp_path / "7.json").write_text("{")  # it is being written
    found = samples(one.exposition({}))
    for worker, number in (("0", 2), ("1", 3)):
        assert found["tallybook_http_request_seconds_bucket", ("le", "0.0025"), ("worker", worker)] == number
        assert found["tallybook_http_request_seconds_bucket", ("le", "0.001"), ("worker", worker)] == 0


# --- the access log ----------------------------------------------------------------------------------------------------


def test_the_access_log_has_no_query_no_header_and_no_body(door: HttpDoor) -> None:
    reads, writes = os.pipe()
    door.app.watching.access = AccessLog(writes)
    door.ask("GET", "/v1/events?user=secret-user", key=door.reader, X_Secret="secret-header")
    door.post({"event": "secret-event"})
    door.ask("GET", "/a\nb" + "x" * 1000)
    door.app.watching.access.close()
    os.close(writes)
    with os.fdopen(reads) as lines:
        text = lines.read()
    found = [json.loads(line) for line in text.splitlines()]
    assert [(one["method"], one["path"][:10], one["status"], one.get("key")) for one in found] == [
        ("GET", "/v1/events", 200, "reader"),
        ("POST", "/v1/events", 200, "loader"),
        ("GET", "/a\nbxxxxxx", 404, None),
    ]
    assert {"time", "ms", "client", "scheme", "worker", "event"} <= found[0].keys()
    assert "secret" not in text
    assert door.reader not in text
    assert len(found[2]["path"]) == 200


def test_a_reader_of_the_access_log_that_stops_holds_up_nobody(door: HttpDoor) -> None:
    reads, writes = os.pipe()
    log = door.app.watching.access = AccessLog(writes)
    for _ in range(300):
        log.write({"path": "x" * 1000})
    for _ in range(30_000):
        log.write({})
    assert log.dropped > 9_000
    assert door.ask("GET", "/healthz").status == 200
    os.close(reads)  # nobody reads any more
    log.close()
    os.close(writes)


# --- faults ------------------------------------------------------------------------------------------------------------


def test_a_fault_of_our_own_is_a_503_and_goes_to_the_log(door: HttpDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Exception] = []
    door.app.watching.on_error = seen.append

    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("tallybook.server.app.decode_row", broken)
    answer = door.post(EVENT)
    assert (answer.status, answer.json["code"], answer.headers["retry-after"]) == (503, "unforeseen", "2")
    assert isinstance(seen[0], ZeroDivisionError)
