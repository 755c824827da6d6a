"""Questions over HTTP beside the same questions in Python, and unchanged answers.

The server is its ASGI application in this process, without a socket."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks import points
from benchmarks.figures import Budget, Report
from benchmarks.projects import open_at
from benchmarks.scene import Scene

QUESTIONS: dict[str, dict[str, Any]] = {
    "month": {"metrics": ["m7"], "scope": "month"},
    "day by region": {"metrics": ["m7"], "scope": "day", "by": ["region"]},
    "several, week, compared": {"metrics": ["m1", "m2", "m3"], "scope": "week", "compare": "previous"},
}


def measure(scene: Scene) -> Report:
    report = Report(name="api", what="questions over HTTP beside Python; milliseconds")
    asks = max(10, scene.scale.asks)
    with closing(_Api(points.additive(scene), points.last_day(points.DAYS))) as api:
        for name, asked in QUESTIONS.items():
            report.figures[name] = _beside_python(api, asked, asks)
    ratios = [one["http"] / one["python"] for one in (report.figures[name] for name in QUESTIONS)]
    unchanged = max(report.figures[name]["unchanged"] for name in QUESTIONS)
    report.budgets += [
        Budget(
            what="POST /v1/query ÷ Book.query, processor time, the slowest of three questions",
            seen=max(ratios),
            limit=1.5,
        ),
        Budget(what="an unchanged answer (304)", seen=unchanged, limit=5, unit="ms"),
    ]
    return report


class _Api:
    """The reading API of a project, asked without a network."""

    def __init__(self, folder: Path, last: date) -> None:
        from tallybook.core import DEFAULT_RULES, ServeSettings
        from tallybook.ingest import KeyRing
        from tallybook.server import SharedBook, WorkerPlan, event_ledger
        from tallybook.server.app import EventsApp
        from tallybook.server.clients import DoorPolicy
        from tallybook.server.worker import _doors

        now = datetime.combine(last + timedelta(days=1), datetime.min.time(), UTC) + timedelta(hours=6)
        settings = ServeSettings()
        self.book = open_at(folder, last)
        place = self.book.project.place
        self.events = event_ledger(place)
        self.shared = SharedBook(folder, lambda: open_at(folder, last))
        plan = WorkerPlan(
            place=place,
            settings=settings,
            rules=DEFAULT_RULES,
            clock=lambda: now,
            reload=lambda: (settings, DEFAULT_RULES),
            on_error=_raised,
            book=self.shared,
        )
        keys = KeyRing(self.events, lambda: now)
        self.app = EventsApp(None, keys, self.events, clock=lambda: now, doors=_doors(plan))
        self.app.policy = DoorPolicy.of(settings, needs_proxy=False)
        self.loop = asyncio.new_event_loop()

    def post(self, asked: dict[str, Any], known: str = "") -> tuple[int, dict[str, str]]:
        """(status, headers) of the answer to a question."""
        body = json.dumps(asked).encode()
        headers = {"host": "127.0.0.1:8321", "content-type": "application/json", "if-none-match": known}
        scope = {
            "type": "http",
            "method": "POST",
            "scheme": "http",
            "path": "/v1/query",
            "raw_path": b"/v1/query",
            "query_string": b"",
            "client": ("127.0.0.1", 50_000),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        self.loop.run_until_complete(self.app(scope, receive, send))
        return sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}

    def forget(self) -> None:
        """Let both books compute the next answer."""
        self.book.answers.forget_answers()
        with self.shared.using() as book:
            book.answers.forget_answers()

    def close(self) -> None:
        self.loop.close()
        self.shared.close()
        self.events.close()
        self.book.close()


def _beside_python(api: _Api, asked: dict[str, Any], asks: int) -> dict[str, float]:
    """Medians of asks in turn: processor time over HTTP and in Python with its JSON, and the time of a 304."""
    options = {name: value for name, value in asked.items() if name != "metrics"}
    tag = api.post(asked)[1]["etag"]
    found: dict[str, list[float]] = {"http": [], "python": []}
    ways: dict[str, Callable[[], object]] = {
        "python": lambda: api.book.query(*asked["metrics"], **options).to_json(),
        "http": lambda: api.post(asked),
    }
    for way in ways.values():  # the files are read once
        way()
    for place in range(asks):
        for name in sorted(ways, reverse=bool(place % 2)):
            api.forget()
            found[name].append(_milliseconds(ways[name], time.process_time))
    found["unchanged"] = [_milliseconds(lambda: api.post(asked, tag)) for _ in range(10 * asks)]
    assert api.post(asked, tag)[0] == 304
    return {name: statistics.median(several) for name, several in found.items()}


def _milliseconds(way: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    began = clock()
    way()
    return (clock() - began) * 1000


def _raised(error: Exception) -> None:
    raise error
