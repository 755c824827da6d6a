"""Who may read answers of the book: a key of the scope `read`, or a person at this machine."""

from __future__ import annotations

import ipaddress

from tallybook.server.clients import FORWARDING
from tallybook.server.gate import Gate
from tallybook.server.readers import LOCAL, AnswerReader
from tallybook.server.requests import Request


async def reader_of(request: Request, gate: Gate) -> AnswerReader:
    """Who reads with a request: a key, or a person at this machine. Raises Refusal."""
    if "authorization" in request.headers or not is_at_this_machine(request):
        return AnswerReader.of_key(await gate.key_of(request, "read"))
    return LOCAL


def is_at_this_machine(request: Request) -> bool:
    """Whether socket and `Host` are loopback, and no proxy header is there. A page of another site that a rebound name
    leads here has another `Host`."""
    if not request.client.is_loopback or any(name in request.headers for name in FORWARDING):
        return False
    return is_loopback_host(request.headers.get("host", ""))


def is_loopback_host(host: str) -> bool:
    """Whether a `Host` header names this machine by itself: localhost, 127.0.0.1:8321, [::1]:8321."""
    name = host.strip().lower()
    name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
