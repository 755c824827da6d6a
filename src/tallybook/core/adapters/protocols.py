"""Descriptors and registry of wire protocols.

A protocol is one module and one line of `PROTOCOLS`. Another package adds one by an entry point in the group
`tallybook.protocols`: its name is the name of the kind, its value "module:Class"."""

from __future__ import annotations

from dataclasses import dataclass

from tallybook.core.adapters.registry import Option, Registry


@dataclass(frozen=True, kw_only=True)
class ProtocolKind:
    """The descriptor of a protocol.

    `paths`: the paths of its requests. `prefix`: the same paths are also available below it, and the protocol itself
    answers 404 for every other path below it. `methods`: the allowed HTTP methods. `headers`: the headers that
    decoding depends on, in lower case; a trailing `*` matches every header with that beginning. `key_headers`:
    headers that may contain the key, besides `Authorization`. `finds_repeats`: equal events without an id that
    arrive again within a short time are treated as a retried request."""

    name: str
    title: str
    paths: tuple[str, ...]
    prefix: str = ""
    methods: tuple[str, ...] = ("POST",)
    headers: tuple[str, ...] = ()
    key_headers: tuple[str, ...] = ()
    finds_repeats: bool = False
    options: tuple[Option, ...] = ()

    def decides(self, header: str) -> bool:
        """Whether decoding depends on a header."""
        return any(header == one or (one.endswith("*") and header.startswith(one[:-1])) for one in self.headers)


PROTOCOLS: Registry[ProtocolKind] = Registry(
    "tallybook.protocols",
    {
        "tallybook": "tallybook.ingest.protocols.tallybook:TallybookProtocol",
        "gainsight_px": "tallybook.ingest.protocols.gainsight_px:GainsightPxProtocol",
        "segment": "tallybook.ingest.protocols.segment:SegmentProtocol",
        "cloudevents": "tallybook.ingest.protocols.cloudevents:CloudEventsProtocol",
        "posthog": "tallybook.ingest.protocols.posthog:PosthogProtocol",
        "amplitude": "tallybook.ingest.protocols.amplitude:AmplitudeProtocol",
        "mixpanel": "tallybook.ingest.protocols.mixpanel:MixpanelProtocol",
    },
    methods=("decode",),
)
