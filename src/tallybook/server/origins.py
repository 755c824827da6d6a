"""Decides which pages may send events with a browser key: CORS by `[serve] origins`."""

from __future__ import annotations

from tallybook.core import IDENTITY_HEADER, RequestError
from tallybook.server.answers import HttpAnswer, Refusal
from tallybook.server.clients import DoorPolicy
from tallybook.server.requests import Request
from tallybook.storage import ApiKey

MAX_AGE_SECONDS = 600
METHODS = "GET, POST, PUT"
HEADERS = f"authorization, content-type, content-encoding, idempotency-key, {IDENTITY_HEADER}"
PAGE_PATHS = frozenset(("/v1/engagements", "/v1/beacon"))
"""Further paths that pages may call with a browser key, besides those of events, users and accounts."""


def preflight(request: Request, policy: DoorPolicy) -> HttpAnswer:
    """The answer to a browser's preflight request."""
    _check(request, policy)
    return HttpAnswer(
        204,
        headers={
            "access-control-allow-methods": METHODS,
            "access-control-allow-headers": HEADERS,
            "access-control-max-age": str(MAX_AGE_SECONDS),
        },
    )


def check_origin(key: ApiKey, request: Request, policy: DoorPolicy) -> None:
    """Raise Refusal for a browser key that is used by a page of another origin."""
    if "browser" in key.scopes and "origin" in request.headers:
        _check(request, policy)


def allow_origin(answer: HttpAnswer, request: Request, policy: DoorPolicy) -> None:
    """Allow a page of a declared origin to read the answer."""
    origin = request.headers.get("origin", "")
    if policy.origins:
        answer.headers["vary"] = "origin"
    if origin.lower() in policy.origins:
        answer.headers["access-control-allow-origin"] = origin
        answer.headers["access-control-expose-headers"] = "retry-after"


def _check(request: Request, policy: DoorPolicy) -> None:
    origin = request.headers.get("origin", "")
    if origin.lower() not in policy.origins:
        error = RequestError(
            status=403,
            code="origin",
            message="pages of this origin may not send events",
            seen=origin[:200],
            expected="an origin of [serve] origins",
        )
        raise Refusal(error, closes=True)
