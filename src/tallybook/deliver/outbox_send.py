"""Sends the items of one delivery, with several concurrent requests. Each item becomes `sending` before its request
begins.

The outcome of a request is settled in the ledger together with the others of its batch. A receiver that fails is sent
nothing for a while, longer each time. Then a single item tests whether it is available again."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tallybook.core import DestinationRefused, DestinationUnavailable, SignInError
from tallybook.deliver.outgoing.addresses import Resolver
from tallybook.deliver.outgoing.channel import Channel
from tallybook.deliver.outgoing.failures import (
    ARRIVED,
    REJECTED,
    STOPPED,
    TRY_LATER,
    UNCERTAIN,
    SendVerdict,
    verdict_without_answer,
)
from tallybook.storage import (
    GIVEN_UP,
    MAY_HAVE_ARRIVED,
    PLANNED,
    REFUSED_ITEM,
    SENT,
    UNKNOWN_OUTCOME,
    Attempt,
    OutboxRow,
    ReceiverHealth,
    Settled,
    stamp_of,
)

if TYPE_CHECKING:
    from tallybook.deliver.destinations.outbox import OutboxDestination, OutboxTask
    from tallybook.deliver.leases import HeldLease

PAUSE_SECONDS = 2.0
"""Longest pause requested by a receiver that is waited for. A longer one is left to the next call."""
LOOKED_UP = 500
"""Maximum number of items of unknown outcome that are looked up together."""
Group = Sequence[OutboxRow]


@dataclass(kw_only=True)
class Sent:
    """The result of sending. `said`: the answer of the receiver that ended sending early. `again`: when it is tried
    again."""

    items: int = 0
    refused: int = 0
    requests: int = 0
    said: str = ""
    again: datetime | None = None
    is_stopped: bool = False


@dataclass
class OutboxSending:
    """Sends one delivery. `until`: the monotonic time at which it stops. The rest follows later."""

    task: OutboxTask
    destination: OutboxDestination
    held: HeldLease
    mask: Callable[[str], str]
    until: float | None = None
    resolver: Resolver = field(default_factory=Resolver)
    chance: random.Random = field(default_factory=random.Random)
    done: Sent = field(default_factory=Sent)
    _channels: list[Channel] = field(default_factory=list)
    _local: threading.local = field(default_factory=threading.local)
    _failed: threading.Event = field(default_factory=threading.Event)

    @property
    def name(self) -> str:
        return self.task.delivery.name

    def send(self) -> Sent:
        """Send what is due. Raises Busy if the lease is lost."""
        outbox = self.task.outbox
        outbox.recover(self.name, self.held.lease, now=self._now())
        try:
            with ThreadPoolExecutor(self.destination.threads, thread_name_prefix="tallybook-send") as pool:
                if self._may_begin() and self._prepared():
                    self._look_up()
                    self._send_batches(pool)
        finally:
            for channel in self._channels:
                channel.close()
            outbox.fold(self.name, self.held.lease)
        return self.done

    def _now(self) -> datetime:
        return self.task.clock()

    @property
    def _is_over(self) -> bool:
        return self.until is not None and time.monotonic() >= self.until

    # -- before ------------------------------------------------------------------------------------

    def _may_begin(self) -> bool:
        """Whether the receiver may be called and there is something to send."""
        known = self.task.outbox.planned(self.name)
        if known is not None and known.stopped:
            self.done.said, self.done.is_stopped = known.stopped, True
            return False
        if known is not None and known.again and self._now() < datetime.fromisoformat(known.again):
            self.done.said, self.done.again = known.said, datetime.fromisoformat(known.again)
            return False
        self._failures = known.failures if known else 0
        due = self.task.outbox.next_at(self.name)
        return due is not None and datetime.fromisoformat(due) <= self._now()

    def _prepared(self) -> bool:
        """Whether the destination found the receiver ready. Items that do not fit wait, and the report says so."""
        try:
            self.destination.prepare(self.task, self._channel())
        except DestinationUnavailable as error:
            self._note_failure(verdict_without_answer(error))
            self._settle([], [])
            return False
        except SignInError as error:
            self._stop(error.message)
            self._settle([], [])
            return False
        return True

    def _look_up(self) -> None:
        """Find the outcome of items for which it is unknown."""
        unknown = self.task.outbox.rows(self.name, (UNKNOWN_OUTCOME,))
        for start in range(0, len(unknown), LOOKED_UP):
            self.held.check()
            some = unknown[start : start + LOOKED_UP]
            try:
                found: Mapping[str, str] = self.destination.look_up(some, self.task, self._channel())
            except DestinationUnavailable as error:
                self._note_failure(verdict_without_answer(error))
                self._settle([], [])
                return
            except DestinationRefused as error:
                self._stop(error.message)
                self._settle([], [])
                return
            answers = {row.item: row.answer for row in some} if self.destination.is_repeatable else {}
            self._settle(
                [
                    Settled(item=item, state=state, answer=answers.get(item, "looked up"))
                    for item, state in found.items()
                ],
                [],
            )
            self.done.items += sum(state == SENT for state in found.values())

    # -- batches -----------------------------------------------------------------------------------

    def _send_batches(self, pool: ThreadPoolExecutor) -> None:
        while not (self._is_over or self.done.is_stopped or self.done.again):
            self.held.check()
            limit = self.destination.claimed if self._failures == 0 else 1
            rows = self.task.outbox.claim(
                self.name,
                self.held.lease,
                now=self._now(),
                limit=limit,
                siblings=lambda row: self.destination.siblings(row, self.task),
            )
            if not rows:
                return
            self._send_batch(pool, rows)
            self._pause()

    def _send_batch(self, pool: ThreadPoolExecutor, rows: Sequence[OutboxRow]) -> None:
        """Send claimed items and settle them whatever happens. Only the end of the process leaves them `sending`."""
        self._failed.clear()
        forgotten = [row for row in rows if self._is_forgotten(row)]
        rows = [row for row in rows if row not in forgotten]
        groups = list(self.destination.groups(rows, self.task))
        starts = self._starts(len(groups))
        made = pool.map(self._sent, groups, [next(starts, None) for _ in groups])
        settled = [self._given_up(row) for row in forgotten]
        attempts: list[Attempt] = []
        for group, (verdict, at) in zip(groups, made, strict=True):
            if verdict is None:
                settled += [_untried(row, "") for row in group]
                continue
            settled += self._settled(group, verdict)
            attempts.append(self._attempt(group, verdict, at))
            self.done.requests += 1
        self._settle(settled, attempts)

    def _starts(self, number: int) -> Iterator[float]:
        """The monotonic times at which requests may begin. Fewer than requested if the day's limit is reached."""
        rate = self.destination.rate(self.task)
        now = time.monotonic()
        if rate is None:
            yield from [now] * number
            return
        reserved = self.task.outbox.reserve(
            rate.place, number, per_second=rate.per_second, per_day=rate.per_day, now=self._now()
        )
        if reserved.granted < number:
            self.done.said = f"the limit of {rate.per_day:,} requests a day is reached"
            tomorrow = self._now().astimezone(UTC).date() + timedelta(days=1)
            self.done.again = datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=UTC)
        for place in range(reserved.granted):
            yield now + reserved.after + place / rate.per_second

    def _sent(self, group: Group, start: float | None) -> tuple[SendVerdict | None, datetime]:
        """The verdict on a request, or None if it was not made: the receiver failed meanwhile, or the time is over."""
        if start is not None:
            while (left := start - time.monotonic()) > 0 and not (self._failed.is_set() or self._is_over):
                time.sleep(min(left, 0.25))
        if start is None or self._failed.is_set() or self._is_over:
            return None, self._now()
        self.held.check()
        at = self._now()
        try:
            verdict = self.destination.send(group, self.task, self._channel())
        except DestinationUnavailable as error:
            verdict = verdict_without_answer(error)
        except DestinationRefused as error:
            verdict = SendVerdict(outcome=STOPPED, said=error.message)
        if verdict.outcome in (TRY_LATER, UNCERTAIN, STOPPED):
            self._failed.set()
        return verdict, at

    def _channel(self) -> Channel:
        """The connection of the calling thread."""
        held: Channel | None = getattr(self._local, "channel", None)
        if held is None:
            held = self._local.channel = Channel(self.destination.target(self.task), self.resolver)
            self._channels.append(held)
        return held

    # -- verdicts ----------------------------------------------------------------------------------

    def _settled(self, group: Group, verdict: SendVerdict) -> list[Settled]:
        """The new states of the items of a request."""
        said = self.mask(verdict.said)
        if verdict.outcome == ARRIVED:
            self._failures = 0
            refused = verdict.refused
            self.done.items += len(group) - len(refused)
            self.done.refused += len(refused)
            return [
                Settled(item=row.item, state=REFUSED_ITEM, answer=self.mask(refused[row.item]))
                if row.item in refused
                else Settled(item=row.item, state=SENT, answer=said)
                for row in group
            ]
        if verdict.outcome == REJECTED:
            self._failures = 0
            self.done.refused += len(group)
            return [Settled(item=row.item, state=REFUSED_ITEM, answer=said) for row in group]
        if verdict.outcome == STOPPED:
            self._stop(verdict.said)
            return [_untried(row, said) for row in group]
        self._note_failure(verdict)
        is_unknown = verdict.outcome == UNCERTAIN and not self.destination.is_repeatable
        return [self._postponed(row, verdict, said, is_unknown=is_unknown) for row in group]

    def _postponed(self, row: OutboxRow, verdict: SendVerdict, said: str, *, is_unknown: bool) -> Settled:
        if is_unknown:
            return Settled(item=row.item, state=UNKNOWN_OUTCOME, answer=said)
        wait = self.destination.patience.wait(row.attempts + 1, verdict.retry_after, self.chance)
        if self.destination.remembers is not None and (row.maybe_since or verdict.outcome == UNCERTAIN):
            said = f"{MAY_HAVE_ARRIVED}{stamp_of(row.maybe_since or self._now())}: {said}"
        if wait is None:
            self.done.refused += 1
            return Settled(item=row.item, state=REFUSED_ITEM, answer=f"{GIVEN_UP}{row.attempts + 1} attempts: {said}")
        return Settled(item=row.item, state=PLANNED, answer=said, next=self._now() + timedelta(seconds=wait))

    def _is_forgotten(self, row: OutboxRow) -> bool:
        """Whether an item may have arrived so long ago that the receiver would not know it again."""
        since, remembers = row.maybe_since, self.destination.remembers
        return remembers is not None and since is not None and row.attempts > 0 and self._now() - since > remembers

    def _given_up(self, row: OutboxRow) -> Settled:
        """Refuse an item that must not be sent by itself. Whoever replays it knows that it may count twice."""
        self.done.refused += 1
        attempts = f"{row.attempts} attempt{'s' if row.attempts > 1 else ''}"
        answer = f"{GIVEN_UP}{attempts}, because the receiver no longer knows its id: it {row.answer}"
        return Settled(item=row.item, state=REFUSED_ITEM, answer=answer, is_untried=True)

    def _note_failure(self, verdict: SendVerdict) -> None:
        """Pause sending to the receiver for a while."""
        if self.done.again is None:
            self._failures += 1
        attempts = min(self._failures, len(self.destination.patience.waits))
        wait = self.destination.patience.wait(attempts, verdict.retry_after, self.chance)
        if verdict.retry_after is not None and verdict.status in (429, 503):
            wait = max(verdict.retry_after, 0.05)
        again = self._now() + timedelta(seconds=wait or 0)
        self.done.said = self.mask(verdict.said)
        self.done.again = max(again, self.done.again) if self.done.again else again

    def _stop(self, said: str) -> None:
        self.done.said, self.done.is_stopped = self.mask(said), True

    def _attempt(self, group: Group, verdict: SendVerdict, at: datetime) -> Attempt:
        return Attempt(
            at=at,
            items=len(group),
            first=group[0].item,
            outcome=SENT if verdict.outcome == ARRIVED else verdict.outcome,
            status=verdict.status,
            seconds=verdict.seconds,
            answer=self.mask(verdict.said),
        )

    def _settle(self, settled: Sequence[Settled], attempts: Sequence[Attempt]) -> None:
        """Store outcomes, and the state of the receiver."""
        health = ReceiverHealth(
            failures=self._failures,
            again=self.done.again,
            said=self.done.said,
            stopped=self.done.said if self.done.is_stopped else "",
        )
        self.task.outbox.settle(self.name, self.held.lease, settled, now=self._now(), attempts=attempts, health=health)

    def _pause(self) -> None:
        """Wait for the short pause that the receiver asked for, and continue."""
        again = self.done.again
        left = (again - self._now()).total_seconds() if again else 0.0
        if again is None or self.done.is_stopped or left > PAUSE_SECONDS:
            return
        if self.until is not None and time.monotonic() + left >= self.until:
            return
        time.sleep(max(left, 0.0))
        self.done.again, self.done.said = None, ""

    _failures: int = 0


def _untried(row: OutboxRow, said: str) -> Settled:
    """An item whose request was not made, or does not count. When it may have arrived is kept."""
    return Settled(item=row.item, state=PLANNED, answer=row.answer if row.maybe_since else said, is_untried=True)
