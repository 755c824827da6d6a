"""A time limit that costs nothing for what ends at once, as the reading of nearly every body does."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Generator, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


async def at_most(seconds: float, awaited: Awaitable[T]) -> T:
    """The result of an awaitable. Raises TimeoutError if it takes longer. A timer is started only if it has to wait."""
    steps = awaited.__await__()
    try:
        waiting = next(steps)
    except StopIteration as done:
        found: T = done.value
        return found
    async with asyncio.timeout(seconds):
        return await _rest(steps, waiting)  # type: ignore[no-any-return]


@types.coroutine
def _rest(steps: Iterator[Any], waiting: Any) -> Generator[Any, Any, Any]:
    """The result of an awaitable whose first step waits for something."""
    assert isinstance(steps, Generator)
    while True:
        try:
            try:
                given = yield waiting
            except BaseException as error:  # noqa: BLE001  # it is for the awaitable, also where it is cancelled
                waiting = steps.throw(error)
            else:
                waiting = steps.send(given)
        except StopIteration as done:
            return done.value
