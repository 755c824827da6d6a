"""The interface for groups of paths besides events. Each group is one module and one line of `worker._doors`."""

from __future__ import annotations

from typing import Protocol

from tallybook.server.answers import HttpAnswer
from tallybook.server.gate import Gate
from tallybook.server.requests import Request


class Door(Protocol):
    """Answers a group of paths."""

    def takes(self, request: Request) -> bool:
        """Whether this door answers the path of a request."""

    async def answer(self, request: Request, gate: Gate) -> HttpAnswer:
        """The answer to a request for which `takes` is true. Raises Refusal. Blocking work runs in a thread."""
