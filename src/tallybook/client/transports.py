"""How the client's requests reach a book: over HTTP, or without it. One class for each, found when it is needed."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import Any, Protocol

from tallybook.core import TallybookError

HTTP, BOOK = "http", "book"
TRANSPORTS = {
    HTTP: "tallybook.client.over_http:HttpTransport",
    # The room that stores events is above this one and needs an engine: it is named here, and imported on first use.
    BOOK: "tallybook.ingest.book_transport:BookTransport",
}


@dataclass(frozen=True, kw_only=True)
class TransportAnswer:
    """What became of a request. `body` is the JSON of the answer, None for none."""

    status: int
    body: Any = None
    retry_after: float | None = None
    """Seconds for which the server asks not to be asked again."""


class TransportFailed(TallybookError):
    """A request got no answer. Whether it was stored is unknown; sending it again is safe."""


class Transport(Protocol):
    """Sends one request at a time. It belongs to one process: a forked child makes its own."""

    def request(self, method: str, path: str, body: bytes, seconds: float) -> TransportAnswer:
        """The answer to a request within so many seconds. Raises TransportFailed."""

    def settle(self) -> None:
        """Make what was stored ready to be queried, as far as this process has to."""

    def close(self) -> None:
        """Let go of the connection. The next request opens another."""


@dataclass(frozen=True, kw_only=True)
class TransportPlace:
    """Where requests go: the `kind` of transport, and what its class is made with."""

    kind: str
    address: str
    key: str = field(default="", repr=False)

    def opened(self) -> Transport:
        module, _, name = TRANSPORTS[self.kind].partition(":")
        made: Transport = getattr(importlib.import_module(module), name)(self.address, self.key)
        return made
