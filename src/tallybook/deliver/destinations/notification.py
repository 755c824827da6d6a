"""Mail and chat through Apprise: one line of text per item. For actions of rules, not for deliveries of metrics."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tallybook.config import read_url
from tallybook.core import DestinationKind, DestinationRefused, DestinationUnavailable, Option
from tallybook.deliver.destinations.outbox import OutboxDestination, OutboxTask
from tallybook.deliver.exchange import within
from tallybook.deliver.outgoing.bounded import bounded_answers
from tallybook.deliver.outgoing.failures import ARRIVED, REJECTED, TRY_LATER, SendVerdict

if TYPE_CHECKING:
    from tallybook.deliver.outgoing.addresses import Target
    from tallybook.deliver.outgoing.channel import Channel
    from tallybook.storage import OutboxRow

SEND_SECONDS = 60.0
"""Deadline for mail and chat. Mail servers delay unknown senders on purpose."""


class Notification(OutboxDestination):
    """Messages to an Apprise URL. A message sent shortly before a crash may arrive twice, because mail has no ids."""

    kind = DestinationKind(
        name="notification",
        noun="mail or chat",
        place="address",
        uses=(),
        outbox=True,
        options=(
            Option(
                name="address",
                read=read_url,
                example='"${MAIL_URL}"',
                default="",
                secret=True,
                help="of mail and chat: an Apprise URL",
            ),
        ),
    )
    threads = 2

    def target(self, task: OutboxTask) -> Target:
        from tallybook.deliver.outgoing.addresses import Target

        return Target(task.options["address"])

    def send(self, rows: Sequence[OutboxRow], task: OutboxTask, channel: Channel) -> SendVerdict:
        try:
            import apprise
        except ImportError:
            return SendVerdict(
                outcome=TRY_LATER, said="the package apprise is missing: pip install 'tallybook[alerts]'"
            )
        service = apprise.Apprise.instantiate(task.options["address"], suppress_exceptions=True)
        if service is None:
            return SendVerdict(outcome=REJECTED, said="Apprise cannot read this URL")
        data = json.loads(rows[0].body)
        return notified(service, title=f"{task.catalog.book.name}: {data['rule']}", body=data["text"])


def notified(service: Any, *, title: str, body: str, attach: Sequence[str] = ()) -> SendVerdict:
    """Send through a service of Apprise, with a time limit, because not every service has its own."""
    done: list[bool] = []

    def notify() -> None:
        with bounded_answers():
            made = service.notify(body=body, title=title, body_format="text", attach=list(attach) or None)
        done.append(bool(made))

    try:
        within(SEND_SECONDS, notify)
    except (DestinationUnavailable, DestinationRefused) as error:
        return SendVerdict(outcome=TRY_LATER, said=error.message)
    except Exception as error:  # noqa: BLE001  # a service of Apprise can raise anything
        return SendVerdict(outcome=TRY_LATER, said=f"Apprise failed: {type(error).__name__}")
    return SendVerdict(outcome=ARRIVED) if done == [True] else SendVerdict(outcome=TRY_LATER, said="it was not taken")
