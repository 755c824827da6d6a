"""Time limits of requests: the result of what ends in time, 408 for a body that does not, and nothing for a reader."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tallybook.server import answers, bodies
from tallybook.server.answers import HttpAnswer, Refusal, send_answer
from tallybook.server.bodies import BodyRoom, body_of
from tallybook.server.timers import at_most


async def after(*pauses: float) -> str:
    for pause in pauses:
        await asyncio.sleep(pause)
    return "done"


@pytest.mark.parametrize("pauses", [(), (0.0,), (0.0, 0.001, 0.0)])
def test_what_ends_in_time_has_its_result(pauses: tuple[float, ...]) -> None:
    assert asyncio.run(at_most(20, after(*pauses))) == "done"


def test_what_raises_raises_the_same() -> None:
    async def fails(pause: float | None) -> None:
        if pause is not None:
            await asyncio.sleep(pause)
        raise KeyError("x")

    for pause in (None, 0.001):
        with pytest.raises(KeyError):
            asyncio.run(at_most(20, fails(pause)))


def test_what_takes_longer_is_cancelled_and_may_clean_up() -> None:
    cleaned = []

    async def slow() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    with pytest.raises(TimeoutError):
        asyncio.run(at_most(0.01, slow()))
    assert cleaned == [True]


def test_who_is_cancelled_from_outside_cancels_what_it_waits_for() -> None:
    async def story() -> bool:
        inner = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(at_most(60, inner))
        await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return inner.cancelled()

    assert asyncio.run(story())


def test_a_body_that_takes_too_long_is_408_and_gives_its_memory_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.02)
    sent = [{"type": "http.request", "body": b"[" * 100, "more_body": True}]

    async def receive() -> dict[str, Any]:
        if sent:
            return sent.pop()
        await asyncio.sleep(60)
        raise AssertionError

    room = BodyRoom(1_000)
    with pytest.raises(Refusal) as refused, room.share() as share:
        asyncio.run(body_of({}, receive, share, 1_000))
    assert (refused.value.error.status, refused.value.error.code, room.left) == (408, "slow", 1_000)


def test_a_client_that_does_not_read_its_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "SEND_SECONDS", 0.02)
    seen: list[str] = []

    async def send(message: Any) -> None:
        seen.append(message["type"])
        await asyncio.sleep(60 if len(seen) == 2 else 0)

    asyncio.run(send_answer(send, HttpAnswer(200, {"a": 1}), head=False))
    assert seen == ["http.response.start", "http.response.body"]
