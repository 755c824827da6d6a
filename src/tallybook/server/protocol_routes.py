"""Maps request paths to the wire protocols of other services, with or without the prefix of the protocol."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tallybook.core import PROTOCOLS, EventRequest, ProtocolKind
from tallybook.ingest import OWN_PROTOCOL, WireProtocol

OWN_PATHS = ("/healthz", "/readyz", "/metrics", "/openapi.json", "/v1/events/schema", "/v1/rejected")


@dataclass(frozen=True, kw_only=True)
class ProtocolRoute:
    """The destination of a request. `kinds` are the protocols with this path, or none if only the prefix is known."""

    kinds: tuple[ProtocolKind, ...]
    path: str
    """The path without the prefix and without a trailing slash."""
    owner: ProtocolKind
    """The protocol that answers as long as the body is unknown."""
    template: str
    """The path as shown in counters."""


class ProtocolRoutes:
    """The paths of all protocols except our own. `allowed`: the names of enabled protocols; None for all."""

    def __init__(self, allowed: Iterable[str] | None = None) -> None:
        names = None if allowed is None else frozenset(allowed)
        self.kinds = [
            kind for kind in PROTOCOLS.kinds() if kind.name != OWN_PROTOCOL and (names is None or kind.name in names)
        ]
        # Our own paths cannot be taken by a package.
        own = {*PROTOCOLS.kind(OWN_PROTOCOL).paths, *OWN_PATHS}
        begin = {_first(path) for path in own}
        self.prefixes = {kind.prefix: kind for kind in self.kinds if kind.prefix and kind.prefix not in begin}
        self.by_path: dict[str, list[ProtocolKind]] = {}
        for kind in self.kinds:
            for path in kind.paths:
                if path not in own:
                    self.by_path.setdefault(path.rstrip("/"), []).append(kind)

    def find(self, path: str) -> ProtocolRoute | None:
        """The route of a path. None if no protocol has it."""
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
    """The class of a protocol. For missing methods, `WireProtocol` has the defaults."""
    return PROTOCOLS.adapter(kind.name)


def method_of(kind: ProtocolKind, name: str) -> Any:
    """A method of a protocol, or the default method of `WireProtocol`."""
    return getattr(adapter_of(kind), name, None) or getattr(WireProtocol, name)


def owner_of(route: ProtocolRoute, request: EventRequest) -> ProtocolKind:
    """The protocol of a body, if several protocols have its path."""
    if len(route.kinds) < 2:
        return route.owner
    return next((kind for kind in route.kinds if method_of(kind, "is_own")(request)), route.owner)
