"""What the judge knows of goals, worked out from the words of docs/goals.md alone.

found = standing(judge, goal, on=date(2026, 3, 9))
print("\\n".join(goal_differences(found, book.goals("g", on=date(2026, 3, 9))[0].to_dict())))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

from tests.oracle import (
    DAY,
    FREE,
    NULL,
    Agg,
    Answer,
    Ask,
    Call,
    Judge,
    Measure,
    MetricSpec,
    Num,
    Op,
    Ref,
    Scope,
    Show,
    Value,
    arithmetic,
    near,
    period_start,
)

ADDED = {"count", "sum"}
ALIKE = {"avg", "stddev", "variance", "quantile"}
"""Measures of which a part of a period is like the whole."""


@dataclass(frozen=True, kw_only=True)
class GoalSpec:
    """What a metric shall come to in each period."""

    name: str
    metric: str
    scope: Scope
    target: str
    where: tuple[tuple[str, str, str | None], ...] = ()
    show: Show | None = None
    at_most: bool = False

    def toml(self) -> str:
        """The `[goals.NAME]` text."""
        where = Ask(metrics=(), from_=date.min, to=date.min, where=self.where).where_texts
        quoted = ", ".join(
            '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"' for text in where
        )
        lines = [f'metric = "{self.metric}"', f'scope = "{self.scope}"', f"target = {self.target}"]
        lines += [f"where = [{quoted}]"] if where else []
        lines += [f'show = "{self.show}"'] if self.show else []
        return "\n".join([f"[goals.{self.name}]", *lines, *(["at_most = true"] if self.at_most else []), ""])

    def meets(self, value: Value, line: Value) -> bool | None:
        """Whether the value is on the right side of a line; None where the digits do not tell."""
        if value.free or line.free:
            return None
        apart = arithmetic("-", line, value) if self.at_most else arithmetic("-", value, line)
        _, low, high = apart.interval
        return None if low < 0 <= high else low >= 0


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A goal in one period. `status` is empty where the words do not tell."""

    value: Value
    days: int
    days_gone: int
    days_expected: int
    expected: Value
    difference: Value
    projection: Value
    status: str


def nature(judge: Judge, spec: MetricSpec, show: Show) -> str:
    """What a part of a period says about the whole: "count", "sum", "path", "distinct", "most", "least", "alike"; else
    nothing, where the words leave it open."""
    if show == "change" or (spec.kind == "level" and show == "last"):
        return "path"
    if show in ("min", "max"):
        return "least" if show == "min" else "most"
    if show != "total":
        return "alike"
    if spec.kind == "uniques":
        return "distinct"
    if spec.per:
        return ""
    if adds_up := _adds_up(judge, spec.measure):
        return adds_up
    known = {"count_distinct": "distinct", "max": "most", "min": "least"}
    fn = spec.measure.fn if isinstance(spec.measure, Agg) else ""
    return known.get(fn, "alike" if fn in ALIKE else "")


def _adds_up(judge: Judge, measure: Measure) -> str:
    """ "count" or "sum" where the measure is made of counts and sums, times written numbers, added to one another, or of
    such totals: "count" where it never falls."""
    match measure:
        case Agg(fn="count" | "sum" as fn):
            return fn
        case Ref(name, show):
            spec = judge.metrics[name]
            kind = nature(judge, spec, show or spec.default_show)
            return kind if kind in ADDED else ""
        case Op("+" | "-" as op, left, right) if (one := _adds_up(judge, left)) and (other := _adds_up(judge, right)):
            return "count" if op == "+" and one == other == "count" else "sum"
        case Op("*", Num(number), inner) | Op("*" | "/", inner, Num(number)) if adds_up := _adds_up(judge, inner):
            return adds_up if Fraction(number) > 0 else "sum"
        case Call("coalesce", (inner, Num("0"))):
            return _adds_up(judge, inner)
    return ""


def standing(judge: Judge, goal: GoalSpec, on: date) -> Standing | None:
    """The goal in the period that holds `on`, with the days up to then; None where no day of it is over."""
    book, spec = judge.book, judge.metrics[goal.metric]
    start = period_start(on, goal.scope, book.week_starts, book.fiscal)
    end = on
    while period_start(end + DAY, goal.scope, book.week_starts, book.fiscal) == start:
        end += DAY
    last = min(on, judge.closed_until, end)
    if last < start:
        return None
    show = goal.show or spec.default_show
    ask = Ask(metrics=(goal.metric,), from_=start, to=last, scope=goal.scope, where=goal.where, show=goal.show)
    (row,) = [row for row in judge.answer(ask) if row["period"] == start]
    value, kind = row["cells"][goal.metric], nature(judge, spec, show)
    gone, length = (last - start).days + 1, (end - start).days + 1
    unknown = kind == "path" and value.middle is None and not value.free
    is_open = not kind and end > last
    expected = (
        FREE
        if is_open or (kind == "path" and value.free and end > last)  # a value that may be null has no line
        else NULL
        if end <= last or unknown
        else line_of(judge, goal, kind, (start, last, length), row["days"])
    )
    counted = end > last and kind in ADDED and row["days"] > 0
    return Standing(
        value=value,
        days=row["days"],
        days_gone=gone,
        days_expected=length,
        expected=expected,
        difference=arithmetic("-", value, expected),
        projection=arithmetic("/", value, near(Fraction(row["days"], length)))
        if counted
        else expected
        if is_open
        else NULL,
        status=status(goal, kind, row, (gone, length), expected, opening_known(judge, goal, kind, start)),
    )


