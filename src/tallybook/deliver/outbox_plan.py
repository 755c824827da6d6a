"""Plans the items of a delivery with an outbox: items of new days, and of days that changed since they were planned.

Days are planned one after another, each in one transaction with its items. Days that no run touched since the last
planned version are not read again. A day whose items have the same hash is skipped. Otherwise its rows are compared
with the rows at the planned version, and only rows that differ produce items."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from tallybook.core import ONE_DAY, Delivery, calendar
from tallybook.deliver.actions_of_rules import is_of_rules
from tallybook.deliver.destinations.outbox import OutboxDestination, OutboxTask
from tallybook.deliver.outbox_changes import DayChanges, refuse_two_answers
from tallybook.deliver.outbox_windows import QuestionWindow, windows
from tallybook.query import Query, Question, check_question
from tallybook.storage import (
    ATTRIBUTE,
    PLANNED,
    RESTATED,
    SENDING,
    UNKNOWN_OUTCOME,
    DaySum,
    FoldedDay,
    Lease,
    OutboxItem,
    OutboxPlan,
    hash_of_body,
    item_key,
    parts_of_item,
)

if TYPE_CHECKING:
    from tallybook.deliver.answer_rows import AnswerRow
    from tallybook.deliver.deliveries import DeliveryContext

ROWS_AT_ONCE = 20_000
"""Maximum number of items of one day that are planned in one transaction."""


@dataclass(kw_only=True)
class Planned:
    """The result of planning: the days that were read, and how many items were planned."""

    days: int = 0
    items: int = 0
    is_whole: bool = True
    """False if a day waits for items of unknown outcome."""


def shape_of(delivery: Delivery) -> dict[str, Any]:
    """The parts of a query that decide which items exist."""
    return {
        "metrics": list(delivery.metrics),
        "scope": delivery.scope,
        "by": list(delivery.by),
        "where": list(delivery.where),
        "fill": delivery.fill,
    }


def is_other_question(written: str, delivery: Delivery) -> bool:
    """Whether a delivery was planned for another query, according to the ledger."""
    return written.partition(" ")[2] != json.dumps(shape_of(delivery))


class OutboxPlanning:
    """One planning of one delivery."""

    def __init__(
        self,
        context: DeliveryContext,
        task: OutboxTask,
        destination: OutboxDestination,
        lease: Lease | None,
        *,
        is_backfill: bool = False,
    ) -> None:
        """`is_backfill`: read every day of the query, including days before those planned so far."""
        self.is_backfill = is_backfill
        self.context, self.task, self.destination, self.lease = context, task, destination, lease
        self.delivery, self.outbox = task.delivery, task.outbox
        self.known = self.outbox.planned(self.delivery.name)
        self.done = Planned()
        self._changes: DayChanges | None = None
        """The changes of the period being planned, if it was planned before."""

    def plan(self) -> Planned:
        """Plan what is new. It is safe to call again."""
        assert self.lease is not None
        if self.delivery.metrics and self._is_outdated():
            folded = self.outbox.folded(self.delivery.name)
            for first, last in self._stretches(folded):
                self._plan_stretch(first, last, folded)
        state = self._latest_state()
        self._plan_latest(state)
        if self.done.is_whole:
            question = json.dumps(shape_of(self.delivery))
            with self.outbox.planning(self.delivery.name, self.lease, now=self.task.clock()) as plan:
                plan.done(
                    version=self.task.version,
                    entities=state,
                    question=f"{self._ends()} {question}",
                )
        return self.done

    def items_to_come(self) -> Iterator[OutboxItem]:
        """The items that `plan` would plan. Writes nothing."""
        if self.delivery.metrics and self._is_outdated():
            folded = self.outbox.folded(self.delivery.name)
            for first, last in self._stretches(folded):
                for day, rows in self._periods(first, last, folded):
                    yield from self._items_of_day(day, rows, folded.get(day), DaySum())
        yield from self._changed_latest()

    # -- which days --------------------------------------------------------------------------------

    def _ends(self) -> str:
        """The last day that may be planned. It is recorded, because on another day the same version may have new days
        to plan."""
        return str(self.destination.last_day(self.task) or self.task.today - ONE_DAY)

    def _is_outdated(self) -> bool:
        if self.is_backfill or self.known is None or self.known.version != self.task.version:
            return True
        return self.known.question != f"{self._ends()} {json.dumps(shape_of(self.delivery))}"

    def _shape_before(self) -> dict[str, Any] | None:
        """The shape of the query at the last planning."""
        written = self.known.question.partition(" ")[2] if self.known else ""
        return json.loads(written) if written else None

    def _stretches(self, folded: dict[date, FoldedDay]) -> list[tuple[date, date]]:
        """The ranges of days to read: from the first day that was never planned, and days that runs have touched
        since."""
        first, last = self._range()
        if first is None or last is None or first > last:
            return []
        before = self._shape_before()
        if self.is_backfill or self.known is None or before is None or before != shape_of(self.delivery):
            return [(first, last)]
        touched = self.context.answers.touched(self.delivery.metrics, self.known.version)
        if touched is None:
            return [(first, last)]
        ends = date.fromisoformat(self.known.question.partition(" ")[0])
        stretches = [*touched, *([(ends + ONE_DAY, last)] if ends < last else [])]
        scope, periods = self.delivery.scope, self.context.catalog.book.periods()
        whole = []
        for begin, end in stretches:
            if max(begin, first) <= min(end, last):
                start = first if scope == "all" else max(periods.period_start(max(begin, first), scope), first)
                whole.append((start, min(end, last) if scope == "day" else last))
        return _merged(whole)

    def _range(self) -> tuple[date | None, date | None]:
        """The first and last day of the query."""
        query = self._question(None, None)
        last = self.destination.last_day(self.task) or self.task.today - ONE_DAY
        first = query.first or self.context.answers.first_day(self.delivery.metrics)
        own = self.destination.first_day(self.task)
        if own is not None and first is not None:
            first = max(own, first)
        return first, min(query.last or last, last)

    def _question(self, first: date | None, last: date | None, metrics: Sequence[str] | None = None) -> Query:
        d = self.delivery
        asked = Question(
            metrics=tuple(metrics or d.metrics),
            scope=d.scope,
            by=d.by,
            where=d.where,
            from_=d.from_,
            last=d.last,
            fill=d.fill,
        )
        if first is not None:
            asked = replace(asked, from_=first, to=last, last=None)
        return check_question(self.context.catalog, asked, today=self.task.today)

    # -- days --------------------------------------------------------------------------------------

    def _days(
        self, first: date, last: date, version: int, metrics: Sequence[str] | None = None
    ) -> Iterator[tuple[date, Iterator[AnswerRow]]]:
        """(first day, complete rows) for each period of a range, at a version of the book."""
        for window in self._windows(first, last):
            rows = self.context.answers.rows(self._question(window.first, window.last, metrics), version)
            if rows is not None:
                complete = (row for row in rows if row.is_complete and window.contains(row.period))
                for period, group in itertools.groupby(complete, key=lambda row: row.period):
                    yield date.fromisoformat(period), group

    def _windows(self, first: date, last: date) -> Iterator[QuestionWindow]:
        periods = self.context.catalog.book.periods()
        return windows(first, last, self.delivery, periods, self.task.today - ONE_DAY)

    def _periods(
        self, first: date, last: date, folded: dict[date, FoldedDay]
    ) -> Iterator[tuple[date, Iterator[AnswerRow]]]:
        """The periods of a range that have complete rows now, followed by periods that were planned and have lost all
        their rows. A period that is no longer collected has lost nothing."""
        seen = set()
        for day, rows in self._days(first, last, self.task.version):
            seen.add(day)
            yield day, rows
        for day in sorted(folded):
            if first <= day <= last and day not in seen and self._is_collected(day):
                yield day, iter(())

    def _is_collected(self, day: date) -> bool:
        return self.context.answers.is_collected(self._question(day, self._last_of(day)), self.task.version)

    def _plan_stretch(self, first: date, last: date, folded: dict[date, FoldedDay]) -> None:
        unsettled = self._unsettled()
        for day, rows in self._periods(first, last, folded):
            if str(day) in unsettled:
                self.done.is_whole = False
                continue
            self._plan_day(day, rows, folded.get(day))

    def _unsettled(self) -> set[str]:
        """Days with items that may have arrived. Their planning depends on whether those items arrived."""
        open_ = (SENDING, UNKNOWN_OUTCOME, *((PLANNED,) if self._may_arrive_later else ()))
        rows = self.outbox.rows(self.delivery.name, open_, is_tried=True)
        return {row.day for row in rows}

    @property
    def _may_arrive_later(self) -> bool:
        """Whether an item to be sent again may have arrived already, so that other content would count twice."""
        return self.destination.is_additive and self.destination.is_repeatable

    def _plan_day(self, day: date, rows: Iterator[AnswerRow], fold: FoldedDay | None) -> None:
        """Plan the items of one period together with their common hash, in one transaction. A very large period takes
        several transactions, and nothing is sent before the last one."""
        assert self.lease is not None
        total, version, name = DaySum(), self.task.version, self.delivery.name
        self._changes = None
        items = self._items_of_day(day, rows, fold, total)
        chunk, is_first = list(itertools.islice(items, ROWS_AT_ONCE)), True
        while True:
            following = list(itertools.islice(items, ROWS_AT_ONCE)) if len(chunk) == ROWS_AT_ONCE else []
            with self.outbox.planning(name, self.lease, now=self.task.clock()) as plan:
                if following and is_first:
                    plan.hold(day)
                self._put(plan, chunk)
                if not following and (fold is None or fold.hash != total.hash):
                    plan.day(day, version=version, hash_=total.hash)
                if not following and not is_first:
                    plan.release()
            if not following:
                break
            chunk, is_first = following, False
        self.done.days += 1

    def _put(self, plan: OutboxPlan, items: list[OutboxItem]) -> None:
        self.done.items += len(items)
        version = self.task.version
        if self._changes is None:
            plan.put(items, version=version)
            return
        plan.drop(one.key for one in items if one.is_withdrawn)
        there = [one for one in items if not one.is_withdrawn]
        plan.put((one for one in there if one.kind != RESTATED), version=version)
        plan.refuse((one for one in there if one.kind == RESTATED), version=version)
        changes = self._changes
        plan.lose(changes.day, changes.lost, changes.returned)
        changes.lost, changes.returned = [], []

    def _items_of_day(
        self, day: date, rows: Iterator[AnswerRow], fold: FoldedDay | None, total: DaySum
    ) -> Iterator[OutboxItem]:
        """The items to plan for a period, and the update of `total` to their hash. A new period gives all its items. A
        period that was planned before gives the changed ones."""
        if fold is None:
            for row in rows:
                for item in self.destination.items(row, self.task):
                    total.add(item.hash)
                    yield item
            return
        now = list(rows)
        for row in now:
            for item in self.destination.items(row, self.task):
                total.add(item.hash)
        if total.hash != fold.hash:
            yield from self._changed_items(day, now, fold)

    def _changed_items(self, day: date, now: list[AnswerRow], fold: FoldedDay) -> Iterator[OutboxItem]:
        before = self._shape_before() or shape_of(self.delivery)
        if {**before, "metrics": []} != {**shape_of(self.delivery), "metrics": []}:
            return  # The query has changed: days that were planned stay as they were sent.
        version, then = self._rows_before(day, before["metrics"], fold)
        if version == self.task.version and before == {**shape_of(self.delivery), "scope": "day"}:
            refuse_two_answers(day, version, now, then or [])
        self._changes = DayChanges(self.destination, self.task, day)
        if then is None and self.destination.is_additive:
            yield self._changes.unknown(fold.version)
            return
        yield from self._changes.items(now, then or [])

    def _rows_before(
        self, day: date, metrics: Sequence[str], fold: FoldedDay
    ) -> tuple[int | None, list[AnswerRow] | None]:
        """(version, rows) of a period as last planned, or None if no kept version has them. The delivery as a whole may
        be planned from an older version than this period."""
        there = [name for name in metrics if name in self.context.catalog.metrics]
        (window,) = self._windows(day, self._last_of(day))
        for version in dict.fromkeys((max(self.known.version if self.known else 0, fold.version), fold.version)):
            if version and there:
                rows = self.context.answers.rows(self._question(window.first, window.last, there), version)
                if rows is not None:
                    return version, [row for row in rows if row.period == str(day)]
        return None, None

    def _last_of(self, day: date) -> date:
        scope = self.delivery.scope
        if scope == "day":
            return day
        if scope == "all":
            return self.task.today - ONE_DAY
        periods = self.context.catalog.book.periods()
        return min(periods.period_end(day, scope), self.task.today - ONE_DAY)

    # -- latest values -----------------------------------------------------------------------------

    def _latest(self) -> Iterable[OutboxItem]:
        """The latest values: those wanted by rules, or those of the destination."""
        if not is_of_rules(self.delivery):
            return self.destination.latest(self.task)
        wanted = self.outbox.wanted(self.delivery.name)
        return (OutboxItem(item_key(ATTRIBUTE, self.delivery.name, "", entity), "", body) for entity, body in wanted)

    def _latest_state(self) -> int:
        if not is_of_rules(self.delivery):
            return self.destination.latest_state(self.task)
        found = json.dumps([*self.outbox.wanted_state(self.delivery.name), repr(self.task.options)])
        return int(hash_of_body(found)[:12], 16) or 1

    def _plan_latest(self, state: int) -> None:
        """Plan the latest values that differ from those sent last. For `state`, see `latest_state`."""
        assert self.lease is not None
        if state and self.known is not None and self.known.entities == state and not self._is_outdated():
            return
        changed = self._changed_latest()
        while chunk := list(itertools.islice(changed, ROWS_AT_ONCE)):
            with self.outbox.planning(self.delivery.name, self.lease, now=self.task.clock()) as plan:
                plan.put_latest(chunk, version=self.task.version)
            self.done.items += len(chunk)

    def _changed_latest(self) -> Iterator[OutboxItem]:
        """The latest values that differ from those sent last. Also values for which another one still waits, because
        that one may have arrived and must not be sent after the newest value."""
        hashes = self.outbox.attributes(self.delivery.name)
        waiting = self.outbox.waiting_latest(self.delivery.name)
        for item in self._latest():
            if waiting.get(item.key, hashes.get(_entity_attribute(item))) != item.hash:
                yield item


def _entity_attribute(item: OutboxItem) -> tuple[str, str]:
    kind, attribute, _, entity, _ = parts_of_item(item.key)
    assert kind == ATTRIBUTE, item.key
    return entity, attribute


def _merged(stretches: list[tuple[date, date]]) -> list[tuple[date, date]]:
    found: list[tuple[date, date]] = []
    for first, last in sorted(stretches):
        if found and first <= calendar.plus_days(found[-1][1], 1):
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return found
