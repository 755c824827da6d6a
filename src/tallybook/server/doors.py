"""Groups of paths that the HTTP door answers beside events: each is one module and one line of `worker._doors`."""

from __future__ import annotations

from typing import Protocol

from tallybook.server.answers import HttpAnswer
from tallybook.server.gate import Gate
from tallybook.server.requests import Request


class Door(Protocol):
    """The answers of some paths."""

    def takes(self, request: Request) -> bool:
        """Whether the path of a request is one of this door's."""

    async def answer(self, request: Request, gate: Gate) -> HttpAnswer:
        """The answer to a request that it takes. Raises Refusal; what blocks runs in a thread."""
