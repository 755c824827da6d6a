"""Checks the identity of a page's user: the signed identity that comes with a browser key."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tallybook.core import ACCOUNTS, IDENTITY_HEADER, IdentityRefused, RequestError, SignedIdentity, verify_identity
from tallybook.server.answers import Refusal
from tallybook.server.requests import Request
from tallybook.storage import ApiKey

BROWSER = "browser"


def identity_of(request: Request, now: datetime) -> SignedIdentity | None:
    """The verified identity in a request, or None if it has none. Raises Refusal for an invalid one."""
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
    """The facts on which decoding a page's request depends: whom it may name. Empty for keys that are not browser
    keys."""
    if BROWSER not in key.scopes:
        return {}
    identity = identity_of(request, now)
    if request.policy.identities == "open":
        return {"page": {"names": "anybody"}}
    found = {"user": identity and identity.user, "account": identity and identity.account}
    return {"page": {name: value for name, value in found.items() if value is not None}}


def check_entity(request: Request, key: ApiKey, kind: str, entity_id: str, now: datetime) -> None:
    """Raise Refusal if a page changes a user or account other than the one in its signed identity."""
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
