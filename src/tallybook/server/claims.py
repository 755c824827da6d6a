"""Remembers the first body of each Idempotency-Key. It is stored in the ledger, so that every worker and host knows
it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from tallybook.storage import EventLedger


class RequestClaims:
    """Claims requests. Claims that arrive together share one transaction."""

    def __init__(
        self, events: EventLedger, clock: Callable[[], datetime], window: timedelta = timedelta(days=30)
    ) -> None:
        self.events, self.clock, self.window = events, clock, window
        self.waiting: list[tuple[tuple[str, str, str], asyncio.Future[bool]]] = []
        self.work: asyncio.Task[None] | None = None

    async def claim(self, key: str, request: str, digest: str) -> bool:
        """Whether a request with a key has the same body as the first one in the window. Raises TallybookError."""
        found: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.waiting.append(((key, request, digest), found))
        if self.work is None:
            self.work = asyncio.create_task(self._claim_all())
        return await found

    async def _claim_all(self) -> None:
        try:
            while self.waiting:
                group, self.waiting = self.waiting, []
                await self._claim_group(group)
        finally:
            self.work = None

    async def _claim_group(self, group: list[tuple[tuple[str, str, str], asyncio.Future[bool]]]) -> None:
        now = self.clock()
        claims = [claim for claim, _ in group]
        error: BaseException | None = None
        same: list[bool] = []
        try:
            same = await asyncio.to_thread(self.events.claim_requests, claims, now=now, since=now - self.window)
        except BaseException as caught:  # noqa: BLE001  # whoever waits must know of it
            error = caught
        for i, (_, found) in enumerate(group):
            if found.done():  # its client has disconnected
                continue
            if error is not None:
                found.set_exception(error)
            else:
                found.set_result(same[i])
