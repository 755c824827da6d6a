"""What wire protocols say about themselves, and which there are.

A protocol is one module and one line of `PROTOCOLS`; another package adds one by an entry point in the group
`tallybook.protocols`, its name the name of the kind, its value "module:Class"."""

from __future__ import annotations

from dataclasses import dataclass

from tallybook.core.adapters.registry import Option, Registry


@dataclass(frozen=True, kw_only=True)
class ProtocolKind:
    """What a protocol says about itself.

    `paths`: those of its requests. `prefix`: the same paths are below it too, and every other path below it is answered
    with the protocol's own 404. `methods`: those that its paths take. `headers`: those that decoding depends on, in
    lower case; one that ends with `*` stands for all that begin so. `key_headers`: those that may have the key, beside
    `Authorization`. `finds_repeats`: equal events without an id that come again soon are a request that was sent
    again."""

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
