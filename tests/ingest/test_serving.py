"""`tallybook serve` as users run it: workers that share a socket, signals, settings read again, TLS, unix sockets, and
clients that are slow or speak no HTTP. One server of two workers is shared by most tests."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from tests.ingest.servers import TOML, Server

EVENT = {"event": "signup", "time": "2026-03-01T12:00:00Z"}
SOAK = os.environ.get("TALLYBOOK_SOAK") == "1"
CONNECTIONS = 2_000 if SOAK else 150


def until(is_true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.05)


class Workers(Server):
    """A server of two workers, and what its parent logs."""

    write = ""

    def start(self) -> Workers:
        self.write = self.write or self.key("writer", "write", "read")
        command = [sys.executable, "-m", "tallybook", "serve", "--project", str(self.folder), "--log", "json"]
        command += ["--listen", "127.0.0.1:0", "--only", "ingest,compact", "--workers", "2"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        self.log: list[dict[str, Any]] = []
        threading.Thread(target=self._read, args=[self.process.stderr], daemon=True).start()
        until(lambda: len(self.started("ingest")) == 2)
        (listening,) = (one for one in self.log if one["event"] == "listening")
        self.port = int(listening["address"].rpartition(":")[2])
        self.until_ready()
        return self

    def _read(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.log.append(json.loads(line) if line.startswith("{") else {"event": line})

    def started(self, role: str) -> list[int]:
        return [one["pid"] for one in self.log if one["event"] == "child_started" and one["role"] == role]

    def signal(self, which: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(which)

    def metrics(self) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return text


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    made = Workers(tmp_path_factory.mktemp("served") / "acme")
    yield made.start()
    assert made.process is not None
    if made.process.poll() is None:
        made.process.send_signal(signal.SIGTERM)
    made.process.wait(60)


def raw(server: Workers, data: bytes) -> bytes:
    """The first bytes of the answer to bytes. A server that has refused them may close while they are being sent."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            return connection.recv(4096)
        return b""


def head(key: str, length: object, path: str = "/v1/events", more: str = "") -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: {length}\r\n{more}\r\n"
    ).encode()


def test_two_workers_share_the_socket_and_one_shows_the_counters_of_both(server: Workers) -> None:
    def both_served() -> bool:
        for _ in range(10):
            server.ask("POST", "/v1/events", EVENT, server.write)
        text = server.metrics()
        return all(f'tallybook_events_total{{worker="{n}",key="writer",verdict="stored"}}' in text for n in (0, 1))

    until(both_served)


def test_settings_are_read_again_on_sighup_and_bad_ones_leave_those_of_before(server: Workers) -> None:
    toml = server.folder / "tallybook.toml"
    good = toml.read_text()
    toml.write_text(good.replace('reserve = "1 MB"', 'reserve = "900 TB"'))
    server.signal(signal.SIGHUP)
    until(lambda: all(server.ask("GET", "/readyz")[0] == 503 for _ in range(8)))
    status, said, headers = server.answer("POST", "/v1/events", EVENT, server.write)
    assert (status, said["code"], headers["retry-after"]) == (503, "disk", "2")
    toml.write_text("[serve\n")
    server.signal(signal.SIGHUP)
    until(lambda: any(one["event"] == "error" for one in server.log))
    assert server.ask("GET", "/readyz")[0] == 503
    toml.write_text(good.replace("reserve", 'audit = "30d"\nmax_rows = 10\nreserve'))
    server.signal(signal.SIGHUP)
    until(lambda: all(server.ask("GET", "/readyz")[0] == 200 for _ in range(8)))
    until(lambda: any(one.get("needs_restart") == ["audit", "max_rows"] for one in server.log))


@settings(max_examples=400 if SOAK else 25, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                b"POST /v1/events HTTP/1.1\r\n",
                b"GET / HTTP/1.0\r\n",
                b"GET //\xff?\xc3 HTTP/1.1\r\n",
                b"GET http://other/v1/events HTTP/1.1\r\n",
                b"PRI * HTTP/2.0\r\n\r\n",
                b"Host: x\r\n",
                b"Content-Length: 5\r\n",
                b"Content-Length: -1\r\n",
                b"Content-Length: 1, 2\r\n",
                b"Transfer-Encoding: chunked\r\n",
                b"Transfer-Encoding: gzip\r\n",
                b"Expect: 100-continue\r\n",
                b"Upgrade: h2c\r\nConnection: Upgrade\r\n",
                b"X: " + b"y" * 70_000 + b"\r\n",
                b": x\r\n",
                b" folded\r\n",
                b"\r\n",
                b"5\r\n",
                b"0\r\n\r\n",
                b"ffffffffffffffffff\r\n",
                b"{}",
                b"\0",
            ]
        )
        | st.binary(max_size=20),
        max_size=8,
    )
)
def test_no_bytes_cause_a_5xx(server: Workers, parts: list[bytes]) -> None:
    answer = raw(server, b"".join(parts))
    for line in answer.split(b"\r\n"):
        if line.startswith(b"HTTP/1.1 "):
            assert line[9:10] in b"24", answer
    assert b"Traceback" not in answer


