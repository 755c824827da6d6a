"""The days of each row: whole periods, rolling windows that end with a period, and comparison periods."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from tallybook.core import (
    DAYS,
    MONTHS,
    PLAIN,
    BookCalendar,
    QueryError,
    Refused,
    months_before,
    parse_span,
    plus_days,
)

TO_DATE = {f"{unit} to date": unit for unit in ("week", "month", "quarter", "year")}
ALL = "all"
TWO_YEARS = timedelta(days=730)
"""So far back a run collects a metric without a start."""
MAX_GAP_DAYS = 366
"""Days before or after the collected days that an answer shows as gaps. A bound further away is clipped."""


@dataclass(frozen=True, slots=True)
class Span:
    """The days `first` … `last` of the row for the period `start` … `end`. `expected`: the number of days of a complete
    row."""

    start: date
    end: date
    first: date
    last: date
    expected: int
    why: str = ""
    """Why no day corresponds to the period. Its days then do not count."""


@dataclass(frozen=True)
class Shift:
    """Distance to the comparison period. `by_range_length`: shift by the length of the range.

    `periods`: shift by this number of calendar periods of `unit` (month, quarter or year). `week_years`: shift by
    this number of years of whole weeks, to the same week and weekday."""

    days: int = 0
    months: int = 0
    by_range_length: bool = False
    periods: int = 0
    unit: str = ""
    week_years: int = 0

    def of(self, first: date, last: date, calendar: BookCalendar = PLAIN) -> tuple[date, date] | None:
        """The days that correspond to `first` … `last`. Both ends move by the same rule, so that one day stays one day.

        None if the other year has no such week."""
        if self.periods:
            return calendar.earlier(first, last, self.unit, self.periods)
        if self.week_years:
            begin, end = (calendar.year_before(day, self.week_years) for day in (first, last))
            return None if begin is None or end is None else (begin, end)
        if self.months:
            return last_before(first, self.months), last_before(last, self.months)
        days = (last - first).days + 1 if self.by_range_length else self.days
        return plus_days(first, -days), plus_days(last, -days)


def last_before(day: date, months: int) -> date:
    """Like `months_before`, but the last day of a month corresponds to the last day of the other month."""
    following = plus_days(day, 1)
    return plus_days(months_before(following, months), -1) if following.day == 1 else months_before(day, months)


# --- what is compared with -----------------------------------------------------------------------------


def parse_compare(text: str, scope: str, calendar: BookCalendar = PLAIN) -> Shift:
    """Parse `previous`, `year` or a span such as "1 month", for rows of `scope`.

    `previous` is the period before. `year` is the year before; for days and weeks 52 weeks, so that weekdays
    correspond to weekdays. "1 year" is the same date. In years of whole weeks, `year` is the period with the same
    number in the previous fiscal year. Raises QueryError, and Refused if periods would not correspond to periods."""
    word = " ".join(text.lower().split())
    if word == "previous":
        return Shift(periods=1, unit=scope) if calendar.by_weeks(scope) else _one_period(scope)
    if word == "year":
        if calendar.by_weeks("year") and (scope != "week" or calendar.has_fiscal_weeks):
            return _fiscal_year_before(scope)
        return Shift(days=364) if scope in DAYS else Shift(months=12)
    try:
        number, unit = parse_span(text)
    except ValueError:
        raise QueryError(
            f"--compare {text!r} is not understood",
            hint='write previous, year, or a span: --compare "1 month"',
            field="compare",
        ) from None
    shift = Shift(months=number * MONTHS[unit]) if unit in MONTHS else Shift(days=number * DAYS[unit])
    _check_meets(shift, scope, text)
    if calendar.by_weeks(scope):
        return Shift(periods=shift.months // MONTHS[scope], unit=scope)
    return shift


def _fiscal_year_before(scope: str) -> Shift:
    """The distance to the same period of the previous fiscal year, in years of whole weeks."""
    if scope in DAYS:
        return Shift(week_years=1)
    if scope == "all":  # a range may start and end anywhere: whole months correspond to whole months
        return Shift(periods=12, unit="month")
    return Shift(periods=12 // MONTHS[scope], unit=scope)


def _one_period(scope: str) -> Shift:
    if scope == "all":
        return Shift(by_range_length=True)
    return Shift(days=DAYS[scope]) if scope in DAYS else Shift(months=MONTHS[scope])


def _check_meets(shift: Shift, scope: str, text: str) -> None:
    if scope in ("day", "all"):
        return
    meets = (
        not shift.months and shift.days % 7 == 0
        if scope == "week"
        else not shift.days and shift.months % MONTHS[scope] == 0
    )
    if not meets:
        instead = {"week": "4 weeks", "month": "1 month", "quarter": "1 quarter", "year": "1 year"}[scope]
        raise Refused(
            f"{text} before a {scope} begins no other {scope}: the days would not be like for like",
            ask=f'--compare "{instead}", or --scope day',
            changes=[{"compare": instead}, {"scope": "day"}],
        )


# --- windows ----------------------------------------------------------------------------------------------


def check_window(text: str) -> str:
    """The window in its normalized spelling. Raises QueryError with the accepted forms."""
    word = " ".join(text.lower().split())
    if word == ALL or word in TO_DATE:
        return word
    try:
        number, unit = parse_span(text)
    except ValueError:
        raise QueryError(
            f"--window {text!r} is not understood",
            hint=f'write a span as "28 days" or "2 months", {ALL}, or one of {", ".join(TO_DATE)}',
        ) from None
    return f"{number} {unit}{'s' if number > 1 else ''}"


def window_start(window: str, last: date, calendar: BookCalendar, earliest: date | None) -> date:
    """The first day of a window that ends with `last`.

    For months: the day after the same day that many months before, clamped to the end of that month, as in `day >
    last - interval '2 months'`."""
    if window == ALL:
        return min(earliest or last, last)
    if window in TO_DATE:
        return calendar.period_start(last, TO_DATE[window])
    number, unit = parse_span(window)
    if unit in MONTHS:
        return plus_days(months_before(last, number * MONTHS[unit]), 1)
    return plus_days(last, 1 - number * DAYS[unit])


# --- spans -------------------------------------------------------------------------------------------------


def spans(
    first: date,
    last: date,
    scope: str,
    calendar: BookCalendar,
    *,
    window: str | None = None,
    shift: Shift | None = None,
    known: date,
    earliest: date | None,
) -> Iterator[Span]:
    """A span for every period that overlaps `first` … `last`.

    `known`: the last ended day (or the day that a live answer sees partly). `earliest`: the first covered day."""
    for start, end in calendar.periods(first, last, scope):
        begin, until = max(start, first), min(end, last)
        expected = (end - start).days + 1
        if window or shift:
            until = min(until, known) if begin <= known else until
            if shift:
                moved = shift.of(begin, until, calendar)
                if moved is None:
                    yield Span(start, end, begin, until, expected, "the fiscal year before has no such week")
                    continue
                begin, until = moved
            if window:
                begin = window_start(window, until, calendar, earliest)
            expected = (until - begin).days + 1
        yield Span(start, until if shift else end, begin, until, expected)
