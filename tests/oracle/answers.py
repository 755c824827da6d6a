"""One question to a judge: which rows its answer has, and what they say."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from functools import cached_property
from itertools import product
from typing import Any

from tests.oracle.cells import Others
from tests.oracle.dates import Days, compared_days, fiscal_compared, meets, of_weekdays, window_start
from tests.oracle.imports import CellsWithImports
from tests.oracle.judge import Covered, Judge, base_metrics
from tests.oracle.measures import Ref, leaves_of
from tests.oracle.periods import Span, spans, whole
from tests.oracle.questions import Ask, BookSpec, MetricSpec
from tests.oracle.tables import Tables
from tests.oracle.terms import DERIVED, WEEKDAYS, Key, Refusal, Row, Show, Undecided
from tests.oracle.values import FREE, NULL, Value, arithmetic, widened


@dataclass(frozen=True)
class Stretch:
    """The days behind the rows of one period, by metric: now, and those that are compared with."""

    now: dict[str, Span]
    then: dict[str, Span]

    @property
    def both(self) -> list[tuple[str, Span]]:
        return [*self.now.items(), *self.then.items()]


def rank(value: Value) -> tuple[bool, Fraction]:
    """The largest first, null last."""
    return value.middle is None, -(value.middle or Fraction(0))


def text_of(key: Key) -> tuple[tuple[bool, str], ...]:
    """Ties go by text, null last."""
    return tuple((value is None, "" if value is None else str(value)) for value in key)


SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "!=": operator.ne,
}


def holds(value: Value, sign: str, number: Fraction) -> bool | None:
    """Whether `value sign number`; None where the last bit of a float decides. Null meets nothing."""
    if value.free:
        return None
    if value.middle is None:
        return False
    ends = [SIGNS[sign](end, number) for end in value.interval[1:]]
    inside = value.interval[1] <= number <= value.interval[2] and not value.exact
    return None if inside or ends[0] != ends[1] else ends[0]


@dataclass
class Answer(CellsWithImports):
    """One question to a judge."""

    def __post_init__(self) -> None:
        if self.ask.compare and not meets(self.ask.compare, self.ask.scope):
            raise Refusal(f"{self.ask.compare} before a {self.ask.scope} begins no other {self.ask.scope}")
        for name in self.ask.metrics:
            self.check(name, self.ask.show)
            unknown = {*self.ask.by, *(dim for dim, *_ in self.ask.where)} - self.judge.dims(name) - {"weekday"}
            if unknown:
                raise Refusal(f"{name} has no dimension {', '.join(sorted(unknown))}")

        self.check_weekdays()
        self.check_units()

    def check_weekdays(self) -> None:
        """Raise Refusal or Undecided for what has no right answer by weekday."""
        if "weekday" not in self.ask.by and self.ask.weekdays is None:
            return
        shows = [self.ask.show or self.judge.metrics[name].default_show for name in self.ask.metrics]
        if "weekday" in self.ask.by and self.ask.top:
            raise Refusal("weekdays are not ranked")
        if "change" in shows or self.ask.weekdays == frozenset():
            raise Refusal("no such days, or the day before a period is another weekday")
        if self.ask.compare or any(self.judge.metrics[name].kind == DERIVED for name in self.ask.metrics):
            raise Undecided("a comparison or formula by weekday")

    def check_units(self) -> None:
        """Raise Refusal for an answer that adds or compares values of different units."""
        equal: dict[str, set[str | None]] = {}
        for dim, op, value in self.ask.where:
            if op == "=":
                equal.setdefault(dim, set()).add(value)
        single = {dim for dim, values in equal.items() if len(values) == 1}
        for name in self.ask.metrics:
            units = {self.judge.metrics[one].unit_from for one in base_metrics(self.judge, [name])} - {"", *single}
            compared = any(column in (name, f"{name}_previous") for column, *_ in self.ask.having)
            if units and (units - set(self.ask.by) or self.ask.totals or self.ask.top or compared):
                raise Refusal(f"{name} would add or compare units")

    def check(self, name: str, show: Show | None) -> None:
        """Raise Refusal or Undecided where `show` of this metric has no right answer."""
        spec = self.judge.metrics[name]
        if spec.kind == DERIVED:
            if show is not None:
                raise Undecided("--show on a derived metric")
            for ref in leaves_of(spec.measure, Ref):
                self.check(ref.metric, ref.show)
            return
        show = show or spec.default_show
        if spec.kind == "uniques" and show != "total":
            raise Undecided("--show on uniques")
        if spec.kind == "level" and show == "total":
            raise Refusal(f"{name} is a level: its total over time means nothing")
        if spec.kind == "flow" and show == "change":
            raise Refusal(f"{name} is a flow: it has no change")
        if spec.kind == "flow" and show == "average" and not spec.linear:
            raise Refusal(f"{name}: a mean of daily values of {spec.measure.sql('duckdb')} means nothing")

    # ---- rows

    def rows(self) -> list[Row]:
        return self.rows_by_weekday() if "weekday" in self.ask.by else self.plain_rows()

    def rows_by_weekday(self) -> list[Row]:
        """The rows of a question for each weekday, and totals over all of them."""
        by = tuple(dim for dim in self.ask.by if dim != "weekday")
        found = []
        for number, weekday in enumerate(WEEKDAYS):
            part = replace(self.ask, by=by, only=frozenset([number]), totals=False)
            if part.weekdays:
                found += [{**row, "weekday": weekday} for row in Answer(self.judge, part).plain_rows()]
        found.sort(key=self.place_by_weekday)
        if not self.ask.totals:
            return found
        whole_ask = replace(self.ask, by=("weekday",), having=())
        totals = Answer(self.judge, replace(whole_ask, by=(), totals=True)).plain_rows()
        return found + [{**dict.fromkeys(self.ask.by), **row, "total": True} for row in totals]

    def place_by_weekday(self, row: Row) -> tuple[object, ...]:
        """The place of a row in an answer by weekday: its period, then its dimensions, weekdays in their own order."""
        values = ((dim, row[dim]) for dim in self.ask.by)
        keys = (
            (False, WEEKDAYS.index(value)) if dim == "weekday" else (value is None, "" if value is None else value)
            for dim, value in values
        )
        return (row["period"], *keys)

    def plain_rows(self) -> list[Row]:
        periods = self.periods()
        rows = []
        for period in periods:
            kept = self.kept(period, periods)
            rows += [self.row(period, key) for key in sorted(kept, key=sortable)] if kept is not None else []
            if kept is None:
                rows.append(self.unknown_row(period))
            if self.best is not None and self.everyone(periods) - self.best:
                rows.append(self.row(period, Others(frozenset(self.best))))
            if self.ask.totals and self.ask.by:
                rows.append(self.row(period, None, total=True))
        if self.ask.totals and not (self.ask.window or self.ask.compare):
            everything, only = whole(self.ask, None), self.ask.weekdays
            span = everything if only is None else on_weekdays(everything, only)
            rows += [self.row(self.alike(span), None, total=True)] if span is not None else []
        return [row for row in rows if row["total"] or self.admitted(row)]

    def alike(self, span: Span) -> Stretch:
        return Stretch(dict.fromkeys(self.ask.metrics, span), {})

    def periods(self) -> list[Stretch]:
        """What each row is made of, in order."""
        found = []
        for span in spans(self.judge.book, self.ask):
            now = {name: self.moved(span, name, self.ask.window, None) for name in self.ask.metrics}
            if (only := self.ask.weekdays) is not None:
                now = {name: on_weekdays(one, only) for name, one in now.items()}
                if None in now.values():
                    continue
            then = {name: self.moved(span, name, self.ask.window, self.ask.compare) for name in self.ask.metrics}
            found.append(Stretch(now, then if self.ask.compare else {}))
        return found

    def moved(self, span: Span, name: str, window: str | None, compare: str | None) -> Span:
        """The days of a window that ends with a period, of what a period is compared with, or of both."""
        if not (window or compare):
            return span
        closed, first, last = self.judge.closed_until, span.asked.first, span.asked.last
        last = min(last, closed) if first <= closed else last
        if compare:
            first, last = self.compared(compare, first, last)
        if window:
            weekday = WEEKDAYS.index(self.ask.week_starts or self.judge.book.week_starts)
            earliest = min(self.judge.days(name), default=None)
            first = window_start(window, last, weekday, earliest, self.judge.book.fiscal)
        return Span(span.period, first, last, Days(first, last), last if compare else span.ends)

    def compared(self, compare: str, first: date, last: date) -> tuple[date, date]:
        """The days that a period is compared with."""
        fiscal, book, scope = self.judge.book.fiscal, self.judge.book, self.ask.scope
        own_weeks = scope == "week" and self.ask.week_starts not in (None, book.week_starts)
        if fiscal is None or not fiscal.weeks or own_weeks:
            return compared_days(compare, scope, first, last)
        if compare == "2100 years" or not 1910 < first.year < 2190:
            raise Undecided("a fiscal period so far away")
        found = fiscal_compared(compare, scope, first, last, fiscal)
        if found is None:
            raise Undecided("a week 53")
        return found if isinstance(found, tuple) else compared_days(compare, scope, first, last)

    def kept(self, period: Stretch, periods: Sequence[Stretch]) -> set[Key] | None:
        """The series that have a row; None when nothing at all is known of the period."""
        if not self.ask.by:
            return {()}
        own = self.series(period)
        blank = [not self.known_days(name, span) and not self.seen(name, span) for name, span in period.now.items()]
        if all(blank) and not any(self.seen(name, span) for name, span in period.then.items()):
            return None
        if self.ask.fill:
            own = set().union(*(self.series(other) for other in periods))
        return None if not own and any(blank) else own

    def series(self, period: Stretch) -> set[Key]:
        """The series with a fact now or then, of those that are shown."""
        found = set().union(*(self.seen(name, span) for name, span in period.both))
        return found if self.best is None else found & self.best

    def everyone(self, periods: Sequence[Stretch]) -> set[Key]:
        return set().union(*(self.seen(name, span) for period in periods for name, span in period.both))

    def known_days(self, name: str, span: Span) -> int:
        if self.origin(name, span, self.ask.by) == "unknown":
            return 0
        return len(self.listed(*self.counted(name, span, self.ask.by)))

    def row(self, period: Stretch, key: Key | Others | None, *, total: bool = False) -> Row:
        cells, bounds = {}, {}
        for name, span in period.now.items():
            cells[name] = self.cell(name, key, span)
            limits = self.bounds(name, key, span, self.judge.days(name))
            if limits:
                bounds[name] = limits
        approximate = any(cell.approximate for cell in cells.values())
        for name, then in period.then.items():
            was = self.cell(name, key, then)
            cells[f"{name}_previous"] = was
            by = () if total else self.ask.by
            cells[f"{name}_change"] = self.change(name, cells[name], was, period.now[name], then, by)
        row = self.unknown_row(period, total=total)
        values = key if isinstance(key, tuple) else (None,) * len(self.ask.by)
        row |= dict(zip(self.ask.by, values, strict=True))
        row |= {name: cell.number for name, cell in cells.items()}
        row |= {"cells": cells, "bounds": bounds, "approximate": approximate}
        row |= {"others": isinstance(key, Others), "no_series": False}
        return row

    def unknown_row(self, period: Stretch, *, total: bool = False) -> Row:
        """A row without a value; its days are those of the metric that lacks the most."""
        spans_of = [self.counted(name, span, () if total else self.ask.by) for name, span in period.now.items()]
        lengths = [(span.length, len(self.listed(span, days))) for span, days in spans_of]
        length, days = max(lengths, key=lambda one: one[0] - one[1])
        columns = [*self.ask.metrics, *(f"{name}_{what}" for name in period.then for what in ("previous", "change"))]
        return {
            "period": next(iter(period.now.values())).period,
            **dict.fromkeys([*self.ask.by, *columns]),
            "complete": days == length,
            "days": days,
            "days_expected": length,
            "approximate": False,
            "total": total,
            "others": False,
            "no_series": bool(self.ask.by),
            "cells": dict.fromkeys(columns, NULL),
            "bounds": {},
        }

    # ---- comparisons

    def change(self, name: str, now: Value, was: Value, here: Span, then: Span, by: tuple[str, ...]) -> Value:
        """The change as a fraction of what it was; null where not the same days are known, or of 0 or less."""
        if any(value.middle is None and not value.free for value in (now, was)):
            return NULL
        if not self.same_days(name, here, then, by):
            return NULL
        if now.free or was.free:
            return FREE
        _, low, high = was.interval
        if low <= 0 < high:
            return FREE
        if high <= 0:
            return NULL
        return widened(replace(arithmetic("/", arithmetic("-", now, was), was), real=True))

    def same_days(self, name: str, here: Span, then: Span, by: tuple[str, ...]) -> bool:
        """Whether the closed days of both are collected; of shows of one day: whether the days correspond."""
        spec = self.judge.metrics[name]
        show = "" if spec.kind == DERIVED else self.ask.show or spec.default_show
        both = [self.counted(name, span, by) for span in (here, then)]
        if show not in ("first", "last", "change"):
            return all(self.all_closed_known(span, days) for span, days in both)
        left = []
        for span, days in both:
            day = self.day_shown(name, show, span, days)
            closed = min(span.asked.last, max(self.judge.closed_until, span.asked.first))
            left.append((day - span.asked.first if show == "first" else closed - day).days)
        return left[0] == left[1]

    def all_closed_known(self, span: Span, days: set[date]) -> bool:
        last = min(span.asked.last, self.judge.closed_until)
        return len(self.listed(span, days)) == max(0, (last - span.asked.first).days + 1)

    def day_shown(self, name: str, show: str, span: Span, days: set[date]) -> date:
        """The day whose value is that of the period."""
        if self.judge.metrics[name].kind != "level":
            return self.listed(span, days)[0 if show == "first" else -1]
        return span.asked.first if show == "first" else self.last_day(name, span, days)

    # ---- which rows

    @cached_property
    def best(self) -> set[Key] | None:
        """The series with the most of the first metric over the whole range; None where all are asked for."""
        if self.ask.top is None:
            return None
        name = self.ask.metrics[0]
        span = whole(self.ask, self.ask.from_)
        if (only := self.ask.weekdays) is not None:
            if (restricted := on_weekdays(span, only)) is None:
                return set()
            span = restricted
        begins = min(self.judge.days(name), default=date.max)
        if any(day in span.asked for day in self.before(name)) and span.asked.last >= begins:
            raise Refusal("which series are the largest, of two histories")
        found = {key: self.cell(name, key, span) for key in self.seen(name, span)}
        if any(value.free or (value.middle is not None and value.accepts(None)) for value in found.values()):
            raise Undecided("the rank of a value that may be anything, or that may not fit")
        ranked = sorted(found, key=lambda key: (*rank(found[key]), text_of(key)))
        for before, after in product(ranked[: self.ask.top], ranked[self.ask.top :]):
            left, right = found[before], found[after]
            if left.middle is None or right.middle is None or (left.exact and right.exact):
                continue
            if left.interval[1] <= right.interval[2]:
                raise Undecided("which of two series is larger, in the last bit of a float")
        return set(ranked[: self.ask.top])

    def admitted(self, row: Row) -> bool:
        """Whether a row meets `having`. What floats do not decide is `optional`."""
        met = [holds(row["cells"][column], sign, Fraction(text)) for column, sign, text in self.ask.having]
        row["optional"] = None in met and False not in met
        return False not in met


def on_weekdays(span: Span, weekdays: frozenset[int]) -> Span | None:
    """The span without days of other weekdays; None where none is left."""
    asked = of_weekdays(span.asked, weekdays)
    return None if asked is None else replace(span, asked=asked, weekdays=weekdays)


def sortable(key: Key) -> tuple[Any, ...]:
    """Text by code point, numbers by size, null last."""
    return tuple((value is None, isinstance(value, str), 0 if value is None else value) for value in key)


def answer(
    book: BookSpec,
    metrics: Mapping[str, MetricSpec],
    tables: Tables,
    ask: Ask,
    covered: Covered,
    closed_until: date,
) -> list[Row]:
    """The right rows for `ask`, by period, then dimensions; `closed_until` is the last day that has closed.

    A row is a dict: period (None on the grand total), the dimensions, a number per metric (int or Decimal
    when exact, float, None), complete, days, days_expected, approximate, total; and for `differences` the
    `cells` (a `Value` per metric, which knows its tolerance) and `bounds` (of uniques).

    Raises Refusal when the question has no right answer, Undecided when nobody said what it is.
    """
    return Judge(book, metrics, tables, covered, closed_until).answer(ask)
