"""Sends what waits, a batch after the other, and decides what each answer means for it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from tallybook.client.queues import RecordQueue
from tallybook.client.records import DAYS, SendRecord
from tallybook.client.tally import Tally
from tallybook.client.transports import Transport, TransportAnswer, TransportFailed, TransportPlace
from tallybook.core import TallybookError

MAX_BATCH, MAX_BATCH_BYTES = 500, 1_000_000
FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS, MAX_RETRY_AFTER_SECONDS = 0.2, 30.0, 300.0
_AGAIN = frozenset((408, 425, 429, 500, 502, 503, 504))
_SPLIT = frozenset((400, 413, 422))
"""Refusals of a whole batch, of which a part may be good."""


@dataclass(frozen=True, kw_only=True)
class SendProblem:
    """Why a batch still waits. `is_told`: the server said how long to pause. `is_refused`: asking again soon is of no
    use, as with a key that is not valid."""

    reason: str
    pause: float
    is_told: bool = False
    is_refused: bool = False


class Sender:
    """Belongs to one process. Its methods are called by one thread at a time."""

    def __init__(self, queue: RecordQueue, place: TransportPlace, tally: Tally) -> None:
        self.queue, self.place, self.tally = queue, place, tally
        self.transport: Transport | None = None
        self.failures = 0
        self.limit = MAX_BATCH
        """Records of the next batch: halved when a batch is refused, until the one that is refused is found."""

    def step(self, seconds: float) -> SendProblem | None:
        """Send one batch. None: it is settled, or nothing waits."""
        batch = self._batch()
        if not batch:
            return None
        if self._is_withheld(batch[0]):
            self.queue.done(1)
            return None
        method, _, path = batch[0].to.partition(" ")
        try:
            self.transport = self.transport or self.place.opened()
            answer = self.transport.request(method, path, _body(batch), seconds)
        except TransportFailed as failed:
            return self._problem(failed.message)
        except TallybookError as error:
            return self._problem(str(error), is_refused=True)
        if 200 <= answer.status < 300 or (answer.status == 422 and _rejections(answer) is not None):
            return self._settled(batch, answer)
        if answer.status in _AGAIN:
            return self._problem(_words_of(answer), retry_after=answer.retry_after)
        if answer.status in _SPLIT:
            self._split(batch, answer)
            return None
        return self._problem(_words_of(answer), is_refused=True)

    def _batch(self) -> list[SendRecord]:
        found = self.queue.first(self.limit, MAX_BATCH_BYTES)
        if not found or not found[0].is_batched:
            return found[:1]
        other = next((place for place, one in enumerate(found) if one.to != found[0].to), len(found))
        return found[:other]

    def _is_withheld(self, record: SendRecord) -> bool:
        """Whether a day would be closed although something of it is not stored."""
        if not record.to.startswith(DAYS):
            return False
        event, _, day = record.to.removeprefix(DAYS).rpartition("/")
        event = unquote(event)
        is_damaged = (event, day) in self.tally.damaged
        if is_damaged:
            self.tally.reject(record, f"{day} of {event!r} is not closed: something of it is not stored")
        return is_damaged

    def _settled(self, batch: list[SendRecord], answer: TransportAnswer) -> SendProblem | None:
        rejected = _rejections(answer)
        is_batch = batch[0].is_batched
        is_day = batch[0].to.startswith(DAYS)
        if (answer.status != 204) if is_day else rejected is None:
            return self._problem("the answer is not Tallybook's: is a proxy in between?", is_refused=True)
        reasons: dict[int, str] = {}
        for one in rejected or ():
            reasons.setdefault(one.get("index", 0) if is_batch else 0, f"{one.get('code')}: {one.get('reason')}")
        if not reasons.keys() <= set(range(len(batch))) or (is_batch and _settled_count(answer) != len(batch)):
            return self._problem("the answer does not have a verdict on each event", is_refused=True)
        for index, reason in reasons.items():
            self.tally.reject(batch[index], reason)
        self.tally.store(len(batch) - len(reasons))
        self.queue.done(len(batch))
        self.failures, self.limit, self.tally.error = 0, min(MAX_BATCH, self.limit * 2), ""
        return None

    def _split(self, batch: list[SendRecord], answer: TransportAnswer) -> None:
        if len(batch) > 1:
            self.limit = len(batch) // 2
            return
        self.tally.reject(batch[0], _words_of(answer))
        self.queue.done(1)
        self.limit = min(MAX_BATCH, self.limit * 2)

    def _problem(self, reason: str, *, retry_after: float | None = None, is_refused: bool = False) -> SendProblem:
        self.tally.error = reason
        self.failures += 1
        most = min(MAX_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(self.failures - 1, 10))
        # Jitter: clients that failed together do not come back together.
        pause = random.uniform(0.5, 1.0) * most
        is_told = retry_after is not None
        if retry_after is not None:
            pause = min(retry_after, MAX_RETRY_AFTER_SECONDS) * random.uniform(1.0, 1.2)
        return SendProblem(reason=reason, pause=pause, is_told=is_told, is_refused=is_refused)


def _body(batch: list[SendRecord]) -> bytes:
    if not batch[0].is_batched:
        return batch[0].body.encode()
    return f"[{','.join(one.body for one in batch)}]".encode()


def _rejections(answer: TransportAnswer) -> list[dict[str, Any]] | None:
    """The rejections of an answer with verdicts; None of any other."""
    found = answer.body.get("rejected") if isinstance(answer.body, dict) else None
    return found if isinstance(found, list) and all(isinstance(one, dict) for one in found) else None


def _settled_count(answer: TransportAnswer) -> int:
    counts = [answer.body.get(name) for name in ("stored", "duplicates")]
    whole = [one for one in counts if isinstance(one, int)]
    return sum(whole) + len(answer.body["rejected"]) if len(whole) == len(counts) else -1


def _words_of(answer: TransportAnswer) -> str:
    """The server's reason for a refusal."""
    body = answer.body if isinstance(answer.body, dict) else {}
    message = body.get("message") or body.get("detail") or "without a reason"
    return f"the server answered {answer.status}: {message}"[:500]
