"""People who read pages beside senders of usage events: are acknowledged events lost, and how long do senders wait?

    python -m benchmarks.run --only readers [--quick]

One `tallybook serve` answers all of them. Each reader asks for a page, reads it for a second, and asks for the next
one. Senders send as fast as they get answers."""

from __future__ import annotations

import http.client
import json
import random
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks.databases import FIRST_DAY
from benchmarks.figures import Budget, Report, print_progress
from benchmarks.ingest import LOADS, Served, _free_port, _process, _ready
from benchmarks.pages import _project
from benchmarks.projects import collect
from benchmarks.scene import Scene

READERS = 50
SECONDS_TO_READ = 1.0
MAX_P99_MS = 50
MAX_SECONDS_TO_STORE = 120.0
SERVE = '\n[serve]\naccess_log = false\nreserve = "1 MB"\nbacklog = "20 GB"\n'
PATHS = (
    "/",
    "/?scope=month",
    "/m/count_3",
    "/m/level_1?scope=month",
    "/q?metrics=sum_2&by=plan&scope=week",
    "/q?metrics=count_1&metrics_b=sum_1&formula=B%2FA&scope=week",
    "/v1/query?metrics=count_2&scope=month&by=plan",
    "/v1/metrics",
    "/health",
)


def measure(scene: Scene) -> Report:
    count, days, seconds, readers = (20, 120, 2.0, 10) if scene.quick else (100, 3 * 365, 60.0, READERS)
    report = Report(name="readers", what=f"{readers} readers of pages beside senders of usage events")
    with ExitStack() as stack:
        served = _served(scene, stack, count, days)
        alone = served.load(*LOADS["batches"], seconds=seconds)
        print_progress(f"  without readers: p99 {alone['p99_ms']:.1f} ms")
        reading = Readers(served.port, readers)
        stack.callback(reading.stop)
        reading.start()
        beside = served.load(*LOADS["batches"], seconds=seconds)
        reading.stop()
        lost = served.sent - _stored(served)
    report.figures = {
        "without readers": _sent(alone),
        "with readers": _sent(beside),
        "acknowledged_events": served.sent,
        "lost_events": lost,
        "readers": reading.to_dict(),
    }
    report.budgets = [
        Budget(what="acknowledged events that are not stored", seen=lost, limit=0, unit="events"),
        Budget(what=f"p99 of senders beside {readers} readers", seen=beside["p99_ms"], limit=MAX_P99_MS, unit="ms"),
        Budget(what="pages and answers that failed", seen=reading.failed, limit=0, unit="answers"),
    ]
    return report


def _served(scene: Scene, stack: ExitStack, count: int, days: int) -> Served:
    """A server of a collected book, with a key for senders. Readers on the same machine need none."""
    folder = _project(scene.new_folder(), count, days)
    with (folder / "tallybook.toml").open("a") as file:
        file.write(SERVE)
    collect(folder, FIRST_DAY + timedelta(days=days - 1))
    port = _free_port()
    command = [sys.executable, "-m", "tallybook", "serve", "--project", str(folder), "--listen", f"127.0.0.1:{port}"]
    key = _key(folder)
    stack.enter_context(_process(command))
    return _ready(Served(port, key, folder))


def _key(folder: Path) -> str:
    command = [sys.executable, "-m", "tallybook", "keys", "create", "bench", "--project", str(folder)]
    done = subprocess.run([*command, "--format", "json"], stdout=subprocess.PIPE, check=True)
    key: str = json.loads(done.stdout)["key"]
    return key


def _stored(served: Served) -> int:
    """How many events can be queried, after those that were sent had time to be."""
    deadline = time.monotonic() + MAX_SECONDS_TO_STORE
    while (stored := served.stored()) < served.sent and time.monotonic() < deadline:
        time.sleep(0.1)
    return stored


def _sent(found: dict[str, Any]) -> dict[str, float]:
    rate = found["events"] / found["seconds"]
    return {"events_per_second": rate} | {key: found[key] for key in ("errors", "p50_ms", "p99_ms")}


@dataclass
class Readers:
    """People who read pages, each in a thread, from `start` to `stop`."""

    port: int
    number: int
    failed: int = 0
    times: list[float] = field(default_factory=list)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        self._threads = [threading.Thread(target=self._read, args=(n,), daemon=True) for n in range(self.number)]
        for one in self._threads:
            one.start()

    def stop(self) -> None:
        self._stopped.set()
        for one in self._threads:
            one.join(60)

    def _read(self, number: int) -> None:
        dice = random.Random(number)
        # People do not all ask at the same moment.
        self._stopped.wait(SECONDS_TO_READ * number / self.number)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        while not self._stopped.is_set():
            began = time.perf_counter()
            try:
                connection.request("GET", dice.choice(PATHS))
                answer = connection.getresponse()
                answer.read()
                self.failed += answer.status != 200
            except (OSError, http.client.HTTPException):
                self.failed += 1
                connection.close()
            self.times.append(time.perf_counter() - began)
            self._stopped.wait(SECONDS_TO_READ)
        connection.close()

    def to_dict(self) -> dict[str, float]:
        ordered = sorted(self.times)
        return {
            "answers": len(ordered),
            "failed": self.failed,
            "p50_ms": 1000 * ordered[len(ordered) // 2],
            "p99_ms": 1000 * ordered[int(len(ordered) * 0.99)],
        }
