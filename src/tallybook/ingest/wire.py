"""What a wire protocol does unless it says otherwise: the key is in a header, and answers are Tallybook's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tallybook.core import DecodedEvents, EventRequest, ProtocolAnswer, ProtocolKind, RequestError

OWN_PROTOCOL = "tallybook"
"""The name of Tallybook's own protocol."""


class WireProtocol:
    """A wire protocol. A subclass has `kind` and `decode`. Every method is pure and never raises for any bytes."""

    kind: ClassVar[ProtocolKind]

    @classmethod
    def decode(cls, request: EventRequest) -> DecodedEvents:
        """What a request says: events, users and accounts, and a rejection for each part that cannot be kept. The same
        bytes give the same, whenever they are read."""
        raise NotImplementedError

    @staticmethod
    def plain(request: EventRequest) -> bytes:
        """The body without what transport wrapped it in, such as a form or base64. It is what is logged."""
        return request.body

    @staticmethod
    def is_own(request: EventRequest) -> bool:
        """Whether a body is of this protocol, where another one has the same path."""
        return True

    @staticmethod
    def key_of(request: EventRequest) -> str | None:
        """The key in the body, where no header has it. It is taken out before the body is logged."""
        return None

    @staticmethod
    def answered(request: EventRequest, verdicts: Mapping[str, Any]) -> ProtocolAnswer:
        """The answer to a request that was read: `verdicts` are those of Tallybook's own answer."""
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
        """The text of one event of a request as it was sent; None where it cannot be found in it."""
        return None
