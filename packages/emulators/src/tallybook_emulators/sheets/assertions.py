"""Service accounts: their keys, and the assertions (JWT) that they sign for an access token, RFC 7523.

https://developers.google.com/identity/protocols/oauth2/service-account"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from tallybook_emulators.sheets.errors import OAuthError

Json = dict[str, Any]
MAX_CLOCK_SKEW_SECONDS = 300
MAX_LIFETIME_SECONDS = 3600


@dataclass
class ServiceAccount:
    """An account of a program, with its public key."""

    email: str
    client_id: str
    project: str
    key_id: str
    public_key: Any


@cache
def key_pair() -> tuple[Any, str]:
    """An RSA public key and the PEM of its private key. Generated once per process, which takes a tenth of a second."""
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa
    except ImportError:
        raise ImportError(
            "service accounts need cryptography: pip install 'google-auth[requests]' cryptography"
        ) from None

    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return private.public_key(), pem


def verified_claims(
    assertion: str, accounts: Mapping[str, ServiceAccount], *, audiences: Collection[str], now: float
) -> tuple[ServiceAccount, Json]:
    """The account that signed the assertion, and its claims. Raises OAuthError as Google does."""
    header, claims, signed, signature = _parts(assertion)
    account = accounts.get(claims.get("iss", ""))
    if account is None:
        raise OAuthError("invalid_grant", "Invalid grant: account not found")
    if header.get("alg") != "RS256" or header.get("kid", account.key_id) != account.key_id:
        raise OAuthError("invalid_grant", "Invalid JWT Signature.")
    _verify(account.public_key, signature, signed)
    _check_lifetime(claims, now)
    if claims.get("aud") not in audiences:
        raise OAuthError("invalid_grant", "Invalid JWT: Failed audience check.")
    if claims.get("sub", account.email) != account.email:
        raise OAuthError(
            "unauthorized_client",
            "Client is unauthorized to retrieve access tokens using this method, "
            "or client not authorized for any of the scopes requested.",
            code=401,
        )
    return account, claims


def _check_lifetime(claims: Json, now: float) -> None:
    issued, ends = (seconds if isinstance(seconds := claims.get(n), int | float) else 0 for n in ("iat", "exp"))
    timely = issued - MAX_CLOCK_SKEW_SECONDS <= now <= ends + MAX_CLOCK_SKEW_SECONDS
    if not (timely and ends - issued <= MAX_LIFETIME_SECONDS):
        raise OAuthError(
            "invalid_grant",
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
            "Check your iat and exp values in the JWT claim.",
        )


def _parts(assertion: str) -> tuple[Json, Json, bytes, bytes]:
    """Header, claims, signed bytes and signature of a JWT."""
    try:
        signed, _, signature = assertion.rpartition(".")
        header, claims = (dict(json.loads(_unpadded(part))) for part in signed.split("."))
        return header, claims, signed.encode(), _unpadded(signature)
    except (ValueError, TypeError):
        raise OAuthError("invalid_grant", "Invalid JWT.") from None


def _unpadded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _verify(public_key: Any, signature: bytes, signed: bytes) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import padding
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        public_key.verify(signature, signed, padding.PKCS1v15(), SHA256())
    except InvalidSignature:
        raise OAuthError("invalid_grant", "Invalid JWT Signature.") from None
