"""Which requests are of which wire protocol of another service: their paths, also below the prefix of the protocol."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tallybook.core import PROTOCOLS, EventRequest, ProtocolKind
from tallybook.ingest import OWN_PROTOCOL, WireProtocol

OWN_PATHS = ("/healthz", "/readyz", "/metrics", "/openapi.json", "/v1/events/schema", "/v1/rejected")


@dataclass(frozen=True, kw_only=True)
class ProtocolRoute:
    """Where a request is meant to go: `kinds` are the protocols with this path, none where only the prefix is known."""

    kinds: tuple[ProtocolKind, ...]
    path: str
    """Without the prefix and a slash at the end."""
    owner: ProtocolKind
    """Whose answers are given where nothing is known of the body."""
    template: str
    """The path in counters."""


class ProtocolRoutes:
    """The paths of all protocols but our own. `allowed`: the names of those that are taken; None: all."""

    def __init__(self, allowed: Iterable[str] | None = None) -> None:
        names = None if allowed is None else frozenset(allowed)
        self.kinds = [
            kind for kind in PROTOCOLS.kinds() if kind.name != OWN_PROTOCOL and (names is None or kind.name in names)
        ]
        # Our own paths stay ours, whatever a package says.
        own = {*PROTOCOLS.kind(OWN_PROTOCOL).paths, *OWN_PATHS}
        begin = {_first(path) for path in own}
        self.prefixes = {kind.prefix: kind for kind in self.kinds if kind.prefix and kind.prefix not in begin}
        self.by_path: dict[str, list[ProtocolKind]] = {}
        for kind in self.kinds:
            for path in kind.paths:
                if path not in own:
                    self.by_path.setdefault(path.rstrip("/"), []).append(kind)

    def find(self, path: str) -> ProtocolRoute | None:
        """The route of a path; None where no protocol has it."""
        bare = path.rstrip("/")
        first = _first(bare)
        if kinds := self.by_path.get(bare):
            return ProtocolRoute(kinds=tuple(kinds), path=bare, owner=kinds[0], template=bare)
        kind = self.prefixes.get(first)
        if kind is None:
            return None
        bare = bare.removeprefix(first)
        is_known = kind in self.by_path.get(bare, ())
        template = first + (bare if is_known else "/other")
        return ProtocolRoute(kinds=(kind,) if is_known else (), path=bare, owner=kind, template=template)


def _first(path: str) -> str:
    return "/" + path[1:].partition("/")[0]


def adapter_of(kind: ProtocolKind) -> Any:
    """The class of a protocol. What it does not say, it does as `WireProtocol` does."""
    return PROTOCOLS.adapter(kind.name)


def method_of(kind: ProtocolKind, name: str) -> Any:
    """A method of a protocol; that of `WireProtocol` where it has none."""
    return getattr(adapter_of(kind), name, None) or getattr(WireProtocol, name)


def owner_of(route: ProtocolRoute, request: EventRequest) -> ProtocolKind:
    """The protocol that a body is of, where several have its path."""
    if len(route.kinds) < 2:
        return route.owner
    return next((kind for kind in route.kinds if method_of(kind, "is_own")(request)), route.owner)
