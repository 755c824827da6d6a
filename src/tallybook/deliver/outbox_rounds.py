"""Rounds of deliveries with an outbox. Each round plans what is new and then sends it. The deliveries run concurrently,
so that a receiver that hangs delays no other."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

import msgspec

from tallybook.core import (
    DELIVERED,
    DESTINATIONS,
    FAILED,
    SENDING_ITEMS,
    UNSUPPORTED,
    UP_TO_DATE,
    WOULD_DELIVER,
    Delivery,
    DeliveryReport,
    known_destination,
    shorten_list,
)
from tallybook.deliver.deliveries import DeliveryContext, has_outbox, lease_job, reported_errors, shown
from tallybook.deliver.destinations.outbox import OutboxDestination, OutboxTask
from tallybook.deliver.destinations.registry import open_destination
from tallybook.deliver.leases import delivery_lease
from tallybook.deliver.outbox_plan import OutboxPlanning, is_other_question
from tallybook.deliver.outbox_send import OutboxSending, Sent
from tallybook.storage import PLANNED, REFUSED_ITEM, RESTATED, SENDING, UNKNOWN_OUTCOME, OutboxLedger, OutboxRow

if TYPE_CHECKING:
    from tallybook.deliver.destinations.base import DeliveryMode

MAX_ROUNDS = 8
"""Maximum number of deliveries that run at the same time."""
MAX_SHOWN = 1000
"""Maximum number of requests that a dry run shows."""


def deliver_boxed(
    context: DeliveryContext, deliveries: Sequence[Delivery], mode: DeliveryMode, seconds: float | None
) -> dict[str, DeliveryReport]:
    """The reports of these deliveries, by name. Each delivery ends within `seconds`."""
    until = None if seconds is None else time.monotonic() + seconds

    def round_of(delivery: Delivery) -> DeliveryReport:
        try:
            return _round(context, delivery, mode, until)
        finally:
            context.ledger.close()

    if len(deliveries) == 1:
        return {deliveries[0].name: _round(context, deliveries[0], mode, until)}
    with ThreadPoolExecutor(min(MAX_ROUNDS, len(deliveries)), thread_name_prefix="tallybook-deliver") as pool:
        return {report.delivery: report for report in pool.map(round_of, deliveries)}


def outbox_task(context: DeliveryContext, delivery: Delivery, destination: OutboxDestination) -> OutboxTask:
    """The task for a delivery with an outbox, at the current version of the book."""
    return OutboxTask(
        delivery=destination.completed(delivery, context.catalog),
        options=DESTINATIONS.kind(delivery.to).with_defaults(delivery.options),
        catalog=context.catalog,
        outbox=OutboxLedger(context.ledger),  # type: ignore[arg-type]
        today=context.today,
        clock=context.clock,
        service=context.service,
        folder=context.folder,
        version=context.ledger.version(),
    )


def _round(context: DeliveryContext, delivery: Delivery, mode: DeliveryMode, until: float | None) -> DeliveryReport:
    began = time.monotonic()
    report = DeliveryReport(delivery=delivery.name, to=delivery.to, path=shown(delivery))
    with reported_errors(report):
        destination = open_destination(delivery.to)
        assert isinstance(destination, OutboxDestination)
        if mode.since is not None:
            delivery = msgspec.structs.replace(delivery, from_=mode.since, last=None)
        task = outbox_task(context, delivery, destination)
        report.version = task.version
        if mode.verify:
            report.status, report.hint = UNSUPPORTED, "what was sent is not read back"
        elif mode.dry_run:
            _dry_run(context, task, destination, report)
        else:
            with delivery_lease(context.ledger, lease_job(delivery), context.clock) as held:
                if mode.force:
                    task.outbox.resume(delivery.name, now=context.clock())
                OutboxPlanning(context, task, destination, held.lease, is_backfill=mode.since is not None).plan()
                done = OutboxSending(task, destination, held, context.mask, until).send()
            _report(task, report, done)
            warnings = [*_metrics_that_begin_later(context, delivery), *destination.warnings(task)]
            report.warnings = [context.mask(said) for said in warnings]
    report.seconds = time.monotonic() - began
    return report


def _metrics_that_begin_later(context: DeliveryContext, delivery: Delivery) -> list[str]:
    """A warning if some metrics are collected from a later day on than others: a row is sent once all its metrics are
    collected, so the values of earlier days are not sent."""
    first = context.answers.first_days(delivery.metrics) if len(delivery.metrics) > 1 else {}
    days = [day for day in first.values() if day is not None]
    begin = max(min(days, default=date.max), delivery.from_ or date.min)
    later = [name for name, day in first.items() if day is None or day > begin]
    if not days or not later:
        return []
    shown = ", ".join(f"{name} from {first[name]} on" if first[name] else f"{name} not at all" for name in later)
    early = shorten_list([name for name in first if name not in later], 5)
    why = f"values of {early} since {begin} are sent only for days on which all metrics of the delivery are collected"
    return [f"{why}: {shown}; a delivery of its own sends them"]


def _dry_run(
    context: DeliveryContext, task: OutboxTask, destination: OutboxDestination, report: DeliveryReport
) -> None:
    """Report the requests that would be made, and write nothing."""
    waiting = task.outbox.rows(task.delivery.name, (PLANNED, UNKNOWN_OUTCOME))
    is_backfill = task.delivery.from_ != context.catalog.deliveries.get(task.delivery.name, task.delivery).from_
    fresh = {
        one.key: one
        for one in OutboxPlanning(context, task, destination, None, is_backfill=is_backfill).items_to_come()
    }
    rows = [row for row in waiting if row.item not in fresh or row.state == UNKNOWN_OUTCOME]
    planned = {row.item for row in rows}
    rows += [
        OutboxRow.of(task.delivery.name, item)
        for item in fresh.values()
        if item.key not in planned and not item.is_withdrawn
    ]
    groups = list(destination.groups(rows, task))
    report.rows = len(rows)
    report.status = WOULD_DELIVER if rows else UP_TO_DATE
    report.hint = f"{len(groups):,} request{'s' if len(groups) != 1 else ''}" if rows else ""
    for group in groups[:MAX_SHOWN]:
        request = destination.request(group, task)
        body = context.mask(request.body.decode("utf-8", "replace"))
        report.changes.append({"what": request.method, "column": context.mask(body)})


def _report(task: OutboxTask, report: DeliveryReport, done: Sent) -> None:
    """Add the outcome of a round to a report."""
    counts = task.outbox.counts().get(task.delivery.name, {})
    left = sum(counts.get(state, 0) for state in (PLANNED, SENDING, UNKNOWN_OUTCOME))
    report.rows = done.items
    report.status = DELIVERED if done.items else UP_TO_DATE
    more = ", ".join(_parts(left, counts, done))
    if done.is_stopped:
        report.status, report.error = FAILED, f"the receiver takes nothing any more: {done.said}"
        report.hint = f"mend it, then: tallybook deliver {task.delivery.name} --force"
    elif done.said and left:
        at = f"; it is asked again after {done.again:%Y-%m-%d %H:%M:%S} UTC" if done.again else ""
        report.status, report.error, report.hint = FAILED, f"{done.said}{at}", more
    elif left:
        report.status, report.hint = SENDING_ITEMS, more
    elif counts.get(REFUSED_ITEM):
        report.hint = more


def _parts(left: int, counts: Mapping[str, int], done: Sent) -> list[str]:
    found = [f"{done.items:,} items sent"]
    found += [f"{left:,} wait" if left > 1 else "1 waits"] if left else []
    refused = counts.get(REFUSED_ITEM, 0)
    found += [f"{refused:,} refused: tallybook deliveries show shows them"] if refused else []
    return found


@dataclass(frozen=True, kw_only=True)
class OutboxProgress:
    """The state of a delivery with an outbox. `version`: version of the book up to which it is planned. `left`: items
    to send. `is_outdated`: its query has changed. `said`: the last answer of the receiver. `stopped`: why nothing is
    sent any more."""

    version: int
    at: str | None
    left: int
    refused: int
    is_outdated: bool
    said: str
    stopped: str
    restated: tuple[str, ...] = ()
    """Values that changed after they were sent, in words."""


def outbox_progress(context: DeliveryContext) -> dict[str, OutboxProgress]:
    """The state of each declared delivery with an outbox."""
    boxed = [d for d in context.catalog.deliveries.values() if has_outbox(d)]
    if not boxed:
        return {}
    outbox = OutboxLedger(context.ledger)  # type: ignore[arg-type]
    planned, counts = outbox.all_planned(), outbox.counts()
    found = {}
    for delivery in boxed:
        known, states = planned.get(delivery.name), counts.get(delivery.name, {})
        found[delivery.name] = OutboxProgress(
            version=known.version if known else 0,
            at=known.at if known and known.version else None,
            left=sum(states.get(state, 0) for state in (PLANNED, SENDING, UNKNOWN_OUTCOME)),
            refused=states.get(REFUSED_ITEM, 0),
            is_outdated=known is None or is_other_question(known.question, _completed(context, delivery)),
            said=context.mask(known.said) if known else "",
            stopped=context.mask(known.stopped) if known else "",
            restated=_restated(outbox, delivery) if states.get(REFUSED_ITEM) else (),
        )
    return found


def _completed(context: DeliveryContext, delivery: Delivery) -> Delivery:
    return open_destination(delivery.to).completed(delivery, context.catalog)


def _restated(outbox: OutboxLedger, delivery: Delivery) -> tuple[str, ...]:
    rows = outbox.rows(delivery.name, (REFUSED_ITEM,))
    return tuple(row.answer for row in rows if row.kind == RESTATED)


def _timed(context: DeliveryContext, outbox: OutboxLedger) -> list[str]:
    """Names of deliveries that send at their own times and have something to send now."""
    found = []
    for delivery in context.catalog.deliveries.values():
        kind = known_destination(delivery.to)
        if kind is None or not kind.is_timed:
            continue
        destination = open_destination(delivery.to)
        assert isinstance(destination, OutboxDestination)
        sent = set(outbox.attributes(delivery.name).values())
        if any(item.hash not in sent for item in destination.latest(outbox_task(context, delivery, destination))):
            found.append(delivery.name)
    return found


def due_deliveries(context: DeliveryContext) -> list[str]:
    """Names of deliveries with items that may be sent now."""
    boxed = [d.name for d in (*context.catalog.deliveries.values(), *context.more.values()) if has_outbox(d)]
    if not boxed:
        return []
    outbox, now = OutboxLedger(context.ledger), context.clock()  # type: ignore[arg-type]
    planned, found = outbox.all_planned(), _timed(context, outbox)
    for name in boxed:
        known = planned.get(name)
        waits = known is not None and (known.stopped or (known.again and datetime.fromisoformat(known.again) > now))
        due = None if waits else outbox.next_at(name)
        if due is not None and datetime.fromisoformat(due) <= now:
            found.append(name)
    return found
