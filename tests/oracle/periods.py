"""The days of a book, and the calendar periods of a question."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import cache
from zoneinfo import ZoneInfo

from tests.oracle.dates import Days, Fiscal, days_before, fiscal_start, of_weekdays
from tests.oracle.questions import Ask, BookSpec
from tests.oracle.terms import DAY, WEEKDAYS, Scope, Undecided


def days_between(first: date, last: date) -> list[date]:
    """Every day from `first` to `last`, both included."""
    return [first + DAY * i for i in range((last - first).days + 1)]


def start_of_day(day: date, timezone: str) -> datetime:
    """The first instant of `day`: its midnight, the earlier one where the clock shows it twice."""
    return datetime.combine(day, time(0), ZoneInfo(timezone)).astimezone(UTC)


@cache
def end_of_day(day: date, timezone: str) -> datetime:
    return start_of_day(day + DAY, timezone)


def day_of(moment: datetime | date, timezone: str) -> date:
    """The book's day that `moment` (see `Column.moment`) belongs to."""
    if not isinstance(moment, datetime):
        return moment
    if moment.tzinfo is None:
        return moment.date()
    day = moment.astimezone(ZoneInfo(timezone)).date()
    # A clock put back over midnight shows yesterday's date again; that hour is still today's.
    return day + DAY if moment >= end_of_day(day, timezone) else day


def period_start(day: date, scope: Scope, week_starts: str, fiscal: Fiscal | None = None) -> date:
    """The first day of the calendar period that `day` lies in."""
    if fiscal is not None and fiscal.moves(scope):
        start = fiscal_start(day, scope, fiscal)
        if start is None:
            raise Undecided("a fiscal period so far away")
        return start
    if scope == "week":
        back = (day.weekday() - WEEKDAYS.index(week_starts)) % 7
        if day.toordinal() <= back:
            raise Undecided("a week that begins before the calendar")
        return day - DAY * back
    if scope == "month":
        return day.replace(day=1)
    if scope == "quarter":
        return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
    if scope == "year":
        return day.replace(month=1, day=1)
    return day


@dataclass(frozen=True)
class Span:
    """The days behind one row: the calendar days of its period, and those of them that were asked for.

    Of a window or a comparison `first` to `last` are its own days, and all are asked for."""

    period: date | None
    first: date
    last: date
    asked: Days
    ends: date
    """The last day of the calendar period; while it has not closed, the period runs."""
    weekdays: frozenset[int] | None = None
    """The weekdays of the days that count."""

    @property
    def length(self) -> int:
        if self.weekdays is not None:
            return len(of_weekdays(Days(self.first, self.last), self.weekdays) or ())
        return (self.last - self.first).days + 1

    @property
    def before(self) -> date:
        return days_before(self.first, 1)


def whole(ask: Ask, period: date | None) -> Span:
    """The whole asked range as one span."""
    return Span(period, ask.from_, ask.to, Days(ask.from_, ask.to), ask.to)


def spans(book: BookSpec, ask: Ask) -> list[Span]:
    """The periods of the asked range, in order."""
    if ask.scope == "all":
        return [whole(ask, ask.from_)]
    week_starts = ask.week_starts or book.week_starts
    starts: dict[date, list[date]] = {}
    for day in days_between(ask.from_, ask.to):
        starts.setdefault(period_start(day, ask.scope, week_starts, book.fiscal), []).append(day)
    found = []
    for first, asked in starts.items():
        last = first
        while period_start(last + DAY, ask.scope, week_starts, book.fiscal) == first:
            last += DAY
        found.append(Span(first, first, last, Days(asked[0], asked[-1]), last))
    return found
