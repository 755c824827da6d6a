"""Addresses of spreadsheets and services, as people paste them. Pure."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re

_URL = re.compile(r"(?:https?://)?[^\s/]+(?:/a/[^\s/]+)?/spreadsheets/(?:u/\d+/)?d/([A-Za-z0-9_-]{5,})(?:[/?#]\S*)?")
_ID = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*\d)[A-Za-z0-9_-]{20,}")
"""Google makes ids of 44 random letters and digits, in both cases. A title or a word does not match."""
_SERVICE = re.compile(r"https?://[^\s/?#]+(/[^\s?#]*)?")


def spreadsheet_id(text: str) -> str | None:
    """The id in the URL that a browser shows, or the id itself; None for anything else.

    The address of a published copy (`/d/e/2PACX-…`) contains no id, and nobody can write to it."""
    text = text.strip()
    if match := _URL.fullmatch(text):
        return match[1]
    return text if _ID.fullmatch(text) else None


def is_service(text: str) -> bool:
    """Whether `text` is the URL of a service, such as http://127.0.0.1:8080."""
    return bool(_SERVICE.fullmatch(text))


SECRET_PREFIX = "whsec_"
MIN_SECRET_BYTES, MAX_SECRET_BYTES = 24, 64
_RECEIVER = re.compile(r"(?P<scheme>https?)://(?P<server>[^/?#]+)(?:[/?#].*)?", re.IGNORECASE)
_SERVER = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:]+)(?::(?P<port>\d{1,5}))?", re.ASCII)
_LOCAL_NAMES = ("localhost", "localhost.localdomain", "ip6-localhost")


def is_loopback(host: str) -> bool:
    """Whether a host, as written in a URL, is this machine."""
    host = host.rstrip(".").lower()
    if host in _LOCAL_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def wrong_receiver(url: str) -> str:
    """Why nothing may be sent to a URL, for a message that does not repeat the URL; empty for a valid one."""
    if re.search(r"[\x00-\x20\x7f\\]", url.strip()):
        return "has blanks, backslashes or control characters in it"
    found = _RECEIVER.fullmatch(url.strip())
    if found is None:
        return "is not a URL that starts with https://"
    if "@" in found["server"]:
        return "has a user or a password in it"
    server = _SERVER.fullmatch(found["server"])
    if server is None or not 0 < int(server["port"] or 443) < 65536:
        return "has a host or a port that cannot be read"
    if found["scheme"].lower() == "http" and not is_loopback(server["host"].strip("[]")):
        return "is not https, and not on this machine"
    return ""


def webhook_key(secret: str) -> bytes:
    """The key bytes of a webhook secret, such as whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw. Raises ValueError with the
    expected form."""
    try:
        key = base64.b64decode(secret.strip().removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not MIN_SECRET_BYTES <= len(key) <= MAX_SECRET_BYTES:
        raise ValueError(f"{SECRET_PREFIX} and {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} random bytes in Base64")
    return key
