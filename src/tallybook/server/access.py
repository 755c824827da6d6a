"""Who may read answers of the book: a key of the scope `read`, or a person at this machine."""

from __future__ import annotations

from tallybook.server.gate import Gate
from tallybook.server.requests import Request
from tallybook.storage import ApiKey


async def reader_of(request: Request, gate: Gate) -> ApiKey | None:
    """The key that reads; None for a request from this machine to this machine without a key. Raises Refusal."""
    if request.client.is_local and "authorization" not in request.headers:
        return None
    return await gate.key_of(request, "read")
