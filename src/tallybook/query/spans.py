"""The days behind each row: whole periods, rolling windows that end where a period does, and what they are compared with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from tallybook import calendar
from tallybook.calendar import ONE_DAY, parse_span, period_start
from tallybook.errors import QueryError, Refused

MONTHS = {"month": 1, "quarter": 3, "year": 12}
"""The units that are whole months, and how many."""
DAYS = {"day": 1, "week": 7}
TO_DATE = {f"{unit} to date": unit for unit in ("week", "month", "quarter", "year")}
ALL = "all"


@dataclass(frozen=True, slots=True)
class Span:
    """The days `first` … `last` behind the row of the period `start` … `end`; `expected`: how many make it whole."""

    start: date
    end: date
    first: date
    last: date
    expected: int


@dataclass(frozen=True)
class Shift:
    """So far back in the calendar. With `own_length` as many days as the range itself has."""

    days: int = 0
    months: int = 0
    own_length: bool = False

    def of(self, first: date, last: date) -> tuple[date, date]:
        """The days that correspond to `first` … `last`. A month's last day corresponds to another month's last."""
        if self.own_length:
            length = last - first + ONE_DAY
            return first - length, last - length
        if not self.months:
            return first - timedelta(days=self.days), last - timedelta(days=self.days)
        return months_before(first, self.months), last_before(last, self.months)


def months_before(day: date, months: int) -> date:
    """The same day of the month so many months earlier, or that month's last day where it has none such."""
    index = day.year * 12 + day.month - 1 - months
    start = date(index // 12, index % 12 + 1, 1)
    return min(start + (day.day - 1) * ONE_DAY, calendar.next_period(start, "month") - ONE_DAY)


def last_before(day: date, months: int) -> date:
    """As `months_before`, but the end of a month stays the end of a month."""
    following = day + ONE_DAY
    return months_before(following, months) - ONE_DAY if following.day == 1 else months_before(day, months)


# --- what is compared with -----------------------------------------------------------------------------


def parse_compare(text: str, scope: str) -> Shift:
    """`previous`, `year` or a span such as "1 month", for rows of `scope`.

    `previous` is the period before. `year` is the year before, at day and week scope 52 weeks, so that weekdays
    meet weekdays; "1 year" is the same date. Raises QueryError, and Refused where periods would not meet periods."""
    word = " ".join(text.lower().split())
    if word == "previous":
        return _one(scope)
    if word == "year":
        return Shift(days=364) if scope in DAYS else Shift(months=12)
    try:
        number, unit = parse_span(text)
    except ValueError:
        raise QueryError(
            f"--compare {text!r} is not understood", hint='write previous, year, or a span: --compare "1 month"'
        ) from None
    shift = Shift(months=number * MONTHS[unit]) if unit in MONTHS else Shift(days=number * DAYS[unit])
    _check_meets(shift, scope, text)
    return shift


def _one(scope: str) -> Shift:
    if scope == "all":
        return Shift(own_length=True)
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
        )


# --- windows ----------------------------------------------------------------------------------------------


def check_window(text: str) -> str:
    """The window in its one spelling. Raises QueryError with the forms there are."""
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


def window_start(window: str, last: date, week_start: int, earliest: date | None) -> date:
    """The first day of a window that ends with `last`. Months reach back from the day after it, clamped."""
    if window == ALL:
        return min(earliest or last, last)
    if window in TO_DATE:
        return period_start(last, TO_DATE[window], week_start)
    number, unit = parse_span(window)
    if unit in MONTHS:
        return months_before(last + ONE_DAY, number * MONTHS[unit])
    return last - (number * DAYS[unit] - 1) * ONE_DAY


# --- spans -------------------------------------------------------------------------------------------------


def spans(
    first: date, last: date, scope: str, week_start: int, *, window: str | None = None, shift: Shift | None = None,
    known: date, earliest: date | None,
) -> Iterator[Span]:  # fmt: skip
    """A span for every period that touches `first` … `last`.

    `known`: the last day that is over (or that a live answer sees a part of); `earliest`: the first covered day."""
    for start, end in calendar.periods(first, last, scope, week_start):
        begin, until = max(start, first), min(end, last)
        expected = (end - start).days + 1
        if window or shift:
            until = min(until, known) if begin <= known else until
            if shift:
                begin, until = shift.of(begin, until)
            if window:
                begin = window_start(window, until, week_start, earliest)
            expected = (until - begin).days + 1
        yield Span(start, until if shift else end, begin, until, expected)
