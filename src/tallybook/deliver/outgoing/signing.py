"""Signatures of webhooks by the Standard Webhooks specification: HMAC-SHA256 of id, time and body."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence

from tallybook.core import webhook_key


def signature_headers(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of a message. With several secrets there is a signature for each, so that a receiver can change
    its secret at any time."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    signatures = [
        "v1," + base64.b64encode(hmac.new(webhook_key(secret), signed, hashlib.sha256).digest()).decode()
        for secret in secrets
    ]
    found = {"webhook-id": message_id, "webhook-timestamp": str(timestamp)}
    return found | ({"webhook-signature": " ".join(signatures)} if signatures else {})
