"""Readers of values of `[serve]`."""

from __future__ import annotations

import ipaddress
import re

from tallybook.config.catalog.values import Wrong
from tallybook.core import MIN_IDENTITY_SECRET

_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:\d{1,5})?|https?://\[[0-9a-f:.]+\](:\d{1,5})?")


UNIX_PROXY = "unix"
"""The entry of `proxies` for connections over a Unix socket."""
_HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")


def read_header(value: object) -> str:
    """The name of a header, in lower case."""
    if not isinstance(value, str) or not _HEADER.fullmatch(value.strip()):
        raise Wrong("is not the name of a header", expected='a name such as "X-Forwarded-User"')
    return value.strip().lower()


def read_origins(value: object) -> tuple[str, ...]:
    """A list of origins as browsers send them: scheme, host and port, no path."""
    found = []
    for text in _texts(value, 'a list such as ["https://app.acme.com"]'):
        origin = text.strip().rstrip("/").lower()
        if not _ORIGIN.fullmatch(origin):
            parts = re.match(r"(https?://[^/\s]+)", origin)
            raise Wrong(
                f"has {text!r}, which is no origin",
                expected='scheme, host and port without a path: ["https://app.acme.com"]',
                instead=[parts[1]] if parts and _ORIGIN.fullmatch(parts[1]) else None,
            )
        found.append(origin)
    return tuple(dict.fromkeys(found))


def read_networks(value: object) -> tuple[str, ...]:
    """A list of IP addresses or networks, and `unix`."""
    found = []
    for text in _texts(value, 'a list such as ["10.0.0.0/8", "192.168.1.7"]'):
        if text.strip() == UNIX_PROXY:
            found.append(UNIX_PROXY)
            continue
        try:
            found.append(str(ipaddress.ip_network(text.strip(), strict=False)))
        except ValueError:
            raise Wrong(
                f"has {text!r}, which is no address or network", expected='a list such as ["10.0.0.0/8"]'
            ) from None
    return tuple(dict.fromkeys(found))


def read_identity_secrets(value: object) -> tuple[str, ...]:
    """A list of secrets of at least MIN_IDENTITY_SECRET characters. Empty texts (unset variables) are skipped. Errors
    do not repeat them."""
    value = [value] if isinstance(value, str) else value
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise Wrong("is not a list of texts", expected='a list such as ["${TALLYBOOK_IDENTITY_SECRET}"]')
    found = [one.strip() for one in value if one.strip()]
    if any(len(text) < MIN_IDENTITY_SECRET for text in found):
        raise Wrong(
            "has a secret that is too short",
            expected=f"{MIN_IDENTITY_SECRET} characters or more, as Python's secrets.token_urlsafe(32) makes them",
        )
    return tuple(dict.fromkeys(found))


def _texts(value: object, expected: str) -> list[str]:
    value = [value] if isinstance(value, str) else value
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) and one.strip() for one in value):
        raise Wrong("is not a list of texts", expected=expected)
    return [str(one) for one in value]
