"""Signed identities: a server's statement of who is reading its page. Pure.

A browser key is public, so anyone who has it could claim to be any user. The company's own server therefore signs
the user and the account with a secret that it shares with Tallybook, and the page sends the signed text.

The text is `v1.<payload>.<signature>`. The payload is JSON in base64url without padding, `{"user", "account",
"until"}` with `until` in seconds since 1970. The signature is HMAC-SHA256 over `v1.<payload>`, in base64url without
padding."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tallybook.core.errors import DeclarationError, TallybookError

IDENTITY_HEADER = "x-tallybook-identity"
MIN_IDENTITY_SECRET = 16
"""Characters of a secret."""
MAX_IDENTITY = 4096
"""Characters of a signed identity."""
_MAX_NAME = 512
_VERSION = "v1"


class IdentityRefused(TallybookError):
    """A signed identity is not valid: no known secret signed it, or it has expired."""


@dataclass(frozen=True, kw_only=True)
class SignedIdentity:
    """The reader of a page. At least one of `user` and `account` is set."""

    user: str | None = None
    account: str | None = None
    until: datetime


def sign(user: str | int | None, account: str | int | None, until: datetime, secret: str) -> str:
    """The text that proves to Tallybook that a page's reader is `user` of `account`, for `X-Tallybook-Identity`.

    It is valid until `until` (aware). `secret` is one of `[serve] identity_secrets`; it never goes to the browser.
    Raises DeclarationError for values that could never be accepted."""
    if len(secret) < MIN_IDENTITY_SECRET:
        raise DeclarationError(
            f"the secret of signed identities has {len(secret)} characters; {MIN_IDENTITY_SECRET} or more are needed",
            hint='python -c "import secrets; print(secrets.token_urlsafe(32))"',
        )
    if getattr(until, "tzinfo", None) is None:
        raise DeclarationError(
            f"until is {until!r}, not an instant with a zone", hint="datetime.now(UTC) + timedelta(hours=1)"
        )
    said: dict[str, Any] = {
        name: _name(value, name) for name, value in (("user", user), ("account", account)) if value not in (None, "")
    }
    if not said:
        raise DeclarationError("a signed identity has a user, an account, or both", hint='sign("u-1", "acme", …)')
    said["until"] = int(until.timestamp())
    payload = _text64(json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode())
    return f"{_VERSION}.{payload}.{_signature(payload, secret)}"


def verify_identity(text: str, secrets: Iterable[str], now: datetime) -> SignedIdentity:
    """The identity in a signed text. Raises IdentityRefused unless one of the secrets signed it and it has not
    expired."""
    version, _, rest = text.strip().partition(".")
    payload, _, signature = rest.partition(".")
    if len(text) > MAX_IDENTITY or version != _VERSION or not payload or not signature:
        raise IdentityRefused("the signed identity is not as v1.<payload>.<signature>")
    # Try every secret, so that the time taken does not reveal which one matched.
    signed = [hmac.compare_digest(_signature(payload, secret).encode(), signature.encode()) for secret in secrets]
    if not any(signed):
        raise IdentityRefused("the identity is not signed with a secret of [serve] identity_secrets")
    found = _payload(payload)
    if found.until <= now:
        raise IdentityRefused(f"the signed identity was valid until {found.until:%Y-%m-%dT%H:%M:%SZ}")
    return found


def _payload(payload: str) -> SignedIdentity:
    try:
        said = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        until = datetime.fromtimestamp(said["until"], UTC)
        names = {name: _name(said[name], name) for name in ("user", "account") if said.get(name) not in (None, "")}
    except (binascii.Error, ValueError, TypeError, KeyError, OverflowError, OSError, AttributeError, DeclarationError):
        raise IdentityRefused("the signed identity has no user, account and until that can be read") from None
    if not names:
        raise IdentityRefused("the signed identity has neither a user nor an account")
    return SignedIdentity(until=until, **names)


def _name(value: object, field: str) -> str:
    """The id of a user or account: a text, or an integer, which counts as its digits."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or len(value) > _MAX_NAME:
        raise DeclarationError(f"the {field} of a signed identity is a text of at most {_MAX_NAME} characters")
    return value


def _signature(payload: str, secret: str) -> str:
    return _text64(hmac.new(secret.encode(), f"{_VERSION}.{payload}".encode(), hashlib.sha256).digest())


def _text64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
