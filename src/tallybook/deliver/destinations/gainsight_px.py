"""Gainsight PX: daily values as custom events of users, and latest values as attributes of users and accounts.

PX has no batches, no idempotency key and no way to delete an event. An event with an unknown outcome is looked up
before it is sent again. docs/gainsight-px.md describes what is sent, and how PX's own Sum and Average read it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, ClassVar

from tallybook.config import choice_of, read_flag, read_url, whole_number
from tallybook.core import DELIVER, ONE_DAY, Catalog, Delivery, DestinationKind, Option, OptionProblem
from tallybook.deliver.destinations import px_declared, px_values
from tallybook.deliver.destinations.outbox import RESTATED_WORDS, ChangedRow, OutboxDestination, OutboxTask, SharedRate
from tallybook.deliver.destinations.px_declared import (
    ALERT,
    RESTATED,
    read_key,
    read_mapping,
    read_span,
    read_time_of_day,
    read_words as read_plain,
)
from tallybook.deliver.outgoing.patience import RetryWaits
from tallybook.storage import REFUSED_ITEM, OutboxItem, OutboxRow

if TYPE_CHECKING:
    from tallybook.deliver.answer_rows import AnswerRow
    from tallybook.deliver.outgoing.addresses import Target
    from tallybook.deliver.outgoing.channel import Channel, OutgoingRequest
    from tallybook.deliver.outgoing.failures import SendVerdict

PX_RATE, PX_PER_DAY = 200, 1_000_000
WARNED_SHARE = 0.8


class GainsightPx(OutboxDestination):
    """Custom events and attributes of a Gainsight PX subscription."""

    kind = DestinationKind(
        name="gainsight_px",
        noun="Gainsight PX",
        place="api",
        uses=(DELIVER,),
        outbox=True,
        is_shared=True,
        instead_of_metrics="attributes",
        options=(
            Option(
                name="api",
                read=read_url,
                example='"https://api.aptrinsic.com/v1"',
                default="",
                help="the REST API of Gainsight PX, with `/v1`; `api-eu` and `api-us2` are its other data centers",
            ),
            Option(
                name="key",
                read=read_key,
                example='"${PX_API_KEY}"',
                default="",
                secret=True,
                help="a key of Gainsight PX with the permissions read and write",
            ),
            Option(
                name="product",
                read=read_plain,
                example='"AP-XXXXXXXXXX-2"',
                default="",
                help="the Gainsight PX product key of the events, and of new users and accounts",
            ),
            Option(
                name="event",
                read=read_plain,
                example='"dailyApiCalls"',
                default="",
                help="the Gainsight PX event with all metrics as properties; default: one event per metric",
            ),
            Option(
                name="identify",
                read=read_plain,
                example='"{user}"',
                default="",
                help='the Gainsight PX user of an event, with dimensions in braces: `"tallybook@{account}"`',
            ),
            Option(
                name="properties",
                read=read_mapping,
                example='{ api_calls = "apiCalls" }',
                default={},
                help="other names for Gainsight PX properties, by metric or dimension",
            ),
            Option(
                name="at",
                read=read_time_of_day,
                example='"12:00"',
                default="12:00",
                help="the time of day of Gainsight PX events, in the book's zone",
            ),
            Option(
                name="settle",
                read=read_span,
                example='"3d"',
                default=0,
                help="how many days to wait before a day is sent to Gainsight PX, so that it includes late facts",
            ),
            Option(
                name="restated",
                read=choice_of(RESTATED),
                example='"event"',
                default=ALERT,
                help="when a value changes after it was sent: `alert`, or `event` to send Gainsight PX NAME.corrected",
            ),
            Option(
                name="for",
                read=choice_of(("account", "user")),
                example='"account"',
                default="",
                help="whose attributes are set in Gainsight PX: those of an `account` or a `user`",
            ),
            Option(
                name="attributes",
                read=read_mapping,
                example='{ mrr = "mrr__c", api_calls_7d = "apiCalls7d" }',
                default={},
                help="the Gainsight PX apiName that receives the latest value of each attribute",
            ),
            Option(
                name="create",
                read=read_flag,
                example="true",
                default=False,
                help="whether to create users or accounts that are missing in Gainsight PX",
            ),
            Option(
                name="read_back",
                read=whole_number(0, 3600),
                example="5",
                default=5,
                help="seconds after which a received event can be read back from Gainsight PX",
            ),
            Option(
                name="private",
                read=read_flag,
                example="true",
                default=False,
                help="whether the receiver's address may be inside a private network",
            ),
            Option(
                name="rate",
                read=whole_number(1, 10_000),
                example="50",
                default=0,
                help="maximum requests per second; default: 100, half of the limit of PX for a subscription",
            ),
        ),
    )
    threads: ClassVar[int] = 8
    is_repeatable: ClassVar[bool] = False
    is_additive: ClassVar[bool] = True
    patience: ClassVar[RetryWaits] = RetryWaits(waits=(1, 2, 5, 15, 60, 300, 900, 3600, *(21_600,) * 20))

    # -- declarations ----------------------------------------------------------------------------------------

    def problems(self, delivery: Delivery, given: Iterable[str]) -> Iterable[OptionProblem]:
        return px_declared.problems(delivery, self.kind.with_defaults(delivery.options), set(given))

    def problems_in(self, delivery: Delivery, catalog: Catalog) -> Iterable[OptionProblem]:
        return px_declared.problems_in(delivery, self.kind.with_defaults(delivery.options), catalog)

    def claims(self, delivery: Delivery) -> Iterable[tuple[str, str]]:
        return px_declared.claims(delivery, self.kind.with_defaults(delivery.options))

    def completed(self, delivery: Delivery, catalog: Catalog) -> Delivery:
        return px_declared.completed(delivery, self.kind.with_defaults(delivery.options), catalog)

    # -- planning --------------------------------------------------------------------------------------------

    def items(self, row: AnswerRow, task: OutboxTask) -> Iterable[OutboxItem]:
        return px_values.event_items(row, task)

    def changed(self, row: ChangedRow, task: OutboxTask) -> Iterable[OutboxItem]:
        return px_values.changed_items(row, task)

    def latest(self, task: OutboxTask) -> Iterable[OutboxItem]:
        return px_values.attribute_items(task) if task.options["attributes"] else ()

    def latest_state(self, task: OutboxTask) -> int:
        return px_values.attribute_state(task) if task.options["attributes"] else 0

    def last_day(self, task: OutboxTask) -> date | None:
        return task.today - ONE_DAY - timedelta(days=task.options["settle"])

    # -- sending ---------------------------------------------------------------------------------------------

    def target(self, task: OutboxTask) -> Target:
        from tallybook.deliver.outgoing.addresses import Target

        return Target(task.options["api"], is_private_allowed=task.options["private"])

    def rate(self, task: OutboxTask) -> SharedRate:
        """The rate limit. PX limits a subscription, so all deliveries with the same host and key share it."""
        digest = hashlib.blake2b(task.options["key"].encode(), digest_size=6).hexdigest()
        per_second = min(task.options["rate"] or PX_RATE // 2, 10_000)
        return SharedRate(place=f"{self.target(task).shown} {digest}", per_second=per_second, per_day=PX_PER_DAY)

    def warnings(self, task: OutboxTask) -> list[str]:
        """Warnings for the report of a delivery, in addition to its outcome."""
        made = [row.answer for row in task.outbox.rows(task.delivery.name, (REFUSED_ITEM,), limit=1000)]
        found = [said for said in made if said.startswith(RESTATED_WORDS)]
        shown = [*found[:10], *([f"{len(found) - 10:,} more values were restated"] if len(found) > 10 else [])]
        requests = task.outbox.requests_today(self.rate(task).place, now=task.clock())
        if requests >= WARNED_SHARE * PX_PER_DAY:
            shown.append(f"{requests:,} of the {PX_PER_DAY:,} requests that PX takes a day are made")
        return shown

    def prepare(self, task: OutboxTask, channel: Channel) -> None:
        from tallybook.deliver.destinations.px_exchange import PxExchange

        PxExchange(self, task, channel).check_catalogue()

    def groups(self, rows: Sequence[OutboxRow], task: OutboxTask) -> Iterable[Sequence[OutboxRow]]:
        return px_values.grouped(rows)

    def siblings(self, row: OutboxRow, task: OutboxTask) -> Iterable[str]:
        return px_values.attributes_beside(row, task)

    def request(self, rows: Sequence[OutboxRow], task: OutboxTask) -> OutgoingRequest:
        from tallybook.deliver.destinations.px_exchange import first_request

        return first_request(rows, task)

    def send(self, rows: Sequence[OutboxRow], task: OutboxTask, channel: Channel) -> SendVerdict:
        from tallybook.deliver.destinations.px_exchange import PxExchange

        return PxExchange(self, task, channel).send(rows)

    def look_up(self, rows: Sequence[OutboxRow], task: OutboxTask, channel: Channel) -> Mapping[str, str]:
        from tallybook.deliver.destinations.px_exchange import PxExchange

        return PxExchange(self, task, channel).look_up(rows)