def test_framing_that_two_readers_read_in_two_ways_is_refused(server: Workers) -> None:
    key = server.write
    both = head(key, 5, more="Transfer-Encoding: chunked\r\n") + b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = raw(server, both)
    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.count(b"HTTP/1.1 ") == 1  # what follows is not taken for another request
    for bad in (head(key, "5, 6"), head(key, -5), head(key, "5x"), head(key, 5, more="Content-Length: 6\r\n")):
        answer = raw(server, bad + b"{}   ")
        assert answer.startswith(b"HTTP/1.1 400")
        assert b"application/problem+json" in answer


def answers(server: Workers, *pieces: bytes) -> list[bytes]:
    """The statuses of all answers on one connection, until it is closed or nothing comes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=3) as connection:
        found = b""
        with contextlib.suppress(OSError):
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(0.05)
            while more := connection.recv(65_536):
                found += more
    return re.findall(rb"HTTP/1\.1 (\d{3}) ", found)


def test_requests_are_answered_in_their_order_whatever_follows_them(server: Workers) -> None:
    body = json.dumps(EVENT).encode()
    whole = head(server.write, len(body)) + body
    assert answers(server, whole * 300) == [b"200"] * 300
    assert answers(server, whole * 2 + b"not HTTP\r\n\r\n") == [b"200", b"200"]
    assert answers(server, whole, b"not HTTP\r\n\r\n") == [b"200", b"400"]
    upgrade = head(server.write, len(body), more="Connection: Upgrade\r\nUpgrade: h2c\r\n") + body
    assert answers(server, upgrade + whole) == [b"200", b"200"]
    half = len(upgrade) - 10
    assert answers(server, upgrade[:half], upgrade[half:], whole) == [b"200", b"200"]
    asked = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert answers(server, asked + whole) == [b"200", b"200"]
    closing = head(server.write, len(body), more="Connection: close\r\n") + body
    assert answers(server, closing + whole) == [b"200"]
    chunked = head(server.write, 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    small = b"".join(b"1\r\n%c\r\n" % one for one in body) + b"0\r\nX-Late: 1\r\n\r\n"
    assert answers(server, chunked + small + whole) == [b"200", b"200"]
    assert answers(server, chunked + b"5\r\n{}   \r\nzz\r\n") == [b"400"]


@pytest.mark.parametrize("step", [1_000, 200_000])
def test_what_is_no_body_is_bounded(server: Workers, step: int) -> None:
    line = b"x" * step
    chunked = head(server.write, 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    endless = [line] * (600_000 // step)
    for begin in (
        b"POST /",  # a path
        b"GET / HTTP/1.1\r\nX: ",  # a header
        chunked + b"1;",  # an extension of a chunk
        chunked + b"2\r\n{}\r\n0\r\nX: ",  # a header behind a body
        chunked + b"1\r\n[\r\n0",  # the length of a chunk
    ):
        found = answers(server, begin, *([b"0" * step] * len(endless) if begin.endswith(b"\n0") else endless))
        assert found in ([b"400"], []), begin
        assert server.ask("POST", "/v1/events", EVENT, server.write)[0] == 200


def test_a_body_is_refused_before_the_rest_of_it_is_read(server: Workers) -> None:
    """Also one without a length: nothing after the limit is waited for."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(head(server.write, 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked"))
        piece = b"%x\r\n" % 500_000 + b" " * 500_000 + b"\r\n"
        for _ in range(11):
            try:
                connection.sendall(piece)
            except (BrokenPipeError, ConnectionResetError):
                break
        assert connection.recv(100).startswith(b"HTTP/1.1 413")
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(head(server.write, 6_000_000, more="Expect: 100-continue\r\n"))
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_many_slow_connections_hold_up_nobody_and_cost_little(server: Workers) -> None:
    def memory() -> int:
        lines = [
            line for pid in server.started("ingest") for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        ]
        return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

    before = memory()
    slow = []
    try:
        for number in range(CONNECTIONS):
            connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
            # A third each: nothing at all, half a head, and a body that never ends.
            part = (b"", b"POST /v1/events HTTP/1.1\r\nHos", head(server.write, 1_000_000) + b"[" * 1000)[number % 3]
            connection.sendall(part)
            slow.append(connection)
        for _ in range(5):
            assert server.ask("POST", "/v1/events", EVENT, server.write)[0] == 200
        grown = (memory() - before) / CONNECTIONS
        print(f"{grown:.1f} kB for each of {CONNECTIONS} slow connections")
        assert grown < 150
    finally:
        for connection in slow:
            connection.close()


