"""REST hooks: programs such as Zapier, Make and n8n subscribe to a delivery over HTTP, and each gets its own webhooks.

A subscription is a delivery of its own to a webhook, with its own outbox and its own retries."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from tallybook.config import read_flag
from tallybook.core import (
    DELIVER,
    Delivery,
    DestinationKind,
    Option,
    OptionProblem,
    QueryError,
    is_loopback,
    wrong_receiver,
)
from tallybook.deliver.destinations.base import DeliveryOutcome, DeliveryTask, Destination
from tallybook.deliver.outgoing.addresses import Target
from tallybook.storage import HookLedger, OutboxItem, OutboxLedger, OutboxRow

if TYPE_CHECKING:
    from tallybook.deliver.deliveries import DeliveryContext
    from tallybook.storage import HookSubscription, Ledger

NAME = "rest_hooks"
MAX_SAMPLES = 3
MAX_SUBSCRIPTIONS = 1000


class RestHooks(Destination):
    """A declaration of rows to which programs can subscribe. It sends nothing itself."""

    kind = DestinationKind(
        name=NAME,
        noun="REST hooks",
        place="name",
        uses=(DELIVER,),
        is_shared=True,
        has_subscribers=True,
        options=(
            Option(
                name="hooks",
                read=read_flag,
                example="true",
                default=True,
                help="whether programs may subscribe to REST hooks",
            ),
            Option(
                name="private",
                read=read_flag,
                example="true",
                default=False,
                help="whether the receiver's address may be inside a private network",
            ),
        ),
    )

    def problems(self, delivery: Delivery, given: Iterable[str]) -> Iterable[OptionProblem]:
        if delivery.totals:
            yield OptionProblem(key="totals", message="REST hooks send the values of series", expected="without it")

    def bring_up_to_date(self, task: DeliveryTask) -> DeliveryOutcome:
        return DeliveryOutcome(status="up to date", hint="each subscription is a delivery of its own")


def hook_deliveries(declared: Iterable[Delivery], ledger: Ledger) -> dict[str, Delivery]:
    """The deliveries of subscriptions, by name. A subscription whose receiver takes nothing
    more is left out."""
    hooks = {d.name: d for d in declared if d.to == NAME}
    if not hooks:
        return {}
    stopped = _stopped(ledger)
    named = {_name_of(one): one for one in _hooks(ledger).current() if one.delivery in hooks}
    return {name: _delivery_of(hooks[one.delivery], one, name) for name, one in named.items() if name not in stopped}


def _hooks(ledger: Ledger) -> HookLedger:
    return HookLedger(ledger)  # type: ignore[arg-type]


def _name_of(subscription: HookSubscription) -> str:
    """The name of the delivery of a subscription."""
    return f"{subscription.delivery}.{subscription.id}"


def _stopped(ledger: Ledger) -> dict[str, str]:
    """Deliveries whose receiver takes nothing more, such as after 410, and what it answered."""
    planned = OutboxLedger(ledger).all_planned()  # type: ignore[arg-type]
    return {name: one.stopped for name, one in planned.items() if one.stopped}


def _delivery_of(declared: Delivery, subscription: HookSubscription, name: str) -> Delivery:
    """A subscription as a delivery. It begins with the day before the subscription was created."""
    first = date.fromisoformat(subscription.created[:10]) - timedelta(days=1)
    options = {
        "url": subscription.target,
        "shown": declared.name,
        "private": bool(declared.options.get("private", False)),
    }
    return msgspec.structs.replace(declared, name=name, to="webhook", from_=first, last=None, options=options)


def sample_messages(context: DeliveryContext, name: str) -> list[dict[str, Any]]:
    """The last messages that a subscription would have received, newest first."""
    from tallybook.deliver.destinations.webhook import Webhook
    from tallybook.deliver.outbox_rounds import outbox_task

    declared = known_hooks(context, name)
    sampled = msgspec.structs.replace(declared, to="webhook", last=None, from_=context.today - timedelta(days=14))
    sampled = msgspec.structs.replace(sampled, options={"url": "https://example.org/"})
    task = outbox_task(context, sampled, Webhook())
    hook = Webhook()
    rows = context.answers.rows(context.question(sampled, None), task.version)
    items: list[OutboxItem] = [item for row in rows or () if row.is_complete for item in hook.items(row, task)]
    found = []
    for item in sorted(items, key=lambda one: one.day, reverse=True)[:MAX_SAMPLES]:
        found.append(msgspec.json.decode(hook.request([OutboxRow.of(name, item)], task).body))
    return found


def known_hooks(context: DeliveryContext, name: str) -> Delivery:
    """The delivery with this name that programs can subscribe to. Raises QueryError."""
    hooks = {d.name: d for d in context.catalog.deliveries.values() if d.to == NAME and d.options.get("hooks", True)}
    if name not in hooks:
        listed = ", ".join(hooks) or "none"
        raise QueryError(f"nobody can subscribe to {name!r}", hint=f"there are: {listed}")
    return hooks[name]


def subscribe(context: DeliveryContext, id_: str, name: str, target: str, key: str) -> HookSubscription:
    """Subscribe to a delivery. Raises QueryError if requests to the target are not allowed."""
    declared = known_hooks(context, name)
    why = wrong_receiver(target)
    if not why and is_loopback(Target(target).host) and not declared.options.get("private"):
        why = "is on this machine"  # a subscriber is a third party, who must not reach services on this machine
    if why:
        raise QueryError(f"the target {why}", hint="https://…", field="target")
    ledger = _hooks(context.ledger)
    stopped = _stopped(context.ledger)
    for one in ledger.current():
        # A target that is back gets a new subscription: the stopped one sends nothing any more.
        if (said := stopped.get(_name_of(one))) is not None:
            ledger.end(one.id, said, now=context.clock())
    if len(ledger.current()) >= MAX_SUBSCRIPTIONS:
        raise QueryError(f"there are {MAX_SUBSCRIPTIONS:,} subscriptions already", hint="end some: DELETE /v1/hooks/ID")
    return ledger.subscribe(id_, name, target, key, now=context.clock())


def unsubscribe(context: DeliveryContext, id_: str) -> bool:
    """End a subscription. Returns False if it does not exist."""
    return _hooks(context.ledger).end(id_, "unsubscribed", now=context.clock())


def subscriptions(context: DeliveryContext) -> list[HookSubscription]:
    """The active subscriptions, without those whose receiver ended them."""
    stopped = _stopped(context.ledger)
    return [one for one in _hooks(context.ledger).current() if _name_of(one) not in stopped]
