"""kill -9 of parent, worker and compactor at random moments and at every named step, under load with clients that send
again: the acknowledged ids are the stored ids, read by DuckDB from the files that the ledger names."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.ingest.forked import AFTER, BEFORE, STEPS, Forking
from tests.ingest.servers import TOML, Server, is_running
from tests.ledgers import database, place_of, schema_of

SECONDS = 0.5
"""A client sends again when it has no answer for so long: perhaps it was stored."""


class Client(threading.Thread):
    """Sends batches of events with ids, and each one again until it is acknowledged, to any of the ports."""

    def __init__(self, ports: list[int], key: str, number: int) -> None:
        super().__init__(daemon=True)
        self.ports, self.key, self.number = ports, key, number
        self.acknowledged: set[str] = set()
        self.sent: set[str] = set()
        self.ending = threading.Event()

    def run(self) -> None:
        batch = 0
        while not self.ending.is_set():
            ids = [f"{self.number}-{batch}-{i}" for i in range(1 + batch % 7)]
            self.sent |= set(ids)
            events = [{"event": f"e{self.number % 2}", "id": one, "properties": {"n": batch}} for one in ids]
            attempt = self.number + batch
            while not self.ending.is_set():
                attempt += 1
                if self._is_acknowledged(self.ports[attempt % len(self.ports)], events):
                    self.acknowledged |= set(ids)
                    break
                time.sleep(0.02)
            batch += 1
            time.sleep(0.01)

    def _is_acknowledged(self, port: int, events: list[Any]) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
        headers = {"Authorization": f"Bearer {self.key}"}
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError), contextlib.closing(connection):
            connection.request("POST", "/v1/events", json.dumps(events), headers)
            answer = connection.getresponse()
            said = json.loads(answer.read())
            if answer.status == 200:
                assert said["rejected"] == []
                return True
        return False


@contextlib.contextmanager
def under_load(ports: list[int], key: str) -> Any:
    """Three clients, which have ended afterwards."""
    clients = [Client(ports, key, i) for i in range(3)]
    for client in clients:
        client.start()
    try:
        yield clients
    finally:
        for client in clients:
            client.ending.set()
        for client in clients:
            client.join(30)


def stored_ids(book: Path, paths: Iterable[str]) -> list[str]:
    with duckdb.connect() as engine:
        asked = "SELECT id FROM read_parquet(?, union_by_name = true)"
        return [row[0] for row in engine.execute(asked, [[str(book / path) for path in paths]]).fetchall()]


NAMED = "SELECT path FROM event_files WHERE removed IS NULL AND event != ''"


def assert_stored_once(clients: list[Client], found: list[str], at_least: int) -> None:
    acknowledged = set().union(*(client.acknowledged for client in clients))
    sent = set().union(*(client.sent for client in clients))
    assert len(acknowledged) > at_least
    assert len(found) == len(set(found))
    assert acknowledged <= set(found) <= sent


# --- the whole server --------------------------------------------------------------------------------------------------


def killed_rounds(folder: Path, rounds: int, chance: random.Random) -> None:
    """Of `tallybook serve` on a SQLite ledger: everything, or one child that its parent starts again."""
    server = Server(folder)
    key = server.key()
    server.start()
    with under_load([server.port], key) as clients:
        for _ in range(rounds):
            time.sleep(chance.uniform(0.05, 0.6))
            victim = chance.choice(["all", "ingest", "compact"])
            if victim == "all":
                server.kill()
                server.start()
            else:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(server.children[victim], signal.SIGKILL)
                server.until_restarted(victim)
    server.stop()
    server.start()
    log = folder / "book" / "events" / "log"
    until = time.monotonic() + 60
    while len(list(log.rglob("*.sqlite"))) > 1 and time.monotonic() < until:
        time.sleep(0.1)
    server.stop()
    with sqlite3.connect(folder / "book" / "ledger.sqlite") as ledger:
        paths = [row[0] for row in ledger.execute(NAMED)]
    ledger.close()
    assert_stored_once(clients, stored_ids(folder / "book", paths), rounds)


# --- both logs ---------------------------------------------------------------------------------------------------------


class Hosts:
    """Two hosts over one PostgreSQL ledger and one folder, one with its log on disk, one with it in the ledger."""

    def __init__(self, folder: Path) -> None:
        self.book = folder / "book"
        self.projects: dict[str, Path] = {}
        self.listeners: dict[str, socket.socket] = {}
        self.running: dict[tuple[str, str], int] = {}
        place = place_of(self.book)
        for durable in ("disk", "ledger"):
            project = self.projects[durable] = folder / durable
            project.mkdir(parents=True)
            book = f'store = "{self.book}"\nledger = "${{LEDGER_URL}}"\nschema = "{schema_of(self.book)}"\n\n'
            text = TOML.replace("\n\n[serve]", f'\n{book}[serve]\ndurable = "{durable}"')
            (project / "tallybook.toml").write_text(text)
            (project / ".env").write_text(f"LEDGER_URL={database()}\n")
            self.listeners[durable] = socket.create_server(("127.0.0.1", 0))
        self.ports = [one.getsockname()[1] for one in self.listeners.values()]
        self.forking = Forking([one.fileno() for one in self.listeners.values()], folder / "processes.log")
        self.place = place

    def start(self, durable: str, role: str, dies: tuple[str, str, int] | None = None) -> None:
        command = ["--project", str(self.projects[durable]), "--only", role]
        if role == "ingest":
            command += ["--listener", str(self.listeners[durable].fileno())]
        self.running[durable, role] = self.forking.start(*command, dies=dies)

    def kill(self, durable: str, role: str, how: int = signal.SIGKILL, seconds: float = 10) -> None:
        """Send a signal, and wait until the process has gone."""
        pid = self.running[durable, role]
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, how)
        self.until_gone(durable, role, seconds)

    def until_gone(self, durable: str, role: str, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while is_running(self.running[durable, role]):
            if time.monotonic() > until:
                return False
            time.sleep(0.01)
        return True

    def close(self) -> None:
        for durable, role in self.running:
            self.kill(durable, role)
        self.forking.close()
        for one in self.listeners.values():
            one.close()


def deaths(chance: random.Random) -> Iterable[tuple[str, tuple[str, str, int] | None]]:
    """(role, how it dies), for ever: every named step once, then again, with as many random moments between."""
    every = [(role, (step, when)) for role, steps in STEPS.items() for step in steps for when in (BEFORE, AFTER)]
    while True:
        for role, (step, when) in chance.sample(every, len(every)):
            yield role, (step, when, 1)
            yield chance.choice(("ingest", "compact")), None


def killed_hosts(folder: Path, rounds: int, chance: random.Random) -> None:
    hosts = Hosts(folder)
    try:
        key = Server.of(hosts.projects["ledger"]).key()
        for durable in hosts.projects:
            for role in STEPS:
                hosts.start(durable, role)
        with under_load(hosts.ports, key) as clients:
            for _, (role, dies) in zip(range(rounds), deaths(chance), strict=False):
                durable = chance.choice(list(hosts.projects))
                if dies is None:
                    time.sleep(chance.uniform(0, 0.2))
                else:
                    hosts.kill(durable, role)
                    hosts.start(durable, role, dies)
                    if dies[0] == "close":
                        time.sleep(0.3)
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(hosts.running[durable, role], signal.SIGTERM)
                    reached = hosts.until_gone(durable, role, 1.5)
                    print(f"{durable} {role} {dies}: {'killed itself' if reached else 'step not reached'}")
                hosts.kill(durable, role)
                hosts.start(durable, role)
        for durable in hosts.projects:
            hosts.kill(durable, "ingest", signal.SIGTERM)
        paths = until_consumed(hosts)
    finally:
        hosts.close()
    assert_stored_once(clients, stored_ids(hosts.book, paths), rounds)


def until_consumed(hosts: Hosts) -> list[str]:
    """Wait until both logs are compacted; the files that the ledger names then."""
    import psycopg

    asked = (
        "SELECT count(*) FROM event_requests r LEFT JOIN event_logs l ON l.host = 'ledger' AND l.file = r.file "
        "WHERE r.n > coalesce(l.consumed, 0)"
    )
    with psycopg.connect(
        database().replace("+psycopg", ""), options=f"-c search_path={schema_of(hosts.book)}", autocommit=True
    ) as ledger:
        for _ in range(600):
            on_disk = list((hosts.book / "events" / "log").rglob("*.sqlite"))
            if not on_disk and ledger.execute(asked).fetchone() == (0,):
                break
            time.sleep(0.05)
        else:
            raise AssertionError(f"not compacted: {on_disk}")
        return [row[0] for row in ledger.execute(NAMED).fetchall()]


def test_what_was_acknowledged_is_stored_once_whoever_is_killed(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    killed_rounds(tmp_path / "acme", 2, random.Random(seed))


def test_what_two_hosts_acknowledged_is_stored_once_at_whatever_step_they_are_killed(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    killed_hosts(tmp_path / "acme", 12, random.Random(seed))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(3))
def test_what_was_acknowledged_is_stored_once_over_many_kills(tmp_path: Path, seed: int) -> None:
    killed_rounds(tmp_path / "acme", 20, random.Random(seed))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(4))
def test_what_two_hosts_acknowledged_is_stored_once_over_many_kills(tmp_path: Path, seed: int) -> None:
    killed_hosts(tmp_path / "acme", 60, random.Random(seed))
