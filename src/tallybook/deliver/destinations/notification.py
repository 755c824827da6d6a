"""Mail and chat through Apprise: a line of text for each item. For actions of rules, not for deliveries of metrics."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tallybook.config import read_url
from tallybook.core import DestinationKind, Option
from tallybook.deliver.destinations.outbox import OutboxDestination, OutboxTask
from tallybook.deliver.outgoing.failures import ARRIVED, REJECTED, TRY_LATER, SendVerdict

if TYPE_CHECKING:
    from tallybook.deliver.outgoing.addresses import Target
    from tallybook.deliver.outgoing.channel import Channel
    from tallybook.storage import OutboxRow


class Notification(OutboxDestination):
    """Messages to an Apprise URL. What was sent shortly before a crash may arrive twice: mail has no ids."""

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
        done = service.notify(body=data["text"], title=f"{task.catalog.book.name}: {data['rule']}")
        return SendVerdict(outcome=ARRIVED if done else TRY_LATER, said="" if done else "the message was not taken")