def test_what_is_in_flight_is_answered_after_sigterm_and_nothing_new_is_taken(server: Workers) -> None:
    body = json.dumps(EVENT).encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(head(server.write, len(body)) + body[:10])
        time.sleep(1)  # until a worker has taken it
        server.signal(signal.SIGTERM)

        def is_closed() -> bool:
            try:
                socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
            except OSError:
                return True
            return False

        until(is_closed, 8)
        connection.sendall(body[10:])
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
    assert server.process is not None
    assert server.process.wait(60) == 0
    until(lambda: server.log[-1]["event"] == "stopped")
    server.start()  # for the other tests


# --- TLS and unix sockets ----------------------------------------------------------------------------------------------


def certificate(folder: Path, name: str) -> None:
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    try:
        subprocess.run([*made, "-subj", f"/CN={name}", *files], check=True, capture_output=True, timeout=30)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")


class UnixTls(http.client.HTTPConnection):
    """HTTPS over a unix socket, and the name in the certificate."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=10)
        self.path, self.der = path, b""

    def connect(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        plain = socket.socket(socket.AF_UNIX)
        plain.settimeout(10)
        plain.connect(str(self.path))
        self.sock = context.wrap_socket(plain)
        self.der = self.sock.getpeercert(binary_form=True) or b""


def test_a_unix_socket_with_tls_takes_a_new_certificate_on_sighup(tmp_path: Path) -> None:
    path = Path(f"/tmp/tallybook-{os.getpid()}.sock")  # the path of a unix socket is short
    certificate(tmp_path, "first")
    serve = f'listen = "unix:{path}"\ncertificate = "cert.pem"\nprivate_key = "key.pem"\n'
    (tmp_path / "tallybook.toml").write_text(TOML.replace("[serve]\n", f"[serve]\n{serve}"))
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))  # of a server that was killed
    left.close()
    command = [
        sys.executable,
        "-m",
        "tallybook",
        "serve",
        "--only",
        "ingest",
        "--project",
        str(tmp_path),
        "--log",
        "json",
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    try:
        assert json.loads(process.stderr.readline())["address"] == f"unix:{path}"
        log: list[str] = []
        threading.Thread(target=lambda: log.extend(process.stderr or ()), daemon=True).start()

        def asked() -> tuple[int, bytes]:
            try:
                connection = UnixTls(path)
                connection.request("GET", "/healthz")
                return connection.getresponse().status, connection.der
            except OSError:
                return 0, b""

        until(lambda: asked()[0] == 200)
        assert b"first" in asked()[1]
        certificate(tmp_path, "second")
        process.send_signal(signal.SIGHUP)
        until(lambda: b"second" in asked()[1])
        (tmp_path / "cert.pem").write_text("no certificate")
        process.send_signal(signal.SIGHUP)
        until(lambda: any("cannot use the certificate" in line for line in log))
        assert b"second" in asked()[1]
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(12) == 0
    assert not path.exists()


# --- what is refused at the start --------------------------------------------------------------------------------------


def refused(folder: Path, serve: str, *options: str) -> str:
    from tallybook.cli import invoke

    (folder / "tallybook.toml").write_text(f'[book]\nname = "Acme"\n\n[serve]\n{serve}\n')
    said = io.StringIO()
    arguments = ["serve", "--project", str(folder), "--only", "ingest", *options]
    assert invoke(arguments, stdout=io.StringIO(), stderr=said) == 2, said.getvalue()
    return said.getvalue()


@pytest.mark.parametrize(
    ("serve", "said"),
    [
        ('listen = "0.0.0.0:0"', "insecure = true"),
        ('listen = "[::]:0"', "insecure = true"),
        ('listen = "example"', "cannot listen at 'example'"),
        ('listen = "127.0.0.1:99999"', "cannot listen"),
        ('listen = "127.0.0.1:0"\ncertificate = "no.pem"\nprivate_key = "no.pem"', "cannot use the certificate"),
        ('certificate = "cert.pem"', "TLS needs private_key too"),
        ('proxies = ["everybody"]', "no address or network"),
        ('origins = ["app.acme.com"]', "no origin"),
        ('origins = ["https://app.acme.com/path"]', "did you mean"),
        ("workers = 0", "whole number from 1 to 64"),
        ("worker = 2", "did you mean 'workers'?"),
    ],
)
def test_settings_that_cannot_be_served_are_named(tmp_path: Path, serve: str, said: str) -> None:
    assert said in refused(tmp_path, serve)


def test_a_file_in_the_place_of_a_unix_socket_is_not_deleted(tmp_path: Path) -> None:
    kept = tmp_path / "notes.txt"
    kept.write_text("mine")
    assert "there is a file of this name" in refused(tmp_path, f'listen = "unix:{kept}"')
    assert kept.read_text() == "mine"
