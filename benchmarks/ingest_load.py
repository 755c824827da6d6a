"""Sends events to a server over many connections that stay open, and measures the answers; JSON on stdout.

    python -m benchmarks.ingest_load '{"port": 8321, "connections": 16, "batch": 100, "seconds": 3, "key": "…"}'

With `events` it ends after so many events, with `rate` it sends so many events a second, evenly."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

ENDPOINTS = ("/v1/orders", "/v1/orders/items", "/v1/customers", "/v1/exports", "/v1/search")
FIRST = datetime(2026, 3, 5, 12, tzinfo=UTC)
NONCE = b"00000000"
"""A part of every id in a body, replaced for each request, so that every event is new."""
BODIES = 64


def event(chance: random.Random, id_: str, number: int) -> dict[str, Any]:
    """An event of some 240 bytes. Those of greater numbers happen later, but for a second."""
    at = FIRST + timedelta(milliseconds=5 * number + chance.randrange(1000))
    return {
        "event": "api_call",
        "time": f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z",
        "user": f"u{chance.randrange(5000)}",
        "account": f"a{chance.randrange(300)}",
        "id": id_,
        "properties": {
            "endpoint": chance.choice(ENDPOINTS),
            "status": chance.choice((200, 200, 200, 404)),
            "latency_ms": round(chance.lognormvariate(3, 1), 2),
            "method": chance.choice(("GET", "POST")),
            "cached": chance.random() < 0.3,
        },
    }


@dataclass
class Load:
    """What is asked for, and what was seen."""

    port: int
    connections: int
    batch: int
    key: str
    seconds: float = 0.0
    events: int = 0
    rate: float = 0.0
    sent: int = 0
    acknowledged: int = 0
    errors: int = 0
    latencies: list[float] = field(default_factory=list)
    began: float = 0.0

    def __post_init__(self) -> None:
        chance = random.Random(self.port)
        self.requests = [self._request(chance) for _ in range(BODIES)]
        self.chance = random.Random()

    def _request(self, chance: random.Random) -> bytes:
        ids = [
            f"{NONCE.decode()}-{chance.getrandbits(16):04x}-4{chance.getrandbits(12):03x}" for _ in range(self.batch)
        ]
        events = [event(chance, f"{one}-8{i:03x}-{chance.getrandbits(48):012x}", i) for i, one in enumerate(ids)]
        body = json.dumps(events, separators=(",", ":")).encode()
        head = (
            f"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self.key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def next(self) -> bytes | None:
        """The bytes of another request; None when there is none."""
        now = time.perf_counter()
        if (self.events and self.sent >= self.events) or (self.seconds and now - self.began > self.seconds):
            return None
        self.sent += self.batch
        return self.chance.choice(self.requests).replace(NONCE, b"%08x" % self.chance.getrandbits(32))

    async def run(self) -> None:
        self.began = time.perf_counter()
        await asyncio.gather(*(self._connection(i) for i in range(self.connections)))

    async def _connection(self, number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        interval = self.batch * self.connections / self.rate if self.rate else 0.0
        due = self.began + interval * number / self.connections
        while (request := self.next()) is not None:
            if interval:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                due += interval
            began = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            await reader.readexactly(length)
            self.latencies.append(time.perf_counter() - began)
            if head[9:12] == b"200":
                self.acknowledged += self.batch
            else:
                self.errors += 1
                await asyncio.sleep(0.2)
        writer.close()

    def to_dict(self) -> dict[str, Any]:
        ordered = sorted(self.latencies)
        return {
            "events": self.acknowledged,
            "seconds": time.perf_counter() - self.began,
            "errors": self.errors,
            "p50_ms": 1000 * ordered[len(ordered) // 2],
            "p99_ms": 1000 * ordered[int(len(ordered) * 0.99)],
        }


def main() -> None:
    import uvloop

    load = Load(**json.loads(sys.argv[1]))
    uvloop.run(load.run())
    print(json.dumps(load.to_dict()))


if __name__ == "__main__":
    main()
