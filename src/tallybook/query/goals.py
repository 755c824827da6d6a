"""Goals: the progress of each in its period, and whether it is on track. The numbers come from ordinary queries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

from tallybook.core import (
    LEVEL,
    ONE_DAY,
    PLAIN,
    BookCalendar,
    Catalog,
    Column,
    Goal,
    Number,
    QueryError,
    Result,
    Row,
    calendar,
    period_label,
    plus_days,
    why_null,
)
from tallybook.query import pace
from tallybook.query.pace import ADDS_UP, COMPARABLE, OPEN, PATH, UNKNOWN, GoalProgress
from tallybook.query.question import Question, QuestionAnswers
from tallybook.query.questions import known_goal

DIGITS = 10
"""Decimals up to which a fraction is written exactly. A fraction with more decimals becomes a float."""
WIDE = Context(prec=60)
"""A context with enough precision for every digit of a number."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """The standing of a goal in one period. Numbers are int, Decimal or float, as in an answer; None means unknown.

    `period`: the first day; `until`: the last. `days`: covered days among the `days_gone` that have ended, of
    `days_expected` in total. `expected`: the value that it should have by now. `difference`: the value minus
    `expected`, also as a fraction of it. `projection`: the final value at this rate; None without a pace. `status`:
    reached, ahead, behind, missed, open (undecided until the end) or unknown. `why`: the reason for the last two."""

    goal: str
    title: str | None = None
    metric: str
    where: tuple[str, ...] = ()
    scope: str
    period: date
    until: date
    at_most: bool = False
    target: Number | None = None
    value: Number | None = None
    share: float | None = None
    """The value as a fraction of the target."""
    expected: Number | None = None
    difference: Number | None = None
    difference_share: float | None = None
    projection: Number | None = None
    status: str = UNKNOWN
    why: str | None = None
    days: int = 0
    days_gone: int = 0
    days_expected: int
    complete: bool = False
    """Whether every day of the period is covered."""
    approximate: bool = False
    as_of: date | None = None
    """For levels: the day at whose end the value was read."""
    notes: tuple[str, ...] = ()
    explain: str = ""
    column: Column
    """The format of the value."""
    calendar: BookCalendar = PLAIN

    @property
    def label(self) -> str:
        """The name of the period for people."""
        return self.calendar.label(self.period, self.scope) or period_label(self.period, self.scope)

    def to_dict(self) -> dict[str, Any]:
        """The documented JSON, as Python values."""
        found = {key: value for key, value in asdict(self).items() if key not in ("column", "calendar")}
        if label := self.calendar.label(self.period, self.scope):
            found["label"] = label
        return found | {"unit": self.column.unit, "show": self.column.show}


def standings(
    catalog: Catalog,
    names: Sequence[str],
    answers: QuestionAnswers,
    *,
    today: date,
    on: date | None = None,
    span: str | None = None,
) -> list[Standing]:
    """The standings of these goals, or of all, in the period that contains `on` (default: the last closed day).

    Days up to `on` count. With `span`, such as "3 months", earlier periods are included. Raises QueryError for an
    undeclared goal."""
    chosen = [known_goal(catalog, name) for name in dict.fromkeys(names)] or list(catalog.goals.values())
    day = on or today - ONE_DAY
    try:
        first = catalog.book.periods().last_span(span, day)[0] if span else day
    except (ValueError, OverflowError) as error:
        raise QueryError(str(error)) from None
    found: list[Standing] = []
    for goal in chosen:
        periods = catalog.book.periods().periods(first, day, goal.scope)
        found += _GoalReading(catalog, goal, answers, periods, min(day, today - ONE_DAY)).standings()
    return found


@dataclass
class _GoalReading:
    """One goal with the values of its metric in each period, for days up to `last`."""

    catalog: Catalog
    goal: Goal
    answers: QuestionAnswers
    periods: list[tuple[date, date]]
    last: date
    rows: dict[date, Row] = field(default_factory=dict)
    daily: dict[date, Row] = field(default_factory=dict)
    """For a level on a path: its values at the ends of days, from the day before the first period."""
    explain: str = ""

    def __post_init__(self) -> None:
        self.metric = self.catalog.metrics[self.goal.metric]
        self.show = self.goal.show or self.metric.default_show
        self.nature = pace.nature(self.catalog, self.metric, self.show)
        self.column = Column(
            name=self.metric.name, role="metric", type="decimal", unit=self.metric.unit, unit_from=self.metric.unit_from
        )

    def standings(self) -> Iterator[Standing]:
        # Future periods are left out, except the one that was asked for.
        self.periods = [p for p in self.periods if p[0] <= self.last] or self.periods[-1:]
        if self.periods[0][0] <= self.last:
            self.read()
            begin = min(self.rows, default=self.periods[0][0])
            self.periods = [p for p in self.periods if p[0] >= begin] or self.periods[-1:]
        for start, end in self.periods:
            yield self.standing(start, end)

    def read(self) -> None:
        """Query the values. Repeats if a run published between two queries, so that both have the same version."""
        first = self.periods[0][0]
        while True:
            result = self.answer(self.goal.scope, self.goal.show, first)
            ends = None if self.metric.derived else "last"
            daily = self.answer("day", ends, plus_days(first, -1)) if self.nature == PATH else result
            if daily.version == result.version:
                break
        self.rows = {row["period"]: row for row in result.rows()}
        self.daily = {row["period"]: row for row in daily.rows()}
        self.column, self.explain = result.metric_columns[0], result.explain

    def answer(self, scope: str, show: str | None, first: date) -> Result:
        goal = self.goal
        question = Question(metrics=[goal.metric], scope=scope, where=goal.where, show=show, from_=first, to=self.last)
        return self.answers.answer(question)

    # one period

    def standing(self, start: date, end: date) -> Standing:
        goal, row = self.goal, self.rows.get(start, {})
        standing = Standing(
            goal=goal.name,
            title=goal.title,
            metric=goal.metric,
            where=goal.where,
            scope=goal.scope,
            period=start,
            until=end,
            at_most=goal.at_most,
            target=_number(goal.target_of(start)),
            value=row.get(goal.metric),
            days=row.get("days", 0),
            days_gone=max(0, (min(end, self.last) - start).days + 1),
            days_expected=(end - start).days + 1,
            complete=row.get("complete", False),
            approximate=row.get("approximate", False),
            as_of=self.day_of_value(start, end),
            column=self.column,
            calendar=self.catalog.book.periods(),
            explain=self.explain,
        )
        if standing.target is None:
            return replace(standing, why=self.no_target(start))
        note = row.get("notes", {}).get(goal.metric, {})
        return self.judged(standing, self.progress(standing, note), note)

    def progress(self, s: Standing, note: Mapping[str, Any]) -> GoalProgress:
        low, high = _between(s.value, note)
        one_day = self.nature == PATH or (self.metric.kind == LEVEL and self.show == "first")
        return GoalProgress(
            nature=self.nature,
            target=Fraction(self.goal.target_of(s.period) or 0),
            at_most=s.at_most,
            low=low,
            high=high,
            value=None if s.value is None else Fraction(s.value),
            length=s.days_expected,
            gone=s.days_gone,
            covered=s.days,
            position=(s.as_of - s.period).days + 1 if s.as_of else 0,
            opening=self.opening(s.period),
            over=s.until <= self.last,
            settled=s.complete or (one_day and s.value is not None),
            never_falls=pace.never_falls(self.catalog, self.metric, self.show),
        )

    def opening(self, start: date) -> Fraction | None:
        """The level at the end of the day before the period. 0 for a change, which is counted from there."""
        if self.show == "change":
            return Fraction(0)
        value = self.daily.get(plus_days(start, -1), {}).get(self.goal.metric) if self.nature == PATH else None
        return None if value is None else Fraction(value)

    def day_of_value(self, start: date, end: date) -> date | None:
        """The day at whose end the level was read: the last day if known, else the last covered one."""
        last = min(end, self.last)
        days = [self.daily[day] for day in calendar.days(start, last) if day in self.daily]
        if self.nature != PATH or not days or self.rows[start][self.goal.metric] is None:
            return None
        if days[-1][self.goal.metric] is not None:
            return last
        return max((row["period"] for row in days if row["days"]), default=None)

    def judged(self, s: Standing, p: GoalProgress, note: Mapping[str, Any]) -> Standing:
        s = replace(s, status=pace.status(p))
        there = pace.pace(p)
        difference = None if p.value is None or there.expected is None else p.value - there.expected
        no_pace = "" if p.over or s.status == UNKNOWN or there.expected is not None else self.no_pace(s)
        why = self.why_unknown(s, p, note) if s.status == UNKNOWN else no_pace if s.status == OPEN else None
        exact = not isinstance(s.value, float)
        return replace(
            s,
            why=why,
            share=_share(p.value, p.target),
            expected=_number(there.expected, exact=exact),
            difference=_number(difference, exact=exact),
            difference_share=_share(difference, there.expected),
            projection=_number(there.projection, exact=exact),
            notes=tuple(self.notes(s, p, note, "" if s.status == OPEN else no_pace)),
        )

    # words

    def no_target(self, start: date) -> str:
        there = ", ".join(self.label(day) for day in sorted(self.goal.targets)[-3:])
        return f"there is no target for {self.label(start)}: targets has {there}"

    def label(self, start: date) -> str:
        """The name of a period of the goal for people."""
        scope = self.goal.scope
        return self.catalog.book.periods().label(start, scope) or period_label(start, scope)

    def no_pace(self, s: Standing) -> str:
        if self.nature == PATH:
            before = plus_days(s.period, -1)
            if self.opening(s.period) is None:
                gap = "had nothing to measure" if self.daily.get(before, {}).get("days") else "was not collected"
                return f"no pace: {before}, the day before the {s.scope}, {gap}"
            return f"no pace: it was there already when the {s.scope} began"
        instead = "; compared with the target itself" if self.nature == COMPARABLE else ""
        instead = f"; decided when the {s.scope} is over" if s.status == OPEN else instead
        return f"no pace: {pace.why_no_pace(self.metric, self.show)}{instead}"

    def why_unknown(self, s: Standing, p: GoalProgress, note: Mapping[str, Any]) -> str:
        if not s.days_gone:
            return f"{s.period} is not over yet"
        if p.low is not None and p.over and not p.settled:
            return f"{s.days} of {s.days_expected} days are collected: `tallybook coverage {s.metric}` shows the gaps"
        if p.value is not None and note.get("error"):
            return f"the value is known to within {note['error']:.0%}, and may be on either side"
        return _why(note) or "there is nothing that could be measured"

    def notes(self, s: Standing, p: GoalProgress, note: Mapping[str, Any], no_pace: str) -> Iterator[str]:
        if no_pace:
            yield no_pace
        if 0 < s.days < s.days_gone and not p.over:
            these = ", and the pace is of these" if self.nature == ADDS_UP else ""
            yield f"{s.days} of the {s.days_gone} days that are over are collected{these}"
        if (note.get("bounds") and s.status != UNKNOWN) or (note.get("why") and s.value is not None):
            yield _why(note)
        if s.as_of and s.as_of < min(s.until, self.last):
            yield f"the value is of the end of {s.as_of}"
        if note.get("carried"):
            yield "carried forward from an earlier day"
        if note.get("error") and s.value is not None:
            yield f"approximate, to within {note['error']:.0%}"


def _why(note: Mapping[str, Any]) -> str:
    """Why a value is unknown, with its bounds."""
    return why_null({"notes": {"": note}}, "")


def _between(value: Number | None, note: Mapping[str, Any]) -> tuple[Fraction | None, Fraction | None]:
    """The bounds of the true value."""
    if value is None:
        low, high = note.get("bounds") or (None, None)
        return (None, None) if low is None or high is None else (Fraction(low), Fraction(high))
    exact, error = Fraction(value), Fraction(note.get("error") or 0)
    return exact - abs(exact) * error, exact + abs(exact) * error


def _share(part: Fraction | None, whole: Fraction | None) -> float | None:
    """The share as a float; None if the whole is unknown, zero or negative."""
    return None if part is None or whole is None or whole <= 0 else _as_float(part / whole)


def _number(value: Fraction | Decimal | None, *, exact: bool = True) -> Number | None:
    """An int, a Decimal with all digits, or a float if the decimals do not end or the source is a float."""
    if value is None:
        return None
    fraction = Fraction(value)
    if not exact:
        return _as_float(fraction)
    if fraction.denominator == 1:
        return fraction.numerator
    if 10**DIGITS % fraction.denominator:
        return _as_float(fraction)
    return Decimal(int(fraction * 10**DIGITS)).scaleb(-DIGITS, WIDE).normalize(WIDE)


def _as_float(value: Fraction) -> float | None:
    try:
        return float(value)
    except OverflowError:
        return None
