"""Plans the items of a delivery with an outbox: those of new days, and of days that changed since they were planned.

Days are planned one after another, each in one transaction with its items. Days that no run touched since the last
planned version are not read again. A day whose items hash alike is left alone; otherwise its rows are compared with
those at the version that was planned, and only the rows that differ make items."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from tallybook.core import ONE_DAY, Delivery, calendar
from tallybook.deliver.destinations.outbox import ChangedRow, OutboxDestination, OutboxTask
from tallybook.query import Query, Question, check_question
from tallybook.storage import (
    ATTRIBUTE,
    PLANNED,
    REFUSED_ITEM,
    RESTATED,
    SENDING,
    UNKNOWN_OUTCOME,
    DaySum,
    FoldedDay,
    Lease,
    OutboxItem,
    OutboxPlan,
)

if TYPE_CHECKING:
    from tallybook.deliver.answer_rows import AnswerRow
    from tallybook.deliver.deliveries import DeliveryContext

DAYS_AT_ONCE = 31
"""Days that are read together."""
ROWS_AT_ONCE = 50_000
"""Items of one day that are planned in one transaction."""


@dataclass(kw_only=True)
class Planned:
    """What planning found: the days it read, and how many items it planned."""

    days: int = 0
    items: int = 0
    is_whole: bool = True
    """False when a day waits for items of unknown outcome."""


def shape_of(delivery: Delivery) -> dict[str, Any]:
    """The parts of a question that decide which items there are."""
    return {
        "metrics": list(delivery.metrics),
        "scope": delivery.scope,
        "by": list(delivery.by),
        "where": list(delivery.where),
        "fill": delivery.fill,
    }


def is_other_question(written: str, delivery: Delivery) -> bool:
    """Whether a delivery was planned for another question, by what the ledger keeps of it."""
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
        """`is_backfill`: every day of the question is looked at, also days before those that were planned."""
        self.is_backfill = is_backfill
        self.context, self.task, self.destination, self.lease = context, task, destination, lease
        self.delivery, self.outbox = task.delivery, task.outbox
        self.known = self.outbox.planned(self.delivery.name)
        self.done = Planned()

    def plan(self) -> Planned:
        """Plan what is new. Safe to call again."""
        assert self.lease is not None
        if self.delivery.metrics and self._is_outdated():
            folded = self.outbox.folded(self.delivery.name)
            for first, last in self._stretches(folded):
                self._plan_stretch(first, last, folded)
        state = self.destination.latest_state(self.task)
        self._plan_latest(state)
        if self.outbox.rows(self.delivery.name, (SENDING, UNKNOWN_OUTCOME), limit=1):
            state = 0  # what is on its way was not planned with its newest value
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
        """The items that `plan` would plan, without writing anything."""
        if self.delivery.metrics and self._is_outdated():
            folded = self.outbox.folded(self.delivery.name)
            for first, last in self._stretches(folded):
                for day, rows in self._periods(first, last, folded):
                    yield from self._items_of_day(day, rows, folded.get(day), DaySum())
        hashes = self.outbox.attributes(self.delivery.name)
        for item in self.destination.latest(self.task):
            if hashes.get(_entity_attribute(item)) != item.hash:
                yield item

    # -- which days --------------------------------------------------------------------------------

    def _ends(self) -> str:
        """The last day that may be planned. On another day there may be new ones at the same version."""
        return str(self.destination.last_day(self.task) or self.task.today - ONE_DAY)

    def _is_outdated(self) -> bool:
        if self.is_backfill or self.known is None or self.known.version != self.task.version:
            return True
        return self.known.question != f"{self._ends()} {json.dumps(shape_of(self.delivery))}"

    def _shape_before(self) -> dict[str, Any] | None:
        """The shape of the question when it was planned last."""
        written = self.known.question.partition(" ")[2] if self.known else ""
        return json.loads(written) if written else None

    def _stretches(self, folded: dict[date, FoldedDay]) -> list[tuple[date, date]]:
        """The days to read: from the first that was never planned, and those that runs touched since."""
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
        """The first and last day of the question."""
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
        """(first day, complete rows) of each period of a stretch, at a version of the book."""
        day = first
        while day <= last:
            end = last if self.delivery.scope != "day" else min(last, day + timedelta(days=DAYS_AT_ONCE - 1))
            rows = self.context.answers.rows(self._question(day, end, metrics), version)
            if rows is not None:
                complete = (row for row in rows if row.is_complete)
                for period, group in itertools.groupby(complete, key=lambda row: row.period):
                    yield date.fromisoformat(period), group
            day = end + ONE_DAY

    def _periods(
        self, first: date, last: date, folded: dict[date, FoldedDay]
    ) -> Iterator[tuple[date, Iterator[AnswerRow]]]:
        """The periods of a stretch that have complete rows now, then those that were planned and have lost all of
        them. A period that is not collected any more has lost nothing."""
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
        name = self.delivery.name
        unsettled = {row.day for row in self.outbox.rows(name, (SENDING, UNKNOWN_OUTCOME))}
        for day, rows in self._periods(first, last, folded):
            if str(day) in unsettled:
                self.done.is_whole = False
                continue
            self._plan_day(day, rows, folded.get(day))

    def _plan_day(self, day: date, rows: Iterator[AnswerRow], fold: FoldedDay | None) -> None:
        """Plan the items of one period and the hash of all of them together: in one transaction, or, of very many, in
        several, and then nothing is sent before the last one."""
        assert self.lease is not None
        total, version, name = DaySum(), self.task.version, self.delivery.name
        items = self._items_of_day(day, rows, fold, total)
        chunk, is_first = list(itertools.islice(items, ROWS_AT_ONCE)), True
        while True:
            following = list(itertools.islice(items, ROWS_AT_ONCE)) if len(chunk) == ROWS_AT_ONCE else []
            with self.outbox.planning(name, self.lease, now=self.task.clock()) as plan:
                self._put(plan, chunk, is_held=bool(following) or not is_first)
                if not following and (fold is None or fold.hash != total.hash):
                    plan.day(day, version=version, hash_=total.hash)
                if not following and not is_first:
                    plan.release(day)
            if not following:
                break
            chunk, is_first = following, False
        self.done.days += 1

    def _put(self, plan: OutboxPlan, items: list[OutboxItem], *, is_held: bool) -> None:
        plan.put((one for one in items if one.kind != RESTATED), version=self.task.version, is_held=is_held)
        plan.refuse((one for one in items if one.kind == RESTATED), version=self.task.version)
        self.done.items += len(items)

    def _items_of_day(
        self, day: date, rows: Iterator[AnswerRow], fold: FoldedDay | None, total: DaySum
    ) -> Iterator[OutboxItem]:
        """The items to plan for a period, whose hash `total` becomes: all of a new one, those that changed of one that
        was planned before."""
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
        shape = shape_of(self.delivery)
        if {**before, "metrics": []} != {**shape, "metrics": []}:
            return  # the question is another one: days that were planned stay as they were sent
        then = self._rows_before(day, before["metrics"], fold)
        unsent = {
            row.item: row.hash for row in self.outbox.rows(self.delivery.name, (PLANNED, REFUSED_ITEM), days=[str(day)])
        }
        old = {row.dimensions: row for row in then or ()}
        for row in now:
            was = old.pop(row.dimensions, None)
            if was is not None and _same_values(was, row):
                continue
            yield from self._items_of_change(ChangedRow(was, row), unsent)
        for gone in old.values():
            yield from self._items_of_change(ChangedRow(gone, None), unsent)

    def _rows_before(self, day: date, metrics: Sequence[str], fold: FoldedDay) -> list[AnswerRow] | None:
        """The rows of a period as they were planned last; None where no kept version has them."""
        there = [name for name in metrics if name in self.context.catalog.metrics]
        end = self._last_of(day)
        for version in dict.fromkeys((self.known.version if self.known else fold.version, fold.version)):
            if version and there:
                rows = self.context.answers.rows(self._question(day, end, there), version)
                if rows is not None:
                    return [row for row in rows if row.period == str(day)]
        return None

    def _last_of(self, day: date) -> date:
        scope = self.delivery.scope
        if scope == "day":
            return day
        if scope == "all":
            return self.task.today - ONE_DAY
        periods = self.context.catalog.book.periods()
        return min(periods.period_end(day, scope), self.task.today - ONE_DAY)

    def _items_of_change(self, row: ChangedRow, unsent: dict[str, str]) -> Iterator[OutboxItem]:
        """The items of a row that changed. One that was not sent yet gets its new content as if it were new."""
        plain = {item.key: item for item in self.destination.items(row.new, self.task)} if row.new else {}
        before = {item.key: item for item in self.destination.items(row.old, self.task)} if row.old else {}
        for item in self.destination.changed(row, self.task):
            waiting = unsent.get(item.key)
            is_fresh = waiting is not None and item.key in before and waiting == before[item.key].hash
            yield plain.get(item.key, item) if is_fresh else item

    # -- latest values -----------------------------------------------------------------------------

    def _plan_latest(self, state: int) -> None:
        """Plan the latest values that differ from those that were sent last. `state`: see `latest_state`."""
        assert self.lease is not None
        if state and self.known is not None and self.known.entities == state and not self._is_outdated():
            return
        hashes = self.outbox.attributes(self.delivery.name)
        changed = (
            item for item in self.destination.latest(self.task) if hashes.get(_entity_attribute(item)) != item.hash
        )
        while chunk := list(itertools.islice(changed, ROWS_AT_ONCE)):
            with self.outbox.planning(self.delivery.name, self.lease, now=self.task.clock()) as plan:
                plan.put(chunk, version=self.task.version)
            self.done.items += len(chunk)


def _entity_attribute(item: OutboxItem) -> tuple[str, str]:
    kind, attribute, _, entity, _ = (p.replace("%3A", ":").replace("%25", "%") for p in item.key.split(":"))
    assert kind == ATTRIBUTE, item.key
    return entity, attribute


def _same_values(one: AnswerRow, other: AnswerRow) -> bool:
    """Whether two rows have the same values in the metrics of the second one."""
    if one.names.metrics == other.names.metrics:
        return one.values == other.values
    there = set(one.names.metrics)
    return all(name in there and one.value(name) == other.value(name) for name in other.names.metrics)


def _merged(stretches: list[tuple[date, date]]) -> list[tuple[date, date]]:
    found: list[tuple[date, date]] = []
    for first, last in sorted(stretches):
        if found and first <= calendar.plus_days(found[-1][1], 1):
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return found
