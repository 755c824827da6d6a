"""What wire protocols say about themselves, and which there are.

A protocol is one module and one line of `PROTOCOLS`; another package adds one by an entry point in the group
`tallybook.protocols`, its name the name of the kind, its value "module:Class"."""

from __future__ import annotations

from dataclasses import dataclass

from tallybook.core.adapters.registry import Option, Registry


@dataclass(frozen=True, kw_only=True)
class ProtocolKind:
    """What a protocol says about itself. `paths`: the paths of its POST requests."""

    name: str
    title: str
    paths: tuple[str, ...]
    options: tuple[Option, ...] = ()


PROTOCOLS: Registry[ProtocolKind] = Registry(
    "tallybook.protocols",
    {"tallybook": "tallybook.ingest.protocols.tallybook:TallybookProtocol"},
)
