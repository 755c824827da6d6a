"""The periods of one metric of a question: the days that count, the chosen day, and why days are missing."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from typing import NamedTuple

from tallybook.core import ADDITIVE, LEVEL, WEEKDAYS, BookCalendar, StoredDefinition, plus_days
from tallybook.query.cells import MergedValues, MetricPeriod
from tallybook.query.context import Coverage, QueryContext, count_weekdays
from tallybook.query.merge import Parts
from tallybook.query.point_relations import TOTALS, values_relation
from tallybook.query.questions import Query
from tallybook.query.ranges import MAX_GAP_DAYS, Shift, Span, spans
from tallybook.query.reach import NOTHING_BEFORE


class MetricPeriods:
    """One metric of a question over the days of `coverage`: its periods and its points."""

    periods: dict[date, MetricPeriod]
    """Periods by their first day."""

    def __init__(
        self,
        context: QueryContext,
        query: Query,
        name: str,
        show: str,
        coverage: Coverage,
        total: MergedValues | None = None,
    ) -> None:
        """`total`: the totals over all covered days, or the values of chosen days, if already merged."""
        assert query.first is not None
        assert query.last is not None
        coverage = coverage.on(query.weekdays)
        self.context, self.query, self.name, self.show, self.coverage = context, query, name, show, coverage
        self.merged_total = total
        earliest = coverage.stretches[0][0] if coverage.stretches else None
        known = max(context.last_closed, context.running or context.last_closed)
        self.counted = _counted(
            (query.first, query.last, query.scope, query.calendar, query.window, query.shift, known, earliest),
            coverage,
            query.weekdays,
            context.last_closed,
            query.spanned,
        )
        found = [one.span for one in self.counted]
        self.first, self.last = min(s.first for s in found), max(s.last for s in found)
        listed = query.spanned or query.calendar.by_weeks(query.scope)
        self.windows = values_relation([(s.start, s.first, s.last) for s in found if not s.why]) if listed else None
        self.bound: StoredDefinition | None = context.bounds.get(name)
        # An old definition is read by its own rules, not by the current ones.
        old = self.bound is not None and query.definition is not None
        self.metric = self.bound.metric if self.bound and old else context.catalog.metrics[name]

    def _explain_gaps(self) -> None:
        for period in self.periods.values():
            if not period.known and period.target is None and not period.why:
                period.why = self._gap(period)

    def _periods(self) -> Iterable[MetricPeriod]:
        for one in self.counted:
            span = one.span
            period = MetricPeriod(span.start, span.first, span.last, one.expected, one.days, one.known)
            period.unexpected, period.has_one_day = one.unexpected, one.has_one_day
            period.last_closed = one.closed if one.closed < span.last else None
            if one.why:
                period.absent_is_known, period.why = False, one.why
                yield period
                continue
            if self.query.window and self._is_far(span.first):
                period.remark = f"the window begins on {span.first}; {NOTHING_BEFORE} {self._begin}"
            if one.days and (sent := self.context.events.get(self.name)):
                period.remark = sent.remark(span.first, one.closed) or period.remark
            self._choose(period, span.end)
            yield period

    def _choose(self, period: MetricPeriod, end: date) -> None:
        """Choose the day whose value represents the period, for shows that use one day."""
        if self.show not in ("first", "last", "change"):
            return
        if self.metric.kind != LEVEL:
            find = self.coverage.first_in if self.show == "first" else self.coverage.last_in
            period.target = find(period.first, period.last)
        elif self.show == "first":
            first = self._first_expected(period.first, period.last)
            period.target = first if self._known_on(first) else None
        else:
            self._choose_last(period, running=end > self.context.last_closed)
        period.absent_is_known = period.target is not None and self.coverage.holds(period.target)
        if period.target is not None:
            period.as_of = self.coverage.instants.get(period.target) or period.as_of
            period.beyond_target = self._beyond(period, period.target)
        if (period.days or period.target) and not period.absent_is_known:
            first = self._first_expected(period.first, period.last)
            day = first if self.show == "first" else period.target or self._last_expected(period.last)
            period.why = f"{day} was not collected"

    def _beyond(self, period: MetricPeriod, target: date) -> int:
        first, last = plus_days(target, 1), period.last_closed or period.last
        if self.show == "first":
            first, last = period.first, plus_days(target, -1)
        return count_weekdays(first, last, None) - self.coverage.unexpected(first, last)

    def _choose_last(self, period: MetricPeriod, *, running: bool) -> None:
        """Choose the last closed day. In a running period without a value on that day, choose the last collected
        day."""
        last = period.last
        if running and not self.coverage.holds(last):
            last = max(period.first, min(last, self.context.last_closed))
        last = max(period.first, self._last_expected(last))
        if self._known_on(last):
            period.target = last
        elif running:
            period.target = self.coverage.last_in(period.first, period.last)
        if running and period.target is not None:
            period.as_of = str(period.target)

    def _last_expected(self, day: date) -> date:
        """The day whose value applies at the end of `day`: an earlier day if no value has been expected since."""
        while self._begin is not None and day > self._begin and not self._known_on(day) and not self._is_gap(day):
            day = plus_days(day, -1)
        return day

    def _last_collected(self, day: date) -> date:
        """Like `_last_expected`, but without values carried into a day, because finding those needs to read points."""
        while self._begin is not None and day > self._begin and not self.coverage.holds(day) and not self._is_gap(day):
            day = plus_days(day, -1)
        return day

    def _first_expected(self, day: date, last: date) -> date:
        """The first day of `day` … `last` that has a value or should have one."""
        while day < last and not self._known_on(day) and not self._is_gap(day):
            day = plus_days(day, 1)
        return day

    def _is_gap(self, day: date) -> bool:
        return self.coverage.is_gap(day)

    def _known_on(self, day: date) -> bool:
        """Whether a level is known on a day: it was collected, or some series is carried into it."""
        only = self.coverage.only
        return self.coverage.holds(day) or (day in self._carried_days and (only is None or day.weekday() in only))

    @functools.cached_property
    def _carried_days(self) -> frozenset[date]:
        """The days of the question, and the day before, into which any series is carried, including filtered ones."""
        if self.bound is None or not self.metric.carry:
            return frozenset()
        parts = replace(self._parts(), by=(), where=(), but=None)
        first = min(self.query.calendar.period_start(self.first, self.query.scope), self.first)
        first = plus_days(first, -1)
        rows = self.context.rows(f"SELECT g FROM ({parts.present('day', first, self.last, carried=True)})")
        return frozenset(day for (day,) in rows)

    def _gap(self, period: MetricPeriod) -> str:
        """Why nothing is known about a period, with the command that collects it and adjacent periods of the same
        gap."""
        if period.first > self.context.last_closed:
            return f"{period.first} is not over yet"
        if self._is_far(period.last):
            return f"{NOTHING_BEFORE} {self._begin}"
        if self.metric.snapshot:
            return "not collected, and only its present can be seen"
        if period.days + period.unexpected == (min(period.last, self.context.last_closed) - period.first).days + 1:
            return f"no value is expected {self._on(period.first, period.last)}"
        sent = self.context.events.get(self.name)
        if sent is not None and (why := sent.why_uncovered(period.first, period.last)):
            return why
        own = (period.first, min(period.last, self.context.last_closed))
        first, last = next(((a, b) for a, b in self._missing if a <= period.first <= b), own)
        return f"not collected: tallybook run {self.name} --from {first} --to {last}"

    @staticmethod
    def _on(first: date, last: date) -> str:
        return f"on {first}" if first == last else f"from {first} to {last}"

    @functools.cached_property
    def _begin(self) -> date | None:
        """The first collected day."""
        return self.coverage.stretches[0][0] if self.coverage.stretches else None

    def _is_far(self, day: date) -> bool:
        """Whether a day is so long before the first collected one that it is not treated as a gap."""
        return self._begin is not None and day < plus_days(self._begin, -MAX_GAP_DAYS)

    @functools.cached_property
    def _missing(self) -> list[tuple[date, date]]:
        """The first and last days of stretches of periods without collected or imported days."""
        imported = self.context.past[self.name][1] if self.name in self.context.past else Coverage()
        found: list[tuple[date, date]] = []
        for period in self.periods.values():
            if period.days or period.first > self.context.last_closed or self._is_far(period.last):
                continue
            if imported.count(period.first, period.last):
                continue
            last = min(period.last, self.context.last_closed)
            if found and not imported.count(min(found[-1][1], period.first), period.first):
                found[-1] = (min(found[-1][0], period.first), max(found[-1][1], last))
            else:
                found.append((period.first, last))
        return found

    def _parts(self) -> Parts:
        assert self.bound is not None
        bound, carry = self.bound, self.metric.carry
        start = self.query.calendar.period_start(self.first, self.query.scope)
        reach = (
            self._last_collected(plus_days(min(self.first, start), -1)) if self.coverage.expect is not None else start
        )
        reach = min(reach, plus_days(min(self.first, start), -(carry + 1)))
        kinds = {"additive", *(slot.shape for slot in bound.measure.slots)}
        whole = not (carry or bound.metric.per or self.query.by or self.query.where or self.query.excluded_series)
        relations = {
            k: self.context.relation(TOTALS if whole and k == ADDITIVE else k, bound.key, reach, self.last)
            for k in kinds
        }
        covered = self.context.coverage.get(self.name, Coverage()).stretches
        if covered:
            relations = {k: r.covering(covered[0][0], covered[-1][1]) for k, r in relations.items()}
        query = self.query
        return Parts(
            bound,
            relations,
            query.by,
            query.where,
            query.excluded_series,
            carry_until=self.context.last_closed,
            hidden=self.context.hidden,
            computed=self.context.computed,
        )


AskedSpans = tuple[date, date, str, BookCalendar, str | None, Shift | None, date, date | None]
"""The arguments of `spans`."""


class CountedSpan(NamedTuple):
    """A span of a question, with the counts of its days under one coverage."""

    span: Span
    closed: date
    """Its last ended day."""
    expected: int
    days: int
    known: int
    unexpected: int
    has_one_day: bool
    why: str
    """Why none of its days counts."""


# A hundred metrics of one question have the same spans, and most metrics are collected on the same days.
@functools.lru_cache(128)
def _counted(
    asked: AskedSpans, coverage: Coverage, only: frozenset[int] | None, last_closed: date, spanned: bool
) -> Sequence[CountedSpan]:
    """The spans of a question with the counts of their days. `only`: the question's weekdays."""
    first, last, scope, calendar, window, shift, known, earliest = asked
    found = spans(first, last, scope, calendar, window=window, shift=shift, known=known, earliest=earliest)
    return tuple(_count(span, coverage, only, last_closed, spanned) for span in found)


def _count(
    span: Span, coverage: Coverage, only: frozenset[int] | None, last_closed: date, spanned: bool
) -> CountedSpan:
    closed = min(span.last, last_closed)
    begun = span.first <= closed
    days, known = coverage.count(span.first, closed) if begun else 0, coverage.count(span.first, span.last)
    whole = span.first if spanned else span.start
    expected = span.expected - coverage.unexpected(whole, plus_days(whole, span.expected - 1))
    without = _why_without_days(span, only)
    if why := span.why or without:
        days, known, expected = 0, 0, 0 if without else expected
    return CountedSpan(
        span,
        closed,
        expected,
        days,
        known,
        coverage.unexpected(span.first, closed) if begun else 0,
        only is not None and count_weekdays(span.first, span.last, only) == 1,
        why,
    )


def _why_without_days(span: Span, only: frozenset[int] | None) -> str:
    """Why no day of a span can count; '' if one can."""
    if only is None or count_weekdays(span.first, span.last, only):
        return ""
    return f"{span.first} to {span.last} has no {' or '.join(WEEKDAYS[day] for day in sorted(only))}"
