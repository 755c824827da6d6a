"""Checks whether the key of a request is valid and allows the request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime

from tallybook.core import RequestError, TallybookError
from tallybook.ingest import KeyRing, KeysUnknown, key_text
from tallybook.server.answers import Refusal, ledger_error, no_key
from tallybook.server.read_rates import ReadRates
from tallybook.server.requests import Request
from tallybook.storage import ApiKey


class Gate:
    """The keys of one worker, with the last use of each."""

    def __init__(self, keys: KeyRing, clock: Callable[[], datetime]) -> None:
        self.keys, self.clock = keys, clock
        self.seen: dict[str, datetime] = {}
        self.reading: asyncio.Task[None] | None = None
        self.reads = ReadRates(time.monotonic)

    async def key_of(
        self, request: Request, *scopes: str, text: str | None = None, applies_bounds: bool = False
    ) -> ApiKey:
        """The key of a request. Its `text` is read from the headers unless given. Raises Refusal if there is no valid
        key, or if the key has none of the scopes.

        A key that is bound to metrics or filters is refused, unless the caller `applies_bounds` to its answer."""
        if not request.client.may_bring_keys:
            message = "this listener has no TLS, and takes keys only from the proxies of [serve] proxies"
            error = RequestError(
                status=403, code="insecure", message=message, seen=request.client.address, expected="https"
            )
            raise Refusal(error, closes=True)
        if text is None:
            text = key_text(request.headers)
        if not text:
            raise no_key("the request has no key")
        try:
            key = self.keys.find(text)
        except KeysUnknown:
            key = None
        if key is None:
            # It may have been created after the keys were read.
            try:
                await self._read_keys()
                key = self.keys.find(text)
            except (TallybookError, KeysUnknown):
                raise Refusal(ledger_error(), closes=True) from None
        if key is None:
            raise no_key("the key is not valid: it is unknown, revoked or has expired")
        request.key = key
        self.seen[key.name] = self.clock()
        if not {*scopes, "admin"} & {*key.scopes}:
            raise Refusal(
                RequestError(
                    status=403,
                    code="wrong_scope",
                    message=f"the key {key.name!r} may not do this",
                    seen=" ".join(key.scopes),
                    expected=" or ".join(scopes),
                ),
                closes=True,
            )
        if not applies_bounds and (key.metrics or key.where):
            message = f"the key {key.name!r} is bound to metrics or filters, and may read only answers of metrics"
            error = RequestError(status=403, code="not_bound", message=message, seen=request.path[:80])
            raise Refusal(error, closes=True)
        return key

    async def fresh_keys(self) -> KeyRing:
        """The keys. They are read again if the last read is too old. Raises Refusal if they cannot be read."""
        try:
            if self.keys.is_stale:
                await self._read_keys()
            return self.keys
        except TallybookError:
            raise Refusal(ledger_error(), closes=True) from None

    async def _read_keys(self) -> None:
        """Read the keys again. Callers that arrive before the read starts share it."""
        if self.reading is None:
            self.reading = asyncio.create_task(self._read_keys_soon())
        await asyncio.shield(self.reading)

    async def _read_keys_soon(self) -> None:
        await asyncio.sleep(self.keys.seconds_to_wait())
        self.reading = None
        await asyncio.to_thread(self.keys.refresh)
