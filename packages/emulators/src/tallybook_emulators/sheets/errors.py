"""Error answers in the form of Google's servers.

Two forms: that of google.rpc.Status for Sheets (https://cloud.google.com/apis/design/errors), and the older one of
Drive with a list of `errors` (https://developers.google.com/workspace/drive/api/guides/handle-errors)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
}
MESSAGES = {
    403: "The caller does not have permission",
    404: "Requested entity was not found.",
    429: "Resource has been exhausted (e.g. check quota).",
    500: "Internal error encountered.",
    503: "The service is currently unavailable.",
}


class GoogleError(Exception):
    """A request that is answered with an error. It changed nothing."""

    def __init__(
        self,
        code: int,
        message: str = "",
        *,
        details: Sequence[Mapping[str, Any]] = (),
        reason: str = "",
        domain: str = "global",
        location: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message or MESSAGES.get(code, "Error"))
        self.code = code
        self.message = str(self)
        self.details = list(details)
        self.reason = reason
        self.domain = domain
        self.location = location
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """The error body in the form of Sheets. With a `reason`, in the form of Drive."""
        if self.reason:
            one = {"message": self.message, "domain": self.domain, "reason": self.reason}
            one |= {"location": self.location, "locationType": "parameter"} if self.location else {}
            return {"error": {"code": self.code, "message": self.message, "errors": [one]}}
        error: dict[str, Any] = {"code": self.code, "message": self.message, "status": STATUSES[self.code]}
        if self.details:
            error["details"] = self.details
        return {"error": error}


class OAuthError(Exception):
    """An error of the OAuth server, RFC 6749 section 5.2: `{"error", "error_description"}`."""

    def __init__(self, error: str, description: str = "", *, code: int = 400) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description
        self.code = code

    def body(self) -> dict[str, Any]:
        return {"error": self.error} | ({"error_description": self.description} if self.description else {})


def invalid(message: str) -> GoogleError:
    """400 INVALID_ARGUMENT with this message."""
    return GoogleError(400, message)


def bad_field(field: str, description: str) -> GoogleError:
    """400 for a body without the documented form, with the field in its details."""
    violation = {"description": description} | ({"field": field} if field else {})
    return GoogleError(
        400,
        description,
        details=[{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}],
    )
