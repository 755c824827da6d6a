"""The range of a delivery's query: the window of `last`, extended back to the first period that its record lacks.

A record keeps periods that left the window, as `history` in a Google Sheet and a workbook with notes beside its rows
do. Periods that were open, missing or revised at the last successful delivery are queried again, however long ago that
was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from tallybook.core import DESTINATIONS, Delivery, Result, calendar
from tallybook.deliver.destinations.registry import open_destination

if TYPE_CHECKING:
    from tallybook.deliver.deliveries import DeliveryContext
    from tallybook.deliver.destinations.base import DeliveryMode
    from tallybook.storage import Delivered
EVERYTHING = date.min


@dataclass(frozen=True, kw_only=True)
class DeliveryRange:
    """The range of a record. `since`: the first period of the window. `first`: the first period to query, or
    `EVERYTHING`. It is later than `since` if the book begins later. Without them the query is as declared."""

    since: date | None = None
    first: date | None = None

    @property
    def is_known(self) -> bool:
        """Whether it is known what the target lacks, so that nothing before `first` is missing."""
        return self.first != EVERYTHING


def is_record(delivery: Delivery) -> bool:
    """Whether periods stay after they leave the window, so that a pause could leave holes."""
    if not delivery.last or delivery.scope == "all":
        return False
    return open_destination(delivery.to).keeps_periods(delivery)


def record_of(delivery: Delivery) -> str:
    """The properties that must stay the same for a record without holes: its target and its periods."""
    return f"{place_key(delivery)} {delivery.scope}" if is_record(delivery) else ""


def place_key(delivery: Delivery) -> str:
    """The target of a delivery, as given in its key: a path, or the id of a document."""
    key = DESTINATIONS.kind(delivery.to).place
    return str(delivery.path if key == "path" else delivery.options.get(key, ""))


def reach(context: DeliveryContext, delivery: Delivery, last: Delivered | None, mode: DeliveryMode) -> DeliveryRange:
    """The range of a delivery, given its last successful one."""
    if not is_record(delivery):
        return DeliveryRange()
    assert delivery.last is not None
    periods = context.catalog.book.periods()
    begin, _ = periods.last_span(delivery.last, context.today - calendar.ONE_DAY)
    since = periods.period_start(begin, delivery.scope)
    if mode.force or mode.verify or last is None or last.record != record_of(delivery):
        return DeliveryRange(since=since, first=EVERYTHING)  # the target itself knows what it lacks
    changed = context.answers.first_change(delivery.metrics, last.version)
    if changed is None or changed >= since:
        # As at the first delivery: no rows of periods before the first collected day.
        begun = context.answers.first_day(delivery.metrics) or since
        return DeliveryRange(since=since, first=max(since, periods.period_start(begun, delivery.scope)))
    if changed == EVERYTHING:
        return DeliveryRange(since=since, first=EVERYTHING)
    month = periods.period_start(changed, delivery.scope)
    question = context.question(delivery, month)
    then = context.answers.query(question, last.version)
    if then is None:
        return DeliveryRange(since=since, first=EVERYTHING)
    return DeliveryRange(since=since, first=min(since, _first_difference(then, context.now(question)) or since))


def _first_difference(then: Result, now: Result) -> date | None:
    """The first period in which two answers differ."""
    one, other = _by_period(then), _by_period(now)
    return min((day for day in {*one, *other} if one.get(day) != other.get(day)), default=None)


def _by_period(result: Result) -> Mapping[date, list[Mapping[str, Any]]]:
    found: dict[date, list[Mapping[str, Any]]] = {}
    for row in result.data:
        if isinstance(row["period"], date):
            found.setdefault(row["period"], []).append(row)
    return found
