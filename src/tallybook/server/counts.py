"""Counters of one worker, and of all workers together in the Prometheus text format.

A scrape reaches one worker. Each worker writes its counters into a shared folder, and the scraped worker reads all of
them."""

from __future__ import annotations

import functools
import json
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"))
_SEPARATOR = "\x1f"
ABOUT = {
    "http_requests_total": "Requests by method, path and status.",
    "http_request_seconds": "How long requests took, with their bodies.",
    "http_request_bytes_total": "Bytes of bodies as they were sent.",
    "events_total": "Events by key and verdict.",
    "rejected_events_total": "Rejected events by key and code.",
    "invalid_http_total": "Requests that are not HTTP.",
}


class Counts:
    """The counters, written by the event loop. `worker` is a label of every series, so a restart resets only its own
    series."""

    def __init__(self, worker: int = 0, shared: Path | None = None) -> None:
        self.worker, self.shared = worker, shared
        self.totals: dict[str, float] = defaultdict(float)
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0

    def add(self, name: str, value: float = 1, **labels: str) -> None:
        self.totals[_key(name, tuple(labels.items()))] += value

    def request(self, method: str, path: str, status: int, seconds: float) -> None:
        """Count an answer. `path` must come from a small set, with placeholders for parameters."""
        method = method if method in METHODS else "other"
        self.add("http_requests_total", method=method, path=path, status=str(status))
        self.buckets[bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds

    def as_json(self) -> dict[str, Any]:
        return {"worker": self.worker, "totals": self.totals, "buckets": self.buckets, "seconds": self.seconds}

    def publish(self) -> None:
        """Make the counters visible to the other workers."""
        if self.shared is not None:
            new = self.shared / f"{self.worker}.new"
            with suppress(OSError):
                new.write_text(json.dumps(self.as_json()))
                new.replace(self.shared / f"{self.worker}.json")

    def exposition(self, gauges: Mapping[str, tuple[str, float]]) -> str:
        """The counters of all workers, and gauges by name with (about, value)."""
        every = [self.as_json(), *self._others()]
        samples: dict[str, list[str]] = {name: [] for name in ABOUT}
        for one in every:
            worker = ("worker", str(one["worker"]))
            for key, value in sorted(one["totals"].items()):
                name, *labels = key.split(_SEPARATOR)
                pairs = [worker, *((label.partition("=")[0], label.partition("=")[2]) for label in labels)]
                samples[name].append(_sample(name, pairs, value))
            samples["http_request_seconds"] += _histogram(one, worker)
        lines: list[str] = []
        for name, found in samples.items():
            kind = "histogram" if name == "http_request_seconds" else "counter"
            lines += [f"# HELP tallybook_{name} {ABOUT[name]}", f"# TYPE tallybook_{name} {kind}", *found]
        for name, (about, value) in gauges.items():
            lines += [f"# HELP tallybook_{name} {about}", f"# TYPE tallybook_{name} gauge", _sample(name, [], value)]
        return "\n".join(lines) + "\n"

    def _others(self) -> Iterable[dict[str, Any]]:
        for path in sorted(self.shared.glob("*.json")) if self.shared is not None else ():
            if path.stem != str(self.worker):
                with suppress(OSError, ValueError):
                    yield json.loads(path.read_text())


@functools.lru_cache(maxsize=4_096)
def _key(name: str, labels: tuple[tuple[str, str], ...]) -> str:
    return _SEPARATOR.join([name, *(f"{label}={text}" for label, text in labels)])


def _histogram(one: Mapping[str, Any], worker: tuple[str, str]) -> list[str]:
    name, total, lines = "http_request_seconds", 0, []
    for bound, count in zip([*map(str, BUCKETS), "+Inf"], one["buckets"], strict=True):
        total += count
        lines.append(_sample(f"{name}_bucket", [worker, ("le", bound)], total))
    return [*lines, _sample(f"{name}_sum", [worker], one["seconds"]), _sample(f"{name}_count", [worker], total)]


def _sample(name: str, labels: Sequence[tuple[str, str]], value: float) -> str:
    quoted = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
    return f"tallybook_{name}{'{' + quoted + '}' if quoted else ''} {value:.15g}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
