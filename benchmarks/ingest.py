"""Usage events over HTTP: acknowledged and queryable, beside what people would write instead.

Each round measures every server once, so that other load on the machine affects all of them."""

from __future__ import annotations

import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import ingest_apps
from benchmarks.figures import Budget, Report, print_progress
from benchmarks.ingest_load import event
from benchmarks.scene import Scene

OURS, PEER, NOTHING = "tallybook serve", "FastAPI, asyncpg, PostgreSQL", "an app that does nothing"
UVICORN, GRANIAN = "uvicorn with the log", "granian with the log"
LOADS = {"batches": (16, 100), "single": (64, 1)}
"""(connections, events of a request)."""
TOML = '[book]\nname = "Bench"\ntimezone = "UTC"\n\n[serve]\naccess_log = false\nreserve = "1 MB"\nbacklog = "20 GB"\n'
NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)


def measure(scene: Scene) -> Report:
    report = Report(name="ingest", what="usage events: acknowledged, queryable, kept and deduplicated")
    report.figures |= kept_and_deduplicated(scene)
    with contextlib.ExitStack() as stack:
        servers = {name: stack.enter_context(made(scene)) for name, made in SERVERS.items()}
        rates = acknowledged(servers, rounds=scene.scale.rounds, seconds=0.5 if scene.quick else 3.0)
        report.figures["acknowledged_events_per_second"] = rates
        ours, peer = servers[OURS], servers[PEER]
        count = 5_000 if scene.quick else 200_000
        rounds = [(queryable(ours, count), queryable(peer, count // 4)) for _ in range(min(3, scene.scale.rounds))]
        report.figures["queryable_events_per_second"] = {
            OURS: statistics.median(a for a, _ in rounds),
            PEER: statistics.median(b for _, b in rounds),
        }
        half = {name: half_load(ours, name, rates[name][OURS] / 2, 1 if scene.quick else 8) for name in LOADS}
        report.figures["half_load"] = half
    report.figures["ratios"] = _ratios(report.figures) | {"to queryable": statistics.median(a / b for a, b in rounds)}
    report.budgets = _budgets(report.figures)
    return report


def _ratios(figures: Mapping[str, Any]) -> dict[str, float]:
    rates = figures["acknowledged_events_per_second"]
    pairs = ((OURS, PEER), (OURS, NOTHING), (GRANIAN, UVICORN))
    return {f"{name}, {a} ÷ {b}": rates[f"{name} ratios"][f"{a} ÷ {b}"] for name in LOADS for a, b in pairs}


def _budgets(figures: Mapping[str, Any]) -> list[Budget]:
    ratios = figures["ratios"]
    rates = figures["dedup_ids_per_second"] / figures["compacted_events_per_second"]
    worst = max(one["p99_ms"] for one in figures["half_load"].values())
    against = f"{OURS} ÷ {PEER}"
    least = {
        f"acknowledged in batches of 100, {against}": (ratios[f"batches, {against}"], 10),
        f"acknowledged one by one, {against}": (ratios[f"single, {against}"], 5),
        f"to queryable, {against}": (ratios["to queryable"], 3.5),
        "deduplication of ids ÷ compaction": (rates, 2),
    }
    return [
        *(Budget(what=what, seen=seen, limit=limit, at_least=True) for what, (seen, limit) in least.items()),
        Budget(what="bytes of Parquet ÷ NDJSON", seen=figures["bytes_per_ndjson_byte"], limit=0.12),
        Budget(what="p99 of an answer at half load", seen=worst, limit=25, unit="ms"),
    ]


# -- servers -------------------------------------------------------------------------------------------------------


@dataclass
class Served:
    """A server that listens."""

    port: int
    key: str = ""
    folder: Path | None = None
    url: str = ""
    sent: int = field(default=0)

    def load(self, connections: int, batch: int, **options: float) -> dict[str, Any]:
        """What `ingest_load` saw."""
        asked = {"port": self.port, "key": self.key, "connections": connections, "batch": batch, **options}
        command = [sys.executable, "-m", "benchmarks.ingest_load", json.dumps(asked)]
        found: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        self.sent += found["events"]
        return found

    def stored(self) -> int:
        """How many of its events can be queried."""
        if self.url:
            import psycopg

            with psycopg.connect(self.url) as db:
                row = db.execute("SELECT count(*) FROM events").fetchone()
                return int(row[0]) if row else 0
        import sqlite3

        assert self.folder is not None
        with contextlib.closing(sqlite3.connect(self.folder / "book" / "ledger.sqlite", timeout=30)) as db:
            asked = "SELECT coalesce(sum(rows), 0) FROM event_files WHERE removed IS NULL"
            return int(db.execute(asked).fetchone()[0])


@contextlib.contextmanager
def _process(command: list[str], **variables: str) -> Iterator[None]:
    process = subprocess.Popen(
        command, env={**os.environ, **variables}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def _project(scene: Scene) -> tuple[Path, str]:
    """A project with a key."""
    folder = scene.new_folder()
    folder.mkdir()
    (folder / "tallybook.toml").write_text(TOML)
    command = [sys.executable, "-m", "tallybook", "keys", "create", "bench", "--project", str(folder)]
    done = subprocess.run([*command, "--format", "json"], stdout=subprocess.PIPE, check=True)
    return folder, json.loads(done.stdout)["key"]


def _free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def _ready(served: Served) -> Served:
    """Wait until the server takes a request."""
    for _ in range(200):
        with contextlib.suppress(subprocess.CalledProcessError, ConnectionError):
            import socket

            socket.create_connection(("127.0.0.1", served.port), 1).close()
            return served
        time.sleep(0.1)
    raise AssertionError("the server is not ready")


@contextlib.contextmanager
def served_by_tallybook(scene: Scene) -> Iterator[Served]:
    folder, key = _project(scene)
    port = _free_port()
    command = [sys.executable, "-m", "tallybook", "serve", "--project", str(folder), "--listen", f"127.0.0.1:{port}"]
    with _process([*command, "--only", "ingest,compact"]):
        yield _ready(Served(port, key, folder))


def _uvicorn(app: str, port: int) -> list[str]:
    command = [sys.executable, "-m", "uvicorn", "--factory", f"benchmarks.ingest_apps:{app}", "--port", str(port)]
    return [*command, "--no-access-log", "--log-level", "error"]


@contextlib.contextmanager
def served_by_fastapi(scene: Scene) -> Iterator[Served]:
    url = scene.server.url.replace("+psycopg", "")
    with contextlib.closing(scene.server.connect()) as db:
        # Servers of tests do not sync. What is compared with does, as ours.
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            db.execute(f"ALTER SYSTEM SET {name} = 'on'")
        db.execute("SELECT pg_reload_conf()")
        db.execute(ingest_apps.TABLE)
    port = _free_port()
    with _process(_uvicorn("fastapi", port), **{ingest_apps.URL: url}):
        yield _ready(Served(port, url=url))


@contextlib.contextmanager
def served_by_nothing(scene: Scene) -> Iterator[Served]:
    port = _free_port()
    with _process(_uvicorn("nothing", port)):
        yield _ready(Served(port))


@contextlib.contextmanager
def served_by_uvicorn(scene: Scene) -> Iterator[Served]:
    folder, key = _project(scene)
    port = _free_port()
    with _process(_uvicorn("ours", port), **{ingest_apps.PROJECT: str(folder)}):
        yield _ready(Served(port, key, folder))


@contextlib.contextmanager
def served_by_granian(scene: Scene) -> Iterator[Served]:
    folder, key = _project(scene)
    port = _free_port()
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--loop", "uvloop", "--port", str(port)]
    command += ["--no-log", "--factory", "benchmarks.ingest_apps:ours"]
    with _process(command, **{ingest_apps.PROJECT: str(folder)}):
        yield _ready(Served(port, key, folder))


SERVERS = {
    OURS: served_by_tallybook,
    PEER: served_by_fastapi,
    NOTHING: served_by_nothing,
    UVICORN: served_by_uvicorn,
    GRANIAN: served_by_granian,
}


# -- what is measured ----------------------------------------------------------------------------------------------


def acknowledged(servers: Mapping[str, Served], *, rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    """By load: events a second that each server acknowledged, and the medians of the rounds' ratios."""
    found: dict[str, dict[str, float]] = {}
    for name, (connections, batch) in LOADS.items():
        seen: dict[str, list[float]] = {server: [] for server in servers}
        for number in range(rounds + 1):
            for server, served in servers.items():
                one = served.load(connections, batch, seconds=seconds if number else 0.3)
                assert not one["errors"], (server, one)
                if number:  # the first round is a warm-up
                    seen[server].append(one["events"] / one["seconds"])
        found[name] = {server: statistics.median(rates) for server, rates in seen.items()}
        pairs = ((OURS, PEER), (OURS, NOTHING), (GRANIAN, UVICORN))
        found[f"{name} ratios"] = {
            f"{a} ÷ {b}": statistics.median(x / y for x, y in zip(seen[a], seen[b], strict=True)) for a, b in pairs
        }
        print_progress(f"  {name}: " + ", ".join(f"{server} {rate:,.0f}" for server, rate in found[name].items()))
    return found


def queryable(served: Served, events: int) -> float:
    """Events a second from the first that is sent until all can be queried."""
    _until(served, served.sent)
    began = time.perf_counter()
    served.load(*LOADS["batches"], events=events)
    _until(served, served.sent)
    return events / (time.perf_counter() - began)


def _until(served: Served, count: int) -> None:
    while served.stored() < count:
        time.sleep(0.02)


def half_load(served: Served, load: str, rate: float, seconds: float) -> dict[str, float]:
    """Percentiles of the answers at a rate, and how long after it the last event could be queried."""
    _until(served, served.sent)
    found = served.load(*LOADS[load], seconds=seconds, rate=rate)
    began = time.perf_counter()
    _until(served, served.sent)
    behind = time.perf_counter() - began
    return {"rate": rate, "p50_ms": found["p50_ms"], "p99_ms": found["p99_ms"], "last_queryable_after_s": behind}


def kept_and_deduplicated(scene: Scene) -> dict[str, float]:
    """What compaction writes for an NDJSON byte, how fast it is, and how fast ids are looked up among many."""
    from tallybook.ingest import Compactor, LogRow, SqliteLogs
    from tallybook.ingest.id_runs import latest_receipts
    from tallybook.storage import EventLedger, open_store

    events, ids = (5_000, 100_000) if scene.quick else (200_000, 10_000_000)
    folder = scene.new_folder()
    store = open_store(folder)
    ledger = EventLedger(store.ledger, store.files)  # type: ignore[arg-type]
    logs, chance = SqliteLogs(folder), random.Random(1)
    log, size = logs.new(), 0
    for first in range(0, events, 100):
        numbers = range(first, first + 100)
        many = [event(chance, str(uuid.UUID(int=chance.getrandbits(128), version=4)), n) for n in numbers]
        body = b"\n".join(json.dumps(one, separators=(",", ":")).encode() for one in many)
        size += len(body)
        log.append([LogRow(received=NOW, key="k", protocol="tallybook", path="/v1/events", headers="{}", body=body)])
    compactor = Compactor(ledger, logs, zone="UTC", clock=lambda: NOW)
    began = time.perf_counter()
    while compactor.step():
        pass
    compacted = events / (time.perf_counter() - began)
    files = ledger.snapshot().files
    runs = [_run(ledger, ids // 4) for _ in range(4)]
    asked = {chance.randbytes(16): NOW for _ in range(min(events, 70_000))}
    latest_receipts(ledger, runs, asked, compactor.dedup)
    began = time.perf_counter()
    latest_receipts(ledger, runs, asked, compactor.dedup)
    looked_up = len(asked) / (time.perf_counter() - began)
    store.ledger.close()
    return {
        "bytes_per_ndjson_byte": sum(file.bytes for file in files) / size,
        "compacted_events_per_second": compacted,
        "dedup_ids": ids,
        "dedup_ids_per_second": looked_up,
    }


def _run(ledger: Any, count: int) -> Any:
    """A run of ids nobody sent."""
    from tallybook.ingest.files import write_rows
    from tallybook.ingest.id_runs import _run as as_run
    from tallybook.storage import connect, stamp_of

    random_bytes = "unhex(md5(random()::VARCHAR || i))"
    with connect() as engine:
        select = (
            f"SELECT {random_bytes} AS id, TIMESTAMPTZ '{stamp_of(NOW)}' AS \"at\" FROM range({count}) r(i) ORDER BY id"
        )
        return as_run(write_rows(ledger.files, engine, select, "ids"), stamp_of(NOW), stamp_of(NOW))
