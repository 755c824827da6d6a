"""Texts that this server can verify later: `v1.<payload>.<signature>`, the format of signed identities. Pure.

The payload is JSON in base64url without padding. The signature is HMAC-SHA256 over `v1.<payload>`, encoded the same
way. A text has only one valid form: other spellings of the same bytes are refused."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from typing import Any

MAX_SIGNED = 8_000
"""Maximum length in characters."""
_VERSION = "v1"


def sign_text(payload: Mapping[str, Any], secret: str) -> str:
    """A text with the payload. Only someone with the secret can create it."""
    plain = json.dumps(payload, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    encoded = _text64(plain.encode())
    return f"{_VERSION}.{encoded}.{_signature(encoded, secret)}"


def read_unsigned(text: str) -> dict[str, Any] | None:
    """The payload of a text, without checking its signature. None if it cannot be read."""
    parts = text.split(".")
    if len(text) > MAX_SIGNED or len(parts) != 3 or parts[0] != _VERSION:
        return None
    try:
        raw = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        found = json.loads(raw)
    except (binascii.Error, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and _text64(raw) == parts[1] else None


def is_signed(text: str, secrets: Iterable[str]) -> bool:
    """Whether one of the secrets signed a text. All secrets are tried, so that the time does not reveal which one
    matched."""
    head, _, signature = text.rpartition(".")
    payload = head.partition(".")[2]
    sent = signature.encode(errors="replace")
    found = [hmac.compare_digest(_signature(payload, secret).encode(), sent) for secret in secrets]
    return any(found)


def _signature(payload: str, secret: str) -> str:
    return _text64(hmac.new(secret.encode(), f"{_VERSION}.{payload}".encode(), hashlib.sha256).digest())


def _text64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
