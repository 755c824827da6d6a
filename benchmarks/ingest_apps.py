"""ASGI applications that the benchmark of events serves: ours, what people would write instead, and an empty one."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

URL, PROJECT = "TALLYBOOK_BENCH_URL", "TALLYBOOK_BENCH_PROJECT"


def ours() -> Any:
    """The door of `tallybook serve`, with its log, without a compactor."""
    from tallybook.config import load
    from tallybook.ingest import GroupCommit, KeyRing, logs_to_write
    from tallybook.server import event_ledger
    from tallybook.server.app import EventsApp
    from tallybook.server.worker import Watch

    def clock() -> datetime:
        return datetime.now(UTC)

    project = load(Path(os.environ[PROJECT]), os.environ)
    events = event_ledger(project.place)
    logs, keys = logs_to_write(project.place, events, None), KeyRing(events, clock)
    watch = Watch(keys, logs, project.place.folder, project.catalog.serve)
    return EventsApp(GroupCommit(logs), keys, events, clock=clock, problem=lambda: watch.problem)


def nothing() -> Callable[..., Any]:
    """Reads a request and answers it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        while (await receive()).get("more_body"):
            pass
        headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})

    return app


TABLE = """
CREATE TABLE IF NOT EXISTS events (
    id TEXT PRIMARY KEY, event TEXT NOT NULL, time TIMESTAMPTZ, "user" TEXT, account TEXT, properties JSONB NOT NULL,
    received TIMESTAMPTZ NOT NULL DEFAULT now())
"""
INSERT = """
INSERT INTO events (id, event, time, "user", account, properties) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING
"""


def fastapi() -> Any:
    """FastAPI, asyncpg and PostgreSQL: every event is validated and inserted before the answer."""
    import asyncpg
    import pydantic
    from fastapi import FastAPI

    class SentEvent(pydantic.BaseModel):
        event: str
        time: datetime
        user: str | None = None
        account: str | None = None
        id: str
        properties: dict[str, Any] = {}

    app = FastAPI()
    pools: list[Any] = []

    async def store(events: list[SentEvent]) -> dict[str, int]:
        if not pools:
            pools.append(None)
            pools[0] = await asyncpg.create_pool(os.environ[URL], min_size=8, max_size=16)
        while pools[0] is None:
            import asyncio

            await asyncio.sleep(0.01)
        rows = [
            (
                one.id,
                one.event,
                one.time,
                one.user,
                one.account,
                pydantic.TypeAdapter(dict).dump_json(one.properties).decode(),
            )
            for one in events
        ]
        async with pools[0].acquire() as connection:
            if len(rows) == 1:
                await connection.execute(INSERT, *rows[0])
            else:
                await connection.executemany(INSERT, rows)
        return {"stored": len(rows)}

    store.__annotations__["events"] = list[SentEvent]
    app.post("/v1/events")(store)
    return app
