"""What the reader of a page is known to be: the signed identity that comes with a browser key."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tallybook.core import ACCOUNTS, IDENTITY_HEADER, IdentityRefused, RequestError, SignedIdentity, verify_identity
from tallybook.server.answers import Refusal
from tallybook.server.requests import Request
from tallybook.storage import ApiKey

BROWSER = "browser"


def identity_of(request: Request, now: datetime) -> SignedIdentity | None:
    """The identity that a request carries, verified; None where it carries none. Raises Refusal for a wrong one."""
    text = request.headers.get(IDENTITY_HEADER)
    if text is None:
        return None
    try:
        return verify_identity(text, request.policy.identity_secrets, now)
    except IdentityRefused as why:
        expected = "what tallybook.sign(user, account, until, secret) returns"
        error = RequestError(status=403, code="identity", message=why.message, expected=expected)
        raise Refusal(error, closes=True) from None


def page_of(request: Request, key: ApiKey, now: datetime) -> dict[str, Any]:
    """What the decoding of a page's request depends on: whom it may name. Empty for keys that are no browser keys."""
    if BROWSER not in key.scopes:
        return {}
    identity = identity_of(request, now)
    if request.policy.identities == "open":
        return {"page": {"names": "anybody"}}
    found = {"user": identity and identity.user, "account": identity and identity.account}
    return {"page": {name: value for name, value in found.items() if value is not None}}


def check_entity(request: Request, key: ApiKey, kind: str, entity_id: str, now: datetime) -> None:
    """Raises Refusal where a page changes another user or account than the one it is signed for."""
    if BROWSER not in key.scopes:
        return
    identity = identity_of(request, now)
    if request.policy.identities == "open":
        return
    signed = None if identity is None else identity.account if kind == ACCOUNTS else identity.user
    if signed != entity_id:
        raise Refusal(
            RequestError(
                status=403,
                code="not_bound",
                message=f"a page changes only the one of {kind} that its signed identity names",
                seen=entity_id[:80],
                expected="X-Tallybook-Identity: what tallybook.sign(user, account, until, secret) returns",
            )
        )
