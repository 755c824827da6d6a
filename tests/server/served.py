"""The HTTP API of a project's book as an ASGI callable: no network, the clock of the project."""

from __future__ import annotations

import asyncio
import functools
import json
import shutil
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

import tallybook
from tallybook.core import DEFAULT_RULES, ServeSettings
from tallybook.ingest import KeyRing, KeyTerms, create_key
from tallybook.server import SharedBook, WorkerPlan, event_ledger
from tallybook.server.app import EventsApp
from tallybook.server.clients import DoorPolicy
from tallybook.server.worker import _doors
from tests.projects import Project

NOW = "2024-02-10T12:00"
METRICS = """
[metrics.mrr]
kind = "level"
table = "subscriptions"
time = "day"
measure = "sum(mrr)"
by = ["plan", "account"]
unit = "EUR"

[metrics.signups]
table = "users"
time = "at"
measure = "count(*)"
by = ["plan"]

[metrics.mrr_per_signup]
measure = "mrr / signups"
"""
MRR = {"pro": 100, "team": 50, "free": 10}


@dataclass
class Answer:
    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Served:
    """`ask` sends one request to a worker of the project, as from `peer`, with `Host` and without other headers."""

    def __init__(self, project: Project, settings: ServeSettings | None = None) -> None:
        self.project, self.settings = project, settings or ServeSettings()
        place = project.book.project.place
        self.events = event_ledger(place)
        self.keys = KeyRing(self.events, lambda: project.now)
        self.errors: list[Exception] = []
        self.book = SharedBook(project.folder, self._open, on_error=self.errors.append)
        self.plan = WorkerPlan(
            place=place,
            settings=self.settings,
            rules=DEFAULT_RULES,
            clock=lambda: project.now,
            reload=lambda: (self.settings, DEFAULT_RULES),
            on_error=self.errors.append,
            book=self.book,
        )
        self.doors = _doors(self.plan)
        self.app = EventsApp(None, self.keys, self.events, clock=lambda: project.now, doors=self.doors)
        self.app.policy = DoorPolicy.of(self.settings, needs_proxy=False)
        self.peer: tuple[str, int] | None = ("127.0.0.1", 50_000)
        self.host = "127.0.0.1:8321"

    def _open(self) -> Any:
        return tallybook.open(self.project.folder, now=lambda: self.project.now)

    def key(self, name: str = "reader", *scopes: str, **terms: Any) -> str:
        made = create_key(self.events, name, KeyTerms(scopes=scopes or ("read",), **terms), now=self.project.now)
        self.keys.refresh()
        return made

    def ask(self, method: str, path: str, body: Any = None, key: str | None = None, **headers: str) -> Answer:
        text = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        named = {"host": self.host} | {name.replace("_", "-").lower(): value for name, value in headers.items()}
        if key is not None:
            named.setdefault("authorization", f"Bearer {key}")
        plain, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "scheme": "http",
            "path": unquote(plain, errors="replace"),
            "raw_path": plain.encode(),
            "query_string": query.encode(),
            "client": self.peer,
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in named.items()],
        }
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": text, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        # In a thread of its own: while a module has a Chromium, an event loop runs in the tests' thread.
        thread = threading.Thread(target=lambda: asyncio.run(self.app(scope, receive, send)))
        thread.start()
        thread.join()
        start, end = sent
        return Answer(start["status"], end["body"], {name.decode(): value.decode() for name, value in start["headers"]})

    def query(self, key: str | None = None, **options: Any) -> Answer:
        """The answer to POST /v1/query."""
        return self.ask("POST", "/v1/query", options, key, content_type="application/json")

    def close(self) -> None:
        self.book.close()
        self.events.close()


@functools.cache
def _template() -> Path:
    """A book that was collected once; tests take copies."""
    folder = Path(tempfile.mkdtemp(prefix="tallybook-served-")) / "book"
    folder.mkdir()
    made = Project(folder, f"sqlite:///{folder}/app.db", now=NOW)
    days = [f"2024-{month:02}-{day:02}" for month, last in ((1, 31), (2, 9)) for day in range(1, last + 1)]
    made.table(
        "subscriptions (day date, account text, plan text, mrr int)",
        [(day, f"a{place}", plan, mrr) for day in days for place, (plan, mrr) in enumerate(MRR.items())],
    )
    made.table("users (at text, plan text)", [(f"{day} 10:00:00", plan) for day in days for plan in MRR])
    made.declare(METRICS)
    made.run()
    made.close()
    return folder


def company(folder: Path) -> Project:
    """MRR of three plans, and a signup of each a day, from January 1 to February 9, 2024."""
    template = _template()
    shutil.copytree(template, folder)
    file = folder / "tallybook.toml"
    file.write_text(file.read_text().replace(str(template), str(folder)))
    return Project(folder, f"sqlite:///{folder}/app.db", now=NOW)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One for the tests that change nothing."""
    made = Served(company(tmp_path_factory.mktemp("served") / "book"))
    yield made
    made.close()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Served]:
    """One that the test may change."""
    made = Served(company(tmp_path / "book"))
    yield made
    made.close()
