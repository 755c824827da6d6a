"""Error answers in PX's format: `{"externalapierror": {"status", "message", "debugMessage", "subErrors"}}`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

STATUSES = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    415: "UNSUPPORTED_MEDIA_TYPE",
    429: "TOO_MANY_REQUESTS",
    500: "INTERNAL_SERVER_ERROR",
    501: "NOT_IMPLEMENTED",
    502: "BAD_GATEWAY",
    503: "SERVICE_UNAVAILABLE",
    504: "GATEWAY_TIMEOUT",
}
FORBIDDEN_PAGE = (
    "<!DOCTYPE html><html><head><title>403 Forbidden</title></head>"
    "<body><h1>403 Forbidden</h1><p>Your client does not have permission to get this URL.</p></body></html>"
)
"""The answer for 403: PX sends a page instead of JSON."""


class PxError(Exception):
    """A request that is answered with an error. It changed nothing."""

    def __init__(self, code: int, message: str = "", *, details: Sequence[str] = ()) -> None:
        self.code = code
        self.message = message or STATUSES.get(code, "ERROR").replace("_", " ").capitalize()
        self.details = list(details)
        super().__init__(self.message)

    def body(self) -> dict[str, Any]:
        """The body of the answer."""
        return {
            "externalapierror": {
                "status": STATUSES.get(self.code, "ERROR"),
                "message": self.message,
                "debugMessage": None,
                "subErrors": [{"message": one} for one in self.details] or None,
            }
        }