def level_on(judge: Judge, goal: GoalSpec, day: date) -> Value:
    """The level at the end of one day."""
    ask = Ask(metrics=(goal.metric,), from_=day, to=day, scope="day", where=goal.where, show="last")
    found: Value = judge.answer(ask)[0]["cells"][goal.metric]
    return found


def line_of(judge: Judge, goal: GoalSpec, kind: str, when: tuple[date, date, int], days: int) -> Value:
    """Where the value of a running period should be by now; null where there is no pace."""
    start, last, length = when
    target = near(Fraction(goal.target))
    if kind in ADDED and days:
        return near(Fraction(goal.target) * Fraction(days, length))
    if kind != "path":
        return NULL
    opening = near(0) if goal.show == "change" else level_on(judge, goal, start - DAY)
    if opening.middle is None and not opening.free:
        return NULL
    there = goal.meets(opening, target)
    if there is None:
        return Value(None, free=True)
    day = day_of_value(judge, goal, start, last)
    if there or day is None:
        return NULL
    share = near(Fraction((day - start).days + 1, length))
    return arithmetic("+", opening, arithmetic("*", arithmetic("-", target, opening), share))


def day_of_value(judge: Judge, goal: GoalSpec, start: date, last: date) -> date | None:
    """The day at whose end the level was so."""
    ask = Ask(metrics=(goal.metric,), from_=start, to=last, scope=goal.scope, where=goal.where, show=goal.show)
    found = Answer(judge, judge.reached(ask))
    (period,) = found.periods()
    span, days = period.now[goal.metric], judge.days(goal.metric)
    day = found.last_day(goal.metric, span, days)
    return day if found.known(goal.metric, day, None, days) else None


def opening_known(judge: Judge, goal: GoalSpec, kind: str, start: date) -> bool:
    if kind != "path" or goal.show == "change":
        return kind == "path"
    opening = level_on(judge, goal, start - DAY)
    return opening.free or opening.middle is not None


def status(
    goal: GoalSpec, kind: str, row: Mapping[str, Any], days: tuple[int, int], expected: Value, opened: bool
) -> str:
    """The table of docs/goals.md; nothing where the words or the digits leave it open."""
    value, target = row["cells"][goal.metric], near(Fraction(goal.target))
    gone, length = days
    if not kind or value.free or expected.free or row["bounds"] or value.approximate:
        return ""
    one_day = kind == "path" or goal.show == "first"
    if value.middle is None or not (row["days"] or kind == "path"):
        return "unknown"
    met = goal.meets(value, target)
    if met is None:
        return ""
    if gone == length:
        return ("reached" if met else "missed") if row["complete"] or one_day else "unknown"
    if decided := decided_early(goal, kind, met, all_collected=row["days"] == gone):
        return decided
    if kind == "path" and met:
        return "ahead"
    line = expected if expected.middle is not None else target if kind == "alike" or opened else NULL
    if line.middle is None:
        return "open"
    on = goal.meets(value, line)
    return "" if on is None else "ahead" if on else "behind"


def decided_early(goal: GoalSpec, kind: str, met: bool, *, all_collected: bool) -> str:
    """What the rest of a running period does not change."""
    sensible = Fraction(goal.target) >= 0 if goal.at_most else Fraction(goal.target) > 0
    rises = kind in ("count", "distinct", "most") or (kind == "sum" and all_collected and sensible)
    if rises and met != goal.at_most:
        return "missed" if goal.at_most else "reached"
    return ("reached" if met else "missed") if kind == "least" and met == goal.at_most else ""


def goal_differences(expected: Standing | None, got: Mapping[str, Any]) -> list[str]:
    """What is wrong with a goal's JSON, a sentence each."""
    if expected is None:
        return []
    found = []
    for name in ("value", "expected", "difference", "projection"):
        right: Value = getattr(expected, name)
        if not widely(right).accepts(got[name]):
            found.append(f"{name} should be {right}, the book says {got[name]!r}")
    for name in ("days", "days_gone", "days_expected"):
        if getattr(expected, name) != got[name]:
            found.append(f"{name} should be {getattr(expected, name)}, the book says {got[name]!r}")
    if expected.status and got["status"] and expected.status != got["status"]:
        found.append(f"status should be {expected.status}, the book says {got['status']}")
    return found


def widely(value: Value) -> Value:
    """A number that is written with ten digits, or as a float."""
    if value.free or value.middle is None:
        return value
    middle, low, high = value.interval
    slack = abs(middle) / 10**12 + max(high - low, Fraction(0)) * 2
    return Value(middle, low - slack, high + slack)
