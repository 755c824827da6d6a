"""kill -9 of parent, worker and compactor at random moments, under load with clients that send again: the acknowledged ids
are the stored ids, read by DuckDB from the files that the ledger names."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import signal
import sqlite3
import threading
import time
from pathlib import Path

import duckdb
import pytest

from tests.ingest.servers import Server


class Client(threading.Thread):
    """Sends batches of events with ids, and each one again until it is acknowledged."""

    def __init__(self, server: Server, key: str, number: int) -> None:
        super().__init__(daemon=True)
        self.server, self.key, self.number = server, key, number
        self.acknowledged: set[str] = set()
        self.sent: set[str] = set()
        self.ending = threading.Event()

    def run(self) -> None:
        batch = 0
        while not self.ending.is_set():
            ids = [f"{self.number}-{batch}-{i}" for i in range(1 + batch % 7)]
            self.sent |= set(ids)
            events = [{"event": f"e{self.number % 2}", "id": one, "properties": {"n": batch}} for one in ids]
            while not self.ending.is_set():
                with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                    status, said = self.server.ask("POST", "/v1/events", events, self.key)
                    if status == 200:
                        assert said["rejected"] == []
                        self.acknowledged |= set(ids)
                        break
                time.sleep(0.02)
            batch += 1


def stored_ids(book: Path) -> list[str]:
    with sqlite3.connect(book / "ledger.sqlite") as ledger:
        paths = [row[0] for row in ledger.execute("SELECT path FROM event_files WHERE removed IS NULL AND event != ''")]
    ledger.close()
    with duckdb.connect() as engine:
        asked = "SELECT id FROM read_parquet(?, union_by_name = true)"
        return [row[0] for row in engine.execute(asked, [[str(book / path) for path in paths]]).fetchall()]


def killed_rounds(folder: Path, rounds: int, seed: int) -> None:
    chance = random.Random(seed)
    server = Server(folder)
    key = server.key()
    server.start()
    clients = [Client(server, key, i) for i in range(3)]
    for client in clients:
        client.start()
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
    for client in clients:
        client.ending.set()
    for client in clients:
        client.join(30)
    server.stop()
    server.start()
    log = folder / "book" / "events" / "log"
    until = time.monotonic() + 30
    while len(list(log.rglob("*.sqlite"))) > 1 and time.monotonic() < until:
        time.sleep(0.1)
    server.stop()
    found = stored_ids(folder / "book")
    acknowledged = set().union(*(client.acknowledged for client in clients))
    sent = set().union(*(client.sent for client in clients))
    assert len(acknowledged) > rounds
    assert len(found) == len(set(found))
    assert acknowledged <= set(found) <= sent


def test_what_was_acknowledged_is_stored_once_whoever_is_killed(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    killed_rounds(tmp_path / "acme", 4, seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_what_was_acknowledged_is_stored_once_over_many_kills(tmp_path: Path, seed: int) -> None:
    killed_rounds(tmp_path / "acme", 30, seed)
