"""Imported history in answers: periods entirely before the first collected day, for metrics that declare it.

Imported values have a definition of their own, and no value mixes two definitions: a period that is partly imported
and partly collected has no value, unless its value is that of one day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from tallybook.core import ADDS, DECIMAL, FLOW, INTEGER, ONE_DAY, Metric, Refused, StoredDefinition, calendar
from tallybook.query.cells import Cell, MergedValues, MetricPeriod, Solved, plain
from tallybook.query.context import Coverage, QueryContext, count_weekdays
from tallybook.query.one_metric import OneMetric
from tallybook.query.questions import Query
from tallybook.query.ranges import ALL
from tallybook.query.solve import solve


def solve_with_past(
    context: QueryContext, query: Query, name: str, totals: Mapping[str, MergedValues] | None = None
) -> Solved:
    """Like `solve`, with imported values for earlier periods."""
    own = solve(context, query, name, totals=totals)
    bound = context.bounds.get(name)
    if bound is not None and bound.imported:
        return _finished(context, query, bound, own)
    if name not in context.past:
        return own
    return _Past(context, query, name, _with_fractions(context.catalog.metrics[name], own)).joined()


def _with_fractions(metric: Metric, own: Solved) -> Solved:
    """The values in the type of a column that may also contain imported values.

    Imported sums may have fractions even if collected ones are whole numbers. Counts have none, and their import
    refuses them. The type does not depend on the requested days."""
    return own if own.type != INTEGER or metric.counts_things else replace(own, type=DECIMAL)


def _finished(context: QueryContext, query: Query, bound: StoredDefinition, own: Solved) -> Solved:
    """The values of an imported definition that a question names, without sums that would not be valid."""
    show = query.show or context.catalog.metrics[bound.metric.name].default_show
    found = replace(own, periods=dict(own.periods), cells=dict(own.cells))
    for start, period in own.periods.items():
        if period.known and (why := _why_not_additive(context.catalog.metrics[bound.metric.name], bound, show, period)):
            _blank(found, start, why)
    return found


def _why_not_additive(metric: Metric, bound: StoredDefinition, show: str, period: MetricPeriod) -> str | None:
    """Why imported values of several days cannot be added up; None if they can."""
    added = bound.imported == ADDS and metric.adds_up
    is_one_day = period.first == period.last or period.has_one_day
    if added or metric.kind != FLOW or show != "total" or is_one_day:
        return None
    return f"imported values of {metric.steps} are finished: those of several days cannot be put together; --scope day"


def _blank(found: Solved, start: date, why: str) -> None:
    """Remove the values of all series in a period, and record why."""
    for key in [key for key in found.cells if key[0] == start]:
        del found.cells[key]
    found.periods[start] = replace(found.periods[start], why=why, known=0, absent_is_known=False, target=None)


def refuse_top(context: QueryContext, query: Query) -> None:
    """Raise Refused if the largest series of a range would be ranked by values of two definitions."""
    name = query.metrics[0]
    if name not in context.past or query.first is None or query.last is None:
        return
    begins, bound, before = _before(context, name)
    collected = begins is not None and count_weekdays(max(begins, query.first), query.last, query.weekdays)
    if begins is not None and collected and before.on(query.weekdays).count(query.first, query.last):
        raise Refused(
            f"which series of {name!r} are the largest cannot be said of {query.first} to {query.last}: "
            f"until {begins - ONE_DAY} it is imported ({bound.definition}), from then on collected",
            ask=f"the same question with --from {begins}, or --to {begins - ONE_DAY}",
            changes=[{"from": str(begins), "last": None}, {"to": str(begins - ONE_DAY)}],
        )


def _before(context: QueryContext, name: str) -> tuple[date | None, StoredDefinition, Coverage]:
    """(the first collected day, the imported definition, the imported days before that day)."""
    bound, imported = context.past[name]
    own = context.coverage.get(name, Coverage()).stretches
    begins = own[0][0] if own else None
    limit = begins - ONE_DAY if begins else date.max
    return begins, bound, Coverage(tuple((a, min(b, limit)) for a, b in imported.stretches if a <= limit))


@dataclass
class _Past:
    """One metric of a question whose earlier periods may be answered by imported values."""

    context: QueryContext
    query: Query
    name: str
    own: Solved

    def __post_init__(self) -> None:
        self.begins, self.bound, self.before = _before(self.context, self.name)
        self.asked_before = self.before.on(self.query.weekdays)
        self.metric = self.context.catalog.metrics[self.name]
        self.show = self.query.show or self.metric.default_show

    def joined(self) -> Solved:
        """The collected values, with imported ones in earlier periods."""
        places = {start: self._place(period) for start, period in self.own.periods.items()}
        if not self.before.stretches or not any(places.values()):
            return self.own
        unfit = self._unfit()
        past = None if unfit else self._solved()
        found = replace(self.own, periods=dict(self.own.periods), cells=dict(self.own.cells))
        if past is not None and self.name not in self.context.bounds:
            found = replace(found, type=past.type, empty=past.empty)
        for start, place in places.items():
            if place:
                self._put(found, past, start, place, unfit)
        found.said = f"{self.own.said or self.name}, {self._explanation()}"
        return found

    def _place(self, period: MetricPeriod) -> str:
        """ "before" the first collected day, "between" imported and collected days, or "" if no imported day counts."""
        first = self.before.stretches[0][0] if self.query.window == ALL and self.before.stretches else period.first
        first = min(first, period.first)
        if not self.asked_before.count(first, period.last):
            return ""
        if self.begins is None or period.last < self.begins:
            return "before"
        if not count_weekdays(max(self.begins, period.first), period.last, self.query.weekdays):
            return "before"
        if self.show == "first":
            is_imported = self.asked_before.first_in(first, period.last) == self._first_asked(first)
            return "before" if is_imported or self.metric.kind == FLOW else ""
        return "" if self.show in ("last", "change") else "between"

    def _first_asked(self, day: date) -> date:
        """The day, or the first day after it whose weekday the question includes."""
        only = self.query.weekdays
        while only is not None and day.weekday() not in only:
            day = calendar.plus_days(day, 1)
        return day

    def _put(self, found: Solved, past: Solved | None, start: date, place: str, unfit: str | None) -> None:
        """Set a period to its imported values, or record why it has no value."""
        if place == "between" or past is None:
            _blank(found, start, self._mixed() if place == "between" else unfit or "")
            return
        # The imported part of a window over all days contains other days than the collected part.
        if why := _why_not_additive(self.metric, self.bound, self.show, past.periods[start]):
            _blank(found, start, why)
            return
        for key in [key for key in found.cells if key[0] == start]:
            del found.cells[key]
        found.periods[start] = replace(past.periods[start], imported=self.bound.definition)
        for key, cell in past.cells.items():
            if key[0] == start:
                # The digits as imported, such as 0.1, instead of the nearest binary fraction.
                value = Decimal(repr(cell.value)) if isinstance(cell.value, float) else cell.value
                found.cells[key] = Cell(plain(value, found.type), cell.approximate, False, cell.bounds, cell.why)

    def _solved(self) -> Solved:
        """The values of the imported definition. Its points of later days are not used."""
        every = self.context.past[self.name][1]
        there = replace(self.context, bounds={self.name: self.bound}, coverage={self.name: every}, past={})
        asked = replace(self.query, definition=self.bound.definition)
        return OneMetric(there, asked, self.name, self.show, self.before).solved()

    # -- why not ---------------------------------------------------------------------------------------

    def _unfit(self) -> str | None:
        """Why imported values do not answer this question; None if they do."""
        query, has = self.query, self.bound.metric.by
        if self.bound.metric.kind != self.metric.kind:
            return f"{self.name} was imported as a {self.bound.metric.kind}: import it again"
        named = [
            *query.by,
            *(f.dimension for f in query.where),
            *(query.excluded_series.dimensions if query.excluded_series else ()),
        ]
        lacking = [name for name in dict.fromkeys(named) if name not in has]
        if lacking:
            return f"the imported history of {self.name} is not split by {' and '.join(lacking)}"
        if set(query.by) != set(has) and not self.metric.adds_up:
            return (
                f"imported values of {self.metric.steps} are finished: those of several series cannot be put together"
            )
        return None

    def _mixed(self) -> str:
        assert self.begins is not None
        until = self.begins - ONE_DAY
        return (
            f"until {until} it is imported, from {self.begins} on collected, and no value is made of both: "
            f"--to {until}, or --from {self.begins}"
        )

    def _explanation(self) -> str:
        return f"before {self.begins} as imported" if self.begins else "as imported"
