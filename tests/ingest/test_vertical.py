"""One event from curl to an answer: acknowledged, killed, restarted, collected and asked for. And what the door refuses."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.ingest.servers import Server

METRICS = """
[metrics.signups]
event = "signup"
measure = "count(*)"
by = ["plan"]

[metrics.seats]
event = "seats"
daily_aggregate = true
measure = "sum(value)"
"""
YESTERDAY = datetime.now(UTC).date() - timedelta(days=1)


def signup(id_: str) -> dict[str, Any]:
    return {"event": "signup", "time": f"{YESTERDAY}T12:00:00Z", "id": id_, "properties": {"plan": "pro"}}


def test_an_acknowledged_event_survives_kill_9_and_is_answered_once(tmp_path: Path) -> None:
    server = Server(tmp_path / "acme", METRICS)
    key = server.key()
    server.start()
    status, said = server.ask("POST", "/v1/events", signup("first"), key)
    server.kill()
    assert (status, said["stored"], said["duplicates"], said["rejected"]) == (200, 1, 0, [])
    assert len(said["receipt"]) == 26
    server.start()
    if curl := shutil.which("curl"):
        sent = json.dumps([signup("first"), signup("second")])
        command = [
            curl,
            "-sS",
            "-H",
            f"Authorization: Bearer {key}",
            "--data",
            sent,
            f"http://{server.address}/v1/events",
        ]
        assert json.loads(subprocess.run(command, capture_output=True, check=True, timeout=30).stdout)["stored"] == 2
    else:
        assert server.ask("POST", "/v1/events", [signup("first"), signup("second")], key)[0] == 200
    assert server.ask("POST", "/v1/values", {"event": "seats", "day": str(YESTERDAY), "value": 5}, key)[0] == 200
    server.key("reader", "read")
    reader = json.loads(server.cli("keys", "rotate", "reader", "--format", "json"))["key"]
    for _ in range(1200):  # until it can be queried
        events = server.ask("GET", "/v1/events/schema", key=reader)[1]["events"]
        if {"signup", "seats"} <= events.keys():
            break
        time.sleep(0.05)
    assert events["signup"]["properties"] == {"plan": "text"}
    assert server.stop() == 0
    assert list((tmp_path / "acme" / "book" / "events" / "log").rglob("*.sqlite")) != []
    server.start()  # compacts what the stopped one left, and drops its logs
    for _ in range(1200):
        if len(list((tmp_path / "acme" / "book" / "events" / "log").rglob("*.sqlite"))) == 1:
            break
        time.sleep(0.05)
    server.cli("run", "--quiet")
    day = ("--from", str(YESTERDAY), "--to", str(YESTERDAY))
    found = json.loads(server.cli("query", "signups,seats", *day, "--format", "json"))
    assert [(row["signups"], row["seats"]) for row in found["rows"]] == [(2, 5)]
    server.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("served") / "acme")
    made.write = made.key("writer", "write")  # type: ignore[attr-defined]
    made.read = made.key("reader", "read")  # type: ignore[attr-defined]
    yield made.start()
    made.stop()


EVENT = {"event": "signup", "time": "2026-03-01T12:00:00Z"}


def test_without_a_key_nothing_is_stored_also_on_loopback(server: Server) -> None:
    for key in (None, "tb_w_unknown", server.write[:-1]):  # type: ignore[attr-defined]
        status, said, headers = server.answer("POST", "/v1/events", EVENT, key)
        assert (status, said["code"], headers["content-type"]) == (401, "no_key", "application/problem+json")
    status, said = server.ask("POST", "/v1/events", EVENT, server.read)  # type: ignore[attr-defined]
    assert (status, said["code"]) == (403, "wrong_scope")
    status, said = server.ask("GET", "/v1/events/schema", key=server.write)  # type: ignore[attr-defined]
    assert (status, said["code"]) == (403, "wrong_scope")


def test_each_event_of_a_request_has_a_verdict(server: Server) -> None:
    bad = {**EVENT, "time": "2026-03-01T12:00:00", "id": "b"}
    good = [{**EVENT, "id": "a"}, bad, {**EVENT, "id": "a"}, {**EVENT, "properties": {"n": 1}}]
    status, said = server.ask("POST", "/v1/events", good, server.write)  # type: ignore[attr-defined]
    assert (status, said["stored"], said["duplicates"]) == (200, 2, 1)
    (rejected,) = said["rejected"]
    assert (rejected["index"], rejected["id"], rejected["code"], rejected["field"]) == (1, "b", "naive_time", "time")
    status, said = server.ask("POST", "/v1/events", [bad], server.write)  # type: ignore[attr-defined]
    assert (status, said["stored"], len(said["rejected"])) == (422, 0, 1)


def test_lines_and_compressed_bodies_are_taken_and_bad_ones_named(server: Server) -> None:
    key = server.write  # type: ignore[attr-defined]
    lines = b"\n".join(json.dumps(EVENT).encode() for _ in range(3))
    assert server.ask("POST", "/v1/events", lines, key)[1]["stored"] == 3
    status, said = server.ask("POST", "/v1/events", gzip.compress(lines), key, Content_Encoding="gzip")
    assert (status, said["stored"]) == (200, 3)
    status, said = server.ask("POST", "/v1/events", b'{"event": }', key)
    assert (status, said["code"]) == (400, "bad_json")
    assert "byte 10" in said["message"]
    status, said = server.ask("POST", "/v1/events", b"garbage", key, Content_Encoding="gzip")
    assert (status, said["code"]) == (400, "bad_encoding")
    bomb = gzip.compress(b"0" * 50_000_000)
    status, said = server.ask("POST", "/v1/events", bomb, key, Content_Encoding="gzip")
    assert (status, said["code"]) == (413, "too_large")


def test_a_body_that_is_too_large_is_refused_before_it_is_read(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
        key = server.write  # type: ignore[attr-defined]
        head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: 6000000\r\n\r\n"
        raw.sendall(head.encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 413")


def test_other_paths_and_methods_are_named(server: Server) -> None:
    assert server.ask("GET", "/healthz") == (200, {"status": "ok"})
    assert server.ask("GET", "/nothing")[1]["code"] == "not_found"
    status, _, headers = server.answer("GET", "/v1/values")
    assert (status, headers["allow"]) == (405, "POST")


def test_a_revoked_key_is_refused_soon(server: Server) -> None:
    key = server.key("gone")
    assert server.ask("POST", "/v1/events", EVENT, key)[0] == 200
    server.cli("keys", "revoke", "gone")
    deadline = time.monotonic() + 30  # on a machine that is busy
    while (status := server.ask("POST", "/v1/events", EVENT, key)[0]) == 200 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert status == 401


def test_a_day_is_closed_and_opened_again(server: Server) -> None:
    key = server.write  # type: ignore[attr-defined]
    assert server.ask("PUT", "/v1/days/a%2Fb/2026-03-01", key=key) == (204, None)
    assert server.ask("DELETE", "/v1/days/a%2Fb/2026-03-01", key=key) == (204, None)
    for day in ("today", "20260301", "2026-02-30", "2026-03-01T00:00"):
        assert server.ask("PUT", f"/v1/days/seats/{day}", key=key)[1]["code"] == "bad_time"
    assert server.ask("PUT", "/v1/days/a%00b/2026-03-01", key=key)[1]["code"] == "bad_name"
    assert server.ask("PUT", "/v1/days/seats/2026-03-01")[0] == 401


def test_a_listener_that_others_reach_is_refused_without_tls(tmp_path: Path) -> None:
    import sys

    (tmp_path / "tallybook.toml").write_text('[book]\nname = "Acme"\n')
    command = [sys.executable, "-m", "tallybook", "serve", "--listen", "0.0.0.0:0", "--project", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "insecure = true" in done.stderr


def test_a_sync_is_between_the_last_byte_read_and_the_first_byte_answered(server: Server, tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    trace, marker = tmp_path / "trace", "marker-of-this-request"
    command = [
        "strace",
        "-f",
        "-qq",
        "-s",
        "600",
        "-e",
        "trace=read,recvfrom,write,sendto,writev,sendmsg,fdatasync,fsync",
    ]
    worker = str(server.children["ingest"])
    tracing = subprocess.Popen([*command, "-o", str(trace), "-p", worker], stderr=subprocess.PIPE, text=True)
    try:
        for number in range(40):
            event = {**EVENT, "id": f"{marker}-{number}"}
            assert server.ask("POST", "/v1/events", event, server.write)[0] == 200  # type: ignore[attr-defined]
            if f"{marker}-" in (seen := trace.read_text() if trace.exists() else "") and "200 OK" in seen:
                break
            if tracing.poll() is not None:
                pytest.skip("no process may be traced here")
            time.sleep(0.05)
    finally:
        tracing.terminate()
        tracing.communicate()
    calls = trace.read_text().split(f"{marker}-", 1)[1].partition("200 OK")[0]
    assert re.search(r"(fdatasync|fsync)(\(\d+\)| resumed>\)) += 0", calls), calls
