"""The HTTP door of a book called as an ASGI callable: no network, a log in a file, a clock that the test moves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

from tallybook.ingest import Compactor, KeyRing, KeyTerms, create_key
from tallybook.server.app import EventsApp
from tallybook.server.px.door import PxDoor
from tallybook.server.reads import EventReads
from tallybook.storage import EntityLedger
from tests.ingest.test_event_log import NOW, Ingest

T = TypeVar("T")


@dataclass
class Answer:
    status: int
    json: Any
    headers: dict[str, str]


class HttpDoor(Ingest):
    """An `EventsApp` over an Ingest. `ask` sends one request; requests of one `story` share an event loop."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.peer = "127.0.0.1"
        self.keys = KeyRing(self.events, lambda: self.now)
        self.app = self.another()
        self.writer, self.reader = self.new_key("loader"), self.new_key("reader", scopes=("read",))
        self.keys.refresh()

    def another(self, keys: KeyRing | None = None) -> EventsApp:
        """The door of another worker."""
        reads = EventReads(events=self.events, compactor=self.made_compactor)
        px = PxDoor(EntityLedger(self.events.ledger), self.events, lambda: self.now)
        app = EventsApp(
            self.commit,
            keys or self.keys,
            self.events,
            clock=lambda: self.now,
            reads=reads,
            first_doors=[px],
        )
        px.rates = app.rates
        return app

    def made_compactor(self) -> Compactor:
        return self.compactor()

    def new_key(self, name: str, **terms: Any) -> str:
        return create_key(self.events, name, KeyTerms(**terms), now=self.now)

    def later(self, **span: float) -> None:
        self.now += timedelta(**span)
        self.keys.refresh()

    def run(self, story: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(story)

    def ask(self, method: str, path: str, body: Any = None, key: str | None = None, **headers: str) -> Answer:
        return self.run(self.asked(method, path, body, key, **headers))

    def post(self, *events: dict[str, Any], key: str | None = None, path: str = "/v1/events", **headers: str) -> Answer:
        return self.ask("POST", path, list(events), key or self.writer, **headers)

    async def asked(
        self,
        method: str,
        path: str,
        body: Any = None,
        key: str | None = None,
        *,
        app: EventsApp | None = None,
        **headers: str,
    ) -> Answer:
        sent: list[Any] = []
        text = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": text, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        named = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        if key is not None:
            named.setdefault("authorization", f"Bearer {key}")
        plain, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": unquote(plain, errors="replace"),
            "raw_path": plain.encode(),
            "query_string": query.encode(),
            "client": (self.peer, 50_000),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in named.items()],
        }
        await (app or self.app)(scope, receive, send)
        start, end = sent
        found = {name.decode(): value.decode() for name, value in start["headers"]}
        raw = end["body"]
        is_json = "json" in found.get("content-type", "")
        return Answer(start["status"], json.loads(raw) if raw and is_json else raw.decode() or None, found)


__all__ = ["NOW", "Answer", "HttpDoor"]
