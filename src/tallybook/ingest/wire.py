"""The defaults of a wire protocol: the key is in a header, and answers are in Tallybook's own format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tallybook.core import DecodedEvents, EventRequest, ProtocolAnswer, ProtocolKind, RequestError

OWN_PROTOCOL = "tallybook"
"""The name of Tallybook's own protocol."""


class WireProtocol:
    """A wire protocol. A subclass defines `kind` and `decode`. All methods are pure, and no bytes make them raise."""

    kind: ClassVar[ProtocolKind]

    @classmethod
    def decode(cls, request: EventRequest) -> DecodedEvents:
        """Decode a request into events, users and accounts, with a rejection for each part that cannot be stored. The
        same bytes give the same result whenever they are read."""
        raise NotImplementedError

    @staticmethod
    def plain(request: EventRequest) -> bytes:
        """The body without its transport wrapping, such as a form or base64. This is what is logged."""
        return request.body

    @staticmethod
    def is_own(request: EventRequest) -> bool:
        """Whether a body belongs to this protocol, if another protocol has the same path."""
        return True

    @staticmethod
    def key_of(request: EventRequest) -> str | None:
        """The key in the body, if no header has one. It is removed before the body is logged."""
        return None

    @staticmethod
    def answered(request: EventRequest, verdicts: Mapping[str, Any]) -> ProtocolAnswer:
        """The answer to a request that was read. `verdicts` are those of Tallybook's own answer."""
        kept = sum(verdicts.get(name, 0) for name in ("stored", "duplicates", "changed", "linked"))
        return ProtocolAnswer(status=422 if verdicts["rejected"] and not kept else 200, body=verdicts)

    @staticmethod
    def refused(request: EventRequest, error: RequestError) -> ProtocolAnswer:
        """The answer to a request that is refused as a whole."""
        return ProtocolAnswer(
            status=error.status, body=error.as_json(), headers={"content-type": "application/problem+json"}
        )

    @staticmethod
    def text_of(request: EventRequest, index: int) -> str | None:
        """The text of one event of a request as it was sent, or None if it cannot be located."""
        return None
