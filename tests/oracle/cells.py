"""The value of one series over the days of one period."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from tests.oracle.aggregates import Fact, outer
from tests.oracle.judge import Judge
from tests.oracle.measures import Ref, leaves_of
from tests.oracle.periods import Span
from tests.oracle.questions import Ask
from tests.oracle.terms import DAY, DERIVED, Key, Show
from tests.oracle.values import NULL, Value, arithmetic, extreme, mean, near, widened


@dataclass(frozen=True)
class Others:
    """All series but the best ones, together."""

    best: frozenset[Key]


@dataclass
class Cells:
    """The values of a question to a judge, series by series. A `key` is a combination of the asked dimensions, or None for all of them."""

    judge: Judge
    ask: Ask
    grouped: dict[tuple[str, date], dict[Key | None, list[Fact]]] = field(default_factory=dict, repr=False)

    # ---- which series

    def admits(self, series: tuple[tuple[str, Any], ...]) -> bool:
        """Whether these dimension values meet the asked `where`."""
        values = {dim: None if value is None else str(value) for dim, value in series}
        for dim in {dim for dim, *_ in self.ask.where if dim != "weekday"}:
            wanted = {value for name, op, value in self.ask.where if (name, op) == (dim, "=")}
            unwanted = {value for name, op, value in self.ask.where if (name, op) == (dim, "!=")}
            if (wanted and values[dim] not in wanted) or values[dim] in unwanted:
                return False
        return True

    def chosen(self, name: str, day: date, key: Key | Others | None) -> list[Fact]:
        """The facts of one day and series that meet the asked `where`."""
        if (name, day) not in self.grouped:
            by = self.judge.metrics[name].by
            groups: dict[Key | None, list[Fact]] = {}
            for fact in self.judge.facts(name, day):
                if self.admits(tuple(zip(by, fact.series, strict=True))):
                    groups.setdefault(self.key(fact), []).append(fact)
                    groups.setdefault(None, []).append(fact)
            self.grouped[name, day] = groups
        if isinstance(key, Others):
            groups = self.grouped[name, day]
            return [fact for one, facts in groups.items() if one is not None and one not in key.best for fact in facts]
        return self.grouped[name, day].get(key, [])

    def key(self, fact: Fact) -> Key:
        return tuple(fact.row[dim] for dim in self.ask.by)

    def listed(self, span: Span, days: set[date]) -> list[date]:
        return sorted(day for day in days if day in span.asked)

    def keys(self, name: str, show: Show | None, span: Span, days: set[date]) -> set[Key]:
        spec = self.judge.metrics[name]
        if spec.kind == DERIVED:
            refs = leaves_of(spec.measure, Ref)
            return set().union(*(self.keys(ref.metric, ref.show, span, days) for ref in refs))
        show = show or spec.default_show
        looked_at = self.listed(span, days)
        if spec.kind == "level" and show in ("last", "change"):
            looked_at += self.carried_into(name, self.last_closed(span), days)
        if spec.kind == "level" and show == "first":
            looked_at += self.carried_into(name, span.asked.first, days)
        if spec.kind == "level" and show == "change" and looked_at:
            looked_at += [span.before] if span.before in days else self.carried_into(name, span.before, days)
        return {self.key(fact) for day in looked_at for fact in self.chosen(name, day, None)}

    def carried_into(self, name: str, day: date, days: set[date]) -> list[date]:
        """[day] if it is not covered but something is carried into it."""
        own = day in days or day in self.judge.covered[name]
        return [day] if not own and self.judge.facts(name, day) else []

    # ---- values

    def value(self, name: str, show: Show | None, key: Key | Others | None, span: Span, days: set[date]) -> Value:
        spec = self.judge.metrics[name]
        if spec.kind == DERIVED:
            if any(self.unknown(ref.metric, ref.show, key, span, days) for ref in leaves_of(spec.measure, Ref)):
                return NULL
            return outer(spec.measure, lambda ref: self.value(ref.metric, ref.show, key, span, days))
        show = show or spec.default_show
        if spec.kind == "level":
            return self.level_value(name, show, key, span, days)
        listed = self.listed(span, days)
        if not listed:
            return NULL
        if spec.kind == "uniques":
            return self.daily(name, listed[0], key) if len(span.asked) == 1 else NULL
        if show == "total":
            facts = [fact for day in listed for fact in self.chosen(name, day, key)]
            return self.judge.measured(name, facts, listed[0])
        return over_days([self.daily(name, day, key) for day in listed], show)

    def unknown(self, name: str, show: Show | None, key: Key | Others | None, span: Span, days: set[date]) -> bool:
        """Not collected is not zero: no coalesce of a formula makes a number of an operand nobody knows."""
        spec = self.judge.metrics[name]
        if spec.kind == DERIVED:
            refs = leaves_of(spec.measure, Ref)
            return any(self.unknown(ref.metric, ref.show, key, span, days) for ref in refs)
        listed = self.listed(span, days)
        show = show or spec.default_show
        if spec.kind == "uniques" and show == "total" and len(span.asked) > 1:
            return True
        if spec.kind != "level" or show in ("average", "min", "max"):
            return not listed
        if show == "first":
            return not self.known(name, span.asked.first, key, days)
        last = self.last_day(name, span, days)
        gone = show == "change" and not self.known(name, span.before, key, days)
        return gone or not self.known(name, last, key, days)

    def daily(self, name: str, day: date, key: Key | Others | None) -> Value:
        asked = ("daily", name, day, key, self.ask.by, self.ask.where)
        if asked not in self.judge.remembered:
            self.judge.remembered[asked] = self.judge.measured(name, self.chosen(name, day, key), day)
        value: Value = self.judge.remembered[asked]
        return value

    def level_value(self, name: str, show: Show, key: Key | Others | None, span: Span, days: set[date]) -> Value:
        listed = self.listed(span, days)
        if show in ("average", "min", "max"):
            return over_days([self.daily(name, day, key) for day in listed], show)
        if show == "first":
            return self.value_at(name, span.asked.first, key, days)
        value = self.value_at(name, self.last_day(name, span, days), key, days)
        if show != "change":
            return value
        change = arithmetic("-", value, self.value_at(name, span.before, key, days))
        real = change.middle is not None and (change.middle * 10**10).denominator != 1
        return widened(change) if real else change

    def last_day(self, name: str, span: Span, days: set[date]) -> date:
        """The day whose value is the period's last one, for all of its series, so that parts add up: its last
        closed day; while the period runs and that day is neither covered nor carried into, the last covered."""
        last = self.last_closed(span)
        listed = self.listed(span, days)
        runs = span.ends > self.judge.closed_until
        if runs and listed and last not in days and not self.carried_into(name, last, days):
            return listed[-1]
        return last

    def last_closed(self, span: Span) -> date:
        """The last closed one of the asked days; the first of them where none has closed."""
        last = max(span.asked.first, min(span.asked.last, self.judge.closed_until))
        while span.weekdays is not None and last.weekday() not in span.weekdays and last > span.asked.first:
            last -= DAY
        return last

    def known(self, name: str, day: date, key: Key | Others | None, days: set[date]) -> bool:
        """Whether the level is known at the end of `day`: collected, or carried."""
        if day in days:
            return True
        return bool(self.carried_into(name, day, days) and self.chosen(name, day, key))

    def value_at(self, name: str, day: date, key: Key | Others | None, days: set[date]) -> Value:
        return self.daily(name, day, key) if self.known(name, day, key, days) else NULL

    def bounds(self, name: str, key: Key | Others | None, span: Span, days: set[date]) -> tuple[Value, Value] | None:
        """Between what a count of unique things must lie: the largest day and the sum of days."""
        listed = self.listed(span, days)
        if self.judge.metrics[name].kind != "uniques" or len(span.asked) == 1 or not listed:
            return None
        daily = [self.daily(name, day, key) for day in listed]
        added = near(0)
        for value in daily:
            added = arithmetic("+", added, value)
        return extreme(daily, max), added


def over_days(daily: Sequence[Value], show: Show) -> Value:
    """Daily values as one: their mean, smallest, largest, first or last."""
    known = [value for value in daily if value.free or value.middle is not None]
    if show == "average":
        return mean(known, len(known)) if known else NULL
    if show in ("min", "max"):
        return extreme(known, min if show == "min" else max)
    return daily[0 if show == "first" else -1]
